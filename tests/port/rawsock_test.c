/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns.h"

#include <weir/packet/checksum.h>
#include <weir/port/rawsock.h>

#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_TYPE  0x88b5 /* IEEE 802, for experiments */
#define ETH        14u
#define IP         20u
#define TCP        20u
#define UDP        8u
#define N_BUFFERS  8191u
#define BULK_BYTES (24u << 20)

static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};

/* --- helpers --- */

static struct rte_mempool *enter_with_veth(void)
{
	netns_enter();
	netns_run("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 address "
		  "02:00:00:00:00:02"
		  " && ip link set v0 up && ip link set v1 up");
	return netns_create_pool(N_BUFFERS);
}

/* Linux tells of a carrier with some delay. */
static void maintain_until_up(struct port *p)
{
	for (int i = 0; i < 300 && !port_is_up(p); i++) {
		p->ops->maintain(p, 0);
		(void)usleep(10000);
	}
	cr_assert(port_is_up(p), "still not up: %s", p->why_down);
}

static struct port *open_as(const struct rawsock_params *params)
{
	char error[PORT_ERROR_MAX] = "";
	struct port *p = NULL;

	cr_assert_eq(rawsock_open(params, &p, error), 0, "%s", error);
	if (strcmp(p->why_down, "gone") != 0)
		maintain_until_up(p);
	return p;
}

static struct port *open_port(const char *device, struct rte_mempool *pool, uint32_t ring_bytes)
{
	return open_as(&(struct rawsock_params){.name = "lan0",
		.device = device,
		.pool = pool,
		.state_dir = NETNS_STATE_DIR,
		.ring_bytes = ring_bytes});
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Up to n frames, as many as come within the time. */
static uint16_t receive(struct port *p, struct rte_mbuf **pkts, uint16_t n, uint64_t within_ms)
{
	uint64_t end = now_ms() + within_ms;
	uint16_t got = 0;

	while (got < n && now_ms() < end)
		got = (uint16_t)(got + p->ops->rx(p, pkts + got, (uint16_t)(n - got)));
	return got;
}

static int open_sender(const char *device, bool with_offloads)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(3 /* ETH_P_ALL */),
		.sll_ifindex = (int)if_nametoindex(device)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	int on = 1;

	cr_assert_geq(fd, 0);
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	if (with_offloads)
		cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Frame of an experimental type with n bytes of payload that count up from `first`. */
static uint32_t build_plain(uint8_t *frame, uint32_t n, uint8_t first)
{
	memcpy(frame, macs, sizeof(macs));
	frame[12] = TEST_TYPE >> 8;
	frame[13] = TEST_TYPE & 0xff;
	for (uint32_t i = 0; i < n; i++)
		frame[ETH + i] = (uint8_t)(first + i);
	return ETH + n;
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7);
}

/* IPv4 header for `proto` and n bytes behind it. */
static void build_ip(uint8_t *ip, uint8_t proto, uint32_t n)
{
	static const uint8_t addresses[8] = {10, 9, 0, 2, 10, 9, 0, 1};
	uint16_t sum;

	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, IP + n);
	put16(ip + 4, 0xfffe); /* so that identifications wrap */
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, addresses, sizeof(addresses));
	sum = checksum_of(ip, IP);
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* The sum that a stack leaves in the checksum field for the hardware to complete. */
static void put_pseudo_sum(uint8_t *field, const uint8_t *ip, uint32_t l4_bytes)
{
	uint8_t tail[4] = {0, ip[9], (uint8_t)(l4_bytes >> 8), (uint8_t)l4_bytes};
	uint16_t sum = checksum_fold(checksum_sum(ip + 12, 8) + checksum_sum(tail, 4));

	memcpy(field, &sum, sizeof(sum));
}

/* A TCP or UDP frame whose checksum is unfinished. */
static uint32_t build_unfinished(
	uint8_t *frame, uint8_t proto, uint32_t n_payload, struct virtio_net_hdr *ret_offload)
{
	uint32_t l4_bytes = (proto == PROTO_TCP ? TCP : UDP) + n_payload;
	uint8_t *ip = frame + ETH, *l4 = ip + IP;

	memcpy(frame, macs, sizeof(macs));
	put16(frame + 12, ETHERTYPE_IP);
	build_ip(ip, proto, l4_bytes);
	memset(l4, 0, TCP);
	put16(l4, 4000);
	put16(l4 + 2, 80);
	if (proto == PROTO_TCP) {
		put16(l4 + 4, 0xffff); /* so that sequence numbers wrap */
		put16(l4 + 6, 0xff00);
		l4[12] = 0x50;
		l4[13] = 0x99; /* CWR, ACK, PSH, FIN */
	} else {
		put16(l4 + 4, l4_bytes);
	}
	for (uint32_t i = 0; i < n_payload; i++)
		l4[l4_bytes - n_payload + i] = pattern(i);
	*ret_offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr_len = (uint16_t)(ETH + IP + l4_bytes - n_payload),
		.csum_start = ETH + IP,
		.csum_offset = proto == PROTO_TCP ? 16 : 6};
	put_pseudo_sum(l4 + ret_offload->csum_offset, ip, l4_bytes);
	return ETH + IP + l4_bytes;
}

