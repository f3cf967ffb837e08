/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/parse.h>
#include <weir/packet/rewrite.h>
#include <weir/packet/tcp_options.h>

struct rewrite rewrite_prepare(uint8_t proto, uint32_t old_addr_be, uint16_t old_port_be,
	uint32_t new_addr_be, uint16_t new_port_be)
{
	uint16_t addr_delta = checksum_delta32(old_addr_be, new_addr_be);
	uint16_t l4_delta = 0;

	if (rewrite_has_port(proto))
		l4_delta = checksum_delta16(old_port_be, new_port_be);
	if (proto == PROTO_TCP || proto == PROTO_UDP)
		l4_delta = checksum_add(
			l4_delta, addr_delta); /* by the pseudo header; ICMP has none */
	return (struct rewrite){
		.addr_be = new_addr_be,
		.port_be = new_port_be,
		.ip_delta = addr_delta,
		.l4_delta = l4_delta,
		.proto = proto,
	};
}

/* Lowers the MSS value at l4[off]. True when it was higher. */
static bool clamp_mss_at(uint8_t *l4, uint32_t off, uint16_t mss_max)
{
	uint16_t old_mss = load16(l4 + off);
	uint16_t new_mss = htons(mss_max);
	uint16_t delta;

	if (ntohs(old_mss) <= mss_max)
		return false;
	delta = checksum_delta16(old_mss, new_mss);
	/* RFC 1071 section 2(B): at an odd offset its bytes belong to two words, each in the
	 * other's place. */
	if (off % 2 != 0)
		delta = (uint16_t)(delta << 8 | delta >> 8);
	store16(l4 + off, new_mss);
	rewrite_checksum(l4 + 16, delta);
	return true;
}

bool rewrite_clamp_mss(uint8_t *l4, uint16_t l4_len, uint16_t mss_max)
{
	bool changed = false;
	uint32_t end, n;

	if (l4_len < TCP_HEADER_BYTES)
		return false;
	end = (uint32_t)(l4[12] >> 4) * 4;
	if (end > l4_len)
		return false;
	for (uint32_t i = TCP_HEADER_BYTES; (n = tcp_option_length(l4, i, end)) != 0; i += n)
		if (l4[i] == TCP_OPTION_MSS && n == TCP_OPTION_MSS_BYTES)
			changed |= clamp_mss_at(l4, i + 2, mss_max);
	return changed;
}
