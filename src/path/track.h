/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP flows in the flow stage: what each segment costs, inlined; what few need is flow_track().
 *
 * Source:   RFC 7857 section 2.2: an RST from outside must fit what the internal side has acknowledged. Its
 *           acknowledgements are what counts: a stranger can neither see nor send them.
 */
#ifndef WEIR_PATH_TRACK_H
#define WEIR_PATH_TRACK_H

#include "stage.h"

#include <weir/flow/tcp_track.h>

#define TCP_ACK_OFFSET 8

/* Keeps what the internal side acknowledges. Selects where from, and no branch: directions are mixed. */
static inline void track_acked(struct flow *f, const struct pkt_meta *m, const uint8_t *tcp)
{
	bool acks = m->direction == UPLINK && (m->tcp_flags & (TCP_ACK | TCP_RST)) == TCP_ACK;
	const uint8_t *from = acks ? tcp + TCP_ACK_OFFSET : f->acked;
	uint8_t acked[sizeof(f->acked)];

	memcpy(acked, from, sizeof(acked));
	memcpy(f->acked, acked, sizeof(acked));
}

/* True for a segment of an open connection that tells nothing new but its data. */
static inline bool track_is_plain(const struct flow *f, const struct pkt_meta *m)
{
	uint32_t pushed = (uint32_t)f->flags * TCP_PSH / FLOW_PUSHED >> m->direction;

	return f->state == TCP_STATE_ESTABLISHED && (m->tcp_flags & ~(pushed & TCP_PSH)) == TCP_ACK;
}

static inline void track(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, struct flow *f)
{
	track_acked(f, m, stage_l4(pkt, m));
	if (unlikely(!track_is_plain(f, m)))
		flow_track(ctx, pkt, m);
}

#endif
