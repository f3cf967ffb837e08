/* SPDX-License-Identifier: BSD-3-Clause */
/* The file: made, opened, set aside when it is damaged, and written to, a batch at a time. */
#include "history_private.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS  5000 /* for who reads by sqlite3 and locks */
#define ASIDE_MAX    4    /* damaged files that are kept */
#define FRAME_BYTES  (HISTORY_PAGE_BYTES + 24)
#define NAME_BYTES   1024 /* of a file set aside */
#define ENDING_BYTES 32   /* behind the name it had */

/* docs/history.md shows it, too. */
static const char schema[] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE key (id INTEGER PRIMARY KEY, series TEXT NOT NULL, key TEXT NOT NULL,"
	" mac TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (series, key, mac)) STRICT;"
	"CREATE TABLE total (per INTEGER, t INTEGER,"
	" uplink_octets INTEGER NOT NULL, downlink_octets INTEGER NOT NULL,"
	" uplink_peak_bps INTEGER NOT NULL, downlink_peak_bps INTEGER NOT NULL,"
	" uplink_shaped_bps INTEGER, downlink_shaped_bps INTEGER,"
	" uplink_delay_us INTEGER NOT NULL, downlink_delay_us INTEGER NOT NULL,"
	" uplink_radio_delay_us INTEGER NOT NULL, downlink_radio_delay_us INTEGER NOT NULL,"
	" dropped_packets INTEGER NOT NULL, seen_s INTEGER NOT NULL, marks INTEGER NOT NULL,"
	" PRIMARY KEY (per, t)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE usage (per INTEGER, t INTEGER, key INTEGER REFERENCES key,"
	" uplink_octets INTEGER NOT NULL, downlink_octets INTEGER NOT NULL,"
	" PRIMARY KEY (per, t, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE last (key INTEGER PRIMARY KEY, since_us INTEGER NOT NULL,"
	" uplink_octets INTEGER NOT NULL, downlink_octets INTEGER NOT NULL) STRICT;";

static const char usage_add[] =
	"INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
	" uplink_octets = uplink_octets + excluded.uplink_octets,"
	" downlink_octets = downlink_octets + excluded.downlink_octets";

static const char usage_count[] = "SELECT count(*) FROM usage u JOIN key k ON k.id = u.key"
				  " WHERE u.per = ?1 AND u.t = ?2 AND k.series = 'device'";

static const char total_add[] =
	"INSERT INTO total VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), nullif(?8, 0),"
	" ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT DO UPDATE SET"
	" uplink_octets = uplink_octets + excluded.uplink_octets,"
	" downlink_octets = downlink_octets + excluded.downlink_octets,"
	" uplink_peak_bps = max(uplink_peak_bps, excluded.uplink_peak_bps),"
	" downlink_peak_bps = max(downlink_peak_bps, excluded.downlink_peak_bps),"
	" uplink_shaped_bps = min(ifnull(uplink_shaped_bps, excluded.uplink_shaped_bps),"
	"  ifnull(excluded.uplink_shaped_bps, uplink_shaped_bps)),"
	" downlink_shaped_bps = min(ifnull(downlink_shaped_bps,"
	"  excluded.downlink_shaped_bps),"
	"  ifnull(excluded.downlink_shaped_bps, downlink_shaped_bps)),"
	" uplink_delay_us = max(uplink_delay_us, excluded.uplink_delay_us),"
	" downlink_delay_us = max(downlink_delay_us, excluded.downlink_delay_us),"
	" uplink_radio_delay_us = max(uplink_radio_delay_us, "
	"excluded.uplink_radio_delay_us),"
	" downlink_radio_delay_us = max(downlink_radio_delay_us, "
	"excluded.downlink_radio_delay_us),"
	" dropped_packets = dropped_packets + excluded.dropped_packets,"
	" seen_s = seen_s + excluded.seen_s, marks = marks | excluded.marks";

static const char key_cut[] = "DELETE FROM key WHERE id NOT IN (SELECT key FROM usage)"
			      " AND id NOT IN (SELECT key FROM last)";

static const char *const texts[N_STATEMENTS] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_ROLLBACK] = "ROLLBACK",
	[S_KEY_FIND] = "SELECT id FROM key WHERE series = ?1 AND key = ?2 AND mac = ?3",
	[S_KEY_ADD] = "INSERT INTO key (series, key, mac, name) VALUES (?1, ?2, ?3, ?4)",
	[S_KEY_NAME] = "UPDATE key SET name = ?1 WHERE id = ?2 AND name <> ?1",
	[S_USAGE_ADD] = usage_add,
	[S_USAGE_HAS] = "SELECT 1 FROM usage WHERE per = ?1 AND t = ?2 AND key = ?3",
	[S_USAGE_COUNT] = usage_count,
	[S_TOTAL_ADD] = total_add,
	[S_LAST_SET] = "INSERT OR REPLACE INTO last VALUES (?1, ?2, ?3, ?4)",
	[S_LAST_DROP] = "DELETE FROM last WHERE key = ?1",
	[S_META_SET] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
	[S_OLDEST_KEPT] = "SELECT t FROM total WHERE per = ?1 ORDER BY t DESC LIMIT 1 OFFSET ?2",
	[S_COUNT] = "SELECT count(*) FROM total WHERE per = ?1 AND t >= ?2",
	[S_USAGE_CUT] = "DELETE FROM usage WHERE per = ?1 AND t < ?2",
	[S_TOTAL_CUT] = "DELETE FROM total WHERE per = ?1 AND t < ?2",
	[S_FUTURE_USAGE_CUT] = "DELETE FROM usage WHERE per = ?1 AND t >= ?2",
	[S_FUTURE_TOTAL_CUT] = "DELETE FROM total WHERE per = ?1 AND t >= ?2",
	[S_KEY_CUT] = key_cut,
};

