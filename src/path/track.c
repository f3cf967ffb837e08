/* SPDX-License-Identifier: BSD-3-Clause */
/* What a TCP segment means to its flow: state, timers, and whether it is the connection's own. */
#include "track.h"

#define TCP_SEQ_OFFSET     4
#define TCP_LENGTHS_OFFSET 12

static uint32_t load_be24(const uint8_t *at)
{
	return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static void note_flags(struct flow *f, struct flow_more *more, const struct pkt_meta *m)
{
	more->tcp_flags[m->direction] |= m->tcp_flags;
	if ((m->tcp_flags & TCP_PSH) != 0)
		f->flags |= (uint8_t)(FLOW_PUSHED << m->direction);
}

/* The number that acknowledges a FIN. */
static uint32_t fin_end(const struct pkt_meta *m, const uint8_t *tcp)
{
	uint32_t segment_octets = m->ip_octets - (uint32_t)(m->l4_off - m->l3_off);
	uint32_t header_octets = (uint32_t)tcp[TCP_LENGTHS_OFFSET] >> 4 << 2;

	return load_be32(tcp + TCP_SEQ_OFFSET) + (segment_octets - header_octets) + 1;
}

/*
 * True for an RST that must change nothing. From outside it may be a stranger's guess (RFC 7857 section 2.2); while a
 * connection opens or closes it takes nothing from it. What it does not change it does not keep alive: the RST of a host
 * may answer a stranger (section 6).
 */
static bool is_rst_void(
	const struct flow *f, uint8_t next, const struct pkt_meta *m, const uint8_t *tcp)
{
	if (next == f->state)
		return true;
	return m->direction == DOWNLINK && tcp_state_is_established(f->state)
	       && !tcp_track_rst_fits(load_be24(tcp + TCP_SEQ_OFFSET), load_be24(f->acked));
}

/* True when the second FIN's ACK is still missing. */
static bool is_last_ack_missing(const struct flow_more *more, const uint8_t *tcp)
{
	return (int32_t)(load_be32(tcp + TCP_ACK_OFFSET) - more->fin_end) < 0;
}

static void enter(struct stage_ctx *ctx, struct flow *f, uint32_t flow_id, uint8_t state)
{
	const struct flow_timeouts *to = &ctx->config->timeouts;
	uint32_t before_ms = flow_timeout_ms(to, f);

	f->state = state;
	/* The timer wheel would notice the shorter timeout only when the longer one has come round. */
	if (flow_timeout_ms(to, f) < before_ms) {
		flow_wheel_remove(ctx->wheel, flow_id);
		flow_wheel_add(ctx->wheel, to, flow_id);
	}
}

void flow_track(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	struct flow *f = stage_flow(ctx, m);
	struct flow_more *more = stage_flow_more(ctx, m);
	const uint8_t *tcp = stage_l4(pkt, m);
	uint8_t next = tcp_track_next(f->state, m->direction, m->tcp_flags);

	note_flags(f, more, m);
	if ((m->tcp_flags & TCP_RST) != 0 && is_rst_void(f, next, m, tcp)) {
		m->flags |= PKT_PROVES_NOTHING;
		return;
	}
	if (next == f->state)
		return;
	if (next == TCP_STATE_LAST_ACK_INTERNAL || next == TCP_STATE_LAST_ACK_REMOTE)
		more->fin_end = fin_end(m, tcp);
	if (next == TCP_STATE_TIME_WAIT && is_last_ack_missing(more, tcp))
		return;
	enter(ctx, f, m->flow_id, next);
}

void flow_track_new(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct flow *f = stage_flow(ctx, m);

	track_acked(f, m, stage_l4(pkt, m));
	note_flags(f, stage_flow_more(ctx, m), m);
}
