/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_tcp.h"

#include <weir/base/clock.h>

#include <stddef.h>
#include <string.h>

#define INITIAL_WINDOW 10
#define RTO_MIN_US     200000
#define RTO_MAX_US     60000000
#define DUPLICATES     3 /* RFC 8985 section 6.2: then nothing waits for a reordering */

/* What an ACK tells. */
struct news {
	uint32_t n_came;
	uint32_t n_acked; /* of them in order */
	uint64_t first_us,
		last_us; /* of those that were sent once: when the first and the last were sent; 0: none */
	bool is_original; /* one came of those that a time-out took for lost */
	struct sim_segment newest;
};

void sim_tcp_init(struct sim_tcp *t, uint8_t flow, bool is_bbr, uint32_t ts_offset)
{
	memset(t, 0, offsetof(struct sim_tcp, segments));
	t->flow = flow;
	t->is_bbr = is_bbr;
	t->ts_offset = ts_offset;
	t->cwnd = INITIAL_WINDOW;
	t->ssthresh = UINT32_MAX;
	t->rto_us = US_PER_S;
	t->min_rtt_us = UINT64_MAX;
	sim_cubic_reset(&t->cubic);
	sim_bbr_init(&t->bbr);
}

static struct sim_segment *segment(struct sim_tcp *t, uint32_t seq)
{
	return &t->segments[seq % SIM_WINDOW];
}

uint32_t sim_tcp_in_flight(const struct sim_tcp *t)
{
	return t->next - t->una - t->n_sacked - t->n_lost + t->n_again;
}

/* --- what is in flight --- */

static void transmit(struct sim_tcp *t, uint32_t seq, uint64_t now_us, struct sim_queue *out)
{
	struct sim_segment *s = segment(t, seq);
	struct sim_packet p = {.made_us = now_us,
		.seq = seq,
		.tsval = (uint32_t)(now_us / US_PER_MS) + t->ts_offset,
		.tsecr = t->tsrecent,
		.octets = SIM_FULL_OCTETS,
		.flow = t->flow,
		.kind = SIM_DATA};

	if (sim_tcp_in_flight(t) == 0)
		t->delivered_us = now_us;
	s->sent_us = now_us;
	s->order = ++t->order;
	s->delivered = t->delivered;
	s->delivered_us = t->delivered_us;
	t->prr_sent++;
	sim_queue_put(out, &p);
}

static bool send_again(struct sim_tcp *t, uint64_t now_us, struct sim_queue *out)
{
	if (t->n_to_send_again == 0)
		return false;
	while ((segment(t, t->again_from)->flags & (SIM_LOST | SIM_AGAIN)) != SIM_LOST)
		t->again_from++;
	transmit(t, t->again_from, now_us, out);
	segment(t, t->again_from)->flags |= SIM_AGAIN | SIM_WAS_AGAIN;
	t->n_to_send_again--;
	t->n_again++;
	if (t->again_us == 0)
		t->again_us = now_us;
	return true;
}

static bool send_more(struct sim_tcp *t, uint64_t now_us, struct sim_queue *out)
{
	if (t->next - t->una >= SIM_WINDOW_MAX)
		return false;
	if (t->next == t->una)
		t->progress_us = now_us;
	segment(t, t->next)->flags = 0;
	transmit(t, t->next, now_us, out);
	t->next++;
	return true;
}

/* Lost, for the first time or once more. */
static void mark_lost(struct sim_tcp *t, uint32_t seq)
{
	struct sim_segment *s = segment(t, seq);

	if ((s->flags & SIM_AGAIN) != 0)
		t->n_again--;
	if ((s->flags & (SIM_LOST | SIM_AGAIN)) != SIM_LOST)
		t->n_to_send_again++;
	if ((s->flags & SIM_LOST) == 0)
		t->n_lost++;
	s->flags = (uint8_t)((s->flags | SIM_LOST) & ~SIM_AGAIN);
	if ((int32_t)(seq - t->again_from) < 0)
		t->again_from = seq;
}

static void unmark_lost(struct sim_tcp *t, struct sim_segment *s)
{
	if ((s->flags & SIM_LOST) != 0)
		t->n_lost--;
	if ((s->flags & (SIM_LOST | SIM_AGAIN)) == SIM_LOST)
		t->n_to_send_again--;
	if ((s->flags & SIM_AGAIN) != 0)
		t->n_again--;
	s->flags &= (uint8_t) ~(SIM_LOST | SIM_AGAIN);
}

/* --- time-outs --- */

static void keep_prior(struct sim_tcp *t)
{
	uint32_t most = t->cwnd - t->cwnd / 4;

	t->prior_cwnd = t->cwnd;
	t->prior_ssthresh = t->ssthresh > most ? t->ssthresh : most;
}

