/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whatever comes, nothing is lost uncounted: thousands of random packets, good and bad, by every port, while ports go down
 * and up, buffers run out and rates change. What is held to it is in path_world_step() and path_world_destroy().
 */
#include "path_world.h"

#include <weir/base/rng.h>
#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#include <rte_mbuf.h>

#include <string.h>

#define ROUNDS 800

struct chance {
	struct rng rng;
};

static uint32_t below(struct chance *c, uint32_t n)
{
	return (uint32_t)(rng_next(&c->rng) >> 33) % n;
}

static bool one_in(struct chance *c, uint32_t n)
{
	return below(c, n) == 0;
}

static uint32_t some_host(struct chance *c, enum world_port port)
{
	uint8_t last = (uint8_t)(10 + below(c, 6));

	switch (port) {
	case WORLD_LAN:
		return V4(192, 168, 50, last);
	case WORLD_LAN2:
		return V4(192, 168, 60, last);
	case WORLD_TAP:
		return WORLD_LAN_BE;
	case WORLD_UPLINK:
	case WORLD_PORTS:
		break;
	}
	return V4(198, 51, 100, last);
}

static uint32_t some_destination(struct chance *c, enum world_port from)
{
	static const enum world_port lans[] = {WORLD_LAN, WORLD_LAN2};

	if (from == WORLD_UPLINK)
		return one_in(c, 20) ? WORLD_LAN_BE : WORLD_UPLINK_BE;
	switch (below(c, 16)) {
	case 0:
		return WORLD_UPLINK_BE;
	case 1:
		return WORLD_LAN_BE;
	case 2:
	case 3:
		return some_host(c, lans[below(c, 2)]);
	case 4:
		return V4(255, 255, 255, 255);
	default:
		return some_host(c, WORLD_UPLINK);
	}
}

static struct packet_spec some_spec(struct chance *c, enum world_port from)
{
	static const uint8_t protos[] = {
		PROTO_UDP, PROTO_UDP, PROTO_TCP, PROTO_TCP, PROTO_ICMP, 47};
	static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH,
		TCP_FIN | TCP_ACK, TCP_RST, 0x3f};
	static const uint8_t types[] = {
		ICMP_ECHO_REQUEST, ICMP_ECHO_REPLY, ICMP_REDIRECT, ICMP_TIMESTAMP_REQUEST, 77};
	struct packet_spec s = {
		.src_be =
			some_host(c, one_in(c, 50) ? (enum world_port)below(c, WORLD_PORTS) : from),
		.dst_be = some_destination(c, from),
		.proto = protos[below(c, sizeof(protos))],
		.src_port = (uint16_t)(1024 + below(c, 8)),
		.dst_port = (uint16_t)(1024 + below(c, 8)),
		.tcp_flags = flags[below(c, sizeof(flags))],
		.icmp_type = types[below(c, sizeof(types))],
		.icmp_id = (uint16_t)(1024 + below(c, 8)),
		.ttl = (uint8_t)(one_in(c, 30) ? 1 : 64),
		.df = one_in(c, 3),
		.id = (uint16_t)below(c, 4),
		.payload_bytes = one_in(c, 10) ? 1600 : below(c, 1400),
	};

	if (one_in(c, 5)) {
		s.mf = one_in(c, 2);
		s.fragment_offset = (uint16_t)(one_in(c, 2) ? 0 : 64 * below(c, 8));
		s.payload_bytes = 64;
		s.df = false;
	}
	return s;
}

/* An error about a packet that may have been sent. */
static struct packet some_error(struct chance *c, enum world_port from, enum link_framing framing)
{
	struct packet_spec spec = some_spec(c, from);
	struct packet_spec about = some_spec(c, from);
	struct packet quoted, p;

