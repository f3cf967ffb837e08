/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors: builds the gateway's own, reads and rewrites the packet quoted inside a stranger's.
 *
 * Source:   RFC 792, RFC 1812 section 4.3.2 (what to send, and to whom never), RFC 5508, RFC 4884
 *           (length of the quoted packet).
 * Shapes:   `ip` points to the outer IPv4 header of a contiguous packet of `len_bytes`.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_ICMP_ERROR_H
#define WEIR_PACKET_ICMP_ERROR_H

#include <weir/packet/drops.h>
#include <weir/packet/meta.h>
#include <weir/packet/rewrite.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO_REQUEST = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
	ICMP_TIMESTAMP_REQUEST = 13,
	ICMP_TIMESTAMP_REPLY = 14,
};

enum {
	ICMP_CODE_NET = 0,
	ICMP_CODE_HOST = 1,
	ICMP_CODE_PROTOCOL = 2,
	ICMP_CODE_PORT = 3,
	ICMP_CODE_FRAGMENTATION_NEEDED = 4,
	ICMP_CODE_ADMIN = 13,
};

#define ICMP_ERROR_OCTETS_MAX 576 /* RFC 1812 4.3.2.3: quote as much as fits into 576 octets */

/* True for the queries and replies that carry an identifier and are translated by it. */
static inline bool icmp_is_query(uint8_t type)
{
	return type == ICMP_ECHO_REQUEST || type == ICMP_ECHO_REPLY
	       || type == ICMP_TIMESTAMP_REQUEST || type == ICMP_TIMESTAMP_REPLY;
}

/* Of those, true for the ones that ask. The identifier is the port of the one who asks: source of a request, destination of
 * its reply. So a query's flow is found like any other, and nobody outside can ask at an identifier of somebody inside. */
static inline bool icmp_is_request(uint8_t type)
{
	return type == ICMP_ECHO_REQUEST || type == ICMP_TIMESTAMP_REQUEST;
}

/* True for the errors that quote a packet and are translated by it. A redirect quotes one too; it
 * speaks to the hosts of one link only and is never forwarded. */
static inline bool icmp_is_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_TIME_EXCEEDED
	       || type == ICMP_PARAMETER_PROBLEM;
}

/* True when RFC 1812 4.3.2.7 lets an error be sent about the packet at `ip` that `m` describes: no
 * ICMP error, no later fragment, no broadcast or multicast destination, a source that is one host.
 * The addresses are those at `ip` now. A subnet's own broadcast address is the caller's to know. */
bool icmp_error_allowed(const uint8_t *ip, const struct pkt_meta *m);

/* Second word of a message: the next hop's MTU in Fragmentation Needed (RFC 1191), the octet of the packet that a Parameter
 * Problem is about, and the address that a redirect leads to (RFC 792). */
#define ICMP_REST_MTU(mtu)         ((uint32_t)(mtu))
#define ICMP_REST_POINTER(offset)  ((uint32_t)(offset) << 24)
#define ICMP_REST_GATEWAY(addr_be) (ntohl(addr_be))

/* What an error of the gateway's own says. */
struct icmp_error {
	uint32_t source_be; /* the gateway's address on the port the error leaves by */
	uint8_t type;
	uint8_t code;
	uint32_t rest; /* second word of the message, host byte order: one of these, else 0 */
};

/*
 * Builds an IPv4 packet with the ICMP error about the packet at `ip` (`len_bytes` long) into `out`
 * (ICMP_ERROR_OCTETS_MAX bytes), for the source of that packet. Returns its length in bytes.
 */
uint16_t icmp_error_build(
	uint8_t *out, const uint8_t *ip, uint16_t len_bytes, const struct icmp_error *error);

/* Turns an echo request into its reply in place: addresses swapped, TTL 64, checksums as true as
 * they were. */
void icmp_echo_reply(uint8_t *ip, uint16_t len_bytes);

/*
 * Reads the 5-tuple of the packet quoted in the ICMP error at `ip` into `quote` (src, dst, ports,
 * proto, icmp_type, ip_octets, l3_off and l4_off counted from `ip`); every other field is 0 or
 * none. DROP_NAT_BAD_QUOTE when fewer than the 8 octets of L4 that RFC 792 promises are quoted,
 * when it is malformed, itself an ICMP error or a later fragment, or when the error's own checksum
 * or the quoted IP header's is wrong (RFC 5508 REQ-3); of the latter a TTL that a router has lowered
 * by one is forgiven.
 */
enum drop_reason icmp_error_quote(const uint8_t *ip, uint16_t len_bytes, struct pkt_meta *quote);

/*
 * RFC 5508 REQ-4: rewrites the quoted packet's source (`is_source`) or destination with `r` (the
 * change to apply inside), keeps the inner IP and, where it is quoted, L4 checksum true, and then
 * the outer ICMP checksum. The outer IP header is the caller's, by rewrite_source or
 * rewrite_destination with l4 = NULL.
 */
void icmp_error_rewrite_quote(uint8_t *ip, uint16_t len_bytes, const struct pkt_meta *quote,
	const struct rewrite *r, bool is_source);

#endif
