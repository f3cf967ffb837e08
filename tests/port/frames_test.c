/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/arp.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/port/frames.h>

#include <criterion/criterion.h>

static const struct mac_addr host_mac = {{2, 0, 0, 0, 0, 1}};
static const struct mac_addr gateway_mac = {{2, 0, 0, 0, 0, 2}};

static struct frames_udp udp_of(uint16_t vlan, uint16_t ip_octets)
{
	return (struct frames_udp){
		.src_mac = host_mac,
		.dst_mac = gateway_mac,
		.src = ip_addr_quad(192, 168, 50, 2),
		.dst = ip_addr_quad(11, 0, 0, 1),
		.src_port = 1234,
		.dst_port = 443,
		.vlan = vlan,
		.ip_octets = ip_octets,
	};
}

Test(port_frames, a_udp_frame_parses_as_what_was_asked_for_with_true_checksums)
{
	static const struct {
		enum link_framing framing;
		uint16_t vlan;
		uint16_t ip_octets;
		uint16_t link;
	} cases[] = {{FRAMING_ETHERNET, 0, 46, 14}, {FRAMING_ETHERNET, 7, 1500, 18},
		{FRAMING_RAW_IP, 7, 28, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frames_udp f = udp_of(cases[i].vlan, cases[i].ip_octets);
		uint8_t frame[1600];
		struct pkt_meta m;
		uint16_t len = frames_build_udp(frame, cases[i].framing, &f);
		struct parse_result r = parse_frame(frame, len, cases[i].framing, &m);

		cr_assert_eq(len, cases[i].link + cases[i].ip_octets);
		cr_assert_eq(r.why, DROP_NONE);
		cr_expect_eq(m.ip_octets, cases[i].ip_octets);
		cr_expect_eq(m.src_port, 1234);
		cr_expect_eq(m.dst_port, 443);
		cr_expect(ip_addr_equal(&m.src, &f.src));
		cr_expect(ip_addr_equal(&m.dst, &f.dst));
		cr_expect_eq(m.vlan, cases[i].framing == FRAMING_ETHERNET ? cases[i].vlan : 0);
		cr_expect_eq(checksum_l4_v4(frame + cases[i].link, cases[i].ip_octets), 0);
	}
}

Test(port_frames, an_arp_reply_answers_the_asker)
{
	for (uint16_t vlan = 0; vlan <= 9; vlan += 9) {
		struct ip_addr host = ip_addr_quad(192, 168, 50, 2);
		struct ip_addr asker = ip_addr_quad(192, 168, 50, 1);
		uint8_t frame[FRAMES_ARP_BYTES_MAX];
		struct arp_message message;
		uint16_t len =
			frames_build_arp_reply(frame, vlan, &host, &host_mac, &asker, &gateway_mac);
		uint16_t at = vlan == 0 ? 14 : 18;

		cr_assert_eq(len, at + 28);
		cr_expect_eq(load_be16(frame + at - 2), 0x0806);
		cr_assert_eq(arp_read(frame + at, len - at, &message), DROP_NONE);
		cr_expect_eq(message.operation, ARP_REPLY);
		cr_expect_eq(message.sender_be, host.words[3]);
		cr_expect_eq(message.target_be, asker.words[3]);
		cr_expect(mac_addr_equal(&message.sender_mac, &host_mac));
	}
}
