/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/nat/translate.h>
#include <weir/packet/checksum.h>
#include <weir/packet/meta.h>

void translate_prepare(struct flow *f)
{
	uint16_t internal_port_be = htons(f->internal_port);
	uint16_t external_port_be = htons(f->external_port);
	uint16_t address = 0;
	uint16_t l4 = 0;

	f->flags &= (uint8_t)~FLOW_TRANSLATED;
	if (f->internal_be != f->external_be) {
		address = checksum_delta32(f->internal_be, f->external_be);
		f->flags |= FLOW_TRANSLATED;
	}
	if (internal_port_be != external_port_be) {
		l4 = checksum_delta16(internal_port_be, external_port_be);
		f->flags |= FLOW_TRANSLATED;
	}
	/* The pseudo-header with the addresses is summed by TCP and UDP, not by ICMP. */
	if (f->proto == PROTO_TCP || f->proto == PROTO_UDP)
		l4 = checksum_add(l4, address);
	f->ip_delta = address;
	f->l4_delta = l4;
}

/* The error's direction names the endpoint that the quoted packet was to or from, and that is the
 * one which a packet in the same direction is from or to: one and the same change, at the other end
 * of the header. */
struct rewrite translate_quote(const struct flow *f, enum direction direction)
{
	return translate_rewrite(f, direction);
}
