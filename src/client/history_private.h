/* SPDX-License-Identifier: BSD-3-Clause */
/* What history.c (counters, and what waits in memory), history_store.c (the file) and history_prune.c (its bounds) share. */
#ifndef WEIR_CLIENT_HISTORY_PRIVATE_H
#define WEIR_CLIENT_HISTORY_PRIVATE_H

#include "history.h"

#include <sqlite3.h>

#define HISTORY_APPLICATION 0x77656972 /* "weir", in the file's header */
#define HISTORY_VERSION     1          /* of the schema */
#define HISTORY_PAGE_BYTES  4096

/* A counter, as it was last seen. */
struct counter {
	struct history_counter is;
	bool is_gone;
	bool is_named; /* in the listing that is under way */
	bool is_new;   /* the file does not have it so */
	struct counter *next_gone;
};

/* What a key has moved in a period, or all uplinks together. */
struct usage {
	enum history_level level; /* the finest that is known of it */
	int64_t t;
	struct history_key key;
	char name[HISTORY_KEY_MAX];
	uint64_t octets[N_DIRECTIONS];
};

struct moment {
	enum history_level level;
	int64_t t;
	struct history_total total;
};

enum statement {
	S_BEGIN,
	S_COMMIT,
	S_ROLLBACK,
	S_KEY_FIND,
	S_KEY_ADD,
	S_KEY_NAME,
	S_USAGE_ADD,
	S_USAGE_HAS,
	S_USAGE_COUNT,
	S_TOTAL_ADD,
	S_LAST_SET,
	S_LAST_DROP,
	S_META_SET,
	S_OLDEST_KEPT,
	S_COUNT,
	S_USAGE_CUT,
	S_TOTAL_CUT,
	S_FUTURE_USAGE_CUT,
	S_FUTURE_TOTAL_CUT,
	S_KEY_CUT,
	N_STATEMENTS
};

struct history {
	struct history_options options;
	char run[HISTORY_KEY_MAX];
	void *counters; /* trees of tsearch(3) */
	void *usages;
	void *moments;
	uint32_t n_pending; /* usages and moments */
	int n_wal_frames;   /* in the log after the last batch */
	int64_t keys_cut_s; /* the day on which keys without rows were last looked for */
	struct history_stats stats;
	sqlite3 *db;
	sqlite3_stmt *statements[N_STATEMENTS];
};

/* A sentence about the file. Returns -1. */
int history_fail(const struct history *h, const char *what, char *error);

/* Whether SQLite's result says that the file is not sound. */
bool history_is_damage(int result);

/* Sets the open file aside and begins a new one, with a sentence that says so. Returns -1: the next batch is the new file's first. */
int history_renew(struct history *h, char *error);

/* No file has the counters yet. */
void history_unsettle(struct history *h);

/* Enters a counter as the file has it. */
int history_restore(struct history *h, const struct history_counter *c);

/* The file has all counters as they are: those that are gone need not be known any more. */
void history_settle(struct history *h);

/* Forgets what waits in memory. */
void history_pending_clean(struct history *h);

/* Runs a prepared statement with integers bound in order, up to its first row or its end. Returns SQLite's result. */
int history_step(struct history *h, enum statement s, const sqlite3_int64 *values, int n);

/* The first column of its first row; `otherwise` where there is none. */
sqlite3_int64 history_number(struct history *h, enum statement s, const sqlite3_int64 *values,
	int n, sqlite3_int64 otherwise);

/* Within a batch: what is beyond the bounds goes. `share` of the file's size, in percent, is left free. Returns SQLite's result. */
int history_prune(struct history *h, int64_t now_s, uint32_t share);

/* The same for keys that no row is of. */
int history_prune_keys(struct history *h);

#endif
