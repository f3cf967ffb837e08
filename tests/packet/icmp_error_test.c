/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <weir/base/rng.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define GATEWAY  V4(192, 168, 50, 1)
#define EXTERNAL V4(10, 64, 3, 7)

static struct pkt_meta parsed(const struct packet *p)
{
	struct pkt_meta m;

	cr_assert_eq(parse_frame(p->bytes, p->len_bytes, FRAMING_RAW_IP, &m).why, DROP_NONE);
	return m;
}

/* An error about a packet of `quoted`'s kind, with so many octets of L4 quoted. */
static struct packet error_about(const struct packet_spec *quoted, uint32_t l4_octets)
{
	struct packet inner = packet_build(quoted);
	uint32_t header_bytes = inner.l4_off - inner.l3_off;
	uint32_t octets = l4_octets == 0 ? inner.len_bytes : header_bytes + l4_octets;
	struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.src_be = V4(203, 0, 113, 1),
		.dst_be = EXTERNAL,
		.proto = PROTO_ICMP,
		.icmp_type = ICMP_UNREACHABLE,
		.icmp_code = ICMP_CODE_PORT,
		.quoted = &inner,
		.quoted_octets = octets});

	packet_clean(&inner);
	return p;
}

static enum drop_reason quote_of(const struct packet *p, struct pkt_meta *quote)
{
	return icmp_error_quote(p->bytes, (uint16_t)p->len_bytes, quote);
}

struct allowed_row {
	const char *claim;
	struct packet_spec spec;
	bool allowed;
};

Test(packet_icmp_error, is_sent_only_where_rfc_1812_lets_it)
{
	static const uint8_t zeros[40] = {0x45};
	const struct allowed_row rows[] = {
		{"about UDP", {.proto = PROTO_UDP}, true},
		{"about an echo request", {.proto = PROTO_ICMP, .icmp_type = 8}, true},
		{"about GRE", {.proto = 47, .payload_bytes = 8}, true},
		{"about a first fragment", {.mf = true, .payload_bytes = 8}, true},
		{"about a later fragment", {.fragment_offset = 800, .payload_bytes = 8}, false},
		{"about an error",
			{.proto = PROTO_ICMP,
				.icmp_type = 3,
				.payload = zeros,
				.payload_bytes = 40},
			false},
		{"about a redirect", {.proto = PROTO_ICMP, .icmp_type = 5}, false},
		{"to multicast", {.dst_be = V4(224, 0, 0, 1)}, false},
		{"to broadcast", {.dst_be = UINT32_MAX}, false},
		{"from nobody", {.is_unset_src = true}, false},
		{"from loopback", {.src_be = V4(127, 0, 0, 1)}, false},
		{"from multicast", {.src_be = V4(224, 0, 0, 1)}, false},
		{"from class E", {.src_be = V4(240, 0, 0, 1)}, false},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet_spec spec = rows[i].spec;
		struct packet p;
		struct pkt_meta m;

		spec.framing = FRAMING_RAW_IP;
		p = packet_build(&spec);
		m = parsed(&p);
		cr_assert_eq(icmp_error_allowed(p.bytes, &m), rows[i].allowed, "%s", rows[i].claim);
		packet_clean(&p);
	}
}

Test(packet_icmp_error, says_what_it_is_about_and_fits_into_576_octets)
{
	const struct icmp_error error = {
		GATEWAY, ICMP_UNREACHABLE, ICMP_CODE_FRAGMENTATION_NEEDED, 1280};
	static const uint32_t payloads[] = {0, 1, 100, 519, 520, 521, 1472, 60000};

	for (uint32_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		struct packet about = packet_build(&(struct packet_spec){
			.framing = FRAMING_RAW_IP, .payload_bytes = payloads[i]});
		uint8_t *out = malloc(ICMP_ERROR_OCTETS_MAX);
		uint16_t len =
			icmp_error_build(out, about.bytes, (uint16_t)about.len_bytes, &error);
		struct packet p = packet_of_bytes(out, len, FRAMING_RAW_IP);
		struct pkt_meta m = parsed(&p);
		uint32_t whole = about.len_bytes + 28;

		cr_assert_eq(len, whole < 576 ? whole : 576);
		cr_assert(packet_is_checksum_good(&p));
		cr_assert_eq(m.src.words[3], GATEWAY);
		cr_assert_eq(m.dst.words[3], PACKET_SRC_BE);
		cr_assert_eq(packet_l4(&p)[0], 3);
		cr_assert_eq(packet_l4(&p)[1], 4);
		cr_assert_eq(load_be16(packet_l4(&p) + 6), 1280);
		cr_assert_arr_eq(packet_l4(&p) + 8, about.bytes, len - 28u);
		packet_clean(&p);
		free(out);
		packet_clean(&about);
	}
}

