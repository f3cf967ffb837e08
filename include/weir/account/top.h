/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whoever weighs most in a stream, in bounded memory.
 *
 * Source:   Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005):
 *           Space-Saving. A key that finds no room takes the place of the lightest one, and inherits its weight.
 * Shapes:   keys are 64 bits of the caller's. Of each key in the list, octets - over <= what it really weighed <= octets. Whatever
 *           weighs more than the whole stream divided by TOP_PLACES is in the list.
 * Units:    octets; packets since the key took its place.
 * Threads:  one writer; top_read from any other thread, while the writer goes on.
 * Memory:   the struct itself; all zero is an empty list.
 */
#ifndef WEIR_ACCOUNT_TOP_H
#define WEIR_ACCOUNT_TOP_H

#include <stdint.h>

#define TOP_PLACES 32

struct top_entry {
	uint64_t key;
	uint64_t octets;
	uint64_t over; /* of octets, what may have been others' */
	uint64_t packets;
};

struct top {
	uint64_t version; /* odd while a place changes hands */
	uint64_t n;       /* places taken */
	struct top_entry entries[TOP_PLACES];
};

/* Counts a packet of `octets` for a key. */
void top_count(struct top *t, uint64_t key, uint64_t octets);

/* Writer: forgets everything. */
void top_clear(struct top *t);

/* A copy, the heaviest first. */
void top_read(const struct top *t, struct top *ret_top);

#endif
