/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules that change under live flows, devices that are not admitted, and places that a group may not go to. */
#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#include <string.h>

#define HOST_BE   PACKET_SRC_BE
#define HOST_B_BE V4(192, 168, 50, 11)
#define SERVER_BE PACKET_DST_BE
#define SLOW_BPS  80000

static const struct mac_addr mac_a = {{0x02, 0, 0, 0, 0, 0xa}};
static const struct mac_addr mac_b = {{0x02, 0, 0, 0, 0, 0xb}};
static const struct mac_addr mac_c = {{0x02, 0, 0, 0, 0, 0xc}};

static uint32_t n_flows(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.n_flows;
}

static uint32_t n_forced(const struct path_world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_records; i++)
		n += w->records[i].end_reason == FLOW_END_FORCED;
	return n;
}

static struct path_config *with_rules(
	struct path_config *config, const struct policy_rule *rules, uint32_t n)
{
	ruleset_destroy(config->rules);
	cr_assert_eq(ruleset_create(rules, n, &config->rules), 0);
	return config;
}

static void publish_rule(struct path_world *w, const struct policy_rule *rule)
{
	doors_publish(w->path, with_rules(path_world_config(w), rule, 1));
}

/* Group 0 holds mac_a and mac_b, and host B is confined by group 1 to the server. */
static void set_groups(struct path_config *config)
{
	struct group_member members[] = {
		{.group = 0, .is_mac = true, .mac = mac_a},
		{.group = 0, .is_mac = true, .mac = mac_b},
		{.group = 1, .prefix = {ip_addr_v4(HOST_B_BE), 32}},
	};
	struct group_destination destinations[] = {{1, {ip_addr_v4(SERVER_BE), 32}}};
	struct groups_params params = {
		.members = members,
		.n_members = 3,
		.destinations = destinations,
		.n_destinations = 1,
	};

	cr_assert_eq(groups_create(&params, &config->groups), 0);
}

static void list_devices(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	set_groups(config);
	config->listed_only = true;
	config->quarantine_reaches_gateway = true;
}

static bool passes(struct path_world *w, enum world_port in, const struct packet_spec *spec,
	enum world_port out)
{
	struct packet p;
	bool is_through;

	path_world_put(w, in, spec);
	path_world_step(w);
	is_through = path_world_take(w, out, &p);
	if (is_through)
		packet_clean(&p);
	path_world_discard(w, WORLD_LAN);
	return is_through;
}

Test(path_policy, a_change_of_rules_ends_the_flows_it_denies_and_no_other)
{
	const struct policy_rule deny = {.port_min = 1001, .port_max = 1001, .action = POLICY_DROP};
	struct path_world *w = path_world_create(NULL);
	struct packet_spec cut = {.src_port = 5001, .dst_port = 1001};
	struct packet_spec kept = {.src_port = 5002, .dst_port = 1002};

	cr_assert(passes(w, WORLD_LAN, &cut, WORLD_UPLINK));
	cr_assert(passes(w, WORLD_LAN, &kept, WORLD_UPLINK));
	publish_rule(w, &deny);
	path_world_pass(w, 20 * WORLD_MS, WORLD_MS);
	cr_expect_eq(n_flows(w), 1);
	cr_expect_eq(n_forced(w), 1);
	cr_expect_eq(w->records[w->n_records - 1].remote_port, 1001);
	cr_expect(!passes(w, WORLD_LAN, &cut, WORLD_UPLINK));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	cr_expect(passes(w, WORLD_LAN, &kept, WORLD_UPLINK));
	cr_expect_eq(n_flows(w), 1, "the flow goes on, no other began for it");
	path_world_destroy(w);
}

Test(path_policy, an_established_connection_is_cut_also_in_mid_stream)
{
	const struct policy_rule deny = {
		.proto = PROTO_TCP, .port_max = UINT16_MAX, .action = POLICY_REJECT};
	struct path_world *w = path_world_create(NULL);
	struct packet_spec syn = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN};
	struct packet_spec data = {.proto = PROTO_TCP, .payload_bytes = 100};
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &syn, WORLD_UPLINK));
	cr_assert(passes(w, WORLD_LAN, &data, WORLD_UPLINK));
	publish_rule(w, &deny);
	path_world_pass(w, 20 * WORLD_MS, WORLD_MS);
	cr_expect_eq(n_flows(w), 0);
	path_world_put(w, WORLD_LAN, &data);
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_LAN, &p), "its sender is told");
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_ADMIN);
	packet_clean(&p);
	cr_expect(!path_world_take(w, WORLD_UPLINK, &p));
	path_world_destroy(w);
}

