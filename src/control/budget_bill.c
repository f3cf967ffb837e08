/* SPDX-License-Identifier: BSD-3-Clause */
/* From the meter's sums to the ledger's and the carrier's bill, and from one cycle to the next. */
#include "budget_state.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>

#include <stdio.h>

#define S_PER_DAY 86400

/* The same as the plan's carrier counts days: from the hour at which its cycles begin. */
static struct ledger_time ledger_time_for(const struct book *k, const struct ledger_time *when)
{
	struct ledger_time t = *when;

	if (k->cycle.start_s != 0)
		t.day = (int32_t)(k->cycle.first_day + k->day.day);
	return t;
}

/* The ledger keeps what a reserve has paid beside the classes, under a name that no class can have. */
static uint8_t ledger_account(struct budget *b, uint8_t account)
{
	char name[LEDGER_NAME_MAX];

	if (b->rules.account_names[account][0] == '\0')
		return 0;
	(void)snprintf(
		name, sizeof(name), "/%.*s", LEDGER_NAME_MAX - 2, b->rules.account_names[account]);
	return ledger_class(b->ledger, name);
}

uint64_t account_used(const struct book *k, uint8_t account)
{
	return k->used_at_base[account] + meter_account_used(&k->seen, account) - k->base[account];
}

void rebase(struct budget *b, struct book *k)
{
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		struct ledger_usage usage = {0};
		const char *name;
		uint8_t id = ledger_account(b, a);

		if (id != 0)
			ledger_read_class(b->ledger, k->plan, id, &name, &usage);
		k->base[a] = meter_account_used(&k->seen, a);
		k->used_at_base[a] = usage.octets[UPLINK];
	}
}

/* Lets the bill's time pass: by the clock where it can be believed, else by how long it is since. */
static void pass_time(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct bill_rule *rule = &rule_of(b, k)->bill;
	int64_t passed_s = (int64_t)((when->now_us - k->clock_us) / US_PER_S);

	if (when->is_trusted && k->cycle.start_s != 0) {
		k->clock_us = when->now_us;
		bill_advance(k->bill, rule, when->wall_s);
		if (rule->per == BILL_PER_DAY && k->bill->cut_s == INT64_MAX
			&& k->day.day + 1 < k->day.n_days)
			bill_expect_day(k->bill, rule,
				cycle_day_start(
					&rule_of(b, k)->cycle, k->zone, &k->cycle, k->day.day + 1));
		return;
	}
	k->clock_us += (uint64_t)passed_s * US_PER_S;
	bill_blind(k->bill, rule, k->bill->now_s + passed_s);
}

/* What the carrier bills and what it does not. Sums that have fallen, by what was dropped behind the meter, are waited for. */
static bool bill_count(struct book *k)
{
	const struct meter *m = &k->seen;
	bool is_any = false;

	for (enum direction d = UPLINK; d < N_DIRECTIONS; d++) {
		uint64_t octets = more(m->octets[d] - m->free_octets[d], k->billed.octets[d]);
		uint64_t packets = more(m->packets[d] - m->free_packets[d], k->billed.packets[d]);
		uint64_t free_octets = more(m->free_octets[d], k->free.octets[d]);
		uint64_t free_packets = more(m->free_packets[d], k->free.packets[d]);

		bill_add(k->bill, d, octets, packets);
		bill_add_free(k->bill, d, free_octets, free_packets);
		k->billed.octets[d] += octets;
		k->billed.packets[d] += packets;
		k->free.octets[d] += free_octets;
		k->free.packets[d] += free_packets;
		is_any |= (octets | packets) != 0;
	}
	return is_any;
}

static void settle_reserves(struct budget *b, struct book *k)
{
	const struct meter *m = &k->seen;

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		uint64_t paid = more(m->reserved_octets[a], k->settled_reserves[a]);
		struct ledger_usage of_reserve = {.octets = {[UPLINK] = paid}};
		uint8_t id = paid > 0 ? ledger_account(b, a) : 0;

		k->settled_reserves[a] += paid;
		if (id != 0)
			ledger_count_class(b->ledger, k->plan, id, &of_reserve);
	}
}

/* What was dropped behind the meter after the bill was told of it: it is on it until as much more was sent. */
static void note_undone(struct book *k)
{
	struct bill_sum *undone = &k->bill->undone;
	uint64_t octets = more(k->settled.octets[UPLINK], k->seen.octets[UPLINK]);

	if (undone->octets[UPLINK] != octets)
		k->stand_us = 0;
	undone->octets[UPLINK] = octets;
	undone->packets[UPLINK] = more(k->settled.packets[UPLINK], k->seen.packets[UPLINK]);
}

