/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/meter.h>

void meter_init(struct meter *m, const struct meter_params *params)
{
	*m = (struct meter){.params = *params, .limits = {.leased = METER_UNLIMITED}};
	for (uint32_t i = 0; i < METER_ACCOUNTS; i++)
		m->limits.accounts[i] = m->limits.devices[i] = METER_UNLIMITED;
}

void meter_set_params(struct meter *m, const struct meter_params *params)
{
	m->params = *params;
}

void meter_set_limits(struct meter *m, const struct meter_limits *limits)
{
	for (uint32_t i = 0; i < METER_ACCOUNTS; i++) {
		__atomic_store_n(&m->limits.accounts[i], limits->accounts[i], __ATOMIC_RELAXED);
		__atomic_store_n(&m->limits.devices[i], limits->devices[i], __ATOMIC_RELAXED);
	}
	for (int d = 0; d < N_DIRECTIONS; d++)
		__atomic_store_n(
			&m->limits.general_bps[d], limits->general_bps[d], __ATOMIC_RELAXED);
	__atomic_store_n(&m->limits.cycle, limits->cycle, __ATOMIC_RELAXED);
	/* Last: until then no packet goes that the former lease does not cover. */
	__atomic_store_n(&m->limits.leased, limits->leased, __ATOMIC_RELEASE);
}
