/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of history, read: by weir-web for its page, by weirctl for people.
 *
 * Shapes:   of a key, or of all uplinks together: {"per": 60, "columns": ["t", "uplink_octets", ...], "rows": [[...], ...]}, what is
 *           not known null; of all keys of a series, their sums over the span, the largest first:
 *           {"keys": [{"key": ..., "mac": ..., "name": ..., "uplink_octets": ..., "downlink_octets": ...}]}.
 * Units:    seconds since 1970; a row's `t` is where its period begins.
 * Errors:   NULL with a sentence for people, and why as a negative errno: -EINVAL for a question that cannot be answered so, -ENOENT where
 *           there is no history, -EIO where it cannot be read.
 * Threads:  any; each question opens the file for itself, for reading alone, and sees one state of it.
 * Memory:   the answer: HISTORY_ROWS_MAX rows.
 */
#ifndef WEIR_CLIENT_HISTORY_QUERY_H
#define WEIR_CLIENT_HISTORY_QUERY_H

#include "history.h"

#include <jansson.h>

#define HISTORY_ROWS_MAX 4000 /* periods of a span */
#define HISTORY_KEYS_MAX 5000

struct history_query {
	const char *series; /* "total", or one of history_series_name() */
	const char *key;    /* NULL: all, summed */
	const char *mac;    /* of a device whose address others had, too; NULL: all of them */
	enum history_level level;
	int64_t from_s; /* periods that begin then or later */
	int64_t to_s;   /* and before that */
};

json_t *history_ask(const char *file, const struct history_query *query, int *ret_why,
	char error[CONNECTION_ERROR_MAX]);

/* "minute", "hour", "day". Returns 0, or -1 for anything else. */
int history_level_parse(const char *text, enum history_level *ret_level);

/* The span that is meant by none: some hours by minute, weeks by hour, months by day. */
int64_t history_usual_span_s(enum history_level level);

#endif
