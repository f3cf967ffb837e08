/* SPDX-License-Identifier: BSD-3-Clause */
/* The busiest flows: one walk over all of them that keeps the heaviest. */
#include "telemetry_private.h"

#include <weir/base/clock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define READS_A_PIECE 16
#define MOVING_US     (10 * US_PER_S) /* idle for less than this */

/* A heap, the least busy first: it is the one that yields. */
struct busiest {
	uint32_t n;
	struct flow_view flows[];
};

static uint64_t moved_octets(const struct flow_view *v)
{
	return v->record.octet_delta_count[UPLINK] + v->record.octet_delta_count[DOWNLINK];
}

static bool is_busier(const struct flow_view *a, const struct flow_view *b)
{
	bool a_moves = a->idle_us < MOVING_US;
	bool b_moves = b->idle_us < MOVING_US;

	return a_moves != b_moves ? a_moves : moved_octets(a) > moved_octets(b);
}

/* Puts a flow where the heap has a hole, and moves it down to where it belongs. */
static void sink(struct busiest *b, uint32_t at, const struct flow_view *v)
{
	uint32_t child;

	for (; (child = 2 * at + 1) < b->n; at = child) {
		if (child + 1 < b->n && is_busier(&b->flows[child], &b->flows[child + 1]))
			child++;
		if (!is_busier(v, &b->flows[child]))
			break;
		b->flows[at] = b->flows[child];
	}
	b->flows[at] = *v;
}

static void rise(struct busiest *b, uint32_t at, const struct flow_view *v)
{
	for (; at > 0 && is_busier(&b->flows[(at - 1) / 2], v); at = (at - 1) / 2)
		b->flows[at] = b->flows[(at - 1) / 2];
	b->flows[at] = *v;
}

static void keep(struct busiest *b, uint32_t n_max, const struct flow_view *v)
{
	if (b->n < n_max) {
		b->n++;
		rise(b, b->n - 1, v);
	} else if (is_busier(v, &b->flows[0])) {
		sink(b, 0, v);
	}
}

/* The heaviest first: the least is taken to the end, over and over. */
static void order(struct busiest *b)
{
	uint32_t n = b->n;

	while (b->n > 1) {
		struct flow_view last = b->flows[--b->n];

		b->flows[b->n] = b->flows[0];
		sink(b, 0, &last);
	}
	b->n = n;
}

static int flows_keep(struct listing *l, char *error)
{
	for (int reads = 0; reads < READS_A_PIECE && l->cursor != FLOW_NONE; reads++) {
		int n = flows_read(l, error);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			if (!l->has_device
				|| ip_addr_equal(&l->flows[i].record.internal, &l->device))
				keep(l->busiest, l->n_busiest, &l->flows[i]);
	}
	return 1;
}

int busiest_next(struct listing *l, struct text *part, char *error)
{
	const struct path_config *config = doors_config(l->telemetry->path);

	if (l->busiest == NULL)
		l->busiest = calloc(
			1, sizeof(*l->busiest) + l->n_busiest * sizeof(l->busiest->flows[0]));
	if (l->busiest == NULL) {
		(void)snprintf(error, SERVER_ERROR_MAX, "no memory");
		return -ENOMEM;
	}
	if (l->cursor != FLOW_NONE)
		return flows_keep(l, error);
	order(l->busiest);
	for (uint32_t i = 0; i < l->busiest->n && l->n_rows < l->limit; i++)
		flow_row(l, config, &l->busiest->flows[i], part);
	return 0;
}
