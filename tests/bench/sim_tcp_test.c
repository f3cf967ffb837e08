/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulation's TCP over a wire of 25 ms each way that loses or holds back what a case says. */
#include "sim_receiver.h"
#include "sim_tcp.h"

#include <weir/base/clock.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define WAY_US  (25 * US_PER_MS)
#define STEP_US US_PER_MS

struct talk {
	struct sim_tcp tcp;
	struct sim_receiver receiver;
	struct sim_queue out, forth, back;
	uint64_t now_us;
	uint64_t stopped_us; /* until then nothing comes back */
	uint32_t lose_every; /* 0: nothing is lost */
	uint32_t n_sent, n_came;
};

static struct talk *talk_create(void)
{
	struct talk *t = calloc(1, sizeof(*t));

	cr_assert_not_null(t);
	sim_tcp_init(&t->tcp, 0, false, 1000);
	t->tcp.has_timestamps = true;
	sim_receiver_init(&t->receiver, true, 2000);
	return t;
}

static void talk_destroy(struct talk *t)
{
	sim_queue_clean(&t->out);
	sim_queue_clean(&t->forth);
	sim_queue_clean(&t->back);
	free(t);
}

static void move(struct talk *t, struct sim_queue *line, bool loses)
{
	while (t->out.n > 0) {
		struct sim_packet p = sim_queue_take(&t->out);

		p.due_us = t->now_us + WAY_US;
		if (!loses || t->lose_every == 0 || ++t->n_sent % t->lose_every != 0)
			sim_queue_put(line, &p);
	}
}

static void run(struct talk *t, uint64_t until_us)
{
	for (; t->now_us < until_us; t->now_us += STEP_US) {
		while (t->forth.n > 0 && sim_queue_front(&t->forth)->due_us <= t->now_us) {
			struct sim_packet p = sim_queue_take(&t->forth);

			t->n_came++;
			sim_receiver_take(&t->receiver, &p, t->now_us, &t->out);
		}
		sim_receiver_run(&t->receiver, 0, t->now_us, &t->out);
		move(t, &t->back, false);
		while (t->back.n > 0 && t->now_us >= t->stopped_us
			&& sim_queue_front(&t->back)->due_us <= t->now_us) {
			struct sim_packet p = sim_queue_take(&t->back);

			sim_tcp_ack(&t->tcp, &p, t->now_us);
		}
		sim_tcp_send(&t->tcp, t->now_us, &t->out);
		move(t, &t->forth, true);
	}
}

Test(bench_sim_tcp, sends_again_what_was_lost_and_nothing_else)
{
	struct talk *t = talk_create();

	t->lose_every = 97;
	run(t, 20 * US_PER_S);
	cr_assert_gt(t->receiver.next, 3000);
	cr_assert_eq(t->tcp.n_backoffs, 0, "no time-out was needed");
	/* What came and is neither in order nor behind a gap was sent for nothing. */
	cr_assert_leq(t->n_came, t->receiver.next + sim_tcp_in_flight(&t->tcp));
	talk_destroy(t);
}

Test(bench_sim_tcp, recovers_by_a_time_out_when_all_is_lost)
{
	struct talk *t = talk_create();
	uint32_t next;

	run(t, US_PER_S / 4);
	next = t->receiver.next;
	t->lose_every = 1;
	run(t, 2 * US_PER_S);
	cr_assert_eq(t->tcp.state, SIM_TCP_LOSS);
	cr_assert_gt(t->tcp.n_backoffs, 1);
	t->lose_every = 0;
	run(t, 6 * US_PER_S);
	cr_assert_eq(t->tcp.state, SIM_TCP_OPEN);
	cr_assert_gt(t->receiver.next, next + 1000);
	talk_destroy(t);
}

Test(bench_sim_tcp, takes_a_time_out_back_when_its_acknowledgements_were_late)
{
	struct talk *t = talk_create();
	uint32_t cwnd;

	run(t, US_PER_S / 2);
	cwnd = t->tcp.cwnd;
	t->stopped_us = t->now_us + US_PER_S;
	run(t, t->stopped_us);
	cr_assert_eq(t->tcp.cwnd, 1);
	run(t, t->stopped_us + 2 * STEP_US);
	cr_assert_geq(t->tcp.cwnd, cwnd);
	cr_assert_eq(t->tcp.n_lost, 0);
	talk_destroy(t);
}

Test(bench_sim_tcp, grows_by_a_twentieth_a_round_trip_until_something_is_lost)
{
	struct talk *t = talk_create();
	uint32_t cwnd;

	t->tcp.ssthresh = 100;
	run(t, US_PER_S);
	cwnd = t->tcp.cwnd;
	run(t, 2 * US_PER_S);
	/* 20 round trips of 50 ms, 1.05 to the 20th is 2.65 */
	cr_assert_geq(t->tcp.cwnd, cwnd * 2);
	cr_assert_leq(t->tcp.cwnd, cwnd * 3);
	talk_destroy(t);
}
