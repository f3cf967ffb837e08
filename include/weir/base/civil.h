/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dates of the Gregorian calendar as day numbers, and back.
 *
 * Source:   Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in March put the leap day last.
 * Shapes:   proleptic: the same rule before 1582 and before year 1.
 * Units:    days since 1970-01-01; months from 1, days of a month from 1; weekdays from 0, Sunday, as in struct tm.
 * Threads:  pure functions.
 */
#ifndef WEIR_BASE_CIVIL_H
#define WEIR_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define CIVIL_DAY_S INT64_C(86400)

struct civil_date {
	int32_t year;
	uint8_t month;
	uint8_t day;
};

/* The day number of a date. */
int64_t civil_day(int32_t year, uint32_t month, uint32_t day);

/* The date of a day number within 5 million years of 1970. */
struct civil_date civil_date(int64_t day);

/* "2026-01-31", from 1970 on, as a day number. 0, or -EINVAL for what is no date. */
int civil_date_parse(const char *text, int64_t *ret_day);

/* The weekday of a day number. */
uint32_t civil_weekday(int64_t day);

bool civil_is_leap(int32_t year);

/* Days of a month. */
uint32_t civil_month_days(int32_t year, uint32_t month);

/* a / b rounded down, and what is left, for b > 0: -1 second is the last one of the day before. */
static inline int64_t civil_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static inline int64_t civil_floor_mod(int64_t a, int64_t b)
{
	return a - civil_floor_div(a, b) * b;
}

#endif
