/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/shape/fifo.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

static char packets[16]; /* only their addresses matter */

static struct fifo *fifo_of(uint64_t rate_bps, uint32_t burst, uint32_t limit, uint32_t n_places)
{
	struct fifo_params params = {
		.rate_bps = rate_bps, .burst_octets = burst, .limit_octets = limit};
	struct fifo *q;

	cr_assert_eq(fifo_create(&params, n_places, &q), 0);
	return q;
}

static void drain(struct fifo *q)
{
	while (fifo_take_any(q) != NULL)
		;
	fifo_destroy(q);
}

Test(shape_fifo, refuses_parameters_that_would_hold_packets_for_ever)
{
	static const struct {
		const char *claim;
		struct fifo_params params;
		uint32_t n_places;
	} rows[] = {
		{"no place", {1000, 1500, 1500}, 0},
		{"a rate without a burst", {1000, 0, 1500}, 1},
		{"a rate without a queue", {1000, 1500, 0}, 1},
		{"a rate that no sum could hold", {UINT64_MAX, 1500, 1500}, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fifo *q = NULL;

		cr_assert_eq(fifo_create(&rows[i].params, rows[i].n_places, &q), -EINVAL, "%s",
			rows[i].claim);
		cr_assert_null(q);
	}
	fifo_destroy(NULL);
}

/*
 * Keeps the queue backlogged for `span_us` and takes at the very times that fifo_next_us names,
 * checking each. Returns the octets sent, the burst at the beginning included.
 */
static uint64_t send_for(struct fifo *q, uint32_t octets, uint64_t span_us)
{
	uint64_t sent = 0;
	uint64_t now_us = 0;

	while (fifo_put(q, packets, octets, 0))
		;
	for (;;) {
		uint64_t next_us = fifo_next_us(q);

		if (next_us > span_us)
			break;
		if (next_us > now_us)
			cr_assert_null(fifo_take(q, next_us - 1), "a microsecond early");
		cr_assert_not_null(fifo_take(q, next_us), "at the time that was named");
		now_us = next_us;
		sent += octets;
		cr_assert(fifo_put(q, packets, octets, now_us));
	}
	return sent;
}

Test(shape_fifo, sends_rate_times_time_within_one_packet, .timeout = 100)
{
	static const struct {
		const char *claim;
		uint64_t rate_bps;
		uint32_t octets;
		uint64_t span_s;
	} rows[] = {
		{"1 kbit/s does not starve", 1000, 1500, 1000},
		{"1 kbit/s, small packets", 1000, 40, 1000},
		{"256 kbit/s, the shape of a ladder", 256000, 1357, 1000},
		{"a rate that divides nothing", 333333, 997, 1000},
		{"7 bit/s", 7, 1500, 1000000},
		{"10 Mbit/s", 10000000, 1500, 1000},
		{"150 Mbit/s, a few microseconds between packets", 149999999, 1500, 50},
		{"100 Gbit/s does not overflow", 100000000000, 100000000, 1000},
		{"100 Gbit/s, several packets a microsecond", 100000000000, 1500, 1},
		{"100 Gbit/s, an odd rate for a day", 99999999977, 2000000000, 86400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t burst = rows[i].octets;
		uint32_t limit = rows[i].octets * 2 < 20000 ? 20000 : rows[i].octets * 2;
		struct fifo *q = fifo_of(rows[i].rate_bps, burst, limit, 64);
		uint64_t sent = send_for(q, rows[i].octets, rows[i].span_s * US_PER_S);
		unsigned __int128 bits = (unsigned __int128)rows[i].rate_bps * rows[i].span_s;
		uint64_t earned = (uint64_t)(bits / 8) + burst;

		cr_assert(sent <= earned && sent + rows[i].octets > earned,
			"%s: %lu octets sent, %lu earned", rows[i].claim, sent, earned);
		drain(q);
	}
}

Test(shape_fifo, does_not_drift_however_often_it_is_asked)
{
	struct fifo *q = fifo_of(333333, 1500, 100000, 64);
	uint64_t sent = 0;

	for (uint64_t now_us = 0; now_us < 10 * US_PER_S; now_us++) { /* 1/3 bit a call */
		while (fifo_put(q, packets, 100, now_us))
			;
		while (fifo_take(q, now_us) != NULL)
			sent += 100;
	}
	cr_assert(sent <= 416666 + 1500 && sent > 416666 + 1500 - 100, "%lu", sent);
	drain(q);
}

Test(shape_fifo, lets_a_burst_pass_after_a_pause_and_no_more)
{
	struct fifo *q = fifo_of(8000, 3000, 10000, 8); /* an octet a millisecond */
	uint64_t now_us = UINT64_MAX / 2;               /* a pause of 292 000 years */

	cr_assert(fifo_pass(q, 1500, now_us));
	cr_assert(fifo_pass(q, 1500, now_us));
	cr_assert_not(fifo_pass(q, 1, now_us));
	cr_assert_not(fifo_pass(q, 1, now_us + 999));
	cr_assert(fifo_pass(q, 1, now_us + 1000));
	now_us += 100 * US_PER_S; /* earns 100 000 octets, of which the bucket holds 3 000 */
	cr_assert(fifo_pass(q, 3000, now_us));
	cr_assert_not(fifo_pass(q, 1, now_us));
	drain(q);
}

Test(shape_fifo, keeps_order_and_lets_nothing_overtake)
{
	struct fifo *q = fifo_of(8000, 1500, 10000, 3);
	uint64_t now_us = 5;

	cr_assert(fifo_pass(q, 1500, now_us));
	for (uint32_t i = 0; i < 12; i++) {
		cr_assert(fifo_put(q, &packets[i], 100, now_us));
		cr_assert(fifo_put(q, &packets[i + 1], 200, now_us));
		cr_assert_not(fifo_pass(q, 0, now_us + 10000000), "something waits before it");
		cr_assert_eq(fifo_n_packets(q), 2);
		cr_assert_eq(fifo_n_octets(q), 300);
		now_us = fifo_next_us(q);
		cr_assert_eq(fifo_take(q, now_us), &packets[i]);
		now_us = fifo_next_us(q);
		cr_assert_eq(fifo_take(q, now_us), &packets[i + 1]);
		cr_assert_eq(fifo_next_us(q), UINT64_MAX);
		cr_assert_null(fifo_take(q, now_us));
	}
	drain(q);
}

Test(shape_fifo, is_full_by_octets_or_by_places)
{
	struct fifo *q = fifo_of(8000, 1500, 3000, 4);

	cr_assert(fifo_put(q, packets, 1500, 0));
	cr_assert_not(fifo_put(q, packets, 1501, 0));
	cr_assert(fifo_put(q, packets, 1500, 0));
	cr_assert_not(fifo_put(q, packets, 1, 0));
	cr_assert_eq(fifo_take_any(q), packets);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert(fifo_put(q, packets, 20, 0));
	cr_assert_not(fifo_put(q, packets, 20, 0));
	drain(q);
}

Test(shape_fifo, a_packet_longer_than_the_burst_waits_for_a_full_bucket_and_is_paid_for)
{
	struct fifo *q = fifo_of(8000, 1500, 20000, 4);

	cr_assert(fifo_put(q, packets, 9000, 0));
	cr_assert(fifo_put(q, packets, 100, 0));
	cr_assert_not_null(fifo_take(q, 0));
	cr_assert_eq(fifo_next_us(q), (9000 - 1500 + 100) * 1000);
	drain(q);
}

Test(shape_fifo, unshaped_holds_nothing_back)
{
	struct fifo *q = fifo_of(0, 0, 0, 2);

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert(fifo_pass(q, 65535, 0));
	cr_assert(fifo_put(q, packets, 65535, 7));
	cr_assert_eq(fifo_next_us(q), 7);
	cr_assert_eq(fifo_take(q, 7), packets);
	drain(q);
}

Test(shape_fifo, a_rate_changed_live_counts_from_that_moment)
{
	struct fifo_params slow = {.rate_bps = 8000, .burst_octets = 1500, .limit_octets = 9000};
	struct fifo_params fast = {.rate_bps = 80000, .burst_octets = 1500, .limit_octets = 9000};
	struct fifo_params none = {0};
	struct fifo *q = fifo_of(8000, 1500, 9000, 8);

	cr_assert(fifo_pass(q, 1500, 0));
	cr_assert(fifo_put(q, packets, 1000, 0));
	cr_assert_eq(fifo_next_us(q), 1000000);
	fifo_set_params(q, &fast, 500000); /* 500 octets are earned, 500 to come at ten a ms */
	cr_assert_eq(fifo_next_us(q), 550000);
	fifo_set_params(q, &none, 510000);
	cr_assert_eq(fifo_next_us(q), 510000);
	cr_assert(fifo_put(q, packets, 65000, 510000), "an unshaped queue only drains");
	cr_assert_not_null(fifo_take(q, 510000));
	cr_assert_not_null(fifo_take(q, 510000));
	fifo_set_params(q, &slow, 520000);
	cr_assert(fifo_pass(q, 1500, 520000), "a rate begins with a full bucket");
	cr_assert_not(fifo_pass(q, 1, 520000));
	drain(q);
}

Test(shape_fifo, a_rate_that_moves_all_the_time_still_adds_up)
{
	struct fifo *q = fifo_of(1000000, 1500, 100000, 64);
	unsigned __int128 earned = (unsigned __int128)1500 * 8 * US_PER_S; /* millionths of a bit */
	uint64_t now_us = 0;
	uint64_t rate_bps = 1000000;
	uint64_t sent = 0;
	struct rng rng;

	rng_init(&rng, 2697);
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t span_us = rng_below(&rng, 500);
		struct fifo_params params = {.burst_octets = 1500, .limit_octets = 100000};

		now_us += span_us;
		earned += (unsigned __int128)span_us * rate_bps;
		params.rate_bps = rate_bps = 1000 + rng_below(&rng, 10000000);
		while (fifo_put(q, packets, 100, now_us))
			;
		fifo_set_params(q, &params, now_us);
		while (fifo_take(q, now_us) != NULL)
			sent += 100;
		while (fifo_put(q, packets, 100, now_us))
			;
	}
	earned /= 8 * US_PER_S;
	cr_assert(sent <= earned && sent + 100 > earned, "%lu sent, %lu earned", sent,
		(uint64_t)earned);
	drain(q);
}
