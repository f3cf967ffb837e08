/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway as a host: ARP, echo, and the kernel's services behind the tap. */
#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/packet/icmp_error.h>

#include <string.h>

#define HOST_BE PACKET_SRC_BE

static const struct mac_addr all_macs = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct mac_addr host_mac = {{0x02, 0, 0, 0, 0, 0x02}};
static const struct mac_addr other_mac = {{0x02, 0, 0, 0, 0, 0x66}};
static const struct mac_addr router_mac = {{0x02, 'w', 'e', 'i', 'r', 0x01}};

static void put_arp(struct path_world *w, enum world_port port, const struct arp_message *m)
{
	path_world_put_frame(w, port,
		packet_of_arp(m->operation == ARP_REQUEST ? &all_macs : &world_macs[port], m));
}

static void put_reply(
	struct path_world *w, enum world_port port, uint32_t sender_be, const struct mac_addr *mac)
{
	put_arp(w, port,
		&(struct arp_message){.operation = ARP_REPLY,
			.sender_mac = *mac,
			.sender_be = sender_be,
			.target_mac = world_macs[port],
			.target_be = port == WORLD_UPLINK ? WORLD_UPLINK_BE : WORLD_LAN_BE});
}

/* The next ARP message that a port has sent. */
static bool take_arp(struct path_world *w, enum world_port port, struct arp_message *m)
{
	struct packet p;
	bool is_arp;

	if (!path_world_take_any(w, port, &p))
		return false;
	is_arp = load_be16(p.bytes + 12) == 0x0806
		 && arp_read(p.bytes + 14, p.len_bytes - 14, m) == DROP_NONE;
	packet_clean(&p);
	return is_arp;
}

static struct path_world *create_asking(bool is_uplink_ethernet)
{
	struct path_world_params params = {
		.is_asking = true, .is_uplink_ethernet = is_uplink_ethernet};

	return path_world_create(&params);
}

Test(path_local, answers_who_asks_for_its_address)
{
	struct path_world *w = create_asking(false);
	struct arp_message m;

	put_arp(w, WORLD_LAN,
		&(struct arp_message){.operation = ARP_REQUEST,
			.sender_mac = host_mac,
			.sender_be = HOST_BE,
			.target_be = WORLD_LAN_BE});
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_LAN, &m));
	cr_expect_eq(m.operation, ARP_REPLY);
	cr_expect_eq(m.sender_be, WORLD_LAN_BE);
	cr_expect(mac_addr_equal(&m.sender_mac, &world_macs[WORLD_LAN]));
	cr_expect(mac_addr_equal(&m.target_mac, &host_mac));
	path_world_destroy(w);
}

Test(path_local, asks_at_once_for_a_next_hop_and_sends_in_order_when_it_answers)
{
	struct path_world *w = create_asking(true);
	struct arp_message m;
	struct packet p;

	for (uint16_t i = 0; i < 5; i++)
		path_world_put(w, WORLD_LAN, &(struct packet_spec){.id = (uint16_t)(100 + i)});
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_UPLINK, &m), "in the same step");
	cr_expect_eq(m.operation, ARP_REQUEST);
	cr_expect_eq(m.target_be, WORLD_GATEWAY_BE, "not for the server itself");
	cr_expect_eq(m.sender_be, WORLD_UPLINK_BE);
	cr_expect(!path_world_take_any(w, WORLD_UPLINK, &p));
	put_reply(w, WORLD_UPLINK, WORLD_GATEWAY_BE, &other_mac);
	path_world_step(w);
	for (uint16_t i = 0; i < 5; i++) {
		cr_assert(path_world_take(w, WORLD_UPLINK, &p));
		cr_expect_eq(load_be16(packet_ip(&p) + 4), 100 + i);
		cr_expect_eq(memcmp(p.bytes, &other_mac, 6), 0);
		cr_expect_eq(memcmp(p.bytes + 6, &world_macs[WORLD_UPLINK], 6), 0);
		packet_clean(&p);
	}
	path_world_destroy(w);
}

Test(path_local, asks_anew_for_the_next_hops_of_a_port_that_was_opened_again)
{
	struct path_world *w = create_asking(true);
	struct arp_message m;
	struct packet p;

	path_world_put(w, WORLD_LAN, &(struct packet_spec){.id = 1});
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_UPLINK, &m));
	put_reply(w, WORLD_UPLINK, WORLD_GATEWAY_BE, &other_mac);
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_UPLINK, &p));
	packet_clean(&p);

	port_fail(w->ports[WORLD_UPLINK]);
	port_up(w->ports[WORLD_UPLINK]);
	path_world_pass(w, 100 * WORLD_MS, 10 * WORLD_MS);
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.id = 2});
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_UPLINK, &m), "the MAC of before may be another station's");
	cr_expect_eq(m.operation, ARP_REQUEST);

	port_fail(w->ports[WORLD_UPLINK]);
	port_up(w->ports[WORLD_UPLINK]);
	path_world_pass(w, 100 * WORLD_MS, 10 * WORLD_MS);
	cr_expect_eq(path_world_drops(w, DROP_TX_PORT_DOWN), 1, "what waited for the answer");
	path_world_destroy(w);
}

