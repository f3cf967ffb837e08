/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/port/segment.h"

#include <weir/packet/checksum.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define ETH         14u
#define FRAME_BYTES 4000u
#define GSO_UDP_L4  5

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* An Ethernet frame of FRAME_BYTES with IPv4 or IPv6 and TCP (with 12 octets of options) or UDP. */
static struct virtio_net_hdr build(uint8_t *frame, bool is_v6, bool is_tcp, uint16_t size)
{
	uint8_t *ip = frame + ETH, *l4 = ip + (is_v6 ? 40 : 20);

	for (uint32_t i = 0; i < FRAME_BYTES; i++)
		frame[i] = (uint8_t)(i * 13);
	put16(frame + 12, is_v6 ? 0x86dd : 0x0800);
	ip[0] = is_v6 ? 0x60 : 0x45;
	ip[is_v6 ? 6 : 9] = is_tcp ? 6 : 17;
	if (!is_v6)
		put16(ip + 4, 7);
	if (is_tcp) {
		l4[12] = 0x80;
		l4[13] = 0xd9; /* CWR, ECE, ACK, PSH, FIN */
	}
	return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = is_tcp ? (is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4)
				   : GSO_UDP_L4,
		.gso_size = size,
		.csum_start = (uint16_t)(l4 - frame),
		.csum_offset = is_tcp ? 16 : 6};
}

/* Asserts that length fields and the L4 checksum of one segment are right. */
static void assert_sound(const uint8_t *segment, uint32_t len, bool is_v6)
{
	const uint8_t *ip = segment + ETH;
	uint32_t ip_bytes = is_v6 ? 40 : 20, l4_bytes = len - ETH - ip_bytes;
	uint8_t tail[4] = {0, ip[is_v6 ? 6 : 9], (uint8_t)(l4_bytes >> 8), (uint8_t)l4_bytes};
	uint64_t sum = checksum_sum(tail, 4) + checksum_sum(ip + ip_bytes, l4_bytes);

	sum += is_v6 ? checksum_sum(ip + 8, 32) : checksum_sum(ip + 12, 8);
	cr_assert_eq(checksum_fold(sum), 0xffff, "L4 checksum");
	if (!is_v6)
		cr_assert_eq(checksum_of(ip, 20), 0, "IP checksum");
	cr_assert_eq(get16(ip + (is_v6 ? 4 : 2)), is_v6 ? l4_bytes : len - ETH);
	if (tail[1] == 17)
		cr_assert_eq(get16(ip + ip_bytes + 4), l4_bytes, "UDP length");
}

Test(port_segment, cuts_every_kind_and_loses_no_octet)
{
	static const struct {
		bool is_v6, is_tcp;
		uint16_t size;
	} cases[] = {
		{false, true, 1000},
		{false, true, 1},
		{false, true, 3934}, /* exactly one */
		{false, true, 65000},
		{true, true, 1400},
		{false, false, 1200},
		{true, false, 1200},
	};
	uint8_t frame[FRAME_BYTES], segment[FRAME_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_net_hdr offload =
			build(frame, cases[i].is_v6, cases[i].is_tcp, cases[i].size);
		uint32_t head = ETH + (cases[i].is_v6 ? 40 : 20) + (cases[i].is_tcp ? 32 : 8),
			 done = head;
		struct segment_cutter c = {0};
		uint32_t len, n = 0;

		cr_assert_eq(segment_begin(&c, frame, FRAME_BYTES, FRAMING_ETHERNET, &offload), 0,
			"case %zu", i);
		for (; (len = segment_next_bytes(&c)) != 0; n++) {
			segment_next(&c, segment);
			assert_sound(segment, len, cases[i].is_v6);
			cr_assert_eq(
				memcmp(segment + head, frame + done, len - head), 0, "case %zu", i);
			if (!cases[i].is_v6)
				cr_assert_eq(get16(segment + ETH + 4), 7 + n);
			done += len - head;
		}
		cr_assert_eq(done, FRAME_BYTES, "case %zu", i);
		cr_assert_eq(
			n, (FRAME_BYTES - head + cases[i].size - 1) / cases[i].size, "case %zu", i);
	}
}

