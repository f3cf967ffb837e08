/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 1812, routers, with what came after it (RFC 1191, 2644, 3704, 3927, 6633, 6864, 6918, 7126, 8900): one test a
 * requirement, named after its section. docs/nat.md has the table. */
#include "dialogue.h"

#include <string.h>

/* A frame from the LAN, spoilt by `spoil`. */
static struct packet spoilt(const struct packet_spec *spec, void (*spoil)(uint8_t *ip))
{
	struct packet p = packet_build(spec);

	spoil(packet_ip(&p));
	return p;
}

static void make_version_6(uint8_t *ip)
{
	ip[0] = 0x65;
}

static void make_header_short(uint8_t *ip)
{
	ip[0] = 0x44;
}

static void make_header_long(uint8_t *ip)
{
	ip[0] = 0x4f;
}

static void make_sum_wrong(uint8_t *ip)
{
	ip[11] ^= 1;
}

static void sum_up(uint8_t *ip)
{
	store16(ip + 10, 0);
	store_be16(ip + 10, packet_plain_checksum(ip, 20, 0));
}

static void make_total_short(uint8_t *ip)
{
	store_be16(ip + 2, 19);
	sum_up(ip);
}

static void make_total_long(uint8_t *ip)
{
	store_be16(ip + 2, 1000);
	sum_up(ip);
}

/* 5.2.2, 4.2.2.5: what is no IPv4 packet is dropped in silence (4.3.2.7). */
Test(path_rfc1812, s5_2_2_an_invalid_header_is_dropped_in_silence)
{
	void (*const spoils[])(uint8_t *) = {make_version_6, make_header_short, make_header_long,
		make_sum_wrong, make_total_short, make_total_long};
	const uint8_t ttls[] = {64, 1};

	for (uint32_t i = 0; i < N_OF(spoils) * N_OF(ttls); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {.ttl = ttls[i % N_OF(ttls)], .payload_bytes = 20};

		path_world_put_frame(w, WORLD_LAN, spoilt(&s, spoils[i / N_OF(ttls)]));
		path_world_step(w);
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* 4.2.2.2, 4.2.2.3, RFC 2474, RFC 3168: type of service and reserved bit pass as they are. */
Test(path_rfc1812, s4_2_2_3_service_bits_and_the_reserved_flag_pass_unchanged)
{
	struct path_world *w = path_world_create(NULL);

	for (uint32_t tos = 0; tos < 256; tos++) {
		struct packet_spec s = {.tos = (uint8_t)tos, .df = true};
		struct packet in = packet_build(&s);
		struct packet p;

		packet_ip(&in)[6] |= 0x80;
		packet_fix_ip_checksum(&in);
		cr_assert(frame_passes(w, WORLD_LAN, in, WORLD_UPLINK, &p));
		cr_expect_eq(packet_ip(&p)[1], tos);
		cr_expect_eq(packet_ip(&p)[6], 0xc0);
		cr_expect(packet_is_checksum_good(&p));
		packet_clean(&p);
	}
	path_world_destroy(w);
}

/* A transport checksum is end to end: what was wrong stays wrong, and by as much. */
Test(path_rfc1812, s5_2_a_wrong_transport_checksum_stays_wrong)
{
	const struct packet_spec specs[] = {{.proto = PROTO_UDP, .payload_bytes = 9},
		{.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .payload_bytes = 9},
		{.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .payload_bytes = 9}};

	for (uint32_t i = 0; i < N_OF(specs); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet in = packet_build(&specs[i]);
		struct packet p;

		in.bytes[in.len_bytes - 1] ^= 0x81;
		cr_assert(frame_passes(w, WORLD_LAN, in, WORLD_UPLINK, &p));
		cr_expect(!packet_is_checksum_good(&p));
		p.bytes[p.len_bytes - 1] ^= 0x81;
		cr_expect(packet_is_checksum_good(&p));
		packet_clean(&p);
		path_world_destroy(w);
	}
}

/* 4.2.2.7: a fragment that is too large is fragmented again. */
Test(path_rfc1812, s4_2_2_7_fragments_are_fragmented_again)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	uint32_t octets = 0, n = 0;
	struct packet p;

	config->ports[WORLD_UPLINK].mtu = 600;
	doors_publish(w->path, config);
	path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
	for (uint16_t i = 0; i < 2; i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.id = 5,
				.fragment_offset = (uint16_t)(i * 1000),
				.mf = i == 0,
				.payload_bytes = i == 0 ? 992 : 1000});
		path_world_step(w);
	}
	for (; path_world_take(w, WORLD_UPLINK, &p); n++) {
		uint16_t fragment = load_be16(packet_ip(&p) + 6);

		cr_expect_leq(packet_ip_octets(&p), 600);
		cr_expect_eq((fragment & IPV4_FRAGMENT_OFFSET) * 8u, octets);
		octets += packet_ip_octets(&p) - 20u;
		cr_expect_eq((fragment & IPV4_MF) != 0, octets < 2000);
		packet_clean(&p);
	}
	cr_expect_eq(n, 4);
	cr_expect_eq(octets, 2000);
	path_world_destroy(w);
}

