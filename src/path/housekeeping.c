/* SPDX-License-Identifier: BSD-3-Clause */
/* What time does: idle flows end, fragments and next hops age, long flows are reported. Bounded work a call. */
#include "link_watch.h"
#include "path.h"
#include "senders.h"

#include <weir/base/clock.h>
#include <weir/classify/learner.h>
#include <weir/flow/tcp_track.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/rewrite.h>

#define EXPIRE_MAX    (2 * BURST_MAX) /* flows ended a step: twice as many as a burst begins */
#define EXPIRE_BUDGET 512             /* flows looked at a step */
#define END_AHEAD     8               /* flows on their way from memory while one ends */
#define REQUESTS_MAX  32
#define FAILED_MAX    64
#define SWEEP_LOOKS   4096 /* places of the table looked at a call for flows whose uplink is gone */
#define SWEEP_MAX     512  /* flows ended a call for that */
#define INTERIM_LOOKS 4096 /* places looked at a call for flows to report */
#define INTERIM_MAX   1024 /* flows reported a call */
#define REASK_LOOKS   4096 /* places of the table looked at a call for flows to ask policy about */
#define REASK_MAX                                                                                  \
	128 /* flows asked about: a fraction of a millisecond with every rule there can be */

static enum flow_end_reason end_reason_of(const struct flow *f)
{
	if (f->proto == PROTO_TCP && tcp_state_is_over(f->state))
		return FLOW_END_DETECTED;
	return FLOW_END_IDLE_TIMEOUT;
}

/* True while a packet of the flow waits for its uplink, or is lent to a sender. Such a flow must not end, for the packet may yet be dropped and taken
 * back. */
static bool is_queued(const struct stage_ctx *ctx, uint32_t id)
{
	const struct flow *f = &ctx->flows->flows[id];

	if (ctx->senders != NULL && senders_may_hold(ctx->senders, f, id))
		return true;
	/* Nothing waits in a shaper that packets need not pass. */
	return ctx->shaped[f->wan_port][UPLINK]
	       && shaper_holds(ctx->shapers[f->wan_port][UPLINK], id);
}

/* Ends flows that time out. While more of them are due than one call may end, each step of the path goes on with it. */
void housekeeping_expire(struct stage_ctx *ctx)
{
	uint32_t ids[EXPIRE_MAX];
	uint32_t room = RTE_MIN(record_ring_room(&ctx->records), (uint32_t)EXPIRE_MAX);
	uint32_t n = flow_wheel_expire(
		ctx->wheel, &ctx->config->timeouts, ctx->now_us, EXPIRE_BUDGET, ids, room);

	for (uint32_t i = 0; i < RTE_MIN(n, (uint32_t)END_AHEAD); i++)
		flow_expect_end(ctx, ids[i]);
	for (uint32_t i = 0; i < n; i++) {
		const struct flow *f = &ctx->flows->flows[ids[i]];

		if (i + END_AHEAD < n)
			flow_expect_end(ctx, ids[i + END_AHEAD]);
		if (unlikely(is_queued(ctx, ids[i])))
			flow_wheel_add(ctx->wheel, &ctx->config->timeouts, ids[i]);
		else
			flow_end(ctx, ids[i], end_reason_of(f));
	}
	ctx->expiry_is_late = flow_wheel_is_late(ctx->wheel);
}

enum early_end {
	EARLY_ENDED,
	EARLY_QUEUED,  /* its packets may still wait in a queue: it ends after them */
	EARLY_NO_ROOM, /* for its record: nothing was done */
};

/* Ends a flow that is not idle. */
static enum early_end end_early(struct stage_ctx *ctx, uint32_t id)
{
	if (is_queued(ctx, id))
		return EARLY_QUEUED;
	if (record_ring_room(&ctx->records) == 0)
		return EARLY_NO_ROOM;
	flow_wheel_remove(ctx->wheel, id);
	flow_end(ctx, id, FLOW_END_FORCED);
	return EARLY_ENDED;
}

