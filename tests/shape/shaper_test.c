/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/direction.h>
#include <weir/base/rng.h>
#include <weir/shape/shaper.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MBPS        1000000ull
#define SOURCES_MAX 256
#define DELAYS_MAX  100000

/* A packet of the simulation; the shaper sees its address. */
struct sim_packet {
	uint32_t source;
	uint32_t octets;
	uint32_t number;
	uint64_t made_us;
};

/* Sends one packet each `every_us`, or keeps `backlog` packets waiting. */
struct source {
	uint32_t flow_id;
	uint16_t device_id;
	uint8_t class_id;
	uint8_t flags;
	uint32_t octets;
	uint32_t backlog;
	uint64_t every_us;
	uint64_t from_us;
	/* what comes of it */
	uint64_t next_us;
	uint32_t n_waiting;
	uint32_t n_made;
	uint32_t last_number;
	uint64_t sent_octets;
	uint64_t n_sent;
	uint64_t n_marked;
	uint64_t n_dropped;
	uint64_t delay_max_us;
};

struct sim {
	struct shaper *shaper;
	struct source sources[SOURCES_MAX];
	uint32_t n_sources;
	uint64_t now_us;
	uint64_t sent_octets;
	uint64_t dropped[SHAPER_DROPS];
	uint32_t most_packets;
	uint32_t most_octets;
};

static void on_drop(void *arg, void *packet, enum shaper_drop why)
{
	struct sim *sim = arg;
	struct sim_packet *p = packet;

	sim->dropped[why]++;
	sim->sources[p->source].n_dropped++;
	sim->sources[p->source].n_waiting--;
	free(p);
}

static struct sim *sim_create(uint64_t bps, uint32_t n_places, uint64_t limit_octets)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	struct shaper_params params = {
		.n_places = n_places, .n_devices = 128, .drop = on_drop, .drop_arg = sim};
	struct shaper_config config = {.limit_octets = limit_octets};

	sim->now_us = US_PER_S;
	cr_assert_eq(shaper_create(&params, &sim->shaper), 0);
	shaper_set_config(sim->shaper, &config, sim->now_us);
	shaper_set_rate(sim->shaper, bps, sim->now_us);
	return sim;
}

static void sim_destroy(struct sim *sim)
{
	struct sim_packet *p;

	while ((p = shaper_take_any(sim->shaper)) != NULL)
		free(p);
	cr_assert_eq(shaper_load(sim->shaper).backlog_packets, 0);
	shaper_destroy(sim->shaper);
	free(sim);
}

static struct source *add_source(struct sim *sim, struct source source)
{
	struct source *s = &sim->sources[sim->n_sources++];

	*s = source;
	if (s->octets == 0)
		s->octets = 1500;
	s->next_us = sim->now_us + s->from_us;
	return s;
}

static struct sim_packet *make(struct sim *sim, struct source *s)
{
	struct sim_packet *p = malloc(sizeof(*p));

	*p = (struct sim_packet){.source = (uint32_t)(s - sim->sources),
		.octets = s->octets,
		.number = ++s->n_made,
		.made_us = sim->now_us};
	return p;
}

static void arrived(struct sim *sim, struct sim_packet *p, bool is_marked)
{
	struct source *s = &sim->sources[p->source];
	uint64_t delay_us = sim->now_us - p->made_us;

	cr_assert_gt(p->number, s->last_number, "a flow's packets keep their order");
	s->last_number = p->number;
	s->sent_octets += p->octets;
	s->n_sent++;
	s->n_marked += is_marked;
	s->delay_max_us = delay_us > s->delay_max_us ? delay_us : s->delay_max_us;
	sim->sent_octets += p->octets;
	free(p);
}

static void put(struct sim *sim, struct source *s)
{
	struct sim_packet *p = make(sim, s);
	struct shaper_packet packet = {.packet = p,
		.octets = p->octets,
		.flow_id = s->flow_id,
		.device_id = s->device_id,
		.class_id = s->class_id,
		.flags = s->flags,
		.ack = p->number * 1000};
	struct shaper_load load;

	if (shaper_pass(sim->shaper, p->octets, sim->now_us)) {
		arrived(sim, p, false);
		return;
	}
	s->n_waiting++;
	shaper_put(sim->shaper, &packet, sim->now_us);
	load = shaper_load(sim->shaper);
	sim->most_packets =
		load.backlog_packets > sim->most_packets ? load.backlog_packets : sim->most_packets;
	sim->most_octets =
		load.backlog_octets > sim->most_octets ? load.backlog_octets : sim->most_octets;
}

/* Returns how many. */
static uint32_t release(struct sim *sim)
{
	struct sim_packet *p;
	uint32_t n = 0;
	bool mark;

	for (; (p = shaper_take(sim->shaper, sim->now_us, &mark)) != NULL; n++) {
		sim->sources[p->source].n_waiting--;
		arrived(sim, p, mark);
	}
	return n;
}

/* Sources send what is due; returns when the next is. */
static uint64_t feed(struct sim *sim)
{
	uint64_t next_us = UINT64_MAX;

	for (uint32_t i = 0; i < sim->n_sources; i++) {
		struct source *s = &sim->sources[i];
		uint64_t n_put = 0;

		while (s->next_us <= sim->now_us
			&& (s->backlog == 0 || s->n_waiting < s->backlog)) {
			put(sim, s);
			s->next_us += s->every_us;
			cr_assert_lt(n_put++, 1000000, "a source that nothing holds");
		}
		if (s->backlog == 0 || s->next_us > sim->now_us)
			next_us = s->next_us < next_us ? s->next_us : next_us;
	}
	return next_us;
}

static void sim_run(struct sim *sim, uint64_t span_us)
{
	uint64_t end_us = sim->now_us + span_us;

	while (sim->now_us < end_us) {
		uint64_t next_us;
		uint64_t shaper_us;

		do
			next_us = feed(sim);
		while (release(sim) > 0);
		shaper_us = shaper_next_us(sim->shaper);
		next_us = shaper_us < next_us ? shaper_us : next_us;
		if (next_us <= sim->now_us)
			next_us = sim->now_us + 1;
		sim->now_us = next_us < end_us ? next_us : end_us;
	}
}

