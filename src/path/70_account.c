/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * account: octets and packets of each flow and device. What an uplink's edge counts beyond the sum of its flows is
 * unattributed: unsolicited, malformed, or the gateway's own.
 */
#include "stage.h"

#include <weir/account/usage.h>

/* The uplink this packet crosses, or PORT_NONE: a packet between LANs costs nothing. */
static uint8_t crossed_uplink(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	if (ctx->is_uplink[m->out_port])
		return m->out_port;
	return ctx->is_uplink[m->in_port] ? m->in_port : PORT_NONE;
}

static void count(struct stage_ctx *ctx, const struct pkt_meta *m)
{
	struct flow *f = stage_flow(ctx, m);
	struct device *d = &ctx->devices->devices[f->device_id];
	uint8_t port = crossed_uplink(ctx, m);
	uint32_t last_ms = f->last_ms[m->direction];

	usage_count(f, m->direction, m->ip_octets, ctx->now_ms);
	/* RFC 5508 REQ-6: an error that somebody quotes at a flow must not keep it alive. */
	if (unlikely((m->flags & PKT_ICMP_ERROR) != 0))
		f->last_ms[m->direction] = last_ms;
	f->tcp_flags[m->direction] |= m->tcp_flags;
	d->octets[m->direction] += m->ip_octets;
	d->packets[m->direction]++;
	d->last_us = ctx->now_us;
	if (port != PORT_NONE) {
		ctx->attributed[port][m->direction].octets += m->ip_octets;
		ctx->attributed[port][m->direction].packets++;
	}
}

uint16_t account_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	for (uint16_t i = 0; i < n_pkts; i++)
		count(ctx, stage_meta(pkts[i]));
	return n_pkts;
}

bool account_flow_lives(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	const struct flow_more *more = stage_flow_more(ctx, m);
	uint32_t packet_age_us = (uint32_t)ctx->now_us - m->rx_us;

	return more->in_use && ctx->now_us - more->start_us >= packet_age_us;
}

void account_take_back(struct stage_ctx *ctx, const struct pkt_meta *m)
{
	uint8_t port = m->out_port;
	uint8_t plan_id;
	struct device *d;

	if (port == PORT_NONE || !ctx->is_uplink[port] || m->ip_octets == 0)
		return; /* what came by the uplink was billed, whatever became of it; ARP never was */
	plan_id = ctx->config->ports[port].plan_id;
	if (plan_id != PLAN_NONE)
		meter_add(&ctx->plans[plan_id], UPLINK, -(uint64_t)m->ip_octets, UINT64_MAX);
	if (m->flow_id == FLOW_NONE)
		return;
	ctx->attributed[port][UPLINK].octets -= m->ip_octets;
	ctx->attributed[port][UPLINK].packets--;
	if (!account_flow_lives(ctx, m))
		return;
	usage_uncount(stage_flow(ctx, m), UPLINK, m->ip_octets);
	d = &ctx->devices->devices[stage_flow(ctx, m)->device_id];
	d->octets[UPLINK] -= m->ip_octets;
	d->packets[UPLINK]--;
}

void account_add(struct stage_ctx *ctx, const struct pkt_meta *m, int64_t octets, int64_t packets)
{
	uint64_t more_octets = (uint64_t)octets; /* modulo 2^64, so that less is added as well */
	uint64_t more_packets = (uint64_t)packets;
	uint8_t port = m->out_port;
	uint8_t plan_id = ctx->config->ports[port].plan_id;
	struct device *d;
	struct flow *f;

	if (!ctx->is_uplink[port])
		return;
	if (plan_id != PLAN_NONE)
		meter_add(&ctx->plans[plan_id], UPLINK, more_octets, more_packets);
	if (m->flow_id == FLOW_NONE || !account_flow_lives(ctx, m))
		return;
	ctx->attributed[port][UPLINK].octets += more_octets;
	ctx->attributed[port][UPLINK].packets += more_packets;
	f = stage_flow(ctx, m);
	d = &ctx->devices->devices[f->device_id];
	f->octets[UPLINK] += more_octets;
	f->packets[UPLINK] += (uint32_t)more_packets;
	d->octets[UPLINK] += more_octets;
	d->packets[UPLINK] += more_packets;
}
