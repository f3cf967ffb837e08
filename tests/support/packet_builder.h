/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for tests, described by what is special about them: all that a spec leaves out gets a
 * plain default, and every length and checksum is made right.
 *
 *     struct packet p = packet_build(&(struct packet_spec){ .proto = PROTO_UDP, .dst_port = 53 });
 *     ...
 *     packet_clean(&p);
 *
 * Shapes:   `bytes` is a heap block of exactly len_bytes, so that AddressSanitizer sees a read or
 *           write past its end. A test that wants a broken packet builds a good one and breaks it.
 * Units:    ports and counts in host order, addresses in network order (base/addr.h).
 * Errors:   a spec that fits no packet, or lack of memory, aborts the test.
 * Memory:   packet_clean frees.
 */
#ifndef WEIR_TESTS_PACKET_BUILDER_H
#define WEIR_TESTS_PACKET_BUILDER_H

#include <weir/base/addr.h>
#include <weir/packet/arp.h>
#include <weir/packet/meta.h>
#include <weir/packet/parse.h>

#include <stdbool.h>
#include <stdint.h>

#define PACKET_VLANS_MAX 4

/* a.b.c.d in network order. */
#define V4(a, b, c, d)                                                                             \
	(htonl((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d)))

/* Defaults: a LAN host speaks to a server through the gateway. */
#define PACKET_SRC_BE   V4(192, 168, 50, 10)
#define PACKET_DST_BE   V4(198, 51, 100, 7)
#define PACKET_SRC_PORT 40000
#define PACKET_DST_PORT 443

struct packet {
	uint8_t *bytes;
	uint32_t len_bytes;
	uint32_t l3_off; /* of the IPv4 header */
	uint32_t l4_off; /* of what follows it */
};

struct packet_spec {
	enum link_framing framing;
	struct mac_addr dst_mac; /* unset: 02:00:00:00:00:01 */
	struct mac_addr src_mac; /* unset: 02:00:00:00:00:02 */
	uint32_t n_vlans;
	uint16_t vlans[PACKET_VLANS_MAX]; /* outermost first */
	bool is_service_tag;              /* the outermost tag is 802.1ad's */
	uint16_t ethertype;               /* 0: IPv4 */

	uint32_t src_be;   /* 0: PACKET_SRC_BE; see is_unset_src */
	uint32_t dst_be;   /* 0: PACKET_DST_BE */
	bool is_unset_src; /* the source is 0.0.0.0 */
	uint8_t ttl;       /* 0: 64 */
	uint8_t tos;
	uint16_t id;
	bool df;
	bool mf;
	uint16_t fragment_offset; /* in octets; above 0: no L4 header is built, all is payload */
	const uint8_t *ip_options;
	uint8_t ip_options_bytes; /* padded with zeros to whole words */

	uint8_t proto;     /* 0: UDP */
	uint16_t src_port; /* 0: PACKET_SRC_PORT */
	uint16_t dst_port; /* 0: PACKET_DST_PORT */
	bool no_udp_checksum;

	uint8_t tcp_flags; /* 0: ACK */
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	const uint8_t *tcp_options;
	uint8_t tcp_options_bytes; /* padded with zeros to whole words */

	uint8_t icmp_type;
	uint8_t icmp_code;
	uint16_t icmp_id; /* second half of the rest of an error's header: the MTU is icmp_seq */
	uint16_t icmp_seq;
	const struct packet
		*quoted; /* an ICMP error's payload: this packet from its IP header on, … */
	uint32_t quoted_octets; /* … so many octets of it; 0: all */

	const uint8_t *payload; /* NULL: octets that count up */
	uint32_t payload_bytes;
	uint32_t padding_bytes; /* behind the IP packet, in the frame */
};

/* Builds the frame. */
struct packet packet_build(const struct packet_spec *spec);

/* A frame of given bytes, copied; l3_off and l4_off are found where it is plain Ethernet or raw
 * IPv4. */
struct packet packet_of_bytes(const uint8_t *bytes, uint32_t len_bytes, enum link_framing framing);

/* The whole Ethernet frame of an ARP message. */
struct packet packet_of_arp(const struct mac_addr *dst, const struct arp_message *message);

/* A copy of the packet's first len_bytes. */
struct packet packet_cut(const struct packet *p, uint32_t len_bytes);

/* Frees the bytes; a packet of zeros is fine. */
void packet_clean(struct packet *p);

/* The packet's IPv4 header, its L4 header, and its total length as the header states it. */
uint8_t *packet_ip(const struct packet *p);
uint8_t *packet_l4(const struct packet *p);
uint16_t packet_ip_octets(const struct packet *p);

/* Makes the IPv4 header's checksum right again, and the L4 checksum too. */
void packet_fix_ip_checksum(struct packet *p);
void packet_fix_l4_checksum(struct packet *p);

/* True when IPv4 and (unless it is a fragment or a UDP checksum of 0) L4 checksum are right, by a
 * plain computation over 16-bit words that shares no code with packet/checksum.c. */
bool packet_is_checksum_good(const struct packet *p);

/* The checksum of a block, computed as RFC 1071 describes it, in host order. */
uint16_t packet_plain_checksum(const uint8_t *block, uint32_t len_bytes, uint32_t start);

#endif
