/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/meta.h>
#include <weir/packet/pcp.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t client_bytes[16] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 50, 10};

static struct ip_addr client(void)
{
	return ip_addr_quad(192, 168, 50, 10);
}

struct message {
	uint8_t bytes[1500];
	uint32_t len;
};

/* MAP or PEER of UDP port 8080, wanted at 9090, for 600 s; all fields told apart. */
static struct message request(uint8_t opcode)
{
	struct message m = {.bytes = {2, opcode, 0xaa, 0xaa, 0, 0, 2, 88}, .len = 24};

	memcpy(m.bytes + 8, client_bytes, sizeof(client_bytes));
	if (opcode == PCP_ANNOUNCE)
		return m;
	for (uint8_t i = 0; i < PCP_NONCE_BYTES; i++)
		m.bytes[24 + i] = (uint8_t)(i + 1);
	m.bytes[36] = PROTO_UDP;
	memset(m.bytes + 37, 0xbb, 3);
	store_be16(m.bytes + 40, 8080);
	store_be16(m.bytes + 42, 9090);
	memcpy(m.bytes + 44, client_bytes, 12);
	m.len = 60;
	if (opcode != PCP_PEER)
		return m;
	store_be16(m.bytes + 60, 443);
	memset(m.bytes + 62, 0xcc, 2);
	memcpy(m.bytes + 64, client_bytes, sizeof(client_bytes));
	m.len = 80;
	return m;
}

static void add_option(struct message *m, uint8_t code, uint16_t len)
{
	m->bytes[m->len] = code;
	store_be16(m->bytes + m->len + 2, len);
	m->len += 4u + ((len + 3u) & ~3u);
}

static void add_filter(struct message *m, uint8_t len_bits)
{
	uint8_t *data = m->bytes + m->len + 4;

	add_option(m, 3, 20);
	data[1] = len_bits;
	memcpy(data + 4, client_bytes, sizeof(client_bytes));
}

/* Reads from memory of just the message's size. */
static bool read_message(const struct message *m, struct pcp_request *r, enum pcp_result *result)
{
	struct ip_addr from = client();
	uint8_t *exact = malloc(m->len == 0 ? 1 : m->len);
	bool is_answered;

	cr_assert_not_null(exact);
	memcpy(exact, m->bytes, m->len);
	is_answered = pcp_read(exact, m->len, &from, r, result);
	free(exact);
	return is_answered;
}

static enum pcp_result result_of(const struct message *m)
{
	struct pcp_request r;
	enum pcp_result result;

	cr_assert(read_message(m, &r, &result));
	return result;
}

Test(packet_pcp, reads_every_field_of_map_and_peer)
{
	const uint8_t opcodes[] = {PCP_MAP, PCP_PEER};

	for (uint32_t i = 0; i < N_OF(opcodes); i++) {
		struct message m = request(opcodes[i]);
		struct ip_addr expected = client();
		struct pcp_request r;
		enum pcp_result result;

		cr_assert(read_message(&m, &r, &result));
		cr_expect_eq(result, PCP_SUCCESS);
		cr_expect(r.is_parsed);
		cr_expect_eq(r.version, 2);
		cr_expect_eq(r.opcode, opcodes[i]);
		cr_expect_eq(r.proto, PROTO_UDP);
		cr_expect_eq(r.lifetime_s, 600);
		cr_expect_eq(r.internal_port, 8080);
		cr_expect_eq(r.external_port, 9090);
		cr_expect(ip_addr_is_unset(&r.external), "0.0.0.0 is none");
		cr_expect_arr_eq(r.nonce, m.bytes + 24, PCP_NONCE_BYTES);
		cr_expect_eq(r.remote_port, opcodes[i] == PCP_PEER ? 443 : 0);
		if (opcodes[i] == PCP_PEER)
			cr_expect(ip_addr_equal(&r.remote, &expected));
	}
}

