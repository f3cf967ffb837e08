/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a plan, approached so that what is on its way when it comes still fits.
 *
 * Source:   docs/decisions/0009-the-end-of-a-plan.md.
 * Shapes:   the carrier bills what it delivers, and a sender learns a round trip later that it should stop. So of what is left, what
 *           may be on its way is held back: twice what has come within the longest round trip, since a sender that is finding
 *           its rate doubles it in one (RFC 5681); and downlink traffic is slowed to what uses the rest in some seconds.
 * Units:    octets as they are billed; bits a second; microseconds.
 * Threads:  one owner.
 * Memory:   the struct alone.
 */
#ifndef WEIR_BUDGET_TAPER_H
#define WEIR_BUDGET_TAPER_H

#include <stdint.h>

#define TAPER_FLIGHT_US                                                                            \
	(500 * 1000u) /* the longest round trip, queues included, that is allowed for */
#define TAPER_SPAN_US (2000 * 1000u) /* what is left would last so long */
#define TAPER_MARKS   16
#define TAPER_LEAST_OCTETS                                                                         \
	16384 /* nobody waits for the last ones: a first flight (RFC 6928) may be all of them */
#define TAPER_LEAST_BPS 64000
#define TAPER_MOST_BPS  100000000 /* nothing is slowed above: then a hold alone keeps the end */

/* Starts as { 0 }. */
struct taper {
	uint64_t at_us[TAPER_MARKS]; /* of sums; the newest at n_marks - 1 */
	uint64_t octets[TAPER_MARKS];
	uint32_t n_marks; /* ever */
};

/* Notes how much has come in ever. */
void taper_note(struct taper *t, uint64_t now_us, uint64_t downlink_octets);

/* Octets that may still be on their way. */
uint64_t taper_in_flight(const struct taper *t, uint64_t now_us);

/* How near to a quota its end has come when it counts as reached. */
uint64_t taper_least(uint64_t quota_octets);

/* How fast downlink traffic may go while `left` octets are left to it; 0: at will. */
uint64_t taper_rate_bps(uint64_t left_octets);

#endif
