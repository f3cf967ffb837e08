/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nobody asked for, and what it costs: the octets that came by uplinks and belong to no flow are handed to the ledger as the
 * class `unsolicited`, and an alarm stands while, at the present pace, they would take more of a plan than it allows them.
 *
 * Shapes:   the present pace is what came in the last hour, however short the program has run: one stray packet is no pace, and a flood
 *           is one within seconds. The alarm goes on where the forecast for the cycle's end exceeds plans.*.unsolicited_alarm of
 *           the quota, and off again below three quarters of that. Without a known end of the cycle thirty days are reckoned with.
 * Units:    octets as billed: with the carrier's overhead a packet.
 * Threads:  one owner, the control thread, with its clients' answers.
 * Memory:   fixed at create.
 */
#ifndef WEIR_CONTROL_UNSOLICITED_H
#define WEIR_CONTROL_UNSOLICITED_H

#include <weir/control/budget.h>
#include <weir/control/config.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

struct unsolicited_watch;

struct unsolicited_view {
	uint64_t used_octets;     /* of this cycle */
	uint64_t hour_octets;     /* the present pace: of the last hour */
	uint64_t forecast_octets; /* used when the cycle ends, at this pace */
	uint64_t alarm_octets;    /* what they may come to; 0: there is no alarm */
	uint64_t n_alarms;        /* since the start */
	bool is_alarmed;
	bool has_sender;
	struct ip_addr sender;   /* who has sent most of the last minutes */
	uint64_t sender_octets;  /* in them, at least; without overhead */
	uint64_t sender_packets; /* since he was noticed */
};

/* Watches the uplinks of `path` for the plans of `c`; path and budget are borrowed. 0 or -ENOMEM. */
int unsolicited_create(struct path *path, struct budget *budget, const struct config *c,
	struct unsolicited_watch **ret_watch);

/* NULL is fine. */
void unsolicited_destroy(struct unsolicited_watch *u);

/* Another configuration: the same plans, other shares. */
void unsolicited_set_config(struct unsolicited_watch *u, const struct config *c);

/* Once a second or so, and once after the path's last packet. */
void unsolicited_tick(struct unsolicited_watch *u, const struct budget_time *now);

/* As of the last tick; false when there is no such plan. */
bool unsolicited_read(
	const struct unsolicited_watch *u, uint32_t plan_id, struct unsolicited_view *ret_view);

#endif
