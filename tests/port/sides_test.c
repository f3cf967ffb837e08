/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/checksum.h>
#include <weir/packet/icmp_error.h>
#include <weir/port/sides.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define GATEWAY  ip_addr_quad(192, 168, 50, 1)
#define DEVICE   ip_addr_quad(192, 168, 50, 20)
#define SERVER   ip_addr_quad(203, 0, 113, 9)
#define ROUTER   ip_addr_quad(203, 0, 113, 254)
#define STRANGER ip_addr_quad(10, 9, 8, 7)

static const struct ip_addr external = {.bytes = {[10] = 0xff, 0xff, 198, 51, 100, 1}};
/* As ip_addr_quad(), for tables. */
#define QUAD(a, b, c, d)                                                                           \
	{                                                                                          \
		.bytes = { [10] = 0xff, 0xff, a, b, c, d }                                         \
	}

static const struct mac_addr lan_mac = {{2, 0, 0, 0, 0, 1}};
static const struct mac_addr device_mac = {{0x52, 0x54, 0, 1, 2, 3}};
static const struct mac_addr other_mac = {{0x52, 0x54, 0, 9, 9, 9}};

/* One packet of a capture, and the frame it became. */
struct trip {
	uint8_t packet[256];
	uint8_t frame[512];
	struct capture_packet captured;
	struct sides_route route;
	uint32_t len;
	uint8_t *ip; /* within frame */
	enum sides_verdict verdict;
};

struct asked {
	struct ip_addr internal;
	struct ip_addr remote;
	uint16_t port;
	uint16_t remote_port;
	uint8_t proto;
	bool unknown; /* answer that there is no mapping */
};

/* Every internal endpoint is mapped to its port + 10000. */
static bool find_external(void *context, const struct sides_conversation *c,
	struct ip_addr *ret_external, uint16_t *ret_external_port)
{
	struct asked *asked = context;

	asked->internal = c->internal;
	asked->remote = c->remote;
	asked->port = c->internal_port;
	asked->remote_port = c->remote_port;
	asked->proto = c->proto;
	if (asked->unknown)
		return false;
	*ret_external = external;
	*ret_external_port = (uint16_t)(c->internal_port + 10000);
	return true;
}

static struct sides_params params_of(struct asked *asked)
{
	return (struct sides_params){
		.seed = 7,
		.ports =
			{
				{SIDES_LAN, FRAMING_ETHERNET, {GATEWAY, 24}, lan_mac, 0},
				{SIDES_UPLINK, FRAMING_RAW_IP, {external, 32}, {{0}}, 0},
			},
		.external_find = find_external,
		.context = asked,
	};
}

static struct sides *sides_of(struct asked *asked)
{
	struct sides_params params = params_of(asked);
	struct sides *s;

	memset(asked, 0, sizeof(*asked));
	cr_assert_eq(sides_create(&params, &s), 0);
	return s;
}

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void write16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void finish_ip(uint8_t *ip)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = checksum_of(ip, 20);
	memcpy(ip + 10, &sum, 2);
}

static void finish_l4(uint8_t *ip, uint32_t at)
{
	uint16_t sum;

	memset(ip + at, 0, 2);
	sum = checksum_l4_v4(ip, read16(ip + 2));
	memcpy(ip + at, &sum, 2);
}

/* An IPv4 packet with 12 octets of payload; returns its length. */
static uint32_t build(uint8_t *ip, uint8_t proto, struct ip_addr src, uint16_t src_port,
	struct ip_addr dst, uint16_t dst_port)
{
	uint32_t l4 = proto == PROTO_TCP ? 20 : 8;
	uint32_t len = 20 + l4 + 12;

	memset(ip, 0, len);
	ip[0] = 0x45;
	write16(ip + 2, (uint16_t)len);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, &src.words[3], 4);
	memcpy(ip + 16, &dst.words[3], 4);
	memset(ip + 20 + l4, 0x5a, 12);
	if (proto == PROTO_ICMP) {
		ip[20] = src_port == 0 ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST;
		write16(ip + 24, src_port != 0 ? src_port : dst_port);
		finish_l4(ip, 22);
	} else {
		write16(ip + 20, src_port);
		write16(ip + 22, dst_port);
		if (proto == PROTO_TCP) {
			ip[32] = 0x50;
			ip[33] = 0x10;
			finish_l4(ip, 36);
		} else {
			write16(ip + 24, 20);
			finish_l4(ip, 26);
		}
	}
	finish_ip(ip);
	return len;
}

