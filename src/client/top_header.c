/* SPDX-License-Identifier: BSD-3-Clause */
/* The upper part of weirctl top: uplinks and plans. */
#include "top_view.h"

#include <weir/base/clock.h>
#include <weir/base/units.h>

#include <stdio.h>
#include <string.h>

#define NAME_WIDTH    8
#define BAR_MIN       8
#define BAR_MAX       48
#define BESIDE_BAR    62                /* columns that the rest of a line takes */
#define WAITS_LONG_US (100 * US_PER_MS) /* from here on people notice */

static int bar_width(const struct screen *s)
{
	int width = s->n_columns - BESIDE_BAR;

	return width < BAR_MIN ? 0 : width > BAR_MAX ? BAR_MAX : width;
}

/* Shares of a whole, as many columns as they are worth: what is used, then what is foreseen. */
static void bar_add(struct screen_line *l, const struct screen *s, const struct top_look *look,
	double used, double foreseen)
{
	int width = bar_width(s) - 3;
	int n_used;
	int n_foreseen;

	if (width <= 0)
		return;
	used = used > 1 ? 1 : used;
	foreseen = foreseen > 1 ? 1 : foreseen;
	n_used = (int)(used * width + 0.5);
	n_foreseen = (int)(foreseen * width + 0.5);
	line_add(l, s->n_columns, "[");
	for (int i = 0; i < width; i++) {
		const char *full = look->ascii ? "#" : "█";
		const char *some = look->ascii ? "+" : "▒";

		line_add(l, s->n_columns, i < n_used ? full : i < n_foreseen ? some : ".");
	}
	line_add(l, s->n_columns, "] ");
}

static const json_t *link_find(const struct top_model *m, const char *port, const char *direction)
{
	size_t i;
	json_t *row;

	json_array_foreach(m->listings[TOP_LINK].rows, i,
		row) if (strcmp(row_text(row, "port"), port) == 0
			 && strcmp(row_text(row, "direction"), direction) == 0) return row;
	return NULL;
}

/* "  waits 12 ms" */
static void time_add(struct screen_line *l, const struct screen *s, const char *what, uint64_t us)
{
	char time[UNITS_TEXT_MAX];
	char words[UNITS_TEXT_MAX + 16];

	(void)snprintf(
		words, sizeof(words), "  %s %s", what, us == 0 ? "-" : units_show_time(us, time));
	line_add(l, s->n_columns, words);
}

/* How long packets wait: in the shaper, and at the radio where that is known. */
static void delays_add(struct screen_line *l, const struct screen *s, const json_t *link)
{
	if (link == NULL)
		return;
	time_add(l, s, "waits", row_u64(link, "queue_us"));
	if (json_object_get(link, "radio_queue_us") != NULL)
		time_add(l, s, "radio", row_u64(link, "radio_queue_us"));
	time_add(l, s, "p95", row_u64(link, "delay_p95_us"));
	if (json_object_get(link, "rtt_base_us") != NULL)
		time_add(l, s, "rtt", row_u64(link, "rtt_base_us"));
}

/* The rate between the last two answers; until there are two, the daemon's own of ten seconds. */
static uint64_t port_rate(const json_t *port, bool down)
{
	const char *now = down ? "downlink_bps" : "uplink_bps";

	if (json_object_get(port, now) != NULL)
		return row_u64(port, now);
	return row_u64(port, down ? "downlink_10s_bps" : "uplink_10s_bps");
}

static void direction_line(const struct top_model *m, const struct top_look *look,
	const json_t *port, bool down, struct screen *s)
{
	const json_t *link = link_find(m, row_text(port, "name"), down ? "downlink" : "uplink");
	uint64_t limit_bps = row_u64(link, "shaped_bps");
	uint64_t rate_bps = port_rate(port, down);
	bool slow = row_u64(link, "queue_us") >= WAITS_LONG_US;
	struct screen_line *l = screen_line_next(s, slow ? STYLE_WARNING : STYLE_NORMAL);
	char rate[UNITS_TEXT_MAX];
	char limit[UNITS_TEXT_MAX];
	char words[2 * UNITS_TEXT_MAX + 8];

	line_cell(l, s->n_columns, NAME_WIDTH, false, down ? row_text(port, "name") : "");
	line_add(l, s->n_columns, down ? " down " : " up   ");
	bar_add(l, s, look, limit_bps == 0 ? 0 : (double)rate_bps / (double)limit_bps, 0);
	line_cell(l, s->n_columns, 9, true, units_show_rate(rate_bps, rate));
	(void)snprintf(words, sizeof(words), "%s%s", limit_bps == 0 ? "" : " of ",
		limit_bps == 0 ? "" : units_show_rate(limit_bps, limit));
	line_cell(l, s->n_columns, 13, false, words);
	delays_add(l, s, link);
}

