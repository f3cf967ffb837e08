/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One bounds-checked pass from the link layer to L4.
 *
 * Source:   RFC 791, 768, 9293, 792; IEEE 802.1Q and 802.1ad; RFC 1858 and 3128 (tiny fragments).
 * Shapes:   `frame` is contiguous. Frames of fewer than 65536 bytes. Trailing padding is allowed
 *           and is not counted in ip_octets. A VLAN tag with id 0 carries a priority only and
 *           counts as no tag.
 * Errors:   the reason to drop it by; `m` is then partly written and must not be used, but for DROP_PARSE_BAD_OPTIONS:
 *           everything else about the packet is good then.
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

/* True in 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4 and 240.0.0.0/4. */
static inline bool parse_is_special(uint32_t addr)
{
	uint32_t top = addr >> 24;

	return top - 1 >= 223 || top == 127 || addr >> 16 == 0xa9fe;
}

/* The rare rest of parse_check_addresses: one of the two is special. */
__attribute__((cold)) enum drop_reason parse_refuse_addresses(uint32_t src, uint32_t dst);

/*
 * Addresses that no unicast packet may carry, whatever port it came from (RFC 1122 3.2.1.3,
 * RFC 6890, RFC 1812 5.3.7): martian, broadcast and multicast sources, land. DROP_NONE when both are
 * fit to be forwarded.
 */
static inline enum drop_reason parse_check_addresses(const struct pkt_meta *m)
{
	uint32_t src = ip_addr_v4_host(&m->src);
	uint32_t dst = ip_addr_v4_host(&m->dst);

	if (parse_is_special(src) || parse_is_special(dst))
		return parse_refuse_addresses(src, dst);
	return src == dst && m->src_port == m->dst_port ? DROP_FLOW_LAND : DROP_NONE;
}

/* Of a packet with DROP_PARSE_BAD_OPTIONS: where in the header at `ip` the first malformed option begins; 0 when it is a
 * well-formed one that weir does not forward. */
uint8_t parse_malformed_option(const uint8_t *ip);

/* What follows is the path's inner half, here to be inlined there. */

#define ETHERNET_HEADER_BYTES 14

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100, /* 802.1Q customer tag */
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN_SERVICE = 0x88a8, /* 802.1ad service tag */
};

#define IPV4_HEADER_BYTES    20 /* without options */
#define IPV4_RESERVED        0x8000
#define IPV4_DF              0x4000
#define IPV4_MF              0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff /* in units of 8 octets */

#define TCP_HEADER_BYTES  20 /* without options */
#define UDP_HEADER_BYTES  8
#define ICMP_HEADER_BYTES 8

/* The rare rest of parse_fresh_frame: whatever is not IPv4 right behind the link-layer header. */
__attribute__((cold)) struct parse_result parse_frame_uncommon(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, struct pkt_meta *m);

/* The rare rest of parse_fresh_ipv4: a header that is malformed or has options. */
__attribute__((cold)) enum drop_reason parse_ipv4_uncommon(
	const uint8_t *frame, uint32_t len_bytes, uint32_t l3_off, struct pkt_meta *m);

/* The rare rest of parse_ipv4_payload: a fragment. */
__attribute__((cold)) enum drop_reason parse_fragment(
	const uint8_t *frame, uint32_t payload_bytes, uint16_t fragment, struct pkt_meta *m);

/* The rare rest of parse_l4: ICMP, and protocols that weir does not read. */
enum drop_reason parse_l4_other(const uint8_t *l4, uint32_t present_bytes, struct pkt_meta *m);

/* Where TCP and UDP differ, so that one pass reads both without a branch on which it is: they come mixed. */
struct parse_l4_shape {
	uint64_t bad_flags;   /* one bit for each combination of the six flags from FIN to URG */
	uint16_t length_mask; /* of the field at length_off, shifted: */
	uint8_t length_off; /* UDP's length; TCP's offset in words in the top 4 bits, above the flags */
	uint8_t length_shift;
	uint8_t header_bytes; /* 0: a protocol of another shape */
	uint8_t flags_mask;
};

/* By protocol. */
extern const struct parse_l4_shape parse_l4_shapes[UINT8_MAX + 1];

/* Metadata for a frame of this framing that nobody has looked into: all that holds of a plain IPv4 packet without tags and
 * options is there, so that parsing writes what differs from one to the next. */
static inline struct pkt_meta parse_fresh_meta(enum link_framing framing)
{
	uint8_t l3_off = framing == FRAMING_ETHERNET ? ETHERNET_HEADER_BYTES : 0;

	return (struct pkt_meta){
		.src = ip_addr_v4(0),
		.dst = ip_addr_v4(0),
		.flow_id = FLOW_NONE,
		.l3_off = l3_off,
		.l4_off = (uint8_t)(l3_off + IPV4_HEADER_BYTES),
		.in_port = PORT_NONE,
		.out_port = PORT_NONE,
		.device_id = DEVICE_NONE,
	};
}

