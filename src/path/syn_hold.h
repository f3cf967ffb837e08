/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNs from outside that nobody inside has asked for: their senders are told that there is nobody, but only after the six
 * seconds that the inside has to open the same connection.
 *
 * Source:   RFC 5382 REQ-4.
 * Shapes:   a ring of copies, so that no packet is kept: what an error quotes of it. Oldest first, each due six seconds after
 *           it came.
 * Errors:   a SYN that finds the ring full is not answered.
 * Threads:  one worker owns it.
 * Memory:   fixed.
 */
#ifndef WEIR_PATH_SYN_HOLD_H
#define WEIR_PATH_SYN_HOLD_H

#include <weir/flow/key.h>
#include <weir/packet/meta.h>

#include <stdbool.h>
#include <stdint.h>

#define SYN_HOLD_MAX    64
#define SYN_HOLD_US     (6 * US_PER_S) /* RFC 5382 REQ-4 */
#define SYN_HOLD_OCTETS 120            /* an IP and a TCP header with all their options */

struct held_syn {
	uint64_t due_us;
	struct flow_key_v4 key;
	uint8_t in_port;
	uint8_t n_octets;
	uint8_t packet[SYN_HOLD_OCTETS]; /* from the IP header on, as received */
};

struct syn_hold {
	struct held_syn syns[SYN_HOLD_MAX];
	uint32_t oldest;
	uint32_t n;
};

/* Keeps a SYN that was refused; one that is repeated is kept once. */
void syn_hold_keep(struct syn_hold *h, const struct flow_key_v4 *key, uint8_t in_port,
	const uint8_t *ip, uint16_t ip_octets, uint64_t now_us);

/* The oldest SYN when it is due, and no more in the ring; NULL when none is. Valid until the next call. */
const struct held_syn *syn_hold_take_due(struct syn_hold *h, uint64_t now_us);

#endif
