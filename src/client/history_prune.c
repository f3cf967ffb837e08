/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file's bounds: so many minutes, hours and days, and so many octets.
 *
 * A period more, a period less: what goes is counted, not dated, so that a clock that jumps years ahead for a while costs as many
 * old periods as it has made new ones, and not the whole history.
 */
#include "history_private.h"

#define FUTURE_S     HISTORY_DAY /* what is so far ahead was written by a clock that was wrong */
#define SLICE        60          /* periods that go at once when the file is too long */
#define N_KEPT_LEAST 60          /* of minutes, and hours, before what is coarser has to yield */

static int cut(struct history *h, enum history_level level, bool is_future, int64_t t)
{
	const sqlite3_int64 values[] = {history_per_s[level], t};
	int result = history_step(h, is_future ? S_FUTURE_USAGE_CUT : S_USAGE_CUT, values, 2);

	return result != SQLITE_OK
		       ? result
		       : history_step(h, is_future ? S_FUTURE_TOTAL_CUT : S_TOTAL_CUT, values, 2);
}

static int64_t count_from(struct history *h, enum history_level level, int64_t t)
{
	const sqlite3_int64 values[] = {history_per_s[level], t};

	return history_number(h, S_COUNT, values, 2, 0);
}

/* The nth youngest period, from 0. */
static int64_t period_at(struct history *h, enum history_level level, int64_t n)
{
	const sqlite3_int64 values[] = {history_per_s[level], n};

	return history_number(h, S_OLDEST_KEPT, values, 2, INT64_MIN);
}

/* Leaves the n youngest; first of those that must go are those of a time that is still to come. */
static int leave(struct history *h, enum history_level level, int64_t n, int64_t now_s)
{
	int64_t n_over = count_from(h, level, INT64_MIN) - n;
	int64_t n_future;
	int result = SQLITE_OK;

	if (n_over <= 0)
		return SQLITE_OK;
	n_future = count_from(h, level, now_s + FUTURE_S);
	if (n_future > n_over)
		n_future = n_over;
	if (n_future > 0)
		result = cut(h, level, true, period_at(h, level, n_future - 1));
	if (result == SQLITE_OK && n_over > n_future)
		result = cut(h, level, false, period_at(h, level, n - 1));
	return result;
}

/* Pages in use that the bound does not allow. */
static int64_t pages_over(const struct history *h, sqlite3_stmt *used, uint32_t share)
{
	int64_t n_max = (int64_t)(h->options.max_bytes / HISTORY_PAGE_BYTES);
	int64_t n = 0;

	if (sqlite3_step(used) == SQLITE_ROW)
		n = sqlite3_column_int64(used, 0);
	(void)sqlite3_reset(used);
	return n - n_max * (100 - share) / 100;
}

static int size_keep(struct history *h, int64_t now_s, uint32_t share)
{
	static const char text[] =
		"SELECT c.page_count - f.freelist_count FROM pragma_page_count() c,"
		" pragma_freelist_count() f";
	enum history_level level = HISTORY_MINUTES;
	sqlite3_stmt *used = NULL;
	int result = sqlite3_prepare_v2(h->db, text, -1, &used, NULL);

	while (result == SQLITE_OK && level < HISTORY_LEVELS && pages_over(h, used, share) > 0) {
		int64_t n = count_from(h, level, INT64_MIN);

		if (n <= N_KEPT_LEAST)
			level++;
		else
			result = leave(h, level,
				n - SLICE > N_KEPT_LEAST ? n - SLICE : N_KEPT_LEAST, now_s);
	}
	(void)sqlite3_finalize(used);
	return result;
}

int history_prune(struct history *h, int64_t now_s, uint32_t share)
{
	int result = SQLITE_OK;

	for (enum history_level l = 0; l < HISTORY_LEVELS && result == SQLITE_OK; l++)
		result = leave(h, l, h->options.n_keep[l], now_s);
	return result == SQLITE_OK ? size_keep(h, now_s, share) : result;
}

int history_prune_keys(struct history *h)
{
	return history_step(h, S_KEY_CUT, NULL, 0);
}
