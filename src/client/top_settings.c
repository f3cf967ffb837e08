/* SPDX-License-Identifier: BSD-3-Clause */
/* The words behind "weirctl top". */
#include "top.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN_S 0.2
#define INTERVAL_MAX_S 3600.0

enum {
	OPTION_ONCE = 256,
	OPTION_SORT
};

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "weir's control socket", 0},
	{"delay", 'd', "SECONDS", 0, "between two looks (default 2; 1 with --once)", 0},
	{"once", OPTION_ONCE, NULL, 0,
		"print one screen as text, LINES by COLUMNS of the environment, or 24 by 80", 0},
	{"json", 'j', NULL, 0, "with --once: what is known, with rates, as JSON", 0},
	{"sort", OPTION_SORT, "ORDER", 0, "rate, total or name", 0},
	{"filter", 'f', "TEXT", 0, "rows with this text only", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static void delay_parse(const char *text, struct argp_state *state, struct top_settings *s)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0'
		|| !(seconds >= INTERVAL_MIN_S && seconds <= INTERVAL_MAX_S))
		argp_error(state, "--delay takes seconds, from %g to %g, not \"%s\"",
			INTERVAL_MIN_S, INTERVAL_MAX_S, text);
	s->interval_ms = (uint32_t)(seconds * 1000);
}

static void order_parse(const char *text, struct argp_state *state, struct top_settings *s)
{
	static const char *const names[N_ORDERS] = {"rate", "total", "name"};
	enum top_order order = 0;

	while (order < N_ORDERS && strcmp(names[order], text) != 0)
		order++;
	if (order == N_ORDERS)
		argp_error(state, "--sort takes rate, total or name, not \"%s\"", text);
	s->order = order;
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct top_settings *s = state->input;

	switch (key) {
	case 's':
		s->socket = arg;
		return 0;
	case 'd':
		delay_parse(arg, state, s);
		return 0;
	case OPTION_ONCE:
		s->once = true;
		return 0;
	case 'j':
		s->json = true;
		return 0;
	case OPTION_SORT:
		order_parse(arg, state, s);
		return 0;
	case 'f':
		s->filter = arg;
		return 0;
	case ARGP_KEY_ARG:
		s->pane = top_pane_named(arg);
		if (s->pane == N_PANES || state->arg_num > 0)
			argp_error(state, "top shows one of: %s", top_pane_names);
		return 0;
	case ARGP_KEY_END:
		if (s->json && !s->once)
			argp_error(state, "--json goes with --once");
		if (s->interval_ms == 0)
			s->interval_ms = s->once ? 1000 : 2000;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void top_settings_read(int argc, char **argv, struct top_settings *settings)
{
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc = "[devices|classes|flows|plans|link|drops]",
		.doc = "A live view of a running weir: uplinks with their rates and delays, plans "
		       "with their forecasts, and who uses them. Press ? for its keys.",
	};

	if (argp_parse(&argp, argc, argv, 0, NULL, settings) != 0)
		exit(EXIT_FAILURE);
}
