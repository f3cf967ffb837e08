/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx: gives each packet the link-layer header of its port and next hop, in fragments where it must, and counts at the
 * edge what the port took.
 */
#include "stage.h"

#include <weir/packet/icmp_error.h>
#include <weir/packet/ipv4_fragment.h>

#define ETHER_HEADER_BYTES 14
#define VLAN_TAG_BYTES     4

static const uint8_t vlan_tpid[2] = {0x81, 0x00};
static const uint8_t ethertype_ipv4[2] = {0x08, 0x00};

/* Sends what the batch holds; what the port refuses is dropped. */
static void flush(struct stage_ctx *ctx, uint8_t port_id)
{
	struct tx_batch *b = &ctx->batches[port_id];
	struct port *port = ctx->ports[port_id];
	struct edge *edge = &ctx->edge[port_id][ctx->is_uplink[port_id] ? UPLINK : DOWNLINK];
	uint64_t octets = 0;
	uint64_t packets = 0;
	uint16_t n_sent;

	for (uint16_t i = 0; i < b->n; i++) {
		uint16_t ip_octets = stage_meta(b->pkts[i])->ip_octets;

		octets += ip_octets;
		packets += ip_octets != 0;
	}
	n_sent = port_is_up(port) ? port->ops->tx(port, b->pkts, b->n) : 0;
	ctx->stages[STAGE_tx].out += n_sent;
	for (uint16_t i = n_sent; i < b->n; i++) {
		uint16_t ip_octets = stage_meta(b->pkts[i])->ip_octets;

		octets -= ip_octets;
		packets -= ip_octets != 0;
		stage_drop(ctx, b->pkts[i], port_is_up(port) ? DROP_TX_REFUSED : DROP_TX_PORT_DOWN);
	}
	edge->octets += octets;
	edge->packets += packets;
	b->n = 0;
}

static void enqueue(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id)
{
	struct tx_batch *b = &ctx->batches[port_id];

	b->pkts[b->n++] = pkt;
	if (b->n == BURST_MAX)
		flush(ctx, port_id);
}

/* Makes the frame begin `header_bytes` before the IP header and end with it: no padding, no tags of the other side. */
static uint8_t *reframe(struct rte_mbuf *pkt, struct pkt_meta *m, uint16_t header_bytes)
{
	pkt->data_off = (uint16_t)(pkt->data_off + m->l3_off - header_bytes);
	pkt->data_len = (uint16_t)(header_bytes + m->ip_octets);
	pkt->pkt_len = pkt->data_len;
	m->l4_off = m->l4_off == 0 ? 0 : (uint8_t)(m->l4_off - m->l3_off + header_bytes);
	m->l3_off = (uint8_t)header_bytes;
	return rte_pktmbuf_mtod(pkt, uint8_t *);
}

static void put_ethernet(
	uint8_t *frame, const struct mac_addr *dst, const struct mac_addr *src, uint16_t vlan)
{
	memcpy(frame, dst, sizeof(*dst));
	memcpy(frame + 6, src, sizeof(*src));
	frame += 12;
	if (vlan != 0) {
		memcpy(frame, vlan_tpid, sizeof(vlan_tpid));
		frame[2] = (uint8_t)(vlan >> 8);
		frame[3] = (uint8_t)vlan;
		frame += VLAN_TAG_BYTES;
	}
	memcpy(frame, ethertype_ipv4, sizeof(ethertype_ipv4));
}

/* In replay no host answers ARP: a MAC made of the address stands for each. */
static const struct mac_addr *made_up_mac(uint32_t addr_be, struct mac_addr *mac)
{
	mac->bytes[0] = 0x02;
	mac->bytes[1] = 0;
	memcpy(mac->bytes + 2, &addr_be, sizeof(addr_be));
	return mac;
}

/* Frames a packet and queues it for its port, or lets it wait for its next hop's answer. */
static void put(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id, uint32_t next_hop_be)
{
	const struct port *port = ctx->ports[port_id];
	struct pkt_meta *m = stage_meta(pkt);
	uint16_t vlan = ctx->config->ports[port_id].vlan;
	const struct mac_addr *mac;
	struct mac_addr made_up;
	uint8_t *frame;

	if (port->framing == FRAMING_RAW_IP) {
		reframe(pkt, m, 0);
		enqueue(ctx, pkt, port_id);
		return;
	}
	if (ctx->setup->virtual_clock)
		mac = made_up_mac(next_hop_be, &made_up);
	else if (ctx->config->ports[port_id].role == PORT_TAP)
		mac = &port->mac;
	else
		mac = neighbor_find(ctx->neighbors, port_id, next_hop_be, ctx->now_us);
	if (mac == NULL) {
		m->out_port = port_id;
		if (neighbor_wait(ctx->neighbors, port_id, next_hop_be, pkt, ctx->now_us)) {
			stage_hold(ctx);
			ctx->must_ask = true;
		} else {
			stage_drop(ctx, pkt, DROP_TX_NEIGHBOR_QUEUE);
		}
		return;
	}
	frame = reframe(pkt, m, (uint16_t)(ETHER_HEADER_BYTES + (vlan != 0 ? VLAN_TAG_BYTES : 0)));
	put_ethernet(frame, mac, &port->mac, vlan);
	enqueue(ctx, pkt, port_id);
}

