/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/classes.h>
#include <weir/packet/meta.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (CLASS_RULES_MAX / 64)

/* Rules that may fit are looked for by these alone. */
enum sort {
	SORT_TCP,
	SORT_UDP,
	SORT_OTHER,
	N_SORTS
};

/* A bit each, by rule. */
struct rule_bits {
	uint64_t words[WORDS_MAX];
};

struct classes {
	uint32_t n_classes;             /* configured ones */
	const char *names[CLASSES_MAX]; /* by id; of the first rule */
	uint32_t untranslated;          /* classes, a bit each */
	uint64_t with_sni;              /* name bits */
	uint32_t n_rules;
	struct rule_bits may_fit[N_SORTS];  /* flows of this sort */
	struct rule_bits unnamed;           /* flows without a proven name */
	uint8_t class_ids[CLASS_RULES_MAX]; /* by rule */
	struct class_rule rules[];
};

static bool is_prefix_valid(const struct ip_prefix *p)
{
	return p->len_bits <= (ip_addr_is_v4(&p->addr) ? 32 : 128);
}

static bool rule_valid(const struct class_rule *r)
{
	return r->name[0] != '\0' && memchr(r->name, '\0', sizeof(r->name)) != NULL
	       && r->port_min <= r->port_max && (!r->has_remote || is_prefix_valid(&r->remote))
	       && (!r->has_device || is_prefix_valid(&r->device))
	       && (!r->has_source_port || r->source_port_min <= r->source_port_max)
	       && (!r->has_names || r->name_bit < CLASS_NAME_RULES_MAX) && r->kind < CLASS_KINDS;
}

static bool rules_valid(const struct class_rule *rules, uint32_t n_rules)
{
	uint64_t bits = 0;

	if (n_rules > CLASS_RULES_MAX)
		return false;
	for (uint32_t i = 0; i < n_rules; i++) {
		uint64_t bit = rules[i].has_names ? UINT64_C(1) << (rules[i].name_bit & 63) : 0;

		if (!rule_valid(&rules[i]) || (bits & bit) != 0)
			return false;
		bits |= bit;
	}
	return true;
}

/* The id of the rule's class; 0 when there are too many classes. */
static uint8_t class_of(struct classes *c, const struct class_rule *r)
{
	uint8_t id = CLASSES_BUILT_IN;

	while (id < CLASSES_BUILT_IN + c->n_classes && strcmp(c->names[id], r->name) != 0)
		id++;
	if (id == CLASSES_MAX)
		return CLASS_DEFAULT;
	if (id == CLASSES_BUILT_IN + c->n_classes) {
		c->names[id] = r->name;
		c->n_classes++;
	}
	return id;
}

static enum sort sort_of(uint8_t proto)
{
	switch (proto) {
	case PROTO_TCP:
		return SORT_TCP;
	case PROTO_UDP:
		return SORT_UDP;
	default:
		return SORT_OTHER;
	}
}

static void sort_rule(struct classes *c, uint32_t rule)
{
	const struct class_rule *r = &c->rules[rule];
	uint64_t bit = UINT64_C(1) << rule % 64;

	for (uint32_t sort = 0; sort < N_SORTS; sort++)
		if (r->proto == 0 || sort_of(r->proto) == sort)
			c->may_fit[sort].words[rule / 64] |= bit;
	if (!r->has_names)
		c->unnamed.words[rule / 64] |= bit;
}

static int rules_enter(struct classes *c)
{
	for (uint32_t i = 0; i < c->n_rules; i++) {
		const struct class_rule *r = &c->rules[i];
		uint8_t id = class_of(c, r);

		if (id == CLASS_DEFAULT)
			return -EINVAL;
		c->class_ids[i] = id;
		c->untranslated |= (uint32_t)r->is_untranslated << id;
		sort_rule(c, i);
		if (r->has_names && r->has_sni)
			c->with_sni |= UINT64_C(1) << r->name_bit;
	}
	return 0;
}

