/* SPDX-License-Identifier: BSD-3-Clause */
/* Which paths there are, for whom, and who answers them. */
#include "web.h"
#include "web_files.h"
#include "web_history.h"
#include "web_views.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATUS_OK             200
#define STATUS_NO_CONTENT     204
#define STATUS_NOT_MODIFIED   304
#define STATUS_BAD_REQUEST    400
#define STATUS_UNAUTHORIZED   401
#define STATUS_FORBIDDEN      403
#define STATUS_NOT_FOUND      404
#define STATUS_BAD_METHOD     405
#define STATUS_TOO_LARGE      413
#define STATUS_BAD_TYPE       415
#define STATUS_MISDIRECTED    421
#define STATUS_TOO_MANY       429
#define STATUS_INTERNAL_ERROR 500

static const char type_text[] = "text/plain; charset=utf-8";
static const char type_json[] = "application/json";

enum access {
	ACCESS_ALL, /* says nothing of weir */
	ACCESS_METRICS, /* who is on the machine itself, or has the token, or everybody where that was said */
	ACCESS_TOKEN,
};

struct route {
	const char *path; /* one that ends in * is the beginning of paths */
	bool is_post;
	enum access access;
	web_handler *handle;
};

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

void web_give_json(struct web_answer *ret_answer, char *text, size_t n)
{
	ret_answer->status = STATUS_OK;
	ret_answer->type = type_json;
	ret_answer->body = text;
	ret_answer->n = text == NULL ? 0 : n;
}

void web_refuse(struct web_answer *ret_answer, unsigned int status, const char *sentence)
{
	json_t *object = json_pack("{s:s}", "error", sentence);
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

	web_give_json(ret_answer, text, text == NULL ? 0 : strlen(text));
	ret_answer->status = status;
	json_decref(object);
}

const char *web_query_find(const struct web_query *query, const char *name)
{
	for (uint32_t i = 0; i < query->n; i++)
		if (strcmp(query->fields[i].name, name) == 0)
			return query->fields[i].value;
	return NULL;
}

static bool is_api(const char *path)
{
	return strncmp(path, "/api/", 5) == 0;
}

static void refuse(const struct web_request *request, struct web_answer *ret_answer,
	unsigned int status, const char *sentence)
{
	if (is_api(request->path))
		web_refuse(ret_answer, status, sentence);
	else
		web_say(ret_answer, status, sentence);
}

/* Whether weir-web itself is well; the daemon is not asked. */
static void health(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	(void)web;
	(void)request;
	web_say(ret_answer, STATUS_OK, "well");
}

static void history(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	if (web_history_answer(web, &request->query, ret_answer) != 0)
		web_refuse(ret_answer, STATUS_INTERNAL_ERROR, "the history cannot be read");
}

static void must_wait(struct web_answer *ret_answer, uint32_t wait_s)
{
	char sentence[96];

	(void)snprintf(sentence, sizeof(sentence),
		"too many wrong tokens: wait %u seconds and try again", wait_s);
	web_refuse(ret_answer, STATUS_TOO_MANY, sentence);
	ret_answer->retry_s = wait_s;
}

/* {"token": "..."}. A form of another site's cannot send this type without asking, and is not answered when it asks. */
static void login(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	json_t *object = json_loadb(request->body, request->n_body, 0, NULL);
	const char *token = json_string_value(json_object_get(object, "token"));
	uint32_t wait_s = 0;

	if (token == NULL) {
		web_refuse(ret_answer, STATUS_BAD_REQUEST,
			"what was sent is not {\"token\": \"...\"}");
		json_decref(object);
		return;
	}
	switch (web_gate_login(&web->gate, &request->peer, token, request->now_us,
		ret_answer->set_cookie, &wait_s)) {
	case WEB_ADMITTED:
		web_say(ret_answer, STATUS_NO_CONTENT, "");
		break;
	case WEB_MUST_WAIT:
		must_wait(ret_answer, wait_s);
		break;
	case WEB_STRANGER:
	case WEB_MISTAKEN:
	default:
		web_refuse(ret_answer, STATUS_FORBIDDEN, "that is not the token");
		break;
	}
	json_decref(object);
}

static void logout(
	struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	web_gate_logout(&web->gate, request->cookie, ret_answer->set_cookie);
	web_say(ret_answer, STATUS_NO_CONTENT, "");
}

static const struct route routes[] = {
	{"/healthz", false, ACCESS_ALL, health},
	{"/metrics", false, ACCESS_METRICS, web_metrics},
	{"/api/view/*", false, ACCESS_TOKEN, web_view},
	{"/api/events", false, ACCESS_TOKEN, web_events},
	{"/api/history", false, ACCESS_TOKEN, history},
	{"/api/login", true, ACCESS_ALL, login},
	{"/api/logout", true, ACCESS_ALL, logout},
};

