/* SPDX-License-Identifier: BSD-3-Clause */
/* Each reason for which the path drops is provoked by a packet, and no other counter moves with it. */
#include "path_world.h"

#include <weir/flow/fragment.h>
#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>
#include <weir/port/neighbor.h>

#include <rte_mbuf.h>

#include <string.h>

#define HOST_BE      PACKET_SRC_BE
#define SERVER_BE    PACKET_DST_BE
#define STRANGER_BE  V4(198, 51, 100, 99)
#define SILENT_BE    V4(192, 168, 60, 77)
#define ETHERTYPE_AT 12
#define IP_AT        14

struct drop_case {
	enum drop_reason why;
	enum world_port in;
	struct packet_spec spec;
	void (*spoil)(struct packet *p);
	void (*tune)(struct path_setup *setup, struct path_config *config);
	uint32_t cut; /* frame length, where not 0 */
	bool is_asking;
};

static void put16(struct packet *p, uint32_t at, uint16_t value)
{
	store_be16(p->bytes + at, value);
}

static void make_ipx(struct packet *p)
{
	put16(p, ETHERTYPE_AT, 0x8137);
}

static void make_ipv6(struct packet *p)
{
	put16(p, ETHERTYPE_AT, 0x86dd);
}

static void make_version_5(struct packet *p)
{
	p->bytes[IP_AT] = 0x55;
}

static void make_short_header(struct packet *p)
{
	p->bytes[IP_AT] = 0x44;
}

static void make_long_total(struct packet *p)
{
	put16(p, IP_AT + 2, 1400);
	packet_fix_ip_checksum(p);
}

static void make_bad_sum(struct packet *p)
{
	p->bytes[IP_AT + 10] ^= 0x10;
}

static void make_short_total(struct packet *p)
{
	put16(p, IP_AT + 2, 24);
	packet_fix_ip_checksum(p);
}

static void make_bad_udp_length(struct packet *p)
{
	put16(p, IP_AT + 24, 4);
}

static void make_other_station(struct packet *p)
{
	p->bytes[5] = 0x77;
}

static void make_broadcast_frame(struct packet *p)
{
	memset(p->bytes, 0xff, 6);
}

static void deny_lans(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->lan_to_lan = false;
}

static void allow_no_flows(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->flows_per_device = 0;
}

static void allow_a_flow_a_second(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->new_flows_per_s = 1;
}

static void take_taps_away(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_LAN].peer = PORT_NONE;
}

static void answer_nothing(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->icmp_errors_per_s = 0;
}

static void take_address_away(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	memset(&config->ports[WORLD_UPLINK].address, 0, sizeof(struct ip_prefix));
}

static void bill_plan(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].plan_id = 0;
	config->n_plans = 1;
}

static void list_nobody(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->listed_only = true;
}

static void confine_host(struct path_setup *setup, struct path_config *config)
{
	struct group_member host = {.prefix = {ip_addr_v4(HOST_BE), 32}};
	struct group_destination elsewhere = {.prefix = {ip_addr_v4(STRANGER_BE), 32}};
	struct groups_params params = {
		.members = &host, .n_members = 1, .destinations = &elsewhere, .n_destinations = 1};

	(void)setup;
	cr_assert_eq(groups_create(&params, &config->groups), 0);
}

static const uint8_t source_route[] = {131, 7, 4, 198, 51, 100, 1, 0};

static struct packet build(const struct path_world *w, const struct drop_case *c)
{
	struct packet_spec spec = c->spec;
	struct packet quoted = {0};
	struct packet p;

	spec.framing = w->ports[c->in]->framing;
	if (c->why == DROP_FLOW_ICMP_UNRELATED) {
		quoted = packet_build(&(struct packet_spec){
			.framing = FRAMING_RAW_IP, .src_be = WORLD_UPLINK_BE, .payload_bytes = 8});
		spec.icmp_type = ICMP_UNREACHABLE;
		spec.quoted = &quoted;
	}
	p = packet_build(&spec);
	packet_clean(&quoted);
	if (c->spoil != NULL)
		c->spoil(&p);
	if (c->cut != 0) {
		struct packet whole = p;

		p = packet_cut(&whole, c->cut);
		packet_clean(&whole);
	}
	return p;
}

