/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rule in a TZif file's footer: standard time, and summer time's two dates where there is one.
 *
 * Source:   POSIX.1 XBD 8.3 (TZ), with hours from -167 to 167 (RFC 8536 section 3.3.1).
 * Errors:   -EINVAL for what is no such rule; summer time without dates is none.
 * Threads:  pure functions.
 */
#ifndef WEIR_SRC_BASE_ZONE_RULE_H
#define WEIR_SRC_BASE_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_date_kind {
	ZONE_DATE_JULIAN,     /* Jn: day 1 to 365, 29 February is never counted */
	ZONE_DATE_DAY,        /* n: day 0 to 365 */
	ZONE_DATE_MONTH_WEEK, /* Mm.w.d: weekday d of week w, 5 is the last one */
};

struct zone_date {
	enum zone_date_kind kind;
	uint16_t day; /* the weekday, for the last kind */
	uint8_t month;
	uint8_t week;
	int32_t time_s; /* of local time before the change; may lie days off */
};

struct zone_rule {
	int32_t standard_s;
	bool has_summer;
	int32_t summer_s;
	struct zone_date begins; /* summer time */
	struct zone_date ends;
};

/* Seconds with one offset; `end_s` is the first of another. */
struct zone_piece {
	int32_t offset_s;
	int64_t end_s; /* INT64_MAX: never */
};

/* Reads `len` characters, all of them. */
int zone_rule_parse(const char *text, size_t len, struct zone_rule *ret_rule);

/* The piece that an instant lies in. */
struct zone_piece zone_rule_piece(const struct zone_rule *r, int64_t utc_s);

#endif
