/* SPDX-License-Identifier: BSD-3-Clause */
/* classify: the class of each new flow; it stays with the flow. */
#include "stage.h"

#include <weir/classify/classes.h>

void classify_flow(struct stage_ctx *ctx, uint32_t flow_id)
{
	struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];

	more->class_id =
		classes_match(ctx->config->classes, f->proto, &more->remote, f->remote_port);
	f->flags &= (uint8_t)~FLOW_RESERVED;
	if (ctx->config->accounts[more->class_id] != ACCOUNT_GENERAL)
		f->flags |= FLOW_RESERVED;
}

uint16_t classify_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	if (likely(ctx->n_new_flows == 0))
		return n_pkts;
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		if (unlikely((m->flags & PKT_NEW_FLOW) != 0))
			classify_flow(ctx, m->flow_id);
	}
	return n_pkts;
}
