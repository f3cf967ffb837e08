/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of a screen as text, before any terminal has a say.
 *
 * Shapes:   UTF-8. What comes from outside may not steer the terminal nor upset its columns: controls (C0, C1, DEL), marks that
 *           change the direction of writing, characters of no width and bytes that are no UTF-8 become '?'. A character is
 *           as wide as wcwidth says; so in a locale without UTF-8 all but ASCII is '?'.
 * Errors:   what finds no room is cut; a cell that was cut ends in '~'.
 * Threads:  pure functions, besides the locale.
 * Memory:   a line is about 1.3 kB.
 */
#ifndef WEIR_CLIENT_SCREEN_TEXT_H
#define WEIR_CLIENT_SCREEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define SCREEN_ROWS_MAX    200
#define SCREEN_COLUMNS_MAX 320

enum line_style {
	STYLE_NORMAL,
	STYLE_TITLE,
	STYLE_HEAD,
	STYLE_CURSOR,
	STYLE_WARNING,
	STYLE_ALARM,
};

struct screen_line {
	enum line_style style;
	int n_columns; /* so far */
	size_t n_bytes;
	char text[SCREEN_COLUMNS_MAX * 4 + 1];
};

struct screen {
	int n_rows;
	int n_columns;
	int n_used; /* lines that were begun */
	struct screen_line lines[SCREEN_ROWS_MAX];
};

/* An empty screen; sizes beyond the largest are cut, and those below 1 are 1. */
void screen_begin(struct screen *s, int n_rows, int n_columns);

/* The next line; NULL when the screen is full. */
struct screen_line *screen_line_next(struct screen *s, enum line_style style);

/* Columns that text takes. */
int text_width(const char *text);

/* Appends text as far as column `until`; NULL is an empty line that stays one. */
void line_add(struct screen_line *l, int until, const char *text);

/* Appends blanks up to a column. */
void line_pad(struct screen_line *l, int until);

/* Appends a cell `width` columns wide, but no further than column `until`. */
void line_cell(struct screen_line *l, int until, int width, bool right, const char *text);

#endif
