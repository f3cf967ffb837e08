/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ends what a sender's offloads left to hardware that is not there: unfinished checksums, and super-frames.
 *
 * Source:   virtio 1.2 section 5.1.6 (struct virtio_net_hdr, as PACKET_VNET_HDR delivers it); RFC 9293 and RFC 3168
 *           section 6.1.2 for which flags which segment keeps; RFC 768 for a UDP sum of zero.
 * Shapes:   a frame is one contiguous block from its link-layer header (Ethernet, with or without VLAN tags) or its IP header
 *           on. IPv4 and IPv6 without extension headers. Every segment carries the headers of the super-frame.
 * Errors:   -EINVAL for a frame that does not hold what its offload header promises.
 * Threads:  one owner a cutter.
 * Memory:   none of its own; a cutter borrows the frame until its last segment is written.
 */
#ifndef WEIR_PORT_SEGMENT_H
#define WEIR_PORT_SEGMENT_H

#include <weir/packet/parse.h>

#include <stdbool.h>
#include <stdint.h>

struct virtio_net_hdr;

struct segment_cutter {
	const uint8_t *frame;
	uint32_t len_bytes;
	uint32_t l3_off;
	uint32_t l4_off;
	uint32_t payload_off;
	uint32_t next_off;   /* payload not yet cut starts here; len_bytes when all is cut */
	uint32_t size_bytes; /* payload of every segment but the last */
	uint16_t n_cut;
	uint8_t proto;
	bool is_v6;
};

/* Writes the checksum that `offload` says is missing. */
int segment_finish_checksum(
	uint8_t *frame, uint32_t len_bytes, const struct virtio_net_hdr *offload);

/* Starts on a super-frame. */
int segment_begin(struct segment_cutter *c, const uint8_t *frame, uint32_t len_bytes,
	enum link_framing framing, const struct virtio_net_hdr *offload);

/* Length of the next segment; 0 when there is none left, as in a cutter of zeros. */
uint32_t segment_next_bytes(const struct segment_cutter *c);

/* How many segments are left. */
uint32_t segment_left(const struct segment_cutter *c);

/* Writes the next segment, segment_next_bytes() long, to `to`. */
void segment_next(struct segment_cutter *c, uint8_t *to);

/* Leaves out the next segment. */
void segment_skip(struct segment_cutter *c);

#endif
