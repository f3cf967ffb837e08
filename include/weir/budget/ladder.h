/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of a plan, or of one device's share, as its quota goes: notify, shape, reserve-only, block.
 *
 * Source:   thresholds and final action after RFC 8506.
 * Shapes:   a step holds from its threshold on, so what is used equals it; of those that hold, the strongest action counts, and the
 *           last rate of the shape steps. Nothing is remembered: a top-up or a new cycle takes steps back by itself.
 * Units:    octets; shares of the quota in parts a million; rates in bits a second; days of a cycle from 0.
 * Threads:  pure functions.
 */
#ifndef WEIR_BUDGET_LADDER_H
#define WEIR_BUDGET_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#define LADDER_STEPS_MAX 16

/* In ascending strength. */
enum ladder_action {
	LADDER_NOTHING,
	LADDER_NOTIFY,
	LADDER_SHAPE,
	LADDER_RESERVE_ONLY,
	LADDER_BLOCK,
};

struct ladder_step {
	uint32_t at_ppm;
	enum ladder_action action;
	uint64_t rate_bps; /* of LADDER_SHAPE */
};

/* Days are spent like a purse: what was not used yesterday is there today, and so many days are lent in advance. */
struct ladder_pace {
	enum ladder_action action; /* beyond the pace; LADDER_NOTHING: not paced */
	uint64_t rate_bps;         /* of LADDER_SHAPE */
	uint32_t borrow_days;
};

struct ladder {
	uint32_t n_steps;
	struct ladder_step steps[LADDER_STEPS_MAX]; /* in ascending order */
	struct ladder_pace pace;
};

struct quota {
	uint64_t cycle_octets;     /* what each cycle brings; 0: no quota */
	uint64_t top_up_octets;    /* bought on top */
	uint64_t carried_octets;   /* from the cycle before */
	uint64_t carry_max_octets; /* at most so much goes over to the next; 0: nothing does */
	bool top_up_lasts;         /* what is left of it goes over too */
};

/* Where in its cycle an instant lies. */
struct ladder_day {
	uint32_t day;
	uint32_t n_days;
};

struct ladder_now {
	uint32_t n_reached; /* steps whose threshold was reached */
	bool is_paced;      /* the pace was passed */
	enum ladder_action action;
	uint64_t rate_bps;    /* while the action is LADDER_SHAPE, else 0 */
	bool is_reserved;     /* all that is left belongs to reserves */
	uint64_t next_octets; /* used so much, something changes; UINT64_MAX: nothing will */
};

/* The octets that may be used in this cycle. */
uint64_t quota_octets(const struct quota *q);

/* The next cycle's quota, when `used` octets of this one's were: a cycle's own octets are used first, then carried ones, then
 * the top-up. Only a cycle's own are carried, and only once. */
struct quota quota_next(const struct quota *q, uint64_t used);

/* What of the quota may be used by the end of a day. */
uint64_t ladder_allowance(const struct ladder_pace *pace, uint64_t quota, struct ladder_day at);

/* Which steps hold when `used` octets of `quota` are used, and `reserved` more are kept for classes that have not used them
 * yet: where nothing else is left, reserve-only holds whatever the steps say. Without a quota nothing does. */
struct ladder_now ladder_at(const struct ladder *l, uint64_t used, uint64_t quota,
	uint64_t reserved, struct ladder_day at);

#endif
