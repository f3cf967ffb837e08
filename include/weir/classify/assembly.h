/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning of a stream of octets, put together from pieces in any order.
 *
 * Source:   RFC 9293 section 3.10 (segments), RFC 9000 section 19.6 (CRYPTO frames, which one client sends shuffled).
 * Shapes:   offsets count from the first octet of the stream. Octets that came once stay as they came. The ranges that
 *           are there lie apart, in order.
 * Errors:   assembly_add returns -ENOSPC for what lies beyond the buffer, or would make too many ranges.
 * Threads:  the owner's.
 * Memory:   the struct and the buffer it is given.
 */
#ifndef WEIR_CLASSIFY_ASSEMBLY_H
#define WEIR_CLASSIFY_ASSEMBLY_H

#include <stdint.h>

#define ASSEMBLY_RANGES_MAX 24

struct assembly_range {
	uint32_t begin;
	uint32_t end; /* the octet after the last */
};

struct assembly {
	uint8_t *octets;
	uint32_t capacity;
	uint32_t n_ranges;
	struct assembly_range ranges[ASSEMBLY_RANGES_MAX];
};

/* Begins an empty stream in `octets`, which stays the caller's. */
void assembly_init(struct assembly *a, uint8_t *octets, uint32_t capacity);

/* Puts a piece in its place. Returns 0 or -ENOSPC; then nothing of it was taken. */
int assembly_add(struct assembly *a, uint32_t offset, const uint8_t *piece, uint32_t len);

/* How many octets there are from the first on, without a gap. */
uint32_t assembly_n_ready(const struct assembly *a);

/* Takes away the first `n` octets, which must be there: the next one is offset 0 now. */
void assembly_consume(struct assembly *a, uint32_t n);

#endif
