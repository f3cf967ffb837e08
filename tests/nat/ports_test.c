/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/nat/ports.h>

#include <criterion/criterion.h>
#include <string.h>

struct range {
	uint16_t min;
	uint16_t max;
};

static const struct range ranges[] = {
	{1, 1},         /* the least port alone */
	{65535, 65535}, /* the greatest alone */
	{1, 65535},     /* all there are */
	{1024, 65535},  /* the default */
	{10000, 20000}, /* neither end at a word's edge */
	{16383, 49150}, /* begins on a word's last bit, ends before one */
	{4095, 4096},   /* across an edge of the summary */
	{64, 127},      /* exactly one word */
	{4096, 8191},   /* exactly one word of the summary */
	{49152, 65535}, /* the dynamic ports of RFC 6335 */
	{65472, 65535}, /* the last word */
};

#define N_RANGES (sizeof(ranges) / sizeof(ranges[0]))

/* Takes every port of a range with hints from `hint_of`, and checks that each came exactly once. */
static void drain(
	const struct range *r, uint32_t (*hint_of)(struct rng *rng, const struct range *r))
{
	static struct ports p;
	static uint8_t seen[65536];
	uint32_t n_ports = (uint32_t)r->max - r->min + 1;
	struct rng rng;

	rng_init(&rng, r->min);
	memset(seen, 0, sizeof(seen));
	ports_init(&p, r->min, r->max);
	for (uint32_t i = 0; i < n_ports; i++) {
		uint16_t port = ports_take(&p, hint_of(&rng, r), 0);

		cr_assert(
			port >= r->min && port <= r->max, "%u outside %u-%u", port, r->min, r->max);
		cr_assert_eq(seen[port]++, 0, "%u came twice from %u-%u", port, r->min, r->max);
	}
	cr_assert_eq(p.n_taken, n_ports);
	for (uint32_t i = 0; i < 100; i++)
		cr_assert_eq(ports_take(&p, hint_of(&rng, r), (uint16_t)i), 0);
}

static uint32_t hint_min(struct rng *rng, const struct range *r)
{
	(void)rng;
	return r->min;
}

static uint32_t hint_max(struct rng *rng, const struct range *r)
{
	(void)rng;
	return r->max;
}

static uint32_t hint_zero(struct rng *rng, const struct range *r)
{
	(void)rng;
	(void)r;
	return 0;
}

static uint32_t hint_most(struct rng *rng, const struct range *r)
{
	(void)rng;
	(void)r;
	return UINT32_MAX;
}

static uint32_t hint_random(struct rng *rng, const struct range *r)
{
	(void)r;
	return (uint32_t)rng_next(rng);
}

static uint32_t hint_inside(struct rng *rng, const struct range *r)
{
	return r->min + rng_below(rng, (uint32_t)r->max - r->min + 1);
}

Test(nat_ports, hands_out_every_port_once_then_reports_full)
{
	for (size_t i = 0; i < N_RANGES; i++) {
		drain(&ranges[i], hint_min);
		drain(&ranges[i], hint_max);
		drain(&ranges[i], hint_zero);
		drain(&ranges[i], hint_most);
		drain(&ranges[i], hint_random);
		drain(&ranges[i], hint_inside);
	}
}

Test(nat_ports, finds_the_one_port_left_from_every_hint)
{
	static const uint16_t left[] = {1024, 1025, 4095, 4096, 32767, 40000, 65534, 65535};
	static struct ports p;

	ports_init(&p, 1024, 65535);
	while (ports_take(&p, 1024, 0) != 0)
		;
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		for (uint32_t hint = 0; hint < 131072; hint += 7) {
			ports_give(&p, left[i]);
			cr_assert_eq(ports_take(&p, hint, (uint16_t)hint), left[i]);
		}
	}
}

Test(nat_ports, starts_at_the_hint_and_wraps_at_the_end_of_the_range)
{
	static struct ports p;

	ports_init(&p, 10000, 20000);
	cr_assert_eq(ports_take(&p, 15000, 0), 15000);
	cr_assert_eq(ports_take(&p, 15000, 0), 15001);
	cr_assert_eq(ports_take(&p, 20000, 0), 20000);
	cr_assert_eq(ports_take(&p, 20000, 0), 10000);
	ports_give(&p, 15000);
	cr_assert_eq(ports_take(&p, 15000, 0), 15000);
}

