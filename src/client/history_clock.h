/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time that history is kept by: the wall clock where weir trusts it; else a guess that only goes forward, from the last minute of
 * the file or from what the wall clock shows, whichever is later.
 *
 * Units:    seconds since 1970; `mono_s` of a clock that nobody sets.
 * Threads:  one owner.
 */
#ifndef WEIR_CLIENT_HISTORY_CLOCK_H
#define WEIR_CLIENT_HISTORY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct history_clock {
	bool is_guessing;
	int64_t guess_s; /* at mono 0 */
};

/* The time now. `ret_shift_s`: by how much what was booked by a guess has to move, now that the time is known; 0 as a rule. */
static inline int64_t history_clock_now(struct history_clock *c, bool is_trusted, int64_t wall_s,
	int64_t mono_s, int64_t newest_s, int64_t *ret_shift_s)
{
	*ret_shift_s = 0;
	if (is_trusted) {
		if (c->is_guessing)
			*ret_shift_s = wall_s - (c->guess_s + mono_s);
		c->is_guessing = false;
		return wall_s;
	}
	if (!c->is_guessing)
		c->guess_s = (wall_s > newest_s ? wall_s : newest_s) - mono_s;
	c->is_guessing = true;
	return c->guess_s + mono_s;
}

#endif
