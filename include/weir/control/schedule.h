/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When schedules hold: days and times of a week, in a time zone.
 *
 * Source:   the system's zone files (base/zone.h): what summer time does to a day happens to a schedule too,
 *           so an hour that comes twice holds twice and one that is left out is left out.
 * Shapes:   a schedule that ends at or before its beginning ends on the next day, and is asked about by the day on which
 *           it began. Its beginning is in it, its end is not.
 * Units:    seconds since 1970, UTC.
 * Threads:  schedule_read and schedules_at: any. They read a zone's file at each call.
 */
#ifndef WEIR_CONTROL_SCHEDULE_H
#define WEIR_CONTROL_SCHEDULE_H

#include <weir/control/apply.h>
#include <weir/control/config.h>

#include <stdbool.h>
#include <stdint.h>

/* Whether a schedule holds at a time; -ENOENT when the machine does not know its time zone, or the error of
 * zone_open. */
int schedule_read(const struct config_schedule *s, int64_t wall_s, bool *ret_holds);

/* All schedules at a time. `is_trusted`: the time is right; else nothing is known. */
struct schedule_state schedules_at(const struct config *c, int64_t wall_s, bool is_trusted);

bool schedule_state_equal(const struct schedule_state *a, const struct schedule_state *b);

/* True when the wall clock can be believed: NTP says so, or a clock chip has kept it and it is not in the past, or the
 * configuration vouches for it. */
bool schedule_clock_is_trusted(enum config_clock clock, int64_t wall_s);

#endif
