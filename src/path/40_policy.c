/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy: may this new flow be? Asked once; what is allowed stays with the flow until the configuration changes, when
 * housekeeping asks again. From the uplink only what a mapping's filter admits comes this far (flow_new.c), and a rule
 * can still deny it. Here too is decided which devices are admitted at all.
 */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/packet/icmp_error.h>
#include <weir/policy/groups.h>
#include <weir/policy/ruleset.h>

/* An address stays with its MAC while it has flows and was heard of within this time: a lease that changes hands waits so long. */
#define ADDRESS_HOLD_US (300 * US_PER_S)

#define DEVICE_EVENTS_PER_S 10

static enum policy_way way_of(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if (m->direction == DOWNLINK)
		return POLICY_UPLINK_TO_LAN;
	return ctx->is_uplink[m->out_port] ? POLICY_LAN_TO_UPLINK : POLICY_LAN_TO_LAN;
}

static bool is_tap(const struct stage_ctx *ctx, uint8_t port)
{
	return ctx->config->ports[port].role == PORT_TAP;
}

/* Local programs speak to every LAN: theirs is not a way from one LAN to another. */
static bool is_lan_to_lan_denied(const struct stage_ctx *ctx, const struct flow *f, uint8_t way)
{
	return way == POLICY_LAN_TO_LAN && !ctx->config->lan_to_lan && !is_tap(ctx, f->lan_port)
	       && !is_tap(ctx, f->wan_port);
}

static uint64_t groups_of_sender(
	const struct stage_ctx *ctx, const struct mac_addr *mac, const struct ip_addr *addr)
{
	return ctx->config->groups == NULL ? 0 : groups_of(ctx->config->groups, mac, addr);
}

uint64_t policy_find_groups(const struct stage_ctx *ctx, struct device *d)
{
	d->groups = groups_of(ctx->config->groups, &d->mac, &d->addr);
	d->known |= DEVICE_KNOWN_GROUPS;
	return d->groups;
}

static bool is_quarantined(const struct stage_ctx *ctx, uint64_t groups)
{
	return (groups & GROUP_BIT(GROUP_QUARANTINE)) != 0
	       || (ctx->config->listed_only && (groups & GROUP_BIT(GROUP_LISTED)) == 0);
}

/* What the groups of a device say of a flow with `remote`. */
static enum drop_reason check_groups(
	const struct stage_ctx *ctx, uint64_t groups, const struct ip_addr *remote)
{
	const struct groups *g = ctx->config->groups;
	bool quarantined = is_quarantined(ctx, groups);

	if (quarantined && (g == NULL || !groups_is_confined(g, GROUP_QUARANTINE)))
		return DROP_POLICY_QUARANTINED;
	if (quarantined)
		groups = GROUP_BIT(GROUP_QUARANTINE); /* it has no say in other groups meanwhile */
	if (g == NULL || groups_may_reach(g, groups, remote))
		return DROP_NONE;
	return quarantined ? DROP_POLICY_QUARANTINED : DROP_POLICY_DESTINATION;
}

static void question_of(const struct stage_ctx *ctx, const struct flow *f,
	const struct flow_more *more, struct policy_question *ret_q)
{
	bool from_lan = more->way != POLICY_UPLINK_TO_LAN;

	*ret_q = (struct policy_question){
		.way = (enum policy_way)more->way,
		.source = from_lan ? more->internal : more->remote,
		.destination = from_lan ? more->remote : more->internal,
		.destination_port = from_lan ? f->remote_port : f->internal_port,
		.proto = f->proto,
		.class_id = more->class_id,
		.device = more->internal,
	};
	if (f->device_id != DEVICE_NONE) {
		struct device *d = &ctx->devices->devices[f->device_id];

		ret_q->mac = d->mac;
		ret_q->groups = stage_groups(ctx, d);
	}
}

/* The rules' verdict and what stands behind the last rule. */
static struct policy_verdict verdict_of(
	const struct stage_ctx *ctx, const struct flow *f, const struct policy_question *q)
{
	struct policy_verdict v = ruleset_match(ctx->config->rules, q);

	if (v.rule_id != POLICY_RULE_DEFAULT)
		return v;
	if (q->way == POLICY_UPLINK_TO_LAN)
		v.action = POLICY_ALLOW; /* the mapping's filter has admitted it */
	else if (is_lan_to_lan_denied(ctx, f, (uint8_t)q->way))
		v.action = POLICY_DROP;
	return v;
}

