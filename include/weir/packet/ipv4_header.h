/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IPv4 header of a packet that the gateway itself makes.
 *
 * Source:   RFC 791 section 3.1; RFC 6864: such packets are atomic (never fragmented), so that their identification is never read
 *           and 0 is as good as any.
 * Shapes:   20 octets, no options, DF set.
 * Threads:  any.
 */
#ifndef WEIR_PACKET_IPV4_HEADER_H
#define WEIR_PACKET_IPV4_HEADER_H

#include <stdint.h>

#define IPV4_OWN_TTL 64

struct ipv4_header {
	uint32_t src_be;
	uint32_t dst_be;
	uint16_t total_octets;
	uint8_t tos;
	uint8_t proto;
};

/* Writes IPV4_HEADER_BYTES at `ip`. */
void ipv4_header_build(uint8_t *ip, const struct ipv4_header *header);

#endif
