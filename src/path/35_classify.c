/* SPDX-License-Identifier: BSD-3-Clause */
/* classify: the class of each new flow; it stays with the flow. */
#include "stage.h"

#include <weir/classify/classes.h>

uint16_t classify_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	if (likely(ctx->n_new_flows == 0))
		return n_pkts;
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);
		struct flow_more *more;
		const struct flow *f;

		if (likely((m->flags & PKT_NEW_FLOW) == 0))
			continue;
		f = stage_flow(ctx, m);
		more = stage_flow_more(ctx, m);
		more->class_id = classes_match(
			ctx->config->classes, f->proto, &more->remote, f->remote_port);
	}
	return n_pkts;
}
