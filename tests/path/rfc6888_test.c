/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6888, many hosts behind one address: one test a requirement, named after it; REQ-1 is the other documents' tests.
 * docs/nat.md has the table. */
#include "dialogue.h"

#include <weir/classify/classes.h>

/* Opens flows from one host, each from a port of its own, until one is refused; returns how many there are. */
static uint32_t open_flows(struct path_world *w, uint32_t host_be, uint8_t proto, uint32_t n)
{
	uint32_t n_open = 0;

	for (uint32_t i = 0; i < n; i++)
		n_open += passes(w, WORLD_LAN,
			&(struct packet_spec){.proto = proto,
				.src_be = host_be,
				.src_port = (uint16_t)(10000 + i),
				.tcp_flags = TCP_SYN,
				.icmp_type = ICMP_ECHO_REQUEST,
				.icmp_id = (uint16_t)(10000 + i)},
			WORLD_UPLINK, NULL);
	path_world_discard(w, WORLD_LAN);
	return n_open;
}

/* REQ-2: paired pooling, for all protocols of a subscriber (say() looks at the address). */
Test(path_rfc6888, req2_a_device_has_one_external_address)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_TCP, PROTO_ICMP};
	struct path_world *w = path_world_create(NULL);

	for (uint32_t i = 0; i < 30; i++)
		say(w, &(struct packet_spec){.proto = protos[i % 3],
			       .src_be = V4(192, 168, 50, 10 + i % 7),
			       .src_port = (uint16_t)(100 * i + 1),
			       .tcp_flags = TCP_SYN,
			       .icmp_type = ICMP_ECHO_REQUEST,
			       .icmp_id = (uint16_t)i});
	path_world_destroy(w);
}

/* REQ-4, (a): external ports of a device are limited, as configured, also live; all protocols count. */
Test(path_rfc6888, req4_the_ports_of_a_device_are_limited_as_configured)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct path_stats s;

	config->flows_per_device = 30;
	doors_publish(w->path, config);
	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_UDP, 10), 10);
	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_TCP, 10), 10);
	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_ICMP, 100), 10);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.n_mappings, 30);
	config = path_world_config(w);
	config->flows_per_device = 35;
	doors_publish(w->path, config);
	cr_expect_eq(
		open_flows(w, HOST_A_BE, PROTO_UDP, 100), 10 + 5, "the ten there are, and five");
	path_world_destroy(w);
}

/* REQ-4: what a device had, it has again when it is over. */
Test(path_rfc6888, req4_what_has_ended_does_not_count_against_a_device)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);

	config->flows_per_device = 30;
	doors_publish(w->path, config);
	for (int i = 0; i < 5; i++) {
		cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_UDP, 100), 30);
		wait_for(w, 122 * WORLD_S);
	}
	path_world_destroy(w);
}

/* REQ-6: to some destinations nothing is translated; only what a LAN begins goes there. */
static struct path_world *world_with_untranslated(void)
{
	const struct class_rule rule = {
		.name = "headquarters",
		.proto = PROTO_UDP,
		.has_remote = true,
		.remote = {.addr = ip_addr_v4(V4(10, 0, 0, 0)), .len_bits = 8},
		.port_min = 5000,
		.port_max = 5999,
		.is_untranslated = true,
	};
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);

	classes_destroy(config->classes);
	cr_assert_eq(classes_create(&rule, 1, &config->classes), 0);
	doors_publish(w->path, config);
	return w;
}

