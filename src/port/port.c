/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/port.h>

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
