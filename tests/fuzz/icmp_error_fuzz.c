/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotes are read and rewritten inside the packet, whatever they claim; the outer checksum stays
 * true. Errors are built about any packet that parses, and read back. */
#include <weir/packet/icmp_error.h>
#include <weir/packet/parse.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* Makes the checksum of the header that an error quotes right. */
static void fix_quoted_checksum(uint8_t *inner, uint32_t inner_bytes)
{
	uint32_t header_bytes;

	if (inner_bytes < IPV4_HEADER_BYTES)
		return;
	header_bytes = (inner[0] & 0x0fu) * 4;
	if (header_bytes < IPV4_HEADER_BYTES || header_bytes > inner_bytes)
		return;
	store16(inner + 10, 0);
	store16(inner + 10, checksum_of(inner, header_bytes));
}

/* Makes a packet's header and ICMP checksum right, so that what lies behind them is reached. */
static void fix_checksums(uint8_t *ip, uint32_t len_bytes)
{
	uint32_t header_bytes;
	uint32_t end;

	if (len_bytes < IPV4_HEADER_BYTES)
		return;
	header_bytes = (ip[0] & 0x0fu) * 4;
	end = load_be16(ip + 2) < len_bytes ? load_be16(ip + 2) : len_bytes;
	if (header_bytes < IPV4_HEADER_BYTES || end < header_bytes + ICMP_HEADER_BYTES)
		return;
	store16(ip + 10, 0);
	store16(ip + 10, checksum_of(ip, header_bytes));
	if (ip[9] != PROTO_ICMP)
		return;
	fix_quoted_checksum(
		ip + header_bytes + ICMP_HEADER_BYTES, end - header_bytes - ICMP_HEADER_BYTES);
	store16(ip + header_bytes + 2, 0);
	store16(ip + header_bytes + 2, checksum_of(ip + header_bytes, end - header_bytes));
}

static void check_quote(uint8_t *ip, uint16_t len_bytes, const uint8_t *choice)
{
	struct pkt_meta quote;
	struct rewrite r;
	bool is_source = (choice[0] & 1) != 0;
	const struct ip_addr *old_addr;
	uint32_t header_bytes;

	if (icmp_error_quote(ip, len_bytes, &quote) != DROP_NONE)
		return;
	header_bytes = (ip[0] & 0x0fu) * 4;
	demand(quote.l3_off == header_bytes + ICMP_HEADER_BYTES);
	demand(quote.l4_off >= quote.l3_off + IPV4_HEADER_BYTES && quote.l4_off <= len_bytes);
	old_addr = is_source ? &quote.src : &quote.dst;
	r = rewrite_prepare(quote.proto, old_addr->words[3],
		htons(is_source ? quote.src_port : quote.dst_port), load32(choice), load16(choice));
	icmp_error_rewrite_quote(ip, len_bytes, &quote, &r, is_source);
	demand(load32(ip + quote.l3_off + (is_source ? 12 : 16)) == load32(choice));
	if ((load_be16(ip + 6) & (IPV4_MF | IPV4_FRAGMENT_OFFSET)) == 0) {
		uint32_t end = load_be16(ip + 2) < len_bytes ? load_be16(ip + 2) : len_bytes;

		demand(checksum_of(ip + header_bytes, end - header_bytes) == 0);
	}
}

static void check_own(uint8_t *ip, uint16_t len_bytes)
{
	const struct icmp_error error = {htonl(0x0a000001), ICMP_UNREACHABLE, ICMP_CODE_HOST, 0};
	struct pkt_meta m;
	struct pkt_meta quote;
	uint8_t *out;
	uint16_t out_bytes;

	if (parse_ipv4(ip, len_bytes, &m) != DROP_NONE)
		return;
	if (icmp_error_allowed(ip, &m)) {
		out = malloc(ICMP_ERROR_OCTETS_MAX);
		demand(out != NULL);
		out_bytes = icmp_error_build(out, ip, m.ip_octets, &error);
		demand(out_bytes <= ICMP_ERROR_OCTETS_MAX);
		demand(parse_ipv4(out, out_bytes, &quote) == DROP_NONE);
		demand(checksum_l4_v4(out, out_bytes) == 0);
		if (rewrite_has_port(m.proto)) {
			demand(icmp_error_quote(out, out_bytes, &quote) == DROP_NONE);
			demand(quote.src_port == m.src_port && quote.dst_port == m.dst_port);
		}
		free(out);
	}
	if (m.proto == PROTO_ICMP && m.icmp_type == ICMP_ECHO_REQUEST) {
		icmp_echo_reply(ip, m.ip_octets);
		demand(parse_ipv4(ip, len_bytes, &m) == DROP_NONE);
		demand(m.icmp_type == ICMP_ECHO_REPLY);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *ip;
	uint16_t len_bytes;

	if (size < 6 || size > 2048)
		return 0;
	len_bytes = (uint16_t)(size - 5);
	ip = malloc(len_bytes);
	demand(ip != NULL);
	memcpy(ip, data + 5, len_bytes);
	if ((data[4] & 1) == 0)
		fix_checksums(ip, len_bytes);
	if ((data[4] & 2) == 0)
		check_quote(ip, len_bytes, data);
	else
		check_own(ip, len_bytes);
	free(ip);
	return 0;
}
