/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/base/pool.h>
#include <weir/flow/table.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

#define FLOW_CAPACITY_MAX (1u << 24)

/* Keys per bucket when all flows are taken. With 6 of 10, 4 % of the buckets overflow and 1 % of
 * the keys lie there (Poisson). */
#define KEYS_PER_BUCKET 6

#define OVERFLOW_AN_INSERTION 2 /* buckets that two keys may need */

struct flow_table_private {
	struct pool flow_pool;
	struct pool overflow_pool;
	uint32_t n_overflow;
	/* As a flow begins; here, not in the code, for to copy two lines is quicker than to zero them (REP STOS). */
	struct flow_more fresh;
};

/*
 * A chain of k keys has ceil(k / 10) - 1 < k / 10 overflow buckets, because chains have no gaps: a fifth of the flows, if all
 * keys met in one chain. By a hash that nobody can steer 4 % of the buckets overflow, 1.4 for each 100 flows, give or take
 * a hundredth of that in a large table; 2.5 are kept, and what a small table could need at worst. Two more, so that an insertion may ask for both at once.
 */
static uint32_t overflow_needed(uint32_t capacity)
{
	uint32_t worst = 2 * capacity / FLOW_BUCKET_KEYS;
	uint32_t kept = capacity / 40 + 64;

	return (worst < kept ? worst : kept) + OVERFLOW_AN_INSERTION;
}

static size_t arrays_len(const struct flow_table *t)
{
	return t->capacity * (sizeof(*t->flows) + sizeof(*t->more))
	       + ((size_t)t->n_buckets + t->private->n_overflow) * sizeof(*t->buckets);
}

/* All as one piece, so that no more than one huge page is used in part. Each array is of whole cache lines. */
static int create_arrays(struct flow_table *t)
{
	void *memory;
	int rc = memory_create(arrays_len(t), &memory);

	if (rc < 0)
		return rc;
	t->flows = memory;
	t->more = (void *)(t->flows + t->capacity);
	t->buckets = (void *)(t->more + t->capacity);
	return 0;
}

