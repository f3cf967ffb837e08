/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_view.h"

#include <weir/base/clock.h>
#include <weir/base/units.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER_SHARE 3 /* a third of the screen at most is for uplinks and plans */

static const char keys[] =
	"d devices  c classes  f flows  p plans  l link  x drops  / find  ? help  q quit";

static const char *const help[] = {
	"d c f p l x   devices, classes, flows, plans, uplinks, drops",
	"Enter         flows of the device that is marked; Escape: back",
	"/             rows with this text only, in any column; Escape: all of them",
	"r t n         order by rate, by total, by name; o: the other way round",
	"arrows, j k   move the mark; Page Up, Page Down, g and G: further",
	"Space         stand still, and go on",
	"q, Ctrl-C     quit",
	"",
	"NOW           the rate between the last two answers; - until there are two",
	"waits         how long packets wait in the shaper at this moment",
	"radio         and behind it, where weir follows what the radio carries",
	"p95           95 of 100 packets since the start waited no longer in the shaper",
	"plan          # used, + expected by the end of the cycle, . free",
	"",
	"Octets are of IP, as they are billed. Any key goes back.",
};

static void title_draw(const struct top_model *m, const struct top_state *s,
	const struct top_look *look, struct screen *screen)
{
	struct screen_line *l = screen_line_next(screen, STYLE_TITLE);
	char uptime[UNITS_TEXT_MAX];
	char words[160];
	char right[64];
	int n;

	line_add(l, screen->n_columns, " weir ");
	line_add(l, screen->n_columns, row_text(m->status, "gateway"));
	if (m->status != NULL) {
		(void)snprintf(words, sizeof(words),
			"  up %s  %" PRIu64 " devices  %" PRIu64 " flows  %" PRIu64 " pkt/s",
			units_show_time(row_u64(m->status, "uptime_s") * US_PER_S, uptime),
			row_u64(m->status, "devices"), row_u64(m->status, "flows"),
			row_u64(m->status, "packets_per_s"));
		line_add(l, screen->n_columns, words);
	}
	(void)snprintf(right, sizeof(right), "%s  every %g s ", s->paused ? "PAUSED" : look->clock,
		look->interval_s);
	n = text_width(right);
	if (l->n_columns + n + 2 > screen->n_columns) {
		(void)snprintf(right, sizeof(right), "%s ", s->paused ? "PAUSED" : look->clock);
		n = text_width(right);
	}
	if (!look->once && l->n_columns + n + 2 <= screen->n_columns) {
		line_pad(l, screen->n_columns - n);
		line_add(l, screen->n_columns, right);
	}
	line_pad(l, screen->n_columns);
}

static void footer_draw(
	const struct top_state *s, const struct top_look *look, struct screen *screen)
{
	struct screen_line *l;

	while (screen->n_used < screen->n_rows - 1)
		(void)screen_line_next(screen, STYLE_NORMAL);
	if (s->editing) {
		l = screen_line_next(screen, STYLE_TITLE);
		line_add(l, screen->n_columns, "rows with: ");
		line_add(l, screen->n_columns, s->filter);
		line_add(l, screen->n_columns, "_");
	} else if (look->trouble[0] != '\0') {
		l = screen_line_next(screen, STYLE_ALARM);
		line_add(l, screen->n_columns, look->trouble);
	} else {
		l = screen_line_next(screen, STYLE_TITLE);
		line_add(l, screen->n_columns, s->paused ? "paused: Space goes on" : keys);
	}
	line_pad(l, screen->n_columns);
}

void top_view_draw(const struct top_model *m, struct top_state *s, const struct top_look *look,
	struct screen *ret_screen)
{
	int n_left = look->once ? 0 : 1;

	title_draw(m, s, look, ret_screen);
	if (s->help) {
		for (size_t i = 0; i < sizeof(help) / sizeof(help[0])
				   && ret_screen->n_used < ret_screen->n_rows - n_left;
			i++)
			line_add(screen_line_next(ret_screen, STYLE_NORMAL), ret_screen->n_columns,
				help[i]);
	} else {
		top_header_draw(m, look, ret_screen->n_rows / HEADER_SHARE, ret_screen);
		if (ret_screen->n_used < ret_screen->n_rows - n_left)
			top_pane_draw(m, s, look, n_left, ret_screen);
	}
	if (!look->once)
		footer_draw(s, look, ret_screen);
}
