/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request to the daemon and its answer, part by part.
 *
 * Errors:   0, or -1 with a sentence for people in `error`.
 * Threads:  one owner; calls block, for 10 s at most without a word from the daemon.
 * Memory:   one part of an answer (1 MiB).
 */
#ifndef WEIR_CLIENT_CONNECTION_H
#define WEIR_CLIENT_CONNECTION_H

#include <stddef.h>

#define CONNECTION_ERROR_MAX 512

/* Takes a part of the answer, in order. Returns 0, or -1 with a sentence in `error` to stop. */
typedef int connection_sink(
	void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX]);

/* Asks the daemon on the socket at `path` and hands each part of the answer to `sink`. */
int connection_ask(const char *path, const char *request, connection_sink *sink, void *context,
	char error[CONNECTION_ERROR_MAX]);

#endif
