/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/name_set.h>

#include <errno.h>
#include <stdlib.h>

#define FNV_OFFSET 0xcbf29ce484222325ull /* FNV-1a, 64 bits */
#define FNV_PRIME  0x100000001b3ull

struct entry {
	uint32_t text_off; /* of the name without "*." in `texts` */
	uint8_t len;
	bool is_wildcard;
	uint32_t hash;
	uint64_t own_rules; /* configured for it */
	uint64_t rules;     /* with those of every wildcard that covers it */
};

struct name_set {
	uint32_t n;
	uint32_t slot_mask;
	uint32_t max_labels; /* of the longest pattern: deeper suffixes match nothing */
	struct entry *entries;
	uint16_t *slots; /* open addressing, at most half full */
	uint8_t *texts;
};

/* The suffixes of a name, from the last label on. Every suffix is hashed with one label more than the one before. */
struct suffix {
	const uint8_t *octets; /* the suffix; it ends where the name does */
	uint8_t len;
	uint32_t labels_left;
	uint64_t hash;
	const struct dns_name *name;
	uint8_t label_offs[DNS_LABELS_MAX + 1];
};

static void suffix_begin(struct suffix *s, const struct dns_name *name)
{
	s->name = name;
	s->hash = FNV_OFFSET;
	s->labels_left = 0;
	for (uint32_t at = 0; name->octets[at] != 0; at += name->octets[at] + 1u)
		s->label_offs[s->labels_left++] = (uint8_t)at;
}

/* The next longer suffix; false when the last one was the whole name. */
static bool suffix_next(struct suffix *s)
{
	const uint8_t *label;

	if (s->labels_left == 0)
		return false;
	s->labels_left--;
	label = s->name->octets + s->label_offs[s->labels_left];
	for (uint32_t i = 0; i <= *label; i++)
		s->hash = (s->hash ^ label[i]) * FNV_PRIME;
	s->octets = label;
	s->len = (uint8_t)(s->name->len - s->label_offs[s->labels_left]);
	return true;
}

/* Strangers choose the names that are looked up, but not the patterns they meet: chains are as short as the configuration
 * makes them. */
static uint32_t hash_of(const struct suffix *s, bool is_wildcard)
{
	uint64_t h = (s->hash ^ (uint64_t)is_wildcard) * FNV_PRIME;

	return (uint32_t)(h >> 32 ^ h);
}

/* The slot of the entry, or the empty one where it belongs. */
static uint32_t slot_of(const struct name_set *set, const struct suffix *s, bool is_wildcard)
{
	uint32_t hash = hash_of(s, is_wildcard);
	uint32_t slot = hash & set->slot_mask;

	while (set->slots[slot] != NAME_NONE) {
		const struct entry *e = &set->entries[set->slots[slot]];

		if (e->hash == hash && e->is_wildcard == is_wildcard && e->len == s->len
			&& memcmp(set->texts + e->text_off, s->octets, s->len) == 0)
			break;
		slot = (slot + 1) & set->slot_mask;
	}
	return slot;
}

/*
 * The most specific pattern that covers the name, or, for a wildcard's name, all names below it. Longer suffixes
 * come later and are more specific; the whole name is the most specific. `ret_rules`, unless NULL: of all on the way.
 */
static uint16_t find(const struct name_set *set, const struct dns_name *name, bool is_wildcard,
	uint64_t *ret_rules)
{
	struct suffix s;
	uint16_t best = NAME_NONE;
	uint64_t rules = 0;

	suffix_begin(&s, name);
	for (uint32_t depth = 0; depth < set->max_labels && suffix_next(&s); depth++) {
		uint16_t id = set->slots[slot_of(set, &s, is_wildcard || s.labels_left > 0)];

		if (id != NAME_NONE) {
			best = id;
			rules |= set->entries[id].own_rules;
		}
	}
	if (ret_rules != NULL)
		*ret_rules = rules;
	return best;
}

static bool text_is_wildcard(const char *text)
{
	return text[0] == '*' && text[1] == '.';
}

static int parse_pattern(const char *text, struct dns_name *ret_name)
{
	const char *name = text_is_wildcard(text) ? text + 2 : text;

	return dns_name_parse(name, strlen(name), ret_name);
}

bool name_pattern_is_valid(const char *text)
{
	struct dns_name name;

	return parse_pattern(text, &name) == 0;
}

