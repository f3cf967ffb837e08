/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/nat/filter.h>

#include <criterion/criterion.h>
#include <stdlib.h>

enum {
	ADDRESSES = 40,
	MAPPINGS = 5
};

static const struct flow_hash_key key = {
	{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}};

static struct nat_filter filter_of(uint32_t n_max, const struct flow_hash_key *k)
{
	struct nat_filter f;

	nat_filter_init(&f, n_max, k, calloc(1, nat_filter_bytes(n_max)));
	cr_assert_not_null(f.places);
	return f;
}

Test(nat_filter, holds_as_many_pairs_as_it_was_made_for_and_says_when_it_is_full)
{
	struct nat_filter f = filter_of(1000, &key);

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert(nat_filter_add(&f, i % 7, i));
	cr_expect_not(nat_filter_add(&f, 3, 5000));
	cr_expect_not(nat_filter_has(&f, 3, 5000), "nothing was done");
	cr_expect(nat_filter_add(&f, 0, 0), "one more flow of a pair needs no place");
	nat_filter_remove(&f, 0, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		cr_assert(nat_filter_has(&f, i % 7, i));
		cr_assert_not(nat_filter_has(&f, 7, i), "another mapping's");
		nat_filter_remove(&f, i % 7, i);
		cr_assert_not(nat_filter_has(&f, i % 7, i));
	}
	cr_expect_eq(f.n, 0);
	free(f.places);
}

Test(nat_filter, takes_no_more_than_16_octets_a_pair)
{
	cr_expect_leq(nat_filter_bytes(1000000), (size_t)16 * 1000000 + 16);
	cr_expect_leq(nat_filter_bytes(1), (size_t)32);
}

/* Any order of flows, in a table that is nearly full, against plain counts; and where a key makes all meet in one place. */
Test(nat_filter, agrees_with_plain_counts_over_random_flows)
{
	static const struct flow_hash_key one_place = {{0, 0, 0}};
	const struct flow_hash_key *keys[] = {&key, &one_place};

	for (uint32_t k = 0; k < 2; k++) {
		static uint32_t counts[MAPPINGS][ADDRESSES];
		struct nat_filter f = filter_of(MAPPINGS * ADDRESSES, keys[k]);
		struct rng rng;
		uint32_t n = 0;

		rng_init(&rng, 1);
		for (uint32_t i = 0; i < 100000; i++) {
			uint32_t m = rng_below(&rng, MAPPINGS);
			uint32_t a = rng_below(&rng, ADDRESSES);
			bool filling = i / 5000 % 2 == 0;

			if (filling ? rng_below(&rng, 8) != 0 : rng_below(&rng, 8) == 0) {
				cr_assert(nat_filter_add(&f, m, a));
				n += counts[m][a]++ == 0;
			} else if (counts[m][a] > 0) {
				nat_filter_remove(&f, m, a);
				n -= --counts[m][a] == 0;
			}
			m = rng_below(&rng, MAPPINGS);
			a = rng_below(&rng, ADDRESSES);
			cr_assert_eq(nat_filter_has(&f, m, a), counts[m][a] > 0);
			cr_assert_eq(f.n, n);
		}
		for (uint32_t m = 0; m < MAPPINGS; m++)
			for (uint32_t a = 0; a < ADDRESSES; a++)
				for (; counts[m][a] > 0; counts[m][a]--)
					nat_filter_remove(&f, m, a);
		cr_expect_eq(f.n, 0);
		free(f.places);
	}
}
