/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow + direction → the rewrite to apply.
 *
 * Source:   RFC 3022 section 4, RFC 5508 REQ-4 and REQ-5 (ICMP errors), RFC 4787 REQ-9 (hairpinning keeps the
 *           external source).
 * Threads:  pure.
 */
#ifndef WEIR_NAT_TRANSLATE_H
#define WEIR_NAT_TRANSLATE_H

#include <weir/flow/table.h>
#include <weir/packet/rewrite.h>

/* Fills a new flow's ip_delta, l4_delta and FLOW_TRANSLATED from its internal and external endpoints. */
void translate_prepare(struct flow *f);

/* The rewrite of a packet of the flow: of its source when `direction` is UPLINK, else of its destination. */
static inline struct rewrite translate_rewrite(const struct flow *f, enum direction direction)
{
	uint16_t flip = direction == UPLINK ? 0 : 0xffff;

	return (struct rewrite){
		.addr_be = direction == UPLINK ? f->external_be : f->internal_be,
		.port_be = htons(direction == UPLINK ? f->external_port : f->internal_port),
		.ip_delta = f->ip_delta ^ flip,
		.l4_delta = f->l4_delta ^ flip,
		.proto = f->proto,
	};
}

/* What forwarding does to most packets: the flow's rewrite, and one off the TTL. */
static inline void translate_forward(
	const struct flow *f, enum direction direction, uint8_t *ip, uint8_t *l4)
{
	struct rewrite r = translate_rewrite(f, direction);
	uint32_t end = direction == UPLINK ? 0 : 1;

	rewrite_ttl(ip);
	rewrite_address(ip, end, &r);
	rewrite_l4(l4, end, &r);
}

/* The same for a packet without L4 header: a later fragment. */
static inline void translate_forward_later(
	const struct flow *f, enum direction direction, uint8_t *ip)
{
	struct rewrite r = translate_rewrite(f, direction);

	rewrite_ttl(ip);
	rewrite_address(ip, direction == UPLINK ? 0 : 1, &r);
}

/* The rewrite inside an ICMP error that travels in `direction` and quotes a packet of the flow, which travelled the
 * other way: of the quoted destination when `direction` is UPLINK, else of the quoted source. */
struct rewrite translate_quote(const struct flow *f, enum direction direction);

#endif
