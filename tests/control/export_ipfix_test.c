/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/export_ipfix.h>
#include <weir/control/ipfix_message.h>
#include <weir/packet/bytes.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_US      20000
#define N_MAX        20000
#define FLOW_OCTETS  44 /* where octetDeltaCount is in a record: here each record's own number */
#define STREAM_MAX   (4u << 20)
#define TICKS_ENOUGH 500

/* In place of classify/classes.c. */
const char *classes_name(const struct classes *c, uint8_t class_id)
{
	(void)c;
	return class_id == 0 ? "default" : class_id == 2 ? "pumps" : "?";
}

static const struct path_config config = {
	.n_ports = 2, .ports = {{.name = "lan0"}, {.name = "wwan0"}}};

/* What a collector has seen. */
static struct {
	uint32_t n_messages;
	uint32_t n_templates; /* sets of them */
	uint32_t n_flows;
	uint32_t n_options;
	uint32_t n_gaps; /* in sequence numbers */
	bool has_sequence;
	uint32_t sequence; /* that comes next */
	uint64_t n_told_lost;
	uint8_t times[N_MAX]; /* that each record came */
} seen;

static struct export_ipfix *x;
static uint64_t now_us;
static char error[EXPORT_ERROR_MAX];
static char folder[64];
static char path[96];
static uint8_t stream[STREAM_MAX];
static size_t n_stream;

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	(void)snprintf(folder, sizeof(folder), "/tmp/weir_ipfix_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/flows.ipfix", folder);
	now_us = US_PER_S;
}

static void teardown(void)
{
	char command[128];

	export_ipfix_close(x);
	x = NULL;
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c) */
}

TestSuite(control_export_ipfix, .init = setup, .fini = teardown, .timeout = 60);

static void see_set(uint16_t id, const uint8_t *at, const uint8_t *end)
{
	uint32_t n = id == IPFIX_FLOW ? 77 : 69;

	if (id == 2 || id == 3) {
		seen.n_templates++;
		return;
	}
	if (id == IPFIX_STATISTICS) {
		seen.n_options++;
		seen.sequence++;
		seen.n_told_lost = (uint64_t)load_be32(at + 28) << 32 | load_be32(at + 32);
		return;
	}
	if (id == IPFIX_INTERFACE || id == IPFIX_CLASS) {
		uint32_t scope = id == IPFIX_INTERFACE ? 2 : 4;

		for (; at < end; at += scope + 1 + at[scope]) {
			seen.n_options++;
			seen.sequence++;
		}
		return;
	}
	for (; at < end; at += n) {
		uint32_t number = load_be32(at + FLOW_OCTETS - 16 + 4);

		cr_assert_lt(number, N_MAX);
		seen.times[number]++;
		seen.n_flows++;
		seen.sequence++;
	}
	cr_assert(at == end);
}

/* A whole message; returns its length. */
static size_t see_message(const uint8_t *m)
{
	size_t len = load_be16(m + 2);
	uint32_t sequence = load_be32(m + 8);

	cr_assert_eq(load_be16(m), 10);
	seen.n_messages++;
	seen.n_gaps += seen.has_sequence && sequence != seen.sequence;
	seen.has_sequence = true;
	seen.sequence = sequence;
	for (size_t at = 16; at < len;) {
		size_t n = load_be16(m + at + 2);

		cr_assert_geq(n, 4);
		see_set(load_be16(m + at), m + at + 4, m + at + n);
		at += n;
	}
	return len;
}

/* Whole messages of what has come of a stream. */
static void see_stream(void)
{
	size_t at = 0;

	while (n_stream - at >= 16 && n_stream - at >= load_be16(stream + at + 2))
		at += see_message(stream + at);
	memmove(stream, stream + at, n_stream - at);
	n_stream -= at;
}

static void new_session(void)
{
	seen.has_sequence = false;
	n_stream = 0;
}

static int a_socket(int type, uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (type == SOCK_STREAM)
		cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

static void open_export(enum ipfix_transport transport, uint16_t port, uint32_t buffer)
{
	struct export_ipfix_params p = {
		.transport = transport,
		.collector = ip_addr_quad(127, 0, 0, 1),
		.port = port,
		.file = path,
		.domain = 7,
		.buffer = buffer,
		.template_every_us = 60 * US_PER_S,
	};

	cr_assert_eq(export_ipfix_open(&p, error, &x), 0, "%s", error);
}

/* Records `first` to `end`, which tell their number as octets. */
static void add(uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		struct flow_record r = {
			.start_us = now_us,
			.end_us = now_us,
			.octet_delta_count = {i, 0},
			.packet_delta_count = {1, 0},
			.internal = ip_addr_quad(192, 168, 50, 10),
			.external = ip_addr_quad(10, 64, 3, 7),
			.remote = ip_addr_quad(203, 0, 113, 80),
			.proto = i % 3 == 0 ? 1 : 17,
			.wan_port = 1,
		};

		export_ipfix_add(x, &config, &r, 1, now_us);
	}
}

