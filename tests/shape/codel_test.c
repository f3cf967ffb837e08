/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/shape/codel.h>

#include <criterion/criterion.h>
#include <math.h>

Test(shape_codel, finds_the_spacing_exactly)
{
	static const uint32_t intervals[] = {1, 3, 1000, 100000, 123457, UINT32_MAX};

	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++)
		for (uint64_t count = 1; count <= UINT32_MAX; count += 1 + count / 7) {
			uint64_t root = codel_spacing_us(intervals[i], (uint32_t)count);
			unsigned __int128 square =
				(unsigned __int128)intervals[i] * intervals[i] / count;

			cr_assert((unsigned __int128)root * root <= square
					  && (unsigned __int128)(root + 1) * (root + 1) > square,
				"%u / sqrt(%lu) is not %lu", intervals[i], count, root);
		}
}

Test(shape_codel, has_patience_with_slow_rates)
{
	static const struct {
		const char *claim;
		uint64_t bps;
		struct codel_params expected;
	} rows[] = {
		{"without a rate RFC 8289's figures", 0, {5000, 100000}},
		{"fast: the same", 100000000, {5000, 100000}},
		{"1 Mbit/s: one and a half packets of 12.1 ms", 1000000, {18168, 113168}},
		{"32 kbit/s", 32000, {567750, 662750}},
		{"1 bit/s: a minute at most", 1, {60000000, 60095000}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct codel_params is = codel_params_of(rows[i].bps);

		cr_expect_eq(is.target_us, rows[i].expected.target_us, "%s: %u", rows[i].claim,
			is.target_us);
		cr_expect_eq(is.interval_us, rows[i].expected.interval_us, "%s: %u", rows[i].claim,
			is.interval_us);
	}
}

/*
 * The pseudo-code of RFC 8289 section 5, word for word but for its queue: packets of one size that wait for given times, the
 * number behind each known.
 */
struct reference {
	double first_above, drop_next;
	uint32_t count, last_count;
	int dropping;
};

struct arrival {
	uint64_t sojourn_us;
	uint64_t rest_octets;
};

struct reference_result {
	const struct arrival *p;
	int ok_to_drop;
};

static const struct codel_params usual = {5000, 100000};

static struct reference_result dodeque(
	struct reference *c, const struct arrival **next, const struct arrival *end, double now)
{
	struct reference_result r = {NULL, 0};

	if (*next == end) {
		c->first_above = 0;
		return r;
	}
	r.p = (*next)++;
	if (r.p->sojourn_us < usual.target_us || r.p->rest_octets <= CODEL_PACKET_OCTETS) {
		c->first_above = 0;
	} else if (c->first_above == 0) {
		c->first_above = now + usual.interval_us;
	} else if (now >= c->first_above) {
		r.ok_to_drop = 1;
	}
	return r;
}

static double control_law(double t, uint32_t count)
{
	return t + floor(usual.interval_us / sqrt(count));
}

/* Returns how many were dropped before the one that leaves. */
static uint32_t deque(
	struct reference *c, const struct arrival **next, const struct arrival *end, double now)
{
	struct reference_result r = dodeque(c, next, end, now);
	uint32_t n_dropped = 0;

	if (c->dropping) {
		if (!r.ok_to_drop)
			c->dropping = 0;
		while (now >= c->drop_next && c->dropping) {
			n_dropped++;
			++c->count;
			r = dodeque(c, next, end, now);
			if (!r.ok_to_drop)
				c->dropping = 0;
			else
				c->drop_next = control_law(c->drop_next, c->count);
		}
	} else if (r.ok_to_drop) {
		uint32_t delta = c->count - c->last_count;

		n_dropped++;
		dodeque(c, next, end, now);
		c->dropping = 1;
		c->count = 1;
		if (delta > 1 && now - c->drop_next < 16 * usual.interval_us)
			c->count = delta;
		c->drop_next = control_law(now, c->count);
		c->last_count = c->count;
	}
	return n_dropped;
}

#define N_ARRIVALS 400000

/* A queue whose delay wanders for long above and for long below the target, and is short at times. */
static void wander(struct arrival *arrivals, uint32_t n, uint64_t seed)
{
	int64_t sojourn_us = 0;
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < n; i++) {
		int64_t pull = (i / 3000) % 3 == 0 ? -400 : 400;

		sojourn_us += pull + (int64_t)rng_below(&rng, 2001) - 1000;
		sojourn_us = sojourn_us < 0 ? 0 : sojourn_us > 60000 ? 60000 : sojourn_us;
		arrivals[i].sojourn_us = (uint64_t)sojourn_us;
		arrivals[i].rest_octets = rng_below(&rng, 500) == 0 ? 1514 : 30000;
	}
}

Test(shape_codel, gives_up_what_the_pseudo_code_of_rfc_8289_gives_up)
{
	static struct arrival arrivals[N_ARRIVALS];
	uint32_t n_all = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		const struct arrival *end = arrivals + N_ARRIVALS;
		const struct arrival *next = arrivals;
		struct reference reference = {0};
		struct codel codel = {0};
		uint64_t now_us = 1000000;
		struct rng rng;

		wander(arrivals, N_ARRIVALS, seed);
		rng_init(&rng, seed);
		while (end - next > 1000) {
			const struct arrival *mine = next;
			uint32_t expected = deque(&reference, &next, end, (double)now_us);
			uint32_t is = 0;

			for (; codel_judge(
				     &codel, &usual, mine->sojourn_us, mine->rest_octets, now_us);
				mine++)
				is++;
			cr_assert_eq(is, expected, "seed %lu, packet %ld", seed, mine - arrivals);
			n_all += is;
			now_us += rng_below(&rng, 3000);
		}
	}
	cr_assert_gt(n_all, 10000, "%u given up: nothing was tried", n_all);
}

Test(shape_codel, gives_up_faster_and_faster_while_the_queue_stands)
{
	struct codel codel = {0};
	uint64_t last_us = 0;
	uint64_t gap_us = US_PER_S;
	uint32_t n = 0;

	for (uint64_t now_us = 1; now_us < 3 * US_PER_S; now_us += 100) {
		if (!codel_judge(&codel, &usual, 20000, 30000, now_us))
			continue;
		if (n == 0)
			cr_assert_eq(now_us, 100001, "an interval above the target");
		if (n > 1) {
			cr_assert_leq(now_us - last_us, gap_us + 100);
			gap_us = now_us - last_us;
		}
		last_us = now_us;
		n++;
	}
	/* n given up after interval * sum(1 / sqrt(k)), about 2 * interval * sqrt(n) */
	cr_assert(n > 180 && n < 240, "%u", n);
}
