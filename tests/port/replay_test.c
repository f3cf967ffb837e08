/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/port/capture.h>
#include <weir/port/replay.h>

#include <stdlib.h>
#include <string.h>
#include <test_eal.h>
#include <unistd.h>

static uint64_t now_us;

static struct port *port_of(
	enum link_framing framing, struct capture_writer *writer, bool raw_capture)
{
	struct replay_port_params params = {.name = "replay0",
		.framing = framing,
		.mtu = 1500,
		.writer = writer,
		.raw_capture = raw_capture,
		.now_us = &now_us};
	struct port *p;

	cr_assert_eq(replay_port_open(&params, &p), 0);
	return p;
}

/* An IPv4 packet of `ip_len` octets behind a link-layer header of `header` bytes. */
static struct rte_mbuf *ip_frame(struct rte_mempool *pool, uint16_t header, uint16_t ip_len)
{
	struct rte_mbuf *m = test_eal_frame(pool, (uint16_t)(header + ip_len), 0);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (header == 18)
		memcpy(frame + 12, "\x81\0\0\5\x08\0", 6);
	else if (header == 14)
		memcpy(frame + 12, "\x08\0", 2);
	frame[header] = 0x45;
	frame[header + 2] = (uint8_t)(ip_len >> 8);
	frame[header + 3] = (uint8_t)ip_len;
	return m;
}

static struct rte_mbuf *arp_frame(struct rte_mempool *pool)
{
	struct rte_mbuf *m = test_eal_frame(pool, 42, 0);

	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, 12), "\x08\x06", 2);
	return m;
}

Test(port_replay, hands_out_what_was_put_in_order_and_in_portions)
{
	struct rte_mempool *pool = test_eal_pool();
	struct port *p = port_of(FRAMING_RAW_IP, NULL, false);
	struct rte_mbuf *pkts[REPLAY_PENDING_MAX];
	struct rte_mbuf *extra = test_eal_frame(pool, 10, 0xff);

	for (uint8_t i = 0; i < REPLAY_PENDING_MAX; i++)
		cr_assert(replay_port_put(p, test_eal_frame(pool, 10, i)));
	cr_expect_not(replay_port_put(p, extra), "full");
	cr_expect_eq(p->ops->rx(p, pkts, 40), 40);
	cr_expect_eq(replay_port_n_pending(p), REPLAY_PENDING_MAX - 40);
	cr_expect_eq(p->ops->rx(p, pkts + 40, 40), REPLAY_PENDING_MAX - 40);
	cr_expect_eq(p->ops->rx(p, pkts, 40), 0);
	for (uint8_t i = 0; i < REPLAY_PENDING_MAX; i++)
		cr_expect_eq(*rte_pktmbuf_mtod(pkts[i], uint8_t *), i);
	rte_pktmbuf_free_bulk(pkts, REPLAY_PENDING_MAX);
	cr_expect(replay_port_put(p, extra));
	port_close(p);
	cr_expect_eq(rte_mempool_avail_count(pool), TEST_EAL_MBUFS - 1, "close frees what waits");
}

/* What is sent, and what stands in the capture. */
static const struct {
	const char *claim;
	enum link_framing framing;
	enum capture_link_type link;
	uint16_t header;   /* of the frame sent; 0xffff: an ARP frame */
	uint32_t captured; /* bytes in the capture; 0: nothing */
} sends[] = {
	{"Ethernet into Ethernet", FRAMING_ETHERNET, CAPTURE_LINK_ETHERNET, 14, 114},
	{"with its VLAN tag", FRAMING_ETHERNET, CAPTURE_LINK_ETHERNET, 18, 118},
	{"ARP into Ethernet", FRAMING_ETHERNET, CAPTURE_LINK_ETHERNET, 0xffff, 42},
	{"raw IP into raw IP", FRAMING_RAW_IP, CAPTURE_LINK_RAW_IP, 0, 100},
	{"Ethernet into raw IP without its header", FRAMING_ETHERNET, CAPTURE_LINK_RAW_IP, 14, 100},
	{"nor its tag", FRAMING_ETHERNET, CAPTURE_LINK_RAW_IP, 18, 100},
	{"ARP into raw IP is left out", FRAMING_ETHERNET, CAPTURE_LINK_RAW_IP, 0xffff, 0},
};

Test(port_replay, writes_what_is_sent_with_the_virtual_time_and_sums_its_octets)
{
	struct rte_mempool *pool = test_eal_pool();

	for (size_t i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
		bool is_arp = sends[i].header == 0xffff;
		struct rte_mbuf *m =
			is_arp ? arp_frame(pool) : ip_frame(pool, sends[i].header, 100);
		char path[] = "/tmp/weir-replay-XXXXXX";
		int fd = mkstemp(path);
		struct capture_writer *w;
		struct replay_sums sums;
		struct port *p;
		FILE *f;
		uint8_t bytes[512];
		size_t n;

		cr_assert_geq(fd, 0);
		close(fd);
		cr_assert_eq(capture_writer_create(path, sends[i].link, &w), 0);
		p = port_of(sends[i].framing, w, sends[i].link == CAPTURE_LINK_RAW_IP);
		now_us = 1000002000003ull;
		cr_expect_eq(p->ops->tx(p, &m, 1), 1);
		replay_port_sums(p, &sums);
		cr_expect_eq(sums.ip_packets, !is_arp, "%s", sends[i].claim);
		cr_expect_eq(sums.ip_octets, is_arp ? 0 : 100, "%s", sends[i].claim);
		cr_expect_eq(sums.other_frames, is_arp, "%s", sends[i].claim);
		port_close(p);
		cr_assert_eq(capture_writer_close(w), 0);
		f = fopen(path, "rb");
		cr_assert_not_null(f);
		n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		unlink(path);
		cr_assert_eq(n, 24 + (sends[i].captured != 0 ? 16 + sends[i].captured : 0), "%s",
			sends[i].claim);
		if (sends[i].captured != 0) /* 1000002 s, 3 us */
			cr_expect_eq(memcmp(bytes + 24, "\x42\x42\x0f\0\3\0\0\0", 8), 0, "%s",
				sends[i].claim);
	}
	cr_expect_eq(rte_mempool_avail_count(pool), TEST_EAL_MBUFS - 1, "what is sent is freed");
}

