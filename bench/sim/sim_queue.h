/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets of the simulation, and queues of them, first in, first out.
 *
 * Units:    microseconds of virtual time, octets of IP.
 * Errors:   sim_queue_put aborts the program when memory is out: a simulation has nothing to save.
 * Memory:   a queue doubles when it is full.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_SACKS 3 /* as many as find room beside time stamps */

enum sim_packet_kind {
	SIM_DATA,
	SIM_ACK,
	SIM_DATAGRAM,
	SIM_PROBE
};

/* Segments that came after a gap: [first, end). */
struct sim_block {
	uint32_t first, end;
};

struct sim_packet {
	uint64_t
		made_us; /* left its sender; an ACK's: when the packet left whose time stamp it echoes */
	uint64_t due_us;    /* in a delay line: when it comes out */
	uint64_t queued_us; /* came into the queue it is in */
	uint64_t waited_us; /* in queues so far */
	uint32_t seq;       /* in segments */
	uint32_t ack;
	uint32_t tsval;
	uint32_t tsecr;
	struct sim_block sacks[SIM_SACKS]; /* the one that has changed last first */
	uint16_t octets;
	uint8_t n_sacks;
	uint8_t flow;
	uint8_t kind;
};

struct sim_queue {
	struct sim_packet *ring;
	uint32_t mask, head, n;
	uint64_t octets;
};

void sim_queue_put(struct sim_queue *q, const struct sim_packet *p);

/* The oldest; NULL when empty. It stays. */
struct sim_packet *sim_queue_front(struct sim_queue *q);

/* Takes the oldest of a queue that is not empty. */
struct sim_packet sim_queue_take(struct sim_queue *q);

void sim_queue_clean(struct sim_queue *q);

#endif
