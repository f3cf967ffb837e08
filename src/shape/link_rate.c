/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/shape/link_rate.h>

#include <string.h>

#define MS(n) ((int64_t)(n) * (int64_t)US_PER_MS)

/* Bases of delay */
#define LASTING_US     (30 * US_PER_S) /* one holds 30 to 60 s without being seen again */
#define DRAIN_EVERY_US (25 * US_PER_S) /* so that each LASTING_US sees one */
#define SUSPECT_US                                                                                 \
	(2 * US_PER_S) /* or earlier, when a cut rate has not brought a delay down for so long */
#define DRAIN_US      (100 * US_PER_MS) /* besides a round trip, and twice what the target takes */
#define DRAIN_MAX_US  ((int64_t)US_PER_S)
#define SETTLED_US    (100 * US_PER_MS) /* after a drain: what comes now has seen it */
#define STEADY_MS     40 /* a way varies less; a queue that is let run dry falls by more */
#define TOLD_US       (5 * US_PER_S)    /* a handover that the modem told is looked for so long */
#define TOLD_AFTER_US (200 * US_PER_MS) /* answers to what left before have come by then */
#define MOVE_MAX_MS   300               /* no handover or route adds more */

/* Evidence */
#define STANDS_MS  10  /* a queue, and not the jitter of grants and retransmissions */
#define LATE_MS    60  /* no remote waits for a second segment so long */
#define OVERDUE_MS 10  /* an answer so much later than its base waits behind a queue */
#define OUTAGE_MS  150 /* in which an overdue answer halves what is sent after it */
#define FRESH_US   (300 * US_PER_MS) /* what was seen of a queue holds so long */
#define BLIND_US   (1 * US_PER_S)    /* without evidence for so long, nothing is known of queues */
#define SPACING_US (4 * US_PER_MS)   /* two answers as close as that tell no rate */

/* Octets and rates */
#define OCTETS_LEAST     4500 /* three packets: radios serve in grants of some, with pauses between */
#define RATE_LEAST       500000 /* up to here growth is not bounded by a factor */
#define PEAK_SHIFT       10     /* a peak is forgotten over 1024 ticks, 10 to 20 s */
#define SPAN_MAX_US      (60 * (int64_t)US_PER_S) /* this, and the next: sums stay far from 2^63 */
#define QUEUE_MAX_OCTETS (INT64_C(1) << 30)

/* RFC 8289's 5 and 100 ms suit a rate that stands still. Here each dip is longer than that: senders cut back at each would
 * leave the radio idle when it is back. */
#define WILD_TARGET_US   (50 * US_PER_MS)
#define WILD_INTERVAL_US (200 * US_PER_MS)
#define OUT_OF_HAND_US   MS(150)
#define LEAST_PERCENT    60 /* then the queue is better here, where calls pass it, than at the radio */

/*
 * How a direction's rate follows its queue. The uplink's stands behind the shaper and obeys it at once. The downlink's
 * stands before it, and obeys by way of senders a round trip later: hard brakes there let the radio run dry. (CoDel sees
 * that queue, too, and makes senders give way.)
 */
struct law {
	int64_t target_us;                   /* of the queue at the radio */
	int64_t settle_us;                   /* in which it is brought there */
	int64_t follow_us;                   /* over which what is carried is averaged */
	int64_t least_percent, most_percent; /* of what is carried */
};

static const struct law laws[N_DIRECTIONS] = {
	[UPLINK] = {30000, 120000, 25000, 20, 150}, [DOWNLINK] = {20000, 120000, 60000, 85, 150}};

/* The most that a technology carries (3GPP TS 25.306, 36.306, 45.820), in kbit/s. What says LTE may have 5G beside it. */
static const uint32_t technology_kbps[LINK_RATE_TECHNOLOGIES][N_DIRECTIONS] = {
	[LINK_RATE_UNKNOWN] = {UINT32_MAX, UINT32_MAX},
	[LINK_RATE_2G] = {240, 300},
	[LINK_RATE_3G] = {23000, 84000},
	[LINK_RATE_NB_IOT] = {160, 130},
	[LINK_RATE_LTE_M] = {3000, 4000},
	[LINK_RATE_LTE] = {UINT32_MAX, UINT32_MAX},
	[LINK_RATE_NR] = {UINT32_MAX, UINT32_MAX}};

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