/* From now on alone. */
static void forget(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->n_sources; i++) {
		struct source *s = &sim->sources[i];

		s->sent_octets = s->n_sent = s->n_marked = s->n_dropped = s->delay_max_us = 0;
	}
	sim->sent_octets = 0;
	memset(sim->dropped, 0, sizeof(sim->dropped));
}

/* What a source has sent, in bits a second. */
static uint64_t bps_of(const struct source *s, uint64_t span_us)
{
	return s->sent_octets * 8 * US_PER_S / span_us;
}

static bool is_about(uint64_t is, uint64_t wanted, uint64_t percent)
{
	return is * 100 <= wanted * (100 + percent) && is * 100 >= wanted * (100 - percent);
}

Test(shape_shaper, refuses_parameters_that_make_no_shaper)
{
	struct shaper_params no_place = {.n_places = 0, .drop = on_drop};
	struct shaper_params no_drop = {.n_places = 1};
	struct shaper *s = NULL;

	cr_assert_eq(shaper_create(&no_place, &s), -EINVAL);
	cr_assert_eq(shaper_create(&no_drop, &s), -EINVAL);
	cr_assert_null(s);
	shaper_destroy(NULL);
}

Test(shape_shaper, lets_all_pass_that_has_no_rate)
{
	struct sim *sim = sim_create(0, 8, 100000);

	cr_assert_not(shaper_is_active(sim->shaper));
	for (uint32_t i = 0; i < 1000; i++)
		cr_assert(shaper_pass(sim->shaper, 65535, sim->now_us));
	cr_assert_eq(shaper_next_us(sim->shaper), UINT64_MAX);
	sim_destroy(sim);
}

Test(shape_shaper, sends_rate_times_time_within_a_burst)
{
	static const struct {
		const char *claim;
		uint64_t bps;
		uint32_t octets;
		uint64_t span_s;
	} rows[] = {
		{"1 kbit/s does not starve", 1000, 1500, 1000},
		{"1 kbit/s, small packets", 1000, 40, 1000},
		{"256 kbit/s, the shape of a ladder", 256000, 1357, 1000},
		{"a rate that divides nothing", 333333, 997, 1000},
		{"10 Mbit/s", 10 * MBPS, 1500, 100},
		{"150 Mbit/s, a few microseconds between packets", 149999999, 1500, 10},
		{"10 Gbit/s", 10000 * MBPS, 9000, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(rows[i].bps, 64, 10000000);
		uint64_t earned = rows[i].bps * rows[i].span_s / 8;
		uint64_t burst = rows[i].bps * 2 / 8000;

		burst = burst < 1514 ? 1514 : burst;
		add_source(
			sim, (struct source){
				     .octets = rows[i].octets, .backlog = 20, .flags = SHAPER_ECT});
		sim_run(sim, rows[i].span_s * US_PER_S);
		cr_assert(sim->sent_octets <= earned + burst + rows[i].octets
				  && sim->sent_octets + rows[i].octets >= earned,
			"%s: %lu sent, %lu earned", rows[i].claim, sim->sent_octets, earned);
		sim_destroy(sim);
	}
}

Test(shape_shaper, names_the_very_microsecond_at_which_the_next_packet_goes)
{
	struct sim *sim = sim_create(333333, 64, 100000);
	bool mark;

	add_source(sim, (struct source){.backlog = 10});
	feed(sim);
	release(sim);
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t next_us = shaper_next_us(sim->shaper);
		struct sim_packet *p;

		cr_assert_gt(next_us, sim->now_us);
		cr_assert_null(shaper_take(sim->shaper, next_us - 1, &mark), "a microsecond early");
		cr_assert_eq(shaper_next_us(sim->shaper), next_us);
		sim->now_us = next_us;
		p = shaper_take(sim->shaper, next_us, &mark);
		cr_assert_not_null(p);
		free(p);
		cr_assert_null(shaper_take(sim->shaper, next_us, &mark));
	}
	sim_destroy(sim);
}

Test(shape_shaper, nothing_passes_what_waits)
{
	struct sim *sim = sim_create(8000, 64, 100000);

	add_source(sim, (struct source){.backlog = 4});
	feed(sim);
	release(sim);
	cr_assert_not(shaper_pass(sim->shaper, 20, sim->now_us));
	cr_assert_not(shaper_pass(sim->shaper, 20, sim->now_us + 100 * US_PER_S));
	sim_run(sim, 100 * US_PER_S);
	sim_destroy(sim);
}

/* A run of packets in bursts of up to 64, each at its own time. */
Test(shape_shaper, lets_as_many_pass_in_a_run_as_one_by_one)
{
	static const uint64_t rates[] = {0, 1000, 333333, 10 * MBPS, 149999999, 40000 * MBPS};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct sim *run = sim_create(rates[i], 8, 100000);
		struct sim *single = sim_create(rates[i], 8, 100000);
		struct rng rng;

		rng_init(&rng, 1);
		for (uint64_t now_us = 0; now_us < US_PER_S; now_us += rng_below(&rng, 20000)) {
			struct shaper_pass pass;

			shaper_pass_begin(run->shaper, now_us, &pass);
			for (uint32_t n = rng_below(&rng, 65); n > 0; n--) {
				uint32_t octets = 20 + rng_below(&rng, 1600);

				cr_assert_eq(shaper_pass_take(&pass, octets),
					shaper_pass(single->shaper, octets, now_us), "at %lu bit/s",
					rates[i]);
			}
			shaper_pass_end(run->shaper, &pass);
		}
		sim_destroy(run);
		sim_destroy(single);
	}
}

/* 63 devices with a flow each, and one with a hundred. */
static void add_64_devices(struct sim *sim)
{
	for (uint16_t d = 1; d < 64; d++)
		add_source(sim, (struct source){.flow_id = d, .device_id = d, .backlog = 8});
	for (uint32_t f = 0; f < 100; f++)
		add_source(sim, (struct source){.flow_id = 1000 + f, .device_id = 0, .backlog = 8});
}

