/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a plan, with senders that behave as TCP does: slow start, additive increase, half after a loss, a time-out when
 * nothing comes back. What has left the sender is billed when it arrives, whatever weir does with it then.
 */
#include <weir/budget/taper.h>

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS         1000u
#define SECOND     (1000u * MS)
#define SEGMENT    1500u
#define TICK_US    (10 * MS) /* how often the books are kept */
#define RTO_US     SECOND    /* RFC 6298: the least */
#define RTO_MAX_US (60u * SECOND)
#define STEP_US    MS
#define PIPE_MAX   4096 /* steps of a way, at most */
#define KIB        1024u
#define QUEUE_MS   100u /* of the carrier's buffer and of the shaper's, at most */

/* One way: octets by the step in which they arrive. */
struct pipe {
	uint64_t octets[PIPE_MAX];
	uint32_t n_steps; /* its length */
};

struct sender {
	double window; /* octets */
	double threshold;
	uint64_t flying;
	uint64_t silent_us; /* since an acknowledgement */
	uint64_t rto_us;
};

struct world {
	uint64_t link_bps;
	uint64_t now_us;
	struct pipe down;
	struct pipe up; /* acknowledgements, as octets acknowledged */
	struct sender sender;
	uint64_t carrier_queue; /* before the radio */
	uint64_t shaper_queue;  /* behind the meter */
	uint64_t credit;        /* of the shaper */
	/* weir */
	struct taper taper;
	uint64_t quota;
	uint64_t billed;
	uint64_t point; /* general traffic ends there */
	uint64_t rate_bps;
	bool is_over;   /* for good: the step holds */
	bool is_abrupt; /* nothing is held back or slowed */
};

