/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules, groups, schedules and admission: that names lead somewhere, and that what is written can have an effect. */
#include "config_check.h"

#include <weir/control/schema.h>

#include <string.h>

#define DAY_MIN (24 * 60)

/* The name that was probably meant, or NULL. */
struct nearest {
	const char *written;
	const char *name;
	uint32_t distance;
};

static void nearest_try(struct nearest *n, const char *known)
{
	if (schema_is_nearer(n->written, known, &n->distance))
		n->name = known;
}

/* `what` is of a section in plural: groups. */
static void unknown_name(struct config_checker *k, const struct tree_node *rule, const char *key,
	const struct nearest *n, const char *section)
{
	if (n->name != NULL)
		config_complain(k, CONFIG_ERROR, rule, key,
			"nothing below %s is called '%s'; did you mean '%s'?", section, n->written,
			n->name);
	else
		config_complain(k, CONFIG_ERROR, rule, key,
			"nothing below %s is called '%s'; write one of its names, or add it",
			section, n->written);
}

void config_check_group_name(struct config_checker *k, const struct tree_node *n, const char *group)
{
	struct nearest nearest = {.written = group, .distance = UINT32_MAX};

	if (group[0] == '\0' || strcmp(group, CONFIG_QUARANTINE) == 0
		|| config_find_group(k->config, group) < CONFIG_GROUPS_MAX)
		return;
	nearest_try(&nearest, CONFIG_QUARANTINE);
	for (uint32_t i = 0; i < k->config->n_groups; i++)
		nearest_try(&nearest, k->config->groups[i].name);
	unknown_name(k, n, "group", &nearest, "groups");
}

static void check_class_of(
	struct config_checker *k, const struct tree_node *rule, const struct config_rule *r)
{
	struct nearest n = {.written = r->class_name, .distance = UINT32_MAX};

	if (r->class_name[0] == '\0' || strcmp(r->class_name, "default") == 0)
		return;
	for (uint32_t i = 0; i < k->config->n_classes; i++) {
		if (strcmp(k->config->classes[i].name, r->class_name) == 0)
			return;
		nearest_try(&n, k->config->classes[i].name);
	}
	unknown_name(k, rule, "class", &n, "classes");
}

static void check_schedule_of(
	struct config_checker *k, const struct tree_node *rule, const struct config_rule *r)
{
	struct nearest n = {.written = r->schedule, .distance = UINT32_MAX};

	if (r->schedule[0] == '\0'
		|| config_find_schedule(k->config, r->schedule) < CONFIG_SCHEDULES_MAX)
		return;
	for (uint32_t i = 0; i < k->config->n_schedules; i++)
		nearest_try(&n, k->config->schedules[i].name);
	unknown_name(k, rule, "schedule", &n, "schedules");
}

/* Devices are on LANs. */
static void check_lan_address(struct config_checker *k, const struct tree_node *n, const char *key,
	const struct ip_prefix *p)
{
	bool has_lan = false;

	config_check_network(k, n, key, p);
	for (uint32_t i = 0; i < k->config->n_ports; i++) {
		const struct config_port *port = &k->config->ports[i];

		if (port->role != PORT_LAN || ip_addr_is_unset(&port->address.addr))
			continue;
		if (ip_prefix_overlaps(&port->address, p))
			return;
		has_lan = true;
	}
	if (has_lan)
		config_complain(k, CONFIG_WARNING, n, key,
			"is on no LAN of this gateway, so no device has it; write an address of a "
			"LAN port's network, or a MAC");
}

static void check_rule(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_rule *r = &k->config->rules[i];

	if (r->from == SIDE_UPLINK && r->to == SIDE_UPLINK)
		config_complain(k, CONFIG_ERROR, n, "to",
			"nothing is forwarded from one uplink to another; write lan");
	if (r->from == SIDE_LAN && r->to == SIDE_LAN && r->action == POLICY_ALLOW
		&& !k->config->policy_lan_to_lan)
		config_complain(k, CONFIG_WARNING, n, NULL,
			"never matches while LANs are kept apart; write policy.lan_to_lan: true");
	config_check_network(k, n, "source", &r->source);
	config_check_network(k, n, "destination", &r->destination);
	config_check_port_of(k, n, r->proto);
	if (r->device.kind == MEMBER_PREFIX)
		check_lan_address(k, n, "device", &r->device.prefix);
	config_check_group_name(k, n, r->group);
	check_class_of(k, n, r);
	check_schedule_of(k, n, r);
}

