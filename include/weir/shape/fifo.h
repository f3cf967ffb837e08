/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fixed-rate shaper: one FIFO and one token bucket.
 *
 * Source:   token bucket as in RFC 2697's committed bucket, in exact integers: a microsecond earns rate_bps
 *           millionths of a bit.
 * Shapes:   packets are opaque pointers with their length. Rate 0: nothing is held. A packet longer than the burst goes
 *           when the bucket is full, and leaves a debt.
 * Units:    rate in bits a second, burst and limit in octets (IP and link overhead as the caller counts them).
 * Errors:   fifo_put is false when the queue is full: the newest packet is dropped.
 * Threads:  one owner.
 * Memory:   fixed at create: 16 bytes a place.
 */
#ifndef WEIR_SHAPE_FIFO_H
#define WEIR_SHAPE_FIFO_H

#include <stdbool.h>
#include <stdint.h>

struct fifo_params {
	uint64_t rate_bps;     /* 0: unshaped */
	uint32_t burst_octets; /* what may go at once after a pause; at least one MTU */
	uint32_t limit_octets; /* queue's bound */
};

struct fifo;

/* `n_places` packets at most; the bucket begins full. Returns 0, -EINVAL (no place, a rate without burst or limit, or above
 * 1 Pbit/s) or -ENOMEM. */
int fifo_create(const struct fifo_params *params, uint32_t n_places, struct fifo **ret_fifo);

/* The queue must be empty (fifo_take_any). */
void fifo_destroy(struct fifo *q);

/* Changes rate and bounds live; queued packets stay. With a rate, burst and limit are not 0. */
void fifo_set_params(struct fifo *q, const struct fifo_params *params, uint64_t now_us);

/* True when a packet of `octets` may go now without being queued (nothing is queued before it); takes the credit. */
bool fifo_pass(struct fifo *q, uint32_t octets, uint64_t now_us);

/* Queues a packet. False when there is no room. */
bool fifo_put(struct fifo *q, void *packet, uint32_t octets, uint64_t now_us);

/* The oldest packet, if the credit allows one now, else NULL. */
void *fifo_take(struct fifo *q, uint64_t now_us);

/* The oldest packet whatever the credit; NULL when empty. For stopping. */
void *fifo_take_any(struct fifo *q);

/* When the next packet may go; UINT64_MAX when empty. */
uint64_t fifo_next_us(const struct fifo *q);

/* The packet that waits in front, which stays there; NULL when none waits. */
void *fifo_oldest(const struct fifo *q);

uint32_t fifo_n_packets(const struct fifo *q);
uint32_t fifo_n_octets(const struct fifo *q);

#endif
