/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas of devices: where they end what, whom they hold, and who gets round them: nobody. */
#include "path_world.h"

#include <stdio.h>

#define QUOTA     20000
#define PAYLOAD   972 /* 1000 octets with its headers */
#define PACKET    1000
#define OVERHEAD  50
#define SERVER_BE PACKET_DST_BE
#define ANN       20
#define BEN       21
#define HOST(n)   V4(192, 168, 50, (n))
#define MAC(n)                                                                                     \
	{                                                                                          \
		{                                                                                  \
			0x02, 0, 0, 1, 0, (n)                                                      \
		}                                                                                  \
	}
#define RESERVED_PORT 4443 /* of the class that owns a reserve */
#define OTHER_PORT    4444 /* and of another one */

static struct path_quota quota_of(uint64_t octets, enum ladder_action action)
{
	struct path_quota q = {
		.name = "devices",
		.rule = {.quota_octets = octets,
			.ladder = {.n_steps = 2,
				.steps = {{500000, LADDER_NOTIFY, 0}, {1000000, action, 0}}}},
	};

	share_rule_prepare(&q.rule);
	return q;
}

static void bill(struct path_config *c)
{
	c->ports[WORLD_UPLINK].plan_id = 0;
	c->n_plans = 1;
}

static void reserve(struct path_config *c)
{
	struct class_rule rules[] = {
		{.name = "service", .port_min = RESERVED_PORT, .port_max = RESERVED_PORT},
		{.name = "other", .port_min = OTHER_PORT, .port_max = OTHER_PORT},
	};

	classes_destroy(c->classes);
	cr_assert_eq(classes_create(rules, 2, &c->classes), 0);
	c->accounts[CLASSES_BUILT_IN] = 1;
	c->accounts[CLASSES_BUILT_IN + 1] = 2;
}

static void leave_to_reserves(struct path_setup *setup, struct path_config *c)
{
	(void)setup;
	bill(c);
	reserve(c);
	c->n_quotas = 1;
	c->quotas[0] = quota_of(QUOTA, LADDER_RESERVE_ONLY);
}

static void block(struct path_setup *setup, struct path_config *c)
{
	leave_to_reserves(setup, c);
	c->quotas[0] = quota_of(QUOTA, LADDER_BLOCK);
}

static struct path_world *world(void (*tune)(struct path_setup *, struct path_config *))
{
	struct path_world_params params = {.tune = tune};

	return path_world_create(&params);
}

/* What a device sends: by its address, its MAC and where to. */
struct sender {
	uint8_t host; /* the last octet of its address */
	struct mac_addr mac;
	uint16_t port; /* of the server; 0: any */
};

static const struct sender ann = {.host = ANN, .mac = MAC(1)};
static const struct sender ben = {.host = BEN, .mac = MAC(2)};

/* Sends up to `n` packets of PACKET octets, one at a time; returns how many left by the uplink. */
static uint32_t send_packets(struct path_world *w, const struct sender *s, uint32_t n)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < n; i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = V4(192, 168, 50, s->host),
				.src_mac = s->mac,
				.dst_port = s->port,
				.payload_bytes = PAYLOAD});
		path_world_step(w);
		sent += path_world_discard(w, WORLD_UPLINK);
	}
	return sent;
}

/* The same from the server, to the port that the device's last flow has outside. */
static uint32_t answer(struct path_world *w, uint16_t from_port, uint32_t n)
{
	uint32_t got = 0;

	for (uint32_t i = 0; i < n; i++) {
		path_world_put(w, WORLD_UPLINK,
			&(struct packet_spec){.src_be = SERVER_BE,
				.dst_be = WORLD_UPLINK_BE,
				.src_port = from_port,
				.dst_port = PACKET_SRC_PORT,
				.payload_bytes = PAYLOAD});
		path_world_step(w);
		got += path_world_discard(w, WORLD_LAN);
	}
	return got;
}

