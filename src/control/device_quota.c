/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices have used of the plans: from the path to the ledger, and back at the next start. The path itself holds them to
 * their quotas; here is remembered what they used, and told what became of it.
 */
#include "budget_state.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/flow/station.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASS_US       (100 * US_PER_MS) /* between two looks at all devices */
#define SYNC_US       US_PER_S          /* between two writes for their sake */
#define BATCH         32
#define PRINTED_PER_S 50

/* A part of a quota that may be forgotten by a crash; and of the day's writes, what quotas may take for that. */
#define UNSAVED_PART 32
#define WRITES_MAX   (LEASE_WRITES_PER_DAY / 2)

#define RECORD_SHARES 256 /* that one record holds beside all else */

/* What was seen of a station's share at the last look. */
struct seen {
	struct mac_addr key;
	uint8_t action; /* enum ladder_action */
	uint32_t cycle;
	bool is_unlisted;      /* the ledger has no room for it */
	uint64_t set_octets;   /* told the ledger */
	uint64_t saved_octets; /* and known to be on disk */
	uint64_t set_reserved; /* the same, of all reserves */
	uint64_t saved_reserved;
};

struct device_quotas {
	uint32_t n_stations; /* that there can be */
	struct seen *seen;   /* by plan, then station */
	uint32_t n_names;
	char names[QUOTAS_MAX][QUOTA_NAME_MAX];
	bool has_next_names;
	uint32_t n_next_names;
	char next_names[QUOTAS_MAX][QUOTA_NAME_MAX];
	bool was_counting;
	uint64_t passed_us; /* when all were looked at last */
	uint64_t synced_us;
	uint64_t n_syncs; /* of the journal, then */
	struct log_limit limit;
	struct budget_devices now;
	uint32_t n_changed; /* rows of the ledger in this look */
	bool wants_sync;
};

int device_quota_create(struct budget *b, const struct config *c)
{
	struct device_quotas *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	b->quotas = q;
	q->n_stations = STATION_FIRST + 2 * c->devices_capacity;
	q->limit = (struct log_limit){.interval_us = US_PER_S, .burst = PRINTED_PER_S};
	q->seen =
		calloc((size_t)q->n_stations * (b->n_books > 0 ? b->n_books : 1), sizeof(*q->seen));
	device_quota_set_config(b, c);
	return q->seen == NULL ? -ENOMEM : 0;
}

void device_quota_destroy(struct budget *b)
{
	if (b->quotas == NULL)
		return;
	free(b->quotas->seen);
	free(b->quotas);
}

void device_quota_set_config(struct budget *b, const struct config *c)
{
	struct device_quotas *q = b->quotas;

	q->n_next_names = c->n_quotas;
	for (uint32_t i = 0; i < c->n_quotas; i++)
		memcpy(q->next_names[i], c->quotas[i].name, sizeof(q->next_names[i]));
	q->has_next_names = true;
}

static void take_names(struct budget *b)
{
	struct device_quotas *q = b->quotas;

	pthread_mutex_lock(&b->lock);
	if (q->has_next_names) {
		q->n_names = q->n_next_names;
		memcpy(q->names, q->next_names, sizeof(q->names));
		q->has_next_names = false;
	}
	pthread_mutex_unlock(&b->lock);
}

/* Under this name the ledger keeps what the reserve behind an account has paid; 0: none. */
static uint8_t class_of(struct budget *b, uint8_t account)
{
	char name[LEDGER_NAME_MAX];

	if (account == ACCOUNT_GENERAL || b->rules.account_names[account][0] == '\0')
		return 0;
	(void)snprintf(
		name, sizeof(name), "/%.*s", LEDGER_NAME_MAX - 2, b->rules.account_names[account]);
	return ledger_class(b->ledger, name);
}

/* What one device may have of a reserve; 0: there is no limit but the reserve. */
static uint64_t limit_of(const struct budget *b, uint8_t account)
{
	uint64_t limit = b->rules.device_reserves[account];

	return limit == METER_UNLIMITED ? 0 : limit;
}

static bool has_limits(const struct budget *b)
{
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		if (limit_of(b, a) != 0)
			return true;
	return b->quotas->n_names > 0;
}

