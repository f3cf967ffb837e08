/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/nat/mapping.h>
#include <weir/packet/meta.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct rng rng;

static struct nat_params defaults(uint32_t capacity)
{
	return (struct nat_params){
		.capacity = capacity,
		.port_min = 1024,
		.port_max = 65535,
		.filtering = NAT_FILTER_ADDRESS_DEPENDENT,
		.hash_key = {{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb}},
	};
}

static struct nat *nat_of(const struct nat_params *params)
{
	struct nat *n;

	rng_init(&rng, 1);
	cr_assert_eq(nat_create(params, &rng, &n), 0);
	return n;
}

static struct nat *nat_default(uint32_t capacity)
{
	struct nat_params params = defaults(capacity);

	return nat_of(&params);
}

static struct ip_addr device(uint32_t i)
{
	return ip_addr_quad(192, 168, (uint8_t)(i >> 8), (uint8_t)i);
}

static struct ip_addr remote(uint32_t i)
{
	return ip_addr_quad(198, 51, (uint8_t)(i >> 8), (uint8_t)i);
}

static enum drop_reason map(struct nat *n, uint8_t proto, const struct ip_addr *internal,
	uint16_t port, uint8_t lan_port, uint32_t *ret_id)
{
	struct nat_internal who = {.addr = *internal,
		.port = port,
		.proto = proto,
		.lan_port = lan_port,
		.device_id = (uint16_t)internal->words[3]};

	return nat_map(n, &who, ret_id);
}

/* Flows that the inside began. */
static enum drop_reason hold(
	struct nat *n, uint32_t id, const struct ip_addr *to, uint16_t remote_port)
{
	(void)remote_port;
	return nat_hold(n, id, to, true);
}

static void release(struct nat *n, uint32_t id, const struct ip_addr *to, uint16_t remote_port)
{
	(void)remote_port;
	nat_release(n, id, to, true);
}

/* Maps and holds one flow to remote(0):80; returns the external port, 0 when there is none. */
static uint16_t open_flow(struct nat *n, uint8_t proto, uint32_t dev, uint16_t port)
{
	struct ip_addr internal = device(dev);
	struct ip_addr to = remote(0);
	uint32_t id;

	if (map(n, proto, &internal, port, 1, &id) != DROP_NONE)
		return 0;
	cr_assert_eq(hold(n, id, &to, 80), DROP_NONE);
	return nat_mapping(n, id)->external_port;
}

static void close_flow(struct nat *n, uint8_t proto, uint16_t external_port)
{
	struct ip_addr to = remote(0);

	release(n, nat_find_external(n, proto, external_port), &to, 80);
}

Test(nat_mapping, refuses_parameters_that_cannot_work)
{
	static const struct {
		const char *claim;
		uint32_t capacity;
		uint16_t port_min;
		uint16_t port_max;
	} rows[] = {
		{"no capacity", 0, 1024, 65535},
		{"more flows than a table can have", (1u << 24) + 1, 1024, 65535},
		{"a range upside down", 16, 2000, 1999},
		{"a range of well-known ports alone, RFC 4787 REQ-3a", 16, 1, 1023},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nat_params params = defaults(rows[i].capacity);
		struct nat *n = NULL;

		params.port_min = rows[i].port_min;
		params.port_max = rows[i].port_max;
		cr_assert_eq(nat_create(&params, &rng, &n), -EINVAL, "%s", rows[i].claim);
		cr_assert_null(n);
	}
	nat_destroy(NULL);
}

