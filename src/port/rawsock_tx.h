/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sending half of a rawsock port: a socket of its own, and all that a burst needs on its way to the kernel.
 *
 * Source:   packet(7), sendmmsg(2); PACKET_VNET_HDR in Documentation/networking of Linux.
 * Shapes:   a port may have several lanes to one interface. They share nothing, so each may have a thread of its own; a flow's
 *           packets keep their order within a lane. Runs of TCP segments leave as one super-frame each (gather.h) where the
 *           kernel takes them. They count as the packets that they were.
 * Errors:   a packet that the kernel refuses for good is counted and freed; one that it has no room for stays the caller's.
 * Threads:  one owner a lane. Opened and closed while nobody sends.
 * Memory:   of the owner's struct; sending allocates nothing.
 */
#ifndef WEIR_PORT_RAWSOCK_TX_H
#define WEIR_PORT_RAWSOCK_TX_H

#include "gather.h"

#include <weir/port/port.h>

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What the interface is, as control has read it. */
struct rawsock_way {
	int index;
	enum link_framing framing;
	uint32_t mtu;
	bool has_queue;     /* a queueing discipline stands before it */
	uint32_t run_bytes; /* the greatest super-frame that it takes, with its headers; 0: none */
	uint32_t run_frames;
};

/* What stands before the payloads of a run. */
struct rawsock_head {
	struct virtio_net_hdr offload;
	uint8_t bytes[GATHER_HEAD_MAX];
};

struct rawsock_lane {
	int fd;                    /* -1: closed */
	bool is_dead;              /* the interface has gone: nothing more can be sent */
	bool has_header;           /* each message begins with a virtio_net_hdr */
	_Atomic bool has_given_up; /* runs were refused and are not tried again; control may look */
	uint8_t n_refused
		[2]; /* runs of IPv4 and IPv6 in a row whose packets went only one by one */
	struct gather_limits limits;
	struct sockaddr_ll ipv4; /* raw IP: some modem drivers drop what has no protocol */
	struct sockaddr_ll ipv6;
	uint16_t n_messages;
	uint16_t n_packets[PORT_BURST_MAX]; /* of a message */
	struct mmsghdr messages[PORT_BURST_MAX];
	struct iovec parts[2 * PORT_BURST_MAX];
	struct rawsock_head heads[PORT_BURST_MAX / 2];
	struct virtio_net_hdr plain; /* of a packet by itself: nothing is left to be done */
	struct gather_frame frames[PORT_BURST_MAX];
	struct gather gather;
};

/* Opens a lane. A negative errno on failure, with the lane closed. */
int rawsock_lane_open(struct rawsock_lane *l, const struct rawsock_way *way);

/* Fine for one that is closed. */
void rawsock_lane_close(struct rawsock_lane *l);

/* Sends, frees and counts (tx_packets, tx_bytes, tx_errors, tx_super_frames) the first ret packets; the rest stay the caller's, for
 * whom the kernel has no room now, or never again if `is_dead`. Sorts `pkts` into the order of sending. Never blocks. */
uint16_t rawsock_lane_send(
	struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts, uint16_t n);

#endif
