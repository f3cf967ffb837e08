/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nat: a new flow gets its mapping and enters the table; every packet gets the rewrite of its flow and direction, one
 * off its TTL, and an MSS that fits.
 */
#include "stage.h"

#include <weir/classify/classes.h>
#include <weir/nat/translate.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/rewrite.h>

#include <errno.h>

#define IP_TCP_HEADERS_OCTETS 40

/* The mapping of a flow that begins on a LAN, or of one that is forwarded from outside. */
static enum drop_reason map(
	struct stage_ctx *ctx, const struct pkt_meta *m, struct flow *f, struct flow_more *more)
{
	struct nat *nat = ctx->nats[f->wan_port];
	struct nat_internal who = {
		.addr = more->internal,
		.port = f->internal_port,
		.proto = f->proto,
		.lan_port = f->lan_port,
		.device_id = f->device_id,
	};
	enum drop_reason why;

	if (m->direction == DOWNLINK)
		return nat_map_at(nat, &who, f->external_port, &more->mapping_id);
	why = nat_map(nat, &who, &more->mapping_id);
	if (why != DROP_NONE)
		return why;
	more->external = ctx->config->ports[f->wan_port].address.addr;
	f->external_be = more->external.words[3];
	f->external_port = nat_mapping(nat, more->mapping_id)->external_port;
	return DROP_NONE;
}

/* RFC 6888 REQ-6: what a LAN begins in some classes leaves under its own address. What arrived at the external one has been
 * translated already. */
static bool is_translated(const struct stage_ctx *ctx, const struct pkt_meta *m,
	const struct flow *f, const struct flow_more *more)
{
	if (!ctx->is_uplink[f->wan_port])
		return false;
	return m->direction == DOWNLINK || (f->flags & FLOW_HAIRPIN) != 0
	       || classes_translates(ctx->config->classes, more->class_id);
}

/* Another packet of the same burst may have made the flow since this one missed it. */
static bool join(struct stage_ctx *ctx, struct pkt_meta *m)
{
	uint32_t ref = stage_find(ctx, m);

	if (ref == FLOW_REF_NONE)
		return false;
	flow_abandon(ctx, m);
	m->flow_id = ref >> 1;
	m->direction = ref & 1;
	return true;
}

/* Enters a flow whose endpoints are complete. */
static enum drop_reason enter(
	struct stage_ctx *ctx, struct pkt_meta *m, struct flow *f, struct flow_more *more)
{
	struct nat *nat = more->mapping_id != POOL_NONE ? ctx->nats[f->wan_port] : NULL;
	enum drop_reason why;

	if (nat != NULL) {
		why = nat_hold(
			nat, more->mapping_id, &more->remote, (f->flags & FLOW_UNANSWERED) == 0);
		if (why != DROP_NONE)
			goto err_mapping;
	}
	translate_prepare(f);
	why = DROP_FLOW_TABLE_FULL;
	/* join() has looked for the packet's own key. */
	if (flow_table_insert_missed(ctx->flows, m->flow_id, m->direction, m->hash) < 0)
		goto err_hold;
	flow_wheel_add(ctx->wheel, &ctx->config->timeouts, m->flow_id);
	ctx->flows_created++;
	return DROP_NONE;

err_hold:
	if (nat != NULL)
		nat_release(
			nat, more->mapping_id, &more->remote, (f->flags & FLOW_UNANSWERED) == 0);
	return why;
err_mapping:
	nat_forget_unused(nat, more->mapping_id);
	return why;
}

enum drop_reason nat_new(struct stage_ctx *ctx, struct pkt_meta *m)
{
	struct flow *f = stage_flow(ctx, m);
	struct flow_more *more = stage_flow_more(ctx, m);
	enum drop_reason why = DROP_NONE;

	if (join(ctx, m))
		return DROP_NONE;
	if (more->mapping_id == POOL_NONE && is_translated(ctx, m, f, more))
		why = map(ctx, m, f, more);
	if (why == DROP_NONE)
		why = enter(ctx, m, f, more);
	if (why != DROP_NONE)
		flow_abandon(ctx, m);
	return why;
}

