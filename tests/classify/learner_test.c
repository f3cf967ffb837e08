/* SPDX-License-Identifier: BSD-3-Clause */
#include "dns_builder.h"
#include "hello_builder.h"

#include <weir/classify/learner.h>
#include <weir/classify/streams.h>

#include <criterion/criterion.h>
#include <stdio.h>

#define N(array)  (sizeof(array) / sizeof((array)[0]))
#define A         DNS_TYPE_A
#define CNAME     DNS_TYPE_CNAME
#define START     (1000 * US_PER_S)
#define FLOW      77
#define SERVICE   (1u << 2)
#define WILDCARDS (1u << 3)

static const struct names_device device = {.id = 1, .generation = 5};
static const struct names_device other = {.id = 2, .generation = 5};
static struct learner *l;
static struct name_set *set;
static struct dns_builder msg;

static void begin(void)
{
	static const struct name_pattern patterns[] = {
		{"service.example", 2}, {"*.cdn.example", 3}};
	struct names_setup setup = {.capacity = 64,
		.n_own = 16,
		.per_device = 16,
		.n_devices = 4,
		.hash_key = {
			.words = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}}};

	cr_assert_eq(learner_create(&setup, &l), 0);
	cr_assert_eq(name_set_create(patterns, N(patterns), &set), 0);
}

static void end(void)
{
	learner_destroy(l);
	learner_destroy(NULL);
	name_set_destroy(set);
}

TestSuite(classify_learner, .init = begin, .fini = end);

static struct learner_packet packet_of(const uint8_t *octets, uint32_t len, bool is_downlink)
{
	return (struct learner_packet){.device = device,
		.flow = FLOW,
		.is_downlink = is_downlink,
		.octets = octets,
		.len = len};
}

static void send_message(bool is_downlink)
{
	struct learner_packet p = packet_of(msg.octets, msg.len, is_downlink);

	learner_take_dns(l, set, &p, START);
}

static void ask(uint16_t id, const char *name)
{
	dns_begin(&msg, id, DNS_FLAGS_QUERY, name, A);
	send_message(false);
}

static uint64_t classes_at(const struct names_device *d, const char *text)
{
	struct ip_addr addr;

	cr_assert_eq(ip_addr_parse(text, &addr), 0);
	return names_find(learner_names(l), set, d, &addr, START);
}

Test(classify_learner, a_name_proves_for_the_device_that_asked_for_it)
{
	ask(9, "Service.example");
	dns_begin(&msg, 9, DNS_FLAGS_RESPONSE, "sERVICE.example", A);
	dns_put_record(&msg, "@", CNAME, 60, "edge7.other.example");
	dns_put_record(&msg, "edge7.other.example", A, 60, "192.0.2.1");
	dns_put_record(&msg, "edge7.other.example", A, 60, "192.0.2.2");
	send_message(true);
	cr_assert_eq(classes_at(&device, "192.0.2.1"), SERVICE);
	cr_assert_eq(classes_at(&device, "192.0.2.2"), SERVICE);
	cr_assert_eq(classes_at(&other, "192.0.2.1"), 0);
	cr_assert_eq(learner_read(l).n_answers, 1);
}

/* Whoever answers for evil.example owns every octet of this message but the question. */
Test(classify_learner, no_answer_binds_a_name_that_was_not_asked_for)
{
	ask(9, "evil.example");
	dns_begin(&msg, 9, DNS_FLAGS_RESPONSE, "evil.example", A);
	dns_put_record(&msg, "@", CNAME, 60, "service.example");
	dns_put_record(&msg, "service.example", CNAME, 60, "x.cdn.example");
	dns_put_record(&msg, "x.cdn.example", A, 60, "203.0.113.66");
	dns_put_record(&msg, "service.example", A, 60, "203.0.113.66");
	send_message(true);
	cr_assert_eq(names_n(learner_names(l)), 0);
	/* A name of interest that has an alias: only what was asked for is bound. */
	ask(10, "a.cdn.example");
	dns_begin(&msg, 10, DNS_FLAGS_RESPONSE, "a.cdn.example", A);
	dns_put_record(&msg, "@", CNAME, 60, "service.example");
	dns_put_record(&msg, "service.example", A, 60, "203.0.113.66");
	send_message(true);
	cr_assert_eq(classes_at(&device, "203.0.113.66"), WILDCARDS);
}

