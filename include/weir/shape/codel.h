/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CoDel for one queue: whether the packet that comes out of it is to be given up.
 *
 * Source:   RFC 8289, its pseudo-code's control law in integers: interval / sqrt(count) = sqrt(interval^2 / count), found by
 *           Newton's steps when a packet is given up, never for one that passes.
 * Shapes:   asked once for each packet that leaves the queue; who gives one up asks again for the next. The last packet of a
 *           queue is never given up, and ends the state.
 * Units:    microseconds.
 * Threads:  one owner a queue.
 */
#ifndef WEIR_SHAPE_CODEL_H
#define WEIR_SHAPE_CODEL_H

#include <stdbool.h>
#include <stdint.h>

#define CODEL_TARGET_US     5000   /* RFC 8289 section 4.3 */
#define CODEL_INTERVAL_US   100000 /* section 4.3 */
#define CODEL_PACKET_OCTETS 1514   /* a queue of no more than this is not standing */

struct codel_params {
	uint32_t target_us;
	uint32_t interval_us;
};

/* Starts as { 0 }. */
struct codel {
	uint64_t
		first_above_us; /* when the sojourn will have been above the target for an interval; 0: it is below */
	uint64_t drop_next_us;
	uint32_t count; /* given up since the state was entered */
	uint32_t last_count;
	bool is_dropping;
	bool owes_next; /* drop_next_us is one given-up packet behind */
};

/* For a queue that leaves at `bps` (0: at will): the target is at least one and a half times what a full packet takes, and the
 * interval grows with it. */
struct codel_params codel_params_of(uint64_t bps);

/* True when the packet is to be given up, or marked. `rest_octets` stay in the queue behind it. */
bool codel_judge(struct codel *c, const struct codel_params *params, uint64_t sojourn_us,
	uint64_t rest_octets, uint64_t now_us);

/* sqrt(interval_us^2 / count), rounded down; count is not 0. */
uint32_t codel_spacing_us(uint32_t interval_us, uint32_t count);

#endif