Test(nat_mapping, is_independent_of_the_remote_endpoint)
{
	/* RFC 4787 REQ-1, RFC 5382 REQ-1 */
	struct nat *n = nat_default(16);
	struct ip_addr internal = device(7);
	struct ip_addr to[2] = {remote(1), remote(2)};
	uint32_t first, second;

	cr_assert_eq(map(n, PROTO_UDP, &internal, 5000, 3, &first), DROP_NONE);
	cr_assert_eq(hold(n, first, &to[0], 53), DROP_NONE);
	cr_assert_eq(map(n, PROTO_UDP, &internal, 5000, 3, &second), DROP_NONE);
	cr_assert_eq(hold(n, second, &to[1], 123), DROP_NONE);
	cr_assert_eq(first, second);
	cr_assert_eq(nat_mapping(n, first)->n_flows, 2);
	cr_assert_eq(nat_mapping(n, first)->lan_port, 3);
	cr_assert_eq(nat_n_mappings(n), 1);
	cr_assert_eq(nat_find_external(n, PROTO_UDP, 5000), first);
	cr_assert_eq(nat_find_external(n, PROTO_TCP, 5000), POOL_NONE);
	release(n, first, &to[0], 53);
	cr_assert_eq(nat_n_mappings(n), 1);
	release(n, first, &to[1], 123);
	cr_assert_eq(nat_n_mappings(n), 0);
	cr_assert_eq(nat_find_external(n, PROTO_UDP, 5000), POOL_NONE);
	nat_destroy(n);
}

static bool well_known(uint16_t port)
{
	return port >= 1 && port <= 1023;
}

static bool high(uint16_t port)
{
	return port >= 1024;
}

Test(nat_mapping, keeps_the_port_or_its_range_and_parity)
{
	static const struct {
		const char *claim;
		uint8_t proto;
		uint16_t port;
		bool preserved;             /* by the first of two devices */
		bool (*in_range)(uint16_t); /* of the second one's port */
		bool parity;                /* kept for the second one */
	} rows[] = {
		{"RFC 4787 section 4.2.1: a free port is kept", PROTO_UDP, 40001, true, high, true},
		{"RFC 4787 section 4.2.1, for TCP too", PROTO_TCP, 40000, true, high, true},
		{"REQ-3a: 1023 stays well known", PROTO_UDP, 1023, true, well_known, true},
		{"REQ-3a: 1024 stays above", PROTO_UDP, 1024, true, high, true},
		{"Azure Sphere's time, from source port 124", PROTO_UDP, 124, true, well_known,
			true},
		{"REQ-4: even stays even", PROTO_UDP, 5004, true, high, true},
		{"REQ-4: odd stays odd", PROTO_UDP, 5005, true, high, true},
		{"the last port", PROTO_TCP, 65535, true, high, true},
		{"source port 0 gets a random one", PROTO_UDP, 0, false, high, false},
		{"RFC 5508 REQ-1a: an identifier", PROTO_ICMP, 9, true, high, false},
		{"identifier 0 gets a random one", PROTO_ICMP, 0, false, high, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t repeat = 0; repeat < 20; repeat++) {
			struct nat *n = nat_default(16);
			uint16_t first = open_flow(n, rows[i].proto, 1, rows[i].port);
			uint16_t second = open_flow(n, rows[i].proto, 2 + repeat, rows[i].port);

			cr_assert_eq(first == rows[i].port, rows[i].preserved, "%s", rows[i].claim);
			cr_assert_neq(first, 0, "%s", rows[i].claim);
			cr_assert_neq(first, second, "%s", rows[i].claim);
			cr_assert(rows[i].in_range(second), "%s: got %u", rows[i].claim, second);
			if (rows[i].parity)
				cr_assert_eq(second & 1, rows[i].port & 1, "%s", rows[i].claim);
			nat_destroy(n);
		}
	}
}

Test(nat_mapping, random_ports_stay_in_the_configured_range_and_preserved_ones_need_not)
{
	struct nat_params params = defaults(64);
	struct nat *n;

	params.port_min = 20000;
	params.port_max = 20009;
	n = nat_of(&params);
	cr_assert_eq(open_flow(n, PROTO_TCP, 0, 33000), 33000);
	for (uint32_t i = 1; i <= 10; i++) {
		uint16_t port = open_flow(n, PROTO_TCP, i, 33000);

		cr_assert(port >= 20000 && port <= 20009, "%u", port);
	}
	cr_assert_eq(open_flow(n, PROTO_TCP, 11, 33000), 0);
	cr_assert_eq(open_flow(n, PROTO_UDP, 11, 33000), 33000, "protocols do not share ports");
	cr_assert_eq(open_flow(n, PROTO_TCP, 11, 33001), 33001);
	cr_assert_eq(nat_n_mappings(n), 13);
	nat_destroy(n);
}

