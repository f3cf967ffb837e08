/* SPDX-License-Identifier: BSD-3-Clause */
/* The lower part of weirctl top: rows that are chosen, put in order, and shown in as many columns as fit. */
#include "table.h"
#include "top_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 1

struct top_column {
	struct column cell;
	int width;
	int rank;      /* what is left out first where it is narrow has the highest; 0: never */
	bool optional; /* left out where no row has it */
	bool grows;    /* takes what is left over, up to */
	int width_max;
};

struct pane {
	const char *title;
	const char *rate; /* keys of the orders; NULL: it has none */
	const char *total;
	const char *none;
	const struct top_column *columns;
	uint32_t n_columns;
};

#define DOWN_NOW                                                                                   \
	{                                                                                          \
		"DOWN NOW", "downlink_bps", CELL_RATE                                              \
	}
#define UP_NOW                                                                                     \
	{                                                                                          \
		"UP NOW", "uplink_bps", CELL_RATE                                                  \
	}
#define DOWN                                                                                       \
	{                                                                                          \
		"DOWN", "downlink_octets", CELL_OCTETS                                             \
	}
#define UP                                                                                         \
	{                                                                                          \
		"UP", "uplink_octets", CELL_OCTETS                                                 \
	}

static const struct top_column devices[] = {
	{{"DEVICE", "address", CELL_TEXT}, 15, 0, false, true, 24},
	{{"NAME", "name", CELL_TEXT}, 16, 4, true, true, 32},
	{DOWN_NOW, 10, 0, false, false, 0},
	{UP_NOW, 10, 1, false, false, 0},
	{DOWN, 7, 2, false, false, 0},
	{UP, 7, 3, false, false, 0},
	{{"FLOWS", "flows", CELL_COUNT}, 5, 5, false, false, 0},
	{{"SEEN", "last_seen_ago_us", CELL_TIME}, 7, 7, false, false, 0},
	{{"QUOTA", "quota_octets", CELL_OCTETS}, 7, 8, true, false, 0},
	{{"USED", "quota_used_octets", CELL_OCTETS}, 7, 6, true, false, 0},
	{{"STEP", "step", CELL_TEXT}, 12, 9, true, false, 0},
	{{"VENDOR", "vendor", CELL_TEXT}, 16, 11, true, true, 32},
	{{"MAC", "mac", CELL_TEXT}, 17, 10, false, false, 0},
	{{"PORT", "port", CELL_TEXT}, 8, 12, false, false, 0},
};

static const struct top_column classes[] = {
	{{"CLASS", "name", CELL_TEXT}, 16, 0, false, true, 40},
	{DOWN_NOW, 10, 0, false, false, 0},
	{UP_NOW, 10, 1, false, false, 0},
	{DOWN, 7, 2, false, false, 0},
	{UP, 7, 3, false, false, 0},
	{{"FLOWS", "flows", CELL_COUNT}, 6, 4, false, false, 0},
	{{"ENDED", "flows_ended", CELL_COUNT}, 8, 5, false, false, 0},
};

static const struct top_column flows[] = {
	{{"PROTO", "protocol", CELL_TEXT}, 5, 7, false, false, 0},
	{{"INTERNAL", "internal", CELL_ENDPOINT}, 19, 2, false, true, 24},
	{{"NAME", "name", CELL_TEXT}, 16, 5, true, true, 32},
	{{"REMOTE", "remote", CELL_ENDPOINT}, 19, 0, false, true, 24},
	{{"REMOTE NAME", "remote_name", CELL_TEXT}, 16, 3, true, true, 48},
	{DOWN_NOW, 10, 0, false, false, 0},
	{UP_NOW, 10, 1, false, false, 0},
	{{"BOTH", "total_octets", CELL_OCTETS}, 7, 4, false, false, 0},
	{{"CLASS", "class", CELL_TEXT}, 8, 6, false, true, 20},
	{{"IDLE", "idle_us", CELL_TIME}, 7, 9, false, false, 0},
	{{"STATE", "state", CELL_TEXT}, 11, 8, false, false, 0},
	{{"AGE", "age_us", CELL_TIME}, 7, 10, false, false, 0},
	{DOWN, 7, 11, false, false, 0},
	{UP, 7, 12, false, false, 0},
};

