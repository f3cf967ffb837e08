/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows over time: rules, plans, rates, records, and their end. */
#include "path_world.h"

#include <weir/base/rng.h>
#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#include <rte_mbuf.h>

#include <string.h>

#define SERVER_BE PACKET_DST_BE

static const struct packet_spec answer_defaults = {
	.src_port = PACKET_DST_PORT, .dst_port = PACKET_SRC_PORT};

static void put_answer(
	struct path_world *w, uint8_t proto, uint8_t tcp_flags, uint32_t payload_bytes)
{
	struct packet_spec s = answer_defaults;

	s.src_be = SERVER_BE;
	s.dst_be = WORLD_UPLINK_BE;
	s.proto = proto;
	s.tcp_flags = tcp_flags;
	s.payload_bytes = payload_bytes;
	path_world_put(w, WORLD_UPLINK, &s);
}

static uint32_t n_flows(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.n_flows;
}

static void publish_rules(struct path_world *w, const struct policy_rule *rules, uint32_t n)
{
	struct path_config *config = path_world_config(w);

	ruleset_destroy(config->rules);
	cr_assert_eq(ruleset_create(rules, n, &config->rules), 0);
	doors_publish(w->path, config);
}

Test(path_flow, rules_published_live_decide_on_new_flows)
{
	const struct policy_rule rules[] = {
		{.port_min = 25, .port_max = 25, .action = POLICY_DROP},
		{.port_min = 26, .port_max = 26, .action = POLICY_REJECT},
		{.port_min = 0, .port_max = 65535, .action = POLICY_ALLOW},
	};
	struct path_world *w = path_world_create(NULL);
	struct packet p;

	for (uint16_t port = 25; port <= 27; port++) {
		p = path_world_pass_one(
			w, WORLD_LAN, &(struct packet_spec){.dst_port = port}, WORLD_UPLINK);
		packet_clean(&p);
	}
	publish_rules(w, rules, 3);
	for (uint16_t port = 25; port <= 27; port++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){
				.src_port = 9, .dst_port = port, .payload_bytes = 30});
		path_world_step(w);
	}
	cr_expect_eq(path_world_drops(w, DROP_POLICY_DENIED), 2);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p), "27 is allowed");
	cr_expect_eq(packet_dst_port(&p), 27);
	packet_clean(&p);
	cr_assert(path_world_take(w, WORLD_LAN, &p), "26 is told so");
	cr_expect_eq(packet_l4(&p)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&p)[1], ICMP_CODE_ADMIN);
	packet_clean(&p);
	cr_expect(!path_world_take(w, WORLD_LAN, &p), "25 is not");
	cr_expect_eq(n_flows(w), 4);
	path_world_destroy(w);
}

static void shape_plan(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->n_plans = 1;
	config->ports[WORLD_UPLINK].plan_id = 0;
}

Test(path_flow, a_spent_plan_stops_both_ways_and_even_the_gateways_own_packets)
{
	struct path_world_params params = {.tune = shape_plan};
	struct path_world *w = path_world_create(&params);
	struct path_stats s;
	struct packet p;

	path_world_limit(w, ACCOUNT_GENERAL, 1000);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 872}); /* 900 octets */
	path_world_step(w);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 100});
	path_world_step(w);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 1);
	cr_expect_eq(path_world_drops(w, DROP_METER_PLAN_SPENT), 1);
	cr_expect(path_world_saw(w, EVENT_PLAN_SPENT));
	put_answer(w, PROTO_UDP, 0, 100);
	path_world_step(w);
	cr_expect(!path_world_take(w, WORLD_LAN, &p), "it is billed, but goes no further");
	/* Time Exceeded for a server's packet would be sent by the uplink. */
	path_world_put(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = SERVER_BE,
			.dst_be = WORLD_UPLINK_BE,
			.src_port = PACKET_DST_PORT,
			.dst_port = PACKET_SRC_PORT,
			.ttl = 1});
	path_world_step(w);
	cr_expect(!path_world_take(w, WORLD_UPLINK, &p));
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.plans[0].billed_octets[UPLINK], 900);
	cr_expect_eq(s.plans[0].billed_octets[DOWNLINK], 128 + 28);
	path_world_destroy(w);
}

static void bill_overhead(struct path_setup *setup, struct path_config *config)
{
	shape_plan(setup, config);
	config->plans[0] = (struct meter_params){.overhead_octets = {50, 50}};
}