/* 5.3.1: TTL 0 and 1 go no further, in either direction, and the sender is told; above that one is taken off. */
Test(path_rfc1812, s5_3_1_a_ttl_that_ends_is_told_and_others_fall_by_one)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec said = {.payload_bytes = 30};

	say(w, &said);
	for (uint32_t way = 0; way < 2; way++)
		for (uint32_t ttl = 0; ttl < 256; ttl++) {
			enum world_port in = way == 0 ? WORLD_LAN : WORLD_UPLINK;
			struct packet_spec s = way == 0 ? said : reply_to(&said, PACKET_SRC_PORT);
			struct packet frame, p;

			s.framing = w->ports[in]->framing;
			frame = packet_build(&s);
			packet_ip(&frame)[8] = (uint8_t)ttl;
			packet_fix_ip_checksum(&frame);
			path_world_put_frame(w, in, frame);
			path_world_pass(w, 10 * WORLD_MS, 10 * WORLD_MS);
			if (ttl > 1) {
				cr_assert(path_world_take(
					w, way == 0 ? WORLD_UPLINK : WORLD_LAN, &p));
				cr_expect_eq(packet_ip(&p)[8], ttl - 1);
			} else {
				cr_assert(path_world_take(w, in, &p), "way %u, TTL %u", way, ttl);
				cr_expect_eq(packet_l4(&p)[0], ICMP_TIME_EXCEEDED);
				cr_expect_eq(packet_l4(&p)[1], 0);
				cr_expect_eq(
					packet_dst_be(&p), s.src_be == 0 ? HOST_A_BE : s.src_be);
			}
			cr_expect(packet_is_checksum_good(&p));
			packet_clean(&p);
			expect_silence(w);
		}
	path_world_destroy(w);
}

/* 4.2.2.9: what is for the router itself is taken whatever its TTL. */
Test(path_rfc1812, s4_2_2_9_the_ttl_of_what_is_for_the_gateway_does_not_matter)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.dst_be = WORLD_LAN_BE,
			.ttl = 1},
		WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
	packet_clean(&p);
	cr_expect(passes(w, WORLD_LAN, &(struct packet_spec){.dst_be = WORLD_LAN_BE, .ttl = 1},
		WORLD_TAP, NULL));
	path_world_destroy(w);
}

/* 4.3.2.3: an error quotes as much as fits into 576 octets, exactly as it came but for the TTL. */
Test(path_rfc1812, s4_3_2_3_an_error_quotes_as_much_as_fits_into_576_octets)
{
	const uint32_t payloads[] = {0, 100, 520, 521, 1400};

	for (uint32_t i = 0; i < N_OF(payloads); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {.ttl = 1, .payload_bytes = payloads[i], .tos = 0x28};
		struct packet sent = packet_build(&s);
		struct packet p;
		uint32_t whole = packet_ip_octets(&sent);

		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p));
		cr_expect_eq(packet_ip_octets(&p), whole + 28 > 576 ? 576 : whole + 28);
		cr_expect_arr_eq(packet_l4(&p) + 8, packet_ip(&sent), packet_ip_octets(&p) - 28u);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* 4.3.2.4, 4.3.2.5: an error comes from the address of the interface it leaves by, with precedence 6 or 7. */
