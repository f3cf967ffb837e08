/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ledger holds in memory, its rows on disk, and the tables of usage.
 *
 * Shapes:   a payload is a row after row: type, octets of the body, body. Unknown types are passed over, so an older version
 *           reads what a newer one has added. Each payload has the ledger's row and all plans' rows in front: the last one that
 *           can be read tells every plan's sums, whatever became of those before it.
 * Threads:  the ledger's owner.
 */
#ifndef WEIR_CONTROL_LEDGER_STATE_H
#define WEIR_CONTROL_LEDGER_STATE_H

#include <weir/control/ledger.h>

#define LEDGER_DAY_US (UINT64_C(86400) * 1000000)

/* Whether the disk has a row as it is. */
enum row_mark {
	ROW_CLEAN,
	ROW_DIRTY,
	ROW_WRITING, /* in the payload being made durable */
};

struct plan_row {
	char name[LEDGER_NAME_MAX]; /* "": free */
	bool is_asked_for;          /* since the ledger was opened */
	bool is_spent;
	bool is_unsure; /* which cycle the damage belongs to */
	int64_t cycle_start_s;
	uint64_t granted;
	uint64_t billed;
	uint64_t cycle_base; /* `billed` where the cycle began */
	uint64_t top_up;
	uint64_t rollover;
	uint64_t lost;
	struct ledger_usage usage;
	struct bill bill; /* of the cycle, kept by the caller; all zeros until it is begun */
	uint64_t credited_octets; /* of the top-ups that a configuration names */
	/* For the size of leases; not on disk. */
	uint64_t lease_us;
	uint64_t lease_billed;
};

/* A day or a cycle. */
struct period_row {
	int64_t key; /* the day, or the cycle's start */
	uint64_t billed;
	struct ledger_usage usage;
	/* cycles alone */
	int64_t end_s;
	uint64_t lost;
	uint64_t top_up;
	uint64_t rollover;
	uint8_t mark;
};

/* The last periods of a plan; the oldest makes room. */
struct periods {
	struct period_row *rows;
	uint32_t capacity;
	uint64_t n_added;
};

struct class_row {
	struct ledger_usage usage;
	uint8_t mark;
};

struct device_row {
	struct mac_addr mac;
	uint8_t plan;
	uint8_t mark;
	bool is_used;
	int32_t last_day;
	struct ledger_usage usage;
};

struct share_row {
	struct ledger_share share;
	bool is_used;
	uint8_t mark;
};

struct ledger {
	struct journal *journal;
	bool is_suspect; /* records of plans that are not known here may be lost */
	struct plan_row plans[LEDGER_PLANS_MAX];
	char class_names[LEDGER_CLASSES_MAX][LEDGER_NAME_MAX]; /* 0: "" */
	struct class_row classes[LEDGER_PLANS_MAX][LEDGER_CLASSES_MAX];
	struct periods days[LEDGER_PLANS_MAX];
	struct periods cycles[LEDGER_PLANS_MAX];
	struct period_row *periods; /* of all of them */
	struct device_row *devices; /* the first of each plan: those without room */
	uint32_t n_devices;
	uint32_t next_device;     /* where the next record goes on */
	struct share_row *shares; /* a row near where its key leads */
	uint32_t n_shares;
	uint32_t next_share;

	uint32_t writes_per_day;
	uint64_t
		day_us; /* when the day of the flash budget began, by the monotonic clock modulo 2^64 */
	uint32_t day_passed_s; /* of it, as of the last write */
	uint64_t backoff_us;
	struct ledger_stats stats;
	struct journal_stats seen; /* as of the last write */
};

static inline bool plan_is_known(const struct ledger *l, uint8_t plan)
{
	return plan < LEDGER_PLANS_MAX && l->plans[plan].name[0] != '\0';
}

void usage_add(struct ledger_usage *sum, const struct ledger_usage *more);

/* ledger_usage.c */
void periods_place(struct ledger *l, uint32_t n_days, uint32_t n_cycles);
/* The period of that key, added if it is new; marked dirty. */
struct period_row *periods_get(struct periods *p, int64_t key);
/* From the newest (0) backwards; NULL past the end. */
struct period_row *periods_at(const struct periods *p, uint32_t i);
uint8_t class_get(struct ledger *l, const char *name);
struct device_row *device_get(struct ledger *l, uint8_t plan, const struct mac_addr *mac);
/* ledger_shares.c: the row of a station, plan and class; NULL when there is no room near its place. */
struct share_row *share_get(
	struct ledger *l, const struct mac_addr *key, uint8_t plan, uint8_t class_id);
void shares_clear(struct ledger *l, uint8_t plan);
/* Forgets what a plan's cycle has counted by class and device, or all that is known of the plan. */
void plan_clear_cycle(struct ledger *l, uint8_t plan);
void plan_clear(struct ledger *l, uint8_t plan);
void ledger_clear(struct ledger *l);

/* ledger_rows.c: writes all rows, or those that the disk has not, as far as there is room. Returns the octets. */
uint32_t rows_write(struct ledger *l, bool is_checkpoint, uint8_t *payload, uint32_t room_bytes);
/* After the payload has become durable, or has not. */
void rows_written(struct ledger *l, bool is_durable);
/* Reads a payload over what is there. 0, or -EINVAL when it makes no sense. */
int rows_read(struct ledger *l, bool is_checkpoint, const uint8_t *payload, uint32_t n_bytes);
/* What a checkpoint may come to. */
uint64_t rows_most(uint32_t n_days, uint32_t n_cycles, uint32_t n_devices, uint32_t n_shares);
/* What must fit into every record. */
uint32_t rows_least(void);

#endif
