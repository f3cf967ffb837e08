/* SPDX-License-Identifier: BSD-3-Clause */
/* weir-web: what a running weir shows, over HTTP, by a process without rights. */
#include "web.h"

#include "history_options.h"
#include "web_clients.h"
#include "web_listen.h"
#include "web_token.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFAULT_SOCKET   "/run/weir/view.sock"
#define DEFAULT_LISTEN   "127.0.0.1:9469"
#define DEFAULT_TOKEN    "/var/lib/weir-web/token"
#define LISTENERS_MAX    4
#define CONNECTIONS_MAX  WEB_CLIENTS_MAX /* a listener */
#define FROM_ONE_MAX     8               /* of them, from one address */
#define IDLE_S           15
#define CONNECTION_BYTES (32 * 1024)
#define WAIT_MAX_MS      60000
#define LOOK_MS          5000 /* for clients whose time is over */

enum {
	EXIT_TROUBLE = 1,
	EXIT_USAGE = 2
};

struct listener {
	struct web *web;
	struct MHD_Daemon *daemon;
	int fd;
	bool is_local; /* listens on an address of the machine alone */
	struct web_clients clients;
};

struct server {
	struct web web;
	struct listener listeners[LISTENERS_MAX];
	uint32_t n_listeners;
};

struct arguments {
	const char *listen[LISTENERS_MAX];
	uint32_t n_listen;
	const char *user;
	const char *token;
	struct history_collecting history;
	struct web *web;
};

static const struct argp_option options[] = {
	{"listen", 'l', "ADDRESS:PORT", 0,
		"where to listen (default " DEFAULT_LISTEN "); may be given again for more", 0},
	{"socket", 's', "PATH", 0, "weir's runtime.view_socket (default " DEFAULT_SOCKET ")", 0},
	{"user", 'u', "NAME", 0, "who to be, when started by root (default nobody)", 0},
	{"token", 't', "FILE", 0,
		"where the token to log in with is (default " DEFAULT_TOKEN
		"); one is made where there is none",
		0},
	{"host", 'n', "NAME", 0,
		"a name by which the page is called, beside the addresses it listens on", 0},
	{"open-metrics", 'o', NULL, 0,
		"/metrics on a LAN's address without the token: everybody there may read it", 0},
	{"devices", 'd', "N", 0,
		"metrics: the first N devices by themselves, the others in one sum (default 64)",
		0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void listen_add(struct arguments *a, const char *address, struct argp_state *state)
{
	if (a->n_listen == LISTENERS_MAX)
		argp_error(state, "--listen can be given %d times", LISTENERS_MAX);
	else
		a->listen[a->n_listen++] = address;
}

static void host_add(struct arguments *a, const char *name, struct argp_state *state)
{
	int result = web_gate_add_host(&a->web->gate, name);

	if (result != 0)
		argp_error(state, "--host %s: %s", name,
			result == -ENOSPC ? "that is one name too many"
					  : "a name has neither scheme nor port nor path");
}

static void devices_read(struct arguments *a, const char *text, struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || text[0] == '-' || n > METRICS_DEVICES_MAX)
		argp_error(state, "--devices takes a number up to %d, not \"%s\"",
			METRICS_DEVICES_MAX, text);
	a->web->n_devices = (uint32_t)n;
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &a->history;
		return 0;
	case 'l':
		listen_add(a, arg, state);
		return 0;
	case 's':
		a->web->socket = arg;
		return 0;
	case 'u':
		a->user = arg;
		return 0;
	case 't':
		a->token = arg;
		return 0;
	case 'n':
		host_add(a, arg, state);
		return 0;
	case 'o':
		a->web->has_open_metrics = true;
		return 0;
	case 'd':
		devices_read(a, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one word too many", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A request while it comes in. */
struct incoming {
	char body[WEB_BODY_MAX + 1];
	size_t n_body; /* above WEB_BODY_MAX: too long, not kept */
};

static const char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

	return value == NULL ? "" : value;
}

/* MHD's callback for a name=value behind the question mark. More than there is room for are more than anything here knows. */
static enum MHD_Result query_take(
	void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct web_query *q = context;

	(void)kind;
	if (q->n == WEB_QUERY_MAX)
		return MHD_NO;
	q->fields[q->n].name = name;
	q->fields[q->n++].value = value == NULL ? "" : value;
	return MHD_YES;
}

static void peer_read(struct MHD_Connection *connection, struct web_peer *ret_peer)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*ret_peer = (struct web_peer){0};
	if (info == NULL || info->client_addr == NULL)
		return;
	if (info->client_addr->sa_family == AF_INET) {
		memcpy(&v4, info->client_addr, sizeof(v4));
		memset(ret_peer->octets + 10, 0xff, 2);
		memcpy(ret_peer->octets + 12, &v4.sin_addr, 4);
		ret_peer->is_machine = ret_peer->octets[12] == IN_LOOPBACKNET;
	} else if (info->client_addr->sa_family == AF_INET6) {
		memcpy(&v6, info->client_addr, sizeof(v6));
		memcpy(ret_peer->octets, &v6.sin6_addr, sizeof(ret_peer->octets));
		ret_peer->is_machine = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
	}
}

/* The place of a connection, or NULL. */
static struct web_client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* MHD's callback when a client has come, and when it has gone. */
static void connection_note(void *context, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct listener *l = context;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (code == MHD_CONNECTION_NOTIFY_STARTED && info != NULL)
		*socket_context = web_clients_add(&l->clients, info->connect_fd, web_now_us());
	else if (code == MHD_CONNECTION_NOTIFY_CLOSED && *socket_context != NULL)
		web_client_remove(*socket_context);
}

static void request_answer(const struct listener *l, struct MHD_Connection *connection,
	struct web_request *request, struct web_answer *ret_answer)
{
	request->host = header(connection, MHD_HTTP_HEADER_HOST);
	request->accept = header(connection, MHD_HTTP_HEADER_ACCEPT);
	request->cookie = header(connection, MHD_HTTP_HEADER_COOKIE);
	request->authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
	request->content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	request->fetch_site = header(connection, "Sec-Fetch-Site");
	request->if_none_match = header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
	(void)MHD_get_connection_values(
		connection, MHD_GET_ARGUMENT_KIND, query_take, &request->query);
	peer_read(connection, &request->peer);
	request->is_local = l->is_local;
	request->now_us = web_now_us();
	web_serve(l->web, request, ret_answer);
}

/* The page loads what is served here and nothing else, sends nothing elsewhere, and is shown in no other page. Nothing is for caches
 * but the files of the page, which are asked for again. */
static void headers_add(struct MHD_Response *response, const struct web_answer *answer)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
			"connect-src 'self'; base-uri 'none'; form-action 'none'; "
			"frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
	};
	char seconds[16];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
		answer->etag == NULL ? "no-store" : "no-cache");
	if (answer->etag != NULL)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
	if (answer->allow != NULL)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	if (answer->status == MHD_HTTP_UNAUTHORIZED)
		(void)MHD_add_response_header(
			response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"weir\"");
	if (answer->set_cookie[0] != '\0')
		(void)MHD_add_response_header(
			response, MHD_HTTP_HEADER_SET_COOKIE, answer->set_cookie);
	(void)snprintf(seconds, sizeof(seconds), "%u", answer->retry_s);
	if (answer->retry_s > 0)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
}

