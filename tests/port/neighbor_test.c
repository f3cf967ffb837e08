/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/port/neighbor.h>

#include <criterion/criterion.h>

#define REACHABLE_US (30 * US_PER_S)
#define PORT         3
#define US           htonl(0xc0a83201) /* the gateway, 192.168.50.1 */
#define HOST         htonl(0xc0a8320a)
#define OTHER        htonl(0xc0a8320b)

static const struct mac_addr mac_a = {{2, 0, 0, 0, 0, 0xa}};
static const struct mac_addr mac_b = {{2, 0, 0, 0, 0, 0xb}};
static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/* Packets are opaque: numbers 1 … as pointers into an array. */
static char packets[256];

static struct neighbor_table *table(uint32_t capacity)
{
	struct neighbor_table *t;

	cr_assert_eq(neighbor_table_create(capacity, REACHABLE_US, 42, &t), 0);
	return t;
}

static struct arp_message reply_from(uint32_t sender_be, struct mac_addr mac)
{
	return (struct arp_message){ARP_REPLY, mac, {{2, 0, 0, 0, 0, 1}}, sender_be, US};
}

static struct arp_message gratuitous_from(uint32_t sender_be, struct mac_addr mac)
{
	return (struct arp_message){ARP_REQUEST, mac, {{0}}, sender_be, sender_be};
}

static struct arp_message request_from(uint32_t sender_be, struct mac_addr mac)
{
	return (struct arp_message){ARP_REQUEST, mac, {{0}}, sender_be, US};
}

static uint32_t learn(struct neighbor_table *t, struct arp_message message, uint64_t now_us)
{
	void *released[NEIGHBOR_QUEUE];

	return neighbor_learn(t, PORT, &message, message.target_be == US, now_us, released);
}

/* One tick with room for plenty; returns the requests. */
static uint32_t tick(struct neighbor_table *t, uint64_t now_us, struct neighbor_request *requests)
{
	return neighbor_tick(t, now_us, requests, 64);
}

/* Resolves HOST to mac_a at `now_us`. */
static void resolve(struct neighbor_table *t, uint64_t now_us)
{
	struct neighbor_request requests[64];

	cr_assert(neighbor_wait(t, PORT, HOST, &packets[0], now_us));
	tick(t, now_us, requests);
	cr_assert_eq(learn(t, reply_from(HOST, mac_a), now_us), 1);
}

static uint32_t n_entries(const struct neighbor_table *t, uint32_t capacity)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < capacity; i++)
		n += neighbor_at(t, i) != NULL ? 1 : 0;
	return n;
}

Test(port_neighbor, is_not_made_without_room)
{
	struct neighbor_table *t = NULL;

	cr_assert_lt(neighbor_table_create(0, REACHABLE_US, 1, &t), 0);
	cr_assert_null(t);
	neighbor_table_destroy(NULL);
}

