/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/pool.h>
#include <weir/base/rng.h>
#include <weir/flow/table.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

struct tuple {
	struct ip_addr internal;
	struct ip_addr external;
	struct ip_addr remote;
	uint16_t internal_port;
	uint16_t external_port;
	uint16_t remote_port;
	uint8_t proto;
};

/* With a key of zero words every hash is 0: all keys share one bucket and one signature. */
static const struct flow_hash_key all_collide = {{0, 0, 0}};

static struct flow_table *create(uint32_t capacity, const struct flow_hash_key *key)
{
	struct flow_hash_key random;
	struct flow_table *t;
	struct rng r;

	rng_init(&r, 11);
	for (int i = 0; i < 3; i++)
		random.words[i] = rng_next(&r) | 1;
	cr_assert_eq(flow_table_create(capacity, key != NULL ? key : &random, &t), 0);
	return t;
}

static struct flow_key key_of(const struct tuple *u, enum direction direction)
{
	if (direction == UPLINK)
		return (struct flow_key){.src = u->internal,
			.dst = u->remote,
			.src_port = u->internal_port,
			.dst_port = u->remote_port,
			.proto = u->proto};
	return (struct flow_key){.src = u->remote,
		.dst = u->external,
		.src_port = u->remote_port,
		.dst_port = u->external_port,
		.proto = u->proto};
}

static uint32_t take(struct flow_table *t, const struct tuple *u)
{
	uint32_t id = flow_table_take(t);

	if (id == FLOW_NONE)
		return id;
	t->more[id].internal = u->internal;
	t->more[id].external = u->external;
	t->more[id].remote = u->remote;
	t->flows[id].internal_port = u->internal_port;
	t->flows[id].external_port = u->external_port;
	t->flows[id].remote_port = u->remote_port;
	t->flows[id].proto = u->proto;
	return id;
}

static uint32_t enter(struct flow_table *t, const struct tuple *u)
{
	uint32_t id = take(t, u);

	cr_assert_neq(id, FLOW_NONE);
	cr_assert_eq(flow_table_insert(t, id), 0);
	return id;
}

static void assert_found(const struct flow_table *t, const struct tuple *u, uint32_t id)
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct flow_key key = key_of(u, d);

		cr_assert_eq(flow_table_find(t, &key), id << 1 | d);
	}
}

static void assert_absent(const struct flow_table *t, const struct tuple *u)
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct flow_key key = key_of(u, d);

		cr_assert_eq(flow_table_find(t, &key), FLOW_REF_NONE);
	}
}

static const struct tuple web = {
	.internal = {.bytes = {[10] = 0xff, 0xff, 192, 168, 50, 20}},
	.external = {.bytes = {[10] = 0xff, 0xff, 10, 64, 3, 7}},
	.remote = {.bytes = {[10] = 0xff, 0xff, 203, 0, 113, 9}},
	.internal_port = 40000,
	.external_port = 50000,
	.remote_port = 443,
	.proto = PROTO_TCP,
};

Test(flow_table, refuses_capacities_outside_its_range)
{
	struct flow_table *t;

	cr_assert_eq(flow_table_create(0, &all_collide, &t), -EINVAL);
	cr_assert_eq(flow_table_create((1u << 24) + 1, &all_collide, &t), -EINVAL);
	flow_table_destroy(NULL);
}

Test(flow_table, finds_a_flow_by_the_key_of_either_direction)
{
	struct flow_table *t = create(16, NULL);
	uint32_t id = enter(t, &web);
	struct flow_key reply_to_internal = key_of(&web, DOWNLINK);

	assert_found(t, &web, id);
	cr_assert_eq(t->flows[id].external_be, web.external.words[3]);
	/* The internal address is not what the remote side answers to. */
	reply_to_internal.dst = web.internal;
	cr_assert_eq(flow_table_find(t, &reply_to_internal), FLOW_REF_NONE);
	flow_table_remove(t, id);
	assert_absent(t, &web);
	cr_assert_eq(t->n_flows, 0);
	flow_table_destroy(t);
}

Test(flow_table, compares_every_field_of_the_key)
{
	struct flow_table *t = create(16, &all_collide);

	enter(t, &web);
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct flow_key k = key_of(&web, d);
		struct flow_key others[5] = {k, k, k, k, k};

		others[0].src.bytes[15] ^= 1;
		others[1].dst.bytes[12] ^= 0x80;
		others[2].src_port ^= 1;
		others[3].dst_port ^= 0x8000;
		others[4].proto ^= 0x80;
		for (int i = 0; i < 5; i++)
			cr_assert_eq(flow_table_find(t, &others[i]), FLOW_REF_NONE, "field %d", i);
	}
	flow_table_destroy(t);
}