/* Reads an L4 header of which `present_bytes` are there; a length that it states may reach `whole_bytes`. */
static inline enum drop_reason parse_l4(
	const uint8_t *l4, uint32_t present_bytes, uint32_t whole_bytes, struct pkt_meta *m)
{
	const struct parse_l4_shape *shape = &parse_l4_shapes[m->proto];
	uint32_t stated_bytes;
	uint32_t field;

	if (shape->header_bytes == 0)
		return parse_l4_other(l4, present_bytes, m);
	if (present_bytes < shape->header_bytes)
		return DROP_PARSE_TRUNCATED_L4;
	field = load_be16(l4 + shape->length_off);
	stated_bytes = field >> shape->length_shift & shape->length_mask;
	if (stated_bytes < shape->header_bytes || stated_bytes > whole_bytes)
		return DROP_PARSE_BAD_L4_LENGTH;
	field &= shape->flags_mask;
	m->src_port = load_be16(l4);
	m->dst_port = load_be16(l4 + 2);
	m->tcp_flags = (uint8_t)field;
	if (__builtin_expect((field & TCP_SYN) != 0, 0))
		m->flags |= PKT_TCP_SYN;
	if ((shape->bad_flags >> (field & 0x3f) & 1) != 0)
		return DROP_PARSE_BAD_TCP_FLAGS;
	return DROP_NONE;
}

/* Goes on behind an IPv4 header of `header_bytes` that has been found right. */
static inline enum drop_reason parse_ipv4_payload(
	const uint8_t *frame, uint32_t l3_off, uint32_t header_bytes, struct pkt_meta *m)
{
	const uint8_t *ip = frame + l3_off;
	uint16_t total_bytes = load_be16(ip + 2);
	uint16_t fragment_be = load16(ip + 6);
	uint32_t payload_bytes = total_bytes - header_bytes;

	m->src.words[3] = load32(ip + 12);
	m->dst.words[3] = load32(ip + 16);
	m->ip_octets = total_bytes;
	m->proto = ip[9];
	if (__builtin_expect(ip[8] <= 1, 0))
		m->flags |= PKT_TTL_SPENT;
	if ((fragment_be & htons(IPV4_MF | IPV4_FRAGMENT_OFFSET)) != 0)
		return parse_fragment(frame, payload_bytes, ntohs(fragment_be), m);
	return parse_l4(ip + header_bytes, payload_bytes, payload_bytes, m);
}

/* RFC 1071: a right header, here of 20 octets, sums to ones' complement zero. Ones' complement arithmetic is that modulo 0xffff, of
 * which 2^32 is one more than a multiple: so words may be of 32 bits, and nothing need be folded. */
static inline bool parse_ipv4_checksum_good(const uint8_t *ip)
{
	uint64_t sum = (uint64_t)load32(ip) + load32(ip + 4) + load32(ip + 8) + load32(ip + 12)
		       + load32(ip + 16);

	return sum % 0xffff == 0;
}

/* parse_frame from an IPv4 header at frame + l3_off on; l3_off is at most len_bytes. `m` is fresh, but for the VLAN, and its offsets
 * those of a header here without options. */
static inline enum drop_reason parse_fresh_ipv4(
	const uint8_t *frame, uint32_t len_bytes, uint32_t l3_off, struct pkt_meta *m)
{
	const uint8_t *ip = frame + l3_off;
	uint32_t room_bytes = len_bytes - l3_off;
	uint32_t total_bytes;

	if (room_bytes < IPV4_HEADER_BYTES || ip[0] != 0x45)
		return parse_ipv4_uncommon(frame, len_bytes, l3_off, m);
	if (!parse_ipv4_checksum_good(ip))
		return DROP_PARSE_BAD_CHECKSUM;
	total_bytes = load_be16(ip + 2);
	if (total_bytes < IPV4_HEADER_BYTES || total_bytes > room_bytes)
		return DROP_PARSE_BAD_TOTAL_LENGTH;
	return parse_ipv4_payload(frame, l3_off, IPV4_HEADER_BYTES, m);
}

/* Parses a frame into `m`, which is fresh but for what is known of its arrival: addresses, ports, offsets, octets, flags, proto,
 * vlan. */
static inline struct parse_result parse_fresh_frame(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, struct pkt_meta *m)
{
	bool is_ethernet = framing == FRAMING_ETHERNET;
	uint32_t l3_off = is_ethernet ? ETHERNET_HEADER_BYTES : 0;

	if (len_bytes < l3_off + IPV4_HEADER_BYTES
		|| (is_ethernet ? load_be16(frame + 12) != ETHERTYPE_IPV4 : frame[0] >> 4 == 6))
		return parse_frame_uncommon(frame, len_bytes, framing, m);
	return (struct parse_result){parse_fresh_ipv4(frame, len_bytes, l3_off, m), PARSE_IPV4};
}

/* The same into metadata in any state. */
static inline struct parse_result parse_frame(
	const uint8_t *frame, uint32_t len_bytes, enum link_framing framing, struct pkt_meta *m)
{
	*m = parse_fresh_meta(framing);
	return parse_fresh_frame(frame, len_bytes, framing, m);
}

/* The same for a packet that begins with its IPv4 header. */
static inline enum drop_reason parse_ipv4(const uint8_t *ip, uint32_t len_bytes, struct pkt_meta *m)
{
	*m = parse_fresh_meta(FRAMING_RAW_IP);
	return parse_fresh_ipv4(ip, len_bytes, 0, m);
}

#endif
