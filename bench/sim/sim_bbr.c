/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_bbr.h"

#include "sim_tcp.h"

#include <weir/base/clock.h>

#include <math.h>
#include <string.h>

#define STARTUP_GAIN 2.89
#define PACE_US      1000 /* a step of the simulation */

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW,
	BBR_PROBE_RTT
};

void sim_bbr_init(struct sim_bbr *b)
{
	memset(b, 0, sizeof(*b));
	b->pacing_gain = STARTUP_GAIN;
	b->cwnd_gain = STARTUP_GAIN;
	b->min_rtt_us = UINT64_MAX;
}

static double bbr_bw(const struct sim_bbr *b)
{
	double best = 0;

	for (uint32_t i = 0; i < 10; i++)
		best = b->bw[i] > best ? b->bw[i] : best;
	return best;
}

uint32_t sim_bbr_window(const struct sim_tcp *t)
{
	const struct sim_bbr *b = &t->bbr;
	double bdp;

	if (b->state == BBR_PROBE_RTT)
		return 4;
	if (b->min_rtt_us == UINT64_MAX || bbr_bw(b) <= 0)
		return 10;
	bdp = bbr_bw(b) * (double)b->min_rtt_us;
	return (uint32_t)fmax(4, fmin(SIM_WINDOW_MAX, b->cwnd_gain * bdp + 3));
}

bool sim_bbr_pace(struct sim_tcp *t, uint64_t now_us)
{
	struct sim_bbr *b = &t->bbr;
	double bw = bbr_bw(b);

	if (bw <= 0)
		return true;
	b->credit += b->pacing_gain * bw * (double)(now_us - b->credited_us);
	b->credited_us = now_us;
	b->credit = fmin(b->credit, 2 + b->pacing_gain * bw * PACE_US);
	if (b->credit < 1)
		return false;
	b->credit -= 1;
	return true;
}

static void bbr_round(struct sim_bbr *b, double bw)
{
	b->round++;
	b->bw[b->round % 10] = 0;
	if (b->state != BBR_STARTUP)
		return;
	if (bw > b->full_bw * 1.25) {
		b->full_bw = bw;
		b->n_full_rounds = 0;
	} else if (++b->n_full_rounds >= 3) {
		b->state = BBR_DRAIN;
		b->pacing_gain = 1 / STARTUP_GAIN;
	}
}

static void bbr_phase(struct sim_tcp *t, uint64_t now_us)
{
	static const double gains[8] = {1.25, 0.75, 1, 1, 1, 1, 1, 1};
	struct sim_bbr *b = &t->bbr;

	if (b->state == BBR_DRAIN && sim_tcp_in_flight(t) <= bbr_bw(b) * (double)b->min_rtt_us) {
		b->state = BBR_PROBE_BW;
		b->cwnd_gain = 2;
		b->phase_at_us = 0;
	}
	if (b->state == BBR_PROBE_RTT && b->probe_rtt_until_us == 0 && sim_tcp_in_flight(t) <= 4)
		b->probe_rtt_until_us = now_us + 200000;
	if (b->state == BBR_PROBE_RTT && b->probe_rtt_until_us != 0
		&& now_us >= b->probe_rtt_until_us) {
		b->state = BBR_PROBE_BW;
		b->min_rtt_at_us = now_us;
	}
	if (b->state == BBR_PROBE_BW && now_us - b->phase_at_us > b->min_rtt_us) {
		b->phase = (b->phase + 1) % 8;
		b->pacing_gain = gains[b->phase];
		b->phase_at_us = now_us;
	}
	if (b->state == BBR_PROBE_BW && now_us - b->min_rtt_at_us > 10 * US_PER_S) {
		b->state = BBR_PROBE_RTT;
		b->probe_rtt_until_us = 0;
		b->min_rtt_us = t->srtt_us;
	}
}

void sim_bbr_ack(struct sim_tcp *t, const struct sim_segment *sent, uint64_t now_us)
{
	struct sim_bbr *b = &t->bbr;
	uint64_t rtt_us = now_us - sent->sent_us;
	uint64_t span_us = now_us - sent->delivered_us;
	double bw = (double)(t->delivered - sent->delivered)
		    / (double)(span_us < rtt_us ? rtt_us : span_us);

	if (rtt_us <= b->min_rtt_us) {
		b->min_rtt_us = rtt_us;
		b->min_rtt_at_us = now_us;
	}
	if (bw > b->bw[b->round % 10])
		b->bw[b->round % 10] = bw;
	if (sent->delivered >= b->next_round_delivered) {
		b->next_round_delivered = t->delivered;
		bbr_round(b, bbr_bw(b));
	}
	bbr_phase(t, now_us);
}