static bool send_with(int fd, const struct virtio_net_hdr *offload, uint8_t *frame, uint32_t len)
{
	struct virtio_net_hdr copy = *offload;
	struct iovec parts[] = {{&copy, sizeof(copy)}, {frame, len}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return sendmsg(fd, &message, 0) == (ssize_t)(sizeof(copy) + len);
}

static const uint8_t *bytes_of(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *);
}

static struct rte_mbuf *mbuf_with(struct rte_mempool *pool, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	cr_assert_not_null(m);
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), frame, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return m;
}

/* Asserts that both checksums of an IPv4 frame are right. */
static void assert_checksums(const uint8_t *ip, uint32_t len)
{
	cr_assert_eq(checksum_of(ip, IP), 0, "IP checksum");
	cr_assert_eq(len, get16(ip + 2), "IP length");
	uint8_t proto_len[4] = {0, ip[9], (uint8_t)((len - IP) >> 8), (uint8_t)(len - IP)};
	uint64_t sum = checksum_sum(ip + 12, 8) + checksum_sum(proto_len, 4)
		       + checksum_sum(ip + IP, len - IP);

	cr_assert_eq(checksum_fold(sum), 0xffff, "L4 checksum");
}

static void poll_once(struct port *p)
{
	struct rte_mbuf *m;

	if (p->ops->rx(p, &m, 1) == 1)
		rte_pktmbuf_free(m);
}

/* Control sees a change; the worker, told of it, gives up. */
static void maintain_until_failed(struct port *p)
{
	for (int i = 0; i < 300 && port_is_up(p); i++) {
		p->ops->maintain(p, 0);
		poll_once(p);
		(void)usleep(10000);
	}
	cr_assert_not(port_is_up(p), "the change went unnoticed");
}

/* What the worker does with a port whose descriptor reports something: polls it. Bounded, or it spins. */
static void poll_until_failed(struct port *p)
{
	for (int i = 0; i < 2000 && port_is_up(p); i++)
		poll_once(p);
	cr_assert_not(port_is_up(p), "the port did not see that its interface went");
}

static void send_and_expect(struct port *p, const char *from)
{
	int fd = open_sender(from, false);
	uint8_t frame[100];
	uint32_t len = build_plain(frame, 80, 1);
	struct rte_mbuf *m = NULL;

	cr_assert_eq(send(fd, frame, len, 0), (ssize_t)len);
	cr_assert_eq(receive(p, &m, 1, 2000), 1, "nothing arrived");
	cr_assert_eq(memcmp(bytes_of(m), frame, len), 0);
	rte_pktmbuf_free(m);
	(void)close(fd);
}

/* --- round trips --- */

Test(port_rawsock, carries_ethernet_frames_both_ways_and_does_not_hear_itself)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	int fd = open_sender("v1", false);
	uint8_t frame[1600], seen[1600];
	struct rte_mbuf *pkts[4];

	cr_assert_eq(p->framing, FRAMING_ETHERNET);
	cr_assert_eq(p->mtu, 1500);
	cr_assert_eq(p->mac.bytes[5], 1);
	cr_assert_eq(p->generation, 1);
	send_and_expect(p, "v1");
	for (uint16_t i = 0; i < 4; i++)
		pkts[i] = mbuf_with(pool, frame, build_plain(frame, 46 + i * 484u, (uint8_t)i));
	cr_assert_eq(p->ops->tx(p, pkts, 4), 4);
	for (uint16_t i = 0; i < 4; i++) {
		uint32_t len = build_plain(frame, 46 + i * 484u, (uint8_t)i);

		cr_assert_eq(recv(fd, seen, sizeof(seen), 0), (ssize_t)len);
		cr_assert_eq(memcmp(seen, frame, len), 0);
	}
	cr_assert_eq(receive(p, pkts, 1, 50), 0, "its own frames came back");
	cr_assert_eq(p->counters.tx_packets, 4);
	cr_assert_eq(p->counters.rx_packets, 1);
	cr_assert_eq(p->counters.rx_bytes, 94);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0, "buffers were lost");
	port_close(p);
}

