/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one station has used of a plan in its cycle, against a quota of its own and its shares of the reserves.
 *
 * Source:   docs/decisions/0011-quotas-of-devices.md.
 * Shapes:   a share belongs to one station and one plan. Its limits are sums that it may reach: traffic in general ends at the
 *           first step that leaves it to reserves or blocks it, everything ends at the first that blocks it.
 * Units:    octets as the plan bills them, both directions; rates in bits a second.
 * Threads:  the worker that owns the path writes; control reads.
 */
#ifndef WEIR_BUDGET_SHARE_H
#define WEIR_BUDGET_SHARE_H

#include <weir/budget/ladder.h>
#include <weir/budget/meter.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* A device's quota of each plan, and what happens on the way. */
struct share_rule {
	uint64_t quota_octets;
	struct ladder ladder;
	/* share_rule_prepare: what follows from them */
	uint64_t general_octets;
	uint64_t all_octets;
};

/* Less than this, or than so large a part of the quota, is not worth being remembered when room is short. */
#define SHARE_WORTH_OCTETS UINT64_C(65536)
#define SHARE_WORTH_PART   32

struct share {
	/* what a packet of a device under a quota reads and writes, in one line */
	uint64_t used_octets;
	uint64_t general_octets; /* where traffic ends that no reserve pays for */
	uint64_t all_octets;     /* where everything ends */
	uint64_t next_octets;    /* where the step changes */
	uint64_t rate_bps;       /* of a shape step; 0: none */
	uint64_t quota_octets;   /* 0: none */
	uint32_t cycle;          /* the plan's, as control counts them */
	uint8_t action;          /* enum ladder_action */
	bool is_payer;           /* path: its device's packets are counted here, not on another's */
	uint8_t spare[10];
	/* billed to the reserve behind each account */
	uint64_t reserved_octets[METER_ACCOUNTS];
};
static_assert(sizeof(struct share) == 128, "two cache lines");

/* Finds where a quota and its ladder end what. */
void share_rule_prepare(struct share_rule *rule);

/* Puts a rule in force; NULL: none. What was used stays. */
void share_set_rule(struct share *s, const struct share_rule *rule);

/* Finds out where on the ladder it stands, now or once `more` octets are used. */
void share_step(struct share *s, const struct share_rule *rule, uint64_t more);

/* All begins anew. */
void share_begin(struct share *s, const struct share_rule *rule, uint32_t cycle);

/* True when a packet of so many octets stays within the quota. */
static inline bool share_has_room(const struct share *s, uint64_t cost, bool is_reserved)
{
	return s->used_octets + cost <= (is_reserved ? s->all_octets : s->general_octets);
}

/* True when octets that count against a limit (0: none) would be missed. */
static inline bool share_is_worth(uint64_t octets, uint64_t limit)
{
	return octets >= SHARE_WORTH_OCTETS
	       || (limit != 0 && octets >= limit / SHARE_WORTH_PART && octets > 0);
}

/* The same of all that a share has counted. */
static inline bool share_is_worth_keeping(const struct share *s)
{
	bool is = share_is_worth(s->used_octets, s->quota_octets);

	for (uint32_t a = 0; a < METER_ACCOUNTS; a++)
		is |= share_is_worth(s->reserved_octets[a], 0);
	return is;
}

/* Takes octets back that were counted in this cycle; modulo 2^64, so that less is added as well. */
static inline void share_correct(uint64_t *sum, uint64_t octets)
{
	*sum = (int64_t)octets < 0 && *sum < -octets ? 0 : *sum + octets;
}

#endif
