/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl plan and weirctl link: what weir cannot know by itself, told to it. */
#ifndef WEIR_CLIENT_TELL_H
#define WEIR_CLIENT_TELL_H

#include "connection.h"

#include <stdbool.h>
#include <stdint.h>

struct tell_plan {
	const char *plan;
	const char *what; /* a key of the request: top_up_octets, set_used_octets */
	uint64_t octets;
};

/* What a modem says of its radio. */
struct tell_link {
	const char *link;
	const char *technology; /* NULL: not known */
	const char *cell;       /* in hexadecimal; NULL: not known */
	bool has_rsrp;
	int rsrp_dbm;
};

/* Prints how the plan then stands: true on weir's disk. Returns 0, or -1 with a sentence. */
int tell_of_plan(
	const char *socket, const struct tell_plan *t, bool json, char error[CONNECTION_ERROR_MAX]);

/* For scripts: prints nothing, or the answer as JSON. Returns 0, or -1 with a sentence. */
int tell_of_link(
	const char *socket, const struct tell_link *t, bool json, char error[CONNECTION_ERROR_MAX]);

#endif
