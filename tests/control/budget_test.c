/* SPDX-License-Identifier: BSD-3-Clause */
/* The books over a path that is a meter, and a ledger on a disk in memory. */
#include "config_text.h"
#include "sim_disk.h"

#include <weir/base/clock.h>
#include <weir/budget/taper.h>
#include <weir/control/budget.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB       UINT64_C(1000000)
#define PACKET   1000u
#define CUSTOMER ACCOUNT_GENERAL
#define NEAR_END (TAPER_LEAST_OCTETS + PACKET) /* what is kept for answers, at most */
#define DEVICES  1                             /* the account of the class that owns a reserve */

/* 2026-11-20 12:00 UTC; the cycle begins on the 15th. */
#define NOON_S INT64_C(1795176000)
#define DAY_S  INT64_C(86400)

#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"                            \
	"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: 192.0.2.1, plan: "   \
	"p}\n"
/* Of a carrier whose counter is known to the octet. */
#define EXACT ", counting: {lost_uplink: 0%, unseen_downlink: 0%}"
#define PLAN(rest)                                                                                 \
	SITE "plans: {p: {" rest ", cycle: {day: 15, timezone: UTC}" EXACT "}}\n"                  \
	     "classes: {servicing: {port: 443, reserve: 2MB}}\n"

/* What the books see of the path. */
struct path {
	struct meter meter;
};

void doors_meter_read(const struct path *p, uint8_t plan_id, struct meter *ret_meter)
{
	(void)plan_id;
	*ret_meter = p->meter;
}

void doors_limits_set(struct path *p, uint8_t plan_id, const struct meter_limits *limits)
{
	(void)plan_id;
	meter_set_limits(&p->meter, limits);
}

/* Nobody has a quota here: device_quota_test.c. */
uint32_t doors_shares_read(
	const struct path *p, uint8_t plan_id, uint32_t first, struct share_view *views, uint32_t n)
{
	(void)p;
	(void)plan_id;
	(void)first;
	(void)views;
	(void)n;
	return 0;
}

bool doors_share_restore(struct path *p, uint8_t plan_id, const struct mac_addr *key,
	uint32_t cycle, uint8_t account, uint64_t octets)
{
	(void)p;
	(void)plan_id;
	(void)key;
	(void)cycle;
	(void)account;
	return octets == 0;
}

struct site {
	struct path path;
	struct sim_disk disk;
	struct config *config;
	struct budget *budget;
	struct budget_time now;
	struct ledger_recovery recovery;
};

static void open_books(struct site *s)
{
	meter_init(&s->path.meter, &(struct meter_params){0});
	cr_assert_eq(budget_create(s->config, &s->path, &s->disk.store, &s->now, &s->recovery,
			     &s->budget),
		0);
}

static struct site *site(const char *text)
{
	struct site *s = calloc(1, sizeof(*s));

	cr_assert_not_null(s);
	sim_disk_init(&s->disk, JOURNAL_SEGMENT_BYTES, 20000, 64u << 20);
	s->config = config_of(text);
	s->now = (struct budget_time){.now_us = US_PER_S, .wall_s = NOON_S, .is_trusted = true};
	open_books(s);
	return s;
}

static void clean(struct site *s)
{
	budget_destroy(s->budget);
	config_destroy(s->config);
	sim_disk_clean(&s->disk);
	free(s);
}

static void tick(struct site *s)
{
	s->now.now_us += 10 * US_PER_MS;
	budget_tick(s->budget, &s->now);
}

/* Sends as the meter stage does, up to `n` packets; returns how many went. */
static uint32_t send_packets(struct site *s, uint8_t account, uint32_t n)
{
	struct meter *m = &s->path.meter;
	uint32_t sent = 0;

	for (; sent < n && meter_lease_left(m) >= PACKET; sent++) {
		bool is_reserved = account != CUSTOMER && meter_left(m, account) >= PACKET;

		if (!is_reserved && meter_left(m, CUSTOMER) < PACKET)
			break;
		meter_add(m, UPLINK, PACKET, 1);
		if (is_reserved)
			meter_add_reserved(m, account, UPLINK, PACKET, 1);
	}
	return sent;
}

