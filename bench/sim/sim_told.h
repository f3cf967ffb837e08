/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller that is told what nobody outside the radio can measure exactly, to see what measuring better could gain.
 *
 * Source:   the law of shape/link_rate.h with the capacity of the last 40 ms and the octets that wait at the radio in place
 *           of estimates. It does not look ahead. What happens at the modem it is told a round trip late, as an answer would.
 * Units:    microseconds, octets, bits a second.
 * Threads:  one owner.
 * Memory:   the struct alone.
 */
#ifndef SIM_TOLD_H
#define SIM_TOLD_H

#include "cellink_capacity.h"

#include <weir/shape/shaper.h>

#include <stdint.h>

#define SIM_TOLD_TICK_US 10000
#define SIM_TOLD_TICKS   128

struct sim_told_tick {
	uint64_t could;   /* octets that the radio could have carried by then */
	uint64_t waiting; /* octets at the radio */
	uint64_t sent;    /* octets that have crossed weir's edge */
};

/* One direction. */
struct sim_told {
	const struct capacity *capacity; /* borrowed */
	struct capacity_cursor at;
	uint32_t late_ticks;
	uint64_t n;
	struct sim_told_tick ticks[SIM_TOLD_TICKS];
};

void sim_told_init(struct sim_told *t, const struct capacity *capacity, uint64_t late_us);

/* Each SIM_TOLD_TICK_US: what is so now, for the rate that follows from what was so when it was heard of. */
struct shaper_link sim_told_run(
	struct sim_told *t, uint64_t waiting, uint64_t sent, uint64_t now_us);

#endif
