/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway itself: ARP, echo, errors, and the tap behind which the kernel's services live. Nothing here is reachable
 * from the uplink but ARP on an Ethernet one.
 *
 * Between tap and LAN frames pass as they are: the tap has the LAN port's MAC and address. What the kernel sends beyond
 * its LAN goes to ROUTER_MAC (its ARP requests for such addresses are answered with it) and walks the path like any
 * device's.
 */
#include "link_watch.h"
#include "stage.h"

#include <weir/packet/arp.h>
#include <weir/packet/dhcp.h>
#include <weir/packet/icmp_error.h>

#define ETHER_HEADER_BYTES 14
#define VLAN_TAG_BYTES     4
#define MAC_PAIR_BYTES     12

/* Locally administered; the kernel's way out on a tap. */
static const struct mac_addr router_mac = {{0x02, 'w', 'e', 'i', 'r', 0x01}};
static const struct mac_addr zero_mac = {{0}};

static const struct path_port *port_config(const struct stage_ctx *ctx, uint8_t port)
{
	return &ctx->config->ports[port];
}

static uint32_t own_be(const struct stage_ctx *ctx, uint8_t port)
{
	return port_config(ctx, port)->address.addr.words[3];
}

/* Moves a frame's two MACs so that its network header follows the tag `port` wants. */
static void retag(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, uint8_t port)
{
	uint16_t vlan = port_config(ctx, port)->vlan;
	uint8_t header = (uint8_t)(ETHER_HEADER_BYTES + (vlan != 0 ? VLAN_TAG_BYTES : 0));
	uint8_t macs[MAC_PAIR_BYTES];
	uint8_t ethertype[2];
	uint8_t *frame = rte_pktmbuf_mtod(pkt, uint8_t *);

	if (header == m->l3_off)
		return;
	memcpy(macs, frame, sizeof(macs));
	memcpy(ethertype, frame + m->l3_off - 2, sizeof(ethertype));
	pkt->data_off = (uint16_t)(pkt->data_off + m->l3_off - header);
	pkt->data_len = (uint16_t)(pkt->data_len + header - m->l3_off);
	pkt->pkt_len = pkt->data_len;
	frame = rte_pktmbuf_mtod(pkt, uint8_t *);
	memcpy(frame, macs, sizeof(macs));
	if (vlan != 0) {
		frame[12] = 0x81;
		frame[13] = 0x00;
		frame[14] = (uint8_t)(vlan >> 8);
		frame[15] = (uint8_t)vlan;
	}
	memcpy(frame + header - 2, ethertype, sizeof(ethertype));
	m->l4_off = m->l4_off == 0 ? 0 : (uint8_t)(m->l4_off - m->l3_off + header);
	m->l3_off = header;
}

/* Also passes frames on between a LAN port and its tap. */
void local_send_frame(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, uint8_t port)
{
	retag(ctx, pkt, m, port);
	stage_aside(ctx, pkt, port, true);
}

static bool is_group(const struct path_port *p, const struct ip_addr *dst)
{
	uint32_t host = ip_addr_v4_host(dst);
	uint32_t host_bits = ~ip_v4_mask(p->address.len_bits);

	return host == UINT32_MAX || host >> 28 == 0xe
	       || ((dst->words[3] & host_bits) == host_bits && p->address.len_bits < 31
		       && ip_prefix_contains(&p->address, dst));
}

/* A ping from a LAN to the address that the carrier gave us. No mapping can be meant: a query has no port of the asked. */
static bool is_ping_of_uplink(const struct pkt_meta *m, const struct place *to)
{
	return to->uplink != PORT_NONE && m->proto == PROTO_ICMP
	       && m->icmp_type == ICMP_ECHO_REQUEST
	       && (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) == 0;
}

/* RFC 1812 4.3.3.6: echo is answered, within limits. */
static enum drop_reason echo(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	if (!stage_limit_take(&ctx->echo_limit, ctx->now_us, ctx->config->icmp_errors_per_s))
		return DROP_LOCAL_ICMP_LIMIT;
	icmp_echo_reply(stage_ip(pkt, m), m->ip_octets);
	stage_aside(ctx, pkt, m->in_port, false);
	return DROP_NONE;
}