static void uplink_lines(const struct top_model *m, const struct top_look *look, const json_t *port,
	struct screen *s)
{
	char words[160];

	if (strcmp(row_text(port, "state"), "up") == 0) {
		direction_line(m, look, port, true, s);
		direction_line(m, look, port, false, s);
		return;
	}
	(void)snprintf(words, sizeof(words), "%.40s is %.16s: %.80s", row_text(port, "name"),
		row_text(port, "state"), row_text(port, "why_down"));
	line_add(screen_line_next(s, STYLE_ALARM), s->n_columns, words);
}

static uint64_t plan_used(const json_t *plan)
{
	if (json_object_get(plan, "bill_high_octets") != NULL)
		return row_u64(plan, "bill_high_octets");
	if (json_object_get(plan, "used_octets") != NULL)
		return row_u64(plan, "used_octets");
	return row_u64(plan, "billed_uplink_octets") + row_u64(plan, "billed_downlink_octets");
}

static enum line_style plan_style(const json_t *plan)
{
	const char *step = row_text(plan, "step");
	uint64_t quota = row_u64(plan, "quota_octets");

	if (strcmp(step, "block") == 0 || strcmp(step, "reserve-only") == 0
		|| (quota > 0 && plan_used(plan) >= quota))
		return STYLE_ALARM;
	if ((step[0] != '\0' && strcmp(step, "open") != 0)
		|| json_is_true(json_object_get(plan, "unsolicited_alarm"))
		|| (quota > 0 && row_u64(plan, "forecast_octets") > quota))
		return STYLE_WARNING;
	return STYLE_NORMAL;
}

/* ", 19.2 GB by 2026-12-01, spent in 6 days, shape" */
static void plan_future(struct screen_line *l, const struct screen *s, const json_t *plan)
{
	const char *step = row_text(plan, "step");
	char octets[UNITS_TEXT_MAX];
	char words[160];

	if (json_object_get(plan, "forecast_octets") != NULL) {
		(void)snprintf(words, sizeof(words), ", %s by %.10s",
			units_show_octets(row_u64(plan, "forecast_octets"), octets),
			row_text(plan, "cycle_end"));
		line_add(l, s->n_columns, words);
	} else if (row_text(plan, "cycle_end")[0] != '\0') {
		(void)snprintf(words, sizeof(words), ", ends %.10s", row_text(plan, "cycle_end"));
		line_add(l, s->n_columns, words);
	}
	if (json_object_get(plan, "spent_in_days") != NULL) {
		(void)snprintf(words, sizeof(words), ", spent in %u days",
			(unsigned int)row_u64(plan, "spent_in_days"));
		line_add(l, s->n_columns, words);
	}
	if (json_is_true(json_object_get(plan, "unsolicited_alarm")))
		line_add(l, s->n_columns, ", too much that nobody asked for");
	if (step[0] != '\0' && strcmp(step, "open") != 0) {
		line_add(l, s->n_columns, ", ");
		line_add(l, s->n_columns, step);
	}
}

static void plan_line(const struct top_look *look, const json_t *plan, struct screen *s)
{
	struct screen_line *l = screen_line_next(s, plan_style(plan));
	uint64_t quota = row_u64(plan, "quota_octets");
	uint64_t used = plan_used(plan);
	char words[2 * UNITS_TEXT_MAX + 32];
	char a[UNITS_TEXT_MAX];
	char b[UNITS_TEXT_MAX];

	line_cell(l, s->n_columns, NAME_WIDTH, false, row_text(plan, "name"));
	line_add(l, s->n_columns, " plan ");
	if (quota == 0) {
		(void)snprintf(words, sizeof(words), "%s used", units_show_octets(used, a));
	} else {
		bar_add(l, s, look, (double)used / (double)quota,
			(double)row_u64(plan, "forecast_octets") / (double)quota);
		(void)snprintf(words, sizeof(words), "%3.0f %%  %s of %s",
			100.0 * (double)used / (double)quota, units_show_octets(used, a),
			units_show_octets(quota, b));
	}
	line_add(l, s->n_columns, words);
	plan_future(l, s, plan);
}

void top_header_draw(const struct top_model *m, const struct top_look *look, int n_max,
	struct screen *ret_screen)
{
	int end = ret_screen->n_used + n_max;
	size_t i;
	json_t *row;

	json_array_foreach(m->listings[TOP_PORTS].rows, i,
		row) if (strcmp(row_text(row, "role"), "uplink") == 0
			 && ret_screen->n_used + 2 <= end) uplink_lines(m, look, row, ret_screen);
	json_array_foreach(m->listings[TOP_PLANS].rows, i, row) if (ret_screen->n_used < end)
		plan_line(look, row, ret_screen);
}
