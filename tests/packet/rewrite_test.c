/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <weir/base/rng.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/rewrite.h>

#include <criterion/criterion.h>

#define N_RANDOM 20000

/* Few values, so that checksums meet 0 and 0xffff, and plain random ones. */
static uint16_t random_port(struct rng *rng)
{
	static const uint16_t edges[] = {0x0000, 0x0001, 0xffff, 0xfffe, 0x8000, 0x00ff, 0xff00};

	return rng_below(rng, 2) == 0 ? edges[rng_below(rng, 7)] : (uint16_t)rng_next(rng);
}

static uint32_t random_addr(struct rng *rng)
{
	return (uint32_t)random_port(rng) << 16 | random_port(rng);
}

static struct packet random_packet(struct rng *rng)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};
	static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 0};
	uint8_t payload[64];
	struct packet_spec spec = {
		.framing = FRAMING_RAW_IP,
		.proto = protos[rng_below(rng, 3)],
		.src_be = random_addr(rng),
		.dst_be = random_addr(rng),
		.src_port = random_port(rng),
		.dst_port = random_port(rng),
		.icmp_type = ICMP_ECHO_REQUEST,
		.icmp_id = random_port(rng),
		.ttl = (uint8_t)(2 + rng_below(rng, 254)),
		.ip_options = options,
		.ip_options_bytes = rng_below(rng, 4) == 0 ? sizeof(options) : 0,
		.payload = payload,
		.payload_bytes = rng_below(rng, sizeof(payload)),
	};

	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)rng_next(rng);
	return packet_build(&spec);
}

static uint16_t port_at(const struct packet *p, bool is_source)
{
	if (packet_ip(p)[9] == PROTO_ICMP)
		return load16(packet_l4(p) + 4);
	return load16(packet_l4(p) + (is_source ? 0 : 2));
}

static void put(struct packet *p, bool is_source, const struct rewrite *r)
{
	if (is_source)
		rewrite_source(packet_ip(p), packet_l4(p), r);
	else
		rewrite_destination(packet_ip(p), packet_l4(p), r);
}

/* Every checksum field, as the plain computation would write it. */
static void assert_as_recomputed(const struct packet *p)
{
	struct packet fresh = packet_cut(p, p->len_bytes);

	packet_fix_ip_checksum(&fresh);
	packet_fix_l4_checksum(&fresh);
	cr_assert(packet_is_checksum_good(p));
	cr_assert_arr_eq(p->bytes, fresh.bytes, p->len_bytes);
	packet_clean(&fresh);
}

Test(packet_rewrite, leaves_random_packets_as_a_full_recomputation_would)
{
	struct rng rng;

	rng_init(&rng, 4);
	for (int i = 0; i < N_RANDOM; i++) {
		struct packet p = random_packet(&rng);
		bool is_source = rng_below(&rng, 2) == 0;
		uint32_t old_addr = load32(packet_ip(&p) + (is_source ? 12 : 16));
		uint32_t new_addr = random_addr(&rng);
		uint16_t new_port = random_port(&rng);
		struct rewrite r = rewrite_prepare(
			packet_ip(&p)[9], old_addr, port_at(&p, is_source), new_addr, new_port);

		put(&p, is_source, &r);
		cr_assert_eq(load32(packet_ip(&p) + (is_source ? 12 : 16)), new_addr);
		cr_assert_eq(port_at(&p, is_source), new_port);
		assert_as_recomputed(&p);
		packet_clean(&p);
	}
}