/* A bit for each uplink that is down while another one is up. */
static uint32_t abandoned_uplinks(const struct stage_ctx *ctx)
{
	uint32_t down = 0;
	bool has_other = false;

	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		if (!ctx->is_uplink[i])
			continue;
		if (port_is_up(ctx->ports[i]))
			has_other = true;
		else
			down |= UINT32_C(1) << i;
	}
	return has_other ? down : 0;
}

/*
 * Ends the flows of an uplink that went down, so that their next packets begin anew on another one: a UDP client goes on,
 * a TCP one learns by the reset that a stranger's segment earns. A flow whose packets may still wait for the uplink is
 * met in the next round.
 */
static void leave_abandoned_uplinks(struct path *p)
{
	struct stage_ctx *ctx = &p->ctx;
	uint32_t abandoned = abandoned_uplinks(ctx);
	uint32_t n_ended = 0;

	if ((abandoned & ~p->abandoned) != 0)
		p->sweep_left = ctx->flows->capacity;
	p->abandoned = abandoned;
	for (uint32_t n = 0;
		n < SWEEP_LOOKS && n_ended < SWEEP_MAX && p->sweep_left > 0 && abandoned != 0;
		n++) {
		uint32_t id = p->sweep_left - 1;
		const struct flow *f = &ctx->flows->flows[id];

		if (ctx->flows->more[id].in_use && (abandoned >> f->wan_port & 1) != 0
			&& (f->flags & FLOW_HAIRPIN) == 0) {
			enum early_end how = end_early(ctx, id);

			if (how == EARLY_NO_ROOM)
				return;
			if (how == EARLY_QUEUED)
				p->abandoned = 0;
			n_ended += how == EARLY_ENDED;
		}
		p->sweep_left = id;
	}
}

/* Ends a flow that policy denies now. False when that must wait for room. */
static bool end_denied(struct path *p, uint32_t id)
{
	enum early_end how = end_early(&p->ctx, id);

	if (how == EARLY_QUEUED)
		p->has_denied = true; /* meanwhile the policy stage drops what it sends */
	return how != EARLY_NO_ROOM;
}

/*
 * After a new configuration policy is asked about each flow anew, and what it denies now ends; all others go on as they
 * are. While some of the denied cannot end yet, there is another round.
 */
static void ask_policy_again(struct path *p)
{
	struct stage_ctx *ctx = &p->ctx;
	uint32_t n_asked = 0;

	if (likely(p->reask_left == 0))
		return;
	for (uint32_t n = 0; n < REASK_LOOKS && n_asked < REASK_MAX && p->reask_left > 0; n++) {
		uint32_t id = p->reask_left - 1;

		if (ctx->flows->more[id].in_use) {
			n_asked++;
			if (!policy_ask_again(ctx, id) && !end_denied(p, id))
				return;
		}
		p->reask_left = id;
	}
	if (p->reask_left > 0)
		return;
	policy_find_watched(ctx, p->has_denied);
	p->reask_left = p->has_denied ? ctx->flows->capacity : 0;
	p->has_denied = false;
}

static void expire_fragments(struct stage_ctx *ctx)
{
	void *expired[FAILED_MAX];
	uint32_t n = fragment_expire(ctx->fragments, ctx->now_us, expired, FAILED_MAX);

	ctx->stage = STAGE_flow;
	for (uint32_t i = 0; i < n; i++) {
		ctx->stages[STAGE_flow].taken++;
		stage_drop(ctx, expired[i], DROP_FLOW_FRAGMENT_TIMEOUT);
	}
}

