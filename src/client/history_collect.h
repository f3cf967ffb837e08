/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who looks at weir every few seconds and keeps the history of it.
 *
 * Shapes:   a look is five or seven questions. What grew since the last one is booked in the minute in which the middle of that time lies;
 *           what passed while nobody looked, in the minute in which it is noticed, with a mark. Classes and devices, whose
 *           listings can be long, are asked for so seldom that weir works 2 % for them at most.
 * Units:    seconds.
 * Errors:   to standard error, a line when something begins to fail and one when it works again. Without the file or without weir it tries
 *           again, and keeps what it knows in memory.
 * Threads:  one of its own: no disk holds up who serves the page. Start and stop it from one thread.
 * Memory:   as history.h says, and one row of an answer; of classes, all.
 */
#ifndef WEIR_CLIENT_HISTORY_COLLECT_H
#define WEIR_CLIENT_HISTORY_COLLECT_H

#include "history.h"

struct history_collecting {
	struct history_options store;
	uint32_t every_s;             /* a batch */
	uint64_t flash_bytes_per_day; /* a batch that has written much makes the next one later */
};

#define HISTORY_COLLECTING_DEFAULTS                                                                \
	{                                                                                          \
		.store = HISTORY_DEFAULTS, .every_s = 300, .flash_bytes_per_day = 64u << 20        \
	}

struct history_collector;

/* `socket`, and the file's name, are borrowed. Rights are those of now; signals must be blocked. Returns 0, or -1 with a sentence. */
int history_collect_start(const struct history_collecting *how, const char *socket,
	struct history_collector **ret_collector, char error[CONNECTION_ERROR_MAX]);

/* Looks once more, writes what there is, and ends. */
void history_collect_stop(struct history_collector *c);

#endif
