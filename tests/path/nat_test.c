/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation as hosts on both sides see it: whole packets in, whole packets out, every checksum true. */
#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#define HOST_BE     PACKET_SRC_BE
#define HOST_B_BE   V4(192, 168, 50, 11)
#define SERVER_BE   PACKET_DST_BE
#define SERVER_B_BE V4(198, 51, 100, 8)
#define ROUTER_BE   V4(198, 51, 100, 254)

static void expect_ends(const struct packet *p, uint32_t src_be, uint16_t src_port, uint32_t dst_be,
	uint16_t dst_port)
{
	cr_expect_eq(packet_src_be(p), src_be, "source %x", ntohl(packet_src_be(p)));
	cr_expect_eq(packet_dst_be(p), dst_be, "destination %x", ntohl(packet_dst_be(p)));
	cr_expect_eq(packet_src_port(p), src_port, "source port %u", packet_src_port(p));
	cr_expect_eq(packet_dst_port(p), dst_port, "destination port %u", packet_dst_port(p));
}

/* One packet from a LAN host to a server; the external port it leaves with. */
static uint16_t speak(struct path_world *w, const struct packet_spec *spec)
{
	struct packet p = path_world_pass_one(w, WORLD_LAN, spec, WORLD_UPLINK);
	uint16_t port = packet_src_port(&p);

	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	packet_clean(&p);
	return port;
}

Test(path_nat, both_ways_are_translated_with_true_checksums)
{
	const struct packet_spec specs[] = {
		{.proto = PROTO_UDP, .payload_bytes = 101},
		{.proto = PROTO_UDP, .payload_bytes = 100, .no_udp_checksum = true},
		{.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .payload_bytes = 0},
		{.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = 77,
			.payload_bytes = 56},
	};
	struct path_world *w = path_world_create(NULL);

	for (uint32_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		bool is_echo = specs[i].proto == PROTO_ICMP;
		uint16_t port = is_echo ? 77 : PACKET_SRC_PORT;
		struct packet_spec back = specs[i];
		struct packet p = path_world_pass_one(w, WORLD_LAN, &specs[i], WORLD_UPLINK);

		expect_ends(&p, WORLD_UPLINK_BE, port, SERVER_BE, is_echo ? port : PACKET_DST_PORT);
		cr_expect_eq(packet_ip(&p)[8], 63, "one hop was taken");
		packet_clean(&p);
		back.src_be = SERVER_BE;
		back.dst_be = WORLD_UPLINK_BE;
		back.src_port = PACKET_DST_PORT;
		back.dst_port = PACKET_SRC_PORT;
		back.icmp_type = ICMP_ECHO_REPLY;
		back.tcp_flags = TCP_SYN | TCP_ACK;
		p = path_world_pass_one(w, WORLD_UPLINK, &back, WORLD_LAN);
		expect_ends(&p, SERVER_BE, is_echo ? port : PACKET_DST_PORT, HOST_BE, port);
		packet_clean(&p);
	}
	cr_expect_eq(path_world_all_drops(w), 0);
	path_world_destroy(w);
}

Test(path_nat, two_hosts_with_one_port_get_two)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_TCP, PROTO_ICMP};
	struct path_world *w = path_world_create(NULL);

	for (uint32_t i = 0; i < sizeof(protos); i++) {
		struct packet_spec spec = {.proto = protos[i],
			.tcp_flags = TCP_SYN,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = PACKET_SRC_PORT,
			.payload_bytes = 8};
		uint16_t first = speak(w, &spec);
		uint16_t second;
		struct packet p;

		spec.src_be = HOST_B_BE;
		second = speak(w, &spec);
		cr_expect_eq(first, PACKET_SRC_PORT, "the first keeps its own");
		cr_expect_neq(second, first);
		p = path_world_pass_one(w, WORLD_UPLINK,
			&(struct packet_spec){.proto = protos[i],
				.src_be = SERVER_BE,
				.dst_be = WORLD_UPLINK_BE,
				.src_port = PACKET_DST_PORT,
				.dst_port = second,
				.tcp_flags = TCP_SYN | TCP_ACK,
				.icmp_type = ICMP_ECHO_REPLY,
				.icmp_id = second,
				.payload_bytes = 8},
			WORLD_LAN);
		cr_expect_eq(packet_dst_be(&p), HOST_B_BE);
		cr_expect_eq(packet_dst_port(&p), PACKET_SRC_PORT);
		packet_clean(&p);
	}
	path_world_destroy(w);
}

