/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ruleset.c compiles and match.c reads.
 *
 * Shapes:   a prefix is 128 bits and their mask; an absent one has an empty mask and matches
 *           all. What is looked at first comes first: most rules are ruled out by their first
 *           eight bytes.
 * Threads:  immutable.
 */
#ifndef WEIR_POLICY_RULESET_COMPILED_H
#define WEIR_POLICY_RULESET_COMPILED_H

#include <assert.h>
#include <stdint.h>

struct compiled_prefix {
	uint64_t bits[2];
	uint64_t mask[2];
};

struct compiled_rule {
	uint16_t port_min;
	uint16_t port_max;
	uint8_t ways; /* bit 1 << enum policy_way; never 0 */
	uint8_t proto;
	uint8_t action;
	uint8_t any_port;
	struct compiled_prefix source;
	struct compiled_prefix destination;
};
static_assert(sizeof(struct compiled_rule) == 72, "250 rules stay in the first-level cache");

struct ruleset {
	uint32_t n_rules;
	struct compiled_rule rules[];
};

#endif
