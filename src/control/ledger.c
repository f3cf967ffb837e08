/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger_state.h"

#include <weir/base/clock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_US US_PER_S
#define RETRY_LAST_US  (60 * US_PER_S)

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

/* Keeps the day's figures for the flash budget. */
static void turn_day(struct ledger *l, uint64_t now_us)
{
	uint64_t passed_us = now_us - l->day_us;

	if (passed_us < LEDGER_DAY_US)
		return;
	l->day_us += passed_us - passed_us % LEDGER_DAY_US;
	l->stats.n_writes_yesterday = l->stats.n_writes_today;
	l->stats.written_bytes_yesterday = l->stats.written_bytes_today;
	l->stats.n_writes_today = 0;
	l->stats.written_bytes_today = 0;
}

static void count_writes(struct ledger *l, uint64_t now_us)
{
	struct journal_stats now = journal_stats(l->journal);

	turn_day(l, now_us);
	l->stats.n_writes_today += (uint32_t)(now.n_syncs - l->seen.n_syncs);
	l->stats.written_bytes_today += now.written_bytes - l->seen.written_bytes;
	l->seen = now;
}

static void note_result(struct ledger *l, int error, uint64_t now_us)
{
	count_writes(l, now_us);
	if (error == 0) {
		l->stats.state = LEDGER_SOUND;
		l->stats.error = 0;
		l->backoff_us = RETRY_FIRST_US;
		return;
	}
	if (l->stats.state == LEDGER_SOUND)
		l->stats.broken_us = now_us;
	l->stats.state = LEDGER_BROKEN;
	l->stats.error = error;
	l->stats.retry_us = now_us + l->backoff_us;
	l->backoff_us = l->backoff_us * 2 < RETRY_LAST_US ? l->backoff_us * 2 : RETRY_LAST_US;
}

/* As many as are due: one, and two after damage. */
static int checkpoint(struct ledger *l)
{
	int error = 0;

	while (error == 0 && journal_is_due(l->journal)) {
		uint32_t n_bytes = rows_write(
			l, true, journal_payload(l->journal), journal_checkpoint_room(l->journal));

		error = journal_checkpoint(l->journal, n_bytes);
		rows_written(l, error == 0);
	}
	return error;
}

/* Makes what is in memory durable: the sums for certain, usage as far as a record holds. The checkpoint that a full segment
 * needs comes after the record, not instead of it: it is the record that counts. */
static int write_out(struct ledger *l, const struct ledger_time *when)
{
	uint32_t n_bytes;
	int error;

	if (l->stats.state == LEDGER_BROKEN && when->now_us < l->stats.retry_us)
		return l->stats.error;
	turn_day(l, when->now_us);
	l->day_passed_s = (uint32_t)((when->now_us - l->day_us) / US_PER_S);
	if (journal_is_due(l->journal)) {
		error = checkpoint(l);
		note_result(l, error, when->now_us);
		return error;
	}
	n_bytes =
		rows_write(l, false, journal_payload(l->journal), journal_record_room(l->journal));
	error = journal_append(l->journal, n_bytes);
	rows_written(l, error == 0);
	note_result(l, error != 0 ? error : checkpoint(l), when->now_us);
	return error;
}

static int apply(void *context, bool is_checkpoint, const uint8_t *payload, uint32_t n_bytes)
{
	return rows_read(context, is_checkpoint, payload, n_bytes);
}

/* What was leased and not known to be used when the writing ended counts as used. */
static void assume_used(struct ledger *l, bool is_damaged, struct ledger_recovery *ret)
{
	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++) {
		struct plan_row *p = &l->plans[i];
		struct ledger_lost *lost = &ret->plans[ret->n_plans];

		if (!plan_is_known(l, i))
			continue;
		if (p->granted > p->billed) {
			lost->octets = p->granted - p->billed;
			p->lost += lost->octets;
			p->billed = p->granted;
			bill_add_unseen(&p->bill, lost->octets);
		}
		p->lease_billed = p->billed;
		p->is_spent |= is_damaged;
		p->is_unsure |= is_damaged;
		lost->is_assumed_spent = p->is_spent;
		memcpy(lost->plan, p->name, sizeof(lost->plan));
		ret->n_plans++;
	}
}

static void recover(
	struct ledger *l, const struct journal_found *found, struct ledger_recovery *ret)
{
	*ret = (struct ledger_recovery){.journal = *found};
	if (found->health == JOURNAL_LOST)
		ledger_clear(l);
	if (found->health >= JOURNAL_CUT)
		l->is_suspect = true;
	assume_used(l, found->health >= JOURNAL_CUT, ret);
	ret->is_assumed_spent = l->is_suspect;
}

