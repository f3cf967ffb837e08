/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/bill.h>

#include <criterion/criterion.h>

#define KIB   1024ull
#define DAY_S 86400
#define CYCLE ((struct bill_span){0, 30 * DAY_S})
#define ALL   1000000

/* A carrier that is known to the octet. */
static struct bill_rule exact_rule(void)
{
	return (struct bill_rule){.weight_ppm = {ALL, ALL}};
}

static void expect_interval(const struct bill *b, const struct bill_rule *rule, uint64_t low,
	uint64_t high, const char *claim)
{
	struct bill_interval i = bill_at(b, rule);

	cr_expect(i.low_octets == low && i.high_octets == high, "%s: %llu to %llu", claim,
		(unsigned long long)i.low_octets, (unsigned long long)i.high_octets);
}

/*
 * developers.soracom.io/en/docs/reference/data-usage-calculation: the headers come to 50 to 54 bytes a packet, up and down;
 * a kilobyte is 1,024 bytes; 127 kilobytes in a month are billed as 200 where the unit is 100.
 */
Test(budget_bill, soracom_adds_50_to_54_octets_and_rounds_the_month_to_100_kilobytes)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	bill_init(&b, &rule, CYCLE, 0);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		rule.overhead_low[d] = 50;
		rule.overhead_high[d] = 54;
	}
	bill_add(&b, UPLINK, 100, 1);
	expect_interval(&b, &rule, 150, 154, "100 octets up");
	bill_add(&b, DOWNLINK, 1400, 1);
	expect_interval(&b, &rule, 1600, 1608, "and 1400 down");
	bill_init(&b, &rule, CYCLE, 0);
	rule.quantum_octets = 100 * KIB;
	bill_add(&b, DOWNLINK, 127 * KIB, 0);
	expect_interval(&b, &rule, 200 * KIB, 200 * KIB, "127 kB are 200 kB");
}

/* The same page on subscriptions from before May 2023: of a downlink packet the Ethernet header (14 octets) alone counts. */
Test(budget_bill, soracoms_older_plans_add_more_to_a_packet_up_than_down)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.overhead_low[UPLINK] = 50;
	rule.overhead_high[UPLINK] = 54;
	rule.overhead_low[DOWNLINK] = 14;
	rule.overhead_high[DOWNLINK] = 14;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 1000, 10);
	bill_add(&b, DOWNLINK, 1000, 10);
	expect_interval(&b, &rule, 1500 + 1140, 1540 + 1140, "ten packets each way");
}

/*
 * support.emnify.com/hc/en-us/articles/115003596085: a device that goes online and offline every 2 minutes for 0.2 KB is
 * charged 1 KB each time; one that stays online is rounded at the session's end only, which is forced every 24 hours.
 */
Test(budget_bill, emnify_rounds_each_session_to_a_kilobyte)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_SESSION;
	rule.quantum_octets = KIB;
	rule.session_cut_us = DAY_S * US_PER_S;
	bill_init(&b, &rule, CYCLE, 0);
	for (int64_t i = 0; i < 720; i++) {
		bill_add(&b, UPLINK, 204, 1);
		bill_new_session(&b, &rule, (i + 1) * 120);
	}
	expect_interval(&b, &rule, 720 * KIB, 720 * KIB, "online for each 0.2 kB");
	bill_init(&b, &rule, CYCLE, 0);
	for (int64_t i = 0; i < 720; i++) {
		bill_advance(&b, &rule, i * 120);
		bill_add(&b, UPLINK, 204, 1);
	}
	expect_interval(&b, &rule, 144 * KIB, 144 * KIB, "online all day: 143.4 kB, rounded once");
	bill_advance(&b, &rule, DAY_S);
	expect_interval(&b, &rule, 144 * KIB, 145 * KIB, "cut after 24 hours, one may hold more");
}

/*
 * help.1nce.com/dev-hub/docs/data-services-data-volume: what is inside the tunnel counts, IP and transport headers and
 * payload, up and down; 1nce.com/faq: "deducted with an accuracy of 1 kByte".
 */
Test(budget_bill, once_counts_ip_packets_as_weir_does)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 20 + 8 + 100, 1);
	bill_add(&b, DOWNLINK, 20 + 20, 1);
	expect_interval(&b, &rule, 128 + 40, 128 + 40, "100 octets by UDP, and an ACK");
}

