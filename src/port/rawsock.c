/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receives from a ring (packet_ring.c) and sends through a socket of its own (rawsock_tx.c), which takes no lock that
 * receiving takes.
 *
 * A super-frame stays whole in a buffer and is cut one segment at a time as the worker asks for frames; so no queue of mbufs is
 * needed, however many segments it holds. A burst rather ends before one than with a part of it: what is torn here leaves as two.
 */
#include "netdev.h"
#include "packet_ring.h"
#include "rawsock_tx.h"
#include "report.h"
#include "segment.h"

#include <weir/base/log.h>
#include <weir/port/rawsock.h>
#include <weir/port/takeover.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <errno.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARPHRD_RAWIP_LINUX 519  /* ARPHRD_RAWIP of linux/if_arp.h, which net/if_arp.h lacks */
#define ERROR_POLLS        1024 /* empty polls between two looks at the socket's error */
#define ETHER_OVERHEAD     (ETHER_HDR_LEN + 4)

struct rawsock {
	struct port port;
	struct packet_ring ring;
	struct segment_cutter cutter;
	uint8_t *super_frame; /* what the cutter cuts */
	struct rte_mempool *pool;
	uint32_t room_bytes;        /* of an mbuf */
	uint32_t n_empty;           /* polls without a frame, in a row */
	_Atomic bool is_stale;      /* control has seen that the interface is not what it was */
	struct rawsock_lane *lanes; /* port.n_lanes */

	/* Control's. */
	char device[NETDEV_NAME_MAX];
	bool sends_singly;
	bool told_of_refusals;
	char *state_dir;
	struct takeover *takeover;
	uint32_t ring_bytes;
	struct netdev opened; /* as it was when it was opened */
	bool needs_cutting; /* opened to send runs that the kernel cuts before the device counts them */
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
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	m->data_len = (uint16_t)len_bytes;
	m->pkt_len = len_bytes;
	return m;
}

