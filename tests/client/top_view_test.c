/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_view.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct top_model model;
static struct screen screen;
static struct top_look look = {.ascii = true, .interval_s = 2, .clock = "11:22:33", .trouble = ""};

static void take(enum top_view view, const char *text)
{
	char error[CONNECTION_ERROR_MAX] = "";
	json_t *answer = json_loads(text, 0, NULL);

	cr_assert_not_null(answer, "%s", text);
	cr_assert_eq(top_model_take(&model, view, answer, error), 0, "%s", error);
	json_decref(answer);
}

/* A site as it was twice, a second apart. */
static void site(void)
{
	top_model_init(&model);
	take(TOP_STATUS, "{\"gateway\":\"gw-home\",\"pid\":1,\"uptime_s\":93600,\"devices\":3,"
			 "\"flows\":41,\"packets_per_s\":512}");
	for (int i = 0; i < 2; i++) {
		char text[1024];

		(void)snprintf(text, sizeof(text),
			"{\"ports\":[{\"name\":\"lan0\",\"role\":\"lan\",\"state\":\"up\"},"
			"{\"name\":\"wwan0\",\"role\":\"uplink\",\"state\":\"up\","
			"\"uplink_octets\":%d,\"downlink_octets\":%d}],\"at_us\":%d}",
			i * 62500, i * 1250000, 1000000 * (i + 1));
		take(TOP_PORTS, text);
		(void)snprintf(text, sizeof(text),
			"{\"devices\":["
			"{\"address\":\"192.168.50.9\",\"port\":\"lan0\",\"flows\":1,"
			"\"uplink_octets\":10,\"downlink_octets\":20,\"last_seen_ago_us\":90000000}"
			","
			"{\"address\":\"192.168.50.10\",\"port\":\"lan0\",\"flows\":30,"
			"\"uplink_octets\":%d,\"downlink_octets\":%d,\"last_seen_ago_us\":0},"
			"{\"address\":\"192.168.50.100\",\"name\":\"K\\u00fcche\\u001b[2J\","
			"\"port\":\"lan0\",\"flows\":10,\"uplink_octets\":1,"
			"\"downlink_octets\":%d,\"last_seen_ago_us\":1000}],"
			"\"n_total\":3,\"at_us\":%d}",
			i * 60000, i * 1000000, 9000000 + i * 250000, 1000000 * (i + 1));
		take(TOP_DEVICES, text);
	}
	take(TOP_LINK,
		"{\"link\":[{\"port\":\"wwan0\",\"direction\":\"uplink\",\"shaped_bps\":5000000,"
		"\"queue_us\":0,\"delay_p95_us\":9000},"
		"{\"port\":\"wwan0\",\"direction\":\"downlink\",\"shaped_bps\":20000000,"
		"\"queue_us\":12000,\"delay_p95_us\":38000,\"radio_queue_us\":4000}],\"at_us\":1}");
	take(TOP_PLANS,
		"{\"plans\":[{\"name\":\"sim1\",\"quota_octets\":20000000000,"
		"\"used_octets\":8200000000,\"bill_low_octets\":8200000000,"
		"\"bill_high_octets\":8400000000,\"left_octets\":11600000000,\"step\":\"open\","
		"\"cycle_end\":\"2026-12-01T00:00:00Z\",\"forecast_octets\":17000000000}],"
		"\"n_total\":1,\"at_us\":1}");
}

static void clean(void)
{
	top_model_clean(&model);
}

TestSuite(client_top_view, .init = site, .fini = clean);

static void draw(struct top_state *s, int n_rows, int n_columns)
{
	screen_begin(&screen, n_rows, n_columns);
	top_view_draw(&model, s, &look, &screen);
	cr_assert_leq(screen.n_used, n_rows);
	for (int i = 0; i < screen.n_used; i++)
		cr_assert_leq(screen.lines[i].n_columns, n_columns, "line %d of %dx%d", i,
			n_columns, n_rows);
}

/* A line without the blanks at its end. */
static const char *line(int i)
{
	static char text[sizeof(screen.lines[0].text)];
	size_t n = screen.lines[i].n_bytes;

	memcpy(text, screen.lines[i].text, n + 1);
	while (n > 0 && text[n - 1] == ' ')
		text[--n] = '\0';
	return text;
}