int history_fail(const struct history *h, const char *what, char *error)
{
	(void)snprintf(error, CONNECTION_ERROR_MAX, "history: %s %s: %s", what, h->options.file,
		h->db == NULL ? strerror(errno) : sqlite3_errmsg(h->db));
	return -1;
}

int history_step(struct history *h, enum statement s, const sqlite3_int64 *values, int n)
{
	sqlite3_stmt *statement = h->statements[s];
	int result;

	for (int i = 0; i < n; i++)
		(void)sqlite3_bind_int64(statement, i + 1, values[i]);
	result = sqlite3_step(statement);
	(void)sqlite3_reset(statement);
	return result == SQLITE_DONE || result == SQLITE_ROW ? SQLITE_OK : result;
}

sqlite3_int64 history_number(struct history *h, enum statement s, const sqlite3_int64 *values,
	int n, sqlite3_int64 otherwise)
{
	sqlite3_stmt *statement = h->statements[s];
	sqlite3_int64 number = otherwise;

	for (int i = 0; i < n; i++)
		(void)sqlite3_bind_int64(statement, i + 1, values[i]);
	if (sqlite3_step(statement) == SQLITE_ROW
		&& sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
		number = sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return number;
}

/* What the log has grown by: it is begun anew from time to time. */
static int log_grew(void *context, sqlite3 *db, const char *name, int n_frames)
{
	struct history *h = context;
	int n = n_frames > h->n_wal_frames ? n_frames - h->n_wal_frames : n_frames;

	(void)db;
	(void)name;
	h->n_wal_frames = n_frames;
	h->stats.written_bytes += (uint64_t)n * FRAME_BYTES;
	return SQLITE_OK;
}

static void db_close(struct history *h)
{
	for (int i = 0; i < N_STATEMENTS; i++) {
		(void)sqlite3_finalize(h->statements[i]);
		h->statements[i] = NULL;
	}
	(void)sqlite3_close(h->db);
	h->db = NULL;
}

static int db_run(struct history *h, const char *text)
{
	return sqlite3_exec(h->db, text, NULL, NULL, NULL);
}

/* A pragma's number; -1 where it cannot be read. */
static sqlite3_int64 db_ask(struct history *h, const char *text)
{
	sqlite3_stmt *statement = NULL;
	sqlite3_int64 number = -1;

	if (sqlite3_prepare_v2(h->db, text, -1, &statement, NULL) == SQLITE_OK
		&& sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return number;
}

/* Returns SQLite's result; SQLITE_CORRUPT for a file that is not sound. */
static int db_check(struct history *h)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(h->db, "PRAGMA quick_check(1)", -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		result = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0
				 ? SQLITE_OK
				 : SQLITE_CORRUPT;
	(void)sqlite3_finalize(statement);
	return result;
}

static int db_make(struct history *h)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		HISTORY_APPLICATION, HISTORY_VERSION);
	if (db_run(h, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;"
		      "PRAGMA journal_mode = WAL; BEGIN")
			!= SQLITE_OK
		|| db_run(h, schema) != SQLITE_OK || db_run(h, text) != SQLITE_OK)
		return sqlite3_extended_errcode(h->db);
	return db_run(h, "COMMIT");
}

