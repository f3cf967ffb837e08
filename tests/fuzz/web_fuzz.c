/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any request gets an answer, and no request without the token gets one from weir. The input is lines: method, path, Host, Cookie,
 * Authorization, Content-Type, Sec-Fetch-Site, If-None-Match, the value of "after", and the rest is the body.
 */
#include "web.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN   "k7qf2m3xabcdefghjkmnpqrs"
#define N_LINES 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, NUL-terminated in place. */
static const char *line_take(char **at)
{
	char *line = *at;
	size_t n = strcspn(line, "\n");

	*at = line[n] == '\n' ? line + n + 1 : line + n;
	line[n] = '\0';
	return line;
}

static bool is_told_by_weir(const struct web_request *request, const struct web_answer *answer)
{
	bool is_weirs = strncmp(request->path, "/api/view/", 10) == 0
			|| strcmp(request->path, "/api/events") == 0
			|| strcmp(request->path, "/metrics") == 0;

	return is_weirs && (answer->status == 200 || answer->status == 503);
}

static void answer_check(const struct web_request *request, const struct web_answer *answer)
{
	json_t *object;

	if ((answer->body == NULL && answer->borrowed == NULL) || answer->status < 200
		|| answer->type == NULL)
		abort();
	if (is_told_by_weir(request, answer)
		&& strcasestr(request->authorization, "bearer") == NULL)
		abort();
	if (strcmp(answer->type, "application/json") != 0)
		return;
	object = json_loadb(answer->body, answer->n, 0, NULL);
	if (!json_is_object(object))
		abort();
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct web web = {.socket = "/nowhere/weir.sock"};
	struct web_answer answer = {0};
	struct web_request request = {.accept = "", .now_us = 1000000};
	const char *lines[N_LINES];
	char *text = malloc(size + 1);
	char *at = text;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (int i = 0; i < N_LINES; i++)
		lines[i] = line_take(&at);
	request.method = lines[0];
	request.path = lines[1];
	request.host = lines[2];
	request.cookie = lines[3];
	request.authorization = lines[4];
	request.content_type = lines[5];
	request.fetch_site = lines[6];
	request.if_none_match = lines[7];
	request.query = (struct web_query){.n = 1, .fields = {{"after", lines[8]}}};
	request.body = at;
	request.n_body = strlen(at);
	if (web_gate_set_token(&web.gate, TOKEN) != 0 || web_gate_add_host(&web.gate, "a") != 0)
		abort();
	web_serve(&web, &request, &answer);
	answer_check(&request, &answer);
	free(answer.body);
	web_clean(&web);
	free(text);
	return 0;
}
