/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/flow/fragment.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>

#define TIMEOUT_US 30000000

static const struct flow_hash_key hash_key = {
	{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}};

static struct fragment_table *create(uint32_t capacity, uint32_t held_capacity)
{
	struct fragment_table *t;

	cr_assert_eq(fragment_table_create(capacity, held_capacity, TIMEOUT_US, &hash_key, &t), 0);
	return t;
}

static struct fragment_key datagram(uint32_t source, uint32_t identification)
{
	return (struct fragment_key){.src = ip_addr_v4(htonl(0x0a000000 + source)),
		.dst = ip_addr_quad(203, 0, 113, 9),
		.identification = identification,
		.proto = 17,
		.in_port = 1};
}

/* Packets are pointers into this. */
static char packets[100000];

static enum fragment_verdict later(
	struct fragment_table *t, const struct fragment_key *key, uint32_t packet, uint64_t now_us)
{
	struct fragment_packets evicted;
	struct fragment_origin ports;

	return fragment_later(t, key, &packets[packet], now_us, &ports, &evicted);
}

/* Returns how many were held for it. */
static uint32_t first(struct fragment_table *t, const struct fragment_key *key, uint64_t now_us)
{
	struct fragment_origin ports = {.src_port = 4500, .dst_port = 500};
	struct fragment_packets held;
	struct fragment_packets evicted;

	fragment_first(t, key, &ports, now_us, &held, &evicted);
	return held.n;
}

static uint32_t drain(struct fragment_table *t)
{
	void *expired[7];
	uint32_t n_all = 0;
	uint32_t n;

	do {
		n = fragment_expire(t, UINT64_MAX, expired, 7);
		n_all += n;
	} while (n == 7);
	return n_all;
}

static void destroy(struct fragment_table *t)
{
	drain(t);
	cr_assert_eq(fragment_n_held(t), 0);
	fragment_table_destroy(t);
}

Test(flow_fragment, refuses_to_be_made_without_room)
{
	struct fragment_table *t;

	cr_assert_eq(fragment_table_create(0, 1, 1, &hash_key, &t), -EINVAL);
	cr_assert_eq(fragment_table_create(1, 0, 1, &hash_key, &t), -EINVAL);
	fragment_table_destroy(NULL);
}

Test(flow_fragment, tells_later_fragments_the_ports_of_the_first)
{
	struct fragment_table *t = create(16, 64);
	struct fragment_key key = datagram(1, 77);
	struct fragment_packets evicted;
	struct fragment_origin ports = {0};

	cr_assert_eq(first(t, &key, 0), 0);
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(
			fragment_later(t, &key, &packets[i], 1, &ports, &evicted), FRAGMENT_KNOWN);
		cr_assert_eq(ports.src_port, 4500);
		cr_assert_eq(ports.dst_port, 500);
	}
	destroy(t);
}

Test(flow_fragment, holds_what_comes_before_the_first_and_gives_it_in_order)
{
	struct fragment_origin ports = {.src_port = 1, .dst_port = 2};
	struct fragment_table *t = create(16, 64);
	struct fragment_key key = datagram(1, 77);
	struct fragment_packets held;
	struct fragment_packets evicted;

	for (uint32_t i = 0; i < 5; i++)
		cr_assert_eq(later(t, &key, i, i), FRAGMENT_HELD);
	cr_assert_eq(fragment_n_held(t), 5);
	fragment_first(t, &key, &ports, 10, &held, &evicted);
	cr_assert_eq(held.n, 5);
	cr_assert_eq(evicted.n, 0);
	for (uint32_t i = 0; i < 5; i++)
		cr_assert_eq(held.packets[i], &packets[i]);
	cr_assert_eq(fragment_n_held(t), 0);
	cr_assert_eq(later(t, &key, 6, 11), FRAGMENT_KNOWN);
	destroy(t);
}