Test(port_neighbor, an_unknown_address_is_asked_for_and_its_packets_leave_in_order)
{
	struct neighbor_table *t = table(8);
	struct arp_message reply = reply_from(HOST, mac_a);
	struct neighbor_request requests[64];
	void *released[NEIGHBOR_QUEUE];

	cr_assert_null(neighbor_find(t, PORT, HOST, 5));
	for (int i = 0; i < 3; i++)
		cr_assert(neighbor_wait(t, PORT, HOST, &packets[i], 5));
	cr_assert_null(neighbor_find(t, PORT, HOST, 5), "not known while it is being asked for");
	cr_assert_eq(tick(t, 5, requests), 1, "one request, not one a packet");
	cr_assert_eq(requests[0].addr_be, HOST);
	cr_assert_eq(requests[0].port, PORT);
	cr_assert(mac_addr_equal(&requests[0].mac, &broadcast));
	cr_assert_eq(neighbor_learn(t, PORT, &reply, true, 6, released), 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(released[i], &packets[i]);
	cr_assert(mac_addr_equal(neighbor_find(t, PORT, HOST, 7), &mac_a));
	cr_assert_eq(tick(t, 10 * US_PER_S, requests), 0, "an answered question is not repeated");
	neighbor_table_destroy(t);
}

Test(port_neighbor, the_same_address_on_another_port_is_another_neighbour)
{
	struct neighbor_table *t = table(8);

	resolve(t, 0);
	cr_assert_null(neighbor_find(t, PORT + 1, HOST, 1));
	neighbor_table_destroy(t);
}

Test(port_neighbor, only_so_many_packets_wait_for_an_address)
{
	struct neighbor_table *t = table(8);
	void *out[NEIGHBOR_QUEUE + 1];

	for (int i = 0; i < NEIGHBOR_QUEUE; i++)
		cr_assert(neighbor_wait(t, PORT, HOST, &packets[i], 0));
	cr_assert_not(neighbor_wait(t, PORT, HOST, &packets[99], 0));
	cr_assert(neighbor_wait(t, PORT, OTHER, &packets[99], 0),
		"another address has its own queue");
	cr_assert_eq(neighbor_flush(t, PORT, out, NEIGHBOR_QUEUE + 1), NEIGHBOR_QUEUE + 1);
	neighbor_table_destroy(t);
}

Test(port_neighbor, all_addresses_together_keep_no_more_than_their_share_of_the_buffers)
{
	struct neighbor_table *t = table(NEIGHBOR_WAITING);
	void *out[NEIGHBOR_WAITING];

	for (uint32_t i = 0; i < NEIGHBOR_WAITING; i++)
		cr_assert(neighbor_wait(t, PORT, htonl(0x0a000000 + i), &packets[0], 0));
	cr_assert_not(neighbor_wait(t, PORT, htonl(0x0a000000), &packets[9], 0));
	cr_assert_eq(neighbor_flush(t, PORT, out, 1), 1);
	cr_assert(neighbor_wait(t, PORT, htonl(0x0a000001), &packets[9], 0), "room for one");
	cr_assert_not(neighbor_wait(t, PORT, htonl(0x0a000001), &packets[9], 0));
	cr_assert_eq(neighbor_flush(t, PORT, out, NEIGHBOR_WAITING), NEIGHBOR_WAITING);
	neighbor_table_destroy(t);
}

Test(port_neighbor, no_packet_waits_for_an_address_that_is_known)
{
	struct neighbor_table *t = table(8);

	resolve(t, 0);
	cr_assert_not(neighbor_wait(t, PORT, HOST, &packets[1], 1));
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_full_table_takes_no_further_address)
{
	struct neighbor_table *t = table(4);
	void *out[8];

	for (uint32_t i = 0; i < 4; i++)
		cr_assert(neighbor_wait(t, PORT, htonl(0x0a000000 + i), &packets[i], 0));
	cr_assert_not(neighbor_wait(t, PORT, HOST, &packets[9], 0));
	cr_assert_eq(neighbor_flush(t, PORT_NONE, out, 8), 4);
	cr_assert(neighbor_wait(t, PORT, HOST, &packets[9], 0), "room again");
	cr_assert_eq(neighbor_flush(t, PORT_NONE, out, 8), 1);
	neighbor_table_destroy(t);
}

Test(port_neighbor, three_unanswered_requests_a_second_apart_fail_the_packets)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];
	void *failed[8];

	cr_assert(neighbor_wait(t, PORT, HOST, &packets[0], 0));
	cr_assert(neighbor_wait(t, PORT, HOST, &packets[1], 0));
	for (uint64_t s = 0; s < NEIGHBOR_REQUESTS; s++) {
		cr_assert_eq(tick(t, s * US_PER_S, requests), 1);
		cr_assert_eq(tick(t, s * US_PER_S + US_PER_S - 1, requests), 0, "one a second");
		cr_assert_eq(neighbor_take_failed(t, failed, 8), 0);
	}
	cr_assert_eq(tick(t, 3 * US_PER_S, requests), 0);
	cr_assert_not(neighbor_wait(t, PORT, HOST, &packets[2], 3 * US_PER_S));
	cr_assert_eq(neighbor_take_failed(t, failed, 1), 1, "as many as there is room for");
	cr_assert_eq(failed[0], &packets[0]);
	cr_assert_eq(neighbor_take_failed(t, failed, 8), 1);
	cr_assert_eq(failed[0], &packets[1]);
	cr_assert_eq(n_entries(t, 8), 0);
	cr_assert(neighbor_wait(t, PORT, HOST, &packets[2], 3 * US_PER_S), "asked for anew");
	cr_assert_eq(tick(t, 3 * US_PER_S, requests), 1);
	cr_assert_eq(neighbor_flush(t, PORT, failed, 8), 1);
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_stale_entry_is_used_and_asked_in_person_first_then_ends)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];
	uint64_t stale_us = REACHABLE_US + 1;

	resolve(t, 0);
	cr_assert_not_null(neighbor_find(t, PORT, HOST, REACHABLE_US - 1));
	cr_assert_eq(tick(t, REACHABLE_US - 1, requests), 0, "REACHABLE: nothing to ask");
	cr_assert_not_null(neighbor_find(t, PORT, HOST, stale_us));
	cr_assert_eq(tick(t, stale_us, requests), 1);
	cr_assert(mac_addr_equal(&requests[0].mac, &mac_a), "in person");
	for (uint64_t s = 1; s < NEIGHBOR_REQUESTS; s++) {
		cr_assert_not_null(neighbor_find(t, PORT, HOST, stale_us + s * US_PER_S));
		cr_assert_eq(tick(t, stale_us + s * US_PER_S, requests), 1);
		cr_assert(mac_addr_equal(&requests[0].mac, &broadcast));
	}
	cr_assert_eq(tick(t, stale_us + 3 * US_PER_S, requests), 0);
	cr_assert_null(neighbor_find(t, PORT, HOST, stale_us + 3 * US_PER_S));
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_stale_entry_that_answers_is_reachable_again)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];
	uint64_t stale_us = REACHABLE_US + 1;

	resolve(t, 0);
	cr_assert_not_null(neighbor_find(t, PORT, HOST, stale_us));
	cr_assert_eq(tick(t, stale_us, requests), 1);
	cr_assert_eq(learn(t, reply_from(HOST, mac_a), stale_us + 9), 0);
	cr_assert_not_null(neighbor_find(t, PORT, HOST, stale_us + 10));
	cr_assert_eq(tick(t, stale_us + 5 * US_PER_S, requests), 0);
	cr_assert_eq(neighbor_n_changes(t), 0);
	neighbor_table_destroy(t);
}

