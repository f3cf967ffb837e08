/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5508, NAT and ICMP: one test a requirement, named after it. docs/nat.md has the table. */
#include "dialogue.h"

#include <weir/policy/ruleset.h>

#include <string.h>

static const uint8_t error_types[] = {
	ICMP_UNREACHABLE, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM};

#define N_SAYINGS 4

/* What a host may say, each to be quoted by an error. Host B says it after A took its port, so that the external one is
 * another. */
static struct packet_spec saying(uint32_t i)
{
	const struct packet_spec sayings[N_SAYINGS] = {
		{.proto = PROTO_UDP, .payload_bytes = 31},
		{.proto = PROTO_UDP, .payload_bytes = 32, .no_udp_checksum = true},
		{.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .payload_bytes = 5},
		{.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = PACKET_SRC_PORT,
			.payload_bytes = 40},
	};
	struct packet_spec s = sayings[i];

	s.src_be = HOST_B_BE;
	return s;
}

static uint16_t host_port_of(const struct packet_spec *s)
{
	return s->proto == PROTO_ICMP ? s->icmp_id : PACKET_SRC_PORT;
}

/* Host A says the same first, so that B's port is replaced. `ret_sent` is what left for B. */
static struct path_world *world_where_said(const struct packet_spec *s, struct packet *ret_sent)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec first = *s;

	first.src_be = HOST_A_BE;
	say(w, &first);
	cr_assert(passes(w, WORLD_LAN, s, WORLD_UPLINK, ret_sent));
	cr_expect_neq(packet_src_port(ret_sent), host_port_of(s));
	return w;
}

static struct packet_spec error_about(const struct packet *quoted, uint8_t type, uint8_t code)
{
	return (struct packet_spec){.proto = PROTO_ICMP,
		.icmp_type = type,
		.icmp_code = code,
		.icmp_seq = type == ICMP_UNREACHABLE && code == 4 ? 1280 : 0,
		.src_be = ROUTER_BE,
		.dst_be = WORLD_UPLINK_BE,
		.quoted = quoted};
}

/* REQ-1, (a): queries and their answers pass; an identifier is mapped alike towards all. */
Test(path_rfc5508, req1_queries_and_answers_pass_and_identifiers_are_endpoint_independent)
{
	const uint8_t types[] = {ICMP_ECHO_REQUEST, ICMP_TIMESTAMP_REQUEST};
	const uint32_t servers[] = {SERVER_BE, SERVER_B_BE, STRANGER_BE};

	for (uint32_t t = 0; t < N_OF(types); t++)
		for (uint32_t host = 0; host < 2; host++) {
			struct path_world *w = path_world_create(NULL);
			struct packet_spec s = {.proto = PROTO_ICMP,
				.icmp_type = types[t],
				.icmp_id = 7,
				.payload_bytes = 12};
			uint16_t id = say(w, &s);

			cr_expect_eq(id, 7);
			s.src_be = HOST_B_BE;
			s.icmp_id = host == 0 ? 8 : 7;
			id = say(w, &s);
			cr_expect_eq(id == s.icmp_id, host == 0);
			for (uint32_t i = 0; i < N_OF(servers); i++) {
				s.dst_be = servers[i];
				cr_expect_eq(say(w, &s), id);
				cr_expect(is_answered(w, &s, id));
			}
			path_world_destroy(w);
		}
}

/* REQ-2: not in less than 60 s. */
Test(path_rfc5508, req2_the_query_timer_is_exact)
{
	for (uint32_t late = 0; late < 2; late++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {
			.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = 7};

		say(w, &s);
		wait_for(w, late ? 61 * WORLD_S : 60 * WORLD_S - WORLD_MS);
		cr_expect_eq(is_answered(w, &s, 7), late == 0);
		path_world_destroy(w);
	}
}

Test(path_rfc5508, req2_no_timer_is_configured_below_sixty_seconds)
{
	struct path_config *pc = default_path_config();

	cr_expect_geq(pc->timeouts.icmp_ms, 60 * 1000);
	path_config_destroy(pc);
}

