/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/icmp_error.h>
#include <weir/packet/ipv4_header.h>
#include <weir/packet/parse.h>

#define IPV4_HEADER_BYTES_MAX 60

#define ICMP_QUOTED_L4   8    /* octets of L4 that RFC 792 promises in a quote */
#define TOS_INTERNETWORK 0xc0 /* RFC 1812 4.3.2.5: precedence 6 */

static uint32_t header_length(const uint8_t *ip)
{
	return (ip[0] & 0x0fu) * 4;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

bool icmp_error_allowed(const uint8_t *ip, const struct pkt_meta *m)
{
	uint32_t src_top = ip[12];
	uint32_t dst_top = ip[16];

	if ((m->flags & (PKT_ICMP_ERROR | PKT_FRAGMENT_LATER)) != 0)
		return false;
	/* RFC 1122 3.2.2 counts a redirect among the errors; unknown types might be ones. */
	if (m->proto == PROTO_ICMP && !icmp_is_query(m->icmp_type))
		return false;
	if (dst_top >= 224)
		return false;
	return src_top != 0 && src_top != 127 && src_top < 224;
}

uint16_t icmp_error_build(
	uint8_t *out, const uint8_t *ip, uint16_t len_bytes, const struct icmp_error *error)
{
	uint8_t *icmp = out + IPV4_HEADER_BYTES;
	uint32_t quoted_bytes =
		min_u32(len_bytes, ICMP_ERROR_OCTETS_MAX - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES);
	uint32_t total_bytes = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted_bytes;

	ipv4_header_build(out, &(struct ipv4_header){.src_be = error->source_be,
				       .dst_be = load32(ip + 12),
				       .total_octets = (uint16_t)total_bytes,
				       .tos = TOS_INTERNETWORK,
				       .proto = PROTO_ICMP});
	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[0] = error->type;
	icmp[1] = error->code;
	store_be32(icmp + 4, error->rest);
	memcpy(icmp + ICMP_HEADER_BYTES, ip, quoted_bytes);
	store16(icmp + 2, checksum_of(icmp, ICMP_HEADER_BYTES + quoted_bytes));
	return (uint16_t)total_bytes;
}

void icmp_echo_reply(uint8_t *ip, uint16_t len_bytes)
{
	uint8_t *icmp = ip + header_length(ip);
	uint32_t src_be = load32(ip + 12);
	uint16_t old_word = load16(ip + 8);

	if (len_bytes < header_length(ip) + ICMP_HEADER_BYTES)
		return;
	/* Addresses that change places leave the header's sum as it is; TTL and type do not. */
	store32(ip + 12, load32(ip + 16));
	store32(ip + 16, src_be);
	ip[8] = IPV4_OWN_TTL;
	rewrite_checksum(ip + 10, checksum_delta16(old_word, load16(ip + 8)));
	old_word = load16(icmp);
	icmp[0] = ICMP_ECHO_REPLY;
	rewrite_checksum(icmp + 2, checksum_delta16(old_word, load16(icmp)));
	if (load16(icmp + 2) == 0)
		store16(icmp + 2, 0xffff); /* as in rewrite_l4(): a reply of nothing but zeros */
}

/* RFC 5508 REQ-3. Of a fragment only a part is here, and its checksum covers all. */
static bool is_checksum_good(const uint8_t *ip, uint32_t header_bytes, uint32_t end)
{
	if ((load_be16(ip + 6) & (IPV4_MF | IPV4_FRAGMENT_OFFSET)) != 0)
		return true;
	return checksum_of(ip + header_bytes, end - header_bytes) == 0;
}

/*
 * Where the packet quoted at ip + inner_off ends, at most: with its own total length; and, where
 * RFC 4884 extensions follow it, with the length that octet 5 states in words. Old routers left any
 * value there, so one that contradicts the packet is ignored.
 */
static uint32_t quote_end(const uint8_t *ip, uint32_t end, uint32_t inner_off)
{
	uint32_t stated_end = inner_off + ip[inner_off - ICMP_HEADER_BYTES + 5] * 4u;

	if (stated_end >= inner_off + IPV4_HEADER_BYTES + ICMP_QUOTED_L4 && stated_end < end)
		end = stated_end;
	return min_u32(end, inner_off + load_be16(ip + inner_off + 2));
}

/* RFC 5508 REQ-3 (a). Routers have taken one off the TTL before they quote the packet, and some leave it at that: their
 * errors, Fragmentation Needed among them, must not be lost. */
static bool is_header_sound(const uint8_t *inner)
{
	uint8_t header[IPV4_HEADER_BYTES_MAX];

	memcpy(header, inner, header_length(inner));
	if (checksum_of(header, header_length(header)) == 0)
		return true;
	header[8]++;
	return checksum_of(header, header_length(header)) == 0;
}

/* Reads the quoted IPv4 header at ip + l3_off. */
static enum drop_reason quote_header(const uint8_t *ip, uint32_t end, struct pkt_meta *quote)
{
	const uint8_t *inner = ip + quote->l3_off;
	uint32_t inner_bytes = end - quote->l3_off;
	uint16_t fragment;

	if (inner_bytes < IPV4_HEADER_BYTES || inner[0] >> 4 != 4)
		return DROP_NAT_BAD_QUOTE;
	if (header_length(inner) < IPV4_HEADER_BYTES || header_length(inner) > inner_bytes)
		return DROP_NAT_BAD_QUOTE;
	if (!is_header_sound(inner))
		return DROP_NAT_BAD_QUOTE;
	fragment = load_be16(inner + 6);
	if ((fragment & IPV4_FRAGMENT_OFFSET) != 0)
		return DROP_NAT_BAD_QUOTE;
	quote->src = ip_addr_v4(load32(inner + 12));
	quote->dst = ip_addr_v4(load32(inner + 16));
	quote->proto = inner[9];
	quote->ip_octets = load_be16(inner + 2);
	quote->l4_off = (uint8_t)(quote->l3_off + header_length(inner));
	quote->flags = (fragment & IPV4_MF) != 0 ? PKT_FRAGMENT_FIRST : 0;
	if (quote->ip_octets < header_length(inner) + ICMP_QUOTED_L4)
		return DROP_NAT_BAD_QUOTE;
	return DROP_NONE;
}

/* Reads ports or identifier of the quoted packet. */
static enum drop_reason quote_l4(const uint8_t *ip, uint32_t end, struct pkt_meta *quote)
{
	const uint8_t *l4 = ip + quote->l4_off;

	if (!rewrite_has_port(quote->proto))
		return DROP_NONE;
	if (quote_end(ip, end, quote->l3_off) < quote->l4_off + (uint32_t)ICMP_QUOTED_L4)
		return DROP_NAT_BAD_QUOTE;
	if (quote->proto != PROTO_ICMP) {
		quote->src_port = load_be16(l4);
		quote->dst_port = load_be16(l4 + 2);
		return DROP_NONE;
	}
	/* Errors about errors are never sent (RFC 1122 3.2.2), and the other types have no
	 * identifier. */
	if (!icmp_is_query(l4[0]))
		return DROP_NAT_BAD_QUOTE;
	quote->icmp_type = l4[0];
	*(icmp_is_request(l4[0]) ? &quote->src_port : &quote->dst_port) = load_be16(l4 + 4);
	return DROP_NONE;
}

enum drop_reason icmp_error_quote(const uint8_t *ip, uint16_t len_bytes, struct pkt_meta *quote)
{
	uint32_t header_bytes;
	uint32_t end;
	enum drop_reason why;

	memset(quote, 0, sizeof(*quote));
	quote->flow_id = FLOW_NONE;
	quote->in_port = PORT_NONE;
	quote->out_port = PORT_NONE;
	quote->device_id = DEVICE_NONE;
	if (len_bytes < IPV4_HEADER_BYTES)
		return DROP_NAT_BAD_QUOTE;
	header_bytes = header_length(ip);
	end = min_u32(len_bytes, load_be16(ip + 2));
	if (header_bytes < IPV4_HEADER_BYTES || end < header_bytes + ICMP_HEADER_BYTES)
		return DROP_NAT_BAD_QUOTE;
	if (!is_checksum_good(ip, header_bytes, end))
		return DROP_NAT_BAD_QUOTE;
	quote->l3_off = (uint8_t)(header_bytes + ICMP_HEADER_BYTES);
	why = quote_header(ip, end, quote);
	return why != DROP_NONE ? why : quote_l4(ip, end, quote);
}

void icmp_error_rewrite_quote(uint8_t *ip, uint16_t len_bytes, const struct pkt_meta *quote,
	const struct rewrite *r, bool is_source)
{
	uint8_t *inner = ip + quote->l3_off;
	uint8_t *l4 = ip + quote->l4_off;
	uint8_t *icmp = inner - ICMP_HEADER_BYTES;
	uint32_t end = quote_end(ip, min_u32(len_bytes, load_be16(ip + 2)), quote->l3_off);
	uint32_t changed_bytes =
		min_u32(end, quote->l4_off + (uint32_t)TCP_HEADER_BYTES) - quote->l3_off;
	uint16_t old_sum = checksum_fold(checksum_sum(inner, changed_bytes));
	bool has_checksum = quote->proto != PROTO_TCP || end >= quote->l4_off + 18u;
	uint8_t *whole_l4 = has_checksum ? l4 : NULL;

	if (is_source)
		rewrite_source(inner, whole_l4, r);
	else
		rewrite_destination(inner, whole_l4, r);
	if (!has_checksum)
		store16(l4 + (is_source ? 0 : 2), r->port_be);
	/* All that changes lies in these octets, at an even distance from the start of the ICMP
	 * message. */
	rewrite_checksum(icmp + 2,
		checksum_delta16(old_sum, checksum_fold(checksum_sum(inner, changed_bytes))));
}
