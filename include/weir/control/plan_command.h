/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an operator may tell weir of a plan, over the control socket.
 *
 * Shapes:   {"plan": "sim1", "top_up_octets": 100000000}: so much was bought on top, and lasts until it is used;
 *           {"plan": "sim1", "set_used_octets": 123000000}: the carrier's own figure for the cycle so far, after a damaged ledger or
 *           a change of the SIM. The answer is one object, as the plan stands then: {"plan": "sim1", "quota_octets": N, ...}.
 * Errors:   a sentence, with what there is instead.
 * Threads:  control; it waits for the disk between the pieces of its answer, never in one.
 * Memory:   an answer in the making.
 */
#ifndef WEIR_CONTROL_PLAN_COMMAND_H
#define WEIR_CONTROL_PLAN_COMMAND_H

#include <weir/control/budget.h>
#include <weir/control/server.h>

#include <stdbool.h>

/* True when a request tells something of a plan. */
bool plan_command_is(const json_t *request);

/* As server_handlers.begin; the budget is borrowed. */
int plan_command_answer(struct budget *budget, json_t *request, char error[SERVER_ERROR_MAX],
	struct server_answer **ret_answer);

#endif
