/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New flows: where a packet without a flow comes from, where it goes, and whether there is room. Here the addresses are
 * judged that an established flow has passed once and for all; the stages behind add class, verdict and mapping.
 */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/classify/classes.h>
#include <weir/flow/tcp_track.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

static bool is_lan(const struct path_port *p)
{
	return p->role == PORT_LAN;
}

static uint32_t address_be(const struct path_port *p)
{
	return p->address.addr.words[3];
}

/* One device may have a quarter as many flows as are free: devices that take all they can leave room for the next one,
 * and no flow that is there has to make room for it (RFC 6888 REQ-5, REQ-11 D). */
#define FLOW_SHARE 4
/* And of its share, half is for flows that others begin. */
#define INBOUND_SHARE 2

/* RFC 2827 on every LAN: a source must be of the LAN it came from, and not the gateway's own or a broadcast. */
static enum drop_reason check_lan_source(const struct path_port *p, const struct pkt_meta *m)
{
	uint32_t host_bits = ~ip_v4_mask(p->address.len_bits);
	uint32_t src = m->src.words[3];

	if (((src ^ address_be(p)) & ~host_bits) != 0 || !ip_addr_is_v4(&p->address.addr))
		return DROP_FLOW_SPOOFED_LAN;
	if (p->address.len_bits < 31 && ((src & host_bits) == host_bits || (src & host_bits) == 0))
		return DROP_FLOW_BROADCAST_SOURCE;
	if (is_lan(p) && src == address_be(p))
		return DROP_FLOW_SPOOFED_LAN;
	return DROP_NONE;
}

/* What arrives by an uplink. */
__attribute__((noinline)) static enum drop_reason check_uplink_addresses(
	const struct stage_ctx *ctx, const struct path_port *p, const struct pkt_meta *m)
{
	struct place from = address_place(&ctx->networks, m->src.words[3]);

	/* RFC 4787 REQ-7: where the uplink's network has a LAN's numbers, they are those of its nodes too. */
	if ((from.lan != PORT_NONE && !ip_prefix_contains(&p->address, &m->src))
		|| from.uplink != PORT_NONE)
		return DROP_FLOW_SPOOFED_UPLINK;
	if (ip_addr_equal(&m->dst, &p->address.addr))
		return DROP_NONE;
	/* An error or a fragment of a flow that is not translated; a flow none of these can begin. */
	if (classes_has_untranslated(ctx->config->classes)
		&& address_place(&ctx->networks, m->dst.words[3]).lan != PORT_NONE)
		return DROP_NONE;
	return DROP_POLICY_INBOUND; /* not even ours: the carrier leaked it, or somebody probes */
}

enum drop_reason flow_check_addresses(
	const struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	const struct path_port *p = &ctx->config->ports[m->in_port];
	enum drop_reason why = parse_check_addresses(m);

	if (why != DROP_NONE)
		return why;
	/* RFC 1812 5.3.4: sent to all stations of a link, so that every router on it would forward it. */
	if (ctx->ports[m->in_port]->framing == FRAMING_ETHERNET
		&& (*rte_pktmbuf_mtod(pkt, const uint8_t *) & 1) != 0)
		return DROP_FLOW_BROADCAST;
	return p->role == PORT_UPLINK ? check_uplink_addresses(ctx, p, m) : check_lan_source(p, m);
}

/* The first uplink that is up and has an address, or PORT_NONE. */
static uint8_t first_uplink(const struct stage_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->networks.n; i++) {
		const struct network *n = &ctx->networks.all[i];

		if (n->is_uplink && port_is_up(ctx->ports[n->port]))
			return n->port;
	}
	return PORT_NONE;
}

/* The port that leads to `to`: the uplink that is asked for itself, the LAN it is on, else an uplink. */
static uint8_t route(const struct stage_ctx *ctx, const struct place *to)
{
	if (to->uplink != PORT_NONE)
		return to->uplink;
	return to->lan != PORT_NONE ? to->lan : first_uplink(ctx);
}

