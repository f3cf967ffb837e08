/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/meter.h>

void meter_init(struct meter *m, const struct meter_params *params)
{
	*m = (struct meter){.params = *params};
}

void meter_set_params(struct meter *m, const struct meter_params *params)
{
	m->params = *params;
}
