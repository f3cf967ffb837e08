/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/flow/station.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define DEVICES 4
#define PLACES  (2 * DEVICES)

static const struct flow_hash_key hash_key = {{1, 3, 5}};

static struct mac_addr mac(uint8_t last)
{
	return (struct mac_addr){{2, 0, 0, 0, 0, last}};
}

static bool may(const void *context, uint32_t id)
{
	const uint32_t *kept = context;

	return kept == NULL || id != *kept;
}

static struct station_table *table(void)
{
	struct station_table *t;

	cr_assert_eq(station_table_create(DEVICES, &hash_key, &t), 0);
	return t;
}

static uint32_t take(struct station_table *t, uint8_t last, const uint32_t *kept)
{
	struct mac_addr key = mac(last);
	bool is_new;

	return station_take(t, &key, may, kept, &is_new);
}

Test(flow_station, one_mac_is_one_station)
{
	struct station_table *t = table();
	struct mac_addr a = mac(1);
	bool is_new;
	uint32_t id = station_take(t, &a, may, NULL, &is_new);

	cr_expect(is_new);
	cr_expect_geq(id, STATION_FIRST);
	cr_expect_eq(station_take(t, &a, may, NULL, &is_new), id);
	cr_expect(!is_new);
	cr_expect_eq(station_find(t, &a), id);
	cr_expect_neq(take(t, 2, NULL), id);
	a = mac(9);
	cr_expect_eq(station_find(t, &a), STATION_NONE);
	station_table_destroy(t);
}

Test(flow_station, a_key_is_a_mac_or_what_no_sender_has)
{
	struct device with = {.mac = mac(1), .addr = ip_addr_quad(192, 0, 2, 1), .port = 1};
	struct device without = {.addr = ip_addr_quad(192, 0, 2, 1), .port = 1};
	struct device elsewhere = {.addr = ip_addr_quad(192, 0, 2, 1), .port = 2};
	struct device forged = {.mac = station_key_of_name("guests"),
		.addr = ip_addr_quad(192, 0, 2, 1),
		.port = 1};
	struct mac_addr keys[] = {station_key(&with), station_key(&without),
		station_key(&elsewhere), station_key_of_name("guests"),
		station_key_of_name("others")};
	struct mac_addr forged_key = station_key(&forged);

	cr_expect(mac_addr_equal(&keys[0], &with.mac));
	for (uint32_t i = 1; i < 5; i++) {
		cr_expect_eq(keys[i].bytes[0] & 1, 1);
		for (uint32_t j = 0; j < i; j++)
			cr_expect(!mac_addr_equal(&keys[i], &keys[j]), "%u %u", i, j);
	}
	cr_expect(mac_addr_equal(&forged_key, &keys[1]), "nobody spends what several share");
}

Test(flow_station, full_of_those_that_are_held_or_missed_it_takes_no_more)
{
	struct station_table *t = table();
	uint32_t first = 0;

	for (uint8_t i = 0; i < PLACES; i++) {
		uint32_t id = take(t, i, NULL);

		cr_assert_neq(id, STATION_NONE);
		first = i == 0 ? id : first;
		if (i > 0 && i <= DEVICES)
			station_hold(t, i - 1, id);
	}
	/* Three that nobody holds, and one that must not be forgotten. */
	for (uint8_t i = 0; i < 20; i++) {
		uint32_t id = take(t, (uint8_t)(100 + i), &first);

		cr_expect_neq(id, STATION_NONE);
		cr_expect_neq(id, first);
		for (uint16_t d = 0; d < DEVICES; d++)
			cr_expect_neq(id, station_held(t, d));
	}
	for (uint8_t i = 0; i < DEVICES; i++) {
		struct mac_addr key = mac((uint8_t)(i + 1));

		cr_expect_eq(station_find(t, &key), station_held(t, i));
	}
	station_hold(t, 0, STATION_NONE);
	cr_expect_eq(t->stations[first + 1].n_devices, 0);
	station_table_destroy(t);
}

Test(flow_station, shared_ones_keep_their_places_while_their_names_are_there)
{
	struct station_table *t = table();
	struct mac_addr keys[STATIONS_SHARED];
	uint32_t ids[STATIONS_SHARED];
	uint32_t kept = 0;
	bool is_new;

	for (uint32_t i = 0; i < STATIONS_SHARED; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "q%u", i);
		keys[i] = station_key_of_name(name);
		ids[i] = station_share(t, &keys[i], kept, &is_new);
		cr_expect(is_new);
		cr_expect_lt(ids[i], STATION_FIRST);
		kept |= UINT32_C(1) << (ids[i] - STATION_NONE - 1);
	}
	for (uint32_t i = 0; i < STATIONS_SHARED; i++) {
		cr_expect_eq(station_share(t, &keys[i], 0, &is_new), ids[i]);
		cr_expect(!is_new);
		cr_expect_eq(station_find(t, &keys[i]), ids[i]);
	}
	kept &= ~(UINT32_C(1) << (ids[7] - STATION_NONE - 1));
	keys[0] = station_key_of_name("newcomer");
	cr_expect_eq(station_share(t, &keys[0], kept, &is_new), ids[7]);
	cr_expect(is_new);
	station_table_destroy(t);
}

Test(flow_station, sizes_that_make_no_table_are_refused)
{
	struct station_table *t;

	cr_expect_eq(station_table_create(0, &hash_key, &t), -EINVAL);
	cr_expect_eq(station_table_create(DEVICE_NONE, &hash_key, &t), -EINVAL);
	station_table_destroy(NULL);
}