Test(packet_rewrite, the_inverse_change_gives_the_packet_back)
{
	struct rng rng;

	rng_init(&rng, 5);
	for (int i = 0; i < N_RANDOM; i++) {
		struct packet p = random_packet(&rng);
		struct packet before = packet_cut(&p, p.len_bytes);
		uint32_t old_addr = load32(packet_ip(&p) + 12);
		uint16_t old_port = port_at(&p, true);
		struct rewrite there = rewrite_prepare(
			packet_ip(&p)[9], old_addr, old_port, random_addr(&rng), random_port(&rng));
		struct rewrite back = {.addr_be = old_addr,
			.port_be = old_port,
			.ip_delta = (uint16_t)~there.ip_delta,
			.l4_delta = (uint16_t)~there.l4_delta,
			.proto = there.proto};

		put(&p, true, &there);
		put(&p, true, &back);
		cr_assert_arr_eq(p.bytes, before.bytes, p.len_bytes);
		packet_clean(&before);
		packet_clean(&p);
	}
}

Test(packet_rewrite, udp_without_a_checksum_stays_without)
{
	struct packet p = packet_build(&(struct packet_spec){
		.framing = FRAMING_RAW_IP, .no_udp_checksum = true, .payload_bytes = 9});
	struct rewrite r = rewrite_prepare(
		PROTO_UDP, PACKET_SRC_BE, htons(PACKET_SRC_PORT), V4(10, 64, 3, 7), htons(1024));

	put(&p, true, &r);
	cr_assert_eq(load16(packet_l4(&p) + 6), 0);
	cr_assert_eq(load_be16(packet_l4(&p)), 1024);
	cr_assert(packet_is_checksum_good(&p));
	packet_clean(&p);
}

Test(packet_rewrite, udp_whose_checksum_would_become_0_carries_ffff)
{
	struct packet p =
		packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP, .payload_bytes = 9});
	uint16_t checksum = load16(packet_l4(&p) + 6);
	uint16_t old_port = htons(PACKET_SRC_PORT);
	/* The port that takes up all of the checksum. */
	uint16_t new_port = checksum_fold((uint64_t)old_port + checksum);
	struct rewrite r =
		rewrite_prepare(PROTO_UDP, PACKET_SRC_BE, old_port, PACKET_SRC_BE, new_port);

	put(&p, true, &r);
	cr_assert_eq(load16(packet_l4(&p) + 6), 0xffff);
	cr_assert(packet_is_checksum_good(&p));
	packet_clean(&p);
}

Test(packet_rewrite, a_later_fragment_has_only_its_address_changed)
{
	struct packet p = packet_build(&(struct packet_spec){
		.framing = FRAMING_RAW_IP, .fragment_offset = 1480, .payload_bytes = 32});
	struct rewrite r = rewrite_prepare(
		PROTO_UDP, PACKET_DST_BE, htons(PACKET_DST_PORT), V4(10, 64, 3, 7), htons(1024));
	struct packet before = packet_cut(&p, p.len_bytes);

	rewrite_destination(packet_ip(&p), NULL, &r);
	cr_assert(packet_is_checksum_good(&p));
	cr_assert_eq(load32(packet_ip(&p) + 16), V4(10, 64, 3, 7));
	cr_assert_arr_eq(packet_l4(&p), packet_l4(&before), 32);
	packet_clean(&before);
	packet_clean(&p);
}

Test(packet_rewrite, a_protocol_without_ports_has_only_its_address_changed)
{
	struct packet p = packet_build(
		&(struct packet_spec){.framing = FRAMING_RAW_IP, .proto = 47, .payload_bytes = 4});
	struct packet before = packet_cut(&p, p.len_bytes);
	struct rewrite r = rewrite_prepare(47, PACKET_SRC_BE, 0, V4(10, 64, 3, 7), 0);

	put(&p, true, &r);
	cr_assert(packet_is_checksum_good(&p));
	cr_assert_arr_eq(packet_l4(&p), packet_l4(&before), 4);
	packet_clean(&before);
	packet_clean(&p);
}

