/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/server.h>
#include <weir/proto/message.h>

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SIGN_OF_LIFE_US US_PER_S           /* an empty part, while an answer takes long to make */
#define LISTENER_TAG    SERVER_CLIENTS_MAX /* epoll's data: index of a client, or this */

struct client {
	int fd;       /* -1: free */
	bool closing; /* once what is to be sent has been sent */
	bool waiting; /* its answer has nothing to say before something happens */
	struct message_reader reader;
	struct server_answer *answer; /* NULL: none in the making */
	uint8_t header[MESSAGE_HEADER_BYTES];
	struct text part;
	size_t n_sent; /* of header and part */
	size_t n_to_send;
	uint32_t events; /* what epoll watches */
	uint64_t progress_us;
};

struct server {
	int listener;
	int epoll;
	struct sockaddr_un address;
	dev_t device; /* of the socket file: it is removed only while it is ours */
	ino_t inode;
	struct server_handlers handlers;
	struct log_limit log_limit;
	struct client clients[SERVER_CLIENTS_MAX];
};

static void client_close(struct client *c)
{
	if (c->answer != NULL)
		c->answer->destroy(c->answer);
	c->answer = NULL;
	text_clean(&c->part);
	message_reader_clean(&c->reader);
	close(c->fd);
	c->fd = -1;
}

static void client_watch(struct server *s, struct client *c, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(c - s->clients)};

	if (c->events == events)
		return;
	c->events = events;
	(void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void client_start_sending(struct client *c, enum message_type type)
{
	message_header_write(type, (uint32_t)c->part.n, c->header);
	c->n_sent = 0;
	c->n_to_send = MESSAGE_HEADER_BYTES + c->part.n;
}

static void client_send_error(struct client *c, const char *sentence)
{
	if (c->answer != NULL)
		c->answer->destroy(c->answer);
	c->answer = NULL;
	c->waiting = false;
	text_clear(&c->part);
	text_open(&c->part, NULL, '{');
	text_field_string(&c->part, "error", sentence);
	text_close(&c->part, '}');
	if (c->part.failed != 0)
		c->closing = true;
	client_start_sending(c, MESSAGE_ERROR);
}

/* Makes the next piece of the answer. */
static void client_advance(struct client *c, uint64_t now_us)
{
	char error[SERVER_ERROR_MAX] = "the answer could not be made";
	int more;

	text_clear(&c->part);
	more = c->answer->next(c->answer, &c->part, error);
	if (more >= 0 && c->part.failed != 0) {
		(void)snprintf(error, sizeof(error), "the answer could not be made: %s",
			c->part.failed == ENOMEM ? "no memory" : "a part is too long");
		more = -c->part.failed;
	}
	if (more < 0) {
		client_send_error(c, error);
		return;
	}
	if (more == 0) {
		c->answer->destroy(c->answer);
		c->answer = NULL;
	}
	c->waiting = more == SERVER_WAITS && c->part.n == 0;
	if (more == 0 || c->part.n > 0 || now_us - c->progress_us >= SIGN_OF_LIFE_US)
		client_start_sending(c, more == 0 ? MESSAGE_END : MESSAGE_MORE);
}

static void client_request(struct server *s, struct client *c, uint64_t now_us)
{
	char error[SERVER_ERROR_MAX] = "refused";
	json_error_t why;
	json_t *request;

	if (c->reader.type != MESSAGE_REQUEST) {
		client_send_error(c, "only requests are taken here");
		c->closing = true;
		return;
	}
	request = json_loadb(c->reader.payload, c->reader.len_bytes, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(request)) {
		(void)snprintf(error, sizeof(error), "a request is a JSON object%s%s",
			request == NULL ? ": " : "", request == NULL ? why.text : "");
		client_send_error(c, error);
		c->closing = true;
	} else if (s->handlers.begin(s->handlers.context, request, now_us, error, &c->answer)
		   != 0) {
		c->answer = NULL;
		client_send_error(c, error);
	}
	json_decref(request);
}

/* Takes one request off the socket, and never a byte of the next: that one waits in the kernel until this is answered. */
static bool client_receive(struct server *s, struct client *c, uint64_t now_us)
{
	uint8_t bytes[2048];
	size_t n_used;
	ssize_t n;
	int result;

	n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	result = message_feed(&c->reader, bytes, (size_t)n, &n_used);
	if (n_used > 0 && recv(c->fd, bytes, n_used, MSG_DONTWAIT) != (ssize_t)n_used)
		return false;
	c->progress_us = now_us;
	if (result == 1) {
		client_request(s, c, now_us);
	} else if (result < 0) {
		char error[SERVER_ERROR_MAX];

		(void)snprintf(error, sizeof(error), "refused: %s", message_error_text(result));
		client_send_error(c, error);
		c->closing = true;
	}
	return true;
}

/* Sends as much as the socket takes now. False when the client is gone. */
static bool client_send(struct client *c, uint64_t now_us)
{
	while (c->n_sent < c->n_to_send) {
		bool in_header = c->n_sent < MESSAGE_HEADER_BYTES;
		const void *from = in_header ? (const void *)(c->header + c->n_sent)
					     : c->part.data + (c->n_sent - MESSAGE_HEADER_BYTES);
		size_t n_left =
			in_header ? MESSAGE_HEADER_BYTES - c->n_sent : c->n_to_send - c->n_sent;
		ssize_t n = send(c->fd, from, n_left, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->n_sent += (size_t)n;
		c->progress_us = now_us;
	}
	return true;
}

static bool client_work(struct server *s, struct client *c, uint64_t now_us)
{
	bool idle = c->n_sent == c->n_to_send && c->answer == NULL;

	if (idle && !client_receive(s, c, now_us))
		return false;
	if (c->n_sent == c->n_to_send && c->answer != NULL)
		client_advance(c, now_us);
	if (!client_send(c, now_us))
		return false;
	if (c->n_sent < c->n_to_send || c->answer != NULL) {
		/* A socket takes bytes nearly always: who has none to send is asked again by server_resume. */
		client_watch(s, c, c->n_sent == c->n_to_send && c->waiting ? 0 : EPOLLOUT);
		return true;
	}
	client_watch(s, c, EPOLLIN);
	return !c->closing;
}

/* Tells a client that there is no room for it; it may be too late for it to hear. */
static void turn_away(int fd)
{
	static const char sentence[] =
		"{\"error\":\"16 clients are connected already: try again later\"}";
	uint8_t bytes[MESSAGE_HEADER_BYTES + sizeof(sentence) - 1];

	static_assert(SERVER_CLIENTS_MAX == 16, "the sentence says so");
	message_header_write(MESSAGE_ERROR, sizeof(sentence) - 1, bytes);
	memcpy(bytes + MESSAGE_HEADER_BYTES, sentence, sizeof(sentence) - 1);
	(void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static struct client *client_free_place(struct server *s)
{
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	return NULL;
}

static int client_open(struct server *s, struct client *c, int fd, uint64_t now_us)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - s->clients)};
	struct message_reader reader;
	int error = message_reader_init(&reader, MESSAGE_REQUEST_MAX);

	if (error != 0)
		return error;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		error = -errno;
		message_reader_clean(&reader);
		return error;
	}
	*c = (struct client){.fd = fd, .reader = reader, .events = EPOLLIN, .progress_us = now_us};
	text_init(&c->part, MESSAGE_PART_MAX);
	return 0;
}

