/* SPDX-License-Identifier: BSD-3-Clause */
#include "hello_builder.h"

#include <weir/classify/tls.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct hello_builder hello;
static struct hello_builder records;

static enum tls_hello read_records(const uint8_t *octets, uint32_t len, struct dns_name *ret)
{
	uint8_t *copy = malloc(len); /* of the exact size, for ASan */
	enum tls_hello result;

	memcpy(copy, octets, len);
	result = tls_read_records(copy, len, ret);
	free(copy);
	return result;
}

static void make(const char *name, uint32_t record_max)
{
	hello_begin(&hello);
	hello_put_padding(&hello, 0x2a2a, 0); /* RFC 8701 */
	if (name != NULL)
		hello_put_name(&hello, name);
	hello_put_padding(&hello, 21, 300);
	hello_end(&hello);
	records.len = 0;
	hello_put_records(&records, &hello, record_max);
}

static void check_name(const struct dns_name *name, const char *text)
{
	char buf[DNS_NAME_TEXT_MAX];

	cr_assert_str_eq(dns_name_format(name, buf), text);
}

Test(classify_tls, finds_the_name_over_any_number_of_records_and_waits_for_the_last_octet)
{
	static const uint32_t sizes[] = {16384, 100, 50, 7};
	struct dns_name name;

	for (size_t i = 0; i < N(sizes); i++) {
		make("Prod.Releases.sphere.azure.net", sizes[i]);
		for (uint32_t len = 0; len < records.len; len++)
			cr_assert_eq(read_records(records.octets, len, &name), TLS_HELLO_MORE,
				"records of %u, %u octets", sizes[i], len);
		cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NAME);
		check_name(&name, "prod.releases.sphere.azure.net");
		cr_assert_eq(read_records(records.octets, records.len + 5, &name), TLS_HELLO_NAME,
			"what follows does not matter");
	}
	cr_assert_eq(tls_read_handshake(hello.octets, hello.len, &name), TLS_HELLO_NAME);
	cr_assert_eq(tls_read_handshake(hello.octets, hello.len - 1, &name), TLS_HELLO_MORE);
	make("a.example", 6);
	cr_assert_gt(records.len, 6 * TLS_RECORDS_MAX);
	cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NONE,
		"too many records");
}

Test(classify_tls, tells_a_hello_without_a_name)
{
	static const uint8_t bare[] = {1, 0, 0, 41, 3, 1};
	struct dns_name name;

	make(NULL, 16384);
	cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NO_NAME);
	hello_begin(&hello);
	hello.len -= 2; /* RFC 5246 7.4.1.2: no extensions */
	hello_set_lengths(&hello);
	cr_assert_eq(tls_read_handshake(hello.octets, hello.len, &name), TLS_HELLO_NO_NAME);
	cr_assert_eq(tls_read_handshake(bare, sizeof(bare), &name), TLS_HELLO_MORE);
}

/* One octet changed, of a hello in one record: its header 5, the handshake's 4 before the body. */
Test(classify_tls, is_not_taken_in_by_what_is_none)
{
	static const struct {
		const char *claim;
		uint32_t off;
		uint8_t value;
	} rows[] = {
		{"application data", 0, 23},
		{"an alert", 0, 21},
		{"SSL 2", 1, 2},
		{"a record above 2^14", 3, 0x41},
		{"a ServerHello", 5, 2},
		{"a hello above 2^14", 6, 1},
		{"a version that is none", 9, 2},
		{"a session id of 33 octets", 5 + 4 + 34, 33},
		{"cipher suites beyond the hello", 5 + 4 + 34 + 33, 0xff},
		{"extensions beyond the hello", 5 + HELLO_EXTENSIONS_OFF, 0xff},
		{"extensions that end before the hello", 5 + HELLO_EXTENSIONS_OFF + 1, 0},
		{"an extension beyond the extensions", 5 + HELLO_EXTENSIONS_OFF + 2 + 2, 0xff},
		{"a list of names beyond its extension", 5 + HELLO_EXTENSIONS_OFF + 2 + 4 + 4 + 1,
			0xff},
		{"a list of names shorter than its extension",
			5 + HELLO_EXTENSIONS_OFF + 2 + 4 + 4 + 1, 5},
		{"a name of another type", 5 + HELLO_EXTENSIONS_OFF + 2 + 4 + 4 + 2, 1},
		{"a name beyond its list", 5 + HELLO_EXTENSIONS_OFF + 2 + 4 + 4 + 4, 200},
		{"a name with an octet of 0", 5 + HELLO_EXTENSIONS_OFF + 2 + 4 + 4 + 7, 0},
	};
	struct dns_name name;

	for (size_t i = 0; i < N(rows); i++) {
		make("www.example.com", 16384);
		records.octets[rows[i].off] = rows[i].value;
		cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NONE, "%s",
			rows[i].claim);
	}
	make("192.0.2.1", 16384);
	cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NONE,
		"RFC 6066: an address is no name");
	hello_begin(&hello);
	hello_put_name(&hello, "good.example");
	hello_put_name(&hello, "evil.example");
	hello_end(&hello);
	cr_assert_eq(tls_read_handshake(hello.octets, hello.len, &name), TLS_HELLO_NONE,
		"two names: servers differ in which they take");
	make("www.example.com", 16384);
	memset(records.octets + 3, 0, 2);
	cr_assert_eq(read_records(records.octets, records.len, &name), TLS_HELLO_NONE,
		"RFC 8446 5.1: an empty record of a handshake");
	cr_assert_eq(read_records((const uint8_t *)"GET / HTTP/1.1", 14, &name), TLS_HELLO_NONE);
}