/* Octets that pass in `us` at `bps`; of long spans, in the first minute. */
static int64_t octets_in(uint64_t bps, int64_t us)
{
	return (int64_t)(bps / 1000) * min_i64(us, SPAN_MAX_US) / 8000;
}

static int64_t within_bounds(const struct link_rate *l, enum direction d, int64_t bps)
{
	int64_t least = (int64_t)l->params.min_bps[d];

	return clamp_i64(bps, least, max_i64((int64_t)l->params.max_bps[d], least));
}

static void forget_paths(struct link_rate *l)
{
	memset(l->paths, 0, sizeof(l->paths));
}

void link_rate_init(struct link_rate *l, const struct link_rate_params *params)
{
	memset(l, 0, sizeof(*l));
	l->params = *params;
	l->was_up = true;
	for (int d = 0; d < N_DIRECTIONS; d++) {
		l->way[d].rate_bps = params->start_bps[d];
		l->way[d].carried_bps = params->start_bps[d];
		l->way[d].least_us = INT64_MAX;
	}
}

static void keep_bounds(struct link_rate *l)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct link_rate_way *w = &l->way[d];

		w->rate_bps = (uint64_t)within_bounds(l, (enum direction)d, (int64_t)w->rate_bps);
		w->carried_bps =
			(uint64_t)within_bounds(l, (enum direction)d, (int64_t)w->carried_bps);
	}
}

void link_rate_set_params(struct link_rate *l, const struct link_rate_params *params)
{
	l->params = *params;
	keep_bounds(l);
}

static bool is_another_cell(const struct link_rate_hint *before, const struct link_rate_hint *now)
{
	return (before->technology != LINK_RATE_UNKNOWN && now->technology != LINK_RATE_UNKNOWN
		       && before->technology != now->technology)
	       || (before->cell != 0 && now->cell != 0 && before->cell != now->cell);
}

/* Bases are not forgotten: a queue that stands would be the next one. */
void link_rate_hint(struct link_rate *l, const struct link_rate_hint *h)
{
	bool has_moved = is_another_cell(&l->hint, h);

	if (h->technology >= LINK_RATE_TECHNOLOGIES)
		return;
	for (int d = 0; d < N_DIRECTIONS && has_moved; d++) {
		struct link_rate_way *w = &l->way[d];

		if (w->told_us != 0 && l->now_us - w->told_us < TOLD_US)
			continue; /* a modem between two cells costs no more than this */
		w->told_us = l->now_us;
	}
	l->hint = *h;
}

/* Takes a value in; returns the least by now. */
static int64_t least_take(
	struct link_rate_least *m, uint64_t span_us, int64_t value, uint64_t now_us)
{
	if (!m->has_now && !m->has_before)
		m->turned_us = now_us;
	if (now_us - m->turned_us > span_us) {
		m->before = m->now;
		m->has_before = m->has_now && now_us - m->turned_us <= 2 * span_us;
		m->has_now = false;
		m->turned_us = now_us;
	}
	if (!m->has_now || value < m->now)
		m->now = value;
	m->has_now = true;
	return m->has_before ? min_i64(m->now, m->before) : m->now;
}

static bool is_slow(const struct link_rate_way *w)
{
	return w->rate_bps < w->peak_bps / 2;
}

static bool was_told(const struct link_rate_way *w, uint64_t now_us)
{
	return w->told_us != 0 && now_us - w->told_us < TOLD_US;
}

/* True when the rate has been cut (or the modem told of it), the queue has been let run dry, and the delay has neither come near its base nor moved
 * as that of a queue would. */
static bool has_moved(const struct link_rate_base *b, const struct link_rate_way *w,
	int64_t base_us, uint64_t now_us)
{
	return (is_slow(w) || was_told(w, now_us)) && now_us > w->drained_us + SETTLED_US
	       && now_us < w->drained_us + US_PER_S && b->drained_us > base_us + MS(STANDS_MS)
	       && b->drained_us < base_us + MS(MOVE_MAX_MS)
	       && b->most_us - b->drained_us < MS(STEADY_MS);
}