Test(classify_learner, only_an_answer_to_an_open_query_counts)
{
	static const struct {
		const char *claim;
		const char *asked; /* NULL: nothing */
		const char *answered;
		uint16_t id;
		struct names_device device;
		uint64_t flow;
		uint64_t later_us;
		bool is_downlink;
		bool is_learned;
	} rows[] = {
		{"the answer", "service.example", "service.example", 9, {1, 5}, FLOW, 0, true,
			true},
		{"nothing asked", NULL, "service.example", 9, {1, 5}, FLOW, 0, true, false},
		{"another name asked", "a.cdn.example", "service.example", 9, {1, 5}, FLOW, 0, true,
			false},
		{"another id", "service.example", "service.example", 8, {1, 5}, FLOW, 0, true,
			false},
		{"another device", "service.example", "service.example", 9, {2, 5}, FLOW, 0, true,
			false},
		{"another resolver or port, which is another flow", "service.example",
			"service.example", 9, {1, 5}, FLOW + 1, 0, true, false},
		{"too late", "service.example", "service.example", 9, {1, 5}, FLOW, 60 * US_PER_S,
			true, false},
		{"a device that answers itself", "service.example", "service.example", 9, {1, 5},
			FLOW, 0, false, false},
		{"a name of no interest", "www.example", "www.example", 9, {1, 5}, FLOW, 0, true,
			false},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct learner_packet p;

		end();
		begin();
		if (rows[i].asked != NULL)
			ask(9, rows[i].asked);
		dns_begin(&msg, rows[i].id, DNS_FLAGS_RESPONSE, rows[i].answered, A);
		dns_put_record(&msg, "@", A, 60, "192.0.2.1");
		p = packet_of(msg.octets, msg.len, rows[i].is_downlink);
		p.device = rows[i].device;
		p.flow = rows[i].flow;
		learner_take_dns(l, set, &p, START + rows[i].later_us);
		cr_assert_eq(names_n(learner_names(l)), rows[i].is_learned, "%s", rows[i].claim);
	}
}

Test(classify_learner, a_second_answer_comes_too_late)
{
	ask(9, "service.example");
	dns_begin(&msg, 9, DNS_FLAGS_RESPONSE | 3, "service.example", A);
	send_message(true);
	cr_assert_eq(learner_read(l).n_unread, 1);
	dns_begin(&msg, 9, DNS_FLAGS_RESPONSE, "service.example", A);
	dns_put_record(&msg, "@", A, 60, "203.0.113.66");
	send_message(true);
	cr_assert_eq(names_n(learner_names(l)), 0, "the device has its answer already");
	cr_assert_eq(learner_read(l).n_unasked, 1);
}

/* Two messages with their lengths in front, in pieces of every size, some of them twice or in the wrong order. */
Test(classify_learner, reads_dns_over_tcp_however_it_is_cut)
{
	for (uint32_t size = 1; size < 120; size++) {
		static uint8_t stream[256];
		uint32_t len = 0;

		for (uint16_t id = 1; id <= 2; id++) {
			struct learner_packet p;

			dns_begin(&msg, id, DNS_FLAGS_QUERY, "service.example", A);
			memmove(msg.octets + 2, msg.octets, msg.len);
			store_be16(msg.octets, (uint16_t)msg.len);
			p = packet_of(msg.octets, msg.len + 2, false);
			p.is_tcp = true;
			p.seq = 1000;
			learner_take_dns(l, set, &p, START);
			dns_begin(&msg, id, DNS_FLAGS_RESPONSE, "service.example", A);
			dns_put_record(&msg, "@", A, 60, id == 1 ? "192.0.2.1" : "192.0.2.2");
			store_be16(stream + len, (uint16_t)msg.len);
			memcpy(stream + len + 2, msg.octets, msg.len);
			len += 2 + msg.len;
		}
		for (uint32_t at = 0; at < len; at += size) {
			uint32_t n = len - at < size ? len - at : size;
			struct learner_packet p = packet_of(stream + at, n, true);

			p.is_tcp = true;
			p.seq = UINT32_MAX - 20 + at;
			learner_take_dns(l, set, &p, START);
			if (size % 3 == 0)
				learner_take_dns(l, set, &p, START);
		}
		if ((len / 2 / size + 1) * (size % 3 == 0 ? 2 : 1) < STREAM_SEGMENTS_MAX) {
			cr_assert_eq(
				classes_at(&device, "192.0.2.1"), SERVICE, "pieces of %u", size);
			cr_assert_eq(
				classes_at(&device, "192.0.2.2"), SERVICE, "pieces of %u", size);
		}
		end();
		begin();
	}
}