static enum MHD_Result answer_queue(
	struct MHD_Connection *connection, const struct web_answer *answer)
{
	const struct MHD_IoVec file = {.iov_base = answer->borrowed, .iov_len = answer->n};
	struct MHD_Response *response = NULL;
	enum MHD_Result result;

	if (answer->borrowed != NULL)
		response = MHD_create_response_from_iovec(&file, 1, NULL, NULL);
	else if (answer->body != NULL)
		response = MHD_create_response_from_buffer(
			answer->n, answer->body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(answer->body);
		return MHD_NO;
	}
	headers_add(response, answer);
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Of a body, what there is room for. */
static void body_take(struct incoming *in, const char *bytes, size_t n)
{
	if (in->n_body > WEB_BODY_MAX || n > WEB_BODY_MAX - in->n_body) {
		in->n_body = WEB_BODY_MAX + 1;
		return;
	}
	memcpy(in->body + in->n_body, bytes, n);
	in->n_body += n;
}

/* MHD's callback. It comes once when the headers are there, and again until a body, if any, has been taken. */
/* NOLINTNEXTLINE(readability-function-size): the library's type */
static enum MHD_Result request_serve(void *context, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *body, size_t *n_body,
	void **state)
{
	struct incoming *in = *state;
	struct web_answer answer = {0};
	struct web_request request = {.method = method, .path = url};

	(void)version;
	if (in == NULL) {
		*state = calloc(1, sizeof(*in));
		return *state == NULL ? MHD_NO : MHD_YES;
	}
	if (*n_body > 0) {
		body_take(in, body, *n_body);
		*n_body = 0;
		return MHD_YES;
	}
	in->body[in->n_body > WEB_BODY_MAX ? 0 : in->n_body] = '\0';
	request.body = in->body;
	request.n_body = in->n_body;
	request_answer(context, connection, &request, &answer);
	if (client_of(connection) != NULL)
		web_client_answered(client_of(connection), web_now_us());
	return answer_queue(connection, &answer);
}

/* MHD's callback at the end of a request, however it ended. */
static void request_end(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode why)
{
	(void)context;
	(void)why;
	if (client_of(connection) != NULL)
		web_client_done(client_of(connection), web_now_us());
	free(*state);
	*state = NULL;
}

/* The shortest that any listener wants to wait, once those whose time is over have been sent away. */
static int wait_ms(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG shortest = WAIT_MAX_MS;
	MHD_UNSIGNED_LONG_LONG ms;

	for (uint32_t i = 0; i < s->n_listeners; i++) {
		if (MHD_get_timeout(s->listeners[i].daemon, &ms) == MHD_YES && ms < shortest)
			shortest = ms;
		if (web_clients_expire(&s->listeners[i].clients, web_now_us())
			&& shortest > LOOK_MS)
			shortest = LOOK_MS;
	}
	return (int)shortest;
}

static void loop(struct server *s, int signal_fd)
{
	struct pollfd fds[LISTENERS_MAX + 1] = {{.fd = signal_fd, .events = POLLIN}};

	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const union MHD_DaemonInfo *info =
			MHD_get_daemon_info(s->listeners[i].daemon, MHD_DAEMON_INFO_EPOLL_FD);

		fds[i + 1] = (struct pollfd){.fd = info->epoll_fd, .events = POLLIN};
	}
	do {
		for (uint32_t i = 0; i < s->n_listeners; i++)
			(void)MHD_run(s->listeners[i].daemon);
		(void)poll(fds, s->n_listeners + 1, wait_ms(s));
	} while ((fds[0].revents & POLLIN) == 0);
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static struct MHD_Daemon *daemon_start(struct listener *l)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, request_serve, l,
		MHD_OPTION_LISTEN_SOCKET, l->fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)FROM_ONE_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_NOTIFY_COMPLETED, request_end, NULL, MHD_OPTION_NOTIFY_CONNECTION,
		connection_note, l, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);

	if (daemon != NULL)
		l->fd = -1; /* the daemon's now */
	return daemon;
}

