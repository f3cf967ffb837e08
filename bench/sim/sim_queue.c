/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_queue.h"

#include <stdlib.h>
#include <string.h>

static void grow(struct sim_queue *q)
{
	uint32_t places = q->ring == NULL ? 64 : 2 * (q->mask + 1);
	struct sim_packet *ring = calloc(places, sizeof(*ring));

	if (ring == NULL)
		abort();
	for (uint32_t i = 0; q->ring != NULL && i < q->n; i++)
		ring[i] = q->ring[(q->head + i) & q->mask];
	free(q->ring);
	q->ring = ring;
	q->mask = places - 1;
	q->head = 0;
}

void sim_queue_put(struct sim_queue *q, const struct sim_packet *p)
{
	if (q->ring == NULL || q->n > q->mask)
		grow(q);
	q->ring[(q->head + q->n++) & q->mask] = *p;
	q->octets += p->octets;
}

struct sim_packet *sim_queue_front(struct sim_queue *q)
{
	return q->n == 0 ? NULL : &q->ring[q->head];
}

struct sim_packet sim_queue_take(struct sim_queue *q)
{
	struct sim_packet p = q->ring[q->head];

	q->head = (q->head + 1) & q->mask;
	q->n--;
	q->octets -= p.octets;
	return p;
}

void sim_queue_clean(struct sim_queue *q)
{
	free(q->ring);
	memset(q, 0, sizeof(*q));
}
