/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_sender.h"

#include <weir/base/clock.h>

#include <math.h>
#include <string.h>

#define CUBIC_C        0.4
#define CUBIC_BETA     0.7
#define CWND_MAX       4300.0 /* a receive window of 6 MB */
#define RTO_MIN_US     200000
#define RTO_MAX_US     60000000
#define ACK_OCTETS     52
#define VOICE_OCTETS   200
#define VOICE_EVERY_US 20000
#define DELAYED_ACK_US 40000
#define HYSTART_MIN    8 /* samples a round before it is believed */

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW,
	BBR_PROBE_RTT
};

void sim_sender_init(
	struct sim_sender *s, const struct sim_flow_params *params, uint8_t id, struct rng *rng)
{
	memset(s, 0, sizeof(*s));
	s->params = *params;
	s->id = id;
	s->rto_us = US_PER_S;
	s->min_rtt_us = UINT64_MAX;
	s->cubic.cwnd = 10;
	s->cubic.ssthresh = CWND_MAX;
	s->cubic.round_min_us = UINT64_MAX;
	s->cubic.last_round_min_us = UINT64_MAX;
	s->bbr.pacing_gain = 2.89;
	s->bbr.cwnd_gain = 2.89;
	s->bbr.min_rtt_us = UINT64_MAX;
	s->ts_offset = (uint32_t)rng_next(rng);
	s->next_send_us = params->start_us + rng_below(rng, VOICE_EVERY_US);
}

static bool is_running(const struct sim_sender *s, uint64_t now_us)
{
	return now_us >= s->params.start_us
	       && (s->params.stop_us == 0 || now_us < s->params.stop_us);
}

static double bbr_bw(const struct sim_bbr *b)
{
	double best = 0;

	for (uint32_t i = 0; i < 10; i++)
		best = b->bw[i] > best ? b->bw[i] : best;
	return best;
}

static double window_of(const struct sim_sender *s)
{
	const struct sim_bbr *b = &s->bbr;
	double bdp;

	if (s->params.kind == SIM_CUBIC)
		return s->cubic.cwnd;
	if (b->state == BBR_PROBE_RTT)
		return 4;
	if (b->min_rtt_us == UINT64_MAX || bbr_bw(b) <= 0)
		return 10;
	bdp = bbr_bw(b) * (double)b->min_rtt_us;
	return fmax(4, fmin(CWND_MAX, b->cwnd_gain * bdp + 3));
}

static void emit(struct sim_sender *s, uint64_t now_us, struct sim_queue *out, uint16_t octets)
{
	struct sim_packet p = {.made_us = now_us,
		.delivered = s->delivered,
		.delivered_us = s->delivered_us == 0 ? now_us : s->delivered_us,
		.seq = s->next_seq++,
		.tsval = (uint32_t)(now_us / US_PER_MS) + s->ts_offset,
		.tsecr = s->tsrecent,
		.octets = octets,
		.flow = s->id,
		.kind = s->params.kind <= SIM_BBR ? SIM_DATA : SIM_DATAGRAM};

	sim_queue_put(out, &p);
}

static void time_out(struct sim_sender *s, uint64_t now_us)
{
	struct sim_cubic *c = &s->cubic;

	if (s->n_backoffs == 0) {
		c->before_timeout_cwnd = c->cwnd;
		c->before_timeout_ssthresh = c->ssthresh;
		c->timeout_seq = s->next_seq;
	}
	c->ssthresh = fmax(2, c->cwnd * CUBIC_BETA);
	c->cwnd = 1;
	c->epoch_us = 0;
	s->una = s->next_seq;
	s->n_backoffs++;
	s->rto_us = s->rto_us * 2 > RTO_MAX_US ? RTO_MAX_US : s->rto_us * 2;
	s->last_progress_us = now_us;
}

static void send_datagrams(struct sim_sender *s, uint64_t now_us, struct sim_queue *out)
{
	while (s->next_send_us <= now_us) {
		uint64_t every_us = VOICE_EVERY_US;
		uint16_t octets = VOICE_OCTETS;

		if (s->params.kind == SIM_UDP) {
			octets = SIM_MSS;
			every_us = SIM_MSS * 8 * US_PER_S / s->params.rate_bps;
		}
		emit(s, now_us, out, octets);
		s->next_send_us += every_us == 0 ? 1 : every_us;
	}
}

