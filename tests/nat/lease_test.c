/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's state, apart from packets; tests/path/rfc6887_test.c goes through the RFC. */
#include <weir/base/clock.h>
#include <weir/nat/lease.h>
#include <weir/packet/meta.h>

#include <criterion/criterion.h>
#include <string.h>

#define PER_DEVICE 4
#define CAPACITY   4096

struct world {
	struct rng rng;
	struct nat *nat;
	struct lease_table *table;
	uint64_t now_us;
	uint32_t n_opened;
	uint32_t n_ended;
};

static void told(void *context, const struct lease *l, enum lease_change change)
{
	struct world *w = context;

	(void)l;
	w->n_opened += change == LEASE_OPENED;
	w->n_ended += change == LEASE_ENDED;
}

static void create(struct world *w, uint32_t per_device)
{
	struct nat_params params = {.capacity = CAPACITY,
		.port_min = 1024,
		.port_max = 65535,
		.filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT,
		.hash_key = {{1, 3, 5}}};
	struct lease_limits limits = {.per_device = per_device, .lifetime_max_s = 1000};
	struct ip_addr external = ip_addr_quad(203, 0, 113, 5);

	*w = (struct world){.now_us = 50 * US_PER_S};
	rng_init(&w->rng, 1);
	cr_assert_eq(nat_create(&params, &w->rng, &w->nat), 0);
	cr_assert_eq(lease_table_create(told, w, &w->table), 0);
	lease_table_set_limits(w->table, &limits);
	lease_table_begin(w->table, w->nat, &external, w->now_us);
}

/* Everything that was opened ends, and leaves no mapping. */
static void destroy(struct world *w)
{
	struct ip_addr none = {0};

	lease_table_begin(w->table, NULL, &none, w->now_us);
	cr_expect_eq(lease_table_n(w->table), 0);
	cr_expect_eq(w->n_opened, w->n_ended);
	cr_expect_eq(nat_n_mappings(w->nat), 0);
	lease_table_destroy(w->table);
	nat_destroy(w->nat);
}

static struct pcp_request map(uint16_t port, uint16_t wanted, uint32_t lifetime_s)
{
	return (struct pcp_request){.version = PCP_VERSION,
		.opcode = PCP_MAP,
		.is_parsed = true,
		.proto = PROTO_UDP,
		.internal_port = port,
		.external_port = wanted,
		.lifetime_s = lifetime_s};
}

static struct pcp_reply ask(struct world *w, uint32_t host, const struct pcp_request *r)
{
	struct lease_client client = {
		.addr = ip_addr_quad(192, 168, (uint8_t)(host >> 8), (uint8_t)host), .lan_port = 1};
	struct pcp_reply reply;

	lease_table_answer(w->table, r, &client, true, w->now_us, &reply);
	return reply;
}

static bool is_open(const struct world *w, uint16_t external_port)
{
	struct ip_addr stranger = ip_addr_quad(192, 0, 2, 66);
	uint32_t id = nat_find_external(w->nat, PROTO_UDP, external_port);

	return id != POOL_NONE && nat_admits(w->nat, id, &stranger, 7);
}

Test(nat_lease, a_full_table_refuses_and_has_room_again)
{
	struct pcp_request m = map(2000, 0, 600);
	struct world w;
	uint32_t host = 0;

	create(&w, PER_DEVICE);
	while (lease_table_n(w.table) < NAT_PINS_MAX) {
		m.internal_port = (uint16_t)(2000 + lease_table_n(w.table) % PER_DEVICE);
		host = 1 + lease_table_n(w.table) / PER_DEVICE;
		cr_assert_eq(ask(&w, host, &m).result, PCP_SUCCESS);
	}
	m.internal_port = 3000;
	cr_expect_eq(ask(&w, host + 1, &m).result, PCP_NO_RESOURCES);
	cr_expect_eq(ask(&w, host, &m).result, PCP_USER_EX_QUOTA);
	lease_table_end(w.table, 17);
	cr_expect_eq(ask(&w, host + 1, &m).result, PCP_SUCCESS);
	w.now_us += 601 * US_PER_S;
	lease_table_expire(w.table, w.now_us, 64);
	cr_expect_eq(lease_table_n(w.table), NAT_PINS_MAX - 64, "no more than asked for");
	lease_table_expire(w.table, w.now_us, NAT_PINS_MAX);
	cr_expect_eq(lease_table_n(w.table), 0);
	destroy(&w);
}

Test(nat_lease, a_flow_keeps_the_mapping_when_the_lease_ends_and_the_other_way_round)
{
	struct ip_addr remote = ip_addr_quad(198, 51, 100, 7);
	struct pcp_request m = map(2000, 5000, 600);
	struct world w;
	uint32_t id;

	create(&w, PER_DEVICE);
	ask(&w, 1, &m);
	id = nat_find_external(w.nat, PROTO_UDP, 5000);
	cr_assert_neq(id, POOL_NONE);
	cr_expect_eq(nat_hold(w.nat, id, &remote, true), DROP_NONE);
	nat_release(w.nat, id, &remote, true);
	cr_expect(is_open(&w, 5000), "the lease holds it");
	cr_expect_eq(nat_hold(w.nat, id, &remote, true), DROP_NONE);
	m.lifetime_s = 0;
	cr_expect_eq(ask(&w, 1, &m).result, PCP_SUCCESS);
	cr_expect_eq(nat_find_external(w.nat, PROTO_UDP, 5000), id, "the flow holds it");
	cr_expect(!is_open(&w, 5000), "but only for whom it speaks to");
	nat_release(w.nat, id, &remote, true);
	cr_expect_eq(nat_find_external(w.nat, PROTO_UDP, 5000), POOL_NONE);
	destroy(&w);
}