static void expect_only(const struct path_world *w, enum drop_reason why, uint64_t n)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		cr_expect_eq(s.drops[i], i == (uint32_t)why ? n : 0, "for %s, %s is %lu",
			drop_name(why), drop_name((enum drop_reason)i), s.drops[i]);
}

/* EAL starts once a process, and so does each world: one after the other. */
Test(path_drops, one_packet_raises_one_counter)
{
	const struct drop_case cases[] = {
		{.why = DROP_PARSE_SHORT_FRAME, .in = WORLD_LAN, .cut = 10},
		{.why = DROP_PARSE_ETHERTYPE, .in = WORLD_LAN, .spoil = make_ipx},
		{.why = DROP_PARSE_VLAN_DEPTH,
			.in = WORLD_LAN,
			.spec = {.n_vlans = 3, .vlans = {1, 2, 3}}},
		{.why = DROP_PARSE_VLAN_UNKNOWN,
			.in = WORLD_LAN,
			.spec = {.n_vlans = 1, .vlans = {7}}},
		{.why = DROP_PARSE_IPV6, .in = WORLD_LAN, .spoil = make_ipv6},
		{.why = DROP_PARSE_OTHER_HOST,
			.in = WORLD_LAN,
			.spoil = make_other_station,
			.is_asking = true},
		{.why = DROP_PARSE_BAD_VERSION, .in = WORLD_LAN, .spoil = make_version_5},
		{.why = DROP_PARSE_BAD_HEADER_LENGTH, .in = WORLD_LAN, .spoil = make_short_header},
		{.why = DROP_PARSE_BAD_TOTAL_LENGTH, .in = WORLD_LAN, .spoil = make_long_total},
		{.why = DROP_PARSE_BAD_CHECKSUM, .in = WORLD_LAN, .spoil = make_bad_sum},
		{.why = DROP_PARSE_BAD_OPTIONS,
			.in = WORLD_LAN,
			.spec = {.ip_options = source_route,
				.ip_options_bytes = sizeof(source_route)}},
		{.why = DROP_PARSE_TRUNCATED_L4, .in = WORLD_LAN, .spoil = make_short_total},
		{.why = DROP_PARSE_BAD_L4_LENGTH, .in = WORLD_LAN, .spoil = make_bad_udp_length},
		{.why = DROP_PARSE_BAD_FRAGMENT,
			.in = WORLD_LAN,
			.spec = {.mf = true, .payload_bytes = 3}},
		{.why = DROP_PARSE_BAD_TCP_FLAGS,
			.in = WORLD_LAN,
			.spec = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN | TCP_FIN}},
		{.why = DROP_FLOW_LAND,
			.in = WORLD_LAN,
			.spec = {.dst_be = HOST_BE, .src_port = 9, .dst_port = 9}},
		{.why = DROP_FLOW_MARTIAN_SOURCE,
			.in = WORLD_UPLINK,
			.spec = {.src_be = V4(127, 0, 0, 1), .dst_be = WORLD_UPLINK_BE}},
		{.why = DROP_FLOW_MARTIAN_DESTINATION,
			.in = WORLD_LAN,
			.spec = {.dst_be = V4(169, 254, 1, 1)}},
		{.why = DROP_FLOW_BROADCAST_SOURCE,
			.in = WORLD_LAN,
			.spec = {.src_be = V4(192, 168, 50, 255)}},
		{.why = DROP_FLOW_BROADCAST_SOURCE,
			.in = WORLD_LAN,
			.spec = {.src_be = V4(192, 168, 50, 255),
				.dst_be = WORLD_LAN_BE,
				.proto = PROTO_ICMP,
				.icmp_type = ICMP_ECHO_REQUEST}},
		{.why = DROP_FLOW_BROADCAST,
			.in = WORLD_UPLINK,
			.spec = {.dst_be = V4(224, 0, 0, 1)}},
		{.why = DROP_FLOW_BROADCAST, .in = WORLD_LAN, .spoil = make_broadcast_frame},
		{.why = DROP_FLOW_SPOOFED_LAN,
			.in = WORLD_LAN,
			.spec = {.src_be = V4(192, 168, 60, 10)}},
		{.why = DROP_FLOW_SPOOFED_LAN, .in = WORLD_LAN, .spec = {.src_be = WORLD_LAN_BE}},
		{.why = DROP_FLOW_SPOOFED_UPLINK,
			.in = WORLD_UPLINK,
			.spec = {.src_be = HOST_BE, .dst_be = WORLD_UPLINK_BE}},
		{.why = DROP_FLOW_SPOOFED_UPLINK,
			.in = WORLD_UPLINK,
			.spec = {.src_be = HOST_BE,
				.dst_be = WORLD_UPLINK_BE,
				.mf = true,
				.payload_bytes = 64}},
		{.why = DROP_FLOW_NO_ROUTE,
			.in = WORLD_LAN,
			.spec = {.dst_be = V4(192, 168, 50, 11)}},
		{.why = DROP_FLOW_NO_UPLINK, .in = WORLD_LAN, .tune = take_address_away},
		{.why = DROP_FLOW_TTL, .in = WORLD_LAN, .spec = {.ttl = 1}},
		{.why = DROP_FLOW_DEVICE_CAP, .in = WORLD_LAN, .tune = allow_no_flows},
		{.why = DROP_FLOW_ICMP_UNRELATED,
			.in = WORLD_UPLINK,
			.spec = {.src_be = STRANGER_BE,
				.dst_be = WORLD_UPLINK_BE,
				.proto = PROTO_ICMP}},
		{.why = DROP_FLOW_TCP_NO_SYN,
			.in = WORLD_LAN,
			.spec = {.proto = PROTO_TCP, .tcp_flags = TCP_SYN | TCP_ACK}},
		{.why = DROP_POLICY_DENIED,
			.in = WORLD_LAN,
			.spec = {.dst_be = WORLD_HOST2_BE},
			.tune = deny_lans},
		{.why = DROP_POLICY_QUARANTINED, .in = WORLD_LAN, .tune = list_nobody},
		{.why = DROP_POLICY_DESTINATION, .in = WORLD_LAN, .tune = confine_host},
		{.why = DROP_POLICY_INBOUND,
			.in = WORLD_UPLINK,
			.spec = {.src_be = STRANGER_BE, .dst_be = WORLD_UPLINK_BE}},
		{.why = DROP_POLICY_INBOUND,
			.in = WORLD_UPLINK,
			.spec = {.src_be = STRANGER_BE, .dst_be = V4(203, 0, 113, 77)}},
		{.why = DROP_NAT_PROTOCOL,
			.in = WORLD_LAN,
			.spec = {.proto = 47, .payload_bytes = 8}},
		{.why = DROP_NAT_PROTOCOL,
			.in = WORLD_LAN,
			.spec = {.proto = PROTO_ICMP, .icmp_type = ICMP_REDIRECT}},
		{.why = DROP_NAT_HAIRPIN, .in = WORLD_LAN, .spec = {.dst_be = WORLD_UPLINK_BE}},
		{.why = DROP_LOCAL_NO_TAP,
			.in = WORLD_LAN,
			.spec = {.dst_be = WORLD_LAN_BE},
			.tune = take_taps_away},
		{.why = DROP_LOCAL_FROM_UPLINK,
			.in = WORLD_UPLINK,
			.spec = {.dst_be = WORLD_LAN_BE}},
		{.why = DROP_LOCAL_ICMP_LIMIT,
			.in = WORLD_LAN,
			.spec = {.dst_be = WORLD_LAN_BE,
				.proto = PROTO_ICMP,
				.icmp_type = ICMP_ECHO_REQUEST},
			.tune = answer_nothing},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct drop_case *c = &cases[i];
		struct path_world_params params = {.tune = c->tune, .is_asking = c->is_asking};
		struct path_world *w = path_world_create(&params);

		path_world_put_frame(w, c->in, build(w, c));
		path_world_step(w);
		expect_only(w, c->why, 1);
		path_world_destroy(w);
	}
}

