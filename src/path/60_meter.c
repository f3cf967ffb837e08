/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meter: what may cross the uplink under its plan. Uplink packets are counted here, and taken back when they are dropped
 * further on; downlink packets were billed when they arrived (parse), so here they can only be stopped.
 */
#include "stage.h"

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
	int64_t left_octets;
	struct edge counted;
};

static struct run begin(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	bool is_up = ctx->is_uplink[m->out_port];
	uint8_t plan_id = ctx->config->ports[is_up ? m->out_port : m->in_port].plan_id;
	struct run run = {.way = stage_way(m), .plan_id = plan_id, .left_octets = INT64_MAX};

	if (plan_id == PLAN_NONE)
		return run;
	run.is_up = is_up;
	run.overhead_octets = ctx->plans[plan_id].params.overhead_octets_packet;
	run.left_octets = meter_left(&ctx->plans[plan_id]);
	return run;
}

static void end(struct stage_ctx *ctx, const struct run *run)
{
	if (run->is_up)
		meter_add(&ctx->plans[run->plan_id], UPLINK, run->counted.octets,
			run->counted.packets);
}

/* True when the plan has room for the packet, which then is taken. */
static inline bool take(struct run *run, uint32_t octets)
{
	int64_t cost = (int64_t)(run->is_up ? octets : 0) + run->overhead_octets;

	if (unlikely(cost > run->left_octets))
		return false;
	run->left_octets -= run->is_up ? cost : 0;
	run->counted.octets += octets;
	run->counted.packets++;
	return true;
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
		const struct pkt_meta *m = stage_meta(pkt);

		if (unlikely(stage_way(m) != run.way)) {
			end(ctx, &run);
			run = begin(ctx, m);
		}
		if (likely(take(&run, m->ip_octets))) {
			*kept++ = pkt;
			continue;
		}
		meter_tell_spent(ctx, run.plan_id);
		stage_drop(ctx, pkt, DROP_METER_PLAN_SPENT);
	}
	end(ctx, &run);
	return (uint16_t)(kept - pkts);
}