Test(packet_pcp, what_is_no_request_is_silence)
{
	struct pcp_request r;
	enum pcp_result result;
	struct message m = request(PCP_MAP);

	for (m.len = 0; m.len < 2; m.len++)
		cr_expect(!read_message(&m, &r, &result), "%u octets", m.len);
	for (uint32_t version = 0; version < 256; version++) {
		m = request(PCP_MAP);
		m.bytes[0] = (uint8_t)version;
		m.bytes[1] |= 0x80;
		cr_expect(!read_message(&m, &r, &result), "a response of version %u", version);
	}
	/* NAT-PMP's requests have one length each. */
	for (uint8_t opcode = 0; opcode < 3; opcode++)
		for (uint32_t len = 2; len < 20; len++) {
			m = (struct message){.bytes = {0, opcode}, .len = len};
			cr_expect_eq(read_message(&m, &r, &result), len == (opcode == 0 ? 2 : 12));
		}
}

Test(packet_pcp, every_mistake_has_its_result)
{
	struct message m;

	for (uint32_t len = 2; len < 60; len++) {
		m = request(PCP_MAP);
		m.len = len;
		cr_expect_eq(result_of(&m), PCP_MALFORMED_REQUEST, "%u octets", len);
	}
	m = request(PCP_PEER);
	m.len = 76;
	cr_expect_eq(result_of(&m), PCP_MALFORMED_REQUEST);
	m = request(PCP_MAP);
	m.len = 1104;
	cr_expect_eq(result_of(&m), PCP_MALFORMED_REQUEST, "too long");
	for (uint8_t opcode = 3; opcode < 128; opcode++) {
		m = request(opcode);
		cr_expect_eq(result_of(&m), PCP_UNSUPP_OPCODE);
	}
	for (uint32_t i = 8; i < 24; i++) {
		m = request(PCP_MAP);
		m.bytes[i] ^= 1;
		cr_expect_eq(result_of(&m), PCP_ADDRESS_MISMATCH);
	}
	for (uint32_t version = 1; version < 256; version++) {
		m = request(PCP_MAP);
		m.bytes[0] = (uint8_t)version;
		cr_expect_eq(result_of(&m), version == 2 ? PCP_SUCCESS : PCP_UNSUPP_VERSION);
	}
}

Test(packet_pcp, options_are_honoured_refused_or_left_out)
{
	const struct {
		const char *what;
		uint8_t opcode;
		uint8_t code;
		uint16_t len;
		enum pcp_result result;
	} cases[] = {
		{"prefer failure", PCP_MAP, 2, 0, PCP_SUCCESS},
		{"prefer failure with data", PCP_MAP, 2, 4, PCP_MALFORMED_OPTION},
		{"prefer failure of PEER", PCP_PEER, 2, 0, PCP_UNSUPP_OPTION},
		{"a filter too short", PCP_MAP, 3, 16, PCP_MALFORMED_OPTION},
		{"a filter of PEER", PCP_PEER, 3, 20, PCP_UNSUPP_OPTION},
		{"third party", PCP_MAP, 1, 16, PCP_UNSUPP_OPTION},
		{"third party of ANNOUNCE", PCP_ANNOUNCE, 1, 16, PCP_UNSUPP_OPTION},
		{"one nobody knows", PCP_MAP, 127, 0, PCP_UNSUPP_OPTION},
		{"the reserved one", PCP_MAP, 0, 0, PCP_UNSUPP_OPTION},
		{"optional", PCP_MAP, 128, 0, PCP_SUCCESS},
		{"optional, with padding", PCP_PEER, 255, 5, PCP_SUCCESS},
	};

	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct message m = request(cases[i].opcode);

		add_option(&m, cases[i].code, cases[i].len);
		cr_expect_eq(result_of(&m), cases[i].result, "%s", cases[i].what);
		m.len -= (cases[i].len + 3u) & ~3u;
		store_be16(m.bytes + m.len - 2, 1000);
		cr_expect_eq(result_of(&m), PCP_MALFORMED_OPTION, "%s, cut off", cases[i].what);
	}
}

Test(packet_pcp, an_option_twice_is_malformed_where_it_may_come_once)
{
	struct message m = request(PCP_MAP);

	add_option(&m, 2, 0);
	add_option(&m, 2, 0);
	cr_expect_eq(result_of(&m), PCP_MALFORMED_OPTION);
}

