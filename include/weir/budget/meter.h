/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts billable octets against a plan's quota and says whether more may go.
 *
 * Shapes:   one meter a plan. Uplink and downlink octets both count.
 * Units:    octets, with the carrier's overhead a packet added to each packet.
 * Threads:  one worker owns a meter; control reads its counters.
 */
#ifndef WEIR_BUDGET_METER_H
#define WEIR_BUDGET_METER_H

#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

#define PLANS_MAX 8
#define PLAN_NONE UINT8_MAX

struct meter_params {
	uint64_t quota_octets;           /* 0: no quota */
	uint16_t overhead_octets_packet; /* added to each packet: the carrier's tunnel */
	bool block_when_spent;
};

struct meter {
	struct meter_params params;
	uint64_t billed_octets[N_DIRECTIONS]; /* with overhead */
	uint64_t octets[N_DIRECTIONS];        /* without */
	uint64_t packets[N_DIRECTIONS];
};

void meter_init(struct meter *m, const struct meter_params *params);

/* Takes new parameters; what was counted stays. */
void meter_set_params(struct meter *m, const struct meter_params *params);

/* Adds `octets` in `n_packets`; modulo 2^64, so that -1 takes one away. */
static inline void meter_add(
	struct meter *m, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	m->octets[direction] += octets;
	m->packets[direction] += n_packets;
	m->billed_octets[direction] += octets + n_packets * m->params.overhead_octets_packet;
}

/* Counts a packet that crosses the uplink's edge. */
static inline void meter_count(struct meter *m, enum direction direction, uint32_t octets)
{
	meter_add(m, direction, octets, 1);
}

/* Octets billed so far in both directions. */
static inline uint64_t meter_used(const struct meter *m)
{
	return m->billed_octets[UPLINK] + m->billed_octets[DOWNLINK];
}

/* Octets that may be billed before the plan stops its traffic, below zero when more were; INT64_MAX when nothing stops
 * it. */
static inline int64_t meter_left(const struct meter *m)
{
	if (!m->params.block_when_spent || m->params.quota_octets == 0)
		return INT64_MAX;
	return (int64_t)(m->params.quota_octets - meter_used(m));
}

/* True when a packet of `octets` may be sent without going over the quota. */
static inline bool meter_admits(const struct meter *m, uint32_t octets)
{
	return (int64_t)octets + m->params.overhead_octets_packet <= meter_left(m);
}

#endif
