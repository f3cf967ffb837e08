/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/pool.h>

#include <criterion/criterion.h>
#include <stdbool.h>

Test(base_pool, hands_out_every_id_once_then_reports_full)
{
	bool seen[100] = {false};
	struct pool p;

	cr_assert_eq(pool_init(&p, 100), 0);
	for (int i = 0; i < 100; i++) {
		uint32_t id = pool_take(&p);

		cr_assert_lt(id, 100);
		cr_assert_not(seen[id]);
		seen[id] = true;
	}
	cr_expect_eq(pool_take(&p), POOL_NONE);
	cr_expect_eq(p.n_free, 0);
	pool_clean(&p);
}

Test(base_pool, starts_with_the_low_ids_so_that_those_in_use_lie_together)
{
	struct pool p;

	cr_assert_eq(pool_init(&p, 10), 0);
	cr_expect_eq(pool_take(&p), 0);
	cr_expect_eq(pool_take(&p), 1);
	pool_clean(&p);
}

Test(base_pool, takes_first_what_was_given_last)
{
	struct pool p;

	cr_assert_eq(pool_init(&p, 3), 0);
	for (int i = 0; i < 3; i++)
		pool_take(&p);
	pool_give(&p, 2);
	pool_give(&p, 0);
	cr_expect_eq(pool_take(&p), 0);
	cr_expect_eq(pool_take(&p), 2);
	cr_expect_eq(pool_take(&p), POOL_NONE);
	pool_clean(&p);
}
