/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/ipv4_header.h>
#include <weir/packet/parse.h>

#include <string.h>

void ipv4_header_build(uint8_t *ip, const struct ipv4_header *header)
{
	memset(ip, 0, IPV4_HEADER_BYTES);
	ip[0] = 0x45;
	ip[1] = header->tos;
	store_be16(ip + 2, header->total_octets);
	store_be16(ip + 6, IPV4_DF);
	ip[8] = IPV4_OWN_TTL;
	ip[9] = header->proto;
	store32(ip + 12, header->src_be);
	store32(ip + 16, header->dst_be);
	store16(ip + 10, checksum_of(ip, IPV4_HEADER_BYTES));
}
