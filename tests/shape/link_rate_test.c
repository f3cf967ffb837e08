/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/shape/link_rate.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define TICK_US   10000
#define BASE_US   50000
#define MBPS(n)   ((uint64_t)(n)*1000000)
#define N_ANSWERS 1024

struct answer {
	uint64_t mark;   /* of the uplink: it has crossed when so many octets have */
	uint64_t due_us; /* 0: has not crossed yet */
	struct link_rate_sample sample;
};

/* A radio of which everything is known: two fluid queues, and answers that come as late as these make them. */
struct world {
	struct link_rate link;
	uint64_t now_us;
	uint64_t capacity_bps[N_DIRECTIONS];
	uint64_t demand_bps[N_DIRECTIONS];
	uint64_t queue[N_DIRECTIONS];
	uint64_t most_queue_us[N_DIRECTIONS]; /* since it was last cleared */
	uint64_t edge[N_DIRECTIONS];
	uint64_t crossed[N_DIRECTIONS];
	uint64_t base_us;
	bool has_answers, has_remote, is_down;
	uint64_t asked_bps[BASE_US / TICK_US
			   + 32]; /* the downlink's rate, as it reaches senders later */
	struct answer answers[N_ANSWERS];
	uint32_t first, n;
};

static struct world *world_create(uint64_t up_bps, uint64_t down_bps)
{
	struct world *w = calloc(1, sizeof(*w));
	struct link_rate_params params = {.min_bps = {16000, 16000},
		.max_bps = {MBPS(1000), MBPS(1000)},
		.start_bps = {MBPS(2), MBPS(2)}};

	cr_assert_not_null(w);
	link_rate_init(&w->link, &params);
	w->now_us = 1000000;
	w->capacity_bps[UPLINK] = up_bps;
	w->capacity_bps[DOWNLINK] = down_bps;
	w->demand_bps[UPLINK] = MBPS(1000);
	w->demand_bps[DOWNLINK] = MBPS(1000);
	w->base_us = BASE_US;
	w->has_answers = true;
	w->has_remote = true;
	return w;
}

static uint64_t rate_of(const struct world *w, enum direction d)
{
	return link_rate_advice(&w->link, d).rate_bps;
}

/* What the radio's queue makes a packet wait, when it stays as fast as it is. */
static uint64_t wait_us(const struct world *w, enum direction d)
{
	return w->capacity_bps[d] == 0 ? 10 * US_PER_S
				       : w->queue[d] * 8 * US_PER_S / w->capacity_bps[d];
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void enter(struct world *w, enum direction d, uint64_t rate_bps)
{
	w->queue[d] += least(rate_bps, w->demand_bps[d]) / 8 * TICK_US / US_PER_S;
	w->queue[d] = least(w->queue[d], 2000000);
}

static uint64_t serve(struct world *w, enum direction d)
{
	uint64_t served = least(w->queue[d], w->capacity_bps[d] / 8 * TICK_US / US_PER_S);

	w->queue[d] -= served;
	w->crossed[d] += served;
	return served;
}

/* A packet that leaves now asks a question. */
static void ask(struct world *w)
{
	struct answer *a = &w->answers[(w->first + w->n) % N_ANSWERS];

	if (!w->has_answers || w->n == N_ANSWERS || w->demand_bps[UPLINK] == 0)
		return;
	*a = (struct answer){.mark = w->crossed[UPLINK] + w->queue[UPLINK],
		.sample = {.sent_us = w->now_us,
			.path = 1,
			.has_remote = w->has_remote,
			.source = LINK_RATE_TCP_SEQUENCE}};
	w->n++;
}

/* Those that have crossed are answered when they have been far away and back. */
static void cross(struct world *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		struct answer *a = &w->answers[(w->first + i) % N_ANSWERS];

		if (a->mark > w->crossed[UPLINK])
			return;
		if (a->due_us != 0)
			continue;
		a->due_us = w->now_us + w->base_us + wait_us(w, DOWNLINK);
		a->sample.now_us = a->due_us;
		a->sample.remote_us = (uint32_t)(w->now_us + w->base_us / 2 + 77777);
	}
}

static void answer(struct world *w)
{
	while (w->n > 0 && w->answers[w->first].due_us != 0
		&& w->answers[w->first].due_us <= w->now_us) {
		link_rate_sample(&w->link, &w->answers[w->first].sample);
		w->first = (w->first + 1) % N_ANSWERS;
		w->n--;
	}
}