Test(path_rfc1812, s4_3_2_4_an_error_comes_from_the_interface_it_leaves_by)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){.ttl = 1}, WORLD_LAN, &p));
	cr_expect_eq(packet_src_be(&p), WORLD_LAN_BE);
	cr_expect_geq(packet_ip(&p)[1] >> 5, 6);
	packet_clean(&p);
	cr_assert(passes(w, WORLD_LAN2, &(struct packet_spec){.src_be = WORLD_HOST2_BE, .ttl = 1},
		WORLD_LAN2, &p));
	cr_expect_eq(packet_src_be(&p), WORLD_LAN2_BE);
	packet_clean(&p);
	path_world_destroy(w);
}

static const struct mac_addr all_stations = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct mac_addr some_group = {{0x01, 0, 0x5e, 1, 2, 3}};

/* 4.3.2.7: of what an error must never speak, each with a TTL that would ask for one. */
Test(path_rfc1812, s4_3_2_7_no_error_is_sent_about_what_must_not_cause_one)
{
	struct packet quoted = packet_build(&(struct packet_spec){
		.framing = FRAMING_RAW_IP, .src_be = SERVER_BE, .dst_be = HOST_A_BE});
	const struct packet_spec specs[] = {
		{.ttl = 1, .proto = PROTO_ICMP, .icmp_type = ICMP_UNREACHABLE, .quoted = &quoted},
		{.ttl = 1, .proto = PROTO_ICMP, .icmp_type = ICMP_TIME_EXCEEDED, .quoted = &quoted},
		{.ttl = 1, .proto = PROTO_ICMP, .icmp_type = ICMP_REDIRECT, .quoted = &quoted},
		{.ttl = 1, .fragment_offset = 64, .payload_bytes = 8},
		{.ttl = 1, .dst_be = V4(224, 1, 2, 3)},
		{.ttl = 1, .dst_be = V4(239, 255, 255, 250)},
		{.ttl = 1, .dst_mac = all_stations},
		{.ttl = 1, .dst_mac = some_group},
		{.ttl = 1, .is_unset_src = true},
		{.ttl = 1, .src_be = V4(127, 0, 0, 1)},
		{.ttl = 1, .src_be = V4(0, 0, 0, 9)},
		{.ttl = 1, .src_be = V4(224, 0, 0, 9)},
		{.ttl = 1, .src_be = V4(255, 255, 255, 255)},
		{.ttl = 1, .src_be = V4(192, 168, 50, 255)},
		{.ttl = 1, .src_be = V4(192, 168, 50, 0)},
		{.ttl = 1, .src_be = V4(240, 0, 0, 1)},
	};

	for (uint32_t i = 0; i < N_OF(specs); i++) {
		struct path_world *w = path_world_create(NULL);

		path_world_put(w, WORLD_LAN, &specs[i]);
		path_world_step(w);
		cr_expect_eq(path_world_discard(w, WORLD_LAN), 0, "case %u", i);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0, "case %u", i);
		path_world_destroy(w);
	}
	packet_clean(&quoted);
}

/* 4.3.2.8: errors are limited in rate. */
Test(path_rfc1812, s4_3_2_8_errors_are_limited_in_rate)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	uint32_t n = 0;

	config->icmp_errors_per_s = 50;
	doors_publish(w->path, config);
	for (int ms = 0; ms < 10000; ms += 10) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.ttl = 1});
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.ttl = 1});
		path_world_pass(w, 10 * WORLD_MS, 10 * WORLD_MS);
		n += path_world_discard(w, WORLD_LAN);
	}
	cr_expect(n >= 490 && n <= 510, "%u in 10 s", n);
	path_world_destroy(w);
}

static void take_address_away(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	memset(&config->ports[WORLD_UPLINK].address, 0, sizeof(struct ip_prefix));
}

/* 5.2.7.1, 4.3.3.1: without a route: Network Unreachable. */
Test(path_rfc1812, s5_2_7_1_no_route_is_told)
{
	struct path_world_params params = {.tune = take_address_away};
	struct path_world *w = path_world_create(&params);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_NET);
	packet_clean(&p);
	path_world_destroy(w);
}

