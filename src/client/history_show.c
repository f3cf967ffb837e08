/* SPDX-License-Identifier: BSD-3-Clause */
#include "history_show.h"

#include "history_query.h"
#include "table.h"

#include <string.h>
#include <time.h>

#define US_PER_S  1000000u
#define FEW_HOURS (3 * HISTORY_HOUR)
#define FEW_DAYS  (4 * HISTORY_DAY)

static const struct column of_total[] = {
	{"SINCE", "time", CELL_TEXT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
	{"PEAK UP", "uplink_peak_bps", CELL_RATE},
	{"PEAK DOWN", "downlink_peak_bps", CELL_RATE},
	{"SHAPED UP", "uplink_shaped_bps", CELL_RATE},
	{"SHAPED DOWN", "downlink_shaped_bps", CELL_RATE},
	{"DELAY UP", "uplink_delay_us", CELL_TIME},
	{"DELAY DOWN", "downlink_delay_us", CELL_TIME},
	{"DROPS", "dropped_packets", CELL_COUNT},
	{"NOTE", "note", CELL_TEXT},
};

static const struct column of_key[] = {
	{"SINCE", "time", CELL_TEXT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
};

static const struct column summed[] = {
	{"KEY", "key", CELL_TEXT},
	{"NAME", "name", CELL_TEXT},
	{"MAC", "mac", CELL_TEXT},
	{"UP", "uplink_octets", CELL_OCTETS},
	{"DOWN", "downlink_octets", CELL_OCTETS},
};

/* What is told of a row beside its numbers. */
static void row_explain(json_t *row)
{
	char words[64];
	time_t at = (time_t)json_integer_value(json_object_get(row, "t"));
	json_int_t marks = json_integer_value(json_object_get(row, "marks"));
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL
		&& strftime(words, sizeof(words), "%Y-%m-%d %H:%M", &tm) > 0)
		(void)json_object_set_new(row, "time", json_string(words));
	(void)snprintf(words, sizeof(words), "%s%s%s",
		(marks & HISTORY_MARK_GAP) != 0 ? "with what passed unseen before " : "",
		(marks & HISTORY_MARK_RESTART) != 0 ? "weir began anew " : "",
		(marks & HISTORY_MARK_CLOCK) != 0 ? "time guessed" : "");
	(void)json_object_set_new(row, "note", json_string(words));
}

static json_t *row_object(const json_t *columns, const json_t *row)
{
	json_t *object = json_object();
	size_t i;
	json_t *cell;

	json_array_foreach(row, i, cell) if (!json_is_null(cell))(void)
		json_object_set(object, json_string_value(json_array_get(columns, i)), cell);
	row_explain(object);
	return object;
}

static int rows_add(struct table *t, const json_t *answer)
{
	const json_t *columns = json_object_get(answer, "columns");
	int result = 0;
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(answer, "keys"), i, row) result |= table_add(t, row);
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		json_t *object = row_object(columns, row);

		result |= table_add(t, object);
		json_decref(object);
	}
	return result;
}

static int print(const struct history_query *q, const json_t *answer, char *error)
{
	const struct column *columns = of_total;
	uint32_t n_columns = sizeof(of_total) / sizeof(of_total[0]);
	struct table t;

	if (json_object_get(answer, "keys") != NULL) {
		columns = summed;
		n_columns = sizeof(summed) / sizeof(summed[0]);
	} else if (q->key != NULL) {
		columns = of_key;
		n_columns = sizeof(of_key) / sizeof(of_key[0]);
	}
	table_init(&t, columns, n_columns, UINT64_MAX);
	if (rows_add(&t, answer) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		table_clean(&t);
		return -1;
	}
	table_finish(&t);
	if (t.n_rows == 0)
		(void)printf("nothing was recorded in this span\n");
	else
		table_print(&t, stdout);
	table_clean(&t);
	return 0;
}

/* Where nobody said: by minute for hours, by hour for days, by day for more. */
static enum history_level level_of(int64_t span_s)
{
	if (span_s <= FEW_HOURS)
		return HISTORY_MINUTES;
	return span_s <= FEW_DAYS ? HISTORY_HOURS : HISTORY_DAYS;
}

/* Whole periods: the one in which the span begins is part of it. */
static void span_set(const struct history_showing *wanted, struct history_query *q)
{
	int64_t span_s = (int64_t)(wanted->since_us / US_PER_S);

	if (wanted->per == NULL)
		q->level = span_s == 0 ? HISTORY_HOURS : level_of(span_s);
	if (span_s == 0)
		span_s = wanted->per == NULL ? HISTORY_DAY : history_usual_span_s(q->level);
	q->to_s = (int64_t)time(NULL) + 1;
	q->from_s = span_s < q->to_s ? history_floor(q->level, q->to_s - span_s) : 0;
}

int history_show(const struct history_showing *wanted, char error[CONNECTION_ERROR_MAX])
{
	struct history_query q = {.series = wanted->series, .key = wanted->key};
	json_t *answer;
	int result = 0;
	int why;

	if (wanted->per != NULL && history_level_parse(wanted->per, &q.level) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "--per is minute, hour or day");
		return -1;
	}
	span_set(wanted, &q);
	answer = history_ask(wanted->file, &q, &why, error);
	if (answer == NULL)
		return -1;
	if (wanted->json)
		result = json_dumpf(answer, stdout, JSON_COMPACT) == 0 ? putchar('\n') == EOF : -1;
	else
		result = print(&q, answer, error);
	json_decref(answer);
	return result;
}