/* Port unreachable from `router` to `dst`, quoting a packet whole. */
static uint32_t build_error(uint8_t *ip, struct ip_addr router, struct ip_addr dst,
	const uint8_t *quote, uint32_t quote_len)
{
	uint32_t len = 28 + quote_len;

	build(ip, PROTO_ICMP, router, 0, dst, 0);
	memset(ip + 20, 0, 8);
	ip[20] = ICMP_UNREACHABLE;
	ip[21] = ICMP_CODE_PORT;
	memcpy(ip + 28, quote, quote_len);
	write16(ip + 2, (uint16_t)len);
	finish_l4(ip, 22);
	finish_ip(ip);
	return len;
}

static void enter(struct sides *s, struct trip *t, uint32_t len)
{
	t->captured.data = t->packet;
	t->captured.len_bytes = len;
	if (t->captured.wire_bytes < len)
		t->captured.wire_bytes = len;
	if (t->captured.ether_type == 0)
		t->captured.ether_type = ETHER_TYPE_IPV4;
	t->verdict = sides_route(s, &t->captured, &t->route);
	if (t->verdict == SIDES_ENTERS)
		t->verdict =
			sides_copy(s, &t->captured, &t->route, t->frame, sizeof(t->frame), &t->len);
	if (t->verdict == SIDES_ENTERS)
		sides_address(s, &t->route, t->frame, t->len);
	t->ip = t->route.port == 0 ? t->frame + 14 : t->frame;
}

static struct trip *trip_of(struct sides *s, uint8_t proto, struct ip_addr src, uint16_t src_port,
	struct ip_addr dst, uint16_t dst_port)
{
	static struct trip t;

	memset(&t, 0, sizeof(t));
	enter(s, &t, build(t.packet, proto, src, src_port, dst, dst_port));
	return &t;
}

static void expect_endpoints(const uint8_t *ip, struct ip_addr src, uint16_t src_port,
	struct ip_addr dst, uint16_t dst_port)
{
	cr_expect_eq(memcmp(ip + 12, &src.words[3], 4), 0, "source %u.%u.%u.%u", ip[12], ip[13],
		ip[14], ip[15]);
	cr_expect_eq(memcmp(ip + 16, &dst.words[3], 4), 0, "destination %u.%u.%u.%u", ip[16],
		ip[17], ip[18], ip[19]);
	if (ip[9] == PROTO_ICMP) {
		cr_expect_eq(read16(ip + 24), src_port != 0 ? src_port : dst_port, "identifier %u",
			read16(ip + 24));
	} else {
		cr_expect_eq(read16(ip + 20), src_port, "source port %u", read16(ip + 20));
		cr_expect_eq(read16(ip + 22), dst_port, "destination port %u", read16(ip + 22));
	}
}

static void expect_true_checksums(const uint8_t *ip)
{
	cr_expect_eq(checksum_of(ip, 20), 0, "IP header checksum");
	cr_expect_eq(checksum_l4_v4(ip, read16(ip + 2)), 0, "L4 checksum");
}

static void expect_address(const struct ip_addr *is, struct ip_addr wanted)
{
	char text[2][IP_ADDR_TEXT_MAX];

	cr_expect(ip_addr_equal(is, &wanted), "%s, not %s", ip_addr_format(is, text[0]),
		ip_addr_format(&wanted, text[1]));
}

static const uint8_t protocols[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};

Test(port_sides, a_lan_host_enters_its_lan_unchanged_through_the_gateways_mac)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.captured = {.has_src_mac = true,
				 .src_mac = device_mac,
				 .has_dst_mac = true,
				 .dst_mac = other_mac}};

	enter(s, &t, build(t.packet, PROTO_UDP, DEVICE, 5000, SERVER, 53));
	cr_assert_eq(t.verdict, SIDES_ENTERS);
	cr_expect_eq(t.route.port, 0);
	cr_expect_eq(t.len, 14 + t.captured.len_bytes);
	cr_expect_eq(memcmp(t.frame, &lan_mac, 6), 0);
	cr_expect_eq(memcmp(t.frame + 6, &device_mac, 6), 0);
	cr_expect_eq(read16(t.frame + 12), ETHER_TYPE_IPV4);
	cr_expect_eq(memcmp(t.ip, t.packet, t.captured.len_bytes), 0);
	sides_destroy(s);
}

