/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator behind all chance in weir: ports, hash keys, identifiers.
 *
 * Source:   xoshiro256**, Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 *           ACM TOMS 47(4), 2021; seeded through SplitMix64.
 * Threads:  one owner each.
 * Memory:   the struct alone.
 */
#ifndef WEIR_BASE_RNG_H
#define WEIR_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state[4];
};

/* Same seed, same sequence, on every architecture. */
void rng_init(struct rng *r, uint64_t seed);

/* The next 64 random bits. */
uint64_t rng_next(struct rng *r);

/* A number in [0, bound), without modulo bias worth speaking of (Lemire's multiplication). */
uint32_t rng_below(struct rng *r, uint32_t bound);

/* A seed from the kernel; falls back to clock and pid only where getrandom(2) fails. */
uint64_t rng_entropy(void);

#endif
