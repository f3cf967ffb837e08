/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/packet/ipv4_fragment.h>
#include <weir/packet/parse.h>

#define IPV4_OPTION_END    0
#define IPV4_OPTION_NOP    1
#define IPV4_OPTION_COPIED 0x80 /* RFC 791 section 3.1: to be in every fragment */

void ipv4_fragment_init(
	struct ipv4_fragmenter *f, const uint8_t *ip, uint16_t len_bytes, uint16_t mtu)
{
	*f = (struct ipv4_fragmenter){.ip = ip, .len_bytes = len_bytes, .mtu = mtu};
}

/* Writes the options that every fragment carries, padded to whole words; returns their length. */
static uint32_t copy_options(uint8_t *out, const uint8_t *options, uint32_t len_bytes)
{
	uint32_t n_copied = 0;
	uint32_t i = 0;

	while (i < len_bytes && options[i] != IPV4_OPTION_END) {
		uint32_t option_bytes = 1;

		if (options[i] != IPV4_OPTION_NOP) {
			/* parse has refused malformed ones; what this host may have made up ends
			 * here. */
			if (len_bytes - i < 2 || options[i + 1] < 2
				|| options[i + 1] > len_bytes - i)
				break;
			option_bytes = options[i + 1];
		}
		if ((options[i] & IPV4_OPTION_COPIED) != 0) {
			memcpy(out + n_copied, options + i, option_bytes);
			n_copied += option_bytes;
		}
		i += option_bytes;
	}
	while (n_copied % 4 != 0)
		out[n_copied++] = IPV4_OPTION_END;
	return n_copied;
}

/* Writes the fragment's header without lengths and checksum; returns its length. */
static uint32_t copy_header(const struct ipv4_fragmenter *f, uint8_t *out)
{
	uint32_t header_bytes = (f->ip[0] & 0x0fu) * 4;

	if (f->done_bytes == 0) {
		memcpy(out, f->ip, header_bytes);
		return header_bytes;
	}
	memcpy(out, f->ip, IPV4_HEADER_BYTES);
	header_bytes = IPV4_HEADER_BYTES
		       + copy_options(out + IPV4_HEADER_BYTES, f->ip + IPV4_HEADER_BYTES,
			       header_bytes - IPV4_HEADER_BYTES);
	out[0] = (uint8_t)(0x40 | header_bytes / 4);
	return header_bytes;
}

uint16_t ipv4_fragment_next(struct ipv4_fragmenter *f, uint8_t *out)
{
	uint32_t whole_header_bytes = (f->ip[0] & 0x0fu) * 4;
	uint32_t left_bytes = f->len_bytes - whole_header_bytes - f->done_bytes;
	uint16_t field = load_be16(f->ip + 6);
	uint32_t header_bytes;
	uint32_t payload_bytes;
	uint32_t total_bytes;

	if (left_bytes == 0)
		return 0;
	header_bytes = copy_header(f, out);
	payload_bytes = f->mtu - header_bytes;
	if (left_bytes > payload_bytes) {
		payload_bytes &= ~7u; /* offsets count in units of 8 octets */
		field |= IPV4_MF;
	} else {
		payload_bytes = left_bytes; /* the last one: MF stays what it was */
	}
	total_bytes = header_bytes + payload_bytes;
	memcpy(out + header_bytes, f->ip + whole_header_bytes + f->done_bytes, payload_bytes);
	store_be16(out + 2, (uint16_t)total_bytes);
	store_be16(out + 6, (uint16_t)(field + f->done_bytes / 8));
	store16(out + 10, 0);
	store16(out + 10, checksum_of(out, header_bytes));
	f->done_bytes = (uint16_t)(f->done_bytes + payload_bytes);
	return (uint16_t)total_bytes;
}
