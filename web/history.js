/* SPDX-License-Identifier: BSD-3-Clause */
/* What is drawn over time: the last minutes as this page has seen them, or longer spans as weir-web has kept them. */
import { Chart } from "./charts.js";
import { element, micros, rate, setText, text } from "./format.js";

const LIVE_S = 600;
const LIVE_LEAST_S = 120; /* drawn at first; the span grows with what is known */
const GAP_S = 15; /* a line is broken where nothing was known for so long */
const RENEW_MS = 60000;

const SPANS = [
	{ title: "10 minutes", seconds: 0 },
	{ title: "3 hours", seconds: 3 * 3600, per: "minute" },
	{ title: "1 day", seconds: 86400, per: "minute" },
	{ title: "1 week", seconds: 7 * 86400, per: "hour" },
	{ title: "Cycle", cycle: true, seconds: 31 * 86400, per: "hour" },
	{ title: "1 year", seconds: 366 * 86400, per: "day" },
];

const PER_S = { minute: 60, hour: 3600, day: 86400 };

export class History {
	constructor(ask) {
		this.ask = ask;
		this.live = [];
		this.span = SPANS[0];
		this.series = { series: "total" };
		this.cycleStart = null;
		this.asked = 0;
		this.rateChart = new Chart(document.getElementById("rate-chart"), { title: "Rate", format: rate, least: 10000,
			lines: [{ label: "down", colour: "--down", fill: "--down-fill" }, { label: "up", colour: "--up", dash: [6, 3] }] });
		this.delayChart = new Chart(document.getElementById("delay-chart"), { title: "Delay in weir", format: micros, least: 1000,
			lines: [{ label: "down", colour: "--down" }, { label: "up", colour: "--up", dash: [6, 3] }] });
		this.note = document.getElementById("history-note");
		this.select = document.getElementById("series");
		this.select.addEventListener("change", () => {
			this.series = JSON.parse(this.select.value);
			this.renew();
		});
		this.buttons = SPANS.map(span => {
			const button = element("button", { type: "button", text: span.title, "aria-pressed": String(span === this.span) });

			button.addEventListener("click", () => this.choose(span));
			document.getElementById("spans").append(button);
			return button;
		});
	}

	choose(span) {
		this.span = span;
		SPANS.forEach((s, i) => this.buttons[i].setAttribute("aria-pressed", String(s === span)));
		document.getElementById("series-bar").hidden = span.seconds === 0;
		this.renew();
	}

	/* Of an answer to `ports` and one to `link`, what is drawn. */
	add(ports, link) {
		const uplinks = ports.ports.filter(p => p.role === "uplink");
		const sum = field => uplinks.reduce((all, p) => all + p[field], 0);
		const before = this.live[this.live.length - 1];
		const now = { us: ports.at_us, t: Date.now() / 1000, up: sum("uplink_octets"), down: sum("downlink_octets") };
		const seconds = before ? (now.us - before.us) / 1e6 : 0;

		if (before && seconds === 0)
			return;
		const isNext = seconds > 0 && seconds < GAP_S && now.up >= before.up && now.down >= before.down;
		now.upRate = isNext ? 8 * (now.up - before.up) / seconds : null;
		now.downRate = isNext ? 8 * (now.down - before.down) / seconds : null;
		for (const direction of ["uplink", "downlink"])
			now[direction] = link.link.filter(l => l.direction === direction && l.queue_us !== undefined)
				.reduce((most, l) => Math.max(most ?? 0, l.queue_us), null);
		this.live.push(now);
		while (this.live[0].t < now.t - LIVE_S)
			this.live.shift();
		if (this.span.seconds === 0)
			this.drawLive();
	}

	/* A gap of which nothing is known is drawn as one. */
	break() {
		if (this.live.length > 0 && this.live[this.live.length - 1].upRate !== null)
			this.live.push({ us: 0, t: Date.now() / 1000, up: Infinity, down: Infinity, upRate: null, downRate: null, uplink: null, downlink: null });
	}

