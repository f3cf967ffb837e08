/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flow: finds the flow of each packet, in either direction, by one look-up; flow_new.c decides on packets without one.
 * Buckets, then flow lines, are prefetched over the whole burst.
 */
#include "stage.h"
#include "track.h"

#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

/* Packets whose flow is not told by addresses and ports of their own alone, and those that no flow may take along. */
#define NEEDS_SLOW_PATH (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER | PKT_ICMP_ERROR | PKT_LINK_GROUP)

/* Of the burst's packets, hashes and the buckets they lead to. */
static void prefetch_buckets(const struct flow_table *t, struct rte_mbuf *const *pkts,
	uint32_t n_pkts, const struct flow_bucket **ret_buckets)
{
	const struct flow_hash_key hash_key = t->hash_key;

	for (uint32_t i = 0; i < n_pkts; i++) {
		struct pkt_meta *m = stage_meta(pkts[i]);

		m->hash = stage_hash(&hash_key, m);
		ret_buckets[i] = flow_table_bucket(t, m->hash);
		rte_prefetch0(ret_buckets[i]);
	}
}

/* The likely flow of each packet, or FLOW_REF_NONE. */
static void prefetch_flows(const struct flow_table *t, struct rte_mbuf *const *pkts,
	uint32_t n_pkts, const struct flow_bucket *const *buckets, uint32_t *ret_candidates)
{
	for (uint32_t i = 0; i < n_pkts; i++) {
		uint32_t ref = flow_bucket_candidate(buckets[i], stage_meta(pkts[i])->hash);

		ret_candidates[i] = ref;
		if (likely(ref != FLOW_REF_NONE))
			rte_prefetch0(&t->flows[ref >> 1]);
	}
}

enum drop_reason flow_of_icmp_error(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	struct pkt_meta quote;
	enum drop_reason why = icmp_error_quote(stage_ip(pkt, m), m->ip_octets, &quote);
	struct flow_key_v4 key;
	uint32_t ref;

	if (why != DROP_NONE)
		return why;
	/* The quoted packet went the other way, so the flow is found by its tuple turned round. */
	key = (struct flow_key_v4){
		.src_be = quote.dst.words[3],
		.dst_be = quote.src.words[3],
		.src_port = quote.dst_port,
		.dst_port = quote.src_port,
		.proto = quote.proto,
	};
	ref = flow_table_find_v4(ctx->flows, flow_hash_v4(&ctx->flows->hash_key, &key), &key);
	if (ref == FLOW_REF_NONE)
		return DROP_FLOW_ICMP_UNRELATED;
	m->flow_id = ref >> 1;
	m->direction = ref & 1;
	return DROP_NONE;
}

/* What RFC 1812 5.3.1 and RFC 1191 demand before a packet goes on by its flow's port. */
static enum drop_reason refuse_forwarding(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	if ((m->flags & PKT_TTL_SPENT) != 0) {
		local_icmp_error(ctx, pkt, m, ICMP_TIME_EXCEEDED, 0, 0);
		return DROP_FLOW_TTL;
	}
	if ((load_be16(stage_ip(pkt, m) + 6) & IPV4_DF) == 0)
		return DROP_NONE; /* tx sends it in fragments */
	local_icmp_error(ctx, pkt, m, ICMP_UNREACHABLE, ICMP_CODE_FRAGMENTATION_NEEDED,
		ICMP_REST_MTU(ctx->mtu[m->out_port]));
	return DROP_FLOW_TOO_BIG;
}

static inline enum drop_reason check_forwarding(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	if (likely((m->flags & PKT_TTL_SPENT) == 0 && m->ip_octets <= ctx->mtu[m->out_port]))
		return DROP_NONE;
	return refuse_forwarding(ctx, pkt, m);
}

/* Takes up a packet whose flow is known. */
static inline enum drop_reason follow(struct stage_ctx *ctx, struct rte_mbuf *pkt,
	struct pkt_meta *m, const struct flow *f, enum direction direction)
{
	bool is_down = direction == DOWNLINK;

	if (unlikely(m->in_port != (is_down ? f->wan_port : f->lan_port)))
		return DROP_FLOW_WRONG_PORT;
	/* Only the LAN side speaks on a hairpinned flow: hairpin.c leads it back. */
	if (unlikely((f->flags & FLOW_HAIRPIN) != 0 && is_down))
		return DROP_FLOW_SPOOFED_UPLINK;
	m->out_port = is_down ? f->lan_port : f->wan_port;
	m->device_id = f->device_id;
	return check_forwarding(ctx, pkt, m);
}

static inline enum drop_reason flow_hit(struct stage_ctx *ctx, struct rte_mbuf *pkt,
	struct pkt_meta *m, struct flow *f, uint32_t ref)
{
	enum drop_reason why;

	m->flow_id = ref >> 1;
	m->direction = ref & 1;
	why = follow(ctx, pkt, m, f, ref & 1);
	if (why == DROP_NONE && m->proto == PROTO_TCP && (m->flags & PKT_FRAGMENT_LATER) == 0)
		track(ctx, pkt, m, f);
	return why;
}

/* RFC 5382 REQ-4. */
static void keep_syn(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	struct flow_key_v4 key = stage_key(m);

	if (m->proto == PROTO_TCP && ctx->is_uplink[m->in_port] && tcp_track_opens(m->tcp_flags))
		syn_hold_keep(&ctx->syn_hold, &key, m->in_port, stage_ip(pkt, m), m->ip_octets,
			ctx->now_us);
}

