/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes by names: what a device asked the DNS, through the gateway or of it, and what its hello names. */
#include "dns_builder.h"
#include "hello_builder.h"
#include "path_world.h"

#include <weir/classify/name_set.h>

#define HOST_BE     PACKET_SRC_BE
#define OTHER_BE    V4(192, 168, 50, 11)
#define RESOLVER_BE V4(9, 9, 9, 9)
#define SERVICE_BE  V4(192, 0, 2, 1)
#define SERVICE     2
#define UPDATES     3
#define SYN         0x02
#define ACK         0x10

static struct dns_builder msg;

static void set_names(struct path_config *config)
{
	static const struct name_pattern patterns[] = {
		{"service.example", 7}, {"updates.example", 63}};
	struct class_rule rules[2] = {
		{.name = "service", .port_max = UINT16_MAX, .has_names = true, .name_bit = 7},
		{.name = "updates",
			.port_max = UINT16_MAX,
			.has_names = true,
			.has_sni = true,
			.name_bit = 63},
	};

	classes_destroy(config->classes);
	cr_assert_eq(classes_create(rules, 2, &config->classes), 0);
	cr_assert_eq(name_set_create(patterns, 2, &config->names), 0);
	config->names_times =
		(struct names_times){.ttl_max_us = 3600 * WORLD_S, .grace_us = 60 * WORLD_S};
}

static void tune(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	set_names(config);
}

static struct path_world *create(void)
{
	struct path_world_params params = {.tune = tune};

	return path_world_create(&params);
}

/* The class of the flow to SERVICE_BE from this host, or 255. */
static uint8_t class_of(struct path_world *w, uint32_t host_be)
{
	struct flow_view views[64];
	uint32_t cursor = 0;
	int n;

	while (cursor != FLOW_NONE) {
		n = doors_flows_read(w->path, &cursor, views, 64);
		cr_assert_geq(n, 0);
		for (int i = 0; i < n; i++)
			if (views[i].record.remote.words[3] == SERVICE_BE
				&& views[i].record.internal.words[3] == host_be)
				return views[i].record.class_id;
	}
	return UINT8_MAX;
}

static void ask(struct path_world *w, const char *name, uint16_t port)
{
	struct packet_spec query = {.dst_be = RESOLVER_BE, .src_port = port, .dst_port = 53};

	dns_begin(&msg, 7, DNS_FLAGS_QUERY, name, DNS_TYPE_A);
	query.payload = msg.octets;
	query.payload_bytes = msg.len;
	path_world_put(w, WORLD_LAN, &query);
}

/* The host asks the resolver beyond the uplink, and is answered. */
static void resolve(struct path_world *w, const char *name)
{
	struct packet_spec answer = {
		.src_be = RESOLVER_BE, .dst_be = WORLD_UPLINK_BE, .src_port = 53};
	struct packet p;

	ask(w, name, 5353);
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p));
	answer.dst_port = packet_src_port(&p);
	packet_clean(&p);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, name, DNS_TYPE_A);
	dns_put_record(&msg, "@", DNS_TYPE_CNAME, 60, "a.cdn.example");
	dns_put_record(&msg, "a.cdn.example", DNS_TYPE_A, 60, "192.0.2.1");
	answer.payload = msg.octets;
	answer.payload_bytes = msg.len;
	path_world_put(w, WORLD_UPLINK, &answer);
	path_world_step(w);
	(void)path_world_discard(w, WORLD_LAN);
}

static void send_tcp(struct path_world *w, uint32_t host_be, uint8_t flags, uint32_t seq,
	const uint8_t *payload, uint32_t n)
{
	struct packet_spec spec = {.src_be = host_be,
		.dst_be = SERVICE_BE,
		.dst_port = 443,
		.proto = PROTO_TCP,
		.tcp_flags = flags,
		.tcp_seq = seq,
		.tcp_ack = 1,
		.payload = payload != NULL ? payload : (const uint8_t *)"",
		.payload_bytes = n};

	path_world_put(w, WORLD_LAN, &spec);
	path_world_step(w);
	(void)path_world_discard(w, WORLD_UPLINK);
}

