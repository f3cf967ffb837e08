/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/base/zone_rule.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct zone_rule rule_of(const char *text)
{
	struct zone_rule r = {0};

	cr_assert_eq(zone_rule_parse(text, strlen(text), &r), 0, "%s", text);
	return r;
}

/* Seconds are those of `TZ=RULE date -d ... +%s`. */
Test(base_zone_rule, changes_at_the_second_it_says)
{
	static const struct {
		const char *claim;
		const char *rule;
		int64_t change_s;
		int32_t before_s;
		int32_t after_s;
	} rows[] = {
		{"central Europe, into summer", "CET-1CEST,M3.5.0,M10.5.0/3", 1711846800, 3600,
			7200},
		{"and out of it", "CET-1CEST,M3.5.0,M10.5.0/3", 1729990800, 7200, 3600},
		{"second Sunday of March", "EST5EDT,M3.2.0,M11.1.0", 1710054000, -18000, -14400},
		{"summer over the new year", "NZST-12NZDT,M9.5.0,M4.1.0/3", 1712412000, 46800,
			43200},
		{"half an hour", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1712415600, 39600, 37800},
		{"26 hours into the day (RFC 8536 s3.3.1)", "IST-2IDT,M3.4.4/26,M10.5.0",
			1711670400, 7200, 10800},
		{"hours before the day", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1711846800, -7200,
			-3600},
		{"summer that takes away: Dublin's winter", "IST-1GMT0,M10.5.0,M3.5.0/1",
			1729990800, 3600, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone_rule r = rule_of(rows[i].rule);
		struct zone_piece before = zone_rule_piece(&r, rows[i].change_s - 1);
		struct zone_piece after = zone_rule_piece(&r, rows[i].change_s);

		cr_expect_eq(before.offset_s, rows[i].before_s, "%s", rows[i].claim);
		cr_expect_eq(before.end_s, rows[i].change_s, "%s", rows[i].claim);
		cr_expect_eq(after.offset_s, rows[i].after_s, "%s", rows[i].claim);
		cr_expect_gt(after.end_s, rows[i].change_s, "%s", rows[i].claim);
	}
}

Test(base_zone_rule, counts_days_of_the_year_with_and_without_29_february)
{
	struct zone_rule julian = rule_of("AAA0BBB,J60/0,J300/0");
	struct zone_rule plain = rule_of("AAA0BBB,59/0,299/0");
	int64_t first_of_march_2024 = 1709251200;
	int64_t first_of_march_2023 = 1677628800;

	cr_expect_eq(zone_rule_piece(&julian, first_of_march_2024 - 1).end_s, first_of_march_2024);
	cr_expect_eq(zone_rule_piece(&julian, first_of_march_2023 - 1).end_s, first_of_march_2023);
	cr_expect_eq(zone_rule_piece(&plain, first_of_march_2023 - 1).end_s, first_of_march_2023);
	cr_expect_eq(zone_rule_piece(&plain, first_of_march_2024 - 86401).end_s,
		first_of_march_2024 - 86400, "day 59 of a leap year is 29 February");
}

Test(base_zone_rule, summer_all_year_has_no_winter)
{
	/* RFC 8536 section 3.3.1's own example: permanent daylight saving time, 4 hours west. */
	struct zone_rule r = rule_of("XXX3EDT4,0/0,J365/23");

	for (int64_t s = 1577836800; s < 1735689600; s += 1800)
		cr_assert_eq(zone_rule_piece(&r, s).offset_s, -4 * 3600, "%lld", (long long)s);
}

Test(base_zone_rule, refuses_what_is_no_rule)
{
	static const char *const rows[] = {
		"",
		"C",
		"CE-1",
		"CET",
		"CET-",
		"CET-25",
		"CET-1:60",
		"CET-1:00:60",
		"CET-1CEST",
		"CET-1CEST,M3.5.0",
		"CET-1CEST,M3.5.0,",
		"CET-1CEST,M13.5.0,M10.5.0",
		"CET-1CEST,M0.5.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1CEST,J0,J10",
		"CET-1CEST,J366,J10",
		"CET-1CEST,366,10",
		"CET-1CEST,M3.5.0,M10.5.0 ",
		"<+3>-3",
		"<+03-3",
		"CET-1CEST,M3.5,M10.5.0",
		"CET-99999999999999999999",
	};
	struct zone_rule r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
			zone_rule_parse(rows[i], strlen(rows[i]), &r), -EINVAL, "'%s'", rows[i]);
}
