/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl: what a running weir is doing, in tables for people or JSON for programs. */
#include "connection.h"
#include "top.h"
#include "views.h"

#include <weir/base/addr.h>
#include <weir/base/units.h>
#include <weir/proto/message.h>

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/weir/weir.sock"

enum {
	EXIT_TROUBLE = 1,
	EXIT_USAGE = 2
};

enum {
	OPTION_SORT = 256
};

struct arguments {
	const char *socket;
	const char *plan;    /* of a command; with what is to be told of it: */
	const char *command; /* a key of the request; NULL: show */
	bool has_octets;
	uint64_t octets;
	const char *sort;
	const char *device;
	const struct view *view;
	int top_at;         /* place of the word "top"; 0: not given */
	bool show;          /* the command was given */
	bool tells_of_plan; /* or this one */
	bool json;
	bool all;
	bool limited;
	uint64_t limit;
};

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "weir's control socket (default " DEFAULT_SOCKET ")", 0},
	{"json", 'j', NULL, 0, "print the answer as JSON, as weir gives it", 0},
	{"all", 'a', NULL, 0, "every row: all flows, drop reasons that never happened", 0},
	{"limit", 'n', "N", 0, "at most N rows (flows and devices: 100 unless --all)", 0},
	{"device", 'd', "ADDRESS", 0, "flows, devices and clocks: those of this address alone", 0},
	{"sort", OPTION_SORT, "COLUMN", 0, "by this column: numbers from the largest, text from A",
		0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static const char plan_usage[] = "plan top-up NAME 100MB, plan set-used NAME 123MB";

static void limit_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > INT64_MAX)
		argp_error(state, "--limit takes a number of rows, not \"%s\"", text);
	a->limit = n;
	a->limited = true;
}

static void device_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	struct ip_addr address;

	if (ip_addr_parse(text, &address) != 0)
		argp_error(
			state, "--device takes an address such as 192.168.50.10, not \"%s\"", text);
	a->device = text;
}

/* weirctl plan top-up NAME OCTETS, word by word. */
static void plan_word_parse(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->command == NULL) {
		if (strcmp(word, "top-up") == 0)
			a->command = "top_up_octets";
		else if (strcmp(word, "set-used") == 0)
			a->command = "set_used_octets";
		else
			argp_error(state, "\"%s\" is nothing to tell of a plan; there is: %s", word,
				plan_usage);
	} else if (a->plan == NULL) {
		a->plan = word;
	} else if (a->has_octets) {
		argp_error(state, "\"%s\" is one word too many", word);
	} else if (units_parse_octets(word, &a->octets) != 0 || a->octets > INT64_MAX) {
		argp_error(state, "\"%s\" is no amount of octets; write one such as 100MB", word);
	} else {
		a->has_octets = true;
	}
}

static void show_word_parse(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->view != NULL)
		argp_error(state, "\"%s\" is one word too many", word);
	a->view = view_find(word);
	if (a->view == NULL)
		argp_error(state, "nothing is called \"%s\"; there is: show %s", word, view_names);
}

static void word_parse(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->tells_of_plan) {
		plan_word_parse(word, state, a);
	} else if (a->show) {
		show_word_parse(word, state, a);
	} else if (strcmp(word, "top") == 0) {
		/* what follows is top's to read */
		a->top_at = state->next - 1;
		state->next = state->argc;
	} else if (strcmp(word, "plan") == 0) {
		a->tells_of_plan = true;
	} else if (strcmp(word, "show") == 0) {
		a->show = true;
	} else {
		argp_error(state,
			"there is no command \"%s\"; there is: show %s, and: %s, and: top", word,
			view_names, plan_usage);
	}
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 's':
		a->socket = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'a':
		a->all = true;
		return 0;
	case 'n':
		limit_parse(arg, state, a);
		return 0;
	case 'd':
		device_parse(arg, state, a);
		return 0;
	case OPTION_SORT:
		a->sort = arg;
		return 0;
	case ARGP_KEY_ARG:
		word_parse(arg, state, a);
		return 0;
	case ARGP_KEY_END:
		if (a->tells_of_plan && !a->has_octets)
			argp_error(state, "say which plan and how much: %s", plan_usage);
		if (a->view == NULL && !a->tells_of_plan && a->top_at == 0)
			argp_error(state, "say what to show: show %s", view_names);
		if (a->json && a->sort != NULL)
			argp_error(state,
				"--json prints the answer as weir gives it: --sort is for tables");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Lines of an answer as they come, cut from its parts. */