Test(path_learn, a_flow_is_of_the_class_whose_name_its_device_asked_for)
{
	struct path_world *w = create();

	resolve(w, "service.example");
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	send_tcp(w, OTHER_BE, SYN, 1, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), SERVICE);
	cr_assert_eq(class_of(w, OTHER_BE), CLASS_DEFAULT,
		"what one device was told says nothing of another");
	path_world_destroy(w);
}

Test(path_learn, a_binding_ends_and_its_flow_goes_on)
{
	struct path_world *w = create();

	resolve(w, "service.example");
	path_world_pass(w, 119 * WORLD_S, WORLD_S);
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), SERVICE);
	path_world_pass(w, 2 * WORLD_S, WORLD_S);
	send_tcp(w, HOST_BE, ACK, 2, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), SERVICE);
	path_world_destroy(w);
	w = create();
	resolve(w, "service.example");
	path_world_pass(w, 121 * WORLD_S, WORLD_S);
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), CLASS_DEFAULT);
	path_world_destroy(w);
}

/* The gateway's own resolver lies behind the tap; these packets make no flow. */
Test(path_learn, the_gateways_own_answers_count_too)
{
	struct path_world *w = create();
	struct packet_spec query = {.dst_be = WORLD_LAN_BE, .src_port = 5353, .dst_port = 53};
	struct packet_spec answer = {
		.src_be = WORLD_LAN_BE, .dst_be = HOST_BE, .src_port = 53, .dst_port = 5353};

	dns_begin(&msg, 7, DNS_FLAGS_QUERY, "service.example", DNS_TYPE_A);
	query.payload = msg.octets;
	query.payload_bytes = msg.len;
	path_world_put(w, WORLD_LAN, &query);
	path_world_step(w);
	cr_assert_eq(path_world_discard(w, WORLD_TAP), 1);
	dns_begin(&msg, 7, DNS_FLAGS_RESPONSE, "service.example", DNS_TYPE_A);
	dns_put_record(&msg, "@", DNS_TYPE_A, 60, "192.0.2.1");
	answer.payload = msg.octets;
	answer.payload_bytes = msg.len;
	path_world_put(w, WORLD_TAP, &answer);
	path_world_step(w);
	cr_assert_eq(path_world_discard(w, WORLD_LAN), 1);
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	send_tcp(w, OTHER_BE, SYN, 1, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), SERVICE);
	cr_assert_eq(class_of(w, OTHER_BE), CLASS_DEFAULT);
	path_world_destroy(w);
}

/* The first one that was seen. */
static struct device the_device(struct path_world *w)
{
	struct device d;

	cr_assert_eq(doors_devices_read(w->path, 0, &d, 1), 1);
	cr_assert_eq(d.addr.words[3], HOST_BE);
	return d;
}

