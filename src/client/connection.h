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

#include <weir/proto/message.h>

#include <stdbool.h>
#include <stddef.h>

#define CONNECTION_ERROR_MAX 512

/* Takes a part of the answer, in order. Returns 0, or -1 with a sentence in `error` to stop. */
typedef int connection_sink(
	void *context, const char *bytes, size_t n, char error[CONNECTION_ERROR_MAX]);

/* Asks the daemon on the socket at `path` and hands each part of the answer to `sink`. */
int connection_ask(const char *path, const char *request, connection_sink *sink, void *context,
	char error[CONNECTION_ERROR_MAX]);

/* The steps of it, for who waits elsewhere: a connection, or -1 with a sentence. One that does not `wait` never
 * blocks. */
int connection_open(const char *path, bool waits, char error[CONNECTION_ERROR_MAX]);

/* Sends a request. That it did not arrive shows where its answer is read: a daemon that turns clients away closes its end at
 * once, and what it has to say is still to be read. */
void connection_send(int fd, const char *request);

/* The sentence of an answer that is an error. */
void connection_explain_refusal(const struct message_reader *r, char error[CONNECTION_ERROR_MAX]);

#endif
