/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_capacity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A packet that would wait longer than a day is as good as one that never leaves. */
#define HORIZON_NS (24ull * 3600 * NS_PER_S)

struct capacity {
	uint64_t period_ns;
	bool loop;
	size_t n;
	uint32_t *at_ms;         /* opportunities, or NULL */
	struct rate_step *steps; /* steps, or NULL */
};

static struct capacity *capacity_new(size_t n, bool loop, uint64_t period_ns)
{
	struct capacity *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->n = n;
	c->loop = loop;
	c->period_ns = period_ns;
	return c;
}

int capacity_from_opportunities(
	const uint32_t *at_ms, size_t n, bool loop, struct capacity **ret_capacity)
{
	struct capacity *c;

	if (n == 0 || at_ms[n - 1] == 0)
		return -EINVAL;
	for (size_t i = 1; i < n; i++) {
		if (at_ms[i] < at_ms[i - 1])
			return -EINVAL;
	}
	c = capacity_new(n, loop, at_ms[n - 1] * NS_PER_MS);
	if (c == NULL)
		return -ENOMEM;
	c->at_ms = calloc(n, sizeof(*c->at_ms));
	if (c->at_ms == NULL) {
		free(c);
		return -ENOMEM;
	}
	memcpy(c->at_ms, at_ms, n * sizeof(*at_ms));
	*ret_capacity = c;
	return 0;
}

static bool steps_valid(const struct rate_step *steps, size_t n, uint64_t period_ns)
{
	bool carries = false;

	if (n == 0 || steps[0].start_ns != 0 || period_ns <= steps[n - 1].start_ns)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && steps[i].start_ns <= steps[i - 1].start_ns)
			return false;
		carries = carries || steps[i].rate_bps > 0;
	}
	return carries;
}

int capacity_from_steps(const struct rate_step *steps, size_t n, uint64_t period_ns, bool loop,
	struct capacity **ret_capacity)
{
	struct capacity *c;

	if (!steps_valid(steps, n, period_ns))
		return -EINVAL;
	c = capacity_new(n, loop, period_ns);
	if (c == NULL)
		return -ENOMEM;
	c->steps = calloc(n, sizeof(*c->steps));
	if (c->steps == NULL) {
		free(c);
		return -ENOMEM;
	}
	memcpy(c->steps, steps, n * sizeof(*steps));
	*ret_capacity = c;
	return 0;
}

int capacity_fixed(uint64_t rate_bps, struct capacity **ret_capacity)
{
	struct rate_step step = {.start_ns = 0, .rate_bps = rate_bps};

	return capacity_from_steps(&step, 1, TIME_NEVER, false, ret_capacity);
}

void capacity_destroy(struct capacity *c)
{
	if (c == NULL)
		return;
	free(c->at_ms);
	free(c->steps);
	free(c);
}

uint64_t capacity_period_ns(const struct capacity *c)
{
	return c->period_ns;
}

uint64_t capacity_mean_bps(const struct capacity *c)
{
	double bits = 0;

	if (c->at_ms != NULL)
		bits = (double)c->n * OPPORTUNITY_OCTETS * 8;
	else if (c->period_ns == TIME_NEVER)
		return c->steps[c->n - 1].rate_bps;
	else
		for (size_t i = 0; i < c->n; i++) {
			uint64_t end = i + 1 < c->n ? c->steps[i + 1].start_ns : c->period_ns;

			bits += (double)c->steps[i].rate_bps * (double)(end - c->steps[i].start_ns)
				/ (double)NS_PER_S;
		}
	return (uint64_t)(bits * (double)NS_PER_S / (double)c->period_ns);
}

void capacity_cursor_init(struct capacity_cursor *at)
{
	*at = (struct capacity_cursor){.left_octets = OPPORTUNITY_OCTETS};
}

int outages_add(struct outages *o, uint64_t from_ns, uint64_t length_ns)
{
	if (length_ns == 0 || (o->n > 0 && from_ns < o->list[o->n - 1].to_ns))
		return -EINVAL;
	if (o->n == OUTAGES_MAX)
		return -ENOSPC;
	o->list[o->n++] = (struct outage){.from_ns = from_ns, .to_ns = from_ns + length_ns};
	return 0;
}

uint64_t outages_end(const struct outages *o, uint64_t at_ns, uint64_t *ret_next)
{
	uint64_t within = o->period_ns > 0 ? at_ns % o->period_ns : at_ns;
	uint64_t round = at_ns - within;

	*ret_next = TIME_NEVER;
	for (uint32_t i = 0; i < o->n; i++) {
		if (within >= o->list[i].to_ns)
			continue;
		if (within >= o->list[i].from_ns)
			return round + o->list[i].to_ns;
		*ret_next = round + o->list[i].from_ns;
		return 0;
	}
	if (o->n > 0 && o->period_ns > 0)
		*ret_next = round + o->period_ns + o->list[0].from_ns;
	return 0;
}

/* When opportunity number k of all rounds comes. */
static uint64_t opportunity_ns(const struct capacity *c, uint64_t k)
{
	if (k >= c->n && !c->loop)
		return TIME_NEVER;
	return k / c->n * c->period_ns + c->at_ms[k % c->n] * NS_PER_MS;
}

