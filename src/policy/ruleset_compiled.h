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

#include <weir/policy/ruleset.h>

#include <assert.h>
#include <stdint.h>

struct compiled_prefix {
	uint64_t bits[2];
	uint64_t mask[2];
};

struct compiled_rule {
	uint16_t port_min;
	uint16_t port_max;
	uint8_t ways; /* bit 1 << enum policy_way; 0 while the rule is idle */
	uint8_t proto;
	uint8_t action;
	uint8_t any_port;
	uint64_t groups; /* 0: any */
	struct compiled_prefix destination;
	struct compiled_prefix source;
	struct compiled_prefix device;
	struct mac_addr mac;
	uint8_t has_mac;
	uint8_t any_class;
	uint8_t class_id;
	uint8_t always
		[7]; /* 0: the compiler adds nothing between fields, so rules compare by their octets */
};
static_assert(sizeof(struct compiled_rule) == 128, "two cache lines");

struct ruleset {
	uint32_t n_rules;
	const struct policy_rule *given; /* behind the compiled ones */
	struct compiled_rule rules[];
};

#endif