static int allocate(struct ledger *l, const struct ledger_params *params)
{
	uint32_t n_days = or_default(params->n_days, LEDGER_DAYS);
	uint32_t n_cycles = or_default(params->n_cycles, LEDGER_CYCLES);

	l->n_devices = or_default(params->n_devices, LEDGER_DEVICES) + LEDGER_PLANS_MAX;
	l->n_shares = or_default(params->n_shares, LEDGER_SHARES);
	l->writes_per_day = or_default(params->writes_per_day, LEASE_WRITES_PER_DAY);
	l->periods = calloc((size_t)LEDGER_PLANS_MAX * (n_days + n_cycles), sizeof(*l->periods));
	l->devices = calloc(l->n_devices, sizeof(*l->devices));
	l->shares = calloc(l->n_shares, sizeof(*l->shares));
	if (l->periods == NULL || l->devices == NULL || l->shares == NULL)
		return -ENOMEM;
	periods_place(l, n_days, n_cycles);
	l->backoff_us = RETRY_FIRST_US;
	return 0;
}

/* The day goes on where the last process left it. Time between processes does not count: nobody can say how long it was. */
static void take_up_day(struct ledger *l, uint64_t now_us)
{
	l->day_us = now_us - (uint64_t)l->day_passed_s * US_PER_S;
	turn_day(l, now_us);
}

/* A process that dies and starts again, over and over, writes with each start. Once the day's writes are used up each start writes
 * nothing before it has lived long enough, and longer each time, so that the day ends with a few dozen more at most. */
static void hold_back(struct ledger *l, uint64_t now_us)
{
	uint64_t left_us = LEDGER_DAY_US - (now_us - l->day_us);
	uint64_t pause_us = LEDGER_DAY_US / or_default(l->writes_per_day, LEASE_WRITES_PER_DAY);
	uint64_t n_over = l->stats.n_writes_today - l->writes_per_day + 1;
	uint64_t wait_us = n_over > left_us / pause_us ? left_us : n_over * pause_us;

	l->stats.state = LEDGER_BROKEN;
	l->stats.error = -EDQUOT;
	l->stats.broken_us = now_us;
	l->stats.retry_us = now_us + wait_us;
}

int ledger_open(struct journal_store *store, const struct ledger_params *params,
	const struct ledger_time *when, struct ledger_recovery *ret_recovery,
	struct ledger **ret_ledger)
{
	struct ledger *l = calloc(1, sizeof(*l));
	struct journal_found found;
	int error = -ENOMEM;

	if (l == NULL)
		return error;
	error = allocate(l, params);
	if (error != 0)
		goto err_ledger;
	error = journal_open(store, &params->journal,
		&(struct journal_reader){.apply = apply, .context = l}, &found, &l->journal);
	if (error != 0)
		goto err_ledger;
	error = -EINVAL;
	if (journal_record_room(l->journal) < rows_least()
		|| journal_checkpoint_room(l->journal) < rows_most(
			   l->days[0].capacity, l->cycles[0].capacity, l->n_devices, l->n_shares))
		goto err_ledger;
	recover(l, &found, ret_recovery);
	take_up_day(l, when->now_us);
	if (l->stats.n_writes_today >= l->writes_per_day)
		hold_back(l, when->now_us);
	else
		(void)write_out(l, when); /* a failure shows in its state */
	*ret_ledger = l;
	return 0;
err_ledger:
	ledger_destroy(l);
	return error;
}

void ledger_destroy(struct ledger *l)
{
	if (l == NULL)
		return;
	journal_close(l->journal);
	free(l->periods);
	free(l->devices);
	free(l->shares);
	free(l);
}

int ledger_finish(struct ledger *l, const struct ledger_time *when)
{
	uint64_t granted[LEDGER_PLANS_MAX];
	int error;

	for (unsigned int i = 0; i < LEDGER_PLANS_MAX; i++) {
		granted[i] = l->plans[i].granted;
		l->plans[i].granted = l->plans[i].billed;
	}
	l->stats.retry_us = when->now_us; /* there is no later */
	error = write_out(l, when);
	for (unsigned int i = 0; error != 0 && i < LEDGER_PLANS_MAX; i++)
		l->plans[i].granted = granted[i];
	return error;
}

