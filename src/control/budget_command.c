/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator tells of a plan, and what ports tell of its sessions, from other threads to the owner. */
#include "budget_state.h"

#include <weir/base/log.h>

#include <errno.h>
#include <string.h>

static int carry_out(
	struct budget *b, const struct budget_command *c, const struct ledger_time *when)
{
	struct book *k = &b->books[c->plan];
	const struct rule *rule = rule_of(b, k);
	int error;

	if (c->kind == BUDGET_TOP_UP) {
		error = ledger_top_up(b->ledger, k->plan, c->octets, when);
		if (error == 0)
			log_event(LOG_NOTICE, "plan.top_up plan=%s octets=%llu by=operator",
				rule->name, (unsigned long long)c->octets);
	} else {
		bill_tell(k->bill, &rule->bill, c->octets);
		error = ledger_forgive(b->ledger, k->plan, c->octets, when);
		log_event(LOG_NOTICE, "plan.set_used plan=%s octets=%llu recorded=%s", rule->name,
			(unsigned long long)c->octets, error == 0 ? "yes" : "later");
		rebase(b, k);
	}
	k->stand_us = 0;
	k->foresee_us = 0;
	return error;
}

void command_take(struct budget *b, const struct ledger_time *when)
{
	struct budget_command command;
	bool is_given;
	int error;

	pthread_mutex_lock(&b->lock);
	is_given = b->command_state == COMMAND_GIVEN;
	command = b->command;
	pthread_mutex_unlock(&b->lock);
	if (!is_given)
		return;
	error = carry_out(b, &command, when);
	pthread_mutex_lock(&b->lock);
	b->command_error = error;
	b->is_command_told = true;
	pthread_mutex_unlock(&b->lock);
}

void command_tell(struct budget *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->command_state == COMMAND_GIVEN && b->is_command_told)
		b->command_state = COMMAND_DONE;
	b->is_command_told = false;
	pthread_mutex_unlock(&b->lock);
}

int budget_command_give(
	struct budget *b, const struct budget_command *command, uint32_t *ret_ticket)
{
	int error = 0;

	if (command->plan >= b->n_books)
		return -EINVAL;
	pthread_mutex_lock(&b->lock);
	if (b->command_state == COMMAND_GIVEN) {
		error = -EBUSY;
	} else {
		b->command = *command;
		b->command_state = COMMAND_GIVEN;
		*ret_ticket = ++b->n_commands;
	}
	pthread_mutex_unlock(&b->lock);
	return error;
}

bool budget_command_is_done(struct budget *b, uint32_t ticket, int *ret_error)
{
	bool is_done;

	pthread_mutex_lock(&b->lock);
	is_done = ticket != b->n_commands || b->command_state == COMMAND_DONE;
	/* Another one has been given since, so this one was done; how it ended is no longer known. */
	*ret_error = ticket == b->n_commands ? b->command_error : -ESTALE;
	pthread_mutex_unlock(&b->lock);
	return is_done;
}

void budget_session(struct budget *b, uint8_t plan, bool is_new)
{
	uint8_t news = is_new ? SESSION_NEW : SESSION_UNSURE;

	if (plan >= b->n_books)
		return;
	pthread_mutex_lock(&b->lock);
	if (b->sessions[plan] < news)
		b->sessions[plan] = news;
	pthread_mutex_unlock(&b->lock);
}

bool budget_find(struct budget *b, const char *name, uint8_t *ret_plan)
{
	bool is_found = false;

	pthread_mutex_lock(&b->lock);
	for (uint8_t i = 0; i < b->n_books && !is_found; i++) {
		is_found = strcmp(b->views[i].name, name) == 0;
		if (is_found)
			*ret_plan = i;
	}
	pthread_mutex_unlock(&b->lock);
	return is_found;
}