static void accept_failed(struct server *s, int error, uint64_t now_us)
{
	if (!log_limit_take(&s->log_limit, now_us))
		return;
	log_event(LOG_WARNING, "control.accept_failed reason=\"%s\" suppressed=%u", strerror(error),
		s->log_limit.n_suppressed);
	s->log_limit.n_suppressed = 0;
}

static void server_accept(struct server *s, uint64_t now_us)
{
	/* Bounded, so that strangers at the door don't keep control from its other work. */
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct client *c;

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				accept_failed(s, errno, now_us);
			return;
		}
		c = client_free_place(s);
		if (c == NULL || client_open(s, c, fd, now_us) != 0)
			turn_away(fd);
	}
}

void server_resume(struct server *s, uint64_t now_us)
{
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0 && c->waiting && c->n_sent == c->n_to_send
			&& !client_work(s, c, now_us))
			client_close(c);
	}
}

void server_work(struct server *s, uint64_t now_us)
{
	struct epoll_event events[SERVER_CLIENTS_MAX + 1];
	int n = epoll_wait(s->epoll, events, SERVER_CLIENTS_MAX + 1, 0);

	for (int i = 0; i < n; i++) {
		struct client *c;

		if (events[i].data.u32 == LISTENER_TAG)
			continue;
		c = &s->clients[events[i].data.u32];
		/* Nobody is there any more to hear the rest of an answer that may have no end. */
		if ((c->waiting && (events[i].events & EPOLLHUP) != 0)
			|| !client_work(s, c, now_us))
			client_close(c);
	}
	server_resume(s, now_us);
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0 && now_us - c->progress_us > SERVER_IDLE_US)
			client_close(c);
	}
	/* Last, so that a place that has just become free is used, and no stale event hits a new client. */
	server_accept(s, now_us);
}

int server_fd(const struct server *s)
{
	return s->epoll;
}

uint32_t server_n_clients(const struct server *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		n += s->clients[i].fd >= 0;
	return n;
}

