/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meter: what may cross the uplink under its plan. Uplink packets are counted here, and taken back when they are dropped
 * further on; downlink packets were billed when they arrived (parse), so here they can only be stopped.
 *
 * A flow whose class owns a reserve is paid for by that, until it or the device's share of it is used up, and then like
 * any other by what is left of the plan for all. What a device has used of its own quota is counted for all of its flows.
 */
#include "stage.h"

#include <weir/classify/classes.h>

void meter_tell_spent(struct stage_ctx *ctx, uint8_t plan_id)
{
	struct path_event event = {.kind = EVENT_PLAN_SPENT, .a = plan_id};

	if (ctx->plan_spent[plan_id])
		return;
	ctx->plan_spent[plan_id] = true;
	stage_event(ctx, &event);
}

/* Packets in a row that go from one port to one other: what they may use of the plan is looked up once. */
struct run {
	uint16_t way;
	uint8_t plan_id;
	bool is_up;
	uint32_t overhead_octets;
	int64_t lease_left;   /* to be sent; what has come in needs none */
	int64_t general_left; /* below zero when more is billed than there was */
	struct edge counted;  /* not told the meter yet */
};

static struct run begin(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	bool is_up = ctx->is_uplink[m->out_port];
	uint8_t plan_id = ctx->config->ports[is_up ? m->out_port : m->in_port].plan_id;
	struct run run = {
		.way = stage_way(m),
		.plan_id = plan_id,
		.lease_left = INT64_MAX,
		.general_left = INT64_MAX,
	};
	const struct meter *meter;

	if (plan_id == PLAN_NONE)
		return run;
	meter = &ctx->plans[plan_id];
	run.is_up = is_up;
	run.overhead_octets = meter->params.overhead_octets[is_up ? UPLINK : DOWNLINK];
	run.general_left = meter_left(meter, ACCOUNT_GENERAL);
	if (is_up)
		run.lease_left = meter_lease_left(meter);
	return run;
}

static void end(struct stage_ctx *ctx, const struct run *run)
{
	if (run->is_up)
		meter_add(&ctx->plans[run->plan_id], UPLINK, run->counted.octets,
			run->counted.packets);
}

static inline int64_t cost_of(const struct run *run, const struct pkt_meta *m)
{
	return (int64_t)m->ip_octets + run->overhead_octets;
}

/* True when the reserve behind an account has room for a packet, and the device's share of it. */
static bool reserve_has_room(
	struct stage_ctx *ctx, const struct run *run, const struct pkt_meta *m, uint8_t account)
{
	const struct meter *meter = &ctx->plans[run->plan_id];
	const struct share *share =
		quota_own(ctx, &ctx->devices->devices[m->device_id], run->plan_id);
	int64_t cost = cost_of(run, m);

	return cost <= meter_left(meter, account)
	       && cost <= meter_gap(
			  &meter->limits.devices[account], share->reserved_octets[account]);
}

/* Who pays for a packet of a class: its reserve, nobody where the plan's carrier does not bill it, or all. */
static uint8_t payer_of(
	struct stage_ctx *ctx, const struct run *run, const struct pkt_meta *m, uint8_t class_id)
{
	uint8_t account = ctx->config->accounts[class_id];
	bool pays = false;

	if (run->plan_id == PLAN_NONE)
		return ACCOUNT_GENERAL;
	if (account == ACCOUNT_FREE)
		pays = meter_is_free(&ctx->plans[run->plan_id], class_id);
	else if (account != ACCOUNT_GENERAL)
		pays = reserve_has_room(ctx, run, m, account);
	return pays ? account : ACCOUNT_GENERAL;
}

static void bill_payer(
	struct stage_ctx *ctx, const struct run *run, struct pkt_meta *m, uint8_t account)
{
	enum direction direction = run->is_up ? UPLINK : DOWNLINK;
	struct meter *meter = &ctx->plans[run->plan_id];