Test(port_sides, a_host_without_a_captured_mac_gets_one_made_of_its_address)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip *t = trip_of(s, PROTO_UDP, DEVICE, 5000, SERVER, 53);

	cr_expect_eq(memcmp(t->frame + 6, "\x02\0\xc0\xa8\x32\x14", 6), 0);
	sides_destroy(s);
}

Test(port_sides, a_reply_enters_the_uplink_addressed_to_the_mapping)
{
	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip *t = trip_of(
			s, protocols[i], SERVER, protocols[i] == PROTO_ICMP ? 0 : 53, DEVICE, 5000);

		cr_assert_eq(t->verdict, SIDES_ENTERS);
		cr_expect_eq(t->route.port, 1);
		cr_expect(t->route.is_downlink);
		expect_address(&asked.internal, DEVICE);
		cr_expect_eq(asked.port, 5000);
		expect_address(&asked.remote, SERVER);
		cr_expect_eq(asked.remote_port, protocols[i] == PROTO_ICMP ? 0 : 53);
		cr_expect_eq(asked.proto, protocols[i]);
		expect_endpoints(
			t->ip, SERVER, protocols[i] == PROTO_ICMP ? 0 : 53, external, 15000);
		expect_true_checksums(t->ip);
		sides_destroy(s);
	}
}

Test(port_sides, without_a_mapping_a_packet_from_outside_keeps_its_port)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip *t;

	asked.unknown = true;
	t = trip_of(s, PROTO_UDP, SERVER, 53, DEVICE, 5000);
	expect_endpoints(t->ip, SERVER, 53, external, 5000);
	expect_true_checksums(t->ip);
	sides_destroy(s);
}

Test(port_sides, between_hosts_of_no_lan_the_first_speaker_is_given_an_address_of_the_lan)
{
	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct ip_addr substitute = ip_addr_quad(192, 168, 50, 254);
		bool is_icmp = protocols[i] == PROTO_ICMP;
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip *t = trip_of(s, protocols[i], STRANGER, 4000, SERVER, is_icmp ? 0 : 80);

		cr_expect_eq(t->route.port, 0);
		expect_endpoints(t->ip, substitute, 4000, SERVER, is_icmp ? 0 : 80);
		expect_true_checksums(t->ip);
		t = trip_of(s, protocols[i], SERVER, is_icmp ? 0 : 80, STRANGER, 4000);
		cr_expect_eq(t->route.port, 1);
		cr_expect(ip_addr_equal(&asked.internal, &substitute),
			"the mapping is the substitute's");
		expect_endpoints(t->ip, SERVER, is_icmp ? 0 : 80, external, 14000);
		expect_true_checksums(t->ip);
		cr_expect_eq(sides_n_hosts(s), 1);
		expect_address(&sides_host_at(s, 0)->captured, STRANGER);
		expect_address(&sides_host_at(s, 0)->entered, substitute);
		sides_destroy(s);
	}
}

