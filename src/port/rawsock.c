/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receives from a ring (packet_ring.c) and sends through a socket of its own.
 *
 * Sending is sendmmsg() from the mbufs' own memory: measured on veth with 60 and 1514 octets it costs the CPU what a
 * TPACKET_V2 transmit ring costs in bursts of 64, and a quarter less in bursts of 4, the ring having its slots to fill
 * and to reap; and the kernel gives its verdict on each frame.
 *
 * A super-frame stays whole in a buffer of the port and is cut one segment at a time as the worker asks for frames; so
 * no queue of mbufs is needed, however many segments it holds.
 */
#include "netdev.h"
#include "packet_ring.h"
#include "report.h"
#include "segment.h"

#include <weir/port/rawsock.h>
#include <weir/port/takeover.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ARPHRD_RAWIP_LINUX 519  /* ARPHRD_RAWIP of linux/if_arp.h, which net/if_arp.h lacks */
#define ERROR_POLLS        1024 /* empty polls between two looks at the socket's error */
#define SEND_BYTES         (1 << 20)
#define ETHER_OVERHEAD     (ETHER_HDR_LEN + 4)

/* Ready to be sent: what of a burst stays the same from call to call. */
struct rawsock_send {
	struct sockaddr_ll ipv4; /* raw IP: some modem drivers drop what has no protocol */
	struct sockaddr_ll ipv6;
	struct mmsghdr messages[PORT_BURST_MAX];
	struct iovec parts[PORT_BURST_MAX];
};

struct rawsock {
	struct port port;
	struct packet_ring ring;
	struct segment_cutter cutter;
	uint8_t *super_frame; /* what the cutter cuts */
	struct rte_mempool *pool;
	uint32_t room_bytes; /* of an mbuf */
	uint32_t n_empty;    /* polls without a frame, in a row */
	int send_fd;
	_Atomic bool is_stale; /* control has seen that the interface is not what it was */
	struct rawsock_send send;

	/* Control's. */
	char device[NETDEV_NAME_MAX];
	char *state_dir;
	struct takeover *takeover;
	uint32_t ring_bytes;
	struct netdev opened; /* as it was when it was opened */
};

static struct rawsock *rawsock_of(struct port *p)
{
	return (struct rawsock *)p;
}

/* --- worker: receive --- */

static struct rte_mbuf *take_buffer(struct rawsock *r)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	if (m == NULL)
		r->port.counters.rx_no_buffer++;
	return m;
}

/* The next segment of the super-frame at hand, or NULL when it had to be left out. */
static struct rte_mbuf *take_segment(struct rawsock *r)
{
	uint32_t len_bytes = segment_next_bytes(&r->cutter);
	struct rte_mbuf *m;

	if (len_bytes > r->room_bytes) {
		r->port.counters.rx_truncated++;
		segment_skip(&r->cutter);
		return NULL;
	}
	m = take_buffer(r);
	if (m == NULL) {
		segment_skip(&r->cutter);
		return NULL;
	}
	segment_next(&r->cutter, rte_pktmbuf_mtod(m, uint8_t *));
	m->data_len = (uint16_t)len_bytes;
	m->pkt_len = len_bytes;
	return m;
}

/* Keeps a super-frame to be cut; its slot can go back to the kernel. */
static void keep_super_frame(struct rawsock *r, const struct packet_view *v)
{
	memcpy(r->super_frame, v->frame, v->len_bytes);
	if (segment_begin(&r->cutter, r->super_frame, v->len_bytes, r->port.framing, &v->offload)
		< 0)
		r->port.counters.rx_truncated++;
	else
		r->port.counters.rx_super_frames++;
}

static struct rte_mbuf *take_frame(struct rawsock *r, const struct packet_view *v)
{
	struct rte_mbuf *m;

