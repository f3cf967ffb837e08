/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the memory ports of a benchmark cost, taken where they run.
 *
 * Source:   the source of the frames is no part of the path, but measured alone it has the caches to itself: beside the path it
 *           costs more, and that would be counted as the path's.
 * Units:    ticks of the time stamp counter. Two readings a call: a cycle a packet of a full burst.
 * Threads:  the one that uses the port.
 * Memory:   the caller's, until the port is closed.
 */
#ifndef WEIR_MAIN_BENCH_TIMED_PORT_H
#define WEIR_MAIN_BENCH_TIMED_PORT_H

#include <weir/port/port.h>

#include <stdint.h>

struct bench_port_ticks {
	uint64_t rx;
	uint64_t tx;
};

struct bench_timed_port {
	struct port_ops ops; /* first: the port leads to it */
	const struct port_ops *inner;
	struct bench_port_ticks *ticks;
};

/* From now on what the port takes to receive and send is added to `ticks`. */
void bench_time_port(
	struct bench_timed_port *timed, struct port *p, struct bench_port_ticks *ticks);

/* What was added since. */
struct bench_port_ticks bench_port_ticks_since(
	const struct bench_port_ticks *now, const struct bench_port_ticks *before);

#endif
