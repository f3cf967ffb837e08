/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

#define VLAN_TAG_BYTES 4
#define VLAN_TAGS_MAX  2
#define VLAN_ID_MASK   0x0fff

enum {
	IPV4_OPTION_END = 0,
	IPV4_OPTION_NOP = 1,
	IPV4_OPTION_LSRR = 131,
	IPV4_OPTION_SSRR = 137,
};

/* Combinations that scanners send and stacks never do: none of the flags (bit 0), and SYN with FIN or RST (bits 3, 6 and
 * 7 of each octet). */
#define TCP_FLAGS_BAD (0xc8c8c8c8c8c8c8c8ull | 1)

const struct parse_l4_shape parse_l4_shapes[UINT8_MAX + 1] = {
	[PROTO_TCP] = {.bad_flags = TCP_FLAGS_BAD,
		.length_mask = 0x3c,
		.length_off = 12,
		.length_shift = 10,
		.header_bytes = TCP_HEADER_BYTES,
		.flags_mask = 0xff},
	[PROTO_UDP] = {.length_mask = 0xffff, .length_off = 4, .header_bytes = UDP_HEADER_BYTES},
};

static bool is_vlan(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_VLAN_SERVICE;
}

/* Walks a frame's tags. The outermost id above 0 is its VLAN. */
static enum drop_reason parse_vlan(const uint8_t *frame, uint32_t len_bytes, uint32_t *l3_off,
	uint16_t *ethertype, struct pkt_meta *m)
{
	for (int n_tags = 0; is_vlan(*ethertype); n_tags++) {
		const uint8_t *tag = frame + *l3_off;

		if (n_tags == VLAN_TAGS_MAX)
			return DROP_PARSE_VLAN_DEPTH;
		if (len_bytes - *l3_off < VLAN_TAG_BYTES)
			return DROP_PARSE_SHORT_FRAME;
		if (m->vlan == 0)
			m->vlan = load_be16(tag) & VLAN_ID_MASK;
		*ethertype = load_be16(tag + 2);
		*l3_off += VLAN_TAG_BYTES;
	}
	return DROP_NONE;
}

static struct parse_result parse_ethernet_uncommon(
	const uint8_t *frame, uint32_t len_bytes, struct pkt_meta *m)
{
	struct parse_result result = {DROP_NONE, PARSE_IPV4};
	uint32_t l3_off = ETHERNET_HEADER_BYTES;
	uint16_t ethertype;

	if (len_bytes < ETHERNET_HEADER_BYTES) {
		result.why = DROP_PARSE_SHORT_FRAME;
		return result;
	}
	ethertype = load_be16(frame + 12);
	result.why = parse_vlan(frame, len_bytes, &l3_off, &ethertype, m);
	if (result.why != DROP_NONE)
		return result;
	m->l3_off = (uint8_t)l3_off;
	m->l4_off = (uint8_t)(l3_off + IPV4_HEADER_BYTES);
	if (ethertype == ETHERTYPE_IPV4) {
		result.why = parse_fresh_ipv4(frame, len_bytes, l3_off, m);
	} else if (ethertype == ETHERTYPE_ARP) {
		result.kind = PARSE_ARP;
	} else {
		result.why = ethertype == ETHERTYPE_IPV6 ? DROP_PARSE_IPV6 : DROP_PARSE_ETHERTYPE;
	}
	return result;
}

struct parse_result parse_frame_uncommon(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, struct pkt_meta *m)
{
	struct parse_result result = {DROP_NONE, PARSE_IPV4};

	if (framing == FRAMING_ETHERNET)
		return parse_ethernet_uncommon(frame, len_bytes, m);
	if (len_bytes == 0)
		result.why = DROP_PARSE_SHORT_FRAME;
	else if (frame[0] >> 4 == 6)
		result.why = DROP_PARSE_IPV6;
	else
		result.why = parse_ipv4_uncommon(frame, len_bytes, 0, m);
	return result;
}

/* Source routes let a sender walk around filters (RFC 7126 4.3, 4.4). */
static bool is_source_route(uint8_t option)
{
	return option == IPV4_OPTION_LSRR || option == IPV4_OPTION_SSRR;
}

/* RFC 1812 5.3.13: options must be well formed. Returns where in the header the first one is that is not, or is a source
 * route; 0 when all are good. */
static uint32_t find_bad_option(const uint8_t *ip, uint32_t header_bytes)
{
	uint32_t i = IPV4_HEADER_BYTES;

	while (i < header_bytes && ip[i] != IPV4_OPTION_END) {
		uint32_t left_bytes = header_bytes - i;

		if (ip[i] == IPV4_OPTION_NOP) {
			i++;
			continue;
		}
		if (is_source_route(ip[i]) || left_bytes < 2 || ip[i + 1] < 2
			|| ip[i + 1] > left_bytes)
			return i;
		i += ip[i + 1];
	}
	return 0;
}