/* From a LAN, for the gateway or for all. */
__attribute__((noinline)) static enum drop_reason from_lan(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, bool to_group)
{
	const struct path_port *p = port_config(ctx, m->in_port);
	bool has_source =
		!ip_addr_equal(&m->src, &(struct ip_addr){.words = {0, 0, htonl(0xffff), 0}});
	enum drop_reason why;

	/* A host without an address yet may only ask for one: to all (RFC 2131). */
	if (has_source ? !ip_prefix_contains(&p->address, &m->src) : !to_group)
		return DROP_FLOW_SPOOFED_LAN;
	if (address_place(&ctx->networks, m->src.words[3]).is_gateway)
		return DROP_FLOW_SPOOFED_LAN;
	if (has_source && is_group(p, &m->src))
		return DROP_FLOW_BROADCAST_SOURCE; /* an answer would go to all */
	why = policy_admit(ctx, pkt, m, true);
	if (why != DROP_NONE)
		return why;
	if (m->proto == PROTO_UDP && m->dst_port == DHCP_SERVER_PORT)
		host_name_learn(ctx, pkt, m);
	if (!to_group && m->proto == PROTO_ICMP && m->icmp_type == ICMP_ECHO_REQUEST
		&& (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) == 0)
		return echo(ctx, pkt, m);
	if (!to_group && pcp_is_asked(ctx, m))
		return pcp_answer(ctx, pkt, m);
	if (p->peer == PORT_NONE)
		return to_group ? DROP_FLOW_BROADCAST : DROP_LOCAL_NO_TAP;
	learn_local(ctx, pkt, m, m->in_port);
	local_send_frame(ctx, pkt, m, p->peer);
	return DROP_NONE;
}

bool local_deliver(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m,
	const struct place *to, enum drop_reason *ret_why)
{
	const struct path_port *p = port_config(ctx, m->in_port);
	bool to_group = is_group(p, &m->dst);

	*ret_why = DROP_NONE;
	switch (p->role) {
	case PORT_UPLINK:
		if (link_watch_answer(ctx, pkt, m)) {
			m->in_port = PORT_NONE; /* somebody did ask for it */
			*ret_why = DROP_LOCAL_PROBE_ANSWER;
			return true;
		}
		if (!to_group && !to->is_gateway)
			return false;
		*ret_why = to_group ? DROP_FLOW_BROADCAST : DROP_LOCAL_FROM_UPLINK;
		break;
	case PORT_LAN:
		if (!to_group && !to->is_gateway && !is_ping_of_uplink(m, to))
			return false;
		*ret_why = from_lan(ctx, pkt, m, to_group);
		break;
	case PORT_TAP:
		if (!to_group && !ip_prefix_contains(&p->address, &m->dst))
			return false;
		learn_local(ctx, pkt, m, p->peer);
		local_send_frame(ctx, pkt, m, p->peer);
		break;
	}
	return true;
}

/* Turns the frame that asked into the answer. */
static void arp_answer(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m,
	const struct arp_message *ask, const struct mac_addr *mac)
{
	struct arp_message reply = {
		.operation = ARP_REPLY,
		.sender_mac = *mac,
		.sender_be = ask->target_be,
		.target_mac = ask->sender_mac,
		.target_be = ask->sender_be,
	};

	pkt->data_len = ARP_FRAME_BYTES;
	pkt->pkt_len = ARP_FRAME_BYTES;
	arp_build(rte_pktmbuf_mtod(pkt, uint8_t *), &ask->sender_mac, &reply);
	m->l3_off = ETHER_HEADER_BYTES;
	local_send_frame(ctx, pkt, m, m->in_port);
}

/* The kernel's own questions: for its LAN they go out as they are; for the rest of the world the answer is ROUTER_MAC. */
static enum drop_reason arp_from_tap(struct stage_ctx *ctx, struct rte_mbuf *pkt,
	struct pkt_meta *m, const struct arp_message *msg)
{
	const struct path_port *p = port_config(ctx, m->in_port);
	struct ip_addr target = ip_addr_v4(msg->target_be);

	if (msg->target_be == own_be(ctx, m->in_port) || msg->operation != ARP_REQUEST)
		return DROP_ARP_DONE;
	if (ip_prefix_contains(&p->address, &target))
		local_send_frame(ctx, pkt, m, p->peer);
	else
		arp_answer(ctx, pkt, m, msg, &router_mac);
	return DROP_NONE;
}

static void learn(
	struct stage_ctx *ctx, uint8_t port, const struct arp_message *msg, bool is_for_us)
{
	void *released[NEIGHBOR_QUEUE];
	uint64_t n_changes = neighbor_n_changes(ctx->neighbors);
	uint32_t n = neighbor_learn(ctx->neighbors, port, msg, is_for_us, ctx->now_us, released);
	struct path_event event = {
		.kind = EVENT_NEIGHBOR_CHANGED,
		.port = port,
		.addr = ip_addr_v4(msg->sender_be),
		.mac = msg->sender_mac,
	};

	for (uint32_t i = 0; i < n; i++)
		ctx->resolved[ctx->n_resolved++] = released[i];
	if (neighbor_n_changes(ctx->neighbors) != n_changes)
		stage_event(ctx, &event);
}

/* Who may speak ARP here: hosts of the port's network and its gateway; a probe (no address yet) may. An uplink without a
 * gateway takes every address to be on its link. */
static bool is_on_link(const struct path_port *p, uint32_t addr_be)
{
	struct ip_addr addr = ip_addr_v4(addr_be);

	if (addr_be == 0 || ip_prefix_contains(&p->address, &addr))
		return true;
	return p->role == PORT_UPLINK
	       && (ip_addr_is_unset(&p->gateway) || ip_addr_equal(&p->gateway, &addr));
}

