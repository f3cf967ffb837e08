/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/control/lease_size.h>

#define SHRINK_DIVISOR   8
#define READY_DIVISOR    64
#define LEAST_SPAN_S     2 /* of the present rate: a sync may take one */
#define DAY_S            86400
#define CREDIT_OF_WRITES 8 /* so much of the pace may be ahead of it */
#define CREDIT_SPAN_S    600
#define SPARE_OF_WRITES  4 /* a quarter of the budget is kept for approaches to thresholds */

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How long half a lease is to last: by the day's pace, and what is to spare spread over the next minutes. */
static uint64_t span_of(const struct lease_terms *t)
{
	uint64_t n_writes = at_least(t->n_writes_left - t->n_writes_left / SPARE_OF_WRITES, 1);
	uint64_t pace = (uint64_t)t->n_writes_day * t->day_left_s / DAY_S;
	uint64_t due = pace - pace / CREDIT_OF_WRITES;
	uint64_t credit = t->n_writes_left > due ? t->n_writes_left - due : 0;

	return at_least((uint64_t)t->day_left_s * CREDIT_SPAN_S
				/ (n_writes * CREDIT_SPAN_S + credit * t->day_left_s),
		LEAST_SPAN_S);
}

uint64_t lease_size(const struct lease_terms *t)
{
	uint64_t span_s = span_of(t);
	uint64_t rate = at_most(t->rate_octets_s, UINT64_MAX / (4 * 86400));
	uint64_t ready = at_least(
		at_most(t->left_octets / READY_DIVISOR, LEASE_READY_OCTETS), LEASE_MIN_OCTETS);
	uint64_t least = at_least(rate * LEAST_SPAN_S, ready);
	uint64_t size = at_least(2 * rate * span_s, least);

	if (t->n_writes_left >= LEASE_SHRINKS_AT_WRITES)
		size = at_most(size, at_least(t->left_octets / SHRINK_DIVISOR, least));
	else if (t->n_writes_left == 0)
		size = t->left_octets == UINT64_MAX ? at_least(size, 2 * rate * t->day_left_s)
						    : t->left_octets;
	return at_most(size, t->left_octets);
}

uint64_t lease_ask(const struct lease_terms *t)
{
	uint64_t size = lease_size(t);

	return t->held_octets < (size + 1) / 2 ? size - t->held_octets : 0;
}
