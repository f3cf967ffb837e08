/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shaper of one direction of an uplink: decides when each packet leaves, and which are given up.
 *
 * Source:   RFC 8290 (flow queues, sparse flows first, the fattest pays), RFC 8289 (CoDel), RFC 3168 (marks);
 *           start-time fair queueing between classes (Goyal, 1996). docs/shaping.md tells the whole.
 * Shapes:   classes, devices in a class, flows of a device. A packet is an opaque pointer with what its sender knows of it. A flow's
 *           packets keep their order. Rates are token buckets in exact integers: a microsecond earns `bps` millionths of a
 *           bit, and what leaves may leave a debt of its own length.
 * Units:    octets as the caller charges them (IP octets and overheads), rates in bits a second; rate 0: none.
 * Errors:   a packet that is put is always taken over. What does not leave in the end is handed to `drop`, with the
 *           reason: the fattest flow's oldest packets when the shaper is full, what CoDel gives up, and acknowledgements that a
 *           newer one makes superfluous.
 * Threads:  one owner. shaper_stats_read may be called by others while it works: counters, each of them whole.
 * Memory:   fixed at create: some 190 octets a place and 1200 a device; pages are touched as they are needed.
 */
#ifndef WEIR_SHAPE_SHAPER_H
#define WEIR_SHAPE_SHAPER_H

#include <stdbool.h>
#include <stdint.h>

#define SHAPER_CLASSES_MAX  32
#define SHAPER_DELAY_SLOTS  24 /* powers of two of microseconds; the last: 4 s and longer */
#define SHAPER_WEIGHT_UNIT  10 /* the weight of a class that has none of its own */
#define SHAPER_RATE_MAX_BPS 1000000000000000ull /* keeps every sum of credit far from 2^63 */

enum shaper_priority {
	SHAPER_LOW,
	SHAPER_NORMAL,
	SHAPER_HIGH
};

/* Why a packet was handed to `drop`. */
enum shaper_drop {
	SHAPER_DROP_FULL,    /* no room, and its flow's queue was the fattest */
	SHAPER_DROP_CEILING, /* the same, where a ceiling is what held the packet */
	SHAPER_DROP_CODEL,   /* the flow's queue stood for too long */
	SHAPER_DROP_ACK,     /* a newer acknowledgement took its place */
	SHAPER_DROPS
};

/* What a class may ask for. */
struct shaper_class {
	enum shaper_priority priority;
	uint32_t weight; /* of what is shared among classes of one priority; not 0 */
	uint64_t
		guaranteed_bps; /* first of all; 0: half the rate for a high class, a sixteenth for a low one */
	uint64_t ceiling_bps; /* 0: none */
};

/* Fixed for the shaper's life. */
struct shaper_params {
	uint32_t n_places;  /* packets at most */
	uint32_t n_devices; /* ids below; all others count as one device without a ceiling */
	/* gets what the shaper gives up; must not call the shaper */
	void (*drop)(void *arg, void *packet, enum shaper_drop why);
	void *drop_arg;
};

/* What may change while packets wait. */
struct shaper_config {
	uint64_t limit_octets; /* of all that waits */
	bool ack_thinning;
	bool is_behind; /* the slow link is before it: a drop here, of SHAPER_GIVES_WAY, has crossed it, and counts */
	uint32_t n_classes; /* class i is classes[i]; all others are normal ones */
	struct shaper_class classes[SHAPER_CLASSES_MAX];
};

enum shaper_packet_flag {
	SHAPER_RESERVED =
		1 << 0, /* a reserve pays: the general ceiling and its device's do not hold it */
	SHAPER_ECT = 1 << 1, /* may be marked instead of dropped */
	SHAPER_PURE_ACK =
		1
		<< 2, /* TCP, nothing but an acknowledgement: a newer one of its flow may take its place */
	SHAPER_GIVES_WAY = 1 << 3 /* TCP: who sent it sends less when it is lost */
};

/* What is known of a packet. */
struct shaper_packet {
	void *packet;
	uint32_t octets;
	uint32_t flow_id; /* FLOW_NONE: of no flow, all of which share a queue */
	uint16_t device_id;
	uint8_t class_id;
	uint8_t flags; /* sum of enum shaper_packet_flag */
	uint32_t ack;  /* of SHAPER_PURE_ACK: the sequence number it acknowledges */
};

struct shaper;

/* Without rates, with one class, and room for `n_places` full-sized packets. Returns 0, -EINVAL (no place, or no `drop`) or
 * -ENOMEM. */
int shaper_create(const struct shaper_params *params, struct shaper **ret_shaper);

