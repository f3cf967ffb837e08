/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds in a burst the runs of TCP segments that can leave as one super-frame, which the kernel or the hardware cuts again.
 *
 * Source:   RFC 9293; virtio 1.2 section 5.1.6 (struct virtio_net_hdr); the conditions are those of Linux's own receive offload
 *           (tcp_gro_receive, inet_gro_receive), and those under which tcp_gso_segment gives back what was there before.
 * Shapes:   a run is two frames or more of one flow in the order of the burst, which follow each other in sequence number and, in
 *           IPv4, identification; their headers are the same but for what cutting reckons anew: lengths, identification,
 *           sequence number, checksums, and PSH, which the last alone may have. All but the last carry as many octets, the last as many or
 *           fewer. Their checksums are right: what cutting writes would otherwise hide that they were not. So the
 *           frames that the cut gives are the single ones, octet for octet. Not in a run: FIN, SYN, RST, URG, CWR, fragments,
 *           options of IPv4, extension headers of IPv6, segments without data.
 *           A flow's frames keep their order; those of others may be overtaken.
 * Threads:  one owner.
 * Memory:   of the owner's struct; frames are borrowed.
 */
#ifndef WEIR_PORT_GATHER_H
#define WEIR_PORT_GATHER_H

#include <weir/packet/parse.h>

#include <stdbool.h>
#include <stdint.h>

struct virtio_net_hdr;

#define GATHER_FRAMES_MAX 64
#define GATHER_OPEN_MAX   8              /* runs that may still grow, one of each flow */
#define GATHER_HEAD_MAX   (18 + 40 + 60) /* Ethernet with a tag, IPv6, TCP with all its options */

struct gather_frame {
	const uint8_t *bytes;
	uint16_t len_bytes;
	bool is_sum_good; /* TCP's, and known already: it need not be reckoned */
};

struct gather_limits {
	enum link_framing framing;
	uint32_t frame_bytes; /* a longer frame is left alone: it is to be refused by itself */
	uint32_t run_bytes;   /* of a super-frame with all its headers, at most 65535 */
	uint32_t run_frames;
	bool takes[2]; /* IPv4, IPv6 */
};

/* Where a frame's parts lie, and what of it changes from frame to frame. */
struct gather_head {
	uint16_t l3_off;
	uint16_t l4_off;
	uint16_t payload_off;
	uint16_t payload_bytes;
	uint32_t seq;
	uint16_t identification;
	uint8_t flags;
	bool is_v6;
};

struct gather_run {
	struct gather_head head; /* of the first; nothing for what is no TCP */
	uint32_t len_bytes;      /* of the super-frame */
	uint16_t n_frames;       /* 1: to be sent as it is */
	uint8_t first;           /* its frames, by number, are chained in gather.next */
	uint8_t last;
	bool is_open;
	bool is_proven; /* the first one's checksums are right */
	uint8_t last_flags;
};

struct gather {
	struct gather_run runs[GATHER_FRAMES_MAX]; /* in the order in which they are to leave */
	uint16_t n_runs;
	uint8_t next[GATHER_FRAMES_MAX];
	uint8_t open[GATHER_OPEN_MAX];
	uint8_t n_open;
	uint8_t next_open; /* to be given up when there is no room for another */
};

/* Sorts n frames, at most GATHER_FRAMES_MAX, into runs. */
void gather_burst(struct gather *g, const struct gather_limits *limits,
	const struct gather_frame *frames, uint16_t n);

/* Writes the headers of a run of several; returns how long they are. The payloads of its frames, each of which begins at
 * head.payload_off, follow them. */
uint16_t gather_write_head(const struct gather_run *run, const struct gather_frame *frames,
	uint8_t to[GATHER_HEAD_MAX], struct virtio_net_hdr *ret_offload);

#endif