/* Number of the first opportunity later than `at_ns`. */
static uint64_t opportunity_after(const struct capacity *c, uint64_t at_ns)
{
	uint64_t round = at_ns / c->period_ns;
	uint64_t within = at_ns % c->period_ns;
	size_t low = 0, high = c->n - 1;

	if (round > 0 && !c->loop)
		return c->n;
	while (low < high) { /* the last one is the period, which is later than `within` */
		size_t middle = (low + high) / 2;

		if (c->at_ms[middle] * NS_PER_MS > within)
			high = middle;
		else
			low = middle + 1;
	}
	return round * c->n + low;
}

static uint64_t serve_opportunities(const struct capacity *c, const struct outages *outages,
	struct capacity_cursor *at, uint64_t start_ns, uint32_t octets)
{
	uint64_t when = opportunity_ns(c, at->next);

	if (when <= start_ns) {
		at->next = opportunity_after(c, start_ns);
		at->left_octets = OPPORTUNITY_OCTETS;
	}
	for (;;) {
		uint64_t next_outage, end;
		uint32_t take;

		when = opportunity_ns(c, at->next);
		if (when == TIME_NEVER || when - start_ns > HORIZON_NS)
			return TIME_NEVER;
		end = outages_end(outages, when, &next_outage);
		if (end > 0) {
			at->next = opportunity_after(c, end - 1);
			at->left_octets = OPPORTUNITY_OCTETS;
			continue;
		}
		take = octets < at->left_octets ? octets : at->left_octets;
		octets -= take;
		at->left_octets -= take;
		if (at->left_octets == 0) {
			at->next++;
			at->left_octets = OPPORTUNITY_OCTETS;
		}
		if (octets == 0)
			return when;
	}
}

/* The rate at `at_ns`, and until when it holds. */
static uint64_t step_rate(const struct capacity *c, uint64_t at_ns, uint64_t *ret_until)
{
	uint64_t within = c->period_ns == TIME_NEVER ? at_ns : at_ns % c->period_ns;
	uint64_t round = at_ns - within;
	size_t low = 0, high = c->n;

	if (round > 0 && !c->loop) {
		*ret_until = TIME_NEVER;
		return 0;
	}
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (c->steps[middle].start_ns <= within)
			low = middle;
		else
			high = middle;
	}
	if (low + 1 < c->n)
		*ret_until = round + c->steps[low + 1].start_ns;
	else
		*ret_until = c->period_ns == TIME_NEVER ? TIME_NEVER : round + c->period_ns;
	return c->steps[low].rate_bps;
}

/* As step_rate, with outages cut out. */
static uint64_t open_rate(const struct capacity *c, const struct outages *outages, uint64_t at_ns,
	uint64_t *ret_until)
{
	uint64_t rate = step_rate(c, at_ns, ret_until);
	uint64_t next, end = outages_end(outages, at_ns, &next);

	if (end > 0) {
		*ret_until = end;
		return 0;
	}
	if (next < *ret_until)
		*ret_until = next;
	return rate;
}

static uint64_t serve_steps(const struct capacity *c, const struct outages *outages,
	struct capacity_cursor *at, uint64_t start_ns, uint32_t octets)
{
	/* Billionths of a bit make rate × nanoseconds exact: 2^32 octets are 3.4e19, 65535 are 5e14. */
	uint64_t need = (uint64_t)octets * 8 * NS_PER_S;
	uint64_t now = start_ns;

	if (at->free_ns == TIME_NEVER)
		return TIME_NEVER;
	if (at->free_ns >= start_ns) {
		now = at->free_ns;
		need -= need < at->surplus_nbit ? need : at->surplus_nbit;
	}
	at->surplus_nbit = 0;
	while (need > 0) {
		uint64_t until, rate = open_rate(c, outages, now, &until);
		uint64_t span = rate > 0 ? (need + rate - 1) / rate : TIME_NEVER;

		if (rate > 0 && until - now >= span) {
			at->surplus_nbit = span * rate - need;
			now += span;
			break;
		}
		need -= rate * (until - now);
		now = until;
		if (now == TIME_NEVER || now - start_ns > HORIZON_NS) {
			now = TIME_NEVER;
			break;
		}
	}
	at->free_ns = now;
	return now;
}

uint64_t capacity_serve(const struct capacity *c, const struct outages *outages,
	struct capacity_cursor *at, uint64_t start_ns, uint32_t octets)
{
	if (c->at_ms != NULL)
		return serve_opportunities(c, outages, at, start_ns, octets);
	return serve_steps(c, outages, at, start_ns, octets);
}

static double count_opportunities(
	const struct capacity *c, const struct outages *outages, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t end = opportunity_after(c, to_ns), n = 0;

	for (uint64_t k = opportunity_after(c, from_ns); k < end; k++) {
		uint64_t next;

		if (outages_end(outages, opportunity_ns(c, k), &next) == 0)
			n++;
	}
	return (double)n * OPPORTUNITY_OCTETS;
}

double capacity_octets(
	const struct capacity *c, const struct outages *outages, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t until;
	double bits = 0;

	if (c->at_ms != NULL)
		return count_opportunities(c, outages, from_ns, to_ns);
	for (uint64_t now = from_ns; now < to_ns; now = until) {
		uint64_t rate = open_rate(c, outages, now, &until);

		until = until < to_ns ? until : to_ns;
		bits += (double)rate * (double)(until - now) / (double)NS_PER_S;
	}
	return bits / 8;
}
