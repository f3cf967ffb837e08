/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sending half of a rawsock port: a socket of its own, and all that a burst needs on its way to the kernel.
 *
 * Source:   packet(7), sendmmsg(2).
 * Shapes:   a port may have several lanes to one interface. They share nothing, so each may have a thread of its own; packets
 *           keep their order within a lane.
 * Errors:   a packet that the kernel refuses for good is counted and freed; one that it has no room for stays the caller's.
 * Threads:  one owner a lane. Opened and closed while nobody sends.
 * Memory:   of the owner's struct; sending allocates nothing.
 */
#ifndef WEIR_PORT_RAWSOCK_TX_H
#define WEIR_PORT_RAWSOCK_TX_H

#include <weir/port/port.h>

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct rawsock_lane {
	int fd; /* -1: closed */
	enum link_framing framing;
	bool is_dead;            /* the interface has gone: nothing more can be sent */
	struct sockaddr_ll ipv4; /* raw IP: some modem drivers drop what has no protocol */
	struct sockaddr_ll ipv6;
	struct mmsghdr messages[PORT_BURST_MAX];
	struct iovec parts[PORT_BURST_MAX];
};

/* Opens a lane to the interface of this index. A negative errno on failure, with the lane closed. */
int rawsock_lane_open(struct rawsock_lane *l, int interface_index, enum link_framing framing);

/* Fine for one that is closed. */
void rawsock_lane_close(struct rawsock_lane *l);

/* Sends, frees and counts (tx_packets, tx_bytes, tx_errors) the first ret packets; the rest stay the caller's, for whom the
 * kernel has no room now, or never again if `is_dead`. Never blocks. */
uint16_t rawsock_lane_send(
	struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts, uint16_t n);

#endif
