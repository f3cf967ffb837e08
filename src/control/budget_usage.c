/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose octets they were, from flow records to the ledger; and what others may read of the books. */
#include "budget_state.h"

#include <stdio.h>
#include <string.h>

#define INBOX_LOOKS 16

void inbox_take(struct budget *b, const struct ledger_time *when)
{
	struct inbox_row *full;

	pthread_mutex_lock(&b->lock);
	full = b->inbox;
	b->inbox = full == b->inboxes[0] ? b->inboxes[1] : b->inboxes[0];
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < INBOX_ROWS; i++) {
		struct inbox_row *row = &full[i];
		uint8_t plan;

		if (!row->is_used)
			continue;
		plan = b->books[row->plan].plan;
		ledger_count_class(
			b->ledger, plan, ledger_class(b->ledger, row->class_name), &row->usage);
		if (row->is_of_device)
			ledger_count_device(b->ledger, plan, &row->mac, &row->usage, when);
		row->is_used = false;
	}
}

/* The row of a plan, class and device, or a new one; NULL when there is no room near its place. */
static struct inbox_row *inbox_row(struct budget *b, uint8_t plan, uint8_t class_id,
	const struct mac_addr *mac, const char *class_name)
{
	uint32_t at = plan + class_id * 31u;

	for (uint32_t i = 0; i < sizeof(mac->bytes); i++)
		at = at * 31 + mac->bytes[i];
	for (uint32_t i = 0; i < INBOX_LOOKS; i++) {
		struct inbox_row *row = &b->inbox[(at + i) % INBOX_ROWS];

		if (!row->is_used) {
			*row = (struct inbox_row){
				.is_used = true, .is_of_device = true, .plan = plan, .mac = *mac};
			(void)snprintf(row->class_name, sizeof(row->class_name), "%s", class_name);
			return row;
		}
		if (row->plan == plan && mac_addr_equal(&row->mac, mac)
			&& strcmp(row->class_name, class_name) == 0)
			return row;
	}
	return NULL;
}

void budget_count(struct budget *b, const struct path_config *pc, const struct flow_record *r)
{
	uint8_t plan = r->wan_port < pc->n_ports ? pc->ports[r->wan_port].plan_id : PLAN_NONE;
	struct inbox_row *row;

	if (plan >= b->n_books)
		return;
	pthread_mutex_lock(&b->lock);
	row = inbox_row(
		b, plan, r->class_id, &r->device_mac, classes_name(pc->classes, r->class_id));
	for (int d = 0; d < N_DIRECTIONS && row != NULL; d++) {
		row->usage.octets[d] += r->octet_delta_count[d];
		row->usage.packets[d] += r->packet_delta_count[d];
	}
	b->n_unattributed += row == NULL ? 1 : 0;
	pthread_mutex_unlock(&b->lock);
}

/* Octets of no device, on a class of weir's own. */
static void count_own(
	struct budget *b, uint8_t plan_id, const char *class_name, const struct ledger_usage *usage)
{
	static const struct mac_addr nobody;
	struct inbox_row *row;

	if (plan_id >= b->n_books)
		return;
	pthread_mutex_lock(&b->lock);
	row = inbox_row(b, plan_id, CLASS_UNSOLICITED, &nobody, class_name);
	for (int d = 0; d < N_DIRECTIONS && row != NULL; d++) {
		row->usage.octets[d] += usage->octets[d];
		row->usage.packets[d] += usage->packets[d];
	}
	if (row != NULL)
		row->is_of_device = false;
	b->n_unattributed += row == NULL ? 1 : 0;
	pthread_mutex_unlock(&b->lock);
}

void budget_count_unsolicited(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage)
{
	count_own(b, plan_id, classes_name(NULL, CLASS_UNSOLICITED), usage);
}

void budget_count_probes(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage)
{
	count_own(b, plan_id, BUDGET_PROBES_CLASS, usage);
}

/* Only where there are any: most sites never probe, and their ledgers need not know the class. */
void read_probes(const struct budget *b, const struct book *k, struct ledger_usage *ret_usage)
{
	const char *name;
	struct ledger_usage usage;

	for (uint8_t id = 1; ledger_read_class(b->ledger, k->plan, id, &name, &usage); id++)
		if (strcmp(name, BUDGET_PROBES_CLASS) == 0) {
			*ret_usage = usage;
			return;
		}
}

void read_unsolicited(const struct budget *b, const struct book *k, struct ledger_usage *ret_usage)
{
	uint8_t id = ledger_class(b->ledger, classes_name(NULL, CLASS_UNSOLICITED));
	const char *name;

	if (id != 0)
		ledger_read_class(b->ledger, k->plan, id, &name, ret_usage);
}

bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view)
{
	if (plan_id >= b->n_books)
		return false;
	pthread_mutex_lock(&b->lock);
	*ret_view = b->views[plan_id];
	pthread_mutex_unlock(&b->lock);
	return true;
}

struct ledger_stats budget_ledger_stats(struct budget *b, uint64_t *ret_n_unattributed)
{
	struct ledger_stats stats;

	pthread_mutex_lock(&b->lock);
	stats = b->stats;
	*ret_n_unattributed = b->n_unattributed;
	pthread_mutex_unlock(&b->lock);
	return stats;
}