Test(path_flow, arp_on_an_ethernet_uplink_is_not_billed)
{
	struct path_world_params params = {
		.tune = bill_overhead, .is_asking = true, .is_uplink_ethernet = true};
	struct path_world *w = path_world_create(&params);
	struct path_stats s;

	path_world_put(w, WORLD_LAN, &(struct packet_spec){0});
	path_world_pass(w, 5 * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 3, "three requests");
	cr_expect_eq(path_world_drops(w, DROP_TX_NO_NEIGHBOR), 1);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.plans[0].billed_octets[UPLINK], 0);
	cr_expect_eq(s.plans[0].packets[UPLINK], 0);
	path_world_destroy(w);
}

Test(path_flow, a_shaped_uplink_releases_in_order_at_its_rate)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	uint16_t next_id = 1;
	struct packet p;

	config->ports[WORLD_UPLINK].uplink_bps = 1000 * 1000; /* 125 000 octets a second */
	config->ports[WORLD_UPLINK].queue_us = 10 * WORLD_S;
	doors_publish(w->path, config);
	for (uint16_t i = 1; i <= 60; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.id = i,
				.tos = 2, /* ECT(0): late ones are marked, none is dropped */
				.payload_bytes = 1222}); /* 1250 */
	path_world_step(w);
	for (uint64_t ms = 0; ms <= 700; ms += 10) {
		uint64_t fair = 1514 + 1250 + 1250 * ms / 10;

		while (path_world_take(w, WORLD_UPLINK, &p)) {
			cr_expect_eq(load_be16(packet_ip(&p) + 4), next_id);
			next_id++;
			packet_clean(&p);
		}
		cr_expect_leq(
			(next_id - 1u) * 1250, fair, "after %lu ms %u have left", ms, next_id - 1);
		if (next_id <= 60)
			cr_expect_geq((next_id - 1u) * 1250 + 1250, fair - 1250,
				"after %lu ms only %u", ms, next_id - 1);
		path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	}
	cr_expect_eq(next_id, 61);
	path_world_destroy(w);
}

Test(path_flow, idle_flows_end_by_the_timeout_of_what_they_are)
{
	const struct {
		const char *what;
		struct packet_spec out;
		bool is_answered;
		uint64_t timeout_s;
	} cases[] = {
		{"UDP one way", {.proto = PROTO_UDP}, false, 120},
		{"UDP", {.proto = PROTO_UDP}, true, 300},
		{"ICMP", {.proto = PROTO_ICMP, .icmp_type = ICMP_ECHO_REQUEST, .icmp_id = 3}, false,
			60},
		{"TCP opening", {.proto = PROTO_TCP, .tcp_flags = TCP_SYN}, false, 240},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path_world *w = path_world_create(NULL);

		path_world_put(w, WORLD_LAN, &cases[i].out);
		path_world_step(w);
		if (cases[i].is_answered)
			put_answer(w, cases[i].out.proto, 0, 10);
		path_world_step(w);
		path_world_pass(w, cases[i].timeout_s * WORLD_S - WORLD_S, 100 * WORLD_MS);
		cr_expect_eq(n_flows(w), 1, "%s ended too early", cases[i].what);
		path_world_pass(w, 2 * WORLD_S, 100 * WORLD_MS);
		cr_expect_eq(n_flows(w), 0, "%s did not end", cases[i].what);
		cr_assert_eq(w->n_records, 1);
		cr_expect_eq(w->records[0].end_reason, FLOW_END_IDLE_TIMEOUT);
		path_world_destroy(w);
	}
}

/* A segment of a TCP connection to SERVER_BE, without data. */
static void put_segment(
	struct path_world *w, bool is_up, uint8_t tcp_flags, uint32_t seq, uint32_t ack)
{
	struct packet_spec s = {.proto = PROTO_TCP, .tcp_flags = tcp_flags, .dst_be = SERVER_BE};

	if (!is_up) {
		s = answer_defaults;
		s.proto = PROTO_TCP;
		s.tcp_flags = tcp_flags;
		s.src_be = SERVER_BE;
		s.dst_be = WORLD_UPLINK_BE;
	}
	s.tcp_seq = seq;
	s.tcp_ack = ack;
	path_world_put(w, is_up ? WORLD_LAN : WORLD_UPLINK, &s);
	path_world_step(w);
}