/* 5.2.7.2: to a neighbour of its own LAN a packet is led, and its sender told of the shorter way. */
Test(path_rfc1812, s5_2_7_2_a_packet_for_a_neighbour_is_led_there_with_a_redirect)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	bool is_led = false, is_told = false;
	struct packet p;

	config->lan_to_lan = true;
	doors_publish(w->path, config);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = HOST_B_BE});
	path_world_step(w);
	while (path_world_take(w, WORLD_LAN, &p)) {
		is_led |= packet_ip(&p)[9] == PROTO_UDP && packet_dst_be(&p) == HOST_B_BE;
		is_told |= packet_ip(&p)[9] == PROTO_ICMP && packet_l4(&p)[0] == ICMP_REDIRECT
			   && packet_l4(&p)[1] == 1 && load32(packet_l4(&p) + 4) == HOST_B_BE;
		packet_clean(&p);
	}
	cr_expect(is_led);
	cr_expect(is_told);
	path_world_destroy(w);
}

/* By default weir joins no stations that their LAN keeps apart (RFC 1812 2.2.5.2: a filter may forbid it). */
Test(path_rfc1812, s5_2_7_2_nothing_is_led_back_into_a_lan_where_lans_are_kept_apart)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);

	config->lan_to_lan = false;
	doors_publish(w->path, config);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = HOST_B_BE});
	path_world_step(w);
	expect_silence(w);
	cr_expect_eq(path_world_drops(w, DROP_FLOW_NO_ROUTE), 1);
	path_world_destroy(w);
}

/* 4.3.3.5: options that make no sense are told, with a pointer to them. */
Test(path_rfc1812, s4_3_3_5_a_malformed_option_is_told_as_a_parameter_problem)
{
	static const uint8_t options[] = {1, 1, 1, 7, 60, 4, 0, 0};
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {.ip_options = options, .ip_options_bytes = sizeof(options)};
	struct packet p;

	cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_PARAMETER_PROBLEM);
	cr_expect_eq(packet_l4(&p)[1], 0);
	cr_expect_eq(packet_l4(&p)[4], 23);
	cr_expect(packet_is_checksum_good(&p));
	packet_clean(&p);

	s.src_be = V4(10, 1, 2, 3); /* no host of this LAN's */
	path_world_put(w, WORLD_LAN, &s);
	path_world_step(w);
	expect_silence(w);
	path_world_destroy(w);
}

/* RFC 7126 4.3, 4.4: a source route is no mistake; it is dropped and nothing said, as is what the uplink brings. */
Test(path_rfc1812, s4_3_3_5_source_routes_and_the_options_of_strangers_are_dropped_in_silence)
{
	static const uint8_t route[] = {131, 7, 4, 10, 0, 0, 1, 0};
	static const uint8_t malformed[] = {7, 60, 4, 0};
	struct path_world *w = path_world_create(NULL);

	path_world_put(w, WORLD_LAN,
		&(struct packet_spec){.ip_options = route, .ip_options_bytes = sizeof(route)});
	path_world_put(w, WORLD_UPLINK,
		&(struct packet_spec){.ip_options = malformed,
			.ip_options_bytes = sizeof(malformed),
			.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE});
	path_world_step(w);
	expect_silence(w);
	cr_expect_eq(path_world_drops(w, DROP_PARSE_BAD_OPTIONS), 2);
	path_world_destroy(w);
}

/* 4.3.3.6: echo is answered whole, with the address it was sent to; from every LAN, at each of the gateway's LAN addresses. */
Test(path_rfc1812, s4_3_3_6_echo_is_answered_whole_at_every_lan_address)
{
	const uint32_t addresses[] = {WORLD_LAN_BE, WORLD_LAN2_BE};

	for (uint32_t i = 0; i < N_OF(addresses); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = 9,
			.dst_be = addresses[i],
			.tos = 0x20,
			.payload_bytes = 1400};
		struct packet sent = packet_build(&s);
		struct packet p;

		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p));
		cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
		cr_expect_eq(packet_src_be(&p), addresses[i]);
		cr_expect_eq(packet_ip(&p)[1], 0x20, "4.3.2.5: with the TOS of the request");
		cr_expect_arr_eq(packet_l4(&p) + 4, packet_l4(&sent) + 4, 1404);
		packet_clean(&p);
		packet_clean(&sent);
		path_world_destroy(w);
	}
}