Test(flow_fragment, tells_datagrams_apart_by_every_part_of_the_key)
{
	struct fragment_table *t = create(64, 64);
	struct fragment_key key = datagram(1, 77);
	struct fragment_key others[] = {key, key, key, key, key, key};

	others[0].src.bytes[15] ^= 1;
	others[1].dst.bytes[15] ^= 1;
	others[2].identification ^= 1;
	others[3].identification ^= 0x80000000;
	others[4].proto ^= 1;
	others[5].in_port ^= 1;
	first(t, &key, 0);
	for (uint32_t i = 0; i < 6; i++)
		cr_expect_eq(later(t, &others[i], i, 1), FRAGMENT_HELD, "part %u", i);
	cr_assert_eq(later(t, &key, 6, 1), FRAGMENT_KNOWN);
	destroy(t);
}

Test(flow_fragment, holds_no_more_than_its_bound_for_one_datagram)
{
	struct fragment_table *t = create(16, 1000);
	struct fragment_key key = datagram(1, 77);

	for (uint32_t i = 0; i < FRAGMENT_HELD_MAX; i++)
		cr_assert_eq(later(t, &key, i, 0), FRAGMENT_HELD);
	cr_assert_eq(later(t, &key, FRAGMENT_HELD_MAX, 0), FRAGMENT_FULL);
	cr_assert_eq(first(t, &key, 0), FRAGMENT_HELD_MAX);
	destroy(t);
}

Test(flow_fragment, forgets_a_datagram_after_its_timeout)
{
	struct fragment_table *t = create(16, 64);
	struct fragment_key known = datagram(1, 1);
	struct fragment_key waiting = datagram(1, 2);
	void *expired[8];

	first(t, &known, 1000);
	later(t, &waiting, 0, 1000);
	later(t, &waiting, 1, TIMEOUT_US);
	cr_assert_eq(fragment_expire(t, 999 + TIMEOUT_US, expired, 8), 0);
	cr_assert_eq(later(t, &known, 2, 999 + TIMEOUT_US), FRAGMENT_KNOWN);
	cr_assert_eq(fragment_expire(t, 1000 + TIMEOUT_US, expired, 8), 2);
	cr_assert_eq(expired[0], &packets[0]);
	cr_assert_eq(expired[1], &packets[1]);
	cr_assert_eq(later(t, &known, 3, 1001 + TIMEOUT_US), FRAGMENT_HELD);
	destroy(t);
}

/* RFC 6864: an identification comes again. What is left of the old datagram must not meet the new one. */
Test(flow_fragment, does_not_join_a_datagram_to_an_expired_one_of_the_same_key)
{
	struct fragment_origin ports = {.src_port = 1, .dst_port = 2};
	struct fragment_table *t = create(16, 64);
	struct fragment_key key = datagram(1, 1);
	struct fragment_packets held;
	struct fragment_packets evicted;

	first(t, &key, 0);
	cr_assert_eq(later(t, &key, 1, TIMEOUT_US), FRAGMENT_HELD);
	fragment_first(t, &key, &ports, 2 * TIMEOUT_US, &held, &evicted);
	cr_assert_eq(held.n, 0);
	cr_assert_eq(evicted.n, 1);
	cr_assert_eq(evicted.packets[0], &packets[1]);
	destroy(t);
}

Test(flow_fragment, expires_by_portions)
{
	struct fragment_table *t = create(64, 640);
	void *expired[7];
	uint32_t seen = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct fragment_key key = datagram(i / 10, i / 10);

		cr_assert_eq(later(t, &key, i, 0), FRAGMENT_HELD);
	}
	for (uint32_t i = 0; i < 15; i++) {
		uint32_t n = fragment_expire(t, TIMEOUT_US, expired, 7);

		cr_assert_eq(n, i < 14 ? 7 : 2);
		for (uint32_t k = 0; k < n; k++)
			cr_assert_eq(expired[k], &packets[seen++]);
	}
	cr_assert_eq(fragment_n_held(t), 0);
	destroy(t);
}

