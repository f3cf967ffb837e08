/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/classify/names.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define START    (1000 * US_PER_S)
#define HOUR_S   3600u

static const struct names_device one = {.id = 1, .generation = 5};
static const struct names_device two = {.id = 2, .generation = 5};

static struct ip_addr host(uint32_t n)
{
	return ip_addr_v4(htonl(0xc0000200 + n));
}

static struct names *create(uint32_t capacity, uint16_t n_devices, uint32_t per_device)
{
	struct names_setup setup = {.capacity = capacity,
		.n_own = capacity / n_devices < per_device ? capacity / n_devices : per_device,
		.per_device = per_device,
		.n_devices = n_devices,
		.hash_key = {
			.words = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}}};
	struct names_times times = {
		.ttl_max_us = 24ull * HOUR_S * US_PER_S, .grace_us = HOUR_S * US_PER_S};
	struct names *n;

	cr_assert_eq(names_create(&setup, &n), 0);
	names_set_times(n, &times);
	return n;
}

/* Names 0, 1, 2 are of classes 2, 3, 4. */
static struct name_set *create_set(void)
{
	static const struct name_pattern patterns[] = {
		{"a.example.net", 2}, {"b.example.net", 3}, {"c.example.net", 4}};
	struct name_set *s;

	cr_assert_eq(name_set_create(patterns, N(patterns), &s), 0);
	return s;
}

Test(classify_names, proves_a_name_only_for_the_device_that_asked)
{
	struct names *n = create(16, 4, 16);
	struct name_set *s = create_set();
	struct names_device next = {.id = 1, .generation = 6};
	struct ip_addr addr = host(1);
	struct ip_addr other = host(2);

	names_bind(n, &one, &addr, 0, 60, START);
	cr_assert_eq(names_find(n, s, &one, &addr, START), 1 << 2);
	cr_assert_eq(names_find(n, s, &one, &other, START), 0, "another address");
	cr_assert_eq(names_find(n, s, &two, &addr, START), 0, "another device");
	cr_assert_eq(names_find(n, s, &next, &addr, START), 0, "the next device with this id");
	names_bind(n, &two, &addr, 1, 60, START);
	names_bind(n, &one, &addr, 2, 60, START);
	cr_assert_eq(
		names_find(n, s, &one, &addr, START), 1 << 2 | 1 << 4, "two names of an address");
	cr_assert_eq(names_find(n, s, &two, &addr, START), 1 << 3);
	names_bind(n, &next, &other, 1, 60, START);
	cr_assert_eq(names_find(n, s, &next, &other, START), 1 << 3);
	cr_assert_eq(names_find(n, s, &next, &addr, START), 0,
		"what its predecessor was told is forgotten");
	cr_assert_eq(names_n(n), 2);
	cr_assert_eq(names_n_of(n, &next), 1);
	cr_assert_eq(names_n_of(n, &one), 0);
	names_destroy(n);
	name_set_destroy(s);
	names_destroy(NULL);
}

Test(classify_names, lasts_for_ttl_and_grace)
{
	static const struct {
		const char *claim;
		uint32_t ttl_s;
		uint64_t lasts_s;
	} rows[] = {
		{"TTL and grace", 60, 60 + HOUR_S},
		{"no TTL: the grace", 0, HOUR_S},
		{"a TTL above the cap", INT32_MAX, 24 * HOUR_S + HOUR_S},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct names *n = create(4, 4, 4);
		struct name_set *s = create_set();
		struct ip_addr addr = host(1);
		uint64_t end_us = START + rows[i].lasts_s * US_PER_S;

		names_bind(n, &one, &addr, 0, rows[i].ttl_s, START);
		cr_assert_eq(
			names_find(n, s, &one, &addr, end_us - 1), 1 << 2, "%s", rows[i].claim);
		cr_assert_eq(names_find(n, s, &one, &addr, end_us), 0, "%s", rows[i].claim);
		names_expire(n, 4, end_us - 1);
		cr_assert_eq(names_n(n), 1, "%s", rows[i].claim);
		names_expire(n, 4, end_us);
		cr_assert_eq(names_n(n), 0, "%s", rows[i].claim);
		names_destroy(n);
		name_set_destroy(s);
	}
}

Test(classify_names, a_later_answer_lengthens_and_never_shortens)
{
	struct names *n = create(4, 4, 4);
	struct name_set *s = create_set();
	struct ip_addr addr = host(1);

	names_bind(n, &one, &addr, 0, 600, START);
	names_bind(n, &one, &addr, 0, 10, START);
	cr_assert_eq(names_find(n, s, &one, &addr, START + (599 + HOUR_S) * US_PER_S), 1 << 2);
	names_bind(n, &one, &addr, 0, 600, START + 100 * US_PER_S);
	cr_assert_eq(names_find(n, s, &one, &addr, START + (699 + HOUR_S) * US_PER_S), 1 << 2);
	cr_assert_eq(names_n(n), 1);
	cr_assert_eq(names_read(n).n_renewed, 2);
	names_destroy(n);
	name_set_destroy(s);
}

