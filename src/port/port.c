/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/port.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void port_fail(struct port *p)
{
	uint32_t up = PORT_UP;

	/* Once for each failure, however many calls of a burst find it. */
	if (!port_is_up(p))
		return;
	p->counters.n_failures++;
	(void)atomic_compare_exchange_strong_explicit(
		&p->state, &up, PORT_FAILED, memory_order_release, memory_order_relaxed);
}

void port_up(struct port *p)
{
	p->why_down[0] = '\0';
	atomic_fetch_add_explicit(&p->generation, 1, memory_order_relaxed);
	atomic_store_explicit(&p->state, PORT_UP, memory_order_release);
}

void port_close(struct port *p)
{
	if (p != NULL)
		p->ops->close(p);
}

int port_lanes_make(struct port *p, uint32_t n_senders)
{
	size_t bytes = (n_senders + 1) * sizeof(*p->lanes);

	p->n_lanes = 1;
	if (n_senders == 0)
		return 0;
	p->lanes = aligned_alloc(_Alignof(struct port_lane), bytes);
	if (p->lanes == NULL)
		return -ENOMEM;
	memset(p->lanes, 0, bytes);
	p->n_lanes = n_senders + 1;
	return 0;
}

void port_lanes_free(struct port *p)
{
	free(p->lanes);
	p->lanes = NULL;
	p->n_lanes = 1;
}

void port_counters_read(const struct port *p, struct port_counters *ret_counters)
{
	*ret_counters = p->counters;
	for (uint32_t lane = 1; lane < p->n_lanes; lane++) {
		const struct port_counters *c = &p->lanes[lane].counters;

		ret_counters->tx_packets += c->tx_packets;
		ret_counters->tx_bytes += c->tx_bytes;
		ret_counters->tx_super_frames += c->tx_super_frames;
		ret_counters->tx_errors += c->tx_errors;
	}
}