Test(nat_mapping, a_random_port_is_never_well_known_though_the_range_begins_there)
{
	struct nat_params params = defaults(4096);
	struct nat *n;

	params.port_min = 1;
	params.port_max = 2000;
	n = nat_of(&params);
	for (uint32_t i = 0; i < 977; i++)
		cr_assert(high(open_flow(n, PROTO_TCP, i, 1500)));
	cr_assert_eq(open_flow(n, PROTO_TCP, 977, 1500), 0);
	nat_destroy(n);
}

Test(nat_mapping, well_known_ports_fall_back_to_the_rest_when_all_are_taken)
{
	struct nat *n = nat_default(2048);

	for (uint32_t i = 0; i < 1023; i++)
		cr_assert(well_known(open_flow(n, PROTO_UDP, i, 124)));
	for (uint32_t i = 1023; i < 1100; i++) {
		uint16_t port = open_flow(n, PROTO_UDP, i, 124);

		cr_assert(high(port));
		cr_assert_eq(port & 1, 0);
	}
	nat_destroy(n);
}

Test(nat_mapping, uses_every_external_port_and_then_says_so)
{
	struct nat *n = nat_default(70000);
	struct ip_addr late = device(65000);
	uint32_t id;

	for (uint32_t i = 0; i < 64512; i++)
		cr_assert(high(open_flow(n, PROTO_TCP, i, 3000)));
	cr_assert_eq(map(n, PROTO_TCP, &late, 3000, 0, &id), DROP_NAT_NO_PORT);
	close_flow(n, PROTO_TCP, 54321);
	cr_assert_eq(open_flow(n, PROTO_TCP, 65000, 3000), 54321, "the one port that came back");
	nat_destroy(n);
}

Test(nat_mapping, says_why_it_cannot_map)
{
	struct nat *n = nat_default(2);
	struct ip_addr a = device(1);
	struct ip_addr to = remote(1);
	uint32_t id = 77;

	cr_assert_eq(map(n, 47, &a, 0, 0, &id), DROP_NAT_PROTOCOL);
	cr_assert_eq(nat_find_external(n, 47, 0), POOL_NONE);
	cr_assert_eq(open_flow(n, PROTO_TCP, 1, 1000), 1000);
	cr_assert_eq(open_flow(n, PROTO_TCP, 1, 1001), 1001);
	cr_assert_eq(map(n, PROTO_TCP, &a, 1002, 0, &id), DROP_NAT_NO_MAPPING);
	cr_assert_eq(id, 77, "untouched on failure");
	cr_assert_eq(map(n, PROTO_TCP, &a, 1001, 0, &id), DROP_NONE, "the one that exists");
	/* The first address is the mapping's own, further ones have room for as many as there may be flows. */
	for (uint32_t i = 0; i < 2; i++) {
		to = remote(1 + i);
		cr_assert_eq(hold(n, id, &to, 1), DROP_NONE);
		cr_assert_eq(hold(n, id, &to, 2), DROP_NONE, "a known address needs none");
	}
	cr_assert_eq(nat_mapping(n, id)->n_flows, 5);
	to = remote(9);
	cr_assert_eq(hold(n, id, &to, 1), DROP_NAT_NO_MAPPING);
	cr_assert_eq(nat_mapping(n, id)->n_flows, 5);
	cr_assert_not(nat_admits(n, id, &to, 1), "what was refused left nothing behind");
	nat_destroy(n);
}

