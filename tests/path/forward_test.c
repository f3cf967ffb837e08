/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that are forwarded from outside to a device, and the host that gets what nobody else has. */
#include "dialogue.h"

#define SERVER_PORT 80
#define DMZ_BE      V4(192, 168, 50, 20)

/* TCP 8000-8009 to host A's 80-89 for 192.0.2.0/24; UDP and TCP 5000 to host 2 on the other LAN. */
static struct nat_forwards two_forwards(void)
{
	struct nat_forwards f = {.n = 2};

	f.rows[0] = (struct nat_forward){.proto = PROTO_TCP,
		.lan_port = WORLD_LAN,
		.port_min = 8000,
		.port_max = 8009,
		.internal_port = SERVER_PORT,
		.internal = ip_addr_v4(HOST_A_BE),
		.has_source = true,
		.source = {.addr = ip_addr_v4(V4(192, 0, 2, 0)), .len_bits = 24}};
	f.rows[1] = (struct nat_forward){.lan_port = WORLD_LAN2,
		.port_min = 5000,
		.port_max = 5000,
		.internal_port = 5000,
		.internal = ip_addr_v4(WORLD_HOST2_BE)};
	return f;
}

static void forward(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->forwards = two_forwards();
}

static void forward_and_dmz(struct path_setup *setup, struct path_config *config)
{
	forward(setup, config);
	config->forwards.rows[config->forwards.n++] = (struct nat_forward){.lan_port = WORLD_LAN,
		.is_dmz = true,
		.port_min = 1,
		.port_max = 65535,
		.internal_port = 1,
		.internal = ip_addr_v4(DMZ_BE)};
}

static const struct path_world_params forwarding = {.tune = forward};
static const struct path_world_params with_dmz = {.tune = forward_and_dmz};

/* A SYN or datagram from outside. */
static struct packet_spec call(uint8_t proto, uint32_t src_be, uint16_t port)
{
	return (struct packet_spec){.proto = proto,
		.src_be = src_be,
		.src_port = 4000,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = port,
		.tcp_flags = proto == PROTO_TCP ? TCP_SYN : 0};
}

/* True when the call reaches this endpoint, under its caller's address. */
static bool reaches(struct path_world *w, const struct packet_spec *spec, enum world_port lan,
	uint32_t dst_be, uint16_t dst_port)
{
	struct packet p;

	if (!passes(w, WORLD_UPLINK, spec, lan, &p))
		return false;
	expect_ends(&p, spec->src_be, spec->src_port, dst_be, dst_port);
	packet_clean(&p);
	return true;
}

Test(path_forward, a_call_reaches_the_server_and_its_answer_the_caller)
{
	struct path_world *w = path_world_create(&forwarding);
	struct packet_spec syn = call(PROTO_TCP, STRANGER_BE, 8003);
	struct packet_spec answer = {.proto = PROTO_TCP,
		.tcp_flags = TCP_SYN | TCP_ACK,
		.src_port = SERVER_PORT + 3,
		.dst_be = STRANGER_BE,
		.dst_port = 4000};
	struct packet p;

	cr_assert(reaches(w, &syn, WORLD_LAN, HOST_A_BE, SERVER_PORT + 3));
	cr_assert(passes(w, WORLD_LAN, &answer, WORLD_UPLINK, &p));
	expect_ends(&p, WORLD_UPLINK_BE, 8003, STRANGER_BE, 4000);
	packet_clean(&p);
	syn.tcp_flags = TCP_ACK;
	cr_expect(reaches(w, &syn, WORLD_LAN, HOST_A_BE, SERVER_PORT + 3));
	cr_expect_eq(n_flows(w), 1);
	syn = call(PROTO_UDP, SERVER_BE, 5000);
	cr_expect(reaches(w, &syn, WORLD_LAN2, WORLD_HOST2_BE, 5000), "on the other LAN");
	path_world_destroy(w);
}

