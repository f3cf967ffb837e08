/* SPDX-License-Identifier: BSD-3-Clause */
#include "web.h"
#include "web_files.h"
#include "web_token.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN  "k7qf2m3xabcdefghjkmnpqrs"
#define BEARER "Bearer " TOKEN
#define JSON   "application/json"

static struct web web;

static void web_init(void)
{
	web = (struct web){.socket = "/nowhere/weir.sock", .n_devices = 64};
	cr_assert_eq(web_gate_set_token(&web.gate, TOKEN), 0);
	cr_assert_eq(web_gate_add_host(&web.gate, "192.168.50.1"), 0);
}

static void web_end(void)
{
	web_clean(&web);
}

/* A request of somebody on a LAN, with nothing but what has to be. */
static struct web_request request_of(const char *method, const char *path)
{
	return (struct web_request){.method = method,
		.path = path,
		.host = "192.168.50.1:9469",
		.accept = "",
		.cookie = "",
		.authorization = "",
		.content_type = "",
		.fetch_site = "",
		.if_none_match = "",
		.body = "",
		.peer = {.octets = {[10] = 0xff, 0xff, 192, 168, 50, 10}},
		.now_us = web_now_us()};
}

static struct web_answer ask(const struct web_request *request)
{
	struct web_answer answer = {0};

	web_serve(&web, request, &answer);
	cr_assert(
		answer.body != NULL || answer.borrowed != NULL, "%s has no answer", request->path);
	return answer;
}

static unsigned int status_of(const struct web_request *request)
{
	struct web_answer answer = ask(request);

	free(answer.body);
	return answer.status;
}

Test(client_web_routes, answers_each_by_who_asks_and_how, .init = web_init, .fini = web_end)
{
	static const struct {
		const char *method;
		const char *path;
		const char *authorization;
		unsigned int want;
	} cases[] = {
		{"GET", "/", "", 200},
		{"HEAD", "/app.js", "", 200},
		{"POST", "/", "", 405},
		{"GET", "/healthz", "", 200},
		{"GET", "/nothing", "", 404},
		{"GET", "/index.html", "", 404},
		{"GET", "/../etc/passwd", "", 404},
		{"GET", "", "", 404},
		{"GET", "/metrics", "", 401},
		{"GET", "/metrics", "Bearer nonsense", 401},
		{"GET", "/metrics", BEARER, 503}, /* there is no weir */
		{"PUT", "/metrics", BEARER, 405},
		{"GET", "/api/view/status", "", 401},
		{"GET", "/api/view/status", BEARER, 503},
		{"GET", "/api/view/nonsense", "", 401}, /* strangers are not told what there is */
		{"GET", "/api/view/nonsense", BEARER, 404},
		{"GET", "/api/view/", BEARER, 404},
		{"GET", "/api/view", BEARER, 404},
		{"GET", "/api/view/x/status", BEARER, 404},
		{"POST", "/api/view/status", BEARER, 405},
		{"GET", "/api/events", "", 401},
		{"GET", "/api/events", BEARER, 503},
		{"GET", "/api/history", "", 401},
		{"GET", "/api/login", "", 405},
		{"GET", "/api/logout", "", 405},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct web_request request = request_of(cases[i].method, cases[i].path);

		request.authorization = cases[i].authorization;
		request.now_us += i * 60000000;
		cr_expect_eq(status_of(&request), cases[i].want, "%s %s %s", cases[i].method,
			cases[i].path, cases[i].authorization);
	}
}

Test(client_web_routes, metrics_are_open_on_the_machine_itself_or_where_that_was_said,
	.init = web_init, .fini = web_end)
{
	struct web_request request = request_of("GET", "/metrics");

	request.is_local = true;
	cr_expect_eq(status_of(&request), 503);
	request.path = "/api/view/status";
	cr_expect_eq(status_of(&request), 401, "nothing else is");
	request.is_local = false;
	web.has_open_metrics = true;
	cr_expect_eq(status_of(&request), 401);
	request.path = "/metrics";
	cr_expect_eq(status_of(&request), 503);
}

