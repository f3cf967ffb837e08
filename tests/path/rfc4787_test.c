/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 4787, NAT and unicast UDP: one test a requirement, named after it. docs/nat.md has the table. */
#include "dialogue.h"

#include <string.h>

/* REQ-1: endpoint-independent mapping. */
Test(path_rfc4787, req1_an_internal_endpoint_has_one_external_endpoint_towards_all)
{
	const struct {
		uint32_t dst_be;
		uint16_t dst_port;
	} servers[] = {{SERVER_BE, 443}, {SERVER_BE, 9999}, {SERVER_B_BE, 443}, {SERVER_B_BE, 53},
		{STRANGER_BE, 1}};
	struct path_world *w = path_world_create(NULL);

	say(w, &(struct packet_spec){0}); /* host A keeps the port, so that B's is a chosen one */
	for (uint32_t host = 0; host < 2; host++) {
		struct packet_spec s = {.src_be = host == 0 ? HOST_A_BE : HOST_B_BE};
		uint16_t first = say(w, &s);

		for (uint32_t i = 0; i < N_OF(servers); i++) {
			s.dst_be = servers[i].dst_be;
			s.dst_port = servers[i].dst_port;
			cr_expect_eq(say(w, &s), first, "host %u, server %u", host, i);
			cr_expect(is_answered(w, &s, first));
		}
	}
	path_world_destroy(w);
}

/* REQ-1: also when the session that made the mapping is over and another one holds it. */
Test(path_rfc4787, req1_the_mapping_outlives_the_session_that_made_it)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.src_be = HOST_B_BE};
	uint16_t port;

	say(w, &(struct packet_spec){0});
	port = say(w, &s);
	s.dst_be = SERVER_B_BE;
	for (int i = 0; i < 10; i++) {
		cr_expect_eq(say(w, &s), port);
		wait_for(w, 60 * WORLD_S);
	}
	cr_expect_eq(n_flows(w), 1, "the first session has ended");
	s.dst_be = STRANGER_BE;
	cr_expect_eq(say(w, &s), port);
	path_world_destroy(w);
}

/* REQ-2: paired pooling: all of a host, whatever the protocol, has one external address (say() looks at it). */
Test(path_rfc4787, req2_all_sessions_of_a_host_have_one_external_address)
{
	struct path_world *w = path_world_create(NULL);

	for (uint16_t i = 0; i < 20; i++) {
		say(w, &(struct packet_spec){.src_port = (uint16_t)(3000 + i)});
		say(w, &(struct packet_spec){.src_port = (uint16_t)(3000 + i),
			       .proto = PROTO_TCP,
			       .tcp_flags = TCP_SYN});
		say(w, &(struct packet_spec){
			       .proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = i});
	}
	path_world_destroy(w);
}

/* REQ-3: no port overloading: one external port is one host's, also when all speak to one server. */
Test(path_rfc4787, req3_no_two_hosts_share_an_external_port)
{
	struct path_world *w = path_world_create(NULL);
	bool is_taken[65536] = {false};

	for (uint8_t i = 0; i < 30; i++)
		for (uint16_t n = 0; n < 8; n++) {
			uint16_t port =
				say(w, &(struct packet_spec){.src_be = V4(192, 168, 50, 20 + i),
					       .src_port = (uint16_t)(5000 + n)});

			cr_expect(!is_taken[port], "port %u twice", port);
			is_taken[port] = true;
		}
	path_world_destroy(w);
}

/* REQ-3 (a): 0-1023 stays in 0-1023, the rest in the rest, also when the host's own port is taken. Devices that all ask for
 * the time from port 124 must all get it. */
Test(path_rfc4787, req3a_a_taken_port_is_replaced_by_one_of_its_range)
{
	const uint16_t ports[] = {124, 123, 1, 1023, 1024, 5060, 65535};

	for (uint32_t i = 0; i < N_OF(ports); i++) {
		struct path_world *w = path_world_create(NULL);

		for (uint8_t host = 0; host < 6; host++) {
			struct packet_spec s = {.src_be = V4(192, 168, 50, 10 + host),
				.src_port = ports[i],
				.dst_port = 123};
			uint16_t port = say(w, &s);

			cr_expect_eq(port < 1024, ports[i] < 1024, "%u became %u", ports[i], port);
			if (host == 0)
				cr_expect_eq(port, ports[i], "a free port is preserved");
			cr_expect(is_answered(w, &s, port), "host %u", host);
		}
		path_world_destroy(w);
	}
}

