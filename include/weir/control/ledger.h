/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases and usage that survive power loss: what may be sent, what was sent, and by whom.
 *
 * Source:   docs/decisions/0005-ledger-format.md.
 * Shapes:   of each plan two sums that never go back: `granted` (the disk's upper bound) and `billed` (what is known to be
 *           used). The path may bill up to `granted`, which grows only after it is durable. After a crash what lies between
 *           the two counts as used and lost, less than one lease; an orderly end gives it back.
 *           Usage is told as it becomes known and goes along with the next grant: it costs no write of its own.
 *           Rows are absolute values, so that writing one again is harmless and a later one makes up for a lost one.
 * Units:    octets; wall time in seconds since 1970 (UTC), days since 1970 in whatever zone the caller counts them; monotonic
 *           time in microseconds.
 * Errors:   negative errno. A failed write makes the ledger LEDGER_BROKEN: nothing is granted, counting goes on in memory,
 *           and ledger_retry mends it by itself when the disk is willing. One that is opened with the day's writes used up is
 *           broken with -EDQUOT for a while: a loop of crashes must not wear the flash out.
 * Threads:  one owner, control; granting blocks until the disk has it.
 * Memory:   fixed when opened, by the limits below (some 300 KiB beside the journal's).
 */
#ifndef WEIR_CONTROL_LEDGER_H
#define WEIR_CONTROL_LEDGER_H

#include <weir/base/addr.h>
#include <weir/base/direction.h>
#include <weir/budget/bill.h>
#include <weir/control/journal.h>
#include <weir/control/lease_size.h>

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_NAME_MAX    32
#define LEDGER_PLANS_MAX   8
#define LEDGER_CLASSES_MAX 40  /* names; class 0 takes what has found no room */
#define LEDGER_DAYS        400 /* default, a plan */
#define LEDGER_CYCLES      24  /* default, a plan */
#define LEDGER_DEVICES                                                                             \
	1024 /* default, pairs of device and plan; the all-zero address takes what has found no room */
#define LEDGER_SHARES                                                                              \
	2048 /* default: of a station, a plan, and its quota or a reserve; who finds no room is not kept */
#define LEDGER_NONE UINT8_MAX

struct ledger;

/* 0 stands for the default. */
struct ledger_params {
	struct journal_params journal;
	uint32_t n_days;
	uint32_t n_cycles;
	uint32_t n_devices;
	uint32_t n_shares;
	uint32_t writes_per_day;
};

struct ledger_usage {
	uint64_t octets[N_DIRECTIONS]; /* IP header and payload */
	uint64_t packets[N_DIRECTIONS];
};

struct ledger_time {
	uint64_t now_us; /* monotonic */
	int64_t wall_s;
	int32_t day;     /* of wall_s, where the plan counts its days */
	bool is_trusted; /* the wall clock is right: otherwise days are booked on the last one known */
};

enum ledger_state {
	LEDGER_SOUND,
	LEDGER_BROKEN, /* the last write failed */
};

struct ledger_lost {
	char plan[LEDGER_NAME_MAX];
	uint64_t octets; /* leased when the crash came: counted as used, by nobody in particular */
	bool is_assumed_spent;
};

/* What opening has found, to be logged. */
struct ledger_recovery {
	struct journal_found journal;
	uint32_t n_plans;
	struct ledger_lost plans[LEDGER_PLANS_MAX];
	bool is_assumed_spent; /* plans that are not named here will be, too */
};

struct ledger_plan {
	char name[LEDGER_NAME_MAX];
	int64_t cycle_start_s;  /* 0: no cycle known yet */
	uint64_t used_octets;   /* of this cycle, billed; what was lost to crashes included */
	uint64_t leased_octets; /* may still be billed */
	uint64_t top_up_octets; /* of this cycle */
	uint64_t rollover_octets;
	uint64_t lost_octets; /* of this cycle */
	uint64_t
		granted_total; /* since the plan is known: granted_total - billed_total is what is leased */
	uint64_t billed_total;
	struct ledger_usage usage; /* of this cycle */
	bool is_assumed_spent; /* records are damaged: the whole quota counts as used until the cycle ends or
				      ledger_forgive says otherwise */
};

struct ledger_day {
	int32_t day;
	uint64_t billed_octets;
	struct ledger_usage usage;
};

struct ledger_cycle {
	int64_t start_s;
	int64_t end_s;
	uint64_t billed_octets;
	uint64_t lost_octets;
	uint64_t top_up_octets;
	uint64_t rollover_octets;
	struct ledger_usage usage;
};

struct ledger_device {
	struct mac_addr mac;
	uint8_t plan;
	int32_t last_day;
	struct ledger_usage usage; /* of this cycle */
};

/* What one station has used of a plan in this cycle. */
struct ledger_share {
	struct mac_addr key; /* its MAC, or what stands for one */
	uint8_t plan;
	uint8_t class_id; /* of its own quota: 0; else of the reserve that the class stands for */
	uint64_t octets;  /* as the plan bills them */
};

struct ledger_stats {
	enum ledger_state state;
	int error;               /* of the last write: 0 or a negative errno */
	uint64_t broken_us;      /* when it broke */
	uint64_t retry_us;       /* when it tries again */
	uint64_t overrun_octets; /* billed beyond leases: what comes in cannot be refused */
	uint32_t
		n_writes_today; /* records and checkpoints, in a day of running: restarts begin none */
	uint64_t written_bytes_today;
	uint32_t n_writes_yesterday;
	uint64_t written_bytes_yesterday;
	struct journal_stats journal; /* since it was opened */
};

/* Opens the ledger, counts as used what a crash has left unknown and makes that durable. A disk that can be read but not
 * written makes a LEDGER_BROKEN one. Borrows the store. 0, -ENOMEM, -EINVAL or the store's error. */
int ledger_open(struct journal_store *store, const struct ledger_params *params,
	const struct ledger_time *when, struct ledger_recovery *ret_recovery,
	struct ledger **ret_ledger);

/* Frees it and writes nothing: what is leased stays leased on disk. */
void ledger_destroy(struct ledger *l);

/* An orderly end: gives back what is leased and not used, and makes all usage durable. No packet may be sent afterwards. */
int ledger_finish(struct ledger *l, const struct ledger_time *when);

/* The plan or class of that name, added if it is new. Names that have been asked for stay; a new plan may take the place of
 * the one longest out of use among the others. A plan is LEDGER_NONE and a class 0 where there is no room. */
uint8_t ledger_plan(struct ledger *l, const char *name);
uint8_t ledger_class(struct ledger *l, const char *name);

/* Octets billed and usage of a plan since it was last told. */
void ledger_settle(struct ledger *l, uint8_t plan, uint64_t billed_octets,
	const struct ledger_usage *usage, const struct ledger_time *when);

/* The plan's bill, which the caller keeps in step with ledger_settle: each record has both as they are then. Opening adds what a
 * crash has lost to what it does not know of. All zeros (bill_is_begun) where no record told. NULL for no plan. */
struct bill *ledger_bill(struct ledger *l, uint8_t plan);

/* Whose they were. Sums of their own: they may be told later than ledger_settle's, as flows are reported. */
void ledger_count_class(
	struct ledger *l, uint8_t plan, uint8_t class_id, const struct ledger_usage *usage);
void ledger_count_device(struct ledger *l, uint8_t plan, const struct mac_addr *mac,
	const struct ledger_usage *usage, const struct ledger_time *when);

/* What a station has used by now; false when there is no room for it. Goes with the cycle. */
bool ledger_set_share(struct ledger *l, const struct ledger_share *share);

struct ledger_lease {
	uint8_t plan;
	uint64_t octets; /* more than are leased already */
};

/* Leases more, several plans in one write, and tells all usage on the way. Returns 0 when it is durable; else nothing was
 * leased. */
int ledger_grant(struct ledger *l, const struct ledger_lease *leases, uint32_t n_leases,
	const struct ledger_time *when);

/* What a plan should ask for now, 0 for nothing. `left_octets`: from what is used to the next threshold. */
uint64_t ledger_lease_ask(
	const struct ledger *l, uint8_t plan, uint64_t left_octets, const struct ledger_time *when);

/* Makes usage durable without a grant. */
int ledger_sync(struct ledger *l, const struct ledger_time *when);

/* What goes over from one cycle to the next. */
struct ledger_carry {
	uint64_t rollover_octets; /* of the quota */
	uint64_t top_up_octets;   /* of what was bought on top */
};

/* Ends a plan's cycle and begins the one that started at `start_s`; the same start again changes nothing. To be called
 * whenever the clock is trusted for the first time, too. On an error memory has begun it, and the disk will follow. The
 * bill is the caller's to begin, before: both are in one record. */
int ledger_begin_cycle(struct ledger *l, uint8_t plan, int64_t start_s,
	const struct ledger_carry *carry, const struct ledger_time *when);

/* Adds octets to this cycle. On an error nothing was added. */
int ledger_top_up(struct ledger *l, uint8_t plan, uint64_t octets, const struct ledger_time *when);

/* The sum of all top-ups that a configuration names: what it is more than last time is added, once. On an error nothing was. */
int ledger_credit(
	struct ledger *l, uint8_t plan, uint64_t total_octets, const struct ledger_time *when);

/* The operator's word on what this cycle has used, as the carrier tells it: ends is_assumed_spent. On an error memory has it,
 * and the disk will follow. */
int ledger_forgive(
	struct ledger *l, uint8_t plan, uint64_t used_octets, const struct ledger_time *when);

/* True while broken; tries to mend it when its time has come. */
bool ledger_retry(struct ledger *l, const struct ledger_time *when);

struct ledger_stats ledger_stats(const struct ledger *l);

/* Reading: false past the end, or for a plan that is none. Days and cycles from the newest (0) backwards. */
bool ledger_read_plan(const struct ledger *l, uint8_t plan, struct ledger_plan *ret_plan);
bool ledger_read_class(const struct ledger *l, uint8_t plan, uint8_t class_id,
	const char **ret_name, struct ledger_usage *ret_usage);
bool ledger_read_device(const struct ledger *l, uint32_t i, struct ledger_device *ret_device);
bool ledger_read_share(const struct ledger *l, uint32_t i, struct ledger_share *ret_share);
bool ledger_read_day(const struct ledger *l, uint8_t plan, uint32_t i, struct ledger_day *ret_day);
bool ledger_read_cycle(
	const struct ledger *l, uint8_t plan, uint32_t i, struct ledger_cycle *ret_cycle);

#endif