/* Flows that one device may have now. A full table is told as such by take(). */
static uint32_t share_of_device(const struct stage_ctx *ctx)
{
	uint32_t n_free = ctx->flows->capacity - ctx->flows->n_flows;

	if (n_free == 0)
		return ctx->config->flows_per_device;
	return RTE_MIN(ctx->config->flows_per_device, (n_free + FLOW_SHARE - 1) / FLOW_SHARE);
}

/* RFC 6888 REQ-4 C: so many new flows a second, and a second's worth at once. */
static bool is_within_rate(struct stage_ctx *ctx, struct device *d)
{
	uint32_t per_s = ctx->config->new_flows_per_s;

	if (per_s == 0)
		return true;
	if (d->next_new_us > ctx->now_us)
		return false;
	d->next_new_us = RTE_MAX(d->next_new_us, ctx->now_us - RTE_MIN(ctx->now_us, US_PER_S))
			 + US_PER_S / per_s;
	return true;
}

/* A node of the uplink's network that has a LAN's number: its sender's LAN would not have brought the packet here. */
static uint8_t uplink_with_number(const struct stage_ctx *ctx, const struct ip_addr *dst)
{
	for (uint32_t i = 0; i < ctx->config->n_ports; i++)
		if (ctx->is_uplink[i] && port_is_up(ctx->ports[i])
			&& ip_prefix_contains(&ctx->config->ports[i].address, dst))
			return (uint8_t)i;
	return PORT_NONE;
}

void flow_tell_device(struct stage_ctx *ctx, uint16_t id)
{
	const struct device *d = &ctx->devices->devices[id];
	struct path_event event = {.kind = EVENT_DEVICE_SEEN,
		.port = d->port,
		.addr = d->addr,
		.a = id,
		.mac = d->mac};

	stage_event(ctx, &event);
}

/* Who sends, and whether he may begin another flow. `m` has his id where he is known. */
static enum drop_reason device_of(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	static const struct mac_addr none = {{0}};
	const struct mac_addr *mac = &none;
	struct device *d;

	/* An Ethernet frame's source lies behind its destination. */
	if (ctx->ports[m->in_port]->framing == FRAMING_ETHERNET)
		mac = rte_pktmbuf_mtod_offset(pkt, const struct mac_addr *, sizeof(*mac));
	if (likely(m->device_id != DEVICE_NONE)) {
		device_see(ctx->devices, m->device_id, mac, ctx->now_us);
	} else {
		m->device_id = device_take(ctx->devices, m->in_port, &m->src, mac, ctx->now_us);
		if (m->device_id == DEVICE_NONE)
			return DROP_FLOW_DEVICES_FULL;
		flow_tell_device(ctx, m->device_id);
	}
	d = &ctx->devices->devices[m->device_id];
	if (d->n_flows >= share_of_device(ctx))
		return DROP_FLOW_DEVICE_CAP;
	return is_within_rate(ctx, d) ? DROP_NONE : DROP_FLOW_DEVICE_RATE;
}

/* The device that a packet from outside is for: known, or the target of a forward that has not spoken yet. */
static enum drop_reason device_asked(
	struct stage_ctx *ctx, const struct nat_internal *who, uint16_t *ret_id)
{
	static const struct mac_addr none = {{0}};
	const struct device *d;
	uint32_t share = share_of_device(ctx);

	*ret_id = device_find(ctx->devices, who->lan_port, &who->addr);
	if (*ret_id == DEVICE_NONE) {
		*ret_id = device_take(ctx->devices, who->lan_port, &who->addr, &none, ctx->now_us);
		if (*ret_id == DEVICE_NONE)
			return DROP_FLOW_DEVICES_FULL;
		flow_tell_device(ctx, *ret_id);
	}
	d = &ctx->devices->devices[*ret_id];
	if (d->n_flows >= share || d->n_inbound >= (share + INBOUND_SHARE - 1) / INBOUND_SHARE)
		return DROP_FLOW_DEVICE_CAP;
	return DROP_NONE;
}