struct lines {
	struct table *table;
	char *held; /* the beginning of a line whose end is still to come */
	size_t n_held;
	uint64_t n_total; /* what the listing's last line says */
};

static int row_take(struct lines *l, const char *line, size_t n, char *error)
{
	json_t *object;
	int result;

	if (n > 0 && line[n - 1] == ',')
		n--;
	object = json_loadb(line, n, 0, NULL);
	result = object == NULL ? -EINVAL : table_add(l->table, object);
	if (result != 0)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
			result == -ENOMEM ? "no memory"
					  : "weir's answer is not what this weirctl knows");
	json_decref(object);
	return result == 0 ? 0 : -1;
}

static int line_take(struct lines *l, const char *line, size_t n, char *error)
{
	static const char total[] = "\"n_total\":";
	const char *found;

	if (n >= 2 && line[n - 1] == '[')
		return 0; /* {"flows":[ */
	if (n == 0 || line[0] == '{')
		return n == 0 ? 0 : row_take(l, line, n, error);
	/* ],"n_rows":1,"n_total":2} — strtoull stops at the brace */
	found = memmem(line, n, total, sizeof(total) - 1);
	if (found != NULL)
		l->n_total = strtoull(found + sizeof(total) - 1, NULL, 10);
	return 0;
}

static int held_append(struct lines *l, const char *bytes, size_t n, char *error)
{
	char *held;

	if (l->n_held + n > MESSAGE_ANSWER_MAX) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "a line of weir's answer has no end");
		return -1;
	}
	held = realloc(l->held, l->n_held + n + 1);
	if (held == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	memcpy(held + l->n_held, bytes, n);
	l->held = held;
	l->n_held += n;
	held[l->n_held] = '\0';
	return 0;
}

