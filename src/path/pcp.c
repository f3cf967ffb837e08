/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcp.h"

#include "stage.h"

#include <weir/base/clock.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/ipv4_header.h>
#include <weir/packet/parse.h>
#include <weir/packet/pcp.h>

#include <string.h>

#define ANSWERS_PER_S                                                                              \
	200 /* of the gateway; clients ask every few minutes, and again after seconds */
#define EVENTS_PER_S    10
#define EXPIRE_LOOKS    64
#define ANNOUNCEMENTS   10                /* RFC 6887 section 14.1: so many, … */
#define ANNOUNCE_US     (250 * US_PER_MS) /* … this long apart at first, then twice as long each time */
#define ANNOUNCE_GAP_US US_PER_S          /* between two losses of state */
#define ALL_HOSTS_BE    htonl(0xe0000001)
#define HEADERS_OCTETS  (IPV4_HEADER_BYTES + UDP_HEADER_BYTES)
#define ETHER_TYPE_AT   12

static const struct mac_addr all_hosts_mac = {{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};

static void tell(void *context, const struct lease *l, enum lease_change change)
{
	struct stage_ctx *ctx = context;
	struct pcp_server *s = &ctx->pcp;
	struct path_event event = {
		.kind = change == LEASE_OPENED ? EVENT_LEASE_OPENED : EVENT_LEASE_ENDED,
		.port = l->lan_port,
		.addr = l->internal,
		.mac = l->mac,
		.proto = l->proto,
		.addr_port = l->internal_port,
		.remote_port = l->external_port,
		.a = change == LEASE_ENDED ? 0
					   : (uint32_t)((l->expires_us - ctx->now_us) / US_PER_S),
	};

	if (s->uplink != PORT_NONE)
		event.remote = ctx->config->ports[s->uplink].address.addr;
	if (!stage_limit_take(&s->event_limit, ctx->now_us, EVENTS_PER_S)) {
		s->n_silent++;
		return;
	}
	event.n_silent = s->n_silent;
	s->n_silent = 0;
	stage_event(ctx, &event);
}

int pcp_create(struct stage_ctx *ctx)
{
	ctx->pcp.uplink = PORT_NONE;
	return lease_table_create(tell, ctx, &ctx->pcp.leases);
}

void pcp_destroy(struct stage_ctx *ctx)
{
	lease_table_destroy(ctx->pcp.leases);
}

bool pcp_is_asked(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	const struct path_port *p = &ctx->config->ports[m->in_port];

	return p->pcp && m->proto == PROTO_UDP && m->dst_port == PCP_SERVER_PORT
	       && (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER | PKT_OPTIONS)) == 0
	       && ip_addr_equal(&m->dst, &p->address.addr);
}

/* The headers around `len_bytes` of message that stand behind them already. */
static void build_headers(
	uint8_t *ip, uint32_t src_be, uint32_t dst_be, uint16_t dst_port, uint16_t len_bytes)
{
	uint16_t total = (uint16_t)(HEADERS_OCTETS + len_bytes);
	uint8_t *udp = ip + IPV4_HEADER_BYTES;
	uint16_t checksum;

	ipv4_header_build(ip, &(struct ipv4_header){.src_be = src_be,
				      .dst_be = dst_be,
				      .total_octets = total,
				      .proto = PROTO_UDP});
	store_be16(udp, PCP_SERVER_PORT);
	store_be16(udp + 2, dst_port);
	store_be16(udp + 4, (uint16_t)(UDP_HEADER_BYTES + len_bytes));
	store16(udp + 6, 0);
	checksum = checksum_l4_v4(ip, total);
	store16(udp + 6, checksum == 0 ? 0xffff : checksum);
}

/* pcp_is_asked() lets no options through. */
static const uint8_t *udp_of(struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	return stage_ip(pkt, m) + IPV4_HEADER_BYTES;
}

/* The address of the LAN itself is no host's, and nor is its old broadcast address. */
static bool is_host(const struct path_port *p, const struct ip_addr *addr)
{
	return p->address.len_bits >= 31
	       || (addr->words[3] & ~ip_v4_mask(p->address.len_bits)) != 0;
}

static struct lease_client client_of(
	const struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct lease_client c = {.addr = m->src, .lan_port = m->in_port};

	/* An Ethernet frame's source lies behind its destination. */
	if (ctx->ports[m->in_port]->framing == FRAMING_ETHERNET)
		c.mac = *rte_pktmbuf_mtod_offset(
			pkt, const struct mac_addr *, sizeof(struct mac_addr));
	return c;
}

