/* SPDX-License-Identifier: BSD-3-Clause */
/* What counters grew by, kept by minute until it is written. */
#include "history_private.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const int64_t history_per_s[HISTORY_LEVELS] = {HISTORY_MINUTE, HISTORY_HOUR, HISTORY_DAY};

const char *history_series_name(enum history_series series)
{
	static const char *const names[HISTORY_SERIES] = {"port", "plan", "class", "device"};

	return names[series];
}

int64_t history_floor(enum history_level level, int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (level != HISTORY_DAYS)
		return t - t % history_per_s[level];
	if (localtime_r(&at, &tm) == NULL)
		return t - t % HISTORY_DAY;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm);
}

static int key_compare(const struct history_key *a, const struct history_key *b)
{
	int order = (int)a->series - (int)b->series;

	if (order == 0)
		order = strcmp(a->key, b->key);
	return order != 0 ? order : strcmp(a->mac, b->mac);
}

static int counter_compare(const void *a, const void *b)
{
	const struct counter *x = a;
	const struct counter *y = b;

	return key_compare(&x->is.key, &y->is.key);
}

static int time_compare(
	enum history_level a_level, int64_t a, enum history_level b_level, int64_t b)
{
	if (a_level != b_level)
		return a_level < b_level ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int usage_compare(const void *a, const void *b)
{
	const struct usage *x = a;
	const struct usage *y = b;
	int order = time_compare(x->level, x->t, y->level, y->t);

	return order != 0 ? order : key_compare(&x->key, &y->key);
}

static int moment_compare(const void *a, const void *b)
{
	const struct moment *x = a;
	const struct moment *y = b;

	return time_compare(x->level, x->t, y->level, y->t);
}

/* Finds an object, or enters a copy of `like`. Returns NULL without memory. */
static void *take(void **tree, const void *like, size_t n,
	int (*compare)(const void *, const void *), bool *ret_is_new)
{
	void **found = tfind(like, tree, compare);
	void *copy;

	*ret_is_new = false;
	if (found != NULL)
		return *found;
	copy = malloc(n);
	if (copy == NULL)
		return NULL;
	memcpy(copy, like, n);
	if (tsearch(copy, tree, compare) == NULL) {
		free(copy);
		return NULL;
	}
	*ret_is_new = true;
	return copy;
}

void history_pending_clean(struct history *h)
{
	tdestroy(h->usages, free);
	tdestroy(h->moments, free);
	h->usages = NULL;
	h->moments = NULL;
	h->n_pending = 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void total_add(struct history_total *to, const struct history_total *more)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		uint64_t shaped_bps = more->shaped_bps[d];

		to->octets[d] += more->octets[d];
		to->peak_bps[d] = larger(to->peak_bps[d], more->peak_bps[d]);
		to->wait_us[d] = larger(to->wait_us[d], more->wait_us[d]);
		to->radio_us[d] = larger(to->radio_us[d], more->radio_us[d]);
		if (to->shaped_bps[d] == 0 || (shaped_bps != 0 && shaped_bps < to->shaped_bps[d]))
			to->shaped_bps[d] = shaped_bps;
	}
	to->n_dropped += more->n_dropped;
	to->seen_s += more->seen_s;
	to->marks |= more->marks;
}

static int usage_add(struct history *h, const struct usage *u)
{
	bool is_new;
	struct usage *to = take(&h->usages, u, sizeof(*u), usage_compare, &is_new);

	if (to == NULL)
		return -1;
	for (int d = 0; d < N_DIRECTIONS && !is_new; d++)
		to->octets[d] += u->octets[d];
	if (u->name[0] != '\0')
		memcpy(to->name, u->name, sizeof(to->name));
	h->n_pending += is_new;
	return 0;
}

static int moment_add(struct history *h, const struct moment *m)
{
	bool is_new;
	struct moment *to = take(&h->moments, m, sizeof(*m), moment_compare, &is_new);

	if (to == NULL)
		return -1;
	if (!is_new)
		total_add(&to->total, &m->total);
	h->n_pending += is_new;
	return 0;
}

