/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <criterion/criterion.h>

static const struct mac_addr host = {{0x02, 0, 0, 0, 0, 0x0a}};
static const struct mac_addr gateway = {{0x02, 0, 0, 0, 0, 0x01}};

static struct arp_message reply(void)
{
	return (struct arp_message){
		ARP_REPLY, host, gateway, V4(192, 168, 50, 10), V4(192, 168, 50, 1)};
}

static enum drop_reason read_frame(const struct packet *p, struct arp_message *ret_message)
{
	return arp_read(p->bytes + p->l3_off, p->len_bytes - p->l3_off, ret_message);
}

Test(packet_arp, reads_back_what_it_built)
{
	struct arp_message sent = reply();
	struct arp_message got;
	struct packet p = packet_of_arp(&gateway, &sent);

	cr_assert_eq(read_frame(&p, &got), DROP_NONE);
	cr_assert_eq(got.operation, ARP_REPLY);
	cr_assert(mac_addr_equal(&got.sender_mac, &host));
	cr_assert(mac_addr_equal(&got.target_mac, &gateway));
	cr_assert_eq(got.sender_be, sent.sender_be);
	cr_assert_eq(got.target_be, sent.target_be);
	packet_clean(&p);
}

Test(packet_arp, builds_the_octets_of_rfc_826)
{
	static const uint8_t expected[ARP_FRAME_BYTES] = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0,
		0x0a, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2, 0x02, 0, 0, 0, 0, 0x0a, 192, 168, 50,
		10, 0x02, 0, 0, 0, 0, 0x01, 192, 168, 50, 1};
	struct arp_message message = reply();
	struct packet p = packet_of_arp(&gateway, &message);

	cr_assert_arr_eq(p.bytes, expected, ARP_FRAME_BYTES);
	packet_clean(&p);
}

Test(packet_arp, refuses_a_message_cut_short_at_any_length)
{
	struct arp_message message = reply();
	struct packet p = packet_of_arp(&gateway, &message);

	for (uint32_t len = p.l3_off; len < p.len_bytes; len++) {
		struct packet cut = packet_cut(&p, len);

		cr_assert_eq(read_frame(&cut, &message), DROP_PARSE_BAD_ARP, "%u", len);
		packet_clean(&cut);
	}
	packet_clean(&p);
}

Test(packet_arp, refuses_other_types_lengths_and_operations)
{
	/* Offset in the message and the octet put there. */
	static const uint8_t changes[][2] = {
		{1, 6}, {2, 0x86}, {4, 8}, {5, 16}, {7, 0}, {7, 3}, {6, 1}};

	for (uint32_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct arp_message message = reply();
		struct packet p = packet_of_arp(&gateway, &message);

		p.bytes[p.l3_off + changes[i][0]] = changes[i][1];
		cr_assert_eq(read_frame(&p, &message), DROP_PARSE_BAD_ARP, "case %u", i);
		packet_clean(&p);
	}
}

struct sender_case {
	const char *claim;
	enum arp_operation operation;
	uint32_t sender_be;
	struct mac_addr mac;
	enum drop_reason why;
};

Test(packet_arp, refuses_senders_that_no_host_is)
{
	const struct mac_addr group = {{0x01, 0, 0x5e, 0, 0, 1}};
	const struct mac_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	const struct mac_addr unset = {{0}};
	const struct sender_case cases[] = {
		{"a plain host", ARP_REQUEST, V4(192, 168, 50, 10), host, DROP_NONE},
		{"a probe (RFC 5227)", ARP_REQUEST, 0, host, DROP_NONE},
		{"link-local (RFC 3927)", ARP_REQUEST, V4(169, 254, 1, 1), host, DROP_NONE},
		{"a reply from nobody", ARP_REPLY, 0, host, DROP_PARSE_BAD_ARP},
		{"net 0", ARP_REQUEST, V4(0, 0, 0, 1), host, DROP_PARSE_BAD_ARP},
		{"loopback", ARP_REPLY, V4(127, 0, 0, 1), host, DROP_PARSE_BAD_ARP},
		{"multicast", ARP_REPLY, V4(224, 0, 0, 1), host, DROP_PARSE_BAD_ARP},
		{"broadcast", ARP_REPLY, V4(255, 255, 255, 255), host, DROP_PARSE_BAD_ARP},
		{"a group's MAC", ARP_REPLY, V4(192, 168, 50, 10), group, DROP_PARSE_BAD_ARP},
		{"the broadcast MAC", ARP_REPLY, V4(192, 168, 50, 10), all, DROP_PARSE_BAD_ARP},
		{"no MAC", ARP_REPLY, V4(192, 168, 50, 10), unset, DROP_PARSE_BAD_ARP},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arp_message message = reply();
		struct packet p;

		message.operation = cases[i].operation;
		message.sender_be = cases[i].sender_be;
		message.sender_mac = cases[i].mac;
		p = packet_of_arp(&gateway, &message);
		cr_assert_eq(read_frame(&p, &message), cases[i].why, "%s", cases[i].claim);
		packet_clean(&p);
	}
}