/* REQ-4: parity. RFC 7857 section 7 lets a NAT do without; weir keeps it. */
Test(path_rfc4787, req4_a_replaced_port_has_the_parity_of_the_hosts_own)
{
	struct path_world *w = path_world_create(NULL);

	for (uint16_t own = 6000; own < 6040; own++)
		for (uint8_t host = 0; host < 3; host++)
			cr_expect_eq(
				say(w, &(struct packet_spec){.src_be = V4(192, 168, 50, 10 + host),
					       .src_port = own})
					% 2,
				own % 2);
	path_world_destroy(w);
}

/* REQ-5: not in less than two minutes after one packet, not before its time after an exchange; and not for ever. */
Test(path_rfc4787, req5_the_mapping_timer_is_exact)
{
	const struct {
		bool is_answered;
		uint64_t timeout_s;
	} cases[] = {{false, 120}, {true, 300}};

	for (uint32_t i = 0; i < N_OF(cases); i++)
		for (uint32_t late = 0; late < 2; late++) {
			struct path_world *w = path_world_create(NULL);
			struct packet_spec s = {0};
			uint64_t span_us = cases[i].timeout_s * WORLD_S;

			say(w, &s);
			if (cases[i].is_answered)
				cr_expect(is_answered(w, &s, PACKET_SRC_PORT));
			wait_for(w, late ? span_us + WORLD_S : span_us - WORLD_MS);
			cr_expect_eq(is_answered(w, &s, PACKET_SRC_PORT), late == 0,
				"case %u, late %u", i, late);
			path_world_destroy(w);
		}
}

/* REQ-5: whoever configures nothing gets no less than two minutes. */
Test(path_rfc4787, req5_no_timer_is_configured_below_two_minutes)
{
	struct path_config *pc = default_path_config();

	cr_expect_geq(pc->timeouts.udp_one_way_ms, 120 * 1000);
	cr_expect_geq(pc->timeouts.udp_ms, 120 * 1000);
	path_config_destroy(pc);
}

/* REQ-5 (c): five minutes by default, answered or not. */
Test(path_rfc4787, req5c_the_default_is_five_minutes)
{
	struct path_config *pc = default_path_config();

	cr_expect_geq(pc->timeouts.udp_one_way_ms, 300 * 1000);
	cr_expect_geq(pc->timeouts.udp_ms, 300 * 1000);
	path_config_destroy(pc);
}

/* REQ-6: outbound packets refresh. (a): inbound ones only where that is configured. */
Test(path_rfc4787, req6_outbound_refreshes_and_inbound_where_configured)
{
	const struct {
		bool is_outbound;
		bool inbound_refresh;
		bool lives;
	} cases[] = {{true, false, true}, {true, true, true}, {false, false, false},
		{false, true, true}};

	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct path_world *w = path_world_create(NULL);
		struct path_config *config = path_world_config(w);
		struct packet_spec s = {0};

		config->timeouts.inbound_refresh = cases[i].inbound_refresh;
		doors_publish(w->path, config);
		say(w, &s);
		cr_expect(is_answered(w, &s, PACKET_SRC_PORT));
		for (int n = 0; n < 4; n++) {
			wait_for(w, 100 * WORLD_S);
			if (cases[i].is_outbound)
				say(w, &s);
			else
				is_answered(w, &s, PACKET_SRC_PORT);
		}
		cr_expect_eq(is_answered(w, &s, PACKET_SRC_PORT), cases[i].lives, "case %u", i);
		path_world_destroy(w);
	}
}

