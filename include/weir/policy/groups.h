/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups of LAN devices, told by MAC or address, and where the devices of a group may go.
 *
 * Shapes:   groups are bits of a word: bit i is group i of the configuration. A device is in every group that names its
 *           MAC or a prefix that its address is in. Two groups are weir's own: GROUP_QUARANTINE, and GROUP_LISTED, whose
 *           bit is that of each MAC that some other group than quarantine names. A group with destinations confines its
 *           devices to them; one that is in several such groups may go where any of them allows.
 * Errors:   0, -EINVAL (a group that is none, a prefix too long) or -ENOMEM.
 * Threads:  immutable after create, so any thread reads.
 * Memory:   fixed at create. A look-up is a binary search over the MACs and one for each prefix length that occurs.
 */
#ifndef WEIR_POLICY_GROUPS_H
#define WEIR_POLICY_GROUPS_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>

#define GROUPS_MAX       32 /* of the configuration */
#define GROUP_LISTED     62
#define GROUP_QUARANTINE 63
#define GROUP_NAME_MAX   32

#define GROUP_BIT(group) (UINT64_C(1) << (group))

/* A device that a group names. */
struct group_member {
	uint8_t group; /* below GROUPS_MAX, or one of weir's own */
	bool is_mac;
	struct mac_addr mac;
	struct ip_prefix prefix; /* else */
};

/* A place that the devices of a group may go to. */
struct group_destination {
	uint8_t group;
	struct ip_prefix prefix;
};

struct groups_params {
	uint32_t n_names;
	char names[GROUPS_MAX][GROUP_NAME_MAX];
	const struct group_member *members;
	uint32_t n_members;
	const struct group_destination *destinations;
	uint32_t n_destinations;
};

struct groups;

/* Copies all. */
int groups_create(const struct groups_params *params, struct groups **ret_groups);
void groups_destroy(struct groups *g);

/* The groups of a device: a bit each. */
uint64_t groups_of(const struct groups *g, const struct mac_addr *mac, const struct ip_addr *addr);

/* True when a device of these groups may speak with `remote` as far as destinations go. */
bool groups_may_reach(const struct groups *g, uint64_t groups, const struct ip_addr *remote);

/* True when the group has destinations. */
bool groups_is_confined(const struct groups *g, uint32_t group);

/* True when a member is of the group quarantine. */
bool groups_has_quarantine(const struct groups *g);

/* Never NULL; "?" for an unknown group. */
const char *groups_name(const struct groups *g, uint32_t group);

#endif
