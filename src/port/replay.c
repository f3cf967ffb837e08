/* SPDX-License-Identifier: BSD-3-Clause */
#include "segment.h"

#include <weir/packet/bytes.h>
#include <weir/packet/ipv4_fragment.h>
#include <weir/port/capture.h>
#include <weir/port/replay.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ETHERNET_HEADER = 14,
	VLAN_TAG = 4,
	IPV4_HEADER_MIN = 20,
	IPV4_MTU_MIN = 68,      /* RFC 791 */
	DF = 0x40,              /* of the octet with the flags */
	FRAGMENT_BITS = 0x3fff, /* MF and the offset */
};

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#	define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

struct replay_port {
	struct port port;
	struct capture_writer *writer;
	const uint64_t *now_us;
	struct rte_mbuf *pending[REPLAY_PENDING_MAX];
	uint16_t n_pending;
	bool raw_capture;
	struct replay_sums sums;
};

static struct replay_port *self(struct port *p)
{
	return (struct replay_port *)p;
}

static uint16_t replay_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay_port *r = self(p);
	uint16_t n_taken = r->n_pending < n ? r->n_pending : n;

	for (uint16_t i = 0; i < n_taken; i++) {
		pkts[i] = r->pending[i];
		p->counters.rx_bytes += pkts[i]->pkt_len;
	}
	for (uint16_t i = n_taken; i < r->n_pending; i++)
		r->pending[i - n_taken] = r->pending[i];
	r->n_pending = (uint16_t)(r->n_pending - n_taken);
	p->counters.rx_packets += n_taken;
	return n_taken;
}

/* Length of the link-layer header before an IPv4 packet; -1 when the frame holds none. */
static int32_t ipv4_offset(const struct replay_port *r, const uint8_t *frame, uint32_t len_bytes)
{
	uint32_t at = 0;

	if (r->port.framing == FRAMING_ETHERNET) {
		if (len_bytes < ETHERNET_HEADER)
			return -1;
		at = load_be16(frame + 12) == ETHER_TYPE_VLAN ? ETHERNET_HEADER + VLAN_TAG
							      : ETHERNET_HEADER;
		if (len_bytes < at || load_be16(frame + at - 2) != ETHER_TYPE_IPV4)
			return -1;
	}
	if (len_bytes < at + IPV4_HEADER_MIN || frame[at] >> 4 != 4)
		return -1;
	return (int32_t)at;
}

static void send_one(struct replay_port *r, struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	int32_t at = ipv4_offset(r, frame, m->data_len);
	uint32_t skip = r->raw_capture && at > 0 ? (uint32_t)at : 0;

	if (at >= 0) {
		r->sums.ip_packets++;
		r->sums.ip_octets += load_be16(frame + at + 2);
	} else {
		r->sums.other_frames++;
	}
	r->port.counters.tx_packets++;
	r->port.counters.tx_bytes += m->data_len;
	if (r->writer != NULL && !(r->raw_capture && at < 0))
		capture_writer_add(r->writer, *r->now_us, frame + skip, m->data_len - skip);
}

