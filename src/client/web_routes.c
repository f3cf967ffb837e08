/* SPDX-License-Identifier: BSD-3-Clause */
#include "web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATUS_OK          200
#define STATUS_UNAVAILABLE 503

static const char type_text[] = "text/plain; charset=utf-8";

uint64_t web_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void web_say(struct web_answer *ret_answer, unsigned int status, const char *sentence)
{
	int n = asprintf(&ret_answer->body, "%s\n", sentence);

	ret_answer->status = status;
	ret_answer->type = type_text;
	ret_answer->n = n < 0 ? 0 : (size_t)n;
	if (n < 0)
		ret_answer->body = NULL;
}

static void home(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	(void)web;
	(void)request;
	web_say(ret_answer, STATUS_OK, "weir: what it counts, for Prometheus, is under /metrics");
}

/* Whether weir-web itself is well; the daemon is not asked. */
static void health(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	(void)web;
	(void)request;
	web_say(ret_answer, STATUS_OK, "well");
}

/* Returns 0, or -1 with a sentence. */
static int cache_fill(struct web *web, enum metrics_format format, uint64_t now_us,
	char error[CONNECTION_ERROR_MAX])
{
	struct metrics_options options = {.format = format, .n_devices = web->n_devices};
	struct web_cached *c = &web->metrics[format];
	struct web_cached made = {.made_us = now_us};
	FILE *out = open_memstream(&made.body, &made.n);
	int result = -1;

	if (out == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	result = metrics_write(web->socket, &options, out, error);
	if (fclose(out) != 0 && result == 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		result = -1;
	}
	if (result != 0) {
		free(made.body);
		return result;
	}
	made.took_us = web_now_us() - now_us;
	free(c->body);
	*c = made;
	return 0;
}

static bool is_fresh(const struct web_cached *c, uint64_t now_us)
{
	uint64_t lasts_us = c->took_us * WEB_CACHE_SHARE;

	return c->body != NULL
	       && now_us - c->made_us < (lasts_us > WEB_CACHE_US ? lasts_us : WEB_CACHE_US);
}

static void metrics(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	static const char *const types[] = {
		[METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
		[METRICS_OPENMETRICS] =
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	enum metrics_format format = strstr(request->accept, "application/openmetrics-text") != NULL
					     ? METRICS_OPENMETRICS
					     : METRICS_PROMETHEUS;
	char error[CONNECTION_ERROR_MAX] = "no memory";
	struct web_cached *c = &web->metrics[format];

	if (!is_fresh(c, request->now_us) && cache_fill(web, format, request->now_us, error) != 0) {
		web_say(ret_answer, STATUS_UNAVAILABLE, error);
		return;
	}
	ret_answer->body = malloc(c->n + 1);
	if (ret_answer->body == NULL)
		return;
	memcpy(ret_answer->body, c->body, c->n);
	ret_answer->status = STATUS_OK;
	ret_answer->type = types[format];
	ret_answer->n = c->n;
}

static const struct web_route web_routes[] = {
	{"/", home},
	{"/healthz", health},
	{"/metrics", metrics},
};

const struct web_route *web_route_find(const char *path)
{
	for (size_t i = 0; i < sizeof(web_routes) / sizeof(web_routes[0]); i++)
		if (strcmp(web_routes[i].path, path) == 0)
			return &web_routes[i];
	return NULL;
}

void web_clean(struct web *web)
{
	for (int i = 0; i < METRICS_MARKDOWN; i++)
		free(web->metrics[i].body);
}