Test(packet_pcp, filters_are_read_up_to_eight_and_prefix_zero_begins_anew)
{
	struct message m = request(PCP_MAP);
	struct pcp_request r;
	enum pcp_result result;

	for (uint8_t i = 0; i < PCP_FILTERS_MAX; i++)
		add_filter(&m, (uint8_t)(96 + i));
	cr_assert(read_message(&m, &r, &result));
	cr_expect_eq(result, PCP_SUCCESS);
	cr_expect_eq(r.n_filters, PCP_FILTERS_MAX);
	cr_expect_eq(r.filters[3].remote.len_bits, 3);
	add_filter(&m, 128);
	cr_expect_eq(result_of(&m), PCP_EXCESSIVE_REMOTE_PEERS);
	m.len -= 24;
	add_filter(&m, 0);
	add_filter(&m, 128);
	cr_assert(read_message(&m, &r, &result));
	cr_expect(r.clears_filters);
	cr_expect_eq(r.n_filters, 1);
	m = request(PCP_MAP);
	add_filter(&m, 129);
	cr_expect_eq(result_of(&m), PCP_MALFORMED_OPTION, "no such prefix");
	m = request(PCP_MAP);
	add_filter(&m, 64);
	cr_expect_eq(result_of(&m), PCP_MALFORMED_OPTION, "not of IPv4");
}

static uint16_t build(const struct message *m, const struct pcp_reply *reply, uint8_t *out)
{
	struct pcp_request r;
	enum pcp_result result;

	cr_assert(read_message(m, &r, &result));
	return pcp_build(out, m->bytes, m->len, &r, reply);
}

Test(packet_pcp, an_answer_has_the_form_of_section_7_2)
{
	const struct pcp_reply reply = {.lifetime_s = 300,
		.epoch_s = 0x01020304,
		.external_port = 5555,
		.external = ip_addr_quad(203, 0, 113, 5)};
	struct message m = request(PCP_PEER);
	uint8_t expected[80] = {2, 0x82, 0, 0, 0, 0, 1, 44, 1, 2, 3, 4};
	uint8_t out[PCP_MESSAGE_MAX];

	memcpy(expected + 24, m.bytes + 24, 13); /* nonce, protocol */
	store_be16(expected + 40, 8080);
	store_be16(expected + 42, 5555);
	memcpy(expected + 44, &reply.external, 16);
	store_be16(expected + 60, 443);
	memcpy(expected + 64, m.bytes + 64, 16);
	add_option(&m, 200, 3);
	cr_expect_eq(build(&m, &reply, out), 80, "the option was left out");
	cr_expect_arr_eq(out, expected, sizeof(expected));
	m = request(PCP_MAP);
	add_option(&m, 200, 3);
	add_option(&m, 2, 0);
	cr_expect_eq(build(&m, &reply, out), 64, "the one that was honoured comes back");
	cr_expect_eq(out[60], 2);
}

Test(packet_pcp, an_error_gives_the_request_back_in_whole_words)
{
	const struct pcp_reply reply = {
		.result = PCP_MALFORMED_REQUEST, .lifetime_s = PCP_LONG_S, .epoch_s = 7};
	struct message m = request(PCP_MAP);
	uint8_t out[PCP_MESSAGE_MAX];

	m.len = 61;
	m.bytes[60] = 0x77;
	m.bytes[61] = 0x78;
	cr_expect_eq(build(&m, &reply, out), 64);
	cr_expect_eq(out[3], PCP_MALFORMED_REQUEST);
	cr_expect_eq(load_be16(out + 6), PCP_LONG_S);
	cr_expect_arr_eq(out + 12, m.bytes + 12, 12, "an echo of the client's address");
	cr_expect_arr_eq(out + 24, m.bytes + 24, 37);
	cr_expect_arr_eq(out + 61, ((const uint8_t[]){0, 0, 0}), 3);
	m.len = 5;
	cr_expect_eq(build(&m, &reply, out), 24);
	m.len = 1499;
	cr_expect_eq(build(&m, &reply, out), PCP_MESSAGE_MAX);
}