Test(port_neighbor, traffic_from_the_neighbour_confirms_it_without_any_request)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];

	resolve(t, 0);
	for (uint64_t s = 10; s < 300; s += 10) {
		neighbor_confirm(t, PORT, HOST, &mac_a, s * US_PER_S);
		cr_assert_not_null(neighbor_find(t, PORT, HOST, s * US_PER_S + 1));
		cr_assert_eq(tick(t, s * US_PER_S + 2, requests), 0);
	}
	neighbor_table_destroy(t);
}

Test(port_neighbor, traffic_under_another_mac_confirms_and_changes_nothing)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];

	resolve(t, 0);
	neighbor_confirm(t, PORT, HOST, &mac_b, REACHABLE_US - 1);
	cr_assert(mac_addr_equal(neighbor_find(t, PORT, HOST, REACHABLE_US + 1), &mac_a));
	cr_assert_eq(tick(t, REACHABLE_US + 1, requests), 1, "STALE all the same");
	neighbor_confirm(t, PORT, OTHER, &mac_b, REACHABLE_US);
	cr_assert_null(neighbor_find(t, PORT, OTHER, REACHABLE_US), "and makes nothing");
	neighbor_table_destroy(t);
}

Test(port_neighbor, traffic_does_not_answer_an_open_question)
{
	struct neighbor_table *t = table(8);
	void *out[1];

	cr_assert(neighbor_wait(t, PORT, HOST, &packets[0], 0));
	neighbor_confirm(t, PORT, HOST, &mac_b, 1);
	cr_assert_null(neighbor_find(t, PORT, HOST, 2));
	cr_assert_eq(neighbor_flush(t, PORT, out, 1), 1);
	neighbor_table_destroy(t);
}

Test(port_neighbor, messages_that_nobody_asked_for_make_no_entry)
{
	struct neighbor_table *t = table(8);

	learn(t, gratuitous_from(HOST, mac_a), 0);
	learn(t, reply_from(HOST, mac_a), 0);
	learn(t, (struct arp_message){ARP_REQUEST, mac_a, {{0}}, HOST, OTHER}, 0);
	learn(t, (struct arp_message){ARP_REQUEST, mac_a, {{0}}, 0, US}, 0); /* a probe */
	cr_assert_eq(n_entries(t, 8), 0);
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_host_that_asks_for_the_gateway_is_known_and_checked_when_used)
{
	struct neighbor_table *t = table(8);
	struct neighbor_request requests[64];

	learn(t, request_from(HOST, mac_a), 0);
	cr_assert_eq(tick(t, 0, requests), 0);
	cr_assert(mac_addr_equal(neighbor_find(t, PORT, HOST, 1), &mac_a));
	cr_assert_eq(tick(t, 1, requests), 1);
	cr_assert(mac_addr_equal(&requests[0].mac, &mac_a));
	neighbor_table_destroy(t);
}