Test(path_drops, a_plan_that_is_spent_and_one_without_a_lease_differ)
{
	const struct path_world_params params = {.tune = bill_plan};
	struct path_world *w = path_world_create(&params);
	struct meter m;

	path_world_limit(w, ACCOUNT_GENERAL, 20);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_step(w);
	expect_only(w, DROP_METER_PLAN_SPENT, 1);
	path_world_limit(w, ACCOUNT_GENERAL, 1000);
	doors_meter_read(w->path, 0, &m);
	m.limits.leased = meter_used(&m) + 20;
	doors_limits_set(w->path, 0, &m.limits);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_METER_NO_LEASE), 1);
	cr_expect_eq(path_world_drops(w, DROP_METER_PLAN_SPENT), 1);
	path_world_destroy(w);
}

/* A host has spoken to the server, so that the mapping stands. */
static struct path_world *create_spoken(const struct path_world_params *params)
{
	struct path_world *w = path_world_create(params);
	struct packet p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);

	packet_clean(&p);
	return w;
}

Test(path_drops, a_stranger_is_kept_off_a_mapping_by_its_filter)
{
	struct path_world *w = create_spoken(NULL);

	path_world_put(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.src_port = PACKET_DST_PORT,
			.dst_port = PACKET_SRC_PORT});
	path_world_step(w);
	expect_only(w, DROP_POLICY_FILTERED, 1);
	path_world_destroy(w);
}

