/* SPDX-License-Identifier: BSD-3-Clause */
/* One batch, one transaction: what waits in memory, and the counters as they stand. */
#include "history_private.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_FRAMES      1000 /* 4 MiB: then it is carried over to the file */
#define LOG_FRAMES_MAX  4000 /* and then readers are waited for */
#define FREE_SHARE      10   /* of the file, in percent: a batch fits into it */
#define FREE_SHARE_FULL 25   /* when one did not */
#define N_TOTAL_VALUES  15

/* A walk over a tree, as an array. */
struct array {
	const struct usage **usages;
	uint32_t n;
};

struct batch {
	struct history *h;
	struct array sorted;
	struct { /* of the period that was written to last */
		int64_t t;
		int64_t n_devices;
	} levels[HISTORY_LEVELS];
	int64_t newest_s;
	int result; /* SQLite's */
};

static void usage_collect(const void *node, VISIT visit, void *context)
{
	struct array *a = context;

	if (visit == postorder || visit == leaf)
		a->usages[a->n++] = *(const struct usage *const *)node;
}

static uint64_t octets_of(const struct usage *u)
{
	return u->octets[UPLINK] + u->octets[DOWNLINK];
}

/* In time; the devices that moved most first: they get the rows. */
static int usage_order(const void *a, const void *b)
{
	const struct usage *x = *(const struct usage *const *)a;
	const struct usage *y = *(const struct usage *const *)b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	if (x->key.series != y->key.series)
		return x->key.series < y->key.series ? -1 : 1;
	if (octets_of(x) != octets_of(y))
		return octets_of(x) > octets_of(y) ? -1 : 1;
	return strcmp(x->key.key, y->key.key);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	(void)sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static sqlite3_int64 key_find(struct history *h, const struct history_key *key)
{
	sqlite3_stmt *s = h->statements[S_KEY_FIND];

	bind_text(s, 1, history_series_name(key->series));
	bind_text(s, 2, key->key);
	bind_text(s, 3, key->mac);
	return history_number(h, S_KEY_FIND, NULL, 0, 0);
}

/* The id of a key, which it gets when it has none; b->result tells. */
static sqlite3_int64 key_take(struct batch *b, const struct history_key *key, const char *name)
{
	struct history *h = b->h;
	sqlite3_stmt *s = h->statements[S_KEY_ADD];
	sqlite3_int64 id = key_find(h, key);

	if (b->result != SQLITE_OK)
		return 0;
	if (id == 0) {
		bind_text(s, 1, history_series_name(key->series));
		bind_text(s, 2, key->key);
		bind_text(s, 3, key->mac);
		bind_text(s, 4, name);
		b->result = history_step(h, S_KEY_ADD, NULL, 0);
		return sqlite3_last_insert_rowid(h->db);
	}
	if (name[0] == '\0')
		return id;
	bind_text(h->statements[S_KEY_NAME], 1, name);
	(void)sqlite3_bind_int64(h->statements[S_KEY_NAME], 2, id);
	b->result = history_step(h, S_KEY_NAME, NULL, 0);
	return id;
}

/* Whether a device may have a row of its own in a period: it has one, or there is room. */
static bool is_room(struct batch *b, enum history_level level, int64_t t, sqlite3_int64 id)
{
	const sqlite3_int64 row[] = {history_per_s[level], t, id};
	int64_t *n = &b->levels[level].n_devices;

	if (b->levels[level].t != t) {
		b->levels[level].t = t;
		*n = history_number(b->h, S_USAGE_COUNT, row, 2, 0);
	}
	if (history_number(b->h, S_USAGE_HAS, row, 3, 0) == 1)
		return true;
	if (*n >= b->h->options.n_devices)
		return false;
	++*n;
	return true;
}

static void usage_write(struct batch *b, const struct usage *u)
{
	static const struct history_key other = {HISTORY_DEVICE, HISTORY_OTHER, ""};
	sqlite3_int64 id = key_take(b, &u->key, u->name);

	for (enum history_level l = u->level; l < HISTORY_LEVELS && b->result == SQLITE_OK; l++) {
		sqlite3_int64 values[] = {history_per_s[l], history_floor(l, u->t), id,
			(sqlite3_int64)u->octets[UPLINK], (sqlite3_int64)u->octets[DOWNLINK]};

		if (u->key.series == HISTORY_DEVICE && !is_room(b, l, values[1], id))
			values[2] = key_take(b, &other, "");
		if (b->result == SQLITE_OK)
			b->result = history_step(b->h, S_USAGE_ADD, values, 5);
	}
}

static void moment_write(const void *node, VISIT visit, void *context)
{
	const struct moment *m = *(const struct moment *const *)node;
	const struct history_total *x = &m->total;
	struct batch *b = context;

	if (visit != postorder && visit != leaf)
		return;
	if (m->t > b->newest_s)
		b->newest_s = m->t;
	for (enum history_level l = m->level; l < HISTORY_LEVELS && b->result == SQLITE_OK; l++) {
		const sqlite3_int64 values[N_TOTAL_VALUES] = {history_per_s[l],
			history_floor(l, m->t), (sqlite3_int64)x->octets[UPLINK],
			(sqlite3_int64)x->octets[DOWNLINK], (sqlite3_int64)x->peak_bps[UPLINK],
			(sqlite3_int64)x->peak_bps[DOWNLINK], (sqlite3_int64)x->shaped_bps[UPLINK],
			(sqlite3_int64)x->shaped_bps[DOWNLINK], (sqlite3_int64)x->wait_us[UPLINK],
			(sqlite3_int64)x->wait_us[DOWNLINK], (sqlite3_int64)x->radio_us[UPLINK],
			(sqlite3_int64)x->radio_us[DOWNLINK], (sqlite3_int64)x->n_dropped,
			x->seen_s, x->marks};

		b->result = history_step(b->h, S_TOTAL_ADD, values, N_TOTAL_VALUES);
	}
}

static void counter_write(const void *node, VISIT visit, void *context)
{
	const struct counter *c = *(const struct counter *const *)node;
	struct batch *b = context;
	sqlite3_int64 values[4];

	if ((visit != postorder && visit != leaf) || !c->is_new || b->result != SQLITE_OK)
		return;
	if (c->is_gone) {
		values[0] = key_find(b->h, &c->is.key);
		b->result = history_step(b->h, S_LAST_DROP, values, 1);
		return;
	}
	values[0] = key_take(b, &c->is.key, c->is.name);
	values[1] = (sqlite3_int64)c->is.since_us;
	values[2] = (sqlite3_int64)c->is.octets[UPLINK];
	values[3] = (sqlite3_int64)c->is.octets[DOWNLINK];
	if (b->result == SQLITE_OK)
		b->result = history_step(b->h, S_LAST_SET, values, 4);
}

static void usages_write(struct batch *b)
{
	twalk_r(b->h->usages, usage_collect, &b->sorted);
	if (b->sorted.n > 0)
		qsort(b->sorted.usages, b->sorted.n, sizeof(struct usage *), usage_order);
	for (uint32_t i = 0; i < b->sorted.n && b->result == SQLITE_OK; i++)
		usage_write(b, b->sorted.usages[i]);
}

static void run_write(struct batch *b)
{
	sqlite3_stmt *s = b->h->statements[S_META_SET];

	if (b->result != SQLITE_OK)
		return;
	bind_text(s, 1, "run");
	bind_text(s, 2, b->h->run);
	b->result = history_step(b->h, S_META_SET, NULL, 0);
}

static void bounds_keep(struct batch *b, uint32_t share)
{
	int64_t day_s = history_floor(HISTORY_DAYS, b->newest_s);

	if (b->result == SQLITE_OK)
		b->result = history_prune(b->h, b->newest_s, share);
	if (b->result == SQLITE_OK && day_s != b->h->keys_cut_s) {
		b->result = history_prune_keys(b->h);
		b->h->keys_cut_s = day_s;
	}
}

/* All of it, or nothing. Returns SQLite's result. */
static int batch_try(struct batch *b, uint32_t share)
{
	struct history *h = b->h;

	b->sorted.n = 0;
	for (int i = 0; i < HISTORY_LEVELS; i++)
		b->levels[i].t = INT64_MIN;
	b->result = history_step(h, S_BEGIN, NULL, 0);
	if (b->result != SQLITE_OK)
		return b->result;
	b->newest_s = h->stats.newest_s;
	bounds_keep(b, share); /* before: so that there is room */
	if (b->result == SQLITE_OK)
		twalk_r(h->moments, moment_write, b);
	usages_write(b);
	if (b->result == SQLITE_OK)
		twalk_r(h->counters, counter_write, b);
	run_write(b);
	bounds_keep(b, share);
	if (b->result == SQLITE_OK)
		b->result = history_step(h, S_COMMIT, NULL, 0);
	if (b->result != SQLITE_OK)
		(void)history_step(h, S_ROLLBACK, NULL, 0);
	return b->result;
}

/* The log into the file, when it is long. What cannot be done now is done after a later batch. */
static void log_carry(struct history *h)
{
	int n_log = 0;
	int n_carried = 0;

	if (h->n_wal_frames < LOG_FRAMES)
		return;
	(void)sqlite3_wal_checkpoint_v2(h->db, NULL,
		h->n_wal_frames < LOG_FRAMES_MAX ? SQLITE_CHECKPOINT_PASSIVE
						 : SQLITE_CHECKPOINT_TRUNCATE,
		&n_log, &n_carried);
	if (n_carried > 0)
		h->stats.written_bytes += (uint64_t)n_carried * HISTORY_PAGE_BYTES;
}

int history_commit(struct history *h, char error[CONNECTION_ERROR_MAX])
{
	struct batch b = {.h = h};
	uint64_t written_bytes = h->stats.written_bytes;

	if (h->db == NULL) /* a damaged one could not be replaced */
		return history_renew(h, error);
	b.sorted.usages = calloc(h->n_pending + 1, sizeof(struct usage *));
	if (b.sorted.usages == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "history: no memory");
		return -1;
	}
	if (batch_try(&b, FREE_SHARE) == SQLITE_FULL)
		(void)batch_try(&b, FREE_SHARE_FULL);
	free(b.sorted.usages);
	if (b.result != SQLITE_OK) {
		h->stats.n_failed++;
		if (history_is_damage(b.result))
			return history_renew(h, error);
		return history_fail(h, "cannot write", error);
	}
	history_pending_clean(h);
	history_settle(h);
	h->stats.n_batches++;
	h->stats.newest_s = b.newest_s;
	log_carry(h);
	h->stats.last_bytes = h->stats.written_bytes - written_bytes;
	return 0;
}
