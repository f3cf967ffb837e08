/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A token bucket in exact integers.
 *
 * Source:   the committed bucket of RFC 2697. Credit is counted in millionths of a bit, so that one microsecond is worth exactly
 *           `bps` of it: nothing is ever rounded, and so nothing drifts.
 * Shapes:   what leaves may leave a debt of its own length, and the next waits until that is paid: no packet is too long,
 *           and who picks one need not know its length before.
 * Units:    rate in bits a second, 0: none, which holds nothing; times in microseconds.
 * Threads:  one owner.
 */
#ifndef WEIR_SHAPE_BUCKET_H
#define WEIR_SHAPE_BUCKET_H

#include <weir/base/clock.h>

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_OCTET ((int64_t)(8 * US_PER_S)) /* in millionths of a bit */

/* What may go at once after a pause: a full packet, or what 2 ms carry, so that a worker that slept a little late can make good
 * for it; and the one that leaves a debt. */
#define BUCKET_BURST_OCTETS 1514
#define BUCKET_BURST_US     2000

struct bucket {
	uint64_t bps;
	int64_t credit; /* at as_of_us; below zero: a debt */
	int64_t burst;
	uint64_t as_of_us;
};

/* Brings the credit up to `now_us`. */
static inline void bucket_refill(struct bucket *b, uint64_t now_us)
{
	uint64_t missing = (uint64_t)(b->burst - b->credit);
	uint64_t earned;

	if (now_us <= b->as_of_us)
		return;
	if (__builtin_mul_overflow(now_us - b->as_of_us, b->bps, &earned) || earned > missing)
		earned = missing;
	b->credit += (int64_t)earned;
	b->as_of_us = now_us;
}

/* True when a packet may go, at the time of the last refill. */
static inline bool bucket_is_ready(const struct bucket *b)
{
	return b->credit >= 0;
}

/* Octets that may go, at the time of the last refill, so that it is ready after them; below zero when it is not. */
static inline int64_t bucket_room(const struct bucket *b)
{
	if (!bucket_is_ready(b))
		return -1;
	return b->bps == 0 ? INT64_MAX : b->credit / BUCKET_OCTET;
}

static inline void bucket_pay(struct bucket *b, uint64_t octets)
{
	if (b->bps != 0)
		b->credit -= (int64_t)octets * BUCKET_OCTET;
}

/* When it is ready, as it stands. */
static inline uint64_t bucket_ready_us(const struct bucket *b)
{
	if (bucket_is_ready(b))
		return b->as_of_us;
	return b->as_of_us + ((uint64_t)-b->credit - 1) / b->bps + 1;
}

/* Another rate from now on, of which what `burst_us` carry may go at once. What was earned or is owed stays, up to a burst of
 * the new one; a first rate begins with a full bucket, and who has no rate owes nothing. */
static inline void bucket_set_burst(
	struct bucket *b, uint64_t bps, uint64_t burst_us, uint64_t now_us)
{
	uint64_t burst = bps * burst_us;
	bool is_first = b->bps == 0;

	if (burst < (uint64_t)BUCKET_BURST_OCTETS * BUCKET_OCTET)
		burst = (uint64_t)BUCKET_BURST_OCTETS * BUCKET_OCTET;
	bucket_refill(b, now_us);
	b->as_of_us = now_us > b->as_of_us ? now_us : b->as_of_us;
	b->bps = bps;
	b->burst = bps == 0 ? 0 : (int64_t)burst;
	if (is_first || b->credit > b->burst)
		b->credit = b->burst;
	if (bps == 0)
		b->credit = 0;
}

static inline void bucket_set(struct bucket *b, uint64_t bps, uint64_t now_us)
{
	bucket_set_burst(b, bps, BUCKET_BURST_US, now_us);
}

#endif
