/* SPDX-License-Identifier: BSD-3-Clause */
#include "tell.h"

#include "lines.h"

#include <weir/base/units.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* How the plan stands now, in one line. */
static int plan_print(const char *text, size_t n, char *error)
{
	json_t *o = json_loadb(text, n, 0, NULL);
	const char *name = NULL;
	json_int_t used = 0;
	json_int_t left = 0;
	json_int_t quota = 0;
	char words[3][UNITS_TEXT_MAX];

	if (json_unpack(o, "{s:s, s:I, s?I, s?I}", "plan", &name, "used_octets", &used,
		    "left_octets", &left, "quota_octets", &quota)
		!= 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
			"done, but weir's answer is not what this weirctl knows");
		json_decref(o);
		return -1;
	}
	(void)printf("%s: %s used", name, units_show_octets((uint64_t)used, words[0]));
	if (quota > 0)
		(void)printf(", %s left of %s", units_show_octets((uint64_t)left, words[1]),
			units_show_octets((uint64_t)quota, words[2]));
	(void)putchar('\n');
	json_decref(o);
	return 0;
}

/* Sends a request, which it takes over, and holds the answer; lines_clean() it in any case. */
static int ask(const char *socket, json_t *request, struct lines *answer, char *error)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int result = text == NULL ? -1 : connection_ask(socket, text, lines_hold, answer, error);

	free(text);
	json_decref(request);
	return result;
}

int tell_of_plan(
	const char *socket, const struct tell_plan *t, bool json, char error[CONNECTION_ERROR_MAX])
{
	struct lines answer = {0};
	int result = ask(socket,
		json_pack("{s:s, s:I}", "plan", t->plan, t->what, (json_int_t)t->octets), &answer,
		error);

	if (result == 0 && json)
		(void)printf("%s\n", answer.held);
	else if (result == 0)
		result = plan_print(answer.held, answer.n_held, error);
	lines_clean(&answer);
	return result;
}

int tell_of_link(
	const char *socket, const struct tell_link *t, bool json, char error[CONNECTION_ERROR_MAX])
{
	struct lines answer = {0};
	json_t *request = json_pack(
		"{s:s, s:s*, s:s*}", "link", t->link, "technology", t->technology, "cell", t->cell);
	int result;

	if (request != NULL && t->has_rsrp)
		json_object_set_new(request, "rsrp_dbm", json_integer(t->rsrp_dbm));
	result = ask(socket, request, &answer, error);
	if (result == 0 && json)
		(void)printf("%s\n", answer.held);
	lines_clean(&answer);
	return result;
}
