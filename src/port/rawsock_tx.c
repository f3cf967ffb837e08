/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending is sendmmsg() from the mbufs' own memory: measured on veth with 60 and 1514 octets it costs the CPU what a
 * TPACKET_V2 transmit ring costs in bursts of 64, and a quarter less in bursts of 4, the ring having its slots to fill
 * and to reap; and the kernel gives its verdict on each frame.
 *
 * Whether the kernel takes super-frames is learnt from its verdicts: past the queueing discipline it refuses one that the device
 * cannot cut by itself, and offloads may be switched at any time. The packets of a refused run go one by one, so nothing is lost
 * by trying, and after some refusals in a row it is not tried again. Where there is no queueing discipline the socket does
 * not go past it, and the kernel cuts what the device does not.
 *
 * Runs have a socket of their own. Neither socket has a queue of its own: each message is with the device, or behind what waits
 * there, when the call is back, so that a flow keeps its order across the two.
 */
#include "rawsock_tx.h"

#include <weir/port/takeover.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <net/ethernet.h>
#include <string.h>
#include <unistd.h>

#define SEND_BYTES   (1 << 20)
#define REFUSALS_MAX 4
#define LOST_MAX     8 /* packets of a burst that find a full queue before the rest is not tried */

static_assert(sizeof(struct rawsock_head) == sizeof(struct virtio_net_hdr) + GATHER_HEAD_MAX,
	"the headers follow at once");

enum verdict {
	VERDICT_ALL,
	VERDICT_NO_ROOM,
	VERDICT_DEAD,
	VERDICT_LOST, /* the device's queue is full: this packet is gone, the next may find room */
	VERDICT_REFUSED, /* this message will never go */
};

/* What is being sent: pkts[done … n-1] are still to be tried; behind them lie those that found no room. */
struct burst {
	struct rte_mbuf **pkts;
	uint16_t n;
	uint16_t done;
	uint16_t n_lost;
	uint16_t n_refused; /* the run at hand was: so many packets are to go one by one */
	bool is_v6;         /* that run was */
};

