/* SPDX-License-Identifier: BSD-3-Clause */
#include "history_collect.h"

#include "history_clock.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LOOK_S     10
#define GAP_LOOKS  3  /* so many of them missed are a gap */
#define COST_SHARE 50 /* listings are asked for so many times as seldom as weir works for them */
#define MS_PER_S   1000
#define S_PER_DAY  86400u
#define AT_ONCE    8

/* A counter of a listing. */
struct found {
	struct history_counter counter;
	uint64_t first_ago_us; /* of a device */
	bool is_uplink;        /* of a port */
};

struct history_collector {
	struct history_collecting how;
	const char *socket;
	pthread_t thread;
	int stop_fd;
	uint32_t look_s;
	struct history *history; /* NULL: the file cannot be opened yet */
	struct history_clock clock;
	int64_t now_s;      /* the time of this look, for the books */
	int64_t looked_s;   /* of the last one, by a clock that nobody sets; 0: none */
	int64_t batch_s;    /* when the next batch is due, by the same */
	int64_t wet_s;      /* when the next field was worked out */
	uint64_t wet_bytes; /* written, less what time has allowed since */
	int64_t listings_s; /* when classes and devices are next asked for */
	bool has_drops;
	uint64_t n_dropped;  /* as weir had it last */
	uint64_t drops_seen; /* of this look, so far */
	uint64_t at_us;      /* weir's clock, of the listing that was read last */
	struct found *found; /* its rows */
	uint32_t n_found;
	uint32_t found_capacity;
	struct history_total total;              /* of this look */
	char weir_trouble[CONNECTION_ERROR_MAX]; /* "": none */
	char disk_trouble[CONNECTION_ERROR_MAX];
};

static int64_t mono_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

static int64_t wall_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

static void say(const char *sentence)
{
	(void)fprintf(stderr, "weir-web: %s\n", sentence);
}

/* Once, when it begins or becomes another; and when it is over. */
static void trouble(char told[CONNECTION_ERROR_MAX], const char *now, const char *over)
{
	if (strcmp(told, now) == 0)
		return;
	say(now[0] == '\0' ? over : now);
	(void)snprintf(told, CONNECTION_ERROR_MAX, "%s", now);
}

typedef int row_taker(struct history_collector *c, const json_t *row);

struct asking {
	struct history_collector *c;
	row_taker *take;
};

/* {"ports":[ and its end stand on lines of their own; a row may end in a comma. */
static int line_take(void *context, const char *line, size_t n, char *error)
{
	static const char at[] = "\"at_us\":";
	const struct asking *a = context;
	const char *tail;
	json_t *row;
	int result;

	if (n == 0 || line[n - 1] == '[')
		return 0;
	if (line[0] == ']') {
		tail = memmem(line, n, at, sizeof(at) - 1);
		a->c->at_us = tail == NULL ? 0 : strtoull(tail + sizeof(at) - 1, NULL, 10);
		return 0;
	}
	row = json_loadb(line, line[n - 1] == ',' ? n - 1 : n, 0, NULL);
	result = json_is_object(row) ? a->take(a->c, row) : -1;
	if (result != 0)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "history: %s",
			row == NULL ? "weir's answer is not what this program knows" : "no memory");
	json_decref(row);
	return result;
}

static int ask(struct history_collector *c, const char *view, row_taker *take, char *error)
{
	struct asking a = {.c = c, .take = take};
	struct lines lines = {.take = line_take, .context = &a};
	char request[64];
	int result;

	(void)snprintf(request, sizeof(request), "{\"show\":\"%s\"}", view);
	result = connection_ask(c->socket, request, lines_sink, &lines, error);
	if (result == 0)
		result = lines_end(&lines, error);
	lines_clean(&lines);
	return result;
}

