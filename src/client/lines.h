/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An answer cut into its lines while it comes.
 *
 * Errors:   0, or -1 with a sentence for people in `error`.
 * Threads:  one owner.
 * Memory:   the longest line so far; MESSAGE_ANSWER_MAX at most.
 */
#ifndef WEIR_CLIENT_LINES_H
#define WEIR_CLIENT_LINES_H

#include "connection.h"

#include <stddef.h>

/* Takes a line, without its newline and NUL-terminated. Returns 0, or -1 with a sentence to stop. */
typedef int line_taker(void *context, const char *line, size_t n, char error[CONNECTION_ERROR_MAX]);

struct lines {
	line_taker *take;
	void *context;
	char *held; /* the beginning of a line whose end is still to come; NULL before the first */
	size_t n_held;
};

/* A connection_sink, with the lines as context. */
int lines_sink(void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX]);

/* Another one, that holds the whole answer. */
int lines_hold(void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX]);

/* The last line has no newline: takes it too. */
int lines_end(struct lines *l, char error[CONNECTION_ERROR_MAX]);

void lines_clean(struct lines *l);

#endif
