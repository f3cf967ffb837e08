/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/policy/prefix_set.h>

#include <criterion/criterion.h>
#include <errno.h>

#define N_PREFIXES 200

static struct prefix_mark mark(const char *text, uint64_t marks)
{
	struct prefix_mark m = {.marks = marks};

	cr_assert_eq(ip_prefix_parse(text, &m.prefix), 0);
	return m;
}

static uint64_t marks_of(const struct prefix_set *s, const char *text)
{
	struct ip_addr a;

	cr_assert_eq(ip_addr_parse(text, &a), 0);
	return prefix_set_find(s, &a);
}

Test(policy_prefix_set, an_address_bears_the_marks_of_all_it_is_in)
{
	const struct prefix_mark marks[] = {
		mark("192.168.50.0/24", 1),
		mark("192.168.50.77/24", 2), /* the same one */
		mark("192.168.50.20", 4),
		mark("192.168.0.0/16", 8),
		mark("2001:db8::/32", 16),
		mark("0.0.0.0/0", 32),
	};
	struct prefix_set *s;

	cr_assert_eq(prefix_set_create(marks, 6, &s), 0);
	cr_expect_eq(marks_of(s, "192.168.50.20"), 1 | 2 | 4 | 8 | 32);
	cr_expect_eq(marks_of(s, "192.168.50.21"), 1 | 2 | 8 | 32);
	cr_expect_eq(marks_of(s, "192.168.51.20"), 8 | 32);
	cr_expect_eq(marks_of(s, "10.0.0.1"), 32);
	cr_expect_eq(marks_of(s, "2001:db8:1::1"), 16, "0.0.0.0/0 is IPv4 alone");
	cr_expect_eq(marks_of(s, "2001:db9::1"), 0);
	prefix_set_destroy(s);
	prefix_set_destroy(NULL);
}

Test(policy_prefix_set, an_empty_set_and_a_prefix_that_is_none)
{
	struct prefix_mark bad = {.prefix = {ip_addr_quad(10, 0, 0, 0), 33}, .marks = 1};
	struct prefix_set *s = NULL;

	cr_assert_eq(prefix_set_create(&bad, 1, &s), -EINVAL);
	cr_assert_null(s);
	cr_assert_eq(prefix_set_create(NULL, 0, &s), 0);
	cr_expect_eq(marks_of(s, "10.0.0.1"), 0);
	prefix_set_destroy(s);
}

Test(policy_prefix_set, agrees_with_asking_each_prefix)
{
	struct prefix_mark marks[N_PREFIXES];
	struct prefix_set *s;
	struct rng rng;

	rng_init(&rng, 7);
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		marks[i] = (struct prefix_mark){
			/* Few addresses, so that many prefixes lie in each other. */
			.prefix = {ip_addr_v4((uint32_t)rng_next(&rng) & htonl(0x0f0f0f0f)),
				(uint8_t)rng_below(&rng, 33)},
			.marks = UINT64_C(1) << i % 64,
		};
	cr_assert_eq(prefix_set_create(marks, N_PREFIXES, &s), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct ip_addr a = ip_addr_v4((uint32_t)rng_next(&rng) & htonl(0x0f0f0f0f));
		uint64_t expected = 0;

		for (uint32_t k = 0; k < N_PREFIXES; k++)
			if (ip_prefix_contains(&marks[k].prefix, &a))
				expected |= marks[k].marks;
		cr_assert_eq(prefix_set_find(s, &a), expected);
	}
	prefix_set_destroy(s);
}