/* RFC 5508 REQ-4, REQ-5: outer address and quoted packet alike. */
enum drop_reason nat_translate_error(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	const struct flow *f = stage_flow(ctx, m);
	uint8_t *ip = stage_ip(pkt, m);
	struct rewrite inner = translate_quote(f, m->direction);
	struct pkt_meta quote;
	enum drop_reason why = icmp_error_quote(ip, m->ip_octets, &quote);
	struct rewrite outer;

	if (why != DROP_NONE)
		return why;
	if (m->direction == UPLINK) {
		outer = rewrite_prepare(PROTO_ICMP, m->src.words[3], 0, f->external_be, 0);
		rewrite_source(ip, NULL, &outer);
	} else {
		outer = rewrite_prepare(PROTO_ICMP, m->dst.words[3], 0, f->internal_be, 0);
		rewrite_destination(ip, NULL, &outer);
	}
	icmp_error_rewrite_quote(ip, m->ip_octets, &quote, &inner, m->direction == DOWNLINK);
	return DROP_NONE;
}

static void clamp_mss(const struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	uint16_t mtu = (uint16_t)RTE_MIN(ctx->mtu[m->in_port], ctx->mtu[m->out_port]);
	uint16_t l4_octets = (uint16_t)(m->ip_octets - (m->l4_off - m->l3_off));

	rewrite_clamp_mss(rte_pktmbuf_mtod_offset(pkt, uint8_t *, m->l4_off), l4_octets,
		(uint16_t)(mtu - IP_TCP_HEADERS_OCTETS));
}

/* A new flow, which its first packet has made, and with it lets in the fragments behind it. */
static enum drop_reason begin(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	enum drop_reason why = nat_new(ctx, m);

	if (why == DROP_NONE && m->out_port == m->in_port)
		/* RFC 1812 5.2.7.2: there is a shorter way. */
		local_icmp_error(ctx, pkt, m, ICMP_REDIRECT, ICMP_CODE_HOST,
			ICMP_REST_GATEWAY(m->dst.words[3]));
	if ((m->flags & PKT_FRAGMENT_FIRST) == 0)
		return why;
	if (why == DROP_NONE)
		fragments_first(ctx, pkt, m);
	else
		fragments_refuse(ctx, pkt, m, why);
	return why;
}

/* New flows, errors, hairpins, what nobody has answered yet, packets that keep their addresses, SYNs, and fragments
 * without an L4 header. */
__attribute__((noinline)) static enum drop_reason nat_uncommon(
	struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	enum drop_reason why = DROP_NONE;
	const struct flow *f;

	if ((m->flags & PKT_NEW_FLOW) != 0)
		why = begin(ctx, pkt, m);
	if (why != DROP_NONE) {
		flow_refuse(ctx, pkt, m, why);
		return why;
	}
	f = stage_flow(ctx, m);
	if ((f->flags & FLOW_UNANSWERED) != 0 && m->direction == UPLINK
		&& (m->flags & PKT_ICMP_ERROR) == 0 && (m->tcp_flags & TCP_RST) == 0)
		flow_answered(ctx, m->flow_id);
	if ((f->flags & FLOW_TRANSLATED) != 0 && (m->flags & PKT_ICMP_ERROR) == 0) {
		if (m->l4_off == 0)
			translate_forward_later(f, m->direction, stage_ip(pkt, m));
		else
			translate_forward(f, m->direction, stage_ip(pkt, m), stage_l4(pkt, m));
	} else {
		if ((f->flags & FLOW_TRANSLATED) != 0)
			why = nat_translate_error(ctx, pkt, m);
		if (why != DROP_NONE)
			return why;
		rewrite_ttl(stage_ip(pkt, m));
	}
	if ((f->flags & FLOW_HAIRPIN) != 0)
		why = hairpin_turn(ctx, pkt, m);
	if ((m->flags & PKT_TCP_SYN) != 0 && why == DROP_NONE)
		clamp_mss(ctx, pkt, m);
	return why;
}

