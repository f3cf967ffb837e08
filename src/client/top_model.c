/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_model.h"

#include <weir/base/clock.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 192

/* What makes a row the same as one of the answer before, and what tells its age. */
static const struct view_facts {
	const char *name;
	const char *keys[2];
	const char *age_key; /* NULL: rows are as old as the daemon */
	bool began;          /* ids are used again: when it began belongs to the key */
} facts[TOP_VIEWS] = {
	[TOP_STATUS] = {"status", {NULL, NULL}, NULL, false},
	[TOP_PORTS] = {"ports", {"name", NULL}, NULL, false},
	[TOP_LINK] = {"link", {"port", "direction"}, NULL, false},
	[TOP_PLANS] = {"plans", {"name", NULL}, NULL, false},
	[TOP_DEVICES] = {"devices", {"port", "address"}, "first_seen_ago_us", false},
	[TOP_CLASSES] = {"classes", {"name", NULL}, NULL, false},
	[TOP_FLOWS] = {"flows", {"id", NULL}, "age_us", true},
	[TOP_DROPS] = {"drops", {"reason", NULL}, NULL, false},
};

static const struct {
	const char *counter;
	const char *rate;
	uint64_t units; /* of the rate, a count */
} rates[] = {
	{"uplink_octets", "uplink_bps", 8},
	{"downlink_octets", "downlink_bps", 8},
	{"packets", "packets_per_s", 1},
};

#define N_RATES (sizeof(rates) / sizeof(rates[0]))

uint64_t row_u64(const json_t *row, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(row, key));

	return value > 0 ? (uint64_t)value : 0;
}

const char *row_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text == NULL ? "" : text;
}

const char *top_view_name(enum top_view view)
{
	return facts[view].name;
}

void top_model_init(struct top_model *m)
{
	*m = (struct top_model){0};
}

void top_model_forget(struct top_model *m, enum top_view view)
{
	struct top_listing *l = &m->listings[view];

	json_decref(l->rows);
	json_decref(l->before);
	*l = (struct top_listing){0};
}

void top_model_clean(struct top_model *m)
{
	for (enum top_view v = 0; v < TOP_VIEWS; v++)
		top_model_forget(m, v);
	json_decref(m->status);
	m->status = NULL;
}

static void key_write(
	const struct view_facts *f, const json_t *row, uint64_t at_us, char key[KEY_MAX])
{
	if (f->began)
		(void)snprintf(key, KEY_MAX, "%" PRIu64 "/%" PRIu64, row_u64(row, f->keys[0]),
			at_us - row_u64(row, f->age_key));
	else
		(void)snprintf(key, KEY_MAX, "%.90s/%.90s", row_text(row, f->keys[0]),
			f->keys[1] == NULL ? "" : row_text(row, f->keys[1]));
}

/* A number that JSON can hold. */
static void number_set(json_t *row, const char *key, uint64_t value)
{
	json_object_set_new(
		row, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

/* `old` may be NULL: the row began within the span, from nothing. */
static void rates_set(json_t *row, const json_t *old, uint64_t span_us)
{
	uint64_t sum_bps = 0;

	for (size_t i = 0; i < N_RATES; i++) {
		uint64_t now = row_u64(row, rates[i].counter);
		uint64_t then = row_u64(old, rates[i].counter);
		uint64_t rate;

		if (json_object_get(row, rates[i].counter) == NULL)
			continue;
		if (now < then) /* another daemon's */
			return;
		rate = (uint64_t)((unsigned __int128)(now - then) * rates[i].units * US_PER_S
				  / span_us);
		number_set(row, rates[i].rate, rate);
		if (rates[i].units == 8)
			sum_bps += rate;
	}
	if (json_object_get(row, "uplink_bps") != NULL)
		number_set(row, "rate_bps", sum_bps);
}

static void row_reckon(const struct view_facts *f, json_t *row, const struct top_listing *last,
	uint64_t at_us, const char *key)
{
	const json_t *old = json_object_get(last->before, key);
	uint64_t span_us = at_us > last->at_us ? at_us - last->at_us : 0;
	bool is_new = f->age_key != NULL && row_u64(row, f->age_key) <= span_us;

	if (json_object_get(row, "uplink_octets") != NULL)
		number_set(row, "total_octets",
			row_u64(row, "uplink_octets") + row_u64(row, "downlink_octets"));
	if (last->before != NULL && span_us > 0 && (old != NULL || is_new))
		rates_set(row, old, span_us);
}

static int listing_take(struct top_model *m, enum top_view view, json_t *answer, char *error)
{
	const struct view_facts *f = &facts[view];
	struct top_listing *l = &m->listings[view];
	json_t *rows = json_object_get(answer, f->name);
	uint64_t at_us = row_u64(answer, "at_us");
	json_t *before = json_object();
	size_t i;
	json_t *row;

	if (!json_is_array(rows) || before == NULL) {
		json_decref(before);
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
			before == NULL ? "no memory"
				       : "weir's answer is not what this weirctl knows");
		return -1;
	}
	json_array_foreach(rows, i, row)
	{
		char key[KEY_MAX];

		key_write(f, row, at_us, key);
		row_reckon(f, row, l, at_us, key);
		json_object_set(before, key, row);
	}
	json_incref(rows);
	top_model_forget(m, view);
	*l = (struct top_listing){.rows = rows,
		.before = before,
		.at_us = at_us,
		.n_total = row_u64(answer, "n_total")};
	return 0;
}

int top_model_take(
	struct top_model *m, enum top_view view, json_t *answer, char error[CONNECTION_ERROR_MAX])
{
	if (view != TOP_STATUS)
		return listing_take(m, view, answer, error);
	/* Another process counts from zero, and its clock may be another. */
	if (row_u64(m->status, "pid") != row_u64(answer, "pid"))
		for (enum top_view v = 0; v < TOP_VIEWS; v++)
			top_model_forget(m, v);
	json_decref(m->status);
	m->status = json_incref(answer);
	return 0;
}
