/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx: gives each packet the link-layer header of its port and next hop, in fragments where it must, and counts at the
 * edge what the port took.
 */
#include "senders.h"
#include "stage.h"

#include <weir/packet/icmp_error.h>
#include <weir/packet/ipv4_fragment.h>
#include <weir/packet/parse.h>

#define VLAN_TAG_BYTES        4
#define UNTAGGED_REST_BYTES   (ETHERNET_HEADER_BYTES - sizeof(struct mac_addr))
#define IDENTIFICATION_OFFSET 4

/* What senders shall send leaves the batch: they count it. */
__attribute__((noinline)) static void lend(struct stage_ctx *ctx, uint8_t port_id, struct edge *sum)
{
	struct tx_batch *b = &ctx->batches[port_id];
	struct edge lent;

	b->n = senders_lend(ctx, port_id, b->pkts, b->n, &lent);
	sum->octets -= lent.octets;
	sum->packets -= lent.packets;
}

/* Sends what the batch holds; what the port refuses is dropped. */
static void flush(struct stage_ctx *ctx, uint8_t port_id)
{
	struct tx_batch *b = &ctx->batches[port_id];
	struct port *port = ctx->ports[port_id];
	struct edge *edge = &ctx->edge[port_id][ctx->is_uplink[port_id] ? UPLINK : DOWNLINK];
	struct edge sum = {.packets = b->n - b->n_unbilled, .octets = b->octets};
	uint16_t n_sent;

	if (ctx->senders != NULL)
		lend(ctx, port_id, &sum);
	n_sent = port_is_up(port) ? port->ops->tx(port, b->pkts, b->n) : 0;

	ctx->stages[STAGE_tx].out += n_sent;
	for (uint16_t i = n_sent; i < b->n; i++) {
		uint16_t ip_octets = stage_meta(b->pkts[i])->ip_octets;

		sum.octets -= ip_octets;
		sum.packets -= ip_octets != 0;
		stage_drop(ctx, b->pkts[i], port_is_up(port) ? DROP_TX_REFUSED : DROP_TX_PORT_DOWN);
	}
	edge->octets += sum.octets;
	edge->packets += sum.packets;
	b->octets = 0;
	b->n_unbilled = 0;
	b->n = 0;
}

static inline void enqueue(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id)
{
	struct tx_batch *b = &ctx->batches[port_id];

	b->octets += stage_meta(pkt)->ip_octets;
	b->pkts[b->n++] = pkt;
	if (unlikely(b->n == BURST_MAX))
		flush(ctx, port_id);
}

/* Makes the frame begin `header_bytes` before the IP header and end with it: no padding, no tags of the other side. From here on
 * offsets of the metadata say nothing. */
static inline uint8_t *reframe(
	struct rte_mbuf *pkt, const struct pkt_meta *m, uint16_t header_bytes)
{
	pkt->data_off = (uint16_t)(pkt->data_off + m->l3_off - header_bytes);
	pkt->data_len = (uint16_t)(header_bytes + m->ip_octets);
	pkt->pkt_len = pkt->data_len;
	return rte_pktmbuf_mtod(pkt, uint8_t *);
}

/* In replay no host answers ARP: a MAC made of the address stands for each. */
static const struct mac_addr *made_up_mac(uint32_t addr_be, struct mac_addr *mac)
{
	mac->bytes[0] = 0x02;
	mac->bytes[1] = 0;
	memcpy(mac->bytes + 2, &addr_be, sizeof(addr_be));
	return mac;
}

/* The MAC of a next hop that is not asked for: in replay, and on the kernel's side of a tap. */
__attribute__((noinline)) static const struct mac_addr *mac_unasked(
	const struct stage_ctx *ctx, uint8_t port_id, uint32_t next_hop_be, struct mac_addr *room)
{
	if (ctx->setup->virtual_clock)
		return made_up_mac(next_hop_be, room);
	return &ctx->ports[port_id]->mac;
}

/* Where next hops are: destinations on a LAN, and the configured gateway of an Ethernet uplink. */
static void begin_next_hops(const struct stage_ctx *ctx, uint8_t port_id, struct tx_header *h)
{
	const struct path_port *p = &ctx->config->ports[port_id];
	bool has_gateway = p->role == PORT_UPLINK && !ip_addr_is_unset(&p->gateway);

	h->network_be = p->address.addr.words[3];
	h->mask_be = has_gateway ? ip_v4_mask(p->address.len_bits) : 0;
	h->gateway_be = p->gateway.words[3];
	h->asks = !ctx->setup->virtual_clock && p->role != PORT_TAP;
	h->has_next_hop = false;
}

