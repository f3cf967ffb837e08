/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A carrier that counts for itself: behind the radio going up, before it coming down, by its own clock and its own sessions.
 * What weir makes of its own counters must hold the carrier's bill, in every run.
 */
#include <weir/base/rng.h>
#include <weir/budget/bill.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_RUNS 1000
#define DAY_S  86400
#define N_DAYS 30
#define START_S                                                                                    \
	(2 * DAY_S) /* the cycle that is looked at; traffic begins before and ends after it */
#define END_S    (START_S + N_DAYS * DAY_S)
#define ALL_PPM  1000000u
#define KIB      1024u
#define N_BURSTS 20000 /* a run: some 1.2 million packets */
#define LOSS_MAX 8     /* packets lost together */

/* Its own counters, of the cycle that is looked at. */
struct true_bill {
	uint64_t octets_ppm; /* of the unit that is open, weighed, in parts a million */
	uint64_t rounded;    /* closed units */
};

/* Octets of a packet. */
struct sizes {
	uint32_t least;
	uint32_t most;
};

struct traffic {
	const char *name;
	struct sizes sizes[N_DIRECTIONS];
	uint32_t loss_of_assumed; /* percent of the rule's two shares, at most */
};

struct run {
	struct rng rng;
	const struct bill_rule *rule;
	const struct traffic *traffic;
	struct bill bill;
	struct bill_interval seen; /* at the cycle's end */
	bool is_over;
	struct true_bill carrier;
	int64_t skew_s;    /* the carrier's clock less weir's */
	int64_t session_s; /* when the carrier's session began */
	int64_t unit_day;
	uint32_t loss_ppm[N_DIRECTIONS];
	uint16_t overhead; /* in this run's network, of what the rule allows */
};

static const struct {
	uint16_t overhead_low;
	uint16_t overhead_high;
	uint32_t quantum;
	enum bill_scope per;
	uint32_t cut_s;
	const char *name;
} carriers[] = {
	{0, 0, 1, BILL_PER_CYCLE, 0, "IP octets"},
	{50, 54, 100 * KIB, BILL_PER_CYCLE, 0, "soracom"},
	{0, 0, KIB, BILL_PER_SESSION, DAY_S, "emnify"},
	{36, 36, 10 * KIB, BILL_PER_DAY, 0, "by day"},
};

#define N_CARRIERS (sizeof(carriers) / sizeof(carriers[0]))

static struct bill_rule rule_of(size_t carrier)
{
	struct bill_rule rule = bill_rule_default();

	for (int d = 0; d < N_DIRECTIONS; d++) {
		rule.overhead_low[d] = carriers[carrier].overhead_low;
		rule.overhead_high[d] = carriers[carrier].overhead_high;
	}
	rule.quantum_octets = carriers[carrier].quantum;
	rule.per = carriers[carrier].per;
	rule.session_cut_us = carriers[carrier].cut_s * US_PER_S;
	return rule;
}

static void carrier_close(struct run *r)
{
	uint64_t octets = (r->carrier.octets_ppm + ALL_PPM - 1) / ALL_PPM;
	uint64_t quantum = r->rule->quantum_octets;

	r->carrier.rounded += (octets + quantum - 1) / quantum * quantum;
	r->carrier.octets_ppm = 0;
}

/* The carrier's own time: its days end, its sessions are cut. */
static void carrier_advance(struct run *r, int64_t weir_s)
{
	int64_t now_s = weir_s + r->skew_s;

	if (r->rule->per == BILL_PER_DAY && now_s / DAY_S != r->unit_day) {
		carrier_close(r);
		r->unit_day = now_s / DAY_S;
	}
	while (r->rule->per == BILL_PER_SESSION && now_s >= r->session_s + DAY_S) {
		carrier_close(r);
		r->session_s += DAY_S;
	}
}

static void carrier_count(
	struct run *r, enum direction d, int64_t weir_s, uint64_t octets, uint64_t n)
{
	int64_t now_s = weir_s + r->skew_s;

	if (now_s >= START_S && now_s < END_S)
		r->carrier.octets_ppm += (octets + n * r->overhead) * r->rule->weight_ppm[d];
}

/* So many of `n` packets are lost, in bursts, that the share is loss_ppm in the long run. */
static uint32_t lost_of(struct run *r, enum direction d, uint32_t n)
{
	uint32_t burst = 1 + rng_below(&r->rng, LOSS_MAX);
	uint32_t chance_ppm = n * r->loss_ppm[d] * 2 / (1 + LOSS_MAX);

	if (rng_below(&r->rng, ALL_PPM) >= chance_ppm)
		return 0;
	return burst < n ? burst : n;
}

/* One burst of packets of a size, seen from both ends. */
static void exchange(struct run *r, int64_t now_s)
{
	enum direction d = rng_below(&r->rng, 5) < 2 ? UPLINK : DOWNLINK;
	uint32_t n = 20 + rng_below(&r->rng, 80);
	const struct sizes *s = &r->traffic->sizes[d];
	uint32_t size = s->least + rng_below(&r->rng, s->most - s->least);
	uint32_t lost = lost_of(r, d, n);
	uint32_t counted = d == UPLINK ? n - lost : n;
	uint32_t seen = d == UPLINK ? n : n - lost;

	carrier_advance(r, now_s);
	carrier_count(r, d, now_s, (uint64_t)counted * size, counted);
	bill_advance(&r->bill, r->rule, now_s);
	if (r->rule->per == BILL_PER_DAY && r->bill.cut_s == INT64_MAX)
		bill_expect_day(&r->bill, r->rule, (now_s / DAY_S + 1) * DAY_S);
	if (!r->is_over && r->bill.cycle.start_s == START_S
		&& now_s >= END_S + bill_slack_s(r->rule)) {
		r->seen = bill_at(&r->bill, r->rule);
		r->is_over = true;
	}
	if (r->bill.cycle.start_s < START_S && now_s >= START_S + bill_slack_s(r->rule))
		bill_next(&r->bill, r->rule, (struct bill_span){START_S, END_S});
	bill_add(&r->bill, d, (uint64_t)seen * size, seen);
}

