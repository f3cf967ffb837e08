/* SPDX-License-Identifier: BSD-3-Clause */
/* shape: holds packets back to the rate of their uplink and direction, and lets go what is due. */
#include "stage.h"

/* The queue that a packet passes: of the uplink it leaves or came by, where a rate is set; else NULL. */
static struct fifo *queue_of(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if (ctx->is_uplink[m->out_port])
		return ctx->shaped[m->out_port][UPLINK] ? ctx->queues[m->out_port][UPLINK] : NULL;
	return ctx->shaped[m->in_port][DOWNLINK] ? ctx->queues[m->in_port][DOWNLINK] : NULL;
}

static uint16_t release(
	struct stage_ctx *ctx, struct fifo *q, struct rte_mbuf **pkts, uint16_t room)
{
	uint16_t n = 0;

	while (n < room) {
		struct rte_mbuf *pkt = fifo_take(q, ctx->now_us);

		if (pkt == NULL)
			break;
		pkts[n++] = pkt;
	}
	ctx->stages[STAGE_shape].taken += n;
	return n;
}

uint16_t shape_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	uint16_t kept = 0;

	if (likely(!ctx->any_shaped))
		return n_pkts;
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);
		struct fifo *q = queue_of(ctx, m);

		if (likely(q == NULL) || fifo_pass(q, m->ip_octets, ctx->now_us))
			pkts[kept++] = pkts[i];
		else if (fifo_put(q, pkts[i], m->ip_octets, ctx->now_us))
			stage_hold(ctx);
		else
			stage_drop(ctx, pkts[i], DROP_SHAPE_QUEUE_FULL);
	}
	for (uint32_t port = 0; port < ctx->config->n_ports; port++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++)
			if (unlikely(ctx->shaped[port][d]))
				kept += release(ctx, ctx->queues[port][d], pkts + kept,
					(uint16_t)(BURST_ROOM - kept));
	return kept;
}
