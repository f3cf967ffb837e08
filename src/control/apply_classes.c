/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of all classes, in the order of the file, and the names that they ask for. */
#include "apply_parts.h"

#include <weir/control/apply.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct compiler {
	const struct config *config;
	struct class_rule *rules;
	struct name_pattern *patterns;
	uint32_t n_rules;
	uint32_t n_patterns;
	uint8_t n_name_bits;
};

static bool is_any(const struct config_range *r)
{
	return r->min == 0 && r->max == UINT16_MAX;
}

static void restrict_devices(
	const struct config *c, struct class_rule *rule, const struct config_match *m)
{
	if (m->group[0] != '\0')
		rule->groups = GROUP_BIT(config_group_id(c, m->group));
	rule->has_mac = m->device.kind == MEMBER_MAC;
	rule->mac = m->device.mac;
	rule->has_device = m->device.kind == MEMBER_PREFIX;
	rule->device = m->device.prefix;
}

static int names_add(struct compiler *k, struct class_rule *rule, const struct config_match *m)
{
	if (m->n_names == 0)
		return 0;
	if (k->n_name_bits == CLASS_NAME_RULES_MAX)
		return -EINVAL;
	rule->has_names = true;
	rule->has_sni = m->sni;
	rule->name_bit = k->n_name_bits++;
	for (uint32_t i = 0; i < m->n_names; i++)
		k->patterns[k->n_patterns++] =
			(struct name_pattern){.text = m->names[i], .rule = rule->name_bit};
	return 0;
}

/* `devices`: whose flows; the rule itself, or for one of a profile what the class says beside it. */
static int rule_add(struct compiler *k, const struct config_class *of, const struct config_match *m,
	const struct config_match *devices)
{
	struct class_rule *rule = &k->rules[k->n_rules];

	if (k->n_rules == CLASS_RULES_MAX)
		return -EINVAL;
	*rule = (struct class_rule){
		.proto = m->proto,
		.kind = (uint8_t)m->kind,
		.has_remote = !ip_addr_is_unset(&m->remote.addr),
		.remote = m->remote,
		.port_min = m->port.min,
		.port_max = m->port.max,
		.has_source_port = !is_any(&m->source_port),
		.source_port_min = m->source_port.min,
		.source_port_max = m->source_port.max,
		.has_dscp = m->dscp != DSCP_NONE,
		.dscp = m->dscp,
		.is_untranslated = !of->translate,
	};
	memcpy(rule->name, of->name, sizeof(rule->name));
	restrict_devices(k->config, rule, devices);
	k->n_rules++;
	return names_add(k, rule, m);
}

static int class_add(struct compiler *k, const struct config_class *c)
{
	const struct config_profile *p = config_find_profile(k->config, c->profile);
	int error = 0;

	if (p == NULL && c->own.is_given)
		error = rule_add(k, c, &c->own, &c->own);
	for (uint32_t i = 0; i < c->n_matches && error == 0; i++)
		error = rule_add(k, c, &c->match[i], &c->match[i]);
	for (uint32_t i = 0; p != NULL && i < p->n_rules && error == 0; i++)
		error = rule_add(k, c, &p->rules[i], &c->own);
	return error;
}

static int compile(struct compiler *k, struct path_config *pc)
{
	uint8_t id = CLASSES_BUILT_IN;
	int error = 0;

	for (uint32_t i = 0; i < k->config->n_classes && error == 0; i++) {
		uint32_t n_before = k->n_rules;

		error = class_add(k, &k->config->classes[i]);
		if (k->n_rules == n_before)
			continue;
		pc->accounts[id] = config_account_of(k->config, i);
		apply_free_class(k->config, i, id++, pc);
	}
	if (error == 0)
		error = classes_create(k->rules, k->n_rules, &pc->classes);
	if (error == 0 && k->n_patterns > 0)
		error = name_set_create(k->patterns, k->n_patterns, &pc->names);
	return error;
}

int apply_classes(const struct config *c, struct path_config *pc)
{
	struct compiler k = {
		.config = c,
		.rules = calloc(CLASS_RULES_MAX, sizeof(*k.rules)),
		.patterns =
			calloc(CLASS_NAME_RULES_MAX * CONFIG_MATCH_NAMES_MAX, sizeof(*k.patterns)),
	};
	int error = -ENOMEM;

	if (k.rules != NULL && k.patterns != NULL)
		error = compile(&k, pc);
	free(k.patterns);
	free(k.rules);
	pc->names_times = (struct names_times){
		.ttl_max_us = c->names_ttl_max_us, .grace_us = c->names_grace_us};
	return error;
}
