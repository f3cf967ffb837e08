/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/schedule.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKDAYS  0x3e /* Monday to Friday */
#define MIN(h, m) ((h)*60 + (m))

/* `date -u -d ... +%s` */
#define MON_2024_07_01_00_UTC INT64_C(1719792000)
#define HOUR_S                3600

static struct config_schedule schedule(
	uint8_t days, uint16_t from_min, uint16_t to_min, const char *zone)
{
	struct config_schedule s = {.days = days, .from_min = from_min, .to_min = to_min};

	strcpy(s.timezone, zone);
	return s;
}

static bool holds(const struct config_schedule *s, int64_t wall_s)
{
	bool is_on = false;

	cr_assert_eq(schedule_read(s, wall_s, &is_on), 0);
	return is_on;
}

Test(control_schedule, holds_from_its_beginning_until_just_before_its_end)
{
	struct config_schedule s = schedule(WORKDAYS, MIN(8, 0), MIN(17, 30), "UTC");
	int64_t monday = MON_2024_07_01_00_UTC;

	cr_expect(!holds(&s, monday + 8 * HOUR_S - 1));
	cr_expect(holds(&s, monday + 8 * HOUR_S));
	cr_expect(holds(&s, monday + 17 * HOUR_S + 1799));
	cr_expect(!holds(&s, monday + 17 * HOUR_S + 1800));
	cr_expect(!holds(&s, monday - 24 * HOUR_S + 9 * HOUR_S), "Sunday");
	cr_expect(holds(&s, monday + 4 * 24 * HOUR_S + 9 * HOUR_S), "Friday");
	cr_expect(!holds(&s, monday + 5 * 24 * HOUR_S + 9 * HOUR_S), "Saturday");
}

Test(control_schedule, one_over_midnight_belongs_to_the_day_on_which_it_begins)
{
	struct config_schedule s = schedule(1 << 5, MIN(22, 0), MIN(6, 0), "UTC"); /* Friday */
	int64_t friday = MON_2024_07_01_00_UTC + 4 * 24 * HOUR_S;

	cr_expect(!holds(&s, friday + 5 * HOUR_S), "that would be Thursday's");
	cr_expect(holds(&s, friday + 22 * HOUR_S));
	cr_expect(holds(&s, friday + 29 * HOUR_S));
	cr_expect(!holds(&s, friday + 30 * HOUR_S));
	cr_expect(!holds(&s, friday + 46 * HOUR_S));
}

Test(control_schedule, a_whole_day_is_whole)
{
	struct config_schedule s = schedule(1 << 1, 0, 24 * 60, "UTC");

	cr_expect(!holds(&s, MON_2024_07_01_00_UTC - 1));
	cr_expect(holds(&s, MON_2024_07_01_00_UTC));
	cr_expect(holds(&s, MON_2024_07_01_00_UTC + 24 * HOUR_S - 1));
	cr_expect(!holds(&s, MON_2024_07_01_00_UTC + 24 * HOUR_S));
}

Test(control_schedule, summer_time_moves_it_and_the_process_keeps_its_own_zone)
{
	struct config_schedule s = schedule(0x7f, MIN(8, 0), MIN(9, 0), "Europe/Berlin");

	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
		cr_skip_test("no time zones here");
	setenv("TZ", "Asia/Tokyo", 1);
	cr_expect(holds(&s, MON_2024_07_01_00_UTC + 6 * HOUR_S), "UTC+2 in July");
	cr_expect(!holds(&s, MON_2024_07_01_00_UTC + 7 * HOUR_S));
	cr_expect(holds(&s, INT64_C(1704094200)), "2024-01-01 07:30 UTC is 08:30 in winter");
	cr_expect(!holds(&s, INT64_C(1704090600)), "06:30 UTC is 07:30");
	cr_expect_str_eq(getenv("TZ"), "Asia/Tokyo");
	unsetenv("TZ");
	cr_expect(holds(&s, MON_2024_07_01_00_UTC + 6 * HOUR_S));
	cr_expect_null(getenv("TZ"));
}

Test(control_schedule, without_its_zone_or_a_trusted_clock_nothing_is_known)
{
	struct config *c = calloc(1, sizeof(*c));
	struct schedule_state state;
	bool is_on;

	cr_assert_not_null(c);
	c->n_schedules = 2;
	c->schedules[0] = schedule(0x7f, 0, 24 * 60, "Mars/Olympus");
	c->schedules[1] = schedule(0x7f, 0, 24 * 60, "UTC");
	cr_expect_eq(schedule_read(&c->schedules[0], 0, &is_on), -ENOENT);
	state = schedules_at(c, MON_2024_07_01_00_UTC, true);
	cr_expect_eq(state.known, 2);
	cr_expect_eq(state.holds, 2);
	state = schedules_at(c, MON_2024_07_01_00_UTC, false);
	cr_expect_eq(state.known, 0);
	cr_expect_eq(state.holds, 0);
	cr_expect(schedule_clock_is_trusted(CLOCK_TRUSTED, 0));
	free(c);
}
