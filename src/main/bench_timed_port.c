/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_timed_port.h"

#include <weir/base/clock.h>

static __thread struct port_ops timed_ops;
static __thread const struct port_ops *inner_ops;
static __thread struct bench_port_ticks ticks;

static uint16_t timed_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t start = clock_tsc();
	uint16_t n_received = inner_ops->rx(p, pkts, n);

	ticks.rx += clock_tsc() - start;
	return n_received;
}

static uint16_t timed_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t start = clock_tsc();
	uint16_t n_sent = inner_ops->tx(p, pkts, n);

	ticks.tx += clock_tsc() - start;
	return n_sent;
}

void bench_time_port(struct port *p)
{
	if (p->ops == &timed_ops)
		return;
	inner_ops = p->ops;
	timed_ops = *p->ops;
	timed_ops.rx = timed_rx;
	timed_ops.tx = timed_tx;
	p->ops = &timed_ops;
}

struct bench_port_ticks bench_port_ticks(void)
{
	return ticks;
}

struct bench_port_ticks bench_port_ticks_since(const struct bench_port_ticks *before)
{
	return (struct bench_port_ticks){.rx = ticks.rx - before->rx, .tx = ticks.tx - before->tx};
}
