/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/budget/taper.h>

#define MARK_US       (TAPER_FLIGHT_US / (TAPER_MARKS - 2)) /* so that the marks span a flight */
#define QUOTA_DIVISOR 64 /* of a small quota no more is held back than this part */

void taper_note(struct taper *t, uint64_t now_us, uint64_t downlink_octets)
{
	uint32_t last = (t->n_marks - 1) % TAPER_MARKS;
	uint32_t before = (t->n_marks - 2) % TAPER_MARKS;

	/* The last mark moves along until it is far enough from the one before it. */
	if (t->n_marks < 2 || t->at_us[last] - t->at_us[before] >= MARK_US)
		last = t->n_marks++ % TAPER_MARKS;
	t->at_us[last] = now_us;
	t->octets[last] = downlink_octets;
}

uint64_t taper_in_flight(const struct taper *t, uint64_t now_us)
{
	uint32_t n_held = t->n_marks < TAPER_MARKS ? t->n_marks : TAPER_MARKS;
	uint64_t newest;
	uint64_t oldest;

	if (n_held == 0)
		return 0;
	newest = oldest = t->octets[(t->n_marks - 1) % TAPER_MARKS];
	/* One mark beyond the flight counts: what has come between it and the next may be within. */
	for (uint32_t age = 2; age <= n_held; age++) {
		uint32_t i = (t->n_marks - age) % TAPER_MARKS;

		oldest = t->octets[i];
		if (now_us - t->at_us[i] >= TAPER_FLIGHT_US)
			break;
	}
	return newest > oldest ? 2 * (newest - oldest) : 0;
}

uint64_t taper_least(uint64_t quota_octets)
{
	uint64_t part = quota_octets / QUOTA_DIVISOR;

	return part < TAPER_LEAST_OCTETS ? part : TAPER_LEAST_OCTETS;
}

uint64_t taper_rate_bps(uint64_t left_octets)
{
	uint64_t bps;

	if (left_octets >= (uint64_t)TAPER_MOST_BPS / 8 * TAPER_SPAN_US / US_PER_S)
		return 0;
	bps = left_octets * 8 * US_PER_S / TAPER_SPAN_US;
	return bps > TAPER_LEAST_BPS ? bps : TAPER_LEAST_BPS;
}
