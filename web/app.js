/* SPDX-License-Identifier: BSD-3-Clause */
/* The page's round: asks weir-web, one request after the other, and hands on what it says. */
import { clock, count, micros, setText } from "./format.js";
import { History } from "./history.js";
import { Sections } from "./sections.js";

const ROUND_MS = 2000;
const LISTS_EACH = 2; /* rounds */
const EVENTS_HELD = 500;
const PATIENCE_MS = 12000;

const place = id => document.getElementById(id);

const several = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

class LoggedOut extends Error {}

/* A request; returns its JSON, or {error, status} for what could not be had. */
async function ask(path) {
	let response;

	try {
		response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
		if (response.status === 401)
			throw new LoggedOut();
		const answer = await response.json();

		return response.ok ? answer : { error: answer.error ?? `status ${response.status}`, status: response.status };
	} catch (why) {
		if (why instanceof LoggedOut)
			throw why;
		return { error: "weir-web does not answer this page", status: 0 };
	}
}

class Page {
	constructor() {
		this.sections = new Sections();
		this.history = new History(ask);
		this.events = [];
		this.newest = 0;
		this.pid = null;
		this.round = 0;
		this.lostSince = null;
		this.seenAt = null;
		this.running = false;
		this.timer = null;
		this.sections.onOpen(() => this.wake());
		document.addEventListener("visibilitychange", () => document.hidden ? this.history.break() : this.wake());
		place("logout").addEventListener("click", () => this.logout());
		place("login-form").addEventListener("submit", event => {
			event.preventDefault();
			this.login();
		});
	}

	show(loggedIn) {
		for (const id of ["main", "nav", "logout"])
			place(id).hidden = !loggedIn;
		place("login").hidden = loggedIn;
		document.title = loggedIn ? document.title : "weir: log in";
		if (!loggedIn) {
			setText(place("state"), "");
			setText(place("facts"), "");
			place("token").focus();
		}
	}

	async login() {
		const body = JSON.stringify({ token: place("token").value });
		let words = "";

		try {
			const response = await fetch("/api/login", { method: "POST", headers: { "Content-Type": "application/json" }, body });

			if (!response.ok)
				words = (await response.json()).error;
		} catch {
			words = "weir-web does not answer";
		}
		setText(place("login-error"), words);
		if (words !== "")
			return;
		place("token").value = "";
		this.wake();
	}

	async logout() {
		clearTimeout(this.timer);
		try {
			await fetch("/api/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
		} finally {
			location.reload(); /* nothing of what was shown stays */
		}
	}

	/* A round now, instead of when its time has come. */
	wake() {
		clearTimeout(this.timer);
		this.turn();
	}

	async turn() {
		if (this.running)
			return;
		this.running = true;
		try {
			if (!document.hidden)
				await this.look();
			this.timer = setTimeout(() => this.turn(), ROUND_MS);
		} catch (why) {
			if (!(why instanceof LoggedOut))
				throw why;
			this.show(false);
		} finally {
			this.running = false;
		}
	}

	async look() {
		const status = await ask("/api/view/status");

		if (status.error !== undefined) {
			this.lost(status.error);
			return;
		}
		if (place("main").hidden) {
			this.show(true);
			await this.history.probe();
		}
		this.greet(status);
		const [ports, link] = [await this.view("ports"), await this.view("link")];
		if (ports && link)
			this.history.add(ports, link);
		const plans = await this.view("plans");
		if (plans)
			this.history.cycleStart = Math.min(...plans.plans.map(p => Date.parse(p.cycle_start) / 1000).filter(Number.isFinite)) || null;
		if (this.round++ % LISTS_EACH === 0)
			for (const name of ["devices", "classes", "drops"])
				await this.view(name);
		for (const name of this.sections.opened())
			await this.view(name);
		await this.listen();
		await this.history.tick();
	}

	async view(name) {
		const answer = await ask(`/api/view/${name}`);

		if (answer.error !== undefined) {
			this.lost(answer.error);
			return null;
		}
		this.sections.update(name, answer);
		return answer;
	}

	/* Says since when nothing is known, and what is shown is of. */
	lost(why) {
		this.lostSince ??= new Date();
		this.history.break();
		document.body.classList.add("stale");
		setText(place("state"), `weir is not reachable since ${clock(this.lostSince)}. ${why}. ${this.seenAt ? `What is shown is of ${clock(this.seenAt)}. ` : ""}Trying again.`);
		if (!this.seenAt && place("login").hidden)
			this.show(true);
	}

	greet(status) {
		this.lostSince = null;
		this.seenAt = new Date();
		document.body.classList.remove("stale");
		setText(place("state"), "");
		setText(place("gateway"), status.gateway);
		setText(place("facts"), `running for ${micros(1e6 * status.uptime_s)} · ${several(status.devices, "device")} · ${several(status.flows, "flow")} · `
			+ `${several(status.ports_up, "port")} up${status.ports_down ? `, ${status.ports_down} down` : ""} · weir ${status.version}`);
		document.title = `${status.gateway} · weir`;
		if (status.pid !== this.pid) { /* another weir counts its events from 1 again */
			this.pid = status.pid;
			this.newest = 0;
			this.events = [];
		}
	}

	async listen() {
		const answer = await ask(`/api/events?after=${this.newest}`);

		if (answer.error !== undefined)
			return;
		this.newest = answer.newest;
		this.events = [...this.events, ...answer.events.filter(e => e.seq !== undefined)].slice(-EVENTS_HELD);
		this.sections.events.update(this.events);
	}
}

new Page().turn();
