/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the plans let go: leases from the ledger, quotas, reserves and cycles, turned into the limits of the path's meters.
 *
 * Source:   docs/decisions/0006-leases-and-reserves.md, 0009-the-end-of-a-plan.md.
 * Shapes:   plans are those of the configuration, in its order. What a plan has used in its cycle is the ledger's word; what each
 *           reserve of it has used, too. What is enforced follows the high end of the bill (budget/bill.h): general traffic
 *           has the quota less what reserves may still cost.
 * Units:    octets as the carrier bills them; wall time in seconds since 1970 (UTC).
 * Errors:   0 or a negative errno. A ledger that cannot be written, or was damaged, leaves what `when_unrecorded` says.
 * Threads:  one owner, which may block on the disk; budget_set_config, budget_count, commands and the readers are for any thread, and
 *           never wait for the disk.
 * Memory:   fixed at create.
 */
#ifndef WEIR_CONTROL_BUDGET_H
#define WEIR_CONTROL_BUDGET_H

#include <weir/account/record.h>
#include <weir/budget/bill.h>
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
	char name[CONFIG_NAME_MAX];
	char carrier[CONFIG_TEXT_MAX]; /* whose way of counting; "": none that has a name */
	struct ledger_plan plan;
	struct bill_interval bill; /* steps follow its high end */
	struct bill_sum free;      /* of classes that are not billed */
	uint64_t quota_octets;     /* with top-ups and what was carried over; 0: none */
	uint64_t general_octets; /* left to traffic that no reserve pays for; UINT64_MAX: at will */
	uint64_t reserved_octets;
	uint64_t reserve_used_octets;
	int64_t cycle_end_s;       /* 0: not known */
	enum ladder_action action; /* what the ladder does to it now */
	uint64_t rate_bps;         /* of LADDER_SHAPE */
	bool is_paced;             /* more than the days so far were to have */
	uint64_t general_bps
		[N_DIRECTIONS]; /* how fast traffic may go that no reserve pays for; 0: at will */
	/* Since the start, by step. */
	uint64_t n_reached[LADDER_BLOCK + 1];
	uint64_t n_taken_back[LADDER_BLOCK + 1];
	struct forecast forecast;        /* of the bill's high end when the cycle ends */
	bool is_unrecorded;              /* the ledger cannot be written */
	bool is_leased;                  /* nothing is sent that the ledger has not made room for */
	struct ledger_usage unsolicited; /* of this cycle: belongs to no flow */
	struct ledger_usage probes;      /* of this cycle: weir's own */
};

/* What quotas of devices have done since the start. */
struct budget_devices {
	uint64_t n_steps;    /* taken, in either direction */
	uint32_t n_cut;      /* that are held to reserves or blocked now */
	uint32_t n_unlisted; /* whose use found no room in the ledger: a restart forgets it */
};

/* Octets left of the quota, by the high end of the bill. */
static inline uint64_t budget_left(const struct budget_view *v)
{
	return v->bill.high_octets < v->quota_octets ? v->quota_octets - v->bill.high_octets : 0;
}

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

#define BUDGET_PROBES_CLASS "link-probe"

/* The same of weir's own probes of a link. */
void budget_count_probes(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage);

/* As of the last tick; false when there is no such plan. */
bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view);

/* As of the last tick. */
struct budget_devices budget_devices_read(struct budget *b);

/* The plan of that name; false when there is none. */
bool budget_find(struct budget *b, const char *name, uint8_t *ret_plan);

enum budget_command_kind {
	BUDGET_TOP_UP,   /* octets were bought on top */
	BUDGET_SET_USED, /* so many were used in this cycle, as the carrier tells it */
};

struct budget_command {
	enum budget_command_kind kind;
	uint8_t plan;
	uint64_t octets;
};

/* Any thread: asks for something, one at a time. 0, -EBUSY or -EINVAL (no such plan). It is carried out at the next tick. */
int budget_command_give(
	struct budget *b, const struct budget_command *command, uint32_t *ret_ticket);

/* Whether it has been, and how it ended: 0 when the disk has it. A top-up that failed was not made; what was set holds in memory,
 * and the disk will follow. -ESTALE: it was done, and nobody asked in time. */
bool budget_command_is_done(struct budget *b, uint32_t ticket, int *ret_error);

/* Any thread: a plan's uplink is there again after it was gone. `is_new`: its carrier has begun another session for certain. */
void budget_session(struct budget *b, uint8_t plan, bool is_new);

/* "reserve-only"; never NULL. */
const char *budget_action_name(enum ladder_action action);

/* What the ledger has written, and how it is; `ret_n_unattributed`: flow records whose class and device found no room. */
struct ledger_stats budget_ledger_stats(struct budget *b, uint64_t *ret_n_unattributed);

#endif
