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

static inline void count(struct stage_ctx *ctx, const struct pkt_meta *m, struct flow *f,
	struct device *d, enum direction direction)
{
	/* RFC 5508 REQ-6, RFC 7857 section 6: an error that somebody quotes at a flow must not keep it alive, nor an RST. */
	uint32_t last_ms = unlikely((m->flags & (PKT_ICMP_ERROR | PKT_PROVES_NOTHING)) != 0)
				   ? f->last_ms[direction]
				   : ctx->now_ms;

	usage_count(f, direction, m->ip_octets, last_ms);
	d->octets[direction] += m->ip_octets;
	d->packets[direction]++;
	d->last_us = ctx->now_us;
}

/* Counts packets in a row that go from one port to one other, in one direction of their flows; returns how many. */
static uint32_t count_run(struct stage_ctx *ctx, struct rte_mbuf *const *pkts, uint32_t n_pkts)
{
	const struct pkt_meta *first = stage_meta(pkts[0]);
	enum direction direction = first->direction;
	uint16_t way = stage_way(first);
	uint8_t port = crossed_uplink(ctx, first);
	struct flow *flows = ctx->flows->flows;
	struct device *devices = ctx->devices->devices;
	uint64_t octets = 0;
	uint32_t n = 0;

	do {
		const struct pkt_meta *m = stage_meta(pkts[n]);
		struct flow *f = &flows[m->flow_id];

		if (unlikely(stage_way(m) != way || m->direction != direction))
			break;
		count(ctx, m, f, &devices[f->device_id], direction);
		octets += m->ip_octets;
	} while (++n < n_pkts);
	if (port != PORT_NONE) {
		ctx->attributed[port][direction].octets += octets;
		ctx->attributed[port][direction].packets += n;
	}
	return n;
}

uint16_t account_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	for (uint32_t i = 0; i < n_pkts;)
		i += count_run(ctx, pkts + i, n_pkts - i);
	return n_pkts;
}

bool account_flow_lives(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	const struct flow_more *more = stage_flow_more(ctx, m);
	uint32_t packet_age_us = (uint32_t)ctx->now_us - m->rx_us;

	return more->in_use && ctx->now_us - more->start_us >= packet_age_us;
}

/* Corrects what the plan was billed for a packet, and the reserve that has paid for it. A flow that has ended no longer says
 * which that was: its reserve stays billed for a packet too many at most. */
static void bill(struct stage_ctx *ctx, const struct pkt_meta *m, uint64_t octets, uint64_t packets)
{
	uint8_t plan_id = ctx->config->ports[m->out_port].plan_id;
	struct meter *meter;
	uint64_t billed;
	uint8_t class_id;
	uint8_t account;

	if (plan_id == PLAN_NONE)
		return;
	meter = &ctx->plans[plan_id];
	meter_add(meter, UPLINK, octets, packets);
	if (likely((m->flags & (PKT_RESERVED | PKT_QUOTA)) == 0) || !account_flow_lives(ctx, m))
		return;
	billed = octets + packets * meter->params.overhead_octets[UPLINK];
	if ((m->flags & PKT_QUOTA) != 0)
		quota_correct(ctx, m, plan_id, billed);
	if ((m->flags & PKT_RESERVED) == 0)
		return;
	class_id = stage_flow_more(ctx, m)->class_id;
	account = ctx->config->accounts[class_id];
	if (account == ACCOUNT_FREE && meter_is_free(meter, class_id))
		meter_add_free(meter, UPLINK, octets, packets);
	if (account == ACCOUNT_GENERAL || account == ACCOUNT_FREE)
		return;
	meter_add_reserved(meter, account, UPLINK, octets, packets);
	share_correct(
		&quota_own(ctx, &ctx->devices->devices[stage_flow(ctx, m)->device_id], plan_id)
			 ->reserved_octets[account],
		billed);
}

void account_add(struct stage_ctx *ctx, const struct pkt_meta *m, int64_t octets, int64_t packets)
{
	uint64_t more_octets = (uint64_t)octets; /* modulo 2^64, so that less is added as well */
	uint64_t more_packets = (uint64_t)packets;
	struct device *d;
	struct flow *f;

	if (m->out_port == PORT_NONE || !ctx->is_uplink[m->out_port] || m->ip_octets == 0)
		return; /* what came by the uplink was billed, whatever became of it; ARP never was */
	bill(ctx, m, more_octets, more_packets);
	if (m->flow_id == FLOW_NONE)
		return;
	ctx->attributed[m->out_port][UPLINK].octets += more_octets;
	ctx->attributed[m->out_port][UPLINK].packets += more_packets;
	if (!account_flow_lives(ctx, m))
		return;
	f = stage_flow(ctx, m);
	d = &ctx->devices->devices[f->device_id];
	usage_correct(f, UPLINK, more_octets, more_packets);
	d->octets[UPLINK] += more_octets;
	d->packets[UPLINK] += more_packets;
}

void account_take_back(struct stage_ctx *ctx, const struct pkt_meta *m)
{
	account_add(ctx, m, -(int64_t)m->ip_octets, -1);
}