Test(shape_shaper, a_hog_with_a_hundred_flows_gets_what_each_of_64_devices_gets)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	uint64_t span_us = 60 * US_PER_S;
	uint64_t hog = 0;

	add_64_devices(sim);
	sim_run(sim, US_PER_S);
	forget(sim);
	sim_run(sim, span_us);
	for (uint32_t i = 0; i < 63; i++) {
		uint64_t bps = bps_of(&sim->sources[i], span_us);

		cr_assert(is_about(bps, 10 * MBPS / 64, 5), "device %u: %lu bit/s", i, bps);
	}
	for (uint32_t i = 63; i < sim->n_sources; i++)
		hog += bps_of(&sim->sources[i], span_us);
	cr_assert(is_about(hog, 10 * MBPS / 64, 5), "the hog: %lu bit/s", hog);
	sim_destroy(sim);
}

/* The longest that a packet of any of 63 calls, of devices of their own, has waited; the hog has `n_flows`. */
static uint64_t longest_call_us(uint64_t bps, uint32_t n_flows, bool is_behind)
{
	struct sim *sim = sim_create(bps, 4096, 4000000);
	struct shaper_config config = {.limit_octets = 4000000, .is_behind = is_behind};
	uint64_t longest_us = 0;

	shaper_set_config(sim->shaper, &config, sim->now_us);
	for (uint16_t d = 1; d < 64; d++)
		add_source(sim, (struct source){.flow_id = d,
					.device_id = d,
					.octets = 200,
					.every_us = 100000,
					.from_us = d * 1543ull});
	for (uint32_t f = 0; f < n_flows; f++)
		add_source(
			sim, (struct source){
				     .flow_id = 1000 + f, .backlog = 8, .flags = SHAPER_GIVES_WAY});
	sim_run(sim, 30 * US_PER_S);
	for (uint32_t i = 0; i < 63; i++) {
		struct source *call = &sim->sources[i];

		cr_assert(call->n_sent >= 298 && call->n_dropped == 0);
		longest_us = call->delay_max_us > longest_us ? call->delay_max_us : longest_us;
	}
	sim_destroy(sim);
	return longest_us;
}

Test(shape_shaper, calls_of_63_devices_wait_for_a_packet_and_ten_ms_more_beside_a_hog_at_most)
{
	static const uint64_t rates[] = {5 * MBPS, 20 * MBPS};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		for (uint32_t is_behind = 0; is_behind < 2; is_behind++) {
			uint64_t packet_us = 1500 * 8 * US_PER_S / rates[i];
			uint64_t idle_us = longest_call_us(rates[i], 0, is_behind);
			uint64_t hog_us = longest_call_us(rates[i], 100, is_behind);

			cr_assert_leq(hog_us, idle_us + 10000 + packet_us,
				"%lu us beside the hog, %lu alone", hog_us, idle_us);
		}
	}
}

/* What leaves in so long, and what was dropped, in bits a second, of a shaper of 10 Mbit/s behind the link, offered so much. */
static uint64_t send_behind(struct source offered, uint32_t n, uint64_t span_us, uint64_t *ret_lost)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 100000);
	struct shaper_config config = {.limit_octets = 100000, .is_behind = true};
	uint64_t sent;

	shaper_set_config(sim->shaper, &config, sim->now_us);
	for (uint32_t f = 0; f < n; f++) {
		offered.flow_id = offered.device_id = (uint16_t)f;
		add_source(sim, offered);
	}
	sim_run(sim, span_us);
	sent = sim->sent_octets * 8 * US_PER_S / span_us;
	*ret_lost = (sim->dropped[SHAPER_DROP_CODEL] + sim->dropped[SHAPER_DROP_FULL]) * 1500 * 8
		    * US_PER_S / span_us;
	sim_destroy(sim);
	return sent;
}

Test(shape_shaper, behind_the_link_what_is_dropped_counts_up_to_a_quarter_of_the_rate)
{
	uint64_t lost;
	struct source tcp = {.backlog = 8, .flags = SHAPER_GIVES_WAY};
	uint64_t sent = send_behind(tcp, 2, 2 * US_PER_S, &lost);

	cr_assert_gt(lost, 500000);
	cr_assert(is_about(sent + lost, 10 * MBPS, 1), "%lu sent, %lu lost", sent, lost);
	tcp = (struct source){.every_us = 1000, .flags = SHAPER_GIVES_WAY};
	sent = send_behind(tcp, 10, 10 * US_PER_S, &lost);
	cr_assert(is_about(sent, 10 * MBPS * 3 / 4, 2), "of TCP that does not stop %lu", sent);
	sent = send_behind((struct source){.every_us = 1000}, 10, 10 * US_PER_S, &lost);
	cr_assert(is_about(sent, 10 * MBPS, 2), "of a flood that listens to nothing %lu", sent);
}

Test(shape_shaper, sizes_of_packets_do_not_buy_a_larger_share)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	static const uint32_t sizes[] = {1500, 9000, 60, 577, 1500, 20};

	for (uint16_t d = 0; d < 6; d++)
		add_source(
			sim, (struct source){.flow_id = d,
				     .device_id = d / 2, /* two a device: fair among flows, too */
				     .octets = sizes[d],
				     .backlog = 40000 / sizes[d],
				     .flags = SHAPER_ECT});
	sim_run(sim, 20 * US_PER_S);
	for (uint32_t i = 0; i < 6; i++)
		cr_assert(is_about(bps_of(&sim->sources[i], 20 * US_PER_S), 10 * MBPS / 6, 3),
			"flow %u: %lu bit/s", i, bps_of(&sim->sources[i], 20 * US_PER_S));
	sim_destroy(sim);
}

