/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/shape/fifo.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/*
 * Credit is counted in millionths of a bit, so that one microsecond is worth exactly `rate_bps` of
 * it: nothing is ever rounded, and so nothing drifts. The largest burst, 2^32 octets, is 3.4e16 and
 * fits in 64 bits.
 */
#define CREDIT_OCTET ((int64_t)(8 * US_PER_S))
#define RATE_MAX_BPS 1000000000000000ull /* keeps every sum of credit far from 2^63 */

struct place {
	void *packet;
	uint32_t octets;
};

struct fifo {
	struct fifo_params params;
	int64_t credit; /* at as_of_us; below zero after a packet longer than the burst */
	uint64_t as_of_us;
	uint32_t n_places;
	uint32_t head; /* the oldest packet */
	uint32_t n_packets;
	uint32_t n_octets;
	struct place places[];
};

static int64_t burst_credit(const struct fifo_params *params)
{
	return (int64_t)params->burst_octets * CREDIT_OCTET;
}

/*
 * What the bucket holds: the burst, and what is earned between the moment a packet could go and the
 * clock's next tick, which is less than a tick's worth. Cut off at the burst, that fraction would
 * be lost with every packet.
 */
static int64_t credit_max(const struct fifo_params *params)
{
	int64_t tick = params->rate_bps == 0 ? 0 : (int64_t)params->rate_bps - 1;

	return burst_credit(params) + tick;
}

/* What must be there before a packet goes. One longer than the burst waits for a full bucket and
 * leaves a debt. */
static int64_t credit_wanted(const struct fifo *q, uint32_t octets)
{
	uint32_t wanted = octets < q->params.burst_octets ? octets : q->params.burst_octets;

	return (int64_t)wanted * CREDIT_OCTET;
}

/* Brings the credit up to `now_us`. */
static void refill(struct fifo *q, uint64_t now_us)
{
	uint64_t missing = (uint64_t)(credit_max(&q->params) - q->credit);
	uint64_t earned;

	if (now_us <= q->as_of_us)
		return;
	if (__builtin_mul_overflow(now_us - q->as_of_us, q->params.rate_bps, &earned)
		|| earned > missing)
		earned = missing;
	q->credit += (int64_t)earned;
	q->as_of_us = now_us;
}

/* Pays for a packet if the credit allows it. */
static bool pay(struct fifo *q, uint32_t octets)
{
	if (q->params.rate_bps == 0)
		return true;
	if (q->credit < credit_wanted(q, octets))
		return false;
	q->credit -= (int64_t)octets * CREDIT_OCTET;
	return true;
}

static bool params_valid(const struct fifo_params *params)
{
	if (params->rate_bps == 0)
		return true;
	return params->rate_bps <= RATE_MAX_BPS && params->burst_octets != 0
	       && params->limit_octets != 0;
}

int fifo_create(const struct fifo_params *params, uint32_t n_places, struct fifo **ret_fifo)
{
	struct fifo *q;

	if (!params_valid(params) || n_places == 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q) + (size_t)n_places * sizeof(q->places[0]));
	if (q == NULL)
		return -ENOMEM;
	q->params = *params;
	q->n_places = n_places;
	q->credit = burst_credit(params);
	*ret_fifo = q;
	return 0;
}

void fifo_destroy(struct fifo *q)
{
	assert(q == NULL || q->n_packets == 0);
	free(q);
}

void fifo_set_params(struct fifo *q, const struct fifo_params *params, uint64_t now_us)
{
	bool was_unshaped = q->params.rate_bps == 0;

	assert(params_valid(params));
	refill(q, now_us);
	q->params = *params;
	/* Nothing was spent while unshaped, so a rate that begins now begins with a full bucket. */
	if (was_unshaped)
		q->credit = burst_credit(params);
	else if (q->credit > credit_max(params))
		q->credit = credit_max(params);
}

bool fifo_pass(struct fifo *q, uint32_t octets, uint64_t now_us)
{
	if (q->n_packets != 0)
		return false;
	refill(q, now_us);
	return pay(q, octets);
}

/* An unshaped queue only drains what an earlier rate has left, so octets do not bound it. */
static bool over_limit(const struct fifo *q, uint32_t octets)
{
	return q->params.rate_bps != 0 && (uint64_t)q->n_octets + octets > q->params.limit_octets;
}

bool fifo_put(struct fifo *q, void *packet, uint32_t octets, uint64_t now_us)
{
	uint32_t tail = q->head + q->n_packets;

	if (q->n_packets == q->n_places || over_limit(q, octets))
		return false;
	if (tail >= q->n_places)
		tail -= q->n_places;
	refill(q, now_us);
	q->places[tail] = (struct place){.packet = packet, .octets = octets};
	q->n_packets++;
	q->n_octets += octets;
	return true;
}

void *fifo_take_any(struct fifo *q)
{
	const struct place *oldest = &q->places[q->head];

	if (q->n_packets == 0)
		return NULL;
	q->n_packets--;
	q->n_octets -= oldest->octets;
	q->head = q->head + 1 == q->n_places ? 0 : q->head + 1;
	return oldest->packet;
}

void *fifo_oldest(const struct fifo *q)
{
	return q->n_packets == 0 ? NULL : q->places[q->head].packet;
}

void *fifo_take(struct fifo *q, uint64_t now_us)
{
	if (q->n_packets == 0)
		return NULL;
	refill(q, now_us);
	if (!pay(q, q->places[q->head].octets))
		return NULL;
	return fifo_take_any(q);
}

uint64_t fifo_next_us(const struct fifo *q)
{
	int64_t lacking;

	if (q->n_packets == 0)
		return UINT64_MAX;
	lacking = credit_wanted(q, q->places[q->head].octets) - q->credit;
	if (q->params.rate_bps == 0 || lacking <= 0)
		return q->as_of_us;
	return q->as_of_us + ((uint64_t)lacking - 1) / q->params.rate_bps + 1;
}

uint32_t fifo_n_packets(const struct fifo *q)
{
	return q->n_packets;
}

uint32_t fifo_n_octets(const struct fifo *q)
{
	return q->n_octets;
}
