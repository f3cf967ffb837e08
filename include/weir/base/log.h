/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log: one event a line, in units: `link.down port=wwan0 reason=gone after_us=412000`.
 *
 * Shapes:   the line starts with the event's name, then key=value pairs; text values that hold a
 *           space are put in double quotes by the caller.
 * Threads:  any control thread; workers raise events through the doors instead. The listener is set before other
 *           threads log, and taken away after.
 * Memory:   a line is at most 1024 bytes and is cut there.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG
};

/* Lines above `level` are not written. Default: LOG_INFO. */
void log_set_level(enum log_level level);

/* Writes one line to stderr, prefixed with <N> for journald when stderr is the journal. */
void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes each event's line, without prefix and newline; not NUL-terminated, and gone after the call. Any control thread calls it. */
typedef void log_listener(void *context, enum log_level level, const char *line, size_t n);

/* Has every line up to LOG_INFO handed to `listener` too, whatever the log level is. NULL: to nobody. */
void log_set_listener(log_listener *listener, void *context);

/* A limiter for lines that a stranger can cause: at most `burst` lines, refilled one an interval. */
struct log_limit {
	uint64_t interval_us;
	uint32_t burst;
	uint32_t n_left;
	uint32_t n_suppressed; /* since the last line that was let through */
	uint64_t refilled_us;
};

/* True when a line may be written now. */
bool log_limit_take(struct log_limit *l, uint64_t now_us);

#endif