static int open_tun(const char *device)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR);

	cr_assert_geq(fd, 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	netns_run("ip link set %s up", device);
	return fd;
}

Test(port_rawsock, carries_raw_ip_both_ways)
{
	struct rte_mempool *pool;
	struct rte_mbuf *m = NULL;
	uint8_t packet[IP + 100] = {0}, seen[2048];
	struct port *p;
	int fd;

	netns_enter();
	fd = open_tun("wwan0");
	pool = netns_create_pool(N_BUFFERS);
	p = open_port("wwan0", pool, 0);
	cr_assert_eq(p->framing, FRAMING_RAW_IP);
	build_ip(packet, PROTO_UDP, 100);
	cr_assert_eq(write(fd, packet, sizeof(packet)), (ssize_t)sizeof(packet));
	cr_assert_eq(receive(p, &m, 1, 2000), 1);
	cr_assert_eq(m->pkt_len, sizeof(packet));
	cr_assert_eq(memcmp(bytes_of(m), packet, sizeof(packet)), 0);
	cr_assert_eq(p->ops->tx(p, &m, 1), 1);
	cr_assert_eq(read(fd, seen, sizeof(seen)), (ssize_t)sizeof(packet));
	cr_assert_eq(memcmp(seen, packet, sizeof(packet)), 0);
	port_close(p);
}

Test(port_rawsock, drops_a_frame_that_can_never_be_sent_and_sends_the_rest)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	uint8_t frame[1700];
	struct rte_mbuf *pkts[3];

	for (uint16_t i = 0; i < 3; i++)
		pkts[i] = mbuf_with(pool, frame, build_plain(frame, i == 1 ? 1600 : 60, 0));
	cr_assert_eq(p->ops->tx(p, pkts, 3), 3);
	cr_assert_eq(p->counters.tx_packets, 2);
	cr_assert_eq(p->counters.tx_errors, 1);
	cr_assert(port_is_up(p));
	cr_assert_eq(rte_mempool_in_use_count(pool), 0);
	port_close(p);
}

Test(port_rawsock, refuses_hardware_that_is_neither_ethernet_nor_raw_ip)
{
	struct rawsock_params params = {.name = "x", .device = "lo", .state_dir = NETNS_STATE_DIR};
	char error[PORT_ERROR_MAX];
	struct port *p = NULL;

	netns_enter();
	params.pool = netns_create_pool(1023);
	cr_assert_eq(rawsock_open(&params, &p, error), -EINVAL);
	cr_assert_not_null(strstr(error, "772"));
	cr_assert_null(p);
	params.device = "no/such";
	cr_assert_eq(rawsock_open(&params, &p, error), -EINVAL);
}

/* --- what offloads leave behind --- */

Test(port_rawsock, finishes_checksums_that_the_sender_left_to_hardware)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	int fd = open_sender("v1", true);
	uint8_t frame[1600];
	struct rte_mbuf *m = NULL;

	for (uint32_t i = 0; i < 4; i++) {
		struct virtio_net_hdr offload;
		uint32_t len = build_unfinished(
			frame, i < 2 ? PROTO_TCP : PROTO_UDP, 1000 + i % 2, &offload);

		cr_assert(send_with(fd, &offload, frame, len));
		cr_assert_eq(receive(p, &m, 1, 2000), 1);
		cr_assert_eq(m->pkt_len, len);
		assert_checksums(bytes_of(m) + ETH, len - ETH);
		rte_pktmbuf_free(m);
	}
	cr_assert_eq(p->counters.rx_checksums_finished, 4);
	port_close(p);
}

/* Receives a cut super-frame and compares every byte; returns the number of frames. */
static uint32_t receive_cut(
	struct port *p, uint8_t proto, uint32_t n_payload, uint32_t size, uint32_t l3_off)
{
	uint32_t l4_head = proto == PROTO_TCP ? TCP : UDP, done = 0, n = 0;
	struct rte_mbuf *m = NULL;

	for (; done < n_payload; n++) {
		const uint8_t *ip, *l4;
		uint32_t got;

		cr_assert_eq(receive(p, &m, 1, 2000), 1, "%u of %u octets came", done, n_payload);
		ip = bytes_of(m) + l3_off;
		l4 = ip + IP;
		got = m->pkt_len - l3_off - IP - l4_head;
		cr_assert_eq(got, n_payload - done < size ? n_payload - done : size);
		assert_checksums(ip, m->pkt_len - l3_off);
		cr_assert_eq(get16(ip + 4), (0xfffe + n) & 0xffff, "identification");
		for (uint32_t i = 0; i < got; i++)
			cr_assert_eq(l4[l4_head + i], pattern(done + i), "octet %u", done + i);
		if (proto == PROTO_TCP) {
			cr_assert_eq(get32(l4 + 4), 0xffffff00 + done, "sequence number");
			cr_assert_eq(
				l4[13] & 0x09, done + got == n_payload ? 0x09 : 0, "FIN and PSH");
			cr_assert_eq(l4[13] & 0x80, n == 0 ? 0x80 : 0, "CWR");
			cr_assert_eq(l4[13] & 0x10, 0x10, "ACK");
		} else {
			cr_assert_eq(get16(l4 + 4), UDP + got, "UDP length");
		}
		done += got;
		rte_pktmbuf_free(m);
	}
	return n;
}

