/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one reader of the time stamp counter.
 *
 * Units:    microseconds since an arbitrary start, never decreasing; ticks of the counter for
 *           the benchmark alone.
 * Threads:  clock_init once before any other thread; then any thread.
 * Memory:   none.
 */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#undef US_PER_S /* rte_cycles.h has one too, an int */
#define US_PER_S  1000000ull
#define US_PER_MS 1000ull

/* Measures the counter's frequency (takes about 10 ms where the CPU does not tell it). */
void clock_init(void);

/* Now, in microseconds of the path clock. */
uint64_t clock_now_us(void);

/* The raw counter, for spans measured by the benchmark; serialised enough for spans of a burst. */
uint64_t clock_tsc(void);

/* Ticks of clock_tsc() in a second. */
uint64_t clock_tsc_hz(void);

#endif