/*
 * Takes a delay of a direction in; returns how far it lies above its base. When it stays there with the queue run dry, the
 * way itself has become longer (a handover, a route): the base is what has been seen since.
 */
static int64_t above_base(
	struct link_rate_base *b, struct link_rate_way *w, int64_t delay_us, uint64_t now_us)
{
	int64_t base_us = least_take(&b->lasting, LASTING_US, delay_us, now_us);

	if (b->looked_us != w->looked_us) {
		b->looked_us = w->looked_us;
		b->most_us = delay_us;
		b->drained_us = delay_us;
	}
	b->drained_us = min_i64(b->drained_us, delay_us);
	b->most_us = max_i64(b->most_us, delay_us);
	if (has_moved(b, w, base_us, now_us)) {
		b->lasting = (struct link_rate_least){0};
		base_us = least_take(&b->lasting, LASTING_US, b->drained_us, now_us);
	}
	if (delay_us <= base_us + MS(STANDS_MS))
		w->near_us = now_us;
	return delay_us - base_us;
}

static struct link_rate_path *path_of(struct link_rate *l, uint64_t path, uint64_t now_us)
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

/* Moves what a direction carries towards what it was seen to carry in a span. Less is believed only when a queue stood all
 * the while, for else there may have been nothing to carry. */
static void follow(
	struct link_rate *l, enum direction d, uint64_t octets, uint64_t span_us, bool is_full)
{
	struct link_rate_way *w = &l->way[d];
	int64_t seen_bps = (int64_t)(octets * 8 * US_PER_S / span_us);
	int64_t step = (seen_bps - (int64_t)w->carried_bps)
		       * min_i64((int64_t)span_us, laws[d].follow_us) / laws[d].follow_us;

	if (step > 0 || is_full)
		w->carried_bps = (uint64_t)within_bounds(l, d, (int64_t)w->carried_bps + step);
}

static void saw_queue(struct link_rate_way *w, int64_t queue_us, uint64_t now_us)
{
	w->least_us = min_i64(w->least_us, max_i64(queue_us, 0));
	w->seen_us = now_us;
}

/*
 * True when what made the way up longer by `above_us` can have been a queue: as much was sent just before. A late grant, or a
 * remote that takes its time, makes a few acknowledgements late, too. Answers to bare acknowledgements are the remote's to
 * delay: it takes more to believe them. An echo leaves open whose queue it has met. Data that is so late has met a queue, even if little was sent since.
 */
static bool has_stood(const struct link_rate *l, const struct link_rate_sample *s, int64_t above_us)
{
	bool is_bare = s->source == LINK_RATE_TCP_TIMESTAMP;
	uint64_t least = is_bare ? 3 * OCTETS_LEAST : OCTETS_LEAST;

	if (!is_bare && s->source != LINK_RATE_PROBE && above_us > MS(LATE_MS))
		return true;
	return above_us > MS(STANDS_MS) && (uint64_t)above_us < s->sent_us
	       && octets_at(l, s->sent_us) - octets_at(l, s->sent_us - (uint64_t)above_us) >= least;
}

/* A packet that left by the uplink is known to have crossed, since its answer is here: it would have been at `at_us` with
 * nothing before it in the downlink. */
static void saw_crossing(
	struct link_rate *l, const struct link_rate_sample *s, uint64_t at_us, int64_t above_us)
{
	uint64_t octets = octets_at(l, s->sent_us);
	uint64_t last_crossing_us = l->crossed_at_us - l->base_rtt_us;
	bool was_behind; /* in the queue already when the one before it crossed: the radio had no pause between them */

	if (at_us < l->crossed_at_us + SPACING_US || octets < l->crossed_octets
		|| s->sent_us < l->crossed_sent_us)
		return;
	was_behind = l->crossed_at_us != 0 && s->sent_us <= last_crossing_us + SPACING_US;
	if (l->crossed_at_us != 0 && at_us - l->crossed_at_us < SPAN_MAX_US)
		follow(l, UPLINK, octets - l->crossed_octets, at_us - l->crossed_at_us,
			was_behind && has_stood(l, s, above_us));
	l->crossed_sent_us = s->sent_us;
	l->crossed_at_us = at_us;
	l->crossed_octets = octets;
}

