/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/budget/forecast.h>

#include <criterion/criterion.h>

#define MB 1000000ull

/* The same each day. */
static struct forecast_input steady(uint32_t n_days, uint64_t octets)
{
	struct forecast_input in = {.n_days = n_days};

	for (uint32_t i = 0; i < n_days; i++)
		in.days[i] = octets;
	return in;
}

Test(budget_forecast, a_steady_use_goes_on)
{
	static const struct {
		const char *claim;
		uint32_t n_days;
		uint32_t today_ppm;
		uint32_t to_come;
		uint64_t used;
		uint64_t expected;
	} rows[] = {
		{"days to come, all of today passed", 7, 1000000, 10, 70 * MB, 170 * MB},
		{"half of today is to come too", 7, 500000, 10, 75 * MB, 180 * MB},
		{"the last day", 30, 750000, 0, 300 * MB, 302500000},
		{"one day known", 1, 0, 29, 10 * MB, 310 * MB},
		{"eight weeks known", 56, 0, 27, 30 * MB, 310 * MB},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct forecast_input in = steady(rows[i].n_days, 10 * MB);
		struct forecast f;

		in.today_ppm = rows[i].today_ppm;
		in.n_days_to_come = rows[i].to_come;
		in.used_octets = rows[i].used;
		f = forecast_at(&in);
		cr_expect(f.is_known);
		cr_expect_eq(f.expected_octets, rows[i].expected, "%s: %llu", rows[i].claim,
			(unsigned long long)f.expected_octets);
		cr_expect(f.low_octets <= f.expected_octets && f.high_octets >= f.expected_octets);
		cr_expect(rows[i].n_days == 1 || f.high_octets == f.low_octets,
			"%s: what never varied is certain", rows[i].claim);
		cr_expect_geq(f.low_octets, in.used_octets, "%s", rows[i].claim);
	}
}

Test(budget_forecast, knows_nothing_before_the_first_day_has_passed)
{
	struct forecast_input in = {
		.used_octets = 5 * MB, .n_days_to_come = 20, .quota_octets = MB};
	struct forecast f = forecast_at(&in);

	cr_expect(!f.is_known);
	cr_expect_eq(f.expected_octets, 5 * MB);
	cr_expect_eq(f.spent_in_days, FORECAST_NEVER);
}

Test(budget_forecast, tells_working_days_from_weekends)
{
	struct forecast_input in = {.n_days = 28, .today_ppm = 0};
	struct forecast f;

	for (uint32_t i = 0; i < in.n_days; i++) /* day 0 is a Monday; so is today */
		in.days[i] = i % 7 < 5 ? 100 * MB : 10 * MB;
	in.n_days_to_come = 4; /* today to Friday */
	f = forecast_at(&in);
	cr_expect_eq(f.expected_octets, 500 * MB);
	in.n_days_to_come = 6;
	f = forecast_at(&in);
	cr_expect_eq(f.expected_octets, 520 * MB);
	cr_expect_eq(f.high_octets - f.expected_octets, f.expected_octets - f.low_octets);
}

Test(budget_forecast, says_when_the_quota_will_be_spent)
{
	struct forecast_input in = steady(28, 10 * MB);
	struct forecast f;

	in.n_days_to_come = 20;
	in.used_octets = 55 * MB;
	in.today_ppm = 500000; /* 60 MB by tonight */
	in.quota_octets = 60 * MB;
	cr_expect_eq(forecast_at(&in).spent_in_days, 0);
	in.quota_octets = 60 * MB + 1;
	cr_expect_eq(forecast_at(&in).spent_in_days, 1);
	in.quota_octets = 200 * MB;
	cr_expect_eq(forecast_at(&in).spent_in_days, 14);
	in.quota_octets = 260 * MB;
	cr_expect_eq(forecast_at(&in).spent_in_days, 20);
	in.quota_octets = 260 * MB + 1;
	cr_expect_eq(forecast_at(&in).spent_in_days, FORECAST_NEVER);
	for (uint32_t i = 0; i < in.n_days; i++)
		in.days[i] =
			(i * 7919 % 21) * MB; /* 10 MB on average, and anything between 0 and 20 */
	in.quota_octets = 200 * MB;
	f = forecast_at(&in);
	cr_expect_leq(f.spent_in_days_early, f.spent_in_days);
	cr_expect_lt(f.spent_in_days_early, 14);
}

Test(budget_forecast, holds_the_sum_in_about_four_of_five_cycles)
{
	struct rng r;
	uint32_t n_inside = 0;

	rng_init(&r, 7);
	for (uint32_t run = 0; run < 1000; run++) {
		struct forecast_input in = {
			.n_days = 28, .n_days_to_come = 14, .today_ppm = 1000000};
		uint64_t sum = 0;
		struct forecast f;

		for (uint32_t i = 0; i < in.n_days; i++)
			in.days[i] = (i % 7 < 5 ? 20 : 5) * MB + rng_below(&r, 20 * MB);
		for (uint32_t i = in.n_days + 1; i <= in.n_days + in.n_days_to_come; i++)
			sum += (i % 7 < 5 ? 20 : 5) * MB + rng_below(&r, 20 * MB);
		f = forecast_at(&in);
		n_inside += sum >= f.low_octets && sum <= f.high_octets;
	}
	cr_expect(n_inside >= 720 && n_inside <= 920, "%u of 1000", n_inside);
}

Test(budget_forecast, numbers_beyond_reason_overflow_nothing)
{
	struct forecast_input in = steady(FORECAST_DAYS_MAX, UINT64_MAX);
	struct forecast f;

	in.n_days = UINT32_MAX;
	in.n_days_to_come = UINT32_MAX;
	in.today_ppm = UINT32_MAX;
	in.quota_octets = 1000;
	for (uint32_t i = 0; i < FORECAST_DAYS_MAX; i += 2)
		in.days[i] = 0;
	f = forecast_at(&in);
	cr_expect(f.low_octets <= f.expected_octets && f.expected_octets <= f.high_octets);
	cr_expect_leq(f.high_octets, UINT64_MAX / 2);
}