Test(packet_pcp, a_refusal_of_a_good_request_has_no_echo_of_the_address)
{
	const struct pcp_reply reply = {.result = PCP_USER_EX_QUOTA, .lifetime_s = PCP_SHORT_S};
	static const uint8_t zeros[12];
	struct message m = request(PCP_MAP);
	uint8_t out[PCP_MESSAGE_MAX];

	cr_expect_eq(build(&m, &reply, out), 60);
	cr_expect_arr_eq(out + 12, zeros, 12);
	cr_expect_arr_eq(out + 24, m.bytes + 24, 36);
}

Test(packet_pcp, nat_pmp_answers_have_their_own_form)
{
	const struct pcp_reply good = {.lifetime_s = 300,
		.epoch_s = 9,
		.external_port = 5555,
		.external = ip_addr_quad(203, 0, 113, 5)};
	const struct {
		enum pcp_result result;
		uint8_t code;
	} results[] = {{PCP_NOT_AUTHORIZED, 2}, {PCP_NETWORK_FAILURE, 3}, {PCP_NO_RESOURCES, 4},
		{PCP_USER_EX_QUOTA, 4}, {PCP_UNSUPP_OPCODE, 5}, {PCP_UNSUPP_PROTOCOL, 2},
		{PCP_UNSUPP_VERSION, 1}};
	struct message m = {.bytes = {0, 0}, .len = 2};
	const uint8_t address[] = {0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 5};
	const uint8_t mapped[] = {
		0, 130, 0, 0, 0, 0, 0, 9, 31, 144, 21, 179, 0, 0, 1, 44}; /* 8080, 5555, 300 */
	uint8_t out[PCP_MESSAGE_MAX];

	cr_expect_eq(build(&m, &good, out), sizeof(address));
	cr_expect_arr_eq(out, address, sizeof(address));
	m = (struct message){.bytes = {0, 2, 0, 0, 31, 144, 0, 0, 0, 0, 2, 88}, .len = 12};
	cr_expect_eq(build(&m, &good, out), sizeof(mapped));
	cr_expect_arr_eq(out, mapped, sizeof(mapped));
	for (uint32_t i = 0; i < N_OF(results); i++) {
		struct pcp_reply bad = {.result = results[i].result, .epoch_s = 9};

		cr_expect_eq(build(&m, &bad, out), sizeof(mapped));
		cr_expect_eq(out[3], results[i].code);
		cr_expect_eq(load32(out + 12), 0);
	}
	m = (struct message){.bytes = {0, 99}, .len = 2};
	cr_expect_eq(build(&m, &(struct pcp_reply){.result = result_of(&m)}, out), 8);
	cr_expect_eq(out[1], 128 + 99);
	cr_expect_eq(out[3], 5);
}

Test(packet_pcp, errors_that_may_go_away_hold_for_less)
{
	cr_expect_eq(pcp_error_lifetime_s(PCP_NO_RESOURCES), PCP_SHORT_S);
	cr_expect_eq(pcp_error_lifetime_s(PCP_NETWORK_FAILURE), PCP_SHORT_S);
	cr_expect_eq(pcp_error_lifetime_s(PCP_NOT_AUTHORIZED), PCP_LONG_S);
	cr_expect_eq(pcp_error_lifetime_s(PCP_UNSUPP_OPTION), PCP_LONG_S);
}

Test(packet_pcp, announcements_carry_the_epoch)
{
	const uint8_t expected[24] = {2, 0x80, [11] = 5};
	const uint8_t none[12] = {0, 128, 0, 3, 0, 0, 0, 5};
	uint8_t out[24];

	cr_expect_eq(pcp_build_announcement(out, 5), 24);
	cr_expect_arr_eq(out, expected, 24);
	cr_expect_eq(pcp_build_address(out, 5, &(struct ip_addr){0}), 12);
	cr_expect_arr_eq(out, none, 12);
}
