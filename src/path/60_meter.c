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

static enum drop_reason meter_one(struct stage_ctx *ctx, const struct pkt_meta *m)
{
	bool is_up = ctx->is_uplink[m->out_port];
	uint8_t port = is_up ? m->out_port : m->in_port;
	uint8_t plan_id = ctx->config->ports[port].plan_id;
	struct meter *meter;

	if (plan_id == PLAN_NONE)
		return DROP_NONE;
	meter = &ctx->plans[plan_id];
	if (unlikely(!meter_admits(meter, is_up ? m->ip_octets : 0))) {
		meter_tell_spent(ctx, plan_id);
		return DROP_METER_PLAN_SPENT;
	}
	if (is_up)
		meter_count(meter, UPLINK, m->ip_octets);
	return DROP_NONE;
}

uint16_t meter_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n_pkts; i++) {
		enum drop_reason why = meter_one(ctx, stage_meta(pkts[i]));

		if (likely(why == DROP_NONE))
			pkts[kept++] = pkts[i];
		else
			stage_drop(ctx, pkts[i], why);
	}
	return kept;
}
