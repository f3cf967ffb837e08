/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of octets and shares of them, without passing 64 bits.
 *
 * Units:    whatever the caller counts; shares in parts a million.
 * Threads:  any.
 */
#ifndef WEIR_BASE_AMOUNT_H
#define WEIR_BASE_AMOUNT_H

#include <stdint.h>

#define ALL_PPM UINT64_C(1000000)

static inline uint64_t amount_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t amount_greatest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* amount * a / b, for a and b up to a million: rounded down, and up. */
static inline uint64_t amount_scale_down(uint64_t amount, uint64_t a, uint64_t b)
{
	return amount / b * a + amount % b * a / b;
}

static inline uint64_t amount_scale_up(uint64_t amount, uint64_t a, uint64_t b)
{
	return amount / b * a + (amount % b * a + b - 1) / b;
}

#endif
