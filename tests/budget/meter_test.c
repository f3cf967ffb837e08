/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/meter.h>

#include <criterion/criterion.h>

Test(budget_meter, counts_both_directions_with_the_overhead_of_each_packet)
{
	struct meter m;

	meter_init(&m, &(struct meter_params){.quota_octets = 1000, .overhead_octets_packet = 20});
	meter_count(&m, UPLINK, 100);
	meter_count(&m, UPLINK, 0);
	meter_count(&m, DOWNLINK, 300);
	cr_assert_eq(m.octets[UPLINK], 100);
	cr_assert_eq(m.octets[DOWNLINK], 300);
	cr_assert_eq(m.packets[UPLINK], 2);
	cr_assert_eq(m.packets[DOWNLINK], 1);
	cr_assert_eq(m.billed_octets[UPLINK], 140);
	cr_assert_eq(m.billed_octets[DOWNLINK], 320);
	cr_assert_eq(meter_used(&m), 460);
}

Test(budget_meter, admits_up_to_the_quota_and_not_an_octet_more)
{
	static const struct {
		const char *claim;
		struct meter_params params;
		uint32_t spent;
		uint32_t octets;
		bool admits;
	} rows[] = {
		{"the last octet", {1000, 0, true}, 900, 100, true},
		{"one above", {1000, 0, true}, 900, 101, false},
		{"the overhead counts", {1000, 40, true}, 900, 60, false},
		{"and fits exactly: 900 + 40 + 20 + 40", {1000, 40, true}, 900, 20, true},
		{"nothing is left", {1000, 0, true}, 1000, 1, false},
		{"overspent by downlink packets", {1000, 0, true}, 5000, 1, false},
		{"a plan that does not block", {1000, 0, false}, 5000, 1500, true},
		{"no quota", {0, 40, true}, 5000, 1500, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct meter m;

		meter_init(&m, &rows[i].params);
		meter_count(&m, DOWNLINK, rows[i].spent);
		cr_assert_eq(meter_admits(&m, rows[i].octets), rows[i].admits, "%s", rows[i].claim);
	}
}

Test(budget_meter, new_parameters_leave_what_was_counted)
{
	struct meter m;

	meter_init(&m, &(struct meter_params){.quota_octets = 1000, .block_when_spent = true});
	meter_count(&m, UPLINK, 1000);
	cr_assert_not(meter_admits(&m, 1));
	meter_set_params(
		&m, &(struct meter_params){.quota_octets = 2000, .block_when_spent = true});
	cr_assert_eq(meter_used(&m), 1000);
	cr_assert(meter_admits(&m, 1000));
	cr_assert_not(meter_admits(&m, 1001));
}
