/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions that weir itself asks over an uplink, where it is configured to: echo requests as small as they get.
 *
 * Source:   RFC 792. Sequence numbers are random, so that nobody answers what he has not seen.
 * Shapes:   a probe is counted when it leaves, and its answer when it comes; one is sent only while there is room for both below the
 *           limit that control sets.
 * Units:    octets are IP header and payload.
 * Threads:  the worker's, but for the limit.
 */
#ifndef WEIR_PATH_LINK_PROBE_H
#define WEIR_PATH_LINK_PROBE_H

#include "stage.h"

#define LINK_PROBES_OPEN 32

struct link_probe {
	uint64_t limit_octets; /* [control] up to which the sums below may grow */
	struct edge sums[N_DIRECTIONS];
	uint64_t sent_us;      /* the last; 0: none yet */
	uint32_t n_unanswered; /* since the last answer */
	uint16_t identifier;
	struct {
		uint64_t sent_us; /* 0: free */
		uint16_t sequence;
	} open[LINK_PROBES_OPEN];
};

/* Sends a probe when it is time for one; the caller knows that one is needed. */
void link_probe_send(struct stage_ctx *ctx, uint8_t port, struct link_probe *p);

/* True for the answer to a probe of ours, which is counted; then when that one left. */
bool link_probe_take(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	struct link_probe *p, uint64_t *ret_sent_us);

/* When the oldest probe left that is owed an answer, of those that left after `us`; 0: none is. */
uint64_t link_probe_waiting_us(const struct link_probe *p, uint64_t us, uint64_t now_us);

#endif
