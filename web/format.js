/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures in words, rounded as weirctl rounds them. */

const OCTETS = [["B", 1], ["kB", 1e3], ["MB", 1e6], ["GB", 1e9], ["TB", 1e12]];
const RATES = [["bps", 1], ["kbps", 1e3], ["Mbps", 1e6], ["Gbps", 1e9]];
const TIMES = [["us", 1], ["ms", 1e3], ["s", 1e6], ["m", 6e7], ["h", 3.6e9], ["d", 8.64e10]];

export const NONE = "–";

/* Three digits, without zeros at the end of a fraction. */
function threeDigits(value, units) {
	let at = units.length - 1;

	while (at > 0 && value < units[at][1])
		at--;
	let scale = 100;
	const rounded = () => Math.floor((value * scale + units[at][1] / 2) / units[at][1]);
	while (scale > 1 && rounded() >= 1000)
		scale /= 10;
	let n = rounded();
	if (at + 1 < units.length && n * units[at][1] >= units[at + 1][1] * scale) {
		at++;
		n = scale = 1;
	}
	return `${n / scale} ${units[at][0]}`;
}

const isNumber = value => typeof value === "number" && Number.isFinite(value);

export const octets = value => isNumber(value) ? threeDigits(Math.max(0, value), OCTETS) : NONE;
export const rate = value => isNumber(value) ? threeDigits(Math.max(0, Math.round(value)), RATES) : NONE;
export const micros = value => isNumber(value) ? threeDigits(Math.max(0, Math.round(value)), TIMES) : NONE;
export const count = value => isNumber(value) ? value.toLocaleString("en-US").replaceAll(",", "\u202f") : NONE;
export const text = value => value === undefined || value === null || value === "" ? NONE : String(value);
export const percent = share => isNumber(share) ? `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %` : NONE;

/* "1.02 to 1.04 MB": the unit once, where both have the same. */
export function span(low, high) {
	const [from, to] = [octets(low), octets(high)];

	if (from === to)
		return from;
	return from.split(" ")[1] === to.split(" ")[1] ? `${from.split(" ")[0]} to ${to}` : `${from} to ${to}`;
}

const two = n => String(n).padStart(2, "0");

export const clock = date => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
export const day = date => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/* An ISO time in the reader's own zone; the day where it is not today's. */
export function moment(iso) {
	const date = new Date(iso);

	if (Number.isNaN(date.getTime()))
		return text(iso);
	return day(date) === day(new Date()) ? clock(date) : `${day(date)} ${clock(date)}`;
}

/* An element with classes, text and children. */
export function element(tag, options = {}, ...children) {
	const made = document.createElement(tag);

	for (const [name, value] of Object.entries(options)) {
		if (name === "text")
			made.textContent = value;
		else if (name === "class")
			made.className = value;
		else if (value !== undefined)
			made.setAttribute(name, value);
	}
	made.append(...children);
	return made;
}

/* Writes only what differs: nothing flickers, and a selection stays. */
export function setText(node, words) {
	if (node.textContent !== words)
		node.textContent = words;
}

export function setAttribute(node, name, value) {
	if (node.getAttribute(name) !== String(value))
		node.setAttribute(name, value);
}
