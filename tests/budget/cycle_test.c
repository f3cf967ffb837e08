/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/civil.h>
#include <weir/budget/cycle.h>

#include <criterion/criterion.h>
#include <unistd.h>

#define FROM_S INT64_C(1704067200) /* 2024-01-01 */
#define TO_S   INT64_C(2240611200) /* 2041-01-01 */

static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo",
	"America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
	"Pacific/Auckland", "America/Nuuk", "Asia/Beirut"};

static const uint8_t days[] = {1, 14, 21, 28, 29, 30, 31};
static const uint8_t hours[] = {0, 2, 3, 23};

static struct zone *zone_of(const char *name)
{
	struct zone *z = NULL;

	if (access(ZONE_DIR "Europe/Berlin", R_OK) != 0)
		cr_skip_test("no time zones here");
	cr_assert_eq(zone_open(name, &z), 0, "%s", name);
	return z;
}

static int64_t utc(const struct zone *z, int32_t year, uint32_t month, uint32_t day, uint32_t hour)
{
	return zone_utc(z, civil_day(year, month, day), hour * 3600);
}

static void expect_days_tile(
	const struct cycle_rule *rule, const struct zone *zone, const struct cycle *c)
{
	cr_assert_eq(cycle_day_start(rule, zone, c, 0), c->start_s);
	cr_assert_eq(cycle_day_start(rule, zone, c, c->n_days), c->end_s);
	for (uint32_t day = 0; day < c->n_days; day++) {
		int64_t start_s = cycle_day_start(rule, zone, c, day);
		int64_t end_s = cycle_day_start(rule, zone, c, day + 1);

		cr_assert_lt(start_s, end_s);
		cr_assert(end_s - start_s >= 23 * 3600 && end_s - start_s <= 25 * 3600,
			"a day of %lld s", (long long)(end_s - start_s));
		cr_assert_eq(cycle_day_at(rule, zone, c, start_s), day);
		cr_assert_eq(cycle_day_at(rule, zone, c, end_s - 1), day);
	}
}

static uint32_t tile(const struct cycle_rule *rule, const struct zone *zone, const char *name)
{
	struct cycle c = cycle_at(rule, zone, FROM_S);
	uint32_t n = 0;

	cr_assert(c.start_s <= FROM_S && c.end_s > FROM_S, "%s", name);
	for (; c.end_s < TO_S; n++) {
		struct cycle last = cycle_at(rule, zone, c.end_s - 1);
		struct cycle middle = cycle_at(rule, zone, c.start_s + (c.end_s - c.start_s) / 2);
		struct cycle next = cycle_at(rule, zone, c.end_s);

		cr_assert_lt(c.start_s, c.end_s, "%s", name);
		cr_assert(last.start_s == c.start_s && last.end_s == c.end_s, "%s", name);
		cr_assert(middle.start_s == c.start_s && middle.end_s == c.end_s, "%s", name);
		cr_assert_eq(next.start_s, c.end_s, "%s: a gap or an overlap", name);
		cr_assert_eq(next.first_day, c.first_day + c.n_days, "%s", name);
		expect_days_tile(rule, zone, &c);
		c = next;
	}
	return n;
}

Test(budget_cycle, months_tile_the_years_2024_to_2040_in_every_zone)
{
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		struct zone *zone = zone_of(zones[i]);

		for (size_t k = 0; k < sizeof(days) * sizeof(hours); k++) {
			struct cycle_rule rule = {CYCLE_MONTHLY, days[k / sizeof(hours)],
				hours[k % sizeof(hours)], 0, 0};
			uint32_t n = tile(&rule, zone, zones[i]);

			cr_expect(n >= 203 && n <= 205, "%s: %u months", zones[i], n);
		}
		zone_close(zone);
	}
}

Test(budget_cycle, weeks_and_spans_tile_the_years_2024_to_2040_in_every_zone)
{
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		struct zone *zone = zone_of(zones[i]);

		for (size_t k = 0; k < sizeof(hours); k++) {
			uint8_t hour = hours[k];
			struct cycle_rule sunday = {CYCLE_WEEKLY, 0, hour, 0, 0};
			struct cycle_rule friday = {CYCLE_WEEKLY, 5, hour, 0, 0};
			struct cycle_rule day = {CYCLE_DAYS, 0, hour, 1, 0};
			struct cycle_rule days_28 = {CYCLE_DAYS, 0, hour, 28, 19900};
			struct cycle_rule days_366 = {CYCLE_DAYS, 0, hour, 366, -5};

			cr_expect(tile(&sunday, zone, zones[i]) >= 886);
			cr_expect(tile(&friday, zone, zones[i]) >= 886);
			cr_expect(tile(&day, zone, zones[i]) >= 6209);
			cr_expect(tile(&days_28, zone, zones[i]) >= 221);
			cr_expect(tile(&days_366, zone, zones[i]) >= 16);
		}
		zone_close(zone);
	}
}

