/* SPDX-License-Identifier: BSD-3-Clause */
/* What the page shows of each view: plans as cards, all else as tables. */
import { NONE, count, day, element, micros, moment, octets, percent, rate, setAttribute, setText, span, text } from "./format.js";
import { Table } from "./tables.js";

const SVG = "http://www.w3.org/2000/svg";
const place = id => document.getElementById(id);
const sum = (a, b) => (a ?? 0) + (b ?? 0);

/* Of a ladder's steps: in words, and how grave. */
const STEPS = {
	open: ["within the plan", "fine"],
	notify: ["step: notify", "warning"],
	shape: ["step: slowed down", "warning"],
	"reserve-only": ["step: reserves only", "alarm"],
	block: ["step: blocked", "alarm"],
};

function stepWords(plan) {
	const [words, grave] = STEPS[plan.step] ?? [plan.step ? `step: ${plan.step}` : "only counted", ""];

	return [plan.step === "shape" && plan.step_bps ? `${words} to ${rate(plan.step_bps)}` : words, grave];
}

/* How much of its cycle has passed. */
function cyclePart(plan) {
	const [from, to] = [Date.parse(plan.cycle_start), Date.parse(plan.cycle_end)];
	const part = (Date.now() - from) / (to - from);

	return Number.isFinite(part) ? Math.min(1, Math.max(0, part)) : 0;
}

/*
 * The bar of a plan: used, what of the bill is unsure, what is foreseen, what is reserved; marks where the quota ends, and where an even
 * pace would be today.
 */
class Scale {
	constructor() {
		this.svg = document.createElementNS(SVG, "svg");
		this.svg.setAttribute("class", "scale");
		this.svg.setAttribute("role", "img");
		this.parts = ["reserve", "foreseen", "used", "unsure"].map(name => {
			const rect = document.createElementNS(SVG, "rect");

			rect.setAttribute("class", name);
			rect.setAttribute("height", "100%");
			this.svg.append(rect);
			return rect;
		});
		[this.quota, this.even] = ["quota", "even"].map(name => {
			const line = document.createElementNS(SVG, "line");

			line.setAttribute("class", name);
			line.setAttribute("y1", "0");
			line.setAttribute("y2", "100%");
			this.svg.append(line);
			return line;
		});
	}

	mark(line, at) {
		for (const end of ["x1", "x2"])
			setAttribute(line, end, `${(100 * at / this.whole).toFixed(3)}%`);
	}

	part(rect, from, to) {
		setAttribute(rect, "x", `${(100 * from / this.whole).toFixed(3)}%`);
		setAttribute(rect, "width", `${(100 * Math.max(0, to - from) / this.whole).toFixed(3)}%`);
	}

	update(plan, words) {
		const [reserve, foreseen, used, unsure] = this.parts;
		const low = plan.bill_low_octets ?? plan.used_octets ?? 0;
		const high = plan.bill_high_octets ?? low;

		this.whole = Math.max(plan.quota_octets, high, plan.forecast_high_octets ?? 0) || 1;
		this.part(reserve, plan.quota_octets - sum(plan.reserved_octets, -(plan.reserve_used_octets ?? 0)), plan.quota_octets);
		this.part(foreseen, high, plan.forecast_high_octets ?? high);
		this.part(used, 0, low);
		this.part(unsure, low, high);
		this.mark(this.quota, plan.quota_octets);
		this.even.style.display = plan.cycle_end ? "" : "none";
		this.mark(this.even, plan.quota_octets * cyclePart(plan));
		setAttribute(this.svg, "aria-label", words);
	}
}

/* Name, value and how grave, of what is known of a plan. */
function planFacts(plan) {
	const over = plan.forecast_high_octets > plan.quota_octets;
	const facts = [
		["Bill, as the carrier counts", plan.bill_high_octets === undefined ? NONE : span(plan.bill_low_octets, plan.bill_high_octets)],
		["Left", octets(plan.left_octets), plan.left_octets === 0 ? "alarm" : ""],
		["Cycle ends", plan.cycle_end ? day(new Date(plan.cycle_end)) : NONE],
		["By then", plan.forecast_octets === undefined ? "not known yet" : `${octets(plan.forecast_octets)} (${span(plan.forecast_low_octets, plan.forecast_high_octets)})`,
			plan.quota_octets && over ? "warning" : ""],
	];

	if (plan.spent_in_days !== undefined)
		facts.push(["Spent in", `${plan.spent_in_days} days`, "alarm"]);
	if (plan.reserved_octets)
		facts.push(["Reserve used", `${octets(plan.reserve_used_octets)} of ${octets(plan.reserved_octets)}`]);
	if (plan.top_up_octets)
		facts.push(["Bought on top", octets(plan.top_up_octets)]);
	if (plan.carried_octets)
		facts.push(["Carried over", octets(plan.carried_octets)]);
	if (plan.uplink_limit_bps || plan.downlink_limit_bps)
		facts.push(["Held to", [plan.uplink_limit_bps && `${rate(plan.uplink_limit_bps)} up`, plan.downlink_limit_bps && `${rate(plan.downlink_limit_bps)} down`]
			.filter(Boolean).join(", ")]);
	for (const [name, step] of Object.entries(plan.steps ?? {}))
		if (step.reached > 0)
			facts.push([`Reached ${name}`, `${count(step.reached)} × since the start`]);
	if (plan.unsolicited_alarm)
		facts.push(["Nobody asked for", "more than its alarm", "alarm"]);
	if (plan.assumed_spent)
		facts.push(["Ledger", "damaged: taken as spent", "alarm"]);
	return facts;
}