Test(packet_rewrite, every_ttl_falls_by_one_and_keeps_the_header_true)
{
	struct rng rng;

	rng_init(&rng, 6);
	for (int ttl = 2; ttl < 256; ttl++) {
		for (int i = 0; i < 50; i++) {
			struct packet p = random_packet(&rng);

			packet_ip(&p)[8] = (uint8_t)ttl;
			packet_fix_ip_checksum(&p);
			rewrite_ttl(packet_ip(&p));
			cr_assert_eq(packet_ip(&p)[8], ttl - 1);
			assert_as_recomputed(&p);
			packet_clean(&p);
		}
	}
}

struct mss_case {
	const char *claim;
	uint8_t options[12];
	uint8_t len_bytes;
	uint8_t at; /* of the MSS value, where it is expected to change; else 0 */
};

Test(packet_rewrite, clamps_the_mss_option_alone_and_only_downwards)
{
	static const struct mss_case cases[] = {
		{"1460 is lowered", {2, 4, 0x05, 0xb4}, 4, 2},
		{"at an odd offset too", {1, 2, 4, 0x05, 0xb4, 1, 1, 1}, 8, 3},
		{"behind other options", {8, 6, 2, 4, 9, 9, 2, 4, 0x05, 0xb4, 1, 1}, 12, 8},
		{"1360 stays", {2, 4, 0x05, 0x50}, 4, 0},
		{"536 stays", {2, 4, 0x02, 0x18}, 4, 0},
		{"behind the end of options it is padding", {0, 2, 4, 0x05, 0xb4, 0, 0, 0}, 8, 0},
		{"inside another option it is data", {8, 8, 2, 4, 0x05, 0xb4, 1, 1}, 8, 0},
		{"a length of 3 is malformed", {2, 3, 0x05, 0xb4}, 4, 0},
		{"a length of 0 ends the walk", {8, 0, 1, 1, 2, 4, 0x05, 0xb4}, 8, 0},
		{"a length beyond the header ends the walk", {1, 1, 1, 2, 4, 0, 0, 0}, 4, 0},
		{"no options", {0}, 0, 0},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mss_case *c = &cases[i];
		struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
			.proto = PROTO_TCP,
			.tcp_flags = TCP_SYN,
			.tcp_options = c->options,
			.tcp_options_bytes = c->len_bytes});
		struct packet expected = packet_cut(&p, p.len_bytes);

		if (c->at != 0)
			store_be16(packet_l4(&expected) + TCP_HEADER_BYTES + c->at, 1360);
		packet_fix_l4_checksum(&expected);
		cr_assert_eq(
			rewrite_clamp_mss(packet_l4(&p), (uint16_t)(p.len_bytes - p.l4_off), 1360),
			c->at != 0, "%s", c->claim);
		cr_assert_arr_eq(p.bytes, expected.bytes, p.len_bytes, "%s", c->claim);
		packet_clean(&expected);
		packet_clean(&p);
	}
}

Test(packet_rewrite, clamping_leaves_a_header_alone_that_is_not_whole)
{
	static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.proto = PROTO_TCP,
		.tcp_flags = TCP_SYN,
		.tcp_options = mss,
		.tcp_options_bytes = sizeof(mss)});

	for (uint32_t len = p.l4_off; len < p.len_bytes; len++) {
		struct packet cut = packet_cut(&p, len);

		cr_assert_not(rewrite_clamp_mss(packet_l4(&cut), (uint16_t)(len - p.l4_off), 536));
		packet_clean(&cut);
	}
	packet_clean(&p);
}

Test(packet_rewrite, a_mark_keeps_the_header_true)
{
	struct rng rng;

	rng_init(&rng, 3168);
	for (uint32_t i = 0; i < N_RANDOM; i++) {
		struct packet p = random_packet(&rng);
		uint8_t *ip = packet_ip(&p);

		ip[1] = (uint8_t)rng_next(&rng);
		packet_fix_ip_checksum(&p);
		rewrite_mark_ce(ip);
		cr_assert_eq(ip[1] & 3, 3);
		cr_assert(packet_is_checksum_good(&p));
		packet_clean(&p);
	}
}
