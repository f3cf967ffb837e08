/* SPDX-License-Identifier: BSD-3-Clause */
#include "hello_builder.h"

#include <weir/classify/quic.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define PLAIN_BYTES 1162 /* RFC 9001 A.2: padded so that the datagram has 1200 octets */

static struct quic_reader *reader;
static struct assembly assembly;
static uint8_t room[TLS_HELLO_MAX];
static uint8_t packet[1500];

static void begin(void)
{
	cr_assert_eq(quic_reader_create(&reader), 0);
	assembly_init(&assembly, room, sizeof(room));
}

static void end(void)
{
	quic_reader_destroy(reader);
	quic_reader_destroy(NULL);
}

TestSuite(classify_quic, .init = begin, .fini = end);

static enum tls_hello read_datagram(uint32_t len, struct dns_name *ret)
{
	uint8_t *copy = malloc(len); /* of the exact size, for ASan */
	enum tls_hello result;

	memcpy(copy, packet, len);
	result = quic_read_datagram(reader, copy, len, &assembly, ret);
	free(copy);
	return result;
}

static uint32_t from_hex(const char *hex, uint8_t *ret)
{
	uint32_t n = 0;

	for (; *hex != '\0'; hex += 2) {
		char digits[3] = {hex[0], hex[1], 0};

		ret[n++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

static const char rfc_frame[] = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
				"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
				"616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
				"04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
				"baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
				"0d0010000e0403050306030203080408050806002d00020101001c0002400100"
				"3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
				"75300901100f088394c8f03e51570806048000ffff";

/* Seals frames into `packet`, after `at` octets that are there. */
static uint32_t seal(
	uint32_t version, const uint8_t *frames, uint32_t n, uint8_t number, uint32_t at)
{
	uint8_t header[32];
	uint32_t header_bytes = quic_rfc_header(version, n, number, header);

	return at
	       + quic_seal(&quic_rfc_keys[version], header, header_bytes, frames, n, packet + at);
}

/* RFC 9001 A.2 and RFC 9369 A.2: what is sealed here with their keys begins as their packets do. */
Test(classify_quic, reads_the_initial_packets_of_the_rfcs)
{
	static const char *const begins[2] = {
		"c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b",
		"d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071"};
	static const char *const tags[2] = {
		"e221af44860018ab0856972e194cd934", "a18b2faa745b6fe189cf772a9f84cbfc"};

	for (uint32_t version = 0; version < 2; version++) {
		uint8_t plain[PLAIN_BYTES] = {0};
		uint8_t expected[64];
		struct dns_name name;
		char text[DNS_NAME_TEXT_MAX];
		uint32_t len;

		assembly_init(&assembly, room, sizeof(room));
		(void)from_hex(rfc_frame, plain);
		len = seal(version, plain, sizeof(plain), 2, 0);
		cr_assert_eq(len, 1200);
		cr_assert_arr_eq(packet, expected, from_hex(begins[version], expected),
			"version %u", version);
		cr_assert_arr_eq(packet + 1184, expected, from_hex(tags[version], expected),
			"version %u", version);
		cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NAME);
		cr_assert_str_eq(dns_name_format(&name, text), "example.com");
	}
}

/* Cuts the hello into CRYPTO frames of 50 octets, `first` to `last` of them in a packet, the last one first. */
static uint32_t seal_pieces(const uint8_t *hello, uint32_t hello_bytes, uint32_t first,
	uint32_t last, uint8_t number, uint32_t at)
{
	uint8_t frames[1400];
	uint32_t n = 0;

	frames[n++] = 1;                               /* PING */
	memcpy(frames + n, "\x02\x05\x00\x00\x05", 5); /* ACK */
	n += 5;
	for (uint32_t i = last; i-- > first;) {
		uint32_t offset = 50 * i;
		uint32_t len = hello_bytes - offset < 50 ? hello_bytes - offset : 50;

		if (offset >= hello_bytes)
			continue;
		frames[n++] = 6;
		store_be16(frames + n, (uint16_t)(0x4000 | offset));
		frames[n + 2] = (uint8_t)len;
		memcpy(frames + n + 3, hello + offset, len);
		n += 3 + len;
		frames[n++] = 0;
	}
	return seal(0, frames, n, number, at);
}

Test(classify_quic, puts_shuffled_pieces_together_over_packets_and_datagrams)
{
	static struct hello_builder hello;
	struct dns_name name;
	char text[DNS_NAME_TEXT_MAX];
	uint32_t len;

	hello_begin(&hello);
	hello_put_padding(&hello, 51, 1200); /* a key share of today's size */
	hello_put_name(&hello, "www.example.com");
	hello_end(&hello);
	len = seal_pieces(hello.octets, hello.len, 12, 26, 1, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_MORE);
	len = seal_pieces(hello.octets, hello.len, 5, 12, 2, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_MORE);
	len = seal_pieces(hello.octets, hello.len, 26, 30, 3, 0);
	len = seal_pieces(hello.octets, hello.len, 0, 5, 4, len); /* two packets in a datagram */
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NAME);
	cr_assert_str_eq(dns_name_format(&name, text), "www.example.com");
}

Test(classify_quic, passes_over_what_is_not_genuine)
{
	uint8_t plain[PLAIN_BYTES] = {0};
	struct dns_name name;
	uint32_t len;

	(void)from_hex(rfc_frame, plain);
	len = seal(0, plain, sizeof(plain), 2, 0);
	for (uint32_t off = 0; off < 60; off++) {
		packet[off] ^= 0x80;
		cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "octet %u", off);
		packet[off] ^= 0x80;
	}
	packet[len - 1] ^= 1;
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "the tag");
	packet[len - 1] ^= 1;
	for (uint32_t cut = 0; cut < len; cut++)
		cr_assert_eq(read_datagram(cut, &name), TLS_HELLO_NONE, "%u octets", cut);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NAME);
	assembly_init(&assembly, room, sizeof(room));
	memset(plain, 0, sizeof(plain));
	len = seal(0, plain, sizeof(plain), 2, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "padding alone");
	len = seal(0, (const uint8_t *)"\x06\x00\x40", 3, 2, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "a frame that is cut off");
	len = seal(0, (const uint8_t *)"\x06\xbf\xff\xff\xff\x01\x01", 7, 2, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "far beyond a hello");
	len = seal(0, (const uint8_t *)"\x08\x06\x00\x01\x01", 5, 2, 0);
	cr_assert_eq(
		read_datagram(len, &name), TLS_HELLO_NONE, "behind a frame that may not be there");
	len = seal(
		0, (const uint8_t *)"\x02\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00", 12, 2, 0);
	cr_assert_eq(read_datagram(len, &name), TLS_HELLO_NONE, "an ACK of 2^62 ranges");
}
