/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pool of ids for objects that live in an array of fixed capacity.
 *
 * Shapes:   ids 0 … capacity-1; the caller holds the array. Last given is first taken, so that a
 *           small working set stays in the cache.
 * Errors:   pool_take returns POOL_NONE when all are taken.
 * Threads:  one owner.
 * Memory:   4 bytes an id, fixed at create.
 */
#ifndef WEIR_BASE_POOL_H
#define WEIR_BASE_POOL_H

#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool {
	uint32_t *free_ids; /* free_ids[0 … n_free-1] are free */
	uint32_t n_free;
	uint32_t capacity;
};

/* Makes all ids 0 … capacity-1 free. Returns 0 or -ENOMEM. */
int pool_init(struct pool *p, uint32_t capacity);

/* Frees what init took. */
void pool_clean(struct pool *p);

/* Takes a free id, or POOL_NONE when all are taken. */
static inline uint32_t pool_take(struct pool *p)
{
	return p->n_free == 0 ? POOL_NONE : p->free_ids[--p->n_free];
}

/* Gives back an id that was taken. */
static inline void pool_give(struct pool *p, uint32_t id)
{
	p->free_ids[p->n_free++] = id;
}

#endif