/* A packet for a port of MTU 1500, and the IP lengths that become of it. */
static const struct {
	const char *claim;
	enum replay_cut cut;
	enum link_framing framing;
	uint8_t proto;
	uint16_t octets;
	uint16_t flags_offset; /* 0x4000: DF, 0x2000: MF */
	uint16_t lens[4];
} cuts[] = {
	{"TCP that fits", REPLAY_WHOLE, FRAMING_RAW_IP, PROTO_TCP, 1500, 0, {1500}},
	{"TCP of one octet more", REPLAY_SEGMENTS, FRAMING_RAW_IP, PROTO_TCP, 1501, 0, {1500, 41}},
	{"TCP behind Ethernet, DF set", REPLAY_SEGMENTS, FRAMING_ETHERNET, PROTO_TCP, 40 + 2920,
		0x4000, {1500, 1500}},
	{"UDP with DF", REPLAY_DATAGRAMS, FRAMING_ETHERNET, PROTO_UDP, 28 + 3000, 0x4000,
		{1500, 1500, 28 + 56}},
	{"UDP without", REPLAY_FRAGMENTS, FRAMING_ETHERNET, PROTO_UDP, 28 + 3000, 0,
		{1500, 1500, 20 + 48}},
	{"UDP that fits", REPLAY_WHOLE, FRAMING_ETHERNET, PROTO_UDP, 1500, 0x4000, {1500}},
	{"ICMP", REPLAY_FRAGMENTS, FRAMING_RAW_IP, PROTO_ICMP, 2000, 0, {1500, 520}},
	{"ICMP with DF stays for the path to refuse", REPLAY_WHOLE, FRAMING_RAW_IP, PROTO_ICMP,
		2000, 0x4000, {2000}},
	{"and so does a longer one, without room", REPLAY_WHOLE, FRAMING_RAW_IP, PROTO_ICMP, 2049,
		0x4000, {0}},
	{"a fragment of TCP is no super-frame", REPLAY_FRAGMENTS, FRAMING_RAW_IP, PROTO_TCP, 2004,
		0x2000, {1500, 524}},
	{"nor is a later one", REPLAY_FRAGMENTS, FRAMING_RAW_IP, PROTO_TCP, 2004, 100, {1500, 524}},
};

Test(port_replay, cuts_what_is_larger_than_the_mtu_as_it_was_on_the_wire)
{
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		uint32_t header = cuts[i].framing == FRAMING_ETHERNET ? 14 : 0;
		struct port *p = port_of(cuts[i].framing, NULL, false);
		uint32_t len = header + cuts[i].octets;
		uint8_t *frame =
			calloc(1, len); /* of its own, so that a byte read too far is seen */
		uint32_t n = 0;
		uint8_t *ip;

		cr_assert_not_null(frame);
		ip = frame + header;
		if (header > 0)
			memcpy(frame + 12, "\x08\0", 2);
		ip[0] = 0x45;
		store_be16(ip + 2, cuts[i].octets);
		store_be16(ip + 6, cuts[i].flags_offset);
		ip[8] = 64;
		ip[9] = cuts[i].proto;
		ip[32] = 0x50;
		cr_expect_eq(replay_port_cut(p, frame, len), cuts[i].cut, "%s", cuts[i].claim);
		for (; n < 4 && cuts[i].lens[n] != 0; n++) {
			uint8_t piece[2048];
			uint32_t got = replay_port_segment(p, frame, len, n, piece, sizeof(piece));

			cr_assert_eq(got, header + cuts[i].lens[n], "%s, piece %u: %u",
				cuts[i].claim, n, got);
			cr_expect_eq(load_be16(piece + header + 2), cuts[i].lens[n], "%s",
				cuts[i].claim);
			if (cuts[i].cut != REPLAY_WHOLE)
				cr_expect_eq(checksum_of(piece + header, 20), 0, "%s, piece %u",
					cuts[i].claim, n);
			if (cuts[i].cut == REPLAY_DATAGRAMS)
				cr_expect_eq(checksum_l4_v4(piece + header, cuts[i].lens[n]), 0,
					"%s, piece %u", cuts[i].claim, n);
		}
		cr_expect_eq(replay_port_segment(p, frame, len, n, (uint8_t[2048]){0}, 2048), 0,
			"%s ends", cuts[i].claim);
		free(frame);
		port_close(p);
	}
}