/* The same until nothing goes any more, with the books kept on the way; returns octets. */
static uint64_t spend(struct site *s, uint8_t account)
{
	uint64_t octets = 0;
	uint32_t n_idle = 0;

	while (n_idle < 3) {
		uint32_t n = send_packets(s, account, 50); /* 50 kB in 10 ms: 40 Mbit/s */

		n_idle = n == 0 ? n_idle + 1 : 0;
		octets += (uint64_t)n * PACKET;
		tick(s);
	}
	return octets;
}

static struct budget_view view_of(struct site *s)
{
	struct budget_view v;

	cr_assert(budget_read(s->budget, 0, &v));
	return v;
}

Test(control_budget, leases_before_the_first_packet_and_never_more_than_there_is)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));

	cr_expect_gt(meter_lease_left(&s->path.meter), 0);
	cr_expect_leq(meter_lease_left(&s->path.meter), (int64_t)(10 * MB));
	clean(s);
}

Test(control_budget, a_plan_that_only_counts_has_no_limits)
{
	static const char *const plans[] = {
		PLAN("overhead: 0B"), SITE "plans: {p: {quota: 10MB, when_spent: notify}}\n"};

	for (uint32_t i = 0; i < 2; i++) {
		struct site *s = site(plans[i]);

		cr_expect_eq(send_packets(s, CUSTOMER, 20000), 20000);
		tick(s);
		cr_expect_eq(view_of(s).plan.used_octets, 20 * MB);
		cr_expect_eq(send_packets(s, CUSTOMER, 1000), 1000);
		clean(s);
	}
}

Test(control_budget, customers_get_the_quota_less_the_reserve_and_the_reserve_its_own)
{
	struct site *s = site(PLAN("quota: 10MB, ladder: [{at: 100%, do: reserve-only}]"));
	uint64_t customers = spend(s, CUSTOMER);
	uint64_t servicing;

	cr_expect(customers <= 8 * MB && customers > 8 * MB - NEAR_END, "%lu", customers);
	cr_expect_eq(send_packets(s, CUSTOMER, 1), 0);
	servicing = spend(s, DEVICES);
	cr_expect(servicing <= 2 * MB && servicing > 2 * MB - 4 * PACKET, "%lu", servicing);
	cr_expect_leq(view_of(s).plan.used_octets, 10 * MB);
	cr_expect_eq(view_of(s).reserve_used_octets, servicing);
	clean(s);
}

Test(control_budget, a_reserve_that_is_used_up_leaves_what_all_have)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	uint64_t servicing = spend(s, DEVICES);

	cr_expect(servicing <= 10 * MB && servicing > 10 * MB - NEAR_END, "%lu", servicing);
	cr_expect_eq(view_of(s).action, LADDER_BLOCK);
	clean(s);
}

Test(control_budget, a_reserve_is_kept_from_customers_whatever_the_steps_say)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: notify"));
	uint64_t customers = spend(s, CUSTOMER);

	cr_expect(customers <= 8 * MB && customers > 8 * MB - NEAR_END, "%lu", customers);
	cr_expect_eq(view_of(s).action, LADDER_RESERVE_ONLY);
	clean(s);
}

Test(control_budget, a_step_before_the_end_closes_the_plan_to_customers_alone)
{
	struct site *s = site(
		PLAN("quota: 10MB, ladder: [{at: 20%, do: notify}, {at: 50%, do: reserve-only}]"));
	uint64_t customers = spend(s, CUSTOMER);

	cr_expect(customers <= 5 * MB && customers > 5 * MB - NEAR_END, "%lu", customers);
	cr_expect_eq(view_of(s).action, LADDER_RESERVE_ONLY);
	cr_expect_gt(spend(s, DEVICES), 2 * MB - 4 * PACKET);
	clean(s);
}

Test(control_budget, an_orderly_end_gives_back_and_a_crash_loses_less_than_a_lease)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	uint64_t leased;

	cr_assert_eq(send_packets(s, CUSTOMER, 100), 100);
	tick(s);
	cr_assert_eq(send_packets(s, DEVICES, 50), 50);
	tick(s);
	cr_expect_eq(budget_finish(s->budget, &s->now), 0);
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_eq(view_of(s).plan.used_octets, 150 * PACKET, "%lu", view_of(s).plan.used_octets);
	cr_expect_eq(
		view_of(s).reserve_used_octets, 50 * PACKET, "%lu", view_of(s).reserve_used_octets);
	cr_expect_eq(view_of(s).plan.lost_octets, 0);

	leased = view_of(s).plan.leased_octets;
	send_packets(s, CUSTOMER, 20); /* nobody is told */
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_geq(view_of(s).plan.used_octets, 170 * PACKET, "what was sent is on disk");
	cr_expect_leq(view_of(s).plan.lost_octets, leased);
	cr_expect_eq(s->recovery.plans[0].octets, view_of(s).plan.lost_octets);
	cr_expect_leq(spend(s, CUSTOMER), 8 * MB - 120 * PACKET, "and not to be had again");
	clean(s);
}