/* REQ-3: an error whose ICMP checksum is wrong is dropped in silence, from either side. */
Test(path_rfc5508, req3_an_error_with_a_wrong_checksum_is_dropped)
{
	for (uint32_t i = 0; i < N_SAYINGS; i++)
		for (uint32_t is_up = 0; is_up < 2; is_up++) {
			struct packet sent, error;
			const struct packet_spec said = saying(i);
			struct path_world *w = world_where_said(&said, &sent);
			struct packet_spec back = reply_to(&said, packet_src_port(&sent));
			struct packet_spec spec;
			struct packet came;

			cr_assert(passes(w, WORLD_UPLINK, &back, WORLD_LAN, &came));
			spec = error_about(is_up ? &came : &sent, ICMP_UNREACHABLE, 1);
			if (is_up) {
				spec.src_be = HOST_B_BE;
				spec.dst_be = SERVER_BE;
			}
			spec.framing = is_up ? FRAMING_ETHERNET : FRAMING_RAW_IP;
			error = packet_build(&spec);
			packet_l4(&error)[3] ^= 0x55;
			cr_expect(!frame_passes(w, is_up ? WORLD_LAN : WORLD_UPLINK, error,
				is_up ? WORLD_UPLINK : WORLD_LAN, NULL));
			expect_silence(w);
			packet_clean(&came);
			packet_clean(&sent);
			path_world_destroy(w);
		}
}