/* Tells of a match, within limits. */
static void tell_match(struct stage_ctx *ctx, const struct flow *f, const struct flow_more *more,
	const struct policy_verdict *v)
{
	bool from_lan = more->way != POLICY_UPLINK_TO_LAN;
	struct rule_watch *watch = &ctx->rule_watches[v->rule_id];
	struct path_event event = {
		.kind = EVENT_RULE_MATCHED,
		.port = from_lan ? f->lan_port : f->wan_port,
		.a = v->rule_id,
		.addr = from_lan ? more->internal : more->remote,
		.remote = from_lan ? more->remote : more->internal,
		.addr_port = from_lan ? f->internal_port : f->remote_port,
		.remote_port = from_lan ? f->remote_port : f->internal_port,
		.proto = f->proto,
		.action = (uint8_t)v->action,
	};

	if (!stage_limit_take(&watch->limit, ctx->now_us, ctx->config->rule_events_per_s)) {
		watch->n_silent++;
		return;
	}
	event.n_silent = watch->n_silent;
	watch->n_silent = 0;
	stage_event(ctx, &event);
}

/* Counts a match, and tells of it where its rule asks for that. */
static void note_match(struct stage_ctx *ctx, const struct flow *f, const struct flow_more *more,
	const struct policy_verdict *v)
{
	ctx->rule_watches[v->rule_id].n_hits++;
	if (v->rule_id != POLICY_RULE_DEFAULT
		&& ruleset_rule(ctx->config->rules, v->rule_id)->is_logged)
		tell_match(ctx, f, more, v);
}

static void device_event(struct stage_ctx *ctx, const struct path_event *event)
{
	struct rule_watch *watch = &ctx->device_watch;
	struct path_event e = *event;

	if (!stage_limit_take(&watch->limit, ctx->now_us, DEVICE_EVENTS_PER_S)) {
		watch->n_silent++;
		return;
	}
	e.n_silent = watch->n_silent;
	watch->n_silent = 0;
	stage_event(ctx, &e);
}

/* Asks about a flow; `ret_v` is the rules' part of the answer. */
static enum drop_reason ask(const struct stage_ctx *ctx, const struct flow *f,
	struct flow_more *more, struct policy_verdict *ret_v)
{
	struct policy_question q;
	enum drop_reason why = DROP_NONE;

	question_of(ctx, f, more, &q);
	if (!is_tap(ctx, f->lan_port))
		why = check_groups(ctx, q.groups, &more->remote);
	if (why != DROP_NONE) {
		*ret_v = (struct policy_verdict){POLICY_DROP, POLICY_RULE_DEFAULT};
		return why;
	}
	*ret_v = verdict_of(ctx, f, &q);
	more->rule_id = ret_v->rule_id;
	return ret_v->action == POLICY_ALLOW ? DROP_NONE : DROP_POLICY_DENIED;
}

/* Tells of a flow whose device's groups have no such destination. */
static void tell_destination(
	struct stage_ctx *ctx, const struct flow *f, const struct flow_more *more)
{
	struct path_event event = {
		.kind = EVENT_DESTINATION_DENIED,
		.port = f->lan_port,
		.addr = more->internal,
		.remote = more->remote,
		.addr_port = f->internal_port,
		.remote_port = f->remote_port,
		.proto = f->proto,
	};

	device_event(ctx, &event);
}

enum drop_reason policy_ask_new(
	struct stage_ctx *ctx, uint32_t flow_id, enum policy_way way, bool *ret_reject)
{
	struct flow_more *more = &ctx->flows->more[flow_id];
	const struct flow *f = &ctx->flows->flows[flow_id];
	struct policy_verdict v;
	enum drop_reason why;

	more->way = (uint8_t)way;
	why = ask(ctx, f, more, &v);
	*ret_reject = v.action == POLICY_REJECT;
	if (why == DROP_POLICY_DESTINATION)
		tell_destination(ctx, f, more);
	if (why == DROP_NONE || why == DROP_POLICY_DENIED)
		note_match(ctx, f, more, &v);
	return why;
}

bool policy_ask_again(struct stage_ctx *ctx, uint32_t flow_id)
{
	const struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	bool was_denied = more->is_denied;
	struct policy_verdict v;

	/* Class ids are places in the configuration: a new one may have moved them. */
	classify_flow(ctx, flow_id);
	more->is_denied = ask(ctx, f, more, &v) != DROP_NONE;
	if (more->is_denied && !was_denied)
		note_match(ctx, f, more, &v);
	return !more->is_denied;
}

/* True when the packet came over a LAN whose frames name their sender. */
static bool has_mac(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	return ctx->config->ports[m->in_port].role == PORT_LAN
	       && ctx->ports[m->in_port]->framing == FRAMING_ETHERNET;
}

/* An Ethernet frame's source lies behind its destination. */
static const struct mac_addr *source_mac(const struct rte_mbuf *pkt)
{
	return rte_pktmbuf_mtod_offset(pkt, const struct mac_addr *, sizeof(struct mac_addr));
}

static enum drop_reason refuse(struct stage_ctx *ctx, enum path_event_kind kind,
	const struct mac_addr *mac, const struct ip_addr *addr, uint8_t port)
{
	struct path_event event = {.kind = kind, .port = port, .addr = *addr, .mac = *mac};

	device_event(ctx, &event);
	return kind == EVENT_DEVICE_QUARANTINED ? DROP_POLICY_QUARANTINED : DROP_POLICY_MAC_CHANGED;
}