Test(nat_mapping, forgets_an_unused_mapping_and_spares_a_used_one)
{
	struct nat *n = nat_default(4);
	struct ip_addr a = device(1);
	uint32_t id;

	cr_assert_eq(map(n, PROTO_TCP, &a, 2000, 0, &id), DROP_NONE);
	nat_forget_unused(n, id);
	cr_assert_eq(nat_n_mappings(n), 0);
	cr_assert_eq(nat_find_external(n, PROTO_TCP, 2000), POOL_NONE);
	cr_assert_eq(open_flow(n, PROTO_TCP, 2, 2000), 2000, "its port came back");
	nat_forget_unused(n, nat_find_external(n, PROTO_TCP, 2000));
	cr_assert_eq(nat_n_mappings(n), 1);
	nat_destroy(n);
}

Test(nat_mapping, filters_as_configured_and_follows_a_live_change)
{
	/* The mapping has flows to remote 1, ports 53 and 54, and to remote 2, port 80. RFC 4787 section 5. What these
	 * endpoints send is of their flows and not asked about: by address and port nobody else is admitted. */
	static const struct {
		const char *claim;
		uint32_t remote;
		uint16_t port;
		bool admitted[3]; /* by enum nat_filtering */
	} rows[] = {
		{"the very endpoint", 1, 53, {true, true, false}},
		{"another port it has used", 1, 54, {true, true, false}},
		{"a further address it has used", 2, 80, {true, true, false}},
		{"the address, from another port", 1, 55, {true, true, false}},
		{"the further address, from another port", 2, 53, {true, true, false}},
		{"a stranger", 3, 53, {true, false, false}},
	};
	struct nat *n = nat_default(16);
	struct ip_addr a = device(1);
	struct ip_addr to[3] = {remote(1), remote(1), remote(2)};
	uint16_t ports[3] = {53, 54, 80};
	uint32_t id, other;

	cr_assert_eq(map(n, PROTO_UDP, &a, 4000, 0, &id), DROP_NONE);
	cr_assert_eq(map(n, PROTO_UDP, &a, 4001, 0, &other), DROP_NONE);
	hold(n, other, &a, 9);
	for (uint32_t first = 0; first < 3; first++) { /* whichever came first, all is the same */
		for (uint32_t i = 0; i < 3; i++)
			hold(n, id, &to[(first + i) % 3], ports[(first + i) % 3]);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct ip_addr from = remote(rows[i].remote);

			for (uint32_t f = 0; f < 3; f++) {
				nat_set_filtering(n, (enum nat_filtering)f);
				cr_assert_eq(nat_admits(n, id, &from, rows[i].port),
					rows[i].admitted[f], "%s, filtering %u", rows[i].claim, f);
				cr_assert_eq(nat_admits(n, other, &from, rows[i].port), f == 0,
					"another mapping's flows open nothing here");
			}
		}
		hold(n, id, &a, 9); /* keeps the mapping alive */
		for (uint32_t i = 0; i < 3; i++)
			release(n, id, &to[i], ports[i]);
		cr_assert_not(nat_admits(n, id, &to[0], 53), "closed with its last flow");
	}
	nat_destroy(n);
}

/*
 * The model: flows in a plain array. A flow is (device, port, protocol, remote, remote port); two
 * that share the first three share a mapping.
 */
#define MODEL_FLOWS 400

struct model_flow {
	bool live;
	uint8_t proto;
	uint16_t port;
	uint16_t remote_port;
	uint32_t dev;
	uint32_t remote;
	uint32_t mapping_id;
};

static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP};

static bool same_internal(const struct model_flow *a, const struct model_flow *b)
{
	return a->dev == b->dev && a->port == b->port && a->proto == b->proto;
}

static bool model_admits(const struct model_flow *flows, uint32_t mapping_id, uint32_t to,
	enum nat_filtering filtering)
{
	for (uint32_t i = 0; i < MODEL_FLOWS; i++)
		if (flows[i].live && flows[i].mapping_id == mapping_id
			&& (filtering == NAT_FILTER_ENDPOINT_INDEPENDENT
				|| (flows[i].remote == to
					&& filtering == NAT_FILTER_ADDRESS_DEPENDENT)))
			return true;
	return false;
}