/* The NAT that will translate a packet's new flow, as far as can be told before its class has a say; else NULL. */
static const struct nat *nat_of_new(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if ((m->flags & PKT_NEW_FLOW) == 0 || m->direction != UPLINK)
		return NULL;
	return ctx->nats[m->out_port];
}

/* Of each new flow of a burst, the chain in which its mapping is looked for, on its way from memory; NULL where none is. */
static void expect_chains(const struct stage_ctx *ctx, struct rte_mbuf *const *pkts,
	uint32_t n_pkts, const uint32_t **ret_chains)
{
	for (uint32_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);
		const struct nat *nat = nat_of_new(ctx, m);

		ret_chains[i] = NULL;
		if (nat == NULL)
			continue;
		ret_chains[i] = nat_chain(nat, m->proto, &m->src, m->src_port);
		rte_prefetch0(ret_chains[i]);
	}
	for (uint32_t i = 0; i < n_pkts; i++)
		if (ret_chains[i] != NULL)
			nat_expect_chain(nat_of_new(ctx, stage_meta(pkts[i])), ret_chains[i]);
}

/* Fetches what the new flows of a burst will touch: their mappings, then filter and the bucket of the way back. An
 * endpoint without a mapping is thought to get its own port. */
__attribute__((noinline)) static void expect_new(
	const struct stage_ctx *ctx, struct rte_mbuf *const *pkts, uint32_t n_pkts)
{
	const uint32_t *chains[BURST_ROOM];

	expect_chains(ctx, pkts, n_pkts, chains);
	for (uint32_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);
		const struct nat *nat = nat_of_new(ctx, m);
		struct flow_key_v4 down;
		uint32_t id;

		if (nat == NULL)
			continue;
		id = nat_find_in_chain(nat, chains[i], m->proto, &m->src, m->src_port);
		down = (struct flow_key_v4){
			.src_be = m->dst.words[3],
			.dst_be = ctx->config->ports[m->out_port].address.addr.words[3],
			.src_port = m->dst_port,
			.dst_port = m->src_port,
			.proto = m->proto,
		};
		if (id != POOL_NONE) {
			nat_expect(nat, id, m->dst.words[3]);
			down.dst_port = nat_mapping(nat, id)->external_port;
		}
		rte_prefetch0(
			flow_table_bucket(ctx->flows, flow_hash_v4(&ctx->flows->hash_key, &down)));
	}
}

uint16_t nat_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	const uint16_t uncommon = PKT_NEW_FLOW | PKT_ICMP_ERROR | PKT_TCP_SYN | PKT_FRAGMENT_LATER;
	const uint8_t flags = FLOW_TRANSLATED | FLOW_HAIRPIN | FLOW_UNANSWERED;
	const struct flow *flows = ctx->flows->flows;
	struct rte_mbuf **kept = pkts;

	if (unlikely(ctx->n_new_flows > 0))
		expect_new(ctx, pkts, n_pkts);
	for (uint32_t i = 0; i < n_pkts; i++) {
		struct rte_mbuf *pkt = pkts[i];
		struct pkt_meta *m = stage_meta(pkt);
		const struct flow *f = &flows[m->flow_id];
		enum drop_reason why = DROP_NONE;

		if (likely((m->flags & uncommon) == 0 && (f->flags & flags) == FLOW_TRANSLATED))
			translate_forward(f, m->direction, stage_ip(pkt, m),
				rte_pktmbuf_mtod_offset(pkt, uint8_t *, m->l4_off));
		else
			why = nat_uncommon(ctx, pkt, m);
		if (likely(why == DROP_NONE))
			*kept++ = pkt;
		else
			stage_drop(ctx, pkt, why);
	}
	return (uint16_t)(kept - pkts);
}
