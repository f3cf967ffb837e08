/* SPDX-License-Identifier: BSD-3-Clause */
#include "ruleset_compiled.h"

#include <weir/packet/meta.h>
#include <weir/policy/ruleset.h>

#include <string.h>

static bool prefix_matches(const struct compiled_prefix *p, const struct ip_addr *addr)
{
	uint64_t bits[2];

	memcpy(bits, addr, sizeof(bits));
	return (bits[0] & p->mask[0]) == p->bits[0] && (bits[1] & p->mask[1]) == p->bits[1];
}

/* Only TCP and UDP have ports: an ICMP identifier must not pass for one. */
static bool port_matches(const struct compiled_rule *r, const struct policy_question *q)
{
	if (r->any_port)
		return true;
	return (q->proto == PROTO_TCP || q->proto == PROTO_UDP)
	       && q->destination_port >= r->port_min && q->destination_port <= r->port_max;
}

static bool device_matches(const struct compiled_rule *r, const struct policy_question *q)
{
	return (r->groups == 0 || (r->groups & q->groups) != 0)
	       && (r->has_mac == 0 || mac_addr_equal(&r->mac, &q->mac))
	       && prefix_matches(&r->device, &q->device);
}

static bool rule_matches(const struct compiled_rule *r, const struct policy_question *q)
{
	return (r->ways >> q->way & 1) != 0 && (r->proto == 0 || r->proto == q->proto)
	       && port_matches(r, q) && (r->any_class != 0 || r->class_id == q->class_id)
	       && prefix_matches(&r->destination, &q->destination)
	       && prefix_matches(&r->source, &q->source) && device_matches(r, q);
}

struct policy_verdict ruleset_match(const struct ruleset *set, const struct policy_question *q)
{
	for (uint32_t i = 0; i < set->n_rules; i++)
		if (rule_matches(&set->rules[i], q))
			return (struct policy_verdict){
				.action = (enum policy_action)set->rules[i].action,
				.rule_id = (uint8_t)i,
			};
	return (struct policy_verdict){
		.action = q->way == POLICY_UPLINK_TO_LAN ? POLICY_DROP : POLICY_ALLOW,
		.rule_id = POLICY_RULE_DEFAULT,
	};
}
