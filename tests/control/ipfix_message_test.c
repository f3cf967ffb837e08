/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/ipfix_message.h>
#include <weir/packet/bytes.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT_S 1700000003u

static struct ipfix_message m;

static void setup(void)
{
	memset(&m, 0xa5, sizeof(m)); /* what is not written shows */
	ipfix_begin(&m);
}

TestSuite(control_ipfix_message, .init = setup, .timeout = 30);

static struct flow_record a_record(uint8_t proto)
{
	return (struct flow_record){
		.start_us = 1000000,
		.end_us = 2500999,
		.octet_delta_count = {1200, 0x0102030405060708},
		.packet_delta_count = {12, 250},
		.internal = ip_addr_quad(192, 168, 50, 10),
		.external = ip_addr_quad(10, 64, 3, 7),
		.remote = ip_addr_quad(203, 0, 113, 80),
		.internal_port = 50123,
		.external_port = 50124,
		.remote_port = 443,
		.device_mac = {{0x02, 0, 0x5e, 0x10, 0xab, 0x01}},
		.proto = proto,
		.tcp_flags = {0x1b, 0x13},
		.end_reason = FLOW_END_DETECTED,
		.lan_port = 0,
		.wan_port = 1,
		.class_id = 3,
	};
}

static struct ipfix_flow a_flow(uint8_t proto)
{
	struct flow_record r = a_record(proto);
	struct ipfix_flow flow;

	cr_assert(ipfix_flow_encode(&flow, &r, 1700000000000000));
	return flow;
}

