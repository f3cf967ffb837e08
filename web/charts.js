/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines over time, by uPlot, each with the same in words and in a table. */
/* global uPlot */
import { NONE, clock, day, element, setText } from "./format.js";

const HEIGHT = 170;
const HEIGHT_SMALL = 140;
const ROWS = 30;

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const defined = values => values.filter(v => v !== null && v !== undefined);

/*
 * A chart in a figure: its lines are {label, colour: a variable of the style sheet, dash}; `least` is what it is as high as at least, so
 * that little looks like little.
 */
export class Chart {
	constructor(figure, { title, lines, format, least }) {
		Object.assign(this, { figure, title, lines, format, least, span: null });
		this.data = [[], ...lines.map(() => [])];
		this.words = element("p", { class: "words" });
		this.picture = element("div", { class: "picture", role: "img", "aria-label": title });
		this.table = element("table");
		this.details = element("details", { class: "numbers" }, element("summary", { text: `${title} as numbers` }),
			element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${title} as numbers` }, this.table));
		this.details.addEventListener("toggle", () => this.writeTable());
		figure.append(element("figcaption", { text: title }), this.words, this.picture, this.details);
		dark.addEventListener("change", () => this.make());
		new ResizeObserver(() => this.fit()).observe(figure);
		this.make();
	}

	size() {
		const width = Math.max(200, Math.floor(this.picture.clientWidth || this.figure.clientWidth));

		return { width, height: width < 500 ? HEIGHT_SMALL : HEIGHT };
	}

	fit() {
		const { width, height } = this.size();

		if (this.plot && (this.plot.width !== width || this.plot.height !== height))
			this.plot.setSize({ width, height });
	}

	make() {
		const axis = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
		const series = this.lines.map(line => ({
			label: line.label,
			stroke: colour(line.colour),
			width: 1.75,
			dash: line.dash,
			fill: line.fill ? colour(line.fill) : undefined,
			spanGaps: false,
			points: { show: false },
			value: (plot, v) => v === null || v === undefined ? NONE : this.format(v),
		}));

		this.plot?.destroy();
		this.plot = new uPlot({
			...this.size(),
			cursor: { y: false, drag: { x: false, y: false } },
			legend: { live: true },
			scales: {
				x: { range: (plot, low, high) => this.span ?? [low, high > low ? high : low + 60] },
				y: { range: (plot, low, high) => [0, Math.max(this.least, (high ?? 0) * 1.1)] },
			},
			axes: [
				{ ...axis, size: 30, values: (plot, at) => this.ticks(at), space: 70 },
				{ ...axis, size: 76, values: (plot, values) => values.map(v => this.format(v)), space: 36 },
			],
			series: [{ label: "at", value: (plot, t) => t === null || t === undefined ? NONE : this.when(t) }, ...series],
		}, this.data, this.picture);
	}

	isLong() {
		const times = this.span ?? this.data[0];

		return times.length > 1 && times[times.length - 1] - times[0] > 86400 * 1.5;
	}

	when(t) {
		const date = new Date(t * 1000);

		return this.isLong() ? `${day(date)} ${clock(date).slice(0, 5)}` : clock(date);
	}

	ticks(at) {
		const long = this.isLong();
		const seconds = at.length > 1 && at[1] - at[0] < 60;

		return at.map(t => long ? day(new Date(t * 1000)).slice(5) : clock(new Date(t * 1000)).slice(0, seconds ? 8 : 5));
	}

	/* data: times in seconds, then the values of each line; span: from when to when, where that is not what the times say. */
	update(data, span = null) {
		this.data = data;
		this.span = span;
		this.plot.setData(data);
		if (data[0].length > 0 && !(this.plot.cursor.left >= 0))
			this.plot.setLegend({ idx: data[0].length - 1 });
		this.tell();
		if (this.details.open)
			this.writeTable();
	}

	tell() {
		const parts = this.lines.map((line, i) => {
			const values = defined(this.data[i + 1]);

			if (values.length === 0)
				return `${line.label}: nothing known yet`;
			return `${line.label} ${this.format(values[values.length - 1])}, at most ${this.format(Math.max(...values))}`;
		});

		setText(this.words, parts.join(" · "));
		this.picture.setAttribute("aria-label", `${this.title}: ${parts.join("; ")}`);
	}

	/* The newest first; of many points each so many-th. */
	writeTable() {
		if (!this.details.open)
			return;
		const head = element("tr", {}, element("th", { scope: "col", text: "at" }),
			...this.lines.map(line => element("th", { scope: "col", class: "number", text: line.label })));
		const body = element("tbody");
		const times = this.data[0];
		const step = Math.max(1, Math.ceil(times.length / ROWS));

		for (let i = times.length - 1; i >= 0; i -= step)
			body.append(element("tr", {}, element("th", { scope: "row", text: this.when(times[i]) }),
				...this.lines.map((line, k) => element("td", { class: "number", text: this.data[k + 1][i] === null ? NONE : this.format(this.data[k + 1][i]) }))));
		this.table.replaceChildren(element("caption", { class: "unseen", text: this.title }), element("thead", {}, head), body);
	}
}
