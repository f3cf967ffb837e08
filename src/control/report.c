/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/config.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool is_behind(const struct config_message *m, uint32_t n_file, uint32_t line)
{
	return m->n_file != n_file ? m->n_file > n_file : m->line > line;
}

/* Makes room behind all messages of this line or before. NULL when there is none. */
static struct config_message *message_insert(
	struct config_report *r, uint32_t n_file, uint32_t line)
{
	uint32_t at = r->n_messages;

	if (r->messages == NULL)
		r->messages = calloc(CONFIG_MESSAGES_MAX, sizeof(*r->messages));
	if (r->messages == NULL || r->n_messages == CONFIG_MESSAGES_MAX)
		return NULL;
	while (at > 0 && is_behind(&r->messages[at - 1], n_file, line))
		at--;
	memmove(&r->messages[at + 1], &r->messages[at],
		(r->n_messages - at) * sizeof(*r->messages));
	r->n_messages++;
	return &r->messages[at];
}

void config_report_file(struct config_report *r, const char *file)
{
	r->file = file;
	r->n_files += file != NULL;
}

void config_report_add(struct config_report *r, enum config_severity severity, uint32_t line,
	uint32_t column, const char *format, ...)
{
	uint32_t n_file = r->file == NULL ? 0 : r->n_files;
	struct config_message *m = message_insert(r, n_file, line);
	va_list args;

	if (severity == CONFIG_ERROR)
		r->n_errors++;
	else
		r->n_warnings++;
	if (m == NULL) {
		r->n_more++;
		return;
	}
	m->n_file = n_file;
	(void)snprintf(m->file, sizeof(m->file), "%s", n_file == 0 ? "" : r->file);
	m->line = line;
	m->column = column;
	m->severity = severity;
	va_start(args, format);
	(void)vsnprintf(m->text, sizeof(m->text), format, args);
	va_end(args);
}

void config_report_print(const struct config_report *r, const char *file, FILE *out)
{
	for (uint32_t i = 0; i < r->n_messages; i++) {
		const struct config_message *m = &r->messages[i];
		const char *of = m->n_file == 0 ? file : m->file;
		const char *severity = m->severity == CONFIG_ERROR ? "error" : "warning";

		if (m->line == 0)
			(void)fprintf(out, "%s: %s: %s\n", of, severity, m->text);
		else
			(void)fprintf(out, "%s:%u: %s: %s\n", of, m->line, severity, m->text);
	}
	if (r->n_more > 0)
		(void)fprintf(out, "%s: and %u more\n", file, r->n_more);
}

void config_report_clean(struct config_report *r)
{
	free(r->messages);
	*r = (struct config_report){0};
}