Test(flow_fragment, yields_the_oldest_datagram_without_its_first_fragment)
{
	struct fragment_origin ports = {.src_port = 1, .dst_port = 2};
	struct fragment_table *t = create(4, 64);
	struct fragment_packets held;
	struct fragment_packets evicted;
	struct fragment_key keys[6];

	for (uint32_t i = 0; i < 6; i++)
		keys[i] = datagram(i, i);
	first(t, &keys[0], 0);
	later(t, &keys[1], 1, 1);
	later(t, &keys[2], 2, 2);
	first(t, &keys[3], 3);
	fragment_first(t, &keys[4], &ports, 4, &held, &evicted);
	cr_assert_eq(evicted.n, 1);
	cr_assert_eq(evicted.packets[0], &packets[1]);
	fragment_first(t, &keys[1], &ports, 5, &held, &evicted);
	cr_assert_eq(evicted.packets[0], &packets[2]);
	/* All have theirs now: the oldest goes. */
	fragment_first(t, &keys[5], &ports, 6, &held, &evicted);
	cr_assert_eq(evicted.n, 0);
	cr_assert_eq(later(t, &keys[3], 3, 7), FRAGMENT_KNOWN);
	cr_assert_eq(later(t, &keys[0], 4, 7), FRAGMENT_HELD);
	destroy(t);
}

Test(flow_fragment, keeps_one_source_from_ending_the_datagrams_of_another)
{
	struct fragment_table *t = create(64, 64);
	struct fragment_key victim_waiting = datagram(1, 1);
	struct fragment_key victim_known = datagram(1, 2);
	uint32_t n_full = 0;

	later(t, &victim_waiting, 0, 0);
	first(t, &victim_known, 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct fragment_key flood = datagram(2, i);

		if (i % 2 == 0)
			first(t, &flood, i);
		else
			n_full += later(t, &flood, i, i) == FRAGMENT_FULL;
		cr_assert_leq(fragment_n_held(t), 1 + 64 / 4);
	}
	cr_assert_eq(n_full, 0, "its own oldest makes room");
	cr_assert_eq(later(t, &victim_known, 1, 1), FRAGMENT_KNOWN);
	cr_assert_eq(first(t, &victim_waiting, 1), 1);
	destroy(t);
}

Test(flow_fragment, lets_one_source_hold_a_quarter_of_all_packets)
{
	struct fragment_table *t = create(64, 40);
	uint32_t n_held = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct fragment_key key = datagram(2, i % 3);

		n_held += later(t, &key, i, 0) == FRAGMENT_HELD;
	}
	cr_assert_eq(n_held, 10);
	destroy(t);
}

/* Sources that nobody counts: the oldest that waits yields its packets, whoever sent them. */
Test(flow_fragment, goes_on_under_a_flood_from_many_sources)
{
	struct fragment_table *t = create(64, 32);
	struct fragment_packets evicted;
	struct fragment_origin ports;

	for (uint32_t i = 0; i < 10000; i++) {
		struct fragment_key key = datagram(i, i);

		cr_assert_eq(
			fragment_later(t, &key, &packets[i], i, &ports, &evicted), FRAGMENT_HELD);
		cr_assert_eq(evicted.n, i < 32 ? 0 : 1);
		if (evicted.n > 0)
			cr_assert_eq(evicted.packets[0], &packets[i - 32]);
	}
	cr_assert_eq(fragment_n_held(t), 32);
	destroy(t);
}

/* Every packet that was held comes out once: with its first fragment, evicted or expired. */
static bool out[sizeof(packets)];

static void leave(void *const *gone, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t packet = (size_t)((char *)gone[i] - packets);

		cr_assert(out[packet], "packet %zu came out twice or was never in", packet);
		out[packet] = false;
	}
}

Test(flow_fragment, loses_no_packet_and_keeps_none_twice)
{
	struct fragment_origin ports = {.src_port = 1, .dst_port = 2};
	struct fragment_table *t = create(24, 40);
	uint64_t now_us = 0;
	uint32_t n_in = 0;
	struct rng r;

	rng_init(&r, 31);
	for (uint32_t i = 0; i < sizeof(packets); i++) {
		struct fragment_key key = datagram(rng_below(&r, 8), rng_below(&r, 8));
		struct fragment_packets held = {.n = 0};
		struct fragment_packets evicted = {.n = 0};
		struct fragment_origin learnt;
		void *expired[5];

		now_us += rng_below(&r, TIMEOUT_US / 50);
		if (rng_below(&r, 12) == 0) {
			fragment_first(t, &key, &ports, now_us, &held, &evicted);
		} else if (fragment_later(t, &key, &packets[i], now_us, &learnt, &evicted)
			   == FRAGMENT_HELD) {
			out[i] = true;
			n_in++;
		}
		leave(held.packets, held.n);
		leave(evicted.packets, evicted.n);
		n_in -= held.n + evicted.n;
		if (rng_below(&r, 4) == 0) {
			uint32_t n = fragment_expire(t, now_us, expired, 5);

			leave(expired, n);
			n_in -= n;
		}
		cr_assert_eq(fragment_n_held(t), n_in);
		cr_assert_leq(n_in, 40);
	}
	cr_assert_eq(drain(t), n_in);
	fragment_table_destroy(t);
}