static struct share_view share_of(const struct path_world *w, uint32_t address_be)
{
	struct ip_addr addr = ip_addr_v4(address_be);
	struct device devices[64];
	uint32_t n = doors_devices_read(w->path, 0, devices, 64);

	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_equal(&devices[i].addr, &addr))
			return doors_share_of_device(w->path, 0, &devices[i]);
	cr_assert_fail("no such device");
	return (struct share_view){0};
}

Test(path_quota, a_device_ends_at_its_quota_to_the_packet_and_others_go_on)
{
	struct path_world *w = world(leave_to_reserves);

	cr_expect_eq(send_packets(w, &ann, 30), 20, "20 of 1000 octets fit, not one more");
	cr_expect_eq(path_world_drops(w, DROP_METER_DEVICE_SPENT), 10);
	cr_expect_eq(send_packets(w, &ben, 10), 10);
	cr_expect_eq(share_of(w, HOST(ANN)).used_octets, QUOTA);
	cr_expect_eq(share_of(w, HOST(ANN)).action, LADDER_RESERVE_ONLY);
	cr_expect_eq(share_of(w, HOST(BEN)).used_octets, 10 * PACKET);
	cr_expect_eq(share_of(w, HOST(BEN)).action, LADDER_NOTIFY);
	path_world_destroy(w);
}

Test(path_quota, a_burst_is_cut_in_its_middle)
{
	struct path_world *w = world(leave_to_reserves);

	send_packets(w, &ann, 5);
	for (uint32_t i = 0; i < 32; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){
				.src_be = HOST(ANN), .src_mac = ann.mac, .payload_bytes = PAYLOAD});
	path_world_step(w);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 15);
	path_world_destroy(w);
}

Test(path_quota, the_step_holds_when_a_packet_no_longer_fits)
{
	struct path_world *w = world(leave_to_reserves);

	send_packets(w, &ann, 19);
	path_world_put(w, WORLD_LAN,
		&(struct packet_spec){
			.src_be = HOST(ANN), .src_mac = ann.mac, .payload_bytes = 1400});
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_METER_DEVICE_SPENT), 1);
	cr_expect_eq(share_of(w, HOST(ANN)).action, LADDER_RESERVE_ONLY);
	cr_expect_leq(share_of(w, HOST(ANN)).used_octets, QUOTA);
	path_world_destroy(w);
}

Test(path_quota, what_comes_in_counts_and_is_stopped_as_well)
{
	struct path_world *w = world(leave_to_reserves);

	send_packets(w, &ann, 1);
	cr_expect_eq(answer(w, PACKET_DST_PORT, 30), 19);
	cr_expect_eq(path_world_drops(w, DROP_METER_DEVICE_SPENT), 11);
	cr_expect_eq(share_of(w, HOST(ANN)).used_octets, 31 * PACKET,
		"the carrier has billed them, and to nobody else");
	path_world_destroy(w);
}

Test(path_quota, a_reserve_goes_on_until_a_step_blocks_it)
{
	static const struct {
		void (*tune)(struct path_setup *setup, struct path_config *config);
		uint32_t n_reserved;
		enum drop_reason why;
	} rows[] = {
		{leave_to_reserves, 5, DROP_METER_DEVICE_SPENT},
		{block, 0, DROP_METER_DEVICE_BLOCKED},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_world *w = world(rows[i].tune);
		struct sender service = ann;

		service.port = RESERVED_PORT;
		cr_expect_eq(send_packets(w, &service, 1), 1);
		cr_expect_eq(send_packets(w, &ann, 21), 19);
		cr_expect_eq(path_world_drops(w, rows[i].why), 2, "row %u", i);
		cr_expect_eq(send_packets(w, &service, 5), rows[i].n_reserved, "row %u", i);
		cr_expect_eq(
			answer(w, RESERVED_PORT, 1), rows[i].n_reserved > 0 ? 1 : 0, "row %u", i);
		path_world_destroy(w);
	}
}