	about.src_be = from == WORLD_UPLINK ? WORLD_UPLINK_BE : some_host(c, WORLD_UPLINK);
	about.dst_be = some_host(c, from);
	about.framing = FRAMING_RAW_IP;
	quoted = packet_build(&about);
	spec.framing = framing;
	spec.proto = PROTO_ICMP;
	spec.mf = false;
	spec.fragment_offset = 0;
	spec.icmp_type = one_in(c, 2) ? ICMP_UNREACHABLE : ICMP_TIME_EXCEEDED;
	spec.quoted = &quoted;
	spec.quoted_octets = 20 + below(c, 64);
	if (spec.quoted_octets > quoted.len_bytes)
		spec.quoted_octets = quoted.len_bytes;
	p = packet_build(&spec);
	packet_clean(&quoted);
	return p;
}

static struct packet some_arp(struct chance *c, enum world_port port)
{
	struct arp_message m = {
		.operation = one_in(c, 2) ? ARP_REQUEST : ARP_REPLY,
		.sender_mac = {{0x02, 1, 1, 1, 1, (uint8_t)below(c, 4)}},
		.sender_be = one_in(c, 10) ? WORLD_LAN_BE : some_host(c, port),
		.target_mac = world_macs[port],
		.target_be = port == WORLD_LAN2 ? WORLD_LAN2_BE : WORLD_LAN_BE,
	};
	static const struct mac_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	return packet_of_arp(&all, &m);
}

/* Breaks some octets of a frame. */
static void spoil(struct chance *c, struct packet *p)
{
	for (uint32_t n = 1 + below(c, 4); n > 0; n--)
		p->bytes[below(c, p->len_bytes < 60 ? p->len_bytes : 60)] = (uint8_t)below(c, 256);
}

static void put_some(struct path_world *w, struct chance *c, enum world_port port)
{
	enum link_framing framing = w->ports[port]->framing;
	struct packet_spec spec = some_spec(c, port);
	struct packet p;

	spec.framing = framing;
	spec.dst_mac = world_macs[port];
	if (framing == FRAMING_ETHERNET && one_in(c, 10))
		p = some_arp(c, port);
	else if (one_in(c, 10))
		p = some_error(c, port, framing);
	else
		p = packet_build(&spec);
	if (one_in(c, 12))
		spoil(c, &p);
	path_world_put_frame(w, port, p);
}

static void tune(struct path_setup *setup, struct path_config *config)
{
	setup->flow_capacity = 96;
	setup->device_capacity = 12;
	setup->fragment_capacity = 8;
	setup->neighbor_capacity = 8;
	config->lan_to_lan = true;
	config->ports[WORLD_UPLINK].plan_id = 0;
	config->n_plans = 1;
	config->plans[0] = (struct meter_params){.overhead_octets_packet = 7};
}

static void publish_other_rates(struct path_world *w, struct chance *c)
{
	struct path_config *config = path_world_config(w);

	config->ports[WORLD_UPLINK].uplink_bps = one_in(c, 2) ? 0 : 400000 + below(c, 4000000);
	config->ports[WORLD_UPLINK].downlink_bps = one_in(c, 2) ? 0 : 400000 + below(c, 4000000);
	config->filtering = (enum nat_filtering)below(c, 3);
	config->lan_to_lan = one_in(c, 2);
	doors_publish(w->path, config);
}

/* Ports that go down, buffers that run out: in `held`, so many as are missing. */
static void disturb(
	struct path_world *w, struct chance *c, struct rte_mbuf **held, uint32_t *n_held)
{
	enum world_port port = (enum world_port)below(c, WORLD_PORTS);

	rte_pktmbuf_free_bulk(held, *n_held);
	*n_held = 0;
	if (one_in(c, 10))
		publish_other_rates(w, c);
	if (one_in(c, 20))
		port_fail(w->ports[port]);
	else if (!port_is_up(w->ports[port]))
		port_up(w->ports[port]);
	if (!one_in(c, 10))
		return;
	while ((held[*n_held] = rte_pktmbuf_alloc(w->pool)) != NULL)
		(*n_held)++;
	for (uint32_t n = below(c, 200); n > 0 && *n_held > 0; n--)
		rte_pktmbuf_free(held[--*n_held]);
}

