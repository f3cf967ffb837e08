/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/pool.h>

#include <errno.h>
#include <stdlib.h>

int pool_init(struct pool *p, uint32_t capacity)
{
	p->free_ids = malloc((size_t)capacity * sizeof(*p->free_ids));
	if (p->free_ids == NULL)
		return -ENOMEM;
	/* Id 0 lies on top, so that ids in use stay low and dense. */
	for (uint32_t i = 0; i < capacity; i++)
		p->free_ids[i] = capacity - 1 - i;
	p->n_free = capacity;
	p->capacity = capacity;
	return 0;
}

void pool_clean(struct pool *p)
{
	free(p->free_ids);
	p->free_ids = NULL;
	p->n_free = 0;
}
