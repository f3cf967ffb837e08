/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_cubic.h"

#include "sim_tcp.h"

#include <weir/base/clock.h>

#include <math.h>
#include <string.h>

#define C_PER_S3       0.4
#define BETA           717 /* of UNIT */
#define UNIT           1024
#define LOW_WINDOW     16 /* HyStart looks at windows from here on */
#define SAMPLES        8
#define TRAIN_US       2000 /* between ACKs of a train */
#define TRAIN_SLACK_US 1000
#define RISE_MIN_US    4000
#define RISE_MAX_US    16000
#define AFTER_LOSS_US  US_PER_S /* round trips right after a recovery are not believed */
#define UPDATE_US      (US_PER_S / 32)
#define EVERY_NO_LOSS  20 /* grows by a twentieth a round trip */

void sim_cubic_reset(struct sim_cubic *c)
{
	memset(c, 0, sizeof(*c));
}

static void begin_round(struct sim_tcp *t, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	c->round_end = t->next;
	c->round_us = now_us;
	c->train_us = now_us;
	c->round_rtt_us = UINT64_MAX;
	c->n_samples = 0;
}

static void look_at_train(struct sim_tcp *t, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	if (now_us - c->train_us > TRAIN_US)
		return;
	c->train_us = now_us;
	if (now_us - c->round_us > (c->least_rtt_us + TRAIN_SLACK_US) / 2)
		c->found = true;
}

static void look_at_delay(struct sim_tcp *t, uint64_t rtt_us)
{
	struct sim_cubic *c = &t->cubic;
	uint64_t rise_us = c->least_rtt_us / 8;

	if (rise_us < RISE_MIN_US)
		rise_us = RISE_MIN_US;
	if (rise_us > RISE_MAX_US)
		rise_us = RISE_MAX_US;
	if (rtt_us < c->round_rtt_us)
		c->round_rtt_us = rtt_us;
	if (c->n_samples < SAMPLES)
		c->n_samples++;
	else if (c->round_rtt_us > c->least_rtt_us + rise_us)
		c->found = true;
}

void sim_cubic_measure(struct sim_tcp *t, uint64_t rtt_us, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	if (c->epoch_us != 0 && now_us - c->epoch_us < AFTER_LOSS_US)
		return;
	if (c->least_rtt_us == 0 || rtt_us < c->least_rtt_us)
		c->least_rtt_us = rtt_us;
	if (c->found || t->cwnd >= t->ssthresh || t->cwnd < LOW_WINDOW)
		return;
	if (c->round_us == 0 || (int32_t)(t->una - c->round_end) > 0)
		begin_round(t, now_us);
	look_at_train(t, now_us);
	look_at_delay(t, rtt_us);
	if (c->found)
		t->ssthresh = t->cwnd;
}

static void begin_epoch(struct sim_tcp *t, uint32_t n_acked, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	c->epoch_us = now_us;
	c->n_acked = n_acked;
	c->reno_cwnd = t->cwnd;
	c->origin = c->max_cwnd > t->cwnd ? c->max_cwnd : t->cwnd;
	c->k_s = cbrt((c->origin - t->cwnd) / C_PER_S3);
}

/* How many segments must come for one more in the window. */
static uint32_t cubic_every(const struct sim_tcp *t, uint64_t now_us)
{
	const struct sim_cubic *c = &t->cubic;
	double t_s = (double)(now_us - c->epoch_us + c->least_rtt_us) / (double)US_PER_S;
	double target = c->origin + C_PER_S3 * pow(t_s - c->k_s, 3);
	double every = 100.0 * t->cwnd;

	if (target > t->cwnd)
		every = t->cwnd / (target - t->cwnd);
	if (c->max_cwnd == 0)
		every = fmin(every, EVERY_NO_LOSS);
	return (uint32_t)every;
}

/* RFC 9438 section 4.3: not slower than Reno would be. */
static uint32_t reno_every(struct sim_tcp *t, uint32_t every)
{
	struct sim_cubic *c = &t->cubic;
	uint32_t step = t->cwnd * (8 * (UNIT + BETA) / 3 / (UNIT - BETA)) / 8;

	while (c->n_acked > step) {
		c->n_acked -= step;
		c->reno_cwnd++;
	}
	if (c->reno_cwnd > t->cwnd && t->cwnd / (c->reno_cwnd - t->cwnd) < every)
		every = t->cwnd / (c->reno_cwnd - t->cwnd);
	return every < 2 ? 2 : every;
}

static void update(struct sim_tcp *t, uint32_t n_acked, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	c->n_acked += n_acked;
	if (c->last_cwnd == t->cwnd && now_us - c->updated_us <= UPDATE_US)
		return;
	if (c->epoch_us == 0 || now_us != c->updated_us) {
		c->last_cwnd = t->cwnd;
		c->updated_us = now_us;
		if (c->epoch_us == 0)
			begin_epoch(t, n_acked, now_us);
		c->every = cubic_every(t, now_us);
	}
	c->every = reno_every(t, c->every);
}

void sim_cubic_grow(struct sim_tcp *t, uint32_t n_acked, uint64_t now_us)
{
	struct sim_cubic *c = &t->cubic;

	if (t->cwnd < t->ssthresh) {
		uint32_t room = t->ssthresh - t->cwnd;
		uint32_t more = n_acked < room ? n_acked : room;

		t->cwnd += more;
		n_acked -= more;
		if (n_acked == 0)
			return;
	}
	update(t, n_acked, now_us);
	if (c->n_counted >= c->every) {
		c->n_counted = 0;
		t->cwnd++;
	}
	c->n_counted += n_acked;
	if (c->n_counted >= c->every) {
		t->cwnd += c->n_counted / c->every;
		c->n_counted %= c->every;
	}
}

uint32_t sim_cubic_lose(struct sim_tcp *t)
{
	struct sim_cubic *c = &t->cubic;
	uint32_t cwnd = t->cwnd * BETA / UNIT;

	c->epoch_us = 0;
	c->max_cwnd = t->cwnd < c->max_cwnd ? t->cwnd * (UNIT + BETA) / (2 * UNIT) : t->cwnd;
	return cwnd < 2 ? 2 : cwnd;
}
