/* SPDX-License-Identifier: BSD-3-Clause */
/* Controllers of the rate in virtual time, over links made with fixed seeds: the same figures on every machine. */
#include "cellink_profile.h"
#include "sim.h"

#include <weir/base/clock.h>

#include <criterion/criterion.h>
#include <stdlib.h>

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