/* REQ-3 (a): so is one whose quoted IP header has a wrong checksum. */
Test(path_rfc5508, req3a_an_error_whose_quoted_ip_checksum_is_wrong_is_dropped)
{
	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		struct packet sent;
		const struct packet_spec said = saying(i);
		struct path_world *w = world_where_said(&said, &sent);
		struct packet_spec spec;

		packet_ip(&sent)[10] ^= 0x55;
		spec = error_about(&sent, ICMP_UNREACHABLE, 1);
		cr_expect(!passes(w, WORLD_UPLINK, &spec, WORLD_LAN, NULL), "saying %u", i);
		expect_silence(w);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-3 (b): options of the quoted packet are stepped over. */
Test(path_rfc5508, req3b_the_quoted_packet_may_have_ip_options)
{
	static const uint8_t options[] = {1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0};

	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		const struct packet_spec said = saying(i);
		struct packet_spec s = said;
		struct packet sent, p, quoted;
		struct packet_spec spec;
		struct path_world *w;

		s.ip_options = options;
		s.ip_options_bytes = sizeof(options);
		w = world_where_said(&s, &sent);
		spec = error_about(&sent, ICMP_TIME_EXCEEDED, 0);
		cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &p), "saying %u", i);
		quoted = quote_of(&p);
		cr_expect_eq(packet_src_be(&quoted), HOST_B_BE);
		cr_expect_eq(packet_src_port(&quoted), host_port_of(&s));
		cr_expect(packet_is_checksum_good(&quoted));
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-3 (c): the quoted transport checksum is nobody's business: it stays as wrong as it was. */
Test(path_rfc5508, req3c_the_quoted_transport_checksum_is_not_validated)
{
	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		struct packet sent, p, quoted;
		const struct packet_spec said = saying(i);
		struct path_world *w = world_where_said(&said, &sent);
		struct packet_spec spec;

		if (said.no_udp_checksum) {
			packet_clean(&sent);
			path_world_destroy(w);
			continue;
		}
		sent.bytes[sent.len_bytes - 1] ^= 0x55;
		spec = error_about(&sent, ICMP_UNREACHABLE, 3);
		cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &p), "saying %u", i);
		quoted = quote_of(&p);
		cr_expect(!packet_is_checksum_good(&quoted));
		quoted.bytes[quoted.len_bytes - 1] ^= 0x55;
		cr_expect(packet_is_checksum_good(&quoted));
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-3 (d): RFC 4884: 128 octets of quote, padded, then extensions, which stay as they are. */
Test(path_rfc5508, req3d_extensions_behind_the_quote_are_left_alone)
{
	static const uint8_t extension[] = {0x20, 0, 0xdf, 0xff, 0, 8, 1, 1, 0, 1, 0x23, 0x45};

	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		uint8_t payload[128 + sizeof(extension)] = {0};
		struct packet sent, p, quoted;
		const struct packet_spec said = saying(i);
		struct path_world *w = world_where_said(&said, &sent);
		struct packet_spec spec = error_about(NULL, ICMP_TIME_EXCEEDED, 0);

		memcpy(payload, packet_ip(&sent), sent.len_bytes - sent.l3_off);
		memcpy(payload + 128, extension, sizeof(extension));
		spec.icmp_id = 128 / 4;
		spec.payload = payload;
		spec.payload_bytes = sizeof(payload);
		cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &p), "saying %u", i);
		quoted = quote_of(&p);
		cr_expect_eq(packet_src_be(&quoted), HOST_B_BE);
		cr_expect_eq(packet_src_port(&quoted), host_port_of(&said));
		cr_expect(packet_is_checksum_good(&quoted));
		cr_expect_arr_eq(quoted.bytes + 128, extension, sizeof(extension));
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-4: errors from outside: the quote as the host sent it, type and code as they came, to the host. */
Test(path_rfc5508, req4_errors_from_outside_are_told_in_the_hosts_terms)
{
	for (uint32_t i = 0; i < N_SAYINGS * N_OF(error_types); i++) {
		const struct packet_spec said = saying(i / N_OF(error_types));
		const struct packet_spec *s = &said;
		uint8_t type = error_types[i % N_OF(error_types)];
		struct packet sent;
		struct path_world *w = world_where_said(s, &sent);

		for (uint8_t code = 0; code < 5; code++) {
			struct packet_spec spec = error_about(&sent, type, code);
			struct packet p, quoted;

			cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &p), "case %u", i);
			quoted = quote_of(&p);
			cr_expect_eq(packet_src_be(&p), ROUTER_BE);
			cr_expect_eq(packet_dst_be(&p), HOST_B_BE);
			cr_expect_eq(packet_l4(&p)[0], type);
			cr_expect_eq(packet_l4(&p)[1], code);
			cr_expect_eq(load_be16(packet_l4(&p) + 6), spec.icmp_seq);
			cr_expect_eq(packet_src_be(&quoted), HOST_B_BE);
			cr_expect_eq(packet_dst_be(&quoted), SERVER_BE);
			cr_expect_eq(packet_src_port(&quoted), host_port_of(s));
			cr_expect(packet_is_checksum_good(&quoted), "case %u", i);
			packet_clean(&quoted);
			packet_clean(&p);
		}
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-4: RFC 792 promises eight octets behind the quoted header; any length from there on is translated. */
Test(path_rfc5508, req4_truncated_quotes_are_translated)
{
	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		struct packet sent;
		const struct packet_spec said = saying(i);
		struct path_world *w = world_where_said(&said, &sent);

		for (uint32_t octets = 28; octets <= sent.len_bytes; octets++) {
			struct packet_spec spec = error_about(&sent, ICMP_UNREACHABLE, 1);
			struct packet p, quoted;

			spec.quoted_octets = octets;
			cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &p),
				"saying %u, %u octets", i, octets);
			quoted = quote_of(&p);
			cr_expect_eq(quoted.len_bytes, octets);
			cr_expect_eq(packet_src_be(&quoted), HOST_B_BE);
			cr_expect_eq(packet_src_port(&quoted), host_port_of(&said));
			cr_expect_eq(packet_plain_checksum(quoted.bytes, 20, 0), 0);
			packet_clean(&quoted);
			packet_clean(&p);
		}
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-4, REQ-5: an error about nothing that weir knows is dropped in silence. */
Test(path_rfc5508, req4_req5_an_error_about_no_session_is_dropped)
{
	for (uint32_t i = 0; i < N_SAYINGS * N_OF(error_types) * 2; i++) {
		bool is_up = i % 2 != 0;
		const struct packet_spec said = saying(i / 2 / N_OF(error_types));
		struct packet_spec s = said;
		struct path_world *w = path_world_create(NULL);
		struct packet quoted;
		struct packet_spec spec;

		s.framing = FRAMING_RAW_IP;
		s.src_be = is_up ? SERVER_BE : WORLD_UPLINK_BE;
		s.dst_be = is_up ? HOST_B_BE : SERVER_BE;
		quoted = packet_build(&s);
		spec = error_about(&quoted, error_types[i / 2 % N_OF(error_types)], 1);
		if (is_up) {
			spec.src_be = HOST_B_BE;
			spec.dst_be = SERVER_BE;
		}
		path_world_put(w, is_up ? WORLD_LAN : WORLD_UPLINK, &spec);
		path_world_step(w);
		expect_silence(w);
		packet_clean(&quoted);
		path_world_destroy(w);
	}
}