/* REQ-6 (a): and where it is not, a stranger with ever new ports does not hold the mapping open either. */
Test(path_rfc4787, req6a_new_strangers_do_not_hold_a_mapping_open)
{
	struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
	bool is_open = true;

	say(w, &(struct packet_spec){0});
	for (uint16_t i = 0; i < 12 && is_open; i++) {
		wait_for(w, 60 * WORLD_S);
		is_open = passes(w, WORLD_UPLINK,
			&(struct packet_spec){.src_be = STRANGER_BE,
				.src_port = (uint16_t)(100 + i),
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = PACKET_SRC_PORT},
			WORLD_LAN, NULL);
	}
	cr_expect(!is_open);
	path_world_destroy(w);
}

/* The network behind the uplink has the numbers of the LAN: 192.168.50.0/24. */
static void conflict(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].address =
		(struct ip_prefix){.addr = ip_addr_v4(V4(192, 168, 50, 77)), .len_bits = 24};
	config->ports[WORLD_UPLINK].gateway = ip_addr_v4(V4(192, 168, 50, 254));
}

static const struct path_world_params conflicting = {.is_uplink_ethernet = true, .tune = conflict};

/* REQ-7: the world beyond is reached over an uplink whose network has the LAN's numbers. */
Test(path_rfc4787, req7_an_uplink_with_the_lans_numbers_leads_to_the_world)
{
	struct path_world *w = path_world_create(&conflicting);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK, &p));
	expect_ends(&p, V4(192, 168, 50, 77), PACKET_SRC_PORT, SERVER_BE, PACKET_DST_PORT);
	packet_clean(&p);
	cr_assert(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = SERVER_BE,
			.src_port = PACKET_DST_PORT,
			.dst_be = V4(192, 168, 50, 77),
			.dst_port = PACKET_SRC_PORT},
		WORLD_LAN, &p));
	expect_ends(&p, SERVER_BE, PACKET_DST_PORT, HOST_A_BE, PACKET_SRC_PORT);
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-7 (2): and what a node of that network has to say reaches the host it is about. */
Test(path_rfc4787, req7_an_error_from_a_router_with_a_lan_number_reaches_the_host)
{
	struct path_world *w = path_world_create(&conflicting);
	struct packet sent;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK, &sent));
	cr_expect(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_TIME_EXCEEDED,
			.src_be = V4(192, 168, 50, 254),
			.dst_be = V4(192, 168, 50, 77),
			.quoted = &sent},
		WORLD_LAN, NULL));
	packet_clean(&sent);
	path_world_destroy(w);
}

/* REQ-7 (2): a node of that network itself, to which the host sends by the gateway. */
Test(path_rfc4787, req7_external_nodes_with_lan_numbers_are_reached)
{
	struct path_world *w = path_world_create(&conflicting);
	struct packet_spec s = {.dst_be = V4(192, 168, 50, 200)};

	cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, NULL));
	cr_expect(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = s.dst_be,
			.src_port = PACKET_DST_PORT,
			.dst_be = V4(192, 168, 50, 77),
			.dst_port = PACKET_SRC_PORT},
		WORLD_LAN, NULL));
	path_world_destroy(w);
}

/* REQ-8: who may answer a mapping that was made towards SERVER_BE, PACKET_DST_PORT. */
Test(path_rfc4787, req8_each_filter_admits_whom_it_says)
{
	const struct {
		enum nat_filtering filtering;
		bool admits
			[4]; /* the endpoint; its address, another port; another host, its port; a stranger */
	} cases[] = {
		{NAT_FILTER_ENDPOINT_INDEPENDENT, {true, true, true, true}},
		{NAT_FILTER_ADDRESS_DEPENDENT, {true, true, false, false}},
		{NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT, {true, false, false, false}},
	};
	const struct packet_spec from[4] = {{.src_be = SERVER_BE, .src_port = PACKET_DST_PORT},
		{.src_be = SERVER_BE, .src_port = 1},
		{.src_be = SERVER_B_BE, .src_port = PACKET_DST_PORT},
		{.src_be = STRANGER_BE, .src_port = 7}};

	for (uint32_t i = 0; i < N_OF(cases); i++)
		for (uint32_t who = 0; who < 4; who++) {
			struct path_world *w = world_with_filter(cases[i].filtering);
			struct packet_spec s = from[who];

			s.dst_be = WORLD_UPLINK_BE;
			s.dst_port = say(w, &(struct packet_spec){0});
			cr_expect_eq(passes(w, WORLD_UPLINK, &s, WORLD_LAN, NULL),
				cases[i].admits[who], "filter %u, sender %u", i, who);
			expect_silence(w);
			path_world_destroy(w);
		}
}

