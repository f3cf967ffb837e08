/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/flow/rtt.h>

#include <string.h>

#define SPACING_US  (4 * US_PER_MS)   /* between questions: as fine as the controller looks */
#define PACE_US     (400 * US_PER_MS) /* tells ticks of 1, 4 and 10 ms apart, whatever a queue adds */
#define PACE_MAX_US (20 * US_PER_S) /* a clock not told by then is measured anew: it stood still */

void rtt_probe_init(struct rtt_probe *p)
{
	memset(p, 0, sizeof(*p));
}

static struct rtt_question *at(struct rtt_open *p, uint32_t i)
{
	return &p->questions[(p->first + i) % RTT_QUESTIONS];
}

static void keep(struct rtt_open *p, uint32_t key, uint64_t now_us)
{
	if (p->n == RTT_QUESTIONS || (p->n > 0 && now_us - at(p, p->n - 1)->sent_us < SPACING_US))
		return;
	*at(p, p->n++) = (struct rtt_question){.sent_us = now_us, .key = key};
}

void rtt_sent_timestamp(struct rtt_probe *p, uint32_t tsval, uint64_t now_us)
{
	struct rtt_open *o = &p->timestamps;

	/* An echo tells the value alone: the first segment that bore it is the one that may be asked about. */
	if (o->has_last && (int32_t)(tsval - o->last_key) <= 0)
		return;
	o->has_last = true;
	o->last_key = tsval;
	keep(o, tsval, now_us);
}

void rtt_sent_sequence(struct rtt_probe *p, uint32_t seq_end, uint64_t now_us)
{
	struct rtt_open *o = &p->sequence;

	if (o->has_last && (int32_t)(seq_end - o->last_key) <= 0) {
		o->n = 0; /* sent again: what is acknowledged from here on may be either (Karn) */
		return;
	}
	o->has_last = true;
	o->last_key = seq_end;
	keep(o, seq_end, now_us);
}

void rtt_lost_sequence(struct rtt_probe *p)
{
	p->sequence.n = 0;
}

/* Settles the questions up to `key`; the newest of them goes to *ret. False when there was none. */
static bool settle(struct rtt_open *p, uint32_t key, struct rtt_question *ret)
{
	bool any = false;

	while (p->n > 0 && (int32_t)(key - at(p, 0)->key) >= 0) {
		*ret = *at(p, 0);
		any = true;
		p->first = (p->first + 1) % RTT_QUESTIONS;
		p->n--;
	}
	return any;
}

uint64_t rtt_echo_timestamp(struct rtt_probe *p, uint32_t tsecr)
{
	struct rtt_question q = {0};

	return settle(&p->timestamps, tsecr, &q) && q.key == tsecr ? q.sent_us : 0;
}

uint64_t rtt_echo_sequence(struct rtt_probe *p, uint32_t ack)
{
	struct rtt_question q = {0};

	return settle(&p->sequence, ack, &q) ? q.sent_us : 0;
}

/* The tick whose pace fits within a third, or 0. */
static uint32_t tick_of(uint64_t span_us, uint32_t n_ticks)
{
	static const uint32_t ticks_us[] = {1000, 4000, 10000};

	for (uint32_t i = 0; i < sizeof(ticks_us) / sizeof(*ticks_us); i++) {
		uint64_t told_us = (uint64_t)n_ticks * ticks_us[i];

		if (3 * told_us > 2 * span_us && 3 * told_us < 4 * span_us)
			return ticks_us[i];
	}
	return 0;
}

static void begin_clock(struct rtt_probe *p, uint32_t tsval, const struct rtt_reading *r)
{
	p->remote_at_us = r->now_us;
	p->remote_answers_us = r->sent_us;
	p->remote_first = tsval;
	p->remote_last = tsval;
}

/* Finds the pace, once the clock has been watched for long enough. */
static bool find_pace(struct rtt_probe *p, uint32_t tsval, uint64_t now_us)
{
	uint64_t span_us = now_us - p->remote_at_us;

	if (span_us < PACE_US)
		return false;
	p->tick_us = tick_of(span_us, tsval - p->remote_first);
	if (p->tick_us == 0 && span_us > PACE_MAX_US)
		p->remote_at_us = 0;
	p->owes_reading = p->tick_us != 0;
	return p->tick_us != 0;
}

bool rtt_remote_clock(struct rtt_probe *p, uint32_t tsval, struct rtt_reading *r)
{
	if (p->remote_at_us == 0) {
		begin_clock(p, tsval, r);
		return false;
	}
	if ((int32_t)(tsval - p->remote_last) < 0)
		return false; /* overtaken */
	p->remote_last = tsval;
	if (p->tick_us == 0 && !find_pace(p, tsval, r->now_us))
		return false;
	r->remote_us = (tsval - p->remote_first) * p->tick_us;
	return true;
}

bool rtt_first_reading(struct rtt_probe *p, struct rtt_reading *ret_reading)
{
	if (!p->owes_reading)
		return false;
	p->owes_reading = false;
	*ret_reading =
		(struct rtt_reading){.now_us = p->remote_at_us, .sent_us = p->remote_answers_us};
	return true;
}

uint64_t rtt_waiting_us(const struct rtt_probe *p, uint64_t after_us)
{
	const struct rtt_open *o = &p->sequence;

	for (uint32_t i = 0; i < o->n; i++) {
		const struct rtt_question *q = &o->questions[(o->first + i) % RTT_QUESTIONS];

		if (q->sent_us > after_us)
			return q->sent_us;
	}
	return 0;
}

bool rtt_sent_spin(struct rtt_probe *p, bool spin, uint64_t now_us)
{
	bool is_edge = p->has_spin && spin != p->spin;

	if (is_edge && p->spin_us != 0)
		return false; /* turned before it was reflected */
	if (is_edge)
		p->spin_us = now_us;
	p->has_spin = true;
	p->spin = spin;
	return true;
}

uint64_t rtt_echo_spin(struct rtt_probe *p, bool spin)
{
	uint64_t sent_us = p->spin_us;

	if (sent_us == 0 || spin != p->spin)
		return 0;
	p->spin_us = 0;
	return sent_us;
}