uint8_t ledger_plan(struct ledger *l, const char *name)
{
	uint8_t slot = LEDGER_NONE;

	if (name[0] == '\0')
		return LEDGER_NONE;
	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++) {
		struct plan_row *p = &l->plans[i];

		if (strncmp(p->name, name, LEDGER_NAME_MAX - 1) == 0) {
			p->is_asked_for = true;
			return i;
		}
		if (p->is_asked_for)
			continue;
		if (slot == LEDGER_NONE || (l->plans[slot].name[0] != '\0' && p->name[0] == '\0')
			|| (l->plans[slot].name[0] != '\0'
				&& p->cycle_start_s < l->plans[slot].cycle_start_s))
			slot = i;
	}
	if (slot == LEDGER_NONE)
		return slot;
	plan_clear(l, slot);
	(void)snprintf(l->plans[slot].name, LEDGER_NAME_MAX, "%s", name);
	l->plans[slot].is_asked_for = true;
	l->plans[slot].is_spent = l->is_suspect;
	l->plans[slot].is_unsure = l->is_suspect;
	return slot;
}

struct bill *ledger_bill(struct ledger *l, uint8_t plan)
{
	return plan_is_known(l, plan) ? &l->plans[plan].bill : NULL;
}

uint8_t ledger_class(struct ledger *l, const char *name)
{
	return class_get(l, name);
}

void ledger_settle(struct ledger *l, uint8_t plan, uint64_t billed_octets,
	const struct ledger_usage *usage, const struct ledger_time *when)
{
	struct plan_row *p;
	struct period_row *day;
	const struct period_row *last;
	uint64_t left;

	if (!plan_is_known(l, plan))
		return;
	p = &l->plans[plan];
	left = p->granted > p->billed ? p->granted - p->billed : 0;
	if (billed_octets > left)
		l->stats.overrun_octets += billed_octets - left;
	p->billed += billed_octets;
	usage_add(&p->usage, usage);
	last = periods_at(&l->days[plan], 0);
	day = periods_get(&l->days[plan], when->is_trusted ? when->day
					  : last != NULL   ? last->key
							   : 0);
	day->billed += billed_octets;
	usage_add(&day->usage, usage);
}

void ledger_count_class(
	struct ledger *l, uint8_t plan, uint8_t class_id, const struct ledger_usage *usage)
{
	struct class_row *row;

	if (!plan_is_known(l, plan) || class_id >= LEDGER_CLASSES_MAX)
		return;
	row = &l->classes[plan][class_id];
	usage_add(&row->usage, usage);
	row->mark = ROW_DIRTY;
}

void ledger_count_device(struct ledger *l, uint8_t plan, const struct mac_addr *mac,
	const struct ledger_usage *usage, const struct ledger_time *when)
{
	struct device_row *row;

	if (!plan_is_known(l, plan))
		return;
	row = device_get(l, plan, mac);
	usage_add(&row->usage, usage);
	if (when->is_trusted)
		row->last_day = when->day;
	row->mark = ROW_DIRTY;
}

int ledger_grant(struct ledger *l, const struct ledger_lease *leases, uint32_t n_leases,
	const struct ledger_time *when)
{
	uint64_t granted[LEDGER_PLANS_MAX];
	int error;

	for (uint32_t i = 0; i < n_leases; i++) {
		if (!plan_is_known(l, leases[i].plan) || leases[i].octets > UINT64_MAX / 4)
			return -EINVAL;
	}
	for (unsigned int i = 0; i < LEDGER_PLANS_MAX; i++)
		granted[i] = l->plans[i].granted;
	for (uint32_t i = 0; i < n_leases; i++) {
		struct plan_row *p = &l->plans[leases[i].plan];

		p->granted = (p->granted > p->billed ? p->granted : p->billed) + leases[i].octets;
	}
	error = write_out(l, when);
	for (unsigned int i = 0; error != 0 && i < LEDGER_PLANS_MAX; i++)
		l->plans[i].granted = granted[i];
	for (uint32_t i = 0; error == 0 && i < n_leases; i++) {
		l->plans[leases[i].plan].lease_us = when->now_us;
		l->plans[leases[i].plan].lease_billed = l->plans[leases[i].plan].billed;
	}
	return error;
}

int ledger_sync(struct ledger *l, const struct ledger_time *when)
{
	return write_out(l, when);
}

bool ledger_retry(struct ledger *l, const struct ledger_time *when)
{
	if (l->stats.state == LEDGER_BROKEN)
		(void)write_out(l, when);
	return l->stats.state == LEDGER_BROKEN;
}