Test(classify_learner, finds_the_name_in_hellos_over_tcp_and_quic)
{
	static struct hello_builder hello;
	static struct hello_builder records;
	static uint8_t datagram[2000];
	static uint8_t frames[1200] = {6, 0};
	struct learner_packet p;
	struct dns_name name;
	struct dns_name wanted;
	uint8_t header[32];
	uint32_t header_bytes;

	cr_assert_eq(dns_name_parse("service.example", 15, &wanted), 0);
	hello_begin(&hello);
	hello_put_name(&hello, "service.example");
	hello_put_padding(&hello, 21, 700);
	hello_end(&hello);
	hello_put_records(&records, &hello, 400);
	p = packet_of(records.octets, 500, false);
	p.is_tcp = true;
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_MORE);
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_MORE, "the same again");
	p = packet_of(records.octets + 500, records.len - 500, false);
	p.is_tcp = true;
	p.seq = 500;
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_NAME);
	cr_assert(dns_name_equal(&name, &wanted));
	store_be16(frames + 2, (uint16_t)(0x4000 | hello.len));
	memcpy(frames + 4, hello.octets, hello.len);
	header_bytes = quic_rfc_header(0, sizeof(frames), 0, header);
	p = packet_of(datagram,
		quic_seal(
			&quic_rfc_keys[0], header, header_bytes, frames, sizeof(frames), datagram),
		false);
	memset(&name, 0, sizeof(name));
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_NAME);
	cr_assert(dns_name_equal(&name, &wanted));
	p = packet_of((const uint8_t *)"GET / HTTP/1.1\r\n", 16, false);
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_NONE, "UDP, and no QUIC");
	p.is_tcp = true;
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_NONE, "TCP, and no TLS");
	p.is_downlink = true;
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_MORE,
		"the server's side says nothing");
	cr_assert_eq(learner_read(l).n_hellos, 2);
}

Test(classify_learner, forgets_in_time)
{
	static struct hello_builder hello;
	static struct hello_builder records;
	struct learner_packet p;
	struct dns_name name;

	ask(9, "service.example");
	dns_begin(&msg, 9, DNS_FLAGS_RESPONSE, "service.example", A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.1");
	send_message(true);
	hello_begin(&hello);
	hello_end(&hello);
	hello_put_records(&records, &hello, 1000);
	p = packet_of(records.octets, 20, false);
	p.is_tcp = true;
	cr_assert_eq(learner_take_hello(l, &p, START, &name), TLS_HELLO_MORE);
	learner_expire(l, START + 3661 * US_PER_S);
	cr_assert_eq(names_n(learner_names(l)), 0);
	p = packet_of(records.octets + 20, records.len - 20, false);
	p.is_tcp = true;
	p.seq = 20;
	cr_assert_eq(
		learner_take_hello(l, &p, START, &name), TLS_HELLO_NONE, "its begin is forgotten");
}

static char heard[8][DNS_NAME_TEXT_MAX];
static uint32_t n_heard;

static void hear(void *arg, const struct names_device *d, const struct dns_name *name,
	const struct dns_answer *answer)
{
	cr_assert_eq(arg, &n_heard);
	cr_assert_eq(d->id, device.id);
	cr_assert_geq(answer->n_addresses, 1);
	cr_assert_lt(n_heard, N(heard));
	(void)dns_name_format(name, heard[n_heard++]);
}

static void answer_with(uint16_t id, const char *name)
{
	dns_begin(&msg, id, DNS_FLAGS_RESPONSE, name, A);
	dns_put_record(&msg, "@", A, 60, "192.0.2.7");
	send_message(true);
}

Test(classify_learner, who_listens_hears_of_every_name_that_was_asked_for_and_answered)
{
	learner_set_listener(l, hear, &n_heard);
	ask(1, "Service.example");
	ask(2, "other.example");
	answer_with(3, "third.example");
	answer_with(2, "third.example");
	answer_with(1, "service.example");
	answer_with(2, "other.example");
	answer_with(2, "other.example");
	cr_assert_eq(n_heard, 2);
	cr_expect_str_eq(heard[0], "service.example");
	cr_expect_str_eq(heard[1], "other.example");
	cr_expect_eq(names_n(learner_names(l)), 1, "only the name of interest proves anything");
	cr_expect_eq(learner_read(l).n_answers, 1);
	cr_expect_eq(learner_read(l).n_unasked, 0);
}

/* 8 places hold the queries of one device for names of interest. */
Test(classify_learner, other_names_take_no_place_from_those_of_interest)
{
	char name[32];

	learner_set_listener(l, hear, &n_heard);
	ask(1, "service.example");
	for (uint16_t i = 2; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ask(i, name);
	}
	answer_with(1, "service.example");
	cr_expect_eq(classes_at(&device, "192.0.2.7"), SERVICE);
	cr_expect_eq(n_heard, 1);
}

Test(classify_learner, without_names_of_interest_there_is_still_something_to_hear)
{
	struct name_set *saved = set;

	set = NULL;
	ask(1, "service.example");
	answer_with(1, "service.example");
	cr_expect_eq(n_heard, 0, "nobody listens");
	learner_set_listener(l, hear, &n_heard);
	ask(2, "service.example");
	answer_with(2, "service.example");
	cr_expect_eq(n_heard, 1);
	learner_set_listener(l, NULL, NULL);
	ask(3, "service.example");
	answer_with(3, "service.example");
	cr_expect_eq(n_heard, 1);
	set = saved;
}
