/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_capacity.h"
#include "cellink_fading.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MS(n) ((n)*NS_PER_MS)

static const struct outages no_outage;

static struct capacity *opportunities(const uint32_t *ms, size_t n, bool loop)
{
	struct capacity *c = NULL;

	cr_assert_eq(capacity_from_opportunities(ms, n, loop, &c), 0);
	return c;
}

static struct capacity *steps(const struct rate_step *s, size_t n, uint64_t period, bool loop)
{
	struct capacity *c = NULL;

	cr_assert_eq(capacity_from_steps(s, n, period, loop, &c), 0);
	return c;
}

Test(bench_cellink_capacity, opportunities_are_shared_split_and_lost_as_in_mahimahi)
{
	static const uint32_t times_ms[] = {1, 1, 5, 10};
	static const struct {
		const char *claim;
		uint64_t start_ns;
		uint32_t octets;
		uint64_t departs_ns;
	} cases[] = {
		{"the first packet takes the first opportunity", 0, 1500, MS(1)},
		{"two opportunities of one millisecond carry two packets", 0, 1500, MS(1)},
		{"small packets share one", 0, 700, MS(5)},
		{"the second small packet too", 0, 700, MS(5)},
		{"a packet may begin in what is left of one and end in the next", 0, 200, MS(10)},
		{"and the next packet gets the rest of that", 0, 1400, MS(10)},
		{"the trace begins again at its last line", 0, 3000, MS(11)},
		{"opportunities that nobody used are lost", MS(17), 40, MS(20)},
		{"one at the very moment of arrival is gone", MS(20), 40, MS(21)},
		{"a large packet takes several", MS(100), 4500, MS(105)},
		{"rounds far ahead are found at once", MS(1000000), 1500, MS(1000001)},
	};
	struct capacity *c = opportunities(times_ms, 4, true);
	struct capacity_cursor at;

	capacity_cursor_init(&at);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t departs =
			capacity_serve(c, &no_outage, &at, cases[i].start_ns, cases[i].octets);

		cr_expect_eq(departs, cases[i].departs_ns, "%s: %llu", cases[i].claim,
			(unsigned long long)departs);
	}
	cr_expect_eq(capacity_mean_bps(c), 4800000);
	capacity_destroy(c);
}

Test(bench_cellink_capacity, trace_without_loop_ends)
{
	static const uint32_t times_ms[] = {1, 2};
	struct rate_step step = {.start_ns = 0, .rate_bps = 8000};
	struct capacity *c = opportunities(times_ms, 2, false);
	struct capacity_cursor at;

	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 3000), MS(2));
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1), TIME_NEVER);
	capacity_destroy(c);
	c = steps(&step, 1, NS_PER_S, false);
	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1000), NS_PER_S);
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1), TIME_NEVER);
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1), TIME_NEVER, "and stays so");
	capacity_destroy(c);
}

Test(bench_cellink_capacity, steps_serve_across_their_borders)
{
	/* 8 Mbit/s for a second, none for a second, 4 Mbit/s for a second, and again. */
	static const struct rate_step step_list[] = {
		{0, 8000000}, {NS_PER_S, 0}, {2 * NS_PER_S, 4000000}};
	struct capacity *c = steps(step_list, 3, 3 * NS_PER_S, true);
	struct capacity_cursor at;

	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1000), MS(1));
	cr_expect_eq(capacity_serve(c, &no_outage, &at, 0, 1000), MS(2), "one after the other");
	cr_expect_eq(capacity_serve(c, &no_outage, &at, MS(999), 2000), MS(2002),
		"a millisecond at 8, the other half at 4 Mbit/s");
	cr_expect_eq(capacity_serve(c, &no_outage, &at, MS(2999), 1500), MS(3001), "over the end");
	cr_expect_eq(capacity_mean_bps(c), 4000000);
	capacity_destroy(c);
}

Test(bench_cellink_capacity, fixed_rate_is_exact_over_a_million_packets)
{
	struct capacity *c = NULL;
	struct capacity_cursor at;
	uint64_t departs = 0;

	cr_assert_eq(capacity_fixed(333333333, &c), 0);
	capacity_cursor_init(&at);
	for (int i = 0; i < 1000000; i++)
		departs = capacity_serve(c, &no_outage, &at, 0, 1499);
	/* 1499e6 octets at 333333333 bit/s take 35.976000036 s, rounded up to the nanosecond. */
	cr_expect_eq(departs, 35976000036ull, "%llu", (unsigned long long)departs);
	capacity_destroy(c);
}