Test(control_budget, a_cycle_ends_by_a_clock_that_is_right_and_by_no_other)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	uint64_t customers = spend(s, CUSTOMER);

	cr_expect_eq(view_of(s).plan.cycle_start_s, NOON_S - 5 * DAY_S - DAY_S / 2);
	s->now.wall_s += 40 * DAY_S;
	s->now.is_trusted = false;
	tick(s);
	cr_expect_eq(send_packets(s, CUSTOMER, 1), 0);
	s->now.is_trusted = true;
	tick(s);
	tick(s);
	cr_expect_eq(view_of(s).plan.used_octets, 0);
	cr_expect_eq(spend(s, CUSTOMER), customers, "as much again");
	s->now.wall_s -= 40 * DAY_S;
	tick(s);
	cr_expect_eq(
		send_packets(s, CUSTOMER, 1), 0, "a clock that is set back gives nothing twice");
	clean(s);
}

Test(control_budget, what_goes_on_without_a_ledger_is_what_the_plan_says)
{
	static const struct {
		const char *text;
		bool customers;
		bool devices;
	} cases[] = {
		{PLAN("quota: 10MB, when_spent: block"), false, true},
		{PLAN("quota: 10MB, when_spent: block, when_unrecorded: block"), false, false},
		{PLAN("quota: 10MB, when_spent: block, when_unrecorded: forward"), true, true},
	};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct site *s = site(cases[i].text);

		s->disk.fault = SIM_FAULT_ERROR;
		s->disk.error = -ENOSPC;
		s->disk.fault_in = 0;
		s->disk.fault_runs = UINT32_MAX;
		for (uint32_t n = 0; n < 20 && !view_of(s).is_unrecorded; n++) {
			send_packets(s, CUSTOMER, 100);
			tick(s);
		}
		cr_assert(view_of(s).is_unrecorded);
		cr_expect_eq(send_packets(s, CUSTOMER, 10) == 10, cases[i].customers, "case %u", i);
		cr_expect_eq(send_packets(s, DEVICES, 10) == 10, cases[i].devices, "case %u", i);
		s->disk.fault_runs = 0;
		s->now.now_us += 70 * US_PER_S;
		tick(s);
		tick(s);
		cr_expect(!view_of(s).is_unrecorded, "mended by itself");
		cr_expect_eq(send_packets(s, CUSTOMER, 10), 10);
		clean(s);
	}
}

Test(control_budget, a_new_configuration_changes_the_quota_and_loses_nothing)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	struct config *next = config_of(PLAN("quota: 20MB, when_spent: block"));
	uint64_t customers = spend(s, CUSTOMER);

	budget_set_config(s->budget, next);
	config_destroy(next);
	customers += spend(s, CUSTOMER);
	cr_expect(customers <= 18 * MB && customers > 18 * MB - NEAR_END, "%lu", customers);
	clean(s);
}

Test(control_budget, what_nobody_asked_for_is_a_class_that_restarts_remember_and_cycles_forget)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	struct ledger_usage usage = {.octets = {0, 700}, .packets = {0, 7}};

	budget_count_unsolicited(s->budget, 0, &usage);
	budget_count_unsolicited(s->budget, 0, &usage);
	tick(s);
	cr_expect_eq(view_of(s).unsolicited.octets[DOWNLINK], 1400);
	cr_expect_eq(budget_finish(s->budget, &s->now), 0);
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_eq(view_of(s).unsolicited.octets[DOWNLINK], 1400);
	cr_expect_eq(view_of(s).unsolicited.packets[DOWNLINK], 14);
	s->now.wall_s += 40 * DAY_S;
	tick(s);
	tick(s);
	cr_expect_eq(view_of(s).unsolicited.octets[DOWNLINK], 0);
	clean(s);
}

/* Downlink, as parse counts it: nobody is asked. */
static void receive(struct site *s, uint64_t octets)
{
	meter_add(&s->path.meter, DOWNLINK, octets, octets / PACKET);
}

