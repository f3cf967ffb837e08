/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/top.h>
#include <weir/base/rng.h>

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#define KEYS   1000
#define EVENTS 200000

static const struct top_entry *entry_of(const struct top *t, uint64_t key)
{
	for (uint64_t i = 0; i < t->n; i++)
		if (t->entries[i].key == key)
			return &t->entries[i];
	return NULL;
}

Test(account_top, counts_exactly_while_there_is_room_and_reads_the_heaviest_first)
{
	struct top t = {0};
	struct top seen;

	for (uint64_t key = 0; key < TOP_PLACES; key++)
		for (uint64_t n = 0; n <= key; n++)
			top_count(&t, key, 10);
	top_read(&t, &seen);
	cr_assert_eq(seen.n, TOP_PLACES);
	for (uint64_t i = 0; i < TOP_PLACES; i++) {
		cr_expect_eq(seen.entries[i].key, TOP_PLACES - 1 - i);
		cr_expect_eq(seen.entries[i].octets, 10 * (TOP_PLACES - i));
		cr_expect_eq(seen.entries[i].packets, TOP_PLACES - i);
		cr_expect_eq(seen.entries[i].over, 0);
	}
}

Test(account_top, never_tells_less_than_was_counted_and_loses_no_one_who_is_heavy)
{
	static uint64_t true_octets[KEYS];
	struct top t = {0};
	struct top seen;
	struct rng rng;
	uint64_t total = 0;

	rng_init(&rng, 1);
	for (uint32_t i = 0; i < EVENTS; i++) {
		/* one event in eight is of one of four keys, the others are anybody's */
		uint64_t key = rng_next(&rng) % 8 == 0 ? rng_next(&rng) % 4 : rng_next(&rng) % KEYS;
		uint64_t octets = 40 + rng_next(&rng) % 1460;

		top_count(&t, key, octets);
		true_octets[key] += octets;
		total += octets;
	}
	top_read(&t, &seen);
	for (uint64_t i = 0; i < seen.n; i++) {
		const struct top_entry *e = &seen.entries[i];

		cr_expect_geq(e->octets, true_octets[e->key]);
		cr_expect_leq(e->octets - e->over, true_octets[e->key]);
		cr_expect_leq(e->over, total / TOP_PLACES);
	}
	for (uint64_t key = 0; key < KEYS; key++)
		if (true_octets[key] > total / TOP_PLACES)
			cr_expect_not_null(entry_of(&seen, key), "key %lu", key);
}

Test(account_top, forgets_on_request)
{
	struct top t = {0};
	struct top seen;

	top_count(&t, 7, 100);
	top_clear(&t);
	top_read(&t, &seen);
	cr_expect_eq(seen.n, 0);
	top_count(&t, 8, 5);
	top_read(&t, &seen);
	cr_expect_eq(seen.n, 1);
	cr_expect_eq(seen.entries[0].octets, 5);
}

struct shared {
	struct top top;
	atomic_bool is_over;
};

/* Each key weighs itself a packet, so that an entry made of two can be told. */
static void *write_keys(void *context)
{
	struct shared *s = context;
	struct rng rng;

	rng_init(&rng, 2);
	while (!atomic_load(&s->is_over))
		top_count(&s->top, 1 + rng_next(&rng) % KEYS, 1);
	return NULL;
}

Test(account_top, is_read_whole_while_it_is_written)
{
	static struct shared s;
	struct top seen;
	pthread_t writer;

	cr_assert_eq(pthread_create(&writer, NULL, write_keys, &s), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		top_read(&s.top, &seen);
		for (uint64_t a = 0; a < seen.n; a++) {
			const struct top_entry *e = &seen.entries[a];

			/* the packet just being counted is in one of the two alone */
			cr_assert(e->octets - e->over - e->packets + 1 <= 2, "%lu %lu %lu",
				e->octets, e->over, e->packets);
			for (uint64_t b = 0; b < a; b++)
				cr_assert_neq(seen.entries[b].key, e->key);
		}
	}
	atomic_store(&s.is_over, true);
	cr_expect_eq(pthread_join(writer, NULL), 0);
}