/* 4.3.3.6: also at the external address, asked from inside. */
Test(path_rfc1812, s4_3_3_6_echo_is_answered_at_the_external_address_from_inside)
{

	struct path_world *w = path_world_create(NULL);
	struct packet p;

	cr_assert(passes(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = 9,
			.dst_be = WORLD_UPLINK_BE},
		WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	cr_expect_eq(packet_dst_be(&p), HOST_A_BE);
	packet_clean(&p);
	path_world_destroy(w);
}

/* RFC 5508 REQ-9 lets a policy keep ICMP off an interface, and nothing of weir is reachable from its uplink. */
Test(path_rfc1812, s4_3_3_6_echo_is_not_answered_to_the_outside_by_policy)
{
	struct path_world *w = path_world_create(NULL);

	path_world_put(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE});
	path_world_step(w);
	expect_silence(w);
	path_world_destroy(w);
}

static void route_lans(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->lan_to_lan = true;
}

/* 5.3.4: a frame that was sent to all stations is not forwarded. */
Test(path_rfc1812, s5_3_4_link_layer_broadcasts_are_not_forwarded)
{
	const struct mac_addr macs[] = {all_stations, some_group};

	for (uint32_t i = 0; i < N_OF(macs); i++) {
		struct path_world *w = path_world_create(NULL);

		path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_mac = macs[i]});
		path_world_step(w);
		expect_silence(w);
		say(w, &(struct packet_spec){
			       0}); /* nor where there is a flow that would take it along */
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_mac = macs[i]});
		path_world_step(w);
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* 5.3.5, RFC 2644: nor are broadcasts of any kind, from either side. */
Test(path_rfc1812, s5_3_5_broadcasts_are_not_forwarded)
{
	const struct {
		enum world_port in;
		uint32_t dst_be;
	} cases[] = {
		{WORLD_LAN, V4(255, 255, 255, 255)},
		{WORLD_LAN, V4(192, 168, 50, 255)},
		{WORLD_UPLINK, V4(255, 255, 255, 255)},
		{WORLD_UPLINK, V4(192, 168, 50, 255)},
		{WORLD_UPLINK, V4(192, 168, 60, 0)},
	};
	struct path_world_params params = {.tune = route_lans};

	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct path_world *w = path_world_create(&params);

		path_world_put(w, cases[i].in,
			&(struct packet_spec){
				.src_be = cases[i].in == WORLD_LAN ? HOST_A_BE : SERVER_BE,
				.dst_be = cases[i].dst_be});
		path_world_step(w);
		path_world_discard(w, WORLD_TAP); /* for the services of its own LAN it is meant */
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* 5.3.5.2, RFC 2644: nor a directed broadcast to another LAN, or its old form. */
Test(path_rfc1812, s5_3_5_2_directed_broadcasts_to_another_lan_are_not_forwarded)
{
	const uint32_t addresses[] = {V4(192, 168, 60, 255), V4(192, 168, 60, 0)};
	struct path_world_params params = {.tune = route_lans};

	for (uint32_t i = 0; i < N_OF(addresses); i++) {
		struct path_world *w = path_world_create(&params);

		path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = addresses[i]});
		path_world_step(w);
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* 5.3.7, RFC 3927 section 7: martians and link-local addresses, as source or destination, from either side. */
Test(path_rfc1812, s5_3_7_martians_and_link_local_addresses_are_not_forwarded)
{
	const uint32_t martians[] = {V4(0, 0, 0, 1), V4(0, 255, 255, 255), V4(127, 0, 0, 1),
		V4(127, 255, 1, 1), V4(169, 254, 0, 1), V4(169, 254, 169, 254), V4(240, 0, 0, 1),
		V4(255, 255, 255, 254), V4(224, 0, 0, 1), V4(239, 1, 1, 1)};

	for (uint32_t i = 0; i < 4 * N_OF(martians); i++) {
		struct path_world *w = path_world_create(NULL);
		bool is_up = i % 2 == 0;
		struct packet_spec s = {0};

		say(w, &s);
		if (!is_up)
			s = reply_to(&s, PACKET_SRC_PORT);
		if (i / 2 % 2 == 0)
			s.src_be = martians[i / 4];
		else
			s.dst_be = martians[i / 4];
		path_world_put(w, is_up ? WORLD_LAN : WORLD_UPLINK, &s);
		path_world_step(w);
		path_world_discard(w, WORLD_TAP);
		expect_silence(w);
		cr_expect_eq(n_flows(w), 1);
		path_world_destroy(w);
	}
}

/* 5.3.8, RFC 3704: a source must be of the network that it comes from. */
Test(path_rfc1812, s5_3_8_sources_of_other_networks_are_not_forwarded)
{
	const struct {
		enum world_port in;
		uint32_t src_be;
	} cases[] = {
		{WORLD_LAN, WORLD_HOST2_BE},
		{WORLD_LAN, V4(10, 9, 8, 7)},
		{WORLD_LAN, WORLD_LAN_BE},
		{WORLD_LAN, WORLD_UPLINK_BE},
		{WORLD_LAN, SERVER_BE},
		{WORLD_UPLINK, HOST_A_BE},
		{WORLD_UPLINK, WORLD_LAN_BE},
		{WORLD_UPLINK, WORLD_HOST2_BE},
		{WORLD_UPLINK, WORLD_UPLINK_BE},
	};

	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct path_world *w = world_with_filter(NAT_FILTER_ENDPOINT_INDEPENDENT);
		struct packet_spec s = {.src_be = cases[i].src_be};

		say(w, &(struct packet_spec){0});
		if (cases[i].in == WORLD_UPLINK) {
			s.dst_be = WORLD_UPLINK_BE;
			s.dst_port = PACKET_SRC_PORT;
		}
		path_world_put(w, cases[i].in, &s);
		path_world_step(w);
		expect_silence(w);
		cr_expect_eq(n_flows(w), 1, "case %u", i);
		path_world_destroy(w);
	}
}