/* The first packet between two hosts of no LAN, and the end that is taken for the LAN's. */
static const struct {
	const char *claim;
	struct ip_addr src;
	struct ip_addr dst;
	uint8_t proto;
	uint8_t tcp_flags;
	uint16_t src_port; /* ICMP: 0 in an echo reply */
	uint16_t dst_port;
	bool src_is_lan;
} first_packets[] = {
	{"the first speaker of two public hosts", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9),
		PROTO_UDP, 0, 5000, 6000, true},
	{"RFC 1918, though a public host speaks first", QUAD(203, 0, 113, 9), QUAD(10, 255, 0, 1),
		PROTO_UDP, 0, 5000, 6000, false},
	{"172.16/12 begins", QUAD(203, 0, 113, 9), QUAD(172, 16, 0, 1), PROTO_UDP, 0, 5000, 6000,
		false},
	{"172.16/12 ends", QUAD(203, 0, 113, 9), QUAD(172, 31, 255, 1), PROTO_UDP, 0, 5000, 6000,
		false},
	{"172.15 is public", QUAD(203, 0, 113, 9), QUAD(172, 15, 255, 1), PROTO_UDP, 0, 5000, 6000,
		true},
	{"172.32 is public", QUAD(203, 0, 113, 9), QUAD(172, 32, 0, 1), PROTO_UDP, 0, 5000, 6000,
		true},
	{"192.168/16", QUAD(203, 0, 113, 9), QUAD(192, 168, 77, 1), PROTO_UDP, 0, 5000, 6000,
		false},
	{"192.169 is public", QUAD(203, 0, 113, 9), QUAD(192, 169, 0, 1), PROTO_UDP, 0, 5000, 6000,
		true},
	{"RFC 6598 begins", QUAD(203, 0, 113, 9), QUAD(100, 64, 0, 1), PROTO_UDP, 0, 5000, 6000,
		false},
	{"RFC 6598 ends", QUAD(203, 0, 113, 9), QUAD(100, 127, 255, 1), PROTO_UDP, 0, 5000, 6000,
		false},
	{"100.63 is public", QUAD(203, 0, 113, 9), QUAD(100, 63, 255, 1), PROTO_UDP, 0, 5000, 6000,
		true},
	{"100.128 is public", QUAD(203, 0, 113, 9), QUAD(100, 128, 0, 1), PROTO_UDP, 0, 5000, 6000,
		true},
	{"RFC 3927", QUAD(203, 0, 113, 9), QUAD(169, 254, 3, 4), PROTO_UDP, 0, 5000, 6000, false},
	{"a private server's answer to a public client", QUAD(10, 9, 8, 7), QUAD(203, 0, 113, 9),
		PROTO_TCP, TCP_SYN | TCP_ACK, 80, 5000, true},
	{"of two private hosts the first speaker", QUAD(10, 9, 8, 7), QUAD(172, 16, 0, 1),
		PROTO_UDP, 0, 5000, 6000, true},
	{"of two private hosts a client of the first to be seen", QUAD(10, 9, 8, 7),
		QUAD(172, 16, 0, 1), PROTO_UDP, 0, 53, 6000, false},
	{"a SYN, also from a system port", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_TCP,
		TCP_SYN, 80, 5000, true},
	{"a SYN-ACK answers", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_TCP,
		TCP_SYN | TCP_ACK, 5000, 6000, false},
	{"an ACK does not", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_TCP, TCP_ACK, 5000,
		6000, true},
	{"TCP from a system port", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_TCP, TCP_ACK,
		443, 5000, false},
	{"UDP from a system port", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_UDP, 0, 1023,
		1024, false},
	{"to a system port", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_UDP, 0, 1024, 1023,
		true},
	{"between system ports", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_UDP, 0, 123, 123,
		true},
	{"an echo request", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_ICMP, 0, 7, 0, true},
	{"an echo reply", QUAD(198, 18, 0, 1), QUAD(203, 0, 113, 9), PROTO_ICMP, 0, 0, 7, false},
};

Test(port_sides, the_first_packet_between_hosts_of_no_lan_tells_which_is_the_lans)
{
	for (size_t i = 0; i < sizeof(first_packets) / sizeof(first_packets[0]); i++) {
		const struct ip_addr *ends[] = {&first_packets[i].src, &first_packets[i].dst};
		bool src_is_lan = first_packets[i].src_is_lan;
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip t = {.verdict = SIDES_ENTERS};
		uint32_t len = build(t.packet, first_packets[i].proto, *ends[0],
			first_packets[i].src_port, *ends[1], first_packets[i].dst_port);

		if (first_packets[i].proto == PROTO_TCP) {
			t.packet[33] = first_packets[i].tcp_flags;
			finish_l4(t.packet, 36);
		}
		enter(s, &t, len);
		cr_expect_eq(t.route.is_downlink, !src_is_lan, "%s", first_packets[i].claim);
		/* The other direction enters on the other side. */
		t = *trip_of(s, PROTO_UDP, *ends[1], 7000, *ends[0], 8000);
		cr_expect_eq(t.route.is_downlink, src_is_lan, "%s", first_packets[i].claim);
		t = *trip_of(s, PROTO_UDP, *ends[0], 7000, *ends[1], 8000);
		cr_expect_eq(t.route.is_downlink, !src_is_lan, "%s", first_packets[i].claim);
		sides_destroy(s);
	}
}

