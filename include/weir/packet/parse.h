/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One bounds-checked pass from the link layer to L4.
 *
 * Source:   RFC 791, 768, 9293, 792; IEEE 802.1Q and 802.1ad; RFC 1858 and 3128 (tiny fragments).
 * Shapes:   `frame` is contiguous. Frames of fewer than 65536 bytes. Trailing padding is allowed
 *           and is not counted in ip_octets. A VLAN tag with id 0 carries a priority only and
 *           counts as no tag.
 * Errors:   the reason to drop it by; `m` is then partly written and must not be used.
 * Threads:  pure.
 * Memory:   reads frame[0 … len_bytes-1] only.
 */
#ifndef WEIR_PACKET_PARSE_H
#define WEIR_PACKET_PARSE_H

#include <weir/base/direction.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/drops.h>
#include <weir/packet/meta.h>

#include <stdbool.h>
#include <stdint.h>

enum link_framing {
	FRAMING_ETHERNET,
	FRAMING_RAW_IP
};

enum parse_kind {
	PARSE_IPV4, /* meta is filled down to L4 */
	PARSE_ARP,  /* l3_off is the start of the ARP message; of the rest, vlan alone is filled */
};

struct parse_result {
	enum drop_reason why; /* DROP_NONE when it is good */
	enum parse_kind kind;
};

/* Parses a frame into `m`: addresses, ports, offsets, octets, flags, proto, vlan; sets flow_id to
 * FLOW_NONE. The fields of rx stay as they are. */
struct parse_result parse_frame(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, struct pkt_meta *m);

/*
 * Addresses that no unicast packet may carry, whatever port it came from (RFC 1122 3.2.1.3,
 * RFC 6890, RFC 1812 5.3.7): martian, broadcast and multicast sources, land. DROP_NONE when both are
 * fit to be forwarded.
 */
enum drop_reason parse_check_addresses(const struct pkt_meta *m);

/* What follows is the path's inner half, here to be inlined there. */

#define IPV4_HEADER_BYTES    20 /* without options */
#define IPV4_RESERVED        0x8000
#define IPV4_DF              0x4000
#define IPV4_MF              0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff /* in units of 8 octets */

#define TCP_HEADER_BYTES  20 /* without options */
#define UDP_HEADER_BYTES  8
#define ICMP_HEADER_BYTES 8

/* The rare rest of parse_ipv4: a header that is malformed or has options. */
__attribute__((cold)) enum drop_reason parse_ipv4_uncommon(
	const uint8_t *frame, uint32_t len_bytes, uint32_t l3_off, struct pkt_meta *m);

/* The rare rest of parse_ipv4_payload: a fragment. */
__attribute__((cold)) enum drop_reason parse_fragment(
	const uint8_t *frame, uint32_t payload_bytes, uint16_t fragment, struct pkt_meta *m);

/* The rare rest of parse_l4: ICMP, and protocols that weir does not read. */
enum drop_reason parse_l4_other(const uint8_t *l4, uint32_t present_bytes, struct pkt_meta *m);

/* Combinations of the six flags from FIN to URG that scanners send and stacks never do, one bit
 * each: none of them set (bit 0), and SYN with FIN or RST (bits 3, 6 and 7 of each octet). */
#define TCP_FLAGS_BAD (0xc8c8c8c8c8c8c8c8ull | 1)

static inline bool parse_tcp_flags_bad(uint8_t flags)
{
	return (TCP_FLAGS_BAD >> (flags & 0x3f) & 1) != 0;
}

/*
 * Reads an L4 header of which `present_bytes` are there; a length that it states may reach
 * `whole_bytes`. TCP and UDP share one pass that does not branch on which it is, since they come
 * mixed: both begin with the ports, and one field holds UDP's length, or TCP's in words in its top
 * 4 bits, above the flags.
 */
