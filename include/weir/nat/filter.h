/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To which remote addresses a mapping has flows: a set of pairs with a count each.
 *
 * Source:   open addressing with linear probing; what follows a removed place moves up (Knuth, TAOCP 6.4 R), so that a
 *           search ends at the first empty place. The place comes from a keyed hash by Lemire's multiply-shift.
 * Shapes:   IPv4 addresses in network order. A quarter of the places stay empty. A count of 0 is an empty place.
 * Errors:   nat_filter_add returns false when all is taken.
 * Threads:  one owner.
 * Memory:   16 octets a pair, given by the caller: nat_filter_bytes() of zeroes.
 */
#ifndef WEIR_NAT_FILTER_H
#define WEIR_NAT_FILTER_H

#include <weir/flow/key.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nat_filter_place {
	uint32_t remote_be;
	uint32_t mapping_id;
	uint32_t n_flows;
};

struct nat_filter {
	struct nat_filter_place *places;
	uint32_t n_places;
	uint32_t n_max; /* pairs at most */
	uint32_t n;
	struct flow_hash_key hash_key;
};

/* Octets of the places for so many pairs. */
size_t nat_filter_bytes(uint32_t n_max);

/* `places` are nat_filter_bytes() of zeroes, borrowed. */
void nat_filter_init(
	struct nat_filter *f, uint32_t n_max, const struct flow_hash_key *key, void *places);

/* One flow more, or less, of the mapping to the address. Add is false, and nothing done, when there is no place for a new
 * pair. Remove takes what was added. */
bool nat_filter_add(struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be);
void nat_filter_remove(struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be);

/* True when there is a flow of the mapping to the address. */
bool nat_filter_has(const struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be);

/* Where the search for a pair begins. */
static inline uint32_t nat_filter_home(
	const struct nat_filter *f, uint32_t mapping_id, uint32_t remote_be)
{
	uint64_t pair = (uint64_t)mapping_id << 32 | remote_be;
	uint64_t hash = flow_hash_fold(pair ^ f->hash_key.words[0], f->hash_key.words[1])
			^ f->hash_key.words[2];

	hash = flow_hash_fold(hash, f->hash_key.words[0]);
	return (uint32_t)((hash & UINT32_MAX) * f->n_places >> 32);
}

#endif
