/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/server.h>
#include <weir/proto/message.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A handler whose answers have as many pieces of as many bytes as the request says. */
struct pieces {
	struct server_answer answer;
	uint64_t n_left;
	size_t piece_bytes;
	int fails_with; /* at the end */
	bool waits;     /* nothing to say until is_news */
};

static bool is_news;

static uint32_t
	n_alive; /* answers that were not destroyed yet; each test is a process of its own */
static uint64_t n_made;

static int pieces_next(struct server_answer *a, struct text *part, char *error)
{
	struct pieces *p = (struct pieces *)a;

	n_made++;
	if (p->waits && !is_news)
		return SERVER_WAITS;
	for (size_t i = 0; i < p->piece_bytes; i++)
		text_append(part, "x", 1);
	if (--p->n_left > 0)
		return 1;
	if (p->fails_with != 0)
		(void)snprintf(error, SERVER_ERROR_MAX, "it broke at the end");
	return p->fails_with;
}

static void pieces_destroy(struct server_answer *a)
{
	n_alive--;
	free(a);
}

static int begin(void *context, json_t *request, uint64_t now_us, char *error,
	struct server_answer **ret_answer)
{
	struct pieces *p;

	(void)now_us;
	cr_assert_eq(context, &n_alive);
	if (json_object_get(request, "pieces") == NULL) {
		(void)snprintf(error, SERVER_ERROR_MAX, "there is only \"pieces\"");
		return -ENOENT;
	}
	p = calloc(1, sizeof(*p));
	cr_assert_not_null(p);
	p->answer = (struct server_answer){.next = pieces_next, .destroy = pieces_destroy};
	p->n_left = (uint64_t)json_integer_value(json_object_get(request, "pieces"));
	p->piece_bytes = (size_t)json_integer_value(json_object_get(request, "bytes"));
	p->fails_with = (int)json_integer_value(json_object_get(request, "fails"));
	p->waits = json_is_true(json_object_get(request, "waits"));
	n_alive++;
	*ret_answer = &p->answer;
	return 0;
}

static const struct server_handlers handlers = {.context = &n_alive, .begin = begin};

static char folder[64];
static char path[96];
static char error[SERVER_ERROR_MAX];

static void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/weir_server_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/weir.sock", folder);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(folder);
}

TestSuite(control_server, .init = setup, .fini = teardown, .timeout = 60);

static struct server *open_server(void)
{
	struct server *s;

	cr_assert_eq(server_open(path, &handlers, error, &s), 0, "%s", error);
	return s;
}

static struct sockaddr_un address_of(const char *of)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, of, strlen(of) + 1);
	return address;
}

static int connect_client(void)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static size_t put(uint8_t *bytes, const char *json)
{
	message_header_write(MESSAGE_REQUEST, (uint32_t)strlen(json), bytes);
	memcpy(bytes + MESSAGE_HEADER_BYTES, json, strlen(json));
	return MESSAGE_HEADER_BYTES + strlen(json);
}

static void ask(int fd, const char *json)
{
	uint8_t bytes[512];
	size_t n = put(bytes, json);

	cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* What came of an answer. */
struct got {
	enum message_type last;
	size_t n_bytes;
	uint32_t n_parts;
	bool closed;
	char text[256]; /* the beginning of the last part */
};

/* Takes at most `n_max` bytes of what is there. Returns true when the answer is complete or the server has closed. */
static bool take(int fd, struct message_reader *r, size_t n_max, struct got *g)
{
	uint8_t bytes[65536];
	ssize_t n = recv(fd, bytes, n_max < sizeof(bytes) ? n_max : sizeof(bytes), 0);
	size_t at = 0;

	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		g->closed = true;
		return true;
	}
	while (n > 0 && at < (size_t)n) {
		size_t n_used;
		int result = message_feed(r, bytes + at, (size_t)n - at, &n_used);

		cr_assert_geq(result, 0);
		at += n_used;
		if (result == 0)
			break;
		g->last = r->type;
		g->n_parts++;
		g->n_bytes += r->len_bytes;
		(void)snprintf(g->text, sizeof(g->text), "%s", r->payload);
	}
	return g->last == MESSAGE_END || g->last == MESSAGE_ERROR;
}

static struct got answer(struct server *s, int fd)
{
	struct message_reader r;
	struct got g = {.last = MESSAGE_MORE};

	cr_assert_eq(message_reader_init(&r, MESSAGE_PART_MAX), 0);
	for (uint32_t i = 0; i < 1000000; i++) {
		server_work(s, 1);
		if (take(fd, &r, SIZE_MAX, &g))
			break;
	}
	message_reader_clean(&r);
	return g;
}