static uint64_t arrive(struct pipe *p, uint64_t now_us, uint64_t in)
{
	uint32_t at = (uint32_t)(now_us / STEP_US) % p->n_steps;
	uint64_t out = p->octets[at];

	p->octets[at] = in;
	return out;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What control does each tick (src/control/budget_limits.c). */
static void keep_books(struct world *w)
{
	uint64_t left = w->quota > w->billed ? w->quota - w->billed : 0;
	uint64_t flying;

	taper_note(&w->taper, w->now_us, w->billed);
	flying = taper_in_flight(&w->taper, w->now_us);
	w->is_over |= left <= taper_least(w->quota);
	w->point = w->billed + (w->is_over || flying > left ? 0 : left - flying);
	w->rate_bps = taper_rate_bps(left);
	if (w->is_abrupt) {
		w->is_over = left == 0;
		w->point = w->quota;
		w->rate_bps = 0;
	}
}

/* The sender hears of `acked` octets, and perhaps of a loss. */
static void hear(struct sender *s, uint64_t acked, bool is_lost)
{
	s->flying -= least(s->flying, acked);
	s->silent_us = acked > 0 ? 0 : s->silent_us + STEP_US;
	if (is_lost) {
		s->threshold = s->window / 2 > 2 * SEGMENT ? s->window / 2 : 2 * SEGMENT;
		s->window = s->threshold;
	} else if (acked > 0) {
		s->rto_us = RTO_US;
		s->window += s->window < s->threshold ? (double)acked
						      : (double)SEGMENT * (double)acked / s->window;
	}
	if (s->flying > 0 && s->silent_us >= s->rto_us) {
		s->threshold = s->window / 2;
		s->window = SEGMENT;
		s->flying = 0;
		s->silent_us = 0;
		s->rto_us = s->rto_us * 2 < RTO_MAX_US ? s->rto_us * 2 : RTO_MAX_US;
	}
}

/* A millisecond. */
static void step(struct world *w, uint32_t queue_ms)
{
	struct sender *s = &w->sender;
	uint64_t per_step = w->link_bps / 8 / 1000;
	uint64_t sent = 0;
	uint64_t landed;
	uint64_t taken;
	uint64_t done;
	bool is_lost = false;

	while (s->flying + SEGMENT <= (uint64_t)s->window && sent < 4 * per_step + SEGMENT) {
		s->flying += SEGMENT;
		sent += SEGMENT;
	}
	w->carrier_queue += sent;
	if (w->carrier_queue > per_step * queue_ms) {
		w->carrier_queue = per_step * queue_ms;
		is_lost = true;
	}
	landed = least(w->carrier_queue, per_step);
	w->carrier_queue -= landed;
	landed = arrive(&w->down, w->now_us, landed);
	w->billed += landed;
	/* Beyond the point it is billed and dropped; the shaper takes what it has room for. */
	taken = w->billed <= w->point ? landed : 0;
	w->shaper_queue += taken;
	if (w->rate_bps > 0 && w->shaper_queue > w->rate_bps / 8 * queue_ms / 1000 + 10 * SEGMENT) {
		w->shaper_queue = w->rate_bps / 8 * queue_ms / 1000 + 10 * SEGMENT;
		is_lost = true;
	}
	w->credit = w->rate_bps == 0 ? w->shaper_queue : w->credit + w->rate_bps / 8 / 1000;
	w->credit = least(w->credit, 2 * SEGMENT + w->rate_bps / 8 / 100 + w->shaper_queue);
	done = least(w->shaper_queue, w->credit);
	w->credit -= done;
	w->shaper_queue -= done;
	/* Acknowledgements cross the uplink, where they need room too. */
	done = arrive(&w->up, w->now_us, w->billed < w->point ? done : 0);
	hear(s, done, is_lost || taken < landed);
	w->now_us += STEP_US;
}

struct result {
	uint64_t billed;
	uint64_t lasted_ms;
};

static struct result run(uint64_t quota, uint64_t link_bps, uint32_t rtt_ms, bool is_abrupt)
{
	struct world *w = calloc(1, sizeof(*w));
	struct result r;

	cr_assert_not_null(w);
	*w = (struct world){.link_bps = link_bps,
		.quota = quota,
		.is_abrupt = is_abrupt,
		.down.n_steps = rtt_ms / 2,
		.up.n_steps = rtt_ms / 2,
		.sender = {.window = 10 * SEGMENT, .threshold = 1e12, .rto_us = RTO_US}};
	for (uint32_t ms = 0; ms < 600000 && !w->is_over; ms++) {
		if (w->now_us % TICK_US == 0)
			keep_books(w);
		step(w, QUEUE_MS);
	}
	r.lasted_ms = w->now_us / MS;
	/* And what is still under way. */
	for (uint32_t ms = 0; ms < 5000; ms++) {
		if (w->now_us % TICK_US == 0)
			keep_books(w);
		step(w, QUEUE_MS);
	}
	r.billed = w->billed;
	free(w);
	return r;
}

Test(budget_taper, a_download_ends_within_a_lease_of_the_quota_and_never_above)
{
	static const uint64_t quotas[] = {1000000, 10000000, 100000000};
	static const uint64_t links[] = {2000000, 10000000, 50000000, 100000000};
	static const uint32_t rtts_ms[] = {50, 100, 200, 300};

	for (size_t i = 0; i < 3 * 4 * 4; i++) {
		uint64_t quota = quotas[i / 16];
		uint64_t link = links[i / 4 % 4];
		uint32_t rtt_ms = rtts_ms[i % 4];
		struct result r = run(quota, link, rtt_ms, false);

		printf("%9lu octets, %9lu bit/s, %3u ms: %6ld left after %6.1f s\n", quota, link,
			rtt_ms, (long)(quota - r.billed), (double)r.lasted_ms / 1000);
		cr_expect_leq(r.billed, quota, "%lu at %lu, %u ms: %lu too many", quota, link,
			rtt_ms, r.billed - quota);
		cr_expect_geq(r.billed + 64 * KIB, quota, "%lu at %lu, %u ms: %lu left", quota,
			link, rtt_ms, quota - r.billed);
	}
}

/* Else the test above could not fail. */
Test(budget_taper, where_nothing_is_held_back_the_quota_is_passed)
{
	struct result r = run(10000000, 100000000, 200, true);

	cr_expect_gt(r.billed, 10000000 + 256 * KIB, "%lu", r.billed);
}

Test(budget_taper, twice_what_came_within_a_round_trip_may_be_under_way)
{
	struct taper t = {0};

	taper_note(&t, 0, 0);
	for (uint64_t now_us = 0; now_us <= SECOND; now_us += TICK_US)
		taper_note(&t, now_us, now_us * 125 / 10);
	cr_expect_geq(
		taper_in_flight(&t, SECOND), 2 * 6250000, "half a second at 100 Mbit/s, twice");
	cr_expect_leq(taper_in_flight(&t, SECOND), 2 * 7500000);
}

Test(budget_taper, what_has_not_come_for_a_while_is_not_under_way)
{
	struct taper t = {0};

	cr_expect_eq(taper_in_flight(&t, SECOND), 0);
	taper_note(&t, 0, 0);
	taper_note(&t, TICK_US, 1000);
	cr_expect_eq(taper_in_flight(&t, TICK_US), 2000);
	for (uint64_t now_us = 2 * TICK_US; now_us <= 2 * SECOND; now_us += TICK_US)
		taper_note(&t, now_us, 1000);
	cr_expect_eq(taper_in_flight(&t, 2 * SECOND), 0);
	/* A disk that took its time leaves a gap in the notes. */
	taper_note(&t, 9 * SECOND, 5000);
	cr_expect_eq(taper_in_flight(&t, 9 * SECOND), 8000);
}

Test(budget_taper, a_rate_uses_what_is_left_in_two_seconds_and_is_never_nothing)
{
	static const struct {
		uint64_t left;
		uint64_t bps;
	} rows[] = {
		{0, TAPER_LEAST_BPS},
		{1000, TAPER_LEAST_BPS},
		{1000000, 4000000},
		{24999999, 99999996},
		{25000000, 0},
		{UINT64_MAX, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(taper_rate_bps(rows[i].left), rows[i].bps, "%lu", rows[i].left);
	cr_expect_eq(taper_least(6400), 100);
	cr_expect_eq(taper_least(500000000), TAPER_LEAST_OCTETS);
}