Test(path_local, a_next_hop_without_answer_is_unreachable_in_its_senders_terms)
{
	struct path_world *w = create_asking(true);
	struct packet error, quoted;

	put_arp(w, WORLD_LAN,
		&(struct arp_message){.operation = ARP_REQUEST,
			.sender_mac = host_mac,
			.sender_be = HOST_BE,
			.target_be = WORLD_LAN_BE});
	path_world_put(w, WORLD_LAN, &(struct packet_spec){.src_port = 4444, .payload_bytes = 40});
	path_world_pass(w, 4 * WORLD_S, 100 * WORLD_MS);
	cr_expect_eq(path_world_drops(w, DROP_TX_NO_NEIGHBOR), 1);
	cr_assert(path_world_take(w, WORLD_LAN, &error));
	cr_expect_eq(packet_l4(&error)[0], ICMP_UNREACHABLE);
	cr_expect_eq(packet_l4(&error)[1], ICMP_CODE_HOST);
	quoted = packet_of_bytes(
		error.bytes + error.l4_off + 8, error.len_bytes - error.l4_off - 8, FRAMING_RAW_IP);
	cr_expect_eq(packet_src_be(&quoted), HOST_BE);
	cr_expect_eq(packet_src_port(&quoted), 4444);
	cr_expect(packet_is_checksum_good(&quoted));
	packet_clean(&quoted);
	packet_clean(&error);
	path_world_destroy(w);
}

Test(path_local, tells_of_a_stranger_with_its_address_and_of_a_host_that_moved)
{
	struct path_world *w = create_asking(false);

	put_reply(w, WORLD_LAN, WORLD_LAN_BE, &other_mac);
	path_world_step(w);
	cr_expect(path_world_saw(w, EVENT_ADDRESS_CONFLICT));
	put_arp(w, WORLD_LAN,
		&(struct arp_message){.operation = ARP_REQUEST,
			.sender_mac = host_mac,
			.sender_be = HOST_BE,
			.target_be = WORLD_LAN_BE});
	path_world_step(w);
	cr_expect(!path_world_saw(w, EVENT_NEIGHBOR_CHANGED));
	/* Gratuitous: it announces itself under another MAC. */
	put_arp(w, WORLD_LAN,
		&(struct arp_message){.operation = ARP_REQUEST,
			.sender_mac = other_mac,
			.sender_be = HOST_BE,
			.target_be = HOST_BE});
	path_world_step(w);
	cr_expect(path_world_saw(w, EVENT_NEIGHBOR_CHANGED));
	path_world_destroy(w);
}

Test(path_local, echo_is_answered_within_its_limit)
{
	struct path_world *w = path_world_create(NULL);
	struct path_config *config = path_world_config(w);
	struct packet p;
	uint32_t n = 0;

	config->icmp_errors_per_s = 20;
	doors_publish(w->path, config);
	for (int i = 0; i < 30; i++)
		path_world_put(w, WORLD_LAN,
			&(struct packet_spec){.proto = PROTO_ICMP,
				.icmp_type = ICMP_ECHO_REQUEST,
				.dst_be = WORLD_LAN_BE,
				.icmp_id = 5,
				.payload_bytes = 33});
	path_world_step(w);
	for (; path_world_take(w, WORLD_LAN, &p); n++) {
		cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
		cr_expect_eq(packet_src_be(&p), WORLD_LAN_BE);
		cr_expect_eq(packet_dst_be(&p), HOST_BE);
		cr_expect(packet_is_checksum_good(&p));
		packet_clean(&p);
	}
	cr_expect_eq(n, 3, "a tenth of a second's worth at once, and the one now due: %u", n);
	cr_expect_eq(path_world_drops(w, DROP_LOCAL_ICMP_LIMIT), 27);
	path_world_destroy(w);
}

Test(path_local, a_ping_to_the_uplinks_address_is_answered_to_the_lan_and_to_nobody_outside)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec ping = {.proto = PROTO_ICMP,
		.icmp_type = ICMP_ECHO_REQUEST,
		.dst_be = WORLD_UPLINK_BE,
		.icmp_id = 5};
	struct packet p = path_world_pass_one(w, WORLD_LAN, &ping, WORLD_LAN);

	cr_expect_eq(packet_l4(&p)[0], ICMP_ECHO_REPLY);
	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	packet_clean(&p);
	ping.src_be = V4(198, 51, 100, 7);
	path_world_put(w, WORLD_UPLINK, &ping);
	path_world_step(w);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), 0);
	cr_expect_eq(path_world_drops(w, DROP_POLICY_INBOUND), 1);
	path_world_destroy(w);
}

