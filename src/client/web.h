/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weir-web serves: requests as they were read, and the answers to them. Nothing here knows of sockets or of an HTTP library.
 *
 * Shapes:   a request is answered by web_serve() from first to last: whom it was meant for (Host), whether there is such a route
 *           (web_routes.c), whether its sender may (web_gate.h), and then the route's handler.
 * Errors:   an answer is always made; one that cannot be says why, as text or, under /api/, as {"error": "..."}. Only without memory
 *           has it no body.
 * Threads:  one. A handler may wait for the daemon, as connection.h says; others are served after it.
 * Memory:   an answer, and the cached ones.
 */
#ifndef WEIR_CLIENT_WEB_H
#define WEIR_CLIENT_WEB_H

#include "metrics.h"
#include "web_gate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_CACHE_US 1000000 /* who asks at once shares one answer */
#define WEB_CACHE_SHARE                                                                            \
	50 /* and for so many times as long as it took to make: the daemon works 2 % for them at most */

#define WEB_VIEWS     13
#define WEB_QUERY_MAX 8
#define WEB_BODY_MAX  512 /* of a request: a token, as JSON */

/* An answer of the daemon's, or why there is none. */
struct web_cached {
	char *body;
	size_t n;
	uint64_t made_us;
	uint64_t took_us;
	bool failed; /* the body is a sentence */
};

struct web {
	const char *socket;    /* of the daemon */
	const char *history;   /* the file; NULL: none is kept */
	uint32_t n_devices;    /* with metrics of their own */
	bool has_open_metrics; /* everybody on a LAN may read them */
	struct web_gate gate;
	struct web_cached metrics[METRICS_MARKDOWN];
	struct web_cached views[WEB_VIEWS];
};

/* What follows the question mark: name=value, decoded. */
struct web_query {
	uint32_t n;
	struct {
		const char *name;
		const char *value;
	} fields[WEB_QUERY_MAX];
};

/* Texts are the caller's; of a header that is not there, "". */
struct web_request {
	const char *method;
	const char *path; /* decoded, without query */
	const char *host;
	const char *accept;
	const char *cookie;
	const char *authorization;
	const char *content_type;
	const char *fetch_site; /* Sec-Fetch-Site */
	const char *if_none_match;
	struct web_query query;
	const char *body; /* NUL-terminated */
	size_t n_body;    /* above WEB_BODY_MAX: it was too long, and is not here */
	struct web_peer peer;
	bool is_local;   /* came to an address of the machine alone */
	uint64_t now_us; /* of web_now_us */
};

struct web_answer {
	unsigned int status;
	const char *type;     /* Content-Type */
	char *body;           /* to be freed by who gets it */
	const char *borrowed; /* instead of a body: lives as long as the program */
	size_t n;
	const char *etag;                /* NULL: not to be kept by anybody */
	const char *allow;               /* the methods there are; NULL: not the matter */
	uint32_t retry_s;                /* 0: not the matter */
	char set_cookie[WEB_COOKIE_MAX]; /* "" for none */
};

typedef void web_handler(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer);

/* Answers a request. */
void web_serve(struct web *web, const struct web_request *request, struct web_answer *ret_answer);

/* A clock that only goes forward. */
uint64_t web_now_us(void);

/* An answer of one sentence, as text. */
void web_say(struct web_answer *ret_answer, unsigned int status, const char *sentence);

/* The same for the page: {"error": "..."}. */
void web_refuse(struct web_answer *ret_answer, unsigned int status, const char *sentence);

/* JSON whose text was made by malloc(); takes it over. Without it, there was no memory. */
void web_give_json(struct web_answer *ret_answer, char *text, size_t n);

/* The value of a name in a query, or NULL. */
const char *web_query_find(const struct web_query *query, const char *name);

void web_clean(struct web *web);

#endif