static void model_open(struct nat *n, struct model_flow *f)
{
	struct ip_addr internal, to;

	*f = (struct model_flow){
		.live = true,
		.proto = protos[rng_below(&rng, 3)],
		.port = (uint16_t)(1020 + rng_below(&rng, 8)),
		.remote_port = (uint16_t)(1 + rng_below(&rng, 4)),
		.dev = rng_below(&rng, 12),
		.remote = rng_below(&rng, 4),
	};
	internal = device(f->dev);
	to = remote(f->remote);
	cr_assert_eq(map(n, f->proto, &internal, f->port, 0, &f->mapping_id), DROP_NONE);
	cr_assert_eq(hold(n, f->mapping_id, &to, f->remote_port), DROP_NONE);
}

static void model_close(struct nat *n, struct model_flow *f)
{
	struct ip_addr to = remote(f->remote);

	f->live = false;
	release(n, f->mapping_id, &to, f->remote_port);
}

/* Every live flow's mapping is where it belongs, and each external port belongs to one. */
static void model_check(const struct nat *n, const struct model_flow *flows)
{
	static const struct model_flow *owners[3][65536];
	uint32_t n_mappings = 0;

	memset(owners, 0, sizeof(owners));
	for (uint32_t i = 0; i < MODEL_FLOWS; i++) {
		const struct model_flow *f = &flows[i];
		const struct nat_mapping *m;
		const struct model_flow **owner;

		if (!f->live)
			continue;
		m = nat_mapping(n, f->mapping_id);
		owner = &owners[f->proto == PROTO_TCP   ? 0
				: f->proto == PROTO_UDP ? 1
							: 2][m->external_port];
		cr_assert_neq(m->external_port, 0);
		cr_assert(m->internal_port == f->port && m->proto == f->proto);
		cr_assert_eq(nat_find_external(n, f->proto, m->external_port), f->mapping_id);
		if (*owner == NULL)
			n_mappings++;
		else
			cr_assert(same_internal(*owner, f), "RFC 4787 REQ-3: no overloading");
		*owner = f;
	}
	cr_assert_eq(nat_n_mappings(n), n_mappings, "a mapping ends with its last flow");
}

Test(nat_mapping, agrees_with_a_plain_model_over_random_flows, .timeout = 100)
{
	static struct model_flow flows[MODEL_FLOWS];
	struct nat *n = nat_default(MODEL_FLOWS);

	for (uint32_t step = 0; step < 60000; step++) {
		struct model_flow *f = &flows[rng_below(&rng, MODEL_FLOWS)];
		const struct model_flow *g = &flows[rng_below(&rng, MODEL_FLOWS)];
		/* Fills and empties in turn, so that both ends are met. */
		bool filling = step / 3000 % 2 == 0;

		if (!f->live && (filling || rng_below(&rng, 8) == 0))
			model_open(n, f);
		else if (f->live && (!filling || rng_below(&rng, 8) == 0))
			model_close(n, f);
		if (g->live) {
			enum nat_filtering filtering = (enum nat_filtering)rng_below(&rng, 3);
			uint32_t to = rng_below(&rng, 5);
			uint16_t port = (uint16_t)(1 + rng_below(&rng, 5));
			struct ip_addr from = remote(to);

			nat_set_filtering(n, filtering);
			cr_assert_eq(nat_admits(n, g->mapping_id, &from, port),
				model_admits(flows, g->mapping_id, to, filtering));
		}
		if (step % 64 == 0)
			model_check(n, flows);
	}
	for (uint32_t i = 0; i < MODEL_FLOWS; i++)
		if (flows[i].live)
			model_close(n, &flows[i]);
	cr_assert_eq(nat_n_mappings(n), 0);
	for (uint32_t port = 0; port < 65536; port++) /* every port came back */
		for (uint32_t p = 0; p < 3; p++)
			cr_assert_eq(nat_find_external(n, protos[p], (uint16_t)port), POOL_NONE);
	for (uint16_t port = 1; port < 400; port++)
		cr_assert_eq(open_flow(n, PROTO_TCP, 1, (uint16_t)(1000 + port)), 1000 + port);
	nat_destroy(n);
}