Test(client_web_routes, is_not_for_other_names_and_other_sites, .init = web_init, .fini = web_end)
{
	struct web_request request = request_of("GET", "/api/view/status");

	request.authorization = BEARER;
	request.host = "evil.example";
	cr_expect_eq(status_of(&request), 421);
	request.path = "/healthz";
	cr_expect_eq(status_of(&request), 421);
	request = request_of("GET", "/api/view/status");
	request.authorization = BEARER;
	request.fetch_site = "cross-site";
	cr_expect_eq(status_of(&request), 403);
	request.fetch_site = "same-site";
	cr_expect_eq(status_of(&request), 403);
	request.fetch_site = "same-origin";
	cr_expect_eq(status_of(&request), 503);
}

/* Logs in with a body; the status, and the cookie as it is sent back. */
static unsigned int login(const char *body, const char *type, char cookie[WEB_COOKIE_MAX])
{
	struct web_request request = request_of("POST", "/api/login");
	struct web_answer answer;

	request.body = body;
	request.n_body = strlen(body);
	request.content_type = type;
	answer = ask(&request);
	free(answer.body);
	memcpy(cookie, answer.set_cookie, WEB_COOKIE_MAX);
	cookie[strcspn(cookie, ";")] = '\0';
	return answer.status;
}

Test(client_web_routes, a_login_opens_and_a_logout_closes, .init = web_init, .fini = web_end)
{
	struct web_request request;
	char cookie[WEB_COOKIE_MAX];

	cr_assert_eq(login("{\"token\":\"" TOKEN "\"}", JSON, cookie), 204);
	request = request_of("GET", "/api/view/status");
	request.cookie = cookie;
	cr_expect_eq(status_of(&request), 503);
	request = request_of("POST", "/api/logout");
	request.cookie = cookie;
	request.content_type = JSON;
	cr_expect_eq(status_of(&request), 204);
	request = request_of("GET", "/api/view/status");
	request.cookie = cookie;
	cr_expect_eq(status_of(&request), 401);
}

Test(client_web_routes, a_login_is_json_of_bounded_length, .init = web_init, .fini = web_end)
{
	static const struct {
		const char *body;
		const char *type;
		unsigned int want;
	} cases[] = {
		{"token=" TOKEN, "application/x-www-form-urlencoded", 415},
		{"{\"token\":\"" TOKEN "\"}", "text/plain", 415},
		{"{\"token\":\"" TOKEN "\"}", "", 415},
		{"", JSON, 400},
		{"{", JSON, 400},
		{"[]", JSON, 400},
		{"{\"token\":7}", JSON, 400},
		{"{\"token\":\"wrong\"}", JSON, 403},
		{"{\"token\":\"" TOKEN "\"}", JSON "; charset=utf-8", 204},
	};
	struct web_request request = request_of("POST", "/api/login");
	char cookie[WEB_COOKIE_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(login(cases[i].body, cases[i].type, cookie), cases[i].want, "%s",
			cases[i].body);
	request.content_type = JSON;
	request.n_body = WEB_BODY_MAX + 1;
	cr_expect_eq(status_of(&request), 413);
}

Test(client_web_routes, says_how_long_to_wait_after_wrong_tokens, .init = web_init, .fini = web_end)
{
	struct web_request request = request_of("GET", "/metrics");
	struct web_answer answer;

	request.authorization = "Bearer wrong";
	for (int i = 0; i < WEB_GUESSES_FREE; i++)
		cr_expect_eq(status_of(&request), 401);
	answer = ask(&request);
	cr_expect_eq(answer.status, 429);
	cr_expect_eq(answer.retry_s, 1);
	free(answer.body);
}

Test(client_web_routes, a_sentence_becomes_json_whatever_is_in_it)
{
	static const char *const sentences[] = {
		"plain", "\"quoted\" \\ and </script>", "a\nb\tc\x01"};

	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		struct web_answer answer = {0};
		json_t *object;

		web_refuse(&answer, 400, sentences[i]);
		object = json_loadb(answer.body, answer.n, 0, NULL);
		cr_expect_str_eq(json_string_value(json_object_get(object, "error")), sentences[i]);
		cr_expect_str_eq(answer.type, JSON);
		json_decref(object);
		free(answer.body);
	}
}

