/* SPDX-License-Identifier: BSD-3-Clause */
#include "events.h"

#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct printing {
	const struct events_options *options;
	FILE *out;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "?" : text;
}

/* As in the log: what holds a space stands in quotes. What a stranger may have named cannot steer a terminal. */
static void value_print(const json_t *value, FILE *out)
{
	const char *text = json_string_value(value);
	const char *quote;

	if (text == NULL) {
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	}
	quote = text[0] == '\0' || strchr(text, ' ') != NULL ? "\"" : "";
	(void)fputs(quote, out);
	for (const char *c = text; *c != '\0'; c++)
		(void)fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, out);
	(void)fputs(quote, out);
}

static void event_print(json_t *event, FILE *out)
{
	const json_t *lost = json_object_get(event, "lost");
	const char *key;
	json_t *value;

	if (lost != NULL) {
		(void)fprintf(out,
			"(%" JSON_INTEGER_FORMAT " events lost: they were read too slowly)\n",
			json_integer_value(lost));
		return;
	}
	(void)fprintf(out, "%s %-7s %s", text_of(event, "time"), text_of(event, "severity"),
		text_of(event, "event"));
	json_object_foreach(json_object_get(event, "fields"), key, value)
	{
		(void)fprintf(out, " %s=", key);
		value_print(value, out);
	}
	(void)fputc('\n', out);
}

static int line_take(void *context, const char *line, size_t n, char *error)
{
	const struct printing *p = context;
	json_t *event;

	/* The first line opens the document, the last one closes it; rows but the first have a comma before them. */
	if (n == 0 || line[0] == ']' || line[n - 1] == '[')
		return 0;
	if (line[0] == ',') {
		line++;
		n--;
	}
	if (p->options->json) {
		(void)fprintf(p->out, "%.*s\n", (int)n, line);
	} else {
		event = json_loadb(line, n, 0, NULL);
		if (event == NULL) {
			(void)snprintf(error, CONNECTION_ERROR_MAX,
				"weir's answer is not what this weirctl knows");
			return -1;
		}
		event_print(event, p->out);
		json_decref(event);
	}
	if (fflush(p->out) == 0)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot write: %s", strerror(errno));
	return -1;
}

int events_show(const char *socket, const struct events_options *options, FILE *out,
	char error[CONNECTION_ERROR_MAX])
{
	struct printing printing = {.options = options, .out = out};
	struct lines lines = {.take = line_take, .context = &printing};
	json_t *request = json_pack("{s:s, s:b}", "show", "events", "follow", options->follow);
	char *text;
	int result = -1;

	if (options->limit < INT64_MAX)
		json_object_set_new(request, "limit", json_integer((json_int_t)options->limit));
	text = json_dumps(request, JSON_COMPACT);
	if (text == NULL)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
	else
		result = connection_ask(socket, text, lines_sink, &lines, error);
	if (result == 0)
		result = lines_end(&lines, error);
	lines_clean(&lines);
	free(text);
	json_decref(request);
	return result;
}
