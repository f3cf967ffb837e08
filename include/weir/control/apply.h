/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct config → what the path wants, and running vs new config → a list of actions.
 *
 * Shapes:   path ports have the ids of the configured ports, in the order of the file; behind them stands one tap for each
 *           LAN port that has one. A class that matches by nothing is left out, so class ids are
 *           those of classes_create(), not indices of the configuration.
 * Errors:   0, -EINVAL or -ENOMEM.
 * Threads:  control alone.
 * Memory:   results are the caller's.
 */
#ifndef WEIR_CONTROL_APPLY_H
#define WEIR_CONTROL_APPLY_H

#include <weir/control/config.h>
#include <weir/control/schema.h>
#include <weir/path/doors.h>

/* Which schedules hold now: a bit each, in the order of the configuration. */
struct schedule_state {
	uint32_t known; /* what is not: the clock is not trusted, or the time zone is missing */
	uint32_t holds;
};

/* Fills `setup` (ports and pool stay NULL, seed as configured: 0 when the caller is to choose one) and creates the
 * path's configuration; path_config_destroy() frees it. */
int config_to_path(
	const struct config *c, struct path_setup *ret_setup, struct path_config **ret_path_config);

/* The same at a time: a rule with a schedule is idle while that does not hold. While that is not known, rules that deny hold
 * and rules that allow are idle, which is what config_to_path() takes for granted. */
int config_to_path_at(const struct config *c, const struct schedule_state *now,
	struct path_setup *ret_setup, struct path_config **ret_path_config);

/* Who pays for a class (by its place in the configuration): the account of its reserve, ACCOUNT_FREE, or
 * ACCOUNT_GENERAL. */
uint8_t config_account_of(const struct config *c, uint32_t class_index);

/* The class that owns an account, what it may use of each plan in a cycle, and what one device may of that. NULL and 0 where
 * there is no such class; METER_UNLIMITED where devices have no limit of their own. */
const char *config_account_name(const struct config *c, uint8_t account);
uint64_t config_account_reserve(const struct config *c, uint8_t account);
uint64_t config_account_device_reserve(const struct config *c, uint8_t account);

/* A ladder of configured steps; where there are none, `last` holds from the whole quota on. `ret_ladder` begins without steps. */
void config_ladder(const struct config_ladder_step *steps, uint32_t n_steps,
	enum ladder_action last, struct ladder *ret_ladder);

/* Id of a LAN port's tap in the path, or PORT_NONE. */
uint8_t config_tap_id(const struct config *c, uint8_t port_id);

#define CONFIG_KEY_MAX 128

struct config_change {
	char key[CONFIG_KEY_MAX]; /* "ports.wwan0.rate.uplink" */
	enum schema_applies
		applies; /* at start: to be named in a warning, and nothing else happens now */
};

/* Starts as { 0 }. */
struct config_changes {
	struct config_change *list;
	uint32_t n;
	uint32_t n_live;
};

/*
 * Compares what runs with what is wanted. `*ret_next` is the configuration to publish: the running one with every live
 * key as wanted. Plans are known to the path by their place and ports by theirs, so adding, removing or
 * moving one is for the next start, and so is a reference to such a plan.
 */
int config_compare(const struct config *running, const struct config *wanted,
	struct config **ret_next, struct config_changes *changes);

/* Frees the list. */
void config_changes_clean(struct config_changes *changes);

#endif