bool policy_quarantines(
	const struct stage_ctx *ctx, const struct mac_addr *mac, const struct ip_addr *addr)
{
	return is_quarantined(ctx, groups_of_sender(ctx, mac, addr));
}

enum drop_reason policy_check_owner(
	struct stage_ctx *ctx, uint8_t port, const struct ip_addr *addr, const struct mac_addr *mac)
{
	const struct device *d;
	uint16_t id;

	if (!ctx->config->listed_only || ctx->config->ports[port].role != PORT_LAN)
		return DROP_NONE;
	id = device_find(ctx->devices, port, addr);
	if (id == DEVICE_NONE)
		return DROP_NONE;
	d = &ctx->devices->devices[id];
	if (d->n_flows == 0 || mac_addr_equal(&d->mac, mac)
		|| ctx->now_us - d->last_us > ADDRESS_HOLD_US)
		return DROP_NONE;
	return refuse(ctx, EVENT_DEVICE_MAC_CHANGED, mac, addr, port);
}

/* Where not every device is admitted. */
static enum drop_reason admit(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, bool is_for_gateway)
{
	static const struct mac_addr unknown = {{0}};
	const struct path_config *c = ctx->config;
	const struct mac_addr *mac = has_mac(ctx, m) ? source_mac(pkt) : &unknown;
	struct device *d =
		m->device_id == DEVICE_NONE ? NULL : &ctx->devices->devices[m->device_id];
	uint64_t groups;
	enum drop_reason why;

	why = policy_check_owner(ctx, m->in_port, &m->src, mac);
	if (why != DROP_NONE)
		return why;
	groups = d != NULL && mac_addr_equal(&d->mac, mac) ? stage_groups(ctx, d)
							   : groups_of_sender(ctx, mac, &m->src);
	if (!is_quarantined(ctx, groups))
		return DROP_NONE; /* its destinations are asked about with its rules */
	if (is_for_gateway ? c->quarantine_reaches_gateway
			   : check_groups(ctx, groups, &m->dst) == DROP_NONE)
		return DROP_NONE;
	return refuse(ctx, EVENT_DEVICE_QUARANTINED, mac, &m->src, m->in_port);
}

enum drop_reason policy_admit(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, bool is_for_gateway)
{
	const struct path_config *c = ctx->config;

	if (likely(!c->listed_only && c->groups == NULL) || c->ports[m->in_port].role != PORT_LAN)
		return DROP_NONE;
	return admit(ctx, pkt, m, is_for_gateway);
}

/* A packet of an established flow, while every packet is looked at. */
static enum drop_reason watch_one(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	const struct device *d = &ctx->devices->devices[m->device_id];
	const struct mac_addr *mac;

	if (stage_flow_more(ctx, m)->is_denied)
		return DROP_POLICY_DENIED; /* it ends when nothing of it is queued any more */
	if (!has_mac(ctx, m))
		return DROP_NONE;
	mac = source_mac(pkt);
	if (m->direction == UPLINK) {
		if (!ctx->config->listed_only || mac_addr_equal(mac, &d->mac))
			return DROP_NONE;
		return refuse(ctx, EVENT_DEVICE_MAC_CHANGED, mac, &m->src, m->in_port);
	}
	/* A LAN answers another one: whoever answers must be admitted too. */
	if (!is_quarantined(ctx, groups_of_sender(ctx, mac, &m->src)))
		return DROP_NONE;
	return refuse(ctx, EVENT_DEVICE_QUARANTINED, mac, &m->src, m->in_port);
}

static enum drop_reason new_one(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	bool reject;
	enum drop_reason why = policy_ask_new(ctx, m->flow_id, way_of(ctx, m), &reject);

	if (why != DROP_NONE && reject)
		local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_ADMIN, 0);
	return why;
}

void policy_find_watched(struct stage_ctx *ctx, bool has_denied)
{
	const struct path_config *c = ctx->config;

	ctx->policy_watches = has_denied || c->listed_only
			      || (c->groups != NULL && groups_has_quarantine(c->groups));
}

uint16_t policy_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	uint16_t kept = 0;

	if (likely(ctx->n_new_flows == 0 && !ctx->policy_watches))
		return n_pkts;
	for (uint16_t i = 0; i < n_pkts; i++) {
		struct pkt_meta *m = stage_meta(pkts[i]);
		enum drop_reason why = DROP_NONE;

		if (unlikely((m->flags & PKT_NEW_FLOW) != 0))
			why = new_one(ctx, pkts[i], m);
		else if (unlikely(ctx->policy_watches))
			why = watch_one(ctx, pkts[i], m);
		if (likely(why == DROP_NONE)) {
			pkts[kept++] = pkts[i];
			continue;
		}
		flow_abandon(ctx, m);
		if ((m->flags & PKT_FRAGMENT_FIRST) != 0)
			fragments_refuse(ctx, pkts[i], m, why);
		stage_drop(ctx, pkts[i], why);
	}
	return kept;
}
