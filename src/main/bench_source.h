/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The benchmark's source: frames of many flows, made of one that is the same for all, so that making them reads next to no
 * memory. Frames that are stored, one a flow, would take the caches from the path, and what that costs is no cost of the path.
 *
 * Shapes:   flow i goes from one of a few thousand internal endpoints to a remote of its own, 11.0.0.0 + i, so mappings are
 *           shared as by real hosts and any number of flows fits one external address. Of several workers each has the
 *           flows that a hash of their remote endpoint gives it. In each round every flow has one frame; the order
 *           is that of the numbers, or random: a linear congruential generator of full period (Hull and Dobell, 1962).
 * Threads:  one owner.
 */
#ifndef WEIR_MAIN_BENCH_SOURCE_H
#define WEIR_MAIN_BENCH_SOURCE_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/port/frames.h>
#include <weir/port/memory.h>

#include <stdbool.h>
#include <stdint.h>

#define BENCH_FRAME_IMIX 0 /* 7 : 4 : 1 of 64, 594 and 1518 octets */

enum {
	BENCH_HOSTS_MAX = 250,
	BENCH_ENDPOINTS = 32000, /* below the 64512 ports of an address, with room for collisions */
	BENCH_SIZES = 3,
};

/* What the frames of both directions have in common. */
struct bench_flows {
	uint32_t n; /* of all workers */
	uint32_t worker;
	uint32_t n_workers;
	uint32_t n_hosts;
	uint32_t hosts_be[BENCH_HOSTS_MAX];
	uint16_t external_ports[BENCH_ENDPOINTS]; /* of the mappings, by endpoint; 0: none yet */
	uint32_t external_be;
};

struct bench_endpoints {
	uint32_t endpoint; /* number of the internal one */
	uint32_t internal_be;
	uint32_t remote_be;
	uint16_t internal_port;
	uint16_t remote_port;
};

struct bench_frame {
	uint8_t bytes[FRAMES_LINK_BYTES_MAX + 1500];
	uint16_t len;
	uint16_t l3_off;
	uint32_t ip_sum; /* ones' complement sums, as in memory, without addresses and ports */
	uint32_t udp_sum;
};

struct bench_source {
	const struct bench_flows *flows;
	enum direction direction;
	enum link_framing framing;
	uint16_t
		frame_octets; /* on an Ethernet wire, with its check sequence; or BENCH_FRAME_IMIX */
	bool is_random;
	uint32_t limit; /* only flows below this number */
	uint32_t next;  /* the generator's state, or the next number */
	uint32_t mask;
	uint64_t n_left; /* frames to be made; UINT64_MAX: for ever */
	struct bench_frame frames[BENCH_SIZES];
};

/* True when a flow is the worker's. */
bool bench_flows_has(const struct bench_flows *flows, uint32_t flow);

struct bench_endpoints bench_flows_endpoints(const struct bench_flows *flows, uint32_t flow);

struct mac_addr bench_mac_of(uint32_t addr_be);

/* Makes the frames that all are made of: `udp` has what is the same in all of this direction; addresses of UDP and IP are left out. */
void bench_source_init(struct bench_source *s, const struct bench_flows *flows,
	enum direction direction, enum link_framing framing, const struct frames_udp *udp,
	uint16_t frame_octets);

/* From now on `port` receives a frame of each flow of the worker below number `limit`, `n_rounds` times (0: for ever). */
void bench_source_start(struct bench_source *s, struct port *port, uint32_t limit,
	uint64_t n_rounds, bool is_random);

#endif