static void run_storm(uint64_t seed, const struct path_world_params *params)
{
	static struct rte_mbuf *held[4096];
	struct path_world *w = path_world_create(params);
	struct chance c;
	uint32_t n_held = 0;
	struct path_stats s;

	rng_init(&c.rng, seed);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		disturb(w, &c, held, &n_held);
		for (enum world_port port = 0; port < WORLD_PORTS; port++)
			for (uint32_t n = below(&c, one_in(&c, 4) ? 48 : 8); n > 0; n--)
				put_some(w, &c, port);
		w->now_us += one_in(&c, 20) ? below(&c, 200000000) : below(&c, 20000);
		path_world_step(w);
		for (enum world_port port = 0; port < WORLD_PORTS; port++)
			if (!one_in(&c, 3))
				path_world_discard(w, port);
	}
	rte_pktmbuf_free_bulk(held, n_held);
	for (enum world_port port = 0; port < WORLD_PORTS; port++)
		if (!port_is_up(w->ports[port]))
			port_up(w->ports[port]);
	doors_stats_read(w->path, &s);
	cr_expect_gt(s.flows_created, 500, "the storm was too gentle: %lu", s.flows_created);
	cr_expect_gt(s.edge_packets[WORLD_UPLINK][UPLINK], 300);
	cr_expect_eq(s.plans[0].octets[UPLINK],
		s.edge_octets[WORLD_UPLINK][UPLINK] + s.queue_octets[WORLD_UPLINK][UPLINK]
			- 7 * s.queue_packets[WORLD_UPLINK][UPLINK],
		"but for what waits");
	cr_expect_eq(s.plans[0].octets[DOWNLINK], s.edge_octets[WORLD_UPLINK][DOWNLINK]);
	path_world_destroy(w);
}

Test(path_conservation, holds_through_a_storm_on_a_raw_ip_uplink)
{
	struct path_world_params params = {.tune = tune};

	for (uint64_t seed = 1; seed <= 4; seed++)
		run_storm(seed, &params);
}

Test(path_conservation, holds_through_a_storm_while_the_uplink_refuses_frames)
{
	struct path_world_params params = {.tune = tune, .n_sent_max = 5};

	run_storm(11, &params);
}

Test(path_conservation, holds_through_a_storm_where_next_hops_are_asked_for)
{
	struct path_world_params params = {.tune = tune, .is_asking = true};

	for (uint64_t seed = 21; seed <= 24; seed++)
		run_storm(seed, &params);
}

static void tune_billing(struct path_setup *setup, struct path_config *config)
{
	tune(setup, config);
	setup->flow_capacity = 1024; /* so that it is the plan that has no room left */
}

Test(path_conservation, holds_when_the_plan_is_spent_on_the_way)
{
	struct path_world_params params = {.tune = tune_billing};
	struct path_world *w = path_world_create(&params);
	struct path_stats s;
	struct chance c;

	path_world_limit(w, ACCOUNT_GENERAL, 50000);
	rng_init(&c.rng, 5);
	for (int i = 0; i < 2000; i++) {
		put_some(w, &c, WORLD_LAN);
		put_some(w, &c, WORLD_UPLINK);
		w->now_us += 1000;
		path_world_step(w);
		path_world_discard(w, WORLD_UPLINK);
		path_world_discard(w, WORLD_LAN);
		path_world_discard(w, WORLD_TAP);
		path_world_discard(w, WORLD_LAN2);
	}
	cr_expect(path_world_saw(w, EVENT_PLAN_SPENT));
	doors_stats_read(w->path, &s);
	cr_expect_gt(s.drops[DROP_METER_PLAN_SPENT], 50);
	path_world_destroy(w);
}