Test(port_rawsock, cuts_super_frames_whether_or_not_they_fit_a_slot)
{
	static const struct {
		uint8_t proto;
		uint8_t type;
		uint32_t n_payload, size;
	} cases[] = {
		{PROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 64000, 1460},
		{PROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 65000, 536},
		{PROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 2921, 1460},
		{PROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 1400, 700},
		{PROTO_UDP, 5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */, 12345, 1200},
	};
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	int fd = open_sender("v1", true);
	static uint8_t frame[70000];
	uint32_t n_sent = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_net_hdr offload;
		uint32_t len =
			build_unfinished(frame, cases[i].proto, cases[i].n_payload, &offload);

		offload.gso_type = cases[i].type;
		offload.gso_size = (uint16_t)cases[i].size;
		if (!send_with(fd, &offload, frame, len)) {
			cr_assert_eq(cases[i].proto, PROTO_UDP, "case %zu",
				i); /* older kernels know no UDP */
			continue;
		}
		n_sent++;
		cr_assert_eq(receive_cut(p, cases[i].proto, cases[i].n_payload, cases[i].size, ETH),
			(cases[i].n_payload + cases[i].size - 1) / cases[i].size, "case %zu", i);
		cr_assert_eq(p->counters.rx_super_frames, n_sent, "case %zu came as frames", i);
	}
	cr_assert_eq(p->counters.rx_truncated, 0);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0);
	port_close(p);
}

/* Puts an 802.1Q tag into a frame. */
static uint32_t tag(uint8_t *frame, uint32_t len, uint16_t tci)
{
	memmove(frame + 16, frame + 12, len - 12);
	put16(frame + 12, 0x8100);
	put16(frame + 14, tci);
	return len + 4;
}

Test(port_rawsock, puts_back_the_tag_that_the_kernel_took_out)
{
	static const uint16_t tcis[] = {42, 0x6000 | 42, 0xa000 /* priority alone */};
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	int fd = open_sender("v1", true);
	struct virtio_net_hdr offload;
	static uint8_t frame[70000];
	struct rte_mbuf *m = NULL;
	uint32_t len;

	for (size_t i = 0; i < sizeof(tcis) / sizeof(tcis[0]); i++) {
		len = tag(frame, build_unfinished(frame, PROTO_TCP, 100, &offload), tcis[i]);
		offload.csum_start += 4;
		offload.hdr_len += 4;
		cr_assert(send_with(fd, &offload, frame, len));
		cr_assert_eq(receive(p, &m, 1, 2000), 1);
		cr_assert_eq(m->pkt_len, len);
		cr_assert_eq(memcmp(bytes_of(m), frame, ETH + 4 + IP), 0, "tag %zu", i);
		assert_checksums(bytes_of(m) + ETH + 4, len - ETH - 4);
		rte_pktmbuf_free(m);
	}
	len = tag(frame, build_unfinished(frame, PROTO_TCP, 20000, &offload), 42);
	offload.csum_start += 4;
	offload.hdr_len += 4;
	offload.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	offload.gso_size = 1400;
	cr_assert(send_with(fd, &offload, frame, len));
	cr_assert_eq(receive_cut(p, PROTO_TCP, 20000, 1400, ETH + 4), 15);
	port_close(p);
}

Test(port_rawsock, counts_frames_that_fit_no_buffer)
{
	struct rte_mempool *pool;
	struct port *p;
	uint8_t frame[9000];
	struct rte_mbuf *m = NULL;
	int fd;

	pool = enter_with_veth();
	netns_run("ip link set v0 mtu 9000 && ip link set v1 mtu 9000");
	p = open_port("v0", pool, 0);
	fd = open_sender("v1", false);
	cr_assert_eq(p->mtu, 2048 - 18, "more than a buffer holds was promised");
	cr_assert_eq(send(fd, frame, build_plain(frame, 4000, 0), 0), 4014);
	cr_assert_eq(receive(p, &m, 1, 100), 0);
	cr_assert_eq(p->counters.rx_truncated, 1);
	send_and_expect(p, "v1");
	port_close(p);
}