/* The remote's clock in each packet that comes. */
static void hear(struct world *w, uint64_t came, uint64_t waited_us)
{
	struct link_rate_sample s = {.now_us = w->now_us,
		.path = 2,
		.remote_us = (uint32_t)(w->now_us - w->base_us / 2 - waited_us),
		.has_remote = true,
		.source = LINK_RATE_TCP_TIMESTAMP};

	if (came > 0 && w->has_answers && w->has_remote)
		link_rate_sample(&w->link, &s);
}

static void step(struct world *w)
{
	uint32_t slots = (uint32_t)(w->base_us / TICK_US);
	struct link_rate_tick t;
	uint64_t came, waited_us;

	answer(w);
	ask(w);
	w->edge[UPLINK] +=
		least(rate_of(w, UPLINK), w->demand_bps[UPLINK]) / 8 * TICK_US / US_PER_S;
	enter(w, UPLINK, rate_of(w, UPLINK));
	(void)serve(w, UPLINK);
	cross(w);
	enter(w, DOWNLINK, w->asked_bps[w->now_us / TICK_US % slots]);
	w->asked_bps[w->now_us / TICK_US % slots] = rate_of(w, DOWNLINK);
	waited_us = wait_us(w, DOWNLINK);
	came = serve(w, DOWNLINK);
	hear(w, came, waited_us);
	w->edge[DOWNLINK] += came;
	for (int d = 0; d < N_DIRECTIONS; d++)
		if (w->capacity_bps[d] != 0 && wait_us(w, (enum direction)d) > w->most_queue_us[d])
			w->most_queue_us[d] = wait_us(w, (enum direction)d);
	w->now_us += TICK_US;
	t = (struct link_rate_tick){.now_us = w->now_us,
		.octets = {w->edge[UPLINK], w->edge[DOWNLINK]},
		.is_backlogged = {w->demand_bps[UPLINK] > rate_of(w, UPLINK),
			w->demand_bps[DOWNLINK] > rate_of(w, DOWNLINK)},
		.is_up = !w->is_down,
		.waiting_us = w->n == 0 ? 0 : w->answers[w->first].sample.sent_us};
	link_rate_tick(&w->link, &t);
}

static void run_ms(struct world *w, uint64_t ms)
{
	w->most_queue_us[UPLINK] = 0;
	w->most_queue_us[DOWNLINK] = 0;
	for (uint64_t i = 0; i < ms * US_PER_MS / TICK_US; i++)
		step(w);
}

/* What crosses in so many milliseconds, as a share of what could, in percent. */
static uint64_t share_of(struct world *w, enum direction d, uint64_t ms)
{
	uint64_t before = w->edge[d];

	run_ms(w, ms);
	return (w->edge[d] - before) * 8 * 100000 / (w->capacity_bps[d] * ms);
}

/* Ten seconds of data that come 400 ms later than the first packet did, at 4 Mbit/s. */
static int64_t queue_behind_a_late_start(bool is_recalled)
{
	struct link_rate_params params = {.min_bps = {8000, 8000},
		.max_bps = {100000000, 100000000},
		.start_bps = {1000000, 5000000}};
	struct link_rate_sample s = {.path = 1, .has_remote = true};
	struct link_rate_tick t = {.is_up = true};
	struct link_rate l;

	link_rate_init(&l, &params);
	for (uint64_t ms = 500; ms < 10000; ms += 10) {
		s.now_us = ms * US_PER_MS;
		s.remote_us = (uint32_t)((ms - 400) * US_PER_MS);
		if (ms == 500 && is_recalled) {
			struct link_rate_sample first = {.now_us = 50 * US_PER_MS,
				.path = 1,
				.remote_us = 50000,
				.has_remote = true};

			link_rate_recall(&l, &first);
		}
		link_rate_sample(&l, &s);
		t.now_us = s.now_us + 1;
		t.octets[DOWNLINK] += 5000;
		link_rate_tick(&l, &t);
	}
	return l.way[DOWNLINK].queue_us;
}

Test(shape_link_rate, a_queue_that_a_flow_made_before_its_clock_was_understood_is_no_base)
{
	cr_assert_eq(queue_behind_a_late_start(true), 400 * (int64_t)US_PER_MS);
	cr_assert_eq(queue_behind_a_late_start(false), 0, "there is nothing to compare with");
}

