/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/remote_names.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define CAPACITY  64
#define N_DEVICES 16
#define START     (1000 * US_PER_S)
#define TTL_S     60
#define GRACE_US  (600 * US_PER_S)
#define TTL_MAX_S 3600

static struct remote_names *r;

static void begin(void)
{
	struct names_times times = {.ttl_max_us = TTL_MAX_S * US_PER_S, .grace_us = GRACE_US};

	cr_assert_eq(remote_names_create(CAPACITY, N_DEVICES, 7, &r), 0);
	remote_names_set_times(r, &times);
}

static void end(void)
{
	remote_names_destroy(r);
	remote_names_destroy(NULL);
}

TestSuite(control_remote_names, .init = begin, .fini = end);

/* A device has its number in its address and MAC. */
static void hear_for(
	uint8_t device, uint8_t remote, const char *name, uint32_t ttl_s, uint64_t at_us)
{
	struct path_name n = {.kind = PATH_NAME_REMOTE,
		.port = 0,
		.mac = {{2, 0, 0, 0, 0, device}},
		.addr = ip_addr_quad(192, 168, 50, device),
		.device_id = device % N_DEVICES,
		.ttl_s = ttl_s,
		.remote = ip_addr_quad(203, 0, 113, remote),
		.at_us = at_us};

	(void)snprintf(n.name, sizeof(n.name), "%s", name);
	remote_names_hear(r, &n);
}

static void hear(uint8_t device, uint8_t remote, const char *name, uint64_t at_us)
{
	hear_for(device, remote, name, TTL_S, at_us);
}

static struct flow_record flow_of(uint8_t device, uint8_t remote, uint64_t start_us)
{
	return (struct flow_record){.start_us = start_us,
		.internal = ip_addr_quad(192, 168, 50, device),
		.remote = ip_addr_quad(203, 0, 113, remote),
		.device_mac = {{2, 0, 0, 0, 0, device}}};
}

static const char *name_of(uint8_t device, uint8_t remote, uint64_t start_us)
{
	struct flow_record flow = flow_of(device, remote, start_us);
	const char *name = remote_names_find(r, &flow);

	return name == NULL ? "-" : name;
}

Test(control_remote_names, a_name_is_of_one_device_and_one_remote)
{
	struct flow_record flow = flow_of(1, 1, START);

	hear(1, 1, "a.example", START);
	cr_expect_str_eq(name_of(1, 1, START), "a.example");
	cr_expect_str_eq(name_of(2, 1, START), "-", "another device");
	cr_expect_str_eq(name_of(1, 2, START), "-", "another remote");
	flow.lan_port = 1;
	cr_expect_null(remote_names_find(r, &flow), "another LAN");
	flow = flow_of(1, 1, START);
	flow.device_mac.bytes[0] = 6;
	cr_expect_null(remote_names_find(r, &flow), "another station with its address");
	cr_expect_null(remote_names_find(NULL, &flow));
}

Test(control_remote_names, a_name_holds_for_flows_that_begin_within_its_ttl_and_the_grace)
{
	static const struct {
		uint32_t ttl_s;
		int64_t start_s;
		const char *name;
	} rows[] = {
		{60, -1, "-"}, /* it was not known then */
		{60, 0, "n"},
		{60, 660, "n"},
		{60, 661, "-"},
		{0, 600, "n"},
		{0, 601, "-"},
		{UINT32_MAX, TTL_MAX_S + 600, "n"},
		{UINT32_MAX, TTL_MAX_S + 601, "-"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		remote_names_clear(r);
		hear_for(1, 1, "n", rows[i].ttl_s, START);
		cr_expect_str_eq(
			name_of(1, 1,
				(uint64_t)((int64_t)START + rows[i].start_s * (int64_t)US_PER_S)),
			rows[i].name, "row %zu", i);
	}
}

Test(control_remote_names, a_flow_has_the_name_that_was_heard_last_before_it)
{
	hear(1, 1, "old.example", START);
	hear(1, 1, "new.example", START + 10 * US_PER_S);
	cr_expect_str_eq(name_of(1, 1, START), "old.example");
	cr_expect_str_eq(name_of(1, 1, START + 9 * US_PER_S), "old.example");
	cr_expect_str_eq(name_of(1, 1, START + 10 * US_PER_S), "new.example");
	hear(1, 1, "old.example", START + 20 * US_PER_S);
	cr_expect_str_eq(name_of(1, 1, START + 21 * US_PER_S), "old.example");
	cr_expect_str_eq(name_of(1, 1, START + 11 * US_PER_S), "new.example");
	cr_expect_str_eq(name_of(1, 1, START + 1 * US_PER_S), "old.example");
	cr_expect_eq(remote_names_n(r), 2);
}

Test(control_remote_names, a_device_replaces_its_own_when_it_has_its_share)
{
	char name[16];

	hear(1, 200, "other.example", START);
	for (uint8_t i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		hear(2, i, name, START);
	}
	cr_expect_eq(remote_names_n(r), 1 + CAPACITY / 8);
	cr_expect_str_eq(name_of(1, 200, START), "other.example");
	cr_expect_str_eq(name_of(2, 49, START), "n49");
	cr_expect_str_eq(name_of(2, 42, START), "n42");
	cr_expect_str_eq(name_of(2, 41, START), "-");
}

Test(control_remote_names, when_all_places_are_taken_the_one_longest_unused_goes)
{
	for (uint8_t d = 0; d < 8; d++)
		for (uint8_t i = 0; i < 8; i++)
			hear(d, i, "n", START);
	cr_expect_eq(remote_names_n(r), CAPACITY);
	cr_expect_str_eq(name_of(0, 0, START), "n", "which is a use");
	hear(9, 1, "late", START);
	cr_expect_eq(remote_names_n(r), CAPACITY);
	cr_expect_str_eq(name_of(0, 0, START), "n");
	cr_expect_str_eq(name_of(0, 1, START), "-");
	cr_expect_str_eq(name_of(9, 1, START), "late");
}

Test(control_remote_names, all_can_be_forgotten_and_learned_anew)
{
	for (int round = 0; round < 3; round++) {
		for (uint8_t d = 0; d < 16; d++)
			for (uint8_t i = 0; i < 20; i++)
				hear(d, i, "n", START);
		cr_expect_eq(remote_names_n(r), CAPACITY);
		remote_names_clear(r);
		cr_expect_eq(remote_names_n(r), 0);
		cr_expect_str_eq(name_of(15, 19, START), "-");
	}
}

Test(control_remote_names, an_id_that_no_device_has_is_not_taken)
{
	struct path_name n = {.device_id = N_DEVICES, .name = "n"};
	struct remote_names *none;

	remote_names_hear(r, &n);
	cr_expect_eq(remote_names_n(r), 0);
	cr_expect_eq(remote_names_create(0, 1, 1, &none), -EINVAL);
	cr_expect_eq(remote_names_create(1, 0, 1, &none), -EINVAL);
}
