/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet_builder.h"

#include <weir/packet/ipv4_fragment.h>

#include <criterion/criterion.h>
#include <stdlib.h>

/* Router alert (copied), NOP, record route (not copied), timestamp (not copied),
 * security (copied). */
static const uint8_t options[] = {
	0x94, 4, 0, 0, 1, 7, 7, 4, 0, 0, 0, 0, 68, 5, 5, 0, 0, 0x82, 3, 9};
static const uint8_t copied[] = {0x94, 4, 0, 0, 0x82, 3, 9, 0};

struct whole {
	uint8_t payload[65536];
	uint32_t n_fragments;
	uint32_t payload_bytes;
	bool more; /* MF of the last one */
};

/* Takes one fragment in, which must follow on the ones before. */
static void join(struct whole *w, const struct packet *fragment, uint32_t first_offset)
{
	const uint8_t *ip = packet_ip(fragment);
	uint16_t field = load_be16(ip + 6);
	uint32_t header_bytes = (ip[0] & 0x0fu) * 4;
	uint32_t payload_bytes = fragment->len_bytes - header_bytes;

	cr_assert_eq(packet_ip_octets(fragment), fragment->len_bytes);
	cr_assert_eq(packet_plain_checksum(ip, header_bytes, 0), 0);
	cr_assert_eq((field & IPV4_FRAGMENT_OFFSET) * 8u, first_offset + w->payload_bytes);
	memcpy(w->payload + w->payload_bytes, ip + header_bytes, payload_bytes);
	w->payload_bytes += payload_bytes;
	w->more = (field & IPV4_MF) != 0;
	w->n_fragments++;
	cr_assert(!w->more || payload_bytes % 8 == 0);
}

static void assert_options(const struct packet *fragment, const struct packet *p, bool is_first)
{
	const uint8_t *ip = packet_ip(fragment);
	uint32_t options_bytes = (ip[0] & 0x0fu) * 4 - IPV4_HEADER_BYTES;

	if (p->l4_off - p->l3_off == IPV4_HEADER_BYTES) {
		cr_assert_eq(options_bytes, 0);
		return;
	}
	cr_assert_eq(options_bytes, is_first ? sizeof(options) : sizeof(copied));
	cr_assert_arr_eq(ip + IPV4_HEADER_BYTES, is_first ? options : copied, options_bytes);
}

/* Cuts `p` for `mtu` and puts it together again. */
static struct whole *cut_and_join(const struct packet *p, uint16_t mtu)
{
	struct whole *w = calloc(1, sizeof(*w));
	uint32_t first_offset = (load_be16(packet_ip(p) + 6) & IPV4_FRAGMENT_OFFSET) * 8u;
	struct ipv4_fragmenter f;
	uint8_t *out = malloc(mtu);
	uint16_t len;

	cr_assert(w != NULL && out != NULL);
	ipv4_fragment_init(&f, packet_ip(p), packet_ip_octets(p), mtu);
	while ((len = ipv4_fragment_next(&f, out)) != 0) {
		struct packet fragment = packet_of_bytes(out, len, FRAMING_RAW_IP);

		cr_assert_leq(len, mtu);
		cr_assert_eq(
			load16(fragment.bytes + 4), load16(packet_ip(p) + 4), "identification");
		assert_options(&fragment, p, w->n_fragments == 0);
		join(w, &fragment, first_offset);
		packet_clean(&fragment);
	}
	free(out);
	return w;
}

Test(packet_ipv4_fragment, fragments_joined_again_are_the_payload_that_was_cut)
{
	static const uint16_t mtus[] = {68, 69, 75, 76, 100, 296, 576, 1280, 1492, 1500, 9000};
	static const uint32_t payloads[] = {1, 7, 8, 40, 41, 48, 49, 552, 1480, 1481, 4000, 65000};

	for (uint32_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		for (uint32_t j = 0; j < sizeof(payloads) / sizeof(payloads[0]); j++) {
			for (uint32_t with_options = 0; with_options < 2; with_options++) {
				struct packet p = packet_build(&(struct packet_spec){.id = 0xbeef,
					.ip_options = options,
					.ip_options_bytes = with_options != 0 ? sizeof(options) : 0,
					.payload_bytes = payloads[j]});
				struct whole *w = cut_and_join(&p, mtus[i]);

				cr_assert_eq(w->payload_bytes, p.len_bytes - p.l4_off);
				cr_assert_arr_eq(w->payload, packet_l4(&p), w->payload_bytes);
				cr_assert_not(w->more);
				free(w);
				packet_clean(&p);
			}
		}
	}
}

Test(packet_ipv4_fragment, uses_as_few_fragments_as_the_mtu_allows)
{
	/* 2960 octets of payload in two fragments of 1480; one octet more needs a third. */
	for (uint32_t extra = 0; extra < 2; extra++) {
		struct packet p =
			packet_build(&(struct packet_spec){.payload_bytes = 2960 - 8 + extra});
		struct whole *w = cut_and_join(&p, 1500);

		cr_assert_eq(w->n_fragments, 2 + extra);
		free(w);
		packet_clean(&p);
	}
}

Test(packet_ipv4_fragment, a_fragment_can_be_cut_again)
{
	struct packet middle = packet_build(
		&(struct packet_spec){.fragment_offset = 1480, .mf = true, .payload_bytes = 1480});
	struct whole *w = cut_and_join(&middle, 576);

	cr_assert_eq(w->payload_bytes, 1480);
	cr_assert(w->more, "more fragments follow the last piece too");
	free(w);
	packet_clean(&middle);
}

Test(packet_ipv4_fragment, a_packet_that_fits_is_written_as_it_is)
{
	struct packet p = packet_build(
		&(struct packet_spec){.framing = FRAMING_RAW_IP, .payload_bytes = 100});
	struct ipv4_fragmenter f;
	uint8_t out[128];

	ipv4_fragment_init(&f, p.bytes, (uint16_t)p.len_bytes, sizeof(out));
	cr_assert_eq(ipv4_fragment_next(&f, out), p.len_bytes);
	cr_assert_arr_eq(out, p.bytes, p.len_bytes);
	cr_assert_eq(ipv4_fragment_next(&f, out), 0);
	packet_clean(&p);
}

Test(packet_ipv4_fragment, malformed_options_are_not_followed_out_of_the_header)
{
	static const uint8_t bad[] = {0x94, 4, 0, 0, 0x94, 60, 0, 0};
	struct packet p = packet_build(&(struct packet_spec){.framing = FRAMING_RAW_IP,
		.ip_options = bad,
		.ip_options_bytes = sizeof(bad),
		.payload_bytes = 100});
	struct ipv4_fragmenter f;
	uint8_t out[68];

	ipv4_fragment_init(&f, p.bytes, (uint16_t)p.len_bytes, sizeof(out));
	cr_assert_gt(ipv4_fragment_next(&f, out), 0);
	cr_assert_gt(ipv4_fragment_next(&f, out), 0);
	cr_assert_eq(out[0], 0x46, "the option before the malformed one is kept");
	packet_clean(&p);
}