/* `want` is hexadecimal; blanks part what belongs together. */
static void expect_octets(const uint8_t *got, size_t n, const char *want)
{
	char text[2 * IPFIX_MESSAGE_MAX + 1] = "";
	char plain[2 * IPFIX_MESSAGE_MAX + 1] = "";
	size_t n_plain = 0;

	for (size_t i = 0; i < n; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", got[i]);
	for (; *want != '\0'; want++)
		if (*want != ' ')
			plain[n_plain++] = *want;
	cr_expect_str_eq(text, plain);
}

Test(control_ipfix_message, a_flow_with_ports_is_these_77_octets)
{
	struct ipfix_flow flow = a_flow(6);

	cr_expect_eq(flow.template_id, IPFIX_FLOW);
	cr_expect_eq(flow.n, 77);
	expect_octets(flow.octets, flow.n,
		"0000018bcfe56be8 0000018bcfe571c4" /* 1700000001000, 1700000002500 */
		"c0a8320a cb007150 0a400307"
		"00000000000004b0 0102030405060708 0000000c 000000fa"
		"0001 0002 02005e10ab01 06000003 06 03 00"
		"c3cb 01bb c3cc 1b 13");
}

Test(control_ipfix_message, a_flow_without_ports_ends_before_them)
{
	struct ipfix_flow flow = a_flow(1);

	cr_expect_eq(flow.template_id, IPFIX_FLOW_WITHOUT_PORTS);
	cr_expect_eq(flow.n, 69);
	expect_octets(flow.octets + 56, 13, "02005e10ab01 06000003 01 03 00");
}

Test(control_ipfix_message, a_flow_that_goes_on_says_active_timeout)
{
	struct flow_record r = a_record(17);
	struct ipfix_flow flow;

	r.end_reason = FLOW_END_NONE;
	cr_assert(ipfix_flow_encode(&flow, &r, 0));
	cr_expect_eq(flow.octets[67], FLOW_END_ACTIVE_TIMEOUT);
}

Test(control_ipfix_message, a_flow_of_another_family_is_refused)
{
	struct flow_record r = a_record(6);
	struct ipfix_flow flow;

	r.remote = (struct ip_addr){.bytes = {0x20, 0x01, 0x0d, 0xb8}};
	cr_expect_not(ipfix_flow_encode(&flow, &r, 0));
}

/* RFC 7011 section 3.1: version 10, length, export time, sequence number, domain; 3.3.2: set id and length. */
Test(control_ipfix_message, a_message_has_the_header_of_rfc_7011_and_closes_its_sets)
{
	struct ipfix_flow flow = a_flow(6);
	struct ipfix_flow ping = a_flow(1);

	cr_assert(ipfix_add_flow(&m, &flow));
	cr_assert(ipfix_add_flow(&m, &flow));
	cr_assert(ipfix_add_flow(&m, &ping));
	ipfix_finish(&m, EXPORT_S, 0x01020304, 42);
	cr_expect_eq(m.n_records, 3);
	cr_assert_eq(m.n, 16 + 4 + 2 * 77 + 4 + 69);
	expect_octets(m.octets, 20, "000a 00f7 6553f103 01020304 0000002a 0100 009e");
	expect_octets(m.octets + 20 + 2 * 77, 4, "0101 0049");
}

/* RFC 7011 appendix A.2: a template record is its id, its count of fields, and for each field id and length; RFC 5103 section 6.1:
 * that of a reverse element has the enterprise bit, and 29305 behind its length. */
Test(control_ipfix_message, templates_are_these_octets)
{
	cr_assert(ipfix_add_templates(&m));
	ipfix_finish(&m, EXPORT_S, 0, 1);
	cr_expect_eq(m.n_records, 0, "templates are no data records");
	cr_assert_eq(m.n, 16 + 180 + 66);
	expect_octets(m.octets + 16, 180,
		"0002 00b4"
		"0100 0015"
		"00980008 00990008 00080004 000c0004 00e10004 00010008 80010008 00007279"
		"00020004 80020004 00007279 000a0002 000e0002 00380006 005f0004 00040001"
		"00880001 00ef0001 00070002 000b0002 00e30002 00060001 80060001 00007279"
		"0101 0010"
		"00980008 00990008 00080004 000c0004 00e10004 00010008 80010008 00007279"
		"00020004 80020004 00007279 000a0002 000e0002 00380006 005f0004 00040001"
		"00880001 00ef0001");
	/* Appendix A.4: an options template has the count of its scope's fields behind that of all. */
	expect_octets(m.octets + 16 + 180, 66,
		"0003 0042"
		"0102 0002 0001 000a0002 0052ffff"
		"0103 0002 0001 005f0004 0060ffff"
		"0104 0007 0001 00900004 00290008 00280008 002a0008 00a60008 00a70008 00a80008");
}

Test(control_ipfix_message, the_lengths_of_templates_are_those_of_records)
{
	static const uint16_t want[] = {77, 69};
	const uint8_t *at;

	cr_assert(ipfix_add_templates(&m));
	at = m.octets + 16 + 4;
	for (size_t t = 0; t < 2; t++) {
		uint16_t n_fields = load_be16(at + 2);
		uint32_t n = 0;

		for (at += 4; n_fields > 0; n_fields--) {
			n += load_be16(at + 2);
			at += (at[0] & 0x80) != 0 ? 8 : 4;
		}
		cr_expect_eq(n, want[t]);
	}
}

/* RFC 7011 section 7: one octet of length before a string shorter than 255. */
Test(control_ipfix_message, names_and_statistics_are_options_data)
{
	struct ipfix_statistics s = {.n_messages = 1,
		.n_octets = 2,
		.n_records = 3,
		.n_lost = 4,
		.lost_packets = 5,
		.lost_octets = 6};

	cr_assert(ipfix_add_interface(&m, 0, "lan0"));
	cr_assert(ipfix_add_interface(&m, 1, "wwan0"));
	cr_assert(ipfix_add_class(&m, 3, "pumps"));
	cr_assert(ipfix_add_statistics(&m, &s));
	ipfix_finish(&m, EXPORT_S, 0, 1);
	cr_expect_eq(m.n_records, 4, "options data are data records");
	expect_octets(m.octets + 16, m.n - 16,
		"0102 0013 0001 04 6c616e30 0002 05 7777616e30"
		"0103 000e 06000003 05 70756d7073"
		"0104 0038 00000001 0000000000000001 0000000000000002 0000000000000003"
		"0000000000000004 0000000000000005 0000000000000006");
}

Test(control_ipfix_message, a_long_name_is_cut)
{
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert(ipfix_add_interface(&m, 0, name));
	cr_expect_eq(m.n, 16 + 4 + 2 + 1 + IPFIX_NAME_MAX);
}

Test(control_ipfix_message, a_full_message_takes_no_more_and_stays_as_it_was)
{
	struct ipfix_flow flow = a_flow(6);
	struct ipfix_flow ping = a_flow(1);
	uint32_t n_flows = 0;
	uint32_t n;

	while (ipfix_add_flow(&m, &flow))
		n_flows++;
	n = m.n;
	cr_expect_eq(n_flows, 15);
	cr_expect_not(ipfix_add_flow(&m, &ping));
	cr_expect_eq(m.n, n);
	cr_expect_eq(m.n_records, 15);
	ipfix_finish(&m, EXPORT_S, 0, 1);
	expect_octets(m.octets + 16, 4, "0100 0487"); /* one set of 4 + 15 * 77 */
}

Test(control_ipfix_message, templates_do_not_fit_into_a_full_one)
{
	struct ipfix_flow flow = a_flow(6);

	while (ipfix_add_flow(&m, &flow))
		;
	cr_expect_not(ipfix_add_templates(&m));
}

/* Two messages behind each other, and what a power cut leaves of the second. */
Test(control_ipfix_message, what_is_whole_at_the_end_of_a_file_is_found)
{
	struct ipfix_flow flow = a_flow(6);
	uint8_t file[400];
	uint32_t one;

	cr_assert(ipfix_add_flow(&m, &flow));
	ipfix_finish(&m, EXPORT_S, 0, 7);
	one = m.n;
	memcpy(file, m.octets, one);
	memcpy(file + one, m.octets, one);
	for (uint32_t n = one; n < 2 * one; n++)
		cr_expect_eq(ipfix_whole_octets(file, n, 7), one, "%u octets", n);
	cr_expect_eq(ipfix_whole_octets(file, 2 * one, 7), 2 * one);
	/* Of the first message the file's tail may hold the end alone. */
	for (uint32_t at = 1; at < one; at++)
		cr_expect_eq(ipfix_whole_octets(file + at, 2 * one - at - 1, 7), one - at);
	cr_expect_eq(ipfix_whole_octets(file, one - 1, 7), 0);
	cr_expect_eq(ipfix_whole_octets(file, 2 * one - 1, 8), 2 * one - 1, "another's messages");
	cr_expect_eq(ipfix_whole_octets(file, 3, 7), 3);
}