/* The flow of a packet that has ports. A first fragment that begins one is let in by nat alone. */
static enum drop_reason find_or_begin(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, const struct place *to)
{
	uint32_t ref = (m->flags & NEEDS_SLOW_PATH) != 0 ? stage_find(ctx, m) : FLOW_REF_NONE;
	enum drop_reason why;

	if (ref != FLOW_REF_NONE) {
		why = flow_hit(ctx, pkt, m, &ctx->flows->flows[ref >> 1], ref);
		if (why == DROP_NONE && (m->flags & PKT_FRAGMENT_FIRST) != 0)
			fragments_first(ctx, pkt, m);
		return why;
	}
	why = flow_new(ctx, pkt, m, to);
	if ((why == DROP_POLICY_INBOUND || why == DROP_POLICY_FILTERED)
		&& ctx->config->tells_unsolicited_syn)
		keep_syn(ctx, pkt, m);
	if (why != DROP_NONE)
		return why;
	why = check_forwarding(ctx, pkt, m);
	if (why != DROP_NONE)
		flow_abandon(ctx, m);
	else if (m->proto == PROTO_TCP && (m->flags & PKT_FRAGMENT_LATER) == 0)
		flow_track_new(ctx, pkt, m);
	return why;
}

/* `candidate` is what one look has found. */
static enum drop_reason find_slowly(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m,
	uint32_t candidate, bool *ret_gone)
{
	enum drop_reason why = DROP_NONE;
	uint32_t ref = FLOW_REF_NONE;
	struct place to;

	if ((m->flags & NEEDS_SLOW_PATH) == 0
		&& (candidate != FLOW_REF_NONE
			|| flow_table_bucket(ctx->flows, m->hash)->next != 0))
		ref = stage_find(ctx, m);
	if (ref != FLOW_REF_NONE)
		return flow_hit(ctx, pkt, m, &ctx->flows->flows[ref >> 1], ref);
	to = address_place(&ctx->networks, m->dst.words[3]);
	if (local_deliver(ctx, pkt, m, &to, &why)) {
		*ret_gone = why == DROP_NONE; /* refused: still ours to drop */
		return why;
	}
	/* What has no ports of its own can be made to fit any flow: its addresses are judged by themselves. */
	why = flow_check_addresses(ctx, pkt, m);
	if (why != DROP_NONE)
		return why;
	if ((m->flags & PKT_ICMP_ERROR) != 0 && (m->flags & PKT_FRAGMENT_LATER) == 0) {
		why = flow_of_icmp_error(ctx, pkt, m);
		return why != DROP_NONE ? why
					: follow(ctx, pkt, m, stage_flow(ctx, m), m->direction);
	}
	if ((m->flags & PKT_FRAGMENT_LATER) != 0 && !fragments_later(ctx, pkt, m)) {
		*ret_gone = true;
		return DROP_NONE;
	}
	why = find_or_begin(ctx, pkt, m, &to);
	if (why != DROP_NONE && (m->flags & PKT_FRAGMENT_FIRST) != 0)
		fragments_refuse(ctx, pkt, m, why);
	return why;
}

/* Fragments and ICMP errors, whatever has no flow, and the few whose signature another flow shares. False for a packet that
 * does not go on. */
__attribute__((noinline)) static bool flow_slow(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m, uint32_t candidate)
{
	bool gone = false;
	enum drop_reason why = find_slowly(ctx, pkt, m, candidate, &gone);

	if (why != DROP_NONE && !gone)
		stage_drop(ctx, pkt, why);
	return why == DROP_NONE && !gone;
}

/* The flow that `ref` leads to, if it is the packet's as far as one look tells; else NULL. */
static inline struct flow *flow_at(struct flow *flows, uint32_t ref, const struct pkt_meta *m)
{
	struct flow_key_v4 key = stage_key(m);
	struct flow *f = &flows[ref >> 1];

	if (unlikely(ref == FLOW_REF_NONE || (m->flags & NEEDS_SLOW_PATH) != 0))
		return NULL;
	return likely(flow_has_key_v4(f, ref & 1, &key)) ? f : NULL;
}

uint16_t flow_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	const struct flow_table *t = ctx->flows;
	struct rte_mbuf **kept = pkts;
	const struct flow_bucket *buckets[BURST_ROOM];
	uint32_t candidates[BURST_ROOM];

	ctx->n_new_flows = 0;
	prefetch_buckets(t, pkts, n_pkts, buckets);
	prefetch_flows(t, pkts, n_pkts, buckets, candidates);
	for (uint32_t i = 0; i < n_pkts; i++) {
		struct rte_mbuf *pkt = pkts[i];
		struct pkt_meta *m = stage_meta(pkt);
		struct flow *f = flow_at(t->flows, candidates[i], m);

		if (likely(f != NULL)) {
			enum drop_reason why = flow_hit(ctx, pkt, m, f, candidates[i]);

			if (unlikely(why != DROP_NONE)) {
				stage_drop(ctx, pkt, why);
				continue;
			}
		} else if (!flow_slow(ctx, pkt, m, candidates[i])) {
			continue;
		}
		*kept++ = pkt;
	}
	return (uint16_t)(kept - pkts);
}
