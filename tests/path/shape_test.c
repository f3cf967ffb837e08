/* SPDX-License-Identifier: BSD-3-Clause */
/* What the shaper does to packets on their way; how it decides is told by tests/shape. */
#include "../../src/path/path.h"
#include "path_world.h"

#include <weir/packet/bytes.h>

#define SERVICE      2
#define SERVICE_PORT 5060
#define ECT          2
#define CE           3

/* A class of its own for one port, paid for by a reserve. */
static void add_service(struct path_config *config)
{
	struct class_rule rule = {
		.name = "service", .port_min = SERVICE_PORT, .port_max = SERVICE_PORT};

	classes_destroy(config->classes);
	cr_assert_eq(classes_create(&rule, 1, &config->classes), 0);
}

static void tune(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	add_service(config);
	config->accounts[SERVICE] = 1;
	config->n_plans = 1;
	config->plans[0] = (struct meter_params){.overhead_octets = {50, 50}};
	config->ports[WORLD_UPLINK].plan_id = 0;
}

static struct path_world *create(void)
{
	struct path_world_params params = {.tune = tune};

	return path_world_create(&params);
}

static void set_rates(struct path_world *w, uint64_t up_bps, uint64_t down_bps)
{
	struct path_config *config = path_world_config(w);

	add_service(config);
	config->ports[WORLD_UPLINK].uplink_bps = up_bps;
	config->ports[WORLD_UPLINK].downlink_bps = down_bps;
	config->ports[WORLD_UPLINK].queue_us = 10 * WORLD_S;
	doors_publish(w->path, config);
}

/* Puts the packet in `per_ms` times each millisecond; returns how many left by the uplink. */
static uint64_t offer(
	struct path_world *w, const struct packet_spec *spec, uint32_t per_ms, uint64_t ms)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < ms; i++) {
		for (uint32_t k = 0; k < per_ms; k++)
			path_world_put(w, WORLD_LAN, spec);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		n += path_world_discard(w, WORLD_UPLINK);
	}
	return n;
}

static void expect_billed_is_sent(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	cr_expect_eq(s.queue_packets[WORLD_UPLINK][UPLINK], 0);
	cr_expect_eq(s.plans[0].octets[UPLINK], s.edge_octets[WORLD_UPLINK][UPLINK]);
	cr_expect_eq(s.plans[0].packets[UPLINK], s.edge_packets[WORLD_UPLINK][UPLINK]);
}

Test(path_shape, a_flow_that_is_deaf_is_cut_by_codel_and_not_billed_for_that)
{
	struct path_world *w = create();
	struct packet_spec spec = {.payload_bytes = 972};
	uint64_t sent;

	set_rates(w, 840000, 0); /* 100 packets of 1000 octets, and 50 of the carrier's overhead */
	sent = offer(w, &spec, 1, 3000);
	cr_expect(sent > 298 && sent < 305, "%lu", sent);
	cr_expect_gt(path_world_drops(w, DROP_SHAPE_CODEL), 50);
	set_rates(w, 0, 0);
	path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
	expect_billed_is_sent(w);
	path_world_destroy(w);
}

Test(path_shape, what_can_be_marked_is_marked_and_stays_good)
{
	struct path_world *w = create();
	struct packet_spec spec = {.tos = ECT, .payload_bytes = 972};
	uint32_t n_marked = 0;
	struct packet p;

	set_rates(w, 840000, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		if (i % 5 == 0)
			path_world_put(w, WORLD_LAN, &spec);
		if (i % 10 == 0)
			path_world_put(w, WORLD_LAN, &spec);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		while (path_world_take(w, WORLD_UPLINK, &p)) {
			cr_assert(packet_is_checksum_good(&p));
			cr_assert((packet_ip(&p)[1] & 3) == ECT || (packet_ip(&p)[1] & 3) == CE);
			n_marked += (packet_ip(&p)[1] & 3) == CE;
			packet_clean(&p);
		}
	}
	cr_expect_gt(n_marked, 10);
	cr_expect_eq(path_world_all_drops(w), 0);
	path_world_destroy(w);
}