Test(path_drops, an_established_flow_is_not_followed_from_another_port)
{
	struct path_world *w = create_spoken(NULL);

	path_world_put(w, WORLD_LAN2, &(struct packet_spec){0});
	path_world_step(w);
	expect_only(w, DROP_FLOW_WRONG_PORT, 1);
	path_world_destroy(w);
}

Test(path_drops, a_packet_beyond_the_mtu_is_not_sent_when_it_must_stay_whole)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p;

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.df = true, .payload_bytes = 1600});
	path_world_step(w);
	expect_only(w, DROP_FLOW_TOO_BIG, 1);
	cr_assert(path_world_take(w, WORLD_LAN, &p));
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_FRAGMENTATION_NEEDED);
	cr_expect_eq(load_be16(packet_l4(&p) + 6), 1500);
	packet_clean(&p);
	path_world_destroy(w);
}

static void make_flow_table_small(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->flow_capacity = 2;
}

static void make_tables_small(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->flow_capacity = 2;
	setup->device_capacity = 2;
}

Test(path_drops, a_full_flow_table_takes_no_more_and_tells_once)
{
	struct path_world_params params = {.tune = make_flow_table_small};
	struct path_world *w = path_world_create(&params);
	struct path_event events[16];
	uint32_t n_told = 0, n;

	for (uint8_t i = 0; i < 5; i++)
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_be = V4(192, 168, 50, 30 + i)});
	path_world_step(w);
	expect_only(w, DROP_FLOW_TABLE_FULL, 3);
	n = doors_events_take(w->path, events, 16);
	for (uint32_t i = 0; i < n; i++)
		n_told += events[i].kind == EVENT_FLOW_TABLE_FULL;
	cr_expect_eq(n_told, 1);
	path_world_destroy(w);
}

Test(path_drops, a_device_that_begins_flows_too_fast_is_refused)
{
	struct path_world_params params = {.tune = allow_a_flow_a_second};
	struct path_world *w = path_world_create(&params);

	for (uint16_t i = 0; i < 5; i++)
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_port = (uint16_t)(5000 + i)});
	path_world_step(w);
	expect_only(w, DROP_FLOW_DEVICE_RATE, 3);
	path_world_destroy(w);
}

Test(path_drops, devices_beyond_the_table_are_refused_while_all_have_flows)
{
	struct path_world_params params = {.tune = make_tables_small};
	struct path_world *w = path_world_create(&params);

	for (uint8_t i = 0; i < 3; i++)
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_be = V4(192, 168, 50, 20 + i)});
	path_world_step(w);
	expect_only(w, DROP_FLOW_DEVICES_FULL, 1);
	path_world_destroy(w);
}