Test(bench_cellink_capacity, backlogged_queue_gets_what_the_trace_has)
{
	enum {
		MS_LONG = 10000,
		PACKET = 1200
	};
	uint32_t *at_ms = calloc(4 * MS_LONG, sizeof(*at_ms));
	size_t n = 0;
	uint64_t octets = 0;
	struct capacity_cursor at;
	struct capacity *c;

	/* An uneven trace: none, one, two or four opportunities a millisecond. */
	for (uint32_t t = 1; t <= MS_LONG; t++)
		for (uint32_t k = 0; k < (t / 100 % 5 == 0 ? 0 : t % 3 == 0 ? 4 : t % 3); k++)
			at_ms[n++] = t;
	at_ms[n++] = MS_LONG;
	c = opportunities(at_ms, n, true);
	capacity_cursor_init(&at);
	while (capacity_serve(c, &no_outage, &at, 0, PACKET) <= MS(MS_LONG))
		octets += PACKET;
	cr_expect_geq(octets + PACKET, n * OPPORTUNITY_OCTETS);
	cr_expect_leq(octets, n * OPPORTUNITY_OCTETS);
	capacity_destroy(c);
	free(at_ms);
}

Test(bench_cellink_capacity, outages_hold_everything_up_and_come_again)
{
	struct outages o = {.period_ns = MS(100)};
	static const uint32_t each_ms[] = {1};
	struct capacity *trace = opportunities(each_ms, 1, true), *rate = NULL;
	struct capacity_cursor at;
	uint64_t next;

	cr_assert_eq(outages_add(&o, MS(10), MS(20)), 0);
	cr_assert_eq(outages_add(&o, MS(25), MS(20)), -EINVAL, "overlap");
	cr_expect_eq(outages_end(&o, MS(10), &next), MS(30));
	cr_expect_eq(outages_end(&o, MS(29), &next), MS(30));
	cr_expect_eq(outages_end(&o, MS(30), &next), 0);
	cr_expect_eq(next, MS(110));
	cr_expect_eq(outages_end(&o, MS(200), &next), 0);
	cr_expect_eq(next, MS(210));
	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(trace, &o, &at, MS(8), 3000), MS(30), "the second half waits");
	cr_expect_eq(capacity_serve(trace, &o, &at, MS(8), 1500), MS(31));
	cr_assert_eq(capacity_fixed(12000000, &rate), 0);
	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(rate, &o, &at, MS(9), 3000), MS(31));
	cr_expect_eq(capacity_serve(rate, &o, &at, MS(115), 1500), MS(131));
	capacity_destroy(trace);
	capacity_destroy(rate);
}

Test(bench_cellink_capacity, what_is_always_out_never_leaves)
{
	/* The trace carries in its first second only, and that is when the outage comes. */
	static const struct rate_step step_list[] = {{0, 8000}, {NS_PER_S, 0}};
	struct outages o = {.period_ns = 2 * NS_PER_S};
	struct capacity *c = steps(step_list, 2, 2 * NS_PER_S, true);
	struct capacity_cursor at;

	cr_assert_eq(outages_add(&o, 0, NS_PER_S), 0);
	capacity_cursor_init(&at);
	cr_expect_eq(capacity_serve(c, &o, &at, 0, 100), TIME_NEVER);
	capacity_destroy(c);
}

/* Writes the text into a file, loads it and removes it. */
static int load(const char *text, char *why, struct capacity **ret_capacity)
{
	char path[] = "/tmp/cellink-trace-XXXXXX";
	int fd = mkstemp(path);
	int ret;

	cr_assert_geq(fd, 0);
	cr_assert_geq(write(fd, text, strlen(text)), 0);
	cr_assert_eq(close(fd), 0);
	ret = capacity_load(path, true, why, ret_capacity);
	cr_assert_eq(unlink(path), 0);
	return ret;
}

Test(bench_cellink_capacity, loads_both_kinds_of_trace)
{
	static const struct {
		const char *text;
		uint64_t mean_bps;
		uint64_t period_ns;
	} cases[] = {
		{"1\n2\n3\n4\n", 12000000, MS(4)},
		{"# comment\n\n0\n0\n10\n", 3600000, MS(10)},
		{"0 22.0\n1 24.0\n", 23000000, 2 * NS_PER_S},
		/* 1 s at 42.5, 2 s at 0, 2 s at 1.5: the last step lasts as long as the one before. */
		{"1.0\t42.5\n2.0\t0\n4.0\t1.5\n", 9100000, 5 * NS_PER_S},
		{"7 0.5\r\n", 500000, NS_PER_S},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capacity *c = NULL;
		char why[WHY_MAX] = "";

		cr_assert_eq(load(cases[i].text, why, &c), 0, "%zu: %s", i, why);
		cr_expect_eq(capacity_mean_bps(c), cases[i].mean_bps, "%zu: %llu", i,
			(unsigned long long)capacity_mean_bps(c));
		cr_expect_eq(capacity_period_ns(c), cases[i].period_ns, "%zu", i);
		capacity_destroy(c);
	}
}

