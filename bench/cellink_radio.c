/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_radio.h"

void radio_init(struct radio *r, const struct radio_timers *timers, uint64_t seed)
{
	*r = (struct radio){.timers = *timers};
	rng_init(&r->rng, seed);
}

/* Uniform over [0, cycle_ns): where in the cycle the packet comes is chance. */
static uint64_t wait_in_cycle(struct radio *r, uint64_t cycle_ns)
{
	return cycle_ns > 0 ? rng_next(&r->rng) % cycle_ns : 0;
}

static uint64_t quiet_ns(const struct radio *r, uint64_t now_ns)
{
	return now_ns > r->active_ns ? now_ns - r->active_ns : 0;
}

uint64_t radio_ready(struct radio *r, enum direction direction, uint64_t now_ns)
{
	const struct radio_timers *t = &r->timers;
	uint64_t ready = now_ns;

	if (t->idle_ns > 0 && (!r->connected || quiet_ns(r, now_ns) >= t->idle_ns)) {
		r->connected = true;
		r->n_promotions++;
		r->ready_ns = now_ns + t->promotion_ns;
		if (direction == DOWNLINK)
			r->ready_ns += wait_in_cycle(r, t->paging_ns);
	} else if (direction == UPLINK && r->ready_ns > now_ns + t->promotion_ns) {
		r->ready_ns = now_ns + t->promotion_ns; /* the modem does not wait to be paged */
	}
	if (ready < r->ready_ns)
		ready = r->ready_ns;
	else if (direction == DOWNLINK && t->drx_idle_ns > 0
		 && quiet_ns(r, now_ns) >= t->drx_idle_ns)
		ready += wait_in_cycle(r, t->drx_cycle_ns);
	radio_touch(r, ready);
	return ready;
}

void radio_touch(struct radio *r, uint64_t until_ns)
{
	if (until_ns > r->active_ns)
		r->active_ns = until_ns;
}
