/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an AF_PACKET socket receives, frame by frame, without a system call for each.
 *
 * Source:   packet(7); Documentation/networking/packet_mmap.rst (TPACKET_V2).
 * Shapes:   slots of one size, walked round. A view is one frame with the VLAN tag that the kernel took out put back.
 * Errors:   negative errno.
 * Threads:  open and close from control; the rest from the worker.
 * Memory:   the ring, and one buffer for a frame of any size; at open.
 */
#ifndef WEIR_PORT_PACKET_RING_H
#define WEIR_PORT_PACKET_RING_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 65535 octets of IP, an Ethernet header, two VLAN tags; a view is never larger. */
#define PACKET_FRAME_MAX (65535u + 14 + 8)

struct packet_ring {
	int fd; /* -1 when closed */
	uint8_t *slots;
	size_t len_bytes;
	uint32_t slot_bytes;
	uint32_t n_slots;
	uint32_t head;
	bool is_losing; /* a frame seen said that others before it found no room */
	uint8_t *large; /* the frame that did not fit its slot */
};

struct packet_view {
	/* Within the ring, or `large`; may be written to until the slot is given back. */
	uint8_t *frame;
	uint32_t len_bytes;
	struct virtio_net_hdr offload; /* offsets count from `frame` */
	bool is_whole;                 /* else the rest is lost */
	bool is_kept;                  /* in `large`: stays until the next frame is asked for */
};

/* A closed one. */
#define PACKET_RING_CLOSED ((struct packet_ring){.fd = -1})

/* Starts to receive from an interface; slots take frames of `mtu`. Less memory than `ring_bytes` is taken where the kernel
 * has not got so much in one go. */
int packet_ring_open(struct packet_ring *r, int interface_index, uint32_t mtu, bool is_ethernet,
	uint32_t ring_bytes);

/* Fine on a closed one. */
void packet_ring_close(struct packet_ring *r);

/* The oldest frame that waits; false when none does. Each is followed by packet_ring_give() before the next. */
bool packet_ring_next(struct packet_ring *r, struct packet_view *ret_view);

/* Gives the slot of the last view back to the kernel. */
void packet_ring_give(struct packet_ring *r);

/* How many frames found no room since it was last asked. To be asked once a burst: a full ring says of each of its frames
 * that others were lost, and the number costs a system call. */
uint64_t packet_ring_take_drops(struct packet_ring *r);

/* The pending error of the socket, taken away from it: 0 or a positive errno. */
int packet_ring_error(const struct packet_ring *r);

#endif
