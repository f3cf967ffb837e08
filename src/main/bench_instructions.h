/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions of the calling thread, in user mode, where the machine and the kernel let them be counted.
 *
 * Source:   perf_event_open(2).
 * Errors:   a count of 0 says that they cannot be.
 * Threads:  begin and end in the same thread.
 */
#ifndef WEIR_MAIN_BENCH_INSTRUCTIONS_H
#define WEIR_MAIN_BENCH_INSTRUCTIONS_H

#include <stdint.h>

struct bench_instructions {
	int fd; /* -1: not counted */
};

void bench_instructions_begin(struct bench_instructions *c);

/* Instructions since begin. */
uint64_t bench_instructions_end(struct bench_instructions *c);

#endif