Test(port_rawsock, counts_what_the_kernel_dropped_while_nobody_read)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 256u << 10); /* 128 slots */
	int fd = open_sender("v1", false);
	static struct rte_mbuf *pkts[400];
	uint8_t frame[100];
	uint16_t got;

	for (int i = 0; i < 300; i++)
		cr_assert_gt(send(fd, frame, build_plain(frame, 60, 0), 0), 0);
	(void)usleep(50000);
	got = receive(p, pkts, 400, 200);
	rte_pktmbuf_free_bulk(pkts, got);
	cr_assert_eq(got, 128);
	/* The count comes with the first frame after the loss. */
	cr_assert_gt(send(fd, frame, build_plain(frame, 60, 0), 0), 0);
	rte_pktmbuf_free_bulk(pkts, receive(p, pkts, 1, 1000));
	cr_assert_eq(p->counters.rx_kernel_drops, 172);
	port_close(p);
}

/* --- interfaces come and go --- */

static short events_of(const struct port *p)
{
	struct pollfd fd = {.fd = p->fd, .events = POLLIN};

	cr_assert_geq(poll(&fd, 1, 1000), 0);
	return fd.revents;
}

Test(port_rawsock, recovers_when_its_interface_goes_down_and_up)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);

	netns_run("ip link set v0 down");
	cr_assert(events_of(p) & POLLERR, "a sleeping worker would not be woken");
	poll_until_failed(p);
	p->ops->maintain(p, 0);
	cr_assert_eq(p->state, PORT_FAILED);
	cr_assert_str_eq(p->why_down, "down");
	netns_run("ip link set v0 up");
	maintain_until_up(p);
	cr_assert_eq(p->generation, 2);
	cr_assert_eq(p->counters.n_failures, 1);
	send_and_expect(p, "v1");
	port_close(p);
}

Test(port_rawsock, finds_out_by_sending_too)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	uint8_t frame[100];
	struct rte_mbuf *m = mbuf_with(pool, frame, build_plain(frame, 60, 0));

	netns_run("ip link set v0 down");
	cr_assert_eq(p->ops->tx(p, &m, 1), 0, "a frame that was not sent must stay the caller's");
	cr_assert_not(port_is_up(p));
	rte_pktmbuf_free(m);
	port_close(p);
}

Test(port_rawsock, reopens_an_interface_that_was_deleted_and_made_anew)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);

	netns_run("ip link del v0");
	poll_until_failed(p);
	p->ops->maintain(p, 0);
	cr_assert_str_eq(p->why_down, "gone");
	netns_run(
		"ip link add v0 address 02:00:00:00:00:07 mtu 1400 type veth peer name v1 mtu 1400"
		" && ip link set v0 up && ip link set v1 up");
	maintain_until_up(p);
	cr_assert_eq(p->mtu, 1400);
	cr_assert_eq(p->mac.bytes[5], 7);
	send_and_expect(p, "v1");
	netns_run("nft list table netdev weir_v0 | grep -q 'device \"v0\"'");
	port_close(p);
}

Test(port_rawsock, waits_for_an_interface_that_is_not_there_yet)
{
	struct rte_mempool *pool;
	struct port *p;

	netns_enter();
	pool = netns_create_pool(N_BUFFERS);
	p = open_port("v0", pool, 0);
	cr_assert_eq(p->state, PORT_FAILED);
	cr_assert_str_eq(p->why_down, "gone");
	netns_run("ip link add v0 type veth peer name v1");
	p->ops->maintain(p, 0);
	cr_assert_str_eq(p->why_down, "down");
	netns_run("ip link set v0 up");
	p->ops->maintain(p, 0);
	cr_assert_str_eq(p->why_down, "no carrier");
	cr_assert_eq(p->state, PORT_FAILED);
	netns_run("ip link set v1 up");
	maintain_until_up(p);
	send_and_expect(p, "v1");
	port_close(p);
}

Test(port_rawsock, gives_up_when_the_carrier_or_the_interface_changes)
{
	static const struct {
		const char *change, *undo, *why;
	} cases[] = {
		{"ip link set v1 down", "ip link set v1 up", "no carrier"},
		{"ip link set v0 mtu 1400", "true", NULL},
		{"ip link set v0 address 02:00:00:00:00:09", "true", NULL},
	};
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p->ops->maintain(p, 0);
		poll_once(p);
		cr_assert(port_is_up(p), "case %u: failed without a reason", i);
		netns_run("%s", cases[i].change);
		maintain_until_failed(p);
		p->ops->maintain(p, 0);
		if (cases[i].why != NULL)
			cr_assert_str_eq(p->why_down, cases[i].why);
		netns_run("%s", cases[i].undo);
		maintain_until_up(p);
		cr_assert_eq(p->generation, i + 2);
	}
	cr_assert_eq(p->mtu, 1400);
	cr_assert_eq(p->mac.bytes[5], 9);
	port_close(p);
}

