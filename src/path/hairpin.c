/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hairpinning (RFC 4787 REQ-9, RFC 5508 REQ-7): a LAN host speaks to another one by the gateway's external address. Its
 * packet has become one from the external endpoint; here it enters as if it had come from outside, and is answered the
 * same way. The uplink never sees it, so the plan does not pay for it.
 */
#include "stage.h"

#include <weir/account/usage.h>
#include <weir/flow/tcp_track.h>
#include <weir/nat/translate.h>
#include <weir/packet/rewrite.h>

/* The flow by which the destination's host sees the sender, found or begun. */
static enum drop_reason find_or_begin(struct stage_ctx *ctx, struct pkt_meta *in, uint8_t uplink)
{
	uint32_t ref;
	enum drop_reason why;

	in->hash = stage_hash(&ctx->flows->hash_key, in);
	ref = stage_find(ctx, in);
	if (ref != FLOW_REF_NONE) {
		in->flow_id = ref >> 1;
		in->direction = ref & 1;
		return in->direction == DOWNLINK ? DROP_NONE : DROP_NAT_HAIRPIN;
	}
	why = flow_new_inbound(ctx, in, uplink);
	if (why != DROP_NONE)
		return why == DROP_POLICY_INBOUND ? DROP_NAT_HAIRPIN : why;
	why = nat_new(ctx, in);
	if (why == DROP_NONE)
		stage_flow(ctx, in)->flags |= FLOW_HAIRPIN;
	return why;
}

/* The same for an ICMP error: the flow that its quote, translated on the sender's side already, speaks about. */
static enum drop_reason turn_error(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *in)
{
	enum drop_reason why = flow_of_icmp_error(ctx, pkt, in);

	if (why != DROP_NONE || in->direction != DOWNLINK)
		return DROP_NAT_HAIRPIN;
	return nat_translate_error(ctx, pkt, in);
}

enum drop_reason hairpin_turn(struct stage_ctx *ctx, struct rte_mbuf *pkt, struct pkt_meta *m)
{
	const struct flow *outbound = stage_flow(ctx, m);
	uint8_t *l4 = stage_l4(pkt, m);
	struct pkt_meta in = *m;
	enum drop_reason why;
	struct rewrite r;
	struct flow *f;

	in.src = ip_addr_v4(outbound->external_be);
	in.src_port = outbound->external_port;
	in.flags &= (uint16_t) ~(PKT_NEW_FLOW | PKT_PROVES_NOTHING);
	if ((m->flags & PKT_ICMP_ERROR) != 0)
		why = turn_error(ctx, pkt, &in);
	else
		why = find_or_begin(ctx, &in, outbound->wan_port);
	if (why != DROP_NONE)
		return why;
	f = stage_flow(ctx, &in);
	if ((m->flags & PKT_ICMP_ERROR) == 0) {
		r = translate_rewrite(f, DOWNLINK);
		rewrite_destination(stage_ip(pkt, m), l4, &r);
		if (m->proto == PROTO_TCP && l4 != NULL)
			flow_track(ctx, pkt, &in);
	}
	usage_count(f, DOWNLINK, m->ip_octets,
		(in.flags & PKT_PROVES_NOTHING) != 0 ? f->last_ms[DOWNLINK] : ctx->now_ms);
	m->out_port = f->lan_port;
	m->dst = ip_addr_v4(f->internal_be);
	m->flags |= PKT_HAIRPIN;
	return DROP_NONE;
}