/* Enters a pattern at the end of `entries`, or its rule where it is there already. */
static int enter(struct name_set *set, const struct name_pattern *pattern, uint32_t *texts_len)
{
	bool is_wildcard = text_is_wildcard(pattern->text);
	struct dns_name name;
	struct suffix s;
	uint32_t slot;
	uint32_t n_labels;

	if (pattern->rule >= 64 || parse_pattern(pattern->text, &name) < 0)
		return -EINVAL;
	suffix_begin(&s, &name);
	n_labels = s.labels_left;
	while (suffix_next(&s))
		continue;
	slot = slot_of(set, &s, is_wildcard);
	if (set->slots[slot] == NAME_NONE) {
		set->entries[set->n] = (struct entry){.text_off = *texts_len,
			.len = name.len,
			.is_wildcard = is_wildcard,
			.hash = hash_of(&s, is_wildcard)};
		memcpy(set->texts + *texts_len, name.octets, name.len);
		*texts_len += name.len;
		set->slots[slot] = (uint16_t)set->n++;
		if (n_labels > set->max_labels)
			set->max_labels = n_labels;
	}
	set->entries[set->slots[slot]].own_rules |= UINT64_C(1) << pattern->rule;
	return 0;
}

static struct dns_name name_of(const struct name_set *set, const struct entry *e)
{
	struct dns_name name = {.len = e->len};

	memcpy(name.octets, set->texts + e->text_off, e->len);
	return name;
}

static int allocate(struct name_set *set, const struct name_pattern *patterns, uint32_t n_patterns)
{
	uint32_t n_slots = 2;
	size_t texts_bytes = 1;

	while (n_slots < 2 * n_patterns)
		n_slots *= 2;
	for (uint32_t i = 0; i < n_patterns; i++)
		texts_bytes +=
			strlen(patterns[i].text) + 2; /* the first label's length, and the root */
	set->slot_mask = n_slots - 1;
	set->entries = calloc(n_patterns + 1, sizeof(*set->entries));
	set->slots = malloc(n_slots * sizeof(*set->slots));
	set->texts = malloc(texts_bytes);
	if (set->entries == NULL || set->slots == NULL || set->texts == NULL)
		return -ENOMEM;
	memset(set->slots, 0xff, n_slots * sizeof(*set->slots));
	return 0;
}

int name_set_create(
	const struct name_pattern *patterns, uint32_t n_patterns, struct name_set **ret_set)
{
	struct name_set *set;
	uint32_t texts_len = 0;
	int rc;

	if (n_patterns > NAME_PATTERNS_MAX)
		return -EINVAL;
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		return -ENOMEM;
	rc = allocate(set, patterns, n_patterns);
	for (uint32_t i = 0; i < n_patterns && rc == 0; i++)
		rc = enter(set, &patterns[i], &texts_len);
	if (rc < 0) {
		name_set_destroy(set);
		return rc;
	}
	for (uint32_t i = 0; i < set->n; i++) {
		struct entry *e = &set->entries[i];
		struct dns_name name = name_of(set, e);

		(void)find(set, &name, e->is_wildcard, &e->rules);
	}
	*ret_set = set;
	return 0;
}

void name_set_destroy(struct name_set *s)
{
	if (s == NULL)
		return;
	free(s->entries);
	free(s->slots);
	free(s->texts);
	free(s);
}

uint16_t name_set_find(const struct name_set *s, const struct dns_name *name)
{
	return find(s, name, false, NULL);
}

uint64_t name_set_rules(const struct name_set *s, uint16_t id)
{
	return id < s->n ? s->entries[id].rules : 0;
}

uint32_t name_set_n(const struct name_set *s)
{
	return s->n;
}

uint16_t name_set_carry(const struct name_set *from, const struct name_set *to, uint16_t id)
{
	struct dns_name name;

	if (id >= from->n)
		return NAME_NONE;
	name = name_of(from, &from->entries[id]);
	return find(to, &name, from->entries[id].is_wildcard, NULL);
}

uint64_t name_set_carry_rule(const struct name_set *from, const struct name_set *to, uint8_t rule)
{
	uint64_t rules = UINT64_MAX;
	bool has_names = false;

	for (uint16_t id = 0; id < from->n && to != NULL; id++) {
		if ((from->entries[id].own_rules >> rule & 1) == 0)
			continue;
		has_names = true;
		rules &= name_set_rules(to, name_set_carry(from, to, id));
	}
	return has_names ? rules : 0;
}