/* Numbers begin at 100 inside and at 700 outside. */
static void open_connection(struct path_world *w)
{
	put_segment(w, true, TCP_SYN, 100, 0);
	put_segment(w, false, TCP_SYN | TCP_ACK, 700, 101);
	put_segment(w, true, TCP_ACK, 101, 701);
}

static void expect_end_after(struct path_world *w, uint64_t timeout_s)
{
	path_world_pass(w, (timeout_s - 1) * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(n_flows(w), 1);
	path_world_pass(w, 2 * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(n_flows(w), 0, "the wheel must not wait for the long timeout");
	cr_assert_eq(w->n_records, 1);
	cr_expect_eq(w->records[0].end_reason, FLOW_END_DETECTED);
	cr_expect_eq(w->records[0].tcp_flags[UPLINK] & TCP_SYN, TCP_SYN);
	path_world_destroy(w);
}

Test(path_flow, a_closed_tcp_connection_ends_by_its_short_timeout)
{
	struct path_world *w = path_world_create(NULL);

	open_connection(w);
	put_segment(w, true, TCP_FIN | TCP_ACK, 101, 701);
	put_segment(w, false, TCP_FIN | TCP_ACK, 701, 102);
	put_segment(w, true, TCP_ACK, 102, 702);
	expect_end_after(w, 10);
}

/* RFC 5382 REQ-5: an ACK of something else does not end the closing phase. */
Test(path_flow, a_tcp_connection_closes_until_its_second_fin_is_acknowledged)
{
	struct path_world *w = path_world_create(NULL);

	open_connection(w);
	put_segment(w, true, TCP_FIN | TCP_ACK, 101, 701);
	put_segment(w, false, TCP_FIN | TCP_ACK, 701, 102);
	put_segment(w, true, TCP_ACK, 102, 701);
	expect_end_after(w, 240);
}

/* RFC 7857 section 2.2. */
Test(path_flow, a_reset_tcp_connection_ends_by_the_transitory_timeout)
{
	struct path_world *w = path_world_create(NULL);

	open_connection(w);
	path_world_pass(w, 3600 * WORLD_S, WORLD_S);
	put_segment(w, false, TCP_RST, 701, 0);
	path_world_pass(w, 100 * WORLD_S, WORLD_S);
	put_segment(w, false, TCP_RST, 701, 0); /* once more: counts no time anew */
	put_segment(w, true, TCP_RST, 101, 0);
	expect_end_after(w, 140);
}

/* RFC 5382 REQ-5: one side alone cannot make flows that stay for hours. */
Test(path_flow, what_one_side_says_alone_is_kept_by_the_transitory_timeout)
{
	const uint8_t flags[] = {TCP_FIN | TCP_ACK, TCP_ACK, TCP_SYN};

	for (uint32_t i = 0; i < sizeof(flags); i++) {
		struct path_world *w = path_world_create(NULL);

		put_segment(w, true, flags[i], 101, 701);
		put_segment(w, true, TCP_ACK, 102, 701);
		put_segment(w, true, TCP_FIN | TCP_ACK, 102, 701);
		path_world_pass(w, 239 * WORLD_S, WORLD_S);
		cr_expect_eq(n_flows(w), 1);
		path_world_pass(w, 3 * WORLD_S, WORLD_S);
		cr_expect_eq(n_flows(w), 0, "flags %#x", flags[i]);
		path_world_destroy(w);
	}
}

static void report_each_minute(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->interim_us = 60 * WORLD_S;
}

Test(path_flow, interim_and_end_records_add_up)
{
	struct path_world_params params = {.tune = report_each_minute};
	struct path_world *w = path_world_create(&params);
	uint64_t octets[N_DIRECTIONS] = {0};
	uint32_t n_interim = 0;

	for (int i = 0; i < 600; i++) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 72});
		put_answer(w, PROTO_UDP, 0, 172);
		path_world_pass(w, WORLD_S, WORLD_S);
		path_world_discard(w, WORLD_LAN);
		path_world_discard(w, WORLD_UPLINK);
	}
	path_world_pass(w, 400 * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(n_flows(w), 0);
	for (uint32_t i = 0; i < w->n_records; i++) {
		n_interim += w->records[i].end_reason == FLOW_END_NONE;
		for (int d = 0; d < N_DIRECTIONS; d++)
			octets[d] += w->records[i].octet_delta_count[d];
	}
	cr_expect_geq(n_interim, 9);
	cr_expect_leq(n_interim, 11);
	cr_expect_eq(w->n_records, n_interim + 1);
	cr_expect_eq(octets[UPLINK], 60000);
	cr_expect_geq(
		octets[DOWNLINK], 119600, "the first answer may have come before the mapping");
	path_world_destroy(w);
}

