/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the carrier will bill for what crossed the uplink, as an interval that the bill must lie in.
 *
 * Source:   the carriers' own pages, each named in its file of config/carriers/.
 * Shapes:   low <= bill <= high. Four things keep weir from knowing it to the octet:
 *             overhead   what the carrier adds to a packet lies between two figures;
 *             loss       an uplink packet may be lost before the carrier counts it, a downlink one behind the carrier's
 *                        counter, where weir never sees it; at most such shares are assumed (bill_rule);
 *             edges      what crosses within `slack_us` of a day's or cycle's end counts for it or for the next;
 *             cuts       the carrier ends a session after a time, and a modem may build one anew, without weir's seeing it;
 *                        sessions in which nothing crosses cost nothing.
 *           A unit is what one rounding is done over: a cycle, a day or a session. Loss may fall into any units: it is
 *           bounded over the whole cycle, so one session may have lost all of its packets.
 *           A session that spans a cycle's end is taken to be billed in each for what crossed in it.
 * Units:    octets of IP; seconds since 1970, UTC; spans in microseconds, of which whole seconds count; shares in parts a million.
 *           Without a clock that is right, what crosses may be on this cycle's bill or the next one's (bill_blind).
 * Threads:  one owner; bill_at and bill_left read.
 * Memory:   the struct alone, plain numbers, fit to be kept in a file.
 */
#ifndef WEIR_BUDGET_BILL_H
#define WEIR_BUDGET_BILL_H

#include <weir/base/clock.h>
#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

/* A modem's own figure. LTE's bearer for ordinary traffic is laid out for one packet in a million lost other than by
 * congestion, its voice and gaming bearer for one in a thousand (3GPP TS 23.203 table 6.1.7-A, QCI 9 and 7), between the gateway
 * that counts and the device; weir keeps the queue on its own side of the radio, which leaves little to congestion.
 * Twice the worse of the two is assumed downlink. Uplink packets wait in the modem, which drops them when the radio goes
 * before they are counted; weir sees most of those as the interface's own drops. */
#define BILL_UNSEEN_DOWNLINK_PPM 2000
#define BILL_LOST_UPLINK_PPM     1000

/* A minute of the carrier's clock against weir's, and of the time a session takes to end and begin. */
#define BILL_SLACK_US (60 * US_PER_S)

/* Sessions a day that a modem may lose and build anew below an interface that stays up. */
#define BILL_HIDDEN_CUTS_DAY 4

enum bill_scope {
	BILL_PER_CYCLE,
	BILL_PER_DAY,
	BILL_PER_SESSION,
};

struct bill_rule {
	uint16_t overhead_low[N_DIRECTIONS]; /* octets added to a packet, at least and at most */
	uint16_t overhead_high[N_DIRECTIONS];
	uint32_t weight_ppm[N_DIRECTIONS]; /* 1000000: an octet is an octet; 0: not billed */
	enum bill_scope per;               /* what is rounded up */
	uint64_t quantum_octets;           /* to a multiple of this; 0: not rounded */
	uint64_t session_cut_us;           /* the carrier ends a session after so long; 0: never */
	uint64_t slack_us;
	uint16_t hidden_cuts_day;
	uint32_t unseen_downlink_ppm; /* of what the carrier counts; at most 500000 */
	uint32_t lost_uplink_ppm;     /* of what weir sends; at most 500000 */
};

struct bill_sum {
	uint64_t octets[N_DIRECTIONS];
	uint64_t packets[N_DIRECTIONS];
};

/* A cycle: its end is the next one's start. */
struct bill_span {
	int64_t start_s;
	int64_t end_s;
};

