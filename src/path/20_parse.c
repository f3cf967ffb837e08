/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse: stamps the arrival of each frame, reads it down to L4, and counts at the edge of the port what came in: on the uplink this is
 * what the carrier bills, so it is counted before anything may be dropped.
 */
#include "stage.h"

#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

#include <string.h>

/* The bit that makes a frame's destination a group, as in memory. */
static uint64_t group_bit(void)
{
	const uint8_t octets[sizeof(uint64_t)] = {1};
	uint64_t bit;

	memcpy(&bit, octets, sizeof(bit));
	return bit;
}

/* What a burst's packets are held against. */
struct arrival {
	enum link_framing framing;
	uint16_t vlan;
	uint64_t
		station; /* of an Ethernet frame's first eight octets, under the mask, as in memory */
	uint64_t station_mask;
};

static struct arrival arrival_at(const struct stage_ctx *ctx, const struct port *port)
{
	const struct path_port *p = &ctx->config->ports[ctx->rx_port];
	bool any_station =
		ctx->setup->virtual_clock || p->role == PORT_TAP; /* captures, the kernel's side */
	struct arrival a = {.framing = port->framing, .vlan = p->vlan};

	memset(&a.station_mask, any_station ? 0 : 0xff, sizeof(struct mac_addr));
	memcpy(&a.station, port->mac.bytes, sizeof(struct mac_addr));
	a.station_mask |= group_bit();
	a.station &= a.station_mask & ~group_bit();
	return a;
}

/* False for a frame to another station: seen where a switch floods or an interface is promiscuous. */
static inline bool is_for_us(const struct arrival *a, const uint8_t *frame, struct pkt_meta *m)
{
	uint64_t head;

	if (a->framing != FRAMING_ETHERNET)
		return true;
	memcpy(&head, frame, sizeof(head));
	if (likely((head & a->station_mask) == a->station))
		return true;
	if ((frame[0] & 1) == 0)
		return false;
	m->flags |= PKT_LINK_GROUP;
	return true;
}

static inline struct parse_result parse_one(
	const struct arrival *a, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(pkt, const uint8_t *);
	struct parse_result r = parse_fresh_frame(frame, rte_pktmbuf_data_len(pkt), a->framing, m);

	if (likely(r.why == DROP_NONE) && unlikely(m->vlan != a->vlan))
		r.why = DROP_PARSE_VLAN_UNKNOWN;
	if (likely(r.why == DROP_NONE) && unlikely(!is_for_us(a, frame, m)))
		r.why = DROP_PARSE_OTHER_HOST;
	return r;
}

/* What a frame that is not good IPv4 weighs at the edge: all behind its link-layer header. */
static uint32_t raw_octets(const struct port *port, const struct rte_mbuf *pkt)
{
	uint32_t header = port->framing == FRAMING_ETHERNET ? ETHERNET_HEADER_BYTES : 0;
	uint32_t len = rte_pktmbuf_pkt_len(pkt);

	return len > header ? len - header : 0;
}

/* RFC 1812 4.3.3.5. Only a LAN is told: an answer to a stranger would cost the plan. What only comes by, since a switch
 * floods it, is another router's to tell. */
static void tell_malformed_option(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	struct arrival arrival = arrival_at(ctx, ctx->ports[ctx->rx_port]);
	uint8_t at = parse_malformed_option(stage_ip(pkt, m));

	if (m->vlan != arrival.vlan
		|| !is_for_us(&arrival, rte_pktmbuf_mtod(pkt, const uint8_t *), m))
		return;
	if (at != 0 && flow_check_addresses(ctx, pkt, m) == DROP_NONE)
		local_icmp_error(ctx, pkt, m, ICMP_PARAMETER_PROBLEM, 0, ICMP_REST_POINTER(at));
}

/* What is not good IPv4 for us. What the carrier counts, it counts whatever becomes of it. */
__attribute__((noinline)) static void parse_rest(struct stage_ctx *ctx, const struct port *port,
	struct rte_mbuf *pkt, struct parse_result r, struct edge *seen)
{
	if (r.why == DROP_NONE) {
		local_arp(ctx, pkt, stage_meta(pkt));
		return;
	}
	if (r.why != DROP_PARSE_OTHER_HOST && r.why != DROP_PARSE_ETHERTYPE) {
		uint32_t octets = raw_octets(port, pkt);

		seen->octets += octets;
		seen->packets++;
		if (ctx->is_uplink[ctx->rx_port])
			unsolicited_count(ctx, ctx->rx_port, NULL, octets);
	}
	if (r.why == DROP_PARSE_BAD_OPTIONS && !ctx->is_uplink[ctx->rx_port])
		tell_malformed_option(ctx, pkt, stage_meta(pkt));
	stage_drop(ctx, pkt, r.why);
}

/* What is known of each frame of the burst before it is looked into. */
__attribute__((noinline)) static void begin_meta(
	const struct stage_ctx *ctx, enum link_framing framing, struct pkt_meta *ret_fresh)
{
	*ret_fresh = parse_fresh_meta(framing);
	ret_fresh->rx_us = (uint32_t)ctx->now_us;
	ret_fresh->in_port = ctx->rx_port;
}

/* The burst of one framing: the compiler makes a loop for each. */
static __rte_always_inline struct rte_mbuf **parse_burst(struct stage_ctx *ctx,
	struct arrival arrival, struct rte_mbuf **pkts, uint32_t n_pkts, struct edge *ret_seen)
{
	const struct port *port = ctx->ports[ctx->rx_port];
	struct rte_mbuf **kept = pkts;
	struct edge rest = {0};
	uint64_t octets = 0;
	struct pkt_meta fresh;

	begin_meta(ctx, arrival.framing, &fresh);
	for (uint32_t i = 0; i < n_pkts; i++) {
		struct rte_mbuf *pkt = pkts[i];
		struct pkt_meta *m = stage_meta(pkt);
		struct parse_result r;

		*m = fresh;
		r = parse_one(&arrival, pkt, m);
		if (unlikely(r.why != DROP_NONE || r.kind != PARSE_IPV4)) {
			parse_rest(ctx, port, pkt, r, &rest);
			continue;
		}
		octets += m->ip_octets;
		*kept++ = pkt;
	}
	ret_seen->octets = octets + rest.octets;
	ret_seen->packets = (uint64_t)(kept - pkts) + rest.packets;
	return kept;
}

uint16_t parse_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct arrival arrival = arrival_at(ctx, ctx->ports[ctx->rx_port]);
	bool is_uplink = ctx->is_uplink[ctx->rx_port];
	struct edge *edge = &ctx->edge[ctx->rx_port][is_uplink ? DOWNLINK : UPLINK];
	uint8_t plan_id = ctx->config->ports[ctx->rx_port].plan_id;
	struct rte_mbuf **kept;
	struct edge seen;

	if (arrival.framing == FRAMING_RAW_IP) {
		arrival.framing = FRAMING_RAW_IP;
		kept = parse_burst(ctx, arrival, pkts, n_pkts, &seen);
	} else {
		arrival.framing = FRAMING_ETHERNET;
		kept = parse_burst(ctx, arrival, pkts, n_pkts, &seen);
	}
	edge->octets += seen.octets;
	edge->packets += seen.packets;
	if (is_uplink && plan_id != PLAN_NONE)
		meter_add(&ctx->plans[plan_id], DOWNLINK, seen.octets, seen.packets);
	return (uint16_t)(kept - pkts);
}
