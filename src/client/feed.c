/* SPDX-License-Identifier: BSD-3-Clause */
#include "feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int feed_init(struct feed *f, const char *path)
{
	*f = (struct feed){.path = path, .fd = -1};
	return message_reader_init(&f->reader, MESSAGE_PART_MAX);
}

void feed_stop(struct feed *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void feed_clean(struct feed *f)
{
	feed_stop(f);
	message_reader_clean(&f->reader);
	lines_clean(&f->held);
}

/* A stream begins: what a former one left of a message is forgotten. */
static int reader_renew(struct feed *f, char *error)
{
	message_reader_clean(&f->reader);
	if (message_reader_init(&f->reader, MESSAGE_PART_MAX) == 0)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
	return -1;
}

int feed_start(
	struct feed *f, const char *const *requests, uint32_t n, char error[CONNECTION_ERROR_MAX])
{
	feed_stop(f);
	if (reader_renew(f, error) != 0)
		return -1;
	f->fd = connection_open(f->path, false, error);
	if (f->fd < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		connection_send(f->fd, requests[i]);
		f->n_octets_out += MESSAGE_HEADER_BYTES + strlen(requests[i]);
	}
	f->n_requests = n;
	f->n_answers = 0;
	f->held.n_held = 0;
	return 0;
}

static int held_append(struct feed *f, const char *bytes, size_t n, char *error)
{
	if (f->held.n_held + n > FEED_ANSWER_MAX) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "an answer of weir has no end");
		return -1;
	}
	return lines_hold(&f->held, bytes, n, error);
}

/* Hands over an answer that is complete. */
static int answer_take(struct feed *f, feed_taker *taker, void *context, char *error)
{
	json_t *answer = json_loadb(f->held.held, f->held.n_held, 0, NULL);
	int result = -1;

	f->held.n_held = 0;
	if (json_is_object(answer))
		result = taker(context, f->n_answers, answer, error);
	else
		(void)snprintf(error, CONNECTION_ERROR_MAX, "weir's answer is no JSON object");
	json_decref(answer);
	f->n_answers++;
	return result;
}

static int message_take(struct feed *f, feed_taker *taker, void *context, char *error)
{
	const struct message_reader *r = &f->reader;

	if (r->type == MESSAGE_ERROR) {
		connection_explain_refusal(r, error);
		return -1;
	}
	if (r->type != MESSAGE_MORE && r->type != MESSAGE_END) {
		(void)snprintf(
			error, CONNECTION_ERROR_MAX, "weir sent a request instead of an answer");
		return -1;
	}
	if (held_append(f, r->payload, r->len_bytes, error) != 0)
		return -1;
	return r->type == MESSAGE_END ? answer_take(f, taker, context, error) : 0;
}

static int bytes_take(struct feed *f, const char *bytes, size_t n_bytes, feed_taker *taker,
	void *context, char *error)
{
	while (n_bytes > 0 && f->n_answers < f->n_requests) {
		size_t n_used;
		int result = message_feed(&f->reader, bytes, n_bytes, &n_used);

		if (result < 0) {
			(void)snprintf(error, CONNECTION_ERROR_MAX, "the answer is %s",
				message_error_text(result));
			return -1;
		}
		if (result == 1 && message_take(f, taker, context, error) != 0)
			return -1;
		bytes += n_used;
		n_bytes -= n_used;
	}
	return 0;
}

enum feed_result feed_work(
	struct feed *f, feed_taker *taker, void *context, char error[CONNECTION_ERROR_MAX])
{
	char bytes[2048];

	while (f->n_answers < f->n_requests) {
		ssize_t n = recv(f->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return FEED_MORE;
		if (n <= 0) {
			(void)snprintf(error, CONNECTION_ERROR_MAX,
				"weir closed the connection before its answer was complete");
			goto failed;
		}
		f->n_octets_in += (uint64_t)n;
		if (bytes_take(f, bytes, (size_t)n, taker, context, error) != 0)
			goto failed;
	}
	feed_stop(f);
	return FEED_DONE;

failed:
	feed_stop(f);
	return FEED_FAILED;
}
