/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the memory ports of a benchmark cost, taken where they run.
 *
 * Source:   the source of the frames is no part of the path, but measured alone it has the caches to itself: beside the path it
 *           costs more, and that would be counted as the path's.
 * Units:    ticks of the time stamp counter. Two readings a call: a cycle a packet of a full burst.
 * Threads:  each by itself: ports are timed, used and closed by one thread.
 */
#ifndef WEIR_MAIN_BENCH_TIMED_PORT_H
#define WEIR_MAIN_BENCH_TIMED_PORT_H

#include <weir/port/port.h>

#include <stdint.h>

struct bench_port_ticks {
	uint64_t rx;
	uint64_t tx;
};

/* From now on what the port takes to receive and send is summed up. All ports of a thread are of one kind. */
void bench_time_port(struct port *p);

/* The thread's sums. */
struct bench_port_ticks bench_port_ticks(void);

/* The thread's sums since `before`. */
struct bench_port_ticks bench_port_ticks_since(const struct bench_port_ticks *before);

#endif