Test(shape_shaper, a_sparse_flow_waits_for_a_packet_or_two_whosever_it_is)
{
	uint64_t packet_us = 1500 * 8 * US_PER_S / (10 * MBPS);
	static const struct {
		const char *claim;
		uint16_t device_id;
		uint64_t every_us;
	} rows[] = {
		{"a call of a device with nothing else", 100, 20000},
		{"a call of a device with a bulk flow", 5, 20000},
		{"now and then a packet, of the hog itself", 0, 3000000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
		struct source *voice;

		add_64_devices(sim);
		voice = add_source(sim,
			(struct source){.flow_id = 9999,
				.device_id = rows[i].device_id,
				.octets =
					80, /* less than its share, or it would be none that is sparse */
				.every_us = rows[i].every_us,
				.from_us = 20 * US_PER_S});
		sim_run(sim, 40 * US_PER_S);
		cr_assert_eq(voice->n_dropped, 0);
		cr_assert_leq(voice->delay_max_us, 3 * packet_us, "%s: %lu us", rows[i].claim,
			voice->delay_max_us);
		sim_destroy(sim);
	}
}

Test(shape_shaper, a_device_cannot_live_on_new_flows)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	struct source *cheat;
	uint64_t honest = 0;

	for (uint16_t d = 1; d < 10; d++)
		add_source(sim, (struct source){.flow_id = d, .device_id = d, .backlog = 8});
	cheat = add_source(sim, (struct source){.device_id = 0, .octets = 1000, .every_us = 1000});
	for (uint64_t i = 0; i < 10000; i++) { /* each packet of 8 Mbit/s is a flow of its own */
		cheat->flow_id = 1000 + (uint32_t)i;
		cheat->last_number = 0;
		sim_run(sim, 1000);
	}
	for (uint32_t i = 0; i < 9; i++)
		honest += bps_of(&sim->sources[i], 10 * US_PER_S);
	cr_assert(is_about(honest, 9 * MBPS, 5), "the others: %lu", honest);
	sim_destroy(sim);
}

static void set_classes(
	struct sim *sim, const struct shaper_class *classes, uint32_t n, uint64_t limit_octets)
{
	struct shaper_config config = {.limit_octets = limit_octets, .n_classes = n};

	if (n > 0)
		memcpy(config.classes, classes, n * sizeof(*classes));
	shaper_set_config(sim->shaper, &config, sim->now_us);
}

#define CLASSES 4

/* Those with a weight. */
static uint32_t n_classes(const struct shaper_class *classes)
{
	uint32_t n = 0;

	while (n < CLASSES && classes[n].weight != 0)
		n++;
	return n;
}

Test(shape_shaper, divides_a_rate_between_classes)
{
	static const struct {
		const char *claim;
		struct shaper_class classes[CLASSES];
		uint64_t offered[CLASSES];  /* in kbit/s; 0: nothing */
		uint64_t expected[CLASSES]; /* in kbit/s */
	} rows[] = {
		{"alike", {{1, 10, 0, 0}, {1, 10, 0, 0}}, {99999, 99999}, {5000, 5000}},
		{"by weight", {{1, 10, 0, 0}, {1, 30, 0, 0}, {1, 40, 0, 0}}, {99999, 99999, 99999},
			{1250, 3750, 5000}},
		{"a weight is no more than what is asked for", {{1, 10, 0, 0}, {1, 90, 0, 0}},
			{99999, 1000}, {9000, 1000}},
		{"high starves nobody: it goes first with half, and shares the rest",
			{{1, 10, 0, 0}, {2, 10, 0, 0}}, {99999, 99999}, {2500, 7500}},
		{"high goes first with the rate it was guaranteed",
			{{1, 10, 0, 0}, {2, 10, 2000000, 0}}, {99999, 99999}, {4000, 6000}},
		{"low gives way, all but a sixteenth", {{1, 10, 0, 0}, {0, 10, 0, 0}},
			{99999, 99999}, {9375, 625}},
		{"low takes what is left", {{1, 10, 0, 0}, {0, 10, 0, 0}}, {4000, 99999},
			{4000, 6000}},
		{"a guaranteed rate is held against high and weights",
			{{1, 10, 3000000, 0}, {2, 10, 4000000, 0}, {1, 90, 0, 0}},
			{3100, 99999, 99999}, {3100, 4300, 2600}},
		{"a ceiling holds where nobody else is", {{1, 10, 0, 1500000}}, {99999}, {1500}},
		{"what a ceiling keeps back is for others", {{1, 90, 0, 1500000}, {1, 10, 0, 0}},
			{99999, 99999}, {1500, 8500}},
		{"a ceiling is above a guarantee", {{1, 10, 5000000, 1000000}, {1, 10, 0, 0}},
			{99999, 99999}, {1000, 9000}},
		{"guarantees for more than there is are cut alike, and starve nobody",
			{{1, 10, 20000000, 0}, {1, 10, 10000000, 0}, {1, 10, 0, 0}},
			{99999, 99999, 99999}, {6250, 3333, 417}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);

		set_classes(sim, rows[i].classes, n_classes(rows[i].classes), 4000000);
		for (uint8_t c = 0; c < CLASSES && rows[i].offered[c] != 0; c++)
			add_source(
				sim, (struct source){.flow_id = c,
					     .device_id = c,
					     .class_id = c,
					     .octets = 1000,
					     .backlog = rows[i].offered[c] > 10000 ? 16 : 0,
					     .every_us = rows[i].offered[c] > 10000
								 ? 0
								 : 8000000 / rows[i].offered[c]});
		sim_run(sim, US_PER_S);
		forget(sim);
		sim_run(sim, 20 * US_PER_S);
		for (uint32_t c = 0; c < sim->n_sources; c++)
			cr_expect(is_about(bps_of(&sim->sources[c], 20 * US_PER_S),
					  rows[i].expected[c] * 1000, 4),
				"%s: class %u has %lu bit/s", rows[i].claim, c,
				bps_of(&sim->sources[c], 20 * US_PER_S));
		cr_expect(is_about(sim->sent_octets * 8 / 20,
				  rows[i].classes[0].ceiling_bps != 0 && sim->n_sources == 1
					  ? rows[i].classes[0].ceiling_bps
					  : 10 * MBPS,
				  1),
			"%s: %lu in all", rows[i].claim, sim->sent_octets * 8 / 20);
		sim_destroy(sim);
	}
}

Test(shape_shaper, a_high_class_waits_for_one_packet)
{
	static const struct shaper_class classes[] = {{1, 10, 0, 0}, {2, 10, 0, 0}};
	struct sim *sim = sim_create(2 * MBPS, 4096, 4000000);
	struct source *voice;

	set_classes(sim, classes, 2, 4000000);
	add_64_devices(sim);
	voice = add_source(sim, (struct source){.flow_id = 9999,
					.device_id = 3,
					.class_id = 1,
					.octets = 1000,
					.every_us = 10000}); /* 800 kbit/s: not sparse at all */
	sim_run(sim, 20 * US_PER_S);
	cr_assert_eq(voice->n_dropped, 0);
	cr_assert_leq(voice->delay_max_us, 3 * 6000, "%lu us", voice->delay_max_us);
	sim_destroy(sim);
}