static const struct top_column plans[] = {
	{{"PLAN", "name", CELL_TEXT}, 10, 0, false, true, 24},
	{{"QUOTA", "quota_octets", CELL_OCTETS}, 7, 4, true, false, 0},
	{{"USED", "used_octets", CELL_OCTETS}, 7, 0, false, false, 0},
	{{"LEFT", "left_octets", CELL_OCTETS}, 7, 1, true, false, 0},
	{{"BILL", "bill", CELL_SPAN}, 15, 6, false, false, 0},
	{{"STEP", "step", CELL_TEXT}, 12, 2, false, false, 0},
	{{"ENDS", "cycle_end", CELL_DAY}, 10, 3, true, false, 0},
	{{"BY THEN", "forecast_octets", CELL_OCTETS}, 7, 2, true, false, 0},
	{{"AT LEAST", "forecast_low_octets", CELL_OCTETS}, 8, 8, true, false, 0},
	{{"AT MOST", "forecast_high_octets", CELL_OCTETS}, 7, 7, true, false, 0},
	{{"DAYS LEFT", "spent_in_days", CELL_COUNT}, 9, 5, true, false, 0},
	{{"RESERVED", "reserved_octets", CELL_OCTETS}, 8, 9, true, false, 0},
	{{"UNASKED", "unsolicited_octets", CELL_OCTETS}, 7, 10, true, false, 0},
};

static const struct top_column links[] = {
	{{"UPLINK", "port", CELL_TEXT}, 8, 0, false, true, 16},
	{{"WAY", "direction", CELL_TEXT}, 8, 0, false, false, 0},
	{{"SHAPED TO", "shaped_bps", CELL_RATE}, 10, 1, true, false, 0},
	{{"CARRIED", "carried_bps", CELL_RATE}, 10, 7, true, false, 0},
	{{"AT RADIO", "radio_queue_us", CELL_TIME}, 8, 2, true, false, 0},
	{{"RTT BASE", "rtt_base_us", CELL_TIME}, 8, 8, true, false, 0},
	{{"WAITS", "queue_us", CELL_TIME}, 7, 0, false, false, 0},
	{{"QUEUE", "queue_packets", CELL_COUNT}, 6, 3, false, false, 0},
	{{"FLOWS", "queue_flows", CELL_COUNT}, 5, 6, false, false, 0},
	{{"P50", "delay_p50_us", CELL_TIME}, 7, 4, false, false, 0},
	{{"P95", "delay_p95_us", CELL_TIME}, 7, 3, false, false, 0},
	{{"P99", "delay_p99_us", CELL_TIME}, 7, 5, false, false, 0},
	{{"MARKED", "marked_packets", CELL_COUNT}, 8, 10, false, false, 0},
	{{"CODEL", "codel_drops", CELL_COUNT}, 8, 9, false, false, 0},
	{{"FULL", "full_drops", CELL_COUNT}, 8, 11, false, false, 0},
};

static const struct top_column drops[] = {
	{{"REASON", "reason", CELL_TEXT}, 24, 0, false, false, 0},
	{{"A SECOND", "packets_per_s", CELL_COUNT}, 8, 0, false, false, 0},
	{{"PACKETS", "packets", CELL_COUNT}, 9, 1, false, false, 0},
	{{"OCTETS", "octets", CELL_OCTETS}, 7, 2, false, false, 0},
	{{"WHAT IT MEANS", "help", CELL_TEXT}, 20, 3, false, true, 120},
};

#define COLUMNS(of) (of), sizeof(of) / sizeof((of)[0])

static const struct pane panes[N_PANES] = {
	[PANE_DEVICES] = {"Devices", "rate_bps", "total_octets", "no devices have been seen",
		COLUMNS(devices)},
	[PANE_CLASSES] = {"Classes", "rate_bps", "total_octets", "no classes", COLUMNS(classes)},
	[PANE_FLOWS] = {"Flows", "rate_bps", "total_octets", "no flows", COLUMNS(flows)},
	[PANE_PLANS] = {"Plans", NULL, "used_octets", "no plans are configured", COLUMNS(plans)},
	[PANE_LINK] = {"Uplinks", NULL, NULL, "no uplink is configured", COLUMNS(links)},
	[PANE_DROPS] = {"Drops", "packets_per_s", "packets", "nothing was dropped", COLUMNS(drops)},
};

/* What is shown of a pane: its columns that fit, with their widths, and its rows in order. */
struct shown {
	const struct pane *pane;
	int widths[COLUMNS_MAX]; /* 0: left out */
	const json_t **rows;
	uint32_t n_rows;
	const char *order; /* key of a number; NULL: by name, or as they come */
	bool by_name;
	bool reversed;
};

/* Whatever a row could show, also what is left out for want of room. */
static bool row_has(const struct pane *p, const json_t *row, const char *filter)
{
	char cell[CELL_MAX];

	if (filter[0] == '\0')
		return true;
	for (uint32_t i = 0; i < p->n_columns; i++) {
		cell_format(row, &p->columns[i].cell, cell);
		if (strcasestr(cell, filter) != NULL)
			return true;
	}
	return false;
}