Test(path_drops, one_datagram_holds_so_many_fragments_and_no_more)
{
	struct path_world *w = path_world_create(NULL);

	for (uint16_t i = 1; i <= FRAGMENT_HELD_MAX + 4; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.id = 7,
				.fragment_offset = (uint16_t)(i * 8),
				.mf = true,
				.payload_bytes = 8});
	path_world_step(w);
	expect_only(w, DROP_FLOW_FRAGMENTS_FULL, 4);
	path_world_destroy(w);
}

Test(path_drops, fragments_whose_first_never_comes_are_given_up)
{
	struct path_world *w = path_world_create(NULL);

	path_world_put(
		w, WORLD_LAN, &(struct packet_spec){.fragment_offset = 64, .payload_bytes = 8});
	path_world_step(w);
	expect_only(w, DROP_NONE, 0);
	path_world_pass(w, 11 * WORLD_S, 100 * WORLD_MS);
	expect_only(w, DROP_FLOW_FRAGMENT_TIMEOUT, 1);
	path_world_destroy(w);
}

Test(path_drops, an_error_about_a_flow_with_a_cut_quote_is_no_error)
{
	struct path_world *w = create_spoken(NULL);
	struct packet quoted = packet_build(&(struct packet_spec){
		.framing = FRAMING_RAW_IP, .src_be = WORLD_UPLINK_BE, .payload_bytes = 8});

	path_world_put(w, WORLD_UPLINK,
		&(struct packet_spec){.proto = PROTO_ICMP,
			.src_be = STRANGER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.icmp_type = ICMP_UNREACHABLE,
			.quoted = &quoted,
			.quoted_octets = 24});
	path_world_step(w);
	expect_only(w, DROP_NAT_BAD_QUOTE, 1);
	packet_clean(&quoted);
	path_world_destroy(w);
}

static void make_ports_few(struct path_setup *setup, struct path_config *config)
{
	(void)config;
	setup->nat_port_min = 65534;
	setup->nat_port_max = 65535;
}

Test(path_drops, external_ports_can_run_out)
{
	struct path_world_params params = {.tune = make_ports_few};
	struct path_world *w = path_world_create(&params);

	/* The first keeps its own, two share what the range has. */
	for (uint8_t i = 0; i < 4; i++)
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_be = V4(192, 168, 50, 20 + i)});
	path_world_step(w);
	expect_only(w, DROP_NAT_NO_PORT, 1);
	path_world_destroy(w);
}

static void shape_narrow(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_UPLINK].uplink_bps = 8000;
	config->ports[WORLD_UPLINK].queue_us = 1000;
}

Test(path_drops, a_full_queue_drops_and_what_it_holds_at_the_end_is_not_billed)
{
	struct path_world_params params = {.tune = shape_narrow};
	struct path_world *w = path_world_create(&params);
	struct path_stats s;

	/* 2 go by the burst, 64 frames' worth of octets wait. */
	for (uint16_t i = 0; i < 68; i++) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1472});
		if (i % 34 == 33)
			path_world_step(w);
	}
	expect_only(w, DROP_SHAPE_QUEUE_FULL, 2);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 2);
	cr_assert(path_end_flows(w->path, FLOW_END_FORCED, w->now_us));
	cr_expect_eq(path_world_drops(w, DROP_STOPPED), 64);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.edge_octets[WORLD_UPLINK][UPLINK], 3000);
	path_world_destroy(w);
}

Test(path_drops, a_packet_that_finds_no_buffer_for_its_fragments_is_given_up)
{
	struct path_world *w = path_world_create(NULL);
	struct rte_mbuf *all[4096];
	uint32_t n = 0;

	while ((all[n] = rte_pktmbuf_alloc(w->pool)) != NULL)
		n++;
	rte_pktmbuf_free(all[--n]);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1600});
	path_world_step(w);
	rte_pktmbuf_free_bulk(all, n);
	expect_only(w, DROP_TX_FRAGMENT, 1);
	path_world_destroy(w);
}

