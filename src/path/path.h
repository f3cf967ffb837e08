/* SPDX-License-Identifier: BSD-3-Clause */
/* The path behind its doors: one worker's context, and what control and worker hand each other. */
#ifndef WEIR_PATH_PATH_H
#define WEIR_PATH_PATH_H

#include "stage.h"

#include <stdatomic.h>

struct rte_ring;

/* A listing on request: control fills and sets ASKED, the worker sets BUSY, copies and sets DONE. Control may withdraw what
 * is ASKED; once it is BUSY its buffer must stay. */
enum listing_state {
	LISTING_IDLE,
	LISTING_ASKED,
	LISTING_BUSY,
	LISTING_DONE
};

/* Who may touch the worker's state: while no worker runs, control does the worker's part itself. */
enum path_owner {
	OWNER_NONE,
	OWNER_WORKER,
	OWNER_CONTROL
};

struct listing {
	_Atomic uint32_t state;
	uint32_t cursor;
	uint32_t n_max;
	uint32_t n;
	struct flow_view *views;
};

struct path {
	struct stage_ctx ctx;
	struct path_setup setup;
	struct rng rng;
	struct path_config *config;                /* control: owner; ctx.config borrows */
	_Atomic(struct path_config *) next_config; /* control → worker; NULL when taken over */
	_Atomic uint32_t owner;                    /* enum path_owner */
	_Atomic bool stopping;
	int wake_fd; /* eventfd: control wakes a sleeping worker */
	struct rte_ring *events;
	struct rte_ring *names;
	struct listing listing;
	uint64_t housekept_us;
	uint32_t generation[PORTS_MAX]; /* of the ports whose next hops are known */
	uint64_t interim_credit;
	uint32_t interim_cursor;
	uint32_t abandoned;  /* uplinks whose flows were told to leave: a bit each */
	uint32_t sweep_left; /* flows still to be asked */
	uint32_t reask_left; /* flows that policy is still to be asked about again */
	bool has_denied;     /* of this round: some are denied and cannot end yet */
	uint64_t records_lost;
	uint64_t loops;
	uint64_t sleeps;
};

/* The shaped rate of a port in a direction; 0 when it is unshaped. */
uint64_t path_rate_bps(const struct path_config *config, uint8_t port, uint32_t direction);

/* Finds out which queues packets must pass: those with a rate, and those that still hold packets of a former one. */
void path_find_shaped(struct stage_ctx *ctx);

/* Owner: takes a published configuration over, if there is one. */
void path_adopt_next(struct path *p);

/* Waits until nobody owns the worker's state, then takes it. Control holds it for moments only. */
void path_own(struct path *p, enum path_owner owner);

/* Worker: serves a listing, if one is asked for. */
void path_serve_listing(struct path *p);

#endif
