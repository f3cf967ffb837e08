/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weirctl top knows: the daemon's latest answers, and rates from the differences between two of them.
 *
 * Shapes:   a row is the daemon's JSON object with what was reckoned added: uplink_bps, downlink_bps, rate_bps (both),
 *           total_octets (both), packets_per_s. There is none before a row was there twice, or began between the answers.
 * Units:    microseconds of the daemon's clock (at_us of its answers); bits a second.
 * Errors:   0, or -1 with a sentence for people.
 * Threads:  one owner.
 * Memory:   the latest rows of each view, and their counters of before.
 */
#ifndef WEIR_CLIENT_TOP_MODEL_H
#define WEIR_CLIENT_TOP_MODEL_H

#include "connection.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum top_view {
	TOP_STATUS,
	TOP_PORTS,
	TOP_LINK,
	TOP_PLANS,
	TOP_DEVICES,
	TOP_CLASSES,
	TOP_FLOWS,
	TOP_DROPS,
	TOP_VIEWS
};

struct top_listing {
	json_t *rows; /* array; NULL: nothing known */
	json_t *before; /* by key: the rows of the answer before, with the counters that rates come from */
	uint64_t at_us;
	uint64_t n_total;
};

struct top_model {
	json_t *status; /* NULL: nothing known */
	struct top_listing listings[TOP_VIEWS];
};

void top_model_init(struct top_model *m);
void top_model_clean(struct top_model *m);

/* The name of a view in requests and answers. */
const char *top_view_name(enum top_view view);

/* Takes over the rows of an answer. */
int top_model_take(
	struct top_model *m, enum top_view view, json_t *answer, char error[CONNECTION_ERROR_MAX]);

/* Rows of a view that is not asked for now: the next answer's rates would be of a span nobody looks at. */
void top_model_forget(struct top_model *m, enum top_view view);

/* Of a row, or the status: a number, 0 where there is none; text, never NULL. */
uint64_t row_u64(const json_t *row, const char *key);
const char *row_text(const json_t *row, const char *key);

#endif
