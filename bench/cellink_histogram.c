/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_histogram.h"

#include <string.h>

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min_ns = UINT64_MAX;
}

/* The first 64 values have a bucket each; from there on, 64 buckets to a power of two. */
static uint32_t bucket_of(uint64_t value)
{
	uint32_t exponent;

	if (value >= 1ull << HISTOGRAM_BITS)
		return HISTOGRAM_BUCKETS - 1;
	if (value < 1u << HISTOGRAM_SUB_BITS)
		return (uint32_t)value;
	exponent = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (exponent << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> exponent);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
	uint32_t exponent = bucket >> HISTOGRAM_SUB_BITS;

	if (exponent == 0)
		return bucket;
	exponent--;
	return (((uint64_t)bucket - (exponent << HISTOGRAM_SUB_BITS) + 1) << exponent) - 1;
}

void histogram_add(struct histogram *h, uint64_t value_ns)
{
	h->n++;
	h->sum_ns += value_ns;
	if (value_ns < h->min_ns)
		h->min_ns = value_ns;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
	h->buckets[bucket_of(value_ns)]++;
}

uint64_t histogram_percentile(const struct histogram *h, uint32_t ppm)
{
	uint64_t rank = (h->n * ppm + 999999) / 1000000;
	uint64_t seen = 0;

	if (h->n == 0)
		return 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= rank && seen > 0) {
			uint64_t end = bucket_end(i);

			return end < h->max_ns ? end : h->max_ns;
		}
	}
	return h->max_ns;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->n > 0 ? h->sum_ns / h->n : 0;
}