void flow_refuse(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, enum drop_reason why)
{
	switch ((int)why) {
	case DROP_FLOW_TABLE_FULL:
	case DROP_FLOW_DEVICE_CAP:
	case DROP_FLOW_DEVICE_RATE:
	case DROP_FLOW_DEVICES_FULL:
	case DROP_NAT_NO_PORT:
	case DROP_NAT_NO_MAPPING:
		if (!ctx->is_uplink[m->in_port])
			local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_ADMIN, 0);
		break;
	default:
		break;
	}
}

static void tell_table_full(struct stage_ctx *ctx)
{
	struct path_event event = {.kind = EVENT_FLOW_TABLE_FULL};

	if (!ctx->table_full)
		stage_event(ctx, &event);
	ctx->table_full = true;
}

/* Takes a flow and fills what the packet tells; the mapping follows in the nat stage. */
static enum drop_reason take(struct stage_ctx *ctx, struct pkt_meta *m)
{
	uint32_t id = flow_table_take(ctx->flows);
	struct device *d = &ctx->devices->devices[m->device_id];
	struct flow_more *more;
	struct flow *f;

	if (unlikely(id == FLOW_NONE)) {
		tell_table_full(ctx);
		return DROP_FLOW_TABLE_FULL;
	}
	m->flow_id = id;
	m->flags |= PKT_NEW_FLOW;
	ctx->n_new_flows++;
	f = stage_flow(ctx, m);
	more = stage_flow_more(ctx, m);
	f->proto = m->proto;
	f->device_id = m->device_id;
	f->last_ms[UPLINK] = f->last_ms[DOWNLINK] = ctx->now_ms;
	/* From here on, so that a burst cannot go over the device's cap, nor the device yield to another. */
	d->n_flows++;
	if (m->direction == DOWNLINK) {
		f->flags = FLOW_UNANSWERED;
		more->is_inbound = true;
		d->n_inbound++;
	}
	more->start_us = ctx->now_us;
	if (m->proto == PROTO_TCP)
		f->state = tcp_track_next(TCP_STATE_NONE, m->direction, m->tcp_flags);
	return DROP_NONE;
}

/* RFC 2644: the broadcast address of a LAN, or its old form, is not for routers to send to. */
static bool is_directed_broadcast(const struct path_port *p, const struct ip_addr *dst)
{
	uint32_t host_bits = ~ip_v4_mask(p->address.len_bits);
	uint32_t host = dst->words[3] & host_bits;

	return p->role != PORT_UPLINK && p->address.len_bits < 31
	       && (host == 0 || host == host_bits);
}

/* Of ICMP only a query begins a flow: redirects and the like are for one link, and have no identifier. A later fragment
 * shows no type. */
static bool is_opening_query(const struct pkt_meta *m)
{
	return m->proto != PROTO_ICMP || (m->flags & PKT_FRAGMENT_LATER) != 0
	       || icmp_is_request(m->icmp_type);
}

static enum drop_reason new_from_lan(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, const struct place *to)
{
	uint8_t out = route(ctx, to);
	enum drop_reason why;
	struct flow_more *more;
	struct flow *f;

