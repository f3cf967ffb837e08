/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/meta.h>

/* RFC 1071 section 2(B) and (C): ones' complement sums may be taken over wider words and folded at
 * the end. Sums of 32-bit words overflow 64 bits only beyond 16 GiB. */
uint64_t checksum_sum(const void *block, size_t len_bytes)
{
	const uint8_t *at = block;
	uint64_t sum = 0;

	for (; len_bytes >= 8; at += 8, len_bytes -= 8)
		sum += (uint64_t)load32(at) + load32(at + 4);
	if (len_bytes >= 4) {
		sum += load32(at);
		at += 4;
		len_bytes -= 4;
	}
	if (len_bytes > 0) {
		uint8_t rest[4] = {0};

		memcpy(rest, at, len_bytes);
		sum += load32(rest);
	}
	return sum;
}

uint16_t checksum_l4_v4(const uint8_t *ip, size_t len_bytes)
{
	size_t header_bytes = (size_t)(ip[0] & 0x0f) * 4;
	const uint8_t *l4 = ip + header_bytes;
	size_t l4_bytes = len_bytes - header_bytes;
	uint64_t pseudo = checksum_sum(ip + 12, 8);

	switch (ip[9]) {
	case PROTO_ICMP:
		return checksum_of(l4, l4_bytes);
	case PROTO_UDP:
		/* RFC 768 covers what UDP says is its own: IP may carry more. */
		if (l4_bytes >= 8 && load_be16(l4 + 4) >= 8 && load_be16(l4 + 4) < l4_bytes)
			l4_bytes = load_be16(l4 + 4);
		break;
	case PROTO_TCP:
		break;
	default:
		return 0;
	}
	pseudo += htons(ip[9]);
	pseudo += htons((uint16_t)l4_bytes);
	return (uint16_t)~checksum_fold(pseudo + checksum_sum(l4, l4_bytes));
}
