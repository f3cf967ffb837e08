/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_capacity.h"
#include "cellink_radio.h"

#include <criterion/criterion.h>

#define MS(n) ((n)*NS_PER_MS)

Test(bench_cellink_radio, directions_share_the_state)
{
	struct radio_timers timers = {.idle_ns = 10 * NS_PER_S, .promotion_ns = MS(260)};
	struct radio r;

	radio_init(&r, &timers, 1);
	cr_expect_eq(radio_ready(&r, UPLINK, 0), MS(260));
	cr_expect_eq(radio_ready(&r, DOWNLINK, MS(50)), MS(260), "one promotion for both");
	cr_expect_eq(radio_ready(&r, DOWNLINK, MS(9000)), MS(9000));
	cr_expect_eq(radio_ready(&r, UPLINK, MS(18000)), MS(18000), "the downlink kept it up");
	cr_expect_eq(radio_ready(&r, UPLINK, MS(28000)), MS(28260));
}

Test(bench_cellink_radio, transmission_counts_as_traffic)
{
	struct radio_timers timers = {.idle_ns = 10 * NS_PER_S, .promotion_ns = MS(260)};
	struct radio r;

	radio_init(&r, &timers, 1);
	cr_expect_eq(radio_ready(&r, UPLINK, 0), MS(260));
	radio_touch(&r, MS(8000));
	cr_expect_eq(radio_ready(&r, UPLINK, MS(17999)), MS(17999));
}

Test(bench_cellink_radio, radio_without_timers_is_always_ready)
{
	struct radio_timers timers = {0};
	struct radio r;

	radio_init(&r, &timers, 1);
	cr_expect_eq(radio_ready(&r, UPLINK, 0), 0);
	cr_expect_eq(radio_ready(&r, DOWNLINK, 3600 * NS_PER_S), 3600 * NS_PER_S);
	cr_expect_eq(r.n_promotions, 0);
}

Test(bench_cellink_radio, paging_holds_up_the_downlink_alone)
{
	struct radio_timers timers = {
		.idle_ns = 10 * NS_PER_S, .promotion_ns = MS(100), .paging_ns = MS(1280)};
	struct radio r;
	uint64_t sum = 0, n = 1000;

	radio_init(&r, &timers, 1);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t now = i * 20 * NS_PER_S;
		uint64_t wait = radio_ready(&r, DOWNLINK, now) - now;

		cr_assert_geq(wait, MS(100));
		cr_assert_lt(wait, MS(1380));
		sum += wait;
	}
	cr_expect_gt(sum / n, MS(680), "half a cycle on average");
	cr_expect_lt(sum / n, MS(800));
	cr_expect_eq(radio_ready(&r, UPLINK, n * 20 * NS_PER_S), n * 20 * NS_PER_S + MS(100));
}

Test(bench_cellink_radio, uplink_packet_does_not_wait_for_the_page)
{
	struct radio_timers timers = {
		.idle_ns = 10 * NS_PER_S, .promotion_ns = MS(100), .paging_ns = MS(100000)};
	struct radio r;

	radio_init(&r, &timers, 1);
	cr_assert_gt(radio_ready(&r, DOWNLINK, 0), MS(300), "the seed makes it a long wait");
	cr_expect_eq(radio_ready(&r, UPLINK, MS(50)), MS(150));
}

Test(bench_cellink_radio, sleep_delays_the_downlink_up_to_a_cycle)
{
	struct radio_timers timers = {.drx_idle_ns = MS(100), .drx_cycle_ns = MS(40)};
	struct radio r;
	uint64_t max = 0;

	radio_init(&r, &timers, 1);
	for (uint64_t i = 1; i < 1000; i++) {
		uint64_t now = i * MS(200);
		uint64_t wait = radio_ready(&r, DOWNLINK, now) - now;

		cr_assert_lt(wait, MS(40));
		max = wait > max ? wait : max;
		cr_assert_eq(radio_ready(&r, DOWNLINK, now + MS(50)), now + MS(50), "awake");
	}
	cr_expect_gt(max, MS(38));
	cr_expect_eq(radio_ready(&r, UPLINK, MS(900000)), MS(900000));
}
