/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds what the radio carries now, in both directions of an uplink, from what passes anyway; says how fast to send.
 *
 * Source:   design of our own; docs/shaping.md tells it. Akin: Copa (Arun and Balakrishnan, NSDI 2018), Sprout (Winstein
 *           et al., NSDI 2013).
 * Shapes:   link_rate_sample takes an answer to a packet that left by the uplink, or the remote clock's time in one that came;
 *           link_rate_tick, called each 10 to 20 ms, says what passed, and moves the rates. Samples may be few, late or missing.
 * Units:    microseconds; octets across the uplink's edge; bits a second. Remote clocks: microseconds that wrap.
 * Errors:   none; a sample that makes no sense is left out.
 * Threads:  one owner.
 * Memory:   the struct alone, some 9 KB. Integers only: the same calls give the same rates on every machine.
 */
#ifndef WEIR_SHAPE_LINK_RATE_H
#define WEIR_SHAPE_LINK_RATE_H

#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

#define LINK_RATE_PATHS 32
#define LINK_RATE_MARKS 512 /* ticks of uplink history: 5 s at 10 ms */

enum link_rate_source {
	LINK_RATE_TCP_TIMESTAMP,
	LINK_RATE_TCP_SEQUENCE,
	LINK_RATE_DNS,
	LINK_RATE_QUIC_SPIN,
	LINK_RATE_SOURCES
};

struct link_rate_params {
	uint64_t min_bps[N_DIRECTIONS]; /* at least 8000 */
	uint64_t max_bps[N_DIRECTIONS];
	uint64_t start_bps[N_DIRECTIONS]; /* until there is evidence */
};

struct link_rate_sample {
	uint64_t now_us;
	uint64_t sent_us;   /* when the packet that is answered left by the uplink; 0: answers none, has_remote is set */
	uint32_t path;      /* samples of one number share their base delay: a flow, a remote host */
	uint32_t remote_us; /* when the answer was sent, by the clock of its sender */
	bool has_remote;
	enum link_rate_source source;
};

struct link_rate_tick {
	uint64_t now_us;
	uint64_t octets[N_DIRECTIONS];     /* that have crossed the uplink's edge, ever */
	bool is_backlogged[N_DIRECTIONS];  /* packets have been waiting for the rate since the tick before */
	bool is_up;
	uint64_t waiting_us; /* when the oldest question without an answer left; 0: none is open */
};

/* The least of the last one to two spans of time. */
struct link_rate_least {
	int64_t now, before;
	uint64_t turned_us;
	bool has_now, has_before;
};

struct link_rate_path {
	uint32_t path;
	uint64_t used_us; /* 0: free */
	struct link_rate_least rtt_us;
	struct link_rate_least down_us; /* arrival less the remote clock: an offset and the way down */
	uint32_t remote_last_us;
	int64_t remote_us;              /* the remote clock, unwrapped */
};

struct link_rate_mark {
	uint64_t at_us;
	uint64_t octets;
};

struct link_rate_way {
	uint64_t rate_bps;
	uint64_t carried_bps; /* what it carries, as far as seen */
	uint64_t last_octets;
	int64_t queue_us;     /* that stands at the radio */
	uint64_t queue_at_us; /* when that was last seen; 0: never */
	int64_t least_us;     /* of the samples since the tick before; INT64_MAX: none */
};

struct link_rate {
	struct link_rate_params params;
	struct link_rate_way way[N_DIRECTIONS];
	struct link_rate_path paths[LINK_RATE_PATHS];
	struct link_rate_mark marks[LINK_RATE_MARKS]; /* of the uplink */
	uint32_t n_marks;
	uint64_t now_us; /* of the last tick */
	uint64_t base_rtt_us;
	/* The last of the uplink that is known to have arrived. */
	uint64_t confirmed_sent_us, confirmed_at_us, confirmed_octets;
	uint64_t n_samples[LINK_RATE_SOURCES];
	uint64_t n_one_way;
};

void link_rate_init(struct link_rate *l, const struct link_rate_params *params);

void link_rate_sample(struct link_rate *l, const struct link_rate_sample *s);

void link_rate_tick(struct link_rate *l, const struct link_rate_tick *t);

/* For the shaper of a direction. */
uint64_t link_rate_bps(const struct link_rate *l, enum direction direction);

/* What a packet of the direction waits at the radio now, as far as seen. */
uint64_t link_rate_queue_us(const struct link_rate *l, enum direction direction);

#endif