/* BBR's pacing: packets of credit, of which little is saved up. */
static bool may_pace(struct sim_sender *s, uint64_t now_us)
{
	struct sim_bbr *b = &s->bbr;
	double bw = bbr_bw(b);

	if (s->params.kind != SIM_BBR || bw <= 0)
		return true;
	b->credit += b->pacing_gain * bw * (double)(now_us - b->credited_us);
	b->credited_us = now_us;
	b->credit = fmin(b->credit, 2 + b->pacing_gain * bw * SIM_STEP_US);
	if (b->credit < 1)
		return false;
	b->credit -= 1;
	return true;
}

void sim_sender_send(struct sim_sender *s, uint64_t now_us, struct sim_queue *out)
{
	if (!is_running(s, now_us))
		return;
	if (s->params.kind >= SIM_VOICE) {
		send_datagrams(s, now_us, out);
		return;
	}
	if (s->next_seq != s->una && now_us - s->last_progress_us > s->rto_us)
		time_out(s, now_us);
	while (s->next_seq - s->una < (uint32_t)window_of(s) && may_pace(s, now_us)) {
		if (s->next_seq == s->una)
			s->last_progress_us = now_us;
		emit(s, now_us, out, SIM_MSS);
	}
}

static void measure_rtt(struct sim_sender *s, uint64_t rtt_us)
{
	uint64_t deviation = rtt_us > s->srtt_us ? rtt_us - s->srtt_us : s->srtt_us - rtt_us;

	if (rtt_us < s->min_rtt_us)
		s->min_rtt_us = rtt_us;
	if (s->srtt_us == 0) {
		s->srtt_us = rtt_us;
		s->rttvar_us = rtt_us / 2;
	} else {
		s->rttvar_us = (3 * s->rttvar_us + deviation) / 4;
		s->srtt_us = (7 * s->srtt_us + rtt_us) / 8;
	}
	s->rto_us = s->srtt_us + (4 * s->rttvar_us > RTO_MIN_US ? 4 * s->rttvar_us : RTO_MIN_US);
}

/* RFC 9406: a round whose least delay rose by an eighth ends slow start. */
static void hystart(struct sim_sender *s, uint32_t seq, uint64_t rtt_us)
{
	struct sim_cubic *c = &s->cubic;
	uint64_t rise_us;

	if (rtt_us < c->round_min_us)
		c->round_min_us = rtt_us;
	c->n_round_samples++;
	if (c->last_round_min_us != UINT64_MAX && c->n_round_samples >= HYSTART_MIN) {
		rise_us = c->last_round_min_us / 8;
		rise_us = rise_us < 4000 ? 4000 : rise_us > 16000 ? 16000 : rise_us;
		if (c->round_min_us > c->last_round_min_us + rise_us)
			c->ssthresh = c->cwnd;
	}
	if ((int32_t)(seq - c->round_seq) >= 0) {
		c->last_round_min_us = c->round_min_us;
		c->round_min_us = UINT64_MAX;
		c->n_round_samples = 0;
		c->round_seq = s->next_seq;
	}
}

static void cubic_grow(struct sim_sender *s, uint32_t n_acked, uint64_t now_us)
{
	struct sim_cubic *c = &s->cubic;
	double t_s, target;

	if (c->cwnd < c->ssthresh) {
		c->cwnd = fmin(c->cwnd + n_acked, CWND_MAX);
		return;
	}
	if (c->epoch_us == 0) {
		c->epoch_us = now_us;
		if (c->w_max < c->cwnd)
			c->w_max = c->cwnd;
		c->k_s = cbrt((c->w_max - c->cwnd) / CUBIC_C);
	}
	t_s = (double)(now_us - c->epoch_us + s->srtt_us) / (double)US_PER_S;
	target = CUBIC_C * pow(t_s - c->k_s, 3) + c->w_max;
	/* RFC 9438 section 4.3: not slower than Reno would be. */
	target = fmax(target, c->w_max * CUBIC_BETA
				      + 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA)
						* (double)(now_us - c->epoch_us)
						/ (double)(s->srtt_us == 0 ? 1 : s->srtt_us));
	target = fmin(target, 1.5 * c->cwnd);
	if (target > c->cwnd)
		c->cwnd += (target - c->cwnd) / c->cwnd * n_acked;
	else
		c->cwnd += 0.01 * n_acked / c->cwnd;
	c->cwnd = fmin(c->cwnd, CWND_MAX);
}

static void cubic_loss(struct sim_sender *s)
{
	struct sim_cubic *c = &s->cubic;

	c->w_max = c->cwnd < c->w_max ? c->cwnd * (1 + CUBIC_BETA) / 2 : c->cwnd;
	c->cwnd = fmax(2, c->cwnd * CUBIC_BETA);
	c->ssthresh = c->cwnd;
	c->epoch_us = 0;
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
		b->pacing_gain = 1 / 2.89;
	}
}

