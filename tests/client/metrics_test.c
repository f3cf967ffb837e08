/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a daemon that is made up here, and what is written of them. */
#include "metrics.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct metrics *make(enum metrics_format format, uint32_t n_devices)
{
	struct metrics_options options = {.format = format, .n_devices = n_devices};
	struct metrics *m = metrics_create(&options);

	cr_assert_not_null(m);
	return m;
}

static uint32_t view_of(const char *name)
{
	char word[64];

	(void)snprintf(word, sizeof(word), "\"show\":\"%s\"", name);
	for (uint32_t i = 0; i < metrics_n_views(); i++)
		if (strstr(metrics_request(i), word) != NULL)
			return i;
	cr_assert_fail("no view %s", name);
	return 0;
}

/* An answer in pieces of `n_piece` bytes. Returns what metrics_end says. */
static int take(struct metrics *m, const char *view, const char *answer, size_t n_piece)
{
	char error[CONNECTION_ERROR_MAX];
	size_t n = strlen(answer);

	for (size_t i = 0; i < n; i += n_piece)
		if (metrics_feed(
			    m, view_of(view), answer + i, n - i < n_piece ? n - i : n_piece, error)
			!= 0)
			return -1;
	return metrics_end(m, view_of(view), error);
}

/* What is written; free it. Ends the metrics. */
static char *print(struct metrics *m)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	cr_assert_not_null(out);
	metrics_print(m, out);
	cr_assert_eq(fclose(out), 0);
	metrics_destroy(m);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return;
	cr_expect_fail("no line %s in\n%s", line, text);
}

static const char ports[] =
	"{\"ports\":[\n"
	"{\"name\":\"wan0\",\"role\":\"uplink\",\"device\":\"wwan0\",\"state\":\"up\","
	"\"rx_packets\":9007199254740993,\"uplink_octets\":10,\"downlink_octets\":20},\n"
	"{\"name\":\"lan0\",\"role\":\"lan\",\"device\":\"eth1\",\"state\":\"failed\","
	"\"rx_packets\":7,\"uplink_octets\":1,\"downlink_octets\":2}\n"
	"],\"n_rows\":2,\"n_total\":2}";

Test(client_metrics, a_family_has_its_head_once_and_all_its_samples_together)
{
	struct metrics *m = make(METRICS_PROMETHEUS, 64);
	char *text;
	const char *begin;

	cr_assert_eq(take(m, "ports", ports, 4096), 0);
	text = print(m);
	begin = strstr(text, "# HELP weir_port_ip_bytes_total ");
	cr_assert_not_null(begin);
	begin = strstr(begin, "# TYPE");
	cr_expect_eq(strncmp(begin,
			     "# TYPE weir_port_ip_bytes_total counter\n"
			     "weir_port_ip_bytes_total{port=\"wan0\",direction=\"uplink\"} 10\n"
			     "weir_port_ip_bytes_total{port=\"lan0\",direction=\"uplink\"} 1\n"
			     "weir_port_ip_bytes_total{port=\"wan0\",direction=\"downlink\"} 20\n"
			     "weir_port_ip_bytes_total{port=\"lan0\",direction=\"downlink\"} 2\n",
			     264),
		0, "%s", begin);
	cr_expect_null(strstr(strstr(text, "# TYPE weir_port_up") + 1, "# TYPE weir_port_up"));
	free(text);
}

Test(client_metrics, numbers_are_exact_and_words_become_truths)
{
	struct metrics *m = make(METRICS_PROMETHEUS, 64);
	char *text;

	cr_assert_eq(take(m, "ports", ports, 4096), 0);
	text = print(m);
	expect_line(text, "weir_port_receive_packets_total{port=\"wan0\"} 9007199254740993");
	expect_line(text, "weir_port_up{port=\"wan0\"} 1");
	expect_line(text, "weir_port_up{port=\"lan0\"} 0");
	expect_line(text, "weir_port_info{port=\"lan0\",role=\"lan\",device=\"eth1\",kind=\"\","
			  "framing=\"\",address=\"\"} 1");
	/* What no row has is not there, and has no head either. */
	cr_expect_null(strstr(text, "weir_port_transmit"));
	cr_expect_null(strstr(text, "weir_flows"));
	free(text);
}

Test(client_metrics, units_become_base_units)
{
	static const char link[] =
		"{\"link\":[\n{\"port\":\"wan0\",\"direction\":\"uplink\",\"shaped_bps\":5000001,"
		"\"queue_us\":1500000,\"delay_p50_us\":7,\"delay_p99_us\":2000000}\n],\"n_total\":"
		"1}";
	static const char plans[] =
		"{\"plans\":[\n{\"name\":\"sim1\",\"cycle_end\":\"2026-12-01T00:00:00Z\","
		"\"spent_in_days\":3,\"paced\":true,\"step\":\"reserve-only\","
		"\"steps\":{\"notify\":{\"reached\":4},\"reserve-only\":{\"reached\":2}}}\n]}";
	struct metrics *m = make(METRICS_PROMETHEUS, 64);
	char *text;

	cr_assert_eq(take(m, "link", link, 4096), 0);
	cr_assert_eq(take(m, "plans", plans, 4096), 0);
	text = print(m);
	expect_line(text, "weir_link_shaped_bytes_per_second{port=\"wan0\",direction=\"uplink\"} "
			  "625000.125");
	expect_line(
		text, "weir_link_queue_delay_seconds{port=\"wan0\",direction=\"uplink\"} 1.500000");
	expect_line(text,
		"weir_link_wait_seconds{port=\"wan0\",direction=\"uplink\",quantile=\"0.5\"} "
		"0.000007");
	expect_line(text,
		"weir_link_wait_seconds{port=\"wan0\",direction=\"uplink\",quantile=\"0.99\"} 2");
	expect_line(text, "weir_plan_cycle_end_timestamp_seconds{plan=\"sim1\"} 1796083200");
	expect_line(text, "weir_plan_spent_in_seconds{plan=\"sim1\"} 259200");
	expect_line(text, "weir_plan_paced{plan=\"sim1\"} 1");
	expect_line(text, "weir_plan_step{plan=\"sim1\",step=\"reserve-only\"} 1");
	expect_line(text, "weir_plan_step{plan=\"sim1\",step=\"open\"} 0");
	expect_line(text, "weir_plan_steps_reached_total{plan=\"sim1\",step=\"notify\"} 4");
	free(text);
}

