/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns_builder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define A        DNS_TYPE_A
#define CNAME    DNS_TYPE_CNAME
#define AAAA     28
#define DNAME    39

static struct dns_builder msg;

/* Reads from heap memory of the exact size, so that ASan sees an octet too much. */
static int read_answer(const uint8_t *octets, size_t len, struct dns_answer *ret)
{
	uint8_t *copy = malloc(len);
	int rc;

	memcpy(copy, octets, len);
	rc = dns_read_answer(copy, len, ret);
	free(copy);
	return rc;
}

struct record_row {
	const char *owner;
	uint16_t type;
	uint32_t ttl_s;
	const char *data;
};

struct answer_row {
	const char *claim;
	struct record_row records[6];
	const char *addresses[3];
	uint32_t ttl_s; /* of the first */
};

static const struct answer_row answer_rows[] = {
	{"an address", {{"@", A, 60, "192.0.2.1"}}, {"192.0.2.1"}, 60},
	{"several, each with its own TTL", {{"@", A, 60, "192.0.2.1"}, {"@", A, 30, "192.0.2.2"}},
		{"192.0.2.1", "192.0.2.2"}, 60},
	{"a name written out", {{"www.example.com", A, 60, "192.0.2.1"}}, {"192.0.2.1"}, 60},
	{"in another case (RFC 4343)", {{"WWW.example.COM", A, 60, "192.0.2.1"}}, {"192.0.2.1"},
		60},
	{"a chain, and the least TTL along it",
		{{"@", CNAME, 300, "a.cdn.net"}, {"a.cdn.net", CNAME, 20, "b.cdn.net"},
			{"b.cdn.net", A, 60, "192.0.2.1"}},
		{"192.0.2.1"}, 20},
	{"the address has the least",
		{{"@", CNAME, 300, "a.cdn.net"}, {"A.CDN.net", A, 5, "192.0.2.1"}}, {"192.0.2.1"},
		5},
	{"a chain in the wrong order",
		{{"b.cdn.net", A, 60, "192.0.2.1"}, {"a.cdn.net", CNAME, 20, "b.cdn.net"},
			{"@", CNAME, 300, "a.cdn.net"}},
		{"192.0.2.1"}, 20},
	{"RFC 6672: the CNAME made from a DNAME counts",
		{{"example.com", DNAME, 9, "other.net"}, {"@", CNAME, 300, "www.other.net"},
			{"www.other.net", A, 60, "192.0.2.1"}},
		{"192.0.2.1"}, 60},
	{"RFC 2181 8: a TTL of more than 31 bits is none", {{"@", A, 0x80000000, "192.0.2.1"}},
		{"192.0.2.1"}, 0},
	{"the largest TTL", {{"@", A, 0x7fffffff, "192.0.2.1"}}, {"192.0.2.1"}, 0x7fffffff},
	{"no address at all", {{NULL, 0, 0, NULL}}, {NULL}, 0},
	{"a chain that leads nowhere", {{"@", CNAME, 300, "a.cdn.net"}}, {NULL}, 0},
	{"what the chain does not reach", {{"bank.example", A, 60, "203.0.113.66"}}, {NULL}, 0},
	{"and beside what it reaches",
		{{"bank.example", A, 60, "203.0.113.66"}, {"@", A, 60, "192.0.2.1"}}, {"192.0.2.1"},
		60},
	{"a name that only begins alike", {{"www.example.com.evil.net", A, 60, "203.0.113.66"}},
		{NULL}, 0},
	{"or ends alike", {{"example.com", A, 60, "203.0.113.66"}}, {NULL}, 0},
	{"a name that has an alias has no addresses of its own",
		{{"@", CNAME, 300, "a.cdn.net"}, {"@", A, 60, "203.0.113.66"}}, {NULL}, 0},
	{"an alias to itself", {{"@", CNAME, 300, "@"}, {"@", A, 60, "192.0.2.1"}}, {"192.0.2.1"},
		60},
	{"a circle ends",
		{{"@", CNAME, 300, "a.cdn.net"}, {"a.cdn.net", CNAME, 20, "@"},
			{"@", A, 60, "192.0.2.1"}},
		{"192.0.2.1"}, 20},
	{"addresses of other kinds are passed over",
		{{"@", AAAA, 1, "192.0.2.7"}, {"@", A, 60, "192.0.2.1"}}, {"192.0.2.1"}, 60},
};