/* 5.3.13, RFC 7126 4.3, 4.4: source routes are not followed, and not forwarded. */
Test(path_rfc1812, s5_3_13_source_routes_are_dropped)
{
	static const uint8_t routes[][12] = {{131, 7, 4, 198, 51, 100, 1, 0},
		{137, 7, 4, 198, 51, 100, 1, 0}, {131, 7, 8, 198, 51, 100, 1, 0},
		{1, 137, 7, 4, 198, 51, 100, 1}, {148, 4, 0, 0, 131, 7, 4, 198, 51, 100, 1, 0}};

	for (uint32_t i = 0; i < N_OF(routes); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet_spec s = {.ip_options = routes[i], .ip_options_bytes = 12};

		path_world_put(w, WORLD_LAN, &s);
		s = reply_to(&(struct packet_spec){0}, PACKET_SRC_PORT);
		say(w, &(struct packet_spec){0});
		s.ip_options = routes[i];
		s.ip_options_bytes = 12;
		path_world_put(w, WORLD_UPLINK, &s);
		path_world_step(w);
		expect_silence(w);
		path_world_destroy(w);
	}
}

/* 4.2.2.1, RFC 7126: options that mean nothing to weir pass as they are. */
Test(path_rfc1812, s4_2_2_1_other_options_pass_unchanged)
{
	static const uint8_t options[][8] = {{1, 1, 1, 1, 1, 1, 1, 0}, {148, 4, 0, 0, 0, 0, 0, 0},
		{7, 7, 4, 0, 0, 0, 0, 0}, {68, 8, 5, 0, 0, 0, 0, 0}, {0x9e, 8, 1, 2, 3, 4, 5, 6}};

	for (uint32_t i = 0; i < N_OF(options); i++) {
		struct path_world *w = path_world_create(NULL);
		struct packet p;

		cr_assert(passes(w, WORLD_LAN,
			&(struct packet_spec){.ip_options = options[i], .ip_options_bytes = 8},
			WORLD_UPLINK, &p));
		cr_expect_arr_eq(packet_ip(&p) + 20, options[i], 8);
		packet_clean(&p);
		path_world_destroy(w);
	}
}

