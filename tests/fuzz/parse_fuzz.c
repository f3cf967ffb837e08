/* SPDX-License-Identifier: BSD-3-Clause */
/* What parse promises of a good frame holds, nothing beyond its end is read, and what the path does
 * with a good packet next (rewrite, MSS, fragments) stays inside it and keeps its header true. */
#include <weir/packet/checksum.h>
#include <weir/packet/ipv4_fragment.h>
#include <weir/packet/parse.h>
#include <weir/packet/rewrite.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* A random header's checksum is wrong: it is made right, so that the rest is reached. */
static void fix_header(uint8_t *ip, uint32_t len_bytes)
{
	uint32_t header_bytes;

	if (len_bytes < IPV4_HEADER_BYTES)
		return;
	header_bytes = (ip[0] & 0x0fu) * 4;
	if (header_bytes < IPV4_HEADER_BYTES || header_bytes > len_bytes)
		return;
	store16(ip + 10, 0);
	store16(ip + 10, checksum_of(ip, header_bytes));
}

static bool has_bad_flags(const struct pkt_meta *m)
{
	return (parse_l4_shapes[PROTO_TCP].bad_flags >> (m->tcp_flags & 0x3f) & 1) != 0;
}

static void check_promises(const uint8_t *frame, uint32_t len_bytes, const struct pkt_meta *m)
{
	uint32_t header_bytes = (frame[m->l3_off] & 0x0fu) * 4;
	uint32_t end = m->l3_off + (uint32_t)m->ip_octets;
	uint32_t l4_bytes = end - m->l3_off - header_bytes;

	demand(end <= len_bytes && m->ip_octets >= header_bytes);
	demand(m->flow_id == FLOW_NONE && m->vlan < 4096);
	demand(checksum_of(frame + m->l3_off, header_bytes) == 0);
	if ((m->flags & PKT_FRAGMENT_LATER) != 0) {
		demand(m->l4_off == 0 && m->src_port == 0 && m->dst_port == 0);
		return;
	}
	demand(m->l4_off == m->l3_off + header_bytes);
	if (m->proto == PROTO_TCP)
		demand(l4_bytes >= TCP_HEADER_BYTES && !has_bad_flags(m));
	if (m->proto == PROTO_UDP)
		demand(l4_bytes >= UDP_HEADER_BYTES);
	if (m->proto == PROTO_ICMP)
		demand(l4_bytes >= ICMP_HEADER_BYTES);
}

static void check_fragments(const uint8_t *ip, const struct pkt_meta *m, uint16_t mtu)
{
	struct ipv4_fragmenter f;
	uint8_t *out = malloc(mtu);
	uint32_t payload_bytes = 0;
	uint16_t len;

	demand(out != NULL);
	ipv4_fragment_init(&f, ip, m->ip_octets, mtu);
	while ((len = ipv4_fragment_next(&f, out)) != 0) {
		uint32_t header_bytes = (out[0] & 0x0fu) * 4;
		struct pkt_meta piece;

		demand(len <= mtu && len > header_bytes);
		payload_bytes += len - header_bytes;
		/* A first piece may be too short for TCP's options; no other reason is due. */
		if (parse_ipv4(out, len, &piece) != DROP_NONE)
			demand(parse_ipv4(out, len, &piece) == DROP_PARSE_BAD_FRAGMENT);
	}
	demand(payload_bytes == m->ip_octets - (ip[0] & 0x0fu) * 4);
	free(out);
}

static void check_changes(uint8_t *frame, const struct pkt_meta *m, uint16_t value)
{
	uint8_t *ip = frame + m->l3_off;
	uint8_t *l4 = m->l4_off != 0 ? frame + m->l4_off : NULL;
	struct rewrite source =
		rewrite_prepare(m->proto, m->src.words[3], htons(m->src_port), htonl(value), value);
	struct rewrite destination =
		rewrite_prepare(m->proto, m->dst.words[3], htons(m->dst_port), value, htons(value));
	uint32_t header_bytes = (ip[0] & 0x0fu) * 4;

	if ((m->flags & PKT_TCP_SYN) != 0)
		rewrite_clamp_mss(l4, (uint16_t)(m->ip_octets - header_bytes), value);
	rewrite_source(ip, l4, &source);
	rewrite_destination(ip, l4, &destination);
	if (ip[8] > 1)
		rewrite_ttl(ip);
	demand(checksum_of(ip, header_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum link_framing framing;
	uint32_t len_bytes;
	uint8_t *frame;
	struct pkt_meta m;
	struct parse_result result;

	if (size < 3 || size > 4096)
		return 0;
	framing = (data[0] & 1) != 0 ? FRAMING_RAW_IP : FRAMING_ETHERNET;
	len_bytes = (uint32_t)size - 3;
	frame = malloc(len_bytes);
	demand(frame != NULL);
	memcpy(frame, data + 3, len_bytes);
	if ((data[0] & 2) == 0) {
		uint32_t l3_off = framing == FRAMING_RAW_IP ? 0 : 14 + (data[0] >> 2 & 3u) * 4;

		if (l3_off <= len_bytes)
			fix_header(frame + l3_off, len_bytes - l3_off);
	}
	result = parse_frame(frame, len_bytes, framing, &m);
	demand((uint32_t)result.why < N_DROP_REASONS);
	if (result.why == DROP_NONE && result.kind == PARSE_IPV4) {
		check_promises(frame, len_bytes, &m);
		(void)parse_check_addresses(&m);
		(void)checksum_l4_v4(frame + m.l3_off, m.ip_octets);
		if (m.ip_octets > (frame[m.l3_off] & 0x0fu) * 4)
			check_fragments(frame + m.l3_off, &m, (uint16_t)(68 + data[1]));
		check_changes(frame, &m, (uint16_t)(data[1] << 8 | data[2]));
	}
	free(frame);
	return 0;
}