static double row_number(const json_t *row, const char *key)
{
	return key == NULL ? 0 : json_number_value(json_object_get(row, key));
}

/* Addresses in the order of their numbers. */
static int names_compare(const struct pane *p, const json_t *a, const json_t *b)
{
	for (uint32_t i = 0; i < p->n_columns; i++) {
		char left[CELL_MAX];
		char right[CELL_MAX];
		int order;

		if (!cell_is_text(p->columns[i].cell.kind))
			continue;
		cell_format(a, &p->columns[i].cell, left);
		cell_format(b, &p->columns[i].cell, right);
		order = strverscmp(left, right);
		if (order != 0)
			return order;
	}
	return 0;
}

static int rows_compare(const void *left, const void *right, void *context)
{
	const struct shown *w = context;
	const json_t *a = *(const json_t *const *)left;
	const json_t *b = *(const json_t *const *)right;
	double by = row_number(b, w->order) - row_number(a, w->order);
	int order = (by > 0) - (by < 0);

	if (order == 0 && !w->by_name) {
		by = row_number(b, w->pane->total) - row_number(a, w->pane->total);
		order = (by > 0) - (by < 0);
	}
	if (order == 0)
		order = names_compare(w->pane, a, b);
	return w->reversed ? -order : order;
}

static void rows_choose(struct shown *w, const json_t *rows, const struct top_state *s)
{
	size_t i;
	json_t *row;

	w->rows = calloc(json_array_size(rows) + 1, sizeof(const json_t *));
	if (w->rows == NULL)
		return;
	json_array_foreach(rows, i, row) if (row_has(w->pane, row, s->filter))
		w->rows[w->n_rows++] = row;
	w->by_name = s->order == ORDER_NAME || (w->pane->rate == NULL && w->pane->total == NULL);
	w->reversed = s->reversed;
	if (s->order == ORDER_RATE)
		w->order = w->pane->rate;
	else if (s->order == ORDER_TOTAL)
		w->order = w->pane->total;
	if (w->n_rows > 1)
		qsort_r(w->rows, w->n_rows, sizeof(const json_t *), rows_compare, w);
}

static bool some_row_has(const json_t *rows, const char *key)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) if (json_object_get(row, key) != NULL) return true;
	return false;
}

/* Of the columns that are shown, the one that is left out first; n_columns when all have to stay. */
static uint32_t column_to_leave_out(const struct shown *w)
{
	const struct pane *p = w->pane;
	uint32_t last = p->n_columns;
	int rank = 0;

	for (uint32_t i = 0; i < p->n_columns; i++) {
		if (w->widths[i] == 0 || p->columns[i].rank <= rank)
			continue;
		rank = p->columns[i].rank;
		last = i;
	}
	return last;
}

/* Hands `spare` columns out to cells that grow, one to each in turn. */
static void columns_grow(struct shown *w, int spare)
{
	const struct pane *p = w->pane;
	bool grew = true;

	while (grew && spare > 0) {
		grew = false;
		for (uint32_t i = 0; i < p->n_columns && spare > 0; i++) {
			if (!p->columns[i].grows || w->widths[i] == 0
				|| w->widths[i] >= p->columns[i].width_max)
				continue;
			w->widths[i]++;
			spare--;
			grew = true;
		}
	}
}

/* Leaves out what is empty, and then from the highest rank down until the rest fits. */
static void columns_fit(struct shown *w, const json_t *rows, int n_columns)
{
	const struct pane *p = w->pane;
	int total = -GAP;

	for (uint32_t i = 0; i < p->n_columns; i++) {
		const struct top_column *c = &p->columns[i];

		w->widths[i] = c->optional && !some_row_has(rows, c->cell.key) ? 0 : c->width;
		total += w->widths[i] > 0 ? w->widths[i] + GAP : 0;
	}
	while (total > n_columns) {
		uint32_t i = column_to_leave_out(w);

		if (i == p->n_columns)
			break;
		total -= w->widths[i] + GAP;
		w->widths[i] = 0;
	}
	columns_grow(w, n_columns - total);
}

static void cells_add(struct screen_line *l, const struct shown *w, const json_t *row, int until)
{
	bool first = true;

	for (uint32_t i = 0; i < w->pane->n_columns; i++) {
		const struct column *c = &w->pane->columns[i].cell;
		char cell[CELL_MAX];

		if (w->widths[i] == 0)
			continue;
		if (!first)
			line_add(l, until, " ");
		first = false;
		if (row != NULL)
			cell_format(row, c, cell);
		line_cell(l, until, w->widths[i], !cell_is_text(c->kind),
			row == NULL ? c->title : cell);
	}
}