static uint64_t u64(const json_t *row, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(row, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const char *text(const json_t *row, const char *key)
{
	const char *value = json_string_value(json_object_get(row, key));

	return value == NULL ? "" : value;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int status_take(struct history_collector *c, const json_t *row)
{
	bool is_trusted = json_is_true(json_object_get(row, "clock_trusted"));
	bool is_first = c->looked_s == 0;
	int64_t shift_s;

	c->now_s = history_clock_now(&c->clock, is_trusted, wall_ms() / MS_PER_S,
		mono_ms() / MS_PER_S, history_stats(c->history).newest_s, &shift_s);
	if (shift_s != 0)
		history_shift(c->history, shift_s);
	if (!is_trusted)
		c->total.marks |= HISTORY_MARK_CLOCK;
	if (history_run(c->history, text(row, "run"))) {
		c->has_drops = true; /* they begin with the run */
		c->n_dropped = 0;
		if (!is_first)
			c->total.marks |= HISTORY_MARK_RESTART;
	}
	return 0;
}

static const char *const octets_keys[N_DIRECTIONS] = {"uplink_octets", "downlink_octets"};
static const char *const billed_keys[N_DIRECTIONS] = {
	"billed_uplink_octets", "billed_downlink_octets"};

static struct found *found_make(struct history_collector *c)
{
	struct found *more;

	if (c->n_found == c->found_capacity) {
		uint32_t capacity = c->found_capacity == 0 ? 64 : c->found_capacity * 2;

		more = realloc(c->found, capacity * sizeof(*more));
		if (more == NULL)
			return NULL;
		c->found = more;
		c->found_capacity = capacity;
	}
	more = &c->found[c->n_found++];
	*more = (struct found){0};
	return more;
}

/* Takes a row that has counters under `keys`, and is called by what is under `name`. */
static struct found *counters_take(struct history_collector *c, const json_t *row, const char *name,
	const char *const keys[N_DIRECTIONS])
{
	struct found *f = found_make(c);

	if (f == NULL)
		return NULL;
	(void)snprintf(f->counter.key.key, HISTORY_KEY_MAX, "%s", text(row, name));
	for (int d = 0; d < N_DIRECTIONS; d++)
		f->counter.octets[d] = u64(row, keys[d]);
	return f;
}

static int port_take(struct history_collector *c, const json_t *row)
{
	struct found *f = counters_take(c, row, "name", octets_keys);

	if (f == NULL)
		return -1;
	f->is_uplink = strcmp(text(row, "role"), "uplink") == 0;
	return 0;
}

static int plan_take(struct history_collector *c, const json_t *row)
{
	return counters_take(c, row, "name", billed_keys) == NULL ? -1 : 0;
}

static int class_take(struct history_collector *c, const json_t *row)
{
	return counters_take(c, row, "name", octets_keys) == NULL ? -1 : 0;
}

static int device_take(struct history_collector *c, const json_t *row)
{
	struct found *f = counters_take(c, row, "address", octets_keys);

	if (f == NULL)
		return -1;
	(void)snprintf(f->counter.key.mac, HISTORY_MAC_MAX, "%s", text(row, "mac"));
	(void)snprintf(f->counter.name, HISTORY_KEY_MAX, "%s", text(row, "name"));
	f->first_ago_us = u64(row, "first_seen_ago_us");
	return 0;
}

/* The longest wait of several uplinks; their rates are one link's. */
static int link_take(struct history_collector *c, const json_t *row)
{
	enum direction d = strcmp(text(row, "direction"), "uplink") == 0 ? UPLINK : DOWNLINK;

	c->total.shaped_bps[d] += u64(row, "shaped_bps");
	c->total.wait_us[d] = larger(c->total.wait_us[d], u64(row, "queue_us"));
	c->total.radio_us[d] = larger(c->total.radio_us[d], u64(row, "radio_queue_us"));
	return 0;
}

static int drop_take(struct history_collector *c, const json_t *row)
{
	c->drops_seen += u64(row, "packets");
	return 0;
}

/* A listing of counters into the books: who is gone first, since classes leave what they had to the default one. */
static int listing_book(struct history_collector *c, enum history_series series, const char *view,
	row_taker *take, char *error)
{
	uint64_t grown[N_DIRECTIONS];
	int result;

	c->n_found = 0;
	if (ask(c, view, take, error) != 0)
		return -1;
	for (uint32_t i = 0; i < c->n_found; i++) {
		struct found *f = &c->found[i];

		f->counter.key.series = series;
		if (series == HISTORY_DEVICE)
			f->counter.since_us = c->at_us - f->first_ago_us;
		history_name(c->history, &f->counter.key);
	}
	history_named(c->history, series);
	for (uint32_t i = 0; i < c->n_found; i++) {
		result = history_count(c->history, &c->found[i].counter, c->now_s, grown);
		for (int d = 0; d < N_DIRECTIONS && result == 0 && c->found[i].is_uplink; d++)
			c->total.octets[d] += grown[d];
	}
	return 0; /* a counter that there was no memory for is taken with the next look */
}

static int link_look(struct history_collector *c, char *error)
{
	c->drops_seen = 0;
	if (ask(c, "link", link_take, error) != 0 || ask(c, "drops", drop_take, error) != 0)
		return -1;
	if (c->has_drops && c->drops_seen > c->n_dropped)
		c->total.n_dropped = c->drops_seen - c->n_dropped;
	c->n_dropped = c->drops_seen;
	c->has_drops = true;
	return 0;
}

/* Classes and devices, when they are due: weir walks over all flows for them. */
static int listings_look(struct history_collector *c, bool is_last, char *error)
{
	int64_t begin_ms = mono_ms();
	int64_t took_s;

	if (begin_ms / MS_PER_S < c->listings_s && !is_last)
		return 0;
	if (listing_book(c, HISTORY_CLASS, "classes", class_take, error) != 0
		|| listing_book(c, HISTORY_DEVICE, "devices", device_take, error) != 0)
		return -1;
	took_s = (mono_ms() - begin_ms) * COST_SHARE / MS_PER_S;
	c->listings_s = begin_ms / MS_PER_S + took_s;
	return 0;
}

/* How long the look was at, and what is said of it in the books. */
static void time_account(struct history_collector *c, int64_t looked_s)
{
	int64_t span_s = looked_s - c->looked_s;
	bool is_gap = c->looked_s == 0 || span_s > (int64_t)c->look_s * GAP_LOOKS;

	if (is_gap) {
		c->total.marks |= HISTORY_MARK_GAP;
		return;
	}
	c->total.seen_s = (uint32_t)span_s;
	for (int d = 0; d < N_DIRECTIONS && span_s > 0; d++)
		c->total.peak_bps[d] = c->total.octets[d] * 8 / (uint64_t)span_s;
}

/* One look at weir. Returns 0, or -1 with a sentence; what was taken by then stays taken. */
static int look(struct history_collector *c, bool is_last, char *error)
{
	int64_t looked_s = mono_ms() / MS_PER_S;
	int result;

	c->total = (struct history_total){0};
	result = ask(c, "status", status_take, error);
	if (result != 0)
		return result;
	c->now_s -= c->looked_s == 0 ? 0 : c->look_s / 2; /* the middle of the time it is about */
	result = listing_book(c, HISTORY_PORT, "ports", port_take, error);
	if (result == 0)
		result = listing_book(c, HISTORY_PLAN, "plans", plan_take, error);
	if (result == 0)
		result = link_look(c, error);
	if (result == 0)
		result = listings_look(c, is_last, error);
	time_account(c, looked_s);
	c->looked_s = looked_s;
	(void)history_add_total(c->history, &c->total, c->now_s);
	return result;
}

/* When the next batch may be written: of a day's octets an eighth may go at once, the others as time passes, so that no day has more. */
static void batch_plan(struct history_collector *c, int64_t now_s)
{
	uint64_t day_bytes = c->how.flash_bytes_per_day;
	uint64_t steady_bytes = day_bytes - day_bytes / AT_ONCE;
	uint64_t dried_bytes = (uint64_t)(now_s - c->wet_s) * (steady_bytes / S_PER_DAY + 1);
	uint64_t over_bytes;

	c->wet_bytes -= dried_bytes < c->wet_bytes ? dried_bytes : c->wet_bytes;
	c->wet_s = now_s;
	c->wet_bytes += history_stats(c->history).last_bytes;
	over_bytes = c->wet_bytes > day_bytes / AT_ONCE ? c->wet_bytes - day_bytes / AT_ONCE : 0;
	c->batch_s = now_s + (int64_t)larger(c->how.every_s, over_bytes * S_PER_DAY / steady_bytes);
}

static void batch_write(struct history_collector *c)
{
	char error[CONNECTION_ERROR_MAX] = "";

	(void)history_commit(c->history, error);
	trouble(c->disk_trouble, error, "history: it is written again");
	batch_plan(c, mono_ms() / MS_PER_S);
}

static void file_open(struct history_collector *c)
{
	char message[CONNECTION_ERROR_MAX] = "";
	char error[CONNECTION_ERROR_MAX] = "";

	if (history_open(&c->how.store, &c->history, message, error) == 0)
		error[0] = '\0';
	if (message[0] != '\0')
		say(message);
	trouble(c->disk_trouble, error, "history: its file is open");
	c->batch_s = mono_ms() / MS_PER_S + c->how.every_s;
}

static void step(struct history_collector *c, bool is_last)
{
	char error[CONNECTION_ERROR_MAX] = "";

	if (c->history == NULL && (c->batch_s <= mono_ms() / MS_PER_S))
		file_open(c);
	if (c->history == NULL)
		return;
	if (look(c, is_last, error) == 0)
		error[0] = '\0';
	trouble(c->weir_trouble, error, "history: weir answers again");
	if (is_last || mono_ms() / MS_PER_S >= c->batch_s)
		batch_write(c);
}

/* Until the wall clock's seconds are a multiple of a look's, so that a minute holds whole looks. Returns whether to end. */
static bool wait(const struct history_collector *c)
{
	int64_t look_ms = (int64_t)c->look_s * MS_PER_S;
	struct pollfd stop = {.fd = c->stop_fd, .events = POLLIN};

	return poll(&stop, 1, (int)(look_ms - wall_ms() % look_ms)) > 0;
}

static void *collect(void *context)
{
	struct history_collector *c = context;

	do
		step(c, false);
	while (!wait(c));
	step(c, true);
	return NULL;
}

int history_collect_start(const struct history_collecting *how, const char *socket,
	struct history_collector **ret_collector, char error[CONNECTION_ERROR_MAX])
{
	struct history_collector *c = calloc(1, sizeof(*c));
	int result;

	if (c == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	c->how = *how;
	c->socket = socket;
	c->look_s = how->every_s < LOOK_S ? how->every_s : LOOK_S;
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	result = c->stop_fd < 0 ? errno : pthread_create(&c->thread, NULL, collect, c);
	if (result == 0) {
		*ret_collector = c;
		return 0;
	}
	(void)snprintf(error, CONNECTION_ERROR_MAX, "no history: %s", strerror(result));
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	free(c);
	return -1;
}

void history_collect_stop(struct history_collector *c)
{
	if (c == NULL)
		return;
	(void)eventfd_write(c->stop_fd, 1);
	(void)pthread_join(c->thread, NULL);
	history_close(c->history);
	close(c->stop_fd);
	free(c->found);
	free(c);
}