static bool is_of_route(const struct route *route, const char *path)
{
	size_t n = strcspn(route->path, "*");

	return route->path[n] == '*' ? strncmp(route->path, path, n) == 0
				     : strcmp(route->path, path) == 0;
}

static const struct route *route_find(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (is_of_route(&routes[i], path))
			return &routes[i];
	return NULL;
}

static bool is_read(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* What may be wrong with how a route is asked, before anybody is asked who he is. Returns true when it was said. */
static bool is_misused(
	const struct route *route, const struct web_request *request, struct web_answer *ret_answer)
{
	static const char json[] = "application/json";

	if (route->is_post ? strcmp(request->method, "POST") != 0 : !is_read(request->method)) {
		ret_answer->allow = route->is_post ? "POST" : "GET, HEAD";
		refuse(request, ret_answer, STATUS_BAD_METHOD,
			route->is_post ? "there is POST" : "there is GET, and HEAD");
		return true;
	}
	if (is_api(request->path) && request->fetch_site[0] != '\0'
		&& strcmp(request->fetch_site, "same-origin") != 0
		&& strcmp(request->fetch_site, "none") != 0) {
		web_refuse(ret_answer, STATUS_FORBIDDEN, "this is not for pages of other sites");
		return true;
	}
	if (route->is_post && strncmp(request->content_type, json, sizeof(json) - 1) != 0) {
		web_refuse(ret_answer, STATUS_BAD_TYPE, "what is sent has to be application/json");
		return true;
	}
	if (request->n_body > WEB_BODY_MAX) {
		refuse(request, ret_answer, STATUS_TOO_LARGE, "what was sent is too long");
		return true;
	}
	return false;
}

/* Returns true for who may; otherwise it was said why not. */
static bool is_admitted(struct web *web, const struct route *route,
	const struct web_request *request, struct web_answer *ret_answer)
{
	uint32_t wait_s = 0;

	if (route->access == ACCESS_ALL
		|| (route->access == ACCESS_METRICS
			&& (request->is_local || web->has_open_metrics)))
		return true;
	switch (web_gate_admit(&web->gate, &request->peer, request->cookie, request->authorization,
		request->now_us, &wait_s)) {
	case WEB_ADMITTED:
		return true;
	case WEB_MUST_WAIT:
		must_wait(ret_answer, wait_s);
		return false;
	case WEB_MISTAKEN:
		refuse(request, ret_answer, STATUS_UNAUTHORIZED, "that is not the token");
		return false;
	case WEB_STRANGER:
	default:
		refuse(request, ret_answer, STATUS_UNAUTHORIZED,
			"log in at /, or send the token: Authorization: Bearer TOKEN");
		return false;
	}
}

static void file_give(const struct web_file *file, const struct web_request *request,
	struct web_answer *ret_answer)
{
	if (!is_read(request->method)) {
		ret_answer->allow = "GET, HEAD";
		web_say(ret_answer, STATUS_BAD_METHOD, "there is GET, and HEAD");
		return;
	}
	ret_answer->type = file->type;
	ret_answer->etag = file->etag;
	if (strstr(request->if_none_match, file->etag) != NULL) {
		ret_answer->status = STATUS_NOT_MODIFIED;
		ret_answer->borrowed = "";
		return;
	}
	ret_answer->status = STATUS_OK;
	ret_answer->borrowed = (const char *)file->octets;
	ret_answer->n = file->n;
}

void web_serve(struct web *web, const struct web_request *request, struct web_answer *ret_answer)
{
	const struct route *route = route_find(request->path);
	const struct web_file *file = web_file_find(request->path);

	if (!web_gate_knows_host(&web->gate, request->host))
		refuse(request, ret_answer, STATUS_MISDIRECTED,
			"weir-web does not go by this name: use its address, or start it with "
			"--host NAME");
	else if (file != NULL)
		file_give(file, request, ret_answer);
	else if (route == NULL)
		refuse(request, ret_answer, STATUS_NOT_FOUND, "there is nothing here; see /");
	else if (!is_misused(route, request, ret_answer)
		 && is_admitted(web, route, request, ret_answer))
		route->handle(web, request, ret_answer);
}

void web_clean(struct web *web)
{
	for (int i = 0; i < METRICS_MARKDOWN; i++)
		free(web->metrics[i].body);
	for (int i = 0; i < WEB_VIEWS; i++)
		free(web->views[i].body);
}