/* The quota that several share, or a device's MAC. */
static const char *key_text(
	const struct device_quotas *q, const struct mac_addr *key, char text[QUOTA_NAME_MAX])
{
	for (uint32_t i = 0; i < q->n_names; i++) {
		struct mac_addr shared = station_key_of_name(q->names[i]);

		if (mac_addr_equal(key, &shared))
			return q->names[i];
	}
	return mac_addr_format(key, text);
}

static void tell_step(struct budget *b, const struct book *k, const struct share_view *v,
	enum ladder_action before, enum ladder_action action)
{
	struct device_quotas *q = b->quotas;
	char text[QUOTA_NAME_MAX];

	q->now.n_steps++;
	if (!log_limit_take(&q->limit, q->passed_us))
		return;
	log_event(action > before ? LOG_WARNING : LOG_NOTICE,
		"device.step device=%s plan=%s step=%s used_octets=%llu quota_octets=%llu",
		key_text(q, &v->key, text), b->rules.plans[k - b->books].name,
		budget_action_name(action), (unsigned long long)v->used_octets,
		(unsigned long long)v->quota_octets);
}

static bool set_share(struct budget *b, const struct book *k, const struct mac_addr *key,
	uint8_t class_id, uint64_t octets)
{
	struct ledger_share share = {
		.key = *key, .plan = k->plan, .class_id = class_id, .octets = octets};

	b->quotas->n_changed++;
	return ledger_set_share(b->ledger, &share);
}

/* More than a crash may make forgotten. */
static bool is_overdue(uint64_t octets, uint64_t saved, uint64_t limit)
{
	uint64_t least = limit / UNSAVED_PART;

	if (limit == 0 || saved >= limit)
		return false;
	return octets > saved
	       && octets - saved > (least > SHARE_WORTH_OCTETS ? least : SHARE_WORTH_OCTETS);
}

static void keep_quota(
	struct budget *b, const struct book *k, const struct share_view *v, struct seen *seen)
{
	if (v->used_octets != seen->set_octets && share_is_worth(v->used_octets, v->quota_octets)) {
		seen->is_unlisted = !set_share(b, k, &v->key, 0, v->used_octets);
		seen->set_octets = v->used_octets;
	}
	b->quotas->wants_sync |= !seen->is_unlisted
				 && is_overdue(v->used_octets, seen->saved_octets, v->quota_octets);
}

static void keep_reserves(
	struct budget *b, const struct book *k, const struct share_view *v, struct seen *seen)
{
	uint64_t least = UINT64_MAX;
	uint64_t sum = 0;

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		sum += v->reserved_octets[a];
	if (sum == seen->set_reserved)
		return;
	seen->set_reserved = sum;
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		uint64_t limit = limit_of(b, a);
		uint8_t class_id = class_of(b, a);

		if (limit == 0 || class_id == 0 || !share_is_worth(v->reserved_octets[a], limit))
			continue;
		least = limit < least ? limit : least;
		if (!set_share(b, k, &v->key, class_id, v->reserved_octets[a]))
			seen->is_unlisted = true;
	}
	b->quotas->wants_sync |=
		least != UINT64_MAX && is_overdue(sum, seen->saved_reserved, least);
}

/* What a share has in the plan's present cycle. */
static struct share_view present(const struct book *k, const struct share_view *v)
{
	struct share_view now = *v;

	if (v->cycle == k->n_cycles)
		return now;
	now.used_octets = 0;
	now.action = LADDER_NOTHING;
	memset(now.reserved_octets, 0, sizeof(now.reserved_octets));
	return now;
}

static void look(struct budget *b, const struct book *k, const struct share_view *view,
	struct seen *seen, bool is_saved)
{
	struct share_view v = present(k, view);

	if (!mac_addr_equal(&seen->key, &v.key))
		*seen = (struct seen){.key = v.key};
	if (seen->cycle != k->n_cycles) /* the ledger's rows are gone */
		*seen = (struct seen){.key = v.key, .cycle = k->n_cycles, .action = seen->action};
	if (is_saved) {
		seen->saved_octets = seen->set_octets;
		seen->saved_reserved = seen->set_reserved;
	}
	if (seen->action != v.action)
		tell_step(b, k, &v, (enum ladder_action)seen->action, v.action);
	seen->action = (uint8_t)v.action;
	keep_quota(b, k, &v, seen);
	keep_reserves(b, k, &v, seen);
	b->quotas->now.n_cut += v.action >= LADDER_RESERVE_ONLY;
	b->quotas->now.n_unlisted += seen->is_unlisted;
}

