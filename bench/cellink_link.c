/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 256u
#define RING_MAX   (1u << 24) /* 16 million packets waiting: far beyond any buffer */

int link_init(struct link *l, const struct link_config *config, const struct capacity *capacity,
	const struct outages *outages, struct radio *radio, uint64_t seed)
{
	memset(l, 0, sizeof(*l));
	l->config = *config;
	l->capacity = capacity;
	l->outages = outages;
	l->radio = radio;
	l->ring = calloc(RING_FIRST, sizeof(*l->ring));
	if (l->ring == NULL)
		return -ENOMEM;
	l->ring_mask = RING_FIRST - 1;
	capacity_cursor_init(&l->at);
	rng_init(&l->rng, seed);
	histogram_init(&l->stats.queue);
	l->stats.first_ns = TIME_NEVER;
	return 0;
}

void link_clean(struct link *l)
{
	free(l->ring);
	l->ring = NULL;
}

static int ring_grow(struct link *l)
{
	size_t room = (size_t)l->ring_mask + 1;
	struct link_waiting *grown;

	if (l->ring_n < room)
		return 0;
	if (room >= RING_MAX)
		return -ENOMEM;
	grown = calloc(2 * room, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->ring_n; i++)
		grown[i] = l->ring[(l->ring_head + i) & l->ring_mask];
	free(l->ring);
	l->ring = grown;
	l->ring_head = 0;
	l->ring_mask = (uint32_t)(2 * room - 1);
	return 0;
}

uint64_t link_backlog_octets(struct link *l, uint64_t now_ns)
{
	while (l->ring_n > 0 && l->ring[l->ring_head & l->ring_mask].depart_ns <= now_ns) {
		l->backlog_octets -= l->ring[l->ring_head & l->ring_mask].octets;
		l->ring_head++;
		l->ring_n--;
	}
	return l->backlog_octets;
}

static void ring_push(struct link *l, uint64_t depart_ns, uint32_t octets)
{
	l->ring[(l->ring_head + l->ring_n) & l->ring_mask] =
		(struct link_waiting){.depart_ns = depart_ns, .octets = octets};
	l->ring_n++;
	l->backlog_octets += octets;
	if (l->backlog_octets > l->stats.max_backlog_octets)
		l->stats.max_backlog_octets = l->backlog_octets;
}

enum link_verdict link_admit(
	struct link *l, uint64_t now_ns, uint32_t octets, uint64_t backlog_octets)
{
	const struct link_config *c = &l->config;

	if (l->stats.first_ns == TIME_NEVER)
		l->stats.first_ns = now_ns;
	l->stats.offered.packets++;
	l->stats.offered.octets += octets;
	if (c->mtu > 0 && octets > c->mtu)
		return LINK_DROP_MTU;
	if (c->buffer_octets > 0 && backlog_octets > 0
		&& backlog_octets + octets > c->buffer_octets)
		return LINK_DROP_BUFFER;
	return LINK_CARRIED;
}

static enum link_verdict link_enqueue(
	struct link *l, uint64_t now_ns, uint32_t octets, uint64_t *ret_depart_ns)
{
	const struct link_config *c = &l->config;
	struct capacity_cursor at = l->at;
	uint64_t backlog = link_backlog_octets(l, now_ns);
	enum link_verdict verdict = link_admit(l, now_ns, octets, backlog);
	uint64_t depart_ns;

	if (verdict != LINK_CARRIED)
		return verdict;
	if (ring_grow(l) < 0)
		return LINK_DROP_MEMORY;
	depart_ns = capacity_serve(
		l->capacity, l->outages, &at, radio_ready(l->radio, c->direction, now_ns), octets);
	if (depart_ns == TIME_NEVER)
		return LINK_DROP_ENDED;
	if (c->buffer_ns > 0 && backlog > 0 && depart_ns - now_ns > c->buffer_ns)
		return LINK_DROP_AGE;
	l->at = at;
	ring_push(l, depart_ns, octets);
	*ret_depart_ns = depart_ns;
	return LINK_CARRIED;
}

enum link_verdict link_sent(struct link *l, uint64_t arrival_ns, uint64_t depart_ns,
	uint32_t octets, uint64_t *ret_due_ns)
{
	const struct link_config *c = &l->config;
	uint64_t due_ns = depart_ns + c->delay_ns;

	radio_touch(l->radio, depart_ns);
	histogram_add(&l->stats.queue, depart_ns - arrival_ns);
	if (c->loss_ppm > 0 && rng_below(&l->rng, 1000000) < c->loss_ppm) {
		link_count_end(l, arrival_ns, octets, LINK_DROP_AIR);
		return LINK_DROP_AIR;
	}
	if (c->jitter_ns > 0)
		due_ns += rng_next(&l->rng) % (c->jitter_ns + 1);
	if (due_ns < l->last_due_ns)
		due_ns = l->last_due_ns;
	l->last_due_ns = due_ns;
	*ret_due_ns = due_ns;
	return LINK_CARRIED;
}

enum link_verdict link_offer(struct link *l, uint64_t now_ns, uint32_t octets, uint64_t *ret_due_ns)
{
	uint64_t depart_ns = 0;
	enum link_verdict verdict = link_enqueue(l, now_ns, octets, &depart_ns);

	if (verdict == LINK_CARRIED)
		return link_sent(l, now_ns, depart_ns, octets, ret_due_ns);
	link_count_end(l, now_ns, octets, verdict);
	return verdict;
}

void link_count_end(struct link *l, uint64_t now_ns, uint32_t octets, enum link_verdict end)
{
	l->stats.fate[end].packets++;
	l->stats.fate[end].octets += octets;
	if (end == LINK_CARRIED)
		l->stats.last_ns = now_ns;
}

const char *link_verdict_name(enum link_verdict verdict)
{
	static const char *const names[N_LINK_VERDICTS] = {
		[LINK_CARRIED] = "delivered",
		[LINK_DROP_MTU] = "mtu",
		[LINK_DROP_BUFFER] = "buffer",
		[LINK_DROP_AGE] = "age",
		[LINK_DROP_AQM] = "aqm",
		[LINK_DROP_ENDED] = "ended",
		[LINK_DROP_AIR] = "air",
		[LINK_DROP_MEMORY] = "memory",
		[LINK_DROP_WRITE] = "write",
	};

	return names[verdict];
}