	if (!v->is_whole || v->len_bytes > r->room_bytes) {
		r->port.counters.rx_truncated++;
		return NULL;
	}
	m = take_buffer(r);
	if (m == NULL)
		return NULL;
	rte_memcpy(rte_pktmbuf_mtod(m, void *), v->frame, v->len_bytes);
	m->data_len = (uint16_t)v->len_bytes;
	m->pkt_len = v->len_bytes;
	if (v->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (segment_finish_checksum(
			    rte_pktmbuf_mtod(m, uint8_t *), v->len_bytes, &v->offload)
			== 0)
			r->port.counters.rx_checksums_finished++;
	}
	return m;
}

/* One step: a segment, or a frame from the ring. False when nothing waits; the frame may have been dropped (NULL). */
static bool take_one(struct rawsock *r, struct rte_mbuf **ret_mbuf)
{
	struct packet_view v;

	*ret_mbuf = NULL;
	if (segment_next_bytes(&r->cutter) != 0) {
		*ret_mbuf = take_segment(r);
		return true;
	}
	if (!packet_ring_next(&r->ring, &v))
		return false;
	if (v.is_whole && v.offload.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		keep_super_frame(r, &v);
	else
		*ret_mbuf = take_frame(r, &v);
	packet_ring_give(&r->ring);
	return true;
}

/* An interface that went away shows as an error of the socket alone. Asking costs a system call, so it is done seldom: a worker
 * that sleeps little, for a packet here and there, would do nothing else. One that sleeps long is soon there, since the
 * error ends each of its sleeps at once. */
static void look_for_error(struct rawsock *r)
{
	if (++r->n_empty < ERROR_POLLS)
		return;
	r->n_empty = 0;
	if (packet_ring_error(&r->ring) != 0)
		port_fail(&r->port);
}

static uint16_t rawsock_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct rawsock *r = rawsock_of(p);
	struct port_counters *c = &p->counters;
	uint32_t n_steps = 0;
	uint16_t got = 0;

	if (atomic_load_explicit(&r->is_stale, memory_order_relaxed)) {
		port_fail(p);
		return 0;
	}
	/* Bounded also when every frame is dropped. */
	while (got < n && n_steps < 2u * PORT_BURST_MAX && take_one(r, &pkts[got])) {
		n_steps++;
		if (pkts[got] == NULL)
			continue;
		c->rx_bytes += pkts[got]->pkt_len;
		got++;
	}
	c->rx_packets += got;
	c->rx_kernel_drops += packet_ring_take_drops(&r->ring);
	if (n_steps == 0)
		look_for_error(r);
	else
		r->n_empty = 0;
	return got;
}

/* --- worker: send --- */

static void prepare_send(struct rawsock *r, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		struct msghdr *message = &r->send.messages[i].msg_hdr;

		r->send.parts[i].iov_base = rte_pktmbuf_mtod(pkts[i], void *);
		r->send.parts[i].iov_len = pkts[i]->data_len;
		if (r->port.framing == FRAMING_RAW_IP)
			message->msg_name = frame[0] >> 4 == 6 ? &r->send.ipv6 : &r->send.ipv4;
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

/* Sends pkts[from … n-1] as far as it goes; returns where it stopped, with errno of the frame there. */
static uint16_t send_some(struct rawsock *r, uint16_t from, uint16_t n)
{
	while (from < n) {
		int sent = sendmmsg(r->send_fd, &r->send.messages[from], (unsigned int)(n - from),
			MSG_DONTWAIT);

		if (sent <= 0)
			break;
		from = (uint16_t)(from + sent);
	}
	return from;
}

static uint16_t rawsock_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct rawsock *r = rawsock_of(p);
	uint16_t done = 0;

	if (n > PORT_BURST_MAX)
		n = PORT_BURST_MAX;
	prepare_send(r, pkts, n);
	while (done < n) {
		uint16_t first = done;

		done = send_some(r, first, n);
		p->counters.tx_packets += (uint64_t)(done - first);
		for (uint16_t i = first; i < done; i++)
			p->counters.tx_bytes += pkts[i]->pkt_len;
		if (done == n || is_to_be_retried(errno))
			break;
		p->counters.tx_errors++;
		if (is_interface_dead(errno)) {
			port_fail(p);
			break;
		}
		done++; /* this one will never go, say because it is larger than the MTU */
	}
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
}