Test(classify_names, no_device_pushes_out_what_another_was_told)
{
	struct names *n = create(40, 4, 20); /* 10 each, none in common */
	struct name_set *s = create_set();
	struct ip_addr addr;

	for (uint32_t i = 0; i < 10; i++) {
		addr = host(i);
		names_bind(n, &one, &addr, 0, 60, START);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		addr = host(i % 200);
		names_bind(n, &two, &addr, (uint16_t)(i % 3), i % 77, START + i);
	}
	for (uint32_t i = 0; i < 10; i++) {
		addr = host(i);
		cr_assert_eq(names_find(n, s, &one, &addr, START), 1 << 2);
	}
	cr_assert_eq(names_n_of(n, &two), 10);
	cr_assert_gt(names_read(n).n_replaced, 9000);
	names_destroy(n);
	name_set_destroy(s);
}

Test(classify_names,
	what_is_set_aside_for_none_is_there_for_all_and_a_device_replaces_what_ends_first)
{
	struct names_setup bad = {.capacity = 3, .n_own = 1, .per_device = 1, .n_devices = 4};
	struct names *n = create(14, 4, 8); /* 3 each, 2 in common */
	struct name_set *s = create_set();
	struct ip_addr addr;

	for (uint32_t i = 0; i < 6; i++) {
		addr = host(i);
		names_bind(n, &one, &addr, 0, 100 - i, START);
	}
	cr_assert_eq(names_n_of(n, &one), 5, "3 of its own and 2 of all");
	addr = host(4);
	cr_assert_eq(names_find(n, s, &one, &addr, START), 0, "96 s: replaced by the last");
	addr = host(5);
	cr_assert_eq(names_find(n, s, &one, &addr, START), 1 << 2);
	for (uint32_t i = 0; i < 6; i++) {
		addr = host(i);
		names_bind(n, &two, &addr, 0, 100, START);
	}
	cr_assert_eq(names_n_of(n, &two), 3, "its own are there for it");
	names_expire(n, 14, START + 2 * HOUR_S * US_PER_S);
	cr_assert_eq(names_n(n), 0);
	for (uint32_t i = 0; i < 6; i++) {
		addr = host(i);
		names_bind(n, &two, &addr, 0, 100, START);
	}
	cr_assert_eq(names_n_of(n, &two), 5, "those of all are free again");
	names_destroy(n);
	name_set_destroy(s);
	n = NULL;
	cr_assert_eq(names_create(&bad, &n), -EINVAL, "fewer bindings than devices");
	cr_assert_null(n);
}

Test(classify_names, carries_bindings_over_to_another_set)
{
	static const struct name_pattern patterns[] = {
		{"z.example.net", 9}, {"c.example.net", 5}, {"a.example.net", 3}};
	struct name_set *to;
	struct names *n = create(16, 4, 8);
	struct name_set *s = create_set();
	struct ip_addr addr = host(1);
	struct ip_addr other = host(2);

	names_bind(n, &one, &addr, 0, 60, START);
	names_bind(n, &one, &addr, 2, 60, START);
	names_bind(n, &one, &other, 1, 60, START);
	cr_assert_eq(name_set_create(patterns, N(patterns), &to), 0);
	names_carry(n, s, to);
	cr_assert_eq(names_find(n, to, &one, &addr, START), 1 << 3 | 1 << 5);
	cr_assert_eq(names_find(n, to, &one, &other, START), 0);
	cr_assert_eq(names_n(n), 2);
	name_set_destroy(to);
	names_destroy(n);
	name_set_destroy(s);
}

/* Against a plain list of what was bound: whatever is found was bound, and counts agree. */
Test(classify_names, agrees_with_a_plain_list_over_random_use)
{
	static uint64_t ends[4][32][3];
	struct names *n = create(4 * 96, 4, 96); /* room for all there is */
	struct name_set *s = create_set();
	struct rng rng;
	uint64_t now = START;

	rng_init(&rng, 1);
	for (uint32_t step = 0; step < 200000; step++) {
		struct names_device device = {.id = (uint16_t)rng_below(&rng, 4), .generation = 0};
		uint32_t h = rng_below(&rng, 32);
		uint16_t name = (uint16_t)rng_below(&rng, 3);
		struct ip_addr addr = host(h);
		uint64_t classes = 0;

		now += rng_below(&rng, 2000000);
		if (rng_below(&rng, 3) == 0) {
			uint32_t ttl_s = rng_below(&rng, 5000);
			uint64_t end_us = now + (ttl_s + HOUR_S) * US_PER_S;

			names_bind(n, &device, &addr, name, ttl_s, now);
			if (end_us > ends[device.id][h][name])
				ends[device.id][h][name] = end_us;
		}
		names_expire(n, rng_below(&rng, 4), now);
		for (uint32_t i = 0; i < 3; i++)
			classes |= (uint32_t)(ends[device.id][h][i] > now) << (i + 2);
		cr_assert_eq(names_find(n, s, &device, &addr, now), classes, "step %u", step);
	}
	cr_assert_eq(names_read(n).n_replaced, 0);
	names_expire(n, UINT32_MAX, UINT64_MAX);
	cr_assert_eq(names_n(n), 0);
	names_destroy(n);
	name_set_destroy(s);
}
