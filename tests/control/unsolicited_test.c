/* SPDX-License-Identifier: BSD-3-Clause */
/* The watch over a path and books that are numbers. */
#include <weir/base/clock.h>
#include <weir/control/unsolicited.h>

#include <criterion/criterion.h>
#include <stdlib.h>

#define MB      UINT64_C(1000000)
#define WAN     1
#define SENDER  UINT64_C(0xc6336407) /* 198.51.100.7 */
#define OTHER   UINT64_C(0xc6336408)
#define START_S INT64_C(1795000000)
#define DAYS    INT64_C(86400)

struct path {
	struct path_config config;
	struct unsolicited_lists lists;
	uint32_t n_restarts;
};

struct budget {
	struct budget_view view;
};

static struct path path;
static struct budget books;
static struct unsolicited_watch *watch;
static struct budget_time now;

const struct path_config *doors_config(const struct path *p)
{
	return &p->config;
}

void doors_unsolicited_read(
	const struct path *p, uint8_t uplink, struct unsolicited_lists *ret_lists)
{
	(void)uplink;
	*ret_lists = p->lists;
}

void doors_unsolicited_restart(struct path *p, uint8_t uplink)
{
	cr_expect_eq(uplink, WAN);
	p->n_restarts++;
	top_clear(&p->lists.senders);
	p->lists.since_us = now.now_us;
}

bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view)
{
	*ret_view = b->view;
	return plan_id == 0;
}

void budget_count_unsolicited(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage)
{
	cr_expect_eq(plan_id, 0);
	b->view.unsolicited.octets[DOWNLINK] += usage->octets[DOWNLINK];
	b->view.unsolicited.packets[DOWNLINK] += usage->packets[DOWNLINK];
}

static struct unsolicited_view tick(uint64_t after_s)
{
	struct unsolicited_view v;

	now.now_us += after_s * US_PER_S;
	now.wall_s += (int64_t)after_s;
	unsolicited_tick(watch, &now);
	cr_assert(unsolicited_read(watch, 0, &v));
	return v;
}

static void receive(uint64_t key, uint64_t octets, uint64_t n_packets)
{
	for (uint64_t i = 0; i < n_packets; i++) {
		top_count(&path.lists.senders, key, octets);
		path.lists.octets += octets;
		path.lists.packets++;
	}
}

static void set_up(void)
{
	static struct config c = {.n_plans = 1, .plans[0] = {.name = "sim1"}};

	path = (struct path){.config = {.n_ports = 2}};
	path.config.ports[0] = (struct path_port){.role = PORT_LAN, .plan_id = PLAN_NONE};
	path.config.ports[WAN] = (struct path_port){.role = PORT_UPLINK, .plan_id = 0};
	books = (struct budget){.view = {.quota_octets = 500 * MB,
					.plan = {.cycle_start_s = START_S - 15 * DAYS},
					.cycle_end_s = START_S + 15 * DAYS}};
	now = (struct budget_time){
		.now_us = 1000 * US_PER_S, .wall_s = START_S, .is_trusted = true};
	c.plans[0].unsolicited_alarm_ppm = 50000;
	cr_assert_eq(unsolicited_create(&path, &books, &c, &watch), 0);
	(void)tick(1);
}

static void clean_up(void)
{
	unsolicited_destroy(watch);
}

TestSuite(control_unsolicited, .init = set_up, .fini = clean_up);

Test(control_unsolicited, one_stray_packet_is_no_alarm_and_a_flood_is_one_at_once)
{
	receive(SENDER, 1500, 1);
	cr_expect(!tick(1).is_alarmed);
	/* 1 Mbit/s for two seconds: 25 MB are reached in 200, but at this pace by the cycle's end for certain */
	receive(SENDER, 1000, 250);
	cr_expect(tick(2).is_alarmed);
	cr_expect_eq(tick(1).n_alarms, 1);
}

Test(control_unsolicited, what_came_is_handed_to_the_books_once)
{
	receive(SENDER, 100, 3);
	(void)tick(1);
	(void)tick(1);
	receive(OTHER, 50, 1);
	cr_expect_eq(tick(1).used_octets, 350);
	cr_expect_eq(books.view.unsolicited.octets[DOWNLINK], 350);
	cr_expect_eq(books.view.unsolicited.packets[DOWNLINK], 4);
}