Test(path_rfc6888, req6_destinations_can_be_left_untranslated)
{
	const struct packet_spec said = {
		.dst_be = V4(10, 1, 2, 3), .dst_port = 5060, .src_port = 7000};
	struct path_world *w = world_with_untranslated();
	struct packet_spec back = reply_to(&said, said.src_port);
	struct packet sent = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.dst_be = said.dst_be,
		.dst_port = 5060,
		.src_port = 7000});
	struct packet p;

	back.dst_be = HOST_A_BE;
	path_world_put(w, WORLD_UPLINK, &back);
	path_world_step(w);
	expect_silence(w); /* nobody has asked yet */
	cr_expect_eq(path_world_drops(w, DROP_POLICY_INBOUND), 1);

	cr_assert(passes(w, WORLD_LAN, &said, WORLD_UPLINK, &p));
	expect_ends(&p, HOST_A_BE, 7000, said.dst_be, 5060);
	packet_clean(&p);
	cr_assert(passes(w, WORLD_UPLINK, &back, WORLD_LAN, &p));
	expect_ends(&p, said.dst_be, 5060, HOST_A_BE, 7000);
	packet_clean(&p);
	cr_assert(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_UNREACHABLE,
			.icmp_code = ICMP_CODE_PORT,
			.src_be = said.dst_be,
			.dst_be = HOST_A_BE,
			.quoted = &sent},
		WORLD_LAN, &p));
	cr_expect_eq(packet_dst_be(&p), HOST_A_BE);
	packet_clean(&p);
	packet_clean(&sent);
	path_world_destroy(w);
}

Test(path_rfc6888, req6_other_ports_and_strangers_are_treated_as_ever)
{
	struct path_world *w = world_with_untranslated();
	struct packet_spec stranger = {
		.src_be = V4(10, 1, 2, 3), .src_port = 5060, .dst_be = HOST_A_BE, .dst_port = 7000};

	say(w, &(struct packet_spec){.dst_be = V4(10, 1, 2, 3), .dst_port = 53});
	say(w, &(struct packet_spec){.dst_port = 5060});
	path_world_put(w, WORLD_UPLINK, &stranger);
	stranger.fragment_offset = 64;
	stranger.payload_bytes = 8;
	path_world_put(w, WORLD_UPLINK, &stranger);
	path_world_step(w);
	path_world_pass(w, 40 * WORLD_S, WORLD_S);
	expect_silence(w);
	path_world_destroy(w);
}

static void limit_rate(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->new_flows_per_s = 100;
}

/* REQ-4 (c): nor may a device make new mappings faster than a threshold. */
Test(path_rfc6888, req4c_a_device_makes_no_more_than_so_many_mappings_a_second)
{
	struct path_world_params params = {.tune = limit_rate};
	struct path_world *w = path_world_create(&params);

	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_UDP, 500), 101, "all within no time");
	cr_expect_eq(open_flows(w, HOST_B_BE, PROTO_UDP, 50), 50, "another one's are its own");
	wait_for(w, WORLD_S / 2);
	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_TCP, 500), 50);
	wait_for(w, 100 * WORLD_S);
	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_ICMP, 500), 101, "no more is saved");
	path_world_destroy(w);
}

static void small_table(struct path_setup *setup, struct path_config *config)
{
	setup->flow_capacity = 100;
	config->flows_per_device = 25; /* a quarter, as by default */
}

/* REQ-5: memory is limited by device: one that opens all it can keeps nobody else from opening his own. It gets a quarter of
 * what it leaves free. */
Test(path_rfc6888, req5_one_device_cannot_take_the_memory_of_another)
{
	struct path_world_params params = {.tune = small_table};
	struct path_world *w = path_world_create(&params);

	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_UDP, 1000), 20);
	cr_expect_eq(open_flows(w, HOST_B_BE, PROTO_UDP, 15), 15);
	cr_expect_eq(open_flows(w, HOST_C_BE, PROTO_TCP, 12), 12);
	path_world_destroy(w);
}

static void larger_table(struct path_setup *setup, struct path_config *config)
{
	setup->flow_capacity = 1000;
	config->flows_per_device = 250;
}

/* REQ-5: nor can several together: ten one after the other leave a tenth. */
Test(path_rfc6888, req5_greedy_devices_together_leave_room_for_one_more)
{
	struct path_world_params params = {.tune = larger_table};
	struct path_world *w = path_world_create(&params);

	for (uint8_t i = 0; i < 10; i++)
		open_flows(w, V4(192, 168, 50, 100 + i), PROTO_UDP, 300);
	cr_expect_geq(open_flows(w, HOST_B_BE, PROTO_UDP, 20), 20);
	cr_expect_geq(open_flows(w, HOST_C_BE, PROTO_UDP, 15), 15);
	path_world_destroy(w);
}