/* A whole table is asked about in bounded steps: no step looks at more than 128 flows. */
Test(path_policy, many_flows_are_asked_about_a_few_at_a_time)
{
	const struct policy_rule deny = {.port_max = UINT16_MAX, .action = POLICY_DROP};
	struct path_world *w = path_world_create(NULL);
	uint32_t before;

	for (uint16_t i = 0; i < 500; i++) {
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_port = (uint16_t)(2000 + i)});
		if (i % 50 == 49)
			path_world_step(w);
	}
	path_world_discard(w, WORLD_UPLINK);
	cr_assert_eq(n_flows(w), 500);
	publish_rule(w, &deny);
	do {
		before = n_flows(w);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		cr_expect_leq(before - n_flows(w), 128);
	} while (n_flows(w) > 0 && n_flows(w) < before);
	cr_expect_eq(n_flows(w), 0);
	cr_expect_eq(n_forced(w), 500);
	path_world_destroy(w);
}

static void slow_down(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].uplink_bps = SLOW_BPS;
}

Test(path_policy, a_flow_with_packets_in_a_queue_is_silenced_first_and_ends_after_them)
{
	const struct policy_rule deny = {.port_max = UINT16_MAX, .action = POLICY_DROP};
	struct path_world_params params = {.tune = slow_down};
	struct path_world *w = path_world_create(&params);

	for (uint32_t i = 0; i < 10; i++)
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1400});
	path_world_step(w);
	publish_rule(w, &deny);
	path_world_pass(w, 50 * WORLD_MS, WORLD_MS);
	cr_assert_eq(n_flows(w), 1, "it waits for what is queued");
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1400});
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	path_world_pass(w, 3 * WORLD_S, 10 * WORLD_MS);
	cr_expect_eq(n_flows(w), 0);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1, "what was allowed was sent");
	path_world_destroy(w);
}

Test(path_policy, a_rule_that_is_taken_back_in_time_leaves_the_flow_alone)
{
	const struct policy_rule deny = {.port_max = UINT16_MAX, .action = POLICY_DROP};
	const struct policy_rule allow = {.port_max = UINT16_MAX, .action = POLICY_ALLOW};
	struct path_world_params params = {.tune = slow_down};
	struct path_world *w = path_world_create(&params);

	for (uint32_t i = 0; i < 10; i++)
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1400});
	path_world_step(w);
	publish_rule(w, &deny);
	path_world_pass(w, 50 * WORLD_MS, WORLD_MS);
	publish_rule(w, &allow);
	path_world_pass(w, 3 * WORLD_S, 10 * WORLD_MS);
	cr_expect_eq(n_flows(w), 1);
	cr_expect_eq(n_forced(w), 0);
	cr_expect(passes(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK));
	path_world_destroy(w);
}

static void deny_inbound_to_a(struct path_setup *setup, struct path_config *config)
{
	const struct policy_rule rule = {
		.ways = 1 << POLICY_UPLINK_TO_LAN,
		.has_destination = true,
		.destination = {ip_addr_v4(HOST_BE), 32},
		.port_max = UINT16_MAX,
		.action = POLICY_DROP,
	};

	(void)setup;
	with_rules(config, &rule, 1);
	config->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
}

Test(path_policy, the_inbound_half_of_a_hairpinned_flow_is_asked_about)
{
	struct path_world_params params = {.tune = deny_inbound_to_a};
	struct path_world *w = path_world_create(&params);
	struct packet p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);
	uint16_t external_port = packet_src_port(&p);

	packet_clean(&p);
	path_world_put(w, WORLD_LAN,
		&(struct packet_spec){.src_be = HOST_B_BE,
			.dst_be = WORLD_UPLINK_BE,
			.src_port = 7000,
			.dst_port = external_port});
	path_world_step(w);
	cr_expect(!path_world_take(w, WORLD_LAN, &p));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	path_world_destroy(w);
}

Test(path_policy, an_established_hairpinned_flow_ends_with_the_rule_that_denies_it)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config;
	struct packet p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);
	struct packet_spec to_a = {.src_be = HOST_B_BE,
		.dst_be = WORLD_UPLINK_BE,
		.src_port = 7000,
		.dst_port = packet_src_port(&p)};

	packet_clean(&p);
	config = path_world_config(w);
	config->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	doors_publish(w->path, config);
	path_world_step(w);
	cr_assert(passes(w, WORLD_LAN, &to_a, WORLD_LAN));
	cr_assert_eq(n_flows(w), 3);
	config = path_world_config(w);
	deny_inbound_to_a(NULL, config);
	doors_publish(w->path, config);
	path_world_pass(w, 20 * WORLD_MS, WORLD_MS);
	cr_expect_eq(n_flows(w), 2, "the two halves that began on the LAN are allowed");
	cr_expect(!passes(w, WORLD_LAN, &to_a, WORLD_LAN));
	path_world_destroy(w);
}