Test(port_sides, a_fragment_or_a_stump_is_judged_by_its_addresses_alone)
{
	for (int i = 0; i < 2; i++) {
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip t = {.captured = {.wire_bytes = 40}};
		uint32_t len =
			build(t.packet, PROTO_UDP, ip_addr_quad(198, 18, 0, 1), 53, SERVER, 5000);

		t.packet[6] = i == 0 ? 0x20 : 0; /* a system port's, but more fragments follow */
		finish_ip(t.packet);
		enter(s, &t, i == 0 ? len : 23); /* or the ports were cut off */
		cr_expect_not(t.route.is_downlink);
		sides_destroy(s);
	}
}

Test(port_sides, a_private_ipv6_host_is_the_lans)
{
	static const uint8_t private_heads[][2] = {{0xfd, 0}, {0xfc, 1}, {0xfe, 0x80}};

	for (size_t i = 0; i < sizeof(private_heads) / sizeof(private_heads[0]); i++) {
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip t = {.captured = {.ether_type = ETHER_TYPE_IPV6}};

		t.packet[0] = 0x60;
		t.packet[8] = 0x20;
		t.packet[8 + 15] = 1;
		memcpy(t.packet + 24, private_heads[i], 2);
		enter(s, &t, 40);
		cr_expect_eq(t.route.port, 1, "what comes from outside enters the uplink");
		sides_destroy(s);
	}
}

Test(port_sides, tells_the_conversation_of_both_directions_as_the_lan_sees_it)
{
	for (int i = 0; i < 2; i++) {
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct sides_conversation c;
		struct trip *t = i == 0 ? trip_of(s, PROTO_UDP, DEVICE, 5000, SERVER, 53)
					: trip_of(s, PROTO_UDP, SERVER, 53, DEVICE, 5000);

		cr_assert(sides_conversation_of(&t->captured, &t->route, &c));
		expect_address(&c.internal, DEVICE);
		expect_address(&c.remote, SERVER);
		cr_expect_eq(c.internal_port, 5000);
		cr_expect_eq(c.remote_port, 53);
		cr_expect_eq(c.proto, PROTO_UDP);
		t->packet[7] = 1; /* a later fragment: its ports are payload */
		cr_expect_not(sides_conversation_of(&t->captured, &t->route, &c));
		t->packet[7] = 0;
		t->packet[9] = PROTO_ICMP;
		cr_expect_not(sides_conversation_of(&t->captured, &t->route, &c));
		sides_destroy(s);
	}
}

Test(port_sides, a_host_whose_address_was_given_away_gets_another)
{
	struct ip_addr given = ip_addr_quad(192, 168, 50, 254);
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip *t;

	trip_of(s, PROTO_UDP, STRANGER, 4000, SERVER, 80);
	t = trip_of(s, PROTO_UDP, given, 4000, SERVER, 80);
	expect_endpoints(t->ip, ip_addr_quad(192, 168, 50, 253), 4000, SERVER, 80);
	t = trip_of(s, PROTO_UDP, SERVER, 80, given, 4000);
	expect_address(&asked.internal, ip_addr_quad(192, 168, 50, 253));
	sides_destroy(s);
}

Test(port_sides, an_address_seen_on_the_lan_is_never_given_away)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip *t;

	trip_of(s, PROTO_UDP, ip_addr_quad(192, 168, 50, 254), 4000, SERVER, 80);
	t = trip_of(s, PROTO_UDP, STRANGER, 4000, SERVER, 80);
	expect_endpoints(t->ip, ip_addr_quad(192, 168, 50, 253), 4000, SERVER, 80);
	sides_destroy(s);
}

