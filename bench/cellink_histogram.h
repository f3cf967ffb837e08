/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Distribution of waiting times with a bounded error and a fixed size.
 *
 * Shapes:   64 buckets for each power of two (after HdrHistogram), so a percentile is at most 1/64
 *           too high; minimum, mean and maximum are exact.
 * Units:    nanoseconds, up to 2^47 (39 hours); what is longer counts as that long.
 * Threads:  one owner.
 * Memory:   the struct alone, about 22 KB.
 */
#ifndef CELLINK_HISTOGRAM_H
#define CELLINK_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BITS     47
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t n;
	uint64_t sum_ns;
	uint64_t min_ns;
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);

void histogram_add(struct histogram *h, uint64_t value_ns);

/* The value that `ppm` parts a million do not exceed: 950000 is p95. 0 when nothing was added. */
uint64_t histogram_percentile(const struct histogram *h, uint32_t ppm);

/* 0 when nothing was added. */
uint64_t histogram_mean(const struct histogram *h);

#endif
