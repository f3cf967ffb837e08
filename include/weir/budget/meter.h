/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts billable octets against what a plan lets go: the lease that the ledger holds for it, what is left for traffic in
 * general, and the part that each reserve owns.
 *
 * Source:   docs/decisions/0006-leases-and-reserves.md.
 * Shapes:   one meter a plan. Uplink and downlink octets both count. Sums only grow while the program runs; limits are points
 *           that they may reach, so that neither a late limit nor a late sum can be misread.
 *           What is billed is on the account of the reserve that has paid for it; account 0 is traffic in general and has all
 *           else: what nobody asked for, what was dropped, the gateway's own.
 * Units:    octets, with the carrier's overhead a packet added to each packet.
 * Threads:  one worker owns the sums, control the limits; each reads the other's.
 */
#ifndef WEIR_BUDGET_METER_H
#define WEIR_BUDGET_METER_H

#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

#define PLANS_MAX 8
#define PLAN_NONE UINT8_MAX

#define METER_ACCOUNTS  8 /* the general one and seven reserves */
#define ACCOUNT_GENERAL 0
#define ACCOUNT_FREE    UINT8_MAX /* nobody pays, in plans whose carrier does not bill the class */
#define METER_UNLIMITED (UINT64_MAX / 2) /* no sum gets there */

struct meter_params {
	uint16_t overhead_octets
		[N_DIRECTIONS]; /* added to each packet, at most: the carrier's tunnel */
	uint32_t free_classes;  /* bit: class id; what the carrier does not bill */
};

/* [control] How far the sums may go. */
struct meter_limits {
	uint64_t leased; /* of everything: what the ledger has on disk */
	uint64_t accounts[METER_ACCOUNTS];
	/* what one device may bill to reserves in this cycle; control counts cycles */
	uint64_t devices[METER_ACCOUNTS];
	uint32_t cycle;
	uint64_t general_bps
		[N_DIRECTIONS]; /* how fast traffic may go that no reserve pays for; 0: at will */
};

struct meter {
	struct meter_params params;
	struct meter_limits limits;
	uint64_t billed_octets[N_DIRECTIONS]; /* with overhead; what is free included */
	uint64_t octets[N_DIRECTIONS];        /* without */
	uint64_t packets[N_DIRECTIONS];
	uint64_t
		reserved_octets[METER_ACCOUNTS]; /* of billed_octets, both directions, by reserve */
	/* Their sum and what is free: the rest is on the general account. */
	uint64_t all_reserved_octets;
	uint64_t free_octets
		[N_DIRECTIONS]; /* of octets and packets: what the carrier does not bill */
	uint64_t free_packets[N_DIRECTIONS];
};

/* All limits are METER_UNLIMITED. */
void meter_init(struct meter *m, const struct meter_params *params);

/* Takes new parameters; what was counted and the limits stay. */
void meter_set_params(struct meter *m, const struct meter_params *params);

/* Control: new limits, while the worker goes on. */
void meter_set_limits(struct meter *m, const struct meter_limits *limits);

/* Adds `octets` in `n_packets`; modulo 2^64, so that -1 takes one away. */
static inline void meter_add(
	struct meter *m, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	m->octets[direction] += octets;
	m->packets[direction] += n_packets;
	m->billed_octets[direction] += octets + n_packets * m->params.overhead_octets[direction];
}

/* Of what was added, or will be, a reserve pays for this: also modulo 2^64. */
static inline void meter_add_reserved(struct meter *m, uint8_t account, enum direction direction,
	uint64_t octets, uint64_t n_packets)
{
	uint64_t billed = octets + n_packets * m->params.overhead_octets[direction];

	m->reserved_octets[account] += billed;
	m->all_reserved_octets += billed;
}

/* The same where nobody pays. */
static inline void meter_add_free(
	struct meter *m, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	m->free_octets[direction] += octets;
	m->free_packets[direction] += n_packets;
	m->all_reserved_octets += octets + n_packets * m->params.overhead_octets[direction];
}

/* Whether a class is not billed. */
static inline bool meter_is_free(const struct meter *m, uint8_t class_id)
{
	return (m->params.free_classes >> class_id & 1) != 0;
}

/* Octets billed so far in both directions. */
static inline uint64_t meter_used(const struct meter *m)
{
	return m->billed_octets[UPLINK] + m->billed_octets[DOWNLINK];
}

/* How far a sum is from a limit; below zero when it is beyond. */
static inline int64_t meter_gap(const uint64_t *limit, uint64_t sum)
{
	return (int64_t)(__atomic_load_n(limit, __ATOMIC_RELAXED) - sum);
}

/* Octets that may be sent before the next lease. */
static inline int64_t meter_lease_left(const struct meter *m)
{
	return meter_gap(&m->limits.leased, meter_used(m));
}

/* Octets billed to an account so far. */
static inline uint64_t meter_account_used(const struct meter *m, uint8_t account)
{
	return account == ACCOUNT_GENERAL ? meter_used(m) - m->all_reserved_octets
					  : m->reserved_octets[account];
}

/* Octets left on an account. */
static inline int64_t meter_left(const struct meter *m, uint8_t account)
{
	return meter_gap(&m->limits.accounts[account], meter_account_used(m, account));
}

#endif
