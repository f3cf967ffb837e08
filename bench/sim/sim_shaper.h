/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of the shaper: a queue for each flow, deficit round robin with sparse flows first, CoDel in each.
 *
 * Source:   RFC 8290, RFC 8289.
 * Shapes:   rate 0: nothing is held. A shaper without a rate of its own is asked for what is served when the radio
 *           serves (the oracle).
 * Units:    microseconds, octets, bits a second.
 */
#ifndef SIM_SHAPER_H
#define SIM_SHAPER_H

#include "sim_queue.h"

#define SIM_SHAPER_FLOWS 128 /* data and ACKs of a flow are flows of their own */

struct sim_codel {
	uint64_t first_above_us;
	uint64_t drop_next_us;
	uint32_t count;
	uint32_t last_count;
	bool is_dropping;
};

struct sim_shaper_flow {
	struct sim_queue queue;
	struct sim_codel codel;
	int32_t deficit;
	bool is_listed;
};

struct sim_shaper {
	struct sim_shaper_flow flows[SIM_SHAPER_FLOWS];
	uint8_t lists[2][SIM_SHAPER_FLOWS]; /* new flows, old flows: rings of flow numbers */
	uint32_t head[2], n[2];
	uint64_t rate_bps;
	uint64_t target_us, interval_us; /* CoDel's; 0: RFC 8289's */
	uint64_t hidden_us; /* what packets of this direction have waited before they came here */
	int64_t credit_bits_us; /* millionths of a bit */
	uint64_t credited_us;
	uint64_t octets;
	uint64_t n_dropped;
};

void sim_shaper_set_rate(struct sim_shaper *s, uint64_t rate_bps, uint64_t now_us);

void sim_shaper_put(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us);

/* The next packet that the rate lets go; false when none is. */
bool sim_shaper_take(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet);

/* The next packet whatever the rate. */
bool sim_shaper_take_any(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet);

void sim_shaper_clean(struct sim_shaper *s);

#endif
