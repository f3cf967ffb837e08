/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger_state.h"

#include <string.h>

#define RATE_SPAN_US UINT64_C(1000000)

bool ledger_read_plan(const struct ledger *l, uint8_t plan, struct ledger_plan *ret_plan)
{
	const struct plan_row *p;

	if (!plan_is_known(l, plan))
		return false;
	p = &l->plans[plan];
	*ret_plan = (struct ledger_plan){
		.cycle_start_s = p->cycle_start_s,
		.used_octets = p->billed - p->cycle_base,
		.leased_octets = p->granted > p->billed ? p->granted - p->billed : 0,
		.top_up_octets = p->top_up,
		.rollover_octets = p->rollover,
		.lost_octets = p->lost,
		.granted_total = p->granted,
		.billed_total = p->billed,
		.usage = p->usage,
		.is_assumed_spent = p->is_spent,
	};
	memcpy(ret_plan->name, p->name, sizeof(ret_plan->name));
	return true;
}

bool ledger_read_class(const struct ledger *l, uint8_t plan, uint8_t class_id,
	const char **ret_name, struct ledger_usage *ret_usage)
{
	if (!plan_is_known(l, plan) || class_id >= LEDGER_CLASSES_MAX)
		return false;
	*ret_name = l->class_names[class_id];
	*ret_usage = l->classes[plan][class_id].usage;
	return true;
}

bool ledger_read_device(const struct ledger *l, uint32_t i, struct ledger_device *ret_device)
{
	for (uint32_t n = 0; n < l->n_devices; n++) {
		const struct device_row *row = &l->devices[n];

		if (!row->is_used || i-- > 0)
			continue;
		*ret_device = (struct ledger_device){
			.mac = row->mac,
			.plan = row->plan,
			.last_day = row->last_day,
			.usage = row->usage,
		};
		return true;
	}
	return false;
}

bool ledger_read_day(const struct ledger *l, uint8_t plan, uint32_t i, struct ledger_day *ret_day)
{
	const struct period_row *row =
		plan_is_known(l, plan) ? periods_at(&l->days[plan], i) : NULL;

	if (row == NULL)
		return false;
	*ret_day = (struct ledger_day){
		.day = (int32_t)row->key,
		.billed_octets = row->billed,
		.usage = row->usage,
	};
	return true;
}

bool ledger_read_cycle(
	const struct ledger *l, uint8_t plan, uint32_t i, struct ledger_cycle *ret_cycle)
{
	const struct period_row *row =
		plan_is_known(l, plan) ? periods_at(&l->cycles[plan], i) : NULL;

	if (row == NULL)
		return false;
	*ret_cycle = (struct ledger_cycle){
		.start_s = row->key,
		.end_s = row->end_s,
		.billed_octets = row->billed,
		.lost_octets = row->lost,
		.top_up_octets = row->top_up,
		.rollover_octets = row->rollover,
		.usage = row->usage,
	};
	return true;
}

struct ledger_stats ledger_stats(const struct ledger *l)
{
	struct ledger_stats stats = l->stats;

	stats.journal = journal_stats(l->journal);
	return stats;
}

uint64_t ledger_lease_ask(
	const struct ledger *l, uint8_t plan, uint64_t left_octets, const struct ledger_time *when)
{
	uint64_t passed_us = when->now_us - l->day_us;
	uint32_t n_writes = passed_us < LEDGER_DAY_US ? l->stats.n_writes_today : 0;
	uint32_t n_plans = 0;
	const struct plan_row *p;
	struct lease_terms terms;
	uint64_t lasted_us;

	if (!plan_is_known(l, plan))
		return 0;
	p = &l->plans[plan];
	if (p->is_spent && left_octets != UINT64_MAX)
		return 0;
	for (unsigned int i = 0; i < LEDGER_PLANS_MAX; i++)
		n_plans += l->plans[i].is_asked_for ? 1 : 0;
	/* A burst of milliseconds is no rate. */
	lasted_us = when->now_us - p->lease_us;
	if (lasted_us < RATE_SPAN_US)
		lasted_us = RATE_SPAN_US;
	terms = (struct lease_terms){
		.left_octets = left_octets,
		.held_octets = p->granted > p->billed ? p->granted - p->billed : 0,
		.rate_octets_s = p->lease_us == 0 ? 0
						  : (uint64_t)((double)(p->billed - p->lease_billed)
							       * 1e6 / (double)lasted_us),
		.n_writes_day = l->writes_per_day / (n_plans > 0 ? n_plans : 1),
		.n_writes_left =
			n_writes >= l->writes_per_day
				? 0
				: (l->writes_per_day - n_writes) / (n_plans > 0 ? n_plans : 1),
		.day_left_s = (uint32_t)((LEDGER_DAY_US - passed_us % LEDGER_DAY_US) / 1000000),
	};
	return lease_ask(&terms);
}