Test(classify_dns, gives_the_addresses_at_the_end_of_the_chain)
{
	for (size_t i = 0; i < N(answer_rows); i++) {
		const struct answer_row *row = &answer_rows[i];
		struct dns_answer answer;
		uint32_t n = 0;

		dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
		for (uint32_t r = 0; r < N(row->records) && row->records[r].owner != NULL; r++)
			dns_put_record(&msg, row->records[r].owner, row->records[r].type,
				row->records[r].ttl_s, row->records[r].data);
		cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0, "%s", row->claim);
		while (n < N(row->addresses) && row->addresses[n] != NULL)
			n++;
		cr_assert_eq(answer.n_addresses, n, "%s", row->claim);
		for (uint32_t a = 0; a < n; a++) {
			char text[IP_ADDR_TEXT_MAX];

			cr_assert_str_eq(ip_addr_format(&answer.addresses[a].addr, text),
				row->addresses[a], "%s", row->claim);
		}
		if (n > 0)
			cr_assert_eq(answer.addresses[0].ttl_s, row->ttl_s, "%s", row->claim);
	}
}

Test(classify_dns, reads_the_question_of_what_it_was_told_to_expect)
{
	static const struct {
		const char *claim;
		uint16_t flags;
		enum dns_kind kind;
		int rc;
	} rows[] = {
		{"a query", DNS_FLAGS_QUERY, DNS_QUERY, 0},
		{"a response", DNS_FLAGS_RESPONSE, DNS_RESPONSE, 0},
		{"a response where a query should be", DNS_FLAGS_RESPONSE, DNS_QUERY, -ENOMSG},
		{"a query where a response should be", DNS_FLAGS_QUERY, DNS_RESPONSE, -ENOMSG},
		{"another opcode", DNS_FLAGS_QUERY | 0x2800, DNS_QUERY, -ENOMSG},
		{"an error has a question too", DNS_FLAGS_RESPONSE | 3, DNS_RESPONSE, 0},
	};
	struct dns_question q;
	struct dns_name name;

	for (size_t i = 0; i < N(rows); i++) {
		dns_begin(&msg, 0x1234, rows[i].flags, "wWw.Example.com", A);
		memset(&q, 0, sizeof(q));
		cr_assert_eq(dns_read_question(msg.octets, msg.len, rows[i].kind, &q), rows[i].rc,
			"%s", rows[i].claim);
		if (rows[i].rc < 0)
			continue;
		cr_assert_eq(dns_name_parse("www.example.com", 15, &name), 0);
		cr_assert(dns_name_equal(&q.name, &name), "%s", rows[i].claim);
		cr_assert_eq(q.id, 0x1234);
		cr_assert_eq(q.type, A);
	}
}

