/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy: may this new flow be? Asked once; what is allowed stays with the flow. From the uplink only what a mapping's
 * filter admits comes this far (flow_new.c), and a rule can still deny it.
 */
#include "stage.h"

#include <weir/packet/icmp_error.h>
#include <weir/policy/ruleset.h>

static enum policy_way way_of(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if (m->direction == DOWNLINK)
		return POLICY_UPLINK_TO_LAN;
	return ctx->is_uplink[m->out_port] ? POLICY_LAN_TO_UPLINK : POLICY_LAN_TO_LAN;
}

/* Local programs speak to every LAN: theirs is not a way from one LAN to another. */
static bool is_lan_to_lan_denied(
	const struct stage_ctx *ctx, const struct pkt_meta *m, enum policy_way way)
{
	return way == POLICY_LAN_TO_LAN && !ctx->config->lan_to_lan
	       && ctx->config->ports[m->in_port].role != PORT_TAP
	       && ctx->config->ports[m->out_port].role != PORT_TAP;
}

static enum drop_reason policy_one(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	const struct flow *f = stage_flow(ctx, m);
	struct flow_more *more = stage_flow_more(ctx, m);
	enum policy_way way = way_of(ctx, m);
	bool from_lan = m->direction == UPLINK;
	struct policy_question q = {
		.way = way,
		.source = from_lan ? more->internal : more->remote,
		.destination = from_lan ? more->remote : more->internal,
		.destination_port = from_lan ? f->remote_port : f->internal_port,
		.proto = f->proto,
	};
	struct policy_verdict v = ruleset_match(ctx->config->rules, &q);

	if (v.rule_id == POLICY_RULE_DEFAULT && way == POLICY_UPLINK_TO_LAN)
		v.action = POLICY_ALLOW; /* the mapping's filter has admitted it */
	if (v.rule_id == POLICY_RULE_DEFAULT && is_lan_to_lan_denied(ctx, m, way))
		v.action = POLICY_DROP;
	more->rule_id = v.rule_id;
	if (v.action == POLICY_ALLOW)
		return DROP_NONE;
	if (v.action == POLICY_REJECT)
		local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_ADMIN, 0);
	return DROP_POLICY_DENIED;
}

uint16_t policy_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	uint16_t kept = 0;

	if (likely(ctx->n_new_flows == 0))
		return n_pkts;
	for (uint16_t i = 0; i < n_pkts; i++) {
		struct pkt_meta *m = stage_meta(pkts[i]);
		enum drop_reason why = DROP_NONE;

		if (unlikely((m->flags & PKT_NEW_FLOW) != 0))
			why = policy_one(ctx, pkts[i], m);
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
