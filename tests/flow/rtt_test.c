/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/flow/rtt.h>

#include <criterion/criterion.h>

#define MS(n) ((uint64_t)(n)*US_PER_MS)

static struct rtt_probe probe_of_flow(void)
{
	struct rtt_probe p;

	rtt_probe_init(&p);
	return p;
}

Test(flow_rtt, an_echo_answers_the_first_segment_that_bore_its_timestamp)
{
	struct rtt_probe p = probe_of_flow();

	rtt_sent_timestamp(&p, 100, MS(1000));
	rtt_sent_timestamp(&p, 100,
		MS(1005)); /* RFC 7323: of two segments in one tick the echo tells nothing */
	rtt_sent_timestamp(&p, 110, MS(1010));
	cr_assert_eq(rtt_waiting_us(&p, 0), 0, "what has no data need not be answered");
	cr_assert_eq(rtt_echo_timestamp(&p, 100), MS(1000));
	cr_assert_eq(rtt_echo_timestamp(&p, 100), 0, "only the first echo comes without a wait");
	cr_assert_eq(rtt_echo_timestamp(&p, 110), MS(1010));
}

Test(flow_rtt, an_echo_of_what_was_not_kept_settles_what_is_older)
{
	struct rtt_probe p = probe_of_flow();

	rtt_sent_timestamp(&p, 100, MS(1000));
	rtt_sent_timestamp(&p, 102, MS(1002)); /* too close to be kept */
	rtt_sent_timestamp(&p, 120, MS(1020));
	cr_assert_eq(rtt_echo_timestamp(&p, 102), 0);
	cr_assert_eq(rtt_echo_timestamp(&p, 120), MS(1020));
}

Test(flow_rtt, timestamps_and_sequence_numbers_wrap)
{
	struct rtt_probe p = probe_of_flow();

	rtt_sent_timestamp(&p, UINT32_MAX, MS(1));
	rtt_sent_timestamp(&p, 5, MS(10));
	cr_assert_eq(rtt_echo_timestamp(&p, 5), MS(10));
	rtt_sent_sequence(&p, UINT32_MAX - 10, MS(20));
	rtt_sent_sequence(&p, 1400, MS(30));
	cr_assert_eq(rtt_echo_sequence(&p, 1400), MS(30));
	cr_assert_eq(rtt_waiting_us(&p, 0), 0);
}

Test(flow_rtt, an_acknowledgement_answers_the_newest_segment_it_covers)
{
	struct rtt_probe p = probe_of_flow();

	for (uint32_t i = 1; i <= 4; i++)
		rtt_sent_sequence(&p, i * 1000, MS(10 * i));
	cr_assert_eq(rtt_echo_sequence(&p, 999), 0);
	cr_assert_eq(rtt_echo_sequence(&p, 2000), MS(20));
	cr_assert_eq(rtt_echo_sequence(&p, 2000), 0, "a duplicate answers nothing");
	cr_assert_eq(rtt_waiting_us(&p, 0), MS(30));
	cr_assert_eq(rtt_waiting_us(&p, MS(30)), MS(40), "of those that left later");
	cr_assert_eq(rtt_waiting_us(&p, MS(40)), 0);
	cr_assert_eq(rtt_echo_sequence(&p, 9999), MS(40));
}

Test(flow_rtt, nothing_is_learned_from_what_was_sent_twice)
{
	struct rtt_probe p = probe_of_flow();

	rtt_sent_sequence(&p, 1000, MS(10));
	rtt_sent_sequence(&p, 2000, MS(20));
	rtt_sent_sequence(&p, 1000, MS(300));
	cr_assert_eq(rtt_echo_sequence(&p, 2000), 0, "Karn's rule (RFC 6298 section 3)");
}

