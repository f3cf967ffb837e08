/* SPDX-License-Identifier: BSD-3-Clause */
#include "lines.h"

#include <weir/proto/message.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lines_hold(void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX])
{
	struct lines *l = context;
	char *held;

	if (l->n_held + n > MESSAGE_ANSWER_MAX) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "a line of weir's answer has no end");
		return -1;
	}
	held = realloc(l->held, l->n_held + n + 1);
	if (held == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	if (n > 0)
		memcpy(held + l->n_held, bytes, n);
	l->held = held;
	l->n_held += n;
	held[l->n_held] = '\0';
	return 0;
}

int lines_sink(void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX])
{
	struct lines *l = context;
	const char *end = bytes + n;
	const char *newline;

	for (; (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL;
		bytes = newline + 1) {
		if (lines_hold(l, bytes, (size_t)(newline - bytes), error) != 0
			|| l->take(l->context, l->held, l->n_held, error) != 0)
			return -1;
		l->n_held = 0;
	}
	return lines_hold(l, bytes, (size_t)(end - bytes), error);
}

int lines_end(struct lines *l, char error[CONNECTION_ERROR_MAX])
{
	return l->n_held == 0 ? 0 : l->take(l->context, l->held, l->n_held, error);
}

void lines_clean(struct lines *l)
{
	free(l->held);
	l->held = NULL;
	l->n_held = 0;
}