/* Keeps a super-frame to be cut; its slot can go back to the kernel. */
static void keep_super_frame(struct rawsock *r, const struct packet_view *v)
{
	const uint8_t *frame = v->frame;

	if (!v->is_kept)
		frame = memcpy(r->super_frame, v->frame, v->len_bytes);
	if (segment_begin(&r->cutter, frame, v->len_bytes, r->port.framing, &v->offload) < 0)
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
	if (v->offload.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (v->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (segment_finish_checksum(
			    rte_pktmbuf_mtod(m, uint8_t *), v->len_bytes, &v->offload)
			== 0) {
			r->port.counters.rx_checksums_finished++;
			m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		}
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
		if (pkts[got] == NULL) {
			if (got > 0 && segment_left(&r->cutter) > (uint32_t)(n - got))
				break;
			continue;
		}
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

static uint16_t rawsock_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct rawsock *r = rawsock_of(p);
	uint16_t n_done = rawsock_lane_send(&r->lanes[0], &p->counters, pkts, n);

	if (r->lanes[0].is_dead)
		port_fail(p);
	return n_done;
}

/* --- senders --- */

/* Only the worker gives a port up: it finds it stale when it polls it next. */
static uint16_t rawsock_tx_lane(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	struct rawsock *r = rawsock_of(p);
	uint16_t n_done = rawsock_lane_send(&r->lanes[lane], &p->lanes[lane].counters, pkts, n);

	if (r->lanes[lane].is_dead)
		atomic_store_explicit(&r->is_stale, true, memory_order_relaxed);
	return n_done;
}

/* --- control --- */

static void close_sockets(struct rawsock *r)
{
	packet_ring_close(&r->ring);
	for (uint32_t i = 0; r->lanes != NULL && i < r->port.n_lanes; i++)
		rawsock_lane_close(&r->lanes[i]);
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

/* How to send by an interface: as super-frames too, where it is told how large they may be. One whose device is to see each packet by
 * itself has them only where the kernel cuts them first: without a queue, before which they are counted, and without TSO. */
static struct rawsock_way way_of(struct rawsock *r, const struct netdev *n)
{
	struct rawsock_way way = {
		.index = n->index, .framing = r->port.framing, .mtu = n->mtu, .has_queue = true};
	struct netdev_sending s;

	r->needs_cutting = false;
	if (netdev_read_sending(n->index, &s) < 0)
		return way;
	way.has_queue = s.has_queue;
	r->needs_cutting = r->sends_singly && !s.has_queue && !netdev_takes_super_frames(r->device);
	/* A super-frame as large as the limit has reached it already. */
	if (s.gso_bytes > 0 && (!r->sends_singly || r->needs_cutting))
		way.run_bytes = RTE_MIN(s.gso_bytes - 1, (uint32_t)UINT16_MAX);
	way.run_frames = RTE_MIN(s.gso_segments, (uint32_t)PORT_BURST_MAX);
	return way;
}

static int open_sockets(struct rawsock *r, const struct netdev *n, char error[PORT_ERROR_MAX])
{
	bool is_ethernet = r->port.framing == FRAMING_ETHERNET;
	uint32_t fits = r->room_bytes - (is_ethernet ? ETHER_OVERHEAD : 0);
	struct rawsock_way way = way_of(r, n);
	int result = packet_ring_open(&r->ring, n->index, n->mtu, is_ethernet, r->ring_bytes);

	for (uint32_t i = 0; result == 0 && i < r->port.n_lanes; i++)
		result = rawsock_lane_open(&r->lanes[i], &way);
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
	       || !mac_addr_equal(&n.mac, &r->opened.mac)
	       || (r->needs_cutting && netdev_takes_super_frames(r->device));
}

static void close_after_failure(struct rawsock *r)
{
	const char *why = netdev_why_down(r->device);

	if (why == NULL) /* it is well again already */
		why = is_changed(r) ? "changed" : "interrupted";
	close_sockets(r);
	report_down(&r->port, why);
}

/* Once, and not for each time that the interface comes back. */
static void report_refusals(struct rawsock *r)
{
	bool has_given_up = false;

	for (uint32_t i = 0; i < r->port.n_lanes; i++)
		has_given_up |=
			atomic_load_explicit(&r->lanes[i].has_given_up, memory_order_relaxed);
	if (r->told_of_refusals || !has_given_up)
		return;
	r->told_of_refusals = true;
	log_event(LOG_INFO,
		"port.no_runs port=%s interface=%s reason=\"the interface does not cut TCP runs "
		"(tso off, or none) and has a queueing discipline: each packet is sent by "
		"itself\"",
		r->port.name, r->device);
}

static void rawsock_maintain(struct port *p, uint64_t now_us)
{
	struct rawsock *r = rawsock_of(p);
	char error[PORT_ERROR_MAX];
	const char *why;
	int result;

	(void)now_us;
	if (port_is_up(p)) {
		report_refusals(r);
		if (is_changed(r))
			atomic_store_explicit(&r->is_stale, true, memory_order_relaxed);
		return;
	}
	if (port_is_lent(p))
		return; /* its lanes are still in use */
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
	port_lanes_free(p);
	free(r->lanes);
	free(r->super_frame);
	free(r->state_dir);
	free(r);
}

static const struct port_ops rawsock_ops = {
	.kind = "rawsock",
	.rx = rawsock_rx,
	.tx = rawsock_tx,
	.tx_lane = rawsock_tx_lane,
	.maintain = rawsock_maintain,
	.close = rawsock_close,
};

static int make_lanes(struct rawsock *r, uint32_t n_senders)
{
	int error = port_lanes_make(&r->port, n_senders);

	if (error == 0)
		r->lanes = calloc(r->port.n_lanes, sizeof(*r->lanes));
	if (r->lanes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->port.n_lanes; i++)
		r->lanes[i].fd = r->lanes[i].run_fd = -1;
	return 0;
}

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
	r->pool = params->pool;
	r->room_bytes = rte_pktmbuf_data_room_size(params->pool) - RTE_PKTMBUF_HEADROOM;
	r->ring_bytes = params->ring_bytes;
	r->sends_singly = params->sends_singly;
	r->super_frame = malloc(PACKET_FRAME_MAX);
	r->state_dir = strdup(params->state_dir);
	if (make_lanes(r, params->n_senders) != 0 || r->super_frame == NULL
		|| r->state_dir == NULL) {
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
