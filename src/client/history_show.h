/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl history: what weir-web has kept, in tables for people or JSON for programs. weir itself need not run. */
#ifndef WEIR_CLIENT_HISTORY_SHOW_H
#define WEIR_CLIENT_HISTORY_SHOW_H

#include "connection.h"

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_FILE "/var/lib/weir-web/history.db"

struct history_showing {
	const char *file;
	const char *series; /* "total", "device", ... */
	const char *key;    /* NULL: all, summed */
	const char *per;    /* "minute", "hour", "day"; NULL: what gives some dozens of rows */
	uint64_t since_us;  /* ago; 0: the usual span */
	bool json;
};

/* Prints. Returns 0, or -1 with a sentence. */
int history_show(const struct history_showing *wanted, char error[CONNECTION_ERROR_MAX]);

#endif