/* The remote's clock at the answer, on our scale but for an offset that stays. */
static int64_t remote_clock(struct link_rate_path *p, const struct link_rate_sample *s)
{
	p->remote_us += (int32_t)(s->remote_us - p->remote_last_us);
	p->remote_last_us = s->remote_us;
	return p->remote_us;
}

/* An answer whose sender's clock is known: each way has its base. */
static void take_both_ways(
	struct link_rate *l, struct link_rate_path *p, const struct link_rate_sample *s)
{
	int64_t remote_us = remote_clock(p, s);
	int64_t down_us =
		above_base(&p->down, &l->way[DOWNLINK], (int64_t)s->now_us - remote_us, s->now_us);
	int64_t up_us;

	saw_queue(&l->way[DOWNLINK], down_us, s->now_us);
	l->n_one_way++;
	if (s->sent_us == 0)
		return;
	up_us = above_base(&p->up, &l->way[UPLINK], remote_us - (int64_t)s->sent_us, s->now_us);
	l->base_rtt_us = (uint64_t)max_i64((int64_t)(s->now_us - s->sent_us) - up_us - down_us, 0);
	saw_queue(&l->way[UPLINK], up_us, s->now_us);
	saw_crossing(l, s, s->now_us - (uint64_t)down_us, up_us);
}

/* An answer that leaves open which way is how long: each may be all of it. */
static void take_round_trip(
	struct link_rate *l, struct link_rate_path *p, const struct link_rate_sample *s)
{
	int64_t rtt_us = (int64_t)(s->now_us - s->sent_us);
	int64_t above_us = above_base(&p->rtt, &l->way[UPLINK], rtt_us, s->now_us);

	/* A resolver may take its time: a late answer proves nothing, a prompt one proves that no queue stands. */
	if (s->source == LINK_RATE_DNS && above_us > MS(STANDS_MS))
		return;
	l->base_rtt_us = (uint64_t)(rtt_us - above_us);
	for (int d = 0; d < N_DIRECTIONS; d++)
		saw_queue(&l->way[d], above_us, s->now_us);
	saw_crossing(l, s, s->now_us, above_us);
}

void link_rate_sample(struct link_rate *l, const struct link_rate_sample *s)
{
	struct link_rate_path *p = path_of(l, s->path, s->now_us);

	if (s->sent_us > s->now_us || s->source >= LINK_RATE_SOURCES)
		return;
	l->n_samples[s->source] += s->sent_us != 0;
	if (s->has_remote)
		take_both_ways(l, p, s);
	else if (s->sent_us != 0)
		take_round_trip(l, p, s);
}

void link_rate_recall(struct link_rate *l, const struct link_rate_sample *s)
{
	struct link_rate_path *p = path_of(l, s->path, s->now_us);
	int64_t remote_us = remote_clock(p, s);

	least_take(&p->down.lasting, LASTING_US, (int64_t)s->now_us - remote_us, s->now_us);
	if (s->sent_us != 0)
		least_take(&p->up.lasting, LASTING_US, remote_us - (int64_t)s->sent_us, s->now_us);
}

/*
 * A queue that never ran dry would become the base of what is measured: now and then it is made to, and when a cut rate
 * does not bring the delay down.
 */
static bool is_draining(
	struct link_rate *l, enum direction d, int64_t target, const struct link_rate_tick *t)
{
	struct link_rate_way *w = &l->way[d];
	uint64_t since_us = t->now_us - w->drain_us;
	bool is_suspect =
		is_slow(w) && t->now_us - w->near_us > SUSPECT_US && since_us > SUSPECT_US;

