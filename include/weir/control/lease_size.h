/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of a plan to lease at once: little enough to lose, enough that the flash lasts.
 *
 * Shapes:   a lease is renewed when half of it is used, so each write buys at least half a lease. Its size follows the rate
 *           (as many octets as are sent between two writes at the pace of the day's budget), and within an eighth of the way
 *           to the next threshold it shrinks with what is left, down to LEASE_MIN or two seconds' worth, and then to the
 *           last octet. Where fewer writes were done than the day's pace allows, by up to an eighth of them, leases last
 *           seconds alone: most days are idle, and what a crash would lose is then little.
 *           No lease reaches over a threshold. When the day's writes run out, leases grow to the threshold instead.
 * Units:    octets, seconds.
 * Threads:  pure functions.
 */
#ifndef WEIR_CONTROL_LEASE_SIZE_H
#define WEIR_CONTROL_LEASE_SIZE_H

#include <stdint.h>

#define LEASE_MIN_OCTETS (UINT64_C(64) * 1024)
#define LEASE_READY_OCTETS                                                                         \
	(UINT64_C(4) * 1024 * 1024)  /* for what begins suddenly, where there is plenty */
#define LEASE_WRITES_PER_DAY    2000 /* default: 8 MB a day */
#define LEASE_SHRINKS_AT_WRITES 200  /* an approach to a threshold takes up to 180 */

struct lease_terms {
	uint64_t
		left_octets; /* from what is used to the next threshold or the end of the quota; UINT64_MAX: none */
	uint64_t held_octets;   /* leased and not used */
	uint64_t rate_octets_s; /* since the last lease */
	uint32_t n_writes_day;  /* a whole day's, this plan's share */
	uint32_t n_writes_left; /* of this day's, of that share */
	uint32_t day_left_s;
};

/* What to hold after renewing: never above left_octets. */
uint64_t lease_size(const struct lease_terms *t);

/* What to ask for now to hold that; 0 while half of it is still held. */
uint64_t lease_ask(const struct lease_terms *t);

#endif