/* Keeps the history in a thread of its own; signals come to this one. */
static int serve(struct server *s, const struct history_collecting *history, char *error)
{
	struct history_collector *collector = NULL;
	int signal_fd = signals_open();
	int result = signal_fd < 0 ? -1 : 0;

	for (uint32_t i = 0; i < s->n_listeners && result == 0; i++) {
		s->listeners[i].daemon = daemon_start(&s->listeners[i]);
		if (s->listeners[i].daemon == NULL)
			result = -1;
	}
	if (result != 0)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot serve: %s", strerror(errno));
	else if (history->store.file != NULL)
		result = history_collect_start(history, s->web.socket, &collector, error);
	if (result == 0)
		loop(s, signal_fd);
	history_collect_stop(collector);
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		if (s->listeners[i].daemon != NULL)
			MHD_stop_daemon(s->listeners[i].daemon);
	}
	if (signal_fd >= 0)
		close(signal_fd);
	return result;
}

/* Opens all that is listened on. What is reached through a tunnel is called by the names of its other end. */
static int listeners_open(struct server *s, const struct arguments *a, char *error)
{
	static const char *const always[] = {"localhost", "127.0.0.1", "::1"};

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		(void)web_gate_add_host(&s->web.gate, always[i]);
	for (uint32_t i = 0; i < a->n_listen; i++) {
		struct listener *l = &s->listeners[i];
		char host[WEB_HOST_MAX];

		l->web = &s->web;
		l->fd = web_listen(a->listen[i], s->web.socket, host, &l->is_local, error);
		if (l->fd < 0)
			return -1;
		s->n_listeners++;
		if (web_gate_add_host(&s->web.gate, host) != 0) {
			(void)snprintf(error, CONNECTION_ERROR_MAX, "too many names and addresses");
			return -1;
		}
	}
	return 0;
}

static struct server *server_create(void)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->web.socket = DEFAULT_SOCKET;
	s->web.n_devices = 64;
	return s;
}

static void server_destroy(struct server *s)
{
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].fd >= 0)
			close(s->listeners[i].fd);
	web_clean(&s->web);
	free(s);
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{&history_argp, 0, "History, docs/history.md:", 1}, {NULL, 0, NULL, 0}};
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.children = children,
		.doc = "Serves what a running weir shows over HTTP: a page for its operator under "
		       "/, "
		       "and /metrics for Prometheus.\v"
		       "Listens on addresses of a LAN or of the machine itself, never on an "
		       "uplink's nor on all there are. The page is opened with a token, which is "
		       "made at the first start. "
		       "Started by root it becomes somebody without rights first. docs/web.md has "
		       "more.",
	};
	struct arguments a = {
		.user = "nobody", .token = DEFAULT_TOKEN, .history = HISTORY_COLLECTING_DEFAULTS};
	char error[CONNECTION_ERROR_MAX] = "no memory";
	struct server *server = server_create();
	int result = -1;

	if (server == NULL)
		return EXIT_TROUBLE;
	a.web = &server->web;
	argp_err_exit_status = EXIT_USAGE;
	argp_program_version = "weir-web " WEIR_VERSION;
	if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
		return EXIT_USAGE;
	server->web.history = a.history.store.file;
	if (a.n_listen == 0)
		a.listen[a.n_listen++] = DEFAULT_LISTEN;
	if (listeners_open(server, &a, error) == 0
		&& web_token_open(&server->web.gate, a.token, error) == 0
		&& web_drop_rights(a.user, server->web.socket, error) == 0)
		result = serve(server, &a.history, error);
	server_destroy(server);
	if (result == 0)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "weir-web: %s\n", error);
	return EXIT_TROUBLE;
}