Test(flow_rtt, holds_so_many_questions_and_forgets_none_of_them_for_later_ones)
{
	struct rtt_probe p = probe_of_flow();

	for (uint32_t i = 1; i <= 4 * RTT_QUESTIONS; i++)
		rtt_sent_sequence(&p, i * 1000, MS(10 * i));
	cr_assert_eq(rtt_waiting_us(&p, 0), MS(10));
	cr_assert_eq(rtt_echo_sequence(&p, 4 * RTT_QUESTIONS * 1000), MS(10 * RTT_QUESTIONS));
}

Test(flow_rtt, tells_the_remotes_clock_by_its_pace)
{
	static const struct {
		const char *claim;
		uint32_t tick_us;
		bool told;
	} rows[] = {
		{"Linux, Windows", 1000, true},
		{"HZ=250", 4000, true},
		{"HZ=100, BSD", 10000, true},
		{"half a second", 500000, false},
		{"microseconds", 1, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rtt_probe p = probe_of_flow();
		struct rtt_reading r = {0};
		uint32_t at_us = 0;
		bool told = false;

		for (at_us = 0; at_us <= MS(1500); at_us += (uint32_t)MS(20)) {
			r.now_us = MS(5000) + at_us;
			told = rtt_remote_clock(&p, UINT32_MAX - 20 + at_us / rows[i].tick_us, &r);
		}
		cr_assert_eq(told, rows[i].told, "%s", rows[i].claim);
		cr_assert(!told || at_us - MS(20) - r.remote_us < rows[i].tick_us, "%s: %u",
			rows[i].claim, r.remote_us);
	}
}

Test(flow_rtt, a_clock_that_goes_back_tells_nothing)
{
	struct rtt_probe p = probe_of_flow();
	struct rtt_reading r = {0};

	for (uint32_t ms = 0; ms <= 1000; ms += 10) {
		r.now_us = MS(100 + ms);
		(void)rtt_remote_clock(&p, 7000 + ms, &r);
	}
	r.now_us = MS(1110);
	cr_assert(rtt_remote_clock(&p, 8010, &r));
	r.now_us = MS(1111);
	cr_assert_not(rtt_remote_clock(&p, 7999, &r), "a segment that was overtaken");
}

Test(flow_rtt, the_first_reading_is_told_once_when_the_pace_is_known)
{
	struct rtt_probe p = probe_of_flow();
	struct rtt_reading first;

	for (uint32_t ms = 0; ms <= 1000; ms += 10) {
		struct rtt_reading r = {.now_us = MS(100 + ms), .sent_us = MS(40 + ms)};
		bool told = rtt_remote_clock(&p, 7000 + ms, &r);
		bool was_first = rtt_first_reading(&p, &first);

		cr_assert_eq(was_first, ms == 400, "after %u ms", ms);
		cr_assert_eq(told, ms >= 400);
	}
	cr_assert_eq(first.now_us, MS(100));
	cr_assert_eq(first.sent_us, MS(40));
	cr_assert_eq(first.remote_us, 0);
}

Test(flow_rtt, a_spin_bit_is_answered_by_its_reflection)
{
	struct rtt_probe p = probe_of_flow();

	cr_assert(rtt_sent_spin(&p, false, MS(10)));
	cr_assert_eq(rtt_echo_spin(&p, false), 0, "no edge yet");
	cr_assert(rtt_sent_spin(&p, true, MS(20)));
	cr_assert(rtt_sent_spin(&p, true, MS(25)));
	cr_assert_eq(rtt_echo_spin(&p, false), 0, "sent before the edge came there");
	cr_assert_eq(rtt_echo_spin(&p, true), MS(20));
	cr_assert_eq(rtt_echo_spin(&p, true), 0);
	cr_assert(rtt_sent_spin(&p, false, MS(70)));
	cr_assert_eq(rtt_echo_spin(&p, false), MS(70));
}

Test(flow_rtt, a_random_spin_bit_is_found_out)
{
	struct rtt_probe p = probe_of_flow();

	cr_assert(rtt_sent_spin(&p, false, MS(10)));
	cr_assert(rtt_sent_spin(&p, true, MS(11)));
	cr_assert_not(
		rtt_sent_spin(&p, false, MS(12)), "nobody can have reflected the edge before");
}
