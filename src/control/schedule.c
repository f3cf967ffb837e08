/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/schedule.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define ZONEINFO    "/usr/share/zoneinfo/"
#define CLOCK_CHIP  "/sys/class/rtc/rtc0"
#define N_DAYS      7
#define PAST_BEFORE INT64_C(1767225600) /* 2026: before this version was there */

/* The local time; -ENOENT without the zone's file. UTC needs none. */
static int local_time(const char *zone, int64_t wall_s, struct tm *ret_tm)
{
	char tz[sizeof(":" ZONEINFO) + CONFIG_TEXT_MAX];
	const char *was = getenv("TZ");
	char *kept = was == NULL ? NULL : strdup(was);
	time_t at = (time_t)wall_s;

	(void)snprintf(tz, sizeof(tz), ":" ZONEINFO "%s", zone);
	if (strcmp(zone, "UTC") == 0) {
		free(kept);
		return gmtime_r(&at, ret_tm) == NULL ? -EINVAL : 0;
	}
	if (access(tz + 1, R_OK) != 0) {
		free(kept);
		return -ENOENT;
	}
	setenv("TZ", tz, 1);
	tzset();
	(void)localtime_r(&at, ret_tm);
	if (kept == NULL)
		unsetenv("TZ");
	else
		setenv("TZ", kept, 1);
	tzset();
	free(kept);
	return 0;
}

static bool is_on(const struct config_schedule *s, int day)
{
	return (s->days >> day & 1) != 0;
}

int schedule_read(const struct config_schedule *s, int64_t wall_s, bool *ret_holds)
{
	struct tm tm;
	int error = local_time(s->timezone, wall_s, &tm);
	int now_min;
	int yesterday;

	if (error != 0)
		return error;
	now_min = tm.tm_hour * 60 + tm.tm_min;
	yesterday = (tm.tm_wday + N_DAYS - 1) % N_DAYS;
	if (s->from_min < s->to_min)
		*ret_holds = is_on(s, tm.tm_wday) && now_min >= s->from_min && now_min < s->to_min;
	else
		*ret_holds = (is_on(s, tm.tm_wday) && now_min >= s->from_min)
			     || (is_on(s, yesterday) && now_min < s->to_min);
	return 0;
}

struct schedule_state schedules_at(const struct config *c, int64_t wall_s, bool is_trusted)
{
	struct schedule_state state = {0};

	for (uint32_t i = 0; i < c->n_schedules && is_trusted; i++) {
		bool holds;

		if (schedule_read(&c->schedules[i], wall_s, &holds) != 0)
			continue;
		state.known |= UINT32_C(1) << i;
		state.holds |= (uint32_t)holds << i;
	}
	return state;
}

bool schedule_state_equal(const struct schedule_state *a, const struct schedule_state *b)
{
	return a->known == b->known && a->holds == b->holds;
}

bool schedule_clock_is_trusted(const struct config *c, int64_t wall_s)
{
	struct timex kernel = {0};

	if (c->runtime.clock == CLOCK_TRUSTED)
		return true;
	if (adjtimex(&kernel) >= 0 && (kernel.status & STA_UNSYNC) == 0)
		return true;
	return wall_s >= PAST_BEFORE && access(CLOCK_CHIP, F_OK) == 0;
}
