/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames made from nothing, for the memory port: UDP packets and the ARP answers of hosts that are not there.
 *
 * Source:   RFC 768, 791, 826.
 * Shapes:   whole frames with true checksums, without Ethernet's frame check sequence. Payload is zeros.
 * Units:    ports in host byte order.
 * Threads:  pure.
 */
#ifndef WEIR_PORT_FRAMES_H
#define WEIR_PORT_FRAMES_H

#include <weir/base/addr.h>
#include <weir/packet/parse.h>

#include <stdint.h>

struct frames_udp {
	struct mac_addr src_mac; /* Ethernet alone, as vlan */
	struct mac_addr dst_mac;
	struct ip_addr src;
	struct ip_addr dst;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t vlan;      /* 0: untagged */
	uint16_t ip_octets; /* in all: at least 28 */
};

#define FRAMES_LINK_BYTES_MAX 18
#define FRAMES_ARP_BYTES_MAX  46

/* Writes the frame to `frame` (FRAMES_LINK_BYTES_MAX + ip_octets bytes); returns its length. */
uint16_t frames_build_udp(uint8_t *frame, enum link_framing framing, const struct frames_udp *f);

/* Writes the answer of `host` at `mac` to an ARP request of `asker` (FRAMES_ARP_BYTES_MAX bytes); returns its length. */
uint16_t frames_build_arp_reply(uint8_t *frame, uint16_t vlan, const struct ip_addr *host,
	const struct mac_addr *mac, const struct ip_addr *asker, const struct mac_addr *asker_mac);

#endif