static bool is_closed(struct server *s, int fd)
{
	char byte;

	server_work(s, 1);
	server_work(s, 1);
	return recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET;
}

Test(control_server, answers_in_one_part_and_goes_on)
{
	struct server *s = open_server();
	int fd = connect_client();

	for (int i = 0; i < 3; i++) {
		struct got g;

		ask(fd, "{\"pieces\":1,\"bytes\":10}");
		g = answer(s, fd);
		cr_assert_eq(g.last, MESSAGE_END);
		cr_assert_eq(g.n_bytes, 10);
		cr_assert_eq(g.n_parts, 1);
	}
	cr_assert_eq(n_alive, 0);
	close(fd);
	server_close(s);
}

Test(control_server, answers_requests_that_were_sent_at_once_one_by_one)
{
	struct server *s = open_server();
	int fd = connect_client();
	struct got g;

	ask(fd, "{\"pieces\":2,\"bytes\":10}");
	ask(fd, "{\"pieces\":1,\"bytes\":7}");
	g = answer(s, fd);
	cr_assert_eq(g.n_bytes, 20);
	g = answer(s, fd);
	cr_assert_eq(g.n_bytes, 7);
	close(fd);
	server_close(s);
}

Test(control_server, takes_a_request_byte_by_byte)
{
	struct server *s = open_server();
	int fd = connect_client();
	uint8_t bytes[64];
	size_t n = put(bytes, "{\"pieces\":1,\"bytes\":3}");

	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(n_made, 0);
		cr_assert_eq(send(fd, bytes + i, 1, 0), 1);
		server_work(s, 1);
	}
	cr_assert_eq(answer(s, fd).n_bytes, 3);
	close(fd);
	server_close(s);
}

Test(control_server, pieces_that_are_empty_send_nothing)
{
	struct server *s = open_server();
	int fd = connect_client();
	struct got g;

	ask(fd, "{\"pieces\":1000,\"bytes\":0}");
	g = answer(s, fd);
	cr_assert_eq(g.last, MESSAGE_END);
	cr_assert_eq(g.n_parts, 1);
	cr_assert_eq(n_made, 1000);
	close(fd);
	server_close(s);
}

Test(control_server, a_client_that_waits_long_for_the_first_row_gets_a_sign_of_life_each_second)
{
	struct server *s = open_server();
	struct message_reader r;
	struct got g = {.last = MESSAGE_END};
	int fd = connect_client();

	cr_assert_eq(message_reader_init(&r, MESSAGE_PART_MAX), 0);
	ask(fd, "{\"pieces\":1000,\"bytes\":0}");
	server_work(s, 1);
	for (uint64_t ms = 0; ms < 10000; ms += 20)
		server_work(s, 1 + ms * US_PER_MS);
	(void)take(fd, &r, SIZE_MAX, &g);
	cr_assert_eq(g.last, MESSAGE_MORE);
	cr_assert_eq(g.n_bytes, 0);
	cr_assert_eq(g.n_parts, 9);
	message_reader_clean(&r);
	close(fd);
	server_close(s);
}

Test(control_server, refuses_what_breaks_the_protocol_and_disconnects)
{
	static const struct {
		const char *claim;
		const char *bytes;
		size_t n_bytes;
		const char *want;
	} cases[] = {
		{"a browser", "GET / HTTP/1.1\r\n", 16, "not weir's control protocol"},
		{"another version", "WEIR\2\1\0\0\0\0\0\2{}", 14, "another version"},
		{"oversized", "WEIR\1\1\0\0\0\1\0\1", 12, "longer than allowed"},
		{"an answer", "WEIR\1\3\0\0\0\0\0\2{}", 14, "only requests"},
		{"no JSON", "WEIR\1\1\0\0\0\0\0\3{]}", 15, "JSON object"},
		{"no object", "WEIR\1\1\0\0\0\0\0\2[]", 14, "JSON object"},
		{"nothing", "WEIR\1\1\0\0\0\0\0\0", 12, "JSON object"},
		{"a key twice", "WEIR\1\1\0\0\0\0\0\15{\"a\":1,\"a\":2}", 25, "JSON object"},
	};
	struct server *s = open_server();
	int bystander = connect_client();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = connect_client();
		struct got g;

		cr_assert_eq(
			send(fd, cases[i].bytes, cases[i].n_bytes, 0), (ssize_t)cases[i].n_bytes);
		g = answer(s, fd);
		cr_expect_eq(g.last, MESSAGE_ERROR, "%s", cases[i].claim);
		cr_expect_not_null(strstr(g.text, cases[i].want), "%s: %s", cases[i].claim, g.text);
		cr_expect(is_closed(s, fd), "%s", cases[i].claim);
		close(fd);
	}
	ask(bystander, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(answer(s, bystander).last, MESSAGE_END, "nobody else is harmed");
	close(bystander);
	server_close(s);
}