Test(classify_dns, learns_nothing_from_errors_and_other_questions)
{
	static const struct {
		const char *claim;
		uint16_t flags;
		uint16_t type;
		uint16_t n_questions;
		uint16_t class;
		uint8_t extended_rcode;
	} rows[] = {
		{"NXDOMAIN", DNS_FLAGS_RESPONSE | 3, A, 1, 1, 0},
		{"SERVFAIL", DNS_FLAGS_RESPONSE | 2, A, 1, 1, 0},
		{"a query", DNS_FLAGS_QUERY, A, 1, 1, 0},
		{"an update", DNS_FLAGS_RESPONSE | 0x2800, A, 1, 1, 0},
		{"a question for IPv6 addresses", DNS_FLAGS_RESPONSE, AAAA, 1, 1, 0},
		{"no question", DNS_FLAGS_RESPONSE, A, 0, 1, 0},
		{"two of them", DNS_FLAGS_RESPONSE, A, 2, 1, 0},
		{"another class (CHAOS)", DNS_FLAGS_RESPONSE, A, 1, 3, 0},
		{"RFC 6891: an RCODE that needs the OPT record (BADVERS)", DNS_FLAGS_RESPONSE, A, 1,
			1, 1},
	};
	struct dns_answer answer;

	for (size_t i = 0; i < N(rows); i++) {
		dns_begin(&msg, 7, rows[i].flags, "www.example.com", rows[i].type);
		store_be16(msg.octets + 4, rows[i].n_questions);
		store_be16(msg.octets + msg.len - 2, rows[i].class);
		dns_put_record(&msg, "@", A, 60, "192.0.2.1");
		dns_put_head(&msg, "", DNS_TYPE_OPT, 1232, (uint32_t)rows[i].extended_rcode << 24);
		dns_put16(&msg, 0);
		dns_count(&msg, 2);
		cr_assert_eq(
			read_answer(msg.octets, msg.len, &answer), -ENOMSG, "%s", rows[i].claim);
	}
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	dns_put_head(&msg, "", DNS_TYPE_OPT, 1232, 0x8000);
	dns_put16(&msg, 0);
	dns_count(&msg, 2);
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0, "OPT itself is no error");
	cr_assert_eq(answer.n_addresses, 1);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	store_be16(msg.octets + msg.len - 12, 3);
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
	cr_assert_eq(answer.n_addresses, 0, "a record of another class is none");
}

/* One link of a chain: "nN.example" with N as two digits, or the question. */
static const char *link_name(char *buf, int n)
{
	if (n == 0)
		return "@";
	buf[0] = 'n';
	buf[1] = (char)('0' + n / 10);
	buf[2] = (char)('0' + n % 10);
	memcpy(buf + 3, ".example", 9);
	return buf;
}

Test(classify_dns, follows_long_chains_in_any_order)
{
	struct dns_answer answer;
	char from[16];
	char to[16];

	for (int reversed = 0; reversed < 2; reversed++) {
		dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
		for (int i = 0; i < 60; i++) {
			int n = reversed ? 59 - i : i;

			dns_put_record(&msg, link_name(from, n), CNAME, 1000 - (uint32_t)n,
				link_name(to, n + 1));
		}
		dns_put_record(&msg, "n60.example", A, 5000, "192.0.2.1");
		cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
		cr_assert_eq(answer.n_addresses, 1, "reversed %d", reversed);
		cr_assert_eq(answer.addresses[0].ttl_s, 941);
	}
}

Test(classify_dns, believes_no_message_that_is_cut_off)
{
	struct dns_answer answer;
	struct dns_question q;
	uint32_t question_end;

	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	question_end = msg.len;
	dns_put_record(&msg, "@", CNAME, 60, "a.cdn.net");
	dns_put_record(&msg, "a.cdn.net", A, 60, "192.0.2.1");
	for (uint32_t len = 0; len < msg.len; len++) {
		cr_assert_eq(read_answer(msg.octets, len, &answer), -EBADMSG, "%u octets", len);
		cr_assert_eq(dns_read_question(msg.octets, len, DNS_RESPONSE, &q),
			len < question_end ? -EBADMSG : 0, "%u octets", len);
	}
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
}

Test(classify_dns, takes_what_is_whole_of_a_truncated_answer)
{
	struct dns_answer answer;
	uint32_t first_end;

	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE | 0x0200, "www.example.com", A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	first_end = msg.len;
	dns_put_record(&msg, "@", A, 60, "192.0.2.2");
	for (uint32_t len = DNS_QUESTION_OFF + 21; len <= msg.len; len++) {
		cr_assert_eq(read_answer(msg.octets, len, &answer), 0);
		cr_assert_eq(answer.n_addresses, (len >= first_end) + (len == msg.len), "%u octets",
			len);
	}
}

