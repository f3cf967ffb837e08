/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes by the uplink for no flow: counted, attributed, and not answered. */
#include "path_world.h"

#include <weir/packet/icmp_error.h>

#include <string.h>

#define STRANGER_BE   V4(198, 51, 100, 66)
#define STRANGER      UINT64_C(0xc6336442)
#define ERRORS_A_S    10
#define FLOOD_S       20
#define FLOOD_A_BURST 50 /* a hundred bursts a second */

static struct unsolicited_lists lists_of(const struct path_world *w)
{
	struct unsolicited_lists lists;

	doors_unsolicited_read(w->path, WORLD_UPLINK, &lists);
	return lists;
}

static uint64_t edge_octets(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.edge_octets[WORLD_UPLINK][DOWNLINK];
}

static void put(struct path_world *w, const struct packet_spec *spec)
{
	struct packet_spec s = *spec;

	s.src_be = s.src_be != 0 ? s.src_be : STRANGER_BE;
	s.dst_be = s.dst_be != 0 ? s.dst_be : WORLD_UPLINK_BE;
	path_world_put(w, WORLD_UPLINK, &s);
}

static const struct {
	const char *what;
	struct packet_spec spec;
	uint64_t target; /* protocol << 16 | port or type */
} kinds[] = {
	{"a SYN", {.proto = PROTO_TCP, .tcp_flags = TCP_SYN, .dst_port = 23}, 6 << 16 | 23},
	{"an ACK", {.proto = PROTO_TCP, .tcp_flags = TCP_ACK, .dst_port = 23}, 6 << 16 | 23},
	{"a SYN-ACK", {.proto = PROTO_TCP, .tcp_flags = TCP_SYN | TCP_ACK}, 6 << 16 | 443},
	{"a RST", {.proto = PROTO_TCP, .tcp_flags = TCP_RST, .dst_port = 23}, 6 << 16 | 23},
	{"a datagram", {.proto = PROTO_UDP, .dst_port = 161, .payload_bytes = 40}, 17 << 16 | 161},
	{"an echo request", {.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = 9},
		1 << 16 | ICMP_ECHO_REQUEST},
	{"an echo reply", {.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REPLY, .icmp_id = 9},
		1 << 16 | ICMP_ECHO_REPLY},
	{"a redirect", {.proto = PROTO_ICMP, .icmp_type = 5, .icmp_code = 1}, 1 << 16 | 5},
	{"GRE", {.proto = 47, .payload_bytes = 30}, 47 << 16},
	{"a last hop's datagram", {.proto = PROTO_UDP, .dst_port = 161, .ttl = 1}, 17 << 16 | 161},
	{"a first fragment", {.proto = PROTO_UDP, .dst_port = 161, .mf = true, .payload_bytes = 64},
		17 << 16 | 161},
	{"more than fits the link", {.proto = PROTO_UDP, .df = true, .payload_bytes = 1472},
		17 << 16 | 443},
};

Test(path_unsolicited, whatever_it_is_it_is_counted_and_never_answered)
{
	for (uint32_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct path_world *w = path_world_create(NULL);
		struct unsolicited_lists lists;

		put(w, &kinds[i].spec);
		path_world_step(w);
		path_world_pass(w, 30 * WORLD_S, WORLD_S);
		for (enum world_port port = 0; port < WORLD_PORTS; port++)
			cr_expect_eq(
				path_world_discard(w, port), 0, "%s: port %d", kinds[i].what, port);
		lists = lists_of(w);
		cr_expect_eq(lists.packets, 1, "%s", kinds[i].what);
		cr_expect_eq(lists.octets, edge_octets(w), "%s", kinds[i].what);
		cr_assert_eq(lists.senders.n, 1, "%s", kinds[i].what);
		cr_expect_eq(lists.senders.entries[0].key, STRANGER, "%s", kinds[i].what);
		cr_expect_eq(lists.networks.entries[0].key, STRANGER & ~UINT64_C(0xff));
		cr_expect_eq(lists.targets.entries[0].key, kinds[i].target, "%s: %lx",
			kinds[i].what, lists.targets.entries[0].key);
		path_world_destroy(w);
	}
}

Test(path_unsolicited, so_is_what_is_for_another_address)
{
	struct path_world *w = path_world_create(NULL);

	put(w, &(struct packet_spec){.dst_be = V4(203, 0, 113, 9)});
	path_world_step(w);
	cr_expect_eq(lists_of(w).packets, 1);
	cr_expect_eq(lists_of(w).octets, edge_octets(w));
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0);
	path_world_destroy(w);
}

Test(path_unsolicited, a_later_fragment_that_waited_in_vain_is_counted_when_it_is_given_up)
{
	struct path_world *w = path_world_create(NULL);

	put(w, &(struct packet_spec){.fragment_offset = 64, .payload_bytes = 80, .id = 7});
	path_world_step(w);
	cr_expect_eq(lists_of(w).packets, 0);
	path_world_pass(w, 30 * WORLD_S, WORLD_S);
	cr_expect_eq(lists_of(w).packets, 1);
	cr_expect_eq(lists_of(w).octets, edge_octets(w));
	path_world_destroy(w);
}