Test(control_server, half_a_request_then_silence_ends_after_the_idle_time)
{
	struct server *s = open_server();
	int fd = connect_client();

	cr_assert_eq(send(fd, "WEIR\1\1", 6, 0), 6);
	server_work(s, 1);
	server_work(s, 2);
	server_work(s, 2 + SERVER_IDLE_US);
	cr_assert_eq(server_n_clients(s), 1);
	server_work(s, 3 + SERVER_IDLE_US);
	cr_assert_eq(server_n_clients(s), 0);
	close(fd);
	server_close(s);
}

Test(control_server, an_unknown_request_gets_an_error_and_the_connection_lives)
{
	struct server *s = open_server();
	int fd = connect_client();
	struct got g;

	ask(fd, "{\"show\":\"moon\"}");
	g = answer(s, fd);
	cr_assert_eq(g.last, MESSAGE_ERROR);
	cr_assert_str_eq(g.text, "{\"error\":\"there is only \\\"pieces\\\"\"}");
	ask(fd, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(answer(s, fd).last, MESSAGE_END);
	close(fd);
	server_close(s);
}

Test(control_server, an_answer_that_fails_halfway_ends_in_an_error)
{
	struct server *s = open_server();
	int fd = connect_client();
	struct got g;

	ask(fd, "{\"pieces\":3,\"bytes\":5,\"fails\":-5}");
	g = answer(s, fd);
	cr_assert_eq(g.last, MESSAGE_ERROR);
	cr_assert_eq(g.n_parts, 3);
	cr_assert_str_eq(g.text, "{\"error\":\"it broke at the end\"}");
	cr_assert_eq(n_alive, 0);
	close(fd);
	server_close(s);
}

Test(control_server, a_part_beyond_a_mebibyte_is_an_error)
{
	struct server *s = open_server();
	int fd = connect_client();

	ask(fd, "{\"pieces\":1,\"bytes\":1048577}");
	cr_assert_eq(answer(s, fd).last, MESSAGE_ERROR);
	ask(fd, "{\"pieces\":1,\"bytes\":1048576}");
	cr_assert_eq(answer(s, fd).n_bytes, 1048576);
	close(fd);
	server_close(s);
}

Test(control_server, twenty_clients_of_whom_sixteen_are_served)
{
	struct server *s = open_server();
	int fds[20];

	for (int i = 0; i < 20; i++) {
		fds[i] = connect_client();
		server_work(s, 1);
	}
	cr_assert_eq(server_n_clients(s), SERVER_CLIENTS_MAX);
	for (int i = 0; i < 20; i++) {
		struct got g;

		(void)send(fds[i], "WEIR\1\1\0\0\0\0\0\26{\"pieces\":1,\"bytes\":9}", 34,
			MSG_NOSIGNAL);
		g = answer(s, fds[i]);
		cr_expect_eq(g.last, i < SERVER_CLIENTS_MAX ? MESSAGE_END : MESSAGE_ERROR,
			"client %d", i);
	}
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	server_work(s, 1);
	cr_assert_eq(server_n_clients(s), 0);
	fds[0] = connect_client();
	ask(fds[0], "{\"pieces\":1,\"bytes\":9}");
	cr_assert_eq(answer(s, fds[0]).last, MESSAGE_END, "there is room again");
	close(fds[0]);
	server_close(s);
}

Test(control_server, a_slow_reader_holds_up_nobody_and_gets_all)
{
	struct server *s = open_server();
	int slow = connect_client();
	int quick = connect_client();
	struct message_reader r;
	struct got g = {.last = MESSAGE_MORE};
	uint64_t n_made_before;

	ask(slow, "{\"pieces\":200,\"bytes\":100000}");
	for (int i = 0; i < 1000; i++)
		server_work(s, 1);
	cr_assert_lt(n_made, 20, "pieces are made as the client reads: %lu", (unsigned long)n_made);
	n_made_before = n_made;
	ask(quick, "{\"pieces\":10,\"bytes\":100000}");
	cr_assert_eq(answer(s, quick).n_bytes, 1000000);
	cr_assert_eq(n_made, n_made_before + 10);
	cr_assert_eq(message_reader_init(&r, MESSAGE_PART_MAX), 0);
	while (!take(slow, &r, 7001, &g))
		server_work(s, 1);
	cr_assert_eq(g.last, MESSAGE_END);
	cr_assert_eq(g.n_bytes, 20000000);
	message_reader_clean(&r);
	close(slow);
	close(quick);
	server_close(s);
}

Test(control_server, a_client_that_leaves_in_the_middle_frees_its_answer)
{
	struct server *s = open_server();
	int fd = connect_client();

	ask(fd, "{\"pieces\":200,\"bytes\":100000}");
	for (int i = 0; i < 10; i++)
		server_work(s, 1);
	cr_assert_eq(n_alive, 1);
	close(fd);
	for (int i = 0; i < 10; i++)
		server_work(s, 1);
	cr_assert_eq(n_alive, 0);
	cr_assert_eq(server_n_clients(s), 0);
	server_close(s);
}

Test(control_server, a_reader_that_stops_reading_is_disconnected_after_the_idle_time)
{
	struct server *s = open_server();
	int fd = connect_client();

	ask(fd, "{\"pieces\":200,\"bytes\":100000}");
	for (int i = 0; i < 100; i++)
		server_work(s, 1);
	server_work(s, 2 + SERVER_IDLE_US);
	cr_assert_eq(server_n_clients(s), 0);
	cr_assert_eq(n_alive, 0);
	close(fd);
	server_close(s);
}

Test(control_server, closing_frees_answers_in_the_making)
{
	struct server *s = open_server();
	int fd = connect_client();

	ask(fd, "{\"pieces\":200,\"bytes\":100000}");
	for (int i = 0; i < 10; i++)
		server_work(s, 1);
	server_close(s);
	cr_assert_eq(n_alive, 0);
	close(fd);
}

Test(control_server, its_descriptor_is_readable_when_there_is_work_and_not_else)
{
	struct server *s = open_server();
	struct pollfd p = {.fd = server_fd(s), .events = POLLIN};
	int fd;

	cr_assert_eq(poll(&p, 1, 0), 0);
	fd = connect_client();
	cr_assert_eq(poll(&p, 1, 1000), 1);
	server_work(s, 1);
	cr_assert_eq(poll(&p, 1, 0), 0);
	ask(fd, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(poll(&p, 1, 1000), 1);
	server_work(s, 1);
	server_work(s, 1);
	cr_assert_eq(poll(&p, 1, 0), 0, "an idle client causes no spinning");
	close(fd);
	server_close(s);
}

Test(control_server, an_answer_that_waits_costs_nothing_until_it_is_asked_again)
{
	struct server *s = open_server();
	struct pollfd p = {.fd = server_fd(s), .events = POLLIN};
	struct message_reader r;
	struct got g = {.last = MESSAGE_MORE};
	int fd = connect_client();

	cr_assert_eq(message_reader_init(&r, MESSAGE_PART_MAX), 0);
	ask(fd, "{\"pieces\":1,\"bytes\":3,\"waits\":true}");
	server_work(s, 1);
	server_work(s, 1);
	cr_assert_eq(poll(&p, 1, 0), 0, "who waits causes no spinning");
	cr_assert_not(take(fd, &r, SIZE_MAX, &g));
	is_news = true;
	server_resume(s, 2);
	cr_assert(take(fd, &r, SIZE_MAX, &g));
	cr_assert_eq(g.last, MESSAGE_END);
	cr_assert_str_eq(g.text, "xxx");
	/* And the next request is taken as ever. */
	ask(fd, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(answer(s, fd).n_bytes, 1);
	message_reader_clean(&r);
	close(fd);
	server_close(s);
}

Test(control_server, a_client_that_leaves_while_its_answer_waits_frees_it_at_once)
{
	struct server *s = open_server();
	struct pollfd p = {.fd = server_fd(s), .events = POLLIN};
	int fd = connect_client();

	ask(fd, "{\"pieces\":1,\"bytes\":3,\"waits\":true}");
	server_work(s, 1);
	server_work(s, 1);
	cr_assert_eq(n_alive, 1);
	close(fd);
	cr_assert_eq(poll(&p, 1, 1000), 1);
	server_work(s, 1);
	cr_assert_eq(n_alive, 0);
	cr_assert_eq(server_n_clients(s), 0);
	server_close(s);
}

Test(control_server, a_client_that_waits_lives_by_signs_of_life)
{
	struct server *s = open_server();
	struct message_reader r;
	struct got g = {.last = MESSAGE_END};
	int fd = connect_client();

	cr_assert_eq(message_reader_init(&r, MESSAGE_PART_MAX), 0);
	ask(fd, "{\"pieces\":1,\"bytes\":3,\"waits\":true}");
	server_work(s, 1);
	for (uint64_t second = 1; second <= 100; second++)
		server_work(s, 1 + second * US_PER_S);
	cr_assert_eq(server_n_clients(s), 1);
	(void)take(fd, &r, SIZE_MAX, &g);
	cr_assert_eq(g.last, MESSAGE_MORE);
	cr_assert_eq(g.n_bytes, 0);
	cr_assert_geq(g.n_parts, 99);
	message_reader_clean(&r);
	close(fd);
	server_close(s);
}

Test(control_server, a_group_may_use_its_socket_and_others_may_not)
{
	struct server_handlers for_group = handlers;
	struct server *s = NULL;
	struct stat st;

	for_group.group = "nogroup";
	if (geteuid() != 0) /* giving a file to a group that one is not of takes root */
		cr_skip_test("needs root");
	cr_assert_eq(server_open(path, &for_group, error, &s), 0, "%s", error);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0660);
	cr_assert_neq(st.st_gid, 0);
	cr_assert_eq(st.st_uid, 0);
	server_close(s);
}

Test(control_server, a_group_that_is_none_is_refused_with_the_remedy_and_leaves_no_socket)
{
	struct server_handlers for_group = handlers;
	struct server *s = NULL;
	struct stat st;

	for_group.group = "nobody-is-in-here";
	cr_assert_lt(server_open(path, &for_group, error, &s), 0);
	cr_assert_not_null(strstr(error, "addgroup"), "%s", error);
	cr_assert_null(s);
	cr_assert_neq(stat(path, &st), 0);
}

Test(control_server, only_its_owner_may_use_the_socket)
{
	mode_t before = umask(0);
	struct server *s = open_server();
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(umask(before), 0, "the umask is left alone");
	server_close(s);
	cr_assert_neq(stat(path, &st), 0, "the socket is removed at stop");
}

Test(control_server, replaces_the_socket_of_a_dead_daemon)
{
	struct sockaddr_un address = address_of(path);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	struct server *s;
	int fd;

	cr_assert_eq(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(dead, 1), 0);
	close(dead);
	s = open_server();
	fd = connect_client();
	ask(fd, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(answer(s, fd).last, MESSAGE_END);
	close(fd);
	server_close(s);
}

Test(control_server, refuses_the_socket_of_a_living_daemon_and_leaves_it_alone)
{
	struct server *s = open_server();
	struct server *second = NULL;
	int fd;

	cr_assert_eq(server_open(path, &handlers, error, &second), -EADDRINUSE);
	cr_assert_null(second);
	cr_assert_not_null(strstr(error, "another weir answers on "), "%s", error);
	cr_assert_not_null(strstr(error, path));
	fd = connect_client();
	ask(fd, "{\"pieces\":1,\"bytes\":1}");
	cr_assert_eq(answer(s, fd).last, MESSAGE_END);
	close(fd);
	server_close(s);
}

Test(control_server, never_removes_what_is_not_a_socket)
{
	struct server *s;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	struct stat st;

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(server_open(path, &handlers, error, &s), -EEXIST);
	cr_assert_not_null(strstr(error, "is not a socket"), "%s", error);
	cr_assert_eq(stat(path, &st), 0);
}

Test(control_server, leaves_the_socket_of_a_successor_at_stop)
{
	struct server *s = open_server();
	struct server *successor;
	struct stat st;

	cr_assert_eq(unlink(path), 0);
	successor = open_server();
	server_close(s);
	cr_assert_eq(stat(path, &st), 0);
	server_close(successor);
}

Test(control_server, makes_the_missing_folder_and_explains_what_it_cannot)
{
	struct server *s;
	char long_path[200];

	(void)snprintf(path, sizeof(path), "%s/run/weir.sock", folder);
	s = open_server();
	server_close(s);
	path[strlen(path) - strlen("/weir.sock")] = '\0';
	cr_assert_eq(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/a/b/weir.sock", folder);
	cr_assert_eq(server_open(path, &handlers, error, &s), -ENOENT);
	cr_assert_not_null(strstr(error, path), "%s", error);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	cr_assert_eq(server_open(long_path, &handlers, error, &s), -EINVAL);
	cr_assert_eq(server_open("", &handlers, error, &s), -EINVAL);
}
