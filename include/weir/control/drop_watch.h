/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells when packets are dropped for one reason at more than a rate, and when no longer.
 *
 * Shapes:   the rate of a reason is its mean over the last ten seconds. Above the alarm: `drops.above`; below a half of it:
 *           `drops.below`, so that a rate at the alarm is told once. Reasons by which weir does its work (ARP that was
 *           answered, CoDel, thinned acknowledgements) are never told.
 * Threads:  one owner, control.
 * Memory:   fixed: a counter for each reason and second.
 */
#ifndef WEIR_CONTROL_DROP_WATCH_H
#define WEIR_CONTROL_DROP_WATCH_H

#include <weir/packet/drops.h>

#include <stdbool.h>
#include <stdint.h>

#define DROP_WATCH_S 10

struct drop_watch {
	uint64_t samples[DROP_WATCH_S][N_DROP_REASONS]; /* of the last seconds, around a ring */
	uint64_t n_samples;
	bool is_above[N_DROP_REASONS];
};

/* Looks at the counters; call it each second. `alarm`: packets a second; 0: nothing is told. */
void drop_watch_tick(struct drop_watch *w, const uint64_t drops[N_DROP_REASONS], uint32_t alarm);

#endif