/* --- control --- */

/* Sending has a socket of its own: it needs no offload header, and takes no lock that receiving takes. */
static int open_send(struct rawsock *r, int index)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = index};
	int send_bytes = SEND_BYTES, on = 1;
	uint32_t mark = TAKEOVER_MARK;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0
		|| bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	/* A queue behind weir's own would hide from the shaper what waits. Where the driver can't do without, it stays. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	if (r->port.framing == FRAMING_ETHERNET)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof(send_bytes));
	memset(&r->send, 0, sizeof(r->send));
	r->send.ipv4 = r->send.ipv6 = address;
	r->send.ipv4.sll_protocol = htons(ETHERTYPE_IP);
	r->send.ipv6.sll_protocol = htons(ETHERTYPE_IPV6);
	for (uint16_t i = 0; i < PORT_BURST_MAX; i++) {
		r->send.messages[i].msg_hdr.msg_iov = &r->send.parts[i];
		r->send.messages[i].msg_hdr.msg_iovlen = 1;
		if (r->port.framing == FRAMING_RAW_IP)
			r->send.messages[i].msg_hdr.msg_namelen = sizeof(address);
	}
	r->send_fd = fd;
	return 0;
}

static void close_sockets(struct rawsock *r)
{
	packet_ring_close(&r->ring);
	if (r->send_fd >= 0)
		(void)close(r->send_fd);
	r->send_fd = -1;
	r->port.fd = -1;
	r->cutter = (struct segment_cutter){0};
}

static int take_over(struct rawsock *r, char error[PORT_ERROR_MAX])
{
	if (r->takeover != NULL)
		return takeover_renew(r->takeover, error);
	return takeover_begin(r->device, r->state_dir, &r->takeover, error);
}

static int read_framing(struct rawsock *r, const struct netdev *n, char error[PORT_ERROR_MAX])
{
	if (n->type == ARPHRD_ETHER) {
		r->port.framing = FRAMING_ETHERNET;
	} else if (n->type == ARPHRD_NONE || n->type == ARPHRD_RAWIP_LINUX) {
		r->port.framing = FRAMING_RAW_IP;
	} else {
		(void)snprintf(error, PORT_ERROR_MAX,
			"%s: hardware type %u is neither Ethernet nor raw IP: name another "
			"interface, or put the modem "
			"into raw-IP mode",
			r->device, n->type);
		return -EINVAL;
	}
	return 0;
}

static int open_sockets(struct rawsock *r, const struct netdev *n, char error[PORT_ERROR_MAX])
{
	bool is_ethernet = r->port.framing == FRAMING_ETHERNET;
	uint32_t fits = r->room_bytes - (is_ethernet ? ETHER_OVERHEAD : 0);
	int result = packet_ring_open(&r->ring, n->index, n->mtu, is_ethernet, r->ring_bytes);

	if (result == 0)
		result = open_send(r, n->index);
	if (result < 0) {
		close_sockets(r);
		(void)snprintf(error, PORT_ERROR_MAX, "%s: cannot open a packet socket: %s%s",
			r->device, strerror(-result),
			result == -EPERM
				? ": run weir as root or with CAP_NET_RAW and CAP_NET_ADMIN"
				: "");
		return result;
	}
	r->port.fd = r->ring.fd;
	r->port.mtu = n->mtu < fits ? n->mtu : fits;
	r->port.mac = is_ethernet ? n->mac : (struct mac_addr){0};
	r->opened = *n;
	r->n_empty = 0;
	atomic_store_explicit(&r->is_stale, false, memory_order_relaxed);
	return 0;
}

/* Opens the interface if it can be used now. -ENETDOWN: not yet, and `ret_why` says why. */
static int try_open(struct rawsock *r, const char **ret_why, char error[PORT_ERROR_MAX])
{
	struct netdev n;
	int result;

	*ret_why = netdev_why_down(r->device);
	if (*ret_why != NULL)
		return -ENETDOWN;
	*ret_why = "gone";
	if (netdev_read(r->device, &n) < 0)
		return -ENETDOWN;
	result = read_framing(r, &n, error);
	if (result == 0)
		result = take_over(r, error);
	if (result == 0)
		result = open_sockets(r, &n, error);
	if (result < 0) {
		/* It may have gone while it was being opened. */
		*ret_why = netdev_why_down(r->device);
		if (*ret_why != NULL)
			result = -ENETDOWN;
	}
	return result;
}

