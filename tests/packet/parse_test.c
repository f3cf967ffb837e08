/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <weir/base/rng.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

#include <criterion/criterion.h>

#define N_ROWS(table) (sizeof(table) / sizeof((table)[0]))

enum patch_base {
	NOWHERE,
	FRAME,
	IP,
	L4
};

/* A good packet and what is done to it. */
struct row {
	const char *claim;
	struct packet_spec spec;
	enum patch_base base; /* where a 16-bit field is overwritten, … */
	uint32_t off;
	uint16_t value;
	bool bad_checksum;  /* … with the IP header's checksum left as it was */
	uint32_t cut_bytes; /* octets cut off the end of the frame */
	enum drop_reason why;
};

static struct packet build_row(const struct row *row)
{
	struct packet p = packet_build(&row->spec);
	struct packet cut;

	if (row->base != NOWHERE) {
		uint32_t base_off = row->base == FRAME ? 0 : row->base == IP ? p.l3_off : p.l4_off;

		store_be16(p.bytes + base_off + row->off, row->value);
		if (!row->bad_checksum)
			packet_fix_ip_checksum(&p);
	}
	cut = packet_cut(&p, p.len_bytes - row->cut_bytes);
	packet_clean(&p);
	return cut;
}

static void check_rows(const struct row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		struct packet p = build_row(&rows[i]);
		struct pkt_meta m;
		struct parse_result got =
			parse_frame(p.bytes, p.len_bytes, rows[i].spec.framing, &m);

		cr_assert_eq(got.why, rows[i].why, "%s: %s instead of %s", rows[i].claim,
			drop_name(got.why), drop_name(rows[i].why));
		packet_clean(&p);
	}
}

static struct pkt_meta parse_good(const struct packet_spec *spec)
{
	struct packet p = packet_build(spec);
	struct pkt_meta m;
	struct parse_result got;

	memset(&m, 0xaa, sizeof(m));
	got = parse_frame(p.bytes, p.len_bytes, spec->framing, &m);
	cr_assert_eq(got.why, DROP_NONE, "%s", drop_name(got.why));
	cr_assert_eq(got.kind, PARSE_IPV4);
	cr_assert_eq(m.l3_off, p.l3_off);
	cr_assert_eq(m.ip_octets, packet_ip_octets(&p));
	packet_clean(&p);
	return m;
}

Test(packet_parse, link_layer_drops_have_their_reason)
{
	static const struct row rows[] = {
		{"a frame of 13 octets", {.payload_bytes = 0}, .cut_bytes = 29,
			.why = DROP_PARSE_SHORT_FRAME},
		{"an empty raw-IP packet", {.framing = FRAMING_RAW_IP}, .cut_bytes = 28,
			.why = DROP_PARSE_SHORT_FRAME},
		{"a frame that ends in its first tag", {.n_vlans = 1, .vlans = {5}},
			.cut_bytes = 29, .why = DROP_PARSE_SHORT_FRAME},
		{"a frame that ends in its second tag", {.n_vlans = 2, .vlans = {5, 6}},
			.cut_bytes = 29, .why = DROP_PARSE_SHORT_FRAME},
		{"three tags", {.n_vlans = 3, .vlans = {5, 6, 7}}, .why = DROP_PARSE_VLAN_DEPTH},
		{"three priority tags", {.n_vlans = 3}, .why = DROP_PARSE_VLAN_DEPTH},
		{"IPv6", {.ethertype = 0x86dd}, .why = DROP_PARSE_IPV6},
		{"IPv6 in a VLAN", {.ethertype = 0x86dd, .n_vlans = 1}, .why = DROP_PARSE_IPV6},
		{"raw IPv6", {.framing = FRAMING_RAW_IP}, IP, 0, 0x6000, .why = DROP_PARSE_IPV6},
		{"PPPoE", {.ethertype = 0x8864}, .why = DROP_PARSE_ETHERTYPE},
		{"an 802.3 length", {.ethertype = 0x0026}, .why = DROP_PARSE_ETHERTYPE},
	};

	check_rows(rows, N_ROWS(rows));
}