static bool is_sum_good(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static struct msghdr *begin_message(
	struct rawsock_lane *l, struct iovec *parts, const uint8_t *packet, uint16_t n_packets)
{
	struct msghdr *message = &l->messages[l->n_messages].msg_hdr;

	message->msg_iov = parts;
	message->msg_iovlen = 0;
	if (l->limits.framing == FRAMING_RAW_IP)
		message->msg_name = packet[0] >> 4 == 6 ? &l->ipv6 : &l->ipv4;
	l->n_packets[l->n_messages++] = n_packets;
	return message;
}

static struct iovec *add_part(struct msghdr *message, struct iovec *part, void *base, size_t len)
{
	part->iov_base = base;
	part->iov_len = len;
	message->msg_iovlen++;
	return part + 1;
}

/* Lays one packet out. */
static struct iovec *lay_one(struct rawsock_lane *l, struct rte_mbuf *pkt, struct iovec *part)
{
	uint8_t *packet = rte_pktmbuf_mtod(pkt, uint8_t *);
	struct msghdr *message = begin_message(l, part, packet, 1);

	return add_part(message, part, packet, pkt->data_len);
}

static struct iovec *lay_run(struct rawsock_lane *l, const struct gather_run *run,
	struct rte_mbuf **pkts, struct iovec *part, struct rawsock_head *head)
{
	struct msghdr *message = begin_message(l, part, l->frames[run->first].bytes, run->n_frames);
	uint16_t head_bytes = gather_write_head(run, l->frames, head->bytes, &head->offload);

	part = add_part(message, part, head, sizeof(head->offload) + head_bytes);
	for (uint16_t k = 0; k < run->n_frames; k++)
		part = add_part(message, part, rte_pktmbuf_mtod(pkts[k], uint8_t *) + head_bytes,
			(size_t)(pkts[k]->data_len - head_bytes));
	return part;
}

/* Lays each packet out as a message of its own. */
static void lay_singly(struct rawsock_lane *l, struct rte_mbuf **pkts, uint16_t n)
{
	struct iovec *part = l->parts;

	l->n_messages = 0;
	for (uint16_t i = 0; i < n; i++)
		part = lay_one(l, pkts[i], part);
}

/* Brings the packets into the order in which the runs have them. */
static void sort(const struct gather *g, struct rte_mbuf **pkts)
{
	struct rte_mbuf *sorted[PORT_BURST_MAX];
	uint16_t at = 0;

	for (uint16_t r = 0; r < g->n_runs; r++) {
		uint8_t i = g->runs[r].first;

		for (uint16_t k = 0; k < g->runs[r].n_frames; k++, i = g->next[i])
			sorted[at++] = pkts[i];
	}
	for (uint16_t i = 0; i < at; i++)
		pkts[i] = sorted[i];
}

/* Lays packets out, with a message for each run. */
static void lay_gathered(struct rawsock_lane *l, struct rte_mbuf **pkts, uint16_t n)
{
	const struct gather *g = &l->gather;
	struct rawsock_head *head = l->heads;
	struct iovec *part = l->parts;

	for (uint16_t i = 0; i < n; i++)
		l->frames[i] =
			(struct gather_frame){.bytes = rte_pktmbuf_mtod(pkts[i], const uint8_t *),
				.len_bytes = pkts[i]->data_len,
				.is_sum_good = is_sum_good(pkts[i])};
	gather_burst(&l->gather, &l->limits, l->frames, n);
	if (g->n_runs == n) {
		lay_singly(l, pkts, n);
		return;
	}
	sort(g, pkts);
	l->n_messages = 0;
	for (uint16_t r = 0; r < g->n_runs; r++) {
		part = g->runs[r].n_frames > 1 ? lay_run(l, &g->runs[r], pkts, part, head++)
					       : lay_one(l, pkts[0], part);
		pkts += g->runs[r].n_frames;
	}
}

static void lay(struct rawsock_lane *l, struct rte_mbuf **pkts, uint16_t n)
{
	if (n > 1 && (l->limits.takes[0] || l->limits.takes[1]))
		lay_gathered(l, pkts, n);
	else
		lay_singly(l, pkts, n);
}

static bool is_interface_dead(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV;
}

static bool is_to_be_retried(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* Sends messages from number `from` on as far as it goes; returns where it stopped, with errno of the one there. Those of one kind in
 * a row go in one call. */
static uint16_t send_some(struct rawsock_lane *l, uint16_t from)
{
	while (from < l->n_messages) {
		bool is_run = l->n_packets[from] > 1;
		unsigned int n = 1;
		int sent;

		while (from + n < l->n_messages && (l->n_packets[from + n] > 1) == is_run)
			n++;
		sent = sendmmsg(is_run ? l->run_fd : l->fd, &l->messages[from], n, MSG_DONTWAIT);
		if (sent <= 0)
			break;
		from = (uint16_t)(from + sent);
	}
	return from;
}

static enum verdict judge(int error, uint16_t n_packets)
{
	if (is_interface_dead(error))
		return VERDICT_DEAD;
	/* A run for which there is no room may be one that is not taken: its packets will tell. */
	if (is_to_be_retried(error) && n_packets == 1)
		return error == ENOBUFS ? VERDICT_LOST : VERDICT_NO_ROOM;
	return VERDICT_REFUSED;
}

/* Counts message number `at`, which was sent. */
static void count_sent(
	struct rawsock_lane *l, struct port_counters *c, struct burst *b, uint16_t at)
{
	uint16_t n = l->n_packets[at];

	for (uint16_t i = 0; i < n; i++)
		c->tx_bytes += b->pkts[b->done++]->pkt_len;
	c->tx_packets += n;
	if (n > 1) {
		c->tx_super_frames++;
		l->n_refused[l->gather.runs[at].head.is_v6] = 0;
	}
}

/* Puts the packet at hand behind those that are still to be sent: it stays the caller's. */
static void put_back(struct burst *b)
{
	struct rte_mbuf *lost = b->pkts[b->done];

	b->n--;
	for (uint16_t i = b->done; i < b->n; i++)
		b->pkts[i] = b->pkts[i + 1];
	b->pkts[b->n] = lost;
	b->n_lost++;
}

/* Sends what is laid out until a run is refused; single packets that are lost, or can never go, are passed over. */
static enum verdict send_laid(struct rawsock_lane *l, struct port_counters *c, struct burst *b)
{
	uint16_t at = 0;

	for (;;) {
		uint16_t first = at;
		enum verdict verdict;

		at = send_some(l, at);
		verdict = at == l->n_messages ? VERDICT_ALL : judge(errno, l->n_packets[at]);
		for (uint16_t k = first; k < at; k++)
			count_sent(l, c, b, k);
		if (verdict == VERDICT_LOST && b->n_lost < LOST_MAX) {
			put_back(b);
		} else if (verdict == VERDICT_REFUSED && l->n_packets[at] == 1) {
			c->tx_errors++; /* say because it is larger than the MTU */
			b->done++;
		} else {
			b->n_refused = verdict == VERDICT_REFUSED ? l->n_packets[at] : 0;
			b->is_v6 = b->n_refused > 0 && l->gather.runs[at].head.is_v6;
			return verdict;
		}
		at++;
	}
}

/* The packets of a refused run went one by one: it was the run that was not wanted. */
static void learn_refusal(struct rawsock_lane *l, bool is_v6)
{
	if (++l->n_refused[is_v6] < REFUSALS_MAX)
		return;
	l->limits.takes[is_v6] = false;
	atomic_store_explicit(&l->has_given_up, true, memory_order_relaxed);
}

uint16_t rawsock_lane_send(
	struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts, uint16_t n)
{
	struct burst b = {.pkts = pkts, .n = n < PORT_BURST_MAX ? n : PORT_BURST_MAX};
	enum verdict verdict = VERDICT_ALL;

	while (b.done < b.n && (verdict == VERDICT_ALL || verdict == VERDICT_REFUSED)) {
		uint16_t n_singly = b.n_refused;
		uint64_t before = c->tx_packets;
		bool is_v6 = b.is_v6;

		if (n_singly > 0)
			lay_singly(l, pkts + b.done, n_singly);
		else
			lay(l, pkts + b.done, (uint16_t)(b.n - b.done));
		verdict = send_laid(l, c, &b);
		if (n_singly > 0 && c->tx_packets - before == n_singly)
			learn_refusal(l, is_v6);
	}
	if (verdict == VERDICT_DEAD) {
		c->tx_errors++;
		l->is_dead = true;
	}
	rte_pktmbuf_free_bulk(pkts, b.done);
	return b.done;
}

static int open_socket(const struct sockaddr_ll *address, const struct rawsock_way *way)
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
	if (way->has_queue)
		(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	if (way->framing == FRAMING_ETHERNET)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof(send_bytes));
	return fd;
}

/* A socket whose messages begin with a virtio_net_hdr: it would cost each packet by itself a tenth more. */
static int open_run_socket(const struct sockaddr_ll *address, const struct rawsock_way *way)
{
	int fd = way->run_bytes > 0 ? open_socket(address, way) : -1;
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int rawsock_lane_open(struct rawsock_lane *l, const struct rawsock_way *way)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = way->index};
	int fd = open_socket(&address, way);
	bool gathers;

	memset(l, 0, sizeof(*l));
	l->fd = l->run_fd = -1;
	if (fd < 0)
		return fd;
	l->fd = fd;
	l->run_fd = open_run_socket(&address, way);
	gathers = l->run_fd >= 0;
	l->ipv4 = l->ipv6 = address;
	l->ipv4.sll_protocol = htons(ETHERTYPE_IP);
	l->ipv6.sll_protocol = htons(ETHERTYPE_IPV6);
	l->limits = (struct gather_limits){
		.framing = way->framing,
		.frame_bytes = way->mtu + (way->framing == FRAMING_ETHERNET ? ETHER_HDR_LEN : 0),
		.run_bytes = way->run_bytes,
		.run_frames = way->run_frames,
		.takes = {gathers, gathers},
	};
	if (way->framing == FRAMING_RAW_IP)
		for (uint16_t i = 0; i < PORT_BURST_MAX; i++)
			l->messages[i].msg_hdr.msg_namelen = sizeof(address);
	return 0;
}

void rawsock_lane_close(struct rawsock_lane *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	if (l->run_fd >= 0)
		(void)close(l->run_fd);
	l->fd = l->run_fd = -1;
}
