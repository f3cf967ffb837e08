/* SPDX-License-Identifier: BSD-3-Clause */
#include "zone_rule.h"

#include <weir/base/civil.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define HOUR_S          3600
#define NAME_MIN        3
#define OFFSET_HOUR_MAX 24
#define RULE_HOUR_MAX   167
#define CHANGE_HOUR     2 /* where a date has no time */

struct reader {
	const char *at;
	const char *end;
};

static bool take(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* Digits alone; -EINVAL for none, or outside min to max. */
static int take_number(struct reader *r, uint32_t min, uint32_t max, uint32_t *ret_n)
{
	const char *from = r->at;
	uint32_t n = 0;

	while (r->at < r->end && isdigit((unsigned char)*r->at) && r->at - from < 4)
		n = n * 10 + (uint32_t)(*r->at++ - '0');
	if (r->at == from || n < min || n > max)
		return -EINVAL;
	*ret_n = n;
	return 0;
}

/* [+-]hh[:mm[:ss]] */
static int take_time(struct reader *r, uint32_t hour_max, int32_t *ret_s)
{
	bool is_negative = take(r, '-');
	uint32_t hour;
	uint32_t minute = 0;
	uint32_t second = 0;
	int32_t sum;

	if (!is_negative)
		(void)take(r, '+');
	if (take_number(r, 0, hour_max, &hour) != 0)
		return -EINVAL;
	if (take(r, ':')) {
		if (take_number(r, 0, 59, &minute) != 0)
			return -EINVAL;
		if (take(r, ':') && take_number(r, 0, 59, &second) != 0)
			return -EINVAL;
	}
	sum = (int32_t)(hour * HOUR_S + minute * 60 + second);
	*ret_s = is_negative ? -sum : sum;
	return 0;
}

/* CET, or <+03> for what is not made of letters. */
static int take_name(struct reader *r)
{
	bool is_quoted = take(r, '<');
	const char *from = r->at;

	while (r->at < r->end
		&& (isalpha((unsigned char)*r->at)
			|| (is_quoted
				&& (isdigit((unsigned char)*r->at) || *r->at == '+'
					|| *r->at == '-'))))
		r->at++;
	if (r->at - from < NAME_MIN || (is_quoted && !take(r, '>')))
		return -EINVAL;
	return 0;
}

static int take_day(struct reader *r, struct zone_date *ret_date)
{
	struct zone_date d = {.time_s = CHANGE_HOUR * HOUR_S};
	uint32_t month = 0;
	uint32_t week = 0;
	uint32_t day;
	int error;

	if (take(r, 'M')) {
		d.kind = ZONE_DATE_MONTH_WEEK;
		if (take_number(r, 1, 12, &month) != 0 || !take(r, '.')
			|| take_number(r, 1, 5, &week) != 0 || !take(r, '.'))
			return -EINVAL;
		error = take_number(r, 0, 6, &day);
	} else if (take(r, 'J')) {
		d.kind = ZONE_DATE_JULIAN;
		error = take_number(r, 1, 365, &day);
	} else {
		d.kind = ZONE_DATE_DAY;
		error = take_number(r, 0, 365, &day);
	}
	if (error != 0)
		return error;
	d.month = (uint8_t)month;
	d.week = (uint8_t)week;
	d.day = (uint16_t)day;
	*ret_date = d;
	return 0;
}

static int take_date(struct reader *r, struct zone_date *ret_date)
{
	if (!take(r, ',') || take_day(r, ret_date) != 0)
		return -EINVAL;
	return take(r, '/') ? take_time(r, RULE_HOUR_MAX, &ret_date->time_s) : 0;
}

/* An offset west of Greenwich, as POSIX writes them; ours are east. */
static int take_offset(struct reader *r, int32_t *ret_s)
{
	int error = take_time(r, OFFSET_HOUR_MAX, ret_s);

	*ret_s = -*ret_s;
	return error;
}

int zone_rule_parse(const char *text, size_t len, struct zone_rule *ret_rule)
{
	struct reader r = {.at = text, .end = text + len};
	struct zone_rule rule = {0};

	if (take_name(&r) != 0 || take_offset(&r, &rule.standard_s) != 0)
		return -EINVAL;
	rule.has_summer = r.at < r.end;
	if (rule.has_summer) {
		rule.summer_s = rule.standard_s + HOUR_S;
		if (take_name(&r) != 0)
			return -EINVAL;
		if (r.at < r.end && *r.at != ',' && take_offset(&r, &rule.summer_s) != 0)
			return -EINVAL;
		if (take_date(&r, &rule.begins) != 0 || take_date(&r, &rule.ends) != 0)
			return -EINVAL;
	}
	if (r.at != r.end)
		return -EINVAL;
	*ret_rule = rule;
	return 0;
}

/* The day number of a date in a year. */
static int64_t day_of(const struct zone_date *d, int32_t year)
{
	int64_t first = civil_day(year, 1, 1);
	uint32_t day;

	if (d->kind == ZONE_DATE_DAY)
		return first + d->day;
	if (d->kind == ZONE_DATE_JULIAN)
		return first + d->day - 1 + (civil_is_leap(year) && d->day >= 60);
	first = civil_day(year, d->month, 1);
	day = (d->day + 7 - civil_weekday(first)) % 7 + (d->week - 1u) * 7;
	if (day >= civil_month_days(year, d->month))
		day -= 7;
	return first + day;
}

/* Changes of three years around the instant: a change may lie a week outside its own year. */
struct zone_piece zone_rule_piece(const struct zone_rule *r, int64_t utc_s)
{
	struct zone_piece p = {.offset_s = r->standard_s, .end_s = INT64_MAX};
	int64_t last = INT64_MIN;
	int32_t year;

	if (!r->has_summer)
		return p;
	year = civil_date(civil_floor_div(utc_s + r->standard_s, CIVIL_DAY_S)).year;
	for (int32_t y = year - 1; y <= year + 1; y++) {
		int64_t begins =
			day_of(&r->begins, y) * CIVIL_DAY_S + r->begins.time_s - r->standard_s;
		int64_t ends = day_of(&r->ends, y) * CIVIL_DAY_S + r->ends.time_s - r->summer_s;

		/* Where one year's end is the next one's beginning, summer time goes on. */
		if (ends <= utc_s && ends > last) {
			last = ends;
			p.offset_s = r->standard_s;
		}
		if (begins <= utc_s && begins >= last) {
			last = begins;
			p.offset_s = r->summer_s;
		}
		if (begins > utc_s && begins < p.end_s)
			p.end_s = begins;
		if (ends > utc_s && ends < p.end_s)
			p.end_s = ends;
	}
	return p;
}