Test(path_forward, nothing_is_open_but_what_is_forwarded)
{
	const enum nat_filtering filters[] = {
		NAT_FILTER_ENDPOINT_INDEPENDENT, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT};
	const struct packet_spec calls[] = {
		call(PROTO_TCP, STRANGER_BE, 7999),
		call(PROTO_TCP, STRANGER_BE, 8010),
		call(PROTO_TCP, STRANGER_BE, SERVER_PORT),
		call(PROTO_UDP, STRANGER_BE, 8000),
		call(PROTO_TCP, SERVER_BE, 8000), /* not of those that may */
		{.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = 5000,
			.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE},
	};

	for (uint32_t f = 0; f < N_OF(filters); f++) {
		struct path_world *w = path_world_create(&forwarding);
		struct packet_spec good = call(PROTO_TCP, STRANGER_BE, 8000);

		set_filter(w, filters[f]);
		cr_expect(reaches(w, &good, WORLD_LAN, HOST_A_BE, SERVER_PORT));
		/* The server answers: now its mapping is one that it uses itself. */
		cr_expect(passes(w, WORLD_LAN,
			&(struct packet_spec){.proto = PROTO_TCP,
				.tcp_flags = TCP_SYN | TCP_ACK,
				.src_port = SERVER_PORT,
				.dst_be = STRANGER_BE,
				.dst_port = 4000},
			WORLD_UPLINK, NULL));
		for (uint32_t i = 0; i < N_OF(calls); i++) {
			path_world_put(w, WORLD_UPLINK, &calls[i]);
			path_world_step(w);
			expect_silence(w);
		}
		cr_expect_eq(n_flows(w), 1);
		path_world_destroy(w);
	}
}

Test(path_forward, what_the_server_begins_itself_has_its_forwarded_port)
{
	struct path_world *w = path_world_create(&forwarding);
	struct packet p;

	cr_expect_eq(say(w, &(struct packet_spec){.proto = PROTO_TCP,
				    .tcp_flags = TCP_SYN,
				    .src_port = SERVER_PORT}),
		8000);
	/* And nobody else gets it, though he has that very port himself. */
	cr_expect_neq(say(w, &(struct packet_spec){.proto = PROTO_TCP,
				     .tcp_flags = TCP_SYN,
				     .src_be = HOST_B_BE,
				     .src_port = 8001}),
		8001);
	cr_assert(passes(w, WORLD_LAN2,
		&(struct packet_spec){.src_be = WORLD_HOST2_BE, .src_port = 5000}, WORLD_UPLINK,
		&p));
	cr_expect_eq(packet_src_port(&p), 5000);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_forward, a_host_inside_reaches_the_server_by_the_external_address)
{
	struct path_world *w = path_world_create(&forwarding);
	struct packet_spec syn = call(PROTO_TCP, HOST_B_BE, 8000);
	struct packet_spec answer = {.proto = PROTO_TCP,
		.tcp_flags = TCP_SYN | TCP_ACK,
		.src_port = SERVER_PORT,
		.dst_be = WORLD_UPLINK_BE,
		.dst_port = 4000};
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &syn, WORLD_LAN, &p));
	expect_ends(&p, WORLD_UPLINK_BE, 4000, HOST_A_BE, SERVER_PORT);
	packet_clean(&p);
	cr_assert(passes(w, WORLD_LAN, &answer, WORLD_LAN, &p));
	expect_ends(&p, WORLD_UPLINK_BE, 8000, HOST_B_BE, 4000);
	packet_clean(&p);
	syn = call(PROTO_UDP, HOST_B_BE, 5000);
	cr_assert(passes(w, WORLD_LAN, &syn, WORLD_LAN2, &p), "on another LAN");
	expect_ends(&p, WORLD_UPLINK_BE, 4000, WORLD_HOST2_BE, 5000);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_forward, a_change_counts_for_new_flows_at_once_and_leaves_the_others)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet_spec syn = call(PROTO_TCP, STRANGER_BE, 8000);

	cr_expect_eq(say(w, &(struct packet_spec){.proto = PROTO_TCP,
				    .tcp_flags = TCP_SYN,
				    .src_be = HOST_B_BE,
				    .src_port = 8000}),
		8000, "a host has the port");
	cr_expect_not(passes(w, WORLD_UPLINK, &syn, WORLD_LAN, NULL));
	config->forwards = two_forwards();
	doors_publish(w->path, config);
	cr_expect(reaches(w, &syn, WORLD_LAN, HOST_A_BE, SERVER_PORT));
	cr_expect(is_answered(w,
		&(struct packet_spec){.proto = PROTO_TCP,
			.tcp_flags = TCP_SYN,
			.src_be = HOST_B_BE,
			.src_port = 8000},
		8000));
	doors_publish(w->path, path_world_config(w));
	config = path_world_config(w);
	config->forwards.n = 0;
	doors_publish(w->path, config);
	syn.tcp_flags = TCP_ACK;
	cr_expect(reaches(w, &syn, WORLD_LAN, HOST_A_BE, SERVER_PORT), "the call goes on");
	cr_expect(passes(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_TCP,
			.tcp_flags = TCP_ACK,
			.src_port = SERVER_PORT,
			.dst_be = STRANGER_BE,
			.dst_port = 4000},
		WORLD_UPLINK, NULL));
	syn = call(PROTO_TCP, STRANGER_BE, 8000);
	syn.src_port = 4001;
	cr_expect_not(passes(w, WORLD_UPLINK, &syn, WORLD_LAN, NULL), "another one does not begin");
	syn = call(PROTO_TCP, STRANGER_BE, 8001);
	cr_expect_not(passes(w, WORLD_UPLINK, &syn, WORLD_LAN, NULL));
	path_world_destroy(w);
}

