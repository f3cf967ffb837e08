/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the path knows about one packet; lives in the mbuf's private area.
 *
 * Shapes:   one cache line. Each field is written by the one stage its comment starts with and
 *           read by every later one. Offsets count from the start of the frame.
 * Units:    ports and counts in host byte order, addresses in network order (base/addr.h).
 */
#ifndef WEIR_PACKET_META_H
#define WEIR_PACKET_META_H

#include <weir/base/addr.h>

#include <assert.h>
#include <stdint.h>

enum pkt_flag {
	PKT_FRAGMENT_FIRST = 1 << 0, /* parse: offset 0, more fragments follow */
	PKT_FRAGMENT_LATER = 1 << 1, /* parse: offset above 0, no L4 header */
	PKT_OPTIONS = 1 << 2,        /* parse: IPv4 header longer than 20 octets */
	PKT_ICMP_ERROR = 1 << 3,     /* parse: an ICMP error that quotes a packet */
	PKT_TCP_SYN = 1 << 4,        /* parse: SYN set, MSS may need clamping */
	PKT_NEW_FLOW = 1 << 5,       /* flow: this packet has just created its flow */
	PKT_HAIRPIN = 1 << 6,        /* nat: turned back to the LAN, never on the uplink */
	PKT_TTL_SPENT = 1 << 7,      /* parse: TTL of 1 or 0: not to be forwarded */
	PKT_PROVES_NOTHING = 1 << 8, /* flow: an RST that must not keep its flow alive */
	PKT_RESERVED = 1 << 9,       /* meter: a reserve has paid for it */
	PKT_LINK_GROUP = 1 << 10, /* parse: its frame was for all stations or for a group of them */
	PKT_QUOTA = 1 << 11,      /* meter: counted on its device's own quota */
};

/* Constant bits of an IP protocol, by number. */
enum {
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17
};

/* TCP header flags (RFC 9293 section 3.1). */
enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20
};

struct pkt_meta {
	struct ip_addr src; /* parse: as received */
	struct ip_addr dst; /* parse: as received */
	uint16_t src_port;  /* parse: TCP, UDP; identifier of an ICMP request; else 0 */
	uint16_t dst_port;  /* parse: TCP, UDP; identifier of an ICMP reply; else 0 */
	uint32_t hash;      /* flow: of the 5-tuple as received */
	uint32_t flow_id;   /* flow: FLOW_NONE until the flow stage has run */
	uint32_t rx_us;     /* parse: arrival on the path clock, low 32 bits */
	uint16_t ip_octets; /* parse: IP header and payload, the number that is billed */
	uint16_t flags;     /* parse, flow, nat: enum pkt_flag */
	uint8_t l3_off;     /* parse: start of the IP header */
	uint8_t l4_off;     /* parse: start of the L4 header; 0 when there is none */
	uint8_t proto;      /* parse: IP protocol */
	uint8_t tcp_flags;  /* parse: the octet with FIN, SYN, RST, PSH, ACK */
	uint8_t in_port;    /* parse: id of the port it came in by */
	uint8_t out_port;   /* flow: id of the port it leaves by */
	uint8_t direction;  /* flow: enum direction within its flow */
	uint8_t icmp_type;  /* parse: of an ICMP message */
	uint16_t device_id; /* flow: of the LAN device; DEVICE_NONE without one */
	uint16_t vlan;      /* parse: outermost VLAN id, 0 without a tag */
};
static_assert(sizeof(struct pkt_meta) == 64, "one cache line");

#endif
