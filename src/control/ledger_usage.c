/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger_state.h"

#include <stdio.h>
#include <string.h>

void usage_add(struct ledger_usage *sum, const struct ledger_usage *more)
{
	for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
		sum->octets[d] += more->octets[d];
		sum->packets[d] += more->packets[d];
	}
}

void periods_place(struct ledger *l, uint32_t n_days, uint32_t n_cycles)
{
	struct period_row *next = l->periods;

	for (unsigned int i = 0; i < LEDGER_PLANS_MAX; i++) {
		l->days[i] = (struct periods){.rows = next, .capacity = n_days};
		l->cycles[i] = (struct periods){.rows = next + n_days, .capacity = n_cycles};
		next += n_days + n_cycles;
	}
}

struct period_row *periods_at(const struct periods *p, uint32_t i)
{
	if (i >= p->capacity || i >= p->n_added)
		return NULL;
	return &p->rows[(p->n_added - 1 - i) % p->capacity];
}

struct period_row *periods_get(struct periods *p, int64_t key)
{
	struct period_row *fresh = &p->rows[p->n_added % p->capacity];

	for (uint32_t i = 0; i < p->capacity && i < p->n_added; i++) {
		struct period_row *row = &p->rows[(p->n_added - 1 - i) % p->capacity];

		if (row->key == key) {
			row->mark = ROW_DIRTY;
			return row;
		}
	}
	p->n_added++;
	*fresh = (struct period_row){.key = key, .mark = ROW_DIRTY};
	return fresh;
}

uint8_t class_get(struct ledger *l, const char *name)
{
	uint8_t slot = 0;

	for (uint8_t i = 0; i < LEDGER_CLASSES_MAX; i++) {
		if (strcmp(l->class_names[i], name) == 0)
			return i;
		if (slot == 0 && i > 0 && l->class_names[i][0] == '\0')
			slot = i;
	}
	if (slot != 0)
		(void)snprintf(l->class_names[slot], LEDGER_NAME_MAX, "%s", name);
	return slot;
}

struct device_row *device_get(struct ledger *l, uint8_t plan, const struct mac_addr *mac)
{
	static const struct mac_addr nobody;
	struct device_row *rest = &l->devices[plan];
	struct device_row *unused = NULL;

	for (uint32_t i = LEDGER_PLANS_MAX; i < l->n_devices && !mac_addr_equal(mac, &nobody);
		i++) {
		struct device_row *row = &l->devices[i];

		if (row->is_used && row->plan == plan && mac_addr_equal(&row->mac, mac))
			return row;
		if (!row->is_used && unused == NULL)
			unused = row;
	}
	if (unused == NULL) {
		rest->plan = plan;
		rest->is_used = true;
		return rest;
	}
	*unused = (struct device_row){.mac = *mac, .plan = plan, .is_used = true};
	return unused;
}

void plan_clear_cycle(struct ledger *l, uint8_t plan)
{
	memset(l->classes[plan], 0, sizeof(l->classes[plan]));
	for (uint32_t i = 0; i < l->n_devices; i++) {
		if (l->devices[i].is_used && l->devices[i].plan == plan)
			l->devices[i] = (struct device_row){0};
	}
	shares_clear(l, plan);
}

void plan_clear(struct ledger *l, uint8_t plan)
{
	plan_clear_cycle(l, plan);
	l->plans[plan] = (struct plan_row){0};
	l->days[plan].n_added = 0;
	l->cycles[plan].n_added = 0;
}

void ledger_clear(struct ledger *l)
{
	for (uint8_t i = 0; i < LEDGER_PLANS_MAX; i++)
		plan_clear(l, i);
	memset(l->class_names, 0, sizeof(l->class_names));
	l->is_suspect = false;
}
