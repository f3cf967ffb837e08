/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending is sendmmsg() from the mbufs' own memory: measured on veth with 60 and 1514 octets it costs the CPU what a
 * TPACKET_V2 transmit ring costs in bursts of 64, and a quarter less in bursts of 4, the ring having its slots to fill
 * and to reap; and the kernel gives its verdict on each frame.
 */
#include "rawsock_tx.h"

#include <weir/port/takeover.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <net/ethernet.h>
#include <string.h>
#include <unistd.h>

#define SEND_BYTES (1 << 20)

static void prepare(struct rawsock_lane *l, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		struct msghdr *message = &l->messages[i].msg_hdr;

		l->parts[i].iov_base = rte_pktmbuf_mtod(pkts[i], void *);
		l->parts[i].iov_len = pkts[i]->data_len;
		if (l->framing == FRAMING_RAW_IP)
			message->msg_name = frame[0] >> 4 == 6 ? &l->ipv6 : &l->ipv4;
	}
}

static bool is_interface_dead(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV;
}

static bool is_to_be_retried(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* Sends messages[from … n-1] as far as it goes; returns where it stopped, with errno of the one there. */
static uint16_t send_some(struct rawsock_lane *l, uint16_t from, uint16_t n)
{
	while (from < n) {
		int sent =
			sendmmsg(l->fd, &l->messages[from], (unsigned int)(n - from), MSG_DONTWAIT);

		if (sent <= 0)
			break;
		from = (uint16_t)(from + sent);
	}
	return from;
}

uint16_t rawsock_lane_send(
	struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t done = 0;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	prepare(l, pkts, n);
	while (done < n) {
		uint16_t first = done;

		done = send_some(l, first, n);
		c->tx_packets += (uint64_t)(done - first);
		for (uint16_t i = first; i < done; i++)
			c->tx_bytes += pkts[i]->pkt_len;
		if (done == n || is_to_be_retried(errno))
			break;
		c->tx_errors++;
		if (is_interface_dead(errno)) {
			l->is_dead = true;
			break;
		}
		done++; /* this one will never go, say because it is larger than the MTU */
	}
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
}

static int open_socket(const struct sockaddr_ll *address, enum link_framing framing)
{
	int send_bytes = SEND_BYTES, on = 1;
	uint32_t mark = TAKEOVER_MARK;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0
		|| bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	/* A queue behind weir's own would hide from the shaper what waits. Where the driver can't do without, it stays. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	if (framing == FRAMING_ETHERNET)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof(send_bytes));
	return fd;
}

int rawsock_lane_open(struct rawsock_lane *l, int interface_index, enum link_framing framing)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = interface_index};
	int fd = open_socket(&address, framing);

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (fd < 0)
		return fd;
	l->fd = fd;
	l->framing = framing;
	l->ipv4 = l->ipv6 = address;
	l->ipv4.sll_protocol = htons(ETHERTYPE_IP);
	l->ipv6.sll_protocol = htons(ETHERTYPE_IPV6);
	for (uint16_t i = 0; i < PORT_BURST_MAX; i++) {
		l->messages[i].msg_hdr.msg_iov = &l->parts[i];
		l->messages[i].msg_hdr.msg_iovlen = 1;
		if (framing == FRAMING_RAW_IP)
			l->messages[i].msg_hdr.msg_namelen = sizeof(address);
	}
	return 0;
}

void rawsock_lane_close(struct rawsock_lane *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}