/* Is this file ours, or empty? Returns SQLite's result; SQLITE_MISMATCH for another's. */
static int db_recognize(struct history *h, char *error)
{
	sqlite3_int64 n_tables = db_ask(h, "SELECT count(*) FROM sqlite_schema");
	sqlite3_int64 application = db_ask(h, "PRAGMA application_id");
	sqlite3_int64 version = db_ask(h, "PRAGMA user_version");

	if (n_tables < 0)
		return sqlite3_extended_errcode(h->db);
	if (n_tables == 0)
		return db_make(h);
	if (application == HISTORY_APPLICATION && version == HISTORY_VERSION)
		return SQLITE_OK;
	(void)snprintf(error, CONNECTION_ERROR_MAX,
		application == HISTORY_APPLICATION
			? "history: %s is of a newer weir-web: it stays as it is"
			: "history: %s is another program's database: it stays as it is",
		h->options.file);
	return SQLITE_MISMATCH;
}

static int statements_prepare(struct history *h)
{
	int result = SQLITE_OK;

	for (int i = 0; i < N_STATEMENTS && result == SQLITE_OK; i++)
		result = sqlite3_prepare_v3(
			h->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &h->statements[i], NULL);
	return result;
}

static int pages_bound(struct history *h)
{
	char text[96];
	sqlite3_int64 n_max = (sqlite3_int64)(h->options.max_bytes / HISTORY_PAGE_BYTES);

	(void)snprintf(text, sizeof(text), "PRAGMA max_page_count = %lld", (long long)n_max);
	return db_run(h, text);
}

/* Opens the file as it is. Returns SQLite's result. */
static int db_open(struct history *h, char *error)
{
	int result = sqlite3_open_v2(h->options.file, &h->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
			| SQLITE_OPEN_EXRESCODE,
		NULL);

	if (result != SQLITE_OK)
		return result;
	(void)sqlite3_busy_timeout(h->db, PATIENCE_MS);
	result = db_recognize(h, error);
	if (result == SQLITE_OK)
		result = db_check(h);
	/* FULL: what a batch has written is on the disk when it ends. */
	if (result == SQLITE_OK)
		result = db_run(h,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1024;"
			"PRAGMA journal_size_limit = 4194304; PRAGMA temp_store = MEMORY");
	if (result == SQLITE_OK)
		result = pages_bound(h);
	if (result == SQLITE_OK)
		result = statements_prepare(h);
	if (result == SQLITE_OK)
		(void)sqlite3_wal_hook(h->db, log_grew, h);
	return result;
}

/* The file and what belongs to it get another name. */
static int set_aside(const struct history *h, char *message, char *error)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	char from[NAME_BYTES];
	char to[NAME_BYTES];
	int n = 1;

	do
		(void)snprintf(to, sizeof(to), "%s.damaged.%d", h->options.file, n);
	while (access(to, F_OK) == 0 && n++ < ASIDE_MAX);
	if (n > ASIDE_MAX) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"history: %s is damaged, and so were %d before it: see to the disk, and "
			"remove them",
			h->options.file, ASIDE_MAX);
		return -1;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(from, sizeof(from), "%s%s", h->options.file, parts[i]);
		(void)snprintf(to, sizeof(to), "%s.damaged.%d%s", h->options.file, n, parts[i]);
		if (rename(from, to) != 0 && errno != ENOENT)
			return history_fail(h, "cannot set aside", error);
	}
	(void)snprintf(message, CONNECTION_ERROR_MAX,
		"history: %s is damaged: it is %s.damaged.%d now, and a new one is begun",
		h->options.file, h->options.file, n);
	return 0;
}