Test(path_local, what_is_for_the_gateway_goes_to_its_tap_as_it_came_and_back)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p = path_world_pass_one(w, WORLD_LAN,
		&(struct packet_spec){.dst_be = WORLD_LAN_BE, .dst_port = 53}, WORLD_TAP);

	cr_expect_eq(packet_src_be(&p), HOST_BE);
	cr_expect_eq(packet_ip(&p)[8], 64, "it has arrived: no hop is taken");
	packet_clean(&p);
	p = path_world_pass_one(w, WORLD_TAP,
		&(struct packet_spec){.src_be = WORLD_LAN_BE,
			.dst_be = HOST_BE,
			.dst_mac = host_mac,
			.src_mac = world_macs[WORLD_LAN]},
		WORLD_LAN);
	cr_expect_eq(memcmp(p.bytes, &host_mac, 6), 0);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_local, the_kernels_own_traffic_walks_the_path_and_its_answers_return_to_the_tap)
{
	struct path_world *w = path_world_create(NULL);
	struct packet p = path_world_pass_one(w, WORLD_TAP,
		&(struct packet_spec){.src_be = WORLD_LAN_BE, .src_port = 123, .dst_port = 123},
		WORLD_UPLINK);
	uint16_t port = packet_src_port(&p);

	cr_expect_eq(packet_src_be(&p), WORLD_UPLINK_BE);
	packet_clean(&p);
	p = path_world_pass_one(w, WORLD_UPLINK,
		&(struct packet_spec){.src_be = PACKET_DST_BE,
			.dst_be = WORLD_UPLINK_BE,
			.src_port = 123,
			.dst_port = port},
		WORLD_TAP);
	cr_expect_eq(packet_dst_be(&p), WORLD_LAN_BE);
	cr_expect_eq(packet_dst_port(&p), 123);
	packet_clean(&p);
	path_world_destroy(w);
}

Test(path_local, a_host_without_an_address_reaches_the_dhcp_server_and_nobody_else)
{
	struct path_world *w = path_world_create(NULL);
	struct packet_spec spec = {.is_unset_src = true,
		.dst_be = V4(255, 255, 255, 255),
		.dst_mac = all_macs,
		.src_port = 68,
		.dst_port = 67};
	struct packet p = path_world_pass_one(w, WORLD_LAN, &spec, WORLD_TAP);

	packet_clean(&p);
	spec.dst_be = WORLD_LAN_BE;
	path_world_put(w, WORLD_LAN, &spec);
	path_world_step(w);
	cr_expect_eq(path_world_drops(w, DROP_FLOW_SPOOFED_LAN), 1);
	path_world_destroy(w);
}

Test(path_local, the_kernel_finds_lan_hosts_by_arp_and_the_world_behind_the_routers_mac)
{
	struct path_world *w = path_world_create(NULL);
	struct arp_message m;
	struct arp_message ask = {.operation = ARP_REQUEST,
		.sender_mac = world_macs[WORLD_TAP],
		.sender_be = WORLD_LAN_BE,
		.target_be = HOST_BE};

	put_arp(w, WORLD_TAP, &ask);
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_LAN, &m), "the question goes out");
	cr_expect_eq(m.target_be, HOST_BE);
	put_reply(w, WORLD_LAN, HOST_BE, &host_mac);
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_TAP, &m), "and the answer comes back");
	cr_expect(mac_addr_equal(&m.sender_mac, &host_mac));
	ask.target_be = PACKET_DST_BE;
	put_arp(w, WORLD_TAP, &ask);
	path_world_step(w);
	cr_assert(take_arp(w, WORLD_TAP, &m));
	cr_expect_eq(m.sender_be, PACKET_DST_BE);
	cr_expect(mac_addr_equal(&m.sender_mac, &router_mac));
	path_world_destroy(w);
}

static void tag_lan(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->ports[WORLD_LAN].vlan = 42;
}

Test(path_local, a_tagged_lan_is_tagged_outside_and_plain_on_the_tap)
{
	struct path_world_params params = {.tune = tag_lan};
	struct path_world *w = path_world_create(&params);
	struct packet_spec spec = {.n_vlans = 1, .vlans = {42}};
	struct packet_spec back = {.src_be = PACKET_DST_BE,
		.dst_be = WORLD_UPLINK_BE,
		.src_port = PACKET_DST_PORT,
		.dst_port = PACKET_SRC_PORT};
	struct packet p = path_world_pass_one(w, WORLD_LAN, &spec, WORLD_UPLINK);

	packet_clean(&p);
	path_world_put(w, WORLD_UPLINK, &back);
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_LAN, &p));
	cr_expect_eq(load_be16(p.bytes + 12), 0x8100);
	cr_expect_eq(load_be16(p.bytes + 14), 42);
	cr_expect_eq(load_be16(p.bytes + 16), 0x0800);
	packet_clean(&p);
	spec.dst_be = WORLD_LAN_BE;
	path_world_put(w, WORLD_LAN, &spec);
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_TAP, &p));
	cr_expect_eq(load_be16(p.bytes + 12), 0x0800);
	packet_clean(&p);
	path_world_put(
		w, WORLD_TAP, &(struct packet_spec){.src_be = WORLD_LAN_BE, .dst_be = HOST_BE});
	path_world_step(w);
	cr_assert(path_world_take(w, WORLD_LAN, &p));
	cr_expect_eq(load_be16(p.bytes + 12), 0x8100);
	cr_expect_eq(load_be16(p.bytes + 14), 42);
	packet_clean(&p);
	path_world_destroy(w);
}
