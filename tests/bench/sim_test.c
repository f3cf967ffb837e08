/* SPDX-License-Identifier: BSD-3-Clause */
/* Controllers of the rate in virtual time, over links made with fixed seeds: the same figures on every machine. */
#include "cellink_profile.h"
#include "sim.h"

#include <weir/base/clock.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MS(n) ((n)*NS_PER_MS)
#define P95   950000

struct bench {
	struct sim_params params;
	struct capacity *capacity[N_DIRECTIONS];
	struct sim_result result;
};

static struct bench *bench_create(const char *profile_name, uint64_t seconds)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct profile *profile = malloc(sizeof(*profile));
	char why[WHY_MAX];

	cr_assert_not_null(b);
	cr_assert_not_null(profile);
	profile_init(profile);
	cr_assert_eq(profile_load(profile, profile_name, CELLINK_PROFILES, why), 0, "%s", why);
	b->params = (struct sim_params){.duration_us = seconds * US_PER_S, .seed = 7};
	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct profile_direction *p = &profile->direction[d];

		b->params.delay_us[d] = (uint32_t)(p->delay_ns / NS_PER_US);
		b->params.jitter_us[d] = (uint32_t)(p->jitter_ns / NS_PER_US);
		b->params.buffer_octets[d] = (uint32_t)p->buffer_octets;
		cr_assert_eq(
			profile_capacity(profile, (enum direction)d, 7, why, &b->capacity[d]), 0);
		b->params.capacity[d] = b->capacity[d];
	}
	free(profile);
	return b;
}

static void bench_destroy(struct bench *b)
{
	for (int d = 0; d < N_DIRECTIONS; d++)
		capacity_destroy(b->capacity[d]);
	free(b);
}

static void add(struct bench *b, enum sim_sender_kind kind, enum direction d, uint64_t rate_bps)
{
	b->params.flows[b->params.n_flows++] = (struct sim_flow_params){
		.kind = kind, .direction = d, .rate_bps = rate_bps, .has_timestamps = true};
}

/* Two transfers and a call in the directions that are asked for; a call in the other. */
static void load(struct bench *b, bool up, bool down)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		add(b, SIM_VOICE, (enum direction)d, 0);
		if (d == UPLINK ? !up : !down)
			continue;
		add(b, SIM_CUBIC, (enum direction)d, 0);
		add(b, SIM_CUBIC, (enum direction)d, 0);
	}
}

static void run(struct bench *b, enum sim_controller controller)
{
	b->params.controller = controller;
	cr_assert_eq(sim_run(&b->params, &b->result), 0);
}

static uint64_t share(const struct bench *b, enum direction d)
{
	const struct sim_figures *f = &b->result.direction[d];

	return f->delivered_octets * 100 / f->capacity_octets;
}

static uint64_t bulk_ms(const struct bench *b, enum direction d)
{
	return histogram_percentile(&b->result.direction[d].bulk, P95) / NS_PER_MS;
}

static uint64_t sparse_ms(const struct bench *b, enum direction d)
{
	return histogram_percentile(&b->result.direction[d].sparse, P95) / NS_PER_MS;
}

Test(bench_sim, a_deep_buffer_makes_a_call_wait_for_a_second_and_weir_does_not)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct bench *b = bench_create("lte-driving", 60);

		load(b, d == UPLINK, d == DOWNLINK);
		run(b, SIM_UNSHAPED);
		cr_assert_geq(sparse_ms(b, (enum direction)d), 1000);
		run(b, SIM_WEIR);
		cr_assert_geq(share(b, (enum direction)d), 50, "%d: %llu %%", d,
			(unsigned long long)share(b, (enum direction)d));
		cr_assert_leq(sparse_ms(b, (enum direction)d), 250, "%d: %llu ms", d,
			(unsigned long long)sparse_ms(b, (enum direction)d));
		cr_assert_leq(bulk_ms(b, (enum direction)d), 250, "%d: %llu ms", d,
			(unsigned long long)bulk_ms(b, (enum direction)d));
		bench_destroy(b);
	}
}

