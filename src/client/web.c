/* SPDX-License-Identifier: BSD-3-Clause */
/* weir-web: what a running weir shows, over HTTP, by a process without rights. */
#include "web.h"

#include "web_listen.h"

#include <argp.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFAULT_SOCKET   "/run/weir/view.sock"
#define DEFAULT_LISTEN   "127.0.0.1:9469"
#define CONNECTIONS_MAX  32
#define FROM_ONE_MAX     8 /* of them, from one address */
#define IDLE_S           15
#define CONNECTION_BYTES (32 * 1024)
#define WAIT_MAX_MS      60000

enum {
	EXIT_TROUBLE = 1,
	EXIT_USAGE = 2
};

struct arguments {
	const char *listen;
	const char *user;
	struct web web;
};

static const struct argp_option options[] = {
	{"listen", 'l', "ADDRESS:PORT", 0, "where to listen (default " DEFAULT_LISTEN ")", 0},
	{"socket", 's', "PATH", 0, "weir's runtime.view_socket (default " DEFAULT_SOCKET ")", 0},
	{"user", 'u', "NAME", 0, "who to be, when started by root (default nobody)", 0},
	{"devices", 'd', "N", 0,
		"metrics: the first N devices by themselves, the others in one sum (default 64)",
		0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	unsigned long n;
	char *end;

	switch (key) {
	case 'l':
		a->listen = arg;
		return 0;
	case 's':
		a->web.socket = arg;
		return 0;
	case 'u':
		a->user = arg;
		return 0;
	case 'd':
		n = strtoul(arg, &end, 10);
		if (end == arg || *end != '\0' || arg[0] == '-' || n > METRICS_DEVICES_MAX)
			argp_error(state, "--devices takes a number up to %d, not \"%s\"",
				METRICS_DEVICES_MAX, arg);
		a->web.n_devices = (uint32_t)n;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is one word too many", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void answer_make(struct web *web, struct MHD_Connection *connection, const char *url,
	const char *method, struct web_answer *ret_answer)
{
	const struct web_route *route = web_route_find(url);
	const char *accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	struct web_request request = {
		.accept = accept == NULL ? "" : accept, .now_us = web_now_us()};

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		web_say(ret_answer, MHD_HTTP_METHOD_NOT_ALLOWED, "there is GET, and HEAD");
	else if (route == NULL)
		web_say(ret_answer, MHD_HTTP_NOT_FOUND, "there is nothing here; see /");
	else
		route->handle(web, &request, ret_answer);
}

/* Nothing here is for other sites, for caches, or to be taken for what it is not. */
static void headers_add(struct MHD_Response *response, const struct web_answer *answer)
{
	static const char *const headers[][2] = {
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
	};

	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
}

/* MHD's callback. It comes once when the headers are there, and again until a body, if any, has been taken. */
/* NOLINTNEXTLINE(readability-function-size): the library's type */
static enum MHD_Result request_serve(void *context, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *body, size_t *n_body,
	void **state)
{
	static int is_begun;
	struct web_answer answer = {0};
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)version;
	(void)body;
	if (*state == NULL) {
		*state = &is_begun;
		return MHD_YES;
	}
	if (*n_body > 0) { /* nothing here takes one */
		*n_body = 0;
		return MHD_YES;
	}
	answer_make(context, connection, url, method, &answer);
	if (answer.body == NULL)
		return MHD_NO;
	response = MHD_create_response_from_buffer(answer.n, answer.body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(answer.body);
		return MHD_NO;
	}
	headers_add(response, &answer);
	result = MHD_queue_response(connection, answer.status, response);
	MHD_destroy_response(response);
	return result;
}

static int wait_ms(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(daemon, &ms) == MHD_YES && ms < WAIT_MAX_MS ? (int)ms : WAIT_MAX_MS;
}

static void loop(struct MHD_Daemon *daemon, int signal_fd)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {
		{.fd = info->epoll_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};

	do {
		(void)MHD_run(daemon);
		(void)poll(fds, 2, wait_ms(daemon));
	} while ((fds[1].revents & POLLIN) == 0);
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

static int serve(struct web *web, int listener, char *error)
{
	int signal_fd = signals_open();
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, request_serve,
		web, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)FROM_ONE_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);

	if (daemon == NULL || signal_fd < 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot serve: %s", strerror(errno));
		return -1;
	}
	loop(daemon, signal_fd);
	MHD_stop_daemon(daemon);
	close(signal_fd);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.doc = "Serves what a running weir counts over HTTP: /metrics, for Prometheus.\v"
		       "Listens on one address of a LAN or of the machine itself, never on an "
		       "uplink's. "
		       "Started by root it becomes somebody without rights first.",
	};
	struct arguments a = {.listen = DEFAULT_LISTEN,
		.user = "nobody",
		.web = {.socket = DEFAULT_SOCKET, .n_devices = 64}};
	char error[CONNECTION_ERROR_MAX] = "no memory";
	int listener;
	int result = -1;

	argp_err_exit_status = EXIT_USAGE;
	argp_program_version = "weir-web " WEIR_VERSION;
	if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
		return EXIT_USAGE;
	listener = web_listen(a.listen, a.web.socket, error);
	if (listener >= 0 && web_drop_rights(a.user, a.web.socket, error) == 0)
		result = serve(&a.web, listener, error);
	web_clean(&a.web);
	if (result == 0)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "weir-web: %s\n", error);
	return EXIT_TROUBLE;
}