Test(budget_bill, weighs_each_direction_and_leaves_free_classes_out)
{
	static const struct {
		const char *claim;
		uint32_t uplink_ppm;
		uint32_t downlink_ppm;
		uint64_t low;
		uint64_t high;
	} rows[] = {
		{"both", ALL, ALL, 3003, 3003},
		{"downlink alone", 0, ALL, 2002, 2002},
		{"uplink alone", ALL, 0, 1001, 1001},
		{"half and half: a carrier may round either way", ALL / 2, ALL / 2, 1501, 1502},
		{"nothing", 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bill_rule rule = exact_rule();
		struct bill b;

		rule.weight_ppm[UPLINK] = rows[i].uplink_ppm;
		rule.weight_ppm[DOWNLINK] = rows[i].downlink_ppm;
		bill_init(&b, &rule, CYCLE, 0);
		bill_add(&b, UPLINK, 1001, 1);
		bill_add(&b, DOWNLINK, 2002, 2);
		bill_add_free(&b, DOWNLINK, 5000, 5);
		expect_interval(&b, &rule, rows[i].low, rows[i].high, rows[i].claim);
		cr_expect_eq(b.free.octets[DOWNLINK], 5000);
	}
}

Test(budget_bill, loss_on_the_way_up_lowers_the_low_end_and_on_the_way_down_raises_the_high_end)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.lost_uplink_ppm = 1000;
	rule.unseen_downlink_ppm =
		200000; /* a fifth of what the carrier counts: a quarter of what is seen */
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 100000, 100);
	bill_add(&b, DOWNLINK, 40000, 40);
	expect_interval(&b, &rule, 140000 - 100, 140000 + 10000, "shares");
	bill_add_unseen(&b, 5000);
	expect_interval(&b, &rule, 140000 - 100, 155000, "and what came while nobody looked");
}

Test(budget_bill, loss_may_take_as_many_units_over_a_quantum_as_it_has_packets)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_SESSION;
	rule.quantum_octets = 1000;
	rule.unseen_downlink_ppm = 1000;
	bill_init(&b, &rule, CYCLE, 0);
	for (int i = 0; i < 10; i++) {
		bill_add(&b, DOWNLINK, 999, 1);
		bill_new_session(&b, &rule, i + 1);
	}
	/* 9990 octets seen, so 10 unseen at most, which are one packet at most. */
	expect_interval(
		&b, &rule, 10000, 11000, "one more session, or one of them over its quantum");
}

Test(budget_bill, near_a_days_end_octets_may_be_either_days)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_DAY;
	rule.quantum_octets = 1000;
	rule.slack_us = 60 * US_PER_S;
	bill_init(&b, &rule, CYCLE, 0);
	bill_expect_day(&b, &rule, DAY_S);
	bill_advance(&b, &rule, 1000);
	bill_add(&b, UPLINK, 500, 1);
	bill_advance(&b, &rule, DAY_S - 30);
	bill_add(&b, UPLINK, 600, 1);
	bill_advance(&b, &rule, DAY_S + 60);
	bill_add(&b, UPLINK, 300, 1);
	/* 1100 + 300 or 500 + 900. */
	expect_interval(&b, &rule, 2000, 3000, "600 octets at midnight");
	cr_expect_eq(b.n_closed, 1);
	cr_expect_eq(b.cut_s, INT64_MAX);
}

Test(budget_bill, near_a_cycles_end_octets_may_be_on_either_bill)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.slack_us = 60 * US_PER_S;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 1000, 1);
	bill_advance(&b, &rule, CYCLE.end_s + 10);
	bill_add(&b, UPLINK, 70, 1);
	expect_interval(&b, &rule, 1000, 1070, "the one that ends");
	bill_advance(&b, &rule, CYCLE.end_s + 60);
	bill_next(&b, &rule, (struct bill_span){CYCLE.end_s, 2 * CYCLE.end_s});
	expect_interval(&b, &rule, 0, 70, "the one that begins");
	bill_add(&b, UPLINK, 500, 1);
	expect_interval(&b, &rule, 500, 570, "and goes on");
}

Test(budget_bill, sessions_that_weir_did_not_see_end_raise_the_high_end_by_a_quantum_each)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_SESSION;
	rule.quantum_octets = 1000;
	rule.hidden_cuts_day = 4;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 9500, 10);
	expect_interval(&b, &rule, 10000, 14000, "the first day");
	bill_advance(&b, &rule, 2 * DAY_S);
	expect_interval(&b, &rule, 10000, 14000, "days on which nothing crosses");
	bill_add(&b, UPLINK, 500, 1);
	expect_interval(&b, &rule, 10000, 18000, "the third");
	rule.hidden_cuts_day = 0;
	rule.session_cut_us = DAY_S * US_PER_S;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 100, 1);
	for (int64_t day = 1; day < 20; day++)
		bill_advance(&b, &rule, day * DAY_S);
	cr_expect_leq(bill_at(&b, &rule).high_octets, 3000, "nor do sessions of the carrier's");
}