Test(client_top_view, a_screen_of_80_by_24)
{
	static const char *const want[24] = {
		[0] = " weir gw-home  up 1.08 d  3 devices  41 flows  512 pkt/s    11:22:33  every "
		      "2 s",
		[1] = "wwan0    down [########.......]   10 Mbps of 20 Mbps    waits 12 ms  radio "
		      "4 ms",
		[2] = "         up   [##.............]  500 kbps of 5 Mbps     waits -  p95 9 ms",
		[3] = "sim1     plan [######+++++++..]  42 %  8.4 GB of 20 GB, 17 GB by 2026-12-01",
		[4] = "Devices: 3, by rate",
		[5] = "DEVICE            NAME                 DOWN NOW     UP NOW    DOWN      UP "
		      "FLOWS",
		[6] = "192.168.50.10     -                      8 Mbps   480 kbps    1 MB   60 kB  "
		      "  30",
		[7] = "192.168.50.100    K?che?[2J              2 Mbps      0 bps 9.25 MB     1 B  "
		      "  10",
		[8] = "192.168.50.9      -                       0 bps      0 bps    20 B    10 B  "
		      "   1",
		[23] = "d devices  c classes  f flows  p plans  l link  x drops  / find  ? help  q "
		       "quit",
	};
	struct top_state s = {0};

	cr_assert_not_null(setlocale(LC_CTYPE, "C"));
	draw(&s, 24, 80);
	cr_expect_eq(screen.n_used, 24);
	for (int i = 0; i < 24; i++)
		cr_expect_str_eq(
			line(i), want[i] == NULL ? "" : want[i], "line %d: \"%s\"", i, line(i));
	cr_expect_eq(screen.lines[0].style, STYLE_TITLE);
	cr_expect_eq(screen.lines[6].style, STYLE_CURSOR, "the busiest is marked");
	cr_expect_str_eq(s.chosen, "192.168.50.10");
}

/* The first words of the rows, in order. */
static void expect_rows(struct top_state *s, const char *const want[3])
{
	draw(s, 24, 80);
	for (int i = 0; i < 3; i++) {
		const char *text = want[i] == NULL ? "" : want[i];

		cr_expect_eq(strncmp(line(6 + i), text, strlen(text)), 0, "row %d: \"%s\"", i,
			line(6 + i));
		cr_expect(text[0] != '\0' || line(6 + i)[0] == '\0', "row %d: \"%s\"", i,
			line(6 + i));
	}
}