Test(bench_sim, a_steady_link_is_full_and_its_queue_short_in_both_directions_at_once)
{
	static const char *const profiles[] = {"lte-good", "5g-low-band"};

	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		struct bench *b = bench_create(profiles[i], 60);

		load(b, true, true);
		run(b, SIM_WEIR);
		for (int d = 0; d < N_DIRECTIONS; d++) {
			cr_assert_geq(share(b, (enum direction)d), 70, "%s %d: %llu %%",
				profiles[i], d, (unsigned long long)share(b, (enum direction)d));
			cr_assert_leq(sparse_ms(b, (enum direction)d), 70, "%s %d: %llu ms",
				profiles[i], d,
				(unsigned long long)sparse_ms(b, (enum direction)d));
			cr_assert_leq(bulk_ms(b, (enum direction)d), 150, "%s %d: %llu ms",
				profiles[i], d, (unsigned long long)bulk_ms(b, (enum direction)d));
		}
		bench_destroy(b);
	}
}

Test(bench_sim, is_never_behind_active_probes_in_both_figures_and_sends_none)
{
	static const char *const profiles[] = {"lte-driving", "lte-good", "5g-low-band", "hspa"};

	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		struct bench *b = bench_create(profiles[i], 60);
		uint64_t shares[N_DIRECTIONS], delays[N_DIRECTIONS];

		load(b, true, true);
		run(b, SIM_AUTORATE);
		cr_assert_gt(b->result.direction[UPLINK].probe_octets, 0);
		for (int d = 0; d < N_DIRECTIONS; d++) {
			shares[d] = share(b, (enum direction)d);
			delays[d] = sparse_ms(b, (enum direction)d);
		}
		run(b, SIM_WEIR);
		for (int d = 0; d < N_DIRECTIONS; d++) {
			cr_assert(share(b, (enum direction)d) >= shares[d]
					  || sparse_ms(b, (enum direction)d) <= delays[d],
				"%s, direction %d: %llu %%, %llu ms", profiles[i], d,
				(unsigned long long)share(b, (enum direction)d),
				(unsigned long long)sparse_ms(b, (enum direction)d));
			cr_assert_eq(b->result.direction[d].probe_octets, 0);
		}
		bench_destroy(b);
	}
}

Test(bench_sim, a_longer_way_costs_seconds_and_no_more)
{
	struct bench *b = bench_create("lte-good", 60);

	load(b, true, false);
	b->params.route_us = 20 * US_PER_S;
	b->params.route_shift_us = 60000;
	run(b, SIM_WEIR);
	cr_assert_geq(share(b, UPLINK), 70, "%llu %%", (unsigned long long)share(b, UPLINK));
	cr_assert_leq(sparse_ms(b, UPLINK), 80);
	bench_destroy(b);
}

Test(bench_sim, a_radio_that_falls_idle_is_not_taken_for_a_slow_one)
{
	struct bench *b = bench_create("lte-good", 60);

	b->params.idle_us = 5 * US_PER_S;
	b->params.promotion_us = 300000;
	for (uint64_t i = 0; i < 4; i++) {
		add(b, SIM_CUBIC, DOWNLINK, 0);
		b->params.flows[i].start_us = i * 15 * US_PER_S;
		b->params.flows[i].stop_us = (i * 15 + 5) * US_PER_S;
	}
	run(b, SIM_WEIR);
	cr_assert_geq(share(b, DOWNLINK), 18, "of the third of the time that is asked for: %llu %%",
		(unsigned long long)share(b, DOWNLINK));
	bench_destroy(b);
}

Test(bench_sim, datagrams_that_nobody_answers_are_not_held_back)
{
	struct bench *b = bench_create("lte-good", 30);
	const struct sim_figures *f = &b->result.direction[UPLINK];

	add(b, SIM_UDP, UPLINK, 8000000);
	add(b, SIM_UDP, DOWNLINK, 20000000);
	run(b, SIM_WEIR);
	cr_assert_geq(f->delivered_octets, (uint64_t)8000000 / 8 * 28);
	cr_assert_geq(b->result.direction[DOWNLINK].delivered_octets, (uint64_t)20000000 / 8 * 27);
	bench_destroy(b);
}

/* --- made links: what holds on each of them --- */

#define STEPS_MAX 4
#define LASTING_S 40
#define SLACK_MS  30 /* what a delay may be longer by where it is short without a shaper too */
#define P80       800000

