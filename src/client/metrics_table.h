/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.def as a table: what metrics.c writes samples of, and metrics_table.c describes. */
#ifndef WEIR_CLIENT_METRICS_TABLE_H
#define WEIR_CLIENT_METRICS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define METRICS_VIEWS      9
#define METRICS_KEY_MAX    48
#define METRICS_LABELS_MAX 128

struct metrics_view {
	const char *name;
	const char *request;
	const char *labels; /* of every sample: "port=%name" */
	bool is_object;     /* one row, the answer itself */
	bool is_bounded;    /* rows beyond the bound are summed */
};

enum metrics_reading {
	READ_NUMBER,
	READ_BITS, /* a second; bytes are written */
	READ_MICROSECONDS,
	READ_DAYS,
	READ_TIME, /* 2026-11-23T10:30:00Z */
	READ_TRUTH,
	READ_ONE, /* 1, whatever it says */
	READ_IS,  /* the others: 1 where it says this word */
	READ_IS_UP = READ_IS,
	READ_IS_SOUND,
	READ_IS_OPEN,
	READ_IS_NOTIFY,
	READ_IS_SHAPE,
	READ_IS_RESERVE_ONLY,
	READ_IS_BLOCK,
	METRICS_READINGS,
};

/* A family (name, type, help), or a source of the family before it. */
struct metrics_row {
	const char *name; /* NULL: a source */
	const char *type;
	const char *help;
	uint32_t view;
	const char *key;
	const char *labels;
	enum metrics_reading reading;
};

extern const struct metrics_view metrics_views[METRICS_VIEWS];
extern const char *const metrics_words[METRICS_READINGS]; /* of READ_IS and behind */
extern const struct metrics_row metrics_rows[];
extern const uint32_t metrics_n_rows;

#endif
