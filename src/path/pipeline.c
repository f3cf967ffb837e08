/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the stages in the order of stages.def and holds them to the law of the house:
 *
 *     in + made + taken out of a queue = out + dropped + set aside + put into a queue
 */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/packet/parse.h>

typedef uint16_t (*stage_fn)(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts);

static const stage_fn stage_fns[N_STAGES] = {
#define STAGE(name) name##_run,
#include "stages.def"
#undef STAGE
};

static void check_conservation(struct stage_ctx *ctx, const struct stage_counters *c)
{
	struct path_event event = {.kind = EVENT_CONSERVATION, .a = ctx->stage};

	if (likely(c->in + c->made + c->taken == c->out + c->dropped + c->aside + c->held))
		return;
	ctx->conservation_errors++;
	stage_event(ctx, &event);
}

static uint16_t run_stage(
	struct stage_ctx *ctx, enum stage_id id, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct stage_counters *c = &ctx->stages[id];
	uint64_t start = ctx->profile ? clock_tsc() : 0;
	uint16_t n_out;

	ctx->stage = (uint8_t)id;
	n_out = stage_fns[id](ctx, pkts, n_pkts);
	c->out += n_out;
	check_conservation(ctx, c);
	if (ctx->profile)
		c->ticks += clock_tsc() - start;
	return n_out;
}

uint16_t pipeline_run(struct stage_ctx *ctx)
{
	struct rte_mbuf *pkts[BURST_ROOM];
	uint16_t n = run_stage(ctx, STAGE_rx, pkts, 0);
	uint16_t n_received = n;

	for (uint32_t id = STAGE_parse; id < N_STAGES && n > 0; id++) {
		ctx->stages[id].in += n;
		n = run_stage(ctx, id, pkts, n);
	}
	return n_received;
}

void pipeline_resume(
	struct stage_ctx *ctx, enum stage_id first, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct rte_mbuf *burst[BURST_ROOM];
	uint16_t n = n_pkts;

	for (uint16_t i = 0; i < n_pkts; i++)
		burst[i] = pkts[i];
	ctx->stages[first].taken += n;
	n = run_stage(ctx, first, burst, n);
	for (uint32_t id = first + 1; id < N_STAGES; id++) {
		ctx->stages[id].in += n;
		n = run_stage(ctx, id, burst, n);
	}
}

const uint8_t *stage_datagram(struct rte_mbuf *pkt, const struct pkt_meta *m, uint32_t *ret_len)
{
	const uint8_t *l4 = stage_l4(pkt, m);
	uint32_t l4_bytes = m->ip_octets - (uint32_t)(m->l4_off - m->l3_off);

	if (l4 == NULL || (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) != 0)
		return NULL;
	l4_bytes = RTE_MIN(l4_bytes, (uint32_t)load_be16(l4 + 4));
	if (l4_bytes <= UDP_HEADER_BYTES)
		return NULL;
	*ret_len = l4_bytes - UDP_HEADER_BYTES;
	return l4 + UDP_HEADER_BYTES;
}

void stage_drop(struct stage_ctx *ctx, struct rte_mbuf *pkt, enum drop_reason why)
{
	struct pkt_meta *m = stage_meta(pkt);
	uint32_t octets = ctx->stage > STAGE_parse ? m->ip_octets : rte_pktmbuf_pkt_len(pkt);

	ctx->stages[ctx->stage].dropped++;
	ctx->drops[why]++;
	ctx->drop_octets[why] += octets;
	if (ctx->stage > STAGE_parse && m->flow_id == FLOW_NONE && m->in_port != PORT_NONE
		&& ctx->is_uplink[m->in_port])
		unsolicited_count(ctx, m->in_port, m, octets);
	if (ctx->stage > STAGE_meter)
		account_take_back(ctx, m);
	rte_pktmbuf_free(pkt);
}

void stage_aside(struct stage_ctx *ctx, struct rte_mbuf *pkt, uint8_t port, bool is_frame)
{
	if (ctx->n_asides == ASIDE_MAX) {
		stage_drop(ctx, pkt, DROP_TX_REFUSED);
		return;
	}
	ctx->asides[ctx->n_asides++] =
		(struct aside){.pkt = pkt, .port = port, .is_frame = is_frame};
	ctx->stages[ctx->stage].aside++;
}

bool stage_limit_take(struct stage_limit *l, uint64_t now_us, uint32_t per_s)
{
	uint64_t step_us;
	uint64_t burst_us = US_PER_S / 10; /* a tenth of a second's worth may go at once */

	if (per_s == 0)
		return false;
	step_us = US_PER_S / per_s;
	if (l->next_us + burst_us < now_us)
		l->next_us = now_us - burst_us;
	if (l->next_us > now_us)
		return false;
	l->next_us += step_us;
	return true;
}
