/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments on the path: later ones learn from the first of their datagram, in whatever order they come (RFC 4787 REQ-14).
 * A first fragment is remembered once its flow has let it in, so that what nobody asked for takes no place (REQ-14a).
 * Datagrams that go up get an identification of the gateway's, as those of all hosts come from one address (RFC 7857
 * section 9, RFC 6864 section 5.3.1).
 */
#include "stage.h"

#include <weir/packet/rewrite.h>

#define IDENTIFICATION_OFFSET 4

static struct fragment_key key_of(const uint8_t *ip, const struct pkt_meta *m)
{
	return (struct fragment_key){
		.src = m->src,
		.dst = m->dst,
		.identification = load_be16(ip + IDENTIFICATION_OFFSET),
		.proto = m->proto,
		.in_port = m->in_port,
	};
}

/* Ends packets that the flow stage held, in whatever stage that comes out. */
static void drop_held(
	struct stage_ctx *ctx, const struct fragment_packets *held, enum drop_reason why)
{
	uint8_t stage = ctx->stage;

	ctx->stage = STAGE_flow;
	ctx->stages[STAGE_flow].taken += held->n;
	for (uint32_t i = 0; i < held->n; i++)
		stage_drop(ctx, held->packets[i], why);
	ctx->stage = stage;
}

static void rewrite_identification(uint8_t *ip, uint16_t identification)
{
	uint16_t old_word = load16(ip + IDENTIFICATION_OFFSET);
	uint16_t new_word = htons(identification);

	store16(ip + IDENTIFICATION_OFFSET, new_word);
	rewrite_checksum(ip + 10, checksum_delta16(old_word, new_word));
}

void fragments_first(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	uint8_t *ip = stage_ip(pkt, m);
	struct fragment_key key = key_of(ip, m);
	bool is_renamed =
		m->direction == UPLINK && (stage_flow(ctx, m)->flags & FLOW_TRANSLATED) != 0;
	struct fragment_origin origin = {
		.src_port = m->src_port, .dst_port = m->dst_port, .is_renamed = is_renamed};
	struct fragment_packets held;
	struct fragment_packets evicted;

	fragment_first(ctx->fragments, &key, &origin, ctx->now_us, &held, &evicted);
	if (is_renamed)
		rewrite_identification(ip, origin.identification);
	for (uint32_t i = 0; i < held.n; i++) {
		/* It may be older than the flow it joins: account_flow_lives() must not take it for a former flow's. */
		stage_meta(held.packets[i])->rx_us = (uint32_t)ctx->now_us;
		ctx->requeue[ctx->n_requeued++] = held.packets[i];
	}
	drop_held(ctx, &evicted, DROP_FLOW_FRAGMENTS_FULL);
}

void fragments_refuse(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m, enum drop_reason why)
{
	struct fragment_key key = key_of(stage_ip(pkt, m), m);
	struct fragment_packets held;

	fragment_refuse(ctx->fragments, &key, &held);
	drop_held(ctx, &held, why);
}

bool fragments_later(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	uint8_t *ip = stage_ip(pkt, m);
	struct fragment_key key = key_of(ip, m);
	struct fragment_origin origin = {0};
	struct fragment_packets evicted;
	enum fragment_verdict verdict =
		fragment_later(ctx->fragments, &key, pkt, ctx->now_us, &origin, &evicted);

	drop_held(ctx, &evicted, DROP_FLOW_FRAGMENTS_FULL);
	if (verdict == FRAGMENT_HELD)
		stage_hold(ctx);
	if (verdict == FRAGMENT_FULL)
		stage_drop(ctx, pkt, DROP_FLOW_FRAGMENTS_FULL);
	if (verdict != FRAGMENT_KNOWN)
		return false;
	m->src_port = origin.src_port;
	m->dst_port = origin.dst_port;
	m->hash = stage_hash(&ctx->flows->hash_key, m);
	if (origin.is_renamed)
		rewrite_identification(ip, origin.identification);
	return true;
}
