/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/civil.h>

#include <criterion/criterion.h>

Test(base_civil, numbers_the_days_as_the_calendar_does)
{
	/* `date -u -d DATE +%s` / 86400, `+%w` */
	static const struct {
		int32_t year;
		uint32_t month;
		uint32_t day;
		int64_t number;
		uint32_t weekday;
	} rows[] = {
		{1970, 1, 1, 0, 4},
		{1969, 12, 31, -1, 3},
		{2000, 2, 29, 11016, 2},
		{2000, 3, 1, 11017, 3},
		{1900, 2, 28, -25509, 3},
		{1900, 3, 1, -25508, 4},
		{2024, 2, 29, 19782, 4},
		{2026, 11, 23, 20780, 1},
		{2038, 1, 19, 24855, 2},
		{1, 1, 1, -719162, 1},
		{9999, 12, 31, 2932896, 5},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct civil_date d = civil_date(rows[i].number);

		cr_expect_eq(civil_day(rows[i].year, rows[i].month, rows[i].day), rows[i].number,
			"%d-%u-%u", rows[i].year, rows[i].month, rows[i].day);
		cr_expect(
			d.year == rows[i].year && d.month == rows[i].month && d.day == rows[i].day,
			"day %lld", (long long)rows[i].number);
		cr_expect_eq(civil_weekday(rows[i].number), rows[i].weekday, "%d-%u-%u",
			rows[i].year, rows[i].month, rows[i].day);
	}
}

Test(base_civil, every_day_of_twelve_centuries_follows_the_one_before)
{
	struct civil_date was = civil_date(civil_day(1400, 1, 1) - 1);

	for (int64_t n = civil_day(1400, 1, 1); n < civil_day(2600, 1, 1); n++) {
		struct civil_date d = civil_date(n);
		bool is_same_month = was.day < civil_month_days(was.year, was.month);

		cr_assert_eq(civil_day(d.year, d.month, d.day), n);
		cr_assert_eq(d.day, is_same_month ? was.day + 1 : 1);
		cr_assert_eq(d.month, is_same_month ? was.month : was.month % 12 + 1);
		cr_assert_eq(d.year, was.year + (was.month == 12 && was.day == 31));
		was = d;
	}
}

Test(base_civil, rounds_seconds_before_1970_down_to_their_day)
{
	cr_expect_eq(civil_floor_div(-1, CIVIL_DAY_S), -1);
	cr_expect_eq(civil_floor_mod(-1, CIVIL_DAY_S), 86399);
	cr_expect_eq(civil_floor_div(-86400, CIVIL_DAY_S), -1);
	cr_expect_eq(civil_floor_mod(-86400, CIVIL_DAY_S), 0);
	cr_expect_eq(civil_floor_div(86399, CIVIL_DAY_S), 0);
}

Test(base_civil, reads_dates_and_nothing_else)
{
	static const char *const bad[] = {"", "2026-1-31", "2026-02-29", "2026-00-01", "2026-13-01",
		"2026-01-32", "1969-12-31", "2026-01-311", "2026/01/31", " 2026-01-31"};
	int64_t day = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_neq(civil_date_parse(bad[i], &day), 0, "%s", bad[i]);
	cr_expect_eq(day, 7, "untouched");
	cr_expect_eq(civil_date_parse("1970-01-01", &day), 0);
	cr_expect_eq(day, 0);
	cr_expect_eq(civil_date_parse("2024-02-29", &day), 0);
	cr_expect_eq(day, 19782);
}
