/* SPDX-License-Identifier: BSD-3-Clause */
#include "link_probe.h"

#include <weir/base/clock.h>
#include <weir/base/rng.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/ipv4_header.h>
#include <weir/packet/parse.h>

#define PROBE_OCTETS   (IPV4_HEADER_BYTES + ICMP_HEADER_BYTES)
#define PATIENCE_US    (5 * US_PER_S) /* so long an answer is owed: few outages are longer */
#define SLOWER_EACH    8              /* after so many without an answer half as many are sent */
#define SLOWER_AT_MOST 4
#define TRIES          16

enum icmp_layout {
	ICMP_TYPE = 0,
	ICMP_CHECKSUM = 2,
	ICMP_IDENTIFIER = 4,
	ICMP_SEQUENCE = 6
};

static bool is_open(const struct link_probe *p, uint16_t sequence, uint32_t *ret_place)
{
	for (uint32_t i = 0; i < LINK_PROBES_OPEN; i++)
		if (p->open[i].sent_us != 0 && p->open[i].sequence == sequence) {
			*ret_place = i;
			return true;
		}
	return false;
}

/* A place for one more; the oldest gives way. */
static uint32_t place_of(struct link_probe *p)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < LINK_PROBES_OPEN; i++)
		if (p->open[i].sent_us < p->open[oldest].sent_us)
			oldest = i;
	return oldest;
}

/* An identifier that no host's query has outside: its answers would be taken for ours, and ours for its own. */
static bool find_identifier(struct stage_ctx *ctx, uint8_t port, struct link_probe *p)
{
	for (int i = 0; i < TRIES; i++) {
		if (p->identifier != 0
			&& nat_find_external(ctx->nats[port], PROTO_ICMP, p->identifier)
				   == POOL_NONE)
			return true;
		p->identifier = (uint16_t)rng_below(ctx->rng, UINT16_MAX + 1);
	}
	return false;
}

static bool is_paid(const struct stage_ctx *ctx, uint8_t plan_id)
{
	const struct meter *meter;
	int64_t cost;

	if (plan_id == PLAN_NONE)
		return true;
	meter = &ctx->plans[plan_id];
	cost = 2 * PROBE_OCTETS + meter->params.overhead_octets[UPLINK]
	       + meter->params.overhead_octets[DOWNLINK];
	return cost <= RTE_MIN(meter_lease_left(meter), meter_left(meter, ACCOUNT_GENERAL));
}

static bool is_due(const struct stage_ctx *ctx, uint8_t port, const struct link_probe *p)
{
	const struct path_port *config = &ctx->config->ports[port];
	uint64_t every_us = config->probe_every_us
			    << RTE_MIN(p->n_unanswered / SLOWER_EACH, (uint32_t)SLOWER_AT_MOST);
	uint64_t spent = p->sums[UPLINK].octets + p->sums[DOWNLINK].octets;

	return (p->sent_us == 0 || ctx->now_us - p->sent_us >= every_us)
	       && spent + 2 * PROBE_OCTETS <= __atomic_load_n(&p->limit_octets, __ATOMIC_RELAXED)
	       && is_paid(ctx, config->plan_id);
}

static void build(const struct path_port *config, const struct link_probe *p, uint16_t sequence,
	struct rte_mbuf *pkt)
{
	struct pkt_meta *m = stage_meta(pkt);
	uint8_t *ip = rte_pktmbuf_mtod(pkt, uint8_t *);
	uint8_t *icmp = ip + IPV4_HEADER_BYTES;

	ipv4_header_build(ip, &(struct ipv4_header){.src_be = config->address.addr.words[3],
				      .dst_be = config->probe_to.words[3],
				      .total_octets = PROBE_OCTETS,
				      .proto = PROTO_ICMP});
	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[ICMP_TYPE] = ICMP_ECHO_REQUEST;
	store_be16(icmp + ICMP_IDENTIFIER, p->identifier);
	store_be16(icmp + ICMP_SEQUENCE, sequence);
	store16(icmp + ICMP_CHECKSUM, checksum_of(icmp, ICMP_HEADER_BYTES));
	m->proto = PROTO_ICMP;
	m->src = config->address.addr;
	m->dst = config->probe_to;
	m->l4_off = IPV4_HEADER_BYTES;
	m->ip_octets = PROBE_OCTETS;
	pkt->data_len = PROBE_OCTETS;
	pkt->pkt_len = PROBE_OCTETS;
}

void link_probe_send(struct stage_ctx *ctx, uint8_t port, struct link_probe *p)
{
	uint16_t sequence = 0;
	uint32_t place;
	struct rte_mbuf *pkt;

	if (!is_due(ctx, port, p) || ctx->n_asides == ASIDE_MAX || !find_identifier(ctx, port, p))
		return;
	do
		sequence = (uint16_t)rng_below(ctx->rng, UINT16_MAX + 1);
	while (is_open(p, sequence, &place));
	ctx->stage = STAGE_flow;
	pkt = local_make_packet(ctx);
	if (pkt == NULL)
		return;
	build(&ctx->config->ports[port], p, sequence, pkt);
	place = place_of(p);
	p->open[place].sent_us = ctx->now_us;
	p->open[place].sequence = sequence;
	p->sent_us = ctx->now_us;
	p->n_unanswered++;
	p->sums[UPLINK].octets += PROBE_OCTETS;
	p->sums[UPLINK].packets++;
	stage_aside(ctx, pkt, port, false);
}

bool link_probe_take(struct stage_ctx *ctx, struct rte_mbuf *pkt, const struct pkt_meta *m,
	struct link_probe *p, uint64_t *ret_sent_us)
{
	const struct path_port *config = &ctx->config->ports[m->in_port];
	const uint8_t *icmp = stage_l4(pkt, m);
	uint32_t place;

	if (m->proto != PROTO_ICMP || m->icmp_type != ICMP_ECHO_REPLY || icmp == NULL
		|| (m->flags & (PKT_FRAGMENT_FIRST | PKT_FRAGMENT_LATER)) != 0)
		return false;
	if (p->identifier == 0 || m->dst_port != p->identifier
		|| !ip_addr_equal(&m->src, &config->probe_to)
		|| !ip_addr_equal(&m->dst, &config->address.addr)
		|| !is_open(p, load_be16(icmp + ICMP_SEQUENCE), &place)
		|| checksum_of(icmp, (uint32_t)(m->ip_octets - (m->l4_off - m->l3_off))) != 0)
		return false;
	*ret_sent_us = p->open[place].sent_us;
	p->open[place].sent_us = 0;
	p->n_unanswered = 0;
	p->sums[DOWNLINK].octets += m->ip_octets;
	p->sums[DOWNLINK].packets++;
	return true;
}

uint64_t link_probe_waiting_us(const struct link_probe *p, uint64_t us, uint64_t now_us)
{
	uint64_t oldest_us = 0;

	for (uint32_t i = 0; i < LINK_PROBES_OPEN; i++) {
		uint64_t sent_us = p->open[i].sent_us;

		if (sent_us <= us || now_us - sent_us > PATIENCE_US)
			continue;
		if (oldest_us == 0 || sent_us < oldest_us)
			oldest_us = sent_us;
	}
	return oldest_us;
}
