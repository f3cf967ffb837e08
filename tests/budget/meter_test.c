/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/meter.h>

#include <criterion/criterion.h>

static struct meter meter_with(uint16_t overhead_octets)
{
	struct meter m;

	meter_init(
		&m, &(struct meter_params){.overhead_octets = {overhead_octets, overhead_octets}});
	return m;
}

Test(budget_meter, counts_both_directions_with_the_overhead_of_each_packet)
{
	struct meter m = meter_with(20);

	meter_add(&m, UPLINK, 100, 2);
	meter_add(&m, DOWNLINK, 300, 1);
	cr_assert_eq(m.octets[UPLINK], 100);
	cr_assert_eq(m.octets[DOWNLINK], 300);
	cr_assert_eq(m.packets[UPLINK], 2);
	cr_assert_eq(m.packets[DOWNLINK], 1);
	cr_assert_eq(m.billed_octets[UPLINK], 140);
	cr_assert_eq(m.billed_octets[DOWNLINK], 320);
	cr_assert_eq(meter_used(&m), 460);
}

Test(budget_meter, takes_back_what_was_not_sent)
{
	struct meter m = meter_with(20);

	meter_add(&m, UPLINK, 100, 1);
	meter_add_reserved(&m, 1, UPLINK, 100, 1);
	meter_add(&m, UPLINK, -UINT64_C(100), UINT64_MAX);
	meter_add_reserved(&m, 1, UPLINK, -UINT64_C(100), UINT64_MAX);
	cr_assert_eq(meter_used(&m), 0);
	cr_assert_eq(m.packets[UPLINK], 0);
	cr_assert_eq(meter_account_used(&m, 1), 0);
	cr_assert_eq(meter_account_used(&m, ACCOUNT_GENERAL), 0);
}

Test(budget_meter, has_no_limits_until_they_are_set)
{
	struct meter m = meter_with(0);

	meter_add(&m, DOWNLINK, UINT64_C(1) << 50, 1);
	cr_assert_gt(meter_lease_left(&m), INT64_C(1) << 60);
	for (uint8_t a = 0; a < METER_ACCOUNTS; a++)
		cr_assert_gt(meter_left(&m, a), INT64_C(1) << 60);
}

Test(budget_meter, what_a_reserve_has_paid_is_not_on_the_general_account)
{
	struct meter m = meter_with(10);
	struct meter_limits limits = m.limits;

	limits.leased = 1000;
	limits.accounts[ACCOUNT_GENERAL] = 600;
	limits.accounts[2] = 300;
	meter_set_limits(&m, &limits);
	meter_add(&m, DOWNLINK, 490, 1);
	cr_assert_eq(meter_left(&m, ACCOUNT_GENERAL), 100);
	meter_add_reserved(&m, 2, UPLINK, 190, 1);
	cr_assert_eq(meter_left(&m, ACCOUNT_GENERAL), 300);
	cr_assert_eq(meter_left(&m, 2), 100);
	cr_assert_eq(meter_lease_left(&m), 500, "the lease is for everything");
}

Test(budget_meter, tells_how_far_beyond_a_limit_it_is)
{
	struct meter m = meter_with(0);
	struct meter_limits limits = m.limits;

	limits.accounts[ACCOUNT_GENERAL] = 1000;
	meter_set_limits(&m, &limits);
	meter_add(&m, DOWNLINK, 5000, 1);
	cr_assert_eq(meter_left(&m, ACCOUNT_GENERAL), -4000);
}

Test(budget_meter, new_parameters_leave_what_was_counted)
{
	struct meter m = meter_with(0);

	meter_add(&m, UPLINK, 1000, 1);
	meter_set_params(&m, &(struct meter_params){.overhead_octets = {50, 50}});
	cr_assert_eq(meter_used(&m), 1000);
	meter_add(&m, UPLINK, 1000, 1);
	cr_assert_eq(meter_used(&m), 2050);
}

Test(budget_meter, what_is_free_is_on_nobodys_account_and_directions_add_their_own)
{
	struct meter m;

	meter_init(&m, &(struct meter_params){
			       .overhead_octets = {50, 14}, .free_classes = UINT32_C(1) << 31 | 4});
	cr_expect(meter_is_free(&m, 2) && meter_is_free(&m, 31) && !meter_is_free(&m, 3));
	meter_add(&m, UPLINK, 100, 1);
	meter_add(&m, DOWNLINK, 1000, 2);
	cr_expect_eq(meter_used(&m), 150 + 1028);
	meter_add_free(&m, DOWNLINK, 1000, 2);
	cr_expect_eq(meter_account_used(&m, ACCOUNT_GENERAL), 150);
	cr_expect_eq(m.free_octets[DOWNLINK], 1000);
	meter_add_free(&m, DOWNLINK, -UINT64_C(500), UINT64_MAX);
	cr_expect_eq(meter_account_used(&m, ACCOUNT_GENERAL), 150 + 514);
}