static void make_many_flows(struct path_setup *setup, struct path_config *config)
{
	setup->flow_capacity = 36000;
	setup->device_capacity = 200;
	config->flows_per_device = 1000;
}

Test(path_flow, flows_wait_for_room_when_nobody_takes_their_records)
{
	struct path_world_params params = {.tune = make_many_flows};
	struct path_world *w = path_world_create(&params);
	struct path_stats s;

	w->is_filling_ring = true;
	for (uint32_t i = 0; i < 34000; i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = V4(192, 168, 50, 2 + i % 200),
				.src_port = (uint16_t)(1024 + i / 200)});
		if (i % 50 == 49) {
			path_world_step(w);
			path_world_discard(w, WORLD_UPLINK);
		}
	}
	cr_expect_eq(n_flows(w), 34000);
	path_world_pass(w, 200 * WORLD_S, 100 * WORLD_MS);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.n_flows, 34000 - 32768, "so many records find room: %u", s.n_flows);
	cr_expect_eq(s.records_lost, 0);
	w->is_filling_ring = false;
	path_world_pass(w, 2 * WORLD_S, 100 * WORLD_MS);
	path_world_destroy(w);
}

Test(path_flow, a_listing_shows_each_flow_once_with_its_totals)
{
	struct path_world *w = path_world_create(NULL);
	struct flow_view views[7];
	uint32_t cursor = 0, n_seen = 0;
	uint64_t ports = 0;

	for (uint16_t i = 0; i < 20; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){
				.src_port = (uint16_t)(5000 + i), .payload_bytes = 72});
	path_world_step(w);
	while (cursor != FLOW_NONE) {
		int n = doors_flows_read(w->path, &cursor, views, 7);

		cr_assert_geq(n, 0);
		for (int i = 0; i < n; i++) {
			ports |= UINT64_C(1) << (views[i].record.internal_port - 5000);
			cr_expect_eq(views[i].record.octet_delta_count[UPLINK], 100);
			cr_expect_eq(views[i].unreported_octets[UPLINK], 100);
			n_seen++;
		}
	}
	cr_expect_eq(n_seen, 20);
	cr_expect_eq(ports, (UINT64_C(1) << 20) - 1);
	path_world_destroy(w);
}

static void make_two_devices(struct path_setup *setup, struct path_config *config)
{
	setup->device_capacity = 2;
	config->timeouts.icmp_ms = 1000;
	config->flows_per_device = 3;
}

static uint32_t count_seen(struct path_world *w)
{
	struct path_event events[64];
	uint32_t n = doors_events_take(w->path, events, 64);
	uint32_t n_seen = 0;

	for (uint32_t i = 0; i < n; i++)
		n_seen += events[i].kind == EVENT_DEVICE_SEEN;
	return n_seen;
}

Test(path_flow, each_device_is_told_once_also_when_it_takes_over_an_id)
{
	struct path_world_params params = {.tune = make_two_devices};
	struct path_world *w = path_world_create(&params);

	for (uint8_t host = 0; host < 3; host++) {
		for (uint16_t id = 1; id <= 3; id++)
			path_world_put(w, WORLD_LAN,
				&(struct packet_spec){.src_be = V4(192, 168, 50, 30 + host),
					.proto = PROTO_ICMP,
					.icmp_type = ICMP_ECHO_REQUEST,
					.icmp_id = id});
		path_world_step(w);
		cr_expect_eq(count_seen(w), 1, "host %u", host);
		path_world_pass(w, 3 * WORLD_S, 100 * WORLD_MS);
	}
	path_world_destroy(w);
}

Test(path_flow, a_burst_does_not_pass_the_cap_of_its_device)
{
	struct path_world_params params = {.tune = make_two_devices};
	struct path_world *w = path_world_create(&params);

	for (uint16_t i = 0; i < 10; i++)
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.src_port = (uint16_t)(5000 + i)});
	path_world_step(w);
	cr_expect_eq(n_flows(w), 3);
	cr_expect_eq(path_world_drops(w, DROP_FLOW_DEVICE_CAP), 7);
	path_world_destroy(w);
}