/* --- runs of TCP segments --- */

#define RUN_FRAMES 40u
#define RUN_SIZE   1400u

/* Segment number i of a connection, finished, from its IP header on. */
static uint32_t build_segment(uint8_t *ip, uint32_t i)
{
	uint32_t n = i == RUN_FRAMES - 1 ? 100 : RUN_SIZE;
	uint8_t *tcp = ip + IP;
	uint16_t sum;

	build_ip(ip, PROTO_TCP, TCP + n);
	put16(ip + 4, 0xfff0 + i);
	put16(ip + 10, 0);
	sum = checksum_of(ip, IP);
	memcpy(ip + 10, &sum, sizeof(sum));
	memset(tcp, 0, TCP);
	put16(tcp, 4000);
	put16(tcp + 2, 80);
	put16(tcp + 4, (i * RUN_SIZE) >> 16);
	put16(tcp + 6, i * RUN_SIZE);
	tcp[12] = 0x50;
	tcp[13] = i == RUN_FRAMES - 1 ? 0x18 : 0x10;
	for (uint32_t k = 0; k < n; k++)
		tcp[TCP + k] = pattern(i * RUN_SIZE + k);
	sum = checksum_l4_v4(ip, IP + TCP + n);
	memcpy(tcp + 16, &sum, sizeof(sum));
	return IP + TCP + n;
}

/* Sends the run; every packet of it counts. */
static void send_run(struct port *p, struct rte_mempool *pool, uint32_t l3)
{
	struct rte_mbuf *pkts[RUN_FRAMES];
	uint8_t frame[1600];
	struct port_counters before = p->counters;
	uint64_t n_bytes = 0;

	memcpy(frame, macs, sizeof(macs));
	put16(frame + 12, ETHERTYPE_IP);
	for (uint32_t i = 0; i < RUN_FRAMES; i++) {
		uint32_t len = l3 + build_segment(frame + l3, i);

		pkts[i] = mbuf_with(pool, frame, len);
		n_bytes += len;
	}
	cr_assert_eq(p->ops->tx(p, pkts, RUN_FRAMES), RUN_FRAMES);
	cr_assert_eq(p->counters.tx_packets - before.tx_packets, RUN_FRAMES);
	cr_assert_eq(p->counters.tx_bytes - before.tx_bytes, n_bytes);
	cr_assert_eq(p->counters.tx_errors, 0);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0, "buffers were lost");
}

/* Every segment arrives at a descriptor as it would have by itself. */
static void expect_run(int fd, uint32_t l3)
{
	uint8_t ip[1600], seen[2048];

	for (uint32_t i = 0; i < RUN_FRAMES; i++) {
		uint32_t len = build_segment(ip, i);
		struct pollfd ready = {.fd = fd, .events = POLLIN};

		cr_assert_eq(poll(&ready, 1, 2000), 1, "segment %u is missing", i);
		cr_assert_eq(read(fd, seen, sizeof(seen)), (ssize_t)(l3 + len), "segment %u", i);
		cr_assert_eq(memcmp(seen + l3, ip, len), 0, "segment %u is another", i);
	}
}

Test(port_rawsock, sends_a_run_of_segments_as_one_that_the_kernel_cuts)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p;
	int fd;

	netns_run("ethtool -K v0 tx off >/dev/null"); /* cut, and summed, before the wire */
	p = open_port("v0", pool, 0);
	fd = open_sender("v1", false);
	for (uint32_t i = 1; i <= 8; i++) {
		send_run(p, pool, ETH);
		cr_assert_eq(p->counters.tx_super_frames, i);
		expect_run(fd, ETH);
	}
	port_close(p);
}

