/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of an answer as a table for people.
 *
 * Shapes:   columns as wide as their widest cell; numbers to the right, text to the left. A table of one row may be
 *           printed upright: a line a column, but for those that it has nothing in.
 * Errors:   -ENOMEM.
 * Threads:  one owner.
 * Memory:   a row is about 100 bytes. With a limit and an order, at most twice the limit are held, so that the ten
 *           busiest of a million flows need no more than that.
 */
#ifndef WEIR_CLIENT_TABLE_H
#define WEIR_CLIENT_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define COLUMNS_MAX 40
#define CELL_MAX    160

enum cell_kind {
	CELL_TEXT,
	CELL_COUNT,
	CELL_OCTETS,
	CELL_RATE,
	CELL_TIME,     /* from microseconds */
	CELL_SECONDS,  /* the same, from seconds */
	CELL_SHARE,    /* 0.8125 → 81.2 % */
	CELL_ENDPOINT, /* from KEY_address and KEY_port */
	CELL_STATE,    /* KEY, and why_down where it says something */
	CELL_DAY,      /* the date of a time */
	CELL_SPAN,     /* from KEY_low_octets to KEY_high_octets */
};

struct column {
	const char *title;
	const char *key; /* of the row's JSON object */
	enum cell_kind kind;
};

struct row {
	double number; /* what rows are ordered by, where that is a number */
	char cells[];  /* texts, each with its NUL */
};

struct table {
	const struct column *columns;
	uint32_t n_columns;
	const struct column *order; /* NULL: as they come */
	uint64_t limit;             /* rows at most */
	struct row **rows;
	size_t n_rows;
	size_t capacity;
};

void table_init(struct table *t, const struct column *columns, uint32_t n_columns, uint64_t limit);
void table_clean(struct table *t);

/* Orders rows by a column's title or key: numbers from the largest down, text from A up. Returns 0, or -EINVAL when there
 * is no such column. */
int table_set_order(struct table *t, const char *name);

/* Whether cells of a kind are text: they stand to the left, and are ordered as such. */
bool cell_is_text(enum cell_kind kind);

/* Text of one cell, "-" where the object does not say. */
void cell_format(const json_t *object, const struct column *c, char cell[CELL_MAX]);

/* Adds a row; copies what it needs. */
int table_add(struct table *t, const json_t *object);

/* Cuts to the limit, in order. */
void table_finish(struct table *t);

void table_print(const struct table *t, FILE *out);
void table_print_upright(const struct table *t, FILE *out);

#endif
