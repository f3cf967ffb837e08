/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the plans let go: leases from the ledger, quotas, reserves and cycles, turned into the limits of the path's meters.
 *
 * Source:   docs/decisions/0006-leases-and-reserves.md.
 * Shapes:   plans are those of the configuration, in its order. What a plan has used in its cycle is the ledger's word; what each
 *           reserve of it has used, too. General traffic has the quota less all reserves.
 * Units:    octets as the carrier bills them; wall time in seconds since 1970 (UTC).
 * Errors:   0 or a negative errno. A ledger that cannot be written, or was damaged, leaves what `when_unrecorded` says.
 * Threads:  one owner, which may block on the disk; budget_set_config, budget_count and the readers are for any thread, and
 *           never wait for the disk.
 * Memory:   fixed at create.
 */
#ifndef WEIR_CONTROL_BUDGET_H
#define WEIR_CONTROL_BUDGET_H

#include <weir/account/record.h>
#include <weir/budget/forecast.h>
#include <weir/budget/ladder.h>
#include <weir/control/config.h>
#include <weir/control/ledger.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

struct budget;

/* Where the plans stand at a time. */
struct budget_time {
	uint64_t now_us; /* monotonic, the path's clock */
	int64_t wall_s;
	bool is_trusted; /* the wall clock is right */
};

struct budget_view {
	struct ledger_plan plan;
	uint64_t quota_octets; /* with top-ups and rollover; 0: none */
	uint64_t reserved_octets;
	uint64_t reserve_used_octets;
	int64_t cycle_end_s;             /* 0: not known */
	enum ladder_action action;       /* what the ladder does to it now */
	struct forecast forecast;        /* of the cycle's end */
	bool is_unrecorded;              /* the ledger cannot be written */
	struct ledger_usage unsolicited; /* of this cycle: belongs to no flow */
};

/* What quotas of devices have done since the start. */
struct budget_devices {
	uint64_t n_steps;    /* taken, in either direction */
	uint32_t n_cut;      /* that are held to reserves or blocked now */
	uint32_t n_unlisted; /* whose use found no room in the ledger: a restart forgets it */
};

/* Opens the books of the configured plans, on the ledger in `store` (borrowed), and sets the path's limits. `ret_recovery` tells what
 * was found there. */
int budget_create(const struct config *c, struct path *path, struct journal_store *store,
	const struct budget_time *now, struct ledger_recovery *ret_recovery,
	struct budget **ret_budget);

/* Frees it and writes nothing. NULL is fine. */
void budget_destroy(struct budget *b);

/* Another configuration, from the next tick on: the same plans, other rules. */
void budget_set_config(struct budget *b, const struct config *c);

/* Settles what was used, renews leases, turns cycles, sets the path's limits. May block on the disk. */
void budget_tick(struct budget *b, const struct budget_time *now);

/* An orderly end, after the path's last packet: gives back what is leased. */
int budget_finish(struct budget *b, const struct budget_time *now);

/* Takes down whose octets a flow record tells of. */
void budget_count(struct budget *b, const struct path_config *pc, const struct flow_record *r);

/* Takes down octets that came for no flow: class `unsolicited`, of no device. */
void budget_count_unsolicited(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage);

/* As of the last tick; false when there is no such plan. */
bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view);

/* As of the last tick. */
struct budget_devices budget_devices_read(struct budget *b);

/* "reserve-only"; never NULL. */
const char *budget_action_name(enum ladder_action action);

/* What the ledger has written, and how it is; `ret_n_unattributed`: flow records whose class and device found no room. */
struct ledger_stats budget_ledger_stats(struct budget *b, uint64_t *ret_n_unattributed);

#endif