/* Whom to believe: a host of the LAN that is admitted, with a datagram that came whole. */
static enum drop_reason check(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	const struct lease_client *client)
{
	if (!is_host(&ctx->config->ports[m->in_port], &m->src))
		return DROP_FLOW_BROADCAST_SOURCE;
	if (policy_quarantines(ctx, &client->mac, &client->addr))
		return DROP_POLICY_QUARANTINED;
	if (m->src_port == 0
		|| (load16(udp_of(pkt, m) + 6) != 0
			&& checksum_l4_v4(stage_ip(pkt, m), m->ip_octets) != 0))
		return DROP_LOCAL_PCP_UNANSWERED;
	return DROP_NONE;
}

/* Puts the answer in the place of the request. */
static enum drop_reason turn(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m,
	const uint8_t *answer, uint16_t len_bytes)
{
	uint32_t end = (uint32_t)m->l3_off + HEADERS_OCTETS + len_bytes;

	if (end > (uint32_t)pkt->buf_len - pkt->data_off)
		return DROP_LOCAL_PCP_UNANSWERED;
	memcpy(stage_ip(pkt, m) + HEADERS_OCTETS, answer, len_bytes);
	build_headers(stage_ip(pkt, m), m->dst.words[3], m->src.words[3], m->src_port, len_bytes);
	pkt->data_len = (uint16_t)end;
	pkt->pkt_len = end;
	m->ip_octets = (uint16_t)(HEADERS_OCTETS + len_bytes);
	stage_aside(ctx, pkt, m->in_port, false);
	return DROP_NONE;
}

static bool is_uplink_up(const struct stage_ctx *ctx)
{
	return ctx->pcp.uplink != PORT_NONE && port_is_up(ctx->ports[ctx->pcp.uplink]);
}

enum drop_reason pcp_answer(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	struct pcp_server *s = &ctx->pcp;
	const uint8_t *udp = udp_of(pkt, m);
	const uint8_t *message = udp + UDP_HEADER_BYTES;
	uint32_t len_bytes = load_be16(udp + 4) - (uint32_t)UDP_HEADER_BYTES;
	struct lease_client client = client_of(ctx, pkt, m);
	enum drop_reason why = check(ctx, pkt, m, &client);
	uint8_t answer[PCP_MESSAGE_MAX];
	struct pcp_request request;
	struct pcp_reply reply;
	enum pcp_result result;

	if (why != DROP_NONE)
		return why;
	if (!pcp_read(message, len_bytes, &m->src, &request, &result))
		return DROP_LOCAL_PCP_UNANSWERED;
	if (!stage_limit_take(&s->answer_limit, ctx->now_us, ANSWERS_PER_S))
		return DROP_LOCAL_PCP_LIMIT;
	if (result == PCP_SUCCESS)
		lease_table_answer(
			s->leases, &request, &client, is_uplink_up(ctx), ctx->now_us, &reply);
	else
		reply = (struct pcp_reply){.result = result,
			.lifetime_s = pcp_error_lifetime_s(result),
			.epoch_s = lease_table_epoch_s(s->leases, ctx->now_us)};
	return turn(ctx, pkt, m, answer, pcp_build(answer, message, len_bytes, &request, &reply));
}

/* The uplink that new flows take. */
static uint8_t first_uplink(const struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		if (ctx->is_uplink[i] && port_is_up(ctx->ports[i])
			&& !ip_addr_is_unset(&ctx->config->ports[i].address.addr))
			return (uint8_t)i;
	return PORT_NONE;
}

/* All leases have ended: hosts are told, since theirs lead nowhere now (section 8.5). */
static void begin(struct stage_ctx *ctx, uint8_t uplink)
{
	struct pcp_server *s = &ctx->pcp;
	static const struct ip_addr none;
	bool has_uplink = uplink != PORT_NONE;

	lease_table_begin(s->leases, has_uplink ? ctx->nats[uplink] : NULL,
		has_uplink ? &ctx->config->ports[uplink].address.addr : &none, ctx->now_us);
	s->uplink = uplink;
	s->n_announced = 0;
	/* An uplink that comes and goes is no reason to flood the LANs. */
	s->announce_us = RTE_MAX(ctx->now_us, s->announced_us + ANNOUNCE_GAP_US);
}

void pcp_end(struct stage_ctx *ctx)
{
	if (ctx->pcp.leases != NULL)
		begin(ctx, PORT_NONE);
}

/* The configuration has the last word: over the port, the host and its LAN. */
static bool is_allowed(const struct stage_ctx *ctx, const struct lease *l)
{
	const struct nat *nat = ctx->nats[ctx->pcp.uplink];

	return ctx->config->ports[l->lan_port].pcp
	       && !nat_is_forwarded(nat, l->proto, l->external_port)
	       && !policy_quarantines(ctx, &l->mac, &l->internal);
}

