/* SPDX-License-Identifier: BSD-3-Clause */
/* Events as JSON, and as answers of the control socket. */
#include <weir/base/clock.h>
#include <weir/control/events.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_A_PIECE 32
#define KEY_MAX        32
#define DIGITS_MAX     18 /* of a number that any reader of JSON holds */

struct events_listing {
	struct server_answer answer; /* the first member */
	struct events *events;
	int64_t wall_offset_us;
	uint64_t after; /* the newest that was given */
	bool follows;
	bool is_owed; /* the client has what is before, so it is told what it has lost */
	bool opened;
	uint64_t n_rows;
};

/* What is called by people stays text when it is made of digits alone. */
static bool is_named_by_people(const char *key)
{
	static const char *const keys[] = {"class", "device", "file", "gateway", "interface",
		"name", "before", "plan", "path", "port", "schedule", "timezone", "version"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static bool is_number(const char *value)
{
	size_t n = strspn(value, "0123456789");

	return n > 0 && n <= DIGITS_MAX && value[n] == '\0' && (value[0] != '0' || n == 1);
}

/* Bytes of the UTF-8 character at `text`; 0 where there is none (RFC 3629, surrogates and overlong forms included). */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t n;
	} forms[] = {
		{0x01, 0x7f, 0, 0xff, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t n = 2;

		if (text[0] < forms[i].first_min || text[0] > forms[i].first_max
			|| (forms[i].n > 1
				&& (text[1] < forms[i].second_min
					|| text[1] > forms[i].second_max)))
			continue;
		while (n < forms[i].n && (text[n] & 0xc0) == 0x80)
			n++;
		return n >= forms[i].n ? forms[i].n : 0;
	}
	return 0;
}

/* JSON is UTF-8. A line that was cut may end within a character, and what a stranger has named may be anything. */
static void utf8_mend(char *line)
{
	while (*line != '\0') {
		size_t n = utf8_length((const unsigned char *)line);

		if (n == 0)
			*line = '?';
		line += n == 0 ? 1 : n;
	}
}

static void field_write(const char *key, const char *value, struct text *part)
{
	if (is_number(value) && !is_named_by_people(key))
		text_field_u64(part, key, strtoull(value, NULL, 10));
	else
		text_field_string(part, key, value);
}

static size_t key_length(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n < KEY_MAX && text[n] == '=' ? n : 0;
}

/* A quoted value ends at a quote before the line's end or the next key: reasons may quote something themselves. */
static const char *quoted_end(const char *from)
{
	const char *end = from;

	while ((end = strchr(end, '"')) != NULL && end[1] != '\0'
		&& (end[1] != ' ' || key_length(end + 2) == 0))
		end++;
	return end;
}

/* Takes one key=value off the line. Returns what follows it, NULL at the end or at what is no field. */
static const char *field_take(const char *line, char key[KEY_MAX], char value[EVENT_LINE_MAX])
{
	const char *from;
	const char *end;
	size_t n;

	line += strspn(line, " ");
	n = key_length(line);
	if (n == 0)
		return NULL;
	memcpy(key, line, n);
	key[n] = '\0';
	from = line + n + 1;
	if (*from == '"') {
		end = quoted_end(++from);
		n = end == NULL ? strlen(from) : (size_t)(end - from);
	} else {
		end = NULL;
		n = strcspn(from, " ");
	}
	memcpy(value, from, n);
	value[n] = '\0';
	return from + n + (end != NULL);
}

static void time_write(int64_t wall_us, struct text *part)
{
	char words[sizeof("2026-11-23T10:30:00.123456Z")];
	char micros[sizeof(".123456Z")];
	time_t at = (time_t)(wall_us / (int64_t)US_PER_S);
	struct tm tm;

	if (wall_us < 0 || gmtime_r(&at, &tm) == NULL
		|| strftime(words, sizeof(words), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	(void)snprintf(micros, sizeof(micros), ".%06uZ", (unsigned)(wall_us % (int64_t)US_PER_S));
	memcpy(words + strlen(words), micros, sizeof(micros));
	text_field_string(part, "time", words);
}

void event_write(const struct event *event, int64_t wall_offset_us, struct text *part)
{
	size_t n_name = strcspn(event->line, " ");
	char line[EVENT_LINE_MAX];
	const char *at = line + n_name;
	char value[EVENT_LINE_MAX];
	char key[KEY_MAX];

	memcpy(line, event->line, sizeof(line));
	utf8_mend(line);
	memcpy(value, line, n_name);
	value[n_name] = '\0';
	text_append(part, "{", 1);
	text_field_u64(part, "seq", event->seq);
	time_write((int64_t)event->at_us + wall_offset_us, part);
	text_field_string(part, "severity", event_level_name(event->level));
	text_field_string(part, "event", value);
	text_open(part, "fields", '{');
	while ((at = field_take(at, key, value)) != NULL)
		field_write(key, value, part);
	text_close(part, '}');
	text_close(part, '}');
}

static void row_begin(struct events_listing *l, struct text *part)
{
	if (l->n_rows++ > 0)
		text_append(part, ",", 1);
}

/* Returns how many were written. */
static uint32_t rows_write(struct events_listing *l, struct text *part)
{
	struct event event;
	uint32_t n = 0;

	for (; n < EVENTS_A_PIECE && events_next(l->events, l->after, &event); n++) {
		if (event.seq > l->after + 1 && l->is_owed) {
			row_begin(l, part);
			text_append(part, "{", 1);
			text_field_u64(part, "lost", event.seq - l->after - 1);
			text_append_string(part, "}\n");
		}
		row_begin(l, part);
		event_write(&event, l->wall_offset_us, part);
		text_append(part, "\n", 1);
		l->after = event.seq;
		l->is_owed = true;
	}
	return n;
}

static void tail_write(struct events_listing *l, struct text *part)
{
	uint64_t counts[EVENT_LEVELS];

	events_count(l->events, counts);
	text_append_string(part, "],\"n_rows\":");
	text_u64(part, l->n_rows);
	text_field_u64(part, "newest", l->after);
	text_open(part, "counts", '{');
	for (enum log_level level = LOG_ERROR; level < EVENT_LEVELS; level++)
		text_field_u64(part, event_level_name(level), counts[level]);
	text_close(part, '}');
	text_close(part, '}');
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one type with the answers that can fail */
static int listing_next(struct server_answer *a, struct text *part, char *error)
{
	struct events_listing *l = (struct events_listing *)a;

	(void)error; /* nothing here can fail */
	if (!l->opened)
		text_append_string(part, "{\"events\":[\n");
	l->opened = true;
	if (rows_write(l, part) == EVENTS_A_PIECE)
		return 1;
	if (l->follows)
		return SERVER_WAITS;
	tail_write(l, part);
	return 0;
}

static void listing_destroy(struct server_answer *a)
{
	free(a);
}

bool events_are_asked_for(const json_t *request)
{
	const char *show = json_string_value(json_object_get(request, "show"));

	return show != NULL && strcmp(show, "events") == 0;
}

static bool number_read(const json_t *value, uint64_t *ret_number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret_number = (uint64_t)json_integer_value(value);
	return true;
}

static int filters_read(struct events_listing *l, json_t *request, uint64_t *ret_limit, char *error)
{
	const char *key;
	json_t *value;

	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "show") == 0)
			continue;
		if (strcmp(key, "limit") == 0 && number_read(value, ret_limit))
			continue;
		if (strcmp(key, "after") == 0 && number_read(value, &l->after))
			continue;
		if (strcmp(key, "follow") == 0 && json_is_boolean(value)) {
			l->follows = json_is_true(value);
			continue;
		}
		(void)snprintf(error, SERVER_ERROR_MAX,
			"\"%.40s\" is no filter of events, or not of its type; there are: "
			"\"limit\" "
			"and \"after\" (numbers), \"follow\" (true or false)",
			key);
		return -EINVAL;
	}
	return 0;
}

int events_answer(struct events *e, json_t *request, int64_t wall_offset_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer)
{
	struct events_listing *l = calloc(1, sizeof(*l));
	uint64_t newest = events_newest(e);
	uint64_t limit = UINT64_MAX;
	int result;

	if (l == NULL)
		return -ENOMEM;
	l->answer = (struct server_answer){.next = listing_next, .destroy = listing_destroy};
	l->events = e;
	l->wall_offset_us = wall_offset_us;
	result = filters_read(l, request, &limit, error);
	if (result != 0) {
		free(l);
		return result;
	}
	if (l->after > newest)
		l->after = 0;
	l->is_owed = l->after > 0;
	if (newest - l->after > limit) {
		l->is_owed = false;
		l->after = newest - limit;
	}
	*ret_answer = &l->answer;
	return 0;
}