uint8_t parse_malformed_option(const uint8_t *ip)
{
	uint32_t at = find_bad_option(ip, (ip[0] & 0x0fu) * 4);

	return is_source_route(ip[at]) ? 0 : (uint8_t)at;
}

enum drop_reason parse_ipv4_uncommon(
	const uint8_t *frame, uint32_t len_bytes, uint32_t l3_off, struct pkt_meta *m)
{
	const uint8_t *ip = frame + l3_off;
	uint32_t room_bytes = len_bytes - l3_off;
	uint32_t header_bytes;
	uint32_t total_bytes;
	enum drop_reason why;

	if (room_bytes == 0)
		return DROP_PARSE_BAD_HEADER_LENGTH;
	if (ip[0] >> 4 != 4)
		return DROP_PARSE_BAD_VERSION;
	header_bytes = (ip[0] & 0x0fu) * 4;
	if (header_bytes < IPV4_HEADER_BYTES || header_bytes > room_bytes)
		return DROP_PARSE_BAD_HEADER_LENGTH;
	if (checksum_of(ip, header_bytes) != 0)
		return DROP_PARSE_BAD_CHECKSUM;
	total_bytes = load_be16(ip + 2);
	if (total_bytes < header_bytes || total_bytes > room_bytes)
		return DROP_PARSE_BAD_TOTAL_LENGTH;
	m->l4_off = (uint8_t)(l3_off + header_bytes);
	m->flags |= header_bytes > IPV4_HEADER_BYTES ? PKT_OPTIONS : 0;
	why = parse_ipv4_payload(frame, l3_off, header_bytes, m);
	if (why != DROP_NONE)
		return why;
	return find_bad_option(ip, header_bytes) == 0 ? DROP_NONE : DROP_PARSE_BAD_OPTIONS;
}

/* A datagram's first fragment: all that filters look at must be in it (RFC 1858 section 3). */
static enum drop_reason parse_fragment_first(
	const uint8_t *l4, uint32_t payload_bytes, struct pkt_meta *m)
{
	/* UDP states the length of the whole datagram, which is not in sight yet. */
	uint32_t whole_bytes = m->proto == PROTO_UDP ? UINT16_MAX : payload_bytes;
	enum drop_reason why = parse_l4(l4, payload_bytes, whole_bytes, m);

	if (why == DROP_PARSE_TRUNCATED_L4 || why == DROP_PARSE_BAD_L4_LENGTH)
		return DROP_PARSE_BAD_FRAGMENT;
	return why;
}

enum drop_reason parse_fragment(
	const uint8_t *frame, uint32_t payload_bytes, uint16_t fragment, struct pkt_meta *m)
{
	uint32_t offset_bytes = (fragment & IPV4_FRAGMENT_OFFSET) * 8u;
	bool is_last = (fragment & IPV4_MF) == 0;

	if (payload_bytes == 0 || offset_bytes + m->ip_octets > UINT16_MAX)
		return DROP_PARSE_BAD_FRAGMENT;
	if (!is_last && payload_bytes % 8 != 0)
		return DROP_PARSE_BAD_FRAGMENT;
	if (offset_bytes == 0) {
		m->flags |= PKT_FRAGMENT_FIRST;
		return parse_fragment_first(frame + m->l4_off, payload_bytes, m);
	}
	/* RFC 3128: a later fragment must not reach into the header that the first showed. */
	if (m->proto == PROTO_TCP && offset_bytes < TCP_HEADER_BYTES)
		return DROP_PARSE_BAD_FRAGMENT;
	m->flags |= PKT_FRAGMENT_LATER;
	m->l4_off = 0;
	return DROP_NONE;
}

enum drop_reason parse_l4_other(const uint8_t *l4, uint32_t present_bytes, struct pkt_meta *m)
{
	if (m->proto != PROTO_ICMP)
		return DROP_NONE;
	if (present_bytes < ICMP_HEADER_BYTES)
		return DROP_PARSE_TRUNCATED_L4;
	m->icmp_type = l4[0];
	if (icmp_is_query(l4[0])) {
		*(icmp_is_request(l4[0]) ? &m->src_port : &m->dst_port) = load_be16(l4 + 4);
	} else if (icmp_is_error(l4[0])) {
		m->flags |= PKT_ICMP_ERROR;
	}
	return DROP_NONE;
}

static bool is_broadcast(uint32_t addr)
{
	return addr >> 28 == 0xe || addr == UINT32_MAX; /* 224.0.0.0/4, 255.255.255.255 */
}

enum drop_reason parse_refuse_addresses(uint32_t src, uint32_t dst)
{
	if (parse_is_special(src))
		return is_broadcast(src) ? DROP_FLOW_BROADCAST_SOURCE : DROP_FLOW_MARTIAN_SOURCE;
	return is_broadcast(dst) ? DROP_FLOW_BROADCAST : DROP_FLOW_MARTIAN_DESTINATION;
}