/* REQ-9, (a): between hosts of one LAN and of two, from the external endpoint, whichever the filter once both have
 * spoken. */
Test(path_rfc4787, req9a_hairpinned_packets_come_from_the_external_endpoint)
{
	const enum nat_filtering filters[] = {NAT_FILTER_ENDPOINT_INDEPENDENT,
		NAT_FILTER_ADDRESS_DEPENDENT, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT};

	for (uint32_t i = 0; i < 2 * N_OF(filters); i++) {
		struct path_world *w = world_with_filter(filters[i / 2]);
		bool is_far = i % 2 != 0; /* B is on the other LAN */
		enum world_port b_port = is_far ? WORLD_LAN2 : WORLD_LAN;
		uint32_t b_be = is_far ? WORLD_HOST2_BE : HOST_B_BE;
		struct packet_spec a = {
			.src_port = 7000, .dst_be = WORLD_UPLINK_BE, .dst_port = 8000};
		struct packet_spec b = {.src_be = b_be,
			.src_port = 8000,
			.dst_be = WORLD_UPLINK_BE,
			.dst_port = 7000,
			.payload_bytes = 25};
		struct packet p;

		say(w, &(struct packet_spec){.src_port = 7000});
		cr_assert(passes(w, b_port, &(struct packet_spec){.src_be = b_be, .src_port = 8000},
			WORLD_UPLINK, NULL));
		passes(w, WORLD_LAN, &a, b_port, NULL); /* opens A's filter, if not B's door */
		cr_assert(passes(w, b_port, &b, WORLD_LAN, &p), "filter %u", i);
		expect_ends(&p, WORLD_UPLINK_BE, 8000, HOST_A_BE, 7000);
		packet_clean(&p);
		cr_assert(passes(w, WORLD_LAN, &a, b_port, &p), "filter %u", i);
		expect_ends(&p, WORLD_UPLINK_BE, 7000, b_be, 8000);
		packet_clean(&p);
		path_world_destroy(w);
	}
}

/* REQ-9: also in fragments, in whatever order. */
Test(path_rfc4787, req9_fragments_are_hairpinned)
{
	struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
	uint32_t n = 0;
	struct packet p;

	say(w, &(struct packet_spec){.src_port = 7000});
	for (uint16_t i = 0; i < 3; i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = HOST_B_BE,
				.src_port = 8000,
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = 7000,
				.id = 5,
				.fragment_offset = (uint16_t)((2 - i) * 64),
				.mf = i != 0,
				.payload_bytes = i == 2 ? 56 : 64});
		path_world_step(w);
	}
	for (; path_world_take(w, WORLD_LAN, &p); n++) {
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_be(&p), HOST_A_BE);
		packet_clean(&p);
	}
	cr_expect_eq(n, 3);
	path_world_destroy(w);
}

/* REQ-10: no ALG: a payload that speaks of addresses (SIP) goes as it came. */
Test(path_rfc4787, req10_payloads_are_nobodys_business)
{
	static const char sip[] = "INVITE sip:a@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP "
				  "192.168.50.10:5060\r\nc=IN IP4 192.168.50.10\r\n";
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.src_port = 5060,
		.dst_port = 5060,
		.payload = (const uint8_t *)sip,
		.payload_bytes = sizeof(sip)};
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &p));
	cr_expect_arr_eq(packet_l4(&p) + 8, sip, sizeof(sip));
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-11: deterministic: who wants which port, comes and goes changes nobody's mapping. */
Test(path_rfc4787, req11_a_mapping_does_not_change_when_its_neighbours_come_and_go)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec b = {.src_be = HOST_B_BE};
	uint16_t port;

	say(w, &(struct packet_spec){0});
	port = say(w, &b);
	for (int i = 0; i < 5; i++) { /* host A falls silent, its port becomes free */
		wait_for(w, 100 * WORLD_S);
		cr_expect_eq(say(w, &b), port);
		cr_expect(is_answered(w, &b, port));
	}
	cr_expect_eq(n_flows(w), 1);
	b.dst_be = SERVER_B_BE;
	cr_expect_eq(say(w, &b), port, "not the port that is free now");
	cr_expect_eq(say(w, &(struct packet_spec){.src_be = HOST_C_BE}), PACKET_SRC_PORT);
	cr_expect_eq(say(w, &b), port);
	path_world_destroy(w);
}