static void later(struct site *s, int64_t seconds)
{
	s->now.wall_s += seconds;
	s->now.now_us += (uint64_t)seconds * US_PER_S;
	budget_tick(s->budget, &s->now);
}

#define COUNTED(rest) SITE "plans: {p: {cycle: {day: 15}, " rest "}}\n"

Test(control_budget, the_high_end_of_the_bill_is_what_ends_a_plan)
{
	static const struct {
		const char *claim;
		const char *text;
		uint64_t most; /* octets of 10 MB that customers can send */
	} cases[] = {
		{"rounding: the last quantum is billed whole",
			COUNTED("quota: 10MB, when_spent: block, counting: {rounding: 3MB, "
				"lost_uplink: "
				"0%, "
				"unseen_downlink: 0%}"),
			9 * MB},
		{"direction: half an octet is billed",
			COUNTED("quota: 10MB, when_spent: block, counting: {uplink: {weight: 50%}, "
				"downlink: "
				"{weight: 50%}, unseen_downlink: 0%}"),
			20 * MB},
		{"loss: what comes down may have been more",
			COUNTED("quota: 10MB, when_spent: block, counting: {unseen_downlink: 50%}"),
			10 * MB},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct site *s = site(cases[i].text);
		uint64_t sent = spend(s, CUSTOMER);

		cr_expect_leq(sent, cases[i].most, "%s: %lu", cases[i].claim, sent);
		cr_expect_geq(sent + 70000, cases[i].most, "%s: %lu", cases[i].claim, sent);
		cr_expect_leq(view_of(s).bill.high_octets, 10 * MB, "%s", cases[i].claim);
		cr_expect_eq(view_of(s).action, LADDER_BLOCK, "%s", cases[i].claim);
		clean(s);
	}
}

Test(control_budget, a_bill_outlives_the_program)
{
	struct site *s =
		site(COUNTED("quota: 10MB, when_spent: block, counting: {rounding: 1kB, per: "
			     "session, hidden_cuts: 0}"));
	struct bill_interval before;
	struct bill_interval after;

	send_packets(s, CUSTOMER, 500);
	receive(s, MB);
	tick(s);
	budget_session(s->budget, 0, true);
	tick(s);
	send_packets(s, CUSTOMER, 100);
	tick(s);
	before = view_of(s).bill;
	cr_expect_eq(budget_finish(s->budget, &s->now), 0);
	budget_destroy(s->budget);
	open_books(s);
	after = view_of(s).bill;
	cr_expect_eq(after.low_octets, before.low_octets);
	cr_expect(after.high_octets >= before.high_octets
			  && after.high_octets <= before.high_octets + 2 * 1000,
		"a session may have ended meanwhile: %lu, %lu", before.high_octets,
		after.high_octets);
	/* A crash: what was leased counts in the high end, and in it alone. */
	send_packets(s, CUSTOMER, 20);
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_leq(view_of(s).bill.low_octets, before.low_octets + 20 * PACKET);
	cr_expect_geq(view_of(s).bill.high_octets, before.high_octets + 20 * PACKET);
	clean(s);
}

Test(control_budget, a_ledger_without_a_bill_begins_one_with_what_was_used)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	struct ledger_params params = {0};
	struct ledger_time when = {.now_us = US_PER_S, .wall_s = NOON_S, .is_trusted = true};
	struct ledger_usage usage = {.octets = {3000, 4000}, .packets = {3, 4}};
	struct ledger_carry none = {0};
	struct ledger *l;
	uint8_t plan;

	/* As one that was written before there were bills: it keeps sums, and none was begun. */
	budget_destroy(s->budget);
	sim_disk_clean(&s->disk);
	sim_disk_init(&s->disk, JOURNAL_SEGMENT_BYTES, 20000, 64u << 20);
	cr_assert_eq(ledger_open(&s->disk.store, &params, &when, &s->recovery, &l), 0);
	plan = ledger_plan(l, "p");
	cr_assert_eq(ledger_begin_cycle(l, plan, NOON_S - 5 * DAY_S - DAY_S / 2, &none, &when), 0);
	cr_assert_eq(ledger_grant(l, &(struct ledger_lease){plan, 10000}, 1, &when), 0);
	ledger_settle(l, plan, 8000, &usage, &when);
	cr_assert_eq(ledger_sync(l, &when), 0);
	ledger_destroy(l);
	open_books(s);
	cr_expect_eq(view_of(s).plan.used_octets, 10000, "the lease is lost");
	cr_expect_eq(view_of(s).bill.low_octets, 7000);
	cr_expect_eq(view_of(s).bill.high_octets, 10000);
	clean(s);
}