Test(path_shape, the_downlink_is_held_towards_the_lan_and_billed_all_the_same)
{
	struct path_world *w = create();
	struct packet_spec out = {.payload_bytes = 20};
	struct packet_spec in = {.framing = FRAMING_RAW_IP,
		.src_be = PACKET_DST_BE,
		.dst_be = WORLD_UPLINK_BE,
		.src_port = PACKET_DST_PORT,
		.dst_port = PACKET_SRC_PORT,
		.payload_bytes = 972};
	struct path_stats s;
	uint32_t n = 0;

	set_rates(w, 0, 840000);
	path_world_put(w, WORLD_LAN, &out);
	path_world_step(w);
	for (uint32_t ms = 0; ms < 1000; ms++) {
		path_world_put(w, WORLD_UPLINK, &in);
		path_world_pass(w, WORLD_MS, WORLD_MS);
		n += path_world_discard(w, WORLD_LAN);
	}
	/* of 105, some: what is dropped has crossed the radio, and counts for a quarter of the rate at most */
	cr_expect(n > 78 && n < 105, "%u", n);
	doors_stats_read(w->path, &s);
	cr_expect_eq(s.plans[0].octets[DOWNLINK], 1000000);
	path_world_destroy(w);
}

static void set_general(struct path_world *w, uint64_t bps)
{
	struct meter_limits limits = {
		.leased = METER_UNLIMITED, .general_bps = {bps, bps}, .cycle = 1};

	for (uint32_t a = 0; a < METER_ACCOUNTS; a++)
		limits.accounts[a] = limits.devices[a] = METER_UNLIMITED;
	doors_limits_set(w->path, 0, &limits);
	path_world_pass(
		w, 20 * WORLD_MS, WORLD_MS); /* housekeeping sees it, and what it frees leaves */
}

Test(path_shape, a_plan_can_slow_down_what_no_reserve_pays_for)
{
	struct path_world *w = create();
	struct packet_spec other = {.payload_bytes = 972};
	struct packet_spec service = {.payload_bytes = 972, .dst_port = SERVICE_PORT};

	cr_expect_eq(offer(w, &other, 2, 100), 200, "at will");
	set_general(w, 84000);
	cr_expect_leq(offer(w, &other, 1, 1000), 13, "ten a second, and a burst");
	cr_expect_geq(offer(w, &service, 1, 1000), 1000, "the reserve pays");
	set_general(w, 0);
	path_world_discard(w, WORLD_UPLINK);
	cr_expect_eq(offer(w, &other, 2, 100), 200, "at will again");
	expect_billed_is_sent(w);
	path_world_destroy(w);
}

Test(path_shape, what_a_ceiling_leaves_no_room_for_has_a_reason_of_its_own)
{
	struct path_world *w = create();
	struct packet_spec spec = {.payload_bytes = 1400};

	set_general(w, 8000);
	offer(w, &spec, 20, 100);
	cr_expect_gt(path_world_drops(w, DROP_SHAPE_CEILING), 500);
	cr_expect_eq(path_world_drops(w, DROP_SHAPE_QUEUE_FULL), 0);
	path_world_destroy(w);
}

Test(path_shape, a_device_has_a_ceiling_of_its_own)
{
	struct path_world *w = create();
	struct packet_spec one = {.src_be = V4(192, 168, 50, 10), .payload_bytes = 972};
	struct packet_spec two = {.src_be = V4(192, 168, 50, 11), .payload_bytes = 972};
	struct ip_addr addr = ip_addr_v4(one.src_be);
	struct device_table *t = w->path->ctx.devices;
	uint64_t n;

	path_world_put(w, WORLD_LAN, &one);
	path_world_put(w, WORLD_LAN, &two);
	path_world_step(w);
	path_world_discard(w, WORLD_UPLINK);
	t->devices[device_find(t, WORLD_LAN, &addr)].ceiling_bps = 84000;
	path_world_pass(w, 2 * WORLD_MS, WORLD_MS);
	n = offer(w, &one, 1, 1000);
	cr_expect_leq(n, 13, "%lu", n);
	n = offer(w, &two, 1, 1000);
	cr_expect(n >= 1000 && n <= 1013, "%lu", n);
	t->devices[device_find(t, WORLD_LAN, &addr)].ceiling_bps = 0;
	path_world_pass(w, 20 * WORLD_MS, WORLD_MS);
	path_world_discard(w, WORLD_UPLINK);
	cr_expect_eq(offer(w, &one, 2, 100), 200);
	expect_billed_is_sent(w);
	path_world_destroy(w);
}

static void publish_priority(struct path_world *w, enum shaper_priority priority)
{
	struct path_config *config = path_world_config(w);

	add_service(config);
	config->ports[WORLD_UPLINK].uplink_bps = 840000;
	config->ports[WORLD_UPLINK].queue_us = 10 * WORLD_S;
	config->n_shaped_classes = SERVICE + 1;
	for (uint32_t i = 0; i <= SERVICE; i++)
		config->shaped_classes[i] = (struct shaper_class){
			.priority = SHAPER_NORMAL, .weight = SHAPER_WEIGHT_UNIT};
	config->shaped_classes[SERVICE].priority = priority;
	doors_publish(w->path, config);
}