	m->flags |= PKT_RESERVED;
	if (account == ACCOUNT_FREE) {
		meter_add_free(meter, direction, m->ip_octets, 1);
		return;
	}
	meter_add_reserved(meter, account, direction, m->ip_octets, 1);
	quota_own(ctx, &ctx->devices->devices[m->device_id], run->plan_id)
		->reserved_octets[account] += (uint64_t)cost_of(run, m);
}

static void add(struct run *run, const struct pkt_meta *m, int64_t of_general, int64_t of_lease)
{
	run->general_left -= of_general;
	run->lease_left -= of_lease;
	run->counted.octets += m->ip_octets;
	run->counted.packets++;
}

/* What the plan says of a packet for which a reserve may pay, or whose device has a quota of its own. */
__attribute__((noinline)) static enum drop_reason take_watched(
	struct stage_ctx *ctx, struct run *run, struct pkt_meta *m, uint32_t flow_flags)
{
	uint8_t account = payer_of(ctx, run, m, stage_flow_more(ctx, m)->class_id);
	int64_t cost = cost_of(run, m);
	int64_t to_send = run->is_up ? cost : 0;
	bool has_quota = (flow_flags & FLOW_QUOTA) != 0 && run->plan_id != PLAN_NONE
			 && account != ACCOUNT_FREE;
	bool is_reserved = account != ACCOUNT_GENERAL && to_send <= run->lease_left;
	enum drop_reason why = DROP_NONE;

	if (to_send > run->general_left && !is_reserved)
		why = DROP_METER_PLAN_SPENT;
	else if (to_send > run->lease_left)
		why = DROP_METER_NO_LEASE;
	else if (has_quota)
		why = quota_check(ctx, m, run->plan_id, (uint64_t)cost, is_reserved);
	/* What came in was billed, whatever becomes of it. */
	if (has_quota && (why == DROP_NONE || !run->is_up))
		quota_count(ctx, m, run->plan_id, (uint64_t)cost);
	if (why != DROP_NONE)
		return why;
	if (is_reserved)
		bill_payer(ctx, run, m, account);
	/* Until now what came in was on the general account. */
	add(run, m, is_reserved ? to_send - cost : to_send, to_send);
	return DROP_NONE;
}

/* What the plan says of a packet; DROP_NONE: it was taken. */
static inline enum drop_reason take(struct stage_ctx *ctx, struct run *run, struct pkt_meta *m)
{
	uint32_t flow_flags = stage_flow(ctx, m)->flags;
	int64_t cost = run->is_up ? cost_of(run, m) : 0;

	if (unlikely((flow_flags & (FLOW_RESERVED | FLOW_QUOTA)) != 0))
		return take_watched(ctx, run, m, flow_flags);
	if (unlikely(cost > run->general_left))
		return DROP_METER_PLAN_SPENT;
	if (unlikely(cost > run->lease_left))
		return DROP_METER_NO_LEASE;
	add(run, m, cost, cost);
	return DROP_NONE;
}

uint16_t meter_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct rte_mbuf **kept = pkts;
	struct run run;

	if (n_pkts == 0)
		return 0;
	run = begin(ctx, stage_meta(pkts[0]));
	for (uint32_t i = 0; i < n_pkts; i++) {
		struct rte_mbuf *pkt = pkts[i];
		struct pkt_meta *m = stage_meta(pkt);
		enum drop_reason why;

		if (unlikely(stage_way(m) != run.way)) {
			end(ctx, &run);
			run = begin(ctx, m);
		}
		why = take(ctx, &run, m);
		if (likely(why == DROP_NONE)) {
			*kept++ = pkt;
			continue;
		}
		if (why == DROP_METER_PLAN_SPENT)
			meter_tell_spent(ctx, run.plan_id);
		stage_drop(ctx, pkt, why);
	}
	end(ctx, &run);
	return (uint16_t)(kept - pkts);
}
