/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passed, by minute, hour and day, in a file that survives restarts and power cuts: a database of SQLite.
 *
 * Source:   docs/history.md, which has the schema; SQLite's WAL with synchronous=FULL.
 * Shapes:   who looks at weir tells its counters; what they grew by since the last time is kept in memory by minute and goes to
 *           the file in batches, one transaction each: minutes, the hours and days they are part of, and the counters as they
 *           stood, so that after a crash the next look finds what the lost batch had.
 * Units:    seconds since 1970; octets as the counters have them; a day is one of the machine's time zone.
 * Errors:   0, or -1 with a sentence for people. A batch that cannot be written stays in memory and goes with the next; when it grows
 *           beyond HISTORY_PENDING_MAX entries minutes become hours, hours days, days one: sums are never lost.
 *           A damaged file is set aside under another name; one that is not weir's is left alone and refused.
 * Threads:  one owner. Who reads the file opens it for himself (history_query.h), at any time.
 * Memory:   about 200 octets a counter and an entry; 1 MiB of SQLite's cache.
 */
#ifndef WEIR_CLIENT_HISTORY_H
#define WEIR_CLIENT_HISTORY_H

#include "connection.h"

#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_KEY_MAX     64
#define HISTORY_MAC_MAX     18
#define HISTORY_PENDING_MAX 32768
#define HISTORY_BYTES_MIN   (256u << 10)
#define HISTORY_DEVICES_MAX 4096
#define HISTORY_OTHER       "other" /* the device that stands for those without a row of their own */
#define HISTORY_DEFAULT_NAME                                                                       \
	"default" /* the class that takes over the sums of those which are configured no longer */

/* A row's `per`: seconds, of a day as a rule. */
#define HISTORY_MINUTE 60
#define HISTORY_HOUR   3600
#define HISTORY_DAY    86400

enum history_level {
	HISTORY_MINUTES,
	HISTORY_HOURS,
	HISTORY_DAYS,
	HISTORY_LEVELS
};

/* Of what octets are kept; for all uplinks together there is more, struct history_total. */
enum history_series {
	HISTORY_PORT,
	HISTORY_PLAN, /* as it bills them */
	HISTORY_CLASS,
	HISTORY_DEVICE,
	HISTORY_SERIES
};

/* Marks of a period, bits. */
enum history_mark {
	HISTORY_MARK_GAP = 1,     /* holds what passed before, while nobody looked */
	HISTORY_MARK_CLOCK = 2,   /* the wall clock was not to be trusted: the time is a guess */
	HISTORY_MARK_RESTART = 4, /* weir began anew */
};

struct history_options {
	const char *file;
	uint64_t max_bytes;              /* of the file; what is oldest yields, minutes first */
	uint32_t n_devices;              /* with rows of their own in a period */
	uint32_t n_keep[HISTORY_LEVELS]; /* periods */
};

#define HISTORY_DEFAULTS                                                                           \
	{                                                                                          \
		.max_bytes = 64u << 20, .n_devices = 512, .n_keep = { 2880, 1488, 1826 }           \
	}

struct history_key {
	enum history_series series;
	char key[HISTORY_KEY_MAX]; /* of a device, its address */
	char mac[HISTORY_MAC_MAX]; /* of a device; "" of all else */
};

/* All uplinks together, over a moment. Rates, waits: the greatest (of shaped_bps the least) of those that were seen; 0: none was. */
struct history_total {
	uint64_t octets[N_DIRECTIONS];
	uint64_t peak_bps[N_DIRECTIONS];   /* average from one look to the next */
	uint64_t shaped_bps[N_DIRECTIONS]; /* rate of the shaper */
	uint64_t wait_us[N_DIRECTIONS];    /* in the shaper's queue */
	uint64_t radio_us[N_DIRECTIONS];   /* in the radio's */
	uint64_t n_dropped;                /* packets */
	uint32_t seen_s;                   /* how much of the time somebody looked */
	uint32_t marks;
};

/* A counter as weir shows it. */
struct history_counter {
	struct history_key key;
	char name[HISTORY_KEY_MAX]; /* "": it has none */
	uint64_t
		since_us; /* another one: it began anew. 0 for those that begin with weir's run alone */
	uint64_t octets[N_DIRECTIONS];
};

struct history_stats {
	uint64_t n_batches;
	uint64_t n_failed;
	uint64_t written_bytes; /* to the disk, at most, since open: write-ahead log and file */
	uint64_t last_bytes;    /* of them, by the last batch */
	uint32_t n_pending;     /* entries */
	int64_t newest_s;       /* the last minute in the file, 0: none */
};

struct history;

/* Opens or makes the file; `message` is "" or what there is to say of a damaged one that was set aside. */
int history_open(const struct history_options *options, struct history **ret_history,
	char message[CONNECTION_ERROR_MAX], char error[CONNECTION_ERROR_MAX]);

/* Writes nothing: history_commit does. */
void history_close(struct history *h);

/* Which run of weir the counters that follow are of. Returns whether it is another than that of before; then all counters began anew. */
bool history_run(struct history *h, const char *run);

/* Before the counters of a listing: each that is in it, then the end of it. Those of the series that were not named are gone; what
 * gone classes had is part of the default class's counter. */
void history_name(struct history *h, const struct history_key *key);
void history_named(struct history *h, enum history_series series);

/* Takes a counter as it stands and notes what it grew by, at `t`; tells it too. Returns 0 or -1 without memory: it is tried again with
 * the next look. */
int history_count(struct history *h, const struct history_counter *c, int64_t t,
	uint64_t ret_grown[N_DIRECTIONS]);

/* Adds to the total of the minute of `t`. */
int history_add_total(struct history *h, const struct history_total *total, int64_t t);

/* Nothing has been written of times beyond `t` yet: moves what waits in memory by so many seconds, for a clock that was wrong. */
void history_shift(struct history *h, int64_t by_s);

/* Writes the batch. */
int history_commit(struct history *h, char error[CONNECTION_ERROR_MAX]);

struct history_stats history_stats(const struct history *h);

/* Beginning of the minute, hour or day of `t`. */
int64_t history_floor(enum history_level level, int64_t t);

/* "device"; never NULL. */
const char *history_series_name(enum history_series series);

extern const int64_t history_per_s[HISTORY_LEVELS];

#endif
