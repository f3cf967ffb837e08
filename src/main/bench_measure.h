/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line of the benchmark's result: several workers at once, five times over, the source's cost apart.
 *
 * Shapes:   `total` and the stages are what the path costs: what the ports take, where they run, is left out (bench_timed_port.h).
 *           Reading the counter between stages costs ticks itself, so stages come from a path of their own and are scaled to sum up to
 *           the total of the one that runs without.
 * Units:    ticks of the time stamp counter a packet.
 * Threads:  the caller's, and one a worker while it runs.
 */
#ifndef WEIR_MAIN_BENCH_MEASURE_H
#define WEIR_MAIN_BENCH_MEASURE_H

#include "bench_worker.h"

#include <weir/path/doors.h>

#define BENCH_REPEATS 5

struct bench_result {
	double packets_per_second; /* sum of the workers, median of the repeats */
	double cycles_total;       /* median of the repeats */
	double cycles_source;
	double instructions; /* a packet, without the source's; negative: not counted by this machine */
	double memory_latency_cycles;
	double spread; /* (max - min) / median of the repeats' totals */
	uint32_t n_stages;
	const char *stage_names[STAGES_MAX];
	double stage_cycles[STAGES_MAX];
	uint64_t n_dropped;
	char error[128];
};

/* Measures for about `seconds`. Returns 0 or a negative errno with a sentence in `error`. */
int bench_measure(const struct config *config, const struct bench_case *what, double seconds,
	struct bench_result *ret_result);

/* Of the repeats' values, which it sorts. */
double bench_median(double values[BENCH_REPEATS]);

/* 0 where there is nothing to divide by. */
double bench_ratio(uint64_t sum, uint64_t n);

#endif
