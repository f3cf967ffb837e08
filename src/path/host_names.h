/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices call themselves when they ask for an address (packet/dhcp.h), handed on to control when it is new.
 *
 * Shapes:   a name is told again after ten minutes, so that one that was lost comes yet; a device that changes its own is
 *           heard each five seconds, and all together twenty times a second: however many MACs somebody makes up,
 *           control has little to do. What was told is remembered of one device a place; two that share one are told more often.
 * Threads:  the worker.
 * Memory:   10 kB within the worker's context.
 */
#ifndef WEIR_PATH_HOST_NAMES_H
#define WEIR_PATH_HOST_NAMES_H

#include "limit.h"

#include <weir/packet/dhcp.h>
#include <weir/packet/meta.h>

#define HOST_PLACES 128

struct rte_mbuf;
struct stage_ctx;

struct host_told {
	struct dhcp_host host;
	uint64_t at_us; /* 0: never */
};

struct host_names {
	struct stage_limit limit;
	struct host_told told[HOST_PLACES];
};

/* A packet of a LAN to port 67. */
void host_name_learn(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m);

#endif
