/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's books: the budget on a journal in the state directory, kept by a thread of its own, because it waits for the disk.
 *
 * Threads:  control starts and stops it.
 */
#ifndef WEIR_MAIN_GATEWAY_BUDGET_H
#define WEIR_MAIN_GATEWAY_BUDGET_H

#include <weir/control/budget.h>

struct gateway_budget;

/* Opens the books; when it returns, the path's limits are set. Errors are logged. Returns 0 or a negative errno. */
int gateway_budget_open(
	const struct config *c, struct path *path, struct gateway_budget **ret_books);

/* Begins to keep them. Returns 0 or a negative errno. */
int gateway_budget_start(struct gateway_budget *g);

/* The configuration in force from now on. */
void gateway_budget_set_config(struct gateway_budget *g, const struct config *c);

/* Now, by the clock that the configuration trusts. */
struct budget_time gateway_budget_time(const struct gateway_budget *g);

struct budget *gateway_budget(struct gateway_budget *g);

/* After the path's last packet: closes the books in order. NULL is fine. */
void gateway_budget_close(struct gateway_budget *g);

#endif