Test(path_policy, an_unlisted_mac_reaches_the_gateways_services_and_nothing_else)
{
	struct path_world_params params = {.tune = list_devices};
	struct path_world *w = path_world_create(&params);
	struct packet_spec out = {.src_mac = mac_c};
	struct packet_spec dns = {.src_mac = mac_c, .dst_be = WORLD_LAN_BE, .dst_port = 53};
	struct path_config *config;

	cr_expect(!passes(w, WORLD_LAN, &out, WORLD_UPLINK));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_QUARANTINED), 1);
	cr_expect(path_world_saw(w, EVENT_DEVICE_QUARANTINED));
	cr_expect(passes(w, WORLD_LAN, &dns, WORLD_TAP));
	config = path_world_config(w);
	list_devices(NULL, config);
	config->quarantine_reaches_gateway = false;
	doors_publish(w->path, config);
	cr_expect(!passes(w, WORLD_LAN, &dns, WORLD_TAP), "or not even that");
	cr_expect_eq(path_world_drops(w, DROP_POLICY_QUARANTINED), 2);
	out.src_mac = mac_a;
	cr_expect(passes(w, WORLD_LAN, &out, WORLD_UPLINK));
	path_world_destroy(w);
}

Test(path_policy, a_mac_that_is_no_longer_listed_loses_its_flows)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec a = {.src_mac = mac_a};
	struct packet_spec c = {.src_mac = mac_c, .src_be = HOST_B_BE};
	struct path_config *config;

	cr_assert(passes(w, WORLD_LAN, &a, WORLD_UPLINK));
	cr_assert(passes(w, WORLD_LAN, &c, WORLD_UPLINK));
	config = path_world_config(w);
	list_devices(NULL, config);
	doors_publish(w->path, config);
	path_world_pass(w, 20 * WORLD_MS, WORLD_MS);
	cr_expect_eq(n_flows(w), 1);
	cr_expect(passes(w, WORLD_LAN, &a, WORLD_UPLINK));
	cr_expect(!passes(w, WORLD_LAN, &c, WORLD_UPLINK));
	path_world_destroy(w);
}

Test(path_policy, a_quarantined_device_may_go_where_its_group_says)
{
	struct path_world *w = path_world_create(NULL);
	struct group_member members[] = {{.group = GROUP_QUARANTINE, .is_mac = true, .mac = mac_c}};
	struct group_destination destinations[] = {{GROUP_QUARANTINE, {ip_addr_v4(SERVER_BE), 32}}};
	struct groups_params params = {.members = members,
		.n_members = 1,
		.destinations = destinations,
		.n_destinations = 1};
	struct path_config *config = path_world_config(w);

	cr_assert_eq(groups_create(&params, &config->groups), 0);
	doors_publish(w->path, config);
	cr_expect(passes(w, WORLD_LAN, &(struct packet_spec){.src_mac = mac_c}, WORLD_UPLINK));
	cr_expect(!passes(w, WORLD_LAN,
		&(struct packet_spec){.src_mac = mac_c, .dst_be = V4(198, 51, 100, 8)},
		WORLD_UPLINK));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_QUARANTINED), 1);
	cr_expect(passes(w, WORLD_LAN,
			  &(struct packet_spec){.src_be = HOST_B_BE, .dst_be = V4(198, 51, 100, 8)},
			  WORLD_UPLINK),
		"others are admitted as ever");
	path_world_destroy(w);
}

Test(path_policy, an_address_with_flows_stays_with_its_mac)
{
	struct path_world_params params = {.tune = list_devices};
	struct path_world *w = path_world_create(&params);
	struct packet_spec mine = {.src_mac = mac_a};
	struct packet_spec theirs = {.src_mac = mac_b};

	cr_assert(passes(w, WORLD_LAN, &mine, WORLD_UPLINK));
	cr_expect(!passes(w, WORLD_LAN, &theirs, WORLD_UPLINK), "the same flow");
	theirs.src_port = 4711;
	cr_expect(!passes(w, WORLD_LAN, &theirs, WORLD_UPLINK), "a flow of its own");
	theirs.dst_be = WORLD_LAN_BE;
	cr_expect(!passes(w, WORLD_LAN, &theirs, WORLD_TAP), "nor the gateway's services");
	cr_expect_eq(path_world_drops(w, DROP_POLICY_MAC_CHANGED), 3);
	cr_expect(path_world_saw(w, EVENT_DEVICE_MAC_CHANGED));
	cr_expect(passes(w, WORLD_LAN, &mine, WORLD_UPLINK));
	/* Once its flows are over the address may change hands. */
	path_world_pass(w, 400 * WORLD_S, WORLD_S);
	cr_assert_eq(n_flows(w), 0);
	theirs.dst_be = SERVER_BE;
	cr_expect(passes(w, WORLD_LAN, &theirs, WORLD_UPLINK));
	path_world_destroy(w);
}