Test(control_unsolicited, the_carriers_overhead_is_part_of_the_cost)
{
	path.config.plans[0].overhead_octets[DOWNLINK] = 54;
	receive(SENDER, 40, 10);
	(void)tick(1);
	cr_expect_eq(tick(1).used_octets, 940);
	cr_expect_eq(tick(1).hour_octets, 940);
}

Test(control_unsolicited, the_forecast_is_what_was_used_and_the_hours_pace_to_the_end)
{
	struct unsolicited_view v;

	receive(SENDER, 1000, 10);
	(void)tick(1);
	v = tick(1);
	cr_expect_eq(v.alarm_octets, 25 * MB);
	cr_expect_eq(v.hour_octets, 10000);
	/* 15 days less a few seconds, of 10 kB an hour each */
	cr_expect(v.forecast_octets > 10000 + 3599000 && v.forecast_octets <= 10000 + 3600000,
		"%lu", v.forecast_octets);
	cr_expect(!v.is_alarmed);
}

Test(control_unsolicited, the_alarm_ends_an_hour_after_the_flood_and_not_at_the_first_lull)
{
	struct unsolicited_view v;

	receive(SENDER, 1000, 100); /* 100 kB an hour are 36 MB */
	cr_assert(tick(1).is_alarmed);
	for (uint32_t minute = 0; minute < 54; minute++)
		cr_assert(tick(60).is_alarmed, "minute %u", minute);
	/* between share and three quarters of it nothing changes: 60 kB are 21.6 MB */
	receive(SENDER, 1000, 60);
	for (uint32_t minute = 0; minute < 10; minute++)
		(void)tick(60);
	v = tick(60);
	cr_expect_eq(v.hour_octets, 60000);
	cr_expect(v.is_alarmed);
	for (uint32_t minute = 0; minute < 60; minute++)
		v = tick(60);
	cr_expect_eq(v.hour_octets, 0);
	cr_expect(!v.is_alarmed);
	receive(SENDER, 1000, 60);
	cr_expect(!tick(1).is_alarmed, "nor does it come back below its share");
	cr_expect_eq(v.n_alarms, 1);
}

Test(control_unsolicited, what_is_used_already_keeps_the_alarm_until_the_cycle_ends)
{
	struct unsolicited_view v;

	receive(SENDER, 65000, 500); /* 32.5 MB of 500 */
	cr_assert(tick(1).is_alarmed);
	for (uint32_t hour = 0; hour < 24; hour++)
		cr_assert(tick(3600).is_alarmed);
	books.view.plan.cycle_start_s = books.view.cycle_end_s;
	books.view.cycle_end_s += 30 * DAYS;
	books.view.unsolicited = (struct ledger_usage){0};
	v = tick(1);
	cr_expect(!v.is_alarmed);
	cr_expect_eq(path.n_restarts, 1, "people see the senders of this cycle");
	cr_expect(!tick(1).has_sender);
}

Test(control_unsolicited, names_who_sends_most_now_and_not_who_once_did)
{
	struct unsolicited_view v;

	receive(SENDER, 1000, 1000);
	v = tick(1);
	cr_assert(v.has_sender);
	cr_expect_eq(ntohl(v.sender.words[3]), SENDER);
	for (uint32_t i = 0; i < 4; i++)
		(void)tick(300);
	receive(OTHER, 100, 100);
	v = tick(1);
	cr_expect_eq(ntohl(v.sender.words[3]), OTHER);
	cr_expect_eq(v.sender_octets, 10000);
}

Test(control_unsolicited, without_a_quota_or_a_share_there_is_no_alarm)
{
	static struct config c = {.n_plans = 1, .plans[0] = {.name = "sim1"}};

	unsolicited_set_config(watch, &c);
	receive(SENDER, 1000, 400);
	cr_expect(!tick(1).is_alarmed);
	c.plans[0].unsolicited_alarm_ppm = 50000;
	unsolicited_set_config(watch, &c);
	books.view.quota_octets = 0;
	cr_expect(!tick(1).is_alarmed);
	books.view.quota_octets = 500 * MB;
	cr_expect(tick(1).is_alarmed);
}

Test(control_unsolicited, an_uplink_without_a_plan_is_watched_and_billed_to_nobody)
{
	path.config.ports[WAN].plan_id = PLAN_NONE;
	receive(SENDER, 1000, 400);
	cr_expect(!tick(1).is_alarmed);
	cr_expect_eq(books.view.unsolicited.octets[DOWNLINK], 0);
}
