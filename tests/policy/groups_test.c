/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/policy/groups.h>

#include <criterion/criterion.h>
#include <errno.h>

static const struct mac_addr mac_a = {{0x02, 0, 0, 0, 0, 0xa}};
static const struct mac_addr mac_b = {{0x02, 0, 0, 0, 0, 0xb}};
static const struct mac_addr mac_q = {{0x02, 0, 0, 0, 0, 0xc}};
static const struct mac_addr unknown = {{0x02, 0, 0, 0, 0, 0xd}};

static struct groups *create(void)
{
	struct group_member members[] = {
		{.group = 1, .is_mac = true, .mac = mac_b},
		{.group = 0, .is_mac = true, .mac = mac_a},
		{.group = 2, .is_mac = true, .mac = mac_a},
		{.group = GROUP_QUARANTINE, .is_mac = true, .mac = mac_q},
		{.group = 3, .prefix = {ip_addr_quad(192, 168, 50, 0), 24}},
		{.group = GROUP_LISTED, .is_mac = true, .mac = unknown},
	};
	struct group_destination destinations[] = {
		{0, {ip_addr_quad(203, 0, 113, 0), 24}},
		{1, {ip_addr_quad(198, 51, 100, 7), 32}},
	};
	struct groups_params params = {
		.n_names = 4,
		.names = {"a", "b", "c", "d"},
		.members = members,
		.n_members = 5,
		.destinations = destinations,
		.n_destinations = 2,
	};
	struct groups *g;

	cr_assert_eq(groups_create(&params, &g), 0);
	return g;
}

Test(policy_groups, a_device_is_in_each_group_that_names_its_mac_or_its_address)
{
	struct ip_addr inside = ip_addr_quad(192, 168, 50, 9);
	struct ip_addr outside = ip_addr_quad(192, 168, 51, 9);
	struct groups *g = create();
	uint64_t listed = GROUP_BIT(GROUP_LISTED);

	cr_expect_eq(groups_of(g, &mac_a, &outside), 1 | 4 | listed);
	cr_expect_eq(groups_of(g, &mac_b, &inside), 2 | 8 | listed);
	cr_expect_eq(groups_of(g, &unknown, &inside), 8, "an address is no admission");
	cr_expect_eq(groups_of(g, &mac_q, &outside), GROUP_BIT(GROUP_QUARANTINE));
	cr_expect(groups_has_quarantine(g));
	cr_expect_str_eq(groups_name(g, 2), "c");
	cr_expect_str_eq(groups_name(g, 4), "?");
	cr_expect_str_eq(groups_name(g, GROUP_QUARANTINE), "quarantine");
	groups_destroy(g);
	groups_destroy(NULL);
}

Test(policy_groups, destinations_of_several_groups_add_up_and_none_means_anywhere)
{
	struct ip_addr first = ip_addr_quad(203, 0, 113, 200);
	struct ip_addr second = ip_addr_quad(198, 51, 100, 7);
	struct ip_addr elsewhere = ip_addr_quad(198, 51, 100, 8);
	struct groups *g = create();

	cr_expect(groups_may_reach(g, 1, &first));
	cr_expect(!groups_may_reach(g, 1, &second));
	cr_expect(groups_may_reach(g, 1 | 2, &second));
	cr_expect(!groups_may_reach(g, 1 | 2, &elsewhere));
	cr_expect(!groups_may_reach(g, 1 | 8, &elsewhere), "a group without lists lifts nothing");
	cr_expect(groups_may_reach(g, 8, &elsewhere));
	cr_expect(groups_may_reach(g, 0, &elsewhere));
	cr_expect(groups_is_confined(g, 1));
	cr_expect(!groups_is_confined(g, 3));
	groups_destroy(g);
}

Test(policy_groups, refuses_a_group_that_is_none)
{
	struct group_member member = {.group = GROUPS_MAX};
	struct group_destination destination = {
		.group = GROUP_LISTED, .prefix = {ip_addr_quad(10, 0, 0, 0), 33}};
	struct groups_params params = {.members = &member, .n_members = 1};
	struct groups *g = NULL;

	cr_expect_eq(groups_create(&params, &g), -EINVAL);
	params = (struct groups_params){.destinations = &destination, .n_destinations = 1};
	cr_expect_eq(groups_create(&params, &g), -EINVAL);
	cr_expect_null(g);
}
