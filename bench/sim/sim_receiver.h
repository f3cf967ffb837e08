/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The receiving half of a TCP connection.
 *
 * Source:   RFC 5681 section 4.2 (an ACK each second segment, at once where one is missing), RFC 2018, RFC 7323 section 4.3 (which
 *           time stamp is echoed); Linux answers the first segments of a connection one by one, and waits 40 ms for a second one.
 * Units:    microseconds; sequence numbers in segments.
 */
#ifndef SIM_RECEIVER_H
#define SIM_RECEIVER_H

#include "sim_queue.h"
#include "sim_tcp.h"

struct sim_receiver {
	bool has_timestamps;
	uint32_t next; /* in order */
	struct sim_block blocks[SIM_SACKS + 1];
	uint32_t n_blocks;
	uint8_t came[SIM_WINDOW]; /* beyond `next` */
	uint32_t n_unacked, n_quick, last_ack;
	uint64_t unacked_since_us;
	uint32_t tsrecent;
	uint64_t tsrecent_made_us;
	uint32_t ts_offset;
};

void sim_receiver_init(struct sim_receiver *r, bool has_timestamps, uint32_t ts_offset);

/* Takes a segment in; an ACK goes to `out` when it is time. */
void sim_receiver_take(
	struct sim_receiver *r, const struct sim_packet *p, uint64_t now_us, struct sim_queue *out);

/* A delayed ACK of a flow, whose time has come. */
void sim_receiver_run(struct sim_receiver *r, uint8_t flow, uint64_t now_us, struct sim_queue *out);

#endif
