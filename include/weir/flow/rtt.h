/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round-trip times of flows beyond the uplink, from packets that pass anyway.
 *
 * Source:   RFC 7323 section 4 (timestamps and who echoes what), RFC 6298 section 3 (Karn: nothing of what was sent twice),
 *           RFC 9000 section 17.4 (spin bit: the client turns it when the server has reflected it).
 * Shapes:   a probe watches one flow: questions are kept when they leave, in order; an answer settles all that are older.
 *           With timestamps a question is a TSval and its answer the echo; else a sequence number and what acknowledges it.
 *           The remote's clock becomes microseconds once the length of its tick (1, 4 or 10 ms) is known from its pace.
 * Units:    microseconds of the path's clock; ticks of the remote's clock.
 * Errors:   when all places hold open questions, later ones are not kept.
 * Threads:  one owner.
 * Memory:   the struct alone, some 1.1 KB.
 */
#ifndef WEIR_FLOW_RTT_H
#define WEIR_FLOW_RTT_H

#include <stdbool.h>
#include <stdint.h>

#define RTT_QUESTIONS 32

struct rtt_question {
	uint64_t sent_us;
	uint32_t key;
};

struct rtt_open {
	struct rtt_question questions[RTT_QUESTIONS]; /* a ring, oldest first */
	uint32_t first, n;
	uint32_t last_key; /* of the last one sent, kept or not */
	bool has_last;
};

struct rtt_probe {
	struct rtt_open timestamps;
	struct rtt_open sequence;
	uint64_t spin_us; /* when the edge left that is not reflected yet; 0: there is none */
	bool has_spin, spin;
	/* The remote's clock, and its pace */
	uint64_t remote_at_us;      /* first seen; 0: not yet */
	uint64_t remote_answers_us; /* when the question left that was answered then; 0: none */
	uint32_t remote_first, remote_last;
	uint32_t tick_us; /* 0: not known */
	bool owes_reading; /* the pace has become known, and rtt_first_reading() was not asked since */
};

void rtt_probe_init(struct rtt_probe *p);

/* A segment without data leaves, with a timestamp. (Data is asked about by its sequence: an acknowledgement echoes the
 * timestamp of the first segment that it covers, and so tells how long the remote waited for a second one, too.) */
void rtt_sent_timestamp(struct rtt_probe *p, uint32_t tsval, uint64_t now_us);

/* A segment with data leaves, whose last octet is `seq_end` - 1. */
void rtt_sent_sequence(struct rtt_probe *p, uint32_t seq_end, uint64_t now_us);

/* A duplicate acknowledgement that does not say which segments have come: those behind a gap will not be answered in time. */
void rtt_lost_sequence(struct rtt_probe *p);

/* When the question left that this echo answers first; 0 when it answers none that was kept. */
uint64_t rtt_echo_timestamp(struct rtt_probe *p, uint32_t tsecr);

/* The same for an acknowledgement: of the newest that it covers. */
uint64_t rtt_echo_sequence(struct rtt_probe *p, uint32_t ack);

/* A remote's clock, as a packet told it. */
struct rtt_reading {
	uint64_t now_us;  /* when the packet came */
	uint64_t sent_us; /* when the question left that it answers; 0: none */
	uint32_t remote_us;
};

/* Takes the remote's clock from a packet that has come. True when r->remote_us tells its time in microseconds. */
bool rtt_remote_clock(struct rtt_probe *p, uint32_t tsval, struct rtt_reading *r);

/* The first reading of all, which can be told only when the pace has become known. True then, once: it met no queue that its own
 * flow had made. */
bool rtt_first_reading(struct rtt_probe *p, struct rtt_reading *ret_reading);

/* When the oldest open question about data left, of those that left after `after_us`; 0 when there is none. (What has no data
 * need not be answered at all.) */
uint64_t rtt_waiting_us(const struct rtt_probe *p, uint64_t after_us);

/* A datagram with a spin bit leaves (RFC 9000 section 17.4). False when it spins as no spin bit does: it is random. */
bool rtt_sent_spin(struct rtt_probe *p, bool spin, uint64_t now_us);

/* A datagram with a spin bit has come: when the edge left that it reflects; 0 when it reflects none. */
uint64_t rtt_echo_spin(struct rtt_probe *p, bool spin);

#endif