/* What the device has counted as sent. */
static uint64_t sent_of_device(const char *device)
{
	struct ifaddrs *all;
	uint64_t n = 0;

	cr_assert_eq(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		if (strcmp(i->ifa_name, device) == 0 && i->ifa_addr != NULL
			&& i->ifa_addr->sa_family == AF_PACKET)
			n = ((const struct rtnl_link_stats *)i->ifa_data)->tx_packets;
	freeifaddrs(all);
	return n;
}

Test(port_rawsock, an_uplink_has_runs_only_while_its_device_counts_each_packet)
{
	struct rte_mempool *pool = enter_with_veth();
	struct rawsock_params params = {.name = "wan0",
		.device = "v0",
		.pool = pool,
		.state_dir = NETNS_STATE_DIR,
		.sends_singly = true};
	struct rte_mbuf *none[1];
	uint64_t before;
	struct port *p;

	netns_run("ethtool -K v0 tx off >/dev/null"); /* the kernel cuts first */
	p = open_as(&params);
	before = sent_of_device("v0");
	send_run(p, pool, ETH);
	cr_assert_eq(p->counters.tx_super_frames, 1);
	cr_assert_geq(sent_of_device("v0") - before, RUN_FRAMES);
	netns_run("ethtool -K v0 tx on tso on >/dev/null"); /* now the device would get it whole */
	p->ops->maintain(p, 0);
	cr_assert_eq(p->ops->rx(p, none, 1), 0);
	cr_assert_not(port_is_up(p), "it is opened anew");
	maintain_until_up(p);
	before = sent_of_device("v0");
	send_run(p, pool, ETH);
	cr_assert_eq(p->counters.tx_super_frames, 1);
	cr_assert_geq(sent_of_device("v0") - before, RUN_FRAMES);
	port_close(p);
}

Test(port_rawsock, sends_a_run_whole_to_who_takes_it_whole)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p = open_port("v0", pool, 0);
	int fd = open_sender("v1", true);
	static uint8_t seen[sizeof(struct virtio_net_hdr) + 65536];
	struct virtio_net_hdr offload;

	send_run(p, pool, ETH);
	cr_assert_eq(read(fd, seen, sizeof(seen)),
		(ssize_t)(sizeof(offload) + ETH + IP + TCP + (RUN_FRAMES - 1) * RUN_SIZE + 100));
	memcpy(&offload, seen, sizeof(offload));
	cr_assert_eq(offload.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	cr_assert_eq(offload.gso_size, RUN_SIZE);
	port_close(p);
}

Test(port_rawsock, sends_one_by_one_what_a_device_behind_a_queue_cannot_cut)
{
	struct rte_mempool *pool = enter_with_veth();
	struct port *p;
	int fd;

	netns_run("ethtool -K v0 tx off >/dev/null && tc qdisc add dev v0 root pfifo");
	p = open_port("v0", pool, 0);
	fd = open_sender("v1", false);
	for (uint32_t i = 0; i < 8; i++) {
		send_run(p, pool, ETH);
		expect_run(fd, ETH);
	}
	cr_assert_eq(p->counters.tx_super_frames, 0);
	cr_assert(port_is_up(p));
	port_close(p);
}

Test(port_rawsock, sends_runs_of_raw_ip_octet_for_octet)
{
	struct rte_mempool *pool;
	struct port *p;
	int fd;

	netns_enter();
	fd = open_tun("wwan0");
	pool = netns_create_pool(N_BUFFERS);
	p = open_port("wwan0", pool, 0);
	for (uint32_t i = 0; i < 8; i++) {
		send_run(p, pool, 0);
		expect_run(fd, 0);
	}
	port_close(p);
}

/* A TUN device that nobody reads takes 500 packets and loses all others. */
Test(port_rawsock, hands_back_what_a_full_queue_lost_and_tries_the_next)
{
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	struct rte_mempool *pool;
	uint8_t packet[IP + 100] = {0}, seen[2048];
	uint16_t n = PORT_BURST_MAX, n_sent;
	uint64_t n_all = 0;
	struct port *p;
	int fd;

	netns_enter();
	fd = open_tun("wwan0");
	pool = netns_create_pool(N_BUFFERS);
	p = open_port("wwan0", pool, 0);
	for (int round = 0; round < 20; round++) {
		for (uint16_t i = 0; i < n; i++) {
			build_ip(packet, PROTO_UDP, 100);
			packet[IP] = (uint8_t)i;
			pkts[i] = mbuf_with(pool, packet, sizeof(packet));
		}
		n_sent = p->ops->tx(p, pkts, n);
		n_all += n_sent;
		for (uint16_t i = n_sent; i < n; i++) {
			cr_assert_lt(bytes_of(pkts[i])[IP], n);
			rte_pktmbuf_free(pkts[i]);
		}
		/* Its queue frees places some at a time. */
		for (int i = 0; round == 18 && i < 40; i++)
			cr_assert_eq(read(fd, seen, sizeof(seen)), (ssize_t)sizeof(packet));
	}
	cr_assert(n_sent > 0 && n_sent <= 40, "%u found room", n_sent);
	cr_assert_eq(n_all, 500u + n_sent);
	cr_assert_eq(p->counters.tx_packets, n_all);
	cr_assert_eq(p->counters.tx_errors, 0);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0, "buffers were lost");
	cr_assert(port_is_up(p));
	port_close(p);
}

/* --- real stacks --- */