Test(client_web_routes, events_have_a_cursor_that_is_a_number, .init = web_init, .fini = web_end)
{
	static const struct {
		const char *after;
		unsigned int want;
	} cases[] = {{"0", 503}, {"123456", 503}, {"", 400}, {"-1", 400}, {"1e3", 400},
		{"1,\"x\":2", 400}, {"99999999999999999999999", 400}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct web_request request = request_of("GET", "/api/events");

		request.authorization = BEARER;
		request.query = (struct web_query){.n = 1, .fields = {{"after", cases[i].after}}};
		cr_expect_eq(status_of(&request), cases[i].want, "%s", cases[i].after);
	}
}

Test(client_web_routes, files_of_the_page_are_whole_and_asked_for_once, .init = web_init,
	.fini = web_end)
{
	for (size_t i = 0; i < web_n_files; i++) {
		struct web_request request = request_of("GET", web_files[i].path);
		struct web_answer answer = ask(&request);

		cr_expect_eq(answer.status, 200, "%s", web_files[i].path);
		cr_expect(answer.n > 50 && answer.etag != NULL, "%s", web_files[i].path);
		request.if_none_match = answer.etag;
		cr_expect_eq(status_of(&request), 304, "%s", web_files[i].path);
	}
}

Test(client_web_routes, the_page_has_nothing_that_its_policy_forbids)
{
	static const char *const forbidden[] = {"<style",
		" style=", " onclick=", " onload=", "javascript:", "http://", "https://", "eval(",
		"innerHTML", "insertAdjacentHTML", "document.write"};
	const struct web_file *page = web_file_find("/");
	const char *script;

	cr_assert_not_null(page);
	for (size_t i = 0; i < web_n_files; i++) {
		/* The chart library is held to the same by the browser in tests/integration. */
		if (strncmp(web_files[i].path, "/uPlot", 6) == 0
			|| strcmp(web_files[i].path, "/icon.svg") == 0)
			continue;
		for (size_t k = 0; k < sizeof(forbidden) / sizeof(forbidden[0]); k++) {
			const char *found = memmem(web_files[i].octets, web_files[i].n,
				forbidden[k], strlen(forbidden[k]));

			/* The name of a namespace is no address. */
			cr_expect(found == NULL
					  || strncmp(found, "http://www.w3.org/2000/svg", 26) == 0,
				"%s in %s", forbidden[k], web_files[i].path);
		}
	}
	script = memmem(page->octets, page->n, "<script", 7);
	while (script != NULL) {
		const char *end = (const char *)page->octets + page->n;

		cr_expect(memmem(script, (size_t)(end - script), "></script>", 10)
				  == memchr(script, '>', (size_t)(end - script)),
			"a script in the page itself");
		script = memmem(script + 1, (size_t)(end - script - 1), "<script", 7);
	}
}

static char folder[] = "/tmp/weir-web-XXXXXX";
static char file[64];

static void folder_make(void)
{
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/state/token", folder);
}

static void folder_remove(void)
{
	char state[64];

	(void)unlink(file);
	(void)snprintf(state, sizeof(state), "%s/state", folder);
	(void)rmdir(state);
	(void)rmdir(folder);
}

Test(client_web_routes, a_token_is_made_once_and_for_its_owner_alone, .init = folder_make,
	.fini = folder_remove)
{
	struct web_gate first = {0};
	struct web_gate second = {0};
	char error[CONNECTION_ERROR_MAX];
	struct stat st;

	cr_assert_eq(web_token_open(&first, file, error), 0, "%s", error);
	cr_assert_eq(stat(file, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(web_token_open(&second, file, error), 0, "%s", error);
	cr_expect_str_eq(first.token, second.token);
	cr_expect_eq(strlen(first.token), 24);
	cr_assert_eq(chmod(file, 0640), 0);
	cr_expect_eq(web_token_open(&second, file, error), -1);
	cr_expect(strstr(error, "chmod 600") != NULL, "%s", error);
	cr_assert_eq(chmod(file, 0600), 0);
	cr_assert_eq(truncate(file, 10), 0);
	cr_expect_eq(web_token_open(&second, file, error), -1);
	cr_expect(strstr(error, "holds no token") != NULL, "%s", error);
}