/* A walk that makes other trees of the same things. */
struct moving {
	struct history to;
	int64_t by_s;
	bool is_coarser;
	int result;
};

static enum history_level level_after(const struct moving *m, enum history_level level)
{
	return m->is_coarser && level < HISTORY_DAYS ? level + 1 : level;
}

static void usage_move(const void *node, VISIT visit, void *context)
{
	struct moving *m = context;
	struct usage u;

	if (visit != postorder && visit != leaf)
		return;
	u = **(struct usage *const *)node;
	u.level = level_after(m, u.level);
	u.t = history_floor(u.level, u.t + m->by_s);
	m->result |= usage_add(&m->to, &u);
}

static void moment_move(const void *node, VISIT visit, void *context)
{
	struct moving *m = context;
	struct moment at;

	if (visit != postorder && visit != leaf)
		return;
	at = **(struct moment *const *)node;
	at.level = level_after(m, at.level);
	at.t = history_floor(at.level, at.t + m->by_s);
	m->result |= moment_add(&m->to, &at);
}

/* All that waits, at other times. Returns 0, or -1 without memory: then it is as it was. */
static int pending_move(struct history *h, int64_t by_s, bool is_coarser)
{
	struct moving m = {.by_s = by_s, .is_coarser = is_coarser};

	twalk_r(h->usages, usage_move, &m);
	twalk_r(h->moments, moment_move, &m);
	if (m.result != 0) {
		history_pending_clean(&m.to);
		return -1;
	}
	history_pending_clean(h);
	h->usages = m.to.usages;
	h->moments = m.to.moments;
	h->n_pending = m.to.n_pending;
	return 0;
}

void history_shift(struct history *h, int64_t by_s)
{
	(void)pending_move(h, by_s, false); /* else it is where it was thought to be */
}

/* Room for one more entry: as long as nothing can be written, what waits loses its detail and nothing else. */
static int room_make(struct history *h)
{
	for (int i = 0; i < HISTORY_LEVELS && h->n_pending >= HISTORY_PENDING_MAX; i++)
		if (pending_move(h, 0, true) != 0)
			return -1;
	return h->n_pending < HISTORY_PENDING_MAX ? 0 : -1;
}

static struct counter *counter_find(struct history *h, const struct history_key *key)
{
	struct counter like = {.is.key = *key};
	struct counter **found = tfind(&like, &h->counters, counter_compare);

	return found == NULL ? NULL : *found;
}

static void counter_end(const void *node, VISIT visit, __attribute__((unused)) void *context)
{
	struct counter *c = *(struct counter *const *)node;

	if (visit != postorder && visit != leaf)
		return;
	c->is_gone = true;
	c->is_new = true;
}

bool history_run(struct history *h, const char *run)
{
	if (strcmp(h->run, run) == 0)
		return false;
	(void)snprintf(h->run, sizeof(h->run), "%s", run);
	twalk_r(h->counters, counter_end, NULL);
	return true;
}

int history_restore(struct history *h, const struct history_counter *c)
{
	struct counter like = {.is = *c};
	bool is_first;

	return take(&h->counters, &like, sizeof(like), counter_compare, &is_first) == NULL ? -1 : 0;
}

/* A walk that looks for a counter to forget, or marks those that stay: a tree must not change under its walk. */
static void counter_settle(const void *node, VISIT visit, void *context)
{
	struct counter *c = *(struct counter *const *)node;
	struct counter **gone = context;

	if (visit != postorder && visit != leaf)
		return;
	c->is_new = false;
	if (c->is_gone) {
		c->next_gone = *gone;
		*gone = c;
	}
}

static void counter_unsettle(const void *node, VISIT visit, __attribute__((unused)) void *context)
{
	if (visit == postorder || visit == leaf)
		(*(struct counter *const *)node)->is_new = true;
}