/* REQ-5: errors from inside: the quote as the server sent it, type and code as they came, from the external address. */
Test(path_rfc5508, req5_errors_from_inside_are_told_in_the_servers_terms)
{
	for (uint32_t i = 0; i < N_SAYINGS * N_OF(error_types); i++) {
		const struct packet_spec said = saying(i / N_OF(error_types));
		const struct packet_spec *s = &said;
		struct packet sent, came, p, quoted;
		struct path_world *w = world_where_said(s, &sent);
		uint16_t port = packet_src_port(&sent);
		struct packet_spec spec = reply_to(s, port);

		cr_assert(passes(w, WORLD_UPLINK, &spec, WORLD_LAN, &came));
		spec = error_about(&came, error_types[i % N_OF(error_types)], 3);
		spec.src_be = HOST_B_BE;
		spec.dst_be = SERVER_BE;
		cr_assert(passes(w, WORLD_LAN, &spec, WORLD_UPLINK, &p), "case %u", i);
		quoted = quote_of(&p);
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_be(&p), SERVER_BE);
		cr_expect_eq(packet_l4(&p)[0], spec.icmp_type);
		cr_expect_eq(packet_l4(&p)[1], 3);
		cr_expect_eq(packet_src_be(&quoted), SERVER_BE);
		cr_expect_eq(packet_dst_be(&quoted), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_port(&quoted), port);
		cr_expect(packet_is_checksum_good(&quoted));
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&came);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-6: an error about a query neither refreshes nor ends its session. */
Test(path_rfc5508, req6_an_error_neither_refreshes_nor_ends_a_query)
{
	for (uint32_t late = 0; late < 2; late++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {
			.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = 7};
		struct packet_spec error;
		struct packet sent;

		cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &sent));
		error = error_about(&sent, ICMP_UNREACHABLE, 1);
		for (int i = 0; i < 5; i++) {
			wait_for(w, 10 * WORLD_S);
			cr_expect(passes(w, WORLD_UPLINK, &error, WORLD_LAN, NULL));
		}
		wait_for(w, late ? 11 * WORLD_S : 10 * WORLD_S - WORLD_MS);
		cr_expect_eq(is_answered(w, &s, 7), late == 0);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-7, (a): errors about hairpinned packets, to the address that the quote's source has after the translation. */
Test(path_rfc5508, req7_errors_about_hairpinned_packets_reach_their_sender)
{
	for (uint32_t i = 0; i < 2 * N_OF(error_types); i++) {
		struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
		uint8_t proto = i % 2 == 0 ? PROTO_UDP : PROTO_TCP;
		struct packet_spec s = {.proto = proto, .tcp_flags = TCP_SYN, .src_port = 8000};
		struct packet came, p, quoted;

		say(w, &s); /* A has 8000: B's becomes another */
		s.src_port = 7000;
		say(w, &s);
		s.src_be = HOST_B_BE;
		s.src_port = 8000;
		s.dst_be = WORLD_UPLINK_BE;
		s.dst_port = 7000;
		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &came));
		s = error_about(&came, error_types[i / 2], 3);
		s.src_be = HOST_A_BE;
		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p), "case %u", i);
		quoted = quote_of(&p);
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_be(&p), HOST_B_BE);
		cr_expect_eq(packet_l4(&p)[0], error_types[i / 2]);
		expect_ends(&quoted, HOST_B_BE, 8000, WORLD_UPLINK_BE, 7000);
		cr_expect(packet_is_checksum_good(&quoted));
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&came);
		path_world_destroy(w);
	}
}

static void one_flow_each(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->flows_per_device = 1;
}