Test(port_sides, a_full_lan_has_no_substitute_left)
{
	struct asked asked = {0};
	struct sides_params params = params_of(&asked);
	struct sides *s;

	params.ports[0].address.len_bits = 30; /* .1 is the gateway's, .2 is free */
	cr_assert_eq(sides_create(&params, &s), 0);
	cr_expect_eq(trip_of(s, PROTO_UDP, STRANGER, 1, SERVER, 2)->verdict, SIDES_ENTERS);
	cr_expect_eq(trip_of(s, PROTO_UDP, ip_addr_quad(10, 9, 8, 6), 1, SERVER, 2)->verdict,
		SIDES_NO_SUBSTITUTE);
	cr_expect_eq(trip_of(s, PROTO_UDP, STRANGER, 1, SERVER, 3)->verdict, SIDES_ENTERS);
	sides_destroy(s);
}

Test(port_sides, an_icmp_error_of_a_silent_router_enters_the_uplink_with_its_quote_mapped)
{
	static const struct {
		uint8_t proto;
		bool substituted;
	} cases[] = {{PROTO_UDP, false}, {PROTO_TCP, false}, {PROTO_UDP, true}, {PROTO_TCP, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_addr host = cases[i].substituted ? STRANGER : DEVICE;
		uint8_t sent[64];
		struct asked asked;
		struct sides *s = sides_of(&asked);
		uint32_t len = build(sent, cases[i].proto, host, 4000, SERVER, 80);
		struct trip t = {.verdict = SIDES_ENTERS};

		trip_of(s, cases[i].proto, host, 4000, SERVER, 80);
		enter(s, &t, build_error(t.packet, ROUTER, host, sent, len));
		cr_assert_eq(t.verdict, SIDES_ENTERS);
		cr_expect_eq(t.route.port, 1);
		cr_expect_eq(memcmp(t.ip + 16, &external.words[3], 4), 0);
		expect_endpoints(t.ip + 28, external, 14000, SERVER, 80);
		expect_true_checksums(t.ip);
		expect_true_checksums(t.ip + 28);
		cr_expect_eq(read16(t.ip + 24), 0, "the error's own fields stay");
		sides_destroy(s);
	}
}

Test(port_sides, an_icmp_error_of_a_substituted_host_quotes_the_substitute)
{
	struct ip_addr substitute = ip_addr_quad(192, 168, 50, 254);
	uint8_t received[64];
	struct asked asked;
	struct sides *s = sides_of(&asked);
	uint32_t len = build(received, PROTO_UDP, SERVER, 80, STRANGER, 4000);
	struct trip t = {.verdict = SIDES_ENTERS};

	trip_of(s, PROTO_UDP, STRANGER, 4000, SERVER, 80);
	enter(s, &t, build_error(t.packet, STRANGER, SERVER, received, len));
	cr_expect_eq(t.route.port, 0);
	cr_expect_eq(memcmp(t.ip + 12, &substitute.words[3], 4), 0);
	expect_endpoints(t.ip + 28, SERVER, 80, substitute, 4000);
	expect_true_checksums(t.ip);
	expect_true_checksums(t.ip + 28);
	sides_destroy(s);
}

Test(port_sides, a_later_fragment_is_changed_in_its_address_alone)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.verdict = SIDES_ENTERS};
	uint32_t len = build(t.packet, PROTO_UDP, SERVER, 0x1111, DEVICE, 0x2222);

	write16(t.packet + 6, 100);
	finish_ip(t.packet);
	enter(s, &t, len);
	cr_expect_eq(memcmp(t.ip + 16, &external.words[3], 4), 0);
	cr_expect_eq(memcmp(t.ip + 20, t.packet + 20, len - 20), 0);
	cr_expect_eq(checksum_of(t.ip, 20), 0);
	sides_destroy(s);
}

Test(port_sides, checksums_left_to_the_card_are_finished)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.verdict = SIDES_ENTERS};
	uint32_t len = build(t.packet, PROTO_TCP, STRANGER, 4000, SERVER, 80);
	uint8_t pseudo[12] = {0};
	uint16_t partial;

	memcpy(pseudo, t.packet + 12, 8);
	pseudo[9] = PROTO_TCP;
	write16(pseudo + 10, (uint16_t)(len - 20));
	partial = checksum_fold(checksum_sum(pseudo, sizeof(pseudo)));
	memcpy(t.packet + 36, &partial, 2);
	memset(t.packet + 10, 0, 2);
	enter(s, &t, len);
	expect_true_checksums(t.ip);
	cr_expect_eq(sides_n_checksums_finished(s), 2);
	sides_destroy(s);
}