static void time_out(struct sim_tcp *t, uint64_t now_us)
{
	if (t->state == SIM_TCP_OPEN || (t->state == SIM_TCP_LOSS && t->n_backoffs == 0)) {
		keep_prior(t);
		t->ssthresh = sim_cubic_lose(t);
	}
	for (uint32_t seq = t->una; seq != t->next; seq++)
		if ((segment(t, seq)->flags & SIM_SACKED) == 0)
			mark_lost(t, seq);
	t->cwnd = sim_tcp_in_flight(t) + 1;
	t->high = t->next;
	t->state = SIM_TCP_LOSS;
	t->again_us = 0;
	sim_cubic_reset(&t->cubic);
	t->n_backoffs++;
	t->rto_us = t->rto_us * 2 > RTO_MAX_US ? RTO_MAX_US : t->rto_us * 2;
	t->timed_out_us = now_us;
}

/* Counted from the oldest segment, but (RFC 8985 section 7) no earlier than a probe of two round trips could have been answered. */
static bool is_timed_out(struct sim_tcp *t, uint64_t now_us)
{
	uint64_t from_us;

	if (t->next == t->una)
		return false;
	if (t->n_backoffs > 0)
		return now_us - t->timed_out_us > t->rto_us;
	from_us = segment(t, t->una)->sent_us;
	return now_us - from_us > t->rto_us && now_us - t->progress_us > 2 * t->srtt_us;
}

void sim_tcp_send(struct sim_tcp *t, uint64_t now_us, struct sim_queue *out)
{
	if (is_timed_out(t, now_us))
		time_out(t, now_us);
	if (t->is_bbr)
		t->cwnd = sim_bbr_window(t);
	while (sim_tcp_in_flight(t) < t->cwnd && (!t->is_bbr || sim_bbr_pace(t, now_us)))
		if (!send_again(t, now_us, out) && !send_more(t, now_us, out))
			return;
}

/* --- acknowledgements --- */

static void came(struct sim_tcp *t, struct sim_segment *s, struct news *n)
{
	n->n_came++;
	t->delivered++;
	if ((s->flags & SIM_WAS_AGAIN) == 0) {
		if (n->first_us == 0)
			n->first_us = s->sent_us;
		n->last_us = s->sent_us;
		n->is_original = true;
	}
	if ((int32_t)(s->order - n->newest.order) > 0 || n->n_came == 1)
		n->newest = *s;
	unmark_lost(t, s);
}

static void take_in_order(struct sim_tcp *t, uint32_t ack, struct news *n)
{
	for (; (int32_t)(ack - t->una) > 0; t->una++) {
		struct sim_segment *s = segment(t, t->una);

		if ((s->flags & SIM_SACKED) != 0)
			t->n_sacked--;
		else
			came(t, s, n);
		s->flags = 0;
		n->n_acked++;
	}
	if ((int32_t)(t->una - t->again_from) > 0)
		t->again_from = t->una;
}

static void take_block(struct sim_tcp *t, const struct sim_block *b, struct news *n)
{
	uint32_t seq = (int32_t)(b->first - t->una) > 0 ? b->first : t->una;

	for (; (int32_t)(b->end - seq) > 0; seq++) {
		struct sim_segment *s = segment(t, seq);

		if ((s->flags & SIM_SACKED) != 0)
			continue;
		came(t, s, n);
		s->flags |= SIM_SACKED;
		t->n_sacked++;
	}
}

static void measure_rtt(struct sim_tcp *t, uint64_t rtt_us)
{
	uint64_t deviation = rtt_us > t->srtt_us ? rtt_us - t->srtt_us : t->srtt_us - rtt_us;

	if (rtt_us < t->min_rtt_us)
		t->min_rtt_us = rtt_us;
	if (t->srtt_us == 0) {
		t->srtt_us = rtt_us;
		t->rttvar_us = rtt_us / 2;
	} else {
		t->rttvar_us = (3 * t->rttvar_us + deviation) / 4;
		t->srtt_us = (7 * t->srtt_us + rtt_us) / 8;
	}
	t->rto_us = t->srtt_us + (4 * t->rttvar_us > RTO_MIN_US ? 4 * t->rttvar_us : RTO_MIN_US);
}

/* RFC 8985: what was sent before the newest that has come is lost; while that is little and nothing has been lost yet, only
 * when it is late. Returns how many. */
