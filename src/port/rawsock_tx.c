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

static_assert(sizeof(struct rawsock_head) == sizeof(struct virtio_net_hdr) + GATHER_HEAD_MAX,
	"the headers follow at once");

enum verdict {
	VERDICT_ALL,
	VERDICT_NO_ROOM,
	VERDICT_DEAD,
	VERDICT_REFUSED, /* this message will never go */
};

/* A run that was refused. */
struct refusal {
	uint16_t n_packets;
	bool is_v6;
};

static bool is_sum_good(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static struct msghdr *begin_message(struct rawsock_lane *l, const struct iovec *parts,
	const uint8_t *packet, uint16_t n_packets)
{
	struct msghdr *message = &l->messages[l->n_messages].msg_hdr;

	message->msg_iov = (struct iovec *)(uintptr_t)parts;
	message->msg_iovlen = 0;
	if (l->limits.framing == FRAMING_RAW_IP)
		message->msg_name = packet[0] >> 4 == 6 ? &l->ipv6 : &l->ipv4;
	l->n_packets[l->n_messages++] = n_packets;
	return message;
}

static struct iovec *add_part(
	struct msghdr *message, struct iovec *part, const void *base, size_t len)
{
	part->iov_base = (void *)(uintptr_t)base;
	part->iov_len = len;
	message->msg_iovlen++;
	return part + 1;
}

/* Lays each packet out as a message of its own. */
static void lay_singly(struct rawsock_lane *l, struct rte_mbuf **pkts, uint16_t n)
{
	struct iovec *part = l->parts;

	l->n_messages = 0;
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *packet = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		struct msghdr *message = begin_message(l, part, packet, 1);

		if (l->has_header)
			part = add_part(message, part, &l->plain, sizeof(l->plain));
		part = add_part(message, part, packet, pkts[i]->data_len);
	}
}

static struct iovec *lay_run(struct rawsock_lane *l, const struct gather_run *run,
	struct iovec *part, struct rawsock_head *head)
{
	struct msghdr *message = begin_message(l, part, l->frames[run->first].bytes, run->n_frames);
	uint16_t head_bytes = gather_write_head(run, l->frames, head->bytes, &head->offload);
	uint8_t i = run->first;

	part = add_part(message, part, head, sizeof(head->offload) + head_bytes);
	for (uint16_t k = 0; k < run->n_frames; k++, i = l->gather.next[i])
		part = add_part(message, part, l->frames[i].bytes + head_bytes,
			(size_t)(l->frames[i].len_bytes - head_bytes));
	return part;
}

/* Brings the packets into the order in which the runs have them. */
static void sort(const struct gather *g, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *sorted[PORT_BURST_MAX];
	uint16_t at = 0;

	for (uint16_t r = 0; r < g->n_runs; r++) {
		uint8_t i = g->runs[r].first;

		for (uint16_t k = 0; k < g->runs[r].n_frames; k++, i = g->next[i])
			sorted[at++] = pkts[i];
	}
	memcpy(pkts, sorted, n * sizeof(sorted[0]));
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
	l->n_messages = 0;
	for (uint16_t r = 0; r < g->n_runs; r++) {
		const struct gather_frame *f = &l->frames[g->runs[r].first];

		if (g->runs[r].n_frames > 1) {
			part = lay_run(l, &g->runs[r], part, head++);
		} else {
			struct msghdr *message = begin_message(l, part, f->bytes, 1);

			part = add_part(message, part, &l->plain, sizeof(l->plain));
			part = add_part(message, part, f->bytes, f->len_bytes);
		}
	}
	sort(g, pkts, n);
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

/* Sends messages from number `from` on as far as it goes; returns where it stopped, with errno of the one there. */
static uint16_t send_some(struct rawsock_lane *l, uint16_t from)
{
	while (from < l->n_messages) {
		int sent = sendmmsg(l->fd, &l->messages[from], (unsigned int)(l->n_messages - from),
			MSG_DONTWAIT);

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
		return VERDICT_NO_ROOM;
	return VERDICT_REFUSED;
}

/* Counts the message; returns how many packets it was. */
static uint16_t count_sent(
	struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts, uint16_t message)
{
	uint16_t n = l->n_packets[message];

	for (uint16_t i = 0; i < n; i++)
		c->tx_bytes += pkts[i]->pkt_len;
	c->tx_packets += n;
	if (n > 1) {
		c->tx_super_frames++;
		l->n_refused[l->gather.runs[message].head.is_v6] = 0;
	}
	return n;
}

/* Sends what is laid out until a run is refused; single packets that never go are counted and passed over. Returns how many
 * packets are done with. */
static uint16_t send_laid(struct rawsock_lane *l, struct port_counters *c, struct rte_mbuf **pkts,
	enum verdict *ret_verdict, struct refusal *ret_refused)
{
	uint16_t at = 0, done = 0;

	for (;;) {
		uint16_t first = at;

		at = send_some(l, at);
		*ret_verdict = at == l->n_messages ? VERDICT_ALL : judge(errno, l->n_packets[at]);
		for (uint16_t k = first; k < at; k++)
			done = (uint16_t)(done + count_sent(l, c, pkts + done, k));
		if (*ret_verdict != VERDICT_REFUSED)
			break;
		if (l->n_packets[at] > 1) {
			ret_refused->n_packets = l->n_packets[at];
			ret_refused->is_v6 = l->gather.runs[at].head.is_v6;
			break;
		}
		c->tx_errors++; /* say because it is larger than the MTU */
		done++;
		at++;
	}
	return done;
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
	enum verdict verdict = VERDICT_ALL;
	struct refusal refused = {0};
	uint16_t done = 0;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	while (done < n && verdict != VERDICT_NO_ROOM && verdict != VERDICT_DEAD) {
		uint16_t n_singly = refused.n_packets;
		uint64_t before = c->tx_packets;

		if (n_singly > 0)
			lay_singly(l, pkts + done, n_singly);
		else
			lay(l, pkts + done, (uint16_t)(n - done));
		done = (uint16_t)(done + send_laid(l, c, pkts + done, &verdict, &refused));
		if (n_singly > 0 && c->tx_packets - before == n_singly)
			learn_refusal(l, refused.is_v6);
		if (verdict == VERDICT_ALL)
			refused.n_packets = 0;
	}
	if (verdict == VERDICT_DEAD) {
		c->tx_errors++;
		l->is_dead = true;
	}
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
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

int rawsock_lane_open(struct rawsock_lane *l, const struct rawsock_way *way)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = way->index};
	int fd = open_socket(&address, way), on = 1;
	bool gathers = way->run_bytes > 0;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (fd < 0)
		return fd;
	l->fd = fd;
	l->ipv4 = l->ipv6 = address;
	l->ipv4.sll_protocol = htons(ETHERTYPE_IP);
	l->ipv6.sll_protocol = htons(ETHERTYPE_IPV6);
	l->has_header =
		gathers && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0;
	l->limits = (struct gather_limits){
		.framing = way->framing,
		.frame_bytes = way->mtu + (way->framing == FRAMING_ETHERNET ? ETHER_HDR_LEN : 0),
		.run_bytes = way->run_bytes,
		.run_frames = way->run_frames,
		.takes = {l->has_header, l->has_header},
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
	l->fd = -1;
}