static void bill_overhead(struct path_setup *setup, struct path_config *c)
{
	leave_to_reserves(setup, c);
	c->plans[0].overhead_octets[UPLINK] = c->plans[0].overhead_octets[DOWNLINK] = OVERHEAD;
}

Test(path_quota, octets_are_those_that_the_plan_bills)
{
	struct path_world *w = world(bill_overhead);

	cr_expect_eq(send_packets(w, &ann, 30), QUOTA / (PACKET + OVERHEAD));
	cr_expect_eq(share_of(w, HOST(ANN)).used_octets, 19 * (PACKET + OVERHEAD));
	path_world_destroy(w);
}

Test(path_quota, another_address_is_no_other_quota)
{
	struct path_world *w = world(leave_to_reserves);
	struct sender again = ann;

	cr_expect_eq(send_packets(w, &ann, 15), 15);
	again.host = 29;
	cr_expect_eq(send_packets(w, &again, 15), 5);
	again.host = 30;
	cr_expect_eq(send_packets(w, &again, 5), 0);
	cr_expect_eq(share_of(w, HOST(29)).used_octets, QUOTA);
	path_world_destroy(w);
}

static void give_groups(struct path_setup *setup, struct path_config *c)
{
	struct group_member members[] = {
		{.group = 0, .is_mac = true, .mac = MAC(1)},
		{.group = 1, .prefix = {ip_addr_v4(HOST(BEN)), 32}},
	};
	struct groups_params params = {.members = members, .n_members = 2};

	(void)setup;
	bill(c);
	cr_assert_eq(groups_create(&params, &c->groups), 0);
	c->n_quotas = 2;
	c->quotas[0] = quota_of(5000, LADDER_RESERVE_ONLY);
	c->quotas[0].groups = GROUP_BIT(0);
	c->quotas[1] = quota_of(9000, LADDER_BLOCK);
	c->quotas[1].groups = GROUP_BIT(0) | GROUP_BIT(1);
}

Test(path_quota, the_first_that_fits_a_device_holds_it)
{
	struct path_world *w = world(give_groups);
	struct sender cay = {.host = 22, .mac = MAC(3)};

	cr_expect_eq(send_packets(w, &ann, 12), 5, "by its MAC");
	cr_expect_eq(send_packets(w, &ben, 12), 9, "by its address");
	cr_expect_eq(send_packets(w, &cay, 12), 12, "there is none for it");
	cr_expect_eq(share_of(w, HOST(22)).quota, QUOTA_NONE);
	path_world_destroy(w);
}

Test(path_quota, the_gateways_own_programs_have_none)
{
	struct path_world *w = world(leave_to_reserves);
	uint32_t sent = 0;

	for (uint32_t i = 0; i < 40; i++) {
		path_world_put(w, WORLD_TAP,
			&(struct packet_spec){.src_be = WORLD_LAN_BE, .payload_bytes = PAYLOAD});
		path_world_step(w);
		sent += path_world_discard(w, WORLD_UPLINK);
	}
	cr_expect_eq(sent, 40);
	path_world_destroy(w);
}

static void share_one(struct path_setup *setup, struct path_config *c)
{
	leave_to_reserves(setup, c);
	c->quotas[0].is_shared = true;
}

Test(path_quota, a_shared_one_is_spent_by_all_together_however_many_macs_there_are)
{
	struct path_world *w = world(share_one);
	uint32_t sent = 0;

	for (uint8_t i = 0; i < 30; i++) {
		struct sender s = {.host = (uint8_t)(20 + i), .mac = MAC(i)};

		sent += send_packets(w, &s, 2);
	}
	cr_expect_eq(sent, 20);
	path_world_destroy(w);
}

static void begin_cycle(struct path_world *w, uint32_t cycle)
{
	struct meter m;

	doors_meter_read(w->path, 0, &m);
	m.limits.cycle = cycle;
	doors_limits_set(w->path, 0, &m.limits);
}