Test(nat_ports, prefers_the_asked_parity_and_yields_the_other_when_it_is_used_up)
{
	static struct ports p;

	ports_init(&p, 16383, 49150);
	for (uint32_t i = 0; i < 16384; i++) /* RFC 4787 REQ-4 */
		cr_assert_eq(ports_take(&p, 40000 + i, 5) & 1, 1);
	for (uint32_t i = 0; i < 16384; i++)
		cr_assert_eq(ports_take(&p, 40000 + i, 5) & 1, 0);
	cr_assert_eq(ports_take(&p, 40000, 5), 0);
}

Test(nat_ports, preserves_ports_outside_the_range_without_ever_choosing_them)
{
	static struct ports p;

	ports_init(&p, 10000, 10001);
	cr_assert(ports_take_exact(&p, 9999));
	cr_assert(ports_take_exact(&p, 10002));
	cr_assert(ports_take_exact(&p, 65535));
	cr_assert_not(ports_take_exact(&p, 9999), "a port is one mapping's only: RFC 4787 REQ-3");
	cr_assert_not(ports_take_exact(&p, 0), "port 0 is nobody's");
	ports_give(&p, 9999);
	ports_give(&p, 65535);
	cr_assert_eq(ports_take(&p, 9999, 0) / 2, 5000);
	cr_assert_eq(ports_take(&p, 9999, 0) / 2, 5000);
	cr_assert_eq(ports_take(&p, 9999, 0), 0, "9999 is free, but not in the range");
	cr_assert_eq(p.n_taken, 3);
}

/* The model is a plain array of booleans. */
Test(nat_ports, agrees_with_a_plain_model_over_random_operations)
{
	static struct ports p;
	static bool taken[65536];
	const struct range r = {1000, 1700};
	uint32_t n_taken = 0;
	struct rng rng;

	rng_init(&rng, 4787);
	ports_init(&p, r.min, r.max);
	for (uint32_t i = 0; i < 300000; i++) {
		uint16_t port = (uint16_t)(900 + rng_below(&rng, 900));
		uint32_t what = rng_below(&rng, 8);

		if (taken[port] && what < 4) {
			ports_give(&p, port);
			taken[port] = false;
			n_taken--;
		} else if (what < 6) {
			cr_assert_eq(ports_take_exact(&p, port), !taken[port]);
			n_taken += !taken[port];
			taken[port] = true;
		} else {
			uint16_t got = ports_take(&p, (uint32_t)rng_next(&rng), port);
			bool any = false;

			for (uint32_t k = r.min; k <= r.max; k++)
				any |= !taken[k];
			cr_assert_eq(got != 0, any);
			if (got == 0)
				continue;
			cr_assert(got >= r.min && got <= r.max && !taken[got]);
			taken[got] = true;
			n_taken++;
		}
		cr_assert_eq(p.n_taken, n_taken);
	}
}

/* A range that is full but for one port, wherever that lies and whatever is asked for, costs no more than the summary. */
Test(nat_ports, a_nearly_full_range_is_searched_in_a_bounded_number_of_looks)
{
	static struct ports p;
	uint32_t most = 0;

	ports_init(&p, 1024, 65535);
	for (uint32_t port = 1024; port <= 65535; port++)
		cr_assert(ports_take_exact(&p, (uint16_t)port));
	for (uint32_t i = 0; i < 64512; i += 7) {
		uint16_t only = (uint16_t)(1024 + i);

		ports_give(&p, only);
		cr_assert_eq(p.n_free, 1);
		cr_assert_eq(ports_take(&p, i * 2654435761u, (uint16_t)(5000 + i % 3)), only);
		most = p.n_looks > most ? p.n_looks : most;
	}
	cr_assert_eq(ports_take(&p, 4711, 2), 0, "and a full one no more");
	cr_expect_leq(p.n_looks, PORTS_LOOKS_MAX);
	cr_expect_leq(most, PORTS_LOOKS_MAX, "%u", most);
}

Test(nat_ports, a_reserved_port_is_given_only_to_who_claims_it)
{
	static struct ports p;

	ports_init(&p, 2000, 2003);
	cr_assert(ports_take_exact(&p, 2001));
	for (uint16_t port = 2000; port <= 2002; port++)
		ports_reserve(&p, port, true);
	cr_expect_eq(p.n_free, 1);
	cr_expect_not(ports_take_exact(&p, 2000));
	cr_expect_eq(ports_take(&p, 0, 0), 2003);
	cr_expect_eq(ports_take(&p, 0, 0), 0);
	cr_expect(ports_claim(&p, 2000));
	cr_expect_not(ports_claim(&p, 2000), "once");
	ports_give(&p, 2001);
	cr_expect_eq(ports_take(&p, 0, 0), 0, "who had it may keep it, and nobody else gets it");
	ports_reserve(&p, 2001, false);
	cr_expect_eq(ports_take(&p, 0, 0), 2001);
}