/* It must be empty (shaper_take_any). NULL is fine. */
void shaper_destroy(struct shaper *s);

/* Changes classes and bounds; what waits stays, and follows the new rules. */
void shaper_set_config(struct shaper *s, const struct shaper_config *config, uint64_t now_us);

/* The rate at which packets leave, all classes together; 0: at will. Counts from this moment; up to SHAPER_RATE_MAX_BPS. */
void shaper_set_rate(struct shaper *s, uint64_t bps, uint64_t now_us);

/* What is found of a link that tells no rate (shape/link_rate.h). */
struct shaper_link {
	uint64_t bps;
	uint64_t
		waited_us; /* what packets have waited at the radio, before they came here: CoDel counts it too */
	uint32_t target_us; /* CoDel's, where the rate asks for no more */
	uint32_t interval_us;
};

/* As shaper_set_rate(), with what else was found, and with more that may go at once after a pause. shaper_set_rate() takes
 * that back. */
void shaper_set_link(struct shaper *s, const struct shaper_link *link, uint64_t now_us);

/* The ceiling of all that no reserve pays for; 0: none. */
void shaper_set_general(struct shaper *s, uint64_t bps, uint64_t now_us);

/* The ceiling of a device's traffic that no reserve pays for; 0: none. */
void shaper_set_device(struct shaper *s, uint16_t device_id, uint64_t bps, uint64_t now_us);

/* False when packets may go round it: it has no rate or ceiling, and none waits. */
bool shaper_is_active(const struct shaper *s);

/* What may leave now, whatever it is, while no packet waits and no ceiling is set: for a run of packets, so that each costs a
 * subtraction. Nothing else may be asked of the shaper between begin and end. */
struct shaper_pass {
	int64_t room; /* octets before the one that leaves a debt; below zero: none may leave */
	int64_t room_first;
	uint64_t packets;
};

void shaper_pass_begin(struct shaper *s, uint64_t now_us, struct shaper_pass *ret_pass);
void shaper_pass_end(struct shaper *s, const struct shaper_pass *pass);

/* True when the rate has room for a packet, which it takes. */
static inline bool shaper_pass_take(struct shaper_pass *pass, uint32_t octets)
{
	if (pass->room < 0)
		return false;
	pass->room -= octets;
	pass->packets++;
	return true;
}

/* The same for one packet. */
bool shaper_pass(struct shaper *s, uint32_t octets, uint64_t now_us);

/* Takes a packet over, to wait. May drop others, or this one. */
void shaper_put(struct shaper *s, const struct shaper_packet *p, uint64_t now_us);

/* The packet that leaves now, or NULL when none may. `ret_mark`: Congestion Experienced is to be set in it. */
void *shaper_take(struct shaper *s, uint64_t now_us, bool *ret_mark);

/* Any packet, whatever the rates; NULL when empty. For stopping. */
void *shaper_take_any(struct shaper *s);

/* When the next packet may go, if none comes before; UINT64_MAX when empty. */
uint64_t shaper_next_us(const struct shaper *s);

/* True while a packet of the flow waits. */
bool shaper_holds(const struct shaper *s, uint32_t flow_id);

/* What a controller of the rate looks at. */
struct shaper_load {
	uint64_t rate_bps;
	uint32_t backlog_packets;
	uint32_t backlog_octets;
	uint64_t sent_octets; /* ever, as charged */
	uint64_t sent_packets;
	/* Since when packets have been waiting for the rate itself without a break, not for a ceiling; UINT64_MAX when none
	 * does. Where it is not later than the begin of an interval, all that could leave in it has left. */
	uint64_t busy_since_us;
};

struct shaper_load shaper_load(const struct shaper *s);

struct shaper_stats {
	struct shaper_load load;
	uint64_t general_bps;
	uint64_t delay_us; /* in the queue, smoothed over some 16 packets that waited */
	uint64_t delays
		[SHAPER_DELAY_SLOTS]; /* packets that waited less than 2^i µs; [0]: not at all */
	uint64_t marked;
	uint64_t dropped[SHAPER_DROPS];
	uint64_t thinned_octets; /* of SHAPER_DROP_ACK */
	uint32_t n_flows;        /* with packets waiting */
};

void shaper_stats_read(const struct shaper *s, struct shaper_stats *ret_stats);

/* The delay that `percent` of the packets did not exceed, to the power of two above; 0 without packets. */
uint64_t shaper_delay_percentile(const uint64_t delays[SHAPER_DELAY_SLOTS], uint32_t percent);

#endif
