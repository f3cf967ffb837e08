/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one direction of the bearer can carry, as a function of time alone.
 *
 * Source:   delivery opportunities as in mahimahi (Netravali et al., USENIX ATC 2015): each line of
 *           the trace lets 1500 octets through at that millisecond; several packets share one,
 *           a large packet takes several, and what nobody uses is lost.
 * Shapes:   either a list of opportunities or a list of steps (from this time on, so many bits a
 *           second). Both repeat at their end where asked to.
 * Units:    nanoseconds since the start of the run; bits a second; octets of IP.
 * Errors:   -EINVAL with a sentence in `why`, or -ENOMEM, or the errno of the file.
 * Threads:  a capacity never changes once made and may be shared; a cursor has one owner.
 * Memory:   sized when made; serving allocates nothing.
 */
#ifndef CELLINK_CAPACITY_H
#define CELLINK_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S           1000000000ull
#define NS_PER_MS          1000000ull
#define NS_PER_US          1000ull
#define TIME_NEVER         UINT64_MAX
#define OPPORTUNITY_OCTETS 1500
#define OUTAGES_MAX        64
#define WHY_MAX            256

/* [from_ns, to_ns): nothing is carried. */
struct outage {
	uint64_t from_ns;
	uint64_t to_ns;
};

/* Outages in order of time, without overlap; the whole list comes again every period, 0 = once. */
struct outages {
	uint64_t period_ns;
	uint32_t n;
	struct outage list[OUTAGES_MAX];
};

/* From start_ns until the next step, so many bits a second. */
struct rate_step {
	uint64_t start_ns;
	uint64_t rate_bps;
};

struct capacity;

/* Where a direction stands in its capacity: copied to try a packet, assigned to commit it. */
struct capacity_cursor {
	uint64_t next;         /* opportunities: number of the one being filled, over all rounds */
	uint32_t left_octets;  /* opportunities: room left in it */
	uint64_t free_ns;      /* steps: when the last packet is out */
	uint64_t surplus_nbit; /* steps: billionths of a bit the last nanosecond carried too much */
};

/* Opportunities at so many milliseconds, never decreasing; the last one is the period. */
int capacity_from_opportunities(
	const uint32_t *at_ms, size_t n, bool loop, struct capacity **ret_capacity);

/* Steps from 0 on; a period of TIME_NEVER makes the last one last. Not all rates may be 0. */
int capacity_from_steps(const struct rate_step *steps, size_t n, uint64_t period_ns, bool loop,
	struct capacity **ret_capacity);

/* One rate for ever. */
int capacity_fixed(uint64_t rate_bps, struct capacity **ret_capacity);

/*
 * A file: one integer a line makes opportunities, two columns make steps of `second Mbit/s` whose
 * first line is time 0. Empty lines and lines that start with # are skipped.
 */
int capacity_load(const char *path, bool loop, char *why, struct capacity **ret_capacity);

/* NULL is fine. */
void capacity_destroy(struct capacity *c);

/* Length of one round; TIME_NEVER for a fixed rate. */
uint64_t capacity_period_ns(const struct capacity *c);

/* Mean of one round. */
uint64_t capacity_mean_bps(const struct capacity *c);

/* A cursor at the start of time. */
void capacity_cursor_init(struct capacity_cursor *at);

/*
 * When the last octet of the next packet in line has left, for a packet that may not start before
 * `start_ns`; TIME_NEVER when it never will. Opportunities at start_ns itself are already gone.
 */
uint64_t capacity_serve(const struct capacity *c, const struct outages *outages,
	struct capacity_cursor *at, uint64_t start_ns, uint32_t octets);

/* Octets that could have left in (from_ns, to_ns], had there always been something to send. */
double capacity_octets(
	const struct capacity *c, const struct outages *outages, uint64_t from_ns, uint64_t to_ns);

/* End of the outage that covers `at_ns`, or 0; otherwise *ret_next is when the next one starts. */
uint64_t outages_end(const struct outages *o, uint64_t at_ns, uint64_t *ret_next);

/* Adds an outage at the end of the list; -EINVAL if it is empty or too early, -ENOSPC when full. */
int outages_add(struct outages *o, uint64_t from_ns, uint64_t length_ns);

#endif