static void tick(void)
{
	now_us += TICK_US;
	export_ipfix_tick(x, &config, now_us);
}

static void ticks_for(uint64_t us)
{
	for (uint64_t end_us = now_us + us; now_us < end_us;)
		tick();
}

static void take_datagrams(int fd)
{
	uint8_t m[2000];
	ssize_t n;

	while ((n = recv(fd, m, sizeof(m), 0)) > 0)
		cr_assert_eq((size_t)n, see_message(m));
}

static int take_connection(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	for (uint32_t i = 0; i < TICKS_ENOUGH * 10; i++) {
		tick();
		if (poll(&p, 1, 1) == 1) {
			new_session();
			return accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		}
	}
	cr_assert_fail("nobody connects");
	return -1;
}

/* False at the end of the connection. */
static bool take_stream(int fd, size_t n_max)
{
	ssize_t n = recv(fd, stream + n_stream,
		n_max < sizeof(stream) - n_stream ? n_max : sizeof(stream) - n_stream, 0);

	if (n > 0)
		n_stream += (size_t)n;
	see_stream();
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void take_all(int fd, uint32_t n_flows)
{
	for (uint32_t i = 0; i < TICKS_ENOUGH && seen.n_flows < n_flows; i++) {
		tick();
		usleep(500);
		take_stream(fd, SIZE_MAX);
	}
	cr_assert_eq(seen.n_flows, n_flows);
}

static void expect_each_once(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		cr_assert_eq(seen.times[i], 1, "record %u came %u times", i, seen.times[i]);
	cr_expect_eq(seen.n_gaps, 0);
}

Test(control_export_ipfix, over_udp_templates_come_first_and_records_when_nobody_has_refused_them)
{
	int fd = a_socket(SOCK_DGRAM, 0);

	open_export(IPFIX_UDP, port_of(fd), 1024);
	add(0, 10);
	tick();
	take_datagrams(fd);
	cr_expect_eq(seen.n_messages, 1, "only to see who refuses it");
	cr_expect_eq(seen.n_templates, 0);
	ticks_for(US_PER_S + TICK_US);
	take_datagrams(fd);
	cr_expect_eq(seen.n_templates, 2);
	cr_expect_eq(seen.n_options, 2 + 2 + 1, "interfaces, classes, statistics");
	cr_expect_eq(seen.n_flows, 0);
	ticks_for(6 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_flows, 10);
	expect_each_once(10);
	close(fd);
}

Test(control_export_ipfix, a_full_message_does_not_wait_and_another_waits_for_seconds)
{
	int fd = a_socket(SOCK_DGRAM, 0);

	open_export(IPFIX_UDP, port_of(fd), 1024);
	ticks_for(2 * US_PER_S);
	add(0, 40);
	tick();
	take_datagrams(fd);
	cr_expect_geq(seen.n_flows, 28);
	cr_expect_lt(seen.n_flows, 40);
	ticks_for(5 * US_PER_S);
	take_datagrams(fd);
	expect_each_once(40);
	close(fd);
}

Test(control_export_ipfix, over_udp_templates_come_again_by_time)
{
	int fd = a_socket(SOCK_DGRAM, 0);

	open_export(IPFIX_UDP, port_of(fd), 1024);
	ticks_for(183 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_templates, 4 * 2);
	cr_expect_eq(seen.n_gaps, 0);
	close(fd);
}

Test(control_export_ipfix, over_udp_templates_come_again_by_count)
{
	int fd = a_socket(SOCK_DGRAM, 0);

	open_export(IPFIX_UDP, port_of(fd), 1024);
	ticks_for(2 * US_PER_S);
	for (uint32_t i = 0; i < 1010; i++) {
		add(i * 16, i * 16 + 16);
		tick();
		take_datagrams(fd);
	}
	cr_expect_eq(seen.n_templates, 2 * 2);
	cr_expect_eq(seen.n_gaps, 0);
	close(fd);
}

Test(control_export_ipfix, what_a_host_refuses_over_udp_is_sent_again_when_it_is_back)
{
	int fd = a_socket(SOCK_DGRAM, 0);
	uint16_t port = port_of(fd);

	open_export(IPFIX_UDP, port, 1024);
	add(0, 100);
	ticks_for(7 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_flows, 100);
	close(fd);
	add(100, 200);
	ticks_for(7 * US_PER_S);
	cr_expect_not(export_ipfix_counts(x).is_up);
	cr_expect_str_eq(export_ipfix_counts(x).why_down, "Connection refused");
	add(200, 300);
	fd = a_socket(SOCK_DGRAM, port);
	ticks_for(70 * US_PER_S);
	take_datagrams(fd);
	expect_each_once(300);
	cr_expect_eq(export_ipfix_counts(x).n_sent, 300);
	cr_expect_eq(export_ipfix_counts(x).n_lost, 0);
	close(fd);
}

/* Else a gateway where nothing happens would report once a minute that it has reported. */
Test(control_export_ipfix, records_of_its_own_flow_wait_for_others)
{
	int fd = a_socket(SOCK_DGRAM, 0);
	struct flow_record own = {
		.octet_delta_count = {1, 0},
		.internal = ip_addr_quad(127, 0, 0, 1),
		.external = ip_addr_quad(10, 64, 3, 7),
		.remote = ip_addr_quad(127, 0, 0, 1),
		.remote_port = port_of(fd),
		.proto = 17,
	};

	open_export(IPFIX_UDP, port_of(fd), 1024);
	ticks_for(2 * US_PER_S);
	export_ipfix_add(x, &config, &own, 1, now_us);
	ticks_for(30 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_flows, 0);
	add(0, 1);
	ticks_for(6 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_flows, 2);
	own.octet_delta_count[0] = 2;
	export_ipfix_add(x, &config, &own, 1, now_us);
	ticks_for(60 * US_PER_S);
	take_datagrams(fd);
	cr_expect_eq(seen.n_flows, 3, "templates and names take them along, too");
	expect_each_once(3);
	close(fd);
}

Test(control_export_ipfix, a_collector_that_comes_late_gets_all_that_was_kept)
{
	int fd = a_socket(SOCK_STREAM, 0);
	uint16_t port = port_of(fd);
	int connection;

	close(fd);
	open_export(IPFIX_TCP, port, 1024);
	add(0, 1000);
	ticks_for(10 * US_PER_S);
	cr_expect_eq(export_ipfix_counts(x).n_waiting, 1000);
	fd = a_socket(SOCK_STREAM, port);
	connection = take_connection(fd);
	take_all(connection, 1000);
	expect_each_once(1000);
	cr_expect_eq(seen.n_templates, 2);
	ticks_for(US_PER_S);
	cr_expect_eq(export_ipfix_counts(x).n_waiting, 0);
	cr_expect_eq(export_ipfix_counts(x).n_sent, 1000);
	close(connection);
	close(fd);
}

Test(control_export_ipfix, a_slow_reader_gets_whole_messages)
{
	int fd = a_socket(SOCK_STREAM, 0);
	int small = 4096;
	int connection;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	open_export(IPFIX_TCP, port_of(fd), N_MAX);
	connection = take_connection(fd);
	add(0, N_MAX);
	for (uint32_t i = 0; i < 20000 && seen.n_flows < N_MAX; i++) {
		tick();
		take_stream(connection, 777);
		take_stream(connection, 7770);
	}
	expect_each_once(N_MAX);
	cr_expect_eq(export_ipfix_counts(x).n_lost, 0);
	close(connection);
	close(fd);
}

/* Those that the first collector's kernel has taken and its program has not read are gone with it; weir cannot know. */
Test(control_export_ipfix, what_was_not_acknowledged_is_sent_to_the_next_connection)
{
	int fd = a_socket(SOCK_STREAM, 0);
	int small = 4096;
	int connection;
	uint32_t n_lost = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	open_export(IPFIX_TCP, port_of(fd), N_MAX);
	connection = take_connection(fd);
	add(0, N_MAX);
	ticks_for(US_PER_S);
	cr_expect_gt(export_ipfix_counts(x).n_waiting, N_MAX / 2);
	for (uint32_t i = 0; i < 100; i++)
		take_stream(connection, SIZE_MAX);
	close(connection);
	usleep(10000);
	ticks_for(US_PER_S);
	connection = take_connection(fd);
	for (uint32_t i = 0; i < 20000 && export_ipfix_counts(x).n_waiting > 0; i++) {
		tick();
		take_stream(connection, SIZE_MAX);
	}
	take_stream(connection, SIZE_MAX);
	cr_expect_eq(seen.times[N_MAX - 1], 1);
	for (uint32_t i = 0; i < N_MAX; i++) {
		cr_assert_leq(seen.times[i], 1);
		n_lost += seen.times[i] == 0;
	}
	cr_expect_lt(n_lost, N_MAX / 10, "%u: more than its kernel can have held", n_lost);
	cr_expect_eq(seen.n_gaps, 0);
	cr_expect_eq(export_ipfix_counts(x).n_lost, 0);
	close(connection);
	close(fd);
}

Test(control_export_ipfix, when_the_buffer_is_full_the_newest_are_lost_counted_and_told)
{
	int fd = a_socket(SOCK_STREAM, 0);
	uint16_t port = port_of(fd);
	int connection;

	close(fd);
	open_export(IPFIX_TCP, port, 256);
	add(0, 1000);
	cr_expect_eq(export_ipfix_counts(x).n_lost, 744);
	ticks_for(2 * US_PER_S);
	fd = a_socket(SOCK_STREAM, port);
	connection = take_connection(fd);
	take_all(connection, 256);
	expect_each_once(256);
	cr_expect_eq(seen.n_told_lost, 744);
	close(connection);
	close(fd);
}

Test(control_export_ipfix, nothing_waits_when_the_exporter_is_to_end)
{
	int fd = a_socket(SOCK_STREAM, 0);
	int connection;

	open_export(IPFIX_TCP, port_of(fd), 256);
	connection = take_connection(fd);
	tick();
	add(0, 3);
	cr_expect_not(export_ipfix_drain(x));
	tick();
	usleep(10000);
	tick();
	cr_expect(export_ipfix_drain(x));
	cr_expect_eq(export_ipfix_close(x), 0);
	x = NULL;
	while (take_stream(connection, SIZE_MAX) && seen.n_flows < 3)
		;
	expect_each_once(3);
	close(connection);
	close(fd);
}

static void take_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t n;

	cr_assert_geq(fd, 0);
	new_session();
	n = read(fd, stream, sizeof(stream));
	cr_assert_gt(n, 0);
	n_stream = (size_t)n;
	see_stream();
	cr_expect_eq(n_stream, 0, "a message was cut");
	close(fd);
}

