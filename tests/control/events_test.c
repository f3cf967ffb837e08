/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/events.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct events *make(uint32_t n)
{
	struct events *e = NULL;
	char line[64];

	cr_assert_eq(events_create(&e), 0);
	for (uint32_t i = 1; i <= n; i++) {
		int len = snprintf(line, sizeof(line), "device.seen n=%u", i);

		events_raise_at(e, LOG_INFO, line, (size_t)len, i);
	}
	return e;
}

static json_t *written(enum log_level level, const char *line)
{
	struct event event = {.seq = 7, .at_us = 1500000, .level = level};
	struct text part;
	json_t *object;

	(void)snprintf(event.line, sizeof(event.line), "%s", line);
	text_init(&part, 1 << 16);
	event_write(&event, 1000000 * INT64_C(1780000000), &part);
	cr_assert_eq(part.failed, 0);
	object = json_loadb(part.data, part.n, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(object, "%.*s", (int)part.n, part.data);
	text_clean(&part);
	return object;
}

Test(control_events, holds_the_newest_in_order_and_numbers_them_without_a_gap)
{
	struct events *e = make(EVENTS_HELD + 44);
	struct event event = {0};
	uint64_t n = 0;

	cr_assert_eq(events_newest(e), EVENTS_HELD + 44);
	while (events_next(e, event.seq, &event)) {
		cr_assert_eq(event.seq, 45 + n);
		cr_assert_eq(event.at_us, 45 + n);
		n++;
	}
	cr_assert_eq(n, EVENTS_HELD);
	events_destroy(e);
}

Test(control_events, an_empty_ring_has_none_and_a_number_yet_to_come_begins_anew)
{
	struct events *e = make(0);
	struct event event;

	cr_assert_not(events_next(e, 0, &event));
	cr_assert_not(events_next(e, 12, &event));
	events_destroy(e);
	e = make(3);
	cr_assert_not(events_next(e, 3, &event));
	cr_assert(events_next(e, 900, &event));
	cr_assert_eq(event.seq, 1);
	events_destroy(e);
}

Test(control_events, a_line_that_is_too_long_is_cut_and_counted_by_its_level)
{
	struct events *e = make(0);
	uint64_t counts[EVENT_LEVELS];
	struct event event;
	char line[2000];

	memset(line, 'x', sizeof(line));
	events_raise_at(e, LOG_ERROR, line, sizeof(line), 1);
	events_raise_at(e, LOG_WARNING, line, EVENT_LINE_MAX, 1);
	events_raise_at(e, LOG_WARNING, line, EVENT_LINE_MAX - 1, 1);
	events_raise_at(e, LOG_DEBUG, line, 5, 1);
	cr_assert(events_next(e, 0, &event));
	cr_assert_eq(strlen(event.line), EVENT_LINE_MAX - 1);
	events_count(e, counts);
	cr_assert_eq(counts[LOG_ERROR], 1);
	cr_assert_eq(counts[LOG_WARNING], 2);
	cr_assert_eq(counts[LOG_INFO], 0);
	cr_assert_eq(events_newest(e), 3);
	events_destroy(e);
}

Test(control_events, what_is_logged_is_an_event_whatever_the_log_level)
{
	struct events *e = make(0);
	struct event event;

	log_set_level(LOG_ERROR);
	log_set_listener(events_raise, e);
	log_event(LOG_INFO, "device.seen port=%s", "lan0");
	log_event(LOG_DEBUG, "unheard");
	log_set_listener(NULL, NULL);
	log_event(LOG_INFO, "unheard");
	cr_assert_eq(events_newest(e), 1);
	cr_assert(events_next(e, 0, &event));
	cr_assert_str_eq(event.line, "device.seen port=lan0");
	events_destroy(e);
}

Test(control_events, fields_are_numbers_or_text_by_what_they_say)
{
	static const struct {
		const char *line;
		const char *fields;
	} cases[] = {
		{"stop.done", "{}"},
		{"port.up port=1 mtu=1500", "{\"port\":\"1\",\"mtu\":1500}"},
		{"a.b reason=\"no such device\" n=0", "{\"reason\":\"no such device\",\"n\":0}"},
		{"a.b reason=\"file \"x\" is gone\" n=5",
			"{\"reason\":\"file \\\"x\\\" is gone\",\"n\":5}"},
		{"a.b reason=\"cut off", "{\"reason\":\"cut off\"}"},
		{"a.b path=/a\\b e=\"\"", "{\"path\":\"/a\\\\b\",\"e\":\"\"}"},
		{"a.b mac=02:00:5e:10:00:01 x=007 y=-3",
			"{\"mac\":\"02:00:5e:10:00:01\",\"x\":\"007\",\"y\":\"-3\"}"},
		{"a.b n=18446744073709551615 m=999999999999999999",
			"{\"n\":\"18446744073709551615\",\"m\":999999999999999999}"},
		{"a.b rule=3 oops what=1", "{\"rule\":3}"},
		{"a.b t=\"tab\there\"", "{\"t\":\"tab\\there\"}"},
		/* What is no UTF-8, overlong, a surrogate, or cut. */
		{"a.b t=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
			"{\"t\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}"},
		{"a.b t=\xff\xc0\xaf\xed\xa0\x80.\xe2\x82", "{\"t\":\"??????.??\"}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *object = written(LOG_NOTICE, cases[i].line);
		char *fields = json_dumps(json_object_get(object, "fields"), JSON_COMPACT);

		cr_expect_str_eq(fields, cases[i].fields);
		free(fields);
		json_decref(object);
	}
}

Test(control_events, an_event_says_when_in_the_time_of_day)
{
	json_t *object = written(LOG_WARNING, "port.down port=wwan0");

	cr_expect_str_eq(
		json_string_value(json_object_get(object, "time")), "2026-05-28T20:26:41.500000Z");
	cr_expect_str_eq(json_string_value(json_object_get(object, "severity")), "warning");
	cr_expect_str_eq(json_string_value(json_object_get(object, "event")), "port.down");
	cr_expect_eq(json_integer_value(json_object_get(object, "seq")), 7);
	json_decref(object);
}

/* Takes pieces until the answer ends or waits; what it said so far, NUL-terminated. */
static int pieces(struct server_answer *a, char *said, size_t room)
{
	char error[SERVER_ERROR_MAX];
	struct text part;
	int more = 1;

	text_init(&part, 1 << 20);
	while (more == 1) {
		text_clear(&part);
		more = a->next(a, &part, error);
		cr_assert_lt(strlen(said) + part.n + 1, room);
		if (part.n > 0)
			(void)strncat(said, part.data, part.n);
	}
	text_clean(&part);
	return more;
}

static struct server_answer *ask(struct events *e, const char *request)
{
	json_t *object = json_loads(request, 0, NULL);
	char error[SERVER_ERROR_MAX] = "";
	struct server_answer *a = NULL;

	cr_assert(events_are_asked_for(object));
	cr_assert_eq(events_answer(e, object, 0, error, &a), 0, "%s", error);
	json_decref(object);
	return a;
}

static json_int_t seq_of(const json_t *rows, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(rows, i), "seq"));
}

