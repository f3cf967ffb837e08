/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A growing map from a pair of addresses to a number, for replay.
 *
 * Source:   linear probing at a load of at most one half; the hash is keyed, so no capture can choose its collisions.
 * Threads:  one owner.
 * Memory:   doubles as it fills. Found values stay valid until the next add.
 */
#ifndef WEIR_PORT_ADDRESS_MAP_H
#define WEIR_PORT_ADDRESS_MAP_H

#include <weir/base/addr.h>

#include <stdint.h>

struct address_map;

/* Returns 0 or -ENOMEM. */
int address_map_create(uint64_t seed, struct address_map **ret_map);
void address_map_destroy(struct address_map *m);

/* The value of a pair, or NULL. */
uint32_t *address_map_find(
	const struct address_map *m, const struct ip_addr *a, const struct ip_addr *b);

/* Adds a pair that is not there yet. Returns 0 or -ENOMEM. */
int address_map_add(
	struct address_map *m, const struct ip_addr *a, const struct ip_addr *b, uint32_t value);

#endif