static void few_ports(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->nat_port_min = 60000;
	setup->nat_port_max = 60003;
}

/* REQ-11: nor does it when the ports run out: what there is stays, more is refused. */
Test(path_rfc4787, req11_nothing_changes_when_ports_run_out)
{
	struct path_world_params params = {.tune = few_ports};
	struct path_world *w = path_world_create(&params);
	struct packet_spec s[5] = {{0}};
	uint16_t ports[5];

	for (uint8_t i = 0; i < 5; i++) {
		s[i].src_be = V4(192, 168, 50, 20 + i);
		ports[i] = say(w, &s[i]);
	}
	for (uint8_t i = 0; i < 10; i++)
		cr_expect(!passes(w, WORLD_LAN,
			&(struct packet_spec){.src_be = V4(192, 168, 50, 40 + i)}, WORLD_UPLINK,
			NULL));
	path_world_discard(w, WORLD_LAN);
	for (uint8_t i = 0; i < 5; i++) {
		s[i].dst_be = SERVER_B_BE;
		cr_expect_eq(say(w, &s[i]), ports[i]);
		cr_expect(is_answered(w, &s[i], ports[i]));
	}
	path_world_destroy(w);
}

/* REQ-12: no ICMP message ends a mapping; (a) whoever sent it; (b) unreachable messages arrive. */
Test(path_rfc4787, req12_no_icmp_error_ends_a_mapping_and_all_arrive)
{
	const uint32_t senders[] = {
		ROUTER_BE, SERVER_BE, V4(10, 1, 1, 1), V4(192, 168, 77, 1), V4(100, 64, 0, 1)};
	const uint8_t types[] = {
		ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM, ICMP_SOURCE_QUENCH};

	for (uint32_t t = 0; t < N_OF(types); t++)
		for (uint8_t code = 0; code < (types[t] == ICMP_UNREACHABLE ? 16 : 2); code++) {
			struct path_world *w = path_world_create(NULL);
			struct packet_spec s = {.payload_bytes = 40};
			struct packet sent;

			cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &sent));
			for (uint32_t i = 0; i < N_OF(senders); i++)
				cr_expect(passes(w, WORLD_UPLINK,
						  &(struct packet_spec){.proto = PROTO_ICMP,
							  .icmp_type = types[t],
							  .icmp_code = code,
							  .icmp_seq = 1400,
							  .src_be = senders[i],
							  .dst_be = WORLD_UPLINK_BE,
							  .quoted = &sent},
						  WORLD_LAN, NULL),
					"type %u code %u from sender %u", types[t], code, i);
			wait_for(w, 120 * WORLD_S - WORLD_MS);
			cr_expect(is_answered(w, &s, PACKET_SRC_PORT));
			packet_clean(&sent);
			path_world_destroy(w);
		}
}

static void narrow_uplink(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].mtu = 1400;
	config->ports[WORLD_LAN].mtu = 1400;
}

static const struct path_world_params narrow = {.tune = narrow_uplink};

/* REQ-13. */
Test(path_rfc4787, req13_a_packet_too_large_to_go_whole_is_told_to_its_host)
{
	struct path_world *w = path_world_create(&narrow);
	struct packet p, quoted;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){.df = true, .payload_bytes = 1373},
		WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_FRAGMENTATION_NEEDED);
	cr_expect_eq(load_be16(packet_l4(&p) + 6), 1400);
	cr_expect_eq(packet_src_be(&p), WORLD_LAN_BE);
	quoted = quote_of(&p);
	expect_ends(&quoted, HOST_A_BE, PACKET_SRC_PORT, SERVER_BE, PACKET_DST_PORT);
	packet_clean(&quoted);
	packet_clean(&p);
	cr_expect(passes(w, WORLD_LAN, &(struct packet_spec){.df = true, .payload_bytes = 1372},
			  WORLD_UPLINK, NULL),
		"what just fits goes");
	path_world_destroy(w);
}