Test(client_top_view, orders)
{
	static const struct {
		enum top_order order;
		bool reversed;
		const char *rows[3];
	} cases[] = {
		{ORDER_RATE, false, {"192.168.50.10 ", "192.168.50.100 ", "192.168.50.9 "}},
		{ORDER_RATE, true, {"192.168.50.9 ", "192.168.50.100 ", "192.168.50.10 "}},
		{ORDER_TOTAL, false, {"192.168.50.100 ", "192.168.50.10 ", "192.168.50.9 "}},
		/* numbers in addresses count as numbers */
		{ORDER_NAME, false, {"192.168.50.9 ", "192.168.50.10 ", "192.168.50.100 "}},
		{ORDER_NAME, true, {"192.168.50.100 ", "192.168.50.10 ", "192.168.50.9 "}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct top_state s = {.order = cases[i].order, .reversed = cases[i].reversed};

		expect_rows(&s, cases[i].rows);
	}
}

Test(client_top_view, filters_look_at_every_column_and_at_no_case)
{
	static const struct {
		const char *filter;
		const char *rows[3];
	} cases[] = {
		{"50.1", {"192.168.50.10 ", "192.168.50.100 "}},
		{"küCHE", {"192.168.50.100 "}},
		{"KÜCHE", {"no such rows"}}, /* only ASCII knows large letters from small ones */
		{"CHE", {"192.168.50.100 "}},
		{"LAN0", {"192.168.50.10 ", "192.168.50.100 ", "192.168.50.9 "}},
		{"nothing of it", {"no such rows"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct top_state s = {0};

		(void)snprintf(s.filter, sizeof(s.filter), "%s", cases[i].filter);
		expect_rows(&s, cases[i].rows);
	}
}

Test(client_top_view, names_from_outside_are_harmless)
{
	struct top_state s = {0};

	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	draw(&s, 24, 100);
	cr_expect_not_null(strstr(line(7), " Küche?[2J "), "\"%s\"", line(7));
	(void)snprintf(s.filter, sizeof(s.filter), "\x1b]0;x\x07");
	s.editing = true;
	draw(&s, 24, 80);
	for (int i = 0; i < screen.n_used; i++)
		for (const char *c = screen.lines[i].text; *c != '\0'; c++)
			cr_assert((unsigned char)*c >= 0x20 && *c != 0x7f, "line %d", i);
}

Test(client_top_view, no_size_is_too_small_and_none_too_large)
{
	static const int sizes[] = {1, 2, 3, 5, 7, 10, 24, 40, 63, 80, 120, 200, 320, 1000};
	const size_t n = sizeof(sizes) / sizeof(sizes[0]);

	for (enum top_pane pane = 0; pane < N_PANES; pane++)
		for (size_t r = 0; r < n; r++)
			for (size_t c = 0; c < n; c++) {
				struct top_state s = {.pane = pane, .help = r == c};

				draw(&s, sizes[r], sizes[c]);
			}
}

Test(client_top_view, nothing_known_yet_is_no_crash)
{
	struct top_state s = {0};

	top_model_clean(&model);
	for (enum top_pane pane = 0; pane < N_PANES; pane++) {
		s.pane = pane;
		draw(&s, 24, 80);
		cr_expect_str_eq(line(3), "...");
	}
}

Test(client_top_view, five_hundred_devices_are_walked_through)
{
	json_t *rows = json_array();
	json_t *answer = json_pack("{s:o, s:i, s:i}", "devices", rows, "n_total", 512, "at_us", 5);
	char error[CONNECTION_ERROR_MAX];
	struct top_state s = {.order = ORDER_NAME};

	for (int i = 0; i < 500; i++)
		json_array_append_new(
			rows, json_pack("{s:o, s:s, s:i, s:i}", "address",
				      json_sprintf("10.0.%d.%d", i / 256, i % 256), "port", "lan0",
				      "uplink_octets", i, "downlink_octets", 0));
	cr_assert_eq(top_model_take(&model, TOP_DEVICES, answer, error), 0);
	json_decref(answer);
	draw(&s, 24, 80);
	cr_expect_eq(strncmp(line(6), "10.0.0.0 ", 9), 0, "%s", line(6));
	cr_expect_str_eq(line(4), "Devices: 500, the first of 512, by name");
	for (int i = 0; i < 100; i++) {
		(void)top_state_key(&s, TOP_KEY_PAGE_DOWN);
		draw(&s, 24, 80);
		cr_assert_eq(screen.lines[6 + (int)(s.cursor - s.first)].style, STYLE_CURSOR,
			"the mark is on the screen");
	}
	cr_expect_eq(s.cursor, 499);
	cr_expect_eq(strncmp(line(22), "10.0.1.243 ", 11), 0, "%s", line(22));
	(void)top_state_key(&s, 'g');
	draw(&s, 24, 80);
	cr_expect_eq(strncmp(line(6), "10.0.0.0 ", 9), 0);
}

Test(client_top_view, plans_and_uplinks_in_trouble_stand_out)
{
	static const struct {
		const char *step;
		long long forecast;
		enum line_style style;
	} cases[] = {
		{"open", 17000, STYLE_NORMAL},
		{"open", 21000, STYLE_WARNING},
		{"notify", 17000, STYLE_WARNING},
		{"shape", 17000, STYLE_WARNING},
		{"reserve-only", 17000, STYLE_ALARM},
		{"block", 17000, STYLE_ALARM},
	};
	struct top_state s = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text),
			"{\"plans\":[{\"name\":\"sim1\",\"quota_octets\":20000,\"step\":\"%s\","
			"\"forecast_octets\":%lld}],\"at_us\":1}",
			cases[i].step, cases[i].forecast);
		take(TOP_PLANS, text);
		draw(&s, 24, 80);
		cr_expect_eq(screen.lines[3].style, cases[i].style, "case %zu", i);
	}
	take(TOP_PORTS, "{\"ports\":[{\"name\":\"wwan0\",\"role\":\"uplink\",\"state\":\"failed\","
			"\"why_down\":\"Network is down\"}],\"at_us\":3}");
	draw(&s, 24, 80);
	cr_expect_str_eq(line(1), "wwan0 is failed: Network is down");
	cr_expect_eq(screen.lines[1].style, STYLE_ALARM);
}

Test(client_top_view, no_answer_is_said_and_the_last_one_stays)
{
	struct top_look lost = look;
	struct top_state s = {0};

	lost.trouble = "no weir answers (tries again every 2 s)";
	screen_begin(&screen, 24, 80);
	top_view_draw(&model, &s, &lost, &screen);
	cr_expect_str_eq(line(23), lost.trouble);
	cr_expect_eq(screen.lines[23].style, STYLE_ALARM);
	cr_expect_eq(strncmp(line(6), "192.168.50.10 ", 14), 0);
}