/* Tells the sender of a SYN, which is there no more, that its port is nobody's. */
static void tell_syn(struct stage_ctx *ctx, const struct held_syn *syn)
{
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(ctx->setup->pool);
	struct pkt_meta *m;

	if (pkt == NULL)
		return;
	m = stage_meta(pkt);
	*m = (struct pkt_meta){.src = ip_addr_v4(syn->key.src_be),
		.dst = ip_addr_v4(syn->key.dst_be),
		.ip_octets = syn->n_octets,
		.proto = PROTO_TCP,
		.in_port = syn->in_port};
	memcpy(rte_pktmbuf_mtod(pkt, uint8_t *), syn->packet, syn->n_octets);
	local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_PORT, 0);
	rte_pktmbuf_free(pkt);
}

/* RFC 5382 REQ-4: unless the inside has opened the connection meanwhile. */
static void tell_syns(struct stage_ctx *ctx)
{
	const struct flow_table *t = ctx->flows;
	const struct held_syn *syn;

	ctx->stage = STAGE_flow;
	while ((syn = syn_hold_take_due(&ctx->syn_hold, ctx->now_us)) != NULL)
		if (ctx->config->tells_unsolicited_syn
			&& flow_table_find_v4(t, flow_hash_v4(&t->hash_key, &syn->key), &syn->key)
				   == FLOW_REF_NONE)
			tell_syn(ctx, syn);
}

/* RFC 1812 5.2.7.1: its sender is told, in its own terms: with the addresses it used. */
static void tell_unreachable(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	const struct flow *f;
	struct rewrite back;

	if (m->in_port == PORT_NONE || ctx->is_uplink[m->in_port] || m->flow_id == FLOW_NONE)
		return;
	/* A hairpinned packet carries another host's address by now, which is not its sender's to see. */
	if (!account_flow_lives(ctx, m) || (m->flags & PKT_HAIRPIN) != 0)
		return;
	f = stage_flow(ctx, m);
	if ((f->flags & FLOW_TRANSLATED) != 0 && m->direction == UPLINK) {
		back = rewrite_prepare(f->proto, f->external_be, htons(f->external_port),
			f->internal_be, htons(f->internal_port));
		rewrite_source(stage_ip(pkt, m), stage_l4(pkt, m), &back);
	}
	local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_HOST, 0);
}

/*
 * A port that was opened again may have other stations behind it under the same addresses: its next hops are asked for
 * anew, as a kernel does when a link goes down.
 */
static void forget_neighbors(struct path *p)
{
	struct stage_ctx *ctx = &p->ctx;
	void *waiting[FAILED_MAX];

	ctx->stage = STAGE_tx;
	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		uint32_t generation =
			atomic_load_explicit(&ctx->ports[i]->generation, memory_order_acquire);
		uint32_t n;

		if (generation == p->generation[i])
			continue;
		n = neighbor_flush(ctx->neighbors, (uint8_t)i, waiting, FAILED_MAX);
		for (uint32_t w = 0; w < n; w++) {
			ctx->stages[STAGE_tx].taken++;
			stage_drop(ctx, waiting[w], DROP_TX_PORT_DOWN);
		}
		if (n < FAILED_MAX)
			p->generation[i] = generation;
	}
}

static void age_neighbors(struct stage_ctx *ctx)
{
	struct neighbor_request requests[REQUESTS_MAX];
	void *failed[FAILED_MAX];
	uint32_t n_requests = neighbor_tick(ctx->neighbors, ctx->now_us, requests, REQUESTS_MAX);
	uint32_t n_failed = neighbor_take_failed(ctx->neighbors, failed, FAILED_MAX);

	ctx->must_ask = false;
	ctx->stage = STAGE_tx;
	for (uint32_t i = 0; i < n_requests; i++)
		local_arp_request(ctx, &requests[i]);
	for (uint32_t i = 0; i < n_failed; i++) {
		tell_unreachable(ctx, failed[i], stage_meta(failed[i]));
		ctx->stages[STAGE_tx].taken++;
		stage_drop(ctx, failed[i], DROP_TX_NO_NEIGHBOR);
	}
}