/* RFC 6888 REQ-8: nobody else's for 120 s, but its owner's at once; TCP ports need no rest (A). */
Test(nat_mapping, a_port_rests_before_another_gets_it)
{
	static const struct {
		const char *claim;
		uint8_t proto;
		uint32_t dev;
		uint32_t after_ms;
		bool gets_it;
	} rows[] = {
		{"another at once", PROTO_UDP, 2, 0, false},
		{"another, a moment too early", PROTO_UDP, 2, NAT_REST_MS - 1, false},
		{"another, in time", PROTO_UDP, 2, NAT_REST_MS, true},
		{"its owner", PROTO_UDP, 1, 0, true},
		{"an identifier", PROTO_ICMP, 2, NAT_REST_MS - 1, false},
		{"an identifier in time", PROTO_ICMP, 2, NAT_REST_MS, true},
		{"TCP", PROTO_TCP, 2, 0, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nat *n = nat_default(16);
		uint64_t from_ms = UINT32_MAX - 1000; /* the clock wraps in between */

		nat_age(n, from_ms * 1000);
		cr_assert_eq(open_flow(n, rows[i].proto, 1, 5000), 5000);
		close_flow(n, rows[i].proto, 5000);
		nat_age(n, (from_ms + rows[i].after_ms) * 1000);
		cr_expect_eq(open_flow(n, rows[i].proto, rows[i].dev, 5000) == 5000,
			rows[i].gets_it, "%s", rows[i].claim);
		nat_destroy(n);
	}
}

Test(nat_mapping, ports_that_rest_are_woken_before_anybody_gets_none)
{
	struct nat_params params = defaults(64);
	struct nat *n;
	uint16_t first;

	params.port_min = 20000;
	params.port_max = 20009;
	n = nat_of(&params);
	cr_assert_eq(open_flow(n, PROTO_UDP, 0, 33000), 33000);
	first = open_flow(n, PROTO_UDP, 1, 33000);
	close_flow(n, PROTO_UDP, first);
	for (uint32_t i = 2; i <= 10; i++)
		cr_assert_neq(open_flow(n, PROTO_UDP, i, 33000), first);
	cr_expect_eq(open_flow(n, PROTO_UDP, 11, 33000), first);
	cr_expect_eq(open_flow(n, PROTO_UDP, 12, 33000), 0);
	nat_destroy(n);
}

/* RFC 6888 REQ-5: each device leaves ports for the next. */
Test(nat_mapping, a_device_gets_a_quarter_as_many_ports_as_are_free)
{
	struct nat_params params = defaults(4096);
	struct ip_addr a = ip_addr_v4(1); /* ids are the addresses */
	struct ip_addr b = ip_addr_v4(2);
	uint32_t n_a = 0, n_b = 0, id;
	struct nat *n;

	params.port_min = 20000;
	params.port_max = 20099;
	params.n_devices = 8;
	n = nat_of(&params);
	for (uint16_t port = 20000; port < 20100; port++, n_a++)
		if (map(n, PROTO_UDP, &a, port, 0, &id) != DROP_NONE)
			break;
	cr_expect_eq(n_a, 20);
	for (uint16_t port = 20000; port < 20100; port++, n_b++)
		if (map(n, PROTO_UDP, &b, port, 0, &id) != DROP_NONE)
			break;
	cr_expect_eq(n_b, 16);
	cr_expect_eq(map(n, PROTO_TCP, &a, 20000, 0, &id), DROP_NONE, "of each protocol");
	cr_expect_eq(map(n, PROTO_UDP, &a, 30000, 0, &id), DROP_NAT_NO_PORT);
	for (uint16_t port = 20000; port < 20010; port++)
		nat_forget_unused(n, nat_find_internal(n, PROTO_UDP, &a, port));
	cr_expect_eq(
		map(n, PROTO_UDP, &a, 20000, 0, &id), DROP_NONE, "what came back counts no more");
	nat_destroy(n);
}

/* RFC 4787 REQ-6: what nobody inside has begun or answered keeps nothing open. */
Test(nat_mapping, a_strangers_flow_opens_nothing_until_it_is_answered)
{
	struct nat *n = nat_default(16);
	struct ip_addr a = device(1);
	struct ip_addr known = remote(1);
	struct ip_addr stranger = remote(2);
	uint32_t id;

	nat_set_filtering(n, NAT_FILTER_ENDPOINT_INDEPENDENT);
	cr_assert_eq(map(n, PROTO_UDP, &a, 4000, 0, &id), DROP_NONE);
	hold(n, id, &known, 53);
	cr_assert(nat_admits(n, id, &stranger, 1));
	cr_assert_eq(nat_hold(n, id, &stranger, false), DROP_NONE);
	nat_set_filtering(n, NAT_FILTER_ADDRESS_DEPENDENT);
	cr_expect_not(nat_admits(n, id, &stranger, 1), "its own packets do not admit it");
	nat_set_filtering(n, NAT_FILTER_ENDPOINT_INDEPENDENT);
	release(n, id, &known, 53);
	cr_expect_eq(nat_n_mappings(n), 1, "it goes on while its flow does");
	cr_expect_not(nat_admits(n, id, &stranger, 2), "and is closed to others");
	cr_assert_eq(nat_answer(n, id, &stranger), DROP_NONE);
	cr_expect(nat_admits(n, id, &known, 53), "open again");
	nat_set_filtering(n, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT);
	cr_expect_not(nat_admits(n, id, &stranger, 2));
	nat_set_filtering(n, NAT_FILTER_ADDRESS_DEPENDENT);
	cr_expect(nat_admits(n, id, &stranger, 2));
	release(n, id, &stranger, 1);
	cr_expect_eq(nat_n_mappings(n), 0);
	nat_destroy(n);
}

static struct nat_internal endpoint(uint32_t dev, uint8_t proto, uint16_t port)
{
	return (struct nat_internal){
		.addr = device(dev), .port = port, .proto = proto, .device_id = UINT16_MAX};
}

/* Device 1: TCP 8000-8009 at its own 80-89, for 198.51.0.0/24 alone. Device 2: UDP 5000. Device 9: DMZ. */
static const struct nat_forwards *forwards(void)
{
	static struct nat_forwards f;

	f = (struct nat_forwards){.n = 3};
	f.rows[0] = (struct nat_forward){.proto = PROTO_TCP,
		.port_min = 8000,
		.port_max = 8009,
		.internal_port = 80,
		.internal = device(1),
		.has_source = true,
		.source = {.addr = ip_addr_quad(198, 51, 0, 0), .len_bits = 24}};
	f.rows[1] = (struct nat_forward){
		.port_min = 5000, .port_max = 5000, .internal_port = 5000, .internal = device(2)};
	f.rows[2] = (struct nat_forward){.port_min = 1,
		.port_max = 65535,
		.internal_port = 1,
		.internal = device(9),
		.is_dmz = true};
	return &f;
}

Test(nat_mapping, a_port_is_forwarded_to_whom_its_row_says)
{
	static const struct {
		const char *claim;
		uint8_t proto;
		uint16_t external;
		uint32_t remote;   /* 0: from a LAN */
		uint16_t internal; /* 0: to nobody */
		uint32_t dev;
	} rows[] = {
		{"the first of a range", PROTO_TCP, 8000, 1, 80, 1},
		{"the last of a range", PROTO_TCP, 8009, 1, 89, 1},
		{"one before", PROTO_TCP, 7999, 1, 0, 0},
		{"one behind", PROTO_TCP, 8010, 1, 0, 0},
		{"another protocol", PROTO_UDP, 8000, 1, 0, 0},
		{"a source outside its limit", PROTO_TCP, 8000, 256, 0, 0},
		{"from a LAN", PROTO_TCP, 8000, 0, 80, 1},
		{"both protocols, TCP", PROTO_TCP, 5000, 300, 5000, 2},
		{"both protocols, UDP", PROTO_UDP, 5000, 300, 5000, 2},
		{"but not ICMP", PROTO_ICMP, 5000, 300, 0, 0},
	};
	struct nat *n = nat_default(16);

	nat_set_forwards(n, forwards());
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_addr from = remote(rows[i].remote);
		struct ip_addr to = device(rows[i].dev);
		struct nat_internal who = {0};
		bool found = nat_find_forward(n, rows[i].proto, rows[i].external,
			rows[i].remote == 0 ? NULL : &from, false, &who);

		cr_expect_eq(found, rows[i].internal != 0, "%s", rows[i].claim);
		if (!found)
			continue;
		cr_expect_eq(who.port, rows[i].internal, "%s", rows[i].claim);
		cr_expect(ip_addr_equal(&who.addr, &to), "%s", rows[i].claim);
	}
	nat_destroy(n);
}