Test(path_policy, an_arp_message_does_not_take_an_address_from_its_mac)
{
	struct path_world_params params = {.tune = list_devices, .is_asking = true};
	struct path_world *w = path_world_create(&params);
	struct arp_message claim = {.operation = ARP_REQUEST,
		.sender_mac = mac_c,
		.sender_be = HOST_BE,
		.target_be = WORLD_LAN_BE};
	struct mac_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){.src_mac = mac_a}, WORLD_UPLINK));
	path_world_put_frame(w, WORLD_LAN, packet_of_arp(&all, &claim));
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_MAC_CHANGED), 1);
	cr_expect(!path_world_take_any(w, WORLD_LAN, &p), "it is not answered");
	claim.sender_mac = mac_a;
	path_world_put_frame(w, WORLD_LAN, packet_of_arp(&all, &claim));
	path_world_step(w);
	cr_assert(path_world_take_any(w, WORLD_LAN, &p));
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_policy, a_group_with_destinations_goes_nowhere_else)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);

	set_groups(config);
	doors_publish(w->path, config);
	cr_expect(passes(w, WORLD_LAN, &(struct packet_spec){.src_be = HOST_B_BE}, WORLD_UPLINK));
	cr_expect(!passes(w, WORLD_LAN,
		&(struct packet_spec){.src_be = HOST_B_BE, .dst_be = V4(198, 51, 100, 8)},
		WORLD_UPLINK));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DESTINATION), 1);
	cr_expect(path_world_saw(w, EVENT_DESTINATION_DENIED));
	cr_expect(passes(
		w, WORLD_LAN, &(struct packet_spec){.dst_be = V4(198, 51, 100, 8)}, WORLD_UPLINK));
	cr_expect(passes(w, WORLD_LAN,
			  &(struct packet_spec){.src_be = HOST_B_BE, .dst_be = WORLD_LAN_BE},
			  WORLD_TAP),
		"the gateway's services are no destination");
	path_world_destroy(w);
}

static uint32_t n_rule_events(struct path_world *w, uint32_t *ret_n_silent)
{
	struct path_event events[64];
	uint32_t n = doors_events_take(w->path, events, 64);
	uint32_t n_matches = 0;

	*ret_n_silent = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (events[i].kind != EVENT_RULE_MATCHED)
			continue;
		n_matches++;
		*ret_n_silent += events[i].n_silent;
		cr_expect_eq(events[i].a, 0);
		cr_expect_eq(events[i].remote.words[3], SERVER_BE);
	}
	return n_matches;
}

Test(path_policy, matches_are_counted_all_and_told_within_the_limit)
{
	const struct policy_rule rules[] = {
		{.port_min = 443, .port_max = 443, .action = POLICY_DROP, .is_logged = true},
		{.port_min = 80, .port_max = 80, .action = POLICY_ALLOW},
	};
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = with_rules(path_world_config(w), rules, 2);
	uint64_t hits[POLICY_RULE_DEFAULT + 1];
	uint32_t n_silent;

	config->rule_events_per_s = 10;
	doors_publish(w->path, config);
	for (uint32_t i = 0; i < 40; i++)
		path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_port = 80});
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_port = 81});
	path_world_step(w);
	doors_rule_hits_read(w->path, hits);
	cr_expect_eq(hits[0], 40);
	cr_expect_eq(hits[1], 1);
	cr_expect_eq(hits[POLICY_RULE_DEFAULT], 1);
	cr_expect_leq(n_rule_events(w, &n_silent), 2);
	path_world_pass(w, WORLD_S, WORLD_S);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_step(w);
	cr_expect_eq(n_rule_events(w, &n_silent), 1);
	cr_expect_geq(n_silent, 38, "%u were kept silent about", n_silent);
	/* The same rules by another hand, one of them idle: what was counted stays. */
	config = path_world_config(w);
	doors_publish(
		w->path, with_rules(config,
				 (struct policy_rule[]){rules[0], {.port_min = 80,
									  .port_max = 80,
									  .action = POLICY_ALLOW,
									  .is_idle = true}},
				 2));
	doors_rule_hits_read(w->path, hits);
	cr_expect_eq(hits[0], 41);
	publish_rule(w, &rules[1]);
	doors_rule_hits_read(w->path, hits);
	cr_expect_eq(hits[0], 0);
	path_world_destroy(w);
}
