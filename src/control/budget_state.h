/* SPDX-License-Identifier: BSD-3-Clause */
/* What budget.c (leases, limits, cycles), budget_rules.c and budget_usage.c share. */
#ifndef WEIR_SRC_CONTROL_BUDGET_STATE_H
#define WEIR_SRC_CONTROL_BUDGET_STATE_H

#include <weir/base/zone.h>
#include <weir/budget/cycle.h>
#include <weir/budget/ladder.h>
#include <weir/control/budget.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define INBOX_ROWS 1024 /* a power of two */
#define ALL_PPM    1000000u

/* Usage that flow records told of, until the owner takes it: by plan, class and device. */
struct inbox_row {
	bool is_used;
	bool is_of_device; /* false: nobody's on the LANs */
	uint8_t plan;
	char class_name[CLASS_NAME_MAX];
	struct mac_addr mac;
	struct ledger_usage usage;
};

/* One plan, as the path counts it. */
struct book {
	uint8_t plan;            /* the ledger's id */
	struct meter seen;       /* at the last tick */
	uint64_t settled_octets; /* of the meter's sum, what the ledger was told */
	struct ledger_usage settled;
	uint64_t settled_reserves[METER_ACCOUNTS];
	/* What each account had used in this cycle when its sum stood at `base`. */
	uint64_t base[METER_ACCOUNTS];
	uint64_t used_at_base[METER_ACCOUNTS];
	struct zone *zone; /* the carrier's; NULL where it cannot be read, and then no cycle ends */
	uint32_t n_cycles;
	struct cycle cycle; /* start_s 0: not known */
	struct ladder_day day;
	struct forecast forecast;
	uint64_t foresee_us; /* when the next forecast is due */
};

/* What of the configuration is needed here; another thread may replace the rest at any time. */
struct rule {
	char name[CONFIG_NAME_MAX];
	char timezone[CONFIG_TEXT_MAX];
	struct cycle_rule cycle;
	struct ladder ladder;
	uint64_t quota_octets; /* 0: none */
	enum config_unrecorded when_unrecorded;
};

struct rules {
	struct rule plans[PLANS_MAX];
	char account_names[METER_ACCOUNTS][CLASS_NAME_MAX]; /* of the classes that own them */
	uint64_t reserves[METER_ACCOUNTS];
	uint64_t device_reserves[METER_ACCOUNTS];
};

struct device_quotas;

struct budget {
	struct rules rules;
	struct path *path;
	struct ledger *ledger;
	struct book books[PLANS_MAX];
	uint32_t n_books;
	struct inbox_row inboxes[2][INBOX_ROWS]; /* one fills while the other is read */
	pthread_mutex_t lock; /* of what follows: nobody holds it while he waits for the disk */
	struct inbox_row *inbox;
	uint64_t
		n_unattributed; /* records that found no room: their octets are in the plans' sums */
	struct rules next_rules; /* when has_next_rules */
	bool has_next_rules;
	struct device_quotas *quotas;
	struct budget_devices devices;
	struct budget_view views[PLANS_MAX];
	struct ledger_stats stats;
};

/* device_quota.c: what devices have used of the plans. -ENOMEM. */
int device_quota_create(struct budget *b, const struct config *c);
void device_quota_destroy(struct budget *b);
/* Gives the path back what the ledger knows, before its first packet. */
void device_quota_restore(struct budget *b);
/* Another configuration, from the next tick on; the lock is held. */
void device_quota_set_config(struct budget *b, const struct config *c);
/* Tells the ledger what devices have used, and the log what steps they have taken. May write. */
void device_quota_tick(struct budget *b, const struct ledger_time *when);
/* The same before an orderly end. */
void device_quota_finish(struct budget *b, const struct ledger_time *when);

/* What a configuration says. */
void rules_fill(const struct config *c, struct rules *ret_rules);

/* Hands the ledger what flow records told since the last time. */
void inbox_take(struct budget *b, const struct ledger_time *when);

/* What the ledger has of the class `unsolicited` in this cycle. */
void read_unsolicited(const struct budget *b, const struct book *k, struct ledger_usage *ret_usage);

#endif