Test(budget_cycle, a_short_month_begins_it_on_its_last_day)
{
	static const struct {
		int32_t year;
		uint32_t month;
		uint32_t day; /* on which the cycle of day 31 begins */
		uint32_t n_days;
	} rows[] = {
		{2023, 1, 31, 28},
		{2023, 2, 28, 31},
		{2024, 1, 31, 29},
		{2024, 2, 29, 31},
		{2024, 3, 31, 30},
		{2024, 4, 30, 31},
		{2024, 12, 31, 31},
	};
	struct zone *zone = zone_of("Europe/Berlin");
	struct cycle_rule rule = {.kind = CYCLE_MONTHLY, .day = 31};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t start_s = utc(zone, rows[i].year, rows[i].month, rows[i].day, 0);
		struct cycle c = cycle_at(&rule, zone, start_s);
		struct cycle before = cycle_at(&rule, zone, start_s - 1);

		cr_expect_eq(c.start_s, start_s, "%d-%u", rows[i].year, rows[i].month);
		cr_expect_eq(c.n_days, rows[i].n_days, "%d-%u", rows[i].year, rows[i].month);
		cr_expect_eq(before.end_s, start_s, "%d-%u", rows[i].year, rows[i].month);
	}
	zone_close(zone);
}

Test(budget_cycle, begins_by_the_carriers_clock_whatever_summer_time_does)
{
	/* `TZ=Europe/Berlin date -d ... +%s` */
	static const struct {
		const char *claim;
		struct cycle_rule rule;
		int64_t at_s;
		int64_t start_s;
		int64_t end_s;
	} rows[] = {
		{"15 March 00:00 is 23:00 UTC, 15 April 22:00", {CYCLE_MONTHLY, 15, 0, 0, 0},
			1711843200, 1710457200, 1713132000},
		{"31 March 02:00 does not exist: 03:00 summer time", {CYCLE_MONTHLY, 31, 2, 0, 0},
			1711846800, 1711846800, 1714435200},
		{"27 October 02:00 comes twice: the first", {CYCLE_MONTHLY, 27, 2, 0, 0},
			1729987200, 1729987200, 1732669200},
		{"a week of 167 hours", {CYCLE_WEEKLY, 1, 0, 0, 0}, 1711843200, 1711321200,
			1711922400},
		{"a week of 169 hours", {CYCLE_WEEKLY, 1, 0, 0, 0}, 1729987200, 1729461600,
			1730070000},
		{"a day of 23 hours", {CYCLE_DAYS, 0, 0, 1, 0}, 1711846800, 1711839600, 1711922400},
		{"28 days from 2024-03-15", {CYCLE_DAYS, 0, 0, 28, 19797}, 1711843200, 1710457200,
			1712872800},
	};
	struct zone *zone = zone_of("Europe/Berlin");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cycle c = cycle_at(&rows[i].rule, zone, rows[i].at_s);

		cr_expect_eq(c.start_s, rows[i].start_s, "%s: from %lld", rows[i].claim,
			(long long)c.start_s);
		cr_expect_eq(
			c.end_s, rows[i].end_s, "%s: to %lld", rows[i].claim, (long long)c.end_s);
	}
	zone_close(zone);
}

Test(budget_cycle, a_date_that_a_zone_left_out_is_no_cycle_of_its_own)
{
	struct zone *zone = zone_of("Pacific/Apia"); /* had no 30 December 2011 */
	struct cycle_rule rule = {.kind = CYCLE_DAYS, .n_days = 1};
	struct cycle before = cycle_at(&rule, zone, 1325239200 - 1);
	struct cycle after = cycle_at(&rule, zone, 1325239200);

	cr_expect_eq(before.end_s, 1325239200);
	cr_expect_eq(after.start_s, 1325239200);
	cr_expect_eq(after.end_s, 1325239200 + CIVIL_DAY_S);
	zone_close(zone);
}

Test(budget_cycle, answers_for_any_instant)
{
	struct zone *zone = zone_of("Europe/Berlin");
	struct cycle_rule rules[] = {{CYCLE_MONTHLY, 31, 23, 0, 0}, {CYCLE_WEEKLY, 6, 23, 0, 0},
		{CYCLE_DAYS, 0, 23, 366, -700000}};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct cycle first = cycle_at(&rules[i], zone, INT64_MIN);
		struct cycle last = cycle_at(&rules[i], zone, INT64_MAX);

		cr_expect_lt(first.start_s, first.end_s);
		cr_expect_lt(last.start_s, last.end_s);
		cr_expect_eq(cycle_day_at(&rules[i], zone, &first, INT64_MIN), 0);
		cr_expect_eq(cycle_day_at(&rules[i], zone, &last, INT64_MAX), last.n_days - 1);
	}
	zone_close(zone);
}