	/* What the modem told is looked for in what comes: a cut would cost more than it finds. */
	if (was_told(w, t->now_us) && t->now_us - w->told_us > TOLD_AFTER_US
		&& w->looked_us < w->told_us + TOLD_AFTER_US) {
		w->looked_us = t->now_us;
		w->drained_us = t->now_us;
	} else if (t->is_backlogged[d] && (since_us > DRAIN_EVERY_US || is_suspect)) {
		w->drain_us = t->now_us;
		w->looked_us = t->now_us;
		w->drained_us = t->now_us + DRAIN_US + l->base_rtt_us
				+ (uint64_t)min_i64(
					target * 16000 / max_i64((int64_t)w->carried_bps / 1000, 1),
					DRAIN_MAX_US);
	}
	return t->now_us < w->drained_us;
}

/* How much later the oldest open question is than an answer would be with nothing before it in the uplink. */
static int64_t overdue_us(const struct link_rate *l, const struct link_rate_tick *t)
{
	if (t->waiting_us == 0 || t->waiting_us > t->now_us)
		return 0;
	return max_i64((int64_t)(t->now_us - t->waiting_us) - (int64_t)l->base_rtt_us
			       - l->way[DOWNLINK].queue_us,
		0);
}

/* The rate that brings a queue of so many octets to its target. */
static void move_rate(
	struct link_rate *l, enum direction d, int64_t queue, const struct link_rate_tick *t)
{
	struct link_rate_way *w = &l->way[d];
	const struct law *law = &laws[d];
	int64_t carried = (int64_t)w->carried_bps;
	int64_t target = max_i64(octets_in(w->carried_bps, law->target_us), OCTETS_LEAST);
	int64_t rate = carried + (target - queue) * 8 * (int64_t)US_PER_S / law->settle_us;
	bool is_out_of_hand = d == DOWNLINK && w->queue_us > OUT_OF_HAND_US;
	int64_t least = carried * (is_out_of_hand ? LEAST_PERCENT : law->least_percent) / 100;

	if (d == UPLINK) /* nothing gets across: less and less is sent after it */
		least >>= min_i64(overdue_us(l, t) / MS(OUTAGE_MS), 30);
	rate = clamp_i64(rate, least, max_i64(carried * law->most_percent / 100, RATE_LEAST));
	if (is_draining(l, d, target, t))
		rate = min_i64(rate, carried / 4);
	w->rate_bps = (uint64_t)within_bounds(l, d, rate);
	w->peak_bps -= w->peak_bps >> PEAK_SHIFT;
	if (w->carried_bps > w->peak_bps)
		w->peak_bps = w->carried_bps;
}

/* Without evidence a rate that holds packets back grows, and is no reason to hold them for long. Beyond what its technology
 * carries it takes its time: the modem may be wrong. */
static void grow_blindly(struct link_rate *l, enum direction d, const struct link_rate_tick *t)
{
	struct link_rate_way *w = &l->way[d];
	bool is_likely = w->carried_bps / 1000 < technology_kbps[l->hint.technology][d];

	w->queue_us = 0;
	if (!t->is_backlogged[d])
		return;
	w->carried_bps = (uint64_t)within_bounds(
		l, d, (int64_t)(w->carried_bps + w->carried_bps / (is_likely ? 64 : 1024)));
	w->rate_bps = (uint64_t)within_bounds(l, d, (int64_t)w->carried_bps);
}

static bool is_blind(const struct link_rate_way *w, uint64_t now_us)
{
	return w->seen_us == 0 || now_us - w->seen_us > BLIND_US;
}

/* True when a delay of the downlink can have been a queue, of what came at such a rate: acknowledgements alone make none. */
static bool can_stand(int64_t above_us, uint64_t octets, uint64_t span_us)
{
	return above_us > MS(STANDS_MS) && (uint64_t)above_us * octets / span_us >= OCTETS_LEAST;
}

static void tick_downlink(struct link_rate *l, const struct link_rate_tick *t)
{
	struct link_rate_way *w = &l->way[DOWNLINK];
	uint64_t octets = t->octets[DOWNLINK] - w->last_octets;
	uint64_t span_us = t->now_us - w->last_us;
	bool is_told = w->least_us != INT64_MAX;

	if (is_told) {
		bool stands = can_stand(w->least_us, octets, span_us);

		w->queue_us = w->least_us;
		follow(l, DOWNLINK, octets, span_us, stands && w->stood && span_us < FRESH_US);
		w->stood = stands;
	} else if (t->now_us - w->seen_us > FRESH_US) {
		w->queue_us = 0;
		follow(l, DOWNLINK, octets, span_us, false);
		is_told = true;
	}
	if (is_told) {
		w->last_octets = t->octets[DOWNLINK];
		w->last_us = t->now_us;
	}
	if (is_blind(w, t->now_us))
		grow_blindly(l, DOWNLINK, t);
	else
		move_rate(l, DOWNLINK, octets_in(w->carried_bps, w->queue_us), t);
}