Test(control_export_ipfix, a_file_holds_messages_and_one_that_was_moved_is_followed_by_another)
{
	char moved[128];

	(void)snprintf(moved, sizeof(moved), "%s.1", path);
	open_export(IPFIX_FILE, 0, 1024);
	add(0, 100);
	ticks_for(7 * US_PER_S);
	cr_assert_eq(rename(path, moved), 0);
	add(100, 150);
	ticks_for(7 * US_PER_S);
	cr_expect_eq(export_ipfix_counts(x).n_sent, 150);
	take_file(moved);
	cr_expect_geq(seen.n_flows, 100, "and what came before the move was seen");
	cr_expect_lt(seen.n_flows, 150);
	take_file(path);
	cr_expect_eq(seen.n_templates, 4, "each file has them");
	expect_each_once(150);
}

Test(control_export_ipfix, a_file_that_a_power_cut_has_cut_is_mended_and_goes_on)
{
	struct stat file;

	open_export(IPFIX_FILE, 0, 1024);
	add(0, 20);
	ticks_for(7 * US_PER_S);
	export_ipfix_close(x);
	cr_assert_eq(stat(path, &file), 0);
	cr_assert_eq(truncate(path, file.st_size - 1), 0);
	open_export(IPFIX_FILE, 0, 1024);
	add(20, 30);
	ticks_for(7 * US_PER_S);
	take_file(path);
	cr_expect_gt(seen.n_flows, 10, "%u", seen.n_flows);
	cr_expect_lt(seen.n_flows, 30, "the last message is gone");
	cr_expect_eq(seen.n_templates, 4);
	cr_expect_eq(seen.times[29], 1);
}

Test(control_export_ipfix, a_full_disk_is_waited_for_and_what_finds_no_room_is_counted)
{
	(void)snprintf(path, sizeof(path), "/dev/full");
	open_export(IPFIX_FILE, 0, 1000);
	add(0, 1000);
	ticks_for(7 * US_PER_S);
	add(1000, 3000);
	ticks_for(2 * US_PER_S);
	cr_expect_eq(export_ipfix_counts(x).n_sent, 0);
	cr_expect_eq(export_ipfix_counts(x).n_lost, 2000);
	cr_expect_str_eq(export_ipfix_counts(x).why_down, "No space left on device");
}

Test(control_export_ipfix, a_tls_collector_without_a_readable_ca_is_refused_at_once)
{
	struct export_ipfix_params p = {
		.transport = IPFIX_TLS,
		.collector = ip_addr_quad(127, 0, 0, 1),
		.port = 4740,
		.ca_file = "/nowhere",
		.certificate = "",
		.key = "",
		.server_name = "",
		.buffer = 256,
	};

	cr_expect_eq(export_ipfix_open(&p, error, &x), -EINVAL);
	cr_expect_not_null(strstr(error, "/nowhere"), "%s", error);
	x = NULL;
}