Test(port_segment, leaves_each_flag_where_rfc_9293_and_rfc_3168_want_it)
{
	static const uint8_t expected[] = {
		0xd0, 0x50, 0x50, 0x59}; /* CWR first, FIN and PSH last */
	uint8_t frame[FRAME_BYTES], segment[FRAME_BYTES];
	struct virtio_net_hdr offload = build(frame, false, true, 1000);
	struct segment_cutter c = {0};

	cr_assert_eq(segment_begin(&c, frame, FRAME_BYTES, FRAMING_ETHERNET, &offload), 0);
	for (size_t i = 0; i < sizeof(expected); i++) {
		segment_next(&c, segment);
		cr_assert_eq(segment[ETH + 20 + 13], expected[i], "segment %zu", i);
	}
	cr_assert_eq(segment_next_bytes(&c), 0);
}

Test(port_segment, goes_on_after_a_segment_that_was_left_out)
{
	uint8_t frame[FRAME_BYTES], segment[FRAME_BYTES];
	struct virtio_net_hdr offload = build(frame, false, true, 1000);
	struct segment_cutter c = {0};

	cr_assert_eq(segment_begin(&c, frame, FRAME_BYTES, FRAMING_ETHERNET, &offload), 0);
	cr_assert_eq(segment_left(&c), 4);
	segment_skip(&c);
	cr_assert_eq(segment_left(&c), 3);
	segment_next(&c, segment);
	cr_assert_eq(get16(segment + ETH + 4), 8);
	cr_assert_eq(segment[ETH + 20 + 13], 0x50);
	cr_assert_eq(memcmp(segment + 66, frame + 1066, 1000), 0);
}

Test(port_segment, refuses_what_is_not_as_its_header_says)
{
	static const struct {
		const char *what;
		uint32_t off;
		uint8_t value;
		uint32_t len;
		uint8_t type;
		uint16_t size;
	} cases[] = {
		{"no segment size", 0, 0, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4, 0},
		{"an unknown kind", 0, 0, FRAME_BYTES, 9, 1000},
		{"UFO, which is fragments", 0, 0, FRAME_BYTES, VIRTIO_NET_HDR_GSO_UDP, 1000},
		{"TCP said, UDP found", ETH + 9, 17, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"no IP", 12, 0x88, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"an IP header of 16 octets", ETH, 0x44, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4,
			1000},
		{"an IP header that ends behind the frame", ETH, 0x4f, 60, VIRTIO_NET_HDR_GSO_TCPV4,
			1000},
		{"a TCP header of 16 octets", ETH + 32, 0x40, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4,
			1000},
		{"a TCP header that ends behind the frame", ETH + 32, 0xf0, 80,
			VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"no payload", 0, 0, ETH + 20 + 32, VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"less than Ethernet", 0, 0, 13, VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"nothing", 0, 0, 0, VIRTIO_NET_HDR_GSO_TCPV4, 1000},
		{"segments beyond the length field", 0, 0, FRAME_BYTES, VIRTIO_NET_HDR_GSO_TCPV4,
			65535},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t frame[FRAME_BYTES], *exact = malloc(cases[i].len + 1);
		struct virtio_net_hdr offload = build(frame, false, true, cases[i].size);
		struct segment_cutter c = {0};

		frame[cases[i].off] = cases[i].value;
		offload.gso_type = cases[i].type;
		memcpy(exact, frame, cases[i].len);
		cr_assert_eq(segment_begin(&c, exact, cases[i].len, FRAMING_ETHERNET, &offload),
			-EINVAL, "%s", cases[i].what);
		cr_assert_eq(segment_next_bytes(&c), 0);
		free(exact);
	}
}

Test(port_segment, finishes_a_sum_only_within_the_frame)
{
	uint8_t frame[8] = {0x12, 0x34, 0, 0, 0xff, 0xff};
	struct virtio_net_hdr offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 2};

	cr_assert_eq(segment_finish_checksum(frame, 6, &offload), 0);
	cr_assert_eq(get16(frame + 2), 0xffff & ~0x1234);
	offload.csum_start = 3;
	cr_assert_eq(segment_finish_checksum(frame, 6, &offload), -EINVAL);
	offload = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = UINT16_MAX};
	cr_assert_eq(segment_finish_checksum(frame, 6, &offload), -EINVAL);
	offload.flags = 0;
	cr_assert_eq(segment_finish_checksum(frame, 6, &offload), 0, "nothing was asked");
}

Test(port_segment, sends_a_udp_sum_of_zero_as_all_ones)
{
	uint8_t frame[8] = {0xff, 0xff};
	struct virtio_net_hdr offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 6};

	cr_assert_eq(segment_finish_checksum(frame, 8, &offload), 0);
	cr_assert_eq(get16(frame + 6), 0xffff);
}
