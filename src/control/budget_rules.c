/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration as the books read it. */
#include "budget_state.h"

#include <weir/base/civil.h>
#include <weir/control/apply.h>

#include <stdio.h>
#include <string.h>

static struct cycle_rule cycle_of(const struct config_plan *p)
{
	struct cycle_rule rule = {
		.kind = CYCLE_MONTHLY,
		.day = (uint8_t)p->cycle_day,
		.hour = (uint8_t)p->cycle_hour,
	};

	if (p->cycle_weekday != WEEKDAY_NONE) {
		rule.kind = CYCLE_WEEKLY;
		rule.day = (uint8_t)(p->cycle_weekday - WEEKDAY_SUNDAY);
	}
	if (p->cycle_days > 0) {
		rule.kind = CYCLE_DAYS;
		rule.n_days = (uint16_t)p->cycle_days;
		/* The configuration was checked: it is a date. */
		(void)civil_date_parse(p->cycle_from, &rule.anchor_day);
	}
	return rule;
}

static struct rule rule_of_plan(const struct config_plan *p)
{
	struct rule r = {
		.cycle = cycle_of(p),
		.bill = p->counting,
		.ladder.pace = p->pace,
		.prepaid = p->prepaid,
		.quota_octets = p->quota_octets,
		.top_up_octets = p->top_up_octets,
		.carry_max_octets = p->carry_over_octets,
		.when_unrecorded = p->when_unrecorded,
	};

	memcpy(r.name, p->name, sizeof(r.name));
	memcpy(r.timezone, p->cycle_timezone, sizeof(r.timezone));
	memcpy(r.carrier, p->carrier, sizeof(r.carrier));
	config_ladder(p->ladder, p->n_ladder,
		p->when_spent == WHEN_SPENT_BLOCK ? LADDER_BLOCK : LADDER_NOTIFY, &r.ladder);
	return r;
}

void rules_fill(const struct config *c, struct rules *ret_rules)
{
	*ret_rules = (struct rules){0};
	for (uint32_t i = 0; i < c->n_plans; i++)
		ret_rules->plans[i] = rule_of_plan(&c->plans[i]);
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		const char *name = config_account_name(c, a);

		if (name == NULL)
			continue;
		(void)snprintf(ret_rules->account_names[a], CLASS_NAME_MAX, "%s", name);
		ret_rules->reserves[a] = config_account_reserve(c, a);
		ret_rules->device_reserves[a] = config_account_device_reserve(c, a);
	}
}

void budget_set_config(struct budget *b, const struct config *c)
{
	pthread_mutex_lock(&b->lock);
	rules_fill(c, &b->next_rules);
	device_quota_set_config(b, c);
	b->has_next_rules = true;
	pthread_mutex_unlock(&b->lock);
}