Test(shape_shaper, holds_what_no_reserve_pays_for_to_the_general_ceiling)
{
	static const struct {
		const char *claim;
		uint64_t bps;
	} rows[] = {{"below the port's rate", 10 * MBPS}, {"without any other rate", 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(rows[i].bps, 4096, 4000000);
		struct source *general, *other, *reserved;

		shaper_set_general(sim->shaper, 256000, sim->now_us);
		cr_assert(shaper_is_active(sim->shaper));
		general = add_source(
			sim, (struct source){.flow_id = 1, .device_id = 1, .backlog = 20});
		other = add_source(
			sim, (struct source){.flow_id = 2, .device_id = 2, .backlog = 20});
		reserved = add_source(sim, (struct source){.flow_id = 3,
						   .device_id = 1,
						   .flags = SHAPER_RESERVED,
						   .every_us = 6000}); /* 2 Mbit/s */
		sim_run(sim, 60 * US_PER_S);
		cr_expect(is_about(bps_of(general, 60 * US_PER_S), 128000, 5), "%s: %lu",
			rows[i].claim, bps_of(general, 60 * US_PER_S));
		cr_expect(is_about(bps_of(other, 60 * US_PER_S), 128000, 5), "%s: %lu",
			rows[i].claim, bps_of(other, 60 * US_PER_S));
		cr_expect(is_about(bps_of(reserved, 60 * US_PER_S), 2 * MBPS, 1), "%s: %lu",
			rows[i].claim, bps_of(reserved, 60 * US_PER_S));
		cr_expect_leq(reserved->delay_max_us, 5000);
		shaper_set_general(sim->shaper, 0, sim->now_us);
		cr_expect_eq(shaper_next_us(sim->shaper), 0, "what waited goes at once");
		sim_destroy(sim);
	}
}

Test(shape_shaper, holds_devices_to_their_ceilings)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	static const uint64_t ceilings[] = {100000, 1000000, 0, 7000};
	uint64_t span_us = 60 * US_PER_S;
	struct source *reserved;

	for (uint16_t d = 0; d < 4; d++) {
		shaper_set_device(sim->shaper, d, ceilings[d], sim->now_us);
		for (uint8_t c = 0; c < 2; c++) /* a ceiling is over all classes */
			add_source(sim, (struct source){.flow_id = 2u * d + c,
						.device_id = d,
						.class_id = c,
						.octets = 700,
						.backlog = 10});
	}
	reserved = add_source(sim, (struct source){.flow_id = 100,
					   .device_id = 3,
					   .flags = SHAPER_RESERVED,
					   .every_us = 24000});
	shaper_set_device(sim->shaper, 9999, 1, sim->now_us); /* no such device */
	sim_run(sim, span_us);
	for (uint32_t d = 0; d < 4; d++) {
		uint64_t bps = bps_of(&sim->sources[2 * d], span_us)
			       + bps_of(&sim->sources[2 * d + 1], span_us);
		uint64_t wanted = d == 2 ? 10 * MBPS - 1107000 - 500000 : ceilings[d];

		cr_expect(is_about(bps, wanted, d == 3 ? 10 : 3), "device %u: %lu bit/s", d, bps);
	}
	cr_expect(is_about(bps_of(reserved, span_us), 500000, 1));
	for (uint16_t d = 0; d < 4; d++)
		shaper_set_device(sim->shaper, d, 0, sim->now_us);
	forget(sim);
	sim_run(sim, US_PER_S);
	cr_expect(is_about(sim->sources[7].sent_octets + sim->sources[6].sent_octets,
			  10 * MBPS / 8 / 4, 10),
		"free again: %lu", sim->sources[7].sent_octets);
	sim_destroy(sim);
}

Test(shape_shaper, many_devices_at_their_ceilings_leave_on_time)
{
	struct sim *sim = sim_create(0, 4096, 4000000);

	for (uint16_t d = 0; d < 120; d++) {
		shaper_set_device(sim->shaper, d, 10000 + 1000u * d, sim->now_us);
		add_source(sim, (struct source){.flow_id = d,
					.device_id = d,
					.octets = 100 + d,
					.backlog = 4,
					.flags = SHAPER_ECT});
	}
	sim_run(sim, 30 * US_PER_S);
	for (uint32_t d = 0; d < 120; d++) /* a burst of 1514 octets comes on top */
		cr_expect(is_about(sim->sources[d].sent_octets - 1514, (10000 + 1000u * d) * 30 / 8,
				  2),
			"device %u: %lu", d, sim->sources[d].sent_octets);
	sim_destroy(sim);
}

Test(shape_shaper, another_rate_and_other_classes_lose_nothing_that_waits)
{
	static const struct shaper_class classes[] = {
		{0, 1, 0, 0}, {2, 10, 0, 0}, {1, 10, 0, 5000}};
	struct sim *sim = sim_create(1 * MBPS, 256, 400000);
	uint64_t n_made = 0, n_sent = 0;
	struct shaper_load load;

	for (uint16_t i = 0; i < 30; i++) {
		struct source *s = add_source(sim, (struct source){.flow_id = i,
							   .device_id = (uint16_t)(i % 7),
							   .class_id = (uint8_t)(i % 3),
							   .backlog = 5});

		while (s->n_waiting < 5)
			put(sim, s);
		n_made += s->n_made;
	}
	load = shaper_load(sim->shaper);
	cr_assert_geq(load.backlog_packets, 140);
	shaper_set_rate(sim->shaper, 1000, sim->now_us);
	set_classes(sim, classes, 3, 100); /* not even a packet: only what comes now must go */
	shaper_set_general(sim->shaper, 5000, sim->now_us);
	shaper_set_device(sim->shaper, 3, 5000, sim->now_us);
	cr_assert_eq(shaper_load(sim->shaper).backlog_packets, load.backlog_packets);
	shaper_set_rate(sim->shaper, 0, sim->now_us);
	shaper_set_general(sim->shaper, 0, sim->now_us);
	shaper_set_device(sim->shaper, 3, 0, sim->now_us);
	set_classes(sim, NULL, 0, 100);
	cr_assert(shaper_is_active(sim->shaper), "until the last has gone");
	release(sim);
	for (uint32_t i = 0; i < 30; i++)
		n_sent += sim->sources[i].n_sent;
	cr_assert_eq(n_sent, n_made);
	cr_assert_not(shaper_is_active(sim->shaper));
	sim_destroy(sim);
}

