/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cellink tells about a run: as text for people, as JSON for scripts.
 *
 * Shapes:   offered = delivered + dropped + queued, in packets and in octets, for each direction.
 * Units:    text says its units; JSON keys end in theirs: _octets, _us, _bps, _s.
 * Errors:   report_write_json returns 0 or a negative errno.
 * Threads:  the caller's.
 * Memory:   nothing kept.
 */
#ifndef CELLINK_REPORT_H
#define CELLINK_REPORT_H

#include "cellink_link.h"

#include <stdio.h>

struct report_direction {
	const struct link_stats *stats;
	const struct histogram *late; /* handed over after it was due */
	struct link_count queued;
	uint64_t tun_dropped; /* the kernel threw away before cellink could read */
};

struct report {
	const char *profile;
	uint64_t seed;
	uint64_t elapsed_ns;
	uint64_t n_promotions;
	bool realtime; /* SCHED_FIFO was granted */
	struct report_direction direction[N_DIRECTIONS];
};

/* From the first packet offered to the last one delivered; 0 when there is no such span. */
uint64_t report_delivered_bps(const struct link_stats *s);

void report_write_text(const struct report *r, FILE *out);

/* Replaces the file at once: a reader sees the old one or the new one. */
int report_write_json(const struct report *r, const char *path);

/* What the bearer could carry, whatever was sent. */
struct report_capacity {
	uint64_t duration_ns;
	const struct outages *outages;                 /* borrowed */
	const struct capacity *capacity[N_DIRECTIONS]; /* borrowed */
	struct link_config link[N_DIRECTIONS];
};

/* For each direction: octets in each step of 10 ms from time 0 on, their mean rate, delay and jitter of the bearer. */
int report_write_capacity(const struct report_capacity *r, const char *path);

#endif