Test(packet_icmp_error, an_error_of_its_own_reads_back_as_a_quote)
{
	const struct icmp_error error = {GATEWAY, ICMP_TIME_EXCEEDED, 0, 0};
	struct packet about = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.proto = PROTO_TCP,
		.dst_port = 8883,
		.payload_bytes = 600});
	uint8_t out[ICMP_ERROR_OCTETS_MAX];
	uint16_t len = icmp_error_build(out, about.bytes, (uint16_t)about.len_bytes, &error);
	struct pkt_meta quote;

	cr_assert_eq(icmp_error_quote(out, len, &quote), DROP_NONE);
	cr_assert_eq(quote.dst_port, 8883);
	cr_assert_eq(quote.ip_octets, 640, "the length stated may exceed what is quoted");
	packet_clean(&about);
}

Test(packet_icmp_error, an_echo_request_becomes_its_reply)
{
	static const uint8_t options[] = {0x94, 4, 0, 0};

	for (uint32_t ttl = 1; ttl < 256; ttl++) {
		struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
			.proto = PROTO_ICMP,
			.icmp_type = ICMP_ECHO_REQUEST,
			.icmp_id = (uint16_t)(ttl * 257),
			.ttl = (uint8_t)ttl,
			.ip_options = options,
			.ip_options_bytes = ttl % 2 != 0 ? sizeof(options) : 0,
			.payload_bytes = ttl});
		struct pkt_meta m;

		icmp_echo_reply(p.bytes, (uint16_t)p.len_bytes);
		m = parsed(&p);
		cr_assert(packet_is_checksum_good(&p));
		cr_assert_eq(m.src.words[3], PACKET_DST_BE);
		cr_assert_eq(m.dst.words[3], PACKET_SRC_BE);
		cr_assert_eq(m.icmp_type, ICMP_ECHO_REPLY);
		cr_assert_eq(p.bytes[8], 64);
		packet_clean(&p);
	}
}

Test(packet_icmp_error, reads_the_quote_with_8_octets_of_each_protocol)
{
	static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 0};
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};

	for (uint32_t i = 0; i < 6; i++) {
		struct packet p = error_about(&(struct packet_spec){.framing = FRAMING_RAW_IP,
						      .src_be = EXTERNAL,
						      .proto = protos[i % 3],
						      .src_port = 1024,
						      .dst_port = 53,
						      .icmp_type = ICMP_ECHO_REQUEST,
						      .icmp_id = 77,
						      .ip_options = options,
						      .ip_options_bytes = i < 3 ? 0 : 8,
						      .payload_bytes = 100},
			8);
		struct pkt_meta quote;

		cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
		cr_assert_eq(quote.src.words[3], EXTERNAL);
		cr_assert_eq(quote.dst.words[3], PACKET_DST_BE);
		cr_assert_eq(quote.proto, protos[i % 3]);
		cr_assert_eq(quote.src_port, quote.proto == PROTO_ICMP ? 77 : 1024);
		cr_assert_eq(quote.dst_port, quote.proto == PROTO_ICMP ? 0 : 53);
		cr_assert_eq(quote.l3_off, 28);
		cr_assert_eq(quote.l4_off, i < 3 ? 48 : 56);
		cr_assert_eq(quote.flow_id, FLOW_NONE);
		packet_clean(&p);
	}
}

