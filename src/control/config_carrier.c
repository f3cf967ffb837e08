/* SPDX-License-Identifier: BSD-3-Clause */
/* Carriers' files that plans name, read with the configuration. */
#include "config_bind.h"
#include "config_check.h"

#include <weir/control/carrier.h>
#include <weir/control/data_file.h>

#include <string.h>

/* Its mistakes are told at the plan's key, with the file's own lines. */
static void carrier_complain(struct config_report *report, const struct tree_node *n,
	const char *file, const struct config_report *found)
{
	char path[TREE_PATH_MAX];

	tree_path(n, path);
	for (uint32_t i = 0; i < found->n_messages; i++)
		config_report_add(report, found->messages[i].severity, n->line, n->column,
			"%s: %s:%u: %s", path, file, found->messages[i].line,
			found->messages[i].text);
}

/* What the carrier's file says is the plan's way of counting. */
static void take_carrier(struct config_report *report, const char *dir, const struct tree_node *n,
	struct config_plan *p)
{
	struct config_report found = {0};
	char file[DATA_PATH_MAX];
	char path[TREE_PATH_MAX];
	struct carrier c;

	if (data_file_find(dir, "carriers", p->carrier, file) != 0) {
		config_report_add(report, CONFIG_ERROR, n->line, n->column,
			"%s: there is no carriers/%s.yaml beside this file, in /etc/weir or among "
			"weir's own; "
			"write one of those there, such as generic, or how it counts below "
			"counting:",
			tree_path(n, path), p->carrier);
		return;
	}
	if (carrier_load(file, &c, &found) == 0) {
		p->counting = c.rule;
		for (uint32_t i = 0; i < c.n_free && p->n_free < CONFIG_FREE_MAX; i++)
			memcpy(p->free_classes[p->n_free++], c.free_classes[i], CONFIG_NAME_MAX);
	}
	carrier_complain(report, n, file, &found);
	config_report_clean(&found);
}

/* The plan's own overhead is the least that is added, and where the most is not said it is the least; that a plan's own figures
 * contradict each other is complained of later. */
static void complete_counting(struct config_plan *p, bool is_own)
{
	struct bill_rule *rule = &p->counting;

	for (int d = 0; d < N_DIRECTIONS; d++) {
		if (rule->overhead_low[d] < p->overhead_octets)
			rule->overhead_low[d] = p->overhead_octets;
		if (rule->overhead_high[d] == 0
			|| (!is_own && rule->overhead_high[d] < rule->overhead_low[d]))
			rule->overhead_high[d] = rule->overhead_low[d];
	}
}

void config_carriers_load(
	const struct tree_node *top, struct config *c, struct config_report *report)
{
	const struct tree_node *nodes[PLANS_MAX] = {NULL};

	config_collect(tree_child(top, "plans"), nodes, PLANS_MAX);
	for (uint32_t i = 0; i < c->n_plans; i++) {
		struct config_plan *p = &c->plans[i];
		const struct tree_node *counting = tree_child(nodes[i], "counting");
		bool is_own = counting != NULL && counting->first != NULL;

		/* Both are one too many, which the check of the plan says. */
		if (p->carrier[0] != '\0' && !is_own)
			take_carrier(report, c->dir, tree_child(nodes[i], "carrier"), p);
		complete_counting(p, is_own);
	}
}