	drawLive() {
		const column = name => this.live.map(p => p[name]);

		const now = this.live[this.live.length - 1]?.t ?? Date.now() / 1000;
		this.delayChart.figure.hidden = false;
		const span = [Math.min(now - LIVE_LEAST_S, this.live[0]?.t ?? now), now];

		this.rateChart.update([column("t"), column("downRate"), column("upRate")], span);
		this.delayChart.update([column("t"), column("downlink"), column("uplink")], span);
	}

	/* Draws the chosen span anew, now. */
	async renew() {
		this.asked = Date.now();
		if (this.span.seconds === 0) {
			this.drawLive();
			return;
		}
		const to = Math.floor(Date.now() / 1000);
		const from = this.span.cycle && this.cycleStart ? this.cycleStart : to - this.span.seconds;
		const span = this.span;
		const query = new URLSearchParams({ ...this.series, per: span.per, from, to });
		const answer = await this.ask(`/api/history?${query}`);

		if (span !== this.span)
			return;
		if (answer.error !== undefined) {
			setText(this.note, answer.status === 404 ? "No history is kept here: only the last minutes, while this page is open." : `The history cannot be shown: ${answer.error}`);
			this.draw([], []);
			return;
		}
		setText(this.note, answer.rows.length === 0 ? "nothing was recorded in this span" : "");
		this.draw(answer.columns, answer.rows, answer.per ?? PER_S[span.per]);
		await this.listSeries(from, to);
	}

	/* Rows that are missing leave a gap. */
	draw(columns, rows, per) {
		const column = name => {
			const at = columns.indexOf(name);

			return filled.map(row => row === null || at < 0 ? null : row[at]);
		};
		const filled = [];
		const times = [];
		const at = columns.indexOf("t");

		for (const row of rows) {
			const last = times[times.length - 1];

			if (times.length > 0 && row[at] - last > 1.5 * per) {
				times.push(last + per);
				filled.push(null);
			}
			times.push(row[at]);
			filled.push(row);
		}
		const rates = name => column(name).map(v => v === null || v === undefined ? null : 8 * v / per);

		this.delayChart.figure.hidden = this.series.series !== "total"; /* it is kept of uplinks alone */
		this.rateChart.update([times, rates("downlink_octets"), rates("uplink_octets")]);
		this.delayChart.update([times, column("downlink_delay_us"), column("uplink_delay_us")]);
	}

	async listSeries(from, to) {
		const hours = (to - from) / 3600;
		const per = hours <= 12 ? "minute" : hours <= 31 * 24 ? "hour" : "day"; /* of sums, the coarsest will do */
		const chosen = JSON.stringify(this.series);
		const options = [element("option", { value: JSON.stringify({ series: "total" }), text: "everything" })];

		for (const series of ["class", "device"]) {
			const answer = await this.ask(`/api/history?${new URLSearchParams({ series, per, from, to })}`);

			for (const one of answer.keys ?? [])
				options.push(element("option", { value: JSON.stringify({ series, key: one.key, ...one.mac && { mac: one.mac } }), text: `${series} ${one.name && one.name !== one.key ? `${one.name}, ` : ""}${text(one.key)}` }));
		}
		this.select.replaceChildren(...options);
		this.select.value = chosen;
		if (this.select.selectedIndex < 0)
			this.select.selectedIndex = 0;
	}

	/* Longer spans are offered where there are any. */
	async probe() {
		const to = Math.floor(Date.now() / 1000);
		const answer = await this.ask(`/api/history?${new URLSearchParams({ series: "total", per: "minute", from: to - 60, to })}`);
		const isKept = answer.status !== 404;

		this.buttons.forEach((button, i) => {
			button.disabled = !isKept && SPANS[i].seconds > 0;
		});
		setText(this.note, isKept ? "" : "Only the last minutes, while this page is open: weir-web keeps no history.");
	}

	/* Called each round: what was kept grows by a minute at most. */
	async tick() {
		if (this.span.seconds > 0 && Date.now() - this.asked > RENEW_MS)
			await this.renew();
	}
}