static void look_at_plan(struct budget *b, uint32_t plan, bool is_saved)
{
	static const struct mac_addr nobody;
	struct device_quotas *q = b->quotas;
	struct share_view views[BATCH];
	uint32_t first = 0;
	uint32_t n;

	while ((n = doors_shares_read(b->path, (uint8_t)plan, first, views, BATCH)) > 0) {
		for (uint32_t i = 0; i < n && first + i < q->n_stations; i++)
			if (!mac_addr_equal(&views[i].key, &nobody))
				look(b, &b->books[plan], &views[i],
					&q->seen[(size_t)plan * q->n_stations + first + i],
					is_saved);
		first += n;
	}
}

static void look_at_all(struct budget *b, uint64_t now_us)
{
	struct device_quotas *q = b->quotas;
	uint64_t n_syncs = ledger_stats(b->ledger).journal.n_syncs;

	q->passed_us = now_us;
	q->n_changed = 0;
	q->wants_sync = false;
	q->now.n_cut = q->now.n_unlisted = 0;
	for (uint32_t i = 0; i < b->n_books; i++)
		look_at_plan(b, i, n_syncs != q->n_syncs);
	q->n_syncs = n_syncs;
	pthread_mutex_lock(&b->lock);
	b->devices = q->now;
	pthread_mutex_unlock(&b->lock);
}

void device_quota_tick(struct budget *b, const struct ledger_time *when)
{
	struct device_quotas *q = b->quotas;
	struct ledger_stats stats;

	if (when->now_us - q->passed_us < PASS_US)
		return;
	take_names(b);
	if (!has_limits(b) && !q->was_counting)
		return;
	q->was_counting = has_limits(b);
	look_at_all(b, when->now_us);
	stats = ledger_stats(b->ledger);
	/* Leases carry what devices have used along; where none is due for long, it is written by itself. */
	if (!q->wants_sync || stats.state != LEDGER_SOUND || stats.n_writes_today >= WRITES_MAX
		|| when->now_us - q->synced_us < SYNC_US)
		return;
	q->synced_us = when->now_us;
	(void)ledger_sync(b->ledger, when); /* on an error leases stop, and the budget tells */
}

void device_quota_finish(struct budget *b, const struct ledger_time *when)
{
	look_at_all(b, when->now_us);
	for (uint32_t n = b->quotas->n_changed; n > RECORD_SHARES; n -= RECORD_SHARES)
		(void)ledger_sync(b->ledger, when);
}

/* The account behind a class of the ledger; METER_ACCOUNTS: there is none any more. */
static uint8_t account_of(struct budget *b, uint8_t class_id)
{
	uint8_t account = 1;

	if (class_id == 0)
		return ACCOUNT_GENERAL;
	while (account < METER_ACCOUNTS && class_of(b, account) != class_id)
		account++;
	return account;
}

void device_quota_restore(struct budget *b)
{
	struct ledger_share share;
	uint32_t n_lost = 0;

	for (uint32_t i = 0; ledger_read_share(b->ledger, i, &share); i++) {
		uint8_t account = account_of(b, share.class_id);

		for (uint32_t plan = 0; plan < b->n_books && account < METER_ACCOUNTS; plan++) {
			const struct book *k = &b->books[plan];

			if (k->plan == share.plan
				&& !doors_share_restore(b->path, (uint8_t)plan, &share.key,
					k->n_cycles, account, share.octets))
				n_lost++;
		}
	}
	if (n_lost > 0)
		log_event(LOG_WARNING,
			"device.forgotten devices=%u remedy=\"raise devices.capacity\"", n_lost);
}

struct budget_devices budget_devices_read(struct budget *b)
{
	struct budget_devices devices;

	pthread_mutex_lock(&b->lock);
	devices = b->devices;
	pthread_mutex_unlock(&b->lock);
	return devices;
}