static inline enum drop_reason parse_l4(
	const uint8_t *l4, uint32_t present_bytes, uint32_t whole_bytes, struct pkt_meta *m)
{
	uint32_t tcp = m->proto == PROTO_TCP ? 1 : 0;
	const uint32_t protos = 1u << PROTO_TCP | 1u << PROTO_UDP;
	uint32_t header_bytes = UDP_HEADER_BYTES + tcp * (TCP_HEADER_BYTES - UDP_HEADER_BYTES);
	uint32_t length_off = 4 + tcp * 8;
	uint32_t stated_bytes;
	uint32_t field;

	if (m->proto > PROTO_UDP || (protos >> m->proto & 1) == 0)
		return parse_l4_other(l4, present_bytes, m);
	if (present_bytes < header_bytes)
		return DROP_PARSE_TRUNCATED_L4;
	field = load_be16(l4 + length_off);
	stated_bytes = field >> tcp * 10 & ~(tcp * 3);
	if (stated_bytes < header_bytes || stated_bytes > whole_bytes)
		return DROP_PARSE_BAD_L4_LENGTH;
	m->src_port = load_be16(l4);
	m->dst_port = load_be16(l4 + 2);
	m->tcp_flags = (uint8_t)(field & tcp * 0xff);
	m->icmp_type = 0;
	m->flags = (uint16_t)(m->flags | ((m->tcp_flags & TCP_SYN) != 0 ? PKT_TCP_SYN : 0));
	if ((tcp & (uint32_t)parse_tcp_flags_bad(m->tcp_flags)) != 0)
		return DROP_PARSE_BAD_TCP_FLAGS;
	return DROP_NONE;
}

/* Goes on behind an IPv4 header of `header_bytes` that has been found right. */
static inline enum drop_reason parse_ipv4_payload(
	const uint8_t *frame, uint32_t l3_off, uint32_t header_bytes, struct pkt_meta *m)
{
	const uint8_t *ip = frame + l3_off;
	uint16_t total_bytes = load_be16(ip + 2);
	uint16_t fragment = load_be16(ip + 6);
	uint32_t payload_bytes = total_bytes - header_bytes;

	m->src = ip_addr_v4(load32(ip + 12));
	m->dst = ip_addr_v4(load32(ip + 16));
	m->flow_id = FLOW_NONE;
	m->ip_octets = total_bytes;
	m->flags = (uint16_t)(((fragment & IPV4_DF) != 0 ? PKT_DF : 0)
			      | (header_bytes > IPV4_HEADER_BYTES ? PKT_OPTIONS : 0));
	m->l3_off = (uint8_t)l3_off;
	m->l4_off = (uint8_t)(l3_off + header_bytes);
	m->proto = ip[9];
	if ((fragment & (IPV4_MF | IPV4_FRAGMENT_OFFSET)) != 0)
		return parse_fragment(frame, payload_bytes, fragment, m);
	return parse_l4(ip + header_bytes, payload_bytes, payload_bytes, m);
}

/* parse_frame from an IPv4 header at frame + l3_off on; l3_off is at most len_bytes. Leaves vlan
 * alone. */
static inline enum drop_reason parse_ipv4(
	const uint8_t *frame, uint32_t len_bytes, uint32_t l3_off, struct pkt_meta *m)
{
	const uint8_t *ip = frame + l3_off;
	uint32_t room_bytes = len_bytes - l3_off;
	uint64_t sum = 0;
	uint32_t total_bytes;

	if (room_bytes < IPV4_HEADER_BYTES || ip[0] != 0x45)
		return parse_ipv4_uncommon(frame, len_bytes, l3_off, m);
	for (uint32_t i = 0; i < IPV4_HEADER_BYTES; i += 4)
		sum += load32(ip + i);
	/* RFC 1071: a right header sums to ones' complement zero, a multiple of 0xffff. */
	if (sum % 0xffff != 0)
		return DROP_PARSE_BAD_CHECKSUM;
	total_bytes = load_be16(ip + 2);
	if (total_bytes < IPV4_HEADER_BYTES || total_bytes > room_bytes)
		return DROP_PARSE_BAD_TOTAL_LENGTH;
	return parse_ipv4_payload(frame, l3_off, IPV4_HEADER_BYTES, m);
}

#endif
