/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/shape/link_rate.h>

#include <string.h>

#ifdef TUNE
extern int64_t T_TARGET, T_TAU, T_SMOOTH, T_FLOORPCT, T_CEILPCT, T_DSMOOTH, T_DTARGET, T_DTAU, T_CEILD, T_UPG;
#else
#define T_TARGET 20000
#define T_TAU 60000
#define T_SMOOTH 100000
#define T_FLOORPCT 10
#define T_CEILPCT 150
#define T_DTARGET 20000
#define T_DTAU 60000
#define T_DSMOOTH 100000
#define T_CEILD 150
#define T_UPG 25
#endif

#define BASE_SPAN_US (10 * US_PER_S)
#define FRESH_US     (300 * US_PER_MS) /* evidence of a queue holds so long */

static int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t clamp_i64(int64_t v, int64_t low, int64_t high)
{
	return max_i64(low, min_i64(v, high));
}

void link_rate_init(struct link_rate *l, const struct link_rate_params *params)
{
	memset(l, 0, sizeof(*l));
	l->params = *params;
	for (int d = 0; d < N_DIRECTIONS; d++) {
		l->way[d].rate_bps = params->start_bps[d];
		l->way[d].carried_bps = params->start_bps[d];
		l->way[d].least_us = INT64_MAX;
	}
}

/* Takes a value in; returns the least by now. */
static int64_t least_take(struct link_rate_least *m, int64_t value, uint64_t now_us)
{
	if (m->turned_us == 0)
		m->turned_us = now_us;
	if (now_us - m->turned_us > BASE_SPAN_US) {
		m->before = m->now;
		m->has_before = m->has_now;
		m->has_now = false;
		m->turned_us = now_us;
	}
	if (!m->has_now || value < m->now)
		m->now = value;
	m->has_now = true;
	return m->has_before ? min_i64(m->now, m->before) : m->now;
}

static struct link_rate_path *path_of(struct link_rate *l, uint32_t path, uint64_t now_us)
{
	struct link_rate_path *oldest = &l->paths[0];

	for (uint32_t i = 0; i < LINK_RATE_PATHS; i++) {
		struct link_rate_path *p = &l->paths[i];

		if (p->used_us != 0 && p->path == path) {
			p->used_us = now_us;
			return p;
		}
		if (p->used_us < oldest->used_us)
			oldest = p;
	}
	*oldest = (struct link_rate_path){.path = path, .used_us = now_us};
	return oldest;
}

/* Octets that had left by the uplink at `us`. */
static uint64_t octets_at(const struct link_rate *l, uint64_t us)
{
	uint32_t n = l->n_marks < LINK_RATE_MARKS ? l->n_marks : LINK_RATE_MARKS;
	const struct link_rate_mark *after = NULL;

	for (uint32_t i = 1; i <= n; i++) {
		const struct link_rate_mark *m = &l->marks[(l->n_marks - i) % LINK_RATE_MARKS];

		if (m->at_us <= us) {
			if (after == NULL)
				return m->octets;
			return m->octets
			       + (after->octets - m->octets) * (us - m->at_us)
					 / (after->at_us - m->at_us);
		}
		after = m;
	}
	return after == NULL ? 0 : after->octets;
}

static void saw_queue(struct link_rate *l, enum direction d, int64_t queue_us, uint64_t now_us)
{
	struct link_rate_way *w = &l->way[d];

	w->least_us = min_i64(w->least_us, max_i64(queue_us, 0));
	w->queue_at_us = now_us;
}

#define STANDS_US (10 * (int64_t)US_PER_MS) /* a queue, and not the jitter of grants */

/* Moves what a direction carries towards what it was seen to carry in a span. Less is believed only while a queue stood. */
static void follow(struct link_rate_way *w, uint64_t octets, uint64_t span_us, bool is_full, int64_t smooth)
{
	int64_t seen_bps = (int64_t)(octets * 8 * US_PER_S / span_us);
	int64_t step = (seen_bps - (int64_t)w->carried_bps) * min_i64((int64_t)span_us, smooth)
		       / smooth;

	if (step > 0 || is_full)
		w->carried_bps = (uint64_t)((int64_t)w->carried_bps + step);
}

void link_rate_sample(struct link_rate *l, const struct link_rate_sample *s)
{
	struct link_rate_path *p = path_of(l, s->path, s->now_us);
	int64_t down_us = -1;

	if (s->has_remote) {
		int64_t way_us;

		p->remote_us += (int32_t)(s->remote_us - p->remote_last_us);
		p->remote_last_us = s->remote_us;
		way_us = (int64_t)s->now_us - p->remote_us;
		down_us = way_us - least_take(&p->down_us, way_us, s->now_us);
		saw_queue(l, DOWNLINK, down_us, s->now_us);
		l->n_one_way++;
	}
	if (s->sent_us != 0 && s->sent_us <= s->now_us) {
		int64_t rtt_us = (int64_t)(s->now_us - s->sent_us);
		int64_t base_us = least_take(&p->rtt_us, rtt_us, s->now_us);
		int64_t queue_us = rtt_us - base_us;

		l->n_samples[s->source]++;
		l->base_rtt_us = (uint64_t)base_us;
		if (down_us >= 0)
			queue_us -= down_us;
		else
			saw_queue(l, DOWNLINK, queue_us, s->now_us);
		saw_queue(l, UPLINK, queue_us, s->now_us);
		if (s->sent_us >= l->confirmed_sent_us) {
			uint64_t octets = octets_at(l, s->sent_us);
			uint64_t at_us = s->now_us - (uint64_t)max_i64(down_us, 0);

			if (at_us > l->confirmed_at_us + 4000 && octets >= l->confirmed_octets) {
				follow(&l->way[UPLINK], octets - l->confirmed_octets,
					at_us - l->confirmed_at_us, queue_us > STANDS_US, T_SMOOTH);
				l->confirmed_sent_us = s->sent_us;
				l->confirmed_at_us = at_us;
				l->confirmed_octets = octets;
			}
		}
	}
}

