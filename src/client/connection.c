/* SPDX-License-Identifier: BSD-3-Clause */
#include "connection.h"

#include <weir/proto/message.h>

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 10

static void explain_connect(const char *path, int why, char *error)
{
	if (why == ENOENT || why == ECONNREFUSED || why == ENOTDIR)
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"no weir answers on %s: is it running? try: systemctl status weir", path);
	else if (why == EACCES || why == EPERM)
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"you may not talk to the weir on %s: try again as root (sudo weirctl ...)",
			path);
	else if (why == EAGAIN)
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"the weir on %s is too busy to answer: try again later", path);
	else
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s: %s", path, strerror(why));
}

int connection_open(const char *path, bool waits, char error[CONNECTION_ERROR_MAX])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd;

	if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path)) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"the path of a socket has 1 to %zu characters",
			sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (waits ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0
		|| setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0
		|| connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		explain_connect(path, errno, error);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int send_all(int fd, const void *bytes, size_t n_bytes)
{
	const char *from = bytes;

	while (n_bytes > 0) {
		ssize_t n = send(fd, from, n_bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		from += n;
		n_bytes -= (size_t)n;
	}
	return 0;
}

void connection_send(int fd, const char *request)
{
	uint8_t header[MESSAGE_HEADER_BYTES];

	message_header_write(MESSAGE_REQUEST, (uint32_t)strlen(request), header);
	/* A daemon that turns us away closes its end at once: what it has to say is still to be read. */
	if (send_all(fd, header, sizeof(header)) == 0)
		(void)send_all(fd, request, strlen(request));
}

void connection_explain_refusal(const struct message_reader *r, char error[CONNECTION_ERROR_MAX])
{
	json_t *object = json_loadb(r->payload, r->len_bytes, 0, NULL);
	const char *sentence = json_string_value(json_object_get(object, "error"));

	(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
		sentence != NULL ? sentence
				 : "weir reports an error that this weirctl cannot read");
	json_decref(object);
}

/* Takes what one message says. Returns 1 to go on, 0 at the end, -1 with a sentence. */
static int message_take(
	const struct message_reader *r, connection_sink *sink, void *context, char *error)
{
	switch (r->type) {
	case MESSAGE_MORE:
		return sink(context, r->payload, r->len_bytes, error) == 0 ? 1 : -1;
	case MESSAGE_END:
		return sink(context, r->payload, r->len_bytes, error);
	case MESSAGE_ERROR:
		connection_explain_refusal(r, error);
		return -1;
	case MESSAGE_REQUEST:
	default:
		(void)snprintf(
			error, CONNECTION_ERROR_MAX, "weir sent a request instead of an answer");
		return -1;
	}
}

static int bytes_take(struct message_reader *r, const char *bytes, size_t n_bytes,
	connection_sink *sink, void *context, char *error)
{
	while (n_bytes > 0) {
		size_t n_used;
		int result = message_feed(r, bytes, n_bytes, &n_used);

		if (result < 0) {
			(void)snprintf(error, CONNECTION_ERROR_MAX, "the answer is %s",
				message_error_text(result));
			return -1;
		}
		if (result == 1)
			result = message_take(r, sink, context, error);
		else
			result = 1;
		if (result != 1)
			return result;
		bytes += n_used;
		n_bytes -= n_used;
	}
	return 1;
}

static int answer_receive(
	int fd, struct message_reader *r, connection_sink *sink, void *context, char *error)
{
	char bytes[2048];
	int more = 1;

	while (more == 1) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			bool late = n < 0 && errno == EAGAIN;

			(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
				late ? "weir does not answer"
				     : "weir closed the connection before its answer was complete");
			return -1;
		}
		more = bytes_take(r, bytes, (size_t)n, sink, context, error);
	}
	return more;
}

int connection_ask(const char *path, const char *request, connection_sink *sink, void *context,
	char error[CONNECTION_ERROR_MAX])
{
	struct message_reader reader;
	int fd = connection_open(path, true, error);
	int result;

	if (fd < 0)
		return -1;
	if (message_reader_init(&reader, MESSAGE_PART_MAX) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		close(fd);
		return -1;
	}
	connection_send(fd, request);
	result = answer_receive(fd, &reader, sink, context, error);
	message_reader_clean(&reader);
	close(fd);
	return result;
}
