/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl top: a live view of a running weir. */
#ifndef WEIR_CLIENT_TOP_H
#define WEIR_CLIENT_TOP_H

#include "connection.h"
#include "top_state.h"

#include <stdbool.h>
#include <stdint.h>

struct top_settings {
	const char *socket;
	uint32_t interval_ms;
	enum top_pane pane;
	enum top_order order;
	const char *filter;
	bool once; /* a screen as text, and the end */
	bool json; /* with once: what is known, as JSON */
};

/* Reads the words behind `weirctl`, argv[0] being "top"; ends the program where they are wrong. */
void top_settings_read(int argc, char **argv, struct top_settings *settings);

/* Runs until it is told to quit. Returns 0, or -1 with a sentence. */
int top_run(const struct top_settings *settings, char error[CONNECTION_ERROR_MAX]);

/* Asks twice, `interval_ms` apart, and prints. Returns 0, or -1 with a sentence. */
int top_print(const struct top_settings *settings, char error[CONNECTION_ERROR_MAX]);

#endif
