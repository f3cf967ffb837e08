/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_history.h"

#include "history_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATUS_BAD       400
#define STATUS_NOT_FOUND 404
#define STATUS_TROUBLE   500

/* A time of the query; `otherwise` where there is none. Returns 0, or -1 for what is no time. */
static int time_read(
	const struct web_query *query, const char *name, int64_t otherwise, int64_t *ret_s)
{
	const char *text = web_query_find(query, name);
	long long n;
	char *end;

	*ret_s = otherwise;
	if (text == NULL)
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < 0)
		return -1;
	*ret_s = n;
	return 0;
}

/* Returns NULL, or what is wrong. */
static const char *query_read(const struct web_query *query, struct history_query *ret_query)
{
	const char *per = web_query_find(query, "per");
	const char *series = web_query_find(query, "series");

	*ret_query = (struct history_query){.series = series == NULL ? "total" : series,
		.key = web_query_find(query, "key"),
		.mac = web_query_find(query, "mac")};
	if (per != NULL && history_level_parse(per, &ret_query->level) != 0)
		return "per is minute, hour or day";
	if (time_read(query, "to", (int64_t)time(NULL) + 1, &ret_query->to_s) != 0
		|| time_read(query, "from",
			   ret_query->to_s - history_usual_span_s(ret_query->level),
			   &ret_query->from_s)
			   != 0)
		return "from and to are seconds since 1970";
	return NULL;
}

static unsigned int status_of(int why)
{
	if (why == -EINVAL)
		return STATUS_BAD;
	return why == -ENOENT ? STATUS_NOT_FOUND : STATUS_TROUBLE;
}

int web_history_answer(
	struct web *web, const struct web_query *query, struct web_answer *ret_answer)
{
	char error[CONNECTION_ERROR_MAX];
	struct history_query q;
	const char *wrong = query_read(query, &q);
	json_t *answer;
	char *text;
	int why;

	if (web->history == NULL) {
		web_refuse(ret_answer, STATUS_NOT_FOUND, "this weir-web keeps no history");
		return 0;
	}
	if (wrong != NULL) {
		web_refuse(ret_answer, STATUS_BAD, wrong);
		return 0;
	}
	answer = history_ask(web->history, &q, &why, error);
	if (answer == NULL) {
		web_refuse(ret_answer, status_of(why), error);
		return 0;
	}
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text == NULL)
		return -ENOMEM;
	web_give_json(ret_answer, text, strlen(text));
	return 0;
}