static void one_flow_in_all(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->flow_capacity = 1;
}

static void one_port_in_all(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->nat_port_min = setup->nat_port_max = PACKET_SRC_PORT;
}

/* REQ-8: what cannot be because there is no room is told to its sender. */
Test(path_rfc5508, req8_a_session_that_finds_no_room_is_refused_aloud)
{
	const struct {
		void (*tune)(struct path_setup *setup, struct path_config *config);
		struct packet_spec second;
	} cases[] = {
		{one_flow_each, {.dst_be = SERVER_B_BE}},
		{one_flow_in_all, {.src_be = HOST_B_BE, .src_port = 5}},
		{one_port_in_all, {.src_be = HOST_B_BE}},
	};

	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct path_world *w =
			path_world_create(&(struct path_world_params){.tune = cases[i].tune});
		struct packet_spec s = cases[i].second;
		struct packet p;

		say(w, &(struct packet_spec){0});
		path_world_put(w, WORLD_LAN, &s);
		path_world_step(w);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0);
		if (path_world_take(w, WORLD_LAN, &p)) {
			cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
			cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_ADMIN);
			packet_clean(&p);
		} else {
			cr_expect_fail("case %u is silent", i);
		}
		path_world_destroy(w);
	}
}

/* REQ-8: and so is what a rule rejects; what it drops is not, as its administrator said. */
Test(path_rfc5508, req8_what_a_rule_rejects_is_told_and_what_it_drops_is_not)
{
	const enum policy_action actions[] = {POLICY_REJECT, POLICY_DROP};

	for (uint32_t i = 0; i < 2; i++) {
		struct path_world *w = path_world_create(NULL);
		struct path_config *config = path_world_config(w);
		struct policy_rule rule = {.port_max = 65535, .action = actions[i]};
		struct packet p;

		ruleset_destroy(config->rules);
		cr_assert_eq(ruleset_create(&rule, 1, &config->rules), 0);
		doors_publish(w->path, config);
		path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
		path_world_step(w);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0);
		if (actions[i] == POLICY_REJECT) {
			cr_assert(path_world_take(w, WORLD_LAN, &p));
			cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
			cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_ADMIN);
			packet_clean(&p);
		}
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* REQ-10 (a): errors of weir's own, in terms of whom they go to: Time Exceeded to both sides. */
Test(path_rfc5508, req10a_time_exceeded_is_told_to_either_side_in_its_terms)
{
	for (uint32_t i = 0; i < N_SAYINGS; i++) {
		struct packet sent, p, quoted;
		const struct packet_spec said = saying(i);
		struct path_world *w = world_where_said(&said, &sent);
		uint16_t port = packet_src_port(&sent);
		struct packet_spec s = said;

		s.ttl = 1;
		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p));
		quoted = quote_of(&p);
		cr_expect_eq(packet_l4(&p)[0], ICMP_TIME_EXCEEDED);
		cr_expect_eq(packet_dst_be(&p), HOST_B_BE);
		cr_expect_eq(packet_src_port(&quoted), host_port_of(&s));
		packet_clean(&quoted);
		packet_clean(&p);
		s = reply_to(&said, port);
		s.ttl = 1;
		cr_assert(passes(w, WORLD_UPLINK, &s, WORLD_UPLINK, &p));
		quoted = quote_of(&p);
		cr_expect_eq(packet_l4(&p)[0], ICMP_TIME_EXCEEDED);
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_be(&p), SERVER_BE);
		cr_expect_eq(packet_dst_be(&quoted), WORLD_UPLINK_BE);
		cr_expect_eq(packet_dst_port(&quoted), port);
		packet_clean(&quoted);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* REQ-10 (a), REQ-7: and to the sender of a hairpinned packet, about the packet that it sent. */
