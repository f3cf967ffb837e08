/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * External port allocator for one address and one transport protocol.
 *
 * Source:   RFC 4787 section 4.2 (port assignment, REQ-3 and REQ-4), RFC 6056 (random choice).
 * Shapes:   one bit per port, 65536 bits, and a summary of full words for each parity; a range includes both its ends.
 *           A reserved port is given by ports_claim() alone.
 * Units:    ports in host byte order.
 * Errors:   0 when none is left; the stage reports DROP_NAT_NO_PORT.
 * Threads:  one owner.
 * Memory:   fixed at init; nothing here allocates afterwards.
 */
#ifndef WEIR_NAT_PORTS_H
#define WEIR_NAT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

struct ports {
	uint64_t taken[65536 / 64];
	uint64_t reserved[65536 / 64];
	uint64_t barred[65536 / 64]; /* from the random choice: reserved, or out of the range */
	/* [port & 1], bit set: that word of `taken` has no such port free in the range */
	uint64_t full[2][65536 / 64 / 64];
	uint16_t min;
	uint16_t max;
	uint32_t n_taken;
	uint32_t n_free;  /* of the range: neither taken nor reserved */
	uint32_t n_looks; /* words that the last ports_take() read: at most PORTS_LOOKS_MAX */
};

/* A word where the search begins and all of the summary; once more from the bottom; both for either parity. */
#define PORTS_LOOKS_MAX (4 * (2 + 65536 / 64 / 64))

/* All ports of min … max are free; min is at least 1. */
void ports_init(struct ports *p, uint16_t min, uint16_t max);

/* Takes exactly `port`. False when it is taken, reserved or 0. A port outside min … max may be preserved too: the range
 * bounds the random choice alone. */
bool ports_take_exact(struct ports *p, uint16_t port);

/* Takes a free port of the range, searching from `hint` (folded into the range where it lies outside) and wrapping once,
 * at a cost that does not grow as the range fills. Returns it, or 0 when none is left. With `parity_of` not 0, a port of
 * that port's parity is preferred. */
uint16_t ports_take(struct ports *p, uint32_t hint, uint16_t parity_of);

/* Takes exactly `port`, reserved or not. False when it is taken or 0. */
bool ports_claim(struct ports *p, uint16_t port);

/* True when `port` is taken. */
static inline bool ports_is_taken(const struct ports *p, uint16_t port)
{
	return (p->taken[port / 64] >> port % 64 & 1) != 0;
}

/* Keeps a port from being given by the others, whoever has it now; or no longer. */
void ports_reserve(struct ports *p, uint16_t port, bool reserved);

/* Gives a taken port back. */
void ports_give(struct ports *p, uint16_t port);

#endif
