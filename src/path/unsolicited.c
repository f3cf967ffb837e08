/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nobody asked for: the carrier has billed it when it arrives, so who sends it is kept for people to see. Only packets
 * that are being dropped come here.
 */
#include "stage.h"

#define NETWORK_MASK UINT32_C(0xffffff00)

static void restart(struct unsolicited *u, uint64_t now_us)
{
	top_clear(&u->senders);
	top_clear(&u->networks);
	top_clear(&u->targets);
	u->since_us = now_us;
	__atomic_store_n(&u->must_restart, false, __ATOMIC_RELEASE);
}

static uint64_t target_of(const struct pkt_meta *m)
{
	return (uint64_t)m->proto << 16 | (m->proto == PROTO_ICMP ? m->icmp_type : m->dst_port);
}

void unsolicited_count(
	struct stage_ctx *ctx, uint8_t uplink, const struct pkt_meta *m, uint32_t octets)
{
	struct unsolicited *u = &ctx->unsolicited[uplink];
	uint32_t sender = m == NULL ? 0 : ip_addr_v4_host(&m->src);

	if (unlikely(__atomic_load_n(&u->must_restart, __ATOMIC_RELAXED)))
		restart(u, ctx->now_us);
	u->sum.octets += octets;
	u->sum.packets++;
	top_count(&u->senders, m == NULL ? UNSOLICITED_KEY_MALFORMED : sender, octets);
	top_count(&u->networks, m == NULL ? UNSOLICITED_KEY_MALFORMED : sender & NETWORK_MASK,
		octets);
	top_count(&u->targets, m == NULL ? UNSOLICITED_KEY_MALFORMED : target_of(m), octets);
}