/* Starts with bill_init; all zeros before: bill_is_begun. */
struct bill {
	struct bill_sum total;      /* of the cycle */
	struct bill_sum unit;       /* the one that is open, away from its edges */
	struct bill_sum edge_first; /* near its beginning: its own or the one's before it */
	struct bill_sum edge_last;  /* near its end */
	struct bill_sum free;       /* of classes that the carrier does not bill */
	uint64_t low_octets;        /* closed units, each rounded up */
	uint64_t high_octets;
	uint64_t n_closed;
	uint64_t n_inner_cuts;    /* by the carrier, within sessions */
	uint64_t unseen_octets;   /* told by bill_add_unseen */
	uint64_t told_octets;     /* what the carrier had counted when counting began: bill_tell */
	struct bill_sum edge_end; /* of the total: near its end, so perhaps the next cycle's */
	struct bill_sum carried;  /* not of the total: the last cycle's edge_end */
	struct bill_sum
		undone; /* of the total: was dropped before it was sent; not kept in files */
	struct bill_span cycle;
	int64_t now_s;
	int64_t day_s; /* when the day that counts hidden cuts ends, from the beginning of counting on */
	uint64_t n_days; /* before it, on which something crossed */
	int64_t cut_s;   /* next cut; INT64_MAX: none is expected */
	bool is_near_cut;
	bool is_near_end;
	bool is_day_used;     /* something crossed */
	bool is_session_used; /* since the last cut */
	bool was_session_used;
};

struct bill_interval {
	uint64_t low_octets;
	uint64_t high_octets;
};

/* What nobody has said more about: octets of IP, both directions, not rounded, the losses above. */
struct bill_rule bill_rule_default(void);

/* slack_us in seconds. */
int64_t bill_slack_s(const struct bill_rule *rule);

/* True once bill_init was called. */
static inline bool bill_is_begun(const struct bill *b)
{
	return b->cycle.end_s != 0;
}

/* Counting begins, in a cycle and with its first unit. An end of INT64_MAX: which cycle it is, is not known. */
void bill_init(struct bill *b, const struct bill_rule *rule, struct bill_span cycle, int64_t now_s);

/* The next cycle begins, slack_us after the last one's end by weir's clock, since until then packets may be on either
 * bill. They are in the total of the last one. */
void bill_next(struct bill *b, const struct bill_rule *rule, struct bill_span cycle);

/* Lets time pass, some times in slack_us, before what crossed since the last call is added. Cuts that were due are
 * made. */
void bill_advance(struct bill *b, const struct bill_rule *rule, int64_t now_s);

/* The same while the clock cannot be believed: `now_s` goes on from the last time known, and no cycle ends by it. */
void bill_blind(struct bill *b, const struct bill_rule *rule, int64_t now_s);

/* Which cycle it is, has become known, and what time: all that was counted may have been in it or before it. */
void bill_place(
	struct bill *b, const struct bill_rule *rule, struct bill_span cycle, int64_t now_s);

/* The carrier's own figure for the cycle so far: counting begins anew from there. */
void bill_tell(struct bill *b, const struct bill_rule *rule, uint64_t octets);

/* When the next day begins, of a rule that rounds days; others leave it. */
void bill_expect_day(struct bill *b, const struct bill_rule *rule, int64_t day_s);

/* A session ended and another begins: the modem was registered anew, or has another address. */
void bill_new_session(struct bill *b, const struct bill_rule *rule, int64_t now_s);

/* A session may have ended: weir was not there to see. */
void bill_maybe_new_session(struct bill *b, const struct bill_rule *rule);

/* Adds what crossed the uplink's edge. Modulo 2^64, so that -1 takes one away. */
void bill_add(struct bill *b, enum direction direction, uint64_t octets, uint64_t n_packets);

/* The same for classes that the carrier does not bill: kept apart, in neither end of the interval. */
void bill_add_free(struct bill *b, enum direction direction, uint64_t octets, uint64_t n_packets);

/* Adds octets, overhead at its highest included, that the carrier may have counted and weir does not know of, in whichever
 * direction weighs more, to the high end. */
void bill_add_unseen(struct bill *b, uint64_t octets);

/* Where the bill must lie, for all of the cycle so far. */
struct bill_interval bill_at(const struct bill *b, const struct bill_rule *rule);

/* Octets, overhead at its highest included, that may still cross in either direction before the high end passes
 * `limit_octets`: what a lease may be. One cut may come while it is spent. */
uint64_t bill_left(const struct bill *b, const struct bill_rule *rule, uint64_t limit_octets);

#endif