static enum drop_reason arp_from_wire(struct stage_ctx *ctx, struct rte_mbuf *pkt,
	struct pkt_meta *m, const struct arp_message *msg)
{
	const struct port *port = ctx->ports[m->in_port];
	const struct path_port *p = port_config(ctx, m->in_port);
	bool is_for_us = msg->target_be == own_be(ctx, m->in_port) && msg->target_be != 0;
	struct ip_addr sender = ip_addr_v4(msg->sender_be);
	enum drop_reason why;
	struct path_event event = {
		.kind = EVENT_ADDRESS_CONFLICT,
		.port = m->in_port,
		.addr = p->address.addr,
		.mac = msg->sender_mac,
	};

	if (msg->sender_be != 0 && msg->sender_be == own_be(ctx, m->in_port)) {
		stage_event(ctx, &event);
		return DROP_PARSE_BAD_ARP;
	}
	if (!is_on_link(p, msg->sender_be))
		return DROP_PARSE_BAD_ARP;
	why = policy_check_owner(ctx, m->in_port, &sender, &msg->sender_mac);
	if (why != DROP_NONE)
		return why;
	/* A burst that released more than fits waits for the next: nothing is lost, the sender asks again. */
	if (ctx->n_resolved + NEIGHBOR_QUEUE > BURST_ROOM)
		return DROP_NO_BUFFER;
	learn(ctx, m->in_port, msg, is_for_us);
	if (is_for_us && msg->operation == ARP_REQUEST) {
		arp_answer(ctx, pkt, m, msg, &port->mac);
		return DROP_NONE;
	}
	if (is_for_us && p->role == PORT_LAN && p->peer != PORT_NONE) {
		local_send_frame(ctx, pkt, m, p->peer);
		return DROP_NONE;
	}
	return is_for_us ? DROP_ARP_DONE : DROP_ARP_NOT_OURS;
}

void local_arp(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	struct arp_message msg;
	enum drop_reason why = arp_read(rte_pktmbuf_mtod_offset(pkt, const uint8_t *, m->l3_off),
		rte_pktmbuf_data_len(pkt) - m->l3_off, &msg);

	m->ip_octets = 0; /* not billed */
	m->flow_id = FLOW_NONE;
	if (why == DROP_NONE && port_config(ctx, m->in_port)->role == PORT_TAP)
		why = arp_from_tap(ctx, pkt, m, &msg);
	else if (why == DROP_NONE)
		why = arp_from_wire(ctx, pkt, m, &msg);
	if (why != DROP_NONE)
		stage_drop(ctx, pkt, why);
}

struct rte_mbuf *local_make_packet(struct stage_ctx *ctx)
{
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(ctx->setup->pool);

	if (pkt == NULL)
		return NULL;
	memset(stage_meta(pkt), 0, sizeof(struct pkt_meta));
	stage_meta(pkt)->flow_id = FLOW_NONE;
	stage_meta(pkt)->device_id = DEVICE_NONE;
	stage_meta(pkt)->in_port = PORT_NONE;
	stage_meta(pkt)->out_port = PORT_NONE;
	stage_meta(pkt)->rx_us = (uint32_t)ctx->now_us;
	ctx->stages[ctx->stage].made++;
	return pkt;
}

void local_arp_request(struct stage_ctx *ctx, const struct neighbor_request *request)
{
	struct rte_mbuf *pkt = local_make_packet(ctx);
	struct arp_message ask = {
		.operation = ARP_REQUEST,
		.sender_mac = ctx->ports[request->port]->mac,
		.sender_be = own_be(ctx, request->port),
		.target_mac = zero_mac,
		.target_be = request->addr_be,
	};

	if (pkt == NULL)
		return;
	arp_build(rte_pktmbuf_mtod(pkt, uint8_t *), &request->mac, &ask);
	pkt->data_len = ARP_FRAME_BYTES;
	pkt->pkt_len = ARP_FRAME_BYTES;
	stage_meta(pkt)->l3_off = ETHER_HEADER_BYTES;
	local_send_frame(ctx, pkt, stage_meta(pkt), request->port);
}

void local_icmp_error(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	uint8_t type, uint8_t code, uint32_t rest)
{
	const uint8_t *ip = stage_ip(pkt, m);
	struct icmp_error says = {
		.source_be = own_be(ctx, m->in_port), .type = type, .code = code, .rest = rest};
	struct rte_mbuf *error;
	struct pkt_meta *em;

	if (!icmp_error_allowed(ip, m)
		|| !stage_limit_take(
			&ctx->error_limit, ctx->now_us, ctx->config->icmp_errors_per_s))
		return;
	error = local_make_packet(ctx);
	if (error == NULL)
		return;
	em = stage_meta(error);
	em->ip_octets =
		icmp_error_build(rte_pktmbuf_mtod(error, uint8_t *), ip, m->ip_octets, &says);
	em->dst = m->src;
	em->proto = PROTO_ICMP;
	error->data_len = em->ip_octets;
	error->pkt_len = em->ip_octets;
	stage_aside(ctx, error, m->in_port, false);
}
