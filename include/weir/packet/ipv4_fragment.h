/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cuts an IPv4 packet into fragments that fit an MTU.
 *
 * Source:   RFC 791 sections 2.3 and 3.2 (procedure; which options are copied), RFC 6864.
 * Shapes:   `ip` is the whole packet, DF clear; it may itself be a fragment. The fragments are
 *           asked for one by one and in order, each into memory of `mtu` bytes.
 * Threads:  pure; the cursor is the caller's.
 */
#ifndef WEIR_PACKET_IPV4_FRAGMENT_H
#define WEIR_PACKET_IPV4_FRAGMENT_H

#include <stdint.h>

struct ipv4_fragmenter {
	const uint8_t *ip;
	uint16_t len_bytes;
	uint16_t mtu;        /* at least 68 (RFC 791) */
	uint16_t done_bytes; /* payload octets written so far */
};

/* Starts on a packet of `len_bytes` in all. */
void ipv4_fragment_init(
	struct ipv4_fragmenter *f, const uint8_t *ip, uint16_t len_bytes, uint16_t mtu);

/* Writes the next fragment and returns its length; 0 when all has been written. */
uint16_t ipv4_fragment_next(struct ipv4_fragmenter *f, uint8_t *out);

#endif