/* True when the interface is no longer the one that was opened, or lost its carrier. */
static bool is_changed(const struct rawsock *r)
{
	struct netdev n;

	return netdev_read(r->device, &n) < 0 || !n.is_running || n.index != r->opened.index
	       || n.mtu != r->opened.mtu || n.type != r->opened.type
	       || !mac_addr_equal(&n.mac, &r->opened.mac);
}

static void close_after_failure(struct rawsock *r)
{
	const char *why = netdev_why_down(r->device);

	if (why == NULL) /* it is well again already */
		why = is_changed(r) ? "changed" : "interrupted";
	close_sockets(r);
	report_down(&r->port, why);
}

static void rawsock_maintain(struct port *p, uint64_t now_us)
{
	struct rawsock *r = rawsock_of(p);
	char error[PORT_ERROR_MAX];
	const char *why;
	int result;

	(void)now_us;
	if (port_is_up(p)) {
		if (is_changed(r))
			atomic_store_explicit(&r->is_stale, true, memory_order_relaxed);
		return;
	}
	if (r->ring.fd >= 0)
		close_after_failure(r);
	result = try_open(r, &why, error);
	if (result == 0) {
		port_up(p);
		report_up(p, r->device);
	} else if (result == -ENETDOWN) {
		report_still_down(p, why);
	} else {
		report_refused(p, error);
	}
}

static void rawsock_close(struct port *p)
{
	struct rawsock *r = rawsock_of(p);

	close_sockets(r);
	takeover_end(r->takeover);
	free(r->super_frame);
	free(r->state_dir);
	free(r);
}

static const struct port_ops rawsock_ops = {
	.kind = "rawsock",
	.rx = rawsock_rx,
	.tx = rawsock_tx,
	.maintain = rawsock_maintain,
	.close = rawsock_close,
};

static struct rawsock *make(const struct rawsock_params *params)
{
	struct rawsock *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->port.ops = &rawsock_ops;
	r->port.fd = -1;
	r->port.state = PORT_FAILED;
	(void)snprintf(r->port.name, sizeof(r->port.name), "%s", params->name);
	memcpy(r->device, params->device, strlen(params->device) + 1);
	r->ring = PACKET_RING_CLOSED;
	r->send_fd = -1;
	r->pool = params->pool;
	r->room_bytes = rte_pktmbuf_data_room_size(params->pool) - RTE_PKTMBUF_HEADROOM;
	r->ring_bytes = params->ring_bytes;
	r->super_frame = malloc(PACKET_FRAME_MAX);
	r->state_dir = strdup(params->state_dir);
	if (r->super_frame == NULL || r->state_dir == NULL) {
		rawsock_close(&r->port);
		return NULL;
	}
	return r;
}

int rawsock_open(
	const struct rawsock_params *params, struct port **ret_port, char error[PORT_ERROR_MAX])
{
	struct rawsock *r;
	const char *why;
	int result;

	if (!netdev_name_is_valid(params->device)) {
		(void)snprintf(error, PORT_ERROR_MAX,
			"\"%s\" cannot be an interface: at most 15 plain characters",
			params->device);
		return -EINVAL;
	}
	r = make(params);
	if (r == NULL) {
		(void)snprintf(error, PORT_ERROR_MAX, "%s: out of memory", params->device);
		return -ENOMEM;
	}
	result = try_open(r, &why, error);
	if (result == -ENETDOWN) {
		report_down(&r->port, why);
	} else if (result < 0) {
		rawsock_close(&r->port);
		return result;
	} else {
		port_up(&r->port);
		report_up(&r->port, r->device);
	}
	*ret_port = &r->port;
	return 0;
}
