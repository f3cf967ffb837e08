/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port of a replay: takes frames that are put into it, writes what is sent into a capture, on a virtual clock.
 *
 * Shapes:   received frames are given as mbufs, at most REPLAY_PENDING_MAX between two receive bursts. Frames sent are
 *           written whole; a port with Ethernet framing can share a raw-IP capture with others: then its link-layer header is left
 *           out, and so are frames that are not IPv4.
 * Units:    octets are IP header and payload, read from the frames as they stand in the capture.
 * Threads:  one.
 * Memory:   fixed at open. Clock and writer are borrowed.
 */
#ifndef WEIR_PORT_REPLAY_H
#define WEIR_PORT_REPLAY_H

#include <weir/port/capture_writer.h>
#include <weir/port/port.h>

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_PENDING_MAX PORT_BURST_MAX

struct replay_port_params {
	const char *name;
	enum link_framing framing;
	struct mac_addr mac;
	uint32_t mtu;
	struct capture_writer *writer; /* NULL: what is sent is counted alone */
	bool raw_capture;              /* Ethernet framing, raw-IP capture */
	const uint64_t *now_us;        /* the virtual clock */
};

struct replay_sums {
	uint64_t ip_packets; /* IPv4 packets sent */
	uint64_t ip_octets;
	uint64_t other_frames; /* ARP and the like */
};

/* Opens the port; it is PORT_UP. Returns 0 or -ENOMEM. */
int replay_port_open(const struct replay_port_params *params, struct port **ret_port);

/* Gives a frame to be received next. False when REPLAY_PENDING_MAX wait; the mbuf is then still the caller's. */
bool replay_port_put(struct port *p, struct rte_mbuf *frame);

/* Frames that wait to be received. */
uint16_t replay_port_n_pending(const struct port *p);

/*
 * A packet larger than the MTU was never on a wire like that: it enters as what was, as far as the capture tells.
 *
 * TCP's segments tell by their sequence numbers where they belong, so any cut is as good as the sender's. A UDP packet with DF
 * set can only come from a sender's or receiver's offload (GSO, GRO), which has joined datagrams; how long each was is in no
 * capture, so they are made as long as the MTU allows. There may have been more of them, with a header each.
 * Without DF the sender's kernel or card would have made fragments.
 */
enum replay_cut {
	REPLAY_WHOLE, /* not larger; or nothing that could be cut: the path has a reason for it */
	REPLAY_SEGMENTS,  /* TCP */
	REPLAY_DATAGRAMS, /* UDP with DF */
	REPLAY_FRAGMENTS, /* all else without DF, and what is a fragment already */
	N_REPLAY_CUTS
};

/* How a frame for this port is cut to its MTU. */
enum replay_cut replay_port_cut(const struct port *p, const uint8_t *frame, uint32_t len_bytes);

/*
 * Writes piece `index` of a frame to `to` (`room_bytes` long) and returns its length. A whole frame is its own only piece. 0:
 * there is no such piece, or it finds no room.
 */
uint32_t replay_port_segment(const struct port *p, const uint8_t *frame, uint32_t len_bytes,
	uint32_t index, uint8_t *to, uint32_t room_bytes);

/* What was sent so far. */
void replay_port_sums(const struct port *p, struct replay_sums *ret_sums);

#endif
