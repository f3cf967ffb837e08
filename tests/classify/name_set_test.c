/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/name_set.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct dns_name name_of(const char *text)
{
	struct dns_name name;

	cr_assert_eq(dns_name_parse(text, strlen(text), &name), 0, "%s", text);
	return name;
}

static uint64_t rules_of(const struct name_set *s, const char *text)
{
	struct dns_name name = name_of(text);

	return name_set_rules(s, name_set_find(s, &name));
}

Test(classify_name_set, every_pattern_that_covers_a_name_gives_its_rules)
{
	static const struct name_pattern patterns[] = {
		{"time.sphere.azure.net", 2},
		{"*.sphere.azure.net", 3},
		{"*.azure.net", 4},
		{"Time.SPHERE.azure.net.", 5},
		{"sphere.azure.net", 6},
		{"*.net", 7},
		{"localhost", 63},
	};
	static const struct {
		const char *claim;
		const char *name;
		uint64_t rules;
	} rows[] = {
		{"an exact name, and the wildcards above it", "time.sphere.azure.net",
			1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7},
		{"another below the wildcard", "prod.sphere.azure.net", 1 << 3 | 1 << 4 | 1 << 7},
		{"however deep", "a.b.c.sphere.azure.net", 1 << 3 | 1 << 4 | 1 << 7},
		{"below an exact name only wildcards count", "x.time.sphere.azure.net",
			1 << 3 | 1 << 4 | 1 << 7},
		{"a wildcard is not the name itself", "sphere.azure.net", 1 << 4 | 1 << 6 | 1 << 7},
		{"nor one that ends alike", "xsphere.azure.net", 1 << 4 | 1 << 7},
		{"the shortest wildcard", "net.net", 1 << 7},
		{"and not its own name", "net", 0},
		{"another tree", "time.sphere.azure.com", 0},
		{"a name within others' labels", "time.sphere.azure.net.evil.example", 0},
		{"one label", "localhost", UINT64_C(1) << 63},
	};
	struct name_set *s;

	cr_assert_eq(name_set_create(patterns, N(patterns), &s), 0);
	cr_assert_eq(name_set_n(s), 6, "one id for the same pattern in two rules");
	for (size_t i = 0; i < N(rows); i++)
		cr_assert_eq(rules_of(s, rows[i].name), rows[i].rules, "%s", rows[i].claim);
	cr_assert_eq(name_set_rules(s, NAME_NONE), 0);
	cr_assert_eq(name_set_rules(s, 6), 0, "no such id");
	name_set_destroy(s);
	name_set_destroy(NULL);
}

Test(classify_name_set, is_empty_without_patterns)
{
	struct name_set *s;

	cr_assert_eq(name_set_create(NULL, 0, &s), 0);
	cr_assert_eq(rules_of(s, "www.example.com"), 0);
	name_set_destroy(s);
}

Test(classify_name_set, refuses_what_is_no_pattern)
{
	static const char *const bad[] = {"", "*", "*.", "**.example.com", "www.*.com",
		"*example.com", "example.com.*", "*.*.com", "a..b", "192.0.2.1",
		"http://example.com"};
	struct name_pattern p = {"www.example.com", 64};
	struct name_set *s = NULL;

	cr_assert_eq(name_set_create(&p, 1, &s), -EINVAL, "no such bit");
	cr_assert(name_pattern_is_valid("*.example.com"));
	for (size_t i = 0; i < N(bad); i++) {
		p = (struct name_pattern){bad[i], 0};
		cr_assert_eq(name_set_create(&p, 1, &s), -EINVAL, "%s", bad[i]);
		cr_assert_not(name_pattern_is_valid(bad[i]), "%s", bad[i]);
	}
	cr_assert_eq(name_set_create(&p, NAME_PATTERNS_MAX + 1, &s), -EINVAL);
	cr_assert_null(s);
}

Test(classify_name_set, finds_each_of_as_many_as_there_may_be)
{
	static char texts[NAME_PATTERNS_MAX][32];
	static struct name_pattern patterns[NAME_PATTERNS_MAX];
	struct name_set *s;

	for (uint32_t i = 0; i < NAME_PATTERNS_MAX; i++) {
		(void)snprintf(
			texts[i], sizeof(texts[i]), "%sh%u.example.net", i % 2 ? "*." : "", i);
		patterns[i] = (struct name_pattern){texts[i], (uint8_t)(i % 64)};
	}
	cr_assert_eq(name_set_create(patterns, NAME_PATTERNS_MAX, &s), 0);
	cr_assert_eq(name_set_n(s), NAME_PATTERNS_MAX);
	for (uint32_t i = 0; i < NAME_PATTERNS_MAX; i++) {
		struct dns_name name;

		if (i % 2)
			texts[i][0] = 'a';
		name = name_of(texts[i]);
		cr_assert_eq(name_set_find(s, &name), i);
	}
	name_set_destroy(s);
}

Test(classify_name_set, carries_ids_over_to_another_set)
{
	static const struct name_pattern old[] = {{"a.example.net", 2}, {"*.example.net", 2},
		{"*.deep.example.net", 2}, {"gone.example.com", 2}, {"b.example.net", 2}};
	static const struct name_pattern new[] = {{"*.example.net", 3}, {"b.example.net", 4}};
	struct name_set *from;
	struct name_set *to;
	uint16_t ids[5];

	cr_assert_eq(name_set_create(old, N(old), &from), 0);
	cr_assert_eq(name_set_create(new, N(new), &to), 0);
	for (uint16_t i = 0; i < N(ids); i++)
		ids[i] = name_set_carry(from, to, i);
	cr_assert_eq(ids[0], 0, "an exact name is covered by the wildcard now");
	cr_assert_eq(ids[1], 0, "the same wildcard");
	cr_assert_eq(ids[2], 0, "a wildcard below it");
	cr_assert_eq(ids[3], NAME_NONE, "one that is not there any more");
	cr_assert_eq(ids[4], 1, "the same name");
	cr_assert_eq(name_set_carry(from, to, NAME_NONE), NAME_NONE);
	cr_assert_eq(name_set_carry(to, from, 0), 1,
		"a wildcard never becomes one of the names below it");
	name_set_destroy(from);
	name_set_destroy(to);
}

Test(classify_name_set, carries_a_rule_only_where_all_its_names_are_covered)
{
	static const struct name_pattern old[] = {{"a.example.net", 2}, {"b.example.net", 2},
		{"a.example.net", 5}, {"gone.example.com", 7}};
	static const struct name_pattern new[] = {{"*.example.net", 0}, {"a.example.net", 63}};
	struct name_set *from;
	struct name_set *to;

	cr_assert_eq(name_set_create(old, N(old), &from), 0);
	cr_assert_eq(name_set_create(new, N(new), &to), 0);
	cr_assert_eq(name_set_carry_rule(from, to, 2), 1, "one name is of both, the other is not");
	cr_assert_eq(name_set_carry_rule(from, to, 5), 1 | UINT64_C(1) << 63);
	cr_assert_eq(name_set_carry_rule(from, to, 7), 0, "a name that is not there any more");
	cr_assert_eq(name_set_carry_rule(from, to, 3), 0, "a rule without names");
	cr_assert_eq(name_set_carry_rule(from, NULL, 5), 0);
	cr_assert_eq(name_set_carry_rule(from, from, 5), 1 << 2 | 1 << 5,
		"whose only name is of another rule, too");
	name_set_destroy(from);
	name_set_destroy(to);
}