Test(packet_icmp_error, finds_the_quote_behind_options_of_the_error_itself)
{
	static const uint8_t options[] = {1, 1, 1, 0};
	struct packet inner = packet_build(&(struct packet_spec){.src_port = 1024});
	struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.proto = PROTO_ICMP,
		.icmp_type = ICMP_TIME_EXCEEDED,
		.ip_options = options,
		.ip_options_bytes = sizeof(options),
		.quoted = &inner});
	struct pkt_meta quote;

	cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
	cr_assert_eq(quote.l3_off, 32);
	cr_assert_eq(quote.src_port, 1024);
	packet_clean(&p);
	packet_clean(&inner);
}

Test(packet_icmp_error, a_quote_cut_short_anywhere_is_refused)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};

	for (uint32_t i = 0; i < 3; i++) {
		struct packet inner = packet_build(&(struct packet_spec){
			.proto = protos[i], .icmp_type = ICMP_ECHO_REQUEST, .payload_bytes = 30});

		for (uint32_t octets = 1; octets < 28; octets++) {
			struct packet p =
				packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
					.proto = PROTO_ICMP,
					.icmp_type = ICMP_UNREACHABLE,
					.quoted = &inner,
					.quoted_octets = octets});
			struct pkt_meta quote;

			cr_assert_eq(quote_of(&p, &quote), DROP_NAT_BAD_QUOTE, "%u octets", octets);
			packet_clean(&p);
		}
		packet_clean(&inner);
	}
}

struct bad_quote {
	const char *claim;
	struct packet_spec spec;
	uint32_t off; /* octet of the quoted header to overwrite, … */
	uint8_t value;
	bool is_patched; /* … if so */
};

Test(packet_icmp_error, a_malformed_quote_is_refused)
{
	static const struct bad_quote rows[] = {
		{"a later fragment", {.fragment_offset = 8, .payload_bytes = 16}, 0, 0, false},
		{"an error about an error", {.proto = PROTO_ICMP, .icmp_type = 3}, 0, 0, false},
		{"about a redirect", {.proto = PROTO_ICMP, .icmp_type = 5}, 0, 0, false},
		{"version 6", {0}, 0, 0x65, true},
		{"a header of 16 octets", {0}, 0, 0x44, true},
		{"a header beyond the quote", {0}, 0, 0x4f, true},
		{"a total length below the header", {0}, 3, 19, true},
		{"a total length without room for ports", {0}, 3, 27, true},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p = error_about(&rows[i].spec, 8);
		struct pkt_meta quote;

		if (rows[i].is_patched)
			p.bytes[28 + rows[i].off] = rows[i].value;
		packet_fix_l4_checksum(&p);
		cr_assert_eq(quote_of(&p, &quote), DROP_NAT_BAD_QUOTE, "%s", rows[i].claim);
		packet_clean(&p);
	}
}

Test(packet_icmp_error, one_with_a_wrong_checksum_is_refused)
{
	/* RFC 5508 REQ-3. */
	struct packet p = error_about(&(struct packet_spec){.payload_bytes = 4}, 8);
	struct pkt_meta quote;

	p.bytes[p.len_bytes - 1] ^= 1;
	cr_assert_eq(quote_of(&p, &quote), DROP_NAT_BAD_QUOTE);
	packet_clean(&p);
}

Test(packet_icmp_error, the_quoted_headers_own_checksum_is_nobodys_concern)
{
	struct packet p = error_about(&(struct packet_spec){.payload_bytes = 4}, 8);
	struct pkt_meta quote;

	p.bytes[28 + 10] ^= 0xff;
	packet_fix_l4_checksum(&p);
	cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
	packet_clean(&p);
}

Test(packet_icmp_error, a_quote_of_another_protocol_has_addresses_alone)
{
	struct packet p = error_about(&(struct packet_spec){.proto = 47, .payload_bytes = 30}, 8);
	struct pkt_meta quote;

	cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
	cr_assert_eq(quote.proto, 47);
	cr_assert_eq(quote.src_port, 0);
	packet_clean(&p);
}