struct bounds {
	uint64_t share;      /* of the capacity, percent, at least */
	uint64_t bulk_ms;    /* p95, at most */
	uint64_t call_ms;    /* p95, at most */
	uint64_t settled_ms; /* what four of five packets of the call do not exceed */
};

struct claim {
	const char *what;
	struct rate_step steps[STEPS_MAX]; /* of the downlink; the uplink carries a quarter */
	uint32_t n_steps;
	enum sim_sender_kind kind;
	uint32_t n_flows; /* each loaded way */
	uint64_t rate_bps;
	int32_t route_shift_us; /* half way through */
	bool up, down;
	struct bounds bounds[N_DIRECTIONS];
};

#define S(n)    ((n)*NS_PER_S)
#define MBIT(n) ((n)*UINT64_C(1000000))

/* clang-format off */
#define STEADY       .n_steps = 1, .steps = {{0, MBIT(24)}}
#define TEN_TIMES    .n_steps = 4, .steps = {{0, MBIT(40)}, {S(10), MBIT(4)}, {S(20), MBIT(40)}, {S(30), MBIT(4)}}
#define GONE_FOR_5_S .n_steps = 3, .steps = {{0, MBIT(24)}, {S(15), 0}, {S(20), MBIT(24)}}
#define UP           .up = true
#define DOWN         .down = true
#define IDLE         {0, 10, 10, 10}

/* Outages are in the call's p95: nobody sends through them. */
static const struct claim claims[] = {
	{"nothing but a call", STEADY, .bounds = {IDLE, IDLE}},
	{"one flow up", STEADY, .n_flows = 1, UP, .bounds = {{90, 120, 50, 45}, IDLE}},
	{"one flow down", STEADY, .n_flows = 1, DOWN, .bounds = {IDLE, {90, 80, 40, 35}}},
	{"four up", STEADY, .n_flows = 4, UP, .bounds = {{90, 140, 50, 45}, IDLE}},
	{"four down", STEADY, .n_flows = 4, DOWN, .bounds = {IDLE, {90, 80, 40, 35}}},
	{"four each way", STEADY, .n_flows = 4, UP, DOWN, .bounds = {{90, 150, 75, 60}, {90, 90, 50, 40}}},
	{"BBR up", STEADY, .kind = SIM_BBR, .n_flows = 1, UP, .bounds = {{90, 95, 50, 45}, IDLE}},
	{"BBR down", STEADY, .kind = SIM_BBR, .n_flows = 1, DOWN, .bounds = {IDLE, {90, 115, 55, 40}}},
	{"datagrams that fit", STEADY, .kind = SIM_UDP, .n_flows = 1, .rate_bps = MBIT(5), UP, DOWN,
		.bounds = {{80, 10, 10, 10}, {20, 10, 10, 10}}},
	{"ten times less and more, up", TEN_TIMES, .n_flows = 2, UP, .bounds = {{85, 420, 750, 140}, IDLE}},
	{"ten times less and more, down", TEN_TIMES, .n_flows = 2, DOWN, .bounds = {IDLE, {70, 220, 750, 170}}},
	{"ten times less and more, both", TEN_TIMES, .n_flows = 2, UP, DOWN,
		.bounds = {{85, 450, 750, 170}, {65, 420, 1000, 320}}},
	{"an outage, up", GONE_FOR_5_S, .n_flows = 2, UP, .bounds = {{90, 250, 3500, 60}, {0, 10, 3500, 10}}},
	{"an outage, down", GONE_FOR_5_S, .n_flows = 2, DOWN, .bounds = {{0, 10, 3500, 10}, {90, 90, 3500, 45}}},
	{"an outage, both", GONE_FOR_5_S, .n_flows = 2, UP, DOWN,
		.bounds = {{90, 200, 3500, 90}, {90, 100, 3500, 50}}},
	{"a longer way, up", STEADY, .n_flows = 2, .route_shift_us = 60000, UP, .bounds = {{68, 140, 50, 45}, IDLE}},
	{"a longer way, down", STEADY, .n_flows = 2, .route_shift_us = 60000, DOWN, .bounds = {IDLE, {70, 85, 45, 40}}},
	{"a shorter way, both", STEADY, .n_flows = 2, .route_shift_us = -20000, UP, DOWN,
		.bounds = {{90, 160, 85, 70}, {90, 95, 60, 45}}},
};
/* clang-format on */