Test(nat_lease, several_leases_hold_one_mapping)
{
	struct pcp_request m = map(2000, 5000, 600);
	struct pcp_request peer = m;
	struct pcp_request other = m;
	struct world w;

	create(&w, PER_DEVICE);
	peer.opcode = other.opcode = PCP_PEER;
	peer.remote = other.remote = ip_addr_quad(198, 51, 100, 7);
	peer.remote_port = 80;
	other.remote_port = 81;
	cr_expect_eq(ask(&w, 1, &peer).external_port, 5000);
	cr_expect(!is_open(&w, 5000));
	cr_expect_eq(ask(&w, 1, &m).external_port, 5000);
	cr_expect_eq(ask(&w, 1, &other).external_port, 5000);
	cr_expect_eq(nat_n_mappings(w.nat), 1);
	cr_expect(is_open(&w, 5000));
	peer.lifetime_s = m.lifetime_s = other.lifetime_s = 0;
	ask(&w, 1, &m); /* the one in the middle */
	cr_expect(!is_open(&w, 5000));
	ask(&w, 1, &peer);
	cr_expect_eq(nat_n_mappings(w.nat), 1);
	ask(&w, 1, &other);
	cr_expect_eq(nat_n_mappings(w.nat), 0);
	destroy(&w);
}

Test(nat_lease, a_refused_request_changes_nothing)
{
	struct pcp_request m = map(2000, 5000, 600);
	struct pcp_reply reply;
	struct world w;

	create(&w, PER_DEVICE);
	ask(&w, 1, &m);
	w.now_us += 100 * US_PER_S;
	m.prefers_failure = true;
	m.external_port = 5001;
	cr_expect_eq(ask(&w, 1, &m).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	m.prefers_failure = false;
	m.nonce[0] = 1;
	reply = ask(&w, 1, &m);
	cr_expect_eq(reply.result, PCP_NOT_AUTHORIZED);
	cr_expect_eq(reply.lifetime_s, 500, "as long as the other's goes on");
	cr_expect_eq(lease_at(w.table, 0)->expires_us, (50 + 600) * US_PER_S);
	cr_expect_eq(w.n_opened, 1);
	m.internal_port = 2001;
	m.prefers_failure = true;
	m.external_port = 5000;
	cr_expect_eq(ask(&w, 1, &m).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	cr_expect_eq(nat_n_mappings(w.nat), 1);
	destroy(&w);
}

Test(nat_lease, another_uplink_begins_another_epoch)
{
	struct ip_addr external = ip_addr_quad(203, 0, 113, 9);
	struct pcp_request m = map(2000, 5000, 600);
	struct pcp_reply reply;
	struct world w;

	create(&w, PER_DEVICE);
	w.now_us += 100 * US_PER_S;
	cr_expect_eq(ask(&w, 1, &m).epoch_s, 100);
	lease_table_begin(w.table, w.nat, &external, w.now_us);
	cr_expect_eq(w.n_ended, 1);
	cr_expect_eq(nat_n_mappings(w.nat), 0);
	w.now_us += US_PER_S;
	cr_expect_eq(ask(&w, 1, &m).epoch_s, 1);
	reply = ask(&w, 1, &m);
	cr_expect(ip_addr_equal(&reply.external, &external));
	destroy(&w);
}

Test(nat_lease, without_an_uplink_nothing_is_given)
{
	struct ip_addr none = {0};
	struct pcp_request m = map(2000, 5000, 600);
	struct world w;

	create(&w, PER_DEVICE);
	lease_table_begin(w.table, NULL, &none, w.now_us);
	cr_expect_eq(ask(&w, 1, &m).result, PCP_NETWORK_FAILURE);
	m.opcode = PCP_ANNOUNCE;
	cr_expect_eq(ask(&w, 1, &m).result, PCP_SUCCESS);
	destroy(&w);
}

Test(nat_lease, a_lower_limit_holds_for_what_is_asked_next)
{
	struct lease_limits less = {.per_device = 1, .lifetime_max_s = 300};
	struct pcp_request m = map(2000, 0, 600);
	struct world w;

	create(&w, PER_DEVICE);
	ask(&w, 1, &m);
	m.internal_port = 2001;
	ask(&w, 1, &m);
	lease_table_set_limits(w.table, &less);
	cr_expect_eq(lease_table_n(w.table), 2);
	cr_expect_eq(ask(&w, 1, &m).lifetime_s, 300, "what there is may be renewed");
	m.internal_port = 2002;
	cr_expect_eq(ask(&w, 1, &m).result, PCP_USER_EX_QUOTA);
	destroy(&w);
}
