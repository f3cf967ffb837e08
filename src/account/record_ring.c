/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/record_ring.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int record_ring_init(struct record_ring *r, uint32_t n_places)
{
	assert(n_places != 0 && (n_places & (n_places - 1)) == 0);
	r->records = calloc(n_places, sizeof(*r->records));
	if (r->records == NULL)
		return -ENOMEM;
	r->n_places = n_places;
	atomic_init(&r->n_put, 0);
	atomic_init(&r->n_taken, 0);
	return 0;
}

void record_ring_clean(struct record_ring *r)
{
	free(r->records);
	r->records = NULL;
}

uint32_t record_ring_take(struct record_ring *r, struct flow_record *ret_records, uint32_t n)
{
	uint32_t n_taken = atomic_load_explicit(&r->n_taken, memory_order_relaxed);
	uint32_t n_waiting = atomic_load_explicit(&r->n_put, memory_order_acquire) - n_taken;

	if (n > n_waiting)
		n = n_waiting;
	for (uint32_t i = 0; i < n; i++)
		ret_records[i] = r->records[(n_taken + i) & (r->n_places - 1)];
	atomic_store_explicit(&r->n_taken, n_taken + n, memory_order_release);
	return n;
}
