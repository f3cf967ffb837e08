/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/arp.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/port/frames.h>

#include <string.h>

enum {
	MACS = 12,
	VLAN_TAG = 4,
	IPV4_HEADER = 20,
	UDP_HEADER = 8,
	TTL = 64
};

/* Writes the Ethernet header; returns its length. */
static uint16_t put_link(uint8_t *frame, const struct frames_udp *f)
{
	uint8_t *at = frame + MACS;

	memcpy(frame, &f->dst_mac, sizeof(f->dst_mac));
	memcpy(frame + sizeof(f->dst_mac), &f->src_mac, sizeof(f->src_mac));
	if (f->vlan != 0) {
		store_be16(at, 0x8100);
		store_be16(at + 2, f->vlan);
		at += VLAN_TAG;
	}
	store_be16(at, 0x0800);
	return (uint16_t)(at + 2 - frame);
}

uint16_t frames_build_udp(uint8_t *frame, enum link_framing framing, const struct frames_udp *f)
{
	uint16_t link = framing == FRAMING_ETHERNET ? put_link(frame, f) : 0;
	uint8_t *ip = frame + link;
	uint8_t *udp = ip + IPV4_HEADER;

	memset(ip, 0, f->ip_octets);
	ip[0] = 0x45;
	store_be16(ip + 2, f->ip_octets);
	ip[8] = TTL;
	ip[9] = PROTO_UDP;
	store32(ip + 12, f->src.words[3]);
	store32(ip + 16, f->dst.words[3]);
	store_be16(udp, f->src_port);
	store_be16(udp + 2, f->dst_port);
	store_be16(udp + 4, (uint16_t)(f->ip_octets - IPV4_HEADER));
	store16(ip + 10, checksum_of(ip, IPV4_HEADER));
	store16(udp + 6, checksum_l4_v4(ip, f->ip_octets));
	return (uint16_t)(link + f->ip_octets);
}

uint16_t frames_build_arp_reply(uint8_t *frame, uint16_t vlan, const struct ip_addr *host,
	const struct mac_addr *mac, const struct ip_addr *asker, const struct mac_addr *asker_mac)
{
	struct arp_message message = {
		.operation = ARP_REPLY,
		.sender_mac = *mac,
		.target_mac = *asker_mac,
		.sender_be = host->words[3],
		.target_be = asker->words[3],
	};

	arp_build(frame, asker_mac, &message);
	if (vlan == 0)
		return ARP_FRAME_BYTES;
	memmove(frame + MACS + VLAN_TAG, frame + MACS, ARP_FRAME_BYTES - MACS);
	store_be16(frame + MACS, 0x8100);
	store_be16(frame + MACS + 2, vlan);
	return ARP_FRAME_BYTES + VLAN_TAG;
}
