/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl events: the daemon's events as lines, for people or as JSON. */
#ifndef WEIR_CLIENT_EVENTS_H
#define WEIR_CLIENT_EVENTS_H

#include "connection.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct events_options {
	uint64_t limit; /* the last so many of those that are held; UINT64_MAX: all */
	bool follow;    /* goes on until the daemon ends */
	bool json;      /* an object a line */
};

/* Writes each line when it comes. Returns 0, or -1 with a sentence. */
int events_show(const char *socket, const struct events_options *options, FILE *out,
	char error[CONNECTION_ERROR_MAX]);

#endif
