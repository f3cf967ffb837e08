/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse: reads each frame down to L4, and counts at the edge of the port what came in: on the uplink this is what the
 * carrier bills, so it is counted before anything may be dropped.
 */
#include "stage.h"

#include <weir/packet/parse.h>

#define ETHER_HEADER_BYTES 14

/* A frame for another station: seen where a switch floods or an interface is promiscuous. */
static bool is_for_other_host(
	const struct stage_ctx *ctx, const struct port *port, const uint8_t *frame)
{
	if (port->framing != FRAMING_ETHERNET || ctx->setup->virtual_clock || (frame[0] & 1) != 0)
		return false;
	if (ctx->config->ports[ctx->rx_port].role == PORT_TAP)
		return false; /* the kernel speaks to LAN hosts through it */
	return memcmp(frame, port->mac.bytes, sizeof(port->mac.bytes)) != 0;
}

static enum drop_reason parse_one(struct stage_ctx *ctx, const struct port *port,
	struct rte_mbuf *pkt, struct pkt_meta *m, bool *ret_is_arp)
{
	const uint8_t *frame = rte_pktmbuf_mtod(pkt, const uint8_t *);
	struct parse_result r = parse_frame(frame, rte_pktmbuf_data_len(pkt), port->framing, m);

	if (r.why != DROP_NONE)
		return r.why;
	if (m->vlan != ctx->config->ports[ctx->rx_port].vlan)
		return DROP_PARSE_VLAN_UNKNOWN;
	if (is_for_other_host(ctx, port, frame))
		return DROP_PARSE_OTHER_HOST;
	*ret_is_arp = r.kind == PARSE_ARP;
	return DROP_NONE;
}

/* What a frame that is not good IPv4 weighs at the edge: all behind its link-layer header. */
static uint32_t raw_octets(const struct port *port, const struct rte_mbuf *pkt)
{
	uint32_t header = port->framing == FRAMING_ETHERNET ? ETHER_HEADER_BYTES : 0;
	uint32_t len = rte_pktmbuf_pkt_len(pkt);

	return len > header ? len - header : 0;
}

uint16_t parse_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	const struct port *port = ctx->ports[ctx->rx_port];
	bool is_uplink = ctx->is_uplink[ctx->rx_port];
	struct edge *edge = &ctx->edge[ctx->rx_port][is_uplink ? DOWNLINK : UPLINK];
	uint8_t plan_id = ctx->config->ports[ctx->rx_port].plan_id;
	uint64_t octets = 0;
	uint32_t n_counted = 0;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n_pkts; i++) {
		struct pkt_meta *m = stage_meta(pkts[i]);
		bool is_arp = false;
		enum drop_reason why;

		if (i + 4 < n_pkts)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], const void *));
		why = parse_one(ctx, port, pkts[i], m, &is_arp);
		if (is_arp) {
			local_arp(ctx, pkts[i], m);
			continue;
		}
		if (why == DROP_NONE) {
			octets += m->ip_octets;
			n_counted++;
			pkts[kept++] = pkts[i];
			continue;
		}
		if (why != DROP_PARSE_OTHER_HOST && why != DROP_PARSE_ETHERTYPE
			&& why != DROP_PARSE_BAD_ARP) {
			octets += raw_octets(port, pkts[i]);
			n_counted++;
		}
		stage_drop(ctx, pkts[i], why);
	}
	edge->octets += octets;
	edge->packets += n_counted;
	if (is_uplink && plan_id != PLAN_NONE)
		meter_add(&ctx->plans[plan_id], DOWNLINK, octets, n_counted);
	return kept;
}