Test(shape_link_rate, finds_what_a_steady_radio_carries_and_leaves_little_waiting)
{
	static const struct {
		uint64_t up_bps, down_bps;
	} rows[] = {{MBPS(10), MBPS(40)}, {MBPS(1), MBPS(2)}, {MBPS(50), MBPS(5)},
		{MBPS(80), MBPS(600)}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_create(rows[i].up_bps, rows[i].down_bps);

		run_ms(w, 10000);
		for (int d = 0; d < N_DIRECTIONS; d++) {
			uint64_t share = share_of(w, (enum direction)d, 5000);

			cr_assert_geq(share, 90, "row %zu, direction %d: %llu %%", i, d,
				(unsigned long long)share);
			cr_assert_leq(w->most_queue_us[d], 90000, "row %zu, direction %d: %llu", i,
				d, (unsigned long long)w->most_queue_us[d]);
		}
		free(w);
	}
}

Test(shape_link_rate, a_radio_that_slows_down_is_followed_within_a_second_or_two)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct world *w = world_create(MBPS(10), MBPS(20));

		run_ms(w, 10000);
		w->capacity_bps[d] /= 5;
		run_ms(w, 2000);
		cr_assert_leq(rate_of(w, (enum direction)d), w->capacity_bps[d] * 16 / 10);
		cr_assert_leq(wait_us(w, (enum direction)d), 150000, "%d: %llu", d,
			(unsigned long long)wait_us(w, (enum direction)d));
		cr_assert_geq(share_of(w, (enum direction)d, 3000), 85);
		free(w);
	}
}

Test(shape_link_rate, both_directions_may_slow_down_at_once)
{
	struct world *w = world_create(MBPS(10), MBPS(20));

	run_ms(w, 10000);
	w->capacity_bps[UPLINK] /= 5;
	w->capacity_bps[DOWNLINK] /= 5;
	run_ms(w, 4000);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		cr_assert_leq(wait_us(w, (enum direction)d), 150000, "%d: %llu", d,
			(unsigned long long)wait_us(w, (enum direction)d));
		cr_assert_geq(share_of(w, (enum direction)d, 3000), 85);
	}
	free(w);
}

Test(shape_link_rate, a_radio_that_speeds_up_is_followed_within_seconds)
{
	struct world *w = world_create(MBPS(2), MBPS(4));

	run_ms(w, 10000);
	w->capacity_bps[UPLINK] = MBPS(10);
	w->capacity_bps[DOWNLINK] = MBPS(20);
	run_ms(w, 2000);
	cr_assert_geq(rate_of(w, UPLINK), MBPS(8));
	cr_assert_geq(rate_of(w, DOWNLINK), MBPS(16));
	free(w);
}

Test(shape_link_rate, an_outage_fills_no_buffer_and_is_over_when_it_is_over)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	uint64_t before;

	run_ms(w, 10000);
	before = w->queue[UPLINK];
	w->capacity_bps[UPLINK] = 0;
	w->capacity_bps[DOWNLINK] = 0;
	run_ms(w, 3000);
	cr_assert_leq(w->queue[UPLINK], before + 10000000 / 8 / 4, "%llu octets were sent into it",
		(unsigned long long)w->queue[UPLINK]);
	w->capacity_bps[UPLINK] = MBPS(10);
	w->capacity_bps[DOWNLINK] = MBPS(20);
	run_ms(w, 3000);
	cr_assert_geq(share_of(w, UPLINK, 2000), 85);
	cr_assert_geq(share_of(w, DOWNLINK, 2000), 85);
	free(w);
}

Test(shape_link_rate, a_link_that_was_down_begins_with_the_rate_it_had)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	uint64_t before;

	run_ms(w, 10000);
	before = rate_of(w, UPLINK);
	w->is_down = true;
	run_ms(w, 5000);
	cr_assert_eq(rate_of(w, UPLINK), before, "nothing is learned while it is down");
	w->is_down = false;
	w->queue[UPLINK] = 0;
	w->queue[DOWNLINK] = 0;
	w->base_us = 100000; /* another cell, another way */
	run_ms(w, 5000);
	cr_assert_geq(share_of(w, UPLINK, 2000), 85);
	free(w);
}

Test(shape_link_rate, a_way_that_becomes_longer_is_not_taken_for_a_queue_for_long)
{
	struct world *w = world_create(MBPS(10), MBPS(20));

	run_ms(w, 10000);
	w->base_us = 130000;
	run_ms(w, 12000);
	cr_assert_geq(share_of(w, UPLINK, 3000), 80);
	cr_assert_geq(share_of(w, DOWNLINK, 3000), 80);
	w->base_us = BASE_US;
	run_ms(w, 3000);
	cr_assert_geq(share_of(w, UPLINK, 3000), 85, "and a shorter one is seen at once");
	free(w);
}

