/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Billing cycles: from when to when a carrier's quota counts.
 *
 * Shapes:   a cycle begins on a date at an hour, as the carrier's time zone shows it; where a clock change leaves that hour
 *           out, at the first instant after it, where it comes twice, the first time. One ends where the next begins.
 *           Its days begin at the same hour.
 * Units:    seconds since 1970, UTC; day numbers as in base/civil.h.
 * Threads:  pure functions.
 */
#ifndef WEIR_BUDGET_CYCLE_H
#define WEIR_BUDGET_CYCLE_H

#include <weir/base/zone.h>

#include <stdint.h>

#define CYCLE_DAYS_MAX 366

enum cycle_kind {
	CYCLE_MONTHLY,
	CYCLE_WEEKLY,
	CYCLE_DAYS, /* every so many days */
};

struct cycle_rule {
	enum cycle_kind kind;
	uint8_t day; /* monthly: 1 to 31, a shorter month's last day; weekly: the weekday, 0 is Sunday */
	uint8_t hour;       /* 0 to 23 */
	uint16_t n_days;    /* of CYCLE_DAYS: 1 to CYCLE_DAYS_MAX */
	int64_t anchor_day; /* of CYCLE_DAYS: day number on which one of them begins */
};

struct cycle {
	int64_t start_s; /* in it */
	int64_t end_s;   /* not in it */
	int64_t first_day;
	uint32_t n_days; /* by the calendar: 23 and 25 hours are a day too */
};

/* The cycle that an instant lies in. */
struct cycle cycle_at(const struct cycle_rule *rule, const struct zone *zone, int64_t utc_s);

/* Which of a cycle's days an instant lies in, from 0; the nearest one where it lies outside. */
uint32_t cycle_day_at(const struct cycle_rule *rule, const struct zone *zone, const struct cycle *c,
	int64_t utc_s);

/* When a day of a cycle begins; day n_days is its end. */
int64_t cycle_day_start(const struct cycle_rule *rule, const struct zone *zone,
	const struct cycle *c, uint32_t day);

#endif
