/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Puts an address or port in and keeps every checksum true.
 *
 * Source:   RFC 3022 section 4.1, RFC 1624; RFC 768 (UDP checksum 0 means none and stays 0).
 * Shapes:   `ip` points to the IPv4 header, `l4` to the L4 header or is NULL when the packet has
 *           none (a later fragment) or nothing in it shall change (an ICMP error, a protocol
 *           without ports). Addresses and ports in network order.
 * Units:    deltas as in packet/checksum.h, of the change old → new.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_REWRITE_H
#define WEIR_PACKET_REWRITE_H

#include <weir/base/addr.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/meta.h>

#include <stdbool.h>
#include <stdint.h>

/* What to put in, with deltas computed once per flow. The inverse change has ~delta. */
struct rewrite {
	uint32_t addr_be;
	uint16_t port_be;  /* or identifier of an ICMP query */
	uint16_t ip_delta; /* of the address: for the IP header */
	uint16_t l4_delta; /* of address (TCP, UDP) and port: for the L4 checksum */
	uint8_t proto;
};

/* Fills the deltas of the change old → new for `proto`. */
struct rewrite rewrite_prepare(uint8_t proto, uint32_t old_addr_be, uint16_t old_port_be,
	uint32_t new_addr_be, uint16_t new_port_be);

/*
 * Lowers the MSS option of a TCP SYN to `mss_max` where it is higher (RFC 4459 3.2, RFC 6691);
 * malformed options are left alone. `l4_len` is what follows the IP header. True when it changed.
 */
bool rewrite_clamp_mss(uint8_t *l4, uint16_t l4_len, uint16_t mss_max);

/* Changes the checksum at `at` by `delta`. */
static inline void rewrite_checksum(uint8_t *at, uint16_t delta)
{
	store16(at, checksum_update(load16(at), delta));
}

/* Where things lie in an L4 header, so that which protocol it is costs no branch. */
struct rewrite_l4_shape {
	/* of the source, of the destination; an ICMP query's identifier is either's */
	uint8_t port_off[2];
	uint8_t checksum_off; /* 0: neither port nor identifier to rewrite */
	uint8_t spare;        /* rows of four octets are found by a shift */
};

/* By protocol. */
static const struct rewrite_l4_shape rewrite_l4_shapes[UINT8_MAX + 1] = {
	[PROTO_ICMP] = {{4, 4}, 2, 0},
	[PROTO_TCP] = {{0, 2}, 16, 0},
	[PROTO_UDP] = {{0, 2}, 6, 0},
};

/* True for protocols with a port or identifier to rewrite. */
static inline bool rewrite_has_port(uint8_t proto)
{
	return rewrite_l4_shapes[proto].checksum_off != 0;
}

/* A checksum of 0, old or new: it says "none" in UDP, and is wrong for an ICMP reply of nothing but zeros. */
static inline uint16_t rewrite_zero(uint8_t proto, uint16_t old_checksum, uint16_t new_checksum)
{
	if (old_checksum == 0 && proto == PROTO_UDP)
		return 0;
	return new_checksum == 0 && proto != PROTO_TCP ? 0xffff : new_checksum;
}

/* Replaces the port or identifier, if there is one, of end `end`: 0 for the source, 1 for the destination. */
static inline void rewrite_l4(uint8_t *l4, uint32_t end, const struct rewrite *r)
{
	const struct rewrite_l4_shape *shape = &rewrite_l4_shapes[r->proto];
	uint8_t *checksum = l4 + shape->checksum_off;
	uint16_t old_checksum;
	uint16_t new_checksum;

	if (__builtin_expect(shape->checksum_off == 0, 0))
		return;
	old_checksum = load16(checksum);
	new_checksum = checksum_update(old_checksum, r->l4_delta);
	if (__builtin_expect(old_checksum == 0 || new_checksum == 0, 0))
		new_checksum = rewrite_zero(r->proto, old_checksum, new_checksum);
	store16(checksum, new_checksum);
	store16(l4 + shape->port_off[end], r->port_be);
}

/* Replaces the address of an end. */
static inline void rewrite_address(uint8_t *ip, uint32_t end, const struct rewrite *r)
{
	rewrite_checksum(ip + 10, r->ip_delta);
	store32(ip + 12 + 4 * end, r->addr_be);
}

/* And its port, where the packet has an L4 header. */
static inline void rewrite_end(uint8_t *ip, uint8_t *l4, uint32_t end, const struct rewrite *r)
{
	rewrite_address(ip, end, r);
	if (l4 != NULL)
		rewrite_l4(l4, end, r);
}

/* Replaces source address and source port (identifier). */
static inline void rewrite_source(uint8_t *ip, uint8_t *l4, const struct rewrite *r)
{
	rewrite_end(ip, l4, 0, r);
}

/* Replaces destination address and destination port (identifier). */
static inline void rewrite_destination(uint8_t *ip, uint8_t *l4, const struct rewrite *r)
{
	rewrite_end(ip, l4, 1, r);
}

/* The word of TTL and protocol falls by 0x0100, whatever they are: ~m + m' = ~0x0100. */
#define REWRITE_TTL_DELTA ((uint16_t)~htons(0x0100))

/* Takes one off the TTL, which must be above 1 (RFC 1812 5.3.1). */
static inline void rewrite_ttl(uint8_t *ip)
{
	ip[8]--;
	rewrite_checksum(ip + 10, REWRITE_TTL_DELTA);
}

/* Sets Congestion Experienced in a packet of a transport that reads it (RFC 3168 section 5). */
static inline void rewrite_mark_ce(uint8_t *ip)
{
	uint16_t old_word = load16(ip);

	ip[1] |= 3;
	rewrite_checksum(ip + 10, checksum_delta16(old_word, load16(ip)));
}

#endif
