/* SPDX-License-Identifier: BSD-3-Clause */
#include "budget_state.h"

#include <weir/base/civil.h>
#include <weir/base/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S_PER_DAY  86400
#define READS_MOST 8 /* of a meter that counts on meanwhile */

static struct ledger_time ledger_time_of(const struct budget_time *when)
{
	return (struct ledger_time){
		.now_us = when->now_us,
		.wall_s = when->wall_s,
		.day = (int32_t)civil_floor_div(when->wall_s, S_PER_DAY),
		.is_trusted = when->is_trusted,
	};
}

/* Asks for what the plans need, all in one write. */
static void renew(struct budget *b, const struct ledger_time *when)
{
	struct ledger_lease leases[PLANS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_books; i++) {
		const struct book *k = &b->books[i];
		uint64_t octets = 0;

		if (k->stand.ladder.action != LADDER_BLOCK)
			octets = ledger_lease_ask(b->ledger, k->plan, k->stand.lease_octets, when);
		if (octets > 0)
			leases[n++] = (struct ledger_lease){.plan = k->plan, .octets = octets};
	}
	if (n == 0)
		return;
	(void)ledger_grant(b->ledger, leases, n, when); /* a failure shows in its state */
}

/* Whatever it was that failed: opening, a lease, a cycle's end. */
static void tell_ledger(struct budget *b, const struct ledger_stats *now)
{
	if (now->state == b->stats.state)
		return;
	if (now->state == LEDGER_SOUND)
		log_event(LOG_NOTICE, "ledger.mended");
	else if (now->error == -EDQUOT)
		log_event(LOG_ERROR,
			"ledger.held_back writes_today=%u remedy=\"find out why weir was started "
			"so often\"",
			now->n_writes_today);
	else
		log_event(LOG_ERROR,
			"ledger.broken error=\"%s\" remedy=\"make room in runtime.state_dir\"",
			strerror(-now->error));
}

/* What a plan's rule says anew. */
static void apply_rule(struct budget *b, struct book *k)
{
	const struct rule *rule = rule_of(b, k);

	zone_close(k->zone);
	k->zone = NULL;
	if (zone_open(rule->timezone, &k->zone) != 0)
		log_event(LOG_ERROR,
			"plan.no_timezone plan=%s timezone=%s remedy=\"apt install tzdata\"",
			rule->name, rule->timezone);
	k->cycle = (struct cycle){0};
	k->stand_us = 0;
	rebase(b, k);
}

static void take_rules(struct budget *b)
{
	bool is_new;

	pthread_mutex_lock(&b->lock);
	is_new = b->has_next_rules;
	b->has_next_rules = false;
	if (is_new)
		b->rules = b->next_rules;
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < b->n_books && is_new; i++)
		apply_rule(b, &b->books[i]);
}

/* Top-ups that the configuration names. */
static void credit(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	struct ledger_plan before = {0};
	struct ledger_plan now = {0};

	if (!ledger_read_plan(b->ledger, k->plan, &before)
		|| ledger_credit(b->ledger, k->plan, rule->top_up_octets, when) != 0
		|| !ledger_read_plan(b->ledger, k->plan, &now)
		|| now.top_up_octets == before.top_up_octets)
		return;
	k->stand_us = 0;
	log_event(LOG_NOTICE, "plan.top_up plan=%s octets=%llu by=configuration", rule->name,
		(unsigned long long)(now.top_up_octets - before.top_up_octets));
}

/* The carrier's sessions, as the uplinks' ports tell. */
static void take_sessions(struct budget *b, const struct ledger_time *when)
{
	uint8_t news[PLANS_MAX];

	pthread_mutex_lock(&b->lock);
	memcpy(news, b->sessions, sizeof(news));
	memset(b->sessions, SESSION_GOES_ON, sizeof(b->sessions));
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < b->n_books; i++) {
		struct book *k = &b->books[i];
		const struct bill_rule *rule = &rule_of(b, k)->bill;

		if (news[i] == SESSION_GOES_ON)
			continue;
		if (news[i] == SESSION_NEW && when->is_trusted)
			bill_new_session(k->bill, rule, when->wall_s);
		else
			bill_maybe_new_session(k->bill, rule);
		k->stand_us = 0;
	}
}

