/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCP and NAT-PMP on the LANs that have them: requests are turned round into their answers, leases end in time, and hosts
 * are told when the gateway has forgotten theirs.
 *
 * Source:   RFC 6887, RFC 6886; what a lease is: weir/nat/lease.h.
 * Shapes:   only what a LAN's host sends to the gateway's address on that LAN is a request. Leases are of the uplink that
 *           carries new flows.
 * Errors:   what is not answered is dropped under a reason.
 * Threads:  one worker owns it.
 * Memory:   fixed at create.
 */
#ifndef WEIR_PATH_PCP_H
#define WEIR_PATH_PCP_H

#include "limit.h"

#include <weir/nat/lease.h>
#include <weir/packet/drops.h>
#include <weir/packet/meta.h>

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct stage_ctx;

struct pcp_server {
	struct lease_table *leases;
	bool is_on; /* on any LAN */
	uint8_t uplink;
	uint8_t n_announced;   /* since the last loss of state */
	uint64_t announce_us;  /* when the next is due */
	uint64_t announced_us; /* when the last was sent */
	struct stage_limit answer_limit;
	struct stage_limit event_limit;
	uint32_t n_silent; /* events that were not told */
};

/* Returns 0 or -ENOMEM. */
int pcp_create(struct stage_ctx *ctx);
void pcp_destroy(struct stage_ctx *ctx);

/* True when a packet from a LAN is for this server. */
bool pcp_is_asked(const struct stage_ctx *ctx, const struct pkt_meta *m);

/* Answers it, within limits: the packet turns into its answer. Else the reason why not. */
enum drop_reason pcp_answer(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m);

/* A new configuration: leases end that it does not allow any more. */
void pcp_adopt(struct stage_ctx *ctx);

/* Housekeeping: leases whose time has come, another uplink, announcements. Bounded work. */
void pcp_run(struct stage_ctx *ctx);

/* True while time alone changes something. */
bool pcp_is_waiting(const struct stage_ctx *ctx);

/* Ends all leases. */
void pcp_end(struct stage_ctx *ctx);

#endif