Test(control_events, a_listing_is_one_document_of_all_that_are_held_or_the_last)
{
	static const struct {
		const char *request;
		size_t n_rows;
		json_int_t first;
	} cases[] = {
		{"{\"show\":\"events\"}", EVENTS_HELD, 45},
		{"{\"show\":\"events\",\"limit\":3}", 3, 298},
		{"{\"show\":\"events\",\"limit\":0}", 0, 0},
		{"{\"show\":\"events\",\"limit\":270}", EVENTS_HELD, 45},
		{"{\"show\":\"events\",\"after\":290}", 10, 291},
		{"{\"show\":\"events\",\"after\":290,\"limit\":2}", 2, 299},
		{"{\"show\":\"events\",\"after\":5000}", EVENTS_HELD, 45},
	};
	static char said[1 << 18];
	struct events *e = make(EVENTS_HELD + 44);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server_answer *a = ask(e, cases[i].request);
		json_t *object;
		json_t *rows;

		said[0] = '\0';
		cr_assert_eq(pieces(a, said, sizeof(said)), 0);
		a->destroy(a);
		object = json_loads(said, JSON_REJECT_DUPLICATES, NULL);
		cr_assert_not_null(object, "%s: %s", cases[i].request, said);
		rows = json_object_get(object, "events");
		cr_expect_eq(json_array_size(rows), cases[i].n_rows, "%s", cases[i].request);
		cr_expect_eq(seq_of(rows, 0), cases[i].first, "%s", cases[i].request);
		cr_expect_eq(json_integer_value(json_object_get(object, "newest")), 300);
		json_decref(object);
	}
	events_destroy(e);
}