/* RFC 4787 REQ-1. */
Test(path_nat, one_internal_endpoint_is_one_external_endpoint_to_all)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec spec = {.src_be = HOST_B_BE};
	uint16_t first;

	speak(w, &(struct packet_spec){0}); /* takes the port away */
	first = speak(w, &spec);
	spec.dst_be = SERVER_B_BE;
	cr_expect_eq(speak(w, &spec), first);
	spec.dst_port = 9999;
	cr_expect_eq(speak(w, &spec), first);
	path_world_destroy(w);
}

/* RFC 4787 REQ-8: who may answer a mapping that was made towards SERVER_BE, PACKET_DST_PORT. */
Test(path_nat, filtering_admits_whom_its_mode_admits)
{
	const struct {
		enum nat_filtering filtering;
		uint32_t src_be;
		uint16_t src_port;
		bool is_admitted;
	} cases[] = {
		{NAT_FILTER_ENDPOINT_INDEPENDENT, SERVER_B_BE, 1, true},
		{NAT_FILTER_ADDRESS_DEPENDENT, SERVER_B_BE, PACKET_DST_PORT, false},
		{NAT_FILTER_ADDRESS_DEPENDENT, SERVER_BE, 1, true},
		{NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT, SERVER_BE, 1, false},
		{NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT, SERVER_BE, PACKET_DST_PORT, true},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path_world *w = path_world_create(NULL);
		struct path_config *config = path_world_config(w);
		struct packet p;

		config->filtering = cases[i].filtering;
		doors_publish(w->path, config);
		speak(w, &(struct packet_spec){0});
		path_world_put(w, WORLD_UPLINK,
			&(struct packet_spec){.src_be = cases[i].src_be,
				.src_port = cases[i].src_port,
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = PACKET_SRC_PORT});
		path_world_step(w);
		cr_expect_eq(path_world_take(w, WORLD_LAN, &p), cases[i].is_admitted, "case %u", i);
		cr_expect_eq(
			path_world_drops(w, DROP_POLICY_FILTERED), cases[i].is_admitted ? 0 : 1);
		if (cases[i].is_admitted)
			packet_clean(&p);
		path_world_destroy(w);
	}
}

/* The packet an error quotes, as a packet of its own. */
static struct packet quote_of(const struct packet *error)
{
	uint32_t off = error->l4_off + 8;

	return packet_of_bytes(error->bytes + off, error->len_bytes - off, FRAMING_RAW_IP);
}

/* RFC 5508 REQ-4. */
Test(path_nat, an_error_from_outside_is_told_in_the_hosts_own_terms)
{
	struct path_world *w = path_world_create(NULL);
	struct packet sent, error, quoted;

	sent = path_world_pass_one(
		w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 64}, WORLD_UPLINK);
	error = path_world_pass_one(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_TIME_EXCEEDED,
			.src_be = ROUTER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.quoted = &sent},
		WORLD_LAN);
	cr_expect_eq(packet_src_be(&error), ROUTER_BE);
	cr_expect_eq(packet_dst_be(&error), HOST_BE);
	quoted = quote_of(&error);
	expect_ends(&quoted, HOST_BE, PACKET_SRC_PORT, SERVER_BE, PACKET_DST_PORT);
	cr_expect(packet_is_checksum_good(&quoted));
	packet_clean(&quoted);
	packet_clean(&error);
	packet_clean(&sent);
	path_world_destroy(w);
}

Test(path_nat, an_error_from_inside_is_told_in_the_servers_terms)
{
	struct path_world *w = path_world_create(NULL);
	struct packet came, error, quoted;

	speak(w, &(struct packet_spec){0});
	came = path_world_pass_one(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = SERVER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.src_port = PACKET_DST_PORT,
			.dst_port = PACKET_SRC_PORT,
			.payload_bytes = 32},
		WORLD_LAN);
	error = path_world_pass_one(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_UNREACHABLE,
			.icmp_code = ICMP_CODE_PORT,
			.dst_be = SERVER_BE,
			.quoted = &came},
		WORLD_UPLINK);
	cr_expect_eq(packet_src_be(&error), WORLD_UPLINK_BE);
	cr_expect_eq(packet_dst_be(&error), SERVER_BE);
	quoted = quote_of(&error);
	expect_ends(&quoted, SERVER_BE, PACKET_DST_PORT, WORLD_UPLINK_BE, PACKET_SRC_PORT);
	cr_expect(packet_is_checksum_good(&quoted));
	packet_clean(&quoted);
	packet_clean(&error);
	packet_clean(&came);
	path_world_destroy(w);
}