Test(nat_mapping, a_forwarded_port_is_its_hosts_in_both_directions_and_nobody_elses)
{
	struct nat *n = nat_default(16);
	struct nat_internal server = endpoint(1, PROTO_TCP, 80);
	struct nat_internal other = endpoint(3, PROTO_TCP, 8000);
	struct ip_addr to = remote(1);
	uint32_t id, again;

	nat_set_forwards(n, forwards());
	cr_assert_eq(nat_map(n, &other, &id), DROP_NONE);
	cr_expect_neq(nat_mapping(n, id)->external_port, 8000, "reserved though unused");
	cr_assert_eq(nat_map(n, &server, &id), DROP_NONE);
	cr_expect_eq(nat_mapping(n, id)->external_port, 8000, "the server's own flows");
	cr_assert_eq(nat_map_at(n, &server, 8000, &again), DROP_NONE);
	cr_expect_eq(again, id, "and those that are forwarded to it");
	cr_assert_eq(nat_hold(n, id, &to, false), DROP_NONE);
	cr_assert_eq(nat_answer(n, id, &to), DROP_NONE);
	nat_set_filtering(n, NAT_FILTER_ENDPOINT_INDEPENDENT);
	cr_expect(nat_admits(n, id, &to, 2));
	to = remote(300);
	cr_expect_not(nat_admits(n, id, &to, 2), "its limit of sources holds with every filter");
	to = remote(1);
	release(n, id, &to, 1);
	cr_expect_eq(nat_find_external(n, PROTO_TCP, 8000), POOL_NONE);
	nat_destroy(n);
}

