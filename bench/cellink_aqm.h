/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: a managed queue in front of the bearer that knows when each packet would leave, because it knows the capacity.
 *
 * Source:   CoDel, RFC 8289 section 5; flow queues, RFC 8290 section 4; the target of slow links as sch_cake sets it: at
 *           least one and a half packets of the mean rate.
 * Shapes:   packets wait here and not in the link's buffer, whose octets still bound all that waits (its time does not). A packet is judged at
 *           the moment its last octet would leave, and what is given up has used no capacity. A packet that comes
 *           while another is being sent may leave first; what that one had of its capacity is not lost, so departures
 *           are right to the time of one packet. Drops only: senders here are not asked for ECN.
 * Units:    nanoseconds since the start of the run; octets of IP.
 * Errors:   -ENOMEM from aqm_create; verdicts of the link else.
 * Threads:  the link's owner.
 * Memory:   40 kB for flow queues, and each waiting packet with 32 octets more.
 */
#ifndef CELLINK_AQM_H
#define CELLINK_AQM_H

#include "cellink_link.h"

#include <stdbool.h>
#include <stdint.h>

enum aqm_kind {
	AQM_NONE,
	AQM_CODEL,    /* one queue */
	AQM_FQ_CODEL, /* a queue a flow, sparse flows first */
	N_AQM_KINDS
};

struct aqm;

/* A packet that leaves; free() it. */
struct aqm_packet {
	struct aqm_packet *next;
	uint64_t arrival_ns;
	uint32_t octets;
	uint8_t bytes[];
};

/* "codel", "fq-codel", "none"; -EINVAL for other names. */
int aqm_kind_parse(const char *name, enum aqm_kind *ret_kind);

/* `link` is borrowed and must outlive it; from now on packets enter the link here alone. */
int aqm_create(enum aqm_kind kind, struct link *link, struct aqm **ret_aqm);

/* Gives up what waits. NULL is fine. */
void aqm_destroy(struct aqm *a);

/*
 * A packet arrives. Its end is counted if it is refused. aqm_take must have been called for this moment before, until it had
 * nothing more.
 */
enum link_verdict aqm_put(struct aqm *a, uint64_t now_ns, const uint8_t *packet, uint32_t octets);

/*
 * The next packet that has left the bearer by now, which comes out at *ret_due_ns; NULL when there is none, and what was lost
 * on the air or given up is counted.
 */
struct aqm_packet *aqm_take(struct aqm *a, uint64_t now_ns, uint64_t *ret_due_ns);

/* When aqm_take has something to do, if nothing arrives before; TIME_NEVER when empty. */
uint64_t aqm_next_ns(const struct aqm *a);

/* What waits now. */
struct link_count aqm_waiting(const struct aqm *a);

#endif