/* RFC 5508 REQ-6, RFC 4787 REQ-12. */
Test(path_nat, an_error_neither_ends_nor_keeps_a_flow)
{
	struct path_world *w = path_world_create(NULL);
	struct packet sent =
		path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);
	struct path_stats s;

	for (int i = 0; i < 150; i++) {
		path_world_put(w, WORLD_UPLINK,
			&(struct packet_spec){.proto = PROTO_ICMP,
				.icmp_type = ICMP_UNREACHABLE,
				.src_be = ROUTER_BE,
				.dst_be = WORLD_UPLINK_BE,
				.quoted = &sent});
		path_world_pass(w, WORLD_S, 500 * WORLD_MS);
		if (i == 100)
			path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
		path_world_discard(w, WORLD_LAN);
	}
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.n_flows, 1);
	path_world_pass(w, 301 * WORLD_S, 100 * WORLD_MS);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.n_flows, 0);
	packet_clean(&sent);
	path_world_destroy(w);
}

/* RFC 4787 REQ-9: with the external source address. */
Test(path_nat, two_lan_hosts_meet_at_the_external_address)
{
	const uint8_t protos[] = {PROTO_UDP, PROTO_TCP};

	for (uint32_t i = 0; i < sizeof(protos); i++) {
		struct path_world *w = path_world_create(NULL);
		struct path_config *config = path_world_config(w);
		struct packet came, answer;
		struct packet_spec spec = {
			.proto = protos[i], .tcp_flags = TCP_SYN, .src_port = 7000};

		config->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
		doors_publish(w->path, config);
		speak(w, &spec);
		came = path_world_pass_one(w, WORLD_LAN,
			&(struct packet_spec){.proto = protos[i],
				.tcp_flags = TCP_SYN,
				.src_be = HOST_B_BE,
				.src_port = 8000,
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = 7000,
				.payload_bytes = 24},
			WORLD_LAN);
		expect_ends(&came, WORLD_UPLINK_BE, 8000, HOST_BE, 7000);
		answer = path_world_pass_one(w, WORLD_LAN,
			&(struct packet_spec){.proto = protos[i],
				.tcp_flags = TCP_SYN | TCP_ACK,
				.src_port = 7000,
				.dst_be = WORLD_UPLINK_BE,
				.dst_port = 8000},
			WORLD_LAN);
		expect_ends(&answer, WORLD_UPLINK_BE, 7000, HOST_B_BE, 8000);
		packet_clean(&answer);
		packet_clean(&came);
		path_world_destroy(w);
	}
}

/* RFC 5508 REQ-7. */
Test(path_nat, an_error_about_a_hairpinned_packet_finds_its_sender)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet came, error, quoted;

	config->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	doors_publish(w->path, config);
	speak(w, &(struct packet_spec){.src_port = 7000});
	came = path_world_pass_one(w, WORLD_LAN,
		&(struct packet_spec){.src_be = HOST_B_BE,
			.src_port = 8000,
			.dst_be = WORLD_UPLINK_BE,
			.dst_port = 7000,
			.payload_bytes = 24},
		WORLD_LAN);
	error = path_world_pass_one(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_UNREACHABLE,
			.icmp_code = ICMP_CODE_PORT,
			.dst_be = WORLD_UPLINK_BE,
			.quoted = &came},
		WORLD_LAN);
	cr_expect_eq(packet_src_be(&error), WORLD_UPLINK_BE);
	cr_expect_eq(packet_dst_be(&error), HOST_B_BE);
	quoted = quote_of(&error);
	expect_ends(&quoted, HOST_B_BE, 8000, WORLD_UPLINK_BE, 7000);
	cr_expect(packet_is_checksum_good(&quoted));
	packet_clean(&quoted);
	packet_clean(&error);
	packet_clean(&came);
	path_world_destroy(w);
}

