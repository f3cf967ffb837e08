/* SPDX-License-Identifier: BSD-3-Clause */
#include "address_map.h"

#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>
#include <weir/packet/rewrite.h>
#include <weir/port/sides.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ETHERNET_HEADER = 14,
	VLAN_TAG = 4,
	IPV4_HEADER_MIN = 20,
	IPV6_HEADER = 40,
	ICMP_QUOTE_OFFSET = 8,
	L4_LOOK = 4,   /* ports, or type and code */
	TCP_LOOK = 14, /* to the flags */
	SYSTEM_PORTS = 1024
};

/* The ports of one role, as each packet asks for them. */
struct port_list {
	uint32_t n;
	uint8_t ids[PORTS_MAX];
	struct ip_addr addrs[PORTS_MAX];
	uint32_t masks_be[PORTS_MAX]; /* of an IPv4 prefix */
};

struct sides {
	struct sides_params params;
	struct port_list lans;
	struct port_list uplinks;
	struct address_map
		*map; /* pairs → who spoke first; captured address → host; entered address → host */
	struct sides_host *hosts;
	uint32_t n_hosts;
	uint32_t hosts_capacity;
	/* of lans: host number within it, counting down; 0: none is left */
	uint32_t next_substitute[PORTS_MAX];
	uint64_t n_padded;
	uint64_t n_lengths_finished;
	uint64_t n_checksums_finished;
};

static const struct ip_addr no_addr;

/* Ports with an IPv4 address: without one nothing can be put on them. */
static void list_ports(const struct sides_params *params, enum sides_role role, struct port_list *l)
{
	for (uint8_t i = 0; i < PORTS_MAX; i++) {
		const struct sides_port *p = &params->ports[i];

		if (p->role != role || !ip_addr_is_v4(&p->address.addr))
			continue;
		l->ids[l->n] = i;
		l->addrs[l->n] = p->address.addr;
		l->masks_be[l->n++] = ip_v4_mask(p->address.len_bits);
	}
}

static uint32_t lan_host_mask(const struct sides_port *lan)
{
	return ~ntohl(ip_v4_mask(lan->address.len_bits));
}

static uint8_t lan_of(const struct sides *s, const struct ip_addr *addr)
{
	const struct port_list *l = &s->lans;

	if (!ip_addr_is_v4(addr))
		return PORT_NONE;
	for (uint32_t i = 0; i < l->n; i++)
		if (((addr->words[3] ^ l->addrs[i].words[3]) & l->masks_be[i]) == 0)
			return l->ids[i];
	return PORT_NONE;
}

static uint8_t port_with_address(const struct port_list *l, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (ip_addr_equal(&l->addrs[i], addr))
			return l->ids[i];
	return PORT_NONE;
}

int sides_create(const struct sides_params *params, struct sides **ret_sides)
{
	struct sides *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	if (s == NULL)
		return rc;
	s->params = *params;
	list_ports(params, SIDES_LAN, &s->lans);
	list_ports(params, SIDES_UPLINK, &s->uplinks);
	if (s->lans.n == 0 || s->uplinks.n == 0) {
		rc = -EINVAL;
		goto err_sides;
	}
	for (uint8_t i = 0; i < PORTS_MAX; i++)
		if (params->ports[i].role == SIDES_LAN
			&& ip_addr_is_v4(&params->ports[i].address.addr)
			&& lan_host_mask(&params->ports[i]) > 0)
			s->next_substitute[i] =
				lan_host_mask(&params->ports[i]) - 1; /* the highest is broadcast */
	rc = address_map_create(params->seed, &s->map);
	if (rc != 0)
		goto err_sides;
	*ret_sides = s;
	return 0;

err_sides:
	free(s);
	return rc;
}

void sides_destroy(struct sides *s)
{
	if (s == NULL)
		return;
	address_map_destroy(s->map);
	free(s->hosts);
	free(s);
}

/* ---- LAN hosts and their addresses ---- */

