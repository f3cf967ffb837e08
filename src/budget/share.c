/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/share.h>

#include <string.h>

static const struct ladder_day whole_cycle;

void share_step(struct share *s, const struct share_rule *rule, uint64_t more)
{
	struct ladder_now now;

	if (rule == NULL)
		return;
	now = ladder_at(&rule->ladder, s->used_octets + more, rule->quota_octets, 0, whole_cycle);
	s->action = (uint8_t)now.action;
	s->rate_bps = now.rate_bps;
	s->next_octets = now.next_octets;
}

/* What may be used before a step at least as strong holds. */
static uint64_t octets_before(const struct share_rule *rule, enum ladder_action action)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i <= rule->ladder.n_steps && used != UINT64_MAX; i++) {
		struct ladder_now now =
			ladder_at(&rule->ladder, used, rule->quota_octets, 0, whole_cycle);

		if (now.action >= action)
			return used;
		used = now.next_octets;
	}
	return METER_UNLIMITED;
}

void share_rule_prepare(struct share_rule *rule)
{
	rule->general_octets = octets_before(rule, LADDER_RESERVE_ONLY);
	rule->all_octets = octets_before(rule, LADDER_BLOCK);
}

void share_set_rule(struct share *s, const struct share_rule *rule)
{
	s->quota_octets = rule == NULL ? 0 : rule->quota_octets;
	s->general_octets = rule == NULL ? METER_UNLIMITED : rule->general_octets;
	s->all_octets = rule == NULL ? METER_UNLIMITED : rule->all_octets;
	s->next_octets = METER_UNLIMITED;
	s->action = LADDER_NOTHING;
	s->rate_bps = 0;
	share_step(s, rule, 0);
}

void share_begin(struct share *s, const struct share_rule *rule, uint32_t cycle)
{
	s->used_octets = 0;
	memset(s->reserved_octets, 0, sizeof(s->reserved_octets));
	s->cycle = cycle;
	share_step(s, rule, 0);
}
