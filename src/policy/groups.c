/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/policy/groups.h>
#include <weir/policy/prefix_set.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mac_groups {
	struct mac_addr mac;
	uint64_t groups;
};

struct groups {
	uint64_t confined; /* groups that have destinations */
	bool has_quarantine;
	struct prefix_set *addresses;
	struct prefix_set *destinations;
	uint32_t n_names;
	char names[GROUPS_MAX][GROUP_NAME_MAX];
	uint32_t n_macs;
	struct mac_groups macs[]; /* sorted, each once */
};

static bool is_group(uint8_t group)
{
	return group < GROUPS_MAX || group == GROUP_LISTED || group == GROUP_QUARANTINE;
}

static int mac_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mac_addr)); /* the first field */
}

static uint64_t bits_of_mac(uint8_t group)
{
	return GROUP_BIT(group) | (group == GROUP_QUARANTINE ? 0 : GROUP_BIT(GROUP_LISTED));
}

static void macs_fill(struct groups *g, const struct groups_params *params)
{
	uint32_t n = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < params->n_members; i++) {
		const struct group_member *m = &params->members[i];

		if (m->is_mac)
			g->macs[n++] = (struct mac_groups){m->mac, bits_of_mac(m->group)};
	}
	qsort(g->macs, n, sizeof(g->macs[0]), mac_compare);
	for (uint32_t i = 0; i < n; i++) {
		if (kept > 0 && mac_addr_equal(&g->macs[kept - 1].mac, &g->macs[i].mac))
			g->macs[kept - 1].groups |= g->macs[i].groups;
		else
			g->macs[kept++] = g->macs[i];
	}
	g->n_macs = kept;
}

static int addresses_create(const struct groups_params *params, struct prefix_set **ret_set)
{
	struct prefix_mark *marks = calloc(params->n_members + 1, sizeof(*marks));
	uint32_t n = 0;
	int err;

	if (marks == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < params->n_members; i++) {
		const struct group_member *m = &params->members[i];

		if (!m->is_mac)
			marks[n++] = (struct prefix_mark){m->prefix, GROUP_BIT(m->group)};
	}
	err = prefix_set_create(marks, n, ret_set);
	free(marks);
	return err;
}

static int destinations_create(const struct groups_params *params, struct prefix_set **ret_set)
{
	struct prefix_mark *marks = calloc(params->n_destinations + 1, sizeof(*marks));
	int err;

	if (marks == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < params->n_destinations; i++)
		marks[i] = (struct prefix_mark){
			params->destinations[i].prefix, GROUP_BIT(params->destinations[i].group)};
	err = prefix_set_create(marks, params->n_destinations, ret_set);
	free(marks);
	return err;
}

static bool params_valid(const struct groups_params *params)
{
	if (params->n_names > GROUPS_MAX)
		return false;
	for (uint32_t i = 0; i < params->n_members; i++)
		if (!is_group(params->members[i].group))
			return false;
	for (uint32_t i = 0; i < params->n_destinations; i++)
		if (!is_group(params->destinations[i].group))
			return false;
	return true;
}

int groups_create(const struct groups_params *params, struct groups **ret_groups)
{
	struct groups *g;
	int err;

	if (!params_valid(params))
		return -EINVAL;
	g = calloc(1, sizeof(*g) + params->n_members * sizeof(g->macs[0]));
	if (g == NULL)
		return -ENOMEM;
	g->n_names = params->n_names;
	for (uint32_t i = 0; i < params->n_names; i++)
		(void)snprintf(g->names[i], GROUP_NAME_MAX, "%s", params->names[i]);
	for (uint32_t i = 0; i < params->n_destinations; i++)
		g->confined |= GROUP_BIT(params->destinations[i].group);
	for (uint32_t i = 0; i < params->n_members; i++)
		g->has_quarantine |= params->members[i].group == GROUP_QUARANTINE;
	macs_fill(g, params);
	err = addresses_create(params, &g->addresses);
	if (err != 0)
		goto err_groups;
	err = destinations_create(params, &g->destinations);
	if (err != 0)
		goto err_groups;
	*ret_groups = g;
	return 0;

err_groups:
	groups_destroy(g);
	return err;
}

void groups_destroy(struct groups *g)
{
	if (g == NULL)
		return;
	prefix_set_destroy(g->addresses);
	prefix_set_destroy(g->destinations);
	free(g);
}

uint64_t groups_of(const struct groups *g, const struct mac_addr *mac, const struct ip_addr *addr)
{
	const struct mac_groups *found =
		bsearch(mac, g->macs, g->n_macs, sizeof(g->macs[0]), mac_compare);

	return prefix_set_find(g->addresses, addr) | (found == NULL ? 0 : found->groups);
}

bool groups_may_reach(const struct groups *g, uint64_t groups, const struct ip_addr *remote)
{
	uint64_t confined = groups & g->confined;

	return confined == 0 || (prefix_set_find(g->destinations, remote) & confined) != 0;
}

bool groups_is_confined(const struct groups *g, uint32_t group)
{
	return (g->confined & GROUP_BIT(group)) != 0;
}

bool groups_has_quarantine(const struct groups *g)
{
	return g->has_quarantine;
}

const char *groups_name(const struct groups *g, uint32_t group)
{
	if (group == GROUP_QUARANTINE)
		return "quarantine";
	return group < g->n_names ? g->names[group] : "?";
}