Test(budget_bill, what_a_lease_may_be_never_takes_the_high_end_past_its_limit)
{
	struct bill_rule rules[4] = {
		bill_rule_default(), bill_rule_default(), bill_rule_default(), bill_rule_default()};

	rules[1].quantum_octets = 100 * KIB;
	rules[1].overhead_low[UPLINK] = rules[1].overhead_low[DOWNLINK] = 50;
	rules[1].overhead_high[UPLINK] = rules[1].overhead_high[DOWNLINK] = 54;
	rules[2].quantum_octets = KIB;
	rules[2].per = BILL_PER_SESSION;
	rules[2].session_cut_us = DAY_S * US_PER_S;
	rules[3].weight_ppm[UPLINK] = ALL / 3;
	rules[3].per = BILL_PER_DAY;
	rules[3].quantum_octets = 10 * KIB;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		for (uint64_t limit = 1000; limit < 10000000000; limit = limit * 3 + 7) {
			struct bill b;
			uint64_t left;

			bill_init(&b, &rules[i], CYCLE, 0);
			bill_add(&b, DOWNLINK, limit / 3, limit / 2000);
			left = bill_left(&b, &rules[i], limit);
			for (enum direction d = UPLINK; d < N_DIRECTIONS && left > 0; d++) {
				struct bill after = b;

				bill_add(&after, d, left, 0);
				if (rules[i].per == BILL_PER_SESSION)
					bill_new_session(&after, &rules[i], 1);
				cr_expect_leq(bill_at(&after, &rules[i]).high_octets, limit,
					"rule %zu, limit %llu", i, (unsigned long long)limit);
			}
			if (limit > 100 * 1024 * 1024)
				cr_expect_geq(left, limit / 10 * 6,
					"rule %zu, limit %llu, left %llu", i,
					(unsigned long long)limit, (unsigned long long)left);
		}
	}
}

Test(budget_bill, a_lease_at_or_past_its_limit_is_nothing)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	bill_init(&b, &rule, CYCLE, 0);
	cr_expect_eq(bill_left(&b, &rule, 1000), 1000);
	bill_add(&b, UPLINK, 1000, 1);
	cr_expect_eq(bill_left(&b, &rule, 1000), 0);
	bill_add(&b, UPLINK, 1000, 1);
	cr_expect_eq(bill_left(&b, &rule, 1000), 0);
}

Test(budget_bill, while_no_clock_can_be_believed_octets_may_be_on_this_bill_or_the_next)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 1000, 1);
	bill_blind(&b, &rule, 10);
	bill_add(&b, UPLINK, 70, 1);
	expect_interval(&b, &rule, 1000, 1070, "without a clock");
	bill_blind(&b, &rule, 40 * DAY_S);
	bill_add(&b, UPLINK, 5, 1);
	expect_interval(&b, &rule, 1000, 1075, "and for long");
	bill_advance(&b, &rule, 20 * DAY_S);
	bill_add(&b, UPLINK, 1, 1);
	cr_expect_eq(bill_at(&b, &rule).high_octets, 1076);
	bill_advance(&b, &rule, CYCLE.end_s);
	bill_next(&b, &rule, (struct bill_span){CYCLE.end_s, 2 * CYCLE.end_s});
	expect_interval(&b, &rule, 0, 0, "the clock has told that they were of the one before");
}

Test(budget_bill, what_was_counted_before_the_cycle_was_known_may_be_on_its_bill_or_not)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_SESSION;
	rule.quantum_octets = 1000;
	bill_init(&b, &rule, (struct bill_span){0, INT64_MAX}, 0);
	bill_add(&b, UPLINK, 500, 1);
	bill_new_session(&b, &rule, 5);
	bill_add(&b, UPLINK, 600, 1);
	bill_place(&b, &rule, CYCLE, 3 * DAY_S);
	expect_interval(&b, &rule, 0, 2000, "two sessions");
	bill_add(&b, UPLINK, 100, 1);
	expect_interval(&b, &rule, 1000, 2000, "and what is of it for certain");
	cr_expect_eq(b.now_s, 3 * DAY_S);
}

Test(budget_bill, a_session_that_may_have_ended_costs_the_high_end_a_quantum)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.per = BILL_PER_SESSION;
	rule.quantum_octets = 1000;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add(&b, UPLINK, 1500, 2);
	bill_maybe_new_session(&b, &rule);
	expect_interval(&b, &rule, 2000, 3000, "one or two");
	rule.per = BILL_PER_CYCLE;
	bill_maybe_new_session(&b, &rule);
	cr_expect_eq(b.n_inner_cuts, 1, "nothing to a carrier that rounds months");
}

Test(budget_bill, what_the_carrier_says_is_where_counting_goes_on)
{
	static const struct {
		const char *claim;
		uint64_t told;
		uint64_t more;
		uint64_t low;
		uint64_t high;
	} rows[] = {
		{"nothing since", 5000, 0, 5000, 5000},
		{"a quantum for what came since", 5000, 1, 6000, 6000},
		{"a figure before rounding: what is since may fill its quantum", 5400, 1, 6000,
			7000},
		{"and is never below what was told", 5400, 0, 5400, 6000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bill_rule rule = exact_rule();
		struct bill b;

		rule.quantum_octets = 1000;
		bill_init(&b, &rule, CYCLE, 0);
		bill_add(&b, DOWNLINK, 123456, 100);
		bill_tell(&b, &rule, rows[i].told);
		bill_add(&b, UPLINK, rows[i].more, 1);
		expect_interval(&b, &rule, rows[i].low, rows[i].high, rows[i].claim);
	}
}

Test(budget_bill, what_is_not_known_weighs_as_the_heavier_direction)
{
	struct bill_rule rule = exact_rule();
	struct bill b;

	rule.weight_ppm[DOWNLINK] = 0;
	bill_init(&b, &rule, CYCLE, 0);
	bill_add_unseen(&b, 700);
	expect_interval(&b, &rule, 0, 700, "it may have gone up");
}
