/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/amount.h>
#include <weir/budget/ladder.h>

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

uint64_t quota_octets(const struct quota *q)
{
	if (q->cycle_octets == 0)
		return 0;
	return add_saturating(add_saturating(q->cycle_octets, q->top_up_octets), q->carried_octets);
}

struct quota quota_next(const struct quota *q, uint64_t used)
{
	struct quota next = *q;
	uint64_t own = amount_least(used, q->cycle_octets);
	uint64_t carried = amount_least(used - own, q->carried_octets);
	uint64_t top_up = amount_least(used - own - carried, q->top_up_octets);

	next.carried_octets = amount_least(q->cycle_octets - own, q->carry_max_octets);
	next.top_up_octets = q->top_up_lasts ? q->top_up_octets - top_up : 0;
	return next;
}

uint64_t ladder_allowance(const struct ladder_pace *pace, uint64_t quota, struct ladder_day at)
{
	uint64_t days = (uint64_t)at.day + 1 + pace->borrow_days;

	if (at.n_days == 0 || days >= at.n_days)
		return quota;
	return amount_scale_up(quota, days, at.n_days);
}

static void reach(struct ladder_now *now, enum ladder_action action, uint64_t rate_bps)
{
	if (action < now->action)
		return;
	now->action = action;
	now->rate_bps = action == LADDER_SHAPE ? rate_bps : 0;
}

static void pace_at(
	struct ladder_now *now, const struct ladder_pace *pace, uint64_t used, uint64_t allowance)
{
	now->is_paced = used >= allowance;
	if (!now->is_paced)
		now->next_octets = amount_least(now->next_octets, allowance);
	/* A shape step that is slower stays. */
	else if (pace->action != LADDER_SHAPE || now->action != LADDER_SHAPE
		 || pace->rate_bps < now->rate_bps)
		reach(now, pace->action, pace->rate_bps);
}

static void keep_reserve(struct ladder_now *now, uint64_t used, uint64_t others)
{
	now->is_reserved = used >= others;
	if (now->is_reserved)
		reach(now, LADDER_RESERVE_ONLY, 0);
	else
		now->next_octets = amount_least(now->next_octets, others);
}

struct ladder_now ladder_at(const struct ladder *l, uint64_t used, uint64_t quota,
	uint64_t reserved, struct ladder_day at)
{
	struct ladder_now now = {.next_octets = UINT64_MAX};

	if (quota == 0)
		return now;
	for (uint32_t i = 0; i < l->n_steps; i++) {
		const struct ladder_step *s = &l->steps[i];
		uint64_t threshold = amount_scale_up(quota, s->at_ppm, ALL_PPM);

		if (used < threshold) {
			now.next_octets = threshold;
			break;
		}
		now.n_reached++;
		reach(&now, s->action, s->rate_bps);
	}
	if (l->pace.action != LADDER_NOTHING)
		pace_at(&now, &l->pace, used, ladder_allowance(&l->pace, quota, at));
	if (reserved > 0)
		keep_reserve(&now, used, quota > reserved ? quota - reserved : 0);
	return now;
}
