/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/flow/device.h>

#include <criterion/criterion.h>
#include <errno.h>

static const struct flow_hash_key hash_key = {
	{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}};
static const struct mac_addr mac_a = {{2, 0, 0x5e, 0x10, 0, 1}};
static const struct mac_addr mac_b = {{2, 0, 0x5e, 0x10, 0, 2}};

static struct device_table *create(uint16_t capacity)
{
	struct device_table *t;

	cr_assert_eq(device_table_create(capacity, &hash_key, &t), 0);
	return t;
}

static struct ip_addr host(uint32_t n)
{
	return ip_addr_v4(htonl(0xc0a80000 + n));
}

static uint16_t take(struct device_table *t, uint32_t n, uint64_t now_us)
{
	struct ip_addr addr = host(n);

	return device_take(t, 1, &addr, &mac_a, now_us);
}

static uint16_t find(const struct device_table *t, uint32_t n)
{
	struct ip_addr addr = host(n);

	return device_find(t, 1, &addr);
}

Test(flow_device, refuses_capacities_outside_its_range)
{
	struct device_table *t;

	cr_assert_eq(device_table_create(0, &hash_key, &t), -EINVAL);
	cr_assert_eq(device_table_create(UINT16_MAX, &hash_key, &t), -EINVAL);
	device_table_destroy(NULL);
}

Test(flow_device, gives_ids_from_0_and_finds_them_again)
{
	struct device_table *t = create(UINT16_MAX - 1);

	for (uint32_t i = 0; i < UINT16_MAX - 1; i++)
		cr_assert_eq(take(t, i, i), i);
	for (uint32_t i = 0; i < UINT16_MAX - 1; i++)
		cr_assert_eq(find(t, i), i);
	cr_assert_eq(find(t, UINT16_MAX), DEVICE_NONE);
	cr_assert_eq(t->n_devices, UINT16_MAX - 1);
	cr_assert_eq(t->n_high, UINT16_MAX - 1);
	device_table_destroy(t);
}

Test(flow_device, is_an_address_on_a_port)
{
	struct device_table *t = create(8);
	struct ip_addr four = host(1);
	struct ip_addr six = four;
	uint16_t ids[3];

	six.bytes[0] = 0xfd;
	ids[0] = device_take(t, 1, &four, &mac_a, 0);
	ids[1] = device_take(t, 2, &four, &mac_a, 0);
	ids[2] = device_take(t, 1, &six, &mac_a, 0);
	cr_assert_eq(ids[0], 0);
	cr_assert_eq(ids[1], 1);
	cr_assert_eq(ids[2], 2);
	cr_assert_eq(device_find(t, 2, &four), 1);
	cr_assert_eq(device_find(t, 2, &six), DEVICE_NONE);
	device_table_destroy(t);
}

Test(flow_device, notes_the_latest_mac_and_time)
{
	struct device_table *t = create(8);
	struct ip_addr addr = host(1);
	uint16_t id = device_take(t, 1, &addr, &mac_a, 100);
	const struct device *d = &t->devices[id];

	t->devices[id].octets[UPLINK] = 5;
	cr_assert_eq(device_take(t, 1, &addr, &mac_b, 200), id);
	cr_assert(mac_addr_equal(&d->mac, &mac_b));
	cr_assert_eq(d->first_us, 100);
	cr_assert_eq(d->last_us, 200);
	cr_assert_eq(d->octets[UPLINK], 5);
	cr_assert_eq(d->generation, 0);
	device_table_destroy(t);
}

Test(flow_device, yields_the_one_without_flows_that_was_seen_longest_ago)
{
	struct device_table *t = create(4);

	for (uint32_t i = 0; i < 4; i++)
		take(t, i, i);
	t->devices[0].n_flows = 1;
	t->devices[2].octets[DOWNLINK] = 9;
	take(t, 1, 10);
	cr_assert_eq(take(t, 100, 11), 2, "0 has a flow, 1 was seen again");
	cr_assert_eq(t->devices[2].generation, 1);
	cr_assert_eq(t->devices[2].octets[DOWNLINK], 0);
	cr_assert_eq(t->devices[2].first_us, 11);
	cr_assert_eq(find(t, 2), DEVICE_NONE);
	cr_assert_eq(find(t, 100), 2);
	cr_assert_eq(t->n_devices, 4);
	device_table_destroy(t);
}

Test(flow_device, reports_full_when_all_have_flows)
{
	struct device_table *t = create(3);

	for (uint32_t i = 0; i < 3; i++)
		t->devices[take(t, i, i)].n_flows = 1;
	cr_assert_eq(take(t, 100, 4), DEVICE_NONE);
	cr_assert_eq(take(t, 1, 5), 1, "one that is known stays known");
	t->devices[1].n_flows = 0;
	cr_assert_eq(take(t, 100, 6), 1);
	device_table_destroy(t);
}

Test(flow_device, finds_the_one_that_may_yield_among_many_within_a_few_calls)
{
	enum {
		CAPACITY = 1000
	};
	struct device_table *t = create(CAPACITY);
	uint16_t id = DEVICE_NONE;

	for (uint32_t i = 0; i < CAPACITY; i++)
		t->devices[take(t, i, i)].n_flows = i != 700;
	for (int call = 0; call < CAPACITY / 128 + 1 && id == DEVICE_NONE; call++)
		id = take(t, 5000, CAPACITY);
	cr_assert_eq(id, 700);
	device_table_destroy(t);
}

Test(flow_device, agrees_with_a_searched_array_over_random_operations)
{
	enum {
		CAPACITY = 50,
		HOSTS = 120
	};
	static uint16_t id_of[HOSTS];
	struct device_table *t = create(CAPACITY);
	struct rng r;

	rng_init(&r, 41);
	memset(id_of, 0xff, sizeof(id_of));
	for (uint64_t i = 0; i < 100000; i++) {
		uint32_t n = rng_below(&r, HOSTS);
		uint16_t id = take(t, n, i);

		t->devices[rng_below(&r, CAPACITY)].n_flows = rng_below(&r, 4) != 0;
		if (id_of[n] != DEVICE_NONE)
			cr_assert_eq(id, id_of[n]);
		if (id == DEVICE_NONE)
			continue;
		for (uint32_t k = 0; k < HOSTS; k++)
			if (k != n && id_of[k] == id)
				id_of[k] = DEVICE_NONE;
		id_of[n] = id;
		n = rng_below(&r, HOSTS);
		cr_assert_eq(find(t, n), id_of[n]);
	}
	device_table_destroy(t);
}