Test(flow_table, finds_an_icmp_query_whose_identifier_was_translated)
{
	struct flow_table *t = create(16, NULL);
	struct tuple ping = web;
	uint32_t id;

	ping.proto = PROTO_ICMP;
	ping.remote_port = 0; /* the identifier is the port of the one who asks */
	id = enter(t, &ping);
	assert_found(t, &ping, id);
	cr_assert_eq(key_of(&ping, DOWNLINK).dst_port, 50000);
	flow_table_destroy(t);
}

Test(flow_table, keeps_the_families_apart)
{
	struct flow_table *t = create(16, &all_collide);
	struct tuple six = web;
	struct flow_key_v4 zero = {.src_port = 40000, .dst_port = 443, .proto = PROTO_TCP};
	uint32_t id;

	six.internal.bytes[0] = 0x20;
	six.external.bytes[0] = 0x20;
	six.remote.bytes[0] = 0x20;
	id = enter(t, &six);
	assert_found(t, &six, id);
	cr_assert((t->flows[id].flags & FLOW_IPV6) != 0);
	/* The IPv4 fields of an IPv6 flow are zero and must not match a packet of zeroes. */
	cr_assert_eq(flow_table_find_v4(t, 0, &zero), FLOW_REF_NONE);
	assert_absent(t, &web);
	assert_found(t, &web, enter(t, &web));
	assert_found(t, &six, id);
	flow_table_destroy(t);
}

Test(flow_table, refuses_a_flow_when_one_of_its_keys_is_taken)
{
	struct flow_table *t = create(16, NULL);
	struct tuple same_up = web;
	struct tuple same_down = web;
	struct tuple to_itself = web;
	const struct tuple *refused[] = {&web, &same_up, &same_down, &to_itself};

	same_up.external_port++;
	same_down.internal_port++;
	to_itself.internal = to_itself.external = to_itself.remote;
	to_itself.internal_port = to_itself.external_port = to_itself.remote_port;
	enter(t, &web);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint32_t id = take(t, refused[i]);

		cr_assert_eq(flow_table_insert(t, id), -EEXIST, "case %zu", i);
		flow_table_give(t, id);
	}
	cr_assert_eq(t->n_flows, 1);
	flow_table_destroy(t);
}

/* As the path does, when a packet's own key was not found. */
static int insert_missed(
	struct flow_table *t, uint32_t id, const struct tuple *u, enum direction missed)
{
	struct flow_key key = key_of(u, missed);

	t->flows[id].internal_be = u->internal.words[3];
	t->flows[id].external_be = u->external.words[3];
	t->flows[id].remote_be = u->remote.words[3];
	cr_assert_eq(flow_table_find(t, &key), FLOW_REF_NONE);
	return flow_table_insert_missed(t, id, missed, flow_hash(&t->hash_key, &key));
}

Test(flow_table, enters_a_flow_under_both_keys_when_one_was_missed)
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		struct flow_table *t = create(16, NULL);
		uint32_t id = take(t, &web);

		cr_assert_eq(insert_missed(t, id, &web, d), 0);
		assert_found(t, &web, id);
		flow_table_remove(t, id);
		assert_absent(t, &web);
		flow_table_destroy(t);
	}
}

Test(flow_table, refuses_a_flow_whose_other_key_is_taken_or_the_same)
{
	struct flow_table *t = create(16, NULL);
	struct tuple same_up = web;
	struct tuple same_down = web;
	struct tuple to_itself = web;
	const struct {
		const struct tuple *tuple;
		enum direction missed;
	} refused[] = {
		{&same_up, DOWNLINK},
		{&same_down, UPLINK},
		{&to_itself, UPLINK},
		{&to_itself, DOWNLINK},
	};

	same_up.external_port++;
	same_down.internal_port++;
	to_itself.internal = to_itself.external = to_itself.remote;
	to_itself.internal_port = to_itself.external_port = to_itself.remote_port;
	enter(t, &web);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		uint32_t id = take(t, refused[i].tuple);

		cr_assert_eq(insert_missed(t, id, refused[i].tuple, refused[i].missed), -EEXIST,
			"case %zu", i);
		flow_table_give(t, id);
	}
	cr_assert_eq(t->n_flows, 1);
	flow_table_destroy(t);
}