static struct bench *bench_of(const struct claim *c)
{
	struct bench *b = calloc(1, sizeof(*b));

	cr_assert_not_null(b);
	b->params = (struct sim_params){.buffer_octets = {1000000, 2000000},
		.delay_us = {25000, 25000},
		.jitter_us = {2000, 2000},
		.route_us = c->route_shift_us == 0 ? 0 : LASTING_S / 2 * US_PER_S,
		.route_shift_us = c->route_shift_us,
		.duration_us = LASTING_S * US_PER_S,
		.seed = 7};
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct rate_step steps[STEPS_MAX];

		memcpy(steps, c->steps, sizeof(steps));
		for (uint32_t i = 0; i < c->n_steps && d == UPLINK; i++)
			steps[i].rate_bps /= 4;
		cr_assert_eq(
			capacity_from_steps(steps, c->n_steps, TIME_NEVER, false, &b->capacity[d]),
			0);
		b->params.capacity[d] = b->capacity[d];
		add(b, SIM_VOICE, (enum direction)d, 0);
		for (uint32_t i = 0; i < c->n_flows && (d == UPLINK ? c->up : c->down); i++)
			add(b, c->kind, (enum direction)d, c->rate_bps);
	}
	return b;
}

struct figures {
	uint64_t share, bulk_ms, call_ms, settled_ms;
};

static struct figures figures_of(const struct bench *b, enum direction d)
{
	return (struct figures){.share = share(b, d),
		.bulk_ms = bulk_ms(b, d),
		.call_ms = sparse_ms(b, d),
		.settled_ms =
			histogram_percentile(&b->result.direction[d].sparse, P80) / NS_PER_MS};
}

/* Beside what it is without a shaper; histograms tell delays apart by 1/64. */
static bool is_no_worse(uint64_t ms, uint64_t unshaped_ms)
{
	return ms <= unshaped_ms + unshaped_ms / 32 + SLACK_MS;
}

static bool is_within(
	const struct figures *f, const struct figures *unshaped, const struct bounds *b)
{
	return f->share >= b->share && f->bulk_ms <= b->bulk_ms && f->call_ms <= b->call_ms
	       && f->settled_ms <= b->settled_ms && is_no_worse(f->bulk_ms, unshaped->bulk_ms)
	       && is_no_worse(f->call_ms, unshaped->call_ms);
}

Test(bench_sim, uses_the_link_and_keeps_its_queue_short_whatever_passes_and_whatever_happens)
{
	for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++) {
		struct bench *b = bench_of(&claims[i]);
		struct figures unshaped[N_DIRECTIONS];

		run(b, SIM_UNSHAPED);
		for (int d = 0; d < N_DIRECTIONS; d++)
			unshaped[d] = figures_of(b, (enum direction)d);
		run(b, SIM_WEIR);
		for (int d = 0; d < N_DIRECTIONS; d++) {
			struct figures f = figures_of(b, (enum direction)d);

			cr_expect(is_within(&f, &unshaped[d], &claims[i].bounds[d]),
				"%s, direction %d: %llu %%, bulk %llu ms (unshaped %llu), call "
				"%llu ms "
				"(%llu), most of it %llu ms",
				claims[i].what, d, (unsigned long long)f.share,
				(unsigned long long)f.bulk_ms,
				(unsigned long long)unshaped[d].bulk_ms,
				(unsigned long long)f.call_ms,
				(unsigned long long)unshaped[d].call_ms,
				(unsigned long long)f.settled_ms);
		}
		bench_destroy(b);
	}
}

Test(bench_sim, gives_the_same_figures_each_time)
{
	struct bench *b = bench_create("lte-driving", 20);
	struct sim_result *first = calloc(1, sizeof(*first));

	cr_assert_not_null(first);
	load(b, true, true);
	run(b, SIM_WEIR);
	*first = b->result;
	run(b, SIM_WEIR);
	cr_assert_eq(memcmp(first, &b->result, sizeof(*first)), 0);
	free(first);
	bench_destroy(b);
}