Test(port_sides, an_ip_length_left_to_the_card_is_finished)
{
	static const struct {
		uint8_t proto;
		bool finished;
	} cases[] = {{PROTO_TCP, true}, {PROTO_UDP, true}, {PROTO_ICMP, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip t = {.verdict = SIDES_ENTERS};
		uint32_t len = build(t.packet, cases[i].proto, DEVICE, 4000, SERVER, 80);

		memset(t.packet + 2, 0, 2);
		memset(t.packet + 10, 0, 2);
		enter(s, &t, len);
		cr_expect_eq(sides_n_lengths_finished(s), cases[i].finished);
		cr_expect_eq(read16(t.ip + 2), cases[i].finished ? len : 0);
		if (cases[i].finished)
			expect_true_checksums(t.ip);
		sides_destroy(s);
	}
}

Test(port_sides, a_udp_checksum_of_zero_stays_zero)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.verdict = SIDES_ENTERS};
	uint32_t len = build(t.packet, PROTO_UDP, SERVER, 53, DEVICE, 5000);

	memset(t.packet + 26, 0, 2);
	enter(s, &t, len);
	cr_expect_eq(read16(t.ip + 26), 0);
	cr_expect_eq(checksum_of(t.ip, 20), 0);
	sides_destroy(s);
}

Test(port_sides, a_packet_cut_off_by_the_capture_is_filled_up)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.captured = {.wire_bytes = 40}};

	build(t.packet, PROTO_UDP, DEVICE, 5000, SERVER, 53);
	enter(s, &t, 30);
	cr_assert_eq(t.verdict, SIDES_ENTERS);
	cr_expect_eq(t.len, 14 + 40);
	cr_expect_eq(memcmp(t.ip + 30, "\0\0\0\0\0\0\0\0\0\0", 10), 0);
	cr_expect_eq(sides_n_padded(s), 1);
	sides_destroy(s);
}

Test(port_sides, a_malformed_packet_still_comes_from_its_host)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.verdict = SIDES_ENTERS};
	uint32_t len = build(t.packet, PROTO_UDP, STRANGER, 4000, SERVER, 80);

	write16(t.packet + 2, 1000); /* longer than it is */
	finish_ip(t.packet);
	enter(s, &t, len);
	cr_assert_eq(t.verdict, SIDES_ENTERS);
	cr_expect_eq(t.ip[12], 192);
	cr_expect_eq(checksum_of(t.ip, 20), 0);
	sides_destroy(s);
}

/* Where a packet enters, told by its addresses. */
static const struct {
	const char *claim;
	uint8_t src[4];
	uint8_t dst[4];
	uint8_t port;
	enum sides_verdict verdict;
	const char *dst_mac; /* of the frame on a LAN */
} places[] = {
	{"to the gateway itself", {192, 168, 50, 20}, {192, 168, 50, 1}, 0, SIDES_ENTERS,
		"\x02\0\0\0\0\1"},
	{"to the LAN's broadcast", {192, 168, 50, 20}, {192, 168, 50, 255}, 0, SIDES_ENTERS,
		"\xff\xff\xff\xff\xff\xff"},
	{"to everybody", {192, 168, 50, 20}, {255, 255, 255, 255}, 0, SIDES_ENTERS,
		"\xff\xff\xff\xff\xff\xff"},
	{"to a group", {192, 168, 50, 20}, {239, 255, 255, 250}, 0, SIDES_ENTERS,
		"\x01\0\x5e\x7f\xff\xfa"},
	{"to a neighbour", {192, 168, 50, 20}, {192, 168, 50, 21}, 0, SIDES_ENTERS,
		"\x02\0\xc0\xa8\x32\x15"},
	{"a host without an address yet", {0, 0, 0, 0}, {255, 255, 255, 255}, 0, SIDES_ENTERS,
		"\x02\0\0\0\0\1"},
	{"a martian", {127, 0, 0, 1}, {203, 0, 113, 9}, 0, SIDES_ENTERS, "\x02\0\0\0\0\1"},
	{"a stranger to a group", {10, 9, 8, 7}, {224, 0, 0, 251}, 0, SIDES_ENTERS,
		"\x01\0\x5e\0\0\xfb"},
	{"a stranger to the uplink's own address", {10, 9, 8, 7}, {198, 51, 100, 1}, 1,
		SIDES_ENTERS, NULL},
	{"the gateway's own packets", {192, 168, 50, 1}, {192, 168, 50, 20}, 0, SIDES_FROM_GATEWAY,
		NULL},
};