/* Reports a flow that goes on, when it has counted anything since its last record. Returns the records put: 1 or 0. */
static uint32_t report(struct stage_ctx *ctx, uint32_t flow_id)
{
	struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	const struct device *device =
		f->device_id == DEVICE_NONE ? NULL : &ctx->devices->devices[f->device_id];
	struct flow_record *record = record_ring_next(&ctx->records);

	if (f->packets[UPLINK] == more->reported_packets[UPLINK]
		&& f->packets[DOWNLINK] == more->reported_packets[DOWNLINK])
		return 0;
	if (record == NULL) {
		ctx->path->records_lost++;
		return 0;
	}
	record_take(record, f, more, flow_id, device, FLOW_END_NONE, ctx->now_us);
	record_ring_put(&ctx->records);
	return 1;
}

/*
 * Walks the table at the pace that visits each flow once an interval, so that reports are spread evenly. A flow younger
 * than half an interval waits for the next round.
 */
static void report_interim(struct path *p, uint64_t passed_us)
{
	struct stage_ctx *ctx = &p->ctx;
	uint64_t interval_us = ctx->config->interim_us;
	uint32_t capacity = ctx->flows->capacity;
	uint32_t room;

	if (interval_us == 0)
		return;
	p->interim_credit += (uint64_t)capacity * RTE_MIN(passed_us, interval_us);
	/* No more than one round is owed when nobody has taken records for long. */
	p->interim_credit = RTE_MIN(p->interim_credit, (uint64_t)capacity * interval_us);
	room = RTE_MIN(record_ring_room(&ctx->records), (uint32_t)INTERIM_MAX);
	for (uint32_t n = 0; n < INTERIM_LOOKS && p->interim_credit >= interval_us && room > 0;
		n++) {
		uint32_t id = p->interim_cursor;
		const struct flow_more *more = &ctx->flows->more[id];

		p->interim_credit -= interval_us;
		p->interim_cursor = id + 1 == capacity ? 0 : id + 1;
		if (more->in_use && ctx->now_us - more->start_us > interval_us / 2)
			room -= report(ctx, id);
	}
}

static void age_mappings(struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		if (ctx->nats[i] != NULL)
			nat_age(ctx->nats[i], ctx->now_us);
}

static void refresh_ports(struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		uint32_t mtu = ctx->ports[i]->mtu;
		uint16_t bearer = ctx->config->ports[i].mtu;

		ctx->mtu[i] = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX);
		if (bearer != 0 && bearer < ctx->mtu[i])
			ctx->mtu[i] = bearer;
	}
	shape_follow_ceilings(ctx);
	link_watch_run(ctx);
	path_find_shaped(ctx);
	if (ctx->flows->n_flows < ctx->flows->capacity)
		ctx->table_full = false;
}

/* What was told is told again when the largest packet has fitted in between: the last octets of a quota take small packets
 * and refuse large ones. */
static void watch_plans(struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->config->n_plans; i++) {
		int64_t left = meter_left(&ctx->plans[i], ACCOUNT_GENERAL);

		if (left >= UINT16_MAX)
			ctx->plan_spent[i] = false;
		else if (left <= 0)
			meter_tell_spent(ctx, (uint8_t)i);
	}
}

void housekeeping_run(struct stage_ctx *ctx)
{
	struct path *p = ctx->path;
	uint64_t passed_us = ctx->now_us - p->housekept_us;

	p->housekept_us = ctx->now_us;
	refresh_ports(ctx);
	watch_plans(ctx);
	age_mappings(ctx);
	quota_age(ctx);
	housekeeping_expire(ctx);
	leave_abandoned_uplinks(p);
	ask_policy_again(p);
	expire_fragments(ctx);
	if (ctx->learner != NULL)
		learner_expire(ctx->learner, ctx->now_us);
	tell_syns(ctx);
	pcp_run(ctx);
	if (!ctx->setup->virtual_clock) {
		forget_neighbors(p);
		age_neighbors(ctx);
	}
	report_interim(p, passed_us);
}
