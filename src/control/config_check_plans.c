/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"

#include <weir/base/civil.h>

#include <string.h>

static void check_cycle(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	const char *span = p->cycle_weekday != WEEKDAY_NONE ? "weekday" : "day";
	int64_t day;

	if (config_is_set(n, "day") && p->cycle_weekday != WEEKDAY_NONE)
		config_complain(k, CONFIG_ERROR, n, "day",
			"a cycle is a month or a week; keep 'day' or 'weekday'");
	if (p->cycle_days > 0 && config_is_set(n, span))
		config_complain(k, CONFIG_ERROR, n, "days",
			"a cycle has so many days, or a day that it begins on; keep 'days' or '%s'",
			span);
	if (p->cycle_days == 0 && config_has(n, "from"))
		config_complain(k, CONFIG_ERROR, n, "from",
			"only days are counted from a date; write days: 28");
	if (p->cycle_days > 0 && civil_date_parse(p->cycle_from, &day) != 0)
		config_complain(k, CONFIG_ERROR, n, "from",
			"'%s' is no date that days could be counted from; write from: 2026-01-31",
			p->cycle_from);
}

static void check_pace(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	bool is_shaped = p->pace.action == LADDER_SHAPE;

	if (p->pace.action == LADDER_NOTHING)
		config_complain(
			k, CONFIG_ERROR, n, "do", "nothing follows from it; write do: shape");
	if (is_shaped && !config_has(n, "rate"))
		config_complain(k, CONFIG_ERROR, n, NULL, "shape has no rate; write rate: 256kbps");
	if (!is_shaped && config_has(n, "rate"))
		config_complain(k, CONFIG_ERROR, n, "rate",
			"only shape has a rate; remove it, or write do: shape");
}

static void check_overhead(
	struct config_checker *k, const struct tree_node *n, uint16_t low, uint16_t high)
{
	if (n != NULL && config_is_set(n, "overhead_max") && high < low)
		config_complain(k, CONFIG_ERROR, n, "overhead_max",
			"below overhead, %uB; write the most that is added", low);
}

static void check_counting(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	const struct bill_rule *c = &p->counting;

	if (p->carrier[0] != '\0')
		config_complain(k, CONFIG_ERROR, n, NULL,
			"the file of carrier '%.40s' says how; keep one of the two", p->carrier);
	check_overhead(
		k, tree_child(n, "uplink"), c->overhead_low[UPLINK], c->overhead_high[UPLINK]);
	check_overhead(k, tree_child(n, "downlink"), c->overhead_low[DOWNLINK],
		c->overhead_high[DOWNLINK]);
	if (c->session_cut_us > 0 && c->per != BILL_PER_SESSION)
		config_complain(k, CONFIG_ERROR, n, "session_cut",
			"matters where sessions are rounded; write per: session, or remove it");
}

static const struct config_class *class_named(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_classes; i++)
		if (strcmp(c->classes[i].name, name) == 0)
			return &c->classes[i];
	return NULL;
}

static void check_free(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	uint32_t n_own =
		tree_child(n, "free_classes") == NULL ? 0 : tree_child(n, "free_classes")->n_nodes;

	for (uint32_t i = 0; i < p->n_free; i++) {
		const struct config_class *c = class_named(k->config, p->free_classes[i]);

		if (c == NULL && i < n_own)
			config_complain(k, CONFIG_ERROR, n, "free_classes",
				"there is no class '%.31s'; write a name below classes",
				p->free_classes[i]);
		if (c != NULL && c->reserve_octets > 0)
			config_complain(k, CONFIG_ERROR, n, "free_classes",
				"'%.31s' owns a reserve, and what is not billed needs none; remove "
				"one "
				"of the two",
				c->name);
	}
}

void config_check_plan_counting(
	struct config_checker *k, const struct tree_node *n, const struct config_plan *p)
{
	static const char *const of_a_quota[] = {"top_up", "carry_over", "pace"};
	const struct tree_node *cycle = tree_child(n, "cycle");
	const struct tree_node *pace = tree_child(n, "pace");
	const struct tree_node *counting = tree_child(n, "counting");

	if (cycle != NULL)
		check_cycle(k, cycle, p);
	/* A section of comments alone says nothing. */
	if (pace != NULL && pace->first != NULL)
		check_pace(k, pace, p);
	if (counting != NULL && counting->first != NULL)
		check_counting(k, counting, p);
	for (uint32_t i = 0; i < sizeof(of_a_quota) / sizeof(of_a_quota[0]); i++) {
		if (config_has(n, of_a_quota[i]) && !config_has(n, "quota") && !p->prepaid)
			config_complain(k, CONFIG_ERROR, n, of_a_quota[i],
				"there is no quota that it could belong to; write quota: 500MB, or "
				"prepaid: true");
	}
	if (p->prepaid && config_has(n, "quota"))
		config_complain(k, CONFIG_ERROR, n, "quota",
			"a prepaid plan has what was topped up and no more; write top_up, or "
			"prepaid: false");
	check_free(k, n, p);
}