#define OCTETS_LEAST 3000 /* two packets: less cannot be told from none */

/* Octets that pass in `us` at `bps`. */
static int64_t octets_in(uint64_t bps, int64_t us)
{
	return (int64_t)(bps / 1000) * us / 8000;
}

/* The rate that brings a queue to its target within `tau`. */
static void move_rate(struct link_rate *l, enum direction d, int64_t queue, int64_t target_us, int64_t tau, int64_t ceil_pct)
{
	struct link_rate_way *w = &l->way[d];
	int64_t target = max_i64(octets_in(w->carried_bps, target_us), OCTETS_LEAST);
	int64_t carried = (int64_t)w->carried_bps;
	int64_t rate = carried + (target - queue) * 8 * 1000000 / tau;

	rate = clamp_i64(rate, carried * T_FLOORPCT / 100, max_i64(carried * ceil_pct / 100, 500000));
	w->rate_bps = (uint64_t)clamp_i64(
		rate, (int64_t)l->params.min_bps[d], (int64_t)l->params.max_bps[d]);
	w->carried_bps = (uint64_t)clamp_i64((int64_t)w->carried_bps, (int64_t)l->params.min_bps[d],
		(int64_t)l->params.max_bps[d]);
}

static void tick_downlink(struct link_rate *l, const struct link_rate_tick *t, uint64_t span_us)
{
	struct link_rate_way *w = &l->way[DOWNLINK];
	uint64_t octets = t->octets[DOWNLINK] - w->last_octets;

	if (w->least_us != INT64_MAX)
		w->queue_us = w->least_us;
	else if (t->now_us - w->queue_at_us > FRESH_US)
		w->queue_us = 0;
	follow(w, octets, span_us, w->queue_us > STANDS_US, T_DSMOOTH);
	move_rate(l, DOWNLINK, octets_in(w->carried_bps, w->queue_us), T_DTARGET, T_DTAU, T_CEILD);
}

/* Octets that stand at the modem, as far as they can be told from what is known to have arrived. */
static int64_t uplink_queue(const struct link_rate *l, const struct link_rate_tick *t)
{
	const struct link_rate_way *w = &l->way[UPLINK];
	int64_t back_us = (int64_t)l->base_rtt_us;
	int64_t sent = (int64_t)(t->octets[UPLINK] - l->confirmed_octets);
	int64_t since_us = (int64_t)(t->now_us - l->confirmed_at_us) + back_us;
	int64_t got = octets_in(w->carried_bps, since_us);

	/* A question that should have been answered has not arrived: no more than what went before it. */
	if (t->waiting_us != 0 && (int64_t)(t->now_us - t->waiting_us) > back_us + 10000) {
		int64_t most = (int64_t)(octets_at(l, t->waiting_us) - l->confirmed_octets);

		if (most >= 0)
			got = min_i64(got, most + octets_in(w->carried_bps, back_us));
	}
	return max_i64(sent - got, 0);
}

static void tick_uplink(struct link_rate *l, const struct link_rate_tick *t, uint64_t span_us)
{
	struct link_rate_way *w = &l->way[UPLINK];
	int64_t queue;

	l->marks[l->n_marks++ % LINK_RATE_MARKS] =
		(struct link_rate_mark){.at_us = t->now_us, .octets = t->octets[UPLINK]};
	queue = uplink_queue(l, t);
	(void)span_us;
	move_rate(l, UPLINK, queue, T_TARGET, T_TAU, T_CEILPCT);
	w->queue_us = queue * 8 * 1000000 / max_i64((int64_t)w->carried_bps, 8000);
}

void link_rate_tick(struct link_rate *l, const struct link_rate_tick *t)
{
	uint64_t span_us = t->now_us - l->now_us;

	if (span_us == 0)
		return;
	tick_uplink(l, t, span_us);
	tick_downlink(l, t, span_us);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		l->way[d].last_octets = t->octets[d];
		l->way[d].least_us = INT64_MAX;
	}
	l->now_us = t->now_us;
}

uint64_t link_rate_bps(const struct link_rate *l, enum direction direction)
{
	return l->way[direction].rate_bps;
}

uint64_t link_rate_queue_us(const struct link_rate *l, enum direction direction)
{
	return (uint64_t)max_i64(l->way[direction].queue_us, 0);
}
