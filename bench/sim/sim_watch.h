/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir's watch over a followed uplink, as the path has it, without the path around it.
 *
 * Source:   src/path/link_watch.c, which sees frames with the headers that the simulation's packets would have.
 * Units:    microseconds.
 * Errors:   -ENOMEM.
 * Threads:  one owner.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "sim_queue.h"

#include <weir/base/direction.h>
#include <weir/path/doors.h>
#include <weir/shape/shaper.h>

struct sim_watch;

/* The shapers are borrowed. */
int sim_watch_create(struct shaper *const shapers[N_DIRECTIONS], struct sim_watch **ret_watch);

/* NULL is fine. */
void sim_watch_destroy(struct sim_watch *w);

/* A packet of TCP, with time stamps or without, leaves by the uplink, or has come by it. */
void sim_watch_up(
	struct sim_watch *w, const struct sim_packet *p, bool has_timestamps, uint64_t now_us);
void sim_watch_down(
	struct sim_watch *w, const struct sim_packet *p, bool has_timestamps, uint64_t now_us);

/* Moves the shapers' rates, when it is time; `octets`: that have crossed the uplink's edge, ever. */
void sim_watch_run(struct sim_watch *w, const uint64_t octets[N_DIRECTIONS], uint64_t now_us);

void sim_watch_read(const struct sim_watch *w, struct link_stats *ret_stats);

#endif
