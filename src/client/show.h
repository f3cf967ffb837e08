/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl show: a view of the daemon's as a table for people, or as the JSON it is. */
#ifndef WEIR_CLIENT_SHOW_H
#define WEIR_CLIENT_SHOW_H

#include "connection.h"
#include "views.h"

#include <stdbool.h>
#include <stdint.h>

#define SHOW_NO_COLUMN 1

struct show_options {
	const char *socket;
	const struct view *view;
	const char *sort;   /* a column; NULL: as they come */
	const char *device; /* an address; NULL: all */
	bool json;
	bool all; /* rows too that a view leaves out by itself */
	bool limited;
	uint64_t limit;
};

/* Writes to standard output. Returns 0, -1 with a sentence, or SHOW_NO_COLUMN, which it has explained. */
int show(const struct show_options *options, char error[CONNECTION_ERROR_MAX]);

#endif
