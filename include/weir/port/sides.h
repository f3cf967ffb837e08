/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which side of the gateway a captured packet enters by, and under which addresses.
 *
 * A capture taken at a client or on a wire holds both directions and knows nothing of this gateway. What comes from a LAN enters
 * there as the host sent it. What comes from outside was addressed to the host, but on this gateway's uplink it must be
 * addressed to the endpoint that the host was translated to, inside the packets that ICMP errors quote as well.
 *
 * Shapes:   A packet comes from the LAN that its source belongs to. Where neither end belongs to a LAN and exactly one of them
 *           is private (RFC 1918, 6598, 3927; IPv6: 4193, link-local), that one is the LAN's host. Else whoever speaks
 *           first between the two addresses is, and stays so; a first packet that is itself an answer (a SYN-ACK, an echo
 *           reply, from a system port to another) was sent by the other one. An ICMP error belongs to the conversation that
 *           it quotes. A LAN host whose address is of no LAN gets a substitute for the whole run: the highest address of the
 *           first LAN that nobody has, and so does a host that finds its own address given away.
 *           Frames for a LAN are Ethernet, with the captured MACs or such as 02:00:a:b:c:d made from the address; frames for an
 *           uplink have the framing of that port. Packets cut off by the capture are filled up with zeros.
 *           Checksums, and IP lengths of zero, left unfinished by the capturing machine's offloads are finished; changes keep all others true.
 * Units:    ports in host byte order.
 * Errors:   enum sides_verdict says why a packet cannot enter.
 * Threads:  one owner; the same packets and seed give the same bytes.
 * Memory:   grows with the addresses and conversations seen.
 */
#ifndef WEIR_PORT_SIDES_H
#define WEIR_PORT_SIDES_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/packet/parse.h>
#include <weir/port/capture.h>

#include <stdbool.h>
#include <stdint.h>

enum sides_role {
	SIDES_UNUSED,
	SIDES_LAN,
	SIDES_UPLINK
};

struct sides_port {
	enum sides_role role;
	enum link_framing framing;
	struct ip_prefix address; /* LAN: the gateway's and its prefix; uplink: the external one */
	struct mac_addr mac;
	uint16_t vlan; /* 0: untagged */
};

/* Who talks to whom, as the LAN sees it. Ports of ICMP queries are as in pkt_meta. */
struct sides_conversation {
	struct ip_addr internal;
	struct ip_addr remote;
	uint16_t internal_port;
	uint16_t remote_port;
	uint8_t proto;
};

/* The external endpoint of a conversation's internal one. False when it has none. */
typedef bool (*sides_external_find)(void *context, const struct sides_conversation *conversation,
	struct ip_addr *ret_external, uint16_t *ret_external_port);

struct sides_params {
	uint64_t seed;
	struct sides_port ports[PORTS_MAX]; /* index: port id */
	sides_external_find external_find;
	void *context; /* of external_find */
};

enum sides_verdict {
	SIDES_ENTERS,
	SIDES_FROM_GATEWAY,  /* sent by a LAN port's own address: this gateway speaks for itself */
	SIDES_NO_SUBSTITUTE, /* every address of the LANs is given away */
	SIDES_TOO_LONG,      /* longer than the room for it */
	SIDES_NO_MEMORY,
	N_SIDES_VERDICTS
};

/* Where a packet enters; made by sides_route, used once by sides_copy and once by sides_address. */
struct sides_route {
	uint8_t port;
	bool is_downlink;
	bool is_ipv4;       /* its addresses may be changed */
	struct ip_addr src; /* to enter with; downlink: as captured */
	struct ip_addr
		dst; /* to enter with; downlink: the LAN host, to be mapped; unset: nobody's */
};

struct sides_host {
	struct ip_addr captured;
	struct ip_addr entered; /* differs from captured where substituted */
	uint8_t port;
};

struct sides;

/* Needs at least one LAN and one uplink with IPv4 addresses: else -EINVAL. Or -ENOMEM. */
int sides_create(const struct sides_params *params, struct sides **ret_sides);

/* NULL is fine. */
void sides_destroy(struct sides *s);

/* Decides where a packet enters. */
enum sides_verdict sides_route(
	struct sides *s, const struct capture_packet *packet, struct sides_route *ret_route);

/* Writes the frame that enters into `frame` (`room_bytes` long), with the addresses that were captured: what packets before it
 * do to the path makes no difference to that. */
enum sides_verdict sides_copy(struct sides *s, const struct capture_packet *packet,
	const struct sides_route *route, uint8_t *frame, uint32_t room_bytes,
	uint32_t *ret_len_bytes);

/* Gives a frame of sides_copy the addresses it enters with. A downlink packet's external endpoint is looked up now, so the
 * path must have seen all packets before it. */
void sides_address(
	struct sides *s, const struct sides_route *route, uint8_t *frame, uint32_t len_bytes);

/* The conversation of a routed packet. False when it is not an unfragmented IPv4 packet of TCP or UDP. */
bool sides_conversation_of(const struct capture_packet *packet, const struct sides_route *route,
	struct sides_conversation *ret_conversation);

/* LAN hosts in order of their first packet. */
uint32_t sides_n_hosts(const struct sides *s);
const struct sides_host *sides_host_at(const struct sides *s, uint32_t i);

/* Packets filled up because the capture had cut them off; checksums, and lengths, that were finished. */
uint64_t sides_n_padded(const struct sides *s);
uint64_t sides_n_lengths_finished(const struct sides *s);
uint64_t sides_n_checksums_finished(const struct sides *s);

/* One sentence for people; never NULL. */
const char *sides_verdict_help(enum sides_verdict v);

#endif
