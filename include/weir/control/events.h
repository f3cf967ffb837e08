/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one stream of events: what is logged, held for those who look later or follow.
 *
 * Shapes:   an event is a log line with a number: `device.seen port=lan0 address=192.0.2.7`. Numbers begin with 1 at each start
 *           and leave none out, so that a reader whose next event was overwritten knows how many it has lost. Its name is a row
 *           of events.def.
 * Units:    microseconds of the path clock.
 * Threads:  any control thread raises and reads; a lock is held for the copy of one line.
 * Memory:   EVENTS_HELD lines of EVENT_LINE_MAX bytes, 130 kB, fixed. A longer line is cut.
 */
#ifndef WEIR_CONTROL_EVENTS_H
#define WEIR_CONTROL_EVENTS_H

#include <weir/base/log.h>
#include <weir/control/server.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define EVENTS_HELD    256
#define EVENT_LINE_MAX 496
#define EVENT_LEVELS   (LOG_INFO + 1)

struct events;

struct event {
	uint64_t seq;
	uint64_t at_us;
	enum log_level level;
	char line[EVENT_LINE_MAX];
};

/* Returns 0 or -ENOMEM. */
int events_create(struct events **ret_events);

/* NULL is fine. */
void events_destroy(struct events *e);

/* A log_listener, with the events as context. */
void events_raise(void *context, enum log_level level, const char *line, size_t n);

/* The same, at a time that is told. */
void events_raise_at(
	struct events *e, enum log_level level, const char *line, size_t n, uint64_t now_us);

/* The number of the newest event; 0 before the first. */
uint64_t events_newest(struct events *e);

/* Copies the oldest event that is held and newer than `after`. False when there is none. What lies between the two numbers was
 * overwritten. An `after` that is yet to come is from before a restart, and taken for 0. */
bool events_next(struct events *e, uint64_t after, struct event *ret_event);

/* How many there were of each level since the start. */
void events_count(struct events *e, uint64_t ret_counts[EVENT_LEVELS]);

/* "warning"; never NULL. */
const char *event_level_name(enum log_level level);

/* The rows of events.def: row `i`, its name and its sentence. False behind the last. */
bool event_describe(uint32_t i, const char **ret_name, const char **ret_help);

/* Appends an event as a JSON object. `wall_offset_us` is what turns the path clock into the time of day. */
void event_write(const struct event *event, int64_t wall_offset_us, struct text *part);

/* True when a request asks for events: {"show": "events", "limit": N, "after": SEQ, "follow": true}; only "show" is required. */
bool events_are_asked_for(const json_t *request);

/*
 * As server_handlers.begin; the events are borrowed. The answer is {"events":[ newline, then a line for each row, each but the first
 * after a comma ],"n_rows":N,"newest":SEQ,"counts":{"error":N, ...}}. With "follow" it does not end, and a row is sent when
 * its event is raised. A row {"lost": N} stands where events were overwritten before this client had taken them.
 */
int events_answer(struct events *e, json_t *request, int64_t wall_offset_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer);

#endif
