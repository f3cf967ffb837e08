/* SPDX-License-Identifier: BSD-3-Clause */
#include "history_query.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 2000

/* By way of `total`, which has a row for each period, a key's rows are found one by one: there is no second index to write. */
static const char by_key[] =
	"SELECT p.t AS t, ifnull(sum(u.uplink_octets), 0) AS uplink_octets,"
	" ifnull(sum(u.downlink_octets), 0) AS downlink_octets"
	" FROM total p LEFT JOIN usage u ON u.per = p.per AND u.t = p.t AND u.key IN"
	" (SELECT id FROM key WHERE series = ?4 AND key = ?5 AND mac = ifnull(?6, mac))"
	" WHERE p.per = ?1 AND p.t >= ?2 AND p.t < ?3 GROUP BY p.t ORDER BY p.t";

static const char of_total[] =
	"SELECT t, uplink_octets, downlink_octets, uplink_peak_bps, downlink_peak_bps,"
	" uplink_shaped_bps, downlink_shaped_bps, uplink_delay_us, downlink_delay_us,"
	" uplink_radio_delay_us, downlink_radio_delay_us, dropped_packets, seen_s, marks"
	" FROM total WHERE per = ?1 AND t >= ?2 AND t < ?3 ORDER BY t";

/* What is coarser and within the span is read instead of what it is made of: ?7 to ?8, by ?9. */
static const char summed[] =
	"SELECT k.key AS key, k.mac AS mac, k.name AS name, sum(u.up) AS uplink_octets,"
	" sum(u.down) AS downlink_octets FROM"
	" (SELECT key, uplink_octets AS up, downlink_octets AS down FROM usage"
	"  WHERE per = ?1 AND t >= ?2 AND t < ?7"
	"  UNION ALL SELECT key, uplink_octets, downlink_octets FROM usage"
	"  WHERE per = ?9 AND t >= ?7 AND t < ?8"
	"  UNION ALL SELECT key, uplink_octets, downlink_octets FROM usage"
	"  WHERE per = ?1 AND t >= ?8 AND t < ?3) u"
	" JOIN key k ON k.id = u.key WHERE k.series = ?4"
	" GROUP BY u.key ORDER BY sum(u.up) + sum(u.down) DESC, k.key";

int history_level_parse(const char *text, enum history_level *ret_level)
{
	static const char *const names[HISTORY_LEVELS] = {"minute", "hour", "day"};

	for (enum history_level l = 0; l < HISTORY_LEVELS; l++) {
		if (strcmp(text, names[l]) == 0) {
			*ret_level = l;
			return 0;
		}
	}
	return -1;
}

int64_t history_usual_span_s(enum history_level level)
{
	static const int64_t spans_s[HISTORY_LEVELS] = {
		6 * HISTORY_HOUR, 7 * HISTORY_DAY, 90 * HISTORY_DAY};

	return spans_s[level];
}

static bool is_series(const char *text)
{
	for (enum history_series s = 0; s < HISTORY_SERIES; s++)
		if (strcmp(text, history_series_name(s)) == 0)
			return true;
	return strcmp(text, "total") == 0;
}

static bool is_summed(const struct history_query *q)
{
	return q->key == NULL && strcmp(q->series, "total") != 0;
}

/* Returns 0, or -EINVAL with what to ask instead. */
static int query_check(const struct history_query *q, char *error)
{
	int64_t per_s = history_per_s[q->level];

	if (!is_series(q->series))
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"there is no series \"%.40s\"; there is: total, port, plan, class, device",
			q->series);
	else if (q->key != NULL && strcmp(q->series, "total") == 0)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "the total has no keys");
	else if (q->from_s < 0 || q->to_s <= q->from_s)
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"a span begins before it ends, and not before 1970");
	else if ((q->to_s - q->from_s) / per_s > HISTORY_ROWS_MAX)
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"that are more than %lld periods: ask for a shorter span%s",
			(long long)HISTORY_ROWS_MAX,
			q->level < HISTORY_DAYS ? ", or for longer periods" : "");
	else
		return 0;
	return -EINVAL;
}

static json_t *cell_of(sqlite3_stmt *s, int column)
{
	switch (sqlite3_column_type(s, column)) {
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(s, column));
	case SQLITE_TEXT:
		return json_string((const char *)sqlite3_column_text(s, column));
	default:
		return json_null();
	}
}