/* Begins the header of a burst's frames: all but the destination. */
__attribute__((noinline)) static void begin_header(
	const struct stage_ctx *ctx, uint8_t port_id, struct tx_header *h)
{
	uint16_t vlan = ctx->config->ports[port_id].vlan;
	uint8_t *at = h->rest;

	memcpy(at, &ctx->ports[port_id]->mac, sizeof(struct mac_addr));
	at += sizeof(struct mac_addr);
	if (vlan != 0) {
		store_be16(at, ETHERTYPE_VLAN);
		store_be16(at + 2, vlan);
		at += VLAN_TAG_BYTES;
	}
	store_be16(at, ETHERTYPE_IPV4);
	h->n_bytes = (uint16_t)(sizeof(h->dst) + (uint32_t)(at - h->rest) + sizeof(uint16_t));
	begin_next_hops(ctx, port_id, h);
}

static inline uint32_t next_hop_of(const struct tx_header *h, uint32_t dst_be)
{
	return ((dst_be ^ h->network_be) & h->mask_be) == 0 ? dst_be : h->gateway_be;
}

/* Puts the MAC of a next hop into the header. False while it is not known. */
static inline bool turn_header(
	struct stage_ctx *ctx, uint8_t port_id, uint32_t next_hop_be, struct tx_header *h)
{
	struct mac_addr room;
	const struct mac_addr *mac =
		likely(h->asks) ? neighbor_find(ctx->neighbors, port_id, next_hop_be, ctx->now_us)
				: mac_unasked(ctx, port_id, next_hop_be, &room);

	if (unlikely(mac == NULL))
		return false;
	h->dst = *mac;
	h->next_hop_be = next_hop_be;
	h->has_next_hop = true;
	return true;
}

/* Lets a packet wait for its next hop's answer. */
__attribute__((noinline)) static void wait(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id, uint32_t next_hop_be)
{
	stage_meta(pkt)->out_port = port_id;
	if (!neighbor_wait(ctx->neighbors, port_id, next_hop_be, pkt, ctx->now_us)) {
		stage_drop(ctx, pkt, DROP_TX_NEIGHBOR_QUEUE);
		return;
	}
	stage_hold(ctx);
	ctx->must_ask = true;
}

/* Packets in a row mostly go to one next hop, and then under the header of the one before. */
static inline void put_ethernet(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id)
{
	struct tx_header *h = &ctx->batches[port_id].header;
	const struct pkt_meta *m = stage_meta(pkt);
	uint32_t next_hop_be;
	uint8_t *frame;

	if (unlikely(h->n_bytes == 0))
		begin_header(ctx, port_id, h);
	next_hop_be = next_hop_of(h, load32(stage_ip(pkt, m) + 16));
	if (!(h->has_next_hop && h->next_hop_be == next_hop_be)
		&& !turn_header(ctx, port_id, next_hop_be, h)) {
		wait(ctx, pkt, port_id, next_hop_be);
		return;
	}
	frame = reframe(pkt, m, h->n_bytes);
	memcpy(frame, &h->dst, sizeof(h->dst));
	memcpy(frame + sizeof(h->dst), h->rest, UNTAGGED_REST_BYTES);
	if (unlikely(h->n_bytes > ETHERNET_HEADER_BYTES))
		memcpy(frame + ETHERNET_HEADER_BYTES, h->rest + UNTAGGED_REST_BYTES,
			VLAN_TAG_BYTES);
	enqueue(ctx, pkt, port_id);
}

/* Frames a packet and queues it for its port, or lets it wait for its next hop's answer. */
static inline void put_framed(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id, enum link_framing framing)
{
	if (framing != FRAMING_RAW_IP) {
		put_ethernet(ctx, pkt, port_id);
		return;
	}
	reframe(pkt, stage_meta(pkt), 0);
	enqueue(ctx, pkt, port_id);
}

static void put(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id)
{
	put_framed(ctx, pkt, port_id, ctx->ports[port_id]->framing);
}