Test(port_sides, the_addresses_tell_where_a_packet_enters)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const uint8_t *a = places[i].src;
		const uint8_t *b = places[i].dst;
		struct asked asked;
		struct sides *s = sides_of(&asked);
		struct trip *t = trip_of(s, PROTO_UDP, ip_addr_quad(a[0], a[1], a[2], a[3]), 1000,
			ip_addr_quad(b[0], b[1], b[2], b[3]), 2000);

		cr_expect_eq(t->verdict, places[i].verdict, "%s", places[i].claim);
		cr_expect_eq(t->route.port, places[i].port, "%s", places[i].claim);
		if (places[i].dst_mac != NULL)
			cr_expect_eq(
				memcmp(t->frame, places[i].dst_mac, 6), 0, "%s", places[i].claim);
		sides_destroy(s);
	}
}

Test(port_sides, frames_carry_the_vlan_and_framing_of_their_port)
{
	struct asked asked = {0};
	struct sides_params params = params_of(&asked);
	struct trip *t;
	struct sides *s;

	params.ports[0].vlan = 0x123;
	params.ports[1].framing = FRAMING_ETHERNET;
	params.ports[1].mac = other_mac;
	cr_assert_eq(sides_create(&params, &s), 0);
	t = trip_of(s, PROTO_UDP, DEVICE, 1, SERVER, 2);
	cr_expect_eq(memcmp(t->frame + 12, "\x81\0\1\x23\x08\0\x45", 7), 0);
	t = trip_of(s, PROTO_UDP, SERVER, 2, DEVICE, 1);
	cr_expect_eq(memcmp(t->frame, &other_mac, 6), 0);
	cr_expect_eq(memcmp(t->frame + 12, "\x08\0\x45", 3), 0);
	sides_destroy(s);
}

Test(port_sides, what_is_no_ip_enters_the_first_lan_as_captured)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {
		.captured = {
			.ether_type = ETHER_TYPE_ARP, .has_dst_mac = true, .dst_mac = other_mac}};

	enter(s, &t, 28);
	cr_expect_eq(t.verdict, SIDES_ENTERS);
	cr_expect_eq(t.route.port, 0);
	cr_expect_eq(memcmp(t.frame, &other_mac, 6), 0);
	cr_expect_eq(read16(t.frame + 12), ETHER_TYPE_ARP);
	sides_destroy(s);
}

Test(port_sides, ipv6_enters_on_the_side_of_who_spoke_first)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.captured = {.ether_type = ETHER_TYPE_IPV6}};

	t.packet[0] = 0x60;
	t.packet[8 + 15] = 1;
	t.packet[8] = 0x20;
	t.packet[24] = 0x20;
	t.packet[24 + 15] = 2;
	enter(s, &t, 40);
	cr_expect_eq(t.route.port, 0);
	t.packet[8 + 15] = 2;
	t.packet[24 + 15] = 1;
	enter(s, &t, 40);
	cr_expect_eq(t.route.port, 1);
	cr_expect_eq(memcmp(t.frame, t.packet, 40), 0);
	sides_destroy(s);
}

Test(port_sides, a_packet_longer_than_the_room_is_refused)
{
	struct asked asked;
	struct sides *s = sides_of(&asked);
	struct trip t = {.captured = {.wire_bytes = 500}};

	enter(s, &t, build(t.packet, PROTO_UDP, DEVICE, 1, SERVER, 2));
	cr_expect_eq(t.verdict, SIDES_TOO_LONG);
	sides_destroy(s);
}

Test(port_sides, needs_a_lan_and_an_uplink)
{
	for (int i = 0; i < 2; i++) {
		struct asked asked = {0};
		struct sides_params params = params_of(&asked);
		struct sides *s;

		params.ports[i].role = SIDES_UNUSED;
		cr_expect_eq(sides_create(&params, &s), -EINVAL);
	}
}
