/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of prefixes, each with marks: which marks does an address bear?
 *
 * Shapes:   the prefixes lie sorted by length and address; a look-up is one binary search for each length that occurs,
 *           so at most 129 of them however many prefixes there are. An address bears the marks of every prefix it is in.
 * Errors:   0, -EINVAL (a prefix longer than its family's addresses) or -ENOMEM.
 * Threads:  immutable after create, so any thread reads.
 * Memory:   one allocation at create.
 */
#ifndef WEIR_POLICY_PREFIX_SET_H
#define WEIR_POLICY_PREFIX_SET_H

#include <weir/base/addr.h>

#include <stdint.h>

struct prefix_set;

struct prefix_mark {
	struct ip_prefix prefix; /* host bits do not matter */
	uint64_t marks;
};

/* Copies the prefixes; of equal ones the marks add up. */
int prefix_set_create(
	const struct prefix_mark *prefixes, uint32_t n_prefixes, struct prefix_set **ret_set);
void prefix_set_destroy(struct prefix_set *s);

/* All marks of the prefixes that contain the address. */
uint64_t prefix_set_find(const struct prefix_set *s, const struct ip_addr *addr);

#endif