Test(control_budget, cycles_are_weeks_and_numbers_of_days_too)
{
	/* 2026-11-20 is a Friday. */
	static const struct {
		const char *text;
		int64_t start_s;
		int64_t n_days;
	} cases[] = {
		{SITE "plans: {p: {quota: 10MB, cycle: {weekday: monday}}}\n",
			NOON_S - DAY_S / 2 - 4 * DAY_S, 7},
		{SITE "plans: {p: {quota: 10MB, cycle: {days: 28, from: 2026-11-18}}}\n",
			NOON_S - DAY_S / 2 - 2 * DAY_S, 28},
		{SITE "plans: {p: {quota: 10MB, cycle: {days: 1, from: 2026-01-01, hour: 3}}}\n",
			NOON_S - DAY_S / 2 + 3 * 3600, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct site *s = site(cases[i].text);

		cr_expect_eq(view_of(s).plan.cycle_start_s, cases[i].start_s, "case %zu", i);
		cr_expect_eq(view_of(s).cycle_end_s, cases[i].start_s + cases[i].n_days * DAY_S,
			"case %zu", i);
		clean(s);
	}
}

Test(control_budget, a_cycle_ends_when_no_packet_can_be_on_the_bill_before_any_more)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	int64_t end_s = view_of(s).cycle_end_s;

	send_packets(s, CUSTOMER, 100);
	tick(s);
	later(s, end_s - s->now.wall_s + 10);
	send_packets(s, CUSTOMER, 10);
	later(s, 1);
	cr_expect_eq(view_of(s).bill.high_octets, 110 * PACKET);
	cr_expect_eq(view_of(s).bill.low_octets, 100 * PACKET, "ten may be on the next one");
	later(s, 60);
	cr_expect_eq(view_of(s).plan.used_octets, 0);
	cr_expect_eq(view_of(s).bill.low_octets, 0);
	cr_expect_eq(view_of(s).bill.high_octets, 10 * PACKET);
	clean(s);
}

Test(control_budget, what_is_left_goes_over_once_and_what_was_bought_until_it_is_used)
{
	struct site *s =
		site(COUNTED("quota: 10MB, when_spent: block, carry_over: 2MB, top_up: 1MB"));

	cr_expect_eq(view_of(s).quota_octets, 11 * MB);
	send_packets(s, CUSTOMER, 1000);
	tick(s);
	later(s, 30 * DAY_S);
	cr_expect_eq(view_of(s).quota_octets, 13 * MB, "10 and 2 of 9 left and 1 bought");
	cr_expect_geq(spend(s, CUSTOMER) + 70000, 13 * MB);
	later(s, 31 * DAY_S);
	cr_expect(view_of(s).quota_octets >= 10 * MB && view_of(s).quota_octets < 10 * MB + 70000,
		"all was used but the last packets: %lu", view_of(s).quota_octets);
	later(s, 95 * DAY_S);
	cr_expect_eq(view_of(s).plan.rollover_octets, 2 * MB, "not more for months unused");
	clean(s);
}

Test(control_budget, a_configured_top_up_is_credited_once)
{
	struct site *s = site(COUNTED("quota: 10MB, when_spent: block, top_up: 1MB"));
	struct config *next = config_of(COUNTED("quota: 10MB, when_spent: block, top_up: 3MB"));

	budget_finish(s->budget, &s->now);
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_eq(view_of(s).quota_octets, 11 * MB, "not again by a restart");
	budget_set_config(s->budget, next);
	config_destroy(next);
	tick(s);
	cr_expect_eq(view_of(s).quota_octets, 13 * MB, "a larger sum: what it is more");
	clean(s);
}

static int command(struct site *s, enum budget_command_kind kind, uint64_t octets)
{
	struct budget_command c = {.kind = kind, .octets = octets};
	uint32_t ticket = 0;
	int result = -EBUSY;

	cr_assert_eq(budget_command_give(s->budget, &c, &ticket), 0);
	cr_expect_eq(budget_command_give(s->budget, &c, &(uint32_t){0}), -EBUSY);
	cr_expect(!budget_command_is_done(s->budget, ticket, &result));
	tick(s);
	cr_expect(budget_command_is_done(s->budget, ticket, &result));
	return result;
}