Test(packet_parse, ipv4_header_drops_have_their_reason)
{
	static const struct row rows[] = {
		{"IPv4's ethertype before version 6", {0}, IP, 0, 0x6500,
			.why = DROP_PARSE_BAD_VERSION},
		{"version 5, raw", {.framing = FRAMING_RAW_IP}, IP, 0, 0x5500,
			.why = DROP_PARSE_BAD_VERSION},
		{"version 0, raw", {.framing = FRAMING_RAW_IP}, IP, 0, 0x0000,
			.why = DROP_PARSE_BAD_VERSION},
		{"a header of 16 octets", {0}, IP, 0, 0x4400, .why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"a header of 0 octets", {0}, IP, 0, 0x4000, .why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"options beyond the frame", {0}, IP, 0, 0x4f00,
			.why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"19 octets", {0}, .cut_bytes = 9, .why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"1 octet", {0}, .cut_bytes = 27, .why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"nothing behind Ethernet", {0}, .cut_bytes = 28,
			.why = DROP_PARSE_BAD_HEADER_LENGTH},
		{"a total length of 19", {0}, IP, 2, 19, .why = DROP_PARSE_BAD_TOTAL_LENGTH},
		{"a total length of 0", {0}, IP, 2, 0, .why = DROP_PARSE_BAD_TOTAL_LENGTH},
		{"a total length beyond the frame", {0}, IP, 2, 29,
			.why = DROP_PARSE_BAD_TOTAL_LENGTH},
		{"a frame shorter than its packet", {.payload_bytes = 10}, .cut_bytes = 1,
			.why = DROP_PARSE_BAD_TOTAL_LENGTH},
		{"a header with a bit flipped", {0}, IP, 4, 1, .bad_checksum = true,
			.why = DROP_PARSE_BAD_CHECKSUM},
	};

	check_rows(rows, N_ROWS(rows));
}