/* Removes the socket of a dead daemon. Returns 0 when the path is free now. */
static int stale_remove(const struct sockaddr_un *address, char *error)
{
	const char *path = address->sun_path;
	struct stat st;
	int result = -EADDRINUSE;
	int probe;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		(void)snprintf(error, SERVER_ERROR_MAX,
			"%s exists and is not a socket: remove it, or choose another control "
			"socket",
			path);
		return -EEXIST;
	}
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0) {
		(void)snprintf(error, SERVER_ERROR_MAX, "no socket to be had: %s", strerror(errno));
		return -errno;
	}
	/* Only a refusal proves that nobody listens; a full backlog (EAGAIN) is somebody. */
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0
		|| errno != ECONNREFUSED)
		(void)snprintf(error, SERVER_ERROR_MAX,
			"another weir answers on %s: stop it first, or choose another control "
			"socket",
			path);
	else if (unlink(path) == 0)
		result = 0;
	else
		(void)snprintf(error, SERVER_ERROR_MAX,
			"%s was left by a dead weir and cannot be removed: %s", path,
			strerror(errno));
	close(probe);
	return result;
}

/* The socket's folder, where it is missing: /run is empty after each boot. Only the last step of the path is made. */
static void folder_create(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *slash;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return;
	*slash = '\0';
	(void)mkdir(folder, 0755); /* where that fails, bind says why */
}

static int listener_bind(int fd, const struct sockaddr_un *address, char *error)
{
	const struct sockaddr *sa = (const struct sockaddr *)address;
	int result;

	/* Linux gives the file the mode of the socket: there is no moment at which others may connect, and no umask to
	 * change under other threads. */
	if (fchmod(fd, 0600) != 0)
		return -errno;
	folder_create(address->sun_path);
	if (bind(fd, sa, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	result = stale_remove(address, error);
	if (result != 0)
		return result;
	return bind(fd, sa, sizeof(*address)) == 0 ? 0 : -errno;
}

/* Opens the door to a group, once the socket is there and still its owner's alone. */
static int group_admit(const char *path, const char *group, char *error)
{
	char names[1024];
	struct group entry;
	struct group *found = NULL;
	int result = getgrnam_r(group, &entry, names, sizeof(names), &found);

	if (found == NULL) {
		(void)snprintf(error, SERVER_ERROR_MAX,
			"%s: no group is called %s: make it with addgroup --system %s", path, group,
			group);
		return result != 0 ? -result : -ENOENT;
	}
	return chown(path, (uid_t)-1, entry.gr_gid) == 0 && chmod(path, 0660) == 0 ? 0 : -errno;
}

static int listener_open(struct server *s, char *error)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER_TAG};
	struct stat st;
	int result;

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener < 0)
		return -errno;
	result = listener_bind(s->listener, &s->address, error);
	if (result != 0)
		goto err_listener;
	if (s->handlers.group != NULL)
		result = group_admit(s->address.sun_path, s->handlers.group, error);
	if (result != 0)
		goto err_file;
	if (lstat(s->address.sun_path, &st) != 0 || listen(s->listener, SERVER_CLIENTS_MAX) != 0
		|| epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) != 0) {
		result = -errno;
		goto err_file;
	}
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return 0;

err_file:
	(void)unlink(s->address.sun_path);
err_listener:
	close(s->listener);
	return result;
}

int server_open(const char *path, const struct server_handlers *handlers,
	char error[SERVER_ERROR_MAX], struct server **ret_server)
{
	struct server *s;
	int result;

	if (strlen(path) >= sizeof(s->address.sun_path) || path[0] == '\0') {
		(void)snprintf(error, SERVER_ERROR_MAX,
			"the path of the control socket must have 1 to %zu characters",
			sizeof(s->address.sun_path) - 1);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		(void)snprintf(error, SERVER_ERROR_MAX, "control socket %s: no memory", path);
		return -ENOMEM;
	}
	error[0] = '\0';
	s->handlers = *handlers;
	s->log_limit = (struct log_limit){.interval_us = 10 * US_PER_S, .burst = 3};
	s->address.sun_family = AF_UNIX;
	memcpy(s->address.sun_path, path, strlen(path) + 1);
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	result = s->epoll < 0 ? -errno : 0;
	if (result != 0)
		goto err_server;
	result = listener_open(s, error);
	if (result != 0)
		goto err_epoll;
	*ret_server = s;
	return 0;

err_epoll:
	close(s->epoll);
err_server:
	free(s);
	if (error[0] == '\0')
		(void)snprintf(
			error, SERVER_ERROR_MAX, "control socket %s: %s", path, strerror(-result));
	return result;
}

void server_close(struct server *s)
{
	struct stat st;

	if (s == NULL)
		return;
	for (uint32_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			client_close(&s->clients[i]);
	if (lstat(s->address.sun_path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
		(void)unlink(s->address.sun_path);
	close(s->listener);
	close(s->epoll);
	free(s);
}