Test(path_quota, a_new_cycle_gives_it_back)
{
	struct path_world *w = world(block);

	cr_expect_eq(send_packets(w, &ann, 30), 20);
	begin_cycle(w, 1);
	cr_expect_eq(send_packets(w, &ann, 30), 20);
	cr_expect_eq(share_of(w, HOST(ANN)).cycle, 1);
	cr_expect_eq(share_of(w, HOST(ANN)).used_octets, QUOTA);
	path_world_destroy(w);
}

Test(path_quota, another_configuration_holds_for_live_flows)
{
	struct path_world *w = world(block);
	struct path_config *c = path_world_config(w);

	cr_expect_eq(send_packets(w, &ann, 30), 20);
	c->quotas[0] = quota_of(QUOTA + 5000, LADDER_BLOCK);
	doors_publish(w->path, c);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	cr_expect_eq(share_of(w, HOST(ANN)).action, LADDER_NOTIFY);
	cr_expect_eq(send_packets(w, &ann, 30), 5, "larger");
	c = path_world_config(w);
	c->n_quotas = 0;
	doors_publish(w->path, c);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	cr_expect_eq(send_packets(w, &ann, 30), 30, "gone");
	cr_expect_eq(share_of(w, HOST(ANN)).action, LADDER_NOTHING);
	c = path_world_config(w);
	c->n_quotas = 2;
	c->quotas[0] = quota_of(1000, LADDER_BLOCK);
	c->quotas[0].groups = GROUP_BIT(3);
	c->quotas[1] = quota_of(QUOTA, LADDER_BLOCK);
	snprintf(c->quotas[0].name, sizeof(c->quotas[0].name), "others");
	doors_publish(w->path, c);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	cr_expect_eq(send_packets(w, &ann, 30), 0, "back, at another place, and what it used too");
	path_world_destroy(w);
}

Test(path_quota, what_is_not_sent_after_all_is_not_used)
{
	struct path_world_params params = {.tune = leave_to_reserves, .n_sent_max = 3};
	struct path_world *w = path_world_create(&params);

	for (uint32_t i = 0; i < 10; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){
				.src_be = HOST(ANN), .src_mac = ann.mac, .payload_bytes = PAYLOAD});
	path_world_step(w);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 3);
	cr_expect_eq(share_of(w, HOST(ANN)).used_octets, 3 * PACKET);
	path_world_destroy(w);
}

static void give_plenty(struct path_setup *setup, struct path_config *c)
{
	leave_to_reserves(setup, c);
	c->quotas[0] = quota_of(100 * PACKET, LADDER_RESERVE_ONLY);
}

Test(path_quota, no_flood_of_made_up_macs_makes_it_forget_what_a_device_has_used)
{
	struct path_world *w = world(give_plenty);

	cr_expect_eq(send_packets(w, &ann, 90), 90);
	path_world_pass(w, 700 * WORLD_S, 10 * WORLD_S);
	/* More than there are places for devices, and twice as many as for what they have used. */
	for (uint32_t i = 0; i < 300; i++) {
		struct sender s = {.host = (uint8_t)(100 + i % 100),
			.mac = {{0x02, 0, 0, 2, (uint8_t)(i >> 8), (uint8_t)i}}};

		send_packets(w, &s, 1);
		path_world_pass(w, 700 * WORLD_S, 350 * WORLD_S);
	}
	cr_expect_eq(send_packets(w, &ann, 20), 10);
	path_world_destroy(w);
}

Test(path_quota, who_finds_no_room_shares_with_the_others_who_found_none)
{
	struct path_world *w = world(leave_to_reserves);
	uint32_t sent = 0;

	/* 32 devices may be there at once, and as many are remembered. */
	for (uint32_t i = 0; i < 140; i++) {
		struct sender s = {
			.host = (uint8_t)(100 + i % 100), .mac = {{0x02, 0, 0, 2, 0, (uint8_t)i}}};

		sent += send_packets(w, &s, 20);
		path_world_pass(w, 700 * WORLD_S, 350 * WORLD_S);
	}
	cr_expect_leq(sent, (2 * 32 + 1) * 20);
	cr_expect_geq(sent, 2 * 32 * 20);
	path_world_destroy(w);
}