/* Those that were let in keep half the table at least, whoever floods it with fragments that nobody asked for. */
Test(flow_fragment, keeps_half_the_table_for_datagrams_that_were_let_in)
{
	struct fragment_table *t = create(64, 1000);

	for (uint32_t i = 0; i < 32; i++) {
		struct fragment_key key = datagram(i, 7);

		first(t, &key, 0);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		struct fragment_key flood = datagram(1000 + i, i);

		cr_assert_eq(later(t, &flood, i, 1), FRAGMENT_HELD);
		cr_assert_leq(fragment_n_held(t), 32);
	}
	for (uint32_t i = 0; i < 32; i++) {
		struct fragment_key key = datagram(i, 7);

		cr_assert_eq(later(t, &key, i, 2), FRAGMENT_KNOWN);
	}
	destroy(t);
}

Test(flow_fragment, gives_up_what_waited_for_a_fragment_that_was_refused)
{
	struct fragment_table *t = create(16, 64);
	struct fragment_key key = datagram(1, 77);
	struct fragment_key other = datagram(1, 78);
	struct fragment_packets held;

	later(t, &key, 0, 0);
	later(t, &key, 1, 0);
	first(t, &other, 0);
	fragment_refuse(t, &key, &held);
	cr_assert_eq(held.n, 2);
	cr_assert_eq(held.packets[0], &packets[0]);
	cr_assert_eq(held.packets[1], &packets[1]);
	cr_assert_eq(fragment_n_held(t), 0);
	fragment_refuse(t, &key, &held);
	cr_assert_eq(held.n, 0);
	fragment_refuse(t, &other, &held);
	cr_assert_eq(later(t, &other, 2, 1), FRAGMENT_KNOWN, "what was let in stays");
	destroy(t);
}

/* RFC 6864 section 5.3.1. */
Test(flow_fragment, renames_each_datagram_once)
{
	struct fragment_origin origin = {.src_port = 1, .dst_port = 2, .is_renamed = true};
	struct fragment_origin learnt = {0};
	struct fragment_table *t = create(16, 64);
	struct fragment_key key = datagram(1, 77);
	struct fragment_packets held, evicted;
	uint16_t identification;

	fragment_first(t, &key, &origin, 0, &held, &evicted);
	identification = origin.identification;
	fragment_first(t, &key, &origin, 1, &held, &evicted);
	cr_assert_eq(origin.identification, identification, "the first fragment came twice");
	cr_assert_eq(fragment_later(t, &key, &packets[0], 2, &learnt, &evicted), FRAGMENT_KNOWN);
	cr_assert(learnt.is_renamed && learnt.identification == identification);
	key = datagram(2, 77);
	fragment_first(t, &key, &origin, 3, &held, &evicted);
	cr_assert_neq(origin.identification, identification);
	destroy(t);
}

Test(flow_fragment, chooses_every_identification_once_and_no_neighbours)
{
	static bool seen[65536];
	struct fragment_table *t = create(1, 1);
	uint32_t n_near = 0;
	uint16_t last = 0;

	for (uint32_t i = 0; i < 65536; i++) {
		uint16_t id = fragment_identification(t);

		cr_assert(!seen[id]);
		seen[id] = true;
		n_near += (uint16_t)(id - last + 16) <= 32;
		last = id;
	}
	cr_assert_lt(n_near, 200, "%u of 65536 lie beside the one before", n_near);
	destroy(t);
}
