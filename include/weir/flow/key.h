/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 5-tuple as received, and its keyed hash.
 *
 * Source:   the multiply-and-fold construction of wyhash (Wang Yi), 64×64→128 bits; keyed, so that
 *           strangers cannot choose tuples that collide.
 * Shapes:   addresses in network order, ports in host order.
 * Threads:  pure.
 */
#ifndef WEIR_FLOW_KEY_H
#define WEIR_FLOW_KEY_H

#include <weir/base/addr.h>

#include <stdint.h>
#include <string.h>

struct flow_key {
	struct ip_addr src;
	struct ip_addr dst;
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t proto;
};

/* An IPv4 key as the path reads it from a packet. */
struct flow_key_v4 {
	uint32_t src_be;
	uint32_t dst_be;
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t proto;
};

struct flow_hash_key {
	uint64_t words[3]; /* from the seeded generator; odd */
};

static inline uint64_t flow_hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Hash of an address of either family with what else belongs to it. */
static inline uint32_t flow_hash_addr(
	const struct flow_hash_key *k, const struct ip_addr *addr, uint64_t rest)
{
	uint64_t halves[2];
	uint64_t h;

	memcpy(halves, addr, sizeof(halves));
	h = flow_hash_fold(halves[0] ^ k->words[0], halves[1] ^ k->words[1]);
	return (uint32_t)flow_hash_fold(h ^ k->words[2], rest ^ k->words[0]);
}

/* Hash of an IPv4 5-tuple: the inlined case of flow_hash(). */
static inline uint32_t flow_hash_v4(const struct flow_hash_key *k, const struct flow_key_v4 *key)
{
	uint64_t addresses = (uint64_t)key->src_be << 32 | key->dst_be;
	uint32_t ports = (uint32_t)key->dst_port << 16 | key->src_port; /* one load */
	uint64_t rest = (uint64_t)ports << 8 | key->proto;
	uint64_t h = flow_hash_fold(addresses ^ k->words[0], rest ^ k->words[1]);

	return (uint32_t)flow_hash_fold(h ^ k->words[2], k->words[0]);
}

/* Hash of a key of either family; for IPv4 the same as flow_hash_v4(). */
uint32_t flow_hash(const struct flow_hash_key *k, const struct flow_key *key);

#endif
