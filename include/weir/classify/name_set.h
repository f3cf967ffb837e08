/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names of all classes' rules, compiled: which of them covers a name, and which rules that means.
 *
 * Shapes:   a pattern is a host name ("time.example.net") or a wildcard ("*.example.net": every name below example.net, however
 *           deep, and not example.net itself). A pattern has an id, 0 … n-1; one that stands in several rules has one.
 *           A name's id is that of the most specific pattern that covers it. Rules with names are bits of a mask
 *           (classify/classes.h); those of an id are the rules of every pattern that covers it.
 * Errors:   -EINVAL, -ENOMEM.
 * Threads:  immutable after create, so any thread reads.
 * Memory:   about 36 bytes and the name a pattern, fixed at create.
 */
#ifndef WEIR_CLASSIFY_NAME_SET_H
#define WEIR_CLASSIFY_NAME_SET_H

#include <weir/classify/dns_name.h>

#define NAME_PATTERNS_MAX 16384
#define NAME_NONE         UINT16_MAX

struct name_pattern {
	const char *text;
	uint8_t rule; /* its name bit: below 64 */
};

struct name_set;

/* True when `text` is a pattern. */
bool name_pattern_is_valid(const char *text);

/* Compiles the patterns; none is fine. Returns 0, -EINVAL (too many, one that is no pattern, or no bit) or -ENOMEM. */
int name_set_create(
	const struct name_pattern *patterns, uint32_t n_patterns, struct name_set **ret_set);
void name_set_destroy(struct name_set *s);

/* The most specific pattern that covers `name`, or NAME_NONE. */
uint16_t name_set_find(const struct name_set *s, const struct dns_name *name);

/* The rules of a pattern's id; none for NAME_NONE. */
uint64_t name_set_rules(const struct name_set *s, uint16_t id);

/* How many ids there are. */
uint32_t name_set_n(const struct name_set *s);

/* What an id of one set is in another: the most specific pattern of `to` that covers all that the old one does, or NAME_NONE.
 * What a name proved under the old set, it still does where the new one has that rule for it. */
uint16_t name_set_carry(const struct name_set *from, const struct name_set *to, uint16_t id);

/* The rules of `to` (NULL: none) whose names cover all names of a rule of `from`: whatever name proved that one, proves them. */
uint64_t name_set_carry_rule(const struct name_set *from, const struct name_set *to, uint8_t rule);

#endif
