/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_histogram.h"

#include <criterion/criterion.h>

Test(bench_cellink_histogram, empty_one_answers_zero)
{
	static struct histogram h; /* larger than a frame should be */

	histogram_init(&h);
	cr_expect_eq(histogram_percentile(&h, 500000), 0);
	cr_expect_eq(histogram_mean(&h), 0);
}

Test(bench_cellink_histogram, percentiles_are_at_most_a_64th_too_high)
{
	static const uint32_t ppms[] = {1, 10000, 500000, 950000, 990000, 1000000};
	static struct histogram h; /* larger than a frame should be */
	const uint64_t n = 100000, unit = 977;

	histogram_init(&h);
	for (uint64_t i = 1; i <= n; i++)
		histogram_add(&h, i * unit);
	for (size_t i = 0; i < sizeof(ppms) / sizeof(ppms[0]); i++) {
		uint64_t exact = (n * ppms[i] + 999999) / 1000000 * unit;
		uint64_t got = histogram_percentile(&h, ppms[i]);

		cr_expect_geq(got, exact, "%u ppm", ppms[i]);
		cr_expect_leq(got, exact + exact / 64 + 1, "%u ppm", ppms[i]);
	}
	cr_expect_eq(h.min_ns, unit);
	cr_expect_eq(h.max_ns, n * unit);
	cr_expect_eq(histogram_mean(&h), (n + 1) * unit / 2);
}

Test(bench_cellink_histogram, takes_every_value)
{
	static struct histogram h; /* larger than a frame should be */

	histogram_init(&h);
	histogram_add(&h, 0);
	cr_expect_eq(histogram_percentile(&h, 1000000), 0);
	for (int bit = 0; bit < 64; bit++) {
		histogram_add(&h, 1ull << bit);
		histogram_add(&h, (1ull << bit) - 1);
	}
	cr_expect_eq(h.n, 129);
	cr_expect_eq(h.max_ns, 1ull << 63);
}
