/* SPDX-License-Identifier: BSD-3-Clause */
/* The books over a path that is a meter, and a ledger on a disk in memory. */
#include "sim_disk.h"

#include <weir/base/clock.h>
#include <weir/control/budget.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB       UINT64_C(1000000)
#define PACKET   1000u
#define CUSTOMER ACCOUNT_GENERAL
#define DEVICES  1 /* the account of the class that owns a reserve */

/* 2026-11-20 12:00 UTC; the cycle begins on the 15th. */
#define NOON_S INT64_C(1795176000)
#define DAY_S  INT64_C(86400)

#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"                            \
	"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: 192.0.2.1, plan: "   \
	"p}\n"
#define PLAN(rest)                                                                                 \
	SITE "plans: {p: {" rest ", cycle: {day: 15, timezone: UTC}}}\n"                           \
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

static struct config *config_of(const char *text)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int error = config_read(text, strlen(text), 0, &c, &report);

	config_report_print(&report, "test", stderr);
	cr_assert_eq(error, 0);
	config_report_clean(&report);
	return c;
}

static void open_books(struct site *s)
{
	meter_init(&s->path.meter, &(struct meter_params){.overhead_octets_packet = 0});
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
			meter_add_reserved(m, account, PACKET, 1);
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

	cr_expect(customers <= 8 * MB && customers > 8 * MB - 2 * PACKET, "%lu", customers);
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

	cr_expect(servicing <= 10 * MB && servicing > 10 * MB - 4 * PACKET, "%lu", servicing);
	cr_expect_eq(view_of(s).action, LADDER_BLOCK);
	clean(s);
}

Test(control_budget, a_reserve_is_kept_from_customers_whatever_the_steps_say)
{
	struct site *s = site(PLAN("quota: 10MB, when_spent: notify"));
	uint64_t customers = spend(s, CUSTOMER);

	cr_expect(customers <= 8 * MB && customers > 8 * MB - 4 * PACKET, "%lu", customers);
	cr_expect_eq(view_of(s).action, LADDER_RESERVE_ONLY);
	clean(s);
}

Test(control_budget, a_step_before_the_end_closes_the_plan_to_customers_alone)
{
	struct site *s = site(
		PLAN("quota: 10MB, ladder: [{at: 20%, do: notify}, {at: 50%, do: reserve-only}]"));
	uint64_t customers = spend(s, CUSTOMER);

	cr_expect(customers <= 5 * MB && customers > 5 * MB - 4 * PACKET, "%lu", customers);
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
	cr_expect(customers <= 18 * MB && customers > 18 * MB - 4 * PACKET, "%lu", customers);
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
