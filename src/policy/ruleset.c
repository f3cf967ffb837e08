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
	       && prefix_valid(r->has_destination, &r->destination);
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

static struct compiled_rule compile_rule(const struct policy_rule *r)
{
	return (struct compiled_rule){
		.source = compile_prefix(r->has_source, &r->source),
		.destination = compile_prefix(r->has_destination, &r->destination),
		.port_min = r->port_min,
		.port_max = r->port_max,
		.ways = r->ways != 0 ? r->ways : (1u << N_POLICY_WAYS) - 1,
		.proto = r->proto,
		.action = (uint8_t)r->action,
		.any_port = r->port_min == 0 && r->port_max == UINT16_MAX,
	};
}

int ruleset_create(const struct policy_rule *rules, uint32_t n_rules, struct ruleset **ret_set)
{
	struct ruleset *set;

	if (n_rules > POLICY_RULES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < n_rules; i++)
		if (!rule_valid(&rules[i]))
			return -EINVAL;
	set = calloc(1, sizeof(*set) + n_rules * sizeof(set->rules[0]));
	if (set == NULL)
		return -ENOMEM;
	set->n_rules = n_rules;
	for (uint32_t i = 0; i < n_rules; i++)
		set->rules[i] = compile_rule(&rules[i]);
	*ret_set = set;
	return 0;
}

void ruleset_destroy(struct ruleset *set)
{
	free(set);
}