/* RFC 6918: the gateway answers no deprecated message. */
Test(path_rfc1812, rfc6918_deprecated_messages_are_not_answered)
{
	const uint8_t types[] = {
		ICMP_SOURCE_QUENCH, 6, 15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39};
	struct path_world *w = path_world_create(NULL);

	for (uint32_t i = 0; i < N_OF(types); i++) {
		struct packet_spec s = {.proto = PROTO_ICMP,
			.icmp_type = types[i],
			.dst_be = WORLD_LAN_BE,
			.payload_bytes = 12};

		path_world_put(w, WORLD_LAN, &s);
		s.src_be = STRANGER_BE;
		s.dst_be = WORLD_UPLINK_BE;
		path_world_put(w, WORLD_UPLINK, &s);
		path_world_step(w);
		path_world_discard(w, WORLD_TAP);
		expect_silence(w);
	}
	path_world_destroy(w);
}

static void shape_narrow(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].uplink_bps = 8000;
	config->ports[WORLD_UPLINK].queue_us = 1000;
}

/* 4.3.3.3, RFC 6633: a queue that is full is told by loss, never by Source Quench. */
Test(path_rfc1812, rfc6633_source_quench_is_never_sent)
{
	struct path_world_params params = {.tune = shape_narrow};
	struct path_world *w = path_world_create(&params);

	for (uint16_t i = 0; i < 80; i++) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1472});
		if (i % 40 == 39)
			path_world_step(w);
	}
	cr_expect_gt(path_world_drops(w, DROP_SHAPE_QUEUE_FULL), 0);
	cr_expect_eq(path_world_discard(w, WORLD_LAN), 0);
	path_world_destroy(w);
}

/* RFC 1191 section 4: Fragmentation Needed says the MTU of the next hop, as it is now. */
Test(path_rfc1812, rfc1191_fragmentation_needed_says_the_mtu_of_the_next_hop)
{
	const uint16_t mtus[] = {1499, 1400, 1280, 576, 1500};
	struct path_world *w = path_world_create(NULL);

	for (uint32_t i = 0; i < N_OF(mtus); i++) {
		struct path_config *config = path_world_config(w);
		struct packet_spec s = {.df = true, .payload_bytes = (uint32_t)mtus[i] - 28};
		struct packet p;

		config->ports[WORLD_UPLINK].mtu = mtus[i];
		doors_publish(w->path, config);
		path_world_pass(w, 20 * WORLD_MS, 10 * WORLD_MS);
		cr_expect(passes(w, WORLD_LAN, &s, WORLD_UPLINK, NULL), "MTU %u", mtus[i]);
		s.payload_bytes++;
		cr_assert(passes(w, WORLD_LAN, &s, WORLD_LAN, &p));
		cr_expect_eq(load_be16(packet_l4(&p)), ICMP_UNREACHABLE << 8 | 4);
		cr_expect_eq(load_be16(packet_l4(&p) + 4), 0);
		cr_expect_eq(load_be16(packet_l4(&p) + 6), mtus[i]);
		packet_clean(&p);
		cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0);
	}
	path_world_destroy(w);
}

/* RFC 8900 section 6.5 and 6.6: neither fragments nor Fragmentation Needed are filtered, with the next hop's MTU as it came. */
Test(path_rfc1812, rfc8900_fragmentation_needed_from_outside_arrives_with_its_mtu)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec s = {
		.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .df = true, .payload_bytes = 900};
	struct packet sent, p;

	cr_assert(passes(w, WORLD_LAN, &s, WORLD_UPLINK, &sent));
	cr_assert(passes(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.icmp_type = ICMP_UNREACHABLE,
			.icmp_code = ICMP_CODE_FRAGMENTATION_NEEDED,
			.icmp_seq = 872,
			.src_be = V4(10, 0, 0, 1),
			.dst_be = WORLD_UPLINK_BE,
			.quoted = &sent},
		WORLD_LAN, &p));
	cr_expect_eq(load_be16(packet_l4(&p) + 6), 872);
	cr_expect_eq(packet_dst_be(&p), HOST_A_BE);
	packet_clean(&p);
	packet_clean(&sent);
	path_world_destroy(w);
}