Test(port_neighbor, strangers_that_ask_take_half_of_the_table_and_are_soon_forgotten)
{
	struct neighbor_table *t = table(64);
	struct neighbor_request requests[64];
	void *out[64];
	uint32_t n = 0;

	for (uint32_t i = 0; i < 1000; i++)
		learn(t, request_from(htonl(0x0a000001 + i), mac_b), i);
	cr_assert_eq(n_entries(t, 64), 32);
	while (n < 64 && neighbor_wait(t, PORT, htonl(0xc0a80000 + n), &packets[n], 1000))
		n++;
	cr_assert_eq(n, 32, "the other half is for those we speak to");
	cr_assert_eq(neighbor_flush(t, PORT, out, 1), 1);
	for (uint32_t i = 0; i < 64; i++)
		neighbor_tick(t, 1000 + REACHABLE_US, requests, 0);
	for (uint32_t i = 0; i < 64; i++)
		cr_assert(neighbor_at(t, i) == NULL
			  || neighbor_at(t, i)->state == NEIGHBOR_INCOMPLETE);
	learn(t, request_from(HOST, mac_a), 2000 + REACHABLE_US);
	cr_assert_not_null(neighbor_find(t, PORT, HOST, 2000 + REACHABLE_US), "room again");
	cr_assert_eq(neighbor_flush(t, PORT, out, 64), 31);
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_changed_mac_is_taken_and_counted)
{
	struct neighbor_table *t = table(8);

	resolve(t, 0);
	learn(t, gratuitous_from(HOST, mac_a), 1);
	cr_assert_eq(neighbor_n_changes(t), 0);
	learn(t, gratuitous_from(HOST, mac_b), 2);
	cr_assert_eq(neighbor_n_changes(t), 1);
	cr_assert(
		mac_addr_equal(neighbor_find(t, PORT, HOST, 3), &mac_b), "a host may be replaced");
	learn(t, reply_from(HOST, mac_a), 4);
	cr_assert_eq(neighbor_n_changes(t), 2, "and flapping shows");
	neighbor_table_destroy(t);
}

Test(port_neighbor, an_entry_that_nobody_needs_is_forgotten)
{
	struct neighbor_table *t = table(100);
	struct neighbor_request requests[64];

	resolve(t, 0);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(tick(t, NEIGHBOR_IDLE_US - 1, requests), 0);
	cr_assert_eq(n_entries(t, 100), 1);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(tick(t, NEIGHBOR_IDLE_US, requests), 0, "and not asked about");
	cr_assert_eq(n_entries(t, 100), 0);
	neighbor_table_destroy(t);
}

Test(port_neighbor, a_tick_writes_no_more_requests_than_there_is_room_for)
{
	struct neighbor_table *t = table(16);
	struct neighbor_request requests[64];
	void *out[16];

	for (uint32_t i = 0; i < 10; i++)
		cr_assert(neighbor_wait(t, PORT, htonl(0x0a000000 + i), &packets[i], 0));
	cr_assert_eq(neighbor_tick(t, 0, requests, 4), 4);
	cr_assert_eq(neighbor_tick(t, 0, requests, 4), 4);
	cr_assert_eq(neighbor_tick(t, 0, requests, 4), 2);
	cr_assert_eq(neighbor_tick(t, 0, requests, 4), 0);
	cr_assert_eq(neighbor_flush(t, PORT, out, 16), 10);
	neighbor_table_destroy(t);
}

Test(port_neighbor, flush_empties_one_port_and_leaves_the_others)
{
	struct neighbor_table *t = table(16);
	struct neighbor_request requests[64];
	void *out[16];
	uint32_t n;

	resolve(t, 0);
	for (int i = 0; i < 5; i++)
		cr_assert(neighbor_wait(t, PORT, OTHER, &packets[i], 0));
	cr_assert(neighbor_wait(t, PORT + 1, HOST, &packets[9], 0));
	cr_assert_eq(neighbor_flush(t, PORT, out, 2), 2);
	n = neighbor_flush(t, PORT, out + 2, 14);
	cr_assert_eq(n, 3);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(out[i], &packets[i]);
	cr_assert_null(neighbor_find(t, PORT, HOST, 1), "known entries are forgotten too");
	cr_assert_eq(n_entries(t, 16), 1);
	cr_assert_eq(tick(t, 1, requests), 1);
	cr_assert_eq(requests[0].port, PORT + 1);
	cr_assert_eq(neighbor_flush(t, PORT_NONE, out, 16), 1);
	cr_assert_eq(n_entries(t, 16), 0);
	neighbor_table_destroy(t);
}
