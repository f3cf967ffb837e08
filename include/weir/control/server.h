/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: takes requests, hands them to a handler, sends answers in parts.
 *
 * Source:   proto/message.h (framing), unix(7).
 * Shapes:   an answer is made piece by piece, each when the client has taken the one before, so that a listing of
 *           any length holds one piece in memory and a slow client delays nobody but itself.
 * Units:    microseconds of the path clock.
 * Errors:   server_open writes a sentence with the remedy. A client that breaks the protocol or sends what is no JSON
 *           object gets an error answer and is disconnected; one that asks for what does not exist gets an error
 *           answer and may go on. A client without progress for 30 s is disconnected; the 17th is turned away.
 * Threads:  one owner, control. It never blocks; each call makes at most one piece for each client.
 * Memory:   a client holds 64 KiB for its request and at most 1 MiB of answer.
 */
#ifndef WEIR_CONTROL_SERVER_H
#define WEIR_CONTROL_SERVER_H

#include <weir/control/text.h>

#include <jansson.h>
#include <stdint.h>

#define SERVER_CLIENTS_MAX 16
#define SERVER_ERROR_MAX   256
#define SERVER_IDLE_US     (30 * 1000000ull)
#define SERVER_WAITS       2

struct server;

/* An answer in the making; who makes it embeds this as the first member. */
struct server_answer {
	/* Appends the next piece to `part`, which may be none. Returns 1 when more follows, SERVER_WAITS when more follows
	 * once something has happened, 0 after the last, or a negative errno with a sentence in `error`. It should take no
	 * longer than a few milliseconds. */
	int (*next)(struct server_answer *a, struct text *part, char error[SERVER_ERROR_MAX]);
	/* Frees it; also of an answer that was not finished. */
	void (*destroy)(struct server_answer *a);
};

struct server_handlers {
	void *context;
	const char *group; /* whose members may connect too; NULL: the owner alone */
	/* Begins the answer to a JSON object. Returns 0, or a negative errno with a sentence in `error`. */
	int (*begin)(void *context, json_t *request, uint64_t now_us, char error[SERVER_ERROR_MAX],
		struct server_answer **ret_answer);
};

/* Creates the socket with mode 0600, or 0660 for a group, and its folder where that is missing. A socket that a dead daemon left is
 * replaced, a live one refused. Returns 0 or a negative errno with a sentence in `error`. */
int server_open(const char *path, const struct server_handlers *handlers,
	char error[SERVER_ERROR_MAX], struct server **ret_server);

/* Readable when server_work has something to do. */
int server_fd(const struct server *s);

/* Serves who waits. Call when server_fd is readable, and about once a second for the idle ones. */
void server_work(struct server *s, uint64_t now_us);

/* Asks the answers that wait for their next piece. Call it when there may be news for them. */
void server_resume(struct server *s, uint64_t now_us);

uint32_t server_n_clients(const struct server *s);

/* Disconnects all, removes the socket. NULL is fine. */
void server_close(struct server *s);

#endif
