/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several requests to the daemon at once, and their answers as they come: nothing here blocks.
 *
 * Shapes:   one connection a round, closed after its last answer, so that no place at the daemon is held in between.
 * Errors:   a sentence for people; the round is over then, and the next may be begun.
 * Threads:  one owner.
 * Memory:   an answer of at most FEED_ANSWER_MAX.
 */
#ifndef WEIR_CLIENT_FEED_H
#define WEIR_CLIENT_FEED_H

#include "connection.h"
#include "lines.h"

#include <weir/proto/message.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FEED_ANSWER_MAX (32u << 20)

/* Takes the answer to request `index`, which stays the feed's. Returns 0, or -1 with a sentence. */
typedef int feed_taker(void *context, uint32_t index, json_t *answer, char *error);

struct feed {
	const char *path;
	int fd; /* -1: no round under way */
	uint32_t n_requests;
	uint32_t n_answers;
	struct message_reader reader;
	struct lines held;    /* the answer so far, as lines_hold() does */
	uint64_t n_octets_in; /* of all rounds */
	uint64_t n_octets_out;
};

enum feed_result {
	FEED_MORE,
	FEED_DONE,
	FEED_FAILED
};

/* `path` is borrowed. Returns 0 or -ENOMEM. */
int feed_init(struct feed *f, const char *path);
void feed_clean(struct feed *f);

/* Begins a round: sends n requests, JSON texts. Returns 0, or -1 with a sentence. */
int feed_start(
	struct feed *f, const char *const *requests, uint32_t n, char error[CONNECTION_ERROR_MAX]);

/* Takes what has come; call it when f->fd is readable. */
enum feed_result feed_work(
	struct feed *f, feed_taker *taker, void *context, char error[CONNECTION_ERROR_MAX]);

/* Gives a round up. */
void feed_stop(struct feed *f);

#endif