Test(path_unsolicited, a_header_that_is_not_to_be_believed_names_no_sender)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p = packet_build(&(struct packet_spec){
		.framing = FRAMING_RAW_IP, .src_be = STRANGER_BE, .dst_be = WORLD_UPLINK_BE});
	struct unsolicited_lists lists;

	packet_ip(&p)[10] ^= 0x55;
	path_world_put_frame(w, WORLD_UPLINK, p);
	path_world_step(w);
	lists = lists_of(w);
	cr_expect_eq(lists.packets, 1);
	cr_expect_eq(lists.octets, edge_octets(w));
	cr_expect_eq(lists.senders.entries[0].key, UNSOLICITED_KEY_MALFORMED);
	path_world_destroy(w);
}

Test(path_unsolicited, packets_of_a_flow_are_not_among_them_not_even_those_that_are_stopped)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec answer = {
		.src_be = PACKET_DST_BE, .src_port = 443, .dst_port = PACKET_SRC_PORT};

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 10});
	path_world_step(w);
	cr_assert_eq(path_world_discard(w, WORLD_UPLINK), 1);
	put(w, &answer);
	path_world_step(w);
	cr_expect_eq(path_world_discard(w, WORLD_LAN), 1);
	answer.ttl = 1;
	put(w, &answer);
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_FLOW_TTL), 1);
	cr_expect_eq(lists_of(w).packets, 0);
	path_world_destroy(w);
}

Test(path_unsolicited, nor_is_what_comes_from_a_lan)
{
	struct path_world *w = path_world_create(NULL);

	/* buffers that a stranger's packets have used before */
	for (uint32_t i = 0; i < 100; i++) {
		put(w, &kinds[0].spec);
		path_world_step(w);
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.proto = PROTO_TCP, .tcp_flags = TCP_RST});
		path_world_step(w);
	}
	cr_expect_eq(path_world_drops(w, DROP_FLOW_TCP_NO_SYN), 100);
	cr_expect_eq(lists_of(w).packets, 100);
	cr_expect_eq(lists_of(w).octets, edge_octets(w));
	path_world_destroy(w);
}

Test(path_unsolicited, lists_begin_anew_on_request_and_sums_go_on)
{
	struct path_world *w = path_world_create(NULL);

	put(w, &kinds[0].spec);
	path_world_step(w);
	doors_unsolicited_restart(w->path, WORLD_UPLINK);
	cr_expect_eq(lists_of(w).senders.n, 0);
	cr_expect_eq(lists_of(w).packets, 1);
	path_world_pass(w, WORLD_S, WORLD_S);
	put(w, &kinds[4].spec);
	path_world_step(w);
	cr_expect_eq(lists_of(w).targets.n, 1);
	cr_expect_eq(lists_of(w).targets.entries[0].key, kinds[4].target);
	cr_expect_eq(lists_of(w).since_us, w->now_us);
	cr_expect_eq(lists_of(w).packets, 2);
	path_world_destroy(w);
}

static void limit_errors(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->icmp_errors_per_s = ERRORS_A_S;
}

static void tell_and_limit(struct path_setup *setup, struct path_config *config)
{
	limit_errors(setup, config);
	config->tells_unsolicited_syn = true;
}

/* SYNs and datagrams, half of each, from ever new endpoints to ever new ports. Returns the packets that weir sent back. */
static uint32_t flood(struct path_world *w, uint32_t *ret_n_sent)
{
	uint32_t n_answers = 0;
	uint32_t n = 0;

	for (uint32_t burst = 0; burst < FLOOD_S * 100; burst++) {
		for (uint32_t i = 0; i < FLOOD_A_BURST; i++, n++)
			put(w, &(struct packet_spec){.proto = n % 2 == 0 ? PROTO_TCP : PROTO_UDP,
				       .tcp_flags = TCP_SYN,
				       .src_be = htonl(UINT32_C(0x2d000000) + n * 7919 % 0xffffff),
				       .src_port = (uint16_t)(1024 + n % 60000),
				       .dst_port = (uint16_t)(1 + n % 65535)});
		path_world_step(w);
		n_answers += path_world_discard(w, WORLD_UPLINK);
		w->now_us += WORLD_S / 100;
	}
	*ret_n_sent = n;
	path_world_pass(w, 20 * WORLD_S, WORLD_S / 10);
	return n_answers + path_world_discard(w, WORLD_UPLINK);
}

Test(path_unsolicited, a_flood_is_answered_by_nothing_at_all)
{
	struct path_world *w = path_world_create(&(struct path_world_params){.tune = limit_errors});
	uint32_t n_sent;

	cr_expect_eq(flood(w, &n_sent), 0);
	cr_expect_eq(lists_of(w).packets, n_sent);
	cr_expect_eq(lists_of(w).octets, edge_octets(w));
	cr_expect_eq(lists_of(w).senders.n, TOP_PLACES);
	path_world_destroy(w);
}

/* RFC 5382 REQ-4 as a SHOULD, where the configuration asks for it: within the rate of errors, whatever comes. */
Test(path_unsolicited, a_flood_whose_senders_are_told_gets_no_more_answers_than_errors_are_allowed)
{
	struct path_world *w =
		path_world_create(&(struct path_world_params){.tune = tell_and_limit});
	uint32_t n_sent;
	uint32_t n_answers = flood(w, &n_sent);

	/* 100000 packets in 20 s, and the 20 s in which those are told that were kept */
	cr_expect_gt(n_answers, 0);
	cr_expect_leq(n_answers, ERRORS_A_S * (FLOOD_S + 20) + ERRORS_A_S / 10 + 1, "%u of %u",
		n_answers, n_sent);
	path_world_destroy(w);
}
