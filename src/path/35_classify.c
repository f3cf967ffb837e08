/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * classify: the class of each new flow; it stays with the flow, unless its first packets name another server than its
 * device was told of. Where classes have names, packets of the DNS and the first ones of each flow are read for them. For names
 * that people read packets of the DNS are looked for alone, and only while flows to a port 53 may live.
 */
#include "path.h"

#include <weir/classify/classes.h>
#include <weir/classify/dns.h>
#include <weir/classify/learner.h>

void classify_flow(struct stage_ctx *ctx, uint32_t flow_id)
{
	const struct path_config *c = ctx->config;
	struct flow *f = &ctx->flows->flows[flow_id];
	struct flow_more *more = &ctx->flows->more[flow_id];
	struct class_question q = {
		.proto = f->proto,
		.dscp = more->dscp,
		.remote_port = f->remote_port,
		.source_port = f->internal_port,
		.remote = more->remote,
		.device = more->internal,
		.named = more->named,
	};
	struct class_verdict verdict;

	if (f->device_id != DEVICE_NONE) {
		struct device *d = &ctx->devices->devices[f->device_id];

		q.mac = d->mac;
		q.groups = stage_groups(ctx, d);
	}
	verdict = classes_match(c->classes, &q);
	more->class_id = verdict.class_id;
	more->kind = verdict.kind & 0xfu;
	f->flags &= (uint8_t)~FLOW_RESERVED;
	if (c->accounts[more->class_id] != ACCOUNT_GENERAL)
		f->flags |= FLOW_RESERVED;
	quota_flow(ctx, f);
}

/* Policy was asked about the flow as what it seemed to be. If it is denied now, policy's stage drops its packets from this one
 * on, and housekeeping's next round ends it. */
static void classify_again(struct stage_ctx *ctx, uint32_t flow_id)
{
	if (policy_ask_again(ctx, flow_id))
		return;
	policy_find_watched(ctx, true);
	ctx->path->reask_left = ctx->flows->capacity;
}

/* Told from the flow's first line alone, which the flow stage has just read. */
static bool says_names(const struct flow *f)
{
	return f->packets[UPLINK] < LEARN_PACKETS_MAX || f->remote_port == DNS_PORT;
}

/* Whether learn_packet() may find anything: what joins another flow of its burst has been judged as that has. */
static bool is_read(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	return stage_flow(ctx, m)->remote_port == DNS_PORT
	       || stage_flow_more(ctx, m)->hello == FLOW_HELLO_WANTED;
}

/* The flow that a packet will be of: of those of one burst that begin the same flow, nat lets all join the first. */
static uint32_t flow_of(struct rte_mbuf **pkts, uint16_t i)
{
	const struct pkt_meta *m = stage_meta(pkts[i]);

	for (uint16_t j = 0; j < i && (m->flags & PKT_NEW_FLOW) != 0; j++) {
		const struct pkt_meta *first = stage_meta(pkts[j]);

		if (first->hash == m->hash && (first->flags & PKT_NEW_FLOW) != 0
			&& first->proto == m->proto && ip_addr_equal(&first->src, &m->src)
			&& ip_addr_equal(&first->dst, &m->dst) && first->src_port == m->src_port
			&& first->dst_port == m->dst_port)
			return first->flow_id;
	}
	return m->flow_id;
}

/* Where no class has names, of the DNS alone, by what the packets themselves say. */
static void learn_dns(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	bool any = false;

	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		if (likely(m->src_port != DNS_PORT && m->dst_port != DNS_PORT))
			continue;
		any = true;
		learn_packet(ctx, pkts[i], m, flow_of(pkts, i));
	}
	if (any)
		learn_on(ctx);
}

/* While nothing is looked for, a flow to a port 53 changes that. */
static void watch_for_dns(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		if ((m->flags & PKT_NEW_FLOW) != 0 && m->dst_port == DNS_PORT)
			learn_dns_begins(ctx, pkts[i], m);
	}
}

/* One of the first packets of its flow, or one of the DNS. */
__attribute__((noinline)) static void learn_one(
	struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t i)
{
	const struct pkt_meta *m = stage_meta(pkts[i]);
	bool is_new = (m->flags & PKT_NEW_FLOW) != 0;

	if (is_new)
		learn_begin(ctx, m->flow_id);
	if (is_read(ctx, m) && learn_packet(ctx, pkts[i], m, flow_of(pkts, i)) && !is_new)
		classify_again(ctx, m->flow_id);
}

static void learn_burst(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		if (unlikely(m->flow_id != FLOW_NONE && says_names(stage_flow(ctx, m))))
			learn_one(ctx, pkts, i);
	}
}

/* RFC 2474: the upper six bits of an IPv4 header's second octet. A stranger's mark says nothing of the device. */
static uint8_t dscp_of(struct rte_mbuf *pkt, const struct pkt_meta *m)
{
	if (m->direction != UPLINK)
		return DSCP_NONE;
	return *rte_pktmbuf_mtod_offset(pkt, const uint8_t *, m->l3_off + 1) >> 2;
}

uint16_t classify_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	if (unlikely(ctx->learn_until_us > ctx->now_us)) {
		if (ctx->config->names != NULL)
			learn_burst(ctx, pkts, n_pkts);
		else
			learn_dns(ctx, pkts, n_pkts);
	}
	if (likely(ctx->n_new_flows == 0))
		return n_pkts;
	if (ctx->learn_until_us <= ctx->now_us)
		watch_for_dns(ctx, pkts, n_pkts);
	for (uint16_t i = 0; i < n_pkts; i++) {
		const struct pkt_meta *m = stage_meta(pkts[i]);

		if (unlikely((m->flags & PKT_NEW_FLOW) != 0)) {
			stage_flow_more(ctx, m)->dscp = dscp_of(pkts[i], m);
			classify_flow(ctx, m->flow_id);
		}
	}
	return n_pkts;
}
