/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configured rules compiled into an immutable set; first match decides for a new flow.
 *
 * Shapes:   rules in the order of the configuration. What no rule matches: allowed when it begins on a LAN, denied when
 *           it begins on the uplink. A rule with an empty field matches any. A rule with a port range matches TCP and UDP
 *           alone: nothing else has ports. The device of a flow is its LAN end, and of two LAN ends the one that began.
 *           A rule that is idle (its schedule does not hold now) keeps its place and number, and matches nothing.
 * Units:    at most POLICY_RULES_MAX rules of two cache lines each: that bounds what a new flow costs.
 * Threads:  immutable after create, so any thread reads.
 * Memory:   one allocation at create.
 */
#ifndef WEIR_POLICY_RULESET_H
#define WEIR_POLICY_RULESET_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

enum policy_action {
	POLICY_ALLOW,
	POLICY_DROP,
	POLICY_REJECT
};

/* From where to where a flow begins. */
enum policy_way {
	POLICY_LAN_TO_UPLINK,
	POLICY_UPLINK_TO_LAN,
	POLICY_LAN_TO_LAN,
	N_POLICY_WAYS
};

#define POLICY_RULES_MAX    250
#define POLICY_RULE_DEFAULT 255 /* rule_id of a verdict that no rule gave */

struct policy_rule {
	uint8_t ways;  /* bit 1 << enum policy_way for each way that it covers; 0: all */
	uint8_t proto; /* 0: any */
	bool has_source;
	bool has_destination;
	struct ip_prefix source;
	struct ip_prefix destination;
	uint16_t port_min; /* of the destination; 0 … 65535: any */
	uint16_t port_max;
	enum policy_action action;
	uint64_t groups; /* a bit for each that the device may be in (policy/groups.h); 0: any */
	bool has_mac;    /* of the device */
	struct mac_addr mac;
	bool has_device;
	struct ip_prefix device; /* addresses of the device */
	bool has_class;
	uint8_t class_id;
	bool is_idle;
	bool is_logged; /* an event tells of a match, within limits */
};

struct policy_question {
	enum policy_way way;
	struct ip_addr source;
	struct ip_addr destination;
	uint16_t destination_port;
	uint8_t proto;
	uint8_t class_id;
	struct ip_addr device;
	struct mac_addr mac; /* of the device; zero where it is not known */
	uint64_t groups;     /* of the device */
};

struct policy_verdict {
	enum policy_action action;
	uint8_t rule_id; /* index of the rule, or POLICY_RULE_DEFAULT */
};

struct ruleset;

/* Copies the rules. Returns 0, -EINVAL (more than POLICY_RULES_MAX, a port range upside down, a prefix too long, an unknown
 * action or way) or -ENOMEM. */
int ruleset_create(const struct policy_rule *rules, uint32_t n_rules, struct ruleset **ret_set);
void ruleset_destroy(struct ruleset *set);

/* The verdict on a new flow. */
struct policy_verdict ruleset_match(const struct ruleset *set, const struct policy_question *q);

/* How many rules there are, and the one of this number, as it was given. */
uint32_t ruleset_n_rules(const struct ruleset *set);
const struct policy_rule *ruleset_rule(const struct ruleset *set, uint32_t rule_id);

/* True when both hold the same rules, whichever of them are idle: what was counted for one is true of the other. */
bool ruleset_is_same(const struct ruleset *a, const struct ruleset *b);

#endif
