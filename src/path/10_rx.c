/* SPDX-License-Identifier: BSD-3-Clause */
/* rx: takes a burst from the port whose turn it is. */
#include "stage.h"

uint16_t rx_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct port *port = ctx->ports[ctx->rx_port];
	uint16_t n;

	(void)n_pkts; /* the first stage: nothing comes before it */
	if (!port_is_up(port))
		return 0;
	n = port->ops->rx(port, pkts, BURST_MAX);
	ctx->stages[STAGE_rx].in += n;
	return n;
}