Test(shape_shaper, a_rate_counts_from_the_moment_it_is_set)
{
	struct sim *sim = sim_create(8000, 64, 100000); /* an octet a millisecond */
	struct source *s = add_source(sim, (struct source){.octets = 1000, .backlog = 30});

	sim_run(sim, 500000);
	forget(sim);
	shaper_set_rate(sim->shaper, 80000, sim->now_us);
	sim_run(sim, 10 * US_PER_S);
	cr_assert(is_about(s->sent_octets, 100000, 2), "%lu", s->sent_octets);
	sim_destroy(sim);
}

static uint64_t passes_at(struct shaper *s, uint64_t now_us)
{
	uint64_t octets = 0;

	for (; shaper_pass(s, 1000, now_us); octets += 1000)
		;
	return octets;
}

Test(shape_shaper, makes_good_on_a_followed_link_for_a_worker_that_slept)
{
	struct sim *sim = sim_create(0, 8, 100000);
	const struct shaper_link link = {.bps = 80 * MBPS};

	shaper_set_link(sim->shaper, &link, 0);
	cr_assert_eq(passes_at(sim->shaper, US_PER_S), 201000, "20 ms, and one");
	shaper_set_rate(sim->shaper, 80 * MBPS, US_PER_S);
	cr_assert_eq(passes_at(sim->shaper, 2 * US_PER_S), 21000, "2 ms, and one");
	sim_destroy(sim);
}

Test(shape_shaper, a_rate_that_moves_all_the_time_still_adds_up)
{
	struct sim *sim = sim_create(1 * MBPS, 64, 100000);
	unsigned __int128 earned = 0; /* millionths of a bit */
	uint64_t bps = 1 * MBPS;
	struct rng rng;

	rng_init(&rng, 2697);
	add_source(sim, (struct source){.octets = 100, .backlog = 40, .flags = SHAPER_ECT});
	for (uint32_t i = 0; i < 50000; i++) {
		uint32_t span_us = 1 + rng_below(&rng, 500);

		sim_run(sim, span_us);
		earned += (unsigned __int128)span_us * bps;
		bps = 1000 + rng_below(&rng, 10000000);
		shaper_set_rate(sim->shaper, bps, sim->now_us);
	}
	earned /= 8 * US_PER_S;
	cr_assert(sim->sent_octets <= earned + 1614 && sim->sent_octets + 100 >= earned,
		"%lu sent, %lu earned", sim->sent_octets, (uint64_t)earned);
	sim_destroy(sim);
}

Test(shape_shaper, is_bounded_in_packets_and_in_octets_and_the_fattest_pays)
{
	static const struct {
		const char *claim;
		uint32_t n_places;
		uint64_t limit_octets;
	} rows[] = {{"packets", 100, 10000000}, {"octets", 10000, 150000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(1 * MBPS, rows[i].n_places, rows[i].limit_octets);
		uint64_t lost = 0;

		for (uint16_t d = 1; d < 20; d++) /* a little each: never the fattest */
			add_source(sim, (struct source){.flow_id = d,
						.device_id = d,
						.octets = 100,
						.every_us = 20000});
		add_source(sim, (struct source){.flow_id = 50, .device_id = 60, .every_us = 300});
		/* of the fattest device the fattest flow */
		add_source(sim,
			(struct source){
				.flow_id = 51, .device_id = 60, .octets = 100, .every_us = 20000});
		sim_run(sim, 20 * US_PER_S);
		cr_expect_leq(sim->most_packets, rows[i].n_places, "%s", rows[i].claim);
		cr_expect_leq(sim->most_octets, rows[i].limit_octets, "%s", rows[i].claim);
		cr_expect_gt(sim->dropped[SHAPER_DROP_FULL], 1000);
		for (uint32_t d = 0; d < 19; d++)
			lost += sim->sources[d].n_dropped;
		lost += sim->sources[20].n_dropped;
		cr_expect_eq(lost, 0, "%s: %lu of others were lost", rows[i].claim, lost);
		sim_destroy(sim);
	}
}

Test(shape_shaper, says_when_a_ceiling_was_why_it_was_full)
{
	struct sim *sim = sim_create(100 * MBPS, 50, 1000000);

	shaper_set_device(sim->shaper, 1, 64000, sim->now_us);
	add_source(sim, (struct source){.flow_id = 1, .device_id = 1, .every_us = 10000});
	sim_run(sim, 5 * US_PER_S);
	cr_assert_gt(sim->dropped[SHAPER_DROP_CEILING], 100);
	cr_assert_eq(sim->dropped[SHAPER_DROP_FULL], 0);
	sim_destroy(sim);
}

Test(shape_shaper, codel_gives_up_or_marks_what_stands)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	struct source *deaf =
		add_source(sim, (struct source){.flow_id = 1, .device_id = 1, .every_us = 2000});
	struct source *ect = add_source(
		sim, (struct source){
			     .flow_id = 2, .device_id = 2, .every_us = 2000, .flags = SHAPER_ECT});
	struct shaper_stats stats;

	sim_run(sim, 5 * US_PER_S);
	shaper_stats_read(sim->shaper, &stats);
	cr_assert_gt(sim->dropped[SHAPER_DROP_CODEL], 50);
	cr_assert_eq(sim->dropped[SHAPER_DROP_CODEL], deaf->n_dropped);
	cr_assert_eq(deaf->n_marked, 0);
	cr_assert_gt(ect->n_marked, 50);
	cr_assert_eq(stats.marked, ect->n_marked);
	cr_assert_eq(ect->n_dropped, 0);
	cr_assert_eq(stats.dropped[SHAPER_DROP_CODEL], deaf->n_dropped);
	sim_destroy(sim);
}

