/* SPDX-License-Identifier: BSD-3-Clause */
/* What budget.c (the tick), budget_bill.c (bill and cycle), budget_limits.c (steps and limits), budget_command.c, budget_rules.c and
 * budget_usage.c share. */
#ifndef WEIR_SRC_CONTROL_BUDGET_STATE_H
#define WEIR_SRC_CONTROL_BUDGET_STATE_H

#include <weir/base/amount.h>
#include <weir/base/zone.h>
#include <weir/budget/cycle.h>
#include <weir/budget/ladder.h>
#include <weir/budget/taper.h>
#include <weir/control/budget.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define INBOX_ROWS 1024 /* a power of two */

/* Usage that flow records told of, until the owner takes it: by plan, class and device. */
struct inbox_row {
	bool is_used;
	bool is_of_device; /* false: nobody's on the LANs */
	uint8_t plan;
	char class_name[CLASS_NAME_MAX];
	struct mac_addr mac;
	struct ledger_usage usage;
};

/* Where a plan stands, by the high end of its bill. */
struct stand {
	uint64_t quota_octets; /* 0: none */
	struct bill_interval bill;
	struct ladder_now ladder;
	uint64_t all_octets; /* that may cross before the quota is used up; UINT64_MAX: at will */
	uint64_t general_octets; /* the same of what no reserve pays for */
	uint64_t lease_octets;   /* before something is taken away */
};

/* One plan, as the path counts it. */
struct book {
	uint8_t plan;            /* the ledger's id */
	struct meter seen;       /* at the last tick */
	uint64_t settled_octets; /* of the meter's sum, what the ledger was told */
	struct ledger_usage settled;
	struct bill_sum billed; /* of the meter's sums, what the bill was told */
	struct bill_sum free;
	uint64_t settled_reserves[METER_ACCOUNTS];
	/* What each account had used in this cycle when its sum stood at `base`. */
	uint64_t base[METER_ACCOUNTS];
	uint64_t used_at_base[METER_ACCOUNTS];
	struct zone *zone; /* the carrier's; NULL where it cannot be read, and then no cycle ends */
	uint32_t n_cycles;
	struct cycle cycle; /* start_s 0: not known */
	struct ladder_day day;
	struct bill *bill; /* in the ledger */
	uint64_t clock_us; /* when the bill's time was what it is, while no clock can be believed */
	struct taper taper;
	struct stand stand;
	uint64_t stand_us; /* when it is to be worked out anew, whatever was used */
	struct forecast forecast;
	uint64_t foresee_us; /* when the next forecast is due */
};

/* What of the configuration is needed here; another thread may replace the rest at any time. */
struct rule {
	char name[CONFIG_NAME_MAX];
	char timezone[CONFIG_TEXT_MAX];
	char carrier[CONFIG_TEXT_MAX];
	struct cycle_rule cycle;
	struct bill_rule bill;
	struct ladder ladder;
	bool prepaid;
	uint64_t quota_octets; /* 0: none, or prepaid */
	uint64_t top_up_octets;
	uint64_t carry_max_octets;
	enum config_unrecorded when_unrecorded;
};

struct rules {
	struct rule plans[PLANS_MAX];
	char account_names[METER_ACCOUNTS][CLASS_NAME_MAX]; /* of the classes that own them */
	uint64_t reserves[METER_ACCOUNTS];
	uint64_t device_reserves[METER_ACCOUNTS];
};

struct device_quotas;

enum command_state {
	COMMAND_NONE,
	COMMAND_GIVEN,
	COMMAND_DONE
};

/* What became of a plan's session with its carrier since the last tick. */
enum session_news {
	SESSION_GOES_ON,
	SESSION_UNSURE,
	SESSION_NEW
};

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
	struct budget_command command;
	enum command_state command_state;
	int command_error;
	bool is_command_told; /* carried out, not shown yet */
	uint32_t n_commands;
	uint8_t sessions[PLANS_MAX]; /* enum session_news */
};

static inline const struct rule *rule_of(const struct budget *b, const struct book *k)
{
	return &b->rules.plans[k - b->books];
}

static inline uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

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

/* What the ledger has of the classes `link-probe` and `unsolicited` in this cycle. */
void read_probes(const struct budget *b, const struct book *k, struct ledger_usage *ret_usage);
void read_unsolicited(const struct budget *b, const struct book *k, struct ledger_usage *ret_usage);

/* budget_bill.c: a plan's bill begins, or goes on, after the ledger was opened. */
void bill_take_up(struct budget *b, struct book *k, const struct ledger_time *when);
/* Time passes, and the bill and the ledger are told what the meter has counted since the last time. */
void settle(struct budget *b, struct book *k, const struct ledger_time *when);
/* A cycle that has ended hands its quota back. Without a clock that can be believed none ends. */
void turn_cycle(struct budget *b, struct book *k, const struct ledger_time *when);
/* From here on the meter's sums are counted from what the ledger has. */
void rebase(struct budget *b, struct book *k);
/* What an account has used in this cycle. */
uint64_t account_used(const struct book *k, uint8_t account);

/* budget_limits.c: where a plan stands, when stand_us has come. */
void stand_up(struct budget *b, struct book *k, const struct ledger_time *when);
/* Puts a plan's limits in force and shows where it stands. */
void enforce(struct budget *b, struct book *k, const struct ledger_time *when);

/* budget_command.c: carries out what was asked for. */
void command_take(struct budget *b, const struct ledger_time *when);
/* Tells who asked, once the views show it. */
void command_tell(struct budget *b);

#endif