Test(packet_icmp_error, extensions_behind_the_quote_are_no_part_of_it)
{
	/* RFC 4884: octet 5 says that 7 words belong to the quoted packet. */
	struct packet p =
		error_about(&(struct packet_spec){.proto = PROTO_TCP, .payload_bytes = 100}, 60);
	struct packet before;
	struct pkt_meta quote;
	struct rewrite r = rewrite_prepare(PROTO_TCP, PACKET_SRC_BE, htons(PACKET_SRC_PORT),
		V4(192, 168, 50, 99), htons(5555));

	packet_l4(&p)[5] = 7;
	packet_fix_l4_checksum(&p);
	before = packet_cut(&p, p.len_bytes);
	cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
	icmp_error_rewrite_quote(p.bytes, (uint16_t)p.len_bytes, &quote, &r, true);
	cr_assert(packet_is_checksum_good(&p));
	cr_assert_eq(load_be16(p.bytes + quote.l4_off), 5555);
	cr_assert_arr_eq(p.bytes + 28 + 28, before.bytes + 28 + 28, p.len_bytes - 56);
	packet_clean(&before);
	packet_clean(&p);
}

static const uint8_t quoted_protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, 47};

/* The quoted packet as it would have been, had it been sent with the new endpoint. */
static struct packet_spec quoted_spec(
	struct rng *rng, uint8_t proto, uint32_t addr_be, uint16_t port, bool is_source)
{
	static const uint8_t options[] = {0x94, 4, 0, 0, 1, 1, 1, 1};
	struct packet_spec spec = {.framing = FRAMING_RAW_IP,
		.proto = proto,
		.icmp_type = ICMP_ECHO_REQUEST,
		.icmp_id = port,
		.ip_options = options,
		.ip_options_bytes = rng_below(rng, 4) == 0 ? sizeof(options) : 0,
		.no_udp_checksum = rng_below(rng, 4) == 0,
		.payload_bytes = 20 + rng_below(rng, 40)};

	*(is_source ? &spec.src_be : &spec.dst_be) = addr_be;
	*(is_source ? &spec.src_port : &spec.dst_port) = port;
	return spec;
}

Test(packet_icmp_error, a_rewritten_quote_is_the_packet_as_its_sender_knows_it)
{
	struct rng rng;

	rng_init(&rng, 7);
	for (int i = 0; i < 20000; i++) {
		uint8_t proto = quoted_protos[rng_below(&rng, 4)];
		bool is_source = rng_below(&rng, 2) == 0;
		uint32_t old_addr = (uint32_t)rng_next(&rng) | 1;
		uint32_t new_addr = (uint32_t)rng_next(&rng) | 1;
		uint16_t old_port = (uint16_t)(1 + rng_below(&rng, 0xffff));
		uint16_t new_port = (uint16_t)(1 + rng_below(&rng, 0xffff));
		struct rng twin = rng; /* both packets take the same chances */
		struct packet_spec old_spec =
			quoted_spec(&rng, proto, old_addr, old_port, is_source);
		struct packet_spec new_spec =
			quoted_spec(&twin, proto, new_addr, new_port, is_source);
		/* Even: half a checksum is left as it was. */
		uint32_t octets = 8 + 2 * rng_below(&rng, 7);
		struct packet p = error_about(&old_spec, octets);
		struct packet expected = error_about(&new_spec, octets);
		struct rewrite r = rewrite_prepare(
			proto, old_addr, htons(old_port), new_addr, htons(new_port));
		struct pkt_meta quote;

		cr_assert_eq(quote_of(&p, &quote), DROP_NONE);
		icmp_error_rewrite_quote(p.bytes, (uint16_t)p.len_bytes, &quote, &r, is_source);
		cr_assert(packet_is_checksum_good(&p));
		cr_assert_arr_eq(p.bytes, expected.bytes, p.len_bytes, "proto %u, %u octets quoted",
			proto, octets);
		packet_clean(&expected);
		packet_clean(&p);
	}
}
