/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds what the radio carries now, in both directions of an uplink, from what passes anyway; says how fast to send.
 *
 * Source:   design of our own; docs/link-rate.md tells it. Akin: Copa (Arun and Balakrishnan, NSDI 2018), Sprout (Winstein
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

#define LINK_RATE_MAX_BPS 100000000000ull
#define LINK_RATE_PATHS   32
#define LINK_RATE_MARKS   512 /* ticks of the uplink that are remembered: 5 s at 10 ms */

enum link_rate_source {
	LINK_RATE_TCP_TIMESTAMP,
	LINK_RATE_TCP_SEQUENCE,
	LINK_RATE_DNS,
	LINK_RATE_QUIC_SPIN,
	LINK_RATE_PROBE, /* an echo that weir has asked for */
	LINK_RATE_SOURCES
};

struct link_rate_params {
	uint64_t min_bps[N_DIRECTIONS]; /* at least 8000 */
	uint64_t max_bps[N_DIRECTIONS];
	uint64_t start_bps[N_DIRECTIONS]; /* until there is evidence */
};

struct link_rate_sample {
	uint64_t now_us;
	uint64_t
		sent_us; /* when the packet that is answered left by the uplink; 0: this one answers none */
	uint64_t path; /* samples of one number share their base delay: a flow, a remote host */
	uint32_t remote_us; /* when the answer left its sender, by that sender's clock; wraps */
	bool has_remote;
	enum link_rate_source source;
};

struct link_rate_tick {
	uint64_t now_us;
	uint64_t octets[N_DIRECTIONS];    /* that have crossed the uplink's edge, ever */
	bool is_backlogged[N_DIRECTIONS]; /* packets wait for the rate */
	bool is_up;
	uint64_t waiting_us; /* when the oldest question without an answer left; 0: none is open */
};

/* How the modem is served, as far as it tells. */
enum link_rate_technology {
	LINK_RATE_UNKNOWN,
	LINK_RATE_2G,
	LINK_RATE_3G,
	LINK_RATE_NB_IOT,
	LINK_RATE_LTE_M,
	LINK_RATE_LTE,
	LINK_RATE_NR,
	LINK_RATE_TECHNOLOGIES
};

#define LINK_RATE_CELL_MAX ((UINT64_C(1) << 36) - 1)

struct link_rate_hint {
	enum link_rate_technology technology;
	uint64_t cell;    /* to LINK_RATE_CELL_MAX: any number that changes with it; 0: not known */
	int16_t rsrp_dbm; /* 0: not known */
};

/* The least of the last one to two spans of time. */
struct link_rate_least {
	int64_t now, before;
	uint64_t turned_us;
	bool has_now, has_before;
};

/* A delay that has a base: the way itself, without queues. */
struct link_rate_base {
	struct link_rate_least lasting; /* over half a minute and more */
	uint64_t looked_us;             /* as the direction's, when it was last begun anew */
	int64_t drained_us, most_us;    /* the least and the most since then */
};

struct link_rate_path {
	uint64_t path;
	uint64_t used_us; /* 0: free */
	struct link_rate_base rtt;
	struct link_rate_base up; /* the remote's clock less departure: an offset, and the way up */
	struct link_rate_base down; /* arrival less the remote's clock */
	uint32_t remote_last_us;
	int64_t remote_us; /* the remote clock, unwrapped */
};

struct link_rate_mark {
	uint64_t at_us;
	uint64_t octets;
};

struct link_rate_way {
	uint64_t rate_bps;
	uint64_t carried_bps; /* what the radio carries, as far as seen */
	uint64_t peak_bps;    /* the most of that lately */
	int64_t queue_us;     /* that stands at the radio */
	int64_t least_us;     /* of what samples told since the tick before; INT64_MAX: nothing */
	uint64_t seen_us;     /* when a sample last told; 0: never */
	bool stood;           /* it told of a queue */
	uint64_t last_octets; /* downlink: at the last tick that had samples */
	uint64_t last_us;
	/* When the queue was last let run dry, for a look at the base, and until when; and when a delay was last near its base */
	uint64_t drain_us, drained_us, near_us;
	uint64_t
		looked_us; /* since when what may be another base is looked at: the last drain, or news of the modem's */
	uint64_t told_us; /* when the modem said that the way may be another one; 0: never */
};

struct link_rate {
	struct link_rate_params params;
	struct link_rate_hint hint;
	struct link_rate_way way[N_DIRECTIONS];
	struct link_rate_path paths[LINK_RATE_PATHS];
	struct link_rate_mark marks[LINK_RATE_MARKS]; /* of the uplink */
	uint32_t n_marks;
	uint64_t now_us; /* of the last tick */
	bool was_up;
	uint64_t base_rtt_us; /* of the path that answered last */
	/* The last of the uplink that is known to have crossed: when it left weir, when the answer came, what had left by then */
	uint64_t crossed_sent_us, crossed_at_us, crossed_octets;
	uint64_t n_samples[LINK_RATE_SOURCES];
	uint64_t n_one_way; /* samples that told the directions apart */
};

/* The rates begin at their start values. */
void link_rate_init(struct link_rate *l, const struct link_rate_params *params);

/* Changes the bounds; what is known stays. */
void link_rate_set_params(struct link_rate *l, const struct link_rate_params *params);

/* What an answer, or a remote clock, tells. */
void link_rate_sample(struct link_rate *l, const struct link_rate_sample *s);

/* A sample from the path's beginning that could not be understood then (has_remote): counts for its base delays alone. */
void link_rate_recall(struct link_rate *l, const struct link_rate_sample *s);

/*
 * What the modem tells. It may be late, or wrong (LTE with 5G beside it), and so never lowers a rate. Another technology or cell: a
 * delay that stays longer from then on is the new base. A technology says from where on a rate that
 * has no evidence grows slowly.
 */
void link_rate_hint(struct link_rate *l, const struct link_rate_hint *h);

/* Time has passed: moves the rates. */
void link_rate_tick(struct link_rate *l, const struct link_rate_tick *t);

/* For the shaper of a direction. */
struct link_rate_advice {
	uint64_t rate_bps;
	uint64_t
		waited_us; /* what packets have waited at the radio before they come to the shaper; the uplink's: 0 */
	uint32_t target_us; /* CoDel's, on a link whose rate does not stand still */
	uint32_t interval_us;
};

struct link_rate_advice link_rate_advice(const struct link_rate *l, enum direction direction);

#endif