/* An address of a LAN that no host has: 0 and the address, or -ENOSPC. */
static int substitute_find(struct sides *s, uint8_t *ret_port, struct ip_addr *ret_addr)
{
	for (uint32_t i = 0; i < s->lans.n; i++) {
		const struct sides_port *lan = &s->params.ports[s->lans.ids[i]];

		while (s->next_substitute[i] > 0) {
			uint32_t mask = lan_host_mask(lan);
			uint32_t net = ip_addr_v4_host(&lan->address.addr) & ~mask;
			struct ip_addr addr = ip_addr_v4(htonl(net | s->next_substitute[i]--));
			uint32_t *taken = address_map_find(s->map, &no_addr, &addr);

			if (taken != NULL || ip_addr_equal(&addr, &lan->address.addr))
				continue;
			*ret_port = s->lans.ids[i];
			*ret_addr = addr;
			return 0;
		}
	}
	return -ENOSPC;
}

static enum sides_verdict host_enter(
	struct sides *s, const struct sides_host *host, uint32_t *ret_index)
{
	if (s->n_hosts == s->hosts_capacity) {
		uint32_t capacity = s->hosts_capacity == 0 ? 64 : s->hosts_capacity * 2;
		struct sides_host *hosts = reallocarray(s->hosts, capacity, sizeof(*hosts));

		if (hosts == NULL)
			return SIDES_NO_MEMORY;
		s->hosts = hosts;
		s->hosts_capacity = capacity;
	}
	if (address_map_add(s->map, &host->captured, &no_addr, s->n_hosts) != 0
		|| address_map_add(s->map, &no_addr, &host->entered, s->n_hosts) != 0)
		return SIDES_NO_MEMORY;
	s->hosts[s->n_hosts] = *host;
	*ret_index = s->n_hosts++;
	return SIDES_ENTERS;
}

/* The LAN host behind a captured address, entered now where it is new. */
static enum sides_verdict host_take(
	struct sides *s, const struct ip_addr *captured, uint32_t *ret_index)
{
	const uint32_t *known = address_map_find(s->map, captured, &no_addr);
	struct sides_host host = {
		.captured = *captured, .entered = *captured, .port = lan_of(s, captured)};

	if (known != NULL) {
		*ret_index = *known;
		return SIDES_ENTERS;
	}
	if (host.port == PORT_NONE || address_map_find(s->map, &no_addr, captured) != NULL)
		if (substitute_find(s, &host.port, &host.entered) != 0)
			return SIDES_NO_SUBSTITUTE;
	return host_enter(s, &host, ret_index);
}

/* ---- who is on which side ---- */

static bool is_group_v4(const struct ip_addr *a)
{
	return ip_addr_is_v4(a) && ip_addr_v4_host(a) >> 28 >= 0xe;
}

static bool is_group_v6(const struct ip_addr *a)
{
	return !ip_addr_is_v4(a) && a->bytes[0] == 0xff;
}

/* True when the address cannot be a host's: the path has a reason for each. */
static bool is_no_host(const struct ip_addr *a)
{
	uint32_t v4;

	if (!ip_addr_is_v4(a))
		return ip_addr_is_unset(a) || is_group_v6(a);
	v4 = ip_addr_v4_host(a);
	return v4 >> 24 == 0 || v4 >> 24 == 127 || v4 >> 28 >= 0xe;
}

/* True when the address is the gateway's on one of its uplinks or within a LAN. */
static bool is_inside(const struct sides *s, const struct ip_addr *a)
{
	return lan_of(s, a) != PORT_NONE || port_with_address(&s->uplinks, a) != PORT_NONE;
}