void settle(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct meter *m = &k->seen;
	struct ledger_time today = ledger_time_for(k, when);
	struct ledger_usage usage;
	uint64_t billed = more(meter_used(m), k->settled_octets);

	for (int d = 0; d < N_DIRECTIONS; d++) {
		usage.octets[d] = more(m->octets[d], k->settled.octets[d]);
		usage.packets[d] = more(m->packets[d], k->settled.packets[d]);
		k->settled.octets[d] += usage.octets[d];
		k->settled.packets[d] += usage.packets[d];
	}
	k->settled_octets += billed;
	pass_time(b, k, when);
	if (bill_count(k))
		k->stand_us = 0;
	note_undone(k);
	ledger_settle(b->ledger, k->plan, billed, &usage, &today);
	settle_reserves(b, k);
	taper_note(&k->taper, when->now_us, m->billed_octets[DOWNLINK]);
}

/* What is left of a plan for the cycle that begins at `start_s`. */
static struct ledger_carry carry_of(const struct budget *b, const struct book *k,
	const struct ledger_plan *plan, int64_t start_s)
{
	const struct rule *rule = rule_of(b, k);
	struct quota q = {
		.cycle_octets = rule->quota_octets,
		.top_up_octets = plan->top_up_octets,
		.carried_octets = plan->rollover_octets,
		.carry_max_octets = rule->carry_max_octets,
		.top_up_lasts = true,
	};
	uint64_t used =
		plan->is_assumed_spent ? UINT64_MAX : bill_at(k->bill, &rule->bill).high_octets;

	q = quota_next(&q, used);
	/* A cycle that passed unused in between hands over as much as one may; so would a second one. */
	if (cycle_at(&rule->cycle, k->zone, plan->cycle_start_s).end_s < start_s)
		q = quota_next(&q, 0);
	return (struct ledger_carry){
		.rollover_octets = q.carried_octets, .top_up_octets = q.top_up_octets};
}

/* The bill of the cycle that the clock says it is. */
static void place_bill(struct budget *b, struct book *k, int64_t was_start_s, int64_t now_s)
{
	const struct bill_rule *rule = &rule_of(b, k)->bill;
	struct bill_span span = {k->cycle.start_s, k->cycle.end_s};

	if (was_start_s == 0)
		bill_place(k->bill, rule, span, now_s);
	else if (was_start_s < span.start_s)
		bill_next(k->bill, rule, span);
	else if (was_start_s == span.start_s)
		k->bill->cycle = span;
}

void turn_cycle(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	int64_t slack_s = bill_slack_s(&rule->bill);
	/* Until then packets may be on either bill. */
	int64_t by_s = when->wall_s - slack_s;
	struct ledger_carry carry = {0};
	struct ledger_plan plan;

	if (!when->is_trusted || k->zone == NULL || !ledger_read_plan(b->ledger, k->plan, &plan))
		return;
	if (by_s < k->cycle.start_s || by_s >= k->cycle.end_s) {
		k->cycle = cycle_at(&rule->cycle, k->zone, by_s);
		if (plan.cycle_start_s != 0 && plan.cycle_start_s < k->cycle.start_s)
			carry = carry_of(b, k, &plan, k->cycle.start_s);
		place_bill(b, k, plan.cycle_start_s, when->wall_s);
		/* On an error memory has begun it all the same. */
		(void)ledger_begin_cycle(b->ledger, k->plan, k->cycle.start_s, &carry, when);
		if (plan.cycle_start_s != 0 && plan.cycle_start_s < k->cycle.start_s) {
			k->n_cycles++;
			log_event(LOG_NOTICE,
				"plan.cycle plan=%s used_octets=%llu carried_octets=%llu "
				"top_up_octets=%llu",
				rule->name, (unsigned long long)plan.used_octets,
				(unsigned long long)carry.rollover_octets,
				(unsigned long long)carry.top_up_octets);
		}
		rebase(b, k);
		k->stand_us = 0;
	}
	k->day = (struct ladder_day){
		.day = cycle_day_at(&rule->cycle, k->zone, &k->cycle, when->wall_s),
		.n_days = k->cycle.n_days};
}

/* A ledger that kept no bill: it begins with what the cycle has used. */
static void bill_begin(const struct bill_rule *rule, struct bill *bill,
	const struct ledger_plan *plan, int64_t now_s)
{
	uint64_t high;

	bill_init(bill, rule, (struct bill_span){plan->cycle_start_s, INT64_MAX}, now_s);
	if (plan->cycle_start_s != 0 && plan->cycle_start_s < now_s)
		bill->n_days = (uint64_t)(now_s - plan->cycle_start_s) / S_PER_DAY;
	for (enum direction d = UPLINK; d < N_DIRECTIONS; d++)
		bill_add(bill, d, plan->usage.octets[d], plan->usage.packets[d]);
	high = bill_at(bill, rule).high_octets;
	bill_add_unseen(bill, more(plan->used_octets, high));
}

void bill_take_up(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct bill_rule *rule = &rule_of(b, k)->bill;
	struct ledger_plan plan;

	k->clock_us = when->now_us;
	k->bill = ledger_bill(b->ledger, k->plan);
	if (!ledger_read_plan(b->ledger, k->plan, &plan))
		return;
	if (bill_is_begun(k->bill))
		bill_maybe_new_session(k->bill, rule);
	else
		bill_begin(rule, k->bill, &plan, when->is_trusted ? when->wall_s : 0);
}
