/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir's shaper with packets of the simulation in it.
 *
 * Source:   shape/shaper.h, set up as path/path.c sets it up: one class, one device, a flow a sender.
 * Shapes:   the shaper knows packets by their place in a pool.
 * Units:    microseconds, octets, bits a second.
 * Errors:   -ENOMEM.
 * Memory:   a place a packet that may wait, touched as they are needed.
 */
#ifndef SIM_SHAPER_H
#define SIM_SHAPER_H

#include "sim_queue.h"

#include <weir/shape/shaper.h>

#define SIM_SHAPER_PLACES       16384 /* QUEUE_PLACES_MAX of path/path.c */
#define SIM_SHAPER_OCTETS       2097152 /* room where no rate is known in advance: QUEUE_OCTETS_LONG */
#define SIM_SHAPER_OCTETS_LEAST (64 * 1514)

struct sim_shaper {
	struct shaper *shaper;
	struct sim_packet
		*places; /* one more than may wait: a newcomer is taken in before another goes */
	uint32_t *free;
	uint32_t n_free, n_begun;
	uint64_t n_dropped;
};

int sim_shaper_init(struct sim_shaper *s, uint64_t limit_octets);

/* False when the packet need not wait: it leaves now, and was not taken. */
bool sim_shaper_put(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us);

/* The same, but it waits in any case: for a radio that says itself when it is free. */
void sim_shaper_hold(struct sim_shaper *s, const struct sim_packet *p, uint64_t now_us);

/* The next packet that may leave; false when none may. */
bool sim_shaper_take(struct sim_shaper *s, uint64_t now_us, struct sim_packet *ret_packet);

uint64_t sim_shaper_octets(const struct sim_shaper *s);

void sim_shaper_clean(struct sim_shaper *s);

#endif