/* REQ-13 (a): in fragments, in order. */
Test(path_rfc4787, req13a_a_packet_that_may_be_fragmented_is_and_goes_in_order)
{
	for (uint32_t way = 0; way < 2; way++) {
		struct path_world *w = path_world_create(&narrow);
		struct packet_spec s = {0};
		uint32_t next_off = 0;
		bool more = true;
		struct packet p;

		say(w, &s);
		if (way != 0)
			s = reply_to(&s, PACKET_SRC_PORT);
		s.payload_bytes = 1472;
		s.id = 77;
		path_world_put(w, way == 0 ? WORLD_LAN : WORLD_UPLINK, &s);
		path_world_step(w);
		while (path_world_take(w, way == 0 ? WORLD_UPLINK : WORLD_LAN, &p)) {
			uint16_t fragment = load_be16(packet_ip(&p) + 6);

			cr_expect_leq(packet_ip_octets(&p), 1400);
			cr_expect_eq((fragment & IPV4_FRAGMENT_OFFSET) * 8u, next_off);
			cr_expect(packet_is_checksum_good(&p));
			next_off += packet_ip_octets(&p) - 20u;
			more = (fragment & IPV4_MF) != 0;
			packet_clean(&p);
		}
		cr_expect(!more);
		cr_expect_eq(next_off, 1480);
		path_world_destroy(w);
	}
}

/* A datagram of four pieces. */
static struct packet_spec piece(const struct packet_spec *whole, uint16_t i)
{
	struct packet_spec s = *whole;

	s.fragment_offset = (uint16_t)(i * 64);
	s.mf = i != 3;
	s.payload_bytes = i == 0 ? 56 : 64;
	return s;
}

/* REQ-14: received fragments out of order: every order, both ways. */
Test(path_rfc4787, req14_fragments_pass_in_every_order_both_ways)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {0};
	struct packet_spec whole[2] = {s, reply_to(&s, PACKET_SRC_PORT)};
	uint16_t id = 1;

	say(w, &s);
	for (uint32_t order = 0; order < 256; order++) {
		uint16_t at[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};

		if (((1u << at[0]) | (1u << at[1]) | (1u << at[2]) | (1u << at[3])) != 15)
			continue;
		for (uint32_t d = 0; d < 2; d++, id++) {
			enum world_port in = d == 0 ? WORLD_LAN : WORLD_UPLINK;
			enum world_port out = d == 0 ? WORLD_UPLINK : WORLD_LAN;

			whole[d].id = id;
			for (uint32_t i = 0; i < 4; i++) {
				struct packet_spec p = piece(&whole[d], at[i]);

				path_world_put(w, in, &p);
				path_world_step(w);
			}
			cr_expect_eq(path_world_discard(w, out), 4, "order %u, way %u", order, d);
			path_world_pass(w, 400 * WORLD_MS, 100 * WORLD_MS);
		}
	}
	cr_expect_eq(path_world_all_drops(w), 0);
	path_world_destroy(w);
}

