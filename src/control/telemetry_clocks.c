/* SPDX-License-Identifier: BSD-3-Clause */
/* The clocks of devices: how long ago each kind of exchange was answered. */
#include "telemetry_private.h"

#include <stdio.h>

#define ROWS_A_PIECE 64

/* A kind that was never answered has no field. */
static void ago_field(struct text *part, uint32_t kind, int64_t at_us, uint64_t now_us)
{
	char key[32];

	if (at_us == CLOCK_NEVER)
		return;
	(void)snprintf(key, sizeof(key), "%s_ago_us", class_kind_name(kind));
	text_field_u64(
		part, key, (int64_t)now_us > at_us ? (uint64_t)((int64_t)now_us - at_us) : 0);
}

static void clock_row(struct listing *l, const struct clock_row *row, struct text *part)
{
	int64_t age_us = (int64_t)l->now_us - row->first_us;

	listing_row(l, part);
	text_field_addr(part, "address", &row->addr);
	text_field_mac(part, "mac", &row->mac);
	text_field_string(part, "port", row->port);
	text_field_string(part, "class", row->class_name);
	text_field_string(part, "state", clock_state_name(row->state));
	text_field_string(part, "cause", clock_cause_name(row->cause));
	text_field_u64(part, "first_seen_ago_us", age_us > 0 ? (uint64_t)age_us : 0);
	for (uint32_t kind = CLASS_KIND_NONE + 1; kind < CLASS_KINDS; kind++)
		ago_field(part, kind, row->last_us[kind], l->now_us);
	text_close(part, '}');
}

static const struct clock_row *row_at(const struct telemetry *t, uint32_t i)
{
	return t->clocks == NULL ? NULL : clocks_row(t->clocks, i);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one type with the listings that can fail */
int clocks_next(struct server_answer *a, struct text *part, char *error)
{
	struct listing *l = listing_of(a);
	const struct clock_row *row = row_at(l->telemetry, l->next_device);
	uint32_t n_total = 0;

	(void)error; /* nothing here can fail */
	if (!l->opened)
		listing_head(l, part);
	l->opened = true;
	for (uint32_t n = 0; n < ROWS_A_PIECE && row != NULL && l->n_rows < l->limit; n++) {
		if (!l->has_device || ip_addr_equal(&row->addr, &l->device))
			clock_row(l, row, part);
		row = row_at(l->telemetry, ++l->next_device);
	}
	if (row != NULL && l->n_rows < l->limit)
		return 1;
	while (row_at(l->telemetry, n_total) != NULL)
		n_total++;
	listing_tail(l, part, n_total);
	return 0;
}
