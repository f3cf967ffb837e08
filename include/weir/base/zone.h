/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local time in a named time zone, without the process's environment.
 *
 * Source:   RFC 8536 (TZif, versions 2 and 3; RFC 9636 adds nothing that is read here): 64-bit transitions, and the
 *           footer's rule for the time beyond them. glibc knows one zone at a time, the environment's, which no thread may change.
 * Shapes:   a local time that a gap leaves out means the first instant after the gap, one that an overlap shows twice the
 *           earlier: zone_utc is the first instant at which the zone's clocks show that time or a later one.
 *           Leap seconds are not counted, as in POSIX; files that count them ("right/...") are refused.
 * Units:    seconds since 1970, UTC; an offset is added to UTC to get local time.
 * Errors:   zone_open: -ENOENT (no such zone), -EINVAL (no name of a zone, or no file of one), -ENOMEM, or that of reading.
 * Threads:  a zone does not change once it is open: any number of readers.
 * Memory:   some 20 kB a zone, whatever the file says.
 */
#ifndef WEIR_BASE_ZONE_H
#define WEIR_BASE_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define ZONE_DIR "/usr/share/zoneinfo/"

/* Years 1 to 9999; what lies outside is taken for the nearest end. */
#define ZONE_MIN_S INT64_C(-62135596800)
#define ZONE_MAX_S INT64_C(253402300799)

struct zone;

struct zone_time {
	int32_t year;
	uint8_t month; /* from 1 */
	uint8_t day;   /* from 1 */
	uint8_t hour;
	uint8_t minute;
	uint8_t second;
	uint8_t weekday; /* 0: Sunday */
	int32_t offset_s;
};

/* Reads a zone by its name, such as Europe/Berlin; UTC needs no file. The caller closes it. */
int zone_open(const char *name, struct zone **ret_zone);

/* The same from a file's octets. -EINVAL where they break RFC 8536. */
int zone_read(const void *octets, size_t len_bytes, struct zone **ret_zone);

/* NULL is fine. */
void zone_close(struct zone *z);

/* What the zone's clocks show at an instant. */
void zone_local(const struct zone *z, int64_t utc_s, struct zone_time *ret_local);

/* The instant at which they show a date (its day number, see civil.h) and time of day; how gaps and overlaps are resolved
 * stands above. */
int64_t zone_utc(const struct zone *z, int64_t day, uint32_t second_of_day);

#endif