Test(packet_parse, ipv4_option_drops_have_their_reason)
{
#define OPTIONS(...) .ip_options = (const uint8_t[]){__VA_ARGS__}, .ip_options_bytes = 8
	const struct row rows[] = {
		{"record route is fine", {OPTIONS(7, 7, 4, 0, 0, 0, 0, 0)}, .why = DROP_NONE},
		{"router alert is fine", {OPTIONS(0x94, 4, 0, 0, 1, 1, 1, 0)}, .why = DROP_NONE},
		{"NOPs to the end are fine", {OPTIONS(1, 1, 1, 1, 1, 1, 1, 1)}, .why = DROP_NONE},
		{"anything behind the end of options is", {OPTIONS(0, 131, 255, 3, 137, 1, 1, 1)},
			.why = DROP_NONE},
		{"loose source routing", {OPTIONS(131, 7, 4, 1, 2, 3, 4, 0)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"strict source routing", {OPTIONS(1, 137, 7, 4, 1, 2, 3, 4)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"an option of length 0", {OPTIONS(7, 0, 4, 0, 0, 0, 0, 0)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"an option of length 1", {OPTIONS(7, 1, 4, 0, 0, 0, 0, 0)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"an option beyond the header", {OPTIONS(1, 7, 8, 4, 0, 0, 0, 0)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"an option without its length", {OPTIONS(1, 1, 1, 1, 1, 1, 1, 7)},
			.why = DROP_PARSE_BAD_OPTIONS},
		{"an octet of the options changed, checksum too", {OPTIONS(1, 1, 1, 1, 1, 1, 1, 0)},
			IP, 20, 0x0101, .why = DROP_NONE},
		{"an octet of the options changed", {OPTIONS(1, 1, 1, 1, 1, 1, 1, 0)}, IP, 26,
			0x0000, .bad_checksum = true, .why = DROP_PARSE_BAD_CHECKSUM},
		{"a total length below header and options", {OPTIONS(1, 1, 1, 1, 1, 1, 1, 0)}, IP,
			2, 24, .why = DROP_PARSE_BAD_TOTAL_LENGTH},
	};
#undef OPTIONS

	check_rows(rows, N_ROWS(rows));
}

Test(packet_parse, transport_drops_have_their_reason)
{
	static const struct row rows[] = {
		{"TCP of 19 octets", {.proto = PROTO_TCP}, IP, 2, 39,
			.why = DROP_PARSE_TRUNCATED_L4},
		{"UDP of 7 octets", {0}, IP, 2, 27, .why = DROP_PARSE_TRUNCATED_L4},
		{"UDP of 0 octets", {0}, IP, 2, 20, .why = DROP_PARSE_TRUNCATED_L4},
		{"ICMP of 7 octets", {.proto = PROTO_ICMP, .icmp_type = 8}, IP, 2, 27,
			.why = DROP_PARSE_TRUNCATED_L4},
		{"UDP length 7", {.payload_bytes = 4}, L4, 4, 7, .why = DROP_PARSE_BAD_L4_LENGTH},
		{"UDP length 0", {.payload_bytes = 4}, L4, 4, 0, .why = DROP_PARSE_BAD_L4_LENGTH},
		{"UDP length one too long", {.payload_bytes = 4}, L4, 4, 13,
			.why = DROP_PARSE_BAD_L4_LENGTH},
		{"UDP length into the padding", {.payload_bytes = 4, .padding_bytes = 9}, L4, 4, 13,
			.why = DROP_PARSE_BAD_L4_LENGTH},
		{"UDP shorter than what IP carries is fine", {.payload_bytes = 4}, L4, 4, 10,
			.why = DROP_NONE},
		{"a TCP header of 16 octets", {.proto = PROTO_TCP}, L4, 12, 0x4010,
			.why = DROP_PARSE_BAD_L4_LENGTH},
		{"TCP options beyond the packet", {.proto = PROTO_TCP}, L4, 12, 0x6010,
			.why = DROP_PARSE_BAD_L4_LENGTH},
		{"TCP options that are all there are fine",
			{.proto = PROTO_TCP, .payload_bytes = 4}, L4, 12, 0x6010, .why = DROP_NONE},
	};

	check_rows(rows, N_ROWS(rows));
}

Test(packet_parse, fragment_drops_have_their_reason)
{
	static const struct row rows[] = {
		{"a first fragment with half a TCP header (RFC 1858)",
			{.proto = PROTO_TCP, .mf = true, .payload_bytes = 4}, IP, 2, 36,
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a first fragment with half of TCP's options",
			{.proto = PROTO_TCP, .mf = true, .payload_bytes = 4}, L4, 12, 0x8010,
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a first fragment whose UDP length is 7", {.mf = true, .payload_bytes = 8}, L4, 4,
			7, .why = DROP_PARSE_BAD_FRAGMENT},
		{"a first fragment whose UDP goes on is fine", {.mf = true, .payload_bytes = 8}, L4,
			4, 3000, .why = DROP_NONE},
		{"a first fragment of ICMP with its header is fine",
			{.proto = PROTO_ICMP, .icmp_type = 8, .mf = true, .payload_bytes = 8},
			.why = DROP_NONE},
		{"an empty first fragment", {.mf = true, .payload_bytes = 8}, IP, 2, 20,
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"an empty last fragment", {.fragment_offset = 800, .payload_bytes = 8}, IP, 2, 20,
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a middle fragment of 12 octets",
			{.fragment_offset = 800, .mf = true, .payload_bytes = 12},
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a last fragment of 12 octets is fine",
			{.fragment_offset = 800, .payload_bytes = 12}, .why = DROP_NONE},
		{"a datagram of 65535 octets is fine",
			{.fragment_offset = 65504, .payload_bytes = 11}, .why = DROP_NONE},
		{"a datagram of 65536 octets (ping of death)",
			{.fragment_offset = 65504, .payload_bytes = 12},
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a later fragment inside the TCP header (RFC 3128)",
			{.proto = PROTO_TCP, .fragment_offset = 8, .payload_bytes = 16},
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a later fragment over its last octets",
			{.proto = PROTO_TCP, .fragment_offset = 16, .payload_bytes = 16},
			.why = DROP_PARSE_BAD_FRAGMENT},
		{"a later fragment behind it is fine",
			{.proto = PROTO_TCP, .fragment_offset = 24, .payload_bytes = 16},
			.why = DROP_NONE},
		{"a fragmented SYN with FIN",
			{.proto = PROTO_TCP,
				.mf = true,
				.tcp_flags = TCP_SYN | TCP_FIN,
				.payload_bytes = 4},
			.why = DROP_PARSE_BAD_TCP_FLAGS},
	};

	check_rows(rows, N_ROWS(rows));
}

Test(packet_parse, drops_the_tcp_flags_that_no_stack_sends_and_no_others)
{
	for (uint32_t flags = 0; flags < 256; flags++) {
		struct packet p = packet_build(&(struct packet_spec){.proto = PROTO_TCP});
		bool syn = (flags & TCP_SYN) != 0;
		bool expected = (flags & 0x3f) == 0 || (syn && (flags & TCP_FIN) != 0)
				|| (syn && (flags & TCP_RST) != 0);
		struct pkt_meta m;
		struct parse_result got;

		packet_l4(&p)[13] = (uint8_t)flags;
		got = parse_frame(p.bytes, p.len_bytes, FRAMING_ETHERNET, &m);
		cr_assert_eq(
			got.why, expected ? DROP_PARSE_BAD_TCP_FLAGS : DROP_NONE, "%02x", flags);
		cr_assert_eq((m.flags & PKT_TCP_SYN) != 0, syn);
		cr_assert_eq(m.tcp_flags, flags);
		packet_clean(&p);
	}
}

Test(packet_parse, fills_the_metadata_of_tcp)
{
	static const uint8_t mss[] = {2, 4, 5, 0xb4};
	struct pkt_meta m = parse_good(&(struct packet_spec){.proto = PROTO_TCP,
		.src_be = V4(192, 0, 2, 1),
		.dst_be = V4(203, 0, 113, 2),
		.src_port = 0xfedc,
		.dst_port = 8883,
		.tcp_flags = TCP_SYN,
		.tcp_options = mss,
		.tcp_options_bytes = sizeof(mss),
		.df = true});

	cr_assert(ip_addr_is_v4(&m.src));
	cr_assert_eq(m.src.words[3], V4(192, 0, 2, 1));
	cr_assert(ip_addr_is_v4(&m.dst));
	cr_assert_eq(m.dst.words[3], V4(203, 0, 113, 2));
	cr_assert_eq(m.src_port, 0xfedc);
	cr_assert_eq(m.dst_port, 8883);
	cr_assert_eq(m.proto, PROTO_TCP);
	cr_assert_eq(m.tcp_flags, TCP_SYN);
	cr_assert_eq(m.flags, PKT_TCP_SYN);
	cr_assert_eq(m.l4_off, 34);
	cr_assert_eq(m.icmp_type, 0);
	cr_assert_eq(m.vlan, 0);
	cr_assert_eq(m.flow_id, FLOW_NONE);
}

Test(packet_parse, leaves_nothing_of_what_was_there)
{
	struct pkt_meta m = parse_good(&(struct packet_spec){0});

	cr_assert_eq(m.rx_us, 0);
	cr_assert_eq(m.hash, 0);
	cr_assert_eq(m.direction, 0);
	cr_assert_eq(m.icmp_type, 0);
	cr_assert_eq(m.in_port, PORT_NONE);
	cr_assert_eq(m.out_port, PORT_NONE);
	cr_assert_eq(m.device_id, DEVICE_NONE);
}

Test(packet_parse, counts_no_padding_as_octets)
{
	struct pkt_meta m = parse_good(&(struct packet_spec){.padding_bytes = 18});

	cr_assert_eq(m.ip_octets, 28);
}

Test(packet_parse, finds_l4_behind_options)
{
	static const uint8_t alert[] = {0x94, 4, 0, 0};
	struct pkt_meta m = parse_good(&(struct packet_spec){
		.ip_options = alert, .ip_options_bytes = sizeof(alert), .dst_port = 53});

	cr_assert_eq(m.flags, PKT_OPTIONS);
	cr_assert_eq(m.l4_off, 38);
	cr_assert_eq(m.dst_port, 53);
	cr_assert_eq(m.tcp_flags, 0);
}

struct vlan_row {
	const char *claim;
	struct packet_spec spec;
	uint16_t vlan;
};

Test(packet_parse, takes_the_outermost_vlan_that_is_one)
{
	static const struct vlan_row rows[] = {
		{"no tag", {0}, 0},
		{"one tag", {.n_vlans = 1, .vlans = {7}}, 7},
		{"its priority is no part of it", {.n_vlans = 1, .vlans = {0xf007}}, 7},
		{"a service tag", {.n_vlans = 1, .vlans = {9}, .is_service_tag = true}, 9},
		{"two tags", {.n_vlans = 2, .vlans = {100, 7}, .is_service_tag = true}, 100},
		{"a priority tag", {.n_vlans = 1, .vlans = {0xe000}}, 0},
		{"a priority tag before a VLAN", {.n_vlans = 2, .vlans = {0xe000, 7}}, 7},
	};

	for (uint32_t i = 0; i < N_ROWS(rows); i++)
		cr_assert_eq(parse_good(&rows[i].spec).vlan, rows[i].vlan, "%s", rows[i].claim);
}

Test(packet_parse, raw_ip_has_no_link_header_and_no_vlan)
{
	struct pkt_meta m = parse_good(&(struct packet_spec){.framing = FRAMING_RAW_IP});

	cr_assert_eq(m.l3_off, 0);
	cr_assert_eq(m.l4_off, 20);
	cr_assert_eq(m.vlan, 0);
}

Test(packet_parse, hands_arp_on_with_its_place)
{
	struct mac_addr mac = {{2, 0, 0, 0, 0, 9}};
	struct packet p = packet_of_arp(&mac,
		&(struct arp_message){ARP_REQUEST, mac, mac, V4(10, 0, 0, 1), V4(10, 0, 0, 2)});
	struct pkt_meta m;
	struct parse_result got = parse_frame(p.bytes, p.len_bytes, FRAMING_ETHERNET, &m);

	cr_assert_eq(got.why, DROP_NONE);
	cr_assert_eq(got.kind, PARSE_ARP);
	cr_assert_eq(m.l3_off, 14);
	packet_clean(&p);
}

struct icmp_row {
	uint8_t type;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t flags;
};

Test(packet_parse, icmp_queries_go_by_identifier_and_errors_are_marked)
{
	static const struct icmp_row rows[] = {
		{ICMP_ECHO_REQUEST, 0x1234, 0, 0},
		{ICMP_ECHO_REPLY, 0, 0x1234, 0},
		{ICMP_TIMESTAMP_REQUEST, 0x1234, 0, 0},
		{ICMP_TIMESTAMP_REPLY, 0, 0x1234, 0},
		{ICMP_UNREACHABLE, 0, 0, PKT_ICMP_ERROR},
		{ICMP_SOURCE_QUENCH, 0, 0, PKT_ICMP_ERROR},
		{ICMP_TIME_EXCEEDED, 0, 0, PKT_ICMP_ERROR},
		{ICMP_PARAMETER_PROBLEM, 0, 0, PKT_ICMP_ERROR},
		{ICMP_REDIRECT, 0, 0, 0},
		{9, 0, 0, 0},
		{255, 0, 0, 0},
	};

	for (uint32_t i = 0; i < N_ROWS(rows); i++) {
		struct pkt_meta m = parse_good(&(struct packet_spec){
			.proto = PROTO_ICMP, .icmp_type = rows[i].type, .icmp_id = 0x1234});

		cr_assert_eq(m.src_port, rows[i].src_port, "type %u", rows[i].type);
		cr_assert_eq(m.dst_port, rows[i].dst_port, "type %u", rows[i].type);
		cr_assert_eq(m.flags, rows[i].flags, "type %u", rows[i].type);
		cr_assert_eq(m.icmp_type, rows[i].type);
	}
}

Test(packet_parse, other_protocols_pass_without_ports)
{
	static const uint8_t protos[] = {0, 2, 41, 47, 50, 51, 132, 255};

	for (uint32_t i = 1; i < N_ROWS(protos); i++) {
		for (uint32_t len = 0; len < 9; len += 8) {
			struct pkt_meta m = parse_good(
				&(struct packet_spec){.proto = protos[i], .payload_bytes = len});

			cr_assert_eq(m.proto, protos[i]);
			cr_assert_eq(m.src_port, 0);
			cr_assert_eq(m.dst_port, 0);
			cr_assert_eq(m.l4_off, 34);
		}
	}
}

Test(packet_parse, a_first_fragment_shows_its_ports_and_a_later_one_has_none)
{
	struct pkt_meta first =
		parse_good(&(struct packet_spec){.mf = true, .dst_port = 53, .payload_bytes = 8});
	struct pkt_meta later = parse_good(
		&(struct packet_spec){.mf = true, .fragment_offset = 16, .payload_bytes = 8});

	cr_assert_eq(first.flags, PKT_FRAGMENT_FIRST);
	cr_assert_eq(first.dst_port, 53);
	cr_assert_eq(first.l4_off, 34);
	cr_assert_eq(later.flags, PKT_FRAGMENT_LATER);
	cr_assert_eq(later.src_port, 0);
	cr_assert_eq(later.dst_port, 0);
	cr_assert_eq(later.l4_off, 0);
	cr_assert_eq(later.tcp_flags, 0);
	cr_assert_eq(later.icmp_type, 0);
}

Test(packet_parse, no_frame_cut_short_is_taken_for_a_whole_one)
{
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, 47};
	static const uint8_t options[] = {1, 1, 1, 0};

	for (uint32_t i = 0; i < N_ROWS(protos); i++) {
		struct packet p = packet_build(&(struct packet_spec){.proto = protos[i],
			.n_vlans = 1,
			.vlans = {5},
			.ip_options = options,
			.ip_options_bytes = i % 2 != 0 ? sizeof(options) : 0,
			.payload_bytes = 5});

		for (uint32_t len = 0; len < p.len_bytes; len++) {
			struct packet cut = packet_cut(&p, len);
			struct pkt_meta m;

			cr_assert_neq(
				parse_frame(cut.bytes, len, FRAMING_ETHERNET, &m).why, DROP_NONE);
			packet_clean(&cut);
		}
		packet_clean(&p);
	}
}

struct address_row {
	const char *claim;
	uint32_t src_be;
	uint32_t dst_be;
	enum drop_reason why;
};

#define HOST V4(192, 168, 50, 10)
#define PEER V4(198, 51, 100, 7)

Test(packet_parse, addresses_that_no_unicast_packet_may_carry_are_found)
{
	const struct address_row rows[] = {
		{"plain", HOST, PEER, DROP_NONE},
		{"shared address space (RFC 6598)", HOST, V4(100, 64, 0, 1), DROP_NONE},
		{"the edges of unicast", V4(1, 0, 0, 0), V4(223, 255, 255, 255), DROP_NONE},
		{"beside loopback", V4(126, 255, 255, 255), V4(128, 0, 0, 0), DROP_NONE},
		{"beside link-local", V4(169, 253, 255, 255), V4(169, 255, 0, 0), DROP_NONE},
		{"from 0.0.0.0", 0, PEER, DROP_FLOW_MARTIAN_SOURCE},
		{"from net 0", V4(0, 255, 255, 255), PEER, DROP_FLOW_MARTIAN_SOURCE},
		{"from loopback", V4(127, 255, 255, 255), PEER, DROP_FLOW_MARTIAN_SOURCE},
		{"from link-local", V4(169, 254, 0, 1), PEER, DROP_FLOW_MARTIAN_SOURCE},
		{"from class E", V4(240, 0, 0, 0), PEER, DROP_FLOW_MARTIAN_SOURCE},
		{"from multicast", V4(224, 0, 0, 1), PEER, DROP_FLOW_BROADCAST_SOURCE},
		{"from the end of multicast", V4(239, 255, 255, 255), PEER,
			DROP_FLOW_BROADCAST_SOURCE},
		{"from broadcast", UINT32_MAX, PEER, DROP_FLOW_BROADCAST_SOURCE},
		{"to 0.0.0.0", HOST, 0, DROP_FLOW_MARTIAN_DESTINATION},
		{"to loopback", HOST, V4(127, 0, 0, 1), DROP_FLOW_MARTIAN_DESTINATION},
		{"to link-local", HOST, V4(169, 254, 255, 255), DROP_FLOW_MARTIAN_DESTINATION},
		{"to class E", HOST, V4(255, 255, 255, 254), DROP_FLOW_MARTIAN_DESTINATION},
		{"to multicast", HOST, V4(224, 0, 0, 251), DROP_FLOW_BROADCAST},
		{"to broadcast", HOST, UINT32_MAX, DROP_FLOW_BROADCAST},
	};

	for (uint32_t i = 0; i < N_ROWS(rows); i++) {
		struct pkt_meta m = {
			.src = ip_addr_v4(rows[i].src_be), .dst = ip_addr_v4(rows[i].dst_be)};

		cr_assert_eq(parse_check_addresses(&m), rows[i].why, "%s", rows[i].claim);
	}
}

Test(packet_parse, land_is_one_endpoint_on_both_sides)
{
	struct pkt_meta m = {
		.src = ip_addr_v4(HOST), .dst = ip_addr_v4(HOST), .src_port = 80, .dst_port = 80};

	cr_assert_eq(parse_check_addresses(&m), DROP_FLOW_LAND);
	m.dst_port = 81;
	cr_assert_eq(parse_check_addresses(&m), DROP_NONE);
}