void history_unsettle(struct history *h)
{
	twalk_r(h->counters, counter_unsettle, NULL);
}

void history_settle(struct history *h)
{
	struct counter *gone = NULL;

	twalk_r(h->counters, counter_settle, &gone);
	while (gone != NULL) {
		struct counter *next = gone->next_gone;

		(void)tdelete(gone, &h->counters, counter_compare);
		free(gone);
		gone = next;
	}
}

void history_name(struct history *h, const struct history_key *key)
{
	struct counter *c = counter_find(h, key);

	if (c != NULL)
		c->is_named = true;
}

/* A listing's end. */
struct naming {
	enum history_series series;
	uint64_t gone_octets[N_DIRECTIONS];
};

static void counter_named(const void *node, VISIT visit, void *context)
{
	struct counter *c = *(struct counter *const *)node;
	struct naming *n = context;

	if ((visit != postorder && visit != leaf) || c->is.key.series != n->series)
		return;
	if (!c->is_named && !c->is_gone) {
		for (int d = 0; d < N_DIRECTIONS; d++)
			n->gone_octets[d] += c->is.octets[d];
		c->is_gone = true;
		c->is_new = true;
	}
	c->is_named = false;
}

void history_named(struct history *h, enum history_series series)
{
	static const struct history_key heir = {HISTORY_CLASS, HISTORY_DEFAULT_NAME, ""};
	struct naming n = {.series = series};
	struct counter *c = counter_find(h, &heir);

	twalk_r(h->counters, counter_named, &n);
	if (series != HISTORY_CLASS || c == NULL || c->is_gone)
		return;
	for (int d = 0; d < N_DIRECTIONS; d++)
		c->is.octets[d] += n.gone_octets[d];
}

/* By how much a counter grew. One that stands lower than it stood has been read while it moved: the next answer is right again. */
static void grow(const struct counter *c, const struct history_counter *now,
	uint64_t ret_base[N_DIRECTIONS], uint64_t ret_grown[N_DIRECTIONS])
{
	bool is_anew = c->is_gone || c->is.since_us != now->since_us;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		uint64_t base = is_anew ? 0 : c->is.octets[d];

		ret_base[d] = larger(base, now->octets[d]);
		ret_grown[d] = ret_base[d] - base;
	}
}

int history_count(struct history *h, const struct history_counter *c, int64_t t,
	uint64_t ret_grown[N_DIRECTIONS])
{
	struct counter like = {.is = {.key = c->key, .since_us = c->since_us}, .is_new = true};
	struct usage u = {.t = history_floor(HISTORY_MINUTES, t), .key = c->key};
	uint64_t base[N_DIRECTIONS];
	bool is_first;
	struct counter *held;

	held = take(&h->counters, &like, sizeof(like), counter_compare, &is_first);
	if (held == NULL)
		return -1;
	grow(held, c, base, u.octets);
	memcpy(u.name, c->name, sizeof(u.name));
	if (u.octets[UPLINK] + u.octets[DOWNLINK] > 0
		&& (room_make(h) != 0 || usage_add(h, &u) != 0))
		return -1;
	held->is_new |= held->is_gone || held->is.since_us != c->since_us
			|| memcmp(base, held->is.octets, sizeof(base)) != 0;
	held->is_gone = false;
	held->is = *c;
	memcpy(held->is.octets, base, sizeof(base));
	memcpy(ret_grown, u.octets, sizeof(u.octets));
	return 0;
}

int history_add_total(struct history *h, const struct history_total *total, int64_t t)
{
	struct moment m = {.t = history_floor(HISTORY_MINUTES, t), .total = *total};

	return room_make(h) != 0 ? -1 : moment_add(h, &m);
}

struct history_stats history_stats(const struct history *h)
{
	struct history_stats s = h->stats;

	s.n_pending = h->n_pending;
	return s;
}
