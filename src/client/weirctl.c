/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl: what a running weir is doing, in tables for people or JSON for programs. */
#include "events.h"
#include "history_show.h"
#include "metrics.h"
#include "show.h"
#include "tell.h"
#include "top.h"

#include <weir/base/addr.h>
#include <weir/base/units.h>

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/weir/weir.sock"

enum {
	EXIT_TROUBLE = 1,
	EXIT_USAGE = 2
};

enum {
	OPTION_SORT = 256,
	OPTION_DEVICES,
	OPTION_FORMAT,
	OPTION_TECHNOLOGY,
	OPTION_CELL,
	OPTION_RSRP,
	OPTION_FILE,
	OPTION_SERIES,
	OPTION_KEY,
	OPTION_PER,
	OPTION_SINCE
};

struct arguments {
	const struct command *command; /* NULL: not said yet */
	struct show_options show;      /* its socket and `json` are everybody's */
	struct tell_plan plan;
	bool has_octets;
	struct tell_link link;
	struct metrics_options metrics;
	struct history_showing history;
	bool follow;
	int n_rest; /* words from the command on, where it reads them itself */
	char **rest;
};

/* A command: what it does with the words behind it, what it misses at the end, and what it does. */
struct command {
	const char *name;
	void (*take)(const char *word, struct argp_state *state, struct arguments *a);
	const char *(*missing)(const struct arguments *a); /* NULL: nothing */
	int (*run)(const struct arguments *a, char *error);
};

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "weir's control socket (default " DEFAULT_SOCKET ")", 0},
	{"json", 'j', NULL, 0, "print the answer as JSON, as weir gives it", 0},
	{"all", 'a', NULL, 0, "every row: all flows, drop reasons that never happened", 0},
	{"limit", 'n', "N", 0, "at most N rows (flows and devices: 100 unless --all)", 0},
	{"device", 'd', "ADDRESS", 0, "flows, devices and clocks: those of this address alone", 0},
	{"sort", OPTION_SORT, "COLUMN", 0, "by this column: numbers from the largest, text from A",
		0},
	{"follow", 'f', NULL, 0, "events: go on, with each as it happens", 0},
	{"devices", OPTION_DEVICES, "N", 0,
		"metrics: the first N devices by themselves, the others in one sum (default 64)",
		0},
	{"format", OPTION_FORMAT, "FORMAT", 0,
		"metrics: prometheus (default), openmetrics, or markdown: what there is", 0},
	{"technology", OPTION_TECHNOLOGY, "NAME", 0, "link: 2g, 3g, nb-iot, lte-m, lte or 5g", 0},
	{"cell", OPTION_CELL, "HEX", 0, "link: identity of the cell", 0},
	{"rsrp", OPTION_RSRP, "DBM", 0, "link: signal, -156 to -31", 0},
	{"file", OPTION_FILE, "FILE", 0, "history: weir-web's (default " HISTORY_FILE ")", 0},
	{"series", OPTION_SERIES, "NAME", 0,
		"history: total (default), port, plan, class or device", 0},
	{"key", OPTION_KEY, "NAME", 0,
		"history: one of the series, over time: an address, a class; without, their sums",
		0},
	{"per", OPTION_PER, "PERIOD", 0, "history: minute, hour or day", 0},
	{"since", OPTION_SINCE, "TIME", 0, "history: so long ago, such as 2d (default a day)", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static const char plan_usage[] = "plan top-up NAME 100MB, plan set-used NAME 123MB";
static const char link_usage[] = "link NAME --technology lte --cell 1A2B03 --rsrp -97";

static void limit_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > INT64_MAX)
		argp_error(state, "--limit takes a number of rows, not \"%s\"", text);
	a->show.limit = n;
	a->show.limited = true;
}

static void devices_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || text[0] == '-' || n > METRICS_DEVICES_MAX)
		argp_error(state, "--devices takes a number up to %d, not \"%s\"",
			METRICS_DEVICES_MAX, text);
	a->metrics.n_devices = (uint32_t)n;
}

static void device_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	struct ip_addr address;

	if (ip_addr_parse(text, &address) != 0)
		argp_error(
			state, "--device takes an address such as 192.168.50.10, not \"%s\"", text);
	a->show.device = text;
}

static void rsrp_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < INT16_MIN || n > INT16_MAX)
		argp_error(state, "--rsrp takes a number of dBm such as -97, not \"%s\"", text);
	a->link.rsrp_dbm = (int)n;
	a->link.has_rsrp = true;
}

