/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/events.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct events {
	pthread_mutex_t lock;
	uint64_t newest;
	uint64_t counts[EVENT_LEVELS];
	struct event held[EVENTS_HELD]; /* event n at n % EVENTS_HELD */
};

static const struct {
	const char *name;
	const char *help;
} rows[] = {
#define EVENT(name, help) {name, help},
#include <weir/control/events.def>
#undef EVENT
};

int events_create(struct events **ret_events)
{
	struct events *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	*ret_events = e;
	return 0;
}

void events_destroy(struct events *e)
{
	if (e == NULL)
		return;
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void events_raise(void *context, enum log_level level, const char *line, size_t n)
{
	events_raise_at(context, level, line, n, clock_now_us());
}

void events_raise_at(
	struct events *e, enum log_level level, const char *line, size_t n, uint64_t now_us)
{
	struct event *event;

	if (level >= EVENT_LEVELS)
		return;
	if (n > EVENT_LINE_MAX - 1)
		n = EVENT_LINE_MAX - 1;
	pthread_mutex_lock(&e->lock);
	e->counts[level]++;
	event = &e->held[++e->newest % EVENTS_HELD];
	event->seq = e->newest;
	event->at_us = now_us;
	event->level = level;
	memcpy(event->line, line, n);
	event->line[n] = '\0';
	pthread_mutex_unlock(&e->lock);
}

uint64_t events_newest(struct events *e)
{
	uint64_t newest;

	pthread_mutex_lock(&e->lock);
	newest = e->newest;
	pthread_mutex_unlock(&e->lock);
	return newest;
}

bool events_next(struct events *e, uint64_t after, struct event *ret_event)
{
	uint64_t oldest;
	uint64_t seq;
	bool found;

	pthread_mutex_lock(&e->lock);
	oldest = e->newest < EVENTS_HELD ? 1 : e->newest - EVENTS_HELD + 1;
	if (after > e->newest)
		after = 0;
	seq = after + 1 < oldest ? oldest : after + 1;
	found = seq <= e->newest;
	if (found)
		*ret_event = e->held[seq % EVENTS_HELD];
	pthread_mutex_unlock(&e->lock);
	return found;
}

void events_count(struct events *e, uint64_t ret_counts[EVENT_LEVELS])
{
	pthread_mutex_lock(&e->lock);
	memcpy(ret_counts, e->counts, sizeof(e->counts));
	pthread_mutex_unlock(&e->lock);
}

const char *event_level_name(enum log_level level)
{
	static const char *const names[] = {[LOG_ERROR] = "error",
		[LOG_WARNING] = "warning",
		[LOG_NOTICE] = "notice",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug"};

	return level <= LOG_DEBUG ? names[level] : "unknown";
}

bool event_describe(uint32_t i, const char **ret_name, const char **ret_help)
{
	if (i >= sizeof(rows) / sizeof(rows[0]))
		return false;
	*ret_name = rows[i].name;
	*ret_help = rows[i].help;
	return true;
}
