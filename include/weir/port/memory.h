/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames from memory, for the benchmark and tests: hands out copies of given frames in a given order, or what a function makes;
 * swallows what is sent.
 *
 * Shapes:   frames lie back to back in one block; the order is an array of frame numbers that is walked round and round.
 *           tx frees; frames sent may be kept in a ring for inspection by tests.
 * Threads:  worker, and a sender a lane.
 */
#ifndef WEIR_PORT_MEMORY_H
#define WEIR_PORT_MEMORY_H

#include <weir/port/port.h>

struct memory_port_params {
	const char *name;
	enum link_framing framing;
	struct mac_addr mac;
	uint32_t mtu;
	struct rte_mempool *pool;
	/* sent frames to keep for memory_port_take_sent, 0 for none; then tx refuses when full */
	uint32_t n_kept;
	uint32_t n_senders; /* that have a lane; what they send is not kept */
};

int memory_port_open(const struct memory_port_params *params, struct port **ret_port);

/* Frames to be received from now on: `frames[i]` of `lens[i]` bytes, borrowed until the next call; each burst takes the next ones
 * in `order` (n_order numbers), `n_rounds` times round (0: for ever). */
void memory_port_feed(struct port *p, const uint8_t *const *frames, const uint16_t *lens,
	const uint32_t *order, uint32_t n_order, uint64_t n_rounds);

/* Makes frames in up to `n` empty buffers, with data_len and pkt_len; returns of how many. */
typedef uint16_t memory_fill_fn(void *arg, struct rte_mbuf **pkts, uint16_t n);

/* Frames to be received from now on are made by `fill`, of which `arg` is borrowed. */
void memory_port_fill(struct port *p, memory_fill_fn *fill, void *arg);

/* The oldest kept frame that was sent, as an mbuf that is the caller's; NULL when there is none. */
struct rte_mbuf *memory_port_take_sent(struct port *p);

#endif
