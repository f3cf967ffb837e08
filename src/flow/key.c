/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/flow/key.h>

/* 16 bytes as two words; memcpy because nothing promises 8-byte alignment. */
static void address_words(const struct ip_addr *a, uint64_t ret_words[2])
{
	memcpy(ret_words, a->bytes, sizeof(a->bytes));
}

static uint32_t flow_hash_v6(const struct flow_hash_key *k, const struct flow_key *key)
{
	uint64_t rest = (uint64_t)key->src_port << 32 | (uint64_t)key->dst_port << 16 | key->proto;
	uint64_t src[2];
	uint64_t dst[2];
	uint64_t h;

	address_words(&key->src, src);
	address_words(&key->dst, dst);
	h = flow_hash_fold(src[0] ^ k->words[0], src[1] ^ k->words[1]);
	h ^= flow_hash_fold(dst[0] ^ k->words[1], dst[1] ^ k->words[2]) * k->words[1];
	h = flow_hash_fold(h ^ k->words[0], rest ^ k->words[1]);
	return (uint32_t)flow_hash_fold(h ^ k->words[2], k->words[0]);
}

uint32_t flow_hash(const struct flow_hash_key *k, const struct flow_key *key)
{
	if (!ip_addr_is_v4(&key->src) || !ip_addr_is_v4(&key->dst))
		return flow_hash_v6(k, key);
	return flow_hash_v4(k, &(struct flow_key_v4){
				       .src_be = key->src.words[3],
				       .dst_be = key->dst.words[3],
				       .src_port = key->src_port,
				       .dst_port = key->dst_port,
				       .proto = key->proto,
			       });
}
