/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records on their way from the worker to control.
 *
 * Source:   a ring of one producer and one consumer (Lamport, "Proving the Correctness of Multiprocess Programs", 1977), whose
 *           producer fills records where they lie, so that none is copied on the worker's side.
 * Shapes:   counts of records ever put and ever taken, which wrap; their difference is what waits.
 * Errors:   record_ring_next returns NULL while all places wait to be taken.
 * Threads:  one puts (the worker), one takes (control).
 * Memory:   fixed at create.
 */
#ifndef WEIR_ACCOUNT_RECORD_RING_H
#define WEIR_ACCOUNT_RECORD_RING_H

#include <weir/account/record.h>

#include <stdatomic.h>
#include <stddef.h>

#define RECORD_RING_LINE 64 /* what each side writes lies in a cache line of its own */

struct record_ring {
	struct flow_record *records;
	uint32_t n_places; /* a power of two */
	_Alignas(RECORD_RING_LINE) _Atomic uint32_t n_put;
	_Alignas(RECORD_RING_LINE) _Atomic uint32_t n_taken;
};

/* `n_places` is a power of two. Returns 0 or -ENOMEM. */
int record_ring_init(struct record_ring *r, uint32_t n_places);

/* Frees what init took; a ring of zeroes has nothing. */
void record_ring_clean(struct record_ring *r);

/* Records that may be put. */
static inline uint32_t record_ring_room(const struct record_ring *r)
{
	uint32_t n_taken = atomic_load_explicit(&r->n_taken, memory_order_acquire);

	return r->n_places - (atomic_load_explicit(&r->n_put, memory_order_relaxed) - n_taken);
}

/* The place of the next record, to be filled; NULL when there is none. */
static inline struct flow_record *record_ring_next(struct record_ring *r)
{
	uint32_t n_put = atomic_load_explicit(&r->n_put, memory_order_relaxed);

	return record_ring_room(r) == 0 ? NULL : &r->records[n_put & (r->n_places - 1)];
}

/* The next place is filled: its record may be taken. */
static inline void record_ring_put(struct record_ring *r)
{
	uint32_t n_put = atomic_load_explicit(&r->n_put, memory_order_relaxed);

	atomic_store_explicit(&r->n_put, n_put + 1, memory_order_release);
}

/* Copies out up to `n` records in the order they were put; returns how many. */
uint32_t record_ring_take(struct record_ring *r, struct flow_record *ret_records, uint32_t n);

#endif
