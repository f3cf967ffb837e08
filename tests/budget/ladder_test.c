/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/ladder.h>

#include <criterion/criterion.h>

#define QUOTA 1000000
#define NEVER UINT64_MAX

static const struct ladder usual = {
	.n_steps = 5,
	.steps = {{800000, LADDER_NOTIFY, 0}, {900000, LADDER_SHAPE, 256000},
		{950000, LADDER_NOTIFY, 0}, {990000, LADDER_RESERVE_ONLY, 0},
		{1000000, LADDER_BLOCK, 0}},
};

static struct ladder_day day(uint32_t n)
{
	return (struct ladder_day){n, 30};
}

Test(budget_ladder, climbs_with_what_is_used)
{
	static const struct {
		const char *claim;
		uint64_t used;
		uint32_t n_reached;
		enum ladder_action action;
		uint64_t rate_bps;
		uint64_t next;
	} rows[] = {
		{"nothing is used", 0, 0, LADDER_NOTHING, 0, 800000},
		{"an octet below the first step", 799999, 0, LADDER_NOTHING, 0, 800000},
		{"at it", 800000, 1, LADDER_NOTIFY, 0, 900000},
		{"shaped", 900000, 2, LADDER_SHAPE, 256000, 950000},
		{"a notice does not end the shaping", 950000, 3, LADDER_SHAPE, 256000, 990000},
		{"the reserve is not shaped", 990000, 4, LADDER_RESERVE_ONLY, 0, 1000000},
		{"spent", 1000000, 5, LADDER_BLOCK, 0, NEVER},
		{"overspent", 7000000, 5, LADDER_BLOCK, 0, NEVER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ladder_now now = ladder_at(&usual, rows[i].used, QUOTA, 0, day(0));

		cr_expect_eq(now.n_reached, rows[i].n_reached, "%s", rows[i].claim);
		cr_expect_eq(now.action, rows[i].action, "%s", rows[i].claim);
		cr_expect_eq(now.rate_bps, rows[i].rate_bps, "%s", rows[i].claim);
		cr_expect_eq(now.next_octets, rows[i].next, "%s", rows[i].claim);
	}
}

Test(budget_ladder, spending_up_to_the_next_threshold_again_and_again_passes_none_unseen)
{
	for (uint64_t quota = 1; quota < 5000000000000; quota = quota * 7 + 3) {
		uint64_t used = 0;
		uint32_t n_seen = 0;

		for (;;) {
			struct ladder_now now = ladder_at(&usual, used, quota, 0, day(0));

			cr_assert_geq(now.n_reached, n_seen);
			n_seen = now.n_reached;
			if (now.next_octets == NEVER)
				break;
			cr_assert_gt(now.next_octets, used);
			cr_assert_leq(now.next_octets, quota);
			cr_assert_eq(
				ladder_at(&usual, now.next_octets - 1, quota, 0, day(0)).n_reached,
				n_seen, "nothing changes before");
			used = now.next_octets;
			cr_assert_gt(ladder_at(&usual, used, quota, 0, day(0)).n_reached, n_seen);
		}
		cr_assert_eq(n_seen, usual.n_steps);
		cr_assert_eq(used, quota);
	}
}

Test(budget_ladder, takes_steps_back_when_there_is_more_or_a_new_cycle)
{
	struct quota q = {.cycle_octets = QUOTA};

	cr_expect_eq(ladder_at(&usual, QUOTA, quota_octets(&q), 0, day(29)).action, LADDER_BLOCK);
	q.top_up_octets = 200000;
	cr_expect_eq(ladder_at(&usual, QUOTA, quota_octets(&q), 0, day(29)).action, LADDER_NOTIFY);
	cr_expect_eq(ladder_at(&usual, QUOTA, quota_octets(&q), 0, day(29)).next_octets, 1080000);
	q = quota_next(&q, QUOTA);
	cr_expect_eq(ladder_at(&usual, 0, quota_octets(&q), 0, day(0)).action, LADDER_NOTHING);
}

Test(budget_ladder, without_a_quota_no_step_holds)
{
	struct ladder_now now = ladder_at(&usual, UINT64_MAX, 0, 0, day(0));

	cr_expect_eq(now.action, LADDER_NOTHING);
	cr_expect_eq(now.next_octets, NEVER);
}

Test(budget_ladder, what_is_left_goes_over_once_and_as_much_as_the_plan_allows)
{
	static const struct {
		const char *claim;
		struct quota q;
		uint64_t used;
		uint64_t carried;
		uint64_t top_up;
	} rows[] = {
		{"nothing is carried by itself", {1000, 0, 0, 0, false}, 300, 0, 0},
		{"what is left of its own", {1000, 0, 0, 1000, false}, 300, 700, 0},
		{"up to a bound", {1000, 0, 0, 500, false}, 300, 500, 0},
		{"carried octets end", {1000, 0, 400, 1000, false}, 900, 100, 0},
		{"its own are used before carried ones", {1000, 0, 400, 1000, false}, 1200, 0, 0},
		{"a top-up ends with the cycle", {1000, 600, 0, 0, false}, 0, 0, 0},
		{"or lasts until it is used", {1000, 600, 0, 0, true}, 500, 0, 600},
		{"being used last", {1000, 600, 400, 1000, true}, 1500, 0, 500},
		{"overspent", {1000, 600, 400, 1000, true}, 9000, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quota next = quota_next(&rows[i].q, rows[i].used);

		cr_expect_eq(next.carried_octets, rows[i].carried, "%s", rows[i].claim);
		cr_expect_eq(next.top_up_octets, rows[i].top_up, "%s", rows[i].claim);
		cr_expect_eq(next.cycle_octets, 1000, "%s", rows[i].claim);
	}
}

Test(budget_ladder, a_pace_gives_each_day_its_share_and_lends_some_days)
{
	static const struct {
		const char *claim;
		uint32_t borrow;
		uint32_t day;
		uint64_t allowance;
	} rows[] = {
		{"the first day", 0, 0, 100},
		{"and two in advance", 2, 0, 300},
		{"unused days add up", 0, 9, 1000},
		{"the end", 2, 28, 3000},
		{"never more than the quota", 100, 0, 3000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ladder_pace pace = {LADDER_SHAPE, 64000, rows[i].borrow};

		cr_expect_eq(ladder_allowance(&pace, 3000, day(rows[i].day)), rows[i].allowance,
			"%s", rows[i].claim);
	}
}

Test(budget_ladder, beyond_its_pace_a_plan_is_slowed_until_the_next_day)
{
	struct ladder l = usual;
	struct ladder_now now;

	l.pace = (struct ladder_pace){LADDER_SHAPE, 64000, 2};
	now = ladder_at(&l, 99999, QUOTA, 0, day(0));
	cr_expect(!now.is_paced && now.action == LADDER_NOTHING && now.next_octets == 100000);
	now = ladder_at(&l, 100000, QUOTA, 0, day(0));
	cr_expect(now.is_paced && now.action == LADDER_SHAPE && now.rate_bps == 64000);
	cr_expect_eq(now.next_octets, 800000);
	now = ladder_at(&l, 100000, QUOTA, 0, day(1));
	cr_expect(!now.is_paced && now.action == LADDER_NOTHING, "the next day");
	now = ladder_at(&l, 910000, QUOTA, 0, day(5));
	cr_expect(now.is_paced && now.rate_bps == 64000, "the slower of two rates");
	l.pace.rate_bps = 512000;
	now = ladder_at(&l, 910000, QUOTA, 0, day(5));
	cr_expect_eq(now.rate_bps, 256000, "the slower of two rates");
	now = ladder_at(&l, QUOTA, QUOTA, 0, day(5));
	cr_expect_eq(now.action, LADDER_BLOCK, "a pace does not soften a step");
}

Test(budget_ladder, what_reserves_have_not_used_is_left_to_them)
{
	struct ladder notify = {.n_steps = 1, .steps = {{1000000, LADDER_NOTIFY, 0}}};
	struct ladder_now now = ladder_at(&notify, 599999, QUOTA, 400000, day(0));

	cr_expect(now.action == LADDER_NOTHING && !now.is_reserved);
	cr_expect_eq(now.next_octets, 600000);
	now = ladder_at(&notify, 600000, QUOTA, 400000, day(0));
	cr_expect(now.action == LADDER_RESERVE_ONLY && now.is_reserved);
	cr_expect_eq(now.next_octets, QUOTA);
	now = ladder_at(&notify, 900000, QUOTA, 100000, day(0));
	cr_expect_eq(
		now.action, LADDER_RESERVE_ONLY, "the reserve used its own: others gain nothing");
	now = ladder_at(&notify, 0, QUOTA, 2 * QUOTA, day(0));
	cr_expect_eq(now.action, LADDER_RESERVE_ONLY, "more was promised than there is");
	now = ladder_at(&usual, QUOTA, QUOTA, 400000, day(0));
	cr_expect_eq(now.action, LADDER_BLOCK, "a block is the stronger");
}