/* True for addresses that are used behind gateways alone: RFC 1918, 6598, 3927; 4193 and 4291 in IPv6. */
static bool is_private(const struct ip_addr *a)
{
	uint32_t v4;

	if (!ip_addr_is_v4(a))
		return (a->bytes[0] & 0xfe) == 0xfc
		       || (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
	v4 = ip_addr_v4_host(a);
	return v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 || v4 >> 22 == 0x191
	       || v4 >> 16 == 0xa9fe;
}

/* Where the L4 header of an unfragmented packet begins, and its protocol; 0 when fewer than `need` bytes of it are there. */
static uint32_t l4_offset(const struct capture_packet *p, uint32_t need, uint8_t *ret_proto)
{
	uint32_t at = IPV6_HEADER;

	if (p->ether_type == ETHER_TYPE_IPV4) {
		if (p->len_bytes < IPV4_HEADER_MIN
			|| ((p->data[6] & 0x3f) | p->data[7]) != 0) /* MF or an offset */
			return 0;
		at = (uint32_t)(p->data[0] & 0xf) * 4;
		*ret_proto = p->data[9];
	} else if (p->len_bytes >= IPV6_HEADER) {
		*ret_proto = p->data[6];
	}
	return at >= IPV4_HEADER_MIN && at + need <= p->len_bytes ? at : 0;
}

/*
 * True when the packet by itself tells that its destination has spoken before, as where a capture begins in the middle of a
 * conversation: a SYN-ACK, an echo reply, or what a server sends from a system port (RFC 6335) to one that is none.
 */
static bool is_answer(const struct capture_packet *p)
{
	uint8_t proto = 0;
	uint32_t at = l4_offset(p, L4_LOOK, &proto);
	const uint8_t *l4 = p->data + at;
	uint8_t flags;

	if (at == 0)
		return false;
	if (proto == PROTO_ICMP && p->ether_type == ETHER_TYPE_IPV4)
		return l4[0] == ICMP_ECHO_REPLY;
	if (proto == PROTO_TCP && at + TCP_LOOK <= p->len_bytes) {
		flags = l4[13] & (TCP_SYN | TCP_ACK);
		if ((flags & TCP_SYN) != 0)
			return (flags & TCP_ACK) != 0;
	}
	return (proto == PROTO_TCP || proto == PROTO_UDP) && load_be16(l4) < SYSTEM_PORTS
	       && load_be16(l4 + 2) >= SYSTEM_PORTS;
}

/* Who spoke first between two addresses of no LAN: 1 when `src` did, 0 when `dst` did, -ENOENT when it is not known, -ENOMEM.
 * `p`, where it is not NULL, is judged when it is their first, and what it says is remembered. */
static int spoke_first(struct sides *s, const struct ip_addr *src, const struct ip_addr *dst,
	const struct capture_packet *p)
{
	bool in_order = memcmp(src, dst, sizeof(*src)) < 0;
	const struct ip_addr *low = in_order ? src : dst;
	const struct ip_addr *high = in_order ? dst : src;
	const uint32_t *low_was_first = address_map_find(s->map, low, high);
	bool src_was_first;

	if (low_was_first != NULL)
		return *low_was_first == in_order;
	if (p == NULL)
		return -ENOENT;
	src_was_first = !is_answer(p);
	return address_map_add(s->map, low, high, src_was_first == in_order) == 0 ? src_was_first
										  : -ENOMEM;
}

/* 1 when the packet comes from a LAN, 0 from outside, or an error of spoke_first. */
static int comes_from_lan(struct sides *s, const struct ip_addr *src, const struct ip_addr *dst,
	const struct capture_packet *p)
{
	bool src_inside = is_inside(s, src);
	bool dst_inside = is_inside(s, dst);
	bool src_private;

	if (src_inside || dst_inside)
		return src_inside;
	if (is_no_host(dst))
		return 1;
	src_private = is_private(src);
	if (src_private != is_private(dst))
		return src_private;
	return spoke_first(s, src, dst, p);
}

/* Source and destination of an IP header; false when it is too short for them. */
static bool read_addresses(uint16_t ether_type, const uint8_t *ip, uint32_t len_bytes,
	struct ip_addr *ret_src, struct ip_addr *ret_dst)
{
	uint32_t v4[2];

	if (ether_type == ETHER_TYPE_IPV6 && len_bytes >= IPV6_HEADER) {
		memcpy(ret_src, ip + 8, sizeof(*ret_src));
		memcpy(ret_dst, ip + 24, sizeof(*ret_dst));
		return true;
	}
	if (ether_type != ETHER_TYPE_IPV4 || len_bytes < IPV4_HEADER_MIN)
		return false;
	memcpy(v4, ip + 12, sizeof(v4));
	*ret_src = ip_addr_v4(v4[0]);
	*ret_dst = ip_addr_v4(v4[1]);
	return true;
}

/* Addresses of the packet that an IPv4 ICMP error quotes; false when it is none. */
static bool read_quoted_addresses(
	const struct capture_packet *p, struct ip_addr *ret_src, struct ip_addr *ret_dst)
{
	uint32_t header = (uint32_t)(p->data[0] & 0xf) * 4;
	uint32_t quote = header + ICMP_QUOTE_OFFSET;
	uint8_t type;

	if (p->ether_type != ETHER_TYPE_IPV4 || header < IPV4_HEADER_MIN || p->len_bytes < quote)
		return false;
	if (p->data[9] != PROTO_ICMP || ((p->data[6] & 0x1f) | p->data[7]) != 0)
		return false;
	type = p->data[header];
	if (type != ICMP_UNREACHABLE && type != ICMP_TIME_EXCEEDED
		&& type != ICMP_PARAMETER_PROBLEM)
		return false;
	return read_addresses(
		ETHER_TYPE_IPV4, p->data + quote, p->len_bytes - quote, ret_src, ret_dst);
}

/* As comes_from_lan, for a whole packet: an ICMP error travels against the packet it quotes, and may come from a router that
 * has never spoken before. */
static int packet_comes_from_lan(struct sides *s, const struct capture_packet *p,
	const struct ip_addr *src, const struct ip_addr *dst)
{
	struct ip_addr quoted_src;
	struct ip_addr quoted_dst;

	if (lan_of(s, src) == PORT_NONE && read_quoted_addresses(p, &quoted_src, &quoted_dst)) {
		int quoted = comes_from_lan(s, &quoted_src, &quoted_dst, NULL);

		if (quoted >= 0)
			return !quoted;
	}
	return comes_from_lan(s, src, dst, p);
}

static enum sides_verdict route_from_lan(struct sides *s, const struct ip_addr *src,
	const struct ip_addr *dst, struct sides_route *route)
{
	uint32_t host;
	enum sides_verdict v = host_take(s, src, &host);

	if (v != SIDES_ENTERS)
		return v;
	route->port = s->hosts[host].port;
	route->src = s->hosts[host].entered;
	route->dst = *dst;
	if (lan_of(s, dst) == PORT_NONE || is_no_host(dst)
		|| port_with_address(&s->lans, dst) != PORT_NONE)
		return SIDES_ENTERS;
	v = host_take(s, dst, &host);
	if (v == SIDES_ENTERS)
		route->dst = s->hosts[host].entered;
	return v;
}

static void route_from_outside(struct sides *s, const struct ip_addr *src,
	const struct ip_addr *dst, struct sides_route *route)
{
	uint8_t addressed = port_with_address(&s->uplinks, dst);
	const uint32_t *host = address_map_find(s->map, dst, &no_addr);

	route->is_downlink = true;
	route->port = addressed != PORT_NONE ? addressed : s->uplinks.ids[0];
	route->src = *src;
	route->dst = no_addr;
	if (host != NULL)
		route->dst = s->hosts[*host].entered;
	else if (lan_of(s, dst) != PORT_NONE)
		route->dst = *dst;
}

enum sides_verdict sides_route(
	struct sides *s, const struct capture_packet *packet, struct sides_route *ret_route)
{
	struct sides_route route = {.port = s->lans.ids[0]};
	struct ip_addr src;
	struct ip_addr dst;
	enum sides_verdict v = SIDES_ENTERS;

	if (!read_addresses(packet->ether_type, packet->data, packet->len_bytes, &src, &dst)
		|| is_no_host(&src)) {
		*ret_route = route;
		return SIDES_ENTERS;
	}
	if (port_with_address(&s->lans, &src) != PORT_NONE)
		return SIDES_FROM_GATEWAY;
	switch (packet_comes_from_lan(s, packet, &src, &dst)) {
	case 0:
		route_from_outside(s, &src, &dst, &route);
		break;
	case 1:
		/* IPv6 is not translated, so its hosts need no address of a LAN. */
		if (packet->ether_type == ETHER_TYPE_IPV4)
			v = route_from_lan(s, &src, &dst, &route);
		break;
	default:
		return SIDES_NO_MEMORY;
	}
	if (v != SIDES_ENTERS)
		return v;
	route.is_ipv4 = packet->ether_type == ETHER_TYPE_IPV4;
	*ret_route = route;
	return SIDES_ENTERS;
}

/* ---- the frame that enters ---- */

static struct mac_addr made_up_mac(const struct ip_addr *a)
{
	struct mac_addr mac = {{0x02, 0x00, 0, 0, 0, 0}};

	memcpy(mac.bytes + 2, a->bytes + 12, 4);
	return mac;
}

/* True when an IPv4 address is one of the port's network. */
static bool is_within(const struct sides_port *port, const struct ip_addr *a)
{
	return ip_addr_is_v4(a)
	       && ((a->words[3] ^ port->address.addr.words[3]) & ip_v4_mask(port->address.len_bits))
			  == 0;
}

static bool is_lan_broadcast(const struct sides_port *lan, const struct ip_addr *a)
{
	return is_within(lan, a) && (ip_addr_v4_host(a) & lan_host_mask(lan)) == lan_host_mask(lan);
}

/* To a neighbour as captured; through the gateway to the gateway's own MAC. */
static struct mac_addr lan_dst_mac(
	const struct sides *s, const struct capture_packet *p, const struct sides_route *route)
{
	static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	const struct sides_port *lan = &s->params.ports[route->port];
	const struct ip_addr *dst = &route->dst;

	if (!route->is_ipv4) {
		bool is_ip = p->ether_type == ETHER_TYPE_IPV4 || p->ether_type == ETHER_TYPE_IPV6;
		bool is_group = (p->dst_mac.bytes[0] & 1) != 0;

		if (p->has_dst_mac && (is_group || !is_ip))
			return p->dst_mac;
		return is_ip ? lan->mac : broadcast;
	}
	if (is_group_v4(dst) && ip_addr_v4_host(dst) >> 28 == 0xe) {
		struct mac_addr group = {
			{0x01, 0x00, 0x5e, dst->bytes[13] & 0x7f, dst->bytes[14], dst->bytes[15]}};

		return group;
	}
	if (is_group_v4(dst) || is_lan_broadcast(lan, dst))
		return broadcast;
	if (!is_within(lan, dst) || ip_addr_equal(dst, &lan->address.addr))
		return lan->mac;
	return p->has_dst_mac ? p->dst_mac : made_up_mac(dst);
}

static struct mac_addr frame_src_mac(
	const struct sides *s, const struct capture_packet *p, const struct sides_route *route)
{
	if (route->is_downlink) /* the next hop of an Ethernet uplink; any MAC but the port's own will do */
		return made_up_mac(&s->params.ports[route->port].address.addr);
	if (p->has_src_mac && (p->src_mac.bytes[0] & 1) == 0)
		return p->src_mac;
	return made_up_mac(&route->src);
}

/* Length of the link-layer header that a frame for the route's port has. */
static uint32_t link_bytes(const struct sides *s, const struct sides_route *route)
{
	const struct sides_port *port = &s->params.ports[route->port];

	if (port->framing != FRAMING_ETHERNET)
		return 0;
	return port->vlan != 0 ? ETHERNET_HEADER + VLAN_TAG : ETHERNET_HEADER;
}

static void write_link_header(const struct sides *s, const struct capture_packet *p,
	const struct sides_route *route, uint8_t *frame)
{
	const struct sides_port *port = &s->params.ports[route->port];
	struct mac_addr src = frame_src_mac(s, p, route);
	struct mac_addr dst = route->is_downlink ? port->mac : lan_dst_mac(s, p, route);
	uint8_t *at = frame;

	memcpy(at, &dst, sizeof(dst));
	memcpy(at + 6, &src, sizeof(src));
	at += 12;
	if (port->vlan != 0) {
		store_be16(at, ETHER_TYPE_VLAN);
		store_be16(at + 2, port->vlan);
		at += VLAN_TAG;
	}
	store_be16(at, p->ether_type);
}

/* What segmentation offload leaves to the card: an IP length of zero, as in Windows' and some old drivers' captures. The frame
 * is as long as the packet, since super-frames need no padding. */
static void finish_length(struct sides *s, uint8_t *ip, uint32_t len_bytes)
{
	uint32_t header = (uint32_t)(ip[0] & 0xf) * 4;
	bool is_offloaded = ip[9] == PROTO_TCP || ip[9] == PROTO_UDP;
	uint16_t checksum;

	if (load_be16(ip + 2) != 0 || !is_offloaded || ip[0] >> 4 != 4 || header < IPV4_HEADER_MIN
		|| header > len_bytes)
		return;
	store_be16(ip + 2, (uint16_t)len_bytes);
	memset(ip + 10, 0, sizeof(checksum));
	checksum = checksum_of(ip, header);
	memcpy(ip + 10, &checksum, sizeof(checksum));
	s->n_lengths_finished++;
}

/* And a zero header checksum. */
static enum drop_reason parse_finished(
	struct sides *s, uint8_t *ip, uint32_t len_bytes, struct pkt_meta *m)
{
	enum drop_reason why = parse_ipv4(ip, len_bytes, m);
	uint16_t checksum;

	if (why != DROP_PARSE_BAD_CHECKSUM || ip[10] != 0 || ip[11] != 0)
		return why;
	checksum = checksum_of(ip, (size_t)(ip[0] & 0xf) * 4);
	memcpy(ip + 10, &checksum, sizeof(checksum));
	s->n_checksums_finished++;
	return parse_ipv4(ip, len_bytes, m);
}

/*
 * And a TCP or UDP checksum over the pseudo header alone. Where a finished checksum happens to look like that, it is computed
 * anew and comes out as it was.
 */
static void finish_l4_checksum(struct sides *s, uint8_t *ip, const struct pkt_meta *m)
{
	uint32_t header = (uint32_t)(ip[0] & 0xf) * 4;
	uint32_t at = m->l4_off + (m->proto == PROTO_TCP ? 16u : 6u);
	uint16_t words[2] = {htons(m->proto), htons((uint16_t)(m->ip_octets - header))};
	uint16_t checksum;

	if (m->l4_off == 0 || (m->flags & PKT_FRAGMENT_FIRST) != 0)
		return;
	if (m->proto != PROTO_TCP && m->proto != PROTO_UDP)
		return;
	memcpy(&checksum, ip + at, sizeof(checksum));
	if (checksum == 0
		|| checksum != checksum_fold(checksum_sum(ip + 12, 8) + words[0] + words[1]))
		return;
	memset(ip + at, 0, sizeof(checksum));
	checksum = checksum_l4_v4(ip, m->ip_octets);
	memcpy(ip + at, &checksum, sizeof(checksum));
	s->n_checksums_finished++;
}

/* The L4 header where it has to change: TCP and UDP checksums cover the addresses, ICMP's does not, and only queries
 * have the identifier that stands for a port. */
static uint8_t *l4_of(uint8_t *ip, const struct pkt_meta *m, bool port_changes)
{
	bool changes = m->proto == PROTO_TCP || m->proto == PROTO_UDP
		       || (m->proto == PROTO_ICMP && port_changes);

	return m->l4_off != 0 && changes ? ip + m->l4_off : NULL;
}

/* Puts an endpoint in, at the source or the destination. */
static void put_endpoint(uint8_t *ip, const struct pkt_meta *m, bool is_source,
	const struct ip_addr *addr, uint16_t port)
{
	const struct ip_addr *old_addr = is_source ? &m->src : &m->dst;
	uint16_t old_port = is_source ? m->src_port : m->dst_port;
	uint8_t *l4 = l4_of(ip, m, old_port != port);
	struct rewrite r;

	if (ip_addr_equal(old_addr, addr) && old_port == port)
		return;
	r = rewrite_prepare(
		m->proto, old_addr->words[3], htons(old_port), addr->words[3], htons(port));
	if (is_source)
		rewrite_source(ip, l4, &r);
	else
		rewrite_destination(ip, l4, &r);
}

/* Puts another endpoint into the packet that an ICMP error quotes. */
static void put_quoted_endpoint(uint8_t *ip, const struct pkt_meta *m, const struct pkt_meta *quote,
	bool is_source, const struct ip_addr *addr, uint16_t port)
{
	const struct ip_addr *old_addr = is_source ? &quote->src : &quote->dst;
	uint16_t old_port = is_source ? quote->src_port : quote->dst_port;
	struct rewrite r;

	if (ip_addr_equal(old_addr, addr) && old_port == port)
		return;
	r = rewrite_prepare(
		quote->proto, old_addr->words[3], htons(old_port), addr->words[3], htons(port));
	icmp_error_rewrite_quote(ip, m->ip_octets, quote, &r, is_source);
}

/* A LAN host's packet: substitutes for its own and, between LANs, the other's address. */
static void enter_lan(
	struct sides *s, uint8_t *ip, const struct pkt_meta *m, const struct sides_route *route)
{
	struct pkt_meta quote;
	struct pkt_meta after = *m;

	if ((m->flags & PKT_ICMP_ERROR) != 0
		&& icmp_error_quote(ip, m->ip_octets, &quote) == DROP_NONE) {
		const uint32_t *host = address_map_find(s->map, &quote.dst, &no_addr);

		if (host != NULL)
			put_quoted_endpoint(
				ip, m, &quote, false, &s->hosts[*host].entered, quote.dst_port);
	}
	put_endpoint(ip, m, true, &route->src, m->src_port);
	after.src = route->src;
	put_endpoint(ip, &after, false, &route->dst, m->dst_port);
}

/* The external endpoint of a LAN host's; without a mapping the uplink's address and the same port, as a stranger
 * would have to address it. */
static void find_external(struct sides *s, const struct sides_route *route,
	const struct sides_conversation *c, struct ip_addr *ret_external, uint16_t *ret_port)
{
	*ret_external = s->params.ports[route->port].address.addr;
	*ret_port = c->internal_port;
	if (!ip_addr_is_unset(&c->internal))
		s->params.external_find(s->params.context, c, ret_external, ret_port);
}

static void enter_uplink(
	struct sides *s, uint8_t *ip, const struct pkt_meta *m, const struct sides_route *route)
{
	struct sides_conversation c = {.internal = route->dst};
	struct ip_addr external;
	struct pkt_meta quote;
	uint16_t port;

	if ((m->flags & PKT_ICMP_ERROR) != 0
		&& icmp_error_quote(ip, m->ip_octets, &quote) == DROP_NONE) {
		c.remote = quote.dst;
		c.internal_port = quote.src_port;
		c.remote_port = quote.dst_port;
		c.proto = quote.proto;
		find_external(s, route, &c, &external, &port);
		put_quoted_endpoint(ip, m, &quote, true, &external, port);
		put_endpoint(ip, m, false, &external, m->dst_port);
		return;
	}
	c.remote = m->src;
	c.internal_port = m->dst_port;
	c.remote_port = m->src_port;
	c.proto = m->proto;
	find_external(s, route, &c, &external, &port);
	put_endpoint(ip, m, false, &external, port);
}

/* A packet that parse refuses still comes from its host and goes to its host: addresses alone are changed. */
static void enter_malformed(struct sides *s, uint8_t *ip, const struct sides_route *route)
{
	struct pkt_meta m = {0};
	struct ip_addr dst =
		route->is_downlink ? s->params.ports[route->port].address.addr : route->dst;

	read_addresses(ETHER_TYPE_IPV4, ip, IPV4_HEADER_MIN, &m.src, &m.dst);
	put_endpoint(ip, &m, true, &route->src, 0);
	m.src = route->src;
	put_endpoint(ip, &m, false, &dst, 0);
}

static void enter(struct sides *s, uint8_t *ip, uint32_t len_bytes, const struct sides_route *route)
{
	struct pkt_meta m;

	finish_length(s, ip, len_bytes);
	if (parse_finished(s, ip, len_bytes, &m) != DROP_NONE) {
		enter_malformed(s, ip, route);
		return;
	}
	finish_l4_checksum(s, ip, &m);
	if (route->is_downlink)
		enter_uplink(s, ip, &m, route);
	else
		enter_lan(s, ip, &m, route);
}

enum sides_verdict sides_copy(struct sides *s, const struct capture_packet *packet,
	const struct sides_route *route, uint8_t *frame, uint32_t room_bytes,
	uint32_t *ret_len_bytes)
{
	uint32_t header = link_bytes(s, route);

	if (packet->wire_bytes > UINT16_MAX || header + packet->wire_bytes > room_bytes)
		return SIDES_TOO_LONG;
	if (header > 0)
		write_link_header(s, packet, route, frame);
	memcpy(frame + header, packet->data, packet->len_bytes);
	if (packet->wire_bytes > packet->len_bytes) {
		memset(frame + header + packet->len_bytes, 0,
			packet->wire_bytes - packet->len_bytes);
		s->n_padded++;
	}
	*ret_len_bytes = header + packet->wire_bytes;
	return SIDES_ENTERS;
}

void sides_address(
	struct sides *s, const struct sides_route *route, uint8_t *frame, uint32_t len_bytes)
{
	uint32_t header = link_bytes(s, route);

	if (route->is_ipv4)
		enter(s, frame + header, len_bytes - header, route);
}

bool sides_conversation_of(const struct capture_packet *packet, const struct sides_route *route,
	struct sides_conversation *ret_conversation)
{
	const uint8_t *l4;
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t proto = 0;
	uint32_t at;

	if (!route->is_ipv4)
		return false;
	at = l4_offset(packet, L4_LOOK, &proto);
	if (at == 0 || (proto != PROTO_TCP && proto != PROTO_UDP))
		return false;
	l4 = packet->data + at;
	src_port = load_be16(l4);
	dst_port = load_be16(l4 + 2);
	*ret_conversation = (struct sides_conversation){
		.internal = route->is_downlink ? route->dst : route->src,
		.remote = route->is_downlink ? route->src : route->dst,
		.internal_port = route->is_downlink ? dst_port : src_port,
		.remote_port = route->is_downlink ? src_port : dst_port,
		.proto = proto,
	};
	return true;
}

uint32_t sides_n_hosts(const struct sides *s)
{
	return s->n_hosts;
}

const struct sides_host *sides_host_at(const struct sides *s, uint32_t i)
{
	return &s->hosts[i];
}

uint64_t sides_n_padded(const struct sides *s)
{
	return s->n_padded;
}

uint64_t sides_n_lengths_finished(const struct sides *s)
{
	return s->n_lengths_finished;
}

uint64_t sides_n_checksums_finished(const struct sides *s)
{
	return s->n_checksums_finished;
}

const char *sides_verdict_help(enum sides_verdict v)
{
	switch (v) {
	case SIDES_ENTERS:
		return "replayed";
	case SIDES_FROM_GATEWAY:
		return "sent by the LAN port's own address: the gateway speaks for itself";
	case SIDES_NO_SUBSTITUTE:
		return "from a host of no LAN, and the LANs have no address left for it; a shorter "
		       "prefix has more";
	case SIDES_TOO_LONG:
		return "longer than a frame can be";
	case SIDES_NO_MEMORY:
		return "no memory left";
	case N_SIDES_VERDICTS:
		break;
	}
	return "";
}