static const char *order_words(const struct shown *w, const struct top_state *s)
{
	if (w->by_name)
		return s->reversed ? "by name, backwards" : "by name";
	if (s->order == ORDER_RATE && w->pane->rate != NULL)
		return s->reversed ? "by rate, least first" : "by rate";
	return s->reversed ? "by total, least first" : "by total";
}

/* "Flows of 192.168.50.10: 3 of 100 with "tcp"; the busiest of 14800; by rate" */
static void heading_draw(const struct top_listing *l, const struct shown *w,
	const struct top_state *s, struct screen *screen)
{
	struct screen_line *line = screen_line_next(screen, STYLE_HEAD);
	size_t n_known = json_array_size(l->rows);
	char words[128];
	int until = screen->n_columns;

	line_add(line, until, w->pane->title);
	if (s->device[0] != '\0') {
		line_add(line, until, " of ");
		line_add(line, until, s->device);
	}
	if (s->filter[0] != '\0') {
		(void)snprintf(words, sizeof(words), ": %u of %zu with \"", w->n_rows, n_known);
		line_add(line, until, words);
		line_add(line, until, s->filter);
		line_add(line, until, "\"");
	} else {
		(void)snprintf(words, sizeof(words), ": %u", w->n_rows);
		line_add(line, until, words);
	}
	if (n_known < l->n_total && s->device[0] == '\0') {
		(void)snprintf(words, sizeof(words), ", %s of %" PRIu64,
			s->pane == PANE_FLOWS ? "the busiest" : "the first", l->n_total);
		line_add(line, until, words);
	}
	line_add(line, until, ", ");
	line_add(line, until, order_words(w, s));
}

/* Keeps the cursor on a row, and that row on the screen. */
static void cursor_settle(struct top_state *s, const struct shown *w, int n_lines)
{
	s->n_rows = w->n_rows;
	s->page = n_lines > 0 ? (uint32_t)n_lines : 0;
	if (s->cursor >= w->n_rows)
		s->cursor = w->n_rows == 0 ? 0 : w->n_rows - 1;
	if (s->first > s->cursor)
		s->first = s->cursor;
	if (s->page > 0 && s->cursor - s->first >= s->page)
		s->first = s->cursor - s->page + 1;
	if (s->page > 0 && s->first + s->page > w->n_rows)
		s->first = w->n_rows > s->page ? w->n_rows - s->page : 0;
	s->chosen[0] = '\0';
	if (s->pane == PANE_DEVICES && w->n_rows > 0)
		(void)snprintf(s->chosen, sizeof(s->chosen), "%s",
			row_text(w->rows[s->cursor], "address"));
}

static void rows_draw(const struct shown *w, struct top_state *s, const struct top_look *look,
	int n_lines, struct screen *screen)
{
	for (int i = 0; i < n_lines && s->first + (uint32_t)i < w->n_rows; i++) {
		uint32_t at = s->first + (uint32_t)i;
		bool marked = at == s->cursor && !look->once;
		struct screen_line *l =
			screen_line_next(screen, marked ? STYLE_CURSOR : STYLE_NORMAL);

		cells_add(l, w, w->rows[at], screen->n_columns);
		if (marked)
			line_pad(l, screen->n_columns);
	}
}

void top_pane_draw(const struct top_model *m, struct top_state *s, const struct top_look *look,
	int n_left, struct screen *ret_screen)
{
	const struct top_listing *l = &m->listings[top_pane_view(s->pane)];
	struct shown w = {.pane = &panes[s->pane]};
	int n_lines;

	rows_choose(&w, l->rows, s);
	columns_fit(&w, l->rows, ret_screen->n_columns);
	heading_draw(l, &w, s, ret_screen);
	n_lines = ret_screen->n_rows - ret_screen->n_used - n_left - 1;
	if (n_lines > 0)
		cells_add(
			screen_line_next(ret_screen, STYLE_HEAD), &w, NULL, ret_screen->n_columns);
	cursor_settle(s, &w, n_lines);
	rows_draw(&w, s, look, n_lines, ret_screen);
	if (w.n_rows == 0 && n_lines > 0)
		line_add(screen_line_next(ret_screen, STYLE_NORMAL), ret_screen->n_columns,
			l->rows == NULL        ? "..."
			: s->filter[0] != '\0' ? "no such rows"
					       : w.pane->none);
	free(w.rows);
}
