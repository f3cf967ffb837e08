/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets on their way through one direction, in the order in which they come out.
 *
 * Shapes:   a ring of bytes; each packet takes its own length and 16 bytes, in one piece.
 * Units:    nanoseconds since the start of the run; octets of IP.
 * Errors:   -ENOMEM when the ring may not or cannot grow.
 * Threads:  one owner.
 * Memory:   grows by doubling up to STORE_BYTES_MAX.
 */
#ifndef CELLINK_STORE_H
#define CELLINK_STORE_H

#include <stddef.h>
#include <stdint.h>

#define STORE_BYTES_MAX (1ull << 30)

struct stored {
	uint64_t due_ns;
	uint32_t octets;
	uint32_t
		/* this record's place in the ring, what is skipped at its end included */
		span_bytes;
};

struct store {
	uint8_t *bytes;
	size_t room_bytes;
	size_t head_bytes; /* offset of the oldest record */
	size_t used_bytes;
	uint64_t n_packets;
	uint64_t n_octets;
};

/* Returns 0 or -ENOMEM. */
int store_init(struct store *s);

void store_clean(struct store *s);

/* Copies the packet in, last in line. */
int store_push(struct store *s, uint64_t due_ns, const uint8_t *packet, uint32_t octets);

/* The oldest packet, or NULL; its bytes follow the struct and stay until store_pop. */
const struct stored *store_first(const struct store *s);

/* Removes the oldest packet; there must be one. */
void store_pop(struct store *s);

#endif
