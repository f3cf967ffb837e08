/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker of the benchmark: a path of its own between memory ports, with its share of the flows.
 *
 * Shapes:   flows are set up through the path, then frames of random flows are fed (bench_source.h). For new flows instead
 *           each frame begins one: the source knows twice as many flows as live at a time, and a virtual clock ends each
 *           before its frame comes again.
 * Units:    ticks of the time stamp counter.
 * Threads:  each worker by its own thread.
 * Memory:   all is taken before anything is measured.
 */
#ifndef WEIR_MAIN_BENCH_WORKER_H
#define WEIR_MAIN_BENCH_WORKER_H

#include "bench_source.h"
#include "bench_timed_port.h"

#include <weir/control/config.h>
#include <weir/path/doors.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What one line of the result measures. */
struct bench_case {
	uint32_t n_flows;
	bool feeds[N_DIRECTIONS];
	uint16_t
		frame_octets; /* on an Ethernet wire, with its check sequence; or BENCH_FRAME_IMIX */
	uint32_t n_workers;
	bool new_flows;     /* n_flows live at a time, and each packet begins one */
	uint32_t n_senders; /* of each worker */
};

struct bench_sender {
	struct path *path;
	uint32_t id;
	int cpu;
	pthread_t thread;
};

struct bench_worker {
	const struct config *config;
	const struct bench_case *what;
	uint32_t id;
	bool is_counted; /* instructions are counted: nothing is timed, and the clock is virtual */
	bool virtual_clock; /* each step takes as long, whatever it takes */
	uint64_t virtual_us;
	uint64_t step_us; /* of the virtual clock */
	struct rte_mempool *pool;
	struct path *path;
	const struct path_config *path_config;
	struct port *ports[PORTS_MAX];
	struct bench_timed_port timed_ports[PORTS_MAX];
	struct bench_port_ticks port_ticks; /* of all ports */
	uint8_t lan;
	uint8_t uplink;
	struct bench_flows flows;
	struct bench_source sources[N_DIRECTIONS];
	uint32_t n_flows; /* that are this worker's */
	struct bench_sender senders[SENDERS_MAX];
	uint32_t n_senders; /* that run */
	char error[128];
};

struct bench_sample {
	uint64_t ticks;
	uint64_t packets;
	struct bench_port_ticks source; /* of the ticks */
	uint64_t instructions;          /* 0: not counted by this machine */
};

/* New flows live for a second; they end up to so much later, by the wheel's slots and the time they take to drain. */
#define BENCH_NEW_LIFE_US 1000000u
#define BENCH_NEW_LATE_US 390000u

/* The nth CPU of this process. */
int bench_cpu_of(uint32_t n);

/* Packet buffers that one worker needs. */
#define BENCH_MBUFS      8192u
#define BENCH_ROOM_BYTES 2048u

/* Makes pool, timed ports and path and sets all flows up; with `profile` the path measures its stages. 0 or a negative errno with
 * a sentence in `error`. */
int bench_worker_open(struct bench_worker *w, bool profile);

/* Frees what open took, so that it can be opened again. */
void bench_worker_close(struct bench_worker *w);

/* One step of the path; returns the packets received. */
uint32_t bench_worker_step(struct bench_worker *w);

/* Takes all records, as control would. */
void bench_worker_take_records(struct bench_worker *w);

/* Steps the path for so many ticks. */
struct bench_sample bench_worker_run(struct bench_worker *w, uint64_t ticks);

/* Moves the same frames from port to port without the path: what the source takes of the instructions. */
struct bench_sample bench_worker_run_source(struct bench_worker *w, uint64_t ticks);

/* Steps the path until it has received at least so many packets; returns how many. A function of its own so that callgrind
 * can be told to count what happens inside. */
uint64_t bench_counted(struct bench_worker *w, uint64_t n_packets);

/* Packets that the path has dropped so far. */
uint64_t bench_worker_n_dropped(const struct bench_worker *w);

#endif