Test(shape_shaper, codel_leaves_alone_what_is_within_its_rate)
{
	struct sim *sim = sim_create(256000, 4096, 4000000);

	/* 47 ms a packet: each waits for one that is being sent, far above 5 ms, and that is no standing queue */
	for (uint32_t f = 0; f < 4; f++)
		add_source(sim, (struct source){.flow_id = f,
					.device_id = (uint16_t)f,
					.every_us = 192000,
					.from_us = 1000u * f});
	sim_run(sim, 60 * US_PER_S);
	cr_assert_eq(sim->dropped[SHAPER_DROP_CODEL], 0);
	sim_destroy(sim);
}

static void set_thinning(struct sim *sim, bool is_on)
{
	struct shaper_config config = {.limit_octets = 100000, .ack_thinning = is_on};

	shaper_set_config(sim->shaper, &config, sim->now_us);
}

Test(shape_shaper, a_newer_acknowledgement_takes_the_place_of_an_older_one)
{
	static const struct {
		const char *claim;
		bool is_on;
		struct {
			uint8_t flags;
			uint32_t ack;
		} acks[4];
		uint32_t expected; /* that wait in the end */
	} rows[] = {
		{"newer ones", true,
			{{SHAPER_PURE_ACK, 1}, {SHAPER_PURE_ACK, 2}, {SHAPER_PURE_ACK, 3},
				{SHAPER_PURE_ACK, 4}},
			1},
		{"where it is wanted", false,
			{{SHAPER_PURE_ACK, 1}, {SHAPER_PURE_ACK, 2}, {SHAPER_PURE_ACK, 3},
				{SHAPER_PURE_ACK, 4}},
			4},
		{"duplicates stay", true,
			{{SHAPER_PURE_ACK, 1}, {SHAPER_PURE_ACK, 1}, {SHAPER_PURE_ACK, 1},
				{SHAPER_PURE_ACK, 1}},
			4},
		{"an older one that comes late", true,
			{{SHAPER_PURE_ACK, 7}, {SHAPER_PURE_ACK, 5}, {SHAPER_PURE_ACK, 8},
				{SHAPER_PURE_ACK, 9}},
			2},
		{"sequence numbers wrap", true,
			{{SHAPER_PURE_ACK, 0xfffffff0}, {SHAPER_PURE_ACK, 0xffffffff},
				{SHAPER_PURE_ACK, 5}, {SHAPER_PURE_ACK, 9}},
			1},
		{"what says more stays, and is not passed", true,
			{{SHAPER_PURE_ACK, 1}, {0, 2}, {SHAPER_PURE_ACK, 3}, {SHAPER_PURE_ACK, 4}},
			3},
		{"nothing else is thinned", true, {{0, 1}, {0, 2}, {SHAPER_ECT, 3}, {0, 4}}, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_create(1000, 64, 100000);
		struct source *s = add_source(sim, (struct source){.flow_id = 1, .octets = 52});
		struct source *other =
			add_source(sim, (struct source){.flow_id = 2, .flags = SHAPER_PURE_ACK});
		struct shaper_stats stats;

		set_thinning(sim, rows[i].is_on);
		while (other->n_waiting == 0)
			put(sim, other);
		for (uint32_t k = 0; k < 4; k++) {
			struct sim_packet *p = make(sim, s);
			struct shaper_packet packet = {.packet = p,
				.octets = p->octets,
				.flow_id = s->flow_id,
				.flags = rows[i].acks[k].flags,
				.ack = rows[i].acks[k].ack};

			s->n_waiting++;
			shaper_put(sim->shaper, &packet, sim->now_us);
		}
		shaper_stats_read(sim->shaper, &stats);
		cr_expect_eq(s->n_waiting, rows[i].expected, "%s: %u", rows[i].claim, s->n_waiting);
		cr_expect_eq(
			stats.dropped[SHAPER_DROP_ACK], 4 - rows[i].expected, "%s", rows[i].claim);
		cr_expect_eq(
			stats.thinned_octets, 52 * (4 - rows[i].expected), "%s", rows[i].claim);
		cr_expect_eq(other->n_waiting, 1, "flows are told apart");
		sim_destroy(sim);
	}
}

Test(shape_shaper, packets_of_no_flow_share_one_queue)
{
	struct sim *sim = sim_create(10 * MBPS, 4096, 4000000);
	uint64_t shared = 0;

	for (uint16_t d = 0; d < 10; d++)
		add_source(
			sim, (struct source){.flow_id = FLOW_NONE, .device_id = d, .backlog = 5});
	add_source(sim, (struct source){.flow_id = 1, .device_id = 1, .backlog = 5});
	for (uint32_t i = 0; i < 20;
		i++) { /* which of them sends is not told apart: order is that of the queue */
		sim_run(sim, 500000);
	}
	for (uint32_t i = 0; i < 10; i++)
		shared += bps_of(&sim->sources[i], 10 * US_PER_S);
	cr_assert(is_about(shared, 5 * MBPS, 3), "%lu", shared);
	sim_destroy(sim);
}

Test(shape_shaper, knows_which_flows_it_holds_packets_of)
{
	struct sim *sim = sim_create(8000, 64, 100000);
	struct source *s = add_source(sim, (struct source){.flow_id = 7, .backlog = 5});
	struct source *r = add_source(
		sim, (struct source){.flow_id = 8, .backlog = 5, .flags = SHAPER_RESERVED});

	cr_assert_not(shaper_holds(sim->shaper, 7));
	feed(sim);
	cr_assert(shaper_holds(sim->shaper, 7));
	cr_assert(shaper_holds(sim->shaper, 8));
	cr_assert_not(shaper_holds(sim->shaper, 9));
	s->from_us = r->from_us = 0;
	s->next_us = r->next_us = UINT64_MAX;
	sim_run(sim, 100 * US_PER_S);
	cr_assert_not(shaper_holds(sim->shaper, 7), "empty");
	cr_assert_not(shaper_holds(sim->shaper, 8));
	sim_destroy(sim);
}

Test(shape_shaper, a_flow_that_becomes_of_another_class_keeps_its_order)
{
	static const struct shaper_class classes[] = {{0, 10, 0, 0}, {2, 10, 0, 0}};
	struct sim *sim = sim_create(1 * MBPS, 256, 400000);
	struct source *s = add_source(sim,
		(struct source){.flow_id = 1, .device_id = 1, .every_us = 5000, .octets = 700});
	struct rng rng;

	rng_init(&rng, 1);
	set_classes(sim, classes, 2, 400000);
	add_source(sim, (struct source){.flow_id = 2, .device_id = 2, .backlog = 4});
	for (uint32_t i = 0; i < 500; i++) { /* arrived() looks at the order */
		s->class_id = (uint8_t)rng_below(&rng, 2);
		s->device_id = (uint16_t)rng_below(&rng, 2);
		sim_run(sim, rng_below(&rng, 40000) + 1);
	}
	cr_assert_gt(s->n_sent, 500);
	sim_destroy(sim);
}

Test(shape_shaper, tells_a_controller_what_it_needs)
{
	struct sim *sim = sim_create(1 * MBPS, 256, 400000);
	struct source *s = add_source(sim, (struct source){.flow_id = 1, .backlog = 10});
	struct shaper_load load = shaper_load(sim->shaper);
	uint64_t from_us = sim->now_us;

	cr_assert_eq(load.busy_since_us, UINT64_MAX);
	cr_assert_eq(load.rate_bps, 1 * MBPS);
	sim_run(sim, 2 * US_PER_S);
	load = shaper_load(sim->shaper);
	cr_assert_eq(load.busy_since_us, from_us);
	cr_assert_eq(load.sent_octets, s->sent_octets);
	cr_assert_eq(load.sent_packets, s->n_sent);
	cr_assert_eq(load.backlog_packets, s->n_waiting);
	cr_assert_eq(load.backlog_octets, s->n_waiting * 1500);
	s->next_us = sim->now_us + US_PER_S;
	sim_run(sim, US_PER_S / 2);
	cr_assert_eq(shaper_load(sim->shaper).busy_since_us, UINT64_MAX, "it ran empty");
	shaper_set_device(sim->shaper, 0, 100000, sim->now_us);
	sim_run(sim, US_PER_S);
	cr_assert_gt(shaper_load(sim->shaper).backlog_packets, 0);
	cr_assert_eq(shaper_load(sim->shaper).busy_since_us, UINT64_MAX,
		"its rate is not what holds it");
	sim_destroy(sim);
}

Test(shape_shaper, tells_how_long_packets_waited)
{
	struct sim *sim = sim_create(12 * MBPS, 256, 400000); /* a millisecond a packet */
	struct shaper_stats stats;

	add_source(sim, (struct source){.flow_id = 1, .every_us = 10000});
	sim_run(sim, 10 * US_PER_S);
	shaper_stats_read(sim->shaper, &stats);
	cr_assert_eq(stats.delays[0], 1000, "none waits");
	cr_assert_eq(shaper_delay_percentile(stats.delays, 99), 0);
	cr_assert_eq(stats.delay_us, 0);
	for (uint32_t i = 0; i < 4; i++)
		add_source(sim,
			(struct source){
				.flow_id = 2 + i, .device_id = (uint16_t)(2 + i), .backlog = 3});
	sim_run(sim, 10 * US_PER_S);
	shaper_stats_read(sim->shaper, &stats);
	cr_assert(stats.delay_us > 5000 && stats.delay_us < 16000, "%lu", stats.delay_us);
	cr_assert_eq(shaper_delay_percentile(stats.delays, 50), 16384);
	cr_assert_eq(shaper_delay_percentile(stats.delays, 90), 16384);
	cr_assert_eq(shaper_delay_percentile(stats.delays, 5), 0);
	cr_assert_eq(stats.n_flows, 4);
	sim_destroy(sim);
}

/* All that can be asked of it in any order: sums stay true, nothing is lost or stuck. */
Test(shape_shaper, anything_in_any_order_adds_up)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct sim *sim = sim_create(1 * MBPS, 200, 150000);
		uint64_t n_made = 0, n_gone = 0;
		struct shaper_class classes[3];
		struct rng rng;

		rng_init(&rng, seed);
		for (uint32_t i = 0; i < 60; i++)
			add_source(sim, (struct source){.flow_id = i == 0 ? FLOW_NONE : i,
						.device_id = (uint16_t)(i % 130),
						.class_id = (uint8_t)(i % 3),
						.flags = (uint8_t)(rng_below(&rng, 4) << 1),
						.octets = 20 + rng_below(&rng, 3000),
						.every_us = 500 + rng_below(&rng, 200000)});
		for (uint32_t step = 0; step < 400; step++) {
			sim_run(sim, rng_below(&rng, 20000));
			switch (rng_below(&rng, 6)) {
			case 0:
				shaper_set_rate(sim->shaper,
					rng_below(&rng, 2) * rng_below(&rng, 5000000), sim->now_us);
				break;
			case 1:
				shaper_set_general(sim->shaper,
					rng_below(&rng, 2) * rng_below(&rng, 2000000), sim->now_us);
				break;
			case 2:
				shaper_set_device(sim->shaper, (uint16_t)rng_below(&rng, 140),
					rng_below(&rng, 2) * rng_below(&rng, 100000), sim->now_us);
				break;
			case 3:
				for (uint32_t c = 0; c < 3; c++)
					classes[c] = (struct shaper_class){rng_below(&rng, 3),
						1 + rng_below(&rng, 100),
						rng_below(&rng, 2) * rng_below(&rng, 2000000),
						rng_below(&rng, 2) * rng_below(&rng, 2000000)};
				set_classes(sim, classes, rng_below(&rng, 4),
					1 + rng_below(&rng, 200000));
				break;
			default:
				break;
			}
		}
		shaper_set_rate(sim->shaper, 0, sim->now_us);
		shaper_set_general(sim->shaper, 0, sim->now_us);
		set_classes(sim, NULL, 0, 1000);
		for (uint16_t d = 0; d < 140; d++)
			shaper_set_device(sim->shaper, d, 0, sim->now_us);
		release(sim);
		cr_assert_not(shaper_is_active(sim->shaper), "seed %lu: something is stuck", seed);
		cr_assert_eq(shaper_load(sim->shaper).backlog_octets, 0);
		for (uint32_t i = 0; i < 60; i++) {
			cr_assert_eq(sim->sources[i].n_waiting, 0);
			n_made += sim->sources[i].n_made;
			n_gone += sim->sources[i].n_sent + sim->sources[i].n_dropped;
		}
		cr_assert_eq(n_made, n_gone);
		sim_destroy(sim);
	}
}