/* RFC 4787 REQ-14: in any order, mixed with another datagram's. */
Test(path_nat, fragments_are_translated_in_whatever_order_they_come)
{
	const struct {
		uint16_t id;
		uint16_t offset;
		bool more;
	} parts[] = {{1, 0, true}, {1, 64, true}, {1, 128, false}, {2, 128, false}, {2, 64, true},
		{2, 0, true}, {3, 64, true}, {4, 64, true}, {4, 0, true}, {3, 0, true},
		{3, 128, false}, {4, 128, false}};
	struct path_world *w = path_world_create(NULL);
	uint32_t n_seen = 0;
	struct packet p;

	for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		/* Ids 2 and 4 are another host's, with the same port. */
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = parts[i].id % 2 == 0 ? HOST_B_BE : HOST_BE,
				.id = parts[i].id,
				.fragment_offset = parts[i].offset,
				.mf = parts[i].more,
				.payload_bytes = parts[i].offset == 0 ? 56 : 64});
		path_world_step(w);
	}
	for (; path_world_take(w, WORLD_UPLINK, &p); n_seen++) {
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		cr_expect(packet_is_checksum_good(&p));
		packet_clean(&p);
	}
	cr_expect_eq(n_seen, sizeof(parts) / sizeof(parts[0]));
	cr_expect_eq(path_world_all_drops(w), 0);
	path_world_destroy(w);
}

Test(path_nat, fragments_of_a_refused_flow_are_refused_with_it)
{
	struct path_world *w = path_world_create(NULL);

	for (uint16_t i = 0; i < 3; i++) {
		uint16_t offset = (uint16_t)((2 - i) * 64);

		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.dst_be = WORLD_HOST2_BE,
				.id = 9,
				.fragment_offset = offset,
				.mf = i != 0,
				.payload_bytes = offset == 0 ? 56 : 64});
	}
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 3, "none of them is held for ever");
	path_world_destroy(w);
}

Test(path_nat, the_mss_of_a_syn_is_brought_down_to_what_the_bearer_carries)
{
	const uint8_t options[] = {2, 4, 0x05, 0xb4}; /* 1460 */
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet p;

	config->ports[WORLD_UPLINK].mtu = 1400;
	doors_publish(w->path, config);
	path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
	p = path_world_pass_one(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_TCP,
			.tcp_flags = TCP_SYN,
			.tcp_options = options,
			.tcp_options_bytes = sizeof(options)},
		WORLD_UPLINK);
	cr_expect_eq(load_be16(packet_l4(&p) + 22), 1360);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_nat, a_packet_whose_ttl_ends_here_is_told_to_its_sender)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p = path_world_pass_one(
		w, WORLD_LAN, &(struct packet_spec){.ttl = 1, .payload_bytes = 20}, WORLD_LAN);
	struct packet quoted = quote_of(&p);

	cr_expect_eq(packet_l4(&p)[0], ICMP_TIME_EXCEEDED);
	cr_expect_eq(packet_src_be(&p), WORLD_LAN_BE);
	cr_expect_eq(packet_dst_be(&p), HOST_BE);
	expect_ends(&quoted, HOST_BE, PACKET_SRC_PORT, SERVER_BE, PACKET_DST_PORT);
	packet_clean(&quoted);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_nat, a_packet_beyond_the_mtu_goes_in_fragments_where_it_may)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p;
	uint32_t n_octets = 0;
	uint32_t n = 0;

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1700});
	path_world_step(w);
	for (; path_world_take(w, WORLD_UPLINK, &p); n++) {
		cr_expect_leq(packet_ip_octets(&p), 1500);
		cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
		n_octets += packet_ip_octets(&p) - 20u;
		packet_clean(&p);
	}
	cr_expect_eq(n, 2);
	cr_expect_eq(n_octets, 1708);
	path_world_destroy(w);
}

Test(path_nat, lans_speak_to_each_other_untranslated_where_that_is_allowed)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet p;

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = WORLD_HOST2_BE});
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 1);
	config->lan_to_lan = true;
	doors_publish(w->path, config);
	p = path_world_pass_one(
		w, WORLD_LAN, &(struct packet_spec){.dst_be = WORLD_HOST2_BE}, WORLD_LAN2);
	expect_ends(&p, HOST_BE, PACKET_SRC_PORT, WORLD_HOST2_BE, PACKET_DST_PORT);
	packet_clean(&p);
	p = path_world_pass_one(w, WORLD_LAN2,
		&(struct packet_spec){.src_be = WORLD_HOST2_BE,
			.dst_be = HOST_BE,
			.src_port = PACKET_DST_PORT,
			.dst_port = PACKET_SRC_PORT},
		WORLD_LAN);
	expect_ends(&p, WORLD_HOST2_BE, PACKET_DST_PORT, HOST_BE, PACKET_SRC_PORT);
	packet_clean(&p);
	path_world_destroy(w);
}