static void check_members(
	struct config_checker *k, const struct tree_node *n, const struct config_group *g)
{
	const struct tree_node *nodes[CONFIG_GROUP_MEMBERS_MAX] = {NULL};

	config_collect(tree_child(n, "devices"), nodes, CONFIG_GROUP_MEMBERS_MAX);
	for (uint32_t i = 0; i < g->n_devices; i++)
		if (g->devices[i].kind == MEMBER_PREFIX)
			check_lan_address(k, nodes[i], NULL, &g->devices[i].prefix);
	memset(nodes, 0, sizeof(nodes));
	config_collect(tree_child(n, "destinations"), nodes, CONFIG_GROUP_MEMBERS_MAX);
	for (uint32_t i = 0; i < g->n_destinations; i++)
		config_check_network(k, nodes[i], NULL, &g->destinations[i]);
}

static void check_group(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_group *g = &k->config->groups[i];

	check_members(k, n, g);
	if (!config_has(n, "devices") && strcmp(g->name, CONFIG_QUARANTINE) != 0)
		config_complain(k, CONFIG_WARNING, n, NULL,
			"has no devices; write devices: [02:00:5e:10:00:01, 192.168.50.20]");
}

static void check_schedule(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_schedule *s = &k->config->schedules[i];
	bool used = false;

	config_check_timezone(k, n, s->timezone);
	if (s->from_min == s->to_min)
		config_complain(k, CONFIG_ERROR, n, "to",
			"is when it begins; leave both out for the whole day");
	else if (s->from_min == DAY_MIN)
		config_complain(k, CONFIG_ERROR, n, "from",
			"is the end of the day; write 00:00, and the days it begins on");
	for (uint32_t r = 0; r < k->config->n_rules; r++)
		used |= strcmp(k->config->rules[r].schedule, s->name) == 0;
	if (!used)
		config_complain(k, CONFIG_WARNING, n, NULL,
			"no rule uses it; write schedule: %s in the rules that do", s->name);
}

static bool lists_a_mac(const struct config *c)
{
	for (uint32_t i = 0; i < c->n_groups; i++)
		for (uint32_t m = 0; m < c->groups[i].n_devices; m++)
			if (c->groups[i].devices[m].kind == MEMBER_MAC
				&& strcmp(c->groups[i].name, CONFIG_QUARANTINE) != 0)
				return true;
	return c->n_allowed > 0;
}

static void check_admission(struct config_checker *k)
{
	const struct tree_node *n = tree_child(k->top, "devices");

	if (n == NULL)
		return;
	if (k->config->devices_admission == ADMISSION_LISTED && !lists_a_mac(k->config))
		config_complain(k, CONFIG_WARNING, n, "admission",
			"no MAC is listed, so every device is quarantined; write allow: "
			"[02:00:5e:10:00:01]");
	if (k->config->devices_admission == ADMISSION_OPEN && config_has(n, "allow"))
		config_complain(k, CONFIG_WARNING, n, "allow",
			"everybody is admitted anyway; write admission: listed");
}

void config_check_policy(struct config_checker *k)
{
	const struct tree_node *policy = tree_child(k->top, "policy");
	const struct tree_node *rules[POLICY_RULES_MAX] = {NULL};
	const struct tree_node *groups[CONFIG_GROUPS_MAX] = {NULL};
	const struct tree_node *schedules[CONFIG_SCHEDULES_MAX] = {NULL};

	config_collect(
		policy == NULL ? NULL : tree_child(policy, "rules"), rules, POLICY_RULES_MAX);
	config_collect(tree_child(k->top, "groups"), groups, CONFIG_GROUPS_MAX);
	config_collect(tree_child(k->top, "schedules"), schedules, CONFIG_SCHEDULES_MAX);
	for (uint32_t i = 0; i < k->config->n_rules; i++)
		check_rule(k, rules[i], i);
	for (uint32_t i = 0; i < k->config->n_groups; i++)
		check_group(k, groups[i], i);
	for (uint32_t i = 0; i < k->config->n_schedules; i++)
		check_schedule(k, schedules[i], i);
	check_admission(k);
}