static void slow_down(struct path_setup *setup, struct path_config *c)
{
	leave_to_reserves(setup, c);
	c->quotas[0].rule.ladder.steps[0] = (struct ladder_step){500000, LADDER_SHAPE, 64000};
	share_rule_prepare(&c->quotas[0].rule);
}

static uint64_t ceiling_of(const struct path_world *w, uint32_t address_be)
{
	struct ip_addr addr = ip_addr_v4(address_be);
	struct device devices[64];
	uint32_t n = doors_devices_read(w->path, 0, devices, 64);

	for (uint32_t i = 0; i < n; i++)
		if (ip_addr_equal(&devices[i].addr, &addr))
			return devices[i].ceiling_bps;
	return 0;
}

Test(path_quota, a_rate_is_for_all_addresses_of_a_device_together)
{
	struct path_world *w = world(slow_down);
	struct sender again = ann;

	again.host = 29;
	send_packets(w, &ben, 1);
	send_packets(w, &ann, 9);
	path_world_pass(w, 200 * WORLD_MS, 10 * WORLD_MS);
	cr_expect_eq(ceiling_of(w, HOST(ANN)), 0);
	send_packets(w, &ann, 1);
	path_world_pass(w, 200 * WORLD_MS, 10 * WORLD_MS);
	cr_expect_eq(ceiling_of(w, HOST(ANN)), 64000);
	cr_expect_eq(ceiling_of(w, HOST(BEN)), 0);
	send_packets(w, &again, 1);
	path_world_pass(w, 200 * WORLD_MS, 10 * WORLD_MS);
	cr_expect_eq(ceiling_of(w, HOST(ANN)), 32000);
	cr_expect_eq(ceiling_of(w, HOST(29)), 32000);
	begin_cycle(w, 1);
	path_world_pass(w, 200 * WORLD_MS, 10 * WORLD_MS);
	cr_expect_eq(ceiling_of(w, HOST(ANN)), 0);
	path_world_destroy(w);
}

Test(path_quota, what_was_used_before_the_start_is_not_forgotten)
{
	struct path_world *w = world(leave_to_reserves);
	struct mac_addr mac = MAC(1);

	cr_expect(doors_share_restore(w->path, 0, &mac, 0, ACCOUNT_GENERAL, 15000));
	cr_expect_eq(send_packets(w, &ann, 30), 5);
	cr_expect_eq(send_packets(w, &ben, 30), 20);
	path_world_destroy(w);
}

static void share_reserves(struct path_setup *setup, struct path_config *c)
{
	(void)setup;
	bill(c);
	reserve(c);
}

Test(path_quota, a_device_has_one_share_of_each_reserve_whatever_its_address)
{
	struct path_world *w = world(share_reserves);
	struct sender service = ann;
	struct sender other = ann;
	struct meter m;

	service.port = RESERVED_PORT;
	other.port = OTHER_PORT;
	doors_meter_read(w->path, 0, &m);
	m.limits.accounts[ACCOUNT_GENERAL] = 0;
	m.limits.devices[1] = 5 * PACKET;
	m.limits.devices[2] = 2 * PACKET;
	doors_limits_set(w->path, 0, &m.limits);
	cr_expect_eq(send_packets(w, &service, 4), 4);
	cr_expect_eq(send_packets(w, &other, 4), 2, "what one reserve has paid is no other's");
	service.host = 29;
	cr_expect_eq(send_packets(w, &service, 4), 1);
	service.mac = ben.mac;
	service.host = BEN;
	cr_expect_eq(send_packets(w, &service, 4), 4);
	path_world_destroy(w);
}
