/* SPDX-License-Identifier: BSD-3-Clause */
/* What weirctl can show, and in which columns. */
#ifndef WEIR_CLIENT_VIEWS_H
#define WEIR_CLIENT_VIEWS_H

#include "table.h"

struct view {
	const char *name;
	const struct column *columns;
	uint32_t n_columns;
	bool upright;          /* one object, a line a column */
	uint64_t default_rows; /* of a table, without --limit or --all; 0: all */
	const char *none;      /* what is said instead of an empty table */
};

/* NULL when there is none of that name. */
const struct view *view_find(const char *name);

/* "status|flows|…" */
extern const char view_names[];

#endif