static uint16_t replay_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay_port *r = self(p);

	for (uint16_t i = 0; i < n; i++) {
		send_one(r, pkts[i]);
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static void replay_close(struct port *p)
{
	rte_pktmbuf_free_bulk(self(p)->pending, self(p)->n_pending);
	free(self(p));
}

static const struct port_ops replay_ops = {
	.kind = "replay",
	.rx = replay_rx,
	.tx = replay_tx,
	.close = replay_close,
};

int replay_port_open(const struct replay_port_params *params, struct port **ret_port)
{
	struct replay_port *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->port.ops = &replay_ops;
	snprintf(r->port.name, sizeof(r->port.name), "%s", params->name);
	r->port.framing = params->framing;
	r->port.mac = params->mac;
	r->port.mtu = params->mtu;
	r->port.fd = -1;
	r->writer = params->writer;
	r->raw_capture = params->raw_capture && params->framing == FRAMING_ETHERNET;
	r->now_us = params->now_us;
	port_up(&r->port);
	*ret_port = &r->port;
	return 0;
}

bool replay_port_put(struct port *p, struct rte_mbuf *frame)
{
	struct replay_port *r = self(p);

	if (r->n_pending == REPLAY_PENDING_MAX)
		return false;
	r->pending[r->n_pending++] = frame;
	return true;
}

uint16_t replay_port_n_pending(const struct port *p)
{
	return ((const struct replay_port *)p)->n_pending;
}

/* How a frame is cut, and by what; nothing of it belongs to `frame`, which must outlive it. */
struct cut {
	enum replay_cut kind;
	uint32_t l3_off;
	struct segment_cutter segments;
	struct ipv4_fragmenter fragments;
};

static bool cut_into_segments(
	struct cut *c, const struct port *p, const uint8_t *frame, uint32_t end, uint8_t gso_type)
{
	struct virtio_net_hdr offload = {.gso_type = gso_type, .gso_size = 1};
	uint32_t headers;

	if (segment_begin(&c->segments, frame, end, p->framing, &offload) != 0)
		return false;
	headers = c->segments.payload_off - c->segments.l3_off;
	if (headers >= p->mtu)
		return false;
	c->segments.size_bytes = p->mtu - headers;
	return true;
}

static void cut_begin(struct cut *c, const struct port *p, const uint8_t *frame, uint32_t len_bytes)
{
	int32_t at = ipv4_offset((const struct replay_port *)p, frame, len_bytes);
	const uint8_t *ip = frame + at;
	bool is_fragment;
	uint32_t octets;

	c->kind = REPLAY_WHOLE;
	if (at < 0)
		return;
	c->l3_off = (uint32_t)at;
	octets = load_be16(ip + 2); /* without padding */
	if (octets > len_bytes - c->l3_off || octets <= p->mtu)
		return;
	is_fragment = (load_be16(ip + 6) & FRAGMENT_BITS) != 0;
	if (ip[9] == PROTO_TCP && !is_fragment
		&& cut_into_segments(c, p, frame, c->l3_off + octets, VIRTIO_NET_HDR_GSO_TCPV4)) {
		c->kind = REPLAY_SEGMENTS;
	} else if (ip[9] == PROTO_UDP && !is_fragment && (ip[6] & DF) != 0
		   && cut_into_segments(
			   c, p, frame, c->l3_off + octets, VIRTIO_NET_HDR_GSO_UDP_L4)) {
		c->kind = REPLAY_DATAGRAMS;
	} else if ((ip[6] & DF) == 0 && (ip[0] & 0xf) * 4u >= IPV4_HEADER_MIN
		   && p->mtu >= IPV4_MTU_MIN) {
		c->kind = REPLAY_FRAGMENTS;
		ipv4_fragment_init(&c->fragments, ip, (uint16_t)octets, (uint16_t)p->mtu);
	}
}

enum replay_cut replay_port_cut(const struct port *p, const uint8_t *frame, uint32_t len_bytes)
{
	struct cut c;

	cut_begin(&c, p, frame, len_bytes);
	return c.kind;
}

static uint32_t segment_at(
	struct segment_cutter *c, uint32_t index, uint8_t *to, uint32_t room_bytes)
{
	uint32_t bytes;

	for (uint32_t i = 0; i < index && segment_next_bytes(c) > 0; i++)
		segment_skip(c);
	bytes = segment_next_bytes(c);
	if (bytes == 0 || bytes > room_bytes)
		return 0;
	segment_next(c, to);
	return bytes;
}

static uint32_t fragment_at(const struct port *p, struct cut *c, const uint8_t *frame,
	uint32_t index, uint8_t *to, uint32_t room_bytes)
{
	uint32_t bytes = 0;

	if (c->l3_off + p->mtu > room_bytes)
		return 0;
	for (uint32_t i = 0; i <= index; i++) {
		bytes = ipv4_fragment_next(&c->fragments, to + c->l3_off);
		if (bytes == 0)
			return 0;
	}
	memcpy(to, frame, c->l3_off);
	return c->l3_off + bytes;
}

uint32_t replay_port_segment(const struct port *p, const uint8_t *frame, uint32_t len_bytes,
	uint32_t index, uint8_t *to, uint32_t room_bytes)
{
	struct cut c;

	cut_begin(&c, p, frame, len_bytes);
	switch (c.kind) {
	case REPLAY_SEGMENTS:
	case REPLAY_DATAGRAMS:
		return segment_at(&c.segments, index, to, room_bytes);
	case REPLAY_FRAGMENTS:
		return fragment_at(p, &c, frame, index, to, room_bytes);
	case REPLAY_WHOLE:
	case N_REPLAY_CUTS:
		break;
	}
	if (index > 0 || len_bytes > room_bytes)
		return 0;
	memcpy(to, frame, len_bytes);
	return len_bytes;
}

void replay_port_sums(const struct port *p, struct replay_sums *ret_sums)
{
	*ret_sums = ((const struct replay_port *)p)->sums;
}
