/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traffic classes: what a new flow is.
 *
 * Shapes:   class 0 is `default`, class 1 is `unsolicited` (downlink packets that match no flow); configured ones follow.
 *           First match decides. A class with an empty field matches any. One with a port range matches TCP and UDP alone:
 *           nothing else has ports. `named` is a mask: bit i is set when a name of class i is proved for the flow.
 * Threads:  immutable after create, so any thread reads.
 */
#ifndef WEIR_CLASSIFY_CLASSES_H
#define WEIR_CLASSIFY_CLASSES_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>

#define CLASSES_MAX       32
#define CLASS_DEFAULT     0
#define CLASS_UNSOLICITED 1
#define CLASSES_BUILT_IN  2u /* ids of those that weir has itself */
#define CLASS_NAME_MAX    32

struct class_rule {
	char name[CLASS_NAME_MAX];
	uint8_t proto; /* 0: any */
	bool has_remote;
	struct ip_prefix remote;
	uint16_t port_min; /* remote port; 0 … 65535: any */
	uint16_t port_max;
	bool has_names; /* only flows to a name of the class, proved for their device (classify/name_set.h) */
	bool has_sni;         /* and only while their hello does not name another */
	bool is_untranslated; /* its flows leave under the addresses of their devices */
};

struct classes;

/* Copies the rules; rule i becomes class i + 2. Returns 0, -EINVAL (too many, no name, a port range upside down or
 * a prefix too long) or -ENOMEM. */
int classes_create(const struct class_rule *rules, uint32_t n_rules, struct classes **ret_classes);
void classes_destroy(struct classes *c);

/* The class of a new flow to `remote`. */
uint8_t classes_match(const struct classes *c, uint8_t proto, const struct ip_addr *remote,
	uint16_t remote_port, uint32_t named);

/* The classes with has_names and has_sni, as a mask. */
uint32_t classes_with_sni(const struct classes *c);

/* What the classes of one configuration are in another, by their names: the mask of `to` for a mask of `from`. */
uint32_t classes_carry(const struct classes *from, const struct classes *to, uint32_t mask);

/* False when flows of the class keep their devices' addresses (RFC 6888 REQ-6). */
bool classes_translates(const struct classes *c, uint8_t class_id);

/* True when flows of some class are not translated. */
bool classes_has_untranslated(const struct classes *c);

/* Never NULL; "?" for an unknown id. */
const char *classes_name(const struct classes *c, uint8_t class_id);

#endif