static void since_parse(const char *text, struct argp_state *state, struct arguments *a)
{
	if (units_parse_time(text, &a->history.since_us) != 0 || a->history.since_us == 0)
		argp_error(state, "--since takes a time such as 3h or 2d, not \"%s\"", text);
}

static void one_too_many(
	const char *word, struct argp_state *state, __attribute__((unused)) struct arguments *a)
{
	argp_error(state, "\"%s\" is one word too many", word);
}

static void show_take(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->show.view != NULL)
		one_too_many(word, state, a);
	a->show.view = view_find(word);
	if (a->show.view == NULL)
		argp_error(state, "nothing is called \"%s\"; there is: show %s", word, view_names);
}

static const char *show_missing(const struct arguments *a)
{
	return a->show.view == NULL ? "what to show: weirctl --help names it all" : NULL;
}

static int show_run(const struct arguments *a, char *error)
{
	return show(&a->show, error);
}

/* top-up NAME OCTETS, word by word. */
static void plan_take(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->plan.what == NULL) {
		if (strcmp(word, "top-up") == 0)
			a->plan.what = "top_up_octets";
		else if (strcmp(word, "set-used") == 0)
			a->plan.what = "set_used_octets";
		else
			argp_error(state, "\"%s\" is nothing to tell of a plan; there is: %s", word,
				plan_usage);
	} else if (a->plan.plan == NULL) {
		a->plan.plan = word;
	} else if (a->has_octets) {
		one_too_many(word, state, a);
	} else if (units_parse_octets(word, &a->plan.octets) != 0 || a->plan.octets > INT64_MAX) {
		argp_error(state, "\"%s\" is no amount of octets; write one such as 100MB", word);
	} else {
		a->has_octets = true;
	}
}

static const char *plan_missing(const struct arguments *a)
{
	return a->has_octets ? NULL : "which plan and how much: plan top-up NAME 100MB";
}

static int plan_run(const struct arguments *a, char *error)
{
	return tell_of_plan(a->show.socket, &a->plan, a->show.json, error);
}

static void link_take(const char *word, struct argp_state *state, struct arguments *a)
{
	if (a->link.link != NULL)
		one_too_many(word, state, a);
	a->link.link = word;
}

static bool has_hint(const struct arguments *a)
{
	return a->link.technology != NULL || a->link.cell != NULL || a->link.has_rsrp;
}

static const char *link_missing(const struct arguments *a)
{
	return a->link.link == NULL || !has_hint(a)
		       ? "which link and what its modem tells: link NAME --cell 1A2B03"
		       : NULL;
}

static int link_run(const struct arguments *a, char *error)
{
	return tell_of_link(a->show.socket, &a->link, a->show.json, error);
}

static int events_run(const struct arguments *a, char *error)
{
	struct events_options wanted = {.limit = a->show.limited ? a->show.limit : UINT64_MAX,
		.follow = a->follow,
		.json = a->show.json};

	return events_show(a->show.socket, &wanted, stdout, error);
}

static int metrics_run(const struct arguments *a, char *error)
{
	if (a->metrics.format == METRICS_MARKDOWN) {
		metrics_describe(stdout);
		return 0;
	}
	return metrics_write(a->show.socket, &a->metrics, stdout, error);
}

static int history_run(const struct arguments *a, char *error)
{
	struct history_showing wanted = a->history;

	wanted.json = a->show.json;
	return history_show(&wanted, error);
}

static int live_run(const struct arguments *a, char *error)
{
	struct top_settings settings = {.socket = a->show.socket, .filter = ""};

	top_settings_read(a->n_rest, a->rest, &settings);
	return settings.once ? top_print(&settings, error) : top_run(&settings, error);
}

static const struct command commands[] = {
	{"show", show_take, show_missing, show_run},
	{"top", NULL, NULL, live_run}, /* reads its words itself */
	{"events", one_too_many, NULL, events_run},
	{"metrics", one_too_many, NULL, metrics_run},
	{"history", one_too_many, NULL, history_run},
	{"plan", plan_take, plan_missing, plan_run},
	{"link", link_take, link_missing, link_run},
};

static void command_take(const char *word, struct argp_state *state, struct arguments *a)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(word, commands[i].name) == 0)
			a->command = &commands[i];
	if (a->command == NULL)
		argp_error(state,
			"there is no command \"%s\"; there is: show %s, top, events, metrics, "
			"history, %s, "
			"%s",
			word, view_names, plan_usage, link_usage);
	else if (a->command->take == NULL) {
		a->n_rest = state->argc - state->next + 1;
		a->rest = state->argv + state->next - 1;
		state->next = state->argc;
	}
}

