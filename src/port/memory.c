/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/memory.h>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far enough ahead that a frame has arrived from memory when its turn comes: the source must not be what is measured. */
#define PREFETCH_AHEAD 8u

struct memory_port {
	struct port port;
	struct rte_mempool *pool;
	memory_fill_fn *fill; /* NULL: frames are given */
	void *fill_arg;
	const uint8_t *const *frames;
	const uint16_t *lens;
	const uint32_t *order;
	uint32_t n_order;
	uint32_t next;
	uint64_t n_rounds_left; /* with the one under way; UINT64_MAX: for ever */
	struct rte_mbuf **kept; /* ring of n_kept_max, oldest at kept_first */
	uint32_t n_kept_max;
	uint32_t n_kept;
	uint32_t kept_first;
};

static struct memory_port *self(struct port *p)
{
	return (struct memory_port *)p;
}

static void prefetch_ahead(const struct memory_port *m)
{
	uint32_t at = m->next + PREFETCH_AHEAD;

	if (at >= m->n_order)
		at %= m->n_order;
	rte_prefetch0(m->frames[m->order[at]]);
}

static void advance(struct memory_port *m)
{
	if (++m->next < m->n_order)
		return;
	m->next = 0;
	if (m->n_rounds_left != UINT64_MAX)
		m->n_rounds_left--;
}

/* How many of n frames are left to hand out. */
static uint16_t n_left(const struct memory_port *m, uint16_t n)
{
	uint64_t left;

	if (m->n_order == 0 || m->n_rounds_left == 0)
		return 0;
	if (m->n_rounds_left == UINT64_MAX)
		return n;
	left = m->n_rounds_left * m->n_order - m->next;
	return left < n ? (uint16_t)left : n;
}

static uint16_t copy_frames(struct memory_port *m, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint32_t frame = m->order[m->next];
		uint16_t len = m->lens[frame];

		prefetch_ahead(m);
		memcpy(rte_pktmbuf_mtod(pkts[i], void *), m->frames[frame], len);
		pkts[i]->data_len = len;
		pkts[i]->pkt_len = len;
		advance(m);
	}
	return n;
}

static uint16_t memory_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct memory_port *m = self(p);
	uint64_t bytes = 0;
	uint16_t n_filled;

	n = m->fill != NULL ? n : n_left(m, n);
	if (n == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(m->pool, pkts, n) != 0) {
		p->counters.rx_no_buffer += n;
		return 0;
	}
	n_filled = m->fill != NULL ? m->fill(m->fill_arg, pkts, n) : copy_frames(m, pkts, n);
	if (n_filled < n)
		rte_pktmbuf_free_bulk(pkts + n_filled, n - n_filled);
	for (uint16_t i = 0; i < n_filled; i++)
		bytes += pkts[i]->data_len;
	p->counters.rx_packets += n_filled;
	p->counters.rx_bytes += bytes;
	return n_filled;
}

static uint16_t keep(struct memory_port *m, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t n_free = m->n_kept_max - m->n_kept;

	n = n_free < n ? (uint16_t)n_free : n;
	for (uint16_t i = 0; i < n; i++)
		m->kept[(m->kept_first + m->n_kept++) % m->n_kept_max] = pkts[i];
	return n;
}

static uint16_t memory_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct memory_port *m = self(p);

	if (m->n_kept_max > 0)
		n = keep(m, pkts, n);
	for (uint16_t i = 0; i < n; i++)
		p->counters.tx_bytes += pkts[i]->data_len;
	p->counters.tx_packets += n;
	if (m->n_kept_max == 0)
		rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static uint16_t memory_tx_lane(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_counters *c = &p->lanes[lane].counters;

	for (uint16_t i = 0; i < n; i++)
		c->tx_bytes += pkts[i]->data_len;
	c->tx_packets += n;
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static void memory_close(struct port *p)
{
	struct rte_mbuf *sent;

	while ((sent = memory_port_take_sent(p)) != NULL)
		rte_pktmbuf_free(sent);
	port_lanes_free(p);
	free(self(p)->kept);
	free(self(p));
}

static const struct port_ops memory_ops = {
	.kind = "memory",
	.rx = memory_rx,
	.tx = memory_tx,
	.tx_lane = memory_tx_lane,
	.close = memory_close,
};

int memory_port_open(const struct memory_port_params *params, struct port **ret_port)
{
	struct memory_port *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	if (params->n_kept > 0) {
		m->kept = calloc(params->n_kept, sizeof(struct rte_mbuf *));
		if (m->kept == NULL)
			goto err_port;
	}
	if (port_lanes_make(&m->port, params->n_senders) != 0)
		goto err_kept;
	m->n_kept_max = params->n_kept;
	m->pool = params->pool;
	m->port.ops = &memory_ops;
	snprintf(m->port.name, sizeof(m->port.name), "%s", params->name);
	m->port.framing = params->framing;
	m->port.mac = params->mac;
	m->port.mtu = params->mtu;
	m->port.fd = -1;
	port_up(&m->port);
	*ret_port = &m->port;
	return 0;

err_kept:
	free(m->kept);
err_port:
	free(m);
	return -ENOMEM;
}

void memory_port_feed(struct port *p, const uint8_t *const *frames, const uint16_t *lens,
	const uint32_t *order, uint32_t n_order, uint64_t n_rounds)
{
	struct memory_port *m = self(p);

	m->fill = NULL;
	m->frames = frames;
	m->lens = lens;
	m->order = order;
	m->n_order = n_order;
	m->next = 0;
	m->n_rounds_left = n_rounds == 0 ? UINT64_MAX : n_rounds;
}

void memory_port_fill(struct port *p, memory_fill_fn *fill, void *arg)
{
	struct memory_port *m = self(p);

	m->fill = fill;
	m->fill_arg = arg;
}

struct rte_mbuf *memory_port_take_sent(struct port *p)
{
	struct memory_port *m = self(p);
	struct rte_mbuf *oldest;

	if (m->n_kept == 0)
		return NULL;
	oldest = m->kept[m->kept_first];
	m->kept_first = (m->kept_first + 1) % m->n_kept_max;
	m->n_kept--;
	return oldest;
}