Test(flow_table, gives_the_last_id_again_first_and_clean)
{
	struct flow_table *t = create(4, NULL);
	uint32_t id = enter(t, &web);

	t->flows[id].octets[UPLINK] = 1;
	t->more[id].rule_id = 7;
	flow_table_remove(t, id);
	cr_assert_eq(t->more[id].in_use, 0);
	cr_assert_eq(flow_table_take(t), id);
	cr_assert_eq(t->flows[id].octets[UPLINK], 0);
	cr_assert_eq(t->more[id].rule_id, 0);
	cr_assert_eq(t->more[id].mapping_id, POOL_NONE);
	cr_assert_eq(t->more[id].in_use, 1);
	for (int i = 0; i < 3; i++)
		cr_assert_neq(flow_table_take(t), FLOW_NONE);
	cr_assert_eq(flow_table_take(t), FLOW_NONE);
	flow_table_destroy(t);
}

Test(flow_table, compares_signatures_by_simd_as_without_it)
{
	struct rng r;

	rng_init(&r, 12);
	for (int i = 0; i < 100000; i++) {
		struct flow_bucket b;
		uint32_t *words = (uint32_t *)&b;
		uint16_t wanted = (uint16_t)rng_next(&r);

		for (uint32_t w = 0; w < sizeof(b) / sizeof(*words); w++)
			words[w] = i % 2 != 0 ? wanted * 0x10001u : (uint32_t)rng_next(&r);
		for (int s = 0; s < FLOW_BUCKET_KEYS; s++) {
			if (rng_below(&r, 2) == 0)
				b.signatures[s] = wanted;
			else if (rng_below(&r, 2) == 0)
				b.signatures[s] = (uint16_t)(wanted ^ 1u << rng_below(&r, 16));
		}
		cr_assert_eq(
			flow_signature_mask(&b, wanted), flow_signature_mask_scalar(&b, wanted));
		cr_assert_eq(flow_signature_mask(&b, 0), flow_signature_mask_scalar(&b, 0));
	}
}

Test(flow_table, never_gives_the_signature_of_an_empty_place)
{
	cr_assert_eq(flow_signature(0), 1);
	cr_assert_eq(flow_signature(0xabcd0000), 1);
	cr_assert_eq(flow_signature(0xabcd1234), 0x1234);
}

static struct tuple numbered(uint32_t i)
{
	struct tuple u = web;

	u.internal_port = (uint16_t)i;
	u.external_port = (uint16_t)i;
	u.remote.words[3] ^= htonl(i >> 16);
	return u;
}

/* The worst case of overflow: one chain of all keys. It shrinks from any end and grows again. */
Test(flow_table, holds_all_its_flows_even_in_one_chain)
{
	enum {
		CAPACITY = 333
	};
	struct flow_table *t = create(CAPACITY, &all_collide);
	uint32_t ids[CAPACITY];

	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < CAPACITY; i++) {
			struct tuple u = numbered(i);

			ids[i] = enter(t, &u);
		}
		for (uint32_t k = 0; k < CAPACITY; k++) {
			uint32_t i = round == 0   ? k
				     : round == 1 ? CAPACITY - 1 - k
						  : k * 100 % CAPACITY;
			struct tuple u = numbered(i);

			assert_found(t, &u, ids[i]);
			flow_table_remove(t, ids[i]);
			assert_absent(t, &u);
		}
		cr_assert_eq(t->n_flows, 0);
		cr_assert_eq(t->buckets[0].next, 0);
	}
	flow_table_destroy(t);
}

static struct tuple random_tuple(struct rng *r)
{
	struct tuple u = web;

	u.internal.words[3] = (uint32_t)rng_next(r);
	u.remote.words[3] = (uint32_t)rng_next(r);
	u.internal_port = (uint16_t)rng_next(r);
	u.external_port = (uint16_t)rng_next(r);
	u.remote_port = (uint16_t)rng_next(r);
	u.proto = rng_below(r, 2) == 0 ? PROTO_TCP : PROTO_UDP;
	return u;
}

/* How many keys lie outside the first bucket of their chain. */
static uint32_t n_overflowed(const struct flow_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_buckets; i++)
		for (uint32_t at = t->buckets[i].next; at != 0; at = t->buckets[at].next)
			for (int s = 0; s < FLOW_BUCKET_KEYS; s++)
				n += t->buckets[at].signatures[s] != 0;
	return n;
}

Test(flow_table, takes_65536_random_flows_and_lets_them_go_again)
{
	enum {
		CAPACITY = 65536
	};
	struct flow_table *t = create(CAPACITY, NULL);
	struct tuple *tuples = malloc(CAPACITY * sizeof(*tuples));
	struct rng r;

	rng_init(&r, 13);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < CAPACITY; i++) {
			uint32_t id;

			tuples[i] = random_tuple(&r);
			id = enter(t, &tuples[i]);
			if (round == 0)
				cr_assert_eq(id, i);
		}
		cr_assert_eq(flow_table_take(t), FLOW_NONE);
		cr_assert_lt(
			n_overflowed(t), 2 * CAPACITY / 50, "%u keys overflow", n_overflowed(t));
		if (round == 0)
			for (uint32_t i = 0; i < CAPACITY; i++)
				assert_found(t, &tuples[i], i);
		for (uint32_t i = 0; i < CAPACITY; i++)
			flow_table_remove(t, i);
		cr_assert_eq(t->n_flows, 0);
		cr_assert_eq(n_overflowed(t), 0);
	}
	free(tuples);
	flow_table_destroy(t);
}