static void check_whole(struct argp_state *state, const struct arguments *a)
{
	const char *missing = NULL;

	if (a->command == NULL)
		argp_error(state, "say what to do: show %s, top, events, metrics, history, %s, %s",
			view_names, plan_usage, link_usage);
	else if (a->command->missing != NULL)
		missing = a->command->missing(a);
	if (missing != NULL)
		argp_error(state, "say %s", missing);
	if (has_hint(a) && a->link.link == NULL)
		argp_error(state, "--technology, --cell and --rsrp are told of a link: %s",
			link_usage);
	if (a->show.json && a->show.sort != NULL)
		argp_error(
			state, "--json prints the answer as weir gives it: --sort is for tables");
}

static error_t history_option_parse(
	int key, char *arg, struct argp_state *state, struct arguments *a)
{
	if (key == OPTION_FILE)
		a->history.file = arg;
	else if (key == OPTION_SERIES)
		a->history.series = arg;
	else if (key == OPTION_KEY)
		a->history.key = arg;
	else if (key == OPTION_PER)
		a->history.per = arg;
	else if (key == OPTION_SINCE)
		since_parse(arg, state, a);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

static error_t radio_option_parse(int key, char *arg, struct argp_state *state, struct arguments *a)
{
	if (key == OPTION_TECHNOLOGY)
		a->link.technology = arg;
	else if (key == OPTION_CELL)
		a->link.cell = arg;
	else if (key == OPTION_RSRP)
		rsrp_parse(arg, state, a);
	else
		return history_option_parse(key, arg, state, a);
	return 0;
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 's':
		a->show.socket = arg;
		return 0;
	case 'j':
		a->show.json = true;
		return 0;
	case 'a':
		a->show.all = true;
		return 0;
	case 'n':
		limit_parse(arg, state, a);
		return 0;
	case 'd':
		device_parse(arg, state, a);
		return 0;
	case 'f':
		a->follow = true;
		return 0;
	case OPTION_SORT:
		a->show.sort = arg;
		return 0;
	case OPTION_DEVICES:
		devices_parse(arg, state, a);
		return 0;
	case OPTION_FORMAT:
		if (metrics_format_parse(arg, &a->metrics.format) != 0)
			argp_error(state,
				"--format is prometheus, openmetrics or markdown, not \"%s\"", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (a->command == NULL)
			command_take(arg, state, a);
		else
			a->command->take(arg, state, a);
		return 0;
	case ARGP_KEY_END:
		check_whole(state, a);
		return 0;
	default:
		return radio_option_parse(key, arg, state, a);
	}
}

static int finish(int result, char *error)
{
	if (result == 0 && fflush(stdout) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot write: %s", strerror(errno));
		result = -1;
	}
	if (result == 0)
		return EXIT_SUCCESS;
	if (result == SHOW_NO_COLUMN)
		return EXIT_USAGE;
	(void)fflush(stdout);
	(void)fprintf(stderr, "weirctl: %s\n", error);
	return EXIT_TROUBLE;
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
			"top [--help] [devices|classes|flows|plans|link|drops]\n"
			"events [--follow]\n"
			"metrics\n"
			"history [--series NAME] [--key NAME] [--per PERIOD] [--since TIME]\n"
			"plan top-up NAME OCTETS\n"
			"plan set-used NAME OCTETS\n"
			"link NAME [--technology NAME] [--cell HEX] [--rsrp DBM]",
		.doc = "Shows what a running weir is doing, and tells it what it cannot know: "
		       "octets that were bought on top of a plan's quota, what the carrier "
		       "says its cycle has used, or what a modem says of its radio.\v"
		       "Exits with 0, 1 (weir did not answer, or refused) or 2 (wrong arguments).",
	};
	struct arguments a = {.show.socket = DEFAULT_SOCKET,
		.metrics = METRICS_DEFAULTS,
		.history = {.file = HISTORY_FILE, .series = "total"}};
	char error[CONNECTION_ERROR_MAX] = "no memory";

	argp_err_exit_status = EXIT_USAGE;
	argp_program_version = "weirctl " WEIR_VERSION;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a) != 0)
		return EXIT_USAGE;
	return finish(a.command->run(&a, error), error);
}