/* REQ-5: nor can strangers, where the filter lets them in, use up what a device may have. */
Test(path_rfc6888, req5_strangers_cannot_use_up_the_share_of_a_device)
{
	struct path_world_params params = {.tune = small_table};
	struct path_world *w = path_world_create(&params);

	set_filter(w, NAT_FILTER_ENDPOINT_INDEPENDENT);
	say(w, &(struct packet_spec){0});
	for (uint16_t i = 0; i < 200; i++)
		passes(w, WORLD_UPLINK,
			&(struct packet_spec){.src_be = STRANGER_BE,
				.src_port = (uint16_t)(1000 + i),
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = PACKET_SRC_PORT},
			WORLD_LAN, NULL);
	cr_expect_geq(open_flows(w, HOST_A_BE, PROTO_UDP, 5), 5);
	path_world_destroy(w);
}

static void few_ports(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->nat_port_min = 60000;
	setup->nat_port_max = 60063;
}

/* REQ-5: of the external ports there is a share for each, too. */
Test(path_rfc6888, req5_one_device_cannot_take_the_ports_of_another)
{
	struct path_world_params params = {.tune = few_ports};
	struct path_world *w = path_world_create(&params);

	open_flows(w, HOST_A_BE, PROTO_UDP, 100); /* keeps its own ports, so that B needs others */
	open_flows(w, HOST_B_BE, PROTO_UDP, 100);
	cr_expect_geq(open_flows(w, HOST_C_BE, PROTO_UDP, 5), 5);
	path_world_destroy(w);
}

/* REQ-7: endpoint-independent filtering can be had. */
Test(path_rfc6888, req7_filtering_can_be_endpoint_independent)
{
	struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);

	say(w, &(struct packet_spec){0});
	cr_expect(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.dst_port = PACKET_SRC_PORT},
		WORLD_LAN, NULL));
	path_world_destroy(w);
}

/* REQ-8: a port that was given up is nobody else's for 120 s: what still comes for its former owner must not reach another. */
Test(path_rfc6888, req8_a_port_is_not_given_to_another_for_two_minutes)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_ICMP};

	for (uint32_t i = 0; i < N_OF(protos); i++)
		for (uint32_t late = 0; late < 2; late++) {
			struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
			struct packet_spec s = {.proto = protos[i],
				.icmp_type = ICMP_ECHO_REQUEST,
				.icmp_id = PACKET_SRC_PORT};

			say(w, &s);
			wait_for(w, (i == 0 ? 121 : 61) * WORLD_S);
			cr_expect_eq(n_flows(w), 0);
			wait_for(w, (late ? 121 : 118) * WORLD_S);
			s.src_be = HOST_B_BE;
			cr_expect_eq(say(w, &s) == PACKET_SRC_PORT, late == 1);
			path_world_destroy(w);
		}
}

/* REQ-8 (c): but its owner may have it again. */
Test(path_rfc6888, req8_a_port_may_go_back_to_its_owner_at_once)
{
	struct path_world *w = path_world_create(NULL);

	say(w, &(struct packet_spec){0});
	wait_for(w, 121 * WORLD_S);
	cr_expect_eq(n_flows(w), 0);
	cr_expect_eq(say(w, &(struct packet_spec){0}), PACKET_SRC_PORT);
	path_world_destroy(w);
}

static void enable_pcp(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_LAN].pcp = true;
	config->pcp = (struct lease_limits){.per_device = 8, .lifetime_max_s = 3600};
}

/* REQ-9: hosts control their mappings by PCP; tests/path/rfc6887_test.c has the rest of it. */
Test(path_rfc6888, req9_a_pcp_server_controls_mappings)
{
	struct path_world_params params = {.tune = enable_pcp};
	struct path_world *w = path_world_create(&params);
	struct ip_addr client = ip_addr_v4(HOST_A_BE);
	/* MAP of TCP port 8080 for 600 s */
	uint8_t map[60] = {2, 1, [6] = 600 >> 8, [7] = 600 & 0xff, [36] = PROTO_TCP,
		[40] = 8080 >> 8, [41] = 8080 & 0xff};
	const struct packet_spec asks = {.dst_be = WORLD_LAN_BE,
		.dst_port = 5351,
		.payload = map,
		.payload_bytes = sizeof(map)};
	const struct packet_spec call = {.proto = PROTO_TCP,
		.tcp_flags = TCP_SYN,
		.src_be = STRANGER_BE,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = 8080};

	memcpy(map + 8, &client, sizeof(client));
	path_world_step(w);
	path_world_discard(w, WORLD_LAN); /* the announcement */
	cr_expect(!passes(w, WORLD_UPLINK, &call, WORLD_LAN, NULL));
	cr_expect(passes(w, WORLD_LAN, &asks, WORLD_LAN, NULL));
	cr_expect(passes(w, WORLD_UPLINK, &call, WORLD_LAN, NULL));
	path_world_destroy(w);
}