static void bbr_phase(struct sim_sender *s, uint64_t now_us)
{
	static const double gains[8] = {1.25, 0.75, 1, 1, 1, 1, 1, 1};
	struct sim_bbr *b = &s->bbr;

	if (b->state == BBR_DRAIN && s->next_seq - s->una <= bbr_bw(b) * (double)b->min_rtt_us) {
		b->state = BBR_PROBE_BW;
		b->cwnd_gain = 2;
		b->phase_at_us = 0;
	}
	if (b->state == BBR_PROBE_RTT && b->probe_rtt_until_us == 0 && s->next_seq - s->una <= 4)
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
		b->min_rtt_us = s->srtt_us;
	}
}

static void bbr_ack(struct sim_sender *s, const struct sim_packet *ack, uint64_t now_us)
{
	struct sim_bbr *b = &s->bbr;
	uint64_t rtt_us = now_us - ack->made_us;
	uint64_t span_us = now_us - ack->delivered_us;
	double bw = (double)(s->delivered - ack->delivered)
		    / (double)(span_us < rtt_us ? rtt_us : span_us);

	if (rtt_us <= b->min_rtt_us) {
		b->min_rtt_us = rtt_us;
		b->min_rtt_at_us = now_us;
	}
	if (bw > b->bw[b->round % 10])
		b->bw[b->round % 10] = bw;
	if (ack->delivered >= b->next_round_delivered) {
		b->next_round_delivered = s->delivered;
		bbr_round(b, bbr_bw(b));
	}
	bbr_phase(s, now_us);
}

void sim_sender_ack(struct sim_sender *s, const struct sim_packet *ack, uint64_t now_us)
{
	uint32_t n_acked = ack->n_received - s->n_acked;
	uint32_t n_lost = ack->seq + 1 - ack->n_received;
	bool is_new_loss = n_lost > s->n_lost && (int32_t)(ack->seq - s->recover_seq) >= 0;
	uint64_t rtt_us = now_us - ack->made_us;

	if ((int32_t)n_acked <= 0)
		return;
	if (s->n_backoffs > 0 && (int32_t)(ack->seq - s->cubic.timeout_seq) < 0) {
		s->cubic.cwnd = s->cubic.before_timeout_cwnd;
		s->cubic.ssthresh = s->cubic.before_timeout_ssthresh;
		s->una = ack->seq + 1;
	}
	s->n_backoffs = 0;
	s->n_acked = ack->n_received;
	s->n_lost = n_lost > s->n_lost ? n_lost : s->n_lost;
	s->tsrecent = ack->tsval;
	s->delivered += n_acked;
	s->delivered_us = now_us;
	s->last_progress_us = now_us;
	if ((int32_t)(ack->seq + 1 - s->una) > 0)
		s->una = ack->seq + 1;
	measure_rtt(s, rtt_us);
	if (s->params.kind == SIM_BBR) {
		bbr_ack(s, ack, now_us);
		return;
	}
	if (s->cubic.cwnd < s->cubic.ssthresh)
		hystart(s, ack->seq, rtt_us);
	if (is_new_loss) {
		s->recover_seq = s->next_seq;
		cubic_loss(s);
	} else if ((int32_t)(ack->seq - s->recover_seq) >= 0)
		cubic_grow(s, n_acked, now_us);
}

static void acknowledge(struct sim_receiver *r, uint64_t now_us, struct sim_queue *out)
{
	struct sim_packet ack = r->last;

	ack.kind = SIM_ACK;
	ack.octets = ACK_OCTETS;
	ack.n_received = r->n_received;
	ack.seq = r->last_seq;
	ack.tsecr = r->last.tsval;
	ack.tsval = (uint32_t)(now_us / US_PER_MS) + r->ts_offset;
	ack.waited_us = 0;
	r->n_unacked = 0;
	sim_queue_put(out, &ack);
}

void sim_receiver_take(
	struct sim_receiver *r, const struct sim_packet *p, uint64_t now_us, struct sim_queue *out)
{
	bool is_gap = p->seq != r->last_seq + 1;

	r->n_received++;
	r->last_seq = p->seq;
	/* RFC 7323 section 4.3: the time of the first packet that the ACK covers. */
	if (r->n_unacked++ == 0) {
		r->last = *p;
		r->unacked_since_us = now_us;
	}
	if (r->n_unacked >= 2 || is_gap)
		acknowledge(r, now_us, out);
}

void sim_receiver_run(struct sim_receiver *r, uint64_t now_us, struct sim_queue *out)
{
	if (r->n_unacked > 0 && now_us - r->unacked_since_us >= DELAYED_ACK_US)
		acknowledge(r, now_us, out);
}
