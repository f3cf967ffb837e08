/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/log.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

/* NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): the log level is process-wide */
static enum log_level max_level = LOG_INFO;

/* NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): and so is who listens */
static log_listener *listens;
static void *listens_context;
/* NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables) */

void log_set_listener(log_listener *listener, void *context)
{
	listens = listener;
	listens_context = context;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

/* sd-daemon(3): journald reads the priority from a <N> prefix. */
static const char *prefix_of(enum log_level level)
{
	static const char *const for_journal[] = {"<3>", "<4>", "<5>", "<6>", "<7>"};
	static const char *const for_people[] = {"error: ", "warning: ", "", "", "debug: "};

	return getenv("JOURNAL_STREAM") != NULL ? for_journal[level] : for_people[level];
}

void log_event(enum log_level level, const char *format, ...)
{
	bool is_heard = listens != NULL && level <= LOG_INFO;
	char line[LINE_MAX_BYTES];
	size_t n_prefix;
	size_t len;
	va_list args;
	int n;

	if (level > max_level && !is_heard)
		return;
	n = snprintf(line, sizeof(line), "%s", prefix_of(level));
	n_prefix = n < 0 ? 0 : (size_t)n;
	va_start(args, format);
	n = vsnprintf(line + n_prefix, sizeof(line) - n_prefix - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	len = n_prefix + (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	if (is_heard)
		listens(listens_context, level, line + n_prefix, len - n_prefix);
	if (level > max_level)
		return;
	line[len++] = '\n';
	/* One write a line, so that lines of several threads do not mix. A full pipe loses the line. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

bool log_limit_take(struct log_limit *l, uint64_t now_us)
{
	uint64_t n_refills = (now_us - l->refilled_us) / l->interval_us;

	if (l->refilled_us == 0 || n_refills >= l->burst) {
		l->n_left = l->burst;
		l->refilled_us = now_us == 0 ? 1 : now_us;
	} else if (n_refills > 0) {
		uint64_t n_left = l->n_left + n_refills;

		l->n_left = n_left < l->burst ? (uint32_t)n_left : l->burst;
		l->refilled_us += n_refills * l->interval_us;
	}
	if (l->n_left == 0) {
		l->n_suppressed++;
		return false;
	}
	l->n_left--;
	return true;
}
