/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weir-web serves: a table of routes, and who answers them.
 *
 * Shapes:   a route is a path and a function that makes the answer; who adds a page adds a row to `web_routes` (web_routes.c).
 * Errors:   a handler always makes an answer; one that cannot says why, with a status of 500 and more.
 * Threads:  one. A handler may wait for the daemon, as connection.h says; others are served after it.
 * Memory:   an answer and the cached one.
 */
#ifndef WEIR_CLIENT_WEB_H
#define WEIR_CLIENT_WEB_H

#include "metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_CACHE_US 1000000 /* scrapers that come at once share one answer */
#define WEB_CACHE_SHARE                                                                            \
	50 /* and for so many times as long as it took to make: the daemon works 2 % for them at most */

struct web_cached {
	char *body;
	size_t n;
	uint64_t made_us;
	uint64_t took_us;
};

struct web {
	const char *socket; /* of the daemon */
	uint32_t n_devices; /* with metrics of their own */
	struct web_cached metrics[METRICS_MARKDOWN];
};

struct web_request {
	const char *accept; /* "" when the client did not say */
	uint64_t now_us;    /* of web_now_us */
};

struct web_answer {
	unsigned int status;
	const char *type; /* Content-Type */
	char *body;       /* to be freed by who gets it */
	size_t n;
};

typedef void web_handler(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer);

struct web_route {
	const char *path;
	web_handler *handle;
};

/* The route of a path, or NULL. */
const struct web_route *web_route_find(const char *path);

/* A clock that only goes forward. */
uint64_t web_now_us(void);

/* An answer of one sentence. */
void web_say(struct web_answer *ret_answer, unsigned int status, const char *sentence);

void web_clean(struct web *web);

#endif
