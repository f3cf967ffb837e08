/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STORE_FIRST_BYTES (1u << 20)
#define STORE_ALIGN       16u /* so that a header fits wherever a record may start */

static_assert(sizeof(struct stored) == STORE_ALIGN, "a header fits before the end of the ring");

int store_init(struct store *s)
{
	*s = (struct store){.room_bytes = STORE_FIRST_BYTES};
	s->bytes = malloc(s->room_bytes);
	return s->bytes != NULL ? 0 : -ENOMEM;
}

void store_clean(struct store *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

static struct stored *record_at(const struct store *s, size_t offset_bytes)
{
	void *record = s->bytes + offset_bytes;

	return record;
}

/* A header alone, at the end of the ring: its packet would not fit there. */
static void skip_to_start(struct store *s, size_t tail, size_t left)
{
	*record_at(s, tail) = (struct stored){.octets = 0, .span_bytes = (uint32_t)left};
	s->used_bytes += left;
}

/* Bytes written contiguously from the oldest record on, so a plain copy keeps them in order. */
static int store_grow(struct store *s)
{
	size_t room = 2 * s->room_bytes;
	size_t first = s->room_bytes - s->head_bytes;
	uint8_t *grown;

	if (room > STORE_BYTES_MAX)
		return -ENOMEM;
	grown = malloc(room);
	if (grown == NULL)
		return -ENOMEM;
	if (first > s->used_bytes)
		first = s->used_bytes;
	memcpy(grown, s->bytes + s->head_bytes, first);
	memcpy(grown + first, s->bytes, s->used_bytes - first);
	free(s->bytes);
	s->bytes = grown;
	s->room_bytes = room;
	s->head_bytes = 0;
	return 0;
}

int store_push(struct store *s, uint64_t due_ns, const uint8_t *packet, uint32_t octets)
{
	size_t span =
		(sizeof(struct stored) + octets + STORE_ALIGN - 1) / STORE_ALIGN * STORE_ALIGN;
	struct stored *record;
	size_t tail, left;

	for (;;) {
		tail = (s->head_bytes + s->used_bytes) % s->room_bytes;
		left = s->room_bytes - tail;
		if (left < span && s->used_bytes + left + span <= s->room_bytes) {
			skip_to_start(s, tail, left);
			continue;
		}
		if (left >= span && s->used_bytes + span <= s->room_bytes)
			break;
		if (store_grow(s) < 0)
			return -ENOMEM;
	}
	record = record_at(s, tail);
	*record = (struct stored){.due_ns = due_ns, .octets = octets, .span_bytes = (uint32_t)span};
	memcpy(record + 1, packet, octets);
	s->used_bytes += span;
	s->n_packets++;
	s->n_octets += octets;
	return 0;
}

static void drop_record(struct store *s)
{
	uint32_t span = record_at(s, s->head_bytes)->span_bytes;

	s->head_bytes = (s->head_bytes + span) % s->room_bytes;
	s->used_bytes -= span;
}

const struct stored *store_first(const struct store *s)
{
	return s->n_packets > 0 ? record_at(s, s->head_bytes) : NULL;
}

void store_pop(struct store *s)
{
	s->n_packets--;
	s->n_octets -= record_at(s, s->head_bytes)->octets;
	drop_record(s);
	while (s->n_packets > 0 && record_at(s, s->head_bytes)->octets == 0)
		drop_record(s);
	if (s->n_packets == 0)
		s->head_bytes = s->used_bytes = 0;
}