Test(bench_cellink_capacity, refuses_a_broken_trace_with_its_line)
{
	static const struct {
		const char *text;
		const char *what;
	} cases[] = {
		{"", "carries nothing"},
		{"0\n0\n", "carries nothing"},
		{"0 0\n1 0\n", "carries nothing"},
		{"5\n4\n", ":2: earlier"},
		{"5\nx\n", ":2: not a time"},
		{"-5\n", ":1: not a time"},
		{"1.5\n", ":1: not a time"},
		{"99999999999\n", ":1: not a time"},
		{"1 2\n1 2\n", ":2: not later"},
		{"5 2\n1 2\n", ":2: not later"},
		{"1 -2\n", ":1: not `second Mbit/s`"},
		{"1 nan\n", ":1: not `second Mbit/s`"},
		{"1 2\n3\n", ":2: a trace has one column"},
		{"1 2 3\n", ":1: a trace has one column"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capacity *c = NULL;
		char why[WHY_MAX] = "";

		cr_expect_eq(load(cases[i].text, why, &c), -EINVAL, "%zu", i);
		cr_expect_not_null(strstr(why, cases[i].what), "%zu: %s", i, why);
	}
}

Test(bench_cellink_capacity, fading_keeps_its_median_limits_and_seed)
{
	struct fading f = {.median_bps = 10000000,
		.floor_bps = 500000,
		.ceiling_bps = 40000000,
		.sigma_db = 4,
		.correlation_ns = 5 * NS_PER_S,
		.step_ns = MS(100),
		.length_ns = 3000 * NS_PER_S,
		.dead_every_ns = 60 * NS_PER_S,
		.dead_ns = 3 * NS_PER_S};
	struct capacity *a = NULL, *b = NULL, *other = NULL;

	cr_assert_eq(fading_create(&f, 1, &a), 0);
	cr_assert_eq(fading_create(&f, 1, &b), 0);
	cr_assert_eq(fading_create(&f, 2, &other), 0);
	cr_expect_eq(capacity_mean_bps(a), capacity_mean_bps(b), "same seed");
	cr_expect_neq(capacity_mean_bps(a), capacity_mean_bps(other), "another seed");
	/* Log-normal: the mean is exp((sigma·ln10/10)²/2) = 1.53 medians, cut by the ceiling and dead spots. */
	cr_expect_gt(capacity_mean_bps(a), 10000000);
	cr_expect_lt(capacity_mean_bps(a), 17000000);
	cr_expect_eq(capacity_period_ns(a), 3000 * NS_PER_S);
	f.step_ns = 0;
	cr_expect_eq(fading_create(&f, 1, &other), -EINVAL);
	capacity_destroy(a);
	capacity_destroy(b);
	capacity_destroy(other);
}

Test(bench_cellink_capacity, fading_without_spread_is_the_median_outside_dead_spots)
{
	struct fading f = {.median_bps = 10000000,
		.correlation_ns = NS_PER_S,
		.step_ns = MS(100),
		.length_ns = 20000 * NS_PER_S,
		.dead_every_ns = 90 * NS_PER_S,
		.dead_ns = 10 * NS_PER_S};
	struct capacity *c = NULL;

	cr_assert_eq(fading_create(&f, 7, &c), 0);
	/* A dead spot of 10 s in each 100 s, over 200 of them. */
	cr_expect_gt(capacity_mean_bps(c), 8700000);
	cr_expect_lt(capacity_mean_bps(c), 9300000);
	capacity_destroy(c);
}

Test(bench_cellink_capacity, octets_of_a_time_are_what_a_sender_without_pause_would_get_through)
{
	static const uint32_t times_ms[] = {1, 1, 5, 10};
	static const struct rate_step rates[] = {{0, 8000000}, {NS_PER_S, 0}};
	static const struct {
		const char *claim;
		bool steps;
		uint64_t from_ns, to_ns;
		double octets;
	} cases[] = {
		{"opportunities up to the end, and it too", false, 0, MS(5), 4500},
		{"the first moment belongs to the time before", false, MS(1), MS(5), 1500},
		{"the trace repeats", false, 0, MS(100), 60000},
		{"across the end of a round", false, MS(9), MS(11), 4500},
		{"a rate for a part of a second", true, 0, MS(250), 250000},
		{"a rate of nothing", true, MS(1000), MS(2000), 0},
		{"an outage is cut out", true, MS(2000), MS(3000), 500000},
	};
	struct outages outages = {.n = 0};
	struct capacity *c = opportunities(times_ms, 4, true);
	struct capacity *s = steps(rates, 2, 2 * NS_PER_S, true);

	cr_assert_eq(outages_add(&outages, MS(2500), MS(1000)), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double octets = capacity_octets(
			cases[i].steps ? s : c, &outages, cases[i].from_ns, cases[i].to_ns);

		cr_expect_float_eq(octets, cases[i].octets, 0.5, "%s: %f", cases[i].claim, octets);
	}
	capacity_destroy(c);
	capacity_destroy(s);
}