class Plan {
	constructor() {
		this.name = element("h3");
		this.big = element("span", { class: "big" });
		this.share = element("span");
		this.badge = element("span", { class: "badge" });
		this.scale = new Scale();
		this.key = element("p", { class: "key", "aria-hidden": "true" }, element("span", { class: "k-used", text: "used" }),
			element("span", { class: "k-unsure", text: "may be billed" }), element("span", { class: "k-foreseen", text: "foreseen" }),
			element("span", { class: "k-reserve", text: "reserved" }),
			element("span", { class: "k-even", text: "an even pace, today" }));
		this.facts = element("dl");
		this.node = element("article", { class: "plan" },
			element("div", { class: "plan-head" }, this.name, this.big, this.share, this.badge), this.scale.svg, this.key, this.facts);
	}

	update(plan) {
		const [words, grave] = stepWords(plan);
		const used = plan.bill_high_octets ?? plan.used_octets ?? sum(plan.billed_uplink_octets, plan.billed_downlink_octets);
		const share = plan.quota_octets ? used / plan.quota_octets : undefined;
		const big = plan.quota_octets ? `${octets(used)} of ${octets(plan.quota_octets)}` : `${octets(used)} used`;

		setAttribute(this.node, "data-plan", plan.name);
		setText(this.name, plan.name);
		setText(this.big, big);
		setText(this.share, share === undefined ? "no quota" : `${percent(share)} used`);
		setText(this.badge, words);
		setAttribute(this.badge, "class", `badge ${grave}`);
		this.scale.svg.style.display = this.key.style.display = plan.quota_octets ? "" : "none";
		if (plan.quota_octets)
			this.scale.update(plan, `${plan.name}: ${big}, ${percent(share)}`);
		this.factsUpdate(planFacts(plan));
	}

	factsUpdate(facts) {
		while (this.facts.children.length > facts.length)
			this.facts.lastElementChild.remove();
		facts.forEach(([name, value, grave], i) => {
			const at = this.facts.children[i] ?? this.facts.appendChild(element("div", {}, element("dt"), element("dd")));

			setText(at.firstChild, name);
			setText(at.lastChild, value);
			setAttribute(at.lastChild, "class", grave ?? "");
		});
	}
}

class Plans {
	constructor() {
		this.cards = [];
		this.place = place("plan-list");
	}

	update(rows) {
		while (this.cards.length > rows.length)
			this.cards.pop().node.remove();
		rows.forEach((row, i) => {
			if (!this.cards[i]) {
				this.cards.push(new Plan());
				this.place.append(this.cards[i].node);
			}
			this.cards[i].update(row);
		});
		if (rows.length === 0)
			setText(this.place, "no plans are configured");
	}
}

/* Rates of what only counts: the difference of two answers, by their own clock. */
export class Rates {
	constructor(key, fields) {
		Object.assign(this, { key, fields, before: new Map(), at: 0 });
	}

	add(answer, rows) {
		const seconds = (answer.at_us - this.at) / 1e6;

		if (seconds <= 0) /* the same answer again, or another weir's */
			this.before = seconds === 0 ? this.before : new Map();
		for (const row of rows) {
			const before = this.before.get(this.key(row));

			for (const [field, name, factor] of this.fields) {
				const rate = before && seconds > 0 ? (row[field] - before.row[field]) / seconds * factor : before?.rates[name];

				row[name] = rate >= 0 ? rate : undefined;
			}
		}
		this.before = new Map(rows.map(row => [this.key(row), { row, rates: Object.fromEntries(this.fields.map(f => [f[1], row[f[1]]])) }]));
		this.at = answer.at_us;
	}
}

const octetRates = [["uplink_octets", "up_bps", 8], ["downlink_octets", "down_bps", 8]];

