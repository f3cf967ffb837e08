/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger_state.h"

#include <errno.h>
#include <string.h>

/* Into the history, and all sums of the cycle to zero. What is leased goes on: its octets belong to whichever cycle they are
 * billed in. */
static void end_cycle(struct ledger *l, uint8_t plan, int64_t end_s)
{
	struct plan_row *p = &l->plans[plan];
	struct period_row *row = periods_get(&l->cycles[plan], p->cycle_start_s);

	row->end_s = end_s;
	row->billed = p->billed - p->cycle_base;
	row->usage = p->usage;
	row->lost = p->lost;
	row->top_up = p->top_up;
	row->rollover = p->rollover;
	p->cycle_base = p->billed;
	p->usage = (struct ledger_usage){0};
	p->lost = 0;
	p->top_up = 0;
	plan_clear_cycle(l, plan);
}

int ledger_begin_cycle(struct ledger *l, uint8_t plan, int64_t start_s,
	const struct ledger_carry *carry, const struct ledger_time *when)
{
	struct plan_row *p;

	if (!plan_is_known(l, plan) || start_s <= 0)
		return -EINVAL;
	p = &l->plans[plan];
	/* A clock that was set back begins no cycle anew: that would hand its quota out twice. */
	if (p->cycle_start_s >= start_s) {
		p->is_unsure = false;
		return 0;
	}
	/* Without a known beginning, all that was counted is of the cycle that is now found to be going on. The same holds for
	 * what damage has left unknown: it may be of this one. */
	if (p->cycle_start_s != 0) {
		end_cycle(l, plan, start_s);
		p->top_up = carry->top_up_octets;
		if (!p->is_unsure) {
			l->is_suspect = l->is_suspect && !p->is_spent;
			p->is_spent = false;
		}
	}
	p->is_unsure = false;
	p->cycle_start_s = start_s;
	p->rollover = carry->rollover_octets;
	return ledger_sync(l, when);
}

int ledger_top_up(struct ledger *l, uint8_t plan, uint64_t octets, const struct ledger_time *when)
{
	int error;

	if (!plan_is_known(l, plan) || octets > UINT64_MAX / 4)
		return -EINVAL;
	l->plans[plan].top_up += octets;
	error = ledger_sync(l, when);
	if (error != 0)
		l->plans[plan].top_up -= octets;
	return error;
}

int ledger_credit(
	struct ledger *l, uint8_t plan, uint64_t total_octets, const struct ledger_time *when)
{
	struct plan_row *p;
	struct plan_row before;
	int error;

	if (!plan_is_known(l, plan) || total_octets > UINT64_MAX / 4)
		return -EINVAL;
	p = &l->plans[plan];
	before = *p;
	if (total_octets == p->credited_octets)
		return 0;
	if (total_octets > p->credited_octets)
		p->top_up += total_octets - p->credited_octets;
	p->credited_octets = total_octets;
	error = ledger_sync(l, when);
	if (error != 0) {
		p->top_up = before.top_up;
		p->credited_octets = before.credited_octets;
	}
	return error;
}

int ledger_forgive(
	struct ledger *l, uint8_t plan, uint64_t used_octets, const struct ledger_time *when)
{
	struct plan_row *p;

	if (!plan_is_known(l, plan))
		return -EINVAL;
	p = &l->plans[plan];
	/* Sums never go back; what the cycle has used is told by where it began, modulo 2^64. */
	p->cycle_base = p->billed - used_octets;
	p->is_spent = false;
	p->is_unsure = false;
	l->is_suspect = false;
	return ledger_sync(l, when);
}