static int serve(void *argument)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5000)};
	static uint8_t block[65536];
	int fd = socket(AF_INET, SOCK_STREAM, 0), client, on = 1;
	uint32_t done = 0;
	ssize_t got;

	(void)argument;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return 2;
	client = accept(fd, NULL, NULL);
	while ((got = read(client, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < got; i++, done++)
			if (block[i] != pattern(done))
				return 3;
	return done == BULK_BYTES ? 0 : 4;
}

static int call(void *argument)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5000)};
	static uint8_t block[65536];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint32_t done = 0;

	(void)argument;
	address.sin_addr.s_addr = inet_addr("10.9.0.2");
	for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0; i++) {
		if (i == 50)
			return 2;
		(void)usleep(100000);
	}
	while (done < BULK_BYTES) {
		for (uint32_t i = 0; i < sizeof(block); i++)
			block[i] = pattern(done + i);
		for (uint32_t off = 0; off < sizeof(block);) {
			ssize_t n = write(fd, block + off, sizeof(block) - off);

			if (n <= 0)
				return 3;
			off += (uint32_t)n;
		}
		done += (uint32_t)sizeof(block);
	}
	return 0;
}

/* Everything from one port to the other. */
static void forward(struct port *from, struct port *to)
{
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	uint16_t n = from->ops->rx(from, pkts, PORT_BURST_MAX);
	uint16_t sent = n == 0 ? 0 : to->ops->tx(to, pkts, n);

	if (sent < n)
		rte_pktmbuf_free_bulk(pkts + sent, (unsigned int)(n - sent));
}

Test(port_rawsock, sees_what_the_kernel_is_kept_from_answering)
{
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	struct rte_mempool *pool;
	struct port *p;
	uint16_t n;
	pid_t far;

	netns_enter();
	far = netns_create_far();
	netns_run("ip link add v0 type veth peer name v1 && ip link set v1 netns %d && ip link set "
		  "v0 up"
		  " && ip addr add 10.9.0.1/24 dev v0",
		(int)far);
	netns_run_far(far, "ip addr add 10.9.0.2/24 dev v1 && ip link set v1 up");
	pool = netns_create_pool(N_BUFFERS);
	p = open_port("v0", pool, 0);
	cr_assert_neq(netns_try("nsenter --net=/proc/%d/ns/net ping -c 1 -W 1 10.9.0.1", (int)far),
		0, "the kernel answered");
	n = receive(p, pkts, 1, 2000);
	cr_assert_eq(n, 1);
	cr_assert_eq(get16(bytes_of(pkts[0]) + 12), ETHERTYPE_ARP);
	rte_pktmbuf_free_bulk(pkts, n);
	port_close(p);
	cr_assert_eq(netns_try("nsenter --net=/proc/%d/ns/net ping -c 1 -W 3 10.9.0.1", (int)far),
		0, "the kernel was not given the interface back");
	(void)kill(far, SIGKILL);
}

Test(port_rawsock, carries_tcp_between_namespaces_with_their_offloads_on, .timeout = 60)
{
	pid_t a, b, server, client;
	struct rte_mempool *pool;
	struct port *pa, *pb;
	int status = 0;

	netns_enter();
	a = netns_create_far();
	b = netns_create_far();
	netns_run("ip link add a0 type veth peer name a1 && ip link add b0 type veth peer name b1"
		  " && ip link set a1 netns %d && ip link set b1 netns %d && ip link set a0 up && "
		  "ip link set b0 up",
		(int)a, (int)b);
	netns_run_far(a, "ip addr add 10.9.0.1/24 dev a1 && ip link set a1 up");
	netns_run_far(b, "ip addr add 10.9.0.2/24 dev b1 && ip link set b1 up");
	pool = netns_create_pool(N_BUFFERS);
	pa = open_port("a0", pool, 0);
	pb = open_port("b0", pool, 0);
	server = netns_fork_far(b, serve, NULL);
	client = netns_fork_far(a, call, NULL);
	while (waitpid(server, &status, WNOHANG) == 0) {
		forward(pa, pb);
		forward(pb, pa);
	}
	cr_assert_eq(status, 0, "what arrived is not what was sent: %d", status >> 8);
	cr_assert_eq(netns_wait(client), 0);
	cr_assert_gt(
		pa->counters.rx_super_frames, 0, "nothing was left to be cut: this proves little");
	cr_assert_gt(pb->counters.tx_super_frames, 0, "nothing was gathered: this proves little");
	cr_assert_eq(pa->counters.rx_truncated, 0);
	cr_assert_eq(rte_mempool_in_use_count(pool), 0);
	port_close(pa);
	port_close(pb);
	(void)kill(a, SIGKILL);
	(void)kill(b, SIGKILL);
}