Test(control_budget, a_top_up_opens_a_plan_that_was_spent_and_is_on_disk_by_then)
{
	struct site *s = site(COUNTED("prepaid: true, when_spent: block"));

	cr_expect_eq(send_packets(s, CUSTOMER, 1), 0, "nothing was bought yet");
	cr_expect_eq(view_of(s).action, LADDER_BLOCK);
	cr_assert_eq(command(s, BUDGET_TOP_UP, 5 * MB), 0);
	cr_expect_eq(view_of(s).quota_octets, 5 * MB);
	cr_expect_eq(view_of(s).n_taken_back[LADDER_BLOCK], 1);
	budget_destroy(s->budget); /* as a crash does */
	open_books(s);
	cr_expect_eq(view_of(s).quota_octets, 5 * MB);
	cr_expect_leq(spend(s, CUSTOMER), 5 * MB);
	cr_expect_eq(view_of(s).action, LADDER_BLOCK);
	s->disk.fault = SIM_FAULT_ERROR;
	s->disk.error = -ENOSPC;
	s->disk.fault_in = 0;
	s->disk.fault_runs = UINT32_MAX;
	cr_expect_eq(command(s, BUDGET_TOP_UP, MB), -ENOSPC);
	cr_expect_eq(view_of(s).quota_octets, 5 * MB, "nothing was added");
	clean(s);
}

Test(control_budget, what_the_operator_says_was_used_holds)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));

	spend(s, CUSTOMER);
	cr_assert_eq(command(s, BUDGET_SET_USED, 3 * MB), 0);
	cr_expect_eq(view_of(s).plan.used_octets, 3 * MB);
	cr_expect_eq(view_of(s).bill.low_octets, 3 * MB);
	cr_expect_eq(view_of(s).bill.high_octets, 3 * MB);
	cr_expect_eq(view_of(s).action, LADDER_NOTHING);
	cr_expect_leq(spend(s, CUSTOMER), 5 * MB);
	budget_finish(s->budget, &s->now);
	budget_destroy(s->budget);
	open_books(s);
	cr_expect_geq(view_of(s).bill.low_octets, 7 * MB);
	clean(s);
}

Test(control_budget, a_day_has_its_share_and_may_borrow)
{
	/* The sixth day of thirty, one lent: 7/30 of 30 MB. */
	struct site *s = site(COUNTED("quota: 30MB, when_spent: block, pace: {borrow: 1, do: "
				      "shape, rate: 64kbps}, counting: "
				      "{unseen_downlink: 0%}"));

	receive(s, 7 * MB - 1);
	tick(s);
	cr_expect_eq(view_of(s).action, LADDER_NOTHING);
	receive(s, 1);
	tick(s);
	cr_expect_eq(view_of(s).action, LADDER_SHAPE);
	cr_expect(view_of(s).is_paced);
	cr_expect_eq(s->path.meter.limits.general_bps[UPLINK], 64000);
	cr_expect_eq(s->path.meter.limits.general_bps[DOWNLINK], 64000);
	later(s, DAY_S);
	cr_expect_eq(view_of(s).action, LADDER_NOTHING, "the next day brings its own");
	cr_expect_eq(view_of(s).n_reached[LADDER_SHAPE], 1);
	cr_expect_eq(view_of(s).n_taken_back[LADDER_SHAPE], 1);
	cr_expect_eq(s->path.meter.limits.general_bps[UPLINK], 0);
	clean(s);
}

Test(control_budget, a_shape_step_gives_its_rate_to_the_path)
{
	struct site *s =
		site(PLAN("quota: 10MB, ladder: [{at: 50%, do: shape, rate: 256kbps}, {at: "
			  "100%, do: block}]"));

	cr_expect_eq(s->path.meter.limits.general_bps[UPLINK], 0);
	for (uint32_t i = 0; i < 110; i++) {
		send_packets(s, CUSTOMER, 50);
		tick(s);
	}
	cr_expect_eq(view_of(s).action, LADDER_SHAPE);
	cr_expect_eq(view_of(s).rate_bps, 256000);
	cr_expect_eq(s->path.meter.limits.general_bps[UPLINK], 256000);
	cr_expect_eq(s->path.meter.limits.general_bps[DOWNLINK], 256000);
	clean(s);
}

