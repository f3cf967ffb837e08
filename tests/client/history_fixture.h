/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder with a history in it, and what to fill it with. */
#ifndef WEIR_TESTS_CLIENT_HISTORY_FIXTURE_H
#define WEIR_TESTS_CLIENT_HISTORY_FIXTURE_H

#include "history.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOON 1795435200 /* 2026-11-23 12:00 UTC */

static char dir[64];
static char file[128];
static char error[CONNECTION_ERROR_MAX];
static char message[CONNECTION_ERROR_MAX];

static inline void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/weir-history-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/history.db", dir);
	setenv("TZ", "UTC", 1);
}

static inline void teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

static inline struct history *open_with(struct history_options options)
{
	struct history *h = NULL;

	options.file = file;
	cr_assert_eq(history_open(&options, &h, message, error), 0, "%s", error);
	return h;
}

static inline struct history *open_usual(void)
{
	return open_with((struct history_options)HISTORY_DEFAULTS);
}

static inline void commit(struct history *h)
{
	cr_assert_eq(history_commit(h, error), 0, "%s", error);
}

/* The number that a question has for an answer; -1: none. */
static inline int64_t ask(const char *text)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int64_t number = -1;

	cr_assert_eq(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &s, NULL), SQLITE_OK, "%s: %s", text,
		sqlite3_errmsg(db));
	if (sqlite3_step(s) == SQLITE_ROW)
		number = sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);
	return number;
}

static inline int64_t sum_of(const char *series, const char *key, int64_t per)
{
	char text[256];

	(void)snprintf(text, sizeof(text),
		"SELECT ifnull(sum(u.uplink_octets), 0) FROM usage u JOIN key k ON k.id = u.key "
		"WHERE k.series = '%s' AND k.key LIKE '%s' AND per = %lld",
		series, key, (long long)per);
	return ask(text);
}

static inline void count_since(struct history *h, enum history_series series, const char *key,
	uint64_t since_us, uint64_t up, int64_t t)
{
	struct history_counter c = {.key.series = series, .since_us = since_us, .octets = {up, 0}};
	uint64_t grown[N_DIRECTIONS];

	(void)snprintf(c.key.key, sizeof(c.key.key), "%s", key);
	history_name(h, &c.key);
	cr_assert_eq(history_count(h, &c, t, grown), 0);
}

static inline void count(
	struct history *h, enum history_series series, const char *key, uint64_t up, int64_t t)
{
	count_since(h, series, key, 0, up, t);
}

static inline void look(struct history *h, uint64_t octets, int64_t t)
{
	struct history_total total = {.octets = {octets, 0}, .seen_s = 10};

	cr_assert_eq(history_add_total(h, &total, t), 0);
}

static inline off_t size_of(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0 ? s.st_size : 0;
}

#endif
