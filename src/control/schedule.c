/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/zone.h>
#include <weir/control/schedule.h>

#include <sys/timex.h>
#include <unistd.h>

#define CLOCK_CHIP  "/sys/class/rtc/rtc0"
#define N_DAYS      7
#define PAST_BEFORE INT64_C(1767225600) /* 2026: before this version was there */

static bool is_on(const struct config_schedule *s, int day)
{
	return (s->days >> day & 1) != 0;
}

int schedule_read(const struct config_schedule *s, int64_t wall_s, bool *ret_holds)
{
	struct zone *zone;
	struct zone_time t;
	int error = zone_open(s->timezone, &zone);
	int now_min;
	int yesterday;

	if (error != 0)
		return error;
	zone_local(zone, wall_s, &t);
	zone_close(zone);
	now_min = t.hour * 60 + t.minute;
	yesterday = (t.weekday + N_DAYS - 1) % N_DAYS;
	if (s->from_min < s->to_min)
		*ret_holds = is_on(s, t.weekday) && now_min >= s->from_min && now_min < s->to_min;
	else
		*ret_holds = (is_on(s, t.weekday) && now_min >= s->from_min)
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

bool schedule_clock_is_trusted(enum config_clock clock, int64_t wall_s)
{
	struct timex kernel = {0};

	if (clock == CLOCK_TRUSTED)
		return true;
	if (adjtimex(&kernel) >= 0 && (kernel.status & STA_UNSYNC) == 0)
		return true;
	return wall_s >= PAST_BEFORE && access(CLOCK_CHIP, F_OK) == 0;
}
