/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traffic classes: what a new flow is.
 *
 * Shapes:   class 0 is `default`, class 1 is `unsolicited` (downlink packets that match no flow); configured ones follow.
 *           A class has one rule or several: rules with one name are its, and ids follow the order in which names first
 *           appear. The first rule that matches decides. One with an empty field matches any; one with a range of ports
 *           matches TCP and UDP alone: nothing else has ports. `named` is a mask: bit i is set when a name of the rule with
 *           name_bit i is proved for the flow's device (classify/name_set.h).
 * Threads:  immutable after create, so any thread reads.
 * Memory:   about 170 bytes a rule, fixed at create.
 */
#ifndef WEIR_CLASSIFY_CLASSES_H
#define WEIR_CLASSIFY_CLASSES_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>

#define CLASSES_MAX          32
#define CLASS_DEFAULT        0
#define CLASS_UNSOLICITED    1
#define CLASSES_BUILT_IN     2u /* ids of those that weir has itself */
#define CLASS_NAME_MAX       32
#define CLASS_RULES_MAX      1024
#define CLASS_NAME_RULES_MAX 64 /* rules with names: a bit each */
#define DSCP_NONE            64 /* no packet of the device has been seen: no rule with a code point matches */

/* What an exchange is for, where a profile says so: the clocks of a device (control/clocks.h). */
enum class_kind {
	CLASS_KIND_NONE,
	CLASS_KIND_PROVISIONING,
	CLASS_KIND_CONNECTIVITY,
	CLASS_KIND_SERVICE,
	CLASS_KIND_UPDATE,
	CLASS_KIND_DNS,
	CLASS_KIND_TIME,
	CLASS_KINDS
};

struct class_rule {
	char name[CLASS_NAME_MAX]; /* of its class */
	uint8_t proto;             /* 0: any */
	uint8_t kind;              /* enum class_kind */
	bool has_remote;
	bool has_source_port;
	bool has_dscp;
	bool has_mac;
	bool has_device;
	bool has_names;       /* only flows to a name of the rule, proved for their device */
	bool has_sni;         /* and only while their hello does not name another */
	bool is_untranslated; /* flows of the class leave under the addresses of their devices */
	uint8_t name_bit;     /* with has_names: below CLASS_NAME_RULES_MAX, of no other rule */
	uint8_t dscp;         /* of the first packet of the device */
	uint16_t port_min;    /* remote port; 0 … 65535: any */
	uint16_t port_max;
	uint16_t source_port_min; /* the device's own */
	uint16_t source_port_max;
	struct mac_addr mac;
	struct ip_prefix remote;
	struct ip_prefix device;
	uint64_t groups; /* devices of any of them, a bit each (policy/groups.h); 0: any device */
};

/* What is known of a new flow. */
struct class_question {
	uint8_t proto;
	uint8_t dscp; /* or DSCP_NONE */
	uint16_t remote_port;
	uint16_t source_port;
	struct ip_addr remote;
	struct ip_addr device;
	struct mac_addr mac;
	uint64_t groups;
	uint64_t named;
};

struct class_verdict {
	uint8_t class_id;
	uint8_t kind; /* enum class_kind */
};

struct classes;

/* Copies the rules. Returns 0, -EINVAL (too many rules or classes, no name, a range upside down, a prefix too long, a bit that
 * two rules have) or -ENOMEM. */
int classes_create(const struct class_rule *rules, uint32_t n_rules, struct classes **ret_classes);
void classes_destroy(struct classes *c);

/* The class of a new flow. */
struct class_verdict classes_match(const struct classes *c, const struct class_question *q);

/* The name bits of rules with has_sni, as a mask. */
uint64_t classes_with_sni(const struct classes *c);

/* False when flows of the class keep their devices' addresses (RFC 6888 REQ-6). */
bool classes_translates(const struct classes *c, uint8_t class_id);

/* True when flows of some class are not translated. */
bool classes_has_untranslated(const struct classes *c);

/* Never NULL; "?" for an unknown id. */
const char *classes_name(const struct classes *c, uint8_t class_id);

/* "service"; never NULL. */
const char *class_kind_name(uint32_t kind);

#endif
