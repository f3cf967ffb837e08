/* SPDX-License-Identifier: BSD-3-Clause */
#include "segment.h"

#include <weir/packet/bytes.h>
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
	IPV4_HEADER_MIN = 20
};

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

/* Starts cutting a TCP super-frame. False when the frame is none. */
static bool cut_begin(
	struct segment_cutter *c, const struct port *p, const uint8_t *frame, uint32_t len_bytes)
{
	struct virtio_net_hdr offload = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1};
	int32_t at = ipv4_offset((const struct replay_port *)p, frame, len_bytes);
	uint32_t end;
	uint32_t headers;

	if (at < 0)
		return false;
	end = (uint32_t)at + load_be16(frame + at + 2); /* without padding */
	if (end > len_bytes || end - (uint32_t)at <= p->mtu)
		return false;
	if (segment_begin(c, frame, end, p->framing, &offload) != 0)
		return false;
	headers = c->payload_off - c->l3_off;
	if (headers >= p->mtu)
		return false;
	c->size_bytes = p->mtu - headers;
	return true;
}

uint32_t replay_port_segment(const struct port *p, const uint8_t *frame, uint32_t len_bytes,
	uint32_t index, uint8_t *to, uint32_t room_bytes)
{
	struct segment_cutter c;
	uint32_t bytes;

	if (!cut_begin(&c, p, frame, len_bytes)) {
		if (index > 0 || len_bytes > room_bytes)
			return 0;
		memcpy(to, frame, len_bytes);
		return len_bytes;
	}
	for (uint32_t i = 0; i < index && segment_next_bytes(&c) > 0; i++)
		segment_skip(&c);
	bytes = segment_next_bytes(&c);
	if (bytes == 0 || bytes > room_bytes)
		return 0;
	segment_next(&c, to);
	return bytes;
}

void replay_port_sums(const struct port *p, struct replay_sums *ret_sums)
{
	*ret_sums = ((const struct replay_port *)p)->sums;
}