Test(client_metrics, values_of_labels_are_escaped)
{
	static const char classes[] =
		"{\"classes\":[\n{\"name\":\"a\\\"b\\\\c\\nd\xc3\xa9\",\"flows\":3}\n]}";
	struct metrics *m = make(METRICS_PROMETHEUS, 64);
	char *text;

	cr_assert_eq(take(m, "classes", classes, 4096), 0);
	text = print(m);
	expect_line(text, "weir_class_flows{class=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 3");
	free(text);
}

/* A listing of n devices; device i has i octets up. */
static char *devices_text(uint32_t n)
{
	char *text = NULL;
	size_t n_bytes;
	FILE *out = open_memstream(&text, &n_bytes);

	(void)fprintf(out, "{\"devices\":[");
	for (uint32_t i = 0; i < n; i++)
		(void)fprintf(out,
			"%s\n{\"address\":\"192.0.2.%u\",\"mac\":\"02:00:00:00:00:%02x\",\"port\":"
			"\"lan0\",\"uplink_octets\":%u,\"flows\":1,\"quota_octets\":5}",
			i == 0 ? "" : ",", i, i, i);
	(void)fprintf(out, "\n],\"n_rows\":%u,\"n_total\":%u}", n, n);
	(void)fclose(out);
	return text;
}

static uint32_t n_lines_of(const char *text, const char *begin)
{
	uint32_t n = 0;

	for (const char *at = text; (at = strstr(at, begin)) != NULL; at++)
		n += at == text || at[-1] == '\n';
	return n;
}

Test(client_metrics, devices_beyond_the_bound_are_one_sum)
{
	static const struct {
		uint32_t bound;
		uint32_t n_samples;
		const char *other;
	} cases[] = {
		{200, 100, NULL},
		{100, 100, NULL},
		{99, 100, "99"},
		{10, 11, "4905"},
		{0, 1, "4950"},
	};
	char *answer = devices_text(100);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct metrics *m = make(METRICS_PROMETHEUS, cases[i].bound);
		char line[160];
		char *text;

		cr_assert_eq(take(m, "devices", answer, 100), 0);
		text = print(m);
		cr_expect_eq(n_lines_of(text, "weir_device_bytes_total{"), cases[i].n_samples);
		cr_expect_eq(n_lines_of(text, "weir_device_quota_bytes{"),
			cases[i].bound < 100 ? cases[i].bound : 100);
		(void)snprintf(line, sizeof(line),
			"weir_device_bytes_total{device=\"other\",mac=\"\",port=\"\",direction="
			"\"uplink\"} %s",
			cases[i].other == NULL ? "" : cases[i].other);
		if (cases[i].other != NULL)
			expect_line(text, line);
		else
			cr_expect_null(strstr(text, "\"other\""));
		free(text);
	}
	free(answer);
}

Test(client_metrics, an_answer_may_come_in_pieces_of_any_size)
{
	char *whole = NULL;

	for (size_t n = 1; n < 40; n++) {
		struct metrics *m = make(METRICS_PROMETHEUS, 64);
		char *text;

		cr_assert_eq(take(m, "ports", ports, n), 0);
		cr_assert_eq(take(m, "status", "{\"flows\":5,\"ledger\":\"sound\"}", n), 0);
		text = print(m);
		if (whole == NULL)
			whole = text;
		cr_expect_str_eq(text, whole);
		if (text != whole)
			free(text);
	}
	expect_line(whole, "weir_flows 5");
	expect_line(whole, "weir_ledger_sound 1");
	free(whole);
}

Test(client_metrics, openmetrics_names_the_family_of_a_counter_without_its_ending)
{
	struct metrics *m = make(METRICS_OPENMETRICS, 64);
	char *text;

	cr_assert_eq(take(m, "ports", ports, 4096), 0);
	text = print(m);
	expect_line(text, "# TYPE weir_port_ip_bytes counter");
	expect_line(text, "weir_port_ip_bytes_total{port=\"wan0\",direction=\"uplink\"} 10");
	expect_line(text, "# TYPE weir_port_up gauge");
	cr_expect_str_eq(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

Test(client_metrics, an_answer_that_is_none_is_refused)
{
	static const struct {
		const char *view;
		const char *answer;
	} cases[] = {
		{"status", ""},
		{"status", "[]"},
		{"status", "{\"flows\":"},
		{"status", "5"},
		{"ports", "{\"ports\":[\nnonsense,\n]}"},
		{"ports", "{\"ports\":[\n5\n]}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct metrics *m = make(METRICS_PROMETHEUS, 64);

		cr_expect_neq(
			take(m, cases[i].view, cases[i].answer, 4096), 0, "%s", cases[i].answer);
		metrics_destroy(m);
	}
}
