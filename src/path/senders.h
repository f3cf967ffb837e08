/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Senders: threads that share the worker's sending. The worker lends frames out by flow, each sender hands them to its own lane
 * of their port, and the worker takes what became of them into the books.
 *
 * Shapes:   a flow has a slot by its id, and a slot a home: the worker or one sender. A slot is given another home, or
 *           served by the worker for once, only when all that was lent of it is in the books: so packets of a flow keep
 *           their order. Frames that could not be sent come back and are dropped by the worker, under the reason a
 *           port's refusal has there.
 * Threads:  the worker, or who owns the path in its place, calls everything here but sender_run. What is lent goes to a
 *           sender by a ring and n_lent, what became of it comes back by n_sent, n_refused and another ring.
 * Memory:   at senders_create; lending and sending allocate nothing.
 */
#ifndef WEIR_PATH_SENDERS_H
#define WEIR_PATH_SENDERS_H

#include "stage.h"

#include <stdatomic.h>

struct rte_ring;

/* Where the flows of a slot are sent. */
struct sender_slot {
	uint64_t last; /* the place among what was ever lent to `home` of its last frame */
	/* When a packet was lent last that was counted in an earlier step, or is no proof of its flow's life. */
	uint32_t late_ms;
	uint8_t home; /* 0: the worker, else a sender's lane */
};

struct sender_edge {
	_Atomic uint64_t packets;
	_Atomic uint64_t octets;
};

struct sender {
	/* The worker's. */
	struct rte_ring *lent;
	struct rte_ring *refused;
	uint64_t n_out;     /* ever lent */
	uint64_t n_in_sent; /* of these, in the books as sent */
	uint64_t n_in_back; /* and come back */
	uint64_t n_handovers;
	uint64_t n_wakes;
	uint64_t mark;  /* of n_out, for senders.clear_ms */
	bool is_behind; /* has too much to send: nothing more is received until it has caught up */
	struct edge edges[PORTS_MAX]; /* what of `sent` is in the books */

	/* What both know: who writes is told. */
	_Alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t n_lent; /* worker */
	_Alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t n_sent; /* sender, as all that follows */
	_Atomic uint64_t n_refused;
	_Atomic bool serves;
	_Atomic bool sleeps;   /* the worker takes it back when it wakes the sender */
	_Atomic bool stopping; /* control */
	_Atomic uint64_t n_sleeps;
	_Atomic uint64_t busy_us;
	struct sender_edge sent[PORTS_MAX];
	int wake_fd;
};

/* What the worker needs to know of each sender while it shares out one burst; by lane. */
struct sharing {
	uint64_t done[SENDERS_MAX + 1];    /* places up to this one are through */
	uint32_t backlog[SENDERS_MAX + 1]; /* not through yet, those of this burst included */
	uint32_t n_lanes;
	uint8_t idle;  /* a lane that has nothing to do, 0: none; it is given one slot more */
	bool is_worth; /* a burst long enough to wake senders for */
	uint16_t n_pending[SENDERS_MAX + 1];
	struct rte_mbuf *pending[SENDERS_MAX + 1][BURST_MAX];
};

struct senders {
	uint32_t n;
	uint32_t n_moved; /* slots given another home */
	uint32_t
		returns; /* slots that may still go back to the worker for a sender that was behind */
	uint32_t clear_ms; /* all that was lent before is in the books */
	uint32_t mark_ms;
	bool has_mark;
	struct sender_slot slots[SENDER_SLOTS];
	struct sender *all; /* lane 1 is the first */
	struct sharing sharing;
};

/* For n senders; n = 0: none, and *ret_senders is NULL. Returns 0 or -ENOMEM. */
int senders_create(uint32_t n, struct senders **ret_senders);

/* After their threads have returned. NULL is fine. */
void senders_destroy(struct senders *s);

/*
 * Lends those frames of a burst for one port that senders shall send. The others stay at the front of `pkts`, in order, for the
 * worker to send now; returns how many. `ret_lent`: what the lent ones are at the edge. Frames that a full ring refuses are dropped.
 */
uint16_t senders_lend(struct stage_ctx *ctx, uint8_t port_id, struct rte_mbuf **pkts, uint16_t n,
	struct edge *ret_lent);

/* Takes what has become of lent frames into the books. */
void senders_collect(struct stage_ctx *ctx);

/* The same until nothing is lent any more. */
void senders_settle(struct stage_ctx *ctx);

/* Frames lent and not in the books yet. */
uint64_t senders_n_out(const struct senders *s);

/* True when nothing is to be received until senders have caught up. */
bool senders_are_behind(const struct senders *s);

/* True while a frame of the flow may be lent: it may yet come back. */
bool senders_may_hold(const struct senders *s, const struct flow *f, uint32_t flow_id);

/* A sender's thread: sends until told to stop and nothing is left. */
void sender_run(struct stage_ctx *ctx, uint32_t lane);

/* Control: lets the threads return. Only when the worker has, and all is settled. */
void senders_stop(struct senders *s);

#endif