Test(path_rfc5508, req10a_time_exceeded_is_told_to_the_sender_of_a_hairpinned_packet)
{
	struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
	struct packet p, quoted;

	say(w, &(struct packet_spec){.src_port = 7000});
	cr_assert(passes(w, WORLD_LAN,
		&(struct packet_spec){.src_be = HOST_B_BE,
			.src_port = 8000,
			.dst_be = WORLD_UPLINK_BE,
			.dst_port = 7000,
			.ttl = 1},
		WORLD_LAN, &p));
	quoted = quote_of(&p);
	cr_expect_eq(packet_l4(&p)[0], ICMP_TIME_EXCEEDED);
	cr_expect_eq(packet_dst_be(&p), HOST_B_BE);
	expect_ends(&quoted, HOST_B_BE, 8000, WORLD_UPLINK_BE, 7000);
	packet_clean(&quoted);
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-10 (a): so is Fragmentation Needed, for packets from outside that the LAN cannot carry. */
Test(path_rfc5508, req10a_fragmentation_needed_is_told_to_the_outside_in_its_terms)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet_spec s = {0};
	struct packet p, quoted;

	config->ports[WORLD_LAN].mtu = 1280;
	doors_publish(w->path, config);
	path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
	say(w, &s);
	s = reply_to(&s, PACKET_SRC_PORT);
	s.df = true;
	s.payload_bytes = 1400;
	cr_assert(passes(w, WORLD_UPLINK, &s, WORLD_UPLINK, &p));
	quoted = quote_of(&p);
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_FRAGMENTATION_NEEDED);
	cr_expect_eq(load_be16(packet_l4(&p) + 6), 1280);
	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	expect_ends(&quoted, SERVER_BE, PACKET_DST_PORT, WORLD_UPLINK_BE, PACKET_SRC_PORT);
	packet_clean(&quoted);
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-10 (a): the gateway answers echo requests to its address on a LAN; RFC 1812 4.3.3.6. */
Test(path_rfc5508, req10a_echo_is_answered_on_the_lan)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = 3,
			.icmp_seq = 4,
			.dst_be = WORLD_LAN_BE,
			.payload_bytes = 1000},
		WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
	cr_expect_eq(packet_src_be(&p), WORLD_LAN_BE);
	cr_expect_eq(packet_dst_be(&p), HOST_A_BE);
	cr_expect_eq(packet_ip_octets(&p), 1028);
	packet_clean(&p);
	path_world_destroy(w);
}

/* REQ-10 (a), REQ-1: a reply that is all zeros has the checksum 0xffff; 0 would be wrong (RFC 1624 section 3). */
Test(path_rfc5508, req10a_a_reply_of_zeros_has_a_true_checksum)
{
	static const uint8_t zeros[8];
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.proto = PROTO_ICMP,
		.icmp_type = ICMP_ECHO_REQUEST,
		.dst_be = WORLD_LAN_BE,
		.payload = zeros,
		.payload_bytes = sizeof(zeros)};
	uint16_t id;

	cr_expect(passes(w, WORLD_LAN, &s, WORLD_LAN, NULL)); /* the gateway's own */
	s.dst_be = SERVER_BE;
	say(w, &s);
	s.src_be = HOST_B_BE; /* and one whose identifier becomes 0 on its way back */
	id = say(w, &s);
	cr_expect_neq(id, 0);
	cr_expect(is_answered(w, &s, id));
	path_world_destroy(w);
}

/* REQ-11, RFC 6918: messages that are neither query nor error stay where they are, from either side. */
Test(path_rfc5508, req11_other_icmp_messages_are_not_forwarded)
{
	const uint8_t types[] = {
		5, 6, 9, 10, 15, 16, 17, 18, 19, 30, 31, 32, 33, 36, 37, 38, 40, 42, 255};
	struct path_world *w = path_world_create(NULL);

	say(w, &(struct packet_spec){
		       .proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = 7});
	for (uint32_t i = 0; i < N_OF(types); i++) {
		struct packet_spec s = {.proto = PROTO_ICMP,
			.icmp_type = types[i],
			.icmp_id = 7,
			.payload_bytes = 40};

		path_world_put(w, WORLD_LAN, &s);
		s.src_be = SERVER_BE;
		s.dst_be = WORLD_UPLINK_BE;
		path_world_put(w, WORLD_UPLINK, &s);
		path_world_step(w);
		expect_silence(w);
	}
	cr_expect_eq(n_flows(w), 1);
	path_world_destroy(w);
}
