/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a new flow costs with its end, and how long the path is away while flows begin and end.
 *
 * Shapes:   a table in its steady state: each packet begins a flow, and as many end, on a clock that passes with the
 *           packets. NAT, classes, rules, quotas and accounting as configured; records are taken as control would,
 *           which is not counted: it is another core's work.
 * Units:    ticks of the time stamp counter.
 * Threads:  the caller's.
 */
#ifndef WEIR_MAIN_BENCH_NEW_H
#define WEIR_MAIN_BENCH_NEW_H

#include "bench_worker.h"

#include <jansson.h>

/* Measures for about `seconds` and prints, or adds to `runs` where that is not NULL. Returns 0 or a negative errno, which
 * was told on stderr. */
int bench_new_measure(
	const struct config *config, const struct bench_case *what, double seconds, json_t *runs);

/* Brings an open worker to its steady state, then passes so many packets in bench_counted(), for callgrind; prints how
 * many flows began and ended there. */
void bench_new_count(struct bench_worker *w, uint64_t n_packets);

#endif