/* Columns of figures. */
const asOctets = (title, field, more = {}) => ({ title, number: true, get: r => r[field], show: r => octets(r[field]), ...more });
const asRate = (title, field, more = {}) => ({ title, number: true, get: r => r[field], show: r => rate(r[field]), ...more });
const asMicros = (title, field, more = {}) => ({ title, number: true, get: r => r[field], show: r => micros(r[field]), ...more });
const asCount = (title, field, more = {}) => ({ title, number: true, get: r => r[field], show: r => count(r[field]), ...more });
const asText = (title, field, more = {}) => ({ title, get: r => r[field], show: r => text(r[field]), ...more });
const far = { narrow: false };
const rare = { narrow: false, rare: true };

const STATES = { up: "fine", failed: "alarm", closed: "alarm" };

const stepMark = row => ({ fine: "", warning: "warning", alarm: "alarm" })[STEPS[row.step]?.[1]] ?? "";

const quotaWords = row => row.quota_octets
	? `${octets(row.quota_used_octets)} of ${octets(row.quota_octets)}${row.step && row.step !== "open" ? `, ${row.step}` : ""}` : NONE;

const TABLES = {
	ports: {
		place: "ports-table", name: "ports", sort: 0, filter: false, key: r => r.name, none: "no ports",
		columns: [asText("Port", "name"), asText("Role", "role", far), asText("Interface", "device", far),
			{ title: "State", get: r => r.state, show: r => r.why_down ? `${r.state}: ${r.why_down}` : text(r.state), mark: r => STATES[r.state] ?? "" },
			asText("Address", "address", far), asRate("Up now", "uplink_10s_bps"), asRate("Down now", "downlink_10s_bps"),
			asOctets("Up", "uplink_octets", far), asOctets("Down", "downlink_octets", far), asCount("Failures", "failures", far)],
	},
	link: {
		place: "link-table", name: "directions of uplinks", sort: 0, filter: false, key: r => `${r.port} ${r.direction}`, none: "no uplink is shaped",
		columns: [{ title: "Uplink", get: r => `${r.port} ${r.direction}` }, asRate("Now", "rate_10s_bps"), asRate("Shaped to", "shaped_bps"),
			asRate("Carried", "carried_bps", rare), asMicros("Waits", "queue_us"), asMicros("p50", "delay_p50_us", far), asMicros("p95", "delay_p95_us"),
			asMicros("p99", "delay_p99_us", far), asMicros("RTT base", "rtt_base_us", rare), asMicros("At radio", "radio_queue_us", rare),
			asCount("Packets waiting", "queue_packets", far), asCount("Marked", "marked_packets", far), asText("Radio", "technology", rare),
			asText("Cell", "cell", rare), asCount("RSRP dBm", "rsrp_dbm", rare)],
	},
	devices: {
		place: "devices-table", name: "devices", sort: 3, key: r => `${r.address} ${r.mac}`, none: "no devices have been seen",
		rates: new Rates(r => `${r.address} ${r.mac}`, octetRates),
		columns: [{ title: "Device", get: r => r.name || r.address }, { title: "Address", get: r => r.address, narrow: false },
			asRate("Up now", "up_bps"), asRate("Down now", "down_bps"), asOctets("Up", "uplink_octets", far), asOctets("Down", "downlink_octets"),
			asCount("Flows", "flows", far), { title: "Quota used", number: true, get: r => r.quota_octets ? r.quota_used_octets / r.quota_octets : undefined,
				show: quotaWords, mark: stepMark, ...rare }, asMicros("Seen ago", "last_seen_ago_us", far), asText("Vendor", "vendor", rare),
			asText("MAC", "mac", far), asText("Port", "port", far)],
	},
	classes: {
		place: "classes-table", name: "classes", sort: 2, key: r => r.name, none: "no classes", rates: new Rates(r => r.name, octetRates),
		columns: [asText("Class", "name"), asRate("Up now", "up_bps"), asRate("Down now", "down_bps"), asOctets("Up", "uplink_octets"),
			asOctets("Down", "downlink_octets"), asCount("Flows", "flows")],
	},
	drops: {
		place: "drops-table", name: "reasons of drops", sort: 1, key: r => r.reason, none: "nothing was dropped",
		rates: new Rates(r => r.reason, [["packets", "now_pps", 1]]), rowsAtFirst: 12,
		columns: [asText("Why", "help", { style: "prose" }), asCount("Packets", "packets"),
			{ title: "Now", number: true, get: r => r.now_pps, show: r => r.now_pps === undefined ? NONE : `${count(Math.round(r.now_pps))}/s` },
			asOctets("Octets", "octets", far), asText("Reason", "reason", far)],
	},
	flows: {
		later: "Flows: the 100 busiest", name: "flows", sort: 6, key: r => r.id, none: "no flows",
		columns: [{ title: "Device", get: r => r.name || r.internal_address }, asText("Protocol", "protocol"),
			{ title: "Remote", get: r => `${r.remote_name || r.remote_address}:${r.remote_port}` }, asText("State", "state", far), asText("Class", "class", far),
			asOctets("Up", "uplink_octets"), asOctets("Down", "downlink_octets"), asMicros("Idle", "idle_us", far)],
	},
	unsolicited: {
		later: "What nobody asked for", name: "unsolicited traffic", sort: 4, key: r => `${r.port} ${r.by} ${r.what}`, none: "nothing came that nobody asked for",
		columns: [asText("From or to", "what"), asText("By", "by"), asText("Port", "port", far), asCount("Packets", "packets"), asOctets("Octets", "octets"),
			asOctets("At least", "least_octets", far)],
	},
	clocks: {
		later: "Devices whose services are watched", name: "clocks of devices", sort: 0, key: r => `${r.address} ${r.class}`,
		none: "no device of a class with a profile has been answered yet",
		columns: [asText("Device", "address"), asText("Class", "class"), asMicros("Service ago", "service_ago_us"),
			{ title: "State", get: r => r.state, mark: r => ({ fine: "fine", late: "warning", overdue: "alarm" })[r.state] ?? "" }, asText("Cause", "cause", far)],
	},
	forwards: {
		later: "Forwarded ports", name: "forwarded ports", sort: 1, key: r => `${r.protocol} ${r.port} ${r.to}`, none: "no ports are forwarded",
		columns: [asText("Protocol", "protocol"), asText("Port", "port"), asText("To", "to"), asText("Port there", "to_port"), asText("From", "source", far), asText("By", "by")],
	},
	rules: {
		later: "Rules", name: "rules", sort: 0, key: r => JSON.stringify([r.rule, r.way, r.matches]), none: "no rules",
		columns: [asText("Rule", "rule"), asText("Action", "action"), asText("Way", "way", far), asText("Matches", "matches", { style: "prose" }), asText("Now", "state"), asCount("Flows", "flows")],
	},
	stages: {
		later: "Stages of the path", name: "stages", sort: 1, key: r => r.name, none: "no stages",
		columns: [asText("Stage", "name"), asCount("In", "in"), asCount("Out", "out"), asCount("Dropped", "dropped"), asCount("Aside", "aside", far), asCount("Held", "held")],
	},
};

