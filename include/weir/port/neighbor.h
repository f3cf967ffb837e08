/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Next hops of Ethernet ports: IPv4 address → MAC, with the packets that wait for an answer.
 *
 * Source:   RFC 826, RFC 1122 section 2.3.2 (timeouts, one request a second, at least one packet
 *           saved), RFC 5227.
 * Shapes:   entries by (port, address). INCOMPLETE → REACHABLE by an answer; REACHABLE → STALE
 *           after `reachable_us`; a STALE entry is used and asked again (unicast first); three
 *           unanswered requests end it. An entry that nobody uses and nothing confirms for
 *           NEIGHBOR_IDLE_US is forgotten.
 * Hostile:  only an answer to a question asked, or a message about a known address, changes an
 *           entry; a changed MAC is counted. A request for the gateway's own address makes a STALE
 *           entry (RFC 826), gratuitous messages never; entries made so that were not used yet take
 *           half of the table at most.
 * Units:    microseconds.
 * Threads:  one worker owns the table.
 * Memory:   fixed at create; at most NEIGHBOR_QUEUE packets wait per entry, NEIGHBOR_WAITING in all.
 */
#ifndef WEIR_PORT_NEIGHBOR_H
#define WEIR_PORT_NEIGHBOR_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/packet/arp.h>

#include <stdbool.h>
#include <stdint.h>

#define NEIGHBOR_QUEUE      64         /* packets that wait for one address */
#define NEIGHBOR_WAITING    512        /* and for all together: buffers are not theirs alone */
#define NEIGHBOR_REQUESTS   3          /* unanswered, until an entry ends */
#define NEIGHBOR_REQUEST_US 1000000ull /* RFC 1122 2.3.2.1: one a second for an address */
#define NEIGHBOR_IDLE_US    (600 * 1000000ull) /* ten minutes */

enum neighbor_state {
	NEIGHBOR_FREE,
	NEIGHBOR_INCOMPLETE,
	NEIGHBOR_REACHABLE,
	NEIGHBOR_STALE
};

struct neighbor {
	uint32_t addr_be;
	uint8_t port;
	uint8_t state; /* enum neighbor_state */
	uint8_t n_waiting;
	uint8_t n_requests; /* unanswered */
	struct mac_addr mac;
	uint64_t confirmed_us;
	uint64_t requested_us;
	uint64_t used_us;
	void *waiting[NEIGHBOR_QUEUE];
};

struct neighbor_table;

/* Returns 0, -EINVAL for a capacity of 0, or -ENOMEM. */
int neighbor_table_create(
	uint32_t capacity, uint64_t reachable_us, uint64_t seed, struct neighbor_table **ret_table);

/* Waiting packets must have been taken out before (neighbor_flush). */
void neighbor_table_destroy(struct neighbor_table *t);

/* The MAC to send to, or NULL when it is not known (then neighbor_wait). Marks the entry used. The
 * result is valid until the next call that changes the table. */
const struct mac_addr *neighbor_find(
	struct neighbor_table *t, uint8_t port, uint32_t addr_be, uint64_t now_us);

/* Queues a packet for an address that is being resolved, making the entry where needed; its request
 * is due at the next neighbor_tick. False when it cannot wait: queue or table full, its packets are
 * about to fail, or the MAC is known. */
bool neighbor_wait(
	struct neighbor_table *t, uint8_t port, uint32_t addr_be, void *packet, uint64_t now_us);

/* Learns from an ARP message that came in by `port` and was checked by arp_read(); `is_for_us` when
 * its target is the gateway's address. That the sender is on the port's network and is not the
 * gateway itself, the caller has checked. Writes packets that waited into `released`
 * (NEIGHBOR_QUEUE places) and returns how many. */
uint32_t neighbor_learn(struct neighbor_table *t, uint8_t port, const struct arp_message *message,
	bool is_for_us, uint64_t now_us, void **released);

/* A frame with this source came in: a REACHABLE or STALE entry with the same MAC is confirmed. */
void neighbor_confirm(struct neighbor_table *t, uint8_t port, uint32_t addr_be,
	const struct mac_addr *mac, uint64_t now_us);

struct neighbor_request {
	uint8_t port;
	uint32_t addr_be;
	struct mac_addr mac; /* broadcast, or the one last known */
};

/* Ageing: writes requests that are due now into `requests`, at most n_max, and returns how many.
 * Ends entries whose requests went unanswered: neighbor_take_failed has their packets. Bounded work
 * a call. */
uint32_t neighbor_tick(struct neighbor_table *t, uint64_t now_us, struct neighbor_request *requests,
	uint32_t n_max);

/* Takes out packets of entries that ended without an answer, at most n_max a call; call again while
 * it returns n_max. */
uint32_t neighbor_take_failed(struct neighbor_table *t, void **packets, uint32_t n_max);

/* Takes out all waiting packets of a port (PORT_NONE: of all), at most n_max a call, and forgets
 * the port's entries; call again while it returns n_max. */
uint32_t neighbor_flush(struct neighbor_table *t, uint8_t port, void **packets, uint32_t n_max);

/* Entry i of 0 … capacity-1 for listing; NULL when it is free. */
const struct neighbor *neighbor_at(const struct neighbor_table *t, uint32_t i);

/* MAC changes of known entries seen so far: a host replaced, or one that poses as another. */
uint64_t neighbor_n_changes(const struct neighbor_table *t);

#endif
