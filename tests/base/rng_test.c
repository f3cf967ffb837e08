/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>

#include <criterion/criterion.h>

Test(base_rng, follows_the_published_algorithm)
{
	/* xoshiro256** from the state { 1, 2, 3, 4 }, the vector that other implementations test with. */
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
	struct rng r = {{1, 2, 3, 4}};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		cr_expect_eq(rng_next(&r), expected[i]);
}

Test(base_rng, seeds_through_splitmix64)
{
	struct rng r;

	/* The first output of SplitMix64 for seed 0. */
	rng_init(&r, 0);
	cr_expect_eq(r.state[0], 0xe220a8397b1dcdafull);
}

Test(base_rng, gives_the_same_sequence_for_the_same_seed_alone)
{
	struct rng a;
	struct rng b;
	struct rng c;

	rng_init(&a, 42);
	rng_init(&b, 42);
	rng_init(&c, 43);
	for (int i = 0; i < 100; i++) {
		uint64_t value = rng_next(&a);

		cr_assert_eq(value, rng_next(&b));
		cr_assert_neq(value, rng_next(&c));
	}
}

Test(base_rng, stays_below_its_bound_and_reaches_every_number_about_equally)
{
	uint32_t seen[7] = {0};
	struct rng r;

	rng_init(&r, 7);
	for (int i = 0; i < 70000; i++) {
		uint32_t n = rng_below(&r, 7);

		cr_assert_lt(n, 7);
		seen[n]++;
	}
	for (int i = 0; i < 7; i++) {
		/* 10 000 each; five standard deviations are about 460. */
		cr_expect_gt(seen[i], 9500);
		cr_expect_lt(seen[i], 10500);
	}
	cr_expect_eq(rng_below(&r, 1), 0);
}

Test(base_rng, takes_different_seeds_from_the_kernel)
{
	cr_expect_neq(rng_entropy(), rng_entropy());
}