static bool counts_equal(const struct meter *a, const struct meter *b)
{
	return memcmp(a->octets, b->octets, sizeof(a->octets)) == 0
	       && memcmp(a->packets, b->packets, sizeof(a->packets)) == 0
	       && memcmp(a->billed_octets, b->billed_octets, sizeof(a->billed_octets)) == 0
	       && a->all_reserved_octets == b->all_reserved_octets;
}

/* The worker counts on: two readings that are equal are of one moment. */
static void read_meter(const struct budget *b, struct book *k, uint8_t plan)
{
	struct meter again;

	doors_meter_read(b->path, plan, &k->seen);
	for (int i = 0; i < READS_MOST; i++) {
		doors_meter_read(b->path, plan, &again);
		if (counts_equal(&again, &k->seen))
			return;
		k->seen = again;
	}
}

static void settle_all(struct budget *b, const struct ledger_time *when)
{
	for (uint32_t i = 0; i < b->n_books; i++) {
		read_meter(b, &b->books[i], (uint8_t)i);
		settle(b, &b->books[i], when);
	}
}

void budget_tick(struct budget *b, const struct budget_time *now)
{
	struct ledger_time when = ledger_time_of(now);
	bool was_broken = ledger_stats(b->ledger).state == LEDGER_BROKEN;
	struct ledger_stats stats;

	settle_all(b, &when);
	take_rules(b);
	take_sessions(b, &when);
	for (uint32_t i = 0; i < b->n_books; i++)
		turn_cycle(b, &b->books[i], &when);
	inbox_take(b, &when);
	device_quota_tick(b, &when);
	command_take(b, &when);
	for (uint32_t i = 0; i < b->n_books && !was_broken; i++)
		credit(b, &b->books[i], &when);
	for (uint32_t i = 0; i < b->n_books; i++)
		stand_up(b, &b->books[i], &when);
	if (!ledger_retry(b->ledger, &when))
		renew(b, &when);
	for (uint32_t i = 0; i < b->n_books; i++)
		enforce(b, &b->books[i], &when);
	stats = ledger_stats(b->ledger);
	tell_ledger(b, &stats);
	pthread_mutex_lock(&b->lock);
	b->stats = stats;
	pthread_mutex_unlock(&b->lock);
	command_tell(b);
}

int budget_create(const struct config *c, struct path *path, struct journal_store *store,
	const struct budget_time *now, struct ledger_recovery *ret_recovery,
	struct budget **ret_budget)
{
	struct ledger_params params = {0};
	struct ledger_time when = ledger_time_of(now);
	struct budget *b = calloc(1, sizeof(*b));
	int error;

	if (b == NULL)
		return -ENOMEM;
	rules_fill(c, &b->rules);
	b->path = path;
	b->inbox = b->inboxes[0];
	pthread_mutex_init(&b->lock, NULL);
	params.journal.seed = now->now_us ^ (uint64_t)now->wall_s << 20;
	error = ledger_open(store, &params, &when, ret_recovery, &b->ledger);
	for (uint32_t i = 0; i < c->n_plans && error == 0; i++) {
		struct book *k = &b->books[b->n_books++];

		k->plan = ledger_plan(b->ledger, c->plans[i].name);
		doors_meter_read(path, (uint8_t)i, &k->seen);
		bill_take_up(b, k, &when);
		apply_rule(b, k);
		if (k->bill == NULL)
			error = -ENOSPC; /* unreachable while a ledger holds as many plans as a path */
	}
	if (error == 0)
		error = device_quota_create(b, c);
	if (error != 0) {
		budget_destroy(b);
		return error;
	}
	budget_tick(b, now);
	device_quota_restore(b);
	*ret_budget = b;
	return 0;
}

void budget_destroy(struct budget *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->n_books; i++)
		zone_close(b->books[i].zone);
	ledger_destroy(b->ledger);
	device_quota_destroy(b);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int budget_finish(struct budget *b, const struct budget_time *now)
{
	struct ledger_time when = ledger_time_of(now);

	settle_all(b, &when);
	inbox_take(b, &when);
	device_quota_finish(b, &when);
	return ledger_finish(b->ledger, &when);
}