static int create_private(struct flow_table *t)
{
	struct flow_table_private *p;
	int rc;

	/* for the alignment of its lines; its length is a multiple of that */
	p = aligned_alloc(alignof(struct flow_table_private), sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	*p = (struct flow_table_private){.fresh = {.mapping_id = POOL_NONE, .in_use = 1}};
	p->n_overflow = overflow_needed(t->capacity);
	rc = pool_init(&p->flow_pool, t->capacity);
	if (rc < 0)
		goto err_private;
	rc = pool_init(&p->overflow_pool, p->n_overflow);
	if (rc < 0)
		goto err_flow_pool;
	t->private = p;
	return 0;

err_flow_pool:
	pool_clean(&p->flow_pool);
err_private:
	free(p);
	return rc;
}

static void destroy_private(struct flow_table *t)
{
	pool_clean(&t->private->overflow_pool);
	pool_clean(&t->private->flow_pool);
	free(t->private);
}

int flow_table_create(
	uint32_t capacity, const struct flow_hash_key *key, struct flow_table **ret_table)
{
	struct flow_table *t;
	int rc;

	if (capacity == 0 || capacity > FLOW_CAPACITY_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->capacity = capacity;
	t->n_buckets = 2 * capacity / KEYS_PER_BUCKET + 1;
	t->hash_key = *key;
	rc = create_private(t);
	if (rc < 0)
		goto err_table;
	rc = create_arrays(t);
	if (rc < 0)
		goto err_private;
	*ret_table = t;
	return 0;

err_private:
	destroy_private(t);
err_table:
	free(t);
	return rc;
}

void flow_table_destroy(struct flow_table *t)
{
	if (t == NULL)
		return;
	memory_destroy(t->flows, arrays_len(t));
	destroy_private(t);
	free(t);
}

uint32_t flow_table_take(struct flow_table *t)
{
	uint32_t flow_id = pool_take(&t->private->flow_pool);

	if (flow_id == POOL_NONE)
		return FLOW_NONE;
	t->flows[flow_id] = (struct flow){0};
	t->more[flow_id] = t->private->fresh;
	t->n_flows++;
	return flow_id;
}

void flow_table_give(struct flow_table *t, uint32_t flow_id)
{
	assert(t->more[flow_id].in_use);
	t->more[flow_id].in_use = 0;
	t->n_flows--;
	pool_give(&t->private->flow_pool, flow_id);
}

/* The key under which packets of a flow come in this direction. */
static struct flow_key key_of(
	const struct flow_table *t, uint32_t flow_id, enum direction direction)
{
	const struct flow *f = &t->flows[flow_id];
	const struct flow_more *more = &t->more[flow_id];

	if (direction == UPLINK)
		return (struct flow_key){.src = more->internal,
			.dst = more->remote,
			.src_port = f->internal_port,
			.dst_port = f->remote_port,
			.proto = f->proto};
	return (struct flow_key){.src = more->remote,
		.dst = more->external,
		.src_port = f->remote_port,
		.dst_port = f->external_port,
		.proto = f->proto};
}

static bool key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->proto == b->proto && a->src_port == b->src_port && a->dst_port == b->dst_port
	       && ip_addr_equal(&a->src, &b->src) && ip_addr_equal(&a->dst, &b->dst);
}

static uint32_t find_v6(const struct flow_table *t, uint32_t hash, const struct flow_key *key)
{
	const struct flow_bucket *b = flow_table_bucket(t, hash);
	uint16_t signature = flow_signature(hash);

	for (;;) {
		for (uint32_t mask = flow_signature_mask(b, signature); mask != 0;
			mask &= mask - 1) {
			uint32_t ref = b->refs[__builtin_ctz(mask)];
			struct flow_key other = key_of(t, ref >> 1, ref & 1);

			if ((t->flows[ref >> 1].flags & FLOW_IPV6) != 0 && key_equal(&other, key))
				return ref;
		}
		if (b->next == 0)
			return FLOW_REF_NONE;
		b = &t->buckets[b->next];
	}
}

static uint32_t find_hashed(const struct flow_table *t, uint32_t hash, const struct flow_key *key)
{
	if (!ip_addr_is_v4(&key->src) || !ip_addr_is_v4(&key->dst))
		return find_v6(t, hash, key);
	return flow_table_find_v4(t, hash,
		&(struct flow_key_v4){.src_be = key->src.words[3],
			.dst_be = key->dst.words[3],
			.src_port = key->src_port,
			.dst_port = key->dst_port,
			.proto = key->proto});
}

uint32_t flow_table_find(const struct flow_table *t, const struct flow_key *key)
{
	return find_hashed(t, flow_hash(&t->hash_key, key), key);
}

static struct flow_bucket *bucket_of(struct flow_table *t, uint32_t hash)
{
	return &t->buckets[(uint64_t)hash * t->n_buckets >> 32];
}

/* Places in use, which is also the first empty place. */
static uint32_t bucket_n_keys(const struct flow_bucket *b)
{
	uint32_t empty = flow_signature_mask(b, 0);

	return empty == 0 ? FLOW_BUCKET_KEYS : (uint32_t)__builtin_ctz(empty);
}

static void enter_key(struct flow_table *t, uint32_t hash, uint32_t ref)
{
	struct flow_bucket *b = bucket_of(t, hash);
	uint32_t place;

	while (b->next != 0)
		b = &t->buckets[b->next];
	place = bucket_n_keys(b);
	if (place == FLOW_BUCKET_KEYS) {
		uint32_t overflow = pool_take(&t->private->overflow_pool);

		assert(overflow != POOL_NONE); /* flow_table_insert() has asked */
		b->next = t->n_buckets + overflow;
		b = &t->buckets[b->next];
		place = 0;
	}
	b->signatures[place] = flow_signature(hash);
	b->refs[place] = ref;
}

/* The last key of the chain moves into the gap; a bucket left empty goes back to its pool. */
static void remove_key(struct flow_table *t, uint32_t hash, uint32_t ref)
{
	struct flow_bucket *b = bucket_of(t, hash);
	struct flow_bucket *before = NULL;
	struct flow_bucket *found = NULL;
	uint32_t found_place = 0;
	uint32_t last_place;

	for (;;) {
		for (uint32_t mask = flow_signature_mask(b, flow_signature(hash)); mask != 0;
			mask &= mask - 1) {
			uint32_t place = (uint32_t)__builtin_ctz(mask);

			if (b->refs[place] == ref) {
				found = b;
				found_place = place;
			}
		}
		if (b->next == 0)
			break;
		before = b;
		b = &t->buckets[b->next];
	}
	assert(found != NULL);
	last_place = bucket_n_keys(b) - 1;
	found->signatures[found_place] = b->signatures[last_place];
	found->refs[found_place] = b->refs[last_place];
	b->signatures[last_place] = 0;
	if (last_place == 0 && before != NULL) {
		pool_give(&t->private->overflow_pool, before->next - t->n_buckets);
		before->next = 0;
	}
}

/* Puts the IPv4 addresses where the path compares them. */
static void set_family(struct flow *f, const struct flow_more *more)
{
	bool is_v4 = ip_addr_is_v4(&more->internal);

	assert(ip_addr_is_v4(&more->remote) == is_v4 && ip_addr_is_v4(&more->external) == is_v4);
	if (!is_v4) {
		f->flags |= FLOW_IPV6;
		return;
	}
	f->flags &= (uint8_t)~FLOW_IPV6;
	f->remote_be = more->remote.words[3];
	f->internal_be = more->internal.words[3];
	f->external_be = more->external.words[3];
}

/* Sets the hashes of both keys. False when one of them is there already. */
static bool hash_keys(const struct flow_table *t, uint32_t flow_id, uint32_t ret_hash[N_DIRECTIONS])
{
	struct flow_key up = key_of(t, flow_id, UPLINK);
	struct flow_key down = key_of(t, flow_id, DOWNLINK);

	ret_hash[UPLINK] = flow_hash(&t->hash_key, &up);
	ret_hash[DOWNLINK] = flow_hash(&t->hash_key, &down);
	/* Only a host that speaks to itself, on one port, has one key in both directions. */
	return !key_equal(&up, &down) && find_hashed(t, ret_hash[UPLINK], &up) == FLOW_REF_NONE
	       && find_hashed(t, ret_hash[DOWNLINK], &down) == FLOW_REF_NONE;
}

static void enter_keys(struct flow_table *t, uint32_t flow_id)
{
	const struct flow_more *more = &t->more[flow_id];

	enter_key(t, more->hash[UPLINK], flow_id << 1 | UPLINK);
	enter_key(t, more->hash[DOWNLINK], flow_id << 1 | DOWNLINK);
}

int flow_table_insert(struct flow_table *t, uint32_t flow_id)
{
	struct flow_more *more = &t->more[flow_id];

	assert(more->in_use);
	if (t->private->overflow_pool.n_free < OVERFLOW_AN_INSERTION)
		return -ENOSPC;
	set_family(&t->flows[flow_id], more);
	if (!hash_keys(t, flow_id, more->hash))
		return -EEXIST;
	enter_keys(t, flow_id);
	return 0;
}

/* Each part is loaded by itself: some were stored just now, and a load across two stores has to wait for both. */
static struct flow_key_v4 key_v4_of(const struct flow *f, enum direction direction)
{
	if (direction == UPLINK)
		return (struct flow_key_v4){.src_be = f->internal_be,
			.dst_be = f->remote_be,
			.src_port = f->internal_port,
			.dst_port = f->remote_port,
			.proto = f->proto};
	return (struct flow_key_v4){.src_be = f->remote_be,
		.dst_be = f->external_be,
		.src_port = f->remote_port,
		.dst_port = f->external_port,
		.proto = f->proto};
}

/* Only a host that speaks to itself, on one port, has one key in both directions. */
static bool has_one_key(const struct flow *f)
{
	return f->internal_be == f->remote_be && f->remote_be == f->external_be
	       && f->internal_port == f->remote_port && f->remote_port == f->external_port;
}

int flow_table_insert_missed(
	struct flow_table *t, uint32_t flow_id, enum direction missed, uint32_t hash)
{
	const struct flow *f = &t->flows[flow_id];
	struct flow_more *more = &t->more[flow_id];
	enum direction other = missed == UPLINK ? DOWNLINK : UPLINK;
	struct flow_key_v4 key = key_v4_of(f, other);

	assert(more->in_use && (f->flags & FLOW_IPV6) == 0);
	if (t->private->overflow_pool.n_free < OVERFLOW_AN_INSERTION)
		return -ENOSPC;
	more->hash[missed] = hash;
	more->hash[other] = flow_hash_v4(&t->hash_key, &key);
	if (has_one_key(f) || flow_table_find_v4(t, more->hash[other], &key) != FLOW_REF_NONE)
		return -EEXIST;
	enter_keys(t, flow_id);
	return 0;
}

void flow_table_remove(struct flow_table *t, uint32_t flow_id)
{
	const struct flow_more *more = &t->more[flow_id];

	assert(more->in_use);
	remove_key(t, more->hash[UPLINK], flow_id << 1 | UPLINK);
	remove_key(t, more->hash[DOWNLINK], flow_id << 1 | DOWNLINK);
	flow_table_give(t, flow_id);
}
