/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon counts as text for Prometheus, made of the views of its control socket.
 *
 * Source:   Prometheus' text format 0.0.4 and OpenMetrics 1.0; names and units by Prometheus' conventions (seconds, bytes, _total).
 * Shapes:   metrics.def is the table of all there is. Each view is one snapshot, so what one of them holds adds up; views are
 *           milliseconds apart.
 * Units:    octets are called bytes, as Prometheus does; bits become bytes, microseconds seconds.
 * Errors:   0, or -1 with a sentence for people; then nothing that was written is to be used.
 * Threads:  one owner; calls block as connection.h says.
 * Memory:   the rows of all views but those of devices beyond the bound, which are summed as they come.
 */
#ifndef WEIR_CLIENT_METRICS_H
#define WEIR_CLIENT_METRICS_H

#include "connection.h"

#include <stdint.h>
#include <stdio.h>

#define METRICS_DEVICES_MAX 65536

enum metrics_format {
	METRICS_PROMETHEUS,
	METRICS_OPENMETRICS,
	METRICS_MARKDOWN, /* not samples: metrics_describe */
};

struct metrics_options {
	enum metrics_format format;
	uint32_t n_devices; /* that have samples of their own; the others are one, device="other" */
};

#define METRICS_DEFAULTS                                                                           \
	{                                                                                          \
		.format = METRICS_PROMETHEUS, .n_devices = 64                                      \
	}

struct metrics;

/* Room for the answers of all views. Returns NULL without memory. */
struct metrics *metrics_create(const struct metrics_options *options);
void metrics_destroy(struct metrics *m);

/* How many views there are, and what to ask the daemon for the i-th: a request in JSON. */
uint32_t metrics_n_views(void);
const char *metrics_request(uint32_t view);

/* Takes the answer to that request, or a part of it, in order. A connection_sink's job, with the view named. */
int metrics_feed(struct metrics *m, uint32_t view, const char *bytes, size_t n,
	char error[CONNECTION_ERROR_MAX]);

/* The answer is complete. */
int metrics_end(struct metrics *m, uint32_t view, char error[CONNECTION_ERROR_MAX]);

/* Writes all samples. */
void metrics_print(const struct metrics *m, FILE *out);

/* All of it: asks the daemon on `socket` and writes. */
int metrics_write(const char *socket, const struct metrics_options *options, FILE *out,
	char error[CONNECTION_ERROR_MAX]);

/* Writes docs/metrics.md. */
void metrics_describe(FILE *out);

/* "prometheus", "openmetrics", "markdown". Returns 0, or -1 for anything else. */
int metrics_format_parse(const char *text, enum metrics_format *ret_format);

#endif
