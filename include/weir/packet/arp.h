/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP messages for IPv4 over Ethernet: read, checked and built.
 *
 * Source:   RFC 826, RFC 5227 (probe and announcement), RFC 1122 section 2.3.2.
 * Shapes:   `arp` points to the ARP message; frames are whole Ethernet frames.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_ARP_H
#define WEIR_PACKET_ARP_H

#include <weir/base/addr.h>
#include <weir/packet/drops.h>

#include <stdint.h>

enum arp_operation {
	ARP_REQUEST = 1,
	ARP_REPLY = 2
};

struct arp_message {
	enum arp_operation operation;
	struct mac_addr sender_mac;
	struct mac_addr target_mac;
	uint32_t sender_be; /* 0 in a probe */
	uint32_t target_be;
};

#define ARP_FRAME_BYTES 42 /* 14 of Ethernet, 28 of ARP */

/* Reads and checks a message: DROP_PARSE_BAD_ARP when it is short, of other types, or its sender is
 * a group MAC or a broadcast or multicast address. */
enum drop_reason arp_read(const uint8_t *arp, uint32_t len_bytes, struct arp_message *ret_message);

/* Writes a whole frame, ARP_FRAME_BYTES long, to `dst` (broadcast for a request). */
void arp_build(uint8_t *frame, const struct mac_addr *dst, const struct arp_message *message);

#endif
