/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual reassembly: later fragments join the flow of the first, in whatever order they come.
 *
 * Source:   RFC 4787 REQ-14, RFC 5508 REQ-4 note; RFC 815 for what a datagram is: source, destination, protocol,
 *           identification; RFC 1858, RFC 5722 (overlap is left to the end host: nothing is reassembled here);
 *           RFC 6864 section 5.3.1 (identifications of many hosts behind one address).
 * Shapes:   packets are opaque pointers, held in the order they came.
 * Errors:   see enum fragment_verdict.
 * Threads:  one owner.
 * Memory:   fixed at create; held packets are bounded per datagram, per source address and in all. A source
 *           may have a quarter of the datagrams and of the held packets, so that its flood does not end another's
 *           fragments, and datagrams without their first fragment half the table, so that a flood of those does not
 *           end datagrams that were let in. Beyond its datagrams a source's own oldest yields; beyond their half the
 *           oldest without its first fragment; in a full table that one too, and where all have theirs, the oldest.
 */
#ifndef WEIR_FLOW_FRAGMENT_H
#define WEIR_FLOW_FRAGMENT_H

#include <weir/base/addr.h>
#include <weir/flow/key.h>

#include <stdbool.h>
#include <stdint.h>

struct fragment_key {
	struct ip_addr src;
	struct ip_addr dst;
	uint32_t identification;
	uint8_t proto;
	uint8_t in_port;
};

struct fragment_table;

#define FRAGMENT_HELD_MAX 48 /* packets held for one datagram: 65535 octets in fragments of 1400 */

/* `capacity` datagrams, `held_capacity` packets held in all, forgotten `timeout_us` after they began and again after
 * their first fragment came. Returns 0, -EINVAL when there is room for nothing, or -ENOMEM. */
int fragment_table_create(uint32_t capacity, uint32_t held_capacity, uint64_t timeout_us,
	const struct flow_hash_key *key, struct fragment_table **ret_table);

/* Frees the table; held packets must have been taken out before (fragment_expire with a late `now_us`). */
void fragment_table_destroy(struct fragment_table *t);

/* Packets handed to the caller, in the order they came. */
struct fragment_packets {
	uint32_t n;
	void *packets[FRAGMENT_HELD_MAX];
};

/* What the first fragment tells the later ones. */
struct fragment_origin {
	uint16_t src_port;
	uint16_t dst_port;
	bool is_renamed; /* the datagram goes on under an identification of the table's choice */
	uint16_t identification;
};

/* A first fragment was let in. Fills `origin`'s identification where it is renamed, the same again for a fragment that
 * comes twice. Writes the packets held for it into `ret_held`, and into `ret_evicted` those of the datagrams that had to
 * yield; they are the caller's to drop. */
void fragment_first(struct fragment_table *t, const struct fragment_key *key,
	struct fragment_origin *origin, uint64_t now_us, struct fragment_packets *ret_held,
	struct fragment_packets *ret_evicted);

/* A first fragment was refused: what was held for it is the caller's to drop. A datagram that was let in stays. */
void fragment_refuse(struct fragment_table *t, const struct fragment_key *key,
	struct fragment_packets *ret_held);

/* An identification for a datagram that is sent in fragments: each of 65536 once, in an order that is hard to guess. */
uint16_t fragment_identification(struct fragment_table *t);

enum fragment_verdict {
	FRAGMENT_KNOWN, /* the origin was written: go on */
	FRAGMENT_HELD,  /* the table keeps the packet */
	FRAGMENT_FULL,  /* no room: drop it */
};

/* A later fragment: learns about its datagram, or is held until the first fragment was let in. `ret_origin` is written
 * when it was, `ret_evicted` always. */
enum fragment_verdict fragment_later(struct fragment_table *t, const struct fragment_key *key,
	void *packet, uint64_t now_us, struct fragment_origin *ret_origin,
	struct fragment_packets *ret_evicted);

/* Forgets datagrams older than the timeout and writes packets that were held for them into `expired`, at most
 * `n_max`; call again while it returns n_max. */
uint32_t fragment_expire(struct fragment_table *t, uint64_t now_us, void **expired, uint32_t n_max);

/* Packets held now. */
uint32_t fragment_n_held(const struct fragment_table *t);

#endif