bool history_is_damage(int result)
{
	int kind = result & 0xff;

	return kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
}

/* Opens the file, and one that is damaged not: that is set aside, and a new one made. Returns SQLite's result, SQLITE_ABORT where the
 * sentence is there already. */
static int db_open_sound(struct history *h, char *message, char *error)
{
	int result = db_open(h, error);

	if (history_is_damage(result)) {
		db_close(h);
		result = set_aside(h, message, error) == 0 ? db_open(h, error) : SQLITE_ABORT;
	}
	if (result != SQLITE_OK && result != SQLITE_ABORT && result != SQLITE_MISMATCH)
		(void)history_fail(h, "cannot open", error);
	if (result != SQLITE_OK)
		db_close(h);
	return result;
}

int history_renew(struct history *h, char *error)
{
	char message[CONNECTION_ERROR_MAX] = "";

	if (h->db != NULL) {
		db_close(h);
		if (set_aside(h, message, error) != 0)
			return -1;
	}
	if (db_open_sound(h, message, error) != SQLITE_OK)
		return -1;
	history_unsettle(h);
	(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
		message[0] == '\0' ? "history: a new file is begun" : message);
	return -1;
}

static int last_load(struct history *h)
{
	static const char text[] =
		"SELECT k.series, k.key, k.mac, k.name, l.since_us, l.uplink_octets,"
		" l.downlink_octets FROM last l JOIN key k ON k.id = l.key";
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(h->db, text, -1, &statement, NULL);

	while (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
		struct history_counter c = {0};
		const char *series = (const char *)sqlite3_column_text(statement, 0);

		while (c.key.series < HISTORY_DEVICE
			&& strcmp(history_series_name(c.key.series), series) != 0)
			c.key.series++;
		(void)snprintf(c.key.key, sizeof(c.key.key), "%s",
			(const char *)sqlite3_column_text(statement, 1));
		(void)snprintf(c.key.mac, sizeof(c.key.mac), "%s",
			(const char *)sqlite3_column_text(statement, 2));
		(void)snprintf(c.name, sizeof(c.name), "%s",
			(const char *)sqlite3_column_text(statement, 3));
		c.since_us = (uint64_t)sqlite3_column_int64(statement, 4);
		c.octets[UPLINK] = (uint64_t)sqlite3_column_int64(statement, 5);
		c.octets[DOWNLINK] = (uint64_t)sqlite3_column_int64(statement, 6);
		result = history_restore(h, &c) == 0 ? SQLITE_OK : SQLITE_NOMEM;
	}
	(void)sqlite3_finalize(statement);
	return result;
}

static void run_load(struct history *h)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(
		    h->db, "SELECT value FROM meta WHERE name = 'run'", -1, &statement, NULL)
			== SQLITE_OK
		&& sqlite3_step(statement) == SQLITE_ROW)
		(void)snprintf(h->run, sizeof(h->run), "%s",
			(const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_finalize(statement);
	h->stats.newest_s = db_ask(h, "SELECT ifnull(max(t), 0) FROM total WHERE per = 60");
}

int history_open(const struct history_options *options, struct history **ret_history,
	char message[CONNECTION_ERROR_MAX], char error[CONNECTION_ERROR_MAX])
{
	struct history *h = calloc(1, sizeof(*h));
	int result;

	(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
	if (h == NULL)
		return -1;
	message[0] = '\0';
	h->options = *options;
	if (strlen(options->file) + ENDING_BYTES > NAME_BYTES) {
		(void)snprintf(
			error, CONNECTION_ERROR_MAX, "history: the name of the file is too long");
		history_close(h);
		return -1;
	}
	result = db_open_sound(h, message, error);
	if (result == SQLITE_OK) {
		result = last_load(h);
		if (result != SQLITE_OK)
			(void)history_fail(h, "cannot read", error);
	}
	if (result != SQLITE_OK) {
		history_close(h);
		return -1;
	}
	run_load(h);
	*ret_history = h;
	return 0;
}

void history_close(struct history *h)
{
	if (h == NULL)
		return;
	db_close(h);
	history_pending_clean(h);
	tdestroy(h->counters, free);
	free(h);
}
