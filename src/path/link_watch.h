/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an uplink whose rate is followed is watched by: the round trips of some of its flows, and what follows from them.
 *
 * Source:   shape/link_rate.h, flow/rtt.h.
 * Shapes:   a flow has one place it may be watched from, by its id; it is taken when who had it has been silent for a second.
 * Threads:  the worker's.
 * Memory:   fixed at create: about 50 KB an uplink.
 */
#ifndef WEIR_PATH_LINK_WATCH_H
#define WEIR_PATH_LINK_WATCH_H

#include "stage.h"

struct link_watch;

/* NULL when memory is out. */
struct link_watch *link_watch_create(void);

/* NULL is fine. */
void link_watch_destroy(struct link_watch *w);

/* Before `next` takes the place of ctx->config: bounds, and whether the port's rate is followed at all. */
void link_watch_adopt(struct stage_ctx *ctx, uint8_t port, const struct path_config *next);

/* A packet is about to leave by the uplink, or has come by it. */
void link_watch_up(struct stage_ctx *ctx, struct link_watch *w, struct rte_mbuf *pkt,
	const struct pkt_meta *m);
void link_watch_down(struct stage_ctx *ctx, struct link_watch *w, struct rte_mbuf *pkt,
	const struct pkt_meta *m);

/* Moves the rates, when it is time. */
void link_watch_run(struct stage_ctx *ctx);

/* True for the answer to a probe of weir's own: it has told what it knows, and is done with. */
bool link_watch_answer(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

/* Control: the limit of link_probe.h. */
void link_watch_set_probe_limit(struct link_watch *w, uint64_t octets);

/* Control: what the modem tells, for the next tick. */
void link_watch_tell(struct link_watch *w, const struct link_rate_hint *hint, uint64_t now_us);

/* What is known, for who asks. */
void link_watch_read(const struct link_watch *w, struct link_stats *ret_stats);

#endif