/* REQ-14: as for UDP, so for TCP and echo, whose first fragments show ports and identifier elsewhere. */
Test(path_rfc4787, req14_fragments_of_tcp_and_echo_pass_in_reverse_both_ways)
{
	const struct packet_spec specs[] = {
		{.proto = PROTO_TCP, .src_be = HOST_B_BE, .tcp_flags = TCP_SYN},
		{.proto = PROTO_ICMP,
			.src_be = HOST_B_BE,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = PACKET_SRC_PORT}};

	for (uint32_t i = 0; i < 2 * N_OF(specs); i++) {
		struct path_world *w = path_world_create(NULL);
		bool is_up = i % 2 == 0;
		struct packet_spec s = specs[i / 2];
		uint32_t n = 0;
		struct packet p;
		uint16_t port;

		s.src_be = HOST_A_BE;
		say(w, &s);
		s.src_be = HOST_B_BE;
		port = say(w, &s);
		if (!is_up)
			s = reply_to(&s, port);
		s.id = 77;
		for (int part = 3; part >= 0; part--) {
			struct packet_spec one = piece(&s, (uint16_t)part);

			one.payload_bytes -= part == 0 && s.proto == PROTO_TCP ? 12 : 0;
			path_world_put(w, is_up ? WORLD_LAN : WORLD_UPLINK, &one);
			path_world_step(w);
		}
		for (; path_world_take(w, is_up ? WORLD_UPLINK : WORLD_LAN, &p); n++) {
			cr_expect_eq(is_up ? packet_src_be(&p) : packet_dst_be(&p),
				is_up ? WORLD_UPLINK_BE : HOST_B_BE);
			cr_expect(packet_is_checksum_good(&p));
			packet_clean(&p);
		}
		cr_expect_eq(n, 4, "case %u", i);
		path_world_destroy(w);
	}
}

/* REQ-14: pieces that overlap are the end host's to judge: all get one translation. */
Test(path_rfc4787, req14_overlapping_fragments_get_one_translation)
{
	struct path_world *w = path_world_create(NULL);
	const uint16_t offsets[] = {0, 8, 64, 56, 0, 128, 72};
	struct packet p;
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_OF(offsets); i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = HOST_B_BE,
				.id = 3,
				.fragment_offset = offsets[i],
				.mf = offsets[i] != 128,
				.payload_bytes = offsets[i] == 0 ? 56 : 64});
		path_world_step(w);
	}
	for (; path_world_take(w, WORLD_UPLINK, &p); n++) {
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		packet_clean(&p);
	}
	cr_expect_eq(n, N_OF(offsets));
	path_world_destroy(w);
}

/* Pieces without a first one, from ever other senders. */
static void flood_with_later_pieces(struct path_world *w, enum world_port in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		path_world_put(w, in,
			&(struct packet_spec){.src_be = in == WORLD_LAN
								? V4(192, 168, 50, 100 + i % 100)
								: V4(100, 1, i >> 8, i),
				.dst_be = in == WORLD_LAN ? SERVER_BE : WORLD_UPLINK_BE,
				.id = (uint16_t)i,
				.fragment_offset = 64,
				.mf = true,
				.payload_bytes = 64});
		if (i % 32 == 31)
			path_world_step(w);
	}
	path_world_step(w);
}

/* REQ-14 (a): a flood of fragments from either side costs neither whole packets nor fragments in order, and no memory. */
Test(path_rfc4787, req14a_a_flood_of_fragments_costs_nobody_his_packets)
{
	for (uint32_t side = 0; side < 2; side++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {.id = 9};
		struct packet_spec back = reply_to(&s, PACKET_SRC_PORT);

		say(w, &s);
		for (int round = 0; round < 5; round++) {
			struct packet_spec p = piece(&back, 0);

			back.id++;
			cr_expect(passes(w, WORLD_UPLINK, &p, WORLD_LAN, NULL));
			flood_with_later_pieces(w, side == 0 ? WORLD_UPLINK : WORLD_LAN, 1000);
			for (uint16_t i = 1; i < 4; i++) {
				p = piece(&back, i);
				p.id = (uint16_t)(back.id - 1);
				cr_expect(passes(w, WORLD_UPLINK, &p, WORLD_LAN, NULL),
					"side %u, round %d, piece %u", side, round, i);
			}
			cr_expect(is_answered(w, &s, PACKET_SRC_PORT));
			cr_expect_eq(say(w, &s), PACKET_SRC_PORT);
		}
		path_world_destroy(w);
	}
}