/* Puts octets in place of a name and its record's head; what they are is the claim. */
Test(classify_dns, believes_no_name_that_is_none)
{
	static const struct {
		const char *claim;
		uint8_t octets[6];
		uint32_t n;
	} rows[] = {
		{"a pointer to itself", {0xc0, 33}, 2},
		{"a pointer forward", {0xc0, 60}, 2},
		{"a pointer past the end", {0xff, 0xff}, 2},
		{"a pointer into the header", {0xc0, 4}, 2},
		{"a label that ends in a pointer to itself", {3, 'w', 'w', 'w', 0xc0, 33}, 6},
		{"a pointer to a pointer to itself", {0xc0, 35, 0xc0, 33}, 4},
		{"RFC 1035 4.1.4: reserved kinds of labels", {0x40, 0}, 2},
		{"the other one", {0x80, 0}, 2},
	};
	struct dns_answer answer;

	for (size_t i = 0; i < N(rows); i++) {
		dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
		cr_assert_eq(msg.len, 33);
		memcpy(msg.octets + msg.len, rows[i].octets, rows[i].n);
		msg.len += rows[i].n;
		dns_put16(&msg, A);
		dns_put16(&msg, 1);
		dns_put16(&msg, 0);
		dns_put16(&msg, 60);
		dns_put16(&msg, 4);
		dns_put16(&msg, 0);
		dns_put16(&msg, 0);
		dns_count(&msg, 0);
		cr_assert_eq(
			read_answer(msg.octets, msg.len, &answer), -EBADMSG, "%s", rows[i].claim);
	}
}

Test(classify_dns, holds_names_to_255_octets_and_data_to_its_length)
{
	struct dns_answer answer;
	char name[260];
	struct dns_question q;

	/* 63.63.63.61 and the root are 255 octets. */
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, name, A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
	cr_assert_eq(answer.n_addresses, 1);
	cr_assert_eq(dns_read_question(msg.octets, msg.len, DNS_RESPONSE, &q), 0);
	cr_assert_eq(q.name.len, 255);
	name[253] = 'a';
	name[254] = '\0';
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, name, A);
	cr_assert_eq(
		dns_read_question(msg.octets, msg.len, DNS_RESPONSE, &q), -EBADMSG, "256 octets");
	/* Short of 255 where it stands, above it by way of a pointer. */
	name[253] = '\0';
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, name, A);
	dns_put8(&msg, 1);
	dns_put8(&msg, 'b');
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
	cr_assert_eq(answer.n_addresses, 0, "257 octets by a pointer are no name of anybody's");
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	dns_put_record(&msg, "@", CNAME, 60, "a.cdn.net");
	store_be16(msg.octets + 33 + 10, 10); /* one octet less than the name has */
	cr_assert_eq(
		read_answer(msg.octets, msg.len, &answer), -EBADMSG, "a target beyond its data");
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	dns_put8(&msg, 1);
	store_be16(msg.octets + 33 + 10, 5);
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), -EBADMSG, "an address of 5 octets");
}

Test(classify_dns, does_no_more_work_than_it_says)
{
	struct dns_answer answer;
	char name[256];

	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "www.example.com", A);
	for (int i = 0; i < DNS_RECORDS_MAX; i++)
		dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), 0);
	cr_assert_eq(answer.n_addresses, DNS_ADDRESSES_MAX);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), -E2BIG, "thousands of records");
	/* 127 labels in each name, of which the last differs: the dearest way to say no. */
	for (int i = 0; i < 126; i++)
		memcpy(name + 2 * i, "a.", 2);
	memcpy(name + 252, "b", 2);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, name, A);
	memcpy(name + 252, "c", 2);
	for (int i = 0; i < 120; i++)
		dns_put_record(&msg, name, CNAME, 60, "a.cdn.net");
	cr_assert_eq(read_answer(msg.octets, msg.len, &answer), -E2BIG, "long names");
	cr_assert_eq(
		dns_read_answer(msg.octets, 65536, &answer), -EBADMSG, "too long for a message");
}
