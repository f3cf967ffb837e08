/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/classes.h>
#include <weir/packet/meta.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct classes {
	uint32_t n_rules;
	struct class_rule rules[];
};

static bool rule_valid(const struct class_rule *r)
{
	uint8_t len_max = ip_addr_is_v4(&r->remote.addr) ? 32 : 128;

	return r->name[0] != '\0' && memchr(r->name, '\0', sizeof(r->name)) != NULL
	       && r->port_min <= r->port_max && (!r->has_remote || r->remote.len_bits <= len_max);
}

int classes_create(const struct class_rule *rules, uint32_t n_rules, struct classes **ret_classes)
{
	struct classes *c;

	if (n_rules > CLASSES_MAX - CLASSES_BUILT_IN)
		return -EINVAL;
	for (uint32_t i = 0; i < n_rules; i++)
		if (!rule_valid(&rules[i]))
			return -EINVAL;
	c = calloc(1, sizeof(*c) + n_rules * sizeof(c->rules[0]));
	if (c == NULL)
		return -ENOMEM;
	c->n_rules = n_rules;
	if (n_rules > 0)
		memcpy(c->rules, rules, n_rules * sizeof(c->rules[0]));
	*ret_classes = c;
	return 0;
}

void classes_destroy(struct classes *c)
{
	free(c);
}

/* Only TCP and UDP have ports: an ICMP identifier must not pass for one. */
static bool port_matches(const struct class_rule *r, uint8_t proto, uint16_t port)
{
	if (r->port_min == 0 && r->port_max == UINT16_MAX)
		return true;
	return (proto == PROTO_TCP || proto == PROTO_UDP) && port >= r->port_min
	       && port <= r->port_max;
}

static bool rule_matches(const struct class_rule *r, uint8_t proto, const struct ip_addr *remote,
	uint16_t remote_port)
{
	return (r->proto == 0 || r->proto == proto) && port_matches(r, proto, remote_port)
	       && (!r->has_remote || ip_prefix_contains(&r->remote, remote));
}

uint8_t classes_match(const struct classes *c, uint8_t proto, const struct ip_addr *remote,
	uint16_t remote_port, uint32_t named)
{
	for (uint32_t i = 0; i < c->n_rules; i++) {
		const struct class_rule *r = &c->rules[i];
		uint32_t id = CLASSES_BUILT_IN + i;

		if (rule_matches(r, proto, remote, remote_port)
			&& (!r->has_names || (named >> id & 1) != 0))
			return (uint8_t)id;
	}
	return CLASS_DEFAULT;
}

uint32_t classes_with_sni(const struct classes *c)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].has_names && c->rules[i].has_sni)
			mask |= 1u << (CLASSES_BUILT_IN + i);
	return mask;
}

uint32_t classes_carry(const struct classes *from, const struct classes *to, uint32_t mask)
{
	uint32_t carried = 0;

	for (uint32_t i = 0; i < from->n_rules; i++)
		for (uint32_t j = 0; j < to->n_rules && (mask >> (CLASSES_BUILT_IN + i) & 1) != 0;
			j++)
			if (to->rules[j].has_names
				&& strcmp(from->rules[i].name, to->rules[j].name) == 0)
				carried |= 1u << (CLASSES_BUILT_IN + j);
	return carried;
}

bool classes_translates(const struct classes *c, uint8_t class_id)
{
	return class_id < CLASSES_BUILT_IN || class_id - CLASSES_BUILT_IN >= c->n_rules
	       || !c->rules[class_id - CLASSES_BUILT_IN].is_untranslated;
}

bool classes_has_untranslated(const struct classes *c)
{
	for (uint32_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].is_untranslated)
			return true;
	return false;
}

const char *classes_name(const struct classes *c, uint8_t class_id)
{
	if (class_id == CLASS_DEFAULT)
		return "default";
	if (class_id == CLASS_UNSOLICITED)
		return "unsolicited";
	if (class_id - CLASSES_BUILT_IN < c->n_rules)
		return c->rules[class_id - CLASSES_BUILT_IN].name;
	return "?";
}
