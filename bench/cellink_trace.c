/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads capacity traces: mahimahi's opportunities, or `second Mbit/s`. */
#include "cellink_capacity.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_LINES_MAX 20000000u /* 160 MB of opportunities: an hour at 60 Mbit/s is 18 million */
#define MBPS_MAX        100000.0  /* no bearer carries 100 Gbit/s */
#define SECONDS_MAX     1e9

struct trace {
	const char *path;
	char *why;
	uint64_t line;
	int n_columns; /* 0 until the first line has told */
	size_t n, room;
	double first_s;
	uint32_t *at_ms;
	struct rate_step *steps;
};

static int trace_refuse(struct trace *t, const char *what)
{
	(void)snprintf(t->why, WHY_MAX, "%s:%llu: %s", t->path, (unsigned long long)t->line, what);
	return -EINVAL;
}

static int trace_grow(struct trace *t)
{
	size_t room = t->room > 0 ? 2 * t->room : 1024;
	void *grown;

	if (t->n < t->room)
		return 0;
	if (t->n >= TRACE_LINES_MAX)
		return trace_refuse(t, "more lines than a trace may have");
	if (t->n_columns == 1) {
		grown = realloc(t->at_ms, room * sizeof(*t->at_ms));
		t->at_ms = grown != NULL ? grown : t->at_ms;
	} else {
		grown = realloc(t->steps, room * sizeof(*t->steps));
		t->steps = grown != NULL ? grown : t->steps;
	}
	if (grown == NULL)
		return -ENOMEM;
	t->room = room;
	return 0;
}

static int trace_opportunity(struct trace *t, const char *text)
{
	char *end;
	unsigned long long ms;

	errno = 0;
	ms = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || ms > UINT32_MAX)
		return trace_refuse(t, "not a time in whole milliseconds");
	if (t->n > 0 && ms < t->at_ms[t->n - 1])
		return trace_refuse(t, "earlier than the line before");
	t->at_ms[t->n++] = (uint32_t)ms;
	return 0;
}

static bool parse_number(const char *text, double max, double *ret_value)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value) || value < 0 || value > max)
		return false;
	*ret_value = value;
	return true;
}

static int trace_step(struct trace *t, const char *at_text, const char *rate_text)
{
	struct rate_step step;
	double at_s, rate;

	if (!parse_number(at_text, SECONDS_MAX, &at_s) || !parse_number(rate_text, MBPS_MAX, &rate))
		return trace_refuse(t, "not `second Mbit/s`");
	if (t->n == 0)
		t->first_s = at_s;
	step.start_ns = (uint64_t)llround((at_s - t->first_s) * (double)NS_PER_S);
	step.rate_bps = (uint64_t)llround(rate * 1e6);
	if (t->n > 0 && (at_s < t->first_s || step.start_ns <= t->steps[t->n - 1].start_ns))
		return trace_refuse(t, "not later than the line before");
	t->steps[t->n++] = step;
	return 0;
}

static int trace_line(struct trace *t, char *line)
{
	static const char blanks[] = " \t\r\n";
	char *save, *first = strtok_r(line, blanks, &save);
	char *second = first != NULL ? strtok_r(NULL, blanks, &save) : NULL;
	char *third = second != NULL ? strtok_r(NULL, blanks, &save) : NULL;
	int n_columns = second != NULL ? 2 : 1;
	int ret;

	if (first == NULL || *first == '#')
		return 0;
	if (t->n_columns == 0)
		t->n_columns = n_columns;
	if (t->n_columns != n_columns || third != NULL)
		return trace_refuse(t, "a trace has one column, or two, in every line");
	ret = trace_grow(t);
	if (ret < 0)
		return ret;
	return n_columns == 1 ? trace_opportunity(t, first) : trace_step(t, first, second);
}

/* The last step lasts as long as the one before it; a single one, a second. */
static uint64_t trace_period_ns(const struct trace *t)
{
	uint64_t last_ns = t->steps[t->n - 1].start_ns;

	return last_ns + (t->n > 1 ? last_ns - t->steps[t->n - 2].start_ns : NS_PER_S);
}

static int trace_finish(struct trace *t, bool loop, struct capacity **ret_capacity)
{
	int ret = -EINVAL;

	if (t->n_columns == 1)
		ret = capacity_from_opportunities(t->at_ms, t->n, loop, ret_capacity);
	else if (t->n_columns == 2)
		ret = capacity_from_steps(t->steps, t->n, trace_period_ns(t), loop, ret_capacity);
	if (ret == -EINVAL)
		(void)snprintf(t->why, WHY_MAX, "%s: a trace that carries nothing", t->path);
	return ret;
}

int capacity_load(const char *path, bool loop, char *why, struct capacity **ret_capacity)
{
	struct trace t = {.path = path, .why = why};
	char *line = NULL;
	size_t room = 0;
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (file == NULL) {
		ret = -errno;
		(void)snprintf(why, WHY_MAX, "%s: %s", path, strerror(-ret));
		return ret;
	}
	while (ret == 0 && getline(&line, &room, file) >= 0) {
		t.line++;
		ret = trace_line(&t, line);
	}
	if (ret == 0 && ferror(file)) {
		ret = -EIO;
		(void)snprintf(why, WHY_MAX, "%s: %s", path, strerror(EIO));
	}
	if (ret == 0)
		ret = trace_finish(&t, loop, ret_capacity);
	if (ret == -ENOMEM)
		(void)snprintf(why, WHY_MAX, "%s: %s", path, strerror(ENOMEM));
	free(line);
	free(t.at_ms);
	free(t.steps);
	(void)fclose(file);
	return ret;
}
