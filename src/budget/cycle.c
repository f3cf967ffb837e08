/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/civil.h>
#include <weir/budget/cycle.h>

#define HOUR_S 3600u

/* Cycles are numbered so that the date of any one is arithmetic: months since year 0, weeks and spans since 1970. */
static int64_t date_of(const struct cycle_rule *rule, int64_t number)
{
	int32_t year;
	uint32_t month;
	uint32_t last;

	if (rule->kind == CYCLE_WEEKLY)
		return number * 7 + (rule->day + 7 - civil_weekday(0)) % 7;
	if (rule->kind == CYCLE_DAYS)
		return number * rule->n_days + civil_floor_mod(rule->anchor_day, rule->n_days);
	year = (int32_t)civil_floor_div(number, 12);
	month = (uint32_t)civil_floor_mod(number, 12) + 1;
	last = civil_month_days(year, month);
	return civil_day(year, month, rule->day < last ? rule->day : last);
}

static int64_t start_of(const struct cycle_rule *rule, const struct zone *zone, int64_t number)
{
	return zone_utc(zone, date_of(rule, number), rule->hour * HOUR_S);
}

/* The number of the cycle that an instant lies in: that of its date, or the one before or after. */
static int64_t number_at(const struct cycle_rule *rule, const struct zone *zone, int64_t utc_s)
{
	struct zone_time t;
	int64_t day;
	int64_t number;

	zone_local(zone, utc_s, &t);
	day = civil_day(t.year, t.month, t.day);
	if (rule->kind == CYCLE_WEEKLY)
		number = civil_floor_div(day, 7);
	else if (rule->kind == CYCLE_DAYS)
		number = civil_floor_div(day, rule->n_days);
	else
		number = (int64_t)t.year * 12 + t.month - 1;
	while (utc_s < start_of(rule, zone, number))
		number--;
	while (utc_s >= start_of(rule, zone, number + 1))
		number++;
	return number;
}

static int64_t within_years(int64_t utc_s)
{
	/* A cycle must begin and end within the years that zones know. */
	int64_t margin = (CYCLE_DAYS_MAX + 31) * CIVIL_DAY_S;

	if (utc_s < ZONE_MIN_S + margin)
		return ZONE_MIN_S + margin;
	return utc_s > ZONE_MAX_S - margin ? ZONE_MAX_S - margin : utc_s;
}

struct cycle cycle_at(const struct cycle_rule *rule, const struct zone *zone, int64_t utc_s)
{
	int64_t number = number_at(rule, zone, within_years(utc_s));
	int64_t first_day = date_of(rule, number);

	return (struct cycle){
		.start_s = start_of(rule, zone, number),
		.end_s = start_of(rule, zone, number + 1),
		.first_day = first_day,
		.n_days = (uint32_t)(date_of(rule, number + 1) - first_day),
	};
}

int64_t cycle_day_start(
	const struct cycle_rule *rule, const struct zone *zone, const struct cycle *c, uint32_t day)
{
	return zone_utc(zone, c->first_day + day, rule->hour * HOUR_S);
}

uint32_t cycle_day_at(const struct cycle_rule *rule, const struct zone *zone, const struct cycle *c,
	int64_t utc_s)
{
	uint32_t low = 0;
	uint32_t high = c->n_days - 1;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (cycle_day_start(rule, zone, c, middle) <= utc_s)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}
