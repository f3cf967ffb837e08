/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/flow/key.h>

#include <criterion/criterion.h>

static struct flow_hash_key hash_key(uint64_t seed)
{
	struct rng r;

	rng_init(&r, seed);
	return (struct flow_hash_key){{rng_next(&r) | 1, rng_next(&r) | 1, rng_next(&r) | 1}};
}

static struct ip_addr random_v6(struct rng *r)
{
	struct ip_addr a;

	for (int i = 0; i < 4; i++)
		a.words[i] = (uint32_t)rng_next(r);
	return a;
}

Test(flow_key, hashes_an_ipv4_key_as_the_path_does)
{
	struct flow_hash_key k = hash_key(1);
	struct rng r;

	rng_init(&r, 2);
	for (int i = 0; i < 1000; i++) {
		struct flow_key key = {.src = ip_addr_v4((uint32_t)rng_next(&r)),
			.dst = ip_addr_v4((uint32_t)rng_next(&r)),
			.src_port = (uint16_t)rng_next(&r),
			.dst_port = (uint16_t)rng_next(&r),
			.proto = 17};

		struct flow_key_v4 v4 = {.src_be = key.src.words[3],
			.dst_be = key.dst.words[3],
			.src_port = key.src_port,
			.dst_port = key.dst_port,
			.proto = 17};

		cr_assert_eq(flow_hash(&k, &key), flow_hash_v4(&k, &v4));
	}
}

/* Counts in how many of 4096 trials a change of one bit of the key leaves the hash as it was. */
static int n_blind(const struct flow_key *key, size_t bit)
{
	int blind = 0;

	for (uint64_t seed = 0; seed < 4096; seed++) {
		struct flow_hash_key k = hash_key(seed);
		struct flow_key other = *key;

		((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		blind += flow_hash(&k, key) == flow_hash(&k, &other);
	}
	return blind;
}

Test(flow_key, takes_every_bit_of_an_ipv6_key_into_the_hash)
{
	struct flow_key key = {.src_port = 1234, .dst_port = 443, .proto = 6};
	size_t n_bits = (offsetof(struct flow_key, proto) + 1) * 8;
	struct rng r;

	rng_init(&r, 3);
	key.src = random_v6(&r);
	key.dst = random_v6(&r);
	for (size_t bit = 0; bit < n_bits; bit += 5)
		cr_assert_eq(n_blind(&key, bit), 0, "bit %zu", bit);
}

Test(flow_key, depends_on_which_end_is_the_source)
{
	struct flow_hash_key k = hash_key(4);
	struct flow_key key = {.src_port = 7, .dst_port = 7, .proto = 6};
	struct flow_key turned;
	struct rng r;

	rng_init(&r, 5);
	key.src = random_v6(&r);
	key.dst = random_v6(&r);
	turned = key;
	turned.src = key.dst;
	turned.dst = key.src;
	cr_assert_neq(flow_hash(&k, &key), flow_hash(&k, &turned));
}

/* Low, dense tuples are what a LAN has: hosts and ports that count up. */
Test(flow_key, spreads_dense_ipv4_tuples_evenly_over_both_halves)
{
	enum {
		N_KEYS = 1 << 16,
		N_BINS = 256
	};
	static uint32_t upper[N_BINS];
	static uint32_t lower[N_BINS];
	struct flow_hash_key k = hash_key(6);
	double chi_upper = 0;
	double chi_lower = 0;
	double mean = (double)N_KEYS / N_BINS;

	for (uint32_t i = 0; i < N_KEYS; i++) {
		struct flow_key_v4 key = {.src_be = htonl(0xc0a83200 + i % 16),
			.dst_be = htonl(0x08080808),
			.src_port = (uint16_t)(40000 + i / 16),
			.dst_port = 443,
			.proto = 6};
		uint32_t h = flow_hash_v4(&k, &key);

		upper[h >> 24]++;
		lower[h & 0xff]++;
	}
	for (int i = 0; i < N_BINS; i++) {
		chi_upper += (upper[i] - mean) * (upper[i] - mean) / mean;
		chi_lower += (lower[i] - mean) * (lower[i] - mean) / mean;
	}
	/* 255 degrees of freedom: mean 255, standard deviation 22.6. */
	cr_assert_lt(chi_upper, 400, "chi² %f", chi_upper);
	cr_assert_lt(chi_lower, 400, "chi² %f", chi_lower);
}