Test(shape_link_rate, without_traffic_rates_stay)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	uint64_t before[N_DIRECTIONS];

	run_ms(w, 10000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		w->demand_bps[d] = 0;
	run_ms(w, 2000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		before[d] = rate_of(w, (enum direction)d);
	run_ms(w, 60000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		cr_assert_geq(rate_of(w, (enum direction)d), before[d] * 9 / 10);
	free(w);
}

Test(shape_link_rate, what_wakes_the_radio_from_idle_is_late_and_proves_no_queue)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	struct link_rate_sample late = {.path = 1, .source = LINK_RATE_TCP_TIMESTAMP};
	uint64_t before;

	w->has_remote = false;
	run_ms(w, 10000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		w->demand_bps[d] = 0;
	run_ms(w, 15000);
	before = rate_of(w, UPLINK);
	late.sent_us = w->now_us;
	w->edge[UPLINK] += 100;
	run_ms(w, 400);
	late.now_us = late.sent_us + 380000;
	link_rate_sample(&w->link, &late);
	run_ms(w, 20);
	cr_assert_geq(rate_of(w, UPLINK), before * 9 / 10, "%llu from %llu",
		(unsigned long long)rate_of(w, UPLINK), (unsigned long long)before);
	free(w);
}

Test(shape_link_rate, one_direction_alone_leaves_the_other_as_it_is)
{
	struct world *w = world_create(MBPS(10), MBPS(20));

	run_ms(w, 10000);
	w->demand_bps[DOWNLINK] = 0;
	run_ms(w, 5000);
	cr_assert_geq(share_of(w, UPLINK, 5000), 90);
	cr_assert_leq(w->most_queue_us[UPLINK], 90000);
	cr_assert_geq(rate_of(w, DOWNLINK), MBPS(10));
	free(w);
}

Test(shape_link_rate, without_any_answer_nobody_is_held_back_for_long)
{
	struct world *w = world_create(MBPS(30), MBPS(30));

	w->has_answers = false;
	w->demand_bps[UPLINK] = MBPS(8);
	w->demand_bps[DOWNLINK] = MBPS(8);
	run_ms(w, 3000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		cr_assert_geq(rate_of(w, (enum direction)d), MBPS(8));
	free(w);
}

Test(shape_link_rate, a_late_resolver_proves_no_queue_and_a_prompt_one_that_there_is_none)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	struct link_rate_sample s = {.path = 9, .source = LINK_RATE_DNS};

	run_ms(w, 1000);
	s.now_us = w->now_us;
	s.sent_us = w->now_us - 40000;
	link_rate_sample(&w->link, &s);
	s.sent_us = w->now_us - 400000;
	w->link.way[UPLINK].least_us = INT64_MAX;
	link_rate_sample(&w->link, &s);
	cr_assert_eq(w->link.way[UPLINK].least_us, INT64_MAX);
	s.sent_us = w->now_us - 41000;
	link_rate_sample(&w->link, &s);
	cr_assert_eq(w->link.way[UPLINK].least_us, 1000);
	free(w);
}

Test(shape_link_rate, rates_keep_within_their_bounds)
{
	struct world *w = world_create(MBPS(100), MBPS(100));
	struct link_rate_params narrow = {
		.min_bps = {MBPS(3), MBPS(3)}, .max_bps = {MBPS(5), MBPS(5)}};

	link_rate_set_params(&w->link, &narrow);
	run_ms(w, 5000);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		cr_assert_leq(rate_of(w, (enum direction)d), MBPS(5));
		cr_assert_geq(rate_of(w, (enum direction)d), MBPS(3));
	}
	free(w);
}

Test(shape_link_rate, a_technology_that_carries_less_slows_the_growth_of_what_has_no_evidence)
{
	struct world *told = world_create(MBPS(100), MBPS(100));
	struct world *not_told = world_create(MBPS(100), MBPS(100));

	told->has_answers = false;
	not_told->has_answers = false;
	link_rate_hint(&told->link, &(struct link_rate_hint){.technology = LINK_RATE_LTE_M});
	run_ms(told, 3000);
	run_ms(not_told, 3000);
	cr_assert_leq(rate_of(told, UPLINK), MBPS(4));
	cr_assert_geq(rate_of(not_told, UPLINK), MBPS(90));
	run_ms(told, 60000);
	cr_assert_geq(rate_of(told, UPLINK), MBPS(90), "it was wrong, and holds nobody for long");
	free(told);
	free(not_told);
}

Test(shape_link_rate, a_wrong_technology_takes_nothing_from_what_is_seen_to_be_carried)
{
	for (enum link_rate_technology t = LINK_RATE_2G; t < LINK_RATE_TECHNOLOGIES; t++) {
		struct world *w = world_create(MBPS(30), MBPS(60));

		link_rate_hint(&w->link, &(struct link_rate_hint){.technology = t});
		run_ms(w, 10000);
		cr_assert_geq(share_of(w, UPLINK, 3000), 85, "technology %d", (int)t);
		cr_assert_geq(share_of(w, DOWNLINK, 3000), 85, "technology %d", (int)t);
		free(w);
	}
}

/* Of the uplink's capacity in percent, in the second and a half from half a second after the way became longer. */
static uint64_t share_after_handover(bool is_told)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	uint64_t share;

	link_rate_hint(&w->link, &(struct link_rate_hint){.cell = 1});
	run_ms(w, 10000);
	w->base_us = 130000;
	if (is_told)
		link_rate_hint(&w->link, &(struct link_rate_hint){.cell = 2});
	run_ms(w, 700);
	share = share_of(w, UPLINK, 1500);
	free(w);
	return share;
}