Test(path_shape, a_class_goes_first_or_last_as_configured)
{
	static const struct {
		enum shaper_priority priority;
		uint32_t first; /* of the service's ten, among the first ten that leave */
		uint32_t last;
	} rows[] = {{SHAPER_LOW, 0, 3}, {SHAPER_NORMAL, 4, 6}, {SHAPER_HIGH, 6, 10}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_world *w = create();
		struct packet_spec other = {.tos = ECT, .payload_bytes = 972};
		struct packet_spec service = {
			.tos = ECT, .payload_bytes = 972, .dst_port = SERVICE_PORT};
		uint32_t n_service = 0;
		struct packet p;

		publish_priority(w, rows[i].priority);
		offer(w, &other, 10, 1); /* the burst goes */
		path_world_pass(w, 200 * WORLD_MS, WORLD_MS);
		path_world_discard(w, WORLD_UPLINK);
		for (uint32_t k = 0; k < 20; k++) {
			path_world_put(w, WORLD_LAN, &other);
			path_world_put(w, WORLD_LAN, &service);
		}
		path_world_step(w);
		path_world_discard(w, WORLD_UPLINK);
		for (uint32_t n = 0; n < 10;) {
			path_world_pass(w, WORLD_MS, WORLD_MS);
			while (n < 10 && path_world_take(w, WORLD_UPLINK, &p)) {
				n_service += packet_dst_port(&p) == SERVICE_PORT;
				packet_clean(&p);
				n++;
			}
		}
		cr_expect(n_service >= rows[i].first && n_service <= rows[i].last,
			"priority %u: %u", rows[i].priority, n_service);
		path_world_destroy(w);
	}
}

Test(path_shape, acknowledgements_are_thinned_where_that_is_asked_for_and_nothing_is_lost_by_it)
{
	static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
	static const uint8_t sack[] = {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
	static const uint8_t cut_off[] = {1, 1, 1, 8};
	static const struct {
		const char *claim;
		struct packet_spec spec;
		bool is_fixed;      /* all acknowledge the same */
		uint32_t n_thinned; /* of nine */
	} rows[] = {
		{"plain ones", {.tcp_flags = TCP_ACK}, false, 8},
		{"with time stamps",
			{.tcp_flags = TCP_ACK, .tcp_options = timestamps, .tcp_options_bytes = 12},
			false, 8},
		{"with SACK", {.tcp_flags = TCP_ACK, .tcp_options = sack, .tcp_options_bytes = 12},
			false, 0},
		{"with options that end too soon",
			{.tcp_flags = TCP_ACK, .tcp_options = cut_off, .tcp_options_bytes = 4},
			false, 0},
		{"with data", {.tcp_flags = TCP_ACK, .payload_bytes = 1}, false, 0},
		{"with a flag", {.tcp_flags = TCP_ACK | TCP_PSH}, false, 0},
		{"with the echo of a mark (ECE)", {.tcp_flags = TCP_ACK | 0x40}, false, 0},
		{"duplicates", {.tcp_flags = TCP_ACK}, true, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_world *w = create();
		struct packet_spec spec = rows[i].spec;
		struct path_config *config = path_world_config(w);
		struct shaper_stats s;

		spec.proto = PROTO_TCP;
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.proto = PROTO_TCP, .tcp_flags = TCP_SYN});
		path_world_put(
			w, WORLD_LAN, &(struct packet_spec){.payload_bytes = 1400, .src_port = 9});
		path_world_step(w);
		config->ports[WORLD_UPLINK].uplink_bps = 8000;
		config->ports[WORLD_UPLINK].ack_thinning = true;
		doors_publish(w->path, config);
		for (uint32_t k = 0; k < 2; k++) /* what the burst lets go */
			path_world_put(w, WORLD_LAN,
				&(struct packet_spec){.payload_bytes = 1400, .src_port = 9});
		path_world_step(w);
		for (uint32_t k = 0; k < 9; k++) {
			spec.tcp_ack = 1000 + (rows[i].is_fixed ? 0 : k * 2800);
			path_world_put(w, WORLD_LAN, &spec);
		}
		path_world_step(w);
		cr_expect_eq(path_world_drops(w, DROP_SHAPE_ACK), rows[i].n_thinned, "%s: %lu",
			rows[i].claim, path_world_drops(w, DROP_SHAPE_ACK));
		cr_assert(doors_shaper_read(w->path, WORLD_UPLINK, UPLINK, &s));
		cr_expect_eq(s.thinned_octets > 0, rows[i].n_thinned > 0);
		set_rates(w, 0, 0);
		path_world_pass(w, 10 * WORLD_MS, WORLD_MS);
		expect_billed_is_sent(w);
		path_world_destroy(w);
	}
}