	if (out == PORT_NONE) {
		local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_NET, 0);
		return DROP_FLOW_NO_UPLINK;
	}
	if (out == m->in_port) {
		uint8_t uplink = uplink_with_number(ctx, &m->dst);

		/* Its LAN carries it without us, unless that keeps its stations apart: then who must not come from
		 * one LAN to another must not come back into his own by us either. */
		if (uplink == PORT_NONE && !ctx->config->lan_to_lan)
			return DROP_FLOW_NO_ROUTE;
		out = uplink != PORT_NONE ? uplink : out;
	}
	if (is_directed_broadcast(&ctx->config->ports[out], &m->dst))
		return DROP_FLOW_BROADCAST;
	/* A connection whose opening was not seen (weir was restarted) is taken up from the inside alone. */
	if (m->proto == PROTO_TCP && !tcp_track_opens(m->tcp_flags)
		&& (m->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return DROP_FLOW_TCP_NO_SYN;
	if (!is_opening_query(m))
		return DROP_NAT_PROTOCOL;
	m->device_id = device_find(ctx->devices, m->in_port, &m->src);
	why = policy_admit(ctx, pkt, m, false);
	if (why != DROP_NONE)
		return why;
	why = device_of(ctx, pkt, m);
	if (why != DROP_NONE)
		return why;
	m->direction = UPLINK;
	m->out_port = out;
	why = take(ctx, m);
	if (why != DROP_NONE)
		return why;
	f = stage_flow(ctx, m);
	more = stage_flow_more(ctx, m);
	more->internal = m->src;
	more->external = m->src;
	more->remote = m->dst;
	f->internal_be = f->external_be = m->src.words[3];
	f->remote_be = m->dst.words[3];
	f->internal_port = f->external_port = m->src_port;
	f->remote_port = m->dst_port;
	f->lan_port = m->in_port;
	f->wan_port = out;
	f->flags = to->uplink != PORT_NONE ? FLOW_HAIRPIN : 0;
	return DROP_NONE;
}

/* A port that is forwarded for some sources is closed to the others, not the DMZ host's. */
static bool is_for_dmz(
	const struct nat *nat, const struct pkt_meta *m, struct nat_internal *ret_who)
{
	return !nat_find_forward(nat, m->proto, m->dst_port, NULL, false, ret_who)
	       && nat_find_forward(nat, m->proto, m->dst_port, NULL, true, ret_who);
}

/*
 * Whom a packet that arrives at the external address is for: the host that its port is forwarded to; else, RFC 4787
 * REQ-8, the one whose mapping admits the sender; else the DMZ host. `ret_mapping_id` is POOL_NONE where nat_new() has
 * to make the mapping.
 */
static enum drop_reason find_asked(struct stage_ctx *ctx, const struct pkt_meta *m, uint8_t uplink,
	struct nat_internal *ret_who, uint32_t *ret_mapping_id)
{
	struct nat *nat = ctx->nats[uplink];
	/* A hairpinned packet comes from a LAN, under the external address. */
	const struct ip_addr *remote = ctx->is_uplink[m->in_port] ? &m->src : NULL;
	const struct nat_mapping *mapping;

	*ret_mapping_id = POOL_NONE;
	if (nat_find_forward(nat, m->proto, m->dst_port, remote, false, ret_who))
		return DROP_NONE;
	*ret_mapping_id = nat_find_external(nat, m->proto, m->dst_port);
	if (*ret_mapping_id == POOL_NONE)
		return is_for_dmz(nat, m, ret_who) ? DROP_NONE : DROP_POLICY_INBOUND;
	mapping = nat_mapping(nat, *ret_mapping_id);
	*ret_who = (struct nat_internal){
		.addr = mapping->internal,
		.port = mapping->internal_port,
		.lan_port = mapping->lan_port,
	};
	if (nat_admits(nat, *ret_mapping_id, &m->src, m->src_port))
		return DROP_NONE;
	/* The DMZ host's own mapping keeps nobody from it. */
	if (is_for_dmz(nat, m, ret_who) && ip_addr_equal(&ret_who->addr, &mapping->internal)
		&& ret_who->port == mapping->internal_port)
		return DROP_NONE;
	return DROP_POLICY_FILTERED;
}

enum drop_reason flow_new_inbound(struct stage_ctx *ctx, struct pkt_meta *m, uint8_t uplink)
{
	struct nat_internal who = {0};
	uint32_t mapping_id;
	enum drop_reason why = find_asked(ctx, m, uplink, &who, &mapping_id);
	struct flow_more *more;
	struct flow *f;

	if (why != DROP_NONE)
		return why;
	if (m->proto == PROTO_TCP && !tcp_track_opens(m->tcp_flags))
		return DROP_FLOW_TCP_NO_SYN;
	if (m->proto == PROTO_ICMP && m->icmp_type != ICMP_ECHO_REPLY
		&& m->icmp_type != ICMP_TIMESTAMP_REPLY)
		/* an identifier is no port that a stranger may ask at */
		return DROP_POLICY_INBOUND;
	why = device_asked(ctx, &who, &m->device_id);
	if (why != DROP_NONE)
		return why;
	m->direction = DOWNLINK;
	m->out_port = who.lan_port;
	why = take(ctx, m);
	if (why != DROP_NONE)
		return why;
	f = stage_flow(ctx, m);
	more = stage_flow_more(ctx, m);
	more->internal = who.addr;
	more->external = m->dst;
	more->remote = m->src;
	more->mapping_id = mapping_id;
	f->internal_be = who.addr.words[3];
	f->external_be = m->dst.words[3];
	f->remote_be = m->src.words[3];
	f->internal_port = who.port;
	f->external_port = m->dst_port;
	f->remote_port = m->src_port;
	f->lan_port = who.lan_port;
	f->wan_port = uplink;
	return DROP_NONE;
}

enum drop_reason flow_new(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, const struct place *to)
{
	enum drop_reason why;

	if (ctx->is_uplink[m->in_port]) {
		if (!ip_addr_equal(&m->dst, &ctx->config->ports[m->in_port].address.addr))
			return DROP_POLICY_INBOUND;
		return flow_new_inbound(ctx, m, m->in_port);
	}
	why = new_from_lan(ctx, pkt, m, to);
	if (why != DROP_NONE)
		flow_refuse(ctx, pkt, m, why);
	return why;
}

void flow_answered(struct stage_ctx *ctx, uint32_t flow_id)
{
	struct flow *f = &ctx->flows->flows[flow_id];
	const struct flow_more *more = &ctx->flows->more[flow_id];

	/* Without room for it the next packet tries again. */
	if (nat_answer(ctx->nats[f->wan_port], more->mapping_id, &more->remote) == DROP_NONE)
		f->flags &= (uint8_t)~FLOW_UNANSWERED;
}

/* What a flow counted for on its device. */
static void leave_device(struct device *d, const struct flow_more *more)
{
	d->n_flows--;
	d->n_inbound -= more->is_inbound;
}

void flow_abandon(struct stage_ctx *ctx, struct pkt_meta *m)
{
	if ((m->flags & PKT_NEW_FLOW) == 0)
		return;
	leave_device(
		&ctx->devices->devices[stage_flow(ctx, m)->device_id], stage_flow_more(ctx, m));
	flow_table_give(ctx->flows, m->flow_id);
	m->flags &= (uint16_t)~PKT_NEW_FLOW;
	m->flow_id = FLOW_NONE;
}

void flow_expect_end(const struct stage_ctx *ctx, uint32_t flow_id)
{
	const struct flow *f = &ctx->flows->flows[flow_id];
	const struct flow_more *more = &ctx->flows->more[flow_id];

	rte_prefetch0(more);
	rte_prefetch0(flow_table_bucket(ctx->flows, more->hash[UPLINK]));
	rte_prefetch0(flow_table_bucket(ctx->flows, more->hash[DOWNLINK]));
	if (more->mapping_id != POOL_NONE)
		nat_expect(ctx->nats[f->wan_port], more->mapping_id, f->remote_be);
}

bool flow_end(struct stage_ctx *ctx, uint32_t flow_id, enum flow_end_reason why)
{
	struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	struct device *device =
		f->device_id == DEVICE_NONE ? NULL : &ctx->devices->devices[f->device_id];
	struct flow_record *record = record_ring_next(&ctx->records);

	if (record == NULL)
		return false;
	record_take(record, f, more, flow_id, device, why, ctx->now_us);
	record_ring_put(&ctx->records);
	if (more->mapping_id != POOL_NONE)
		nat_release(ctx->nats[f->wan_port], more->mapping_id, &more->remote,
			(f->flags & FLOW_UNANSWERED) == 0);
	if (device != NULL)
		leave_device(device, more);
	flow_table_remove(ctx->flows, flow_id);
	ctx->flows_ended++;
	return true;
}
