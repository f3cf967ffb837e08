/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_views.h"

#include "lines.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_OK          200
#define STATUS_BAD_REQUEST 400
#define STATUS_NOT_FOUND   404
#define STATUS_UNAVAILABLE 503
#define NUMBER_DIGITS_MAX  15 /* exact also where a number is a double */
#define TEXT_(n)           #n
#define TEXT(n)            TEXT_(n)

struct view {
	const char *name;
	const char *request;
};

/* Nothing that a client sends gets into a request but numbers that were read. */
static const struct view views[] = {
	{"status", "{\"show\":\"status\"}"},
	{"ports", "{\"show\":\"ports\"}"},
	{"link", "{\"show\":\"link\"}"},
	{"plans", "{\"show\":\"plans\"}"},
	{"devices", "{\"show\":\"devices\",\"limit\":" TEXT(WEB_DEVICES_MAX) "}"},
	{"classes", "{\"show\":\"classes\"}"},
	{"drops", "{\"show\":\"drops\"}"},
	{"stages", "{\"show\":\"stages\"}"},
	{"rules", "{\"show\":\"rules\"}"},
	{"clocks", "{\"show\":\"clocks\"}"},
	{"unsolicited", "{\"show\":\"unsolicited\"}"},
	{"forwards", "{\"show\":\"forwards\"}"},
	{"flows", "{\"show\":\"flows\",\"busiest\":" TEXT(WEB_FLOWS_MAX) "}"},
};

static_assert(sizeof(views) / sizeof(views[0]) == WEB_VIEWS, "a cached answer a view");

static int stream_sink(void *context, const char *bytes, size_t n, char *error)
{
	if (fwrite(bytes, 1, n, context) == n)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
	return -1;
}

/* Writes an answer of the daemon's, or returns -1 with a sentence. */
typedef int web_maker(const struct web *web, uint32_t which, FILE *out, char *error);

static int metrics_make(const struct web *web, uint32_t which, FILE *out, char *error)
{
	struct metrics_options options = {
		.format = (enum metrics_format)which, .n_devices = web->n_devices};

	return metrics_write(web->socket, &options, out, error);
}

static int view_make(const struct web *web, uint32_t which, FILE *out, char *error)
{
	return connection_ask(web->socket, views[which].request, stream_sink, out, error);
}

static bool is_fresh(const struct web_cached *c, uint64_t now_us)
{
	uint64_t lasts_us = c->took_us * (c->failed ? 1 : WEB_CACHE_SHARE);

	return c->body != NULL
	       && now_us - c->made_us < (lasts_us > WEB_CACHE_US ? lasts_us : WEB_CACHE_US);
}

/* The answer, as it is held or made anew; its body is NULL without memory. */
static const struct web_cached *cache_read(const struct web *web, struct web_cached *c,
	web_maker *make, uint32_t which, uint64_t now_us)
{
	char error[CONNECTION_ERROR_MAX] = "no memory";
	FILE *out;

	if (is_fresh(c, now_us))
		return c;
	free(c->body);
	*c = (struct web_cached){0};
	out = open_memstream(&c->body, &c->n);
	if (out == NULL)
		return c;
	c->failed = make(web, which, out, error) != 0;
	if (fclose(out) != 0)
		c->failed = true;
	if (c->failed) {
		free(c->body);
		c->body = strdup(error);
		c->n = strlen(error);
	}
	c->made_us = now_us;
	c->took_us = web_now_us() - now_us;
	return c;
}

static void cached_give(const struct web_cached *c, struct web_answer *ret_answer)
{
	char *copy = c->body == NULL ? NULL : malloc(c->n + 1);

	if (copy != NULL)
		memcpy(copy, c->body, c->n);
	web_give_json(ret_answer, copy, c->n);
}

void web_metrics(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	static const char *const types[] = {
		[METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
		[METRICS_OPENMETRICS] =
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	enum metrics_format format = strstr(request->accept, "application/openmetrics-text") != NULL
					     ? METRICS_OPENMETRICS
					     : METRICS_PROMETHEUS;
	const struct web_cached *c =
		cache_read(web, &web->metrics[format], metrics_make, format, request->now_us);

	if (c->failed && c->body != NULL) {
		web_say(ret_answer, STATUS_UNAVAILABLE, c->body);
		return;
	}
	cached_give(c, ret_answer);
	ret_answer->type = types[format];
}

void web_view(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	const char *name = request->path + sizeof("/api/view/") - 1;
	const struct web_cached *c;
	uint32_t i = 0;

	while (i < WEB_VIEWS && strcmp(views[i].name, name) != 0)
		i++;
	if (i == WEB_VIEWS) {
		web_refuse(ret_answer, STATUS_NOT_FOUND, "there is no such view");
		return;
	}
	c = cache_read(web, &web->views[i], view_make, i, request->now_us);
	if (c->failed && c->body != NULL)
		web_refuse(ret_answer, STATUS_UNAVAILABLE, c->body);
	else
		cached_give(c, ret_answer);
}

void web_events(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	const char *after = web_query_find(&request->query, "after");
	char error[CONNECTION_ERROR_MAX] = "no memory";
	struct lines answer = {0};
	char text[96];
	size_t n;

	if (after == NULL)
		after = "0";
	n = strspn(after, "0123456789");
	if (n == 0 || n > NUMBER_DIGITS_MAX || after[n] != '\0') {
		web_refuse(ret_answer, STATUS_BAD_REQUEST, "\"after\" is the number of an event");
		return;
	}
	(void)snprintf(text, sizeof(text), "{\"show\":\"events\",\"after\":%llu}",
		strtoull(after, NULL, 10));
	if (connection_ask(web->socket, text, lines_hold, &answer, error) == 0) {
		web_give_json(ret_answer, answer.held, answer.n_held);
		return;
	}
	lines_clean(&answer);
	web_refuse(ret_answer, STATUS_UNAVAILABLE, error);
}