Test(control_events, a_follower_waits_gets_each_and_is_told_how_many_it_has_lost)
{
	struct events *e = make(2);
	struct server_answer *a = ask(e, "{\"show\":\"events\",\"follow\":true}");
	static char said[1 << 18];

	cr_assert_eq(pieces(a, said, sizeof(said)), SERVER_WAITS);
	cr_assert_not_null(strstr(said, "\"seq\":2"));
	said[0] = '\0';
	cr_assert_eq(pieces(a, said, sizeof(said)), SERVER_WAITS);
	cr_assert_str_eq(said, "");
	events_raise_at(e, LOG_NOTICE, "stop.done", 9, 5);
	cr_assert_eq(pieces(a, said, sizeof(said)), SERVER_WAITS);
	cr_assert_str_eq(said,
		",{\"seq\":3,\"time\":\"1970-01-01T00:00:00.000005Z\",\"severity\":\"notice\","
		"\"event\":\"stop.done\",\"fields\":{}}\n");
	/* 256 are held of the 300 that come while it does not read. */
	for (int i = 0; i < 300; i++)
		events_raise_at(e, LOG_NOTICE, "stop.done", 9, 6);
	said[0] = '\0';
	cr_assert_eq(pieces(a, said, sizeof(said)), SERVER_WAITS);
	cr_assert_eq(strncmp(said, ",{\"lost\":44}\n,{\"seq\":48,", 24), 0, "%.60s", said);
	cr_assert_not_null(strstr(said, "\"seq\":303,"));
	a->destroy(a);
	events_destroy(e);
}

Test(control_events, who_names_an_event_that_was_overwritten_is_told_too)
{
	struct events *e = make(EVENTS_HELD + 10);
	struct server_answer *a = ask(e, "{\"show\":\"events\",\"after\":4}");
	static char said[1 << 18];

	cr_assert_eq(pieces(a, said, sizeof(said)), 0);
	cr_assert_eq(
		strncmp(said, "{\"events\":[\n{\"lost\":6}\n,{\"seq\":11,", 34), 0, "%.60s", said);
	a->destroy(a);
	events_destroy(e);
}

Test(control_events, a_filter_that_is_none_is_refused_with_what_there_is)
{
	static const char *const requests[] = {"{\"show\":\"events\",\"limit\":-1}",
		"{\"show\":\"events\",\"after\":\"5\"}", "{\"show\":\"events\",\"follow\":1}",
		"{\"show\":\"events\",\"device\":\"192.0.2.1\"}"};
	struct events *e = make(1);

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		json_t *object = json_loads(requests[i], 0, NULL);
		char error[SERVER_ERROR_MAX] = "";
		struct server_answer *a = NULL;

		cr_expect_lt(events_answer(e, object, 0, error, &a), 0);
		cr_expect_not_null(strstr(error, "\"after\""));
		cr_expect_null(a);
		json_decref(object);
	}
	events_destroy(e);
}

Test(control_events, the_table_is_in_order_and_explains_each)
{
	const char *before = "";
	const char *name;
	const char *help;
	uint32_t i = 0;

	for (; event_describe(i, &name, &help); i++) {
		cr_expect_lt(strcmp(before, name), 0, "%s stands behind %s", name, before);
		cr_expect_gt(strlen(help), 10, "%s", name);
		before = name;
	}
	cr_expect_gt(i, 60);
}
