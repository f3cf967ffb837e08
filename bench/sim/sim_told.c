/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_told.h"

#include <weir/base/clock.h>

#define GRAIN_OCTETS      100
#define WINDOW_TICKS      4
#define TARGET_US         20000
#define SETTLE_US         120000
#define LEAST_OCTETS      4500
#define LEAST_PERCENT     50
#define MOST_PERCENT      150
#define CODEL_TARGET_US   50000
#define CODEL_INTERVAL_US 200000
#define FLOOR_BPS         16000

void sim_told_init(struct sim_told *t, const struct capacity *capacity, uint64_t late_us)
{
	*t = (struct sim_told){
		.capacity = capacity, .late_ticks = (uint32_t)(late_us / SIM_TOLD_TICK_US)};
	capacity_cursor_init(&t->at);
}

static uint64_t could_by(struct sim_told *t, uint64_t before, uint64_t now_us)
{
	struct outages none = {0};
	uint64_t could = before;

	for (;;) {
		struct capacity_cursor next = t->at;

		if (capacity_serve(t->capacity, &none, &next, 0, GRAIN_OCTETS) > now_us * NS_PER_US)
			return could;
		t->at = next;
		could += GRAIN_OCTETS;
	}
}

static const struct sim_told_tick *ago(const struct sim_told *t, uint64_t n_ticks)
{
	return &t->ticks[(n_ticks < t->n ? t->n - 1 - n_ticks : 0) % SIM_TOLD_TICKS];
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

struct shaper_link sim_told_run(
	struct sim_told *t, uint64_t waiting, uint64_t sent, uint64_t now_us)
{
	uint64_t before = t->n == 0 ? 0 : ago(t, 0)->could;
	const struct sim_told_tick *then, *earlier;
	int64_t carried_bps, queue, target, rate_bps;

	t->ticks[t->n++ % SIM_TOLD_TICKS] =
		(struct sim_told_tick){could_by(t, before, now_us), waiting, sent};
	then = ago(t, t->late_ticks);
	earlier = ago(t, t->late_ticks + WINDOW_TICKS);
	carried_bps = (int64_t)((then->could - earlier->could) * 8 * US_PER_S
				/ (WINDOW_TICKS * SIM_TOLD_TICK_US));
	queue = (int64_t)(then->waiting + sent - then->sent)
		- carried_bps * t->late_ticks * SIM_TOLD_TICK_US / (8 * (int64_t)US_PER_S);
	queue = clamp(queue, 0, INT64_MAX);
	target = clamp(carried_bps * TARGET_US / (8 * (int64_t)US_PER_S), LEAST_OCTETS, INT64_MAX);
	rate_bps = carried_bps + (target - queue) * 8 * (int64_t)US_PER_S / SETTLE_US;
	rate_bps = clamp(rate_bps, carried_bps * LEAST_PERCENT / 100,
		clamp(carried_bps * MOST_PERCENT / 100, 500000, INT64_MAX));
	return (struct shaper_link){.bps = (uint64_t)clamp(rate_bps, FLOOR_BPS, INT64_MAX),
		.waited_us = t->late_ticks > 0
				     ? 0
				     : (uint64_t)clamp(
					     queue * 8 * (int64_t)US_PER_S
						     / clamp(carried_bps, FLOOR_BPS, INT64_MAX),
					     0, 10 * (int64_t)US_PER_S),
		.target_us = CODEL_TARGET_US,
		.interval_us = CODEL_INTERVAL_US};
}