Test(nat_mapping, who_has_a_port_keeps_it_when_it_is_forwarded_to_another)
{
	static const struct nat_forwards none;
	struct nat *n = nat_default(16);
	struct nat_internal server = endpoint(1, PROTO_TCP, 80);
	struct nat_internal dmz = endpoint(9, PROTO_TCP, 8000);
	struct ip_addr to = remote(1);
	uint32_t forwarded;
	uint16_t port = open_flow(n, PROTO_TCP, 3, 8000);

	cr_assert_eq(port, 8000);
	cr_expect_eq(nat_map_at(n, &dmz, 8000, &forwarded), DROP_NAT_NO_PORT, "not forwarded yet");
	nat_set_forwards(n, forwards());
	cr_assert_eq(nat_map_at(n, &server, 8000, &forwarded), DROP_NONE);
	hold(n, forwarded, &to, 7);
	cr_expect_neq(nat_find_external(n, PROTO_TCP, 8000), forwarded);
	release(n, forwarded, &to, 7);
	cr_expect_neq(nat_find_external(n, PROTO_TCP, 8000), POOL_NONE, "still its owner's");
	close_flow(n, PROTO_TCP, 8000);
	cr_assert_eq(nat_map_at(n, &server, 8000, &forwarded), DROP_NONE);
	cr_expect_eq(nat_find_external(n, PROTO_TCP, 8000), forwarded);
	nat_forget_unused(n, forwarded);
	nat_set_forwards(n, &none);
	cr_expect_eq(open_flow(n, PROTO_TCP, 3, 8000), 8000, "free again when no row names it");
	nat_destroy(n);
}
