/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables that are sorted by their headings, filtered by a word, and kept up to date without losing what has the focus. */
import { NONE, element, setAttribute, setText } from "./format.js";

const ROWS_AT_FIRST = 25;

const words = new Intl.Collator("en", { numeric: true }); /* 192.168.50.9 before 192.168.50.10 */

/*
 * A column: title; get(row), what is sorted by; show(row), what is read, else get(row); number, whether it is one and so sorted
 * from the largest; left, a number that stands as words do; narrow, false where a phone leaves it out; rare, which is left out where
 * no row has it; mark(row), a class of the cell.
 */
export class Table {
	constructor(place, { name, columns, key, sort, none, rowsAtFirst = ROWS_AT_FIRST, filter = true }) {
		Object.assign(this, { columns, key, none, rowsAtFirst, isPlain: !filter });
		this.sorted = columns[sort];
		this.falling = Boolean(columns[sort].number);
		this.rows = [];
		this.lines = new Map();
		this.query = "";
		this.all = false;
		this.build(place, name, filter);
	}

	build(place, name, filter) {
		const id = place.id;
		const bar = this.bar = element("div", { class: "bar" });

		if (filter) {
			const input = element("input", { type: "search", id: `${id}-filter`, placeholder: "Filter", autocomplete: "off", spellcheck: "false" });
			input.addEventListener("input", () => {
				this.query = input.value.trim().toLowerCase();
				this.draw();
			});
			bar.append(element("label", { class: "unseen", for: input.id, text: `Filter ${name}` }), input);
		}
		this.tally = element("span", { class: "tally" });
		bar.append(this.tally);
		this.more = element("button", { type: "button", class: "quiet" });
		this.more.hidden = true;
		this.more.addEventListener("click", () => {
			this.all = !this.all;
			this.draw();
		});
		bar.append(this.more);
		this.head = element("tr");
		for (const column of this.columns)
			this.head.append(this.heading(column));
		this.body = element("tbody");
		const table = element("table", {}, element("caption", { class: "unseen", text: name }), element("thead", {}, this.head), this.body);
		place.append(bar, element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table of ${name}` }, table));
		this.markSorted();
	}

	heading(column) {
		const button = element("button", { type: "button", text: column.title });

		button.addEventListener("click", () => {
			this.falling = this.sorted === column ? !this.falling : Boolean(column.number);
			this.sorted = column;
			this.markSorted();
			this.draw();
		});
		return element("th", { scope: "col", class: this.classOf(column) }, button);
	}

	classOf(column) {
		return `${column.number && !column.left ? "number" : ""} ${column.narrow === false ? "wide" : ""} ${column.style ?? ""}`.trim();
	}

	markSorted() {
		this.columns.forEach((column, i) => {
			if (column === this.sorted)
				this.head.children[i].setAttribute("aria-sort", this.falling ? "descending" : "ascending");
			else
				this.head.children[i].removeAttribute("aria-sort");
		});
	}

	update(rows, total = rows.length) {
		this.rows = rows;
		this.total = total;
		this.columns.forEach((column, i) => {
			column.hidden = Boolean(column.rare) && column !== this.sorted && rows.every(row => this.shown(column, row) === NONE);
			this.head.children[i].hidden = column.hidden;
		});
		this.draw();
	}

	shown(column, row) {
		return String(column.show ? column.show(row) : column.get(row));
	}

	passes(row) {
		return this.query === "" || this.columns.some(column => this.shown(column, row).toLowerCase().includes(this.query));
	}

	compare(a, b) {
		const [x, y] = [this.sorted.get(a), this.sorted.get(b)];
		const missing = v => v === undefined || v === null || v === "" || (this.sorted.number && !Number.isFinite(v));

		const alike = () => words.compare(this.key(a), this.key(b));

		if (missing(x) || missing(y)) /* what is not known comes last, whichever way */
			return missing(x) - missing(y) || alike();
		const order = this.sorted.number ? x - y : words.compare(x, y);
		return (this.falling ? -order : order) || alike();
	}

	line(row) {
		const key = this.key(row);
		let line = this.lines.get(key);

		if (line)
			return line;
		line = element("tr", { "data-key": key });
		this.columns.forEach((column, i) =>
			line.append(element(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : undefined, class: this.classOf(column) })));
		this.lines.set(key, line);
		return line;
	}

	fill(line, row) {
		this.columns.forEach((column, i) => {
			const cell = line.children[i];

			setText(cell, this.shown(column, row));
			cell.hidden = Boolean(column.hidden);
			if (column.mark)
				setAttribute(cell, "class", `${this.classOf(column)} ${column.mark(row)}`.trim());
		});
	}

	draw() {
		const passing = this.rows.filter(row => this.passes(row)).sort((a, b) => this.compare(a, b));
		const seen = this.all ? passing : passing.slice(0, this.rowsAtFirst);
		const kept = new Set(seen.map(row => this.key(row)));

		for (const [key, line] of this.lines) {
			if (!kept.has(key)) {
				line.remove();
				this.lines.delete(key);
			}
		}
		seen.forEach((row, i) => {
			const line = this.line(row);

			this.fill(line, row);
			if (this.body.children[i] !== line)
				this.body.insertBefore(line, this.body.children[i] ?? null);
		});
		this.tell(passing.length, seen.length);
	}

	tell(passing, seen) {
		const total = Math.max(this.total ?? 0, this.rows.length);
		let tally = seen === total ? `${total}` : `${seen} of ${passing === total ? total : `${passing} that match, of ${total}`}`;

		if (total === 0)
			tally = this.none;
		else if (passing === 0)
			tally = `none of ${total} matches`;
		setText(this.tally, this.isPlain && total > 0 && seen === total ? "" : tally);
		this.more.hidden = passing <= this.rowsAtFirst;
		this.bar.hidden = this.isPlain && this.more.hidden && this.tally.textContent === "";
		setText(this.more, this.all ? `Show the first ${this.rowsAtFirst}` : `Show all ${passing}`);
	}
}
