/* SPDX-License-Identifier: BSD-3-Clause */
#include "address_map.h"

#include <weir/base/rng.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024u

struct slot {
	struct ip_addr a;
	struct ip_addr b;
	uint32_t value;
	bool in_use;
};

struct address_map {
	struct slot *slots;
	uint32_t n_used;
	uint32_t mask;
	uint64_t key[2];
};

static uint64_t mix(uint64_t x, uint64_t y)
{
	unsigned __int128 product = (unsigned __int128)x * y;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_of(
	const struct address_map *m, const struct ip_addr *a, const struct ip_addr *b)
{
	uint64_t words[4];
	uint64_t h;

	memcpy(words, a, sizeof(*a));
	memcpy(words + 2, b, sizeof(*b));
	h = mix(words[0] ^ m->key[0], words[1] ^ m->key[1]);
	h = mix(h ^ words[2] ^ m->key[1], words[3] ^ m->key[0]);
	return (uint32_t)(h ^ h >> 32);
}

/* The pair's slot, or the free one where it belongs. */
static struct slot *slot_of(
	const struct address_map *m, const struct ip_addr *a, const struct ip_addr *b)
{
	uint32_t i = hash_of(m, a, b) & m->mask;

	while (m->slots[i].in_use
		&& !(ip_addr_equal(&m->slots[i].a, a) && ip_addr_equal(&m->slots[i].b, b)))
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

int address_map_create(uint64_t seed, struct address_map **ret_map)
{
	struct address_map *m = calloc(1, sizeof(*m));
	struct rng rng;

	if (m == NULL)
		return -ENOMEM;
	m->slots = calloc(FIRST_CAPACITY, sizeof(*m->slots));
	if (m->slots == NULL)
		goto err_map;
	m->mask = FIRST_CAPACITY - 1;
	rng_init(&rng, seed);
	m->key[0] = rng_next(&rng) | 1;
	m->key[1] = rng_next(&rng) | 1;
	*ret_map = m;
	return 0;

err_map:
	free(m);
	return -ENOMEM;
}

void address_map_destroy(struct address_map *m)
{
	if (m == NULL)
		return;
	free(m->slots);
	free(m);
}

static int grow(struct address_map *m)
{
	struct address_map bigger = *m;

	bigger.mask = m->mask * 2 + 1;
	bigger.slots = calloc((size_t)bigger.mask + 1, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i <= m->mask; i++)
		if (m->slots[i].in_use)
			*slot_of(&bigger, &m->slots[i].a, &m->slots[i].b) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

uint32_t *address_map_find(
	const struct address_map *m, const struct ip_addr *a, const struct ip_addr *b)
{
	struct slot *slot = slot_of(m, a, b);

	return slot->in_use ? &slot->value : NULL;
}

int address_map_add(
	struct address_map *m, const struct ip_addr *a, const struct ip_addr *b, uint32_t value)
{
	if (m->n_used >= m->mask / 2 && grow(m) != 0)
		return -ENOMEM;
	*slot_of(m, a, b) = (struct slot){.a = *a, .b = *b, .value = value, .in_use = true};
	m->n_used++;
	return 0;
}