/* The modem's sessions end now and then; weir is told of some. */
static void reconnect(struct run *r, int64_t now_s)
{
	if (r->rule->per != BILL_PER_SESSION || rng_below(&r->rng, 200) > 0)
		return;
	carrier_advance(r, now_s);
	carrier_close(r);
	r->session_s = now_s + r->skew_s;
	if (rng_below(&r->rng, 2) == 0)
		bill_new_session(&r->bill, r->rule, now_s);
}

static void run_cycle(
	struct run *r, const struct bill_rule *rule, const struct traffic *traffic, uint64_t seed)
{
	int64_t now_s = START_S - 1800;
	uint32_t mean_gap_s = (N_DAYS * DAY_S) / N_BURSTS;

	memset(r, 0, sizeof(*r));
	rng_init(&r->rng, seed);
	r->rule = rule;
	r->traffic = traffic;
	r->skew_s = (int64_t)rng_below(&r->rng, 101) - 50;
	r->session_s = now_s + r->skew_s;
	r->unit_day = (now_s + r->skew_s) / DAY_S;
	r->loss_ppm[UPLINK] =
		rng_below(&r->rng, rule->lost_uplink_ppm * traffic->loss_of_assumed / 100);
	r->loss_ppm[DOWNLINK] =
		rng_below(&r->rng, rule->unseen_downlink_ppm * traffic->loss_of_assumed / 100);
	r->overhead = (uint16_t)(rule->overhead_low[UPLINK]
				 + rng_below(&r->rng, 1u + rule->overhead_high[UPLINK]
							      - rule->overhead_low[UPLINK]));
	bill_init(&r->bill, rule, (struct bill_span){0, START_S}, now_s);
	while (!r->is_over) {
		exchange(r, now_s);
		reconnect(r, now_s);
		now_s += rng_below(&r->rng, 2 * mean_gap_s);
	}
	carrier_close(r);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool is_inside(const struct run *r)
{
	return r->seen.low_octets <= r->carrier.rounded
	       && r->carrier.rounded <= r->seen.high_octets;
}

/* Runs all carriers in turn; how many bills were inside, and the median width in parts a million. */
static uint32_t judge(const struct traffic *traffic, uint32_t n_runs, uint32_t *ret_median_ppm)
{
	static uint32_t width_ppm[N_CARRIERS + 1][N_RUNS];
	uint32_t n_of[N_CARRIERS + 1] = {0};
	uint32_t n_inside = 0;

	for (uint32_t i = 0; i < n_runs; i++) {
		size_t carrier = i % N_CARRIERS;
		struct bill_rule rule = rule_of(carrier);
		struct run r;
		uint32_t width;

		run_cycle(&r, &rule, traffic, i + 1);
		cr_expect(is_inside(&r), "run %u, %s: %llu is not in %llu to %llu", i,
			carriers[carrier].name, (unsigned long long)r.carrier.rounded,
			(unsigned long long)r.seen.low_octets,
			(unsigned long long)r.seen.high_octets);
		n_inside += is_inside(&r);
		width = (uint32_t)((r.seen.high_octets - r.seen.low_octets) * ALL_PPM
				   / r.carrier.rounded);
		width_ppm[carrier][n_of[carrier]++] = width;
		width_ppm[N_CARRIERS][n_of[N_CARRIERS]++] = width;
	}
	for (size_t i = 0; i <= N_CARRIERS; i++) {
		qsort(width_ppm[i], n_of[i], sizeof(width_ppm[i][0]), by_size);
		printf("%s, %-10s width ppm: median %u, greatest %u\n", traffic->name,
			i == N_CARRIERS ? "all" : carriers[i].name, width_ppm[i][n_of[i] / 2],
			width_ppm[i][n_of[i] - 1]);
	}
	printf("%s: %u of %u inside\n", traffic->name, n_inside, n_runs);
	*ret_median_ppm = width_ppm[N_CARRIERS][n_runs / 2];
	return n_inside;
}

Test(budget_bill_carrier, the_carriers_bill_lies_in_the_interval_in_every_run, .timeout = 110)
{
	static const struct traffic site = {"site", {{40, 440}, {700, 1430}}, 50};
	uint32_t median_ppm;

	cr_expect_eq(judge(&site, N_RUNS, &median_ppm), N_RUNS);
	cr_expect_leq(median_ppm, ALL_PPM / 100, "the median is above 1 %%");
}

/* What a carrier leaves open about each packet weighs most where packets are small. */
Test(budget_bill_carrier, sensors_bills_lie_in_it_too, .timeout = 110)
{
	static const struct traffic sensors = {"sensors", {{40, 160}, {40, 120}}, 50};
	uint32_t median_ppm;

	cr_expect_eq(judge(&sensors, 200, &median_ppm), 200);
	cr_expect_leq(median_ppm, ALL_PPM / 50);
}

/* Else the tests above could not fail. */
Test(budget_bill_carrier, more_loss_than_was_assumed_takes_bills_out_of_it)
{
	static const struct traffic lossy = {"lossy", {{40, 440}, {700, 1430}}, 400};
	struct bill_rule rule = rule_of(0);
	uint32_t n_outside = 0;

	for (uint32_t i = 0; i < 20; i++) {
		struct run r;

		run_cycle(&r, &rule, &lossy, i + 1);
		n_outside += !is_inside(&r);
	}
	cr_expect_geq(n_outside, 5, "%u of 20", n_outside);
}