/* What the table should be: an array that is searched from end to end. */
enum {
	MODEL_CAPACITY = 200,
	MODEL_OPERATIONS = 100000
};

struct model {
	struct tuple tuples[MODEL_CAPACITY];
	bool in_use[MODEL_CAPACITY];
};

static bool keys_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->proto == b->proto && a->src_port == b->src_port && a->dst_port == b->dst_port
	       && ip_addr_equal(&a->src, &b->src) && ip_addr_equal(&a->dst, &b->dst);
}

static uint32_t model_find(const struct model *m, const struct flow_key *key)
{
	for (uint32_t id = 0; id < MODEL_CAPACITY; id++)
		for (uint32_t d = 0; m->in_use[id] && d < N_DIRECTIONS; d++) {
			struct flow_key other = key_of(&m->tuples[id], d);

			if (keys_equal(&other, key))
				return id << 1 | d;
		}
	return FLOW_REF_NONE;
}

/* A small world, so that tuples meet again: two families, few hosts, few ports. */
static struct tuple small_tuple(struct rng *r)
{
	static const uint8_t protos[] = {PROTO_ICMP, PROTO_TCP, PROTO_UDP};
	struct tuple u = web;

	u.internal.bytes[15] = (uint8_t)rng_below(r, 3);
	u.external.bytes[15] = (uint8_t)rng_below(r, 2);
	u.remote.bytes[15] = (uint8_t)rng_below(r, 3);
	u.internal_port = (uint16_t)rng_below(r, 4);
	u.external_port = (uint16_t)rng_below(r, 4);
	u.remote_port = (uint16_t)rng_below(r, 2);
	u.proto = protos[rng_below(r, 3)];
	if (rng_below(r, 3) == 0)
		u.internal.bytes[0] = u.external.bytes[0] = u.remote.bytes[0] = 0x20;
	return u;
}

static void operate(struct flow_table *t, struct model *m, struct rng *r)
{
	struct tuple u = small_tuple(r);
	struct flow_key up = key_of(&u, UPLINK);
	struct flow_key down = key_of(&u, DOWNLINK);
	uint32_t ref = model_find(m, &up);
	uint32_t down_ref = model_find(m, &down);
	uint32_t id;

	cr_assert_eq(flow_table_find(t, &up), ref);
	cr_assert_eq(flow_table_find(t, &down), down_ref);
	if (rng_below(r, 5) < 2) {
		if (ref == FLOW_REF_NONE)
			return;
		flow_table_remove(t, ref >> 1);
		m->in_use[ref >> 1] = false;
		return;
	}
	id = take(t, &u);
	if (id == FLOW_NONE)
		return;
	cr_assert_not(m->in_use[id]);
	if (flow_table_insert(t, id) == 0) {
		cr_assert(ref == FLOW_REF_NONE && down_ref == FLOW_REF_NONE
			  && !keys_equal(&up, &down));
		m->tuples[id] = u;
		m->in_use[id] = true;
	} else {
		cr_assert(ref != FLOW_REF_NONE || down_ref != FLOW_REF_NONE
			  || keys_equal(&up, &down));
		flow_table_give(t, id);
	}
}

static void compare_with_model(const struct flow_hash_key *key)
{
	struct flow_table *t = create(MODEL_CAPACITY, key);
	static struct model m;
	uint32_t n = 0;
	struct rng r;

	rng_init(&r, 14);
	for (int i = 0; i < MODEL_OPERATIONS; i++)
		operate(t, &m, &r);
	for (uint32_t id = 0; id < MODEL_CAPACITY; id++) {
		n += m.in_use[id];
		cr_assert_eq(t->more[id].in_use, m.in_use[id]);
	}
	cr_assert_eq(t->n_flows, n);
	cr_assert_gt(n, MODEL_CAPACITY / 10);
	flow_table_destroy(t);
}

Test(flow_table, behaves_as_a_searched_array_over_random_operations)
{
	compare_with_model(NULL);
}

Test(flow_table, behaves_as_a_searched_array_when_all_keys_collide)
{
	compare_with_model(&all_collide);
}
