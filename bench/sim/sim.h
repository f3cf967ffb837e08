/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cellular site in virtual time: senders, weir's shaper in both directions, and a radio link with deep buffers.
 *
 * Source:   capacities as in cellink_capacity.h; CUBIC after RFC 9438 with HyStart (RFC 9406), BBR after Cardwell et
 *           al., "BBR: congestion-based congestion control", ACM Queue 14(5), 2016; both reduced to what moves a queue.
 * Shapes:   uplink: sender, shaper, modem's buffer, capacity, delay and jitter, server. Downlink: server, delay, base
 *           station's buffer, capacity, jitter, shaper, receiver. Time goes in steps of a millisecond.
 * Units:    microseconds, octets of IP, bits a second.
 * Errors:   -ENOMEM.
 * Threads:  one owner. The same parameters give the same figures, on every machine.
 * Memory:   queues grow by doubling.
 */
#ifndef SIM_H
#define SIM_H

#include "cellink_capacity.h"
#include "cellink_histogram.h"
#include "sim_queue.h"

#include <weir/base/direction.h>
#include <weir/base/rng.h>

#define SIM_FLOWS_MAX 64
#define SIM_STEP_US   1000

enum sim_sender_kind {
	SIM_CUBIC,
	SIM_BBR,
	SIM_VOICE, /* 200 octets each 20 ms */
	SIM_UDP    /* a fixed rate that listens to nobody */
};

enum sim_controller {
	SIM_UNSHAPED,
	SIM_FIXED, /* the capacity's mean, in both directions */
	SIM_ORACLE, /* the queues of the shaper stand where the radio serves, which knows the capacity */
	SIM_AUTORATE, /* active probes, after cake-autorate */
	SIM_TOLD,     /* as weir, but told what it would have to measure */
	SIM_WEIR
};

struct sim_flow_params {
	enum sim_sender_kind kind;
	enum direction direction; /* which way its data goes */
	uint64_t rate_bps;        /* SIM_UDP */
	uint64_t start_us;
	uint64_t stop_us; /* 0: at the end */
	bool has_timestamps;
};

struct sim_params {
	const struct capacity *capacity[N_DIRECTIONS]; /* borrowed */
	uint32_t buffer_octets[N_DIRECTIONS];
	uint32_t delay_us[N_DIRECTIONS];
	uint32_t jitter_us[N_DIRECTIONS];
	uint64_t idle_us;      /* radio idle after so long without a packet; 0: never */
	uint64_t promotion_us; /* what the first packet then waits */
	uint64_t route_us;     /* at this time the way becomes longer or shorter; 0: never */
	int32_t route_shift_us;
	uint64_t
		asleep_us; /* weir's processor is somebody else's for so long at a time, each 3 ms; 0: never */
	enum sim_controller controller;
	uint64_t oracle_target_us, oracle_interval_us; /* CoDel's; 0: RFC 8289's */
	uint64_t duration_us;
	uint64_t seed;
	uint32_t n_flows;
	struct sim_flow_params flows[SIM_FLOWS_MAX];
	const char *trace_path; /* a line each 10 ms of what happens, for plots; NULL: none */
};

struct sim_figures {
	uint64_t capacity_octets;  /* what the radio could have carried */
	uint64_t carried_octets;   /* what it carried */
	uint64_t delivered_octets; /* what reached its receiver */
	uint64_t probe_octets;
	uint64_t n_lost;
	struct histogram
		bulk; /* queueing of CUBIC's, BBR's and UDP's packets, in weir and at the radio */
	struct histogram sparse; /* of voice */
};

struct sim_result {
	struct sim_figures direction[N_DIRECTIONS];
};

/* Runs it from beginning to end. */
int sim_run(const struct sim_params *params, struct sim_result *ret_result);

#endif
