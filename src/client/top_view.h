/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The screen of weirctl top, from what is known and what was asked for; nothing here knows a terminal.
 *
 * Shapes:   a title, a line a direction of each uplink, a line a plan, the pane that was chosen, a line for keys and troubles.
 *           Narrow screens leave columns out, short ones rows; no size is too small.
 * Threads:  pure functions, besides the locale.
 * Memory:   the screen is the caller's; an order of the rows while it is drawn.
 */
#ifndef WEIR_CLIENT_TOP_VIEW_H
#define WEIR_CLIENT_TOP_VIEW_H

#include "screen_text.h"
#include "top_state.h"

struct top_look {
	bool ascii;          /* bars of '#' */
	bool once;           /* no keys, no cursor */
	double interval_s;   /* between two answers */
	const char *clock;   /* time of day; "" where it is not wanted */
	const char *trouble; /* why there is no answer; "": there is */
};

/* Draws. Writes into `s` what keys will need: cursor, first, page, n_rows, chosen. */
void top_view_draw(const struct top_model *m, struct top_state *s, const struct top_look *look,
	struct screen *ret_screen);

/* Parts of it: uplinks and plans, at most `n_max` lines; */
void top_header_draw(const struct top_model *m, const struct top_look *look, int n_max,
	struct screen *ret_screen);

/* and the pane, with its heading, down to `n_left` lines before the end. */
void top_pane_draw(const struct top_model *m, struct top_state *s, const struct top_look *look,
	int n_left, struct screen *ret_screen);

#endif