static uint32_t find_lost(struct sim_tcp *t, uint64_t now_us)
{
	bool is_certain = t->state != SIM_TCP_OPEN || t->n_sacked >= DUPLICATES;
	uint64_t late_us = t->newest_rtt_us + t->min_rtt_us / 4;
	uint32_t n = 0;

	if (t->n_sacked == 0 && t->state == SIM_TCP_OPEN)
		return 0;
	for (uint32_t seq = t->una; seq != t->next; seq++) {
		struct sim_segment *s = segment(t, seq);

		if ((s->flags & SIM_SACKED) != 0 || (int32_t)(t->newest_order - s->order) <= 0
			|| (s->flags & (SIM_LOST | SIM_AGAIN)) == SIM_LOST)
			continue;
		if (!is_certain && now_us - s->sent_us < late_us)
			continue;
		mark_lost(t, seq);
		n++;
	}
	return n;
}

static void enter_recovery(struct sim_tcp *t)
{
	keep_prior(t);
	t->ssthresh = sim_cubic_lose(t);
	t->high = t->next;
	t->prr_delivered = 0;
	t->prr_sent = 0;
	t->state = SIM_TCP_RECOVERY;
}

/* RFC 6937, as revised: the window comes down to its new size by as much as has come. */
static void reduce(struct sim_tcp *t, const struct news *n, uint32_t n_lost)
{
	int64_t in_flight = sim_tcp_in_flight(t);
	int64_t room = (int64_t)t->ssthresh - in_flight;
	int64_t sent = t->prr_sent;
	int64_t may;

	if (n->n_came == 0)
		return;
	t->prr_delivered += n->n_came;
	if (room < 0) {
		may = ((int64_t)t->ssthresh * t->prr_delivered + t->prior_cwnd - 1) / t->prior_cwnd
		      - sent;
	} else {
		may = (int64_t)t->prr_delivered - sent;
		if (may < (int64_t)n->n_came)
			may = n->n_came;
		may += n->n_acked > 0 && n_lost == 0;
		may = may > room ? room : may;
	}
	if (sent == 0 && may < 1)
		may = 1;
	t->cwnd = (uint32_t)(in_flight + (may > 0 ? may : 0));
}

/* After a time-out: what was never sent again, or an answer to what was sent before that, proves that nothing was lost. */
static bool is_spurious(const struct sim_tcp *t, const struct sim_packet *ack, const struct news *n)
{
	if (n->n_acked == 0)
		return false;
	return n->is_original
	       || (t->has_timestamps && (t->again_us == 0 || ack->made_us < t->again_us));
}

static void undo(struct sim_tcp *t)
{
	for (uint32_t seq = t->una; seq != t->next; seq++)
		unmark_lost(t, segment(t, seq));
	t->cwnd = t->cwnd > t->prior_cwnd ? t->cwnd : t->prior_cwnd;
	t->ssthresh = t->ssthresh > t->prior_ssthresh ? t->ssthresh : t->prior_ssthresh;
	t->state = SIM_TCP_OPEN;
}

static void move_window(struct sim_tcp *t, const struct news *n, uint64_t now_us)
{
	uint32_t n_lost = find_lost(t, now_us);

	if (t->state == SIM_TCP_OPEN && n_lost > 0)
		enter_recovery(t);
	if (t->state == SIM_TCP_RECOVERY)
		reduce(t, n, n_lost);
	else if (n->n_came > 0)
		sim_cubic_grow(t, n->n_came, now_us);
}

void sim_tcp_ack(struct sim_tcp *t, const struct sim_packet *ack, uint64_t now_us)
{
	struct news n = {0};

	t->tsrecent = ack->tsval;
	take_in_order(t, ack->ack, &n);
	for (uint32_t i = 0; i < ack->n_sacks; i++)
		take_block(t, &ack->sacks[i], &n);
	if (n.n_came > 0) {
		t->delivered_us = now_us;
		if ((int32_t)(n.newest.order - t->newest_order) > 0) {
			t->newest_order = n.newest.order;
			t->newest_rtt_us = now_us - n.newest.sent_us;
		}
	}
	if (n.first_us != 0) {
		measure_rtt(t, now_us - n.first_us);
		sim_cubic_measure(t, now_us - n.last_us, now_us);
	}
	if (t->is_bbr && n.n_came > 0)
		sim_bbr_ack(t, &n.newest, now_us);
	if (t->state == SIM_TCP_LOSS && is_spurious(t, ack, &n))
		undo(t);
	if (t->state == SIM_TCP_RECOVERY && (int32_t)(t->una - t->high) >= 0)
		t->cwnd = t->ssthresh;
	if (t->state != SIM_TCP_OPEN && (int32_t)(t->una - t->high) >= 0)
		t->state = SIM_TCP_OPEN;
	if (n.n_acked > 0) {
		t->progress_us = now_us;
		t->n_backoffs = 0;
	}
	move_window(t, &n, now_us);
}