Test(shape_link_rate, a_handover_that_is_told_is_over_sooner)
{
	uint64_t told = share_after_handover(true);
	uint64_t not_told = share_after_handover(false);

	cr_assert_geq(told, 90, "%d %%, and %d %% when it is not told", (int)told, (int)not_told);
	cr_assert_geq(told, not_told + 20, "%d %%, and %d %% when it is not told", (int)told,
		(int)not_told);
}

Test(shape_link_rate, a_modem_that_cannot_make_up_its_mind_costs_little)
{
	struct world *w = world_create(MBPS(10), MBPS(20));
	uint64_t carried[N_DIRECTIONS];

	run_ms(w, 10000);
	for (int d = 0; d < N_DIRECTIONS; d++)
		carried[d] = w->edge[d];
	for (int i = 0; i < 300; i++) {
		link_rate_hint(&w->link,
			&(struct link_rate_hint){.technology = i % 2 ? LINK_RATE_LTE : LINK_RATE_NR,
				.cell = (uint64_t)(1 + i % 3)});
		run_ms(w, 100);
		cr_assert_leq(w->most_queue_us[UPLINK], 200000);
	}
	cr_assert_geq((w->edge[UPLINK] - carried[UPLINK]) * 8, MBPS(10) * 30 * 85 / 100);
	cr_assert_geq((w->edge[DOWNLINK] - carried[DOWNLINK]) * 8, MBPS(20) * 30 * 85 / 100);
	free(w);
}

Test(shape_link_rate, what_makes_no_sense_is_left_out)
{
	struct world *w = world_create(MBPS(10), MBPS(10));
	static const struct link_rate_sample rows[] = {
		{.now_us = 5, .sent_us = 6, .source = LINK_RATE_DNS},          /* from the future */
		{.now_us = 5, .sent_us = 4, .source = LINK_RATE_SOURCES},      /* from nowhere */
		{.now_us = 5, .sent_us = 0, .source = LINK_RATE_TCP_SEQUENCE}, /* of nothing */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		link_rate_sample(&w->link, &rows[i]);
	link_rate_tick(&w->link, &(struct link_rate_tick){.is_up = true}); /* no time has passed */
	run_ms(w, 20000);
	cr_assert_geq(share_of(w, UPLINK, 3000), 85);
	free(w);
}

Test(shape_link_rate, the_same_calls_give_the_same_rates)
{
	struct world *w[2];
	uint64_t sum[2] = {0, 0};

	for (int i = 0; i < 2; i++) {
		w[i] = world_create(MBPS(7), MBPS(13));
		for (int n = 0; n < 500; n++) {
			w[i]->capacity_bps[n % 2] = MBPS(1 + n % 17);
			run_ms(w[i], 50);
			sum[i] = sum[i] * 31 + rate_of(w[i], UPLINK) + 7 * rate_of(w[i], DOWNLINK);
		}
		free(w[i]);
	}
	cr_assert_eq(sum[0], sum[1]);
}