Test(control_budget, near_its_end_what_may_be_under_way_is_held_back)
{
	struct site *s = site(COUNTED("quota: 10MB, when_spent: block"));

	receive(s, 7 * MB);
	tick(s);
	cr_expect_eq(send_packets(s, CUSTOMER, 1), 0, "twice 7 MB may be under way");
	cr_expect_eq(view_of(s).action, LADDER_NOTHING, "but the plan is not spent");
	cr_expect_leq(s->path.meter.limits.general_bps[DOWNLINK], 3 * MB * 8 / 2);
	for (uint32_t i = 0; i < 60; i++)
		tick(s);
	cr_expect_eq(send_packets(s, CUSTOMER, 1), 1, "nothing came");
	clean(s);
}

Test(control_budget, answers_to_the_last_uploads_still_fit)
{
	struct site *s = site(COUNTED("quota: 10MB, when_spent: block"));

	/* Between two looks all that the path lets go. */
	while (send_packets(s, CUSTOMER, 20000) > 0)
		tick(s);
	receive(s, 8000);
	tick(s);
	cr_expect_eq(view_of(s).action, LADDER_BLOCK);
	cr_expect_leq(view_of(s).bill.high_octets, 10 * MB);
	clean(s);
}

Test(control_budget, what_the_carrier_does_not_bill_is_counted_and_not_billed)
{
	struct site *s = site(
		COUNTED("quota: 10MB, when_spent: block, free_classes: [voice]") "classes: {voice: "
										 "{port: 5060}}\n");
	struct meter *m = &s->path.meter;

	for (uint32_t i = 0; i < 400; i++) {
		cr_assert_geq(meter_lease_left(m), 50 * PACKET);
		meter_add(m, UPLINK, 50 * PACKET, 50);
		meter_add_free(m, UPLINK, 50 * PACKET, 50);
		tick(s);
	}
	cr_expect_eq(view_of(s).bill.high_octets, 0);
	cr_expect_eq(view_of(s).free.octets[UPLINK], 20 * MB);
	cr_expect_eq(view_of(s).plan.usage.octets[UPLINK], 20 * MB, "it is in what crossed");
	cr_expect_eq(view_of(s).action, LADDER_NOTHING);
	cr_expect_geq(spend(s, CUSTOMER) + 70000, 10 * MB);
	clean(s);
}

Test(control_budget, a_clock_that_nobody_vouches_for_leaves_open_whose_bill_it_is)
{
	struct site *s = calloc(1, sizeof(*s));

	cr_assert_not_null(s);
	sim_disk_init(&s->disk, JOURNAL_SEGMENT_BYTES, 20000, 64u << 20);
	s->config = config_of(PLAN("quota: 10MB, when_spent: block"));
	s->now = (struct budget_time){.now_us = US_PER_S, .wall_s = 0, .is_trusted = false};
	open_books(s);
	send_packets(s, CUSTOMER, 100);
	tick(s);
	cr_expect_eq(view_of(s).bill.high_octets, 100 * PACKET);
	cr_expect_eq(view_of(s).bill.low_octets, 0);
	s->now.wall_s = NOON_S;
	s->now.is_trusted = true;
	tick(s);
	send_packets(s, CUSTOMER, 10);
	tick(s);
	cr_expect_eq(view_of(s).bill.low_octets, 10 * PACKET, "the rest may be the last cycle's");
	cr_expect_eq(view_of(s).bill.high_octets, 110 * PACKET);
	clean(s);
}

Test(control_budget, flow_records_say_whose_it_was)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: block"));
	struct classes *classes = NULL;
	struct path_config pc = {.n_ports = 2, .ports[1].plan_id = 0};
	struct flow_record r = {
		.wan_port = 1, .octet_delta_count = {300, 500}, .packet_delta_count = {3, 5}};
	struct ledger_stats stats;
	uint64_t n_unattributed;

	cr_assert_eq(classes_create(NULL, 0, &classes), 0);
	pc.classes = classes;
	for (uint32_t i = 0; i < 3000; i++) {
		r.device_mac.bytes[5] = (uint8_t)i;
		budget_count(s->budget, &pc, &r);
	}
	tick(s);
	stats = budget_ledger_stats(s->budget, &n_unattributed);
	cr_expect_eq(stats.state, LEDGER_SOUND);
	cr_expect_eq(n_unattributed, 0);
	classes_destroy(classes);
	clean(s);
}