Test(path_forward, a_rule_denies_what_is_forwarded)
{
	struct path_world *w = path_world_create(&forwarding);
	struct path_config *config = path_world_config(w);
	struct policy_rule rule = {.ways = 1u << POLICY_UPLINK_TO_LAN,
		.proto = PROTO_TCP,
		.port_min = SERVER_PORT + 1,
		.port_max = SERVER_PORT + 1,
		.action = POLICY_DROP};
	struct packet_spec syn = call(PROTO_TCP, STRANGER_BE, 8001);

	ruleset_destroy(config->rules);
	cr_assert_eq(ruleset_create(&rule, 1, &config->rules), 0);
	doors_publish(w->path, config);
	cr_expect_not(passes(w, WORLD_UPLINK, &syn, WORLD_LAN, NULL));
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	syn = call(PROTO_TCP, STRANGER_BE, 8002);
	cr_expect(reaches(w, &syn, WORLD_LAN, HOST_A_BE, SERVER_PORT + 2));
	path_world_destroy(w);
}

Test(path_forward, the_dmz_host_gets_what_nobody_has)
{
	struct path_world *w = path_world_create(&with_dmz);
	struct packet_spec s;

	say(w, &(struct packet_spec){.src_port = 6000});
	s = call(PROTO_UDP, STRANGER_BE, 6000);
	cr_expect_not(passes(w, WORLD_UPLINK, &s, WORLD_LAN, NULL), "a host's own port");
	s = call(PROTO_UDP, STRANGER_BE, 6001);
	cr_expect(reaches(w, &s, WORLD_LAN, DMZ_BE, 6001));
	s.src_port++;
	cr_expect(reaches(w, &s, WORLD_LAN, DMZ_BE, 6001), "from another port too");
	s = call(PROTO_TCP, SERVER_BE, 22);
	cr_expect(reaches(w, &s, WORLD_LAN, DMZ_BE, 22));
	s = call(PROTO_TCP, STRANGER_BE, 8000);
	cr_expect(reaches(w, &s, WORLD_LAN, HOST_A_BE, SERVER_PORT), "a forward goes before");
	s = call(PROTO_TCP, SERVER_BE, 8001);
	cr_expect_not(passes(w, WORLD_UPLINK, &s, WORLD_LAN, NULL), "closed to others");
	say(w, &(struct packet_spec){.src_be = DMZ_BE, .src_port = 7000});
	s = call(PROTO_UDP, STRANGER_BE, 7000);
	cr_expect(reaches(w, &s, WORLD_LAN, DMZ_BE, 7000), "where it has spoken to others itself");
	path_world_destroy(w);
}

Test(path_forward, strangers_cannot_use_up_the_servers_share_nor_the_table)
{
	struct path_world *w = path_world_create(&with_dmz);

	for (uint32_t i = 0; i < 3000; i++) {
		struct packet_spec s = call(PROTO_TCP, htonl(0xc0000200 + i % 250), 8000);

		s.src_port = (uint16_t)(1000 + i / 250);
		path_world_put(w, WORLD_UPLINK, &s);
		path_world_step(w);
	}
	path_world_discard(w, WORLD_LAN);
	cr_expect_leq(n_flows(w), 512 / 2);
	cr_expect_eq(say(w, &(struct packet_spec){.src_port = 6000}), 6000);
	path_world_destroy(w);
}