static json_t *row_of(sqlite3_stmt *s, bool is_object)
{
	json_t *row = is_object ? json_object() : json_array();

	for (int i = 0; i < sqlite3_column_count(s); i++) {
		if (is_object)
			(void)json_object_set_new(row, sqlite3_column_name(s, i), cell_of(s, i));
		else
			(void)json_array_append_new(row, cell_of(s, i));
	}
	return row;
}

static json_t *answer_head(sqlite3_stmt *s, const struct history_query *q, json_t *rows)
{
	json_t *columns = json_array();

	if (is_summed(q)) {
		json_decref(columns);
		return json_pack("{s:O}", "keys", rows);
	}
	for (int i = 0; i < sqlite3_column_count(s); i++)
		(void)json_array_append_new(columns, json_string(sqlite3_column_name(s, i)));
	return json_pack("{s:I, s:o, s:O}", "per", (json_int_t)history_per_s[q->level], "columns",
		columns, "rows", rows);
}

static const char *text_of(const struct history_query *q)
{
	if (is_summed(q))
		return summed;
	return q->key == NULL ? of_total : by_key;
}

/* The part of the span that is whole periods of the next level; at its end, and empty, where there is none. Hours do not make up the
 * days of a time zone that is half an hour off. */
static void middle_bind(sqlite3_stmt *s, const struct history_query *q)
{
	enum history_level coarser = q->level < HISTORY_DAYS ? q->level + 1 : q->level;
	int64_t begin_s = history_floor(coarser, q->from_s);
	int64_t end_s = history_floor(coarser, q->to_s);

	if (begin_s < q->from_s) /* the next one: no day has more than 25 hours */
		begin_s = history_floor(coarser, begin_s + history_per_s[coarser] * 3 / 2);
	if (coarser == q->level || begin_s >= end_s || begin_s % history_per_s[q->level] != 0)
		begin_s = end_s = q->to_s;
	(void)sqlite3_bind_int64(s, 7, begin_s);
	(void)sqlite3_bind_int64(s, 8, end_s);
	(void)sqlite3_bind_int64(s, 9, history_per_s[coarser]);
}

static json_t *db_ask(sqlite3 *db, const struct history_query *q, char *error)
{
	size_t n_max = is_summed(q) ? HISTORY_KEYS_MAX : HISTORY_ROWS_MAX;
	json_t *rows = json_array();
	json_t *answer = NULL;
	sqlite3_stmt *s = NULL;
	int result = sqlite3_prepare_v2(db, text_of(q), -1, &s, NULL);

	if (result == SQLITE_OK) {
		(void)sqlite3_bind_int64(s, 1, history_per_s[q->level]);
		(void)sqlite3_bind_int64(s, 2, q->from_s);
		(void)sqlite3_bind_int64(s, 3, q->to_s);
		(void)sqlite3_bind_text(s, 4, q->series, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(s, 5, q->key, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(s, 6, q->mac, -1, SQLITE_STATIC);
		if (is_summed(q))
			middle_bind(s, q);
		result = sqlite3_step(s);
	}
	for (; result == SQLITE_ROW && json_array_size(rows) < n_max; result = sqlite3_step(s))
		(void)json_array_append_new(rows, row_of(s, is_summed(q)));
	if (result == SQLITE_DONE || result == SQLITE_ROW)
		answer = answer_head(s, q, rows);
	else
		(void)snprintf(error, CONNECTION_ERROR_MAX, "the history cannot be read: %s",
			sqlite3_errmsg(db));
	(void)sqlite3_finalize(s);
	json_decref(rows);
	return answer;
}

json_t *history_ask(const char *file, const struct history_query *query, int *ret_why,
	char error[CONNECTION_ERROR_MAX])
{
	sqlite3 *db = NULL;
	json_t *answer = NULL;

	*ret_why = query_check(query, error);
	if (*ret_why != 0)
		return NULL;
	*ret_why = -EIO;
	if (access(file, F_OK) != 0) {
		*ret_why = -ENOENT;
		(void)snprintf(error, CONNECTION_ERROR_MAX, "there is no history in %s: %s", file,
			strerror(errno));
	} else if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL)
		   != SQLITE_OK) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s cannot be read: %s", file,
			db == NULL ? "no memory" : sqlite3_errmsg(db));
	} else {
		(void)sqlite3_busy_timeout(db, PATIENCE_MS);
		answer = db_ask(db, query, error);
	}
	(void)sqlite3_close(db);
	return answer;
}