/* REQ-14 (a): the same with first pieces that nobody asked for. */
Test(path_rfc4787, req14a_unsolicited_first_fragments_push_nobody_out)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {0};
	struct packet_spec back = reply_to(&s, PACKET_SRC_PORT);
	struct packet_spec first = piece(&back, 0);
	struct packet_spec later = piece(&back, 1);

	say(w, &s);
	cr_expect(passes(w, WORLD_UPLINK, &first, WORLD_LAN, NULL));
	for (uint32_t i = 0; i < 1000; i++) {
		path_world_put(w, WORLD_UPLINK,
			&(struct packet_spec){.src_be = V4(100, 1, i >> 8, i),
				.dst_be = WORLD_UPLINK_BE,
				.id = (uint16_t)i,
				.mf = true,
				.payload_bytes = 64});
		if (i % 32 == 31)
			path_world_step(w);
	}
	path_world_step(w);
	cr_expect(passes(w, WORLD_UPLINK, &later, WORLD_LAN, NULL));
	path_world_destroy(w);
}

/* RFC 7857 section 9, RFC 6864 5.3.1: a server that puts datagrams of two hosts together again must not mix them. */
Test(path_rfc4787, rfc7857_s9_fragments_of_two_hosts_never_share_an_identification)
{
	struct path_world *w = path_world_create(NULL);
	uint16_t ids[2];

	for (uint32_t host = 0; host < 2; host++) {
		struct packet_spec s = {.src_be = host == 0 ? HOST_A_BE : HOST_B_BE, .id = 4711};

		for (uint16_t i = 0; i < 4; i++) {
			struct packet_spec one = piece(&s, i);
			struct packet p;

			cr_assert(passes(w, WORLD_LAN, &one, WORLD_UPLINK, &p));
			if (i == 0)
				ids[host] = load_be16(packet_ip(&p) + 4);
			cr_expect_eq(load_be16(packet_ip(&p) + 4), ids[host], "piece %u", i);
			packet_clean(&p);
		}
	}
	cr_expect_neq(ids[0], ids[1]);
	path_world_destroy(w);
}

/* RFC 7857 section 9: nor those that the gateway cuts itself. */
Test(path_rfc4787, rfc7857_s9_fragments_made_by_the_gateway_have_identifications_of_its_own)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	uint16_t ids[2];

	config->ports[WORLD_UPLINK].mtu = 600;
	doors_publish(w->path, config);
	path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
	for (uint32_t host = 0; host < 2; host++) {
		uint32_t n = 0;
		struct packet p;

		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = host == 0 ? HOST_A_BE : HOST_B_BE,
				.id = 4711,
				.payload_bytes = 1400});
		path_world_step(w);
		for (; path_world_take(w, WORLD_UPLINK, &p); n++) {
			if (n == 0)
				ids[host] = load_be16(packet_ip(&p) + 4);
			cr_expect_eq(load_be16(packet_ip(&p) + 4), ids[host], "piece %u", n);
			packet_clean(&p);
		}
		cr_expect_eq(n, 3);
	}
	cr_expect_neq(ids[0], ids[1]);
	path_world_destroy(w);
}

/* REQ-14 (a): what is refused takes no place, and what waited for it is dropped with it. */
Test(path_rfc4787, req14a_fragments_of_what_is_refused_are_not_kept)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.src_be = STRANGER_BE, .dst_be = WORLD_UPLINK_BE, .dst_port = 5};
	struct packet_spec first = piece(&s, 0);
	struct packet_spec later = piece(&s, 1);

	path_world_put(w, WORLD_UPLINK, &later);
	path_world_step(w);
	cr_expect_eq(path_world_all_drops(w), 0);
	path_world_put(w, WORLD_UPLINK, &first);
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_INBOUND), 2);
	path_world_destroy(w);
}

/* REQ-14: a whole datagram of 64 KiB that begins a flow, its pieces in one burst, in order and in reverse. */
Test(path_rfc4787, req14_the_largest_datagram_may_begin_a_flow)
{
	for (uint32_t is_reverse = 0; is_reverse < 2; is_reverse++) {
		struct path_world *w = path_world_create(NULL);

		for (uint32_t i = 0; i < 47; i++) {
			uint32_t part = is_reverse != 0 ? 46 - i : i;

			path_world_put(w, WORLD_LAN,
				&(struct packet_spec){.id = 5,
					.fragment_offset = (uint16_t)(part * 1376),
					.mf = part != 46,
					.payload_bytes = part == 0 ? 1368 : 1376});
		}
		path_world_step(w);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 47);
		path_world_destroy(w);
	}
}
