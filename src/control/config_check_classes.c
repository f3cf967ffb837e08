/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes and their rules: that what is written can be meant, and that all of it has room in the path. */
#include "config_check.h"

#include <weir/classify/name_set.h>
#include <weir/control/budget.h>

#include <string.h>

/* Keys of the one rule that is written without `match`. */
static const char *const own_keys[] = {
	"group", "device", "protocol", "remote", "port", "source_port", "dscp", "names", "sni"};

#define N_OWN_KEYS   (sizeof(own_keys) / sizeof(own_keys[0]))
#define N_OF_DEVICES 2 /* the first of them, which say whose flows a profile is about */

/* The first key from `from` on that is written; NULL when none is. */
static const char *own_key(const struct tree_node *n, size_t from)
{
	for (size_t i = from; i < N_OWN_KEYS; i++)
		if (config_has(n, own_keys[i]))
			return own_keys[i];
	return NULL;
}

/* False while some key's value was a mistake: what it would have said is not known. */
static bool is_whole(const struct tree_node *n)
{
	for (size_t i = 0; i < N_OWN_KEYS; i++)
		if (config_has(n, own_keys[i]) && !config_is_set(n, own_keys[i])
			&& strcmp(own_keys[i], "names") != 0)
			return false;
	return !config_has(n, "names");
}

/* What it says of devices, which no profile does. */
static void check_devices(
	struct config_checker *k, const struct tree_node *n, const struct config_match *m)
{
	if (m->group[0] != '\0')
		config_check_group_name(k, n, m->group);
	if (m->device.kind == MEMBER_PREFIX)
		config_check_lan_address(k, n, "device", &m->device.prefix);
}

void config_check_match(
	struct config_checker *k, const struct tree_node *n, const struct config_match *m)
{
	for (uint32_t i = 0; i < m->n_names; i++)
		if (!name_pattern_is_valid(m->names[i]))
			config_complain(k, CONFIG_ERROR, n, "names",
				"'%.60s' is no host name; write one such as time.example.net or "
				"*.example.com",
				m->names[i]);
	if (m->sni && m->n_names == 0)
		config_complain(k, CONFIG_ERROR, n, "sni",
			"there is nothing to be named; write names: [time.example.net]");
	config_check_network(k, n, "remote", &m->remote);
	config_check_port_of(k, n, m->proto);
	check_devices(k, n, m);
	if (!m->is_given && n->parent->kind == TREE_SEQUENCE && is_whole(n))
		config_complain(k, CONFIG_ERROR, n, NULL,
			"says nothing of a flow; give it protocol, port or names");
}

/* One way to write rules at a time. */
static void check_ways(
	struct config_checker *k, const struct tree_node *n, const struct config_class *c)
{
	const char *own = own_key(n, 0);
	const char *rule = own_key(n, N_OF_DEVICES);

	if (own != NULL && config_has(n, "match"))
		config_complain(k, CONFIG_ERROR, n, own,
			"stands beside match; write it in each of the rules that it is about");
	else if (rule != NULL && config_has(n, "profile"))
		config_complain(k, CONFIG_ERROR, n, rule,
			"stands beside a profile; write it in a rule of its own: match: [ { %s: … "
			"} ]",
			rule);
	if (!c->matches && is_whole(n))
		config_complain(k, CONFIG_WARNING, n, NULL,
			"matches nothing; give it protocol, remote, port, names, match or profile");
}

/* Flows that keep their addresses reach networks with routes back, and no others. */
static void check_translate(
	struct config_checker *k, const struct tree_node *n, const struct config_class *c)
{
	bool is_bounded = c->profile[0] == '\0';

	if (c->translate)
		return;
	if (c->n_matches == 0)
		is_bounded &= config_has(n, "remote");
	for (uint32_t i = 0; i < c->n_matches; i++)
		is_bounded &= !ip_addr_is_unset(&c->match[i].remote.addr);
	if (!is_bounded)
		config_complain(k, CONFIG_ERROR, n, "translate",
			"without it only networks that have routes to the LANs can answer; write "
			"remote: "
			"10.0.0.0/8, or whatever they are");
}

static uint32_t n_name_rules(const struct config *c, const struct config_class *k)
{
	const struct config_profile *p = config_find_profile(c, k->profile);
	uint32_t n = k->own.n_names > 0;

	for (uint32_t i = 0; i < k->n_matches; i++)
		n += k->match[i].n_names > 0;
	for (uint32_t i = 0; p != NULL && i < p->n_rules; i++)
		n += p->rules[i].n_names > 0;
	return n;
}

static void check_class(struct config_checker *k, const struct tree_node *n, uint32_t i)
{
	const struct config_class *c = &k->config->classes[i];
	const struct tree_node *nodes[CONFIG_MATCH_MAX] = {NULL};

	if (strcmp(c->name, "default") == 0 || strcmp(c->name, "unsolicited") == 0
		|| strcmp(c->name, BUDGET_PROBES_CLASS) == 0)
		config_complain(k, CONFIG_ERROR, n, NULL,
			"weir has a class of that name already; choose another");
	check_ways(k, n, c);
	config_check_match(k, n, &c->own);
	config_collect(tree_child(n, "match"), nodes, CONFIG_MATCH_MAX);
	for (uint32_t m = 0; m < c->n_matches; m++)
		config_check_match(k, nodes[m], &c->match[m]);
	check_translate(k, n, c);
	if (c->ceiling_bps != 0 && c->guaranteed_bps > c->ceiling_bps)
		config_complain(k, CONFIG_ERROR, n, "guaranteed",
			"is more than its ceiling lets it have; write no more than that");
}

void config_check_classes(struct config_checker *k)
{
	uint32_t n_names = 0;

	for (uint32_t i = 0; i < k->config->n_classes; i++) {
		uint32_t n = n_name_rules(k->config, &k->config->classes[i]);

		check_class(k, k->classes[i], i);
		if (n_names <= CLASS_NAME_RULES_MAX && n_names + n > CLASS_NAME_RULES_MAX)
			config_complain(k, CONFIG_ERROR, k->classes[i], NULL,
				"more than %d rules with names in all classes; put names of the "
				"same ports into one rule",
				CLASS_NAME_RULES_MAX);
		n_names += n;
	}
}