static void tiny_table(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->flow_capacity = 8;
}

/* REQ-11 (a), (c), (d): when no mapping can be made the packet is dropped, control is told, and no mapping that is there
 * makes room. */
Test(path_rfc6888, req11_a_full_table_refuses_tells_and_evicts_nobody)
{
	struct path_world_params params = {.tune = tiny_table};
	struct path_world *w = path_world_create(&params);
	uint32_t n_open[16], n_refused = 0;

	for (uint8_t i = 0; i < 16; i++) {
		n_open[i] = open_flows(w, V4(192, 168, 50, 100 + i), PROTO_UDP, 8);
		n_refused += n_open[i] == 0;
	}
	cr_expect_gt(n_refused, 0);
	cr_expect_leq(n_flows(w), 8);
	cr_expect(path_world_saw(w, EVENT_FLOW_TABLE_FULL));
	for (uint8_t i = 0; i < 16; i++)
		cr_expect_eq(open_flows(w, V4(192, 168, 50, 100 + i), PROTO_UDP, n_open[i]),
			n_open[i], "as they were");
	path_world_destroy(w);
}

/* REQ-11 (b): its sender is told: Host Unreachable (RFC 5508 REQ-8 says code 13; either says so at once). */
Test(path_rfc6888, req11b_who_finds_no_room_is_told)
{
	struct path_world_params params = {.tune = tiny_table};
	struct path_world *w = path_world_create(&params);
	struct packet p;

	for (uint8_t i = 0; i < 8; i++)
		open_flows(w, V4(192, 168, 50, 100 + i), PROTO_UDP, 8);
	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){.src_be = HOST_B_BE}, WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect(packet_l4(&p)[1] == ICMP_CODE_HOST || packet_l4(&p)[1] == ICMP_CODE_ADMIN);
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-13: the ports of the range are given out before any host finds none. */
Test(path_rfc6888, req13_nearly_every_port_can_be_used)
{
	struct path_world_params params = {.tune = few_ports};
	struct path_world *w = path_world_create(&params);
	uint32_t n_open = 0;

	cr_expect_eq(open_flows(w, HOST_A_BE, PROTO_UDP, 100), 100, "their own");
	for (uint8_t i = 0; i < 20; i++)
		n_open += open_flows(w, V4(192, 168, 50, 100 + i), PROTO_UDP, 100);
	cr_expect_geq(n_open, 62, "%u of 64", n_open);
	path_world_destroy(w);
}

/* REQ-15: replaced ports are hard to guess: they are spread over the range, and none follows from the one before. */
Test(path_rfc6888, req15_chosen_ports_are_spread_over_the_range)
{
	struct path_world *w = path_world_create(NULL);
	uint32_t n_in[8] = {0};
	int last = 0;
	uint32_t n_near = 0;

	for (uint16_t n = 0; n < 200; n++) {
		struct packet_spec s = {.src_port = (uint16_t)(5000 + n)};
		int port;

		say(w, &s);
		s.src_be = HOST_B_BE;
		port = say(w, &s);
		n_in[port / 8192]++;
		n_near += abs(port - last) < 64;
		last = port;
	}
	for (uint32_t i = 0; i < 8; i++)
		cr_expect(n_in[i] >= 8 && n_in[i] <= 50, "%u of 200 in an eighth", n_in[i]);
	cr_expect_leq(n_near, 5, "%u lie beside the one before", n_near);
	path_world_destroy(w);
}
