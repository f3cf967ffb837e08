/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meter: what may cross the uplink under its plan. Uplink packets are counted here, and taken back when they are dropped
 * further on; downlink packets were billed when they arrived (parse), so here they can only be stopped.
 *
 * A flow whose class owns a reserve is paid for by that, until it or the device's share of it is used up, and then like
 * any other by what is left of the plan for all.
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

/* A device's account starts anew with each cycle. */
static void turn_cycle(struct device *d, uint32_t cycle)
{
	if (d->reserved_cycle == cycle)
		return;
	d->reserved_cycle = cycle;
	d->reserved_octets = 0;
}

/* True when the plan's carrier does not bill the class. */
static bool free_pays(
	struct meter *meter, uint8_t class_id, enum direction direction, struct pkt_meta *m)
{
	if (!meter_is_free(meter, class_id))
		return false;
	meter_add_free(meter, direction, m->ip_octets, 1);
	m->flags |= PKT_RESERVED;
	return true;
}

/* True when the reserve of the flow's class pays for the packet. */
__attribute__((noinline)) static bool reserve_pays(
	struct stage_ctx *ctx, const struct run *run, struct pkt_meta *m)
{
	uint8_t class_id = stage_flow_more(ctx, m)->class_id;
	uint8_t account = ctx->config->accounts[class_id];
	struct device *d = &ctx->devices->devices[m->device_id];
	enum direction direction = run->is_up ? UPLINK : DOWNLINK;
	int64_t cost = cost_of(run, m);
	struct meter *meter;

	if (account == ACCOUNT_GENERAL || run->plan_id == PLAN_NONE)
		return false;
	meter = &ctx->plans[run->plan_id];
	if (account == ACCOUNT_FREE)
		return free_pays(meter, class_id, direction, m);
	turn_cycle(d, __atomic_load_n(&meter->limits.cycle, __ATOMIC_RELAXED));
	if (cost > meter_left(meter, account)
		|| cost > meter_gap(&meter->limits.devices[account], d->reserved_octets))
		return false;
	meter_add_reserved(meter, account, direction, m->ip_octets, 1);
	d->reserved_octets += (uint64_t)cost;
	m->flags |= PKT_RESERVED;
	return true;
}

/* What the plan says of a packet; DROP_NONE: it was taken. */
static inline enum drop_reason take(struct stage_ctx *ctx, struct run *run, struct pkt_meta *m)
{
	int64_t cost = run->is_up ? cost_of(run, m) : 0;
	bool is_reserved = unlikely((stage_flow(ctx, m)->flags & FLOW_RESERVED) != 0)
			   && cost <= run->lease_left && reserve_pays(ctx, run, m);

	if (unlikely(cost > run->general_left) && !is_reserved)
		return DROP_METER_PLAN_SPENT;
	if (unlikely(cost > run->lease_left))
		return DROP_METER_NO_LEASE;
	if (!is_reserved)
		run->general_left -= cost;
	else if (!run->is_up)
		run->general_left += cost_of(run, m); /* it was on the general account until now */
	run->lease_left -= cost;
	run->counted.octets += m->ip_octets;
	run->counted.packets++;
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