const SEVERITIES = { error: "alarm", warning: "warning" };

/* more=0: nothing was left out before it. */
const fieldWords = event => Object.entries(event.fields ?? {}).filter(([k, v]) => k !== "more" || v !== 0).map(([k, v]) => `${k}=${v}`).join(" ");

const EVENTS = {
	place: "events-table", name: "events", sort: 0, key: r => r.seq, none: "nothing has happened yet", rowsAtFirst: 15,
	columns: [{ title: "When", get: r => r.seq, number: true, left: true, show: r => moment(r.time) },
		{ title: "Severity", get: r => r.severity, mark: r => SEVERITIES[r.severity] ?? "", narrow: false },
		{ title: "Event", get: r => r.event, style: "name", mark: r => SEVERITIES[r.severity] ?? "" }, { title: "What", get: fieldWords, style: "prose" }],
};

function tableOf(options) {
	const at = options.place ? place(options.place) : element("div", { id: `${options.name.replaceAll(" ", "-")}-table` });

	return { at, table: new Table(at, options) };
}

/* All parts of the page that show a view of the daemon. */
export class Sections {
	constructor() {
		this.plans = new Plans();
		this.events = tableOf(EVENTS).table;
		this.tables = new Map();
		for (const [view, options] of Object.entries(TABLES))
			this.add(view, options);
	}

	add(view, options) {
		const { at, table } = tableOf({ rowsAtFirst: undefined, ...options });

		this.tables.set(view, { table, rates: options.rates, details: null });
		if (!options.later)
			return;
		const details = element("details", { id: view }, element("summary", { text: options.later }), at);

		this.tables.get(view).details = details;
		place("more").append(details);
	}

	/* Views that are looked at only where they have been opened. */
	opened() {
		return [...this.tables].filter(([, t]) => t.details?.open).map(([view]) => view);
	}

	onOpen(callback) {
		for (const { details } of this.tables.values())
			details?.addEventListener("toggle", callback);
	}

	update(view, answer) {
		if (view === "plans") {
			this.plans.update(answer.plans);
			return;
		}
		const { table, rates } = this.tables.get(view);
		const rows = answer[view];

		rates?.add(answer, rows);
		table.update(rows, answer.n_total);
	}
}
