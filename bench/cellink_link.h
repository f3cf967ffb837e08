/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of the emulated bearer: a packet comes, its fate is known at once.
 *
 * Source:   the queue is first in, first out and its capacity is a function of time, so departure
 *           can be computed on arrival. Deep drop-tail buffers: Jiang et al., "Tackling bufferbloat
 *           in 3G/4G networks", IMC 2012.
 * Shapes:   radio → buffer → capacity → loss on the air → delay and jitter. buffer_octets counts the
 *           packet in transmission too; an empty buffer takes any packet. buffer_ns refuses at the
 *           door what would wait longer: PDCP's discardTimer (3GPP TS 36.323) lets the same packets
 *           through, only later it tells. Lost packets have used capacity, refused ones have not.
 *           A packet never overtakes another, so under load jitter gathers at its upper end, as it
 *           does with in-order delivery of RLC (TS 36.322).
 * Units:    nanoseconds since the start of the run; octets of IP; loss in parts a million.
 * Errors:   verdicts; LINK_DROP_MEMORY when the queue's ring cannot grow.
 * Threads:  one owner for both links and the radio they share.
 * Memory:   a ring of 16 bytes a waiting packet, which grows by doubling.
 */
#ifndef CELLINK_LINK_H
#define CELLINK_LINK_H

#include "cellink_capacity.h"
#include "cellink_histogram.h"
#include "cellink_radio.h"

enum link_verdict {
	LINK_CARRIED,     /* comes out at due_ns */
	LINK_DROP_MTU,    /* larger than the bearer's MTU */
	LINK_DROP_BUFFER, /* no room in the buffer */
	LINK_DROP_AGE,    /* would have waited longer than the buffer holds packets */
	LINK_DROP_AQM,    /* given up by the managed queue in front (cellink_aqm.h) */
	LINK_DROP_ENDED,  /* the trace is over, or carries nothing for a day */
	LINK_DROP_AIR,    /* random loss, after it was sent */
	LINK_DROP_MEMORY, /* the emulator itself ran out of memory */
	LINK_DROP_WRITE,  /* the kernel refused the packet at the far end */
	N_LINK_VERDICTS
};

struct link_config {
	enum direction direction;
	uint32_t mtu;
	uint32_t loss_ppm;
	uint64_t buffer_octets; /* 0 = no such limit */
	uint64_t buffer_ns;     /* 0 = no such limit */
	uint64_t delay_ns;
	uint64_t jitter_ns; /* uniform over [0, jitter_ns], on top of the delay */
};

struct link_count {
	uint64_t packets;
	uint64_t octets;
};

struct link_stats {
	struct link_count offered;
	struct link_count
		fate[N_LINK_VERDICTS]; /* LINK_CARRIED: delivered, counted by the caller */
	struct histogram queue;        /* arrival to last octet sent, of what was sent */
	uint64_t first_ns;             /* first packet offered; TIME_NEVER before */
	uint64_t last_ns;              /* last packet delivered */
	uint64_t max_backlog_octets;
};

struct link_waiting {
	uint64_t depart_ns;
	uint32_t octets;
};

struct link {
	struct link_config config;
	const struct capacity *capacity; /* borrowed */
	const struct outages *outages;   /* borrowed, shared by both directions */
	struct radio *radio;             /* borrowed, shared by both directions */
	struct capacity_cursor at;
	struct rng rng;
	uint64_t last_due_ns;
	uint64_t backlog_octets;
	struct link_waiting *ring; /* what has not left yet, oldest first */
	uint32_t ring_mask, ring_head, ring_n;
	struct link_stats stats;
};

/* Returns 0 or -ENOMEM. What is borrowed must outlive the link. */
int link_init(struct link *l, const struct link_config *config, const struct capacity *capacity,
	const struct outages *outages, struct radio *radio, uint64_t seed);

void link_clean(struct link *l);

/*
 * Decides over a packet that arrives now; *ret_due_ns is written when it is carried. Calls come in
 * order of time, over both directions.
 */
enum link_verdict link_offer(
	struct link *l, uint64_t now_ns, uint32_t octets, uint64_t *ret_due_ns);

/*
 * The same in two steps, for a queue that stands before the bearer. May a packet that arrives now wait behind `backlog_octets`?
 * Counts it as offered; a refusal is for the caller to count.
 */
enum link_verdict link_admit(
	struct link *l, uint64_t now_ns, uint32_t octets, uint64_t backlog_octets);

/* Its last octet leaves at depart_ns: lost on the air, which is counted, or out at *ret_due_ns. */
enum link_verdict link_sent(struct link *l, uint64_t arrival_ns, uint64_t depart_ns,
	uint32_t octets, uint64_t *ret_due_ns);

/* Counts a carried packet's end: LINK_CARRIED when it was handed over, else why it was not. */
void link_count_end(struct link *l, uint64_t now_ns, uint32_t octets, enum link_verdict end);

/* Octets in the buffer now, the packet in transmission included. */
uint64_t link_backlog_octets(struct link *l, uint64_t now_ns);

/* "buffer", "air", …: how reports call a verdict. */
const char *link_verdict_name(enum link_verdict verdict);

#endif