static void allow_lans(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->lan_to_lan = true;
}

static struct path_world *create_asking(void)
{
	struct path_world_params params = {.tune = allow_lans, .is_asking = true};

	return path_world_create(&params);
}

Test(path_drops, a_next_hop_that_does_not_answer_ends_what_waits_for_it)
{
	struct path_world *w = create_asking();

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = SILENT_BE});
	path_world_step(w);
	expect_only(w, DROP_NONE, 0);
	path_world_pass(w, 4 * WORLD_S, 100 * WORLD_MS);
	/* Its sender is not known by ARP either: the error waits for it. */
	expect_only(w, DROP_TX_NO_NEIGHBOR, 1);
	path_world_destroy(w);
}

Test(path_drops, so_many_packets_wait_for_a_next_hop_and_no_more)
{
	struct path_world *w = create_asking();

	for (int i = 0; i < NEIGHBOR_QUEUE + 4; i++) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.dst_be = SILENT_BE});
		path_world_step(w);
	}
	expect_only(w, DROP_TX_NEIGHBOR_QUEUE, 4);
	path_world_destroy(w);
}

static void put_arp(
	struct path_world *w, enum arp_operation operation, uint32_t sender_be, uint32_t target_be)
{
	struct arp_message m = {
		.operation = operation,
		.sender_mac = {{0x02, 0, 0, 0, 9, (uint8_t)(ntohl(sender_be))}},
		.target_mac = world_macs[WORLD_LAN2],
		.sender_be = sender_be,
		.target_be = target_be,
	};
	static const struct mac_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	path_world_put_frame(w, WORLD_LAN2,
		packet_of_arp(operation == ARP_REQUEST ? &all : &world_macs[WORLD_LAN2], &m));
}

Test(path_drops, an_answer_that_would_free_more_than_fits_has_to_be_given_again)
{
	struct path_world *w = create_asking();

	for (uint8_t host = 0; host < 5; host++) {
		for (uint8_t i = 0; i < NEIGHBOR_QUEUE; i++)
			path_world_put(w, WORLD_LAN,
				&(struct packet_spec){.dst_be = V4(192, 168, 60, 100 + host)});
		path_world_step(w);
	}
	for (uint8_t host = 0; host < 5; host++)
		put_arp(w, ARP_REPLY, V4(192, 168, 60, 100 + host), WORLD_LAN2_BE);
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_NO_BUFFER), 1);
	cr_expect_eq(path_world_drops(w, DROP_ARP_DONE), 4);
	cr_expect_eq(path_world_all_drops(w), 5);
	path_world_destroy(w);
}

Test(path_drops, arp_ends_at_the_gateway_by_what_it_says)
{
	struct path_world *w = create_asking();

	put_arp(w, ARP_REPLY, WORLD_HOST2_BE, WORLD_LAN2_BE);
	path_world_step(w);
	expect_only(w, DROP_ARP_DONE, 1);
	put_arp(w, ARP_REQUEST, WORLD_HOST2_BE, SILENT_BE);
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_ARP_NOT_OURS), 1);
	put_arp(w, ARP_REQUEST, V4(10, 0, 0, 1), WORLD_LAN2_BE);
	path_world_step(w);
	cr_expect_eq(
		path_world_drops(w, DROP_PARSE_BAD_ARP), 1, "its sender is not of this network");
	cr_expect_eq(path_world_all_drops(w), 3);
	path_world_destroy(w);
}

Test(path_drops, a_port_that_is_down_sends_nothing)
{
	struct path_world *w = create_spoken(NULL);

	port_fail(w->ports[WORLD_UPLINK]);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_step(w);
	expect_only(w, DROP_TX_PORT_DOWN, 1);
	path_world_destroy(w);
}

Test(path_drops, what_the_port_refuses_is_dropped_and_not_billed)
{
	struct path_world_params params = {.n_sent_max = 2};
	struct path_world *w = path_world_create(&params);

	for (int i = 0; i < 5; i++)
		path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_step(w);
	expect_only(w, DROP_TX_REFUSED, 3);
	path_world_destroy(w);
}