/* Octets that stand at the modem: what has left less what must have crossed since the last crossing that is known. */
static int64_t uplink_queue(const struct link_rate *l, const struct link_rate_tick *t)
{
	const struct link_rate_way *w = &l->way[UPLINK];
	int64_t base_us = (int64_t)l->base_rtt_us;
	int64_t since_us = (int64_t)(t->now_us - l->crossed_at_us) + base_us;
	int64_t crossed = octets_in(w->carried_bps, since_us);

	/* An answer is overdue: a base delay ago its question had not crossed, nor had what left after it. */
	if (overdue_us(l, t) > MS(OVERDUE_MS)) {
		int64_t before = (int64_t)(octets_at(l, t->waiting_us) - l->crossed_octets);

		base_us += l->way[DOWNLINK].queue_us;
		if (before >= 0)
			crossed = min_i64(crossed, before + octets_in(w->carried_bps, base_us));
	}
	return clamp_i64(
		(int64_t)(t->octets[UPLINK] - l->crossed_octets) - crossed, 0, QUEUE_MAX_OCTETS);
}

/* Nothing is known of the uplink: no answer has come, or none for long, and none is owed. */
static bool is_uplink_blind(const struct link_rate *l, const struct link_rate_tick *t)
{
	bool is_owed = t->waiting_us != 0 && t->now_us - t->waiting_us >= BLIND_US;

	return l->crossed_at_us == 0 || (is_blind(&l->way[UPLINK], t->now_us) && !is_owed);
}

static void tick_uplink(struct link_rate *l, const struct link_rate_tick *t)
{
	struct link_rate_way *w = &l->way[UPLINK];
	int64_t queue;

	l->marks[l->n_marks++ % LINK_RATE_MARKS] =
		(struct link_rate_mark){.at_us = t->now_us, .octets = t->octets[UPLINK]};
	if (is_uplink_blind(l, t)) {
		grow_blindly(l, UPLINK, t);
		return;
	}
	queue = uplink_queue(l, t);
	move_rate(l, UPLINK, queue, t);
	w->queue_us = queue * 8000 / max_i64((int64_t)w->carried_bps / 1000, 1);
}

/* After an outage the way may be another one, and what was in it is gone. */
static void come_up(struct link_rate *l)
{
	forget_paths(l);
	l->crossed_at_us = 0;
	l->crossed_octets = 0;
	l->n_marks = 0;
	for (int d = 0; d < N_DIRECTIONS; d++) {
		l->way[d].seen_us = 0;
		l->way[d].queue_us = 0;
		l->way[d].stood = false;
	}
}

void link_rate_tick(struct link_rate *l, const struct link_rate_tick *t)
{
	if (t->now_us <= l->now_us)
		return;
	if (t->is_up && !l->was_up)
		come_up(l);
	l->was_up = t->is_up;
	if (t->is_up) {
		tick_uplink(l, t);
		tick_downlink(l, t);
	}
	for (int d = 0; d < N_DIRECTIONS; d++)
		l->way[d].least_us = INT64_MAX;
	l->now_us = t->now_us;
}

struct link_rate_advice link_rate_advice(const struct link_rate *l, enum direction direction)
{
	const struct link_rate_way *w = &l->way[direction];
	struct link_rate_advice advice = {.rate_bps = w->rate_bps,
		.target_us = WILD_TARGET_US,
		.interval_us = WILD_INTERVAL_US};

	if (direction == DOWNLINK)
		advice.waited_us = (uint64_t)max_i64(w->queue_us, 0);
	/* A queue out of hand: senders must be told faster than one by one. */
	if (advice.waited_us > (uint64_t)OUT_OF_HAND_US)
		advice.interval_us /= 4;
	return advice;
}