static int lines_sink(void *context, const char *bytes, size_t n, char *error)
{
	struct lines *l = context;
	const char *end = bytes + n;
	const char *newline;

	for (; (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL;
		bytes = newline + 1) {
		if (held_append(l, bytes, (size_t)(newline - bytes), error) != 0
			|| line_take(l, l->held, l->n_held, error) != 0)
			return -1;
		l->n_held = 0;
	}
	return held_append(l, bytes, (size_t)(end - bytes), error);
}

static int print_sink(void *context, const char *bytes, size_t n, char *error)
{
	FILE *out = context;

	if (fwrite(bytes, 1, n, out) == n)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot write: %s", strerror(errno));
	return -1;
}

/* The request as text; free it. The daemon is asked for no more rows than are wanted, unless they must be ordered first. */
static char *request_create(const struct arguments *a, uint64_t limit)
{
	json_t *request = json_pack("{s:s}", "show", a->view->name);
	char *text;

	if (limit < UINT64_MAX && a->sort == NULL && !a->view->upright)
		json_object_set_new(request, "limit", json_integer((json_int_t)limit));
	if (a->device != NULL)
		json_object_set_new(request, "device", json_string(a->device));
	if (a->all)
		json_object_set_new(request, "all", json_true());
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	return text;
}

static int show_json(const struct arguments *a, char *error)
{
	char *request = request_create(a, a->limited ? a->limit : UINT64_MAX);
	int result = request == NULL
			     ? -1
			     : connection_ask(a->socket, request, print_sink, stdout, error);

	free(request);
	if (result == 0)
		(void)putchar('\n');
	return result;
}

static void table_show(const struct arguments *a, struct table *t, uint64_t n_total)
{
	table_finish(t);
	if (a->view->upright) {
		table_print_upright(t, stdout);
		return;
	}
	if (t->n_rows == 0)
		(void)printf("%s\n", a->view->none);
	else
		table_print(t, stdout);
	if (t->n_rows > 0 && t->n_rows < n_total && a->device == NULL)
		(void)printf("\n%zu of %" PRIu64 "%s\n", t->n_rows, n_total,
			a->limited ? "" : "; the rest with --all");
}

static uint64_t table_limit(const struct arguments *a)
{
	if (a->limited)
		return a->limit;
	return a->all || a->view->default_rows == 0 ? UINT64_MAX : a->view->default_rows;
}

static int show_table(const struct arguments *a, struct table *t, char *error)
{
	struct lines lines = {.table = t};
	char *request = request_create(a, t->limit);
	int result = request == NULL
			     ? -1
			     : connection_ask(a->socket, request, lines_sink, &lines, error);

	/* The last line has no newline. */
	if (result == 0 && lines.n_held > 0)
		result = line_take(&lines, lines.held, lines.n_held, error);
	if (result == 0)
		table_show(a, t, lines.n_total);
	free(lines.held);
	free(request);
	return result;
}

static void explain_order(const struct arguments *a)
{
	(void)fprintf(stderr, "weirctl: no column is called \"%s\"; there are:", a->sort);
	for (uint32_t i = 0; i < a->view->n_columns; i++)
		(void)fprintf(stderr, "%s %s", i == 0 ? "" : ",", a->view->columns[i].key);
	(void)fputc('\n', stderr);
}

static int text_take(void *context, const char *bytes, size_t n, char *error)
{
	struct lines *l = context;

	return held_append(l, bytes, n, error);
}

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

/* Tells weir something of a plan; what it answers is true on its disk. */
static int tell_of_plan(const struct arguments *a, char *error)
{
	struct lines answer = {0};
	json_t *request =
		json_pack("{s:s, s:I}", "plan", a->plan, a->command, (json_int_t)a->octets);
	char *text = json_dumps(request, JSON_COMPACT);
	int result = text == NULL ? -1 : connection_ask(a->socket, text, text_take, &answer, error);

	if (result == 0 && a->json)
		(void)printf("%s\n", answer.held);
	else if (result == 0)
		result = plan_print(answer.held, answer.n_held, error);
	free(answer.held);
	free(text);
	json_decref(request);
	return result;
}

static int finish(int result, char *error)
{
	if (result == 0 && fflush(stdout) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot write: %s", strerror(errno));
		result = -1;
	}
	if (result == 0)
		return EXIT_SUCCESS;
	(void)fflush(stdout);
	(void)fprintf(stderr, "weirctl: %s\n", error);
	return EXIT_TROUBLE;
}

static int show(const struct arguments *a)
{
	char error[CONNECTION_ERROR_MAX] = "no memory";
	struct table table;
	int result;

	table_init(&table, a->view->columns, a->view->n_columns, table_limit(a));
	if (a->sort != NULL && table_set_order(&table, a->sort) != 0) {
		explain_order(a);
		return EXIT_USAGE;
	}
	result = a->json ? show_json(a, error) : show_table(a, &table, error);
	table_clean(&table);
	return finish(result, error);
}

static int top(const struct arguments *a, int argc, char **argv)
{
	struct top_settings settings = {.socket = a->socket, .filter = ""};
	char error[CONNECTION_ERROR_MAX] = "no memory";

	top_settings_read(argc - a->top_at, argv + a->top_at, &settings);
	return finish(
		settings.once ? top_print(&settings, error) : top_run(&settings, error), error);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc =
			"show "
			"status|flows|devices|plans|classes|ports|forwards|drops|stages|link|rules|"
			"clocks|unsolicited\n"
			"plan top-up NAME OCTETS\n"
			"plan set-used NAME OCTETS\n"
			"top [--help] [devices|classes|flows|plans|link|drops]",
		.doc = "Shows what a running weir is doing, and tells it what it cannot know: "
		       "octets that were bought on top of a plan's quota, or what the carrier "
		       "says its cycle has used.\v"
		       "Exits with 0, 1 (weir did not answer, or refused) or 2 (wrong arguments).",
	};
	struct arguments a = {.socket = DEFAULT_SOCKET};
	char error[CONNECTION_ERROR_MAX] = "no memory";

	argp_err_exit_status = EXIT_USAGE;
	argp_program_version = "weirctl " WEIR_VERSION;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a) != 0)
		return EXIT_USAGE;
	if (a.top_at > 0)
		return top(&a, argc, argv);
	return a.tells_of_plan ? finish(tell_of_plan(&a, error), error) : show(&a);
}