int classes_create(const struct class_rule *rules, uint32_t n_rules, struct classes **ret_classes)
{
	struct classes *c;
	int error;

	if (!rules_valid(rules, n_rules))
		return -EINVAL;
	c = calloc(1, sizeof(*c) + n_rules * sizeof(c->rules[0]));
	if (c == NULL)
		return -ENOMEM;
	c->n_rules = n_rules;
	if (n_rules > 0)
		memcpy(c->rules, rules, n_rules * sizeof(c->rules[0]));
	error = rules_enter(c);
	if (error != 0) {
		free(c);
		return error;
	}
	*ret_classes = c;
	return 0;
}

void classes_destroy(struct classes *c)
{
	free(c);
}

/* Only TCP and UDP have ports: an ICMP identifier must not pass for one. */
static bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP;
}

static bool ports_match(const struct class_rule *r, const struct class_question *q)
{
	if (r->has_source_port
		&& (!has_ports(q->proto) || q->source_port < r->source_port_min
			|| q->source_port > r->source_port_max))
		return false;
	if (r->port_min == 0 && r->port_max == UINT16_MAX)
		return true;
	return has_ports(q->proto) && q->remote_port >= r->port_min
	       && q->remote_port <= r->port_max;
}

static bool device_matches(const struct class_rule *r, const struct class_question *q)
{
	return (r->groups == 0 || (r->groups & q->groups) != 0)
	       && (!r->has_mac || mac_addr_equal(&r->mac, &q->mac))
	       && (!r->has_device || ip_prefix_contains(&r->device, &q->device));
}

static bool rule_matches(const struct class_rule *r, const struct class_question *q)
{
	return (r->proto == 0 || r->proto == q->proto) && ports_match(r, q)
	       && (!r->has_remote || ip_prefix_contains(&r->remote, &q->remote))
	       && (!r->has_dscp || r->dscp == q->dscp) && device_matches(r, q)
	       && (!r->has_names || (q->named >> r->name_bit & 1) != 0);
}

/* The first rule that fits, or n_rules. */
static uint32_t find_rule(const struct classes *c, const struct class_question *q)
{
	const uint64_t *may_fit = c->may_fit[sort_of(q->proto)].words;

	for (uint32_t w = 0; w * 64 < c->n_rules; w++) {
		uint64_t left = q->named != 0 ? may_fit[w] : may_fit[w] & c->unnamed.words[w];

		for (; left != 0; left &= left - 1) {
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);

			if (rule_matches(&c->rules[i], q))
				return i;
		}
	}
	return c->n_rules;
}

struct class_verdict classes_match(const struct classes *c, const struct class_question *q)
{
	uint32_t i = c->n_rules == 0 ? 0 : find_rule(c, q);

	if (i == c->n_rules)
		return (struct class_verdict){CLASS_DEFAULT, CLASS_KIND_NONE};
	return (struct class_verdict){c->class_ids[i], c->rules[i].kind};
}

uint64_t classes_with_sni(const struct classes *c)
{
	return c->with_sni;
}

bool classes_translates(const struct classes *c, uint8_t class_id)
{
	return class_id >= CLASSES_MAX || (c->untranslated >> class_id & 1) == 0;
}

bool classes_has_untranslated(const struct classes *c)
{
	return c->untranslated != 0;
}

const char *classes_name(const struct classes *c, uint8_t class_id)
{
	if (class_id == CLASS_DEFAULT)
		return "default";
	if (class_id == CLASS_UNSOLICITED)
		return "unsolicited";
	if (class_id - CLASSES_BUILT_IN < c->n_classes)
		return c->names[class_id];
	return "?";
}

const char *class_kind_name(uint32_t kind)
{
	static const char *const names[CLASS_KINDS] = {
		[CLASS_KIND_NONE] = "none",
		[CLASS_KIND_PROVISIONING] = "provisioning",
		[CLASS_KIND_CONNECTIVITY] = "connectivity",
		[CLASS_KIND_SERVICE] = "service",
		[CLASS_KIND_UPDATE] = "update",
		[CLASS_KIND_DNS] = "dns",
		[CLASS_KIND_TIME] = "time",
	};

	return kind < CLASS_KINDS ? names[kind] : "?";
}