/* RFC 791: a packet without DF that is larger than the MTU goes in fragments. */
__attribute__((noinline)) static void send_fragments(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port_id)
{
	struct pkt_meta *m = stage_meta(pkt);
	uint8_t *ip = stage_ip(pkt, m);
	struct ipv4_fragmenter f;
	int64_t octets = 0;
	int64_t n = 0;

	/* RFC 7857 section 9: the identification was the host's own, and is read only where there are fragments. */
	if (ctx->is_uplink[port_id] && (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) == 0)
		store_be16(ip + IDENTIFICATION_OFFSET, fragment_identification(ctx->fragments));
	ipv4_fragment_init(&f, ip, m->ip_octets, ctx->mtu[port_id]);
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
		put(ctx, piece, port_id);
	}
	if (n == 0) {
		stage_drop(ctx, pkt, DROP_TX_FRAGMENT);
		return;
	}
	account_add(ctx, m, octets - m->ip_octets, n - 1);
	ctx->stages[STAGE_tx].made--; /* the fragments stand for the whole */
	rte_pktmbuf_free(pkt);
}

/* For packets that leave by one port, of one framing: the compiler makes a loop for each. */
static __rte_always_inline void send_burst(struct stage_ctx *ctx, struct rte_mbuf **pkts,
	uint32_t n_pkts, uint8_t port_id, enum link_framing framing)
{
	uint16_t mtu = ctx->mtu[port_id];

	for (uint32_t i = 0; i < n_pkts; i++) {
		if (likely(stage_meta(pkts[i])->ip_octets <= mtu))
			put_framed(ctx, pkts[i], port_id, framing);
		else
			send_fragments(ctx, pkts[i], port_id);
	}
}

static void send_by(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint32_t n_pkts, uint8_t port_id)
{
	if (ctx->ports[port_id]->framing == FRAMING_RAW_IP)
		send_burst(ctx, pkts, n_pkts, port_id, FRAMING_RAW_IP);
	else
		send_burst(ctx, pkts, n_pkts, port_id, FRAMING_ETHERNET);
}

/* How many of the packets, from the first on, leave by the same port. */
static uint32_t run_length(struct rte_mbuf *const *pkts, uint32_t n_pkts)
{
	uint8_t port_id = stage_meta(pkts[0])->out_port;
	uint32_t n = 1;

	while (n < n_pkts && stage_meta(pkts[n])->out_port == port_id)
		n++;
	return n;
}

/* The gateway's own packets are billed like all others; when the plan is spent none is sent. ARP is not billed. */
static bool is_within_plan(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	uint8_t plan_id = ctx->config->ports[m->out_port].plan_id;
	struct meter *meter;
	int64_t cost;

	if (!ctx->is_uplink[m->out_port] || plan_id == PLAN_NONE || m->ip_octets == 0)
		return true;
	meter = &ctx->plans[plan_id];
	cost = (int64_t)m->ip_octets + meter->params.overhead_octets[UPLINK];
	if (cost > RTE_MIN(meter_lease_left(meter), meter_left(meter, ACCOUNT_GENERAL))) {
		bool is_leased = cost <= meter_lease_left(meter);

		m->out_port = PORT_NONE; /* not counted: nothing to take back */
		stage_drop(ctx, pkt, is_leased ? DROP_METER_PLAN_SPENT : DROP_METER_NO_LEASE);
		return false;
	}
	meter_add(meter, UPLINK, m->ip_octets, 1);
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
		if (a->is_frame) {
			if (m->ip_octets == 0)
				ctx->batches[a->port].n_unbilled++;
			enqueue(ctx, a->pkt, a->port);
		} else {
			send_by(ctx, &a->pkt, 1, a->port);
		}
	}
	ctx->stages[STAGE_tx].in += ctx->n_asides;
	ctx->n_asides = 0;
}

uint16_t tx_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	send_asides(ctx);
	for (uint32_t i = 0; i < ctx->n_resolved; i++) {
		struct rte_mbuf *pkt = ctx->resolved[i];

		put(ctx, pkt, stage_meta(pkt)->out_port);
	}
	ctx->stages[STAGE_tx].taken += ctx->n_resolved;
	ctx->n_resolved = 0;
	for (uint32_t i = 0, n; i < n_pkts; i += n) {
		n = run_length(pkts + i, n_pkts - i);
		send_by(ctx, pkts + i, n, stage_meta(pkts[i])->out_port);
	}
	for (uint8_t port = 0; port < ctx->config->n_ports; port++) {
		ctx->batches[port].header.n_bytes =
			0; /* a neighbour may change before the next burst */
		if (ctx->batches[port].n > 0)
			flush(ctx, port);
	}
	return 0; /* flush has counted what went out */
}
