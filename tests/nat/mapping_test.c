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

/* Maps and holds one flow to remote(0):80; returns the external port, 0 when there is none. */
static uint16_t open_flow(struct nat *n, uint8_t proto, uint32_t dev, uint16_t port)
{
	struct ip_addr internal = device(dev);
	struct ip_addr to = remote(0);
	uint32_t id;

	if (nat_map(n, proto, &internal, port, 1, &id) != DROP_NONE)
		return 0;
	cr_assert_eq(nat_hold(n, id, &to, 80), DROP_NONE);
	return nat_mapping(n, id)->external_port;
}

static void close_flow(struct nat *n, uint8_t proto, uint16_t external_port)
{
	struct ip_addr to = remote(0);

	nat_release(n, nat_find_external(n, proto, external_port), &to, 80);
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

	cr_assert_eq(nat_map(n, PROTO_UDP, &internal, 5000, 3, &first), DROP_NONE);
	cr_assert_eq(nat_hold(n, first, &to[0], 53), DROP_NONE);
	cr_assert_eq(nat_map(n, PROTO_UDP, &internal, 5000, 3, &second), DROP_NONE);
	cr_assert_eq(nat_hold(n, second, &to[1], 123), DROP_NONE);
	cr_assert_eq(first, second);
	cr_assert_eq(nat_mapping(n, first)->n_flows, 2);
	cr_assert_eq(nat_mapping(n, first)->lan_port, 3);
	cr_assert_eq(nat_n_mappings(n), 1);
	cr_assert_eq(nat_find_external(n, PROTO_UDP, 5000), first);
	cr_assert_eq(nat_find_external(n, PROTO_TCP, 5000), POOL_NONE);
	nat_release(n, first, &to[0], 53);
	cr_assert_eq(nat_n_mappings(n), 1);
	nat_release(n, first, &to[1], 123);
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
	cr_assert_eq(nat_map(n, PROTO_TCP, &late, 3000, 0, &id), DROP_NAT_NO_PORT);
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

	cr_assert_eq(nat_map(n, 47, &a, 0, 0, &id), DROP_NAT_PROTOCOL);
	cr_assert_eq(nat_find_external(n, 47, 0), POOL_NONE);
	cr_assert_eq(open_flow(n, PROTO_TCP, 1, 1000), 1000);
	cr_assert_eq(open_flow(n, PROTO_TCP, 1, 1001), 1001);
	cr_assert_eq(nat_map(n, PROTO_TCP, &a, 1002, 0, &id), DROP_NAT_NO_MAPPING);
	cr_assert_eq(id, 77, "untouched on failure");
	cr_assert_eq(nat_map(n, PROTO_TCP, &a, 1001, 0, &id), DROP_NONE, "the one that exists");
	for (uint16_t port = 1; port <= 2;
		port++) /* an address and two endpoints: more than 2 flows */
		(void)nat_hold(n, id, &to, port);
	cr_assert_eq(nat_hold(n, id, &to, 3), DROP_NONE);
	cr_assert_eq(nat_hold(n, id, &to, 4), DROP_NAT_NO_MAPPING);
	cr_assert_eq(nat_mapping(n, id)->n_flows, 4);
	to = remote(2);
	cr_assert_eq(nat_hold(n, id, &to, 1), DROP_NAT_NO_MAPPING);
	cr_assert_not(nat_admits(n, id, &to, 1), "what was refused left nothing behind");
	nat_destroy(n);
}

Test(nat_mapping, forgets_an_unused_mapping_and_spares_a_used_one)
{
	struct nat *n = nat_default(4);
	struct ip_addr a = device(1);
	uint32_t id;

	cr_assert_eq(nat_map(n, PROTO_TCP, &a, 2000, 0, &id), DROP_NONE);
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
	/* The mapping has flows to remote 1, ports 53 and 54, and to remote 2, port 80. RFC 4787
	 * section 5. */
	static const struct {
		const char *claim;
		uint32_t remote;
		uint16_t port;
		bool admitted[3]; /* by enum nat_filtering */
	} rows[] = {
		{"the very endpoint", 1, 53, {true, true, true}},
		{"another port it has used", 1, 54, {true, true, true}},
		{"a further address it has used", 2, 80, {true, true, true}},
		{"the address, from another port", 1, 55, {true, true, false}},
		{"the further address, from another port", 2, 53, {true, true, false}},
		{"a stranger", 3, 53, {true, false, false}},
	};
	struct nat *n = nat_default(16);
	struct ip_addr a = device(1);
	struct ip_addr to[3] = {remote(1), remote(1), remote(2)};
	uint16_t ports[3] = {53, 54, 80};
	uint32_t id, other;

	cr_assert_eq(nat_map(n, PROTO_UDP, &a, 4000, 0, &id), DROP_NONE);
	cr_assert_eq(nat_map(n, PROTO_UDP, &a, 4001, 0, &other), DROP_NONE);
	for (uint32_t first = 0; first < 3; first++) { /* whichever came first, all is the same */
		for (uint32_t i = 0; i < 3; i++)
			nat_hold(n, id, &to[(first + i) % 3], ports[(first + i) % 3]);
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
		nat_hold(n, id, &a, 9); /* keeps the mapping alive */
		for (uint32_t i = 0; i < 3; i++)
			nat_release(n, id, &to[i], ports[i]);
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
	uint16_t port, enum nat_filtering filtering)
{
	for (uint32_t i = 0; i < MODEL_FLOWS; i++)
		if (flows[i].live && flows[i].mapping_id == mapping_id
			&& (filtering == NAT_FILTER_ENDPOINT_INDEPENDENT
				|| (flows[i].remote == to
					&& (filtering == NAT_FILTER_ADDRESS_DEPENDENT
						|| flows[i].remote_port == port))))
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
	cr_assert_eq(nat_map(n, f->proto, &internal, f->port, 0, &f->mapping_id), DROP_NONE);
	cr_assert_eq(nat_hold(n, f->mapping_id, &to, f->remote_port), DROP_NONE);
}

static void model_close(struct nat *n, struct model_flow *f)
{
	struct ip_addr to = remote(f->remote);

	f->live = false;
	nat_release(n, f->mapping_id, &to, f->remote_port);
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
				model_admits(flows, g->mapping_id, to, port, filtering));
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