/* The gateway's resolver says so when it cannot reach its own. */
Test(path_learn, a_device_is_known_to_be_answered_by_the_dns_or_not)
{
	static const struct {
		const char *claim;
		uint16_t flags;
		bool is_answer;
	} rows[] = {
		{"an address", DNS_FLAGS_RESPONSE, true},
		{"no such name", DNS_FLAGS_RESPONSE | 3, true},
		{"the server failed", DNS_FLAGS_RESPONSE | 2, false},
		{"refused", DNS_FLAGS_RESPONSE | 5, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_world *w = create();
		struct packet_spec query = {
			.dst_be = WORLD_LAN_BE, .src_port = 5353, .dst_port = 53};
		struct packet_spec answer = {.src_be = WORLD_LAN_BE,
			.dst_be = HOST_BE,
			.src_port = 53,
			.dst_port = 5353};

		path_world_pass(w, 5 * WORLD_S, WORLD_S);
		dns_begin(&msg, 7, DNS_FLAGS_QUERY, "any.example", DNS_TYPE_A);
		query.payload = msg.octets;
		query.payload_bytes = msg.len;
		path_world_put(w, WORLD_LAN, &query);
		path_world_step(w);
		cr_assert_gt(the_device(w).dns_asked_s, 0);
		cr_assert_eq(the_device(w).dns_answered_s, 0);
		dns_begin(&msg, 7, rows[i].flags, "any.example", DNS_TYPE_A);
		answer.payload = msg.octets;
		answer.payload_bytes = msg.len;
		path_world_put(w, WORLD_TAP, &answer);
		path_world_step(w);
		cr_assert_eq(
			the_device(w).dns_answered_s != 0, rows[i].is_answer, "%s", rows[i].claim);
		(void)path_world_discard(w, WORLD_TAP);
		(void)path_world_discard(w, WORLD_LAN);
		path_world_destroy(w);
	}
}

/* glibc asks for both kinds of addresses at once, from one port: two packets of one burst begin the same flow. */
Test(path_learn, two_queries_of_one_burst_are_both_known)
{
	struct path_world *w = create();

	ask(w, "other.example", 5353);
	resolve(w, "service.example");
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	cr_assert_eq(class_of(w, HOST_BE), SERVICE);
	path_world_destroy(w);
}

Test(path_learn, a_class_with_sni_keeps_flows_whose_hello_names_it)
{
	static const struct {
		const char *claim;
		const char *name;
		uint8_t class_id;
	} rows[] = {
		{"its name", "updates.example", UPDATES},
		{"another name of the same address", "www.example", CLASS_DEFAULT},
		{"the name of a class that is not proved", "service.example", CLASS_DEFAULT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct hello_builder hello;
		static struct hello_builder records;
		struct path_world *w = create();

		resolve(w, "updates.example");
		send_tcp(w, HOST_BE, SYN, 100, NULL, 0);
		cr_assert_eq(class_of(w, HOST_BE), UPDATES, "until the hello says otherwise");
		hello_begin(&hello);
		hello_put_padding(&hello, 21, 1500);
		hello_put_name(&hello, rows[i].name);
		hello_end(&hello);
		records.len = 0;
		hello_put_records(&records, &hello, 16384);
		send_tcp(w, HOST_BE, ACK, 101, NULL, 0);
		send_tcp(w, HOST_BE, ACK, 101, records.octets, 1000);
		cr_assert_eq(class_of(w, HOST_BE), UPDATES, "half of it");
		send_tcp(w, HOST_BE, ACK, 1101, records.octets + 1000, records.len - 1000);
		cr_assert_eq(class_of(w, HOST_BE), rows[i].class_id, "%s", rows[i].claim);
		path_world_destroy(w);
	}
}

Test(path_learn, proofs_outlive_a_change_of_the_configuration)
{
	struct path_world *w = create();
	struct path_config *next = path_world_config(w);
	static const struct name_pattern patterns[] = {
		{"new.example", 0}, {"more.example", 1}, {"service.example", 1}};
	struct class_rule rules[2] = {
		{.name = "new", .port_max = UINT16_MAX, .has_names = true, .name_bit = 0},
		{.name = "service", .port_max = UINT16_MAX, .has_names = true, .name_bit = 1},
	};

	resolve(w, "service.example");
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	classes_destroy(next->classes);
	cr_assert_eq(classes_create(rules, 2, &next->classes), 0);
	cr_assert_eq(name_set_create(patterns, 3, &next->names), 0);
	doors_publish(w->path, next);
	path_world_pass(w, WORLD_S, WORLD_S / 10);
	cr_assert_eq(class_of(w, HOST_BE), 3, "the class has moved");
	next = path_world_config(w);
	doors_publish(w->path, next);
	path_world_pass(w, WORLD_S, WORLD_S / 10);
	cr_assert_eq(class_of(w, HOST_BE), CLASS_DEFAULT, "there are no classes any more");
	next = path_world_config(w);
	set_names(next);
	doors_publish(w->path, next);
	path_world_pass(w, WORLD_S, WORLD_S / 10);
	cr_assert_eq(class_of(w, HOST_BE), CLASS_DEFAULT, "what was forgotten stays so");
	path_world_destroy(w);
}

/* Two rules of one class, which change their places and then their names. */
Test(path_learn, a_proof_is_of_a_rules_names_and_not_of_its_class)
{
	static const struct name_pattern swapped[] = {
		{"updates.example", 0}, {"service.example", 1}};
	struct class_rule rules[2] = {
		{.name = "both", .port_max = 80, .has_names = true, .name_bit = 0},
		{.name = "both", .port_max = UINT16_MAX, .has_names = true, .name_bit = 1},
	};
	static const struct name_pattern fewer[] = {{"updates.example", 0}, {"more.example", 1}};
	struct path_world *w = create();
	struct path_config *next = path_world_config(w);

	resolve(w, "service.example");
	send_tcp(w, HOST_BE, SYN, 1, NULL, 0);
	classes_destroy(next->classes);
	cr_assert_eq(classes_create(rules, 2, &next->classes), 0);
	cr_assert_eq(name_set_create(swapped, 2, &next->names), 0);
	doors_publish(w->path, next);
	path_world_pass(w, WORLD_S, WORLD_S / 10);
	cr_assert_eq(class_of(w, HOST_BE), 2, "by the second rule: the first has port 80");
	next = path_world_config(w);
	classes_destroy(next->classes);
	cr_assert_eq(classes_create(rules, 2, &next->classes), 0);
	cr_assert_eq(name_set_create(fewer, 2, &next->names), 0);
	doors_publish(w->path, next);
	path_world_pass(w, WORLD_S, WORLD_S / 10);
	cr_assert_eq(class_of(w, HOST_BE), CLASS_DEFAULT, "nobody has the name any more");
	path_world_destroy(w);
}

static struct path_config *config_of(
	struct path_world *w, const struct class_rule *rules, uint32_t n_rules)
{
	struct path_config *config = path_world_config(w);

	classes_destroy(config->classes);
	cr_assert_eq(classes_create(rules, n_rules, &config->classes), 0);
	return config;
}

/* DSCP of the first packet, and the device's own port: what later packets say changes nothing. */
Test(path_learn, a_flow_keeps_the_class_of_its_first_packets_mark)
{
	static const struct class_rule rules[2] = {
		{.name = "marked", .port_max = UINT16_MAX, .has_dscp = true, .dscp = 46},
		{.name = "time",
			.port_min = 123,
			.port_max = 123,
			.has_source_port = true,
			.source_port_min = 124,
			.source_port_max = 124,
			.kind = CLASS_KIND_TIME},
	};
	static const struct {
		const char *claim;
		uint16_t src_port;
		uint16_t dst_port;
		uint8_t tos;
		uint8_t next_tos;
		uint8_t class_id;
		uint8_t kind;
	} rows[] = {
		{"EF, with a congestion mark", 5000, 5000, 46 << 2 | 3, 0, 2, CLASS_KIND_NONE},
		{"EF too late", 5001, 5000, 0, 46 << 2, CLASS_DEFAULT, CLASS_KIND_NONE},
		{"time from port 124", 124, 123, 0, 0, 3, CLASS_KIND_TIME},
		{"time from another", 125, 123, 0, 0, CLASS_DEFAULT, CLASS_KIND_NONE},
	};
	struct path_world *w = create();

	doors_publish(w->path, config_of(w, rules, 2));
	path_world_step(w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet_spec spec = {.dst_be = V4(192, 0, 2, (uint8_t)(10 + i)),
			.src_port = rows[i].src_port,
			.dst_port = rows[i].dst_port,
			.tos = rows[i].tos};
		struct flow_view views[64];
		uint32_t cursor = 0;
		int n;

		path_world_put(w, WORLD_LAN, &spec);
		path_world_step(w);
		spec.tos = rows[i].next_tos;
		path_world_put(w, WORLD_LAN, &spec);
		path_world_step(w);
		n = doors_flows_read(w->path, &cursor, views, 64);
		for (int k = 0; k < n; k++) {
			if (views[k].record.remote.words[3] != spec.dst_be)
				continue;
			cr_expect_eq(
				views[k].record.class_id, rows[i].class_id, "%s", rows[i].claim);
			cr_expect_eq(views[k].record.kind, rows[i].kind, "%s", rows[i].claim);
		}
		cr_expect_eq(n, (int)i + 1);
	}
	path_world_destroy(w);
}
