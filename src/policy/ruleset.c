/* SPDX-License-Identifier: BSD-3-Clause */
#include "ruleset_compiled.h"

#include <weir/policy/ruleset.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool prefix_valid(bool present, const struct ip_prefix *p)
{
	return !present || p->len_bits <= (ip_addr_is_v4(&p->addr) ? 32 : 128);
}

static bool rule_valid(const struct policy_rule *r)
{
	return r->port_min <= r->port_max && r->ways < 1u << N_POLICY_WAYS
	       && (r->action == POLICY_ALLOW || r->action == POLICY_DROP
		       || r->action == POLICY_REJECT)
	       && prefix_valid(r->has_source, &r->source)
	       && prefix_valid(r->has_destination, &r->destination)
	       && prefix_valid(r->has_device, &r->device);
}

/* A prefix of either family as 128 bits to compare: an IPv4 one lies within ::ffff:0:0/96. */
static struct compiled_prefix compile_prefix(bool present, const struct ip_prefix *p)
{
	struct compiled_prefix c = {0};
	struct ip_addr mask = {0};
	uint32_t len_bits;

	if (!present)
		return c;
	len_bits = ip_addr_is_v4(&p->addr) ? 96u + p->len_bits : p->len_bits;
	for (uint32_t i = 0; i < len_bits; i++)
		mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(c.mask, &mask, sizeof(c.mask));
	memcpy(c.bits, &p->addr, sizeof(c.bits));
	c.bits[0] &= c.mask[0];
	c.bits[1] &= c.mask[1];
	return c;
}

static uint8_t ways_of(const struct policy_rule *r)
{
	if (r->is_idle)
		return 0;
	return r->ways != 0 ? r->ways : (1u << N_POLICY_WAYS) - 1;
}

static struct compiled_rule compile_rule(const struct policy_rule *r)
{
	return (struct compiled_rule){
		.source = compile_prefix(r->has_source, &r->source),
		.destination = compile_prefix(r->has_destination, &r->destination),
		.device = compile_prefix(r->has_device, &r->device),
		.port_min = r->port_min,
		.port_max = r->port_max,
		.ways = ways_of(r),
		.proto = r->proto,
		.action = (uint8_t)r->action,
		.any_port = r->port_min == 0 && r->port_max == UINT16_MAX,
		.groups = r->groups,
		.mac = r->has_mac ? r->mac : (struct mac_addr){{0}},
		.has_mac = r->has_mac,
		.any_class = !r->has_class,
		.class_id = r->has_class ? r->class_id : 0,
	};
}

int ruleset_create(const struct policy_rule *rules, uint32_t n_rules, struct ruleset **ret_set)
{
	struct ruleset *set;
	struct policy_rule *given;

	if (n_rules > POLICY_RULES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < n_rules; i++)
		if (!rule_valid(&rules[i]))
			return -EINVAL;
	set = calloc(1, sizeof(*set) + n_rules * (sizeof(set->rules[0]) + sizeof(*given)));
	if (set == NULL)
		return -ENOMEM;
	given = (struct policy_rule *)(set->rules + n_rules);
	set->n_rules = n_rules;
	set->given = given;
	for (uint32_t i = 0; i < n_rules; i++) {
		given[i] = rules[i];
		set->rules[i] = compile_rule(&rules[i]);
	}
	*ret_set = set;
	return 0;
}

void ruleset_destroy(struct ruleset *set)
{
	free(set);
}

uint32_t ruleset_n_rules(const struct ruleset *set)
{
	return set->n_rules;
}

const struct policy_rule *ruleset_rule(const struct ruleset *set, uint32_t rule_id)
{
	assert(rule_id < set->n_rules);
	return &set->given[rule_id];
}

bool ruleset_is_same(const struct ruleset *a, const struct ruleset *b)
{
	if (a->n_rules != b->n_rules)
		return false;
	for (uint32_t i = 0; i < a->n_rules; i++) {
		struct compiled_rule x = a->rules[i];
		struct compiled_rule y = b->rules[i];

		x.ways = y.ways = 0;
		if (a->given[i].ways != b->given[i].ways || memcmp(&x, &y, sizeof(x)) != 0)
			return false;
	}
	return true;
}
