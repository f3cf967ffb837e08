/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_timed_port.h"

#include <weir/base/clock.h>

static const struct bench_timed_port *timed_of(const struct port *p)
{
	return (const struct bench_timed_port *)p->ops;
}

static uint16_t timed_rx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	const struct bench_timed_port *timed = timed_of(p);
	uint64_t start = clock_tsc();
	uint16_t n_received = timed->inner->rx(p, pkts, n);

	timed->ticks->rx += clock_tsc() - start;
	return n_received;
}

static uint16_t timed_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	const struct bench_timed_port *timed = timed_of(p);
	uint64_t start = clock_tsc();
	uint16_t n_sent = timed->inner->tx(p, pkts, n);

	timed->ticks->tx += clock_tsc() - start;
	return n_sent;
}

void bench_time_port(struct bench_timed_port *timed, struct port *p, struct bench_port_ticks *ticks)
{
	*timed = (struct bench_timed_port){.ops = *p->ops, .inner = p->ops, .ticks = ticks};
	timed->ops.rx = timed_rx;
	timed->ops.tx = timed_tx;
	p->ops = &timed->ops;
}

struct bench_port_ticks bench_port_ticks_since(
	const struct bench_port_ticks *now, const struct bench_port_ticks *before)
{
	return (struct bench_port_ticks){.rx = now->rx - before->rx, .tx = now->tx - before->tx};
}
