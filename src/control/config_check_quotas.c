/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas of devices: that they hold somebody, and count something. */
#include "config_check.h"

#include <string.h>

static bool bills_a_plan(const struct config *c)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].plan[0] != '\0')
			return true;
	return false;
}

/* One before it that holds all whom this one is for. */
static void check_reach(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_quota *quotas = k->config->quotas;

	for (uint32_t j = 0; j < i; j++) {
		if (quotas[j].group[0] != '\0' && strcmp(quotas[j].group, quotas[i].group) != 0)
			continue;
		config_complain(k, CONFIG_WARNING, n, NULL,
			"never holds: %s comes first and is for %s; write this one above it, or "
			"give it another group",
			quotas[j].name, quotas[j].group[0] == '\0' ? "every device" : "the same");
		return;
	}
}

static void check_quota(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_quota *q = &k->config->quotas[i];
	const struct tree_node *ladder = tree_child(n, "ladder");

	config_check_group_name(k, n, q->group);
	check_reach(k, n, i);
	if (i == 0 && !bills_a_plan(k->config))
		config_complain(k, CONFIG_WARNING, n, NULL,
			"counts nothing, nor do those below: no uplink has a plan; write plan: "
			"NAME at "
			"the uplink");
	if (ladder == NULL)
		return;
	for (const struct tree_node *s = ladder->first; s != NULL && s->base != NULL; s = s->next)
		config_check_step(k, s, q->ladder, s->index);
}

void config_check_quotas(struct config_checker *k)
{
	const struct tree_node *nodes[QUOTAS_MAX] = {NULL};

	config_collect(tree_child(k->top, "quotas"), nodes, QUOTAS_MAX);
	for (uint32_t i = 0; i < k->config->n_quotas; i++)
		check_quota(k, nodes[i], i);
}
