/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The radio's states, as far as a packet feels them: idle, connected, and asleep between the two.
 *
 * Source:   3GPP TS 36.331 (RRC idle and connected), TS 36.304 (paging), TS 36.321 section 5.7 (DRX);
 *           figures for each access technology stand in the profiles.
 * Shapes:   one radio for both directions. After idle_ns without traffic the next packet, either
 *           way, finds it idle and waits promotion_ns; towards the modem it is paged first. After
 *           drx_idle_ns a connected modem listens once in drx_cycle_ns only; it may speak at once.
 * Units:    nanoseconds since the start of the run. An idle_ns or drx_idle_ns of 0 = never idle.
 * Threads:  one owner.
 * Memory:   the struct alone.
 */
#ifndef CELLINK_RADIO_H
#define CELLINK_RADIO_H

#include <weir/base/direction.h>
#include <weir/base/rng.h>

#include <stdbool.h>
#include <stdint.h>

struct radio_timers {
	uint64_t idle_ns;
	uint64_t promotion_ns;
	uint64_t paging_ns; /* cycle; the wait for the next occasion is uniform over it */
	uint64_t drx_idle_ns;
	uint64_t drx_cycle_ns;
};

struct radio {
	struct radio_timers timers;
	struct rng rng;
	bool connected;
	uint64_t ready_ns;  /* end of the promotion */
	uint64_t active_ns; /* last traffic, either way */
	uint64_t n_promotions;
};

void radio_init(struct radio *r, const struct radio_timers *timers, uint64_t seed);

/* When a packet that comes now may start; counts as traffic, and promotes where it must. */
uint64_t radio_ready(struct radio *r, enum direction direction, uint64_t now_ns);

/* The radio is in use until then. */
void radio_touch(struct radio *r, uint64_t until_ns);

#endif
