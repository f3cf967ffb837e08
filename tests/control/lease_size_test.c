/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/lease_size.h>

#include <criterion/criterion.h>
#include <stdio.h>

#define DAY_S 86400
#define MB    UINT64_C(1000000)

/* More writes are done than the day's pace allows. */
static struct lease_terms terms(uint64_t left_octets, uint64_t rate_octets_s)
{
	return (struct lease_terms){
		.left_octets = left_octets,
		.rate_octets_s = rate_octets_s,
		.n_writes_day = 2 * LEASE_WRITES_PER_DAY,
		.n_writes_left = LEASE_WRITES_PER_DAY,
		.day_left_s = DAY_S,
	};
}

Test(control_lease_size, grows_with_the_rate_and_shrinks_towards_a_threshold)
{
	static const struct {
		uint64_t left;
		uint64_t rate;
		uint64_t size;
	} cases[] = {
		{UINT64_MAX, 0, LEASE_READY_OCTETS},
		{64 * MB, 0, 1 * MB},
		{3 * MB, 0, LEASE_MIN_OCTETS},
		{UINT64_MAX, 625000, 2 * 625000 * 57}, /* 5 Mbit/s; 86400 s in 1500 writes */
		{800 * MB, 625000, 2 * 625000 * 57},
		{400 * MB, 625000, 50 * MB},   /* an eighth of the way */
		{10 * MB, 625000, 1250000},    /* two seconds at least */
		{10 * MB, 1000, 10 * MB / 64}, /* what may begin suddenly */
		{10 * MB, 4000, 2 * 4000 * 57},
		{1 * MB, 625000, 1 * MB}, /* never over the threshold */
		{100, 625000, 100},
		{0, 625000, 0},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX / (4 * 86400) * 57 * 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lease_terms t = terms(cases[i].left, cases[i].rate);

		cr_expect_eq(lease_size(&t), cases[i].size, "case %zu: %llu", i,
			(unsigned long long)lease_size(&t));
	}
}

Test(control_lease_size, asks_when_half_is_used)
{
	struct lease_terms t = terms(3 * MB, 0);

	t.held_octets = LEASE_MIN_OCTETS / 2;
	cr_expect_eq(lease_ask(&t), 0);
	t.held_octets--;
	cr_expect_eq(lease_ask(&t), LEASE_MIN_OCTETS / 2 + 1);
	t.held_octets = 10 * LEASE_MIN_OCTETS;
	cr_expect_eq(lease_ask(&t), 0);
	t = terms(1, 0);
	cr_expect_eq(lease_ask(&t), 1, "the last octet too");
}

Test(control_lease_size, lasts_seconds_while_the_day_has_writes_to_spare)
{
	struct lease_terms t = terms(UINT64_MAX, 10 * MB);

	t.n_writes_day = LEASE_WRITES_PER_DAY;
	cr_expect_eq(lease_size(&t), 2 * 10 * MB * 2);
	t.n_writes_left = LEASE_WRITES_PER_DAY * 7 / 8;
	cr_expect_gt(lease_size(&t), 2 * 10 * MB * 50, "an eighth of them is done");
	t.day_left_s = DAY_S / 2;
	cr_expect_leq(lease_size(&t), 2 * 10 * MB * 3, "by noon there are some to spare again");
}

/* A day of traffic at a rate towards thresholds `step` apart: each write must find the path with something left. */
static uint32_t writes_of_a_day(
	uint64_t rate, uint64_t step, uint32_t n_writes_max, uint64_t *ret_sent)
{
	uint64_t sent = 0;
	uint64_t held = 0;
	uint64_t sent_at_write = 0;
	uint32_t written_at = 0;
	uint32_t n_writes = 0;

	for (uint32_t now = 0; now < DAY_S; now++) {
		struct lease_terms t = {
			.left_octets = step == 0 ? UINT64_MAX : step - sent % step,
			.held_octets = held,
			.rate_octets_s =
				now == written_at ? 0 : (sent - sent_at_write) / (now - written_at),
			.n_writes_day = n_writes_max,
			.n_writes_left = n_writes < n_writes_max ? n_writes_max - n_writes : 0,
			.day_left_s = DAY_S - now,
		};
		uint64_t ask = lease_ask(&t);
		uint64_t send;

		if (ask > 0) {
			n_writes++;
			held += ask;
			cr_assert_leq(held, t.left_octets, "no lease reaches over a threshold");
			sent_at_write = sent;
			written_at = now;
		}
		send = rate < held ? rate : held;
		held -= send;
		sent += send;
	}
	*ret_sent = sent;
	return n_writes;
}

Test(control_lease_size, a_day_at_any_rate_stays_within_the_budget_of_writes)
{
	static const uint64_t rates[] = {10, 1000, 12500, 625000, 12500000, 125000000};
	static const uint64_t steps[] = {0, 500 * MB, 20000 * MB};

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			uint64_t sent;
			uint32_t n = writes_of_a_day(rates[r], steps[s], 2000, &sent);
			uint64_t n_thresholds = steps[s] == 0 ? 0 : sent / steps[s];

			/* When the budget is spent, each threshold still costs a few: what may be sent is never refused. */
			cr_expect_leq(n, 2000 + 4 * n_thresholds, "%llu octets/s, %llu: %u",
				(unsigned long long)rates[r], (unsigned long long)steps[s], n);
			cr_expect_geq(sent * 10, rates[r] * DAY_S * 9, "%llu octets/s, %llu",
				(unsigned long long)rates[r], (unsigned long long)steps[s]);
		}
	}
}
