/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/record_ring.h>

#include <criterion/criterion.h>
#include <pthread.h>

#define PLACES 8
#define MANY   100000

/* Puts records numbered from `first` on until there is no room, or `n` of them; returns how many. */
static uint32_t put(struct record_ring *r, uint32_t first, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n; i++) {
		struct flow_record *record = record_ring_next(r);

		if (record == NULL)
			break;
		*record = (struct flow_record){.flow_id = first + i, .end_us = first + i};
		record_ring_put(r);
	}
	return i;
}

Test(account_record_ring, holds_as_many_records_as_it_has_places)
{
	struct record_ring r = {0};
	struct flow_record taken[PLACES];

	cr_assert_eq(record_ring_init(&r, PLACES), 0);
	cr_expect_eq(record_ring_room(&r), PLACES);
	cr_expect_eq(put(&r, 0, PLACES + 1), PLACES);
	cr_expect_eq(record_ring_room(&r), 0);
	cr_expect_null(record_ring_next(&r));
	cr_expect_eq(record_ring_take(&r, taken, 3), 3);
	cr_expect_eq(record_ring_room(&r), 3);
	cr_expect_eq(put(&r, PLACES, PLACES), 3);
	record_ring_clean(&r);
}

Test(account_record_ring, gives_records_in_their_order_however_often_it_goes_round)
{
	struct record_ring r = {0};
	struct flow_record taken[PLACES];
	uint32_t n_put = 0;
	uint32_t n_taken = 0;

	cr_assert_eq(record_ring_init(&r, PLACES), 0);
	/* The counts wrap on the way. */
	atomic_store(&r.n_put, UINT32_MAX - 20);
	atomic_store(&r.n_taken, UINT32_MAX - 20);
	for (uint32_t round = 0; round < 30; round++) {
		uint32_t n;

		n_put += put(&r, n_put, 1 + round % PLACES);
		n = record_ring_take(&r, taken, 1 + round % 5);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_eq(taken[i].flow_id, n_taken + i);
		n_taken += n;
		cr_assert_eq(record_ring_room(&r), PLACES - (n_put - n_taken));
	}
	cr_expect_gt(n_taken, 40);
	record_ring_clean(&r);
}

Test(account_record_ring, what_is_not_put_is_not_taken)
{
	struct record_ring r = {0};
	struct flow_record taken;

	cr_assert_eq(record_ring_init(&r, PLACES), 0);
	cr_assert_not_null(record_ring_next(&r));
	cr_expect_eq(record_ring_take(&r, &taken, 1), 0);
	record_ring_clean(&r);
}

static void *put_many(void *arg)
{
	for (uint32_t n = 0; n < MANY;)
		n += put(arg, n, MANY - n);
	return NULL;
}

Test(account_record_ring, hands_whole_records_from_one_thread_to_another)
{
	struct record_ring r = {0};
	struct flow_record taken[PLACES];
	pthread_t worker;
	uint32_t n_taken = 0;

	cr_assert_eq(record_ring_init(&r, PLACES), 0);
	cr_assert_eq(pthread_create(&worker, NULL, put_many, &r), 0);
	while (n_taken < MANY) {
		uint32_t n = record_ring_take(&r, taken, PLACES);

		for (uint32_t i = 0; i < n; i++)
			cr_assert(
				taken[i].flow_id == n_taken + i && taken[i].end_us == n_taken + i);
		n_taken += n;
	}
	pthread_join(worker, NULL);
	cr_expect_eq(record_ring_room(&r), PLACES);
	record_ring_clean(&r);
}
