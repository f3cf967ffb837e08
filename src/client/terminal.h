/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The terminal of weirctl top, by ncurses.
 *
 * Shapes:   colours only where the terminal has them and NO_COLOR is not set (no-color.org); without them reverse and bold. A
 *           serial line whose size nobody knows has that of its terminal type.
 * Errors:   terminal_open says what is wrong in a sentence.
 * Threads:  one owner; ncurses has one terminal.
 * Memory:   ncurses'.
 */
#ifndef WEIR_CLIENT_TERMINAL_H
#define WEIR_CLIENT_TERMINAL_H

#include "connection.h"
#include "screen_text.h"

#include <stdbool.h>

#define TERMINAL_NO_KEY (-1)

/* Takes the terminal over. Returns 0, or -1 with a sentence. */
int terminal_open(char error[CONNECTION_ERROR_MAX]);

/* Whether there is a description of $TERM; newterm() loses memory over one that is missing. */
bool terminal_type_is_known(void);

/* Gives it back as it was. */
void terminal_close(void);

/* Whether it can show no more than ASCII: by its type, or by the locale. */
bool terminal_is_ascii(void);

/* After SIGWINCH: learns its new size. */
void terminal_resize(void);

void terminal_size(int *ret_rows, int *ret_columns);

void terminal_draw(const struct screen *s);

/* Draws all of it anew at the next terminal_draw: something else may have written on it. */
void terminal_forget(void);

/* A byte, TOP_KEY_* of top_state.h, or TERMINAL_NO_KEY. */
int terminal_key(void);

#endif