void pcp_adopt(struct stage_ctx *ctx)
{
	struct pcp_server *s = &ctx->pcp;
	bool was_on = s->is_on;

	s->is_on = false;
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		s->is_on |= ctx->config->ports[i].role == PORT_LAN && ctx->config->ports[i].pcp;
	lease_table_set_limits(s->leases, &ctx->config->pcp);
	if (s->is_on != was_on)
		begin(ctx, PORT_NONE);
	for (uint16_t id = 0; id < NAT_PINS_MAX && lease_table_n(s->leases) > 0; id++)
		if (lease_at(s->leases, id)->in_use && !is_allowed(ctx, lease_at(s->leases, id)))
			lease_table_end(s->leases, id);
}

/* To all hosts of a LAN, from the gateway's address there. */
static void announce_on(
	struct stage_ctx *ctx, uint8_t port, const uint8_t *message, uint16_t len_bytes)
{
	bool is_ethernet = ctx->ports[port]->framing == FRAMING_ETHERNET;
	uint8_t l3_off = is_ethernet ? ETHERNET_HEADER_BYTES : 0;
	struct rte_mbuf *pkt = local_make_packet(ctx);
	struct pkt_meta *m;
	uint8_t *frame;

	if (pkt == NULL)
		return;
	m = stage_meta(pkt);
	m->l3_off = l3_off;
	m->l4_off = (uint8_t)(l3_off + IPV4_HEADER_BYTES);
	m->ip_octets = (uint16_t)(HEADERS_OCTETS + len_bytes);
	pkt->data_len = (uint16_t)(l3_off + m->ip_octets);
	pkt->pkt_len = pkt->data_len;
	frame = rte_pktmbuf_mtod(pkt, uint8_t *);
	memcpy(frame + l3_off + HEADERS_OCTETS, message, len_bytes);
	build_headers(frame + l3_off, ctx->config->ports[port].address.addr.words[3], ALL_HOSTS_BE,
		PCP_CLIENT_PORT, len_bytes);
	if (!is_ethernet) {
		stage_aside(ctx, pkt, port, false);
		return;
	}
	memcpy(frame, &all_hosts_mac, sizeof(all_hosts_mac));
	memcpy(frame + sizeof(all_hosts_mac), &ctx->ports[port]->mac, sizeof(all_hosts_mac));
	store_be16(frame + ETHER_TYPE_AT, ETHERTYPE_IPV4);
	local_send_frame(ctx, pkt, m, port);
}

static void announce(struct stage_ctx *ctx)
{
	struct pcp_server *s = &ctx->pcp;
	uint32_t epoch_s = lease_table_epoch_s(s->leases, ctx->now_us);
	uint8_t pcp[PCP_ANNOUNCEMENT_BYTES];
	uint8_t nat_pmp[NAT_PMP_ADDRESS_BYTES];

	if (s->uplink == PORT_NONE || s->n_announced == ANNOUNCEMENTS
		|| ctx->now_us < s->announce_us)
		return;
	pcp_build_announcement(pcp, epoch_s);
	pcp_build_address(nat_pmp, epoch_s, &ctx->config->ports[s->uplink].address.addr);
	ctx->stage = STAGE_flow;
	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		if (!ctx->config->ports[i].pcp || !port_is_up(ctx->ports[i]))
			continue;
		announce_on(ctx, (uint8_t)i, pcp, sizeof(pcp));
		announce_on(ctx, (uint8_t)i, nat_pmp, sizeof(nat_pmp));
	}
	s->announce_us = ctx->now_us + (ANNOUNCE_US << s->n_announced);
	s->announced_us = ctx->now_us;
	s->n_announced++;
}

void pcp_run(struct stage_ctx *ctx)
{
	struct pcp_server *s = &ctx->pcp;
	uint8_t uplink;

	if (!s->is_on)
		return;
	/* While none is up, the one there was is waited for: its leases are good again with it. */
	uplink = first_uplink(ctx);
	if (uplink != PORT_NONE && uplink != s->uplink)
		begin(ctx, uplink);
	lease_table_expire(s->leases, ctx->now_us, EXPIRE_LOOKS);
	announce(ctx);
}

bool pcp_is_waiting(const struct stage_ctx *ctx)
{
	const struct pcp_server *s = &ctx->pcp;

	return s->is_on
	       && (lease_table_n(s->leases) > 0
		       || (s->uplink != PORT_NONE && s->n_announced < ANNOUNCEMENTS));
}
