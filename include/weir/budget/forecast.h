/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What will have been used when the cycle ends, told from the days so far.
 *
 * Shapes:   a day to come is expected to be like the same weekday of the weeks before, the last one counting most; where less
 *           than two weeks are known, like the last seven days. The interval holds the sum in four of five cycles or more,
 *           told by how far each known day was from what those before it would have said.
 * Units:    octets; days by the cycle's own hour (budget/cycle.h); shares of a day in parts a million.
 * Threads:  pure functions, integers alone.
 */
#ifndef WEIR_BUDGET_FORECAST_H
#define WEIR_BUDGET_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#define FORECAST_DAYS_MAX 56 /* eight weeks; older days say little */
#define FORECAST_NEVER    UINT32_MAX

struct forecast_input {
	uint64_t days[FORECAST_DAYS_MAX]; /* whole days, the oldest first; yesterday is the last */
	uint32_t n_days;
	uint64_t used_octets;    /* in this cycle, today included */
	uint32_t today_ppm;      /* how much of today has passed */
	uint32_t n_days_to_come; /* in this cycle, after today */
	uint64_t quota_octets;   /* 0: none */
};

struct forecast {
	bool is_known; /* false before the first whole day: the rest is then what was used */
	uint64_t expected_octets;
	uint64_t low_octets;
	uint64_t high_octets;
	uint32_t spent_in_days;       /* the quota; 0: today; FORECAST_NEVER: not in this cycle */
	uint32_t spent_in_days_early; /* at the high end */
};

struct forecast forecast_at(const struct forecast_input *in);

#endif