/* RFC 791: a packet without DF that is larger than the MTU goes in fragments. */
static void send_fragments(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id, uint32_t next_hop_be)
{
	struct pkt_meta *m = stage_meta(pkt);
	struct ipv4_fragmenter f;
	int64_t octets = 0;
	int64_t n = 0;

	ipv4_fragment_init(&f, stage_ip(pkt, m), m->ip_octets, ctx->mtu[port_id]);
	for (;;) {
		struct rte_mbuf *piece = rte_pktmbuf_alloc(ctx->setup->pool);
		struct pkt_meta *pm;

		if (piece == NULL)
			break;
		pm = stage_meta(piece);
		*pm = *m;
		pm->l3_off = 0;
		pm->l4_off = 0;
		pm->flags |= n == 0 ? PKT_FRAGMENT_FIRST : PKT_FRAGMENT_LATER;
		pm->ip_octets = ipv4_fragment_next(&f, rte_pktmbuf_mtod(piece, uint8_t *));
		if (pm->ip_octets == 0) {
			rte_pktmbuf_free(piece);
			break;
		}
		octets += pm->ip_octets;
		n++;
		ctx->stages[STAGE_tx].made++;
		put(ctx, piece, port_id, next_hop_be);
	}
	if (n == 0) {
		stage_drop(ctx, pkt, DROP_TX_FRAGMENT);
		return;
	}
	account_add(ctx, m, octets - m->ip_octets, n - 1);
	ctx->stages[STAGE_tx].made--; /* the fragments stand for the whole */
	rte_pktmbuf_free(pkt);
}

/* The address to ask for: the destination on a LAN, the configured gateway on an Ethernet uplink. */
static uint32_t next_hop_of(const struct stage_ctx *ctx, const uint8_t *ip, uint8_t port_id)
{
	const struct path_port *p = &ctx->config->ports[port_id];
	uint32_t dst_be;

	memcpy(&dst_be, ip + 16, sizeof(dst_be));
	if (p->role != PORT_UPLINK || ip_addr_is_unset(&p->gateway))
		return dst_be;
	return ((dst_be ^ p->address.addr.words[3]) & ip_v4_mask(p->address.len_bits)) == 0
			       && p->address.len_bits < 32
		       ? dst_be
		       : p->gateway.words[3];
}

static void send_ip(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id, uint32_t next_hop_be)
{
	if (unlikely(stage_meta(pkt)->ip_octets > ctx->mtu[port_id]))
		send_fragments(ctx, pkt, port_id, next_hop_be);
	else
		put(ctx, pkt, port_id, next_hop_be);
}

/* The gateway's own packets are billed like all others; when the plan is spent none is sent. ARP is not billed. */
static bool is_within_plan(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	uint8_t plan_id = ctx->config->ports[m->out_port].plan_id;

	if (!ctx->is_uplink[m->out_port] || plan_id == PLAN_NONE || m->ip_octets == 0)
		return true;
	if (!meter_admits(&ctx->plans[plan_id], m->ip_octets)) {
		m->out_port = PORT_NONE; /* not counted: nothing to take back */
		stage_drop(ctx, pkt, DROP_METER_PLAN_SPENT);
		return false;
	}
	meter_count(&ctx->plans[plan_id], UPLINK, m->ip_octets);
	return true;
}

static void send_asides(struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->n_asides; i++) {
		struct aside *a = &ctx->asides[i];
		struct pkt_meta *m = stage_meta(a->pkt);

		m->out_port = a->port;
		m->flow_id = FLOW_NONE;
		if (!is_within_plan(ctx, a->pkt, m))
			continue;
		if (a->is_frame)
			enqueue(ctx, a->pkt, a->port);
		else
			send_ip(ctx, a->pkt, a->port,
				next_hop_of(ctx, stage_ip(a->pkt, m), a->port));
	}
	ctx->stages[STAGE_tx].in += ctx->n_asides;
	ctx->n_asides = 0;
}

uint16_t tx_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	send_asides(ctx);
	for (uint32_t i = 0; i < ctx->n_resolved; i++) {
		struct rte_mbuf *pkt = ctx->resolved[i];
		struct pkt_meta *m = stage_meta(pkt);

		put(ctx, pkt, m->out_port, next_hop_of(ctx, stage_ip(pkt, m), m->out_port));
	}
	ctx->stages[STAGE_tx].taken += ctx->n_resolved;
	ctx->n_resolved = 0;
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		send_ip(ctx, pkts[i], m->out_port,
			next_hop_of(ctx, stage_ip(pkts[i], m), m->out_port));
	}
	for (uint8_t port = 0; port < ctx->config->n_ports; port++)
		if (ctx->batches[port].n > 0)
			flush(ctx, port);
	return 0; /* flush has counted what went out */
}
