/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_link.h"
#include "cellink_store.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MS(n) ((n)*NS_PER_MS)

static const struct outages no_outage;
static const struct radio_timers always_on;

struct world {
	struct capacity *capacity;
	struct radio radio;
	struct link link;
};

static struct world *world_create(
	const struct link_config *config, const struct radio_timers *timers, uint64_t rate_bps)
{
	struct world *w = calloc(1, sizeof(*w));

	cr_assert_not_null(w);
	cr_assert_eq(capacity_fixed(rate_bps, &w->capacity), 0);
	radio_init(&w->radio, timers, 1);
	cr_assert_eq(link_init(&w->link, config, w->capacity, &no_outage, &w->radio, 1), 0);
	return w;
}

static void world_destroy(struct world *w)
{
	link_clean(&w->link);
	capacity_destroy(w->capacity);
	free(w);
}

Test(bench_cellink_link, delay_is_transmission_and_propagation)
{
	struct link_config config = {.mtu = 1500, .delay_ns = MS(30)};
	struct world *w = world_create(&config, &always_on, 12000000);
	uint64_t due = 0;

	cr_expect_eq(link_offer(&w->link, MS(5), 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(36), "1 ms on the air, 30 ms on the way");
	cr_expect_eq(link_offer(&w->link, MS(5), 750, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(36) + MS(1) / 2, "behind the first");
	cr_expect_eq(w->link.stats.queue.max_ns, MS(1) + MS(1) / 2);
	world_destroy(w);
}

Test(bench_cellink_link, fixed_rate_is_carried_exactly_over_ten_seconds)
{
	struct link_config config = {.mtu = 1500, .buffer_octets = 100000, .delay_ns = MS(20)};
	struct world *w = world_create(&config, &always_on, 20000000);
	uint64_t octets = 0, due = 0, now;

	/* A blast at twice the rate. */
	for (now = 0; now < 10 * NS_PER_S; now += 300 * NS_PER_US) {
		if (link_offer(&w->link, now, 1500, &due) == LINK_CARRIED
			&& due <= 10 * NS_PER_S + MS(20))
			octets += 1500;
	}
	cr_expect_geq(octets * 8, 200000000 - 1500 * 8);
	cr_expect_leq(octets * 8, 200000000);
	cr_expect_leq(w->link.stats.queue.max_ns, MS(40), "100 kB at 20 Mbit/s");
	cr_expect_geq(histogram_percentile(&w->link.stats.queue, 500000), MS(39));
	world_destroy(w);
}

Test(bench_cellink_link, buffer_in_octets_is_drop_tail)
{
	struct link_config config = {.mtu = 1500, .buffer_octets = 3000};
	struct world *w = world_create(&config, &always_on, 12000000);
	uint64_t due;

	cr_expect_eq(link_offer(&w->link, 0, 1500, &due), LINK_CARRIED);
	cr_expect_eq(link_offer(&w->link, 0, 1500, &due), LINK_CARRIED);
	cr_expect_eq(link_offer(&w->link, 0, 40, &due), LINK_DROP_BUFFER);
	cr_expect_eq(link_backlog_octets(&w->link, MS(1) - 1), 3000);
	cr_expect_eq(link_backlog_octets(&w->link, MS(1)), 1500, "the first has left");
	cr_expect_eq(link_offer(&w->link, MS(1), 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(3));
	cr_expect_eq(w->link.stats.fate[LINK_DROP_BUFFER].octets, 40);
	world_destroy(w);
}

Test(bench_cellink_link, buffer_in_time_refuses_what_would_wait_longer_and_costs_no_capacity)
{
	struct link_config config = {.mtu = 1500, .buffer_ns = MS(10)};
	struct world *w = world_create(&config, &always_on, 12000000);
	uint64_t due = 0;
	int n_carried = 0;

	for (int i = 0; i < 20; i++)
		n_carried += link_offer(&w->link, 0, 1500, &due) == LINK_CARRIED;
	cr_expect_eq(n_carried, 10, "a millisecond each");
	cr_expect_eq(due, MS(10));
	cr_expect_eq(link_offer(&w->link, MS(1), 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(11), "refused packets left no hole");
	world_destroy(w);
}

Test(bench_cellink_link, packet_above_the_mtu_is_dropped)
{
	struct link_config config = {.mtu = 1428};
	struct world *w = world_create(&config, &always_on, 12000000);
	uint64_t due;

	cr_expect_eq(link_offer(&w->link, 0, 1429, &due), LINK_DROP_MTU);
	cr_expect_eq(link_offer(&w->link, 0, 1428, &due), LINK_CARRIED);
	world_destroy(w);
}

Test(bench_cellink_link, loss_follows_its_share_and_seed_and_uses_capacity)
{
	struct link_config config = {.mtu = 1500, .loss_ppm = 20000};
	struct world *a = world_create(&config, &always_on, 12000000);
	struct world *b = world_create(&config, &always_on, 12000000);
	uint64_t due, last = 0;

	for (uint64_t i = 0; i < 100000; i++) {
		enum link_verdict verdict = link_offer(&a->link, i * MS(1), 1500, &due);

		cr_assert_eq(verdict, link_offer(&b->link, i * MS(1), 1500, &last), "same seed");
	}
	/* 2000 expected, standard deviation 44. */
	cr_expect_gt(a->link.stats.fate[LINK_DROP_AIR].packets, 1800);
	cr_expect_lt(a->link.stats.fate[LINK_DROP_AIR].packets, 2200);
	cr_expect_eq(a->link.stats.queue.n, 100000, "lost packets were sent too");
	world_destroy(a);
	world_destroy(b);
}

Test(bench_cellink_link, jitter_stays_in_its_range_and_never_reorders)
{
	struct link_config config = {.mtu = 1500, .delay_ns = MS(30), .jitter_ns = MS(5)};
	struct world *w = world_create(&config, &always_on, 1200000000);
	uint64_t due = 0, last = 0, min = TIME_NEVER, max = 0;

	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t now = i * 200 * NS_PER_US, delay;

		cr_assert_eq(link_offer(&w->link, now, 100, &due), LINK_CARRIED);
		cr_assert_geq(due, last);
		last = due;
		delay = due - now;
		min = delay < min ? delay : min;
		max = delay > max ? delay : max;
	}
	cr_expect_geq(min, MS(30));
	cr_expect_leq(max, MS(35) + NS_PER_US);
	cr_expect_gt(max, MS(34));
	world_destroy(w);
}

Test(bench_cellink_link, everything_offered_is_accounted_for)
{
	struct link_config config = {
		.mtu = 1400, .buffer_octets = 20000, .buffer_ns = MS(15), .loss_ppm = 50000};
	struct world *w = world_create(&config, &always_on, 8000000);
	struct store store;
	struct link_stats *s = &w->link.stats;
	uint64_t packets = 0, octets = 0;
	struct rng rng;
	static uint8_t packet[1500];

	rng_init(&rng, 3);
	cr_assert_eq(store_init(&store), 0);
	for (uint64_t now = 0; now < 5 * NS_PER_S; now += rng_below(&rng, 1000000)) {
		uint32_t length = 1 + rng_below(&rng, 1500);
		const struct stored *first;
		uint64_t due;

		if (link_offer(&w->link, now, length, &due) == LINK_CARRIED)
			cr_assert_eq(store_push(&store, due, packet, length), 0);
		for (first = store_first(&store); first != NULL && first->due_ns <= now;
			first = store_first(&store)) {
			link_count_end(&w->link, now, first->octets, LINK_CARRIED);
			store_pop(&store);
		}
	}
	for (int v = 0; v < N_LINK_VERDICTS; v++) {
		packets += s->fate[v].packets;
		octets += s->fate[v].octets;
	}
	cr_expect_gt(s->fate[LINK_DROP_MTU].packets, 0);
	cr_expect_gt(s->fate[LINK_DROP_AGE].packets, 0);
	cr_expect_gt(s->fate[LINK_DROP_AIR].packets, 0);
	cr_expect_eq(packets + store.n_packets, s->offered.packets);
	cr_expect_eq(octets + store.n_octets, s->offered.octets);
	store_clean(&store);
	world_destroy(w);
}

Test(bench_cellink_link, first_packet_after_idle_waits_for_promotion)
{
	struct radio_timers timers = {.idle_ns = 10 * NS_PER_S, .promotion_ns = MS(260)};
	struct link_config config = {.mtu = 1500};
	struct world *w = world_create(&config, &timers, 12000000);
	uint64_t due;

	cr_expect_eq(link_offer(&w->link, 0, 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(261), "the run starts idle");
	cr_expect_eq(link_offer(&w->link, MS(100), 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(262), "the second waits behind it");
	cr_expect_eq(link_offer(&w->link, MS(5000), 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(5001), "connected");
	cr_expect_eq(link_offer(&w->link, MS(15001) - 1, 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(15002) - 1, "one nanosecond before it falls idle");
	cr_expect_eq(link_offer(&w->link, MS(25002) - 1, 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(25263) - 1, "idle again");
	cr_expect_eq(w->radio.n_promotions, 2);
	world_destroy(w);
}

Test(bench_cellink_link, store_keeps_order_and_bytes_while_it_wraps_and_grows)
{
	enum {
		N = 20000
	};
	struct store store;
	struct rng rng;
	uint8_t packet[1500];
	uint32_t pushed = 0, popped = 0;

	rng_init(&rng, 5);
	cr_assert_eq(store_init(&store), 0);
	while (popped < N) {
		const struct stored *first = store_first(&store);
		bool push = pushed < N && (first == NULL || rng_below(&rng, 100) < 55);

		if (push) {
			memset(packet, (int)(pushed & 0xff), sizeof(packet));
			cr_assert_eq(store_push(&store, pushed, packet, 1 + pushed % 1500), 0);
			pushed++;
			continue;
		}
		cr_assert_not_null(first);
		cr_assert_eq(first->due_ns, popped);
		cr_assert_eq(first->octets, 1 + popped % 1500);
		cr_assert_eq(((const uint8_t *)(first + 1))[first->octets - 1], popped & 0xff);
		store_pop(&store);
		popped++;
	}
	cr_expect_null(store_first(&store));
	cr_expect_eq(store.n_octets, 0);
	cr_expect_gt(store.room_bytes, 1u << 20, "the test is to make it grow");
	store_clean(&store);
}

Test(bench_cellink_link, queue_ring_grows_without_losing_count)
{
	struct link_config config = {.mtu = 1500};
	struct world *w = world_create(&config, &always_on, 12000000);
	uint64_t due;

	for (int i = 0; i < 5000; i++)
		cr_assert_eq(link_offer(&w->link, 0, 1500, &due), LINK_CARRIED);
	cr_expect_eq(due, MS(5000));
	cr_expect_eq(link_backlog_octets(&w->link, MS(4000)), 1500 * 1000);
	cr_expect_eq(link_backlog_octets(&w->link, MS(5000)), 0);
	world_destroy(w);
}