Test(path_flow, a_packet_of_an_old_flow_that_is_not_sent_is_taken_back)
{
	struct path_world *w = path_world_create(NULL);

	for (int minute = 0; minute < 80; minute++) {
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 72});
		path_world_pass(w, 60 * WORLD_S, 60 * WORLD_S);
	}
	cr_expect_eq(n_flows(w), 1);
	port_fail(w->ports[WORLD_UPLINK]);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 72});
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_TX_PORT_DOWN), 1);
	port_up(w->ports[WORLD_UPLINK]);
	path_world_destroy(w);
}

static void make_second_uplink(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_LAN2].role = PORT_UPLINK;
	config->ports[WORLD_LAN2].queue_us = WORLD_S;
}

Test(path_flow, flows_go_on_by_another_uplink_when_theirs_goes_down)
{
	struct path_world_params params = {.tune = make_second_uplink};
	struct path_world *w = path_world_create(&params);
	struct packet p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);

	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	packet_clean(&p);
	port_fail(w->ports[WORLD_UPLINK]);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	cr_expect_eq(w->n_records, 1);
	cr_expect_eq(w->records[0].end_reason, FLOW_END_FORCED);
	p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_LAN2);
	cr_expect_eq(packet_src_be(&p), WORLD_LAN2_BE);
	packet_clean(&p);
	/* What has moved stays where it is when the first comes back: its remote knows no other address of ours. */
	port_up(w->ports[WORLD_UPLINK]);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_LAN2);
	packet_clean(&p);
	path_world_destroy(w);
}

static void make_flows(struct path_world *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.src_be = V4(192, 168, 50, 2 + i % 200),
				.src_port = (uint16_t)(1024 + i / 200)});
		if (i % 50 == 49) {
			path_world_step(w);
			path_world_discard(w, WORLD_UPLINK);
		}
	}
	cr_assert_eq(n_flows(w), n);
}

/* So many steps at the same instant or a millisecond apart each; no one ends more flows than `n_max`. Returns how many it took
 * to end all. */
static uint32_t steps_to_end(struct path_world *w, uint64_t step_us, uint32_t n_max)
{
	uint32_t n_steps = 0;

	for (uint32_t left = n_flows(w); left > 0; n_steps++) {
		uint32_t before = left;

		w->now_us += step_us;
		path_world_step(w);
		left = n_flows(w);
		cr_assert_leq(before - left, n_max, "step %u", n_steps);
		cr_assert_lt(n_steps, 1000, "they never end");
	}
	return n_steps;
}

Test(path_flow, a_step_ends_two_bursts_of_flows_at_most_and_the_next_one_goes_on)
{
	struct path_world_params params = {.tune = make_many_flows};
	struct path_world *w = path_world_create(&params);

	make_flows(w, 1000);
	w->now_us += 200 * WORLD_S;
	path_world_step(w);
	cr_expect_eq(n_flows(w), 1000 - 2 * PORT_BURST_MAX);
	cr_expect_leq(path_next_us(w->path), w->now_us + WORLD_MS, "it is soon due again");
	cr_expect_eq(steps_to_end(w, 0, 2 * PORT_BURST_MAX), 7);
	cr_expect_gt(path_next_us(w->path), w->now_us + WORLD_MS, "nothing is late any more");
	cr_expect_eq(w->n_records, 1000);
	path_world_destroy(w);
}

static void make_many_flows_on_two_uplinks(struct path_setup *setup, struct path_config *config)
{
	make_many_flows(setup, config);
	make_second_uplink(setup, config);
}

Test(path_flow, flows_leave_a_lost_uplink_some_hundreds_a_millisecond)
{
	struct path_world_params params = {.tune = make_many_flows_on_two_uplinks};
	struct path_world *w = path_world_create(&params);

	make_flows(w, 1200);
	port_fail(w->ports[WORLD_UPLINK]);
	cr_expect_gt(steps_to_end(w, WORLD_MS, 512), 2);
	path_world_destroy(w);
}

Test(path_flow, flows_wait_for_their_uplink_when_there_is_no_other)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);

	packet_clean(&p);
	port_fail(w->ports[WORLD_UPLINK]);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	cr_expect_eq(w->n_records, 0);
	port_up(w->ports[WORLD_UPLINK]);
	p = path_world_pass_one(w, WORLD_LAN, &(struct packet_spec){0}, WORLD_UPLINK);
	packet_clean(&p);
	path_world_destroy(w);
}
