/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_disk.h"

#include <weir/control/ledger.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT   (16 * JOURNAL_PAGE)
#define SECOND_US UINT64_C(1000000)

static const struct ledger_params SMALL = {
	.journal = {.segment_bytes = SEGMENT, .record_bytes = 4000, .seed = 42},
	.n_days = 4,
	.n_cycles = 3,
	.n_devices = 4,
	.n_shares = 4,
};

/* A disk, and the ledger that is open on it. */
struct home {
	struct sim_disk disk;
	struct ledger *l;
	struct ledger_recovery rec;
	struct ledger_time when;
	uint8_t sim1;
};

static void open_home(struct home *h)
{
	cr_assert_eq(ledger_open(&h->disk.store, &SMALL, &h->when, &h->rec, &h->l), 0);
	h->sim1 = ledger_plan(h->l, "sim1");
	cr_assert_neq(h->sim1, LEDGER_NONE);
}

static void home_init(struct home *h)
{
	memset(h, 0, sizeof(*h));
	sim_disk_init(&h->disk, SEGMENT, 8192, 8192 * JOURNAL_PAGE);
	h->when = (struct ledger_time){
		.now_us = SECOND_US, .wall_s = 1000, .day = 20000, .is_trusted = true};
	open_home(h);
}

static void home_clean(struct home *h)
{
	ledger_destroy(h->l);
	sim_disk_clean(&h->disk);
}

/* The process dies, and another opens what it left. */
static void crash(struct home *h)
{
	ledger_destroy(h->l);
	open_home(h);
}

static int grant(struct home *h, uint64_t octets)
{
	return ledger_grant(h->l, &(struct ledger_lease){h->sim1, octets}, 1, &h->when);
}

static struct ledger_plan plan_of(struct home *h)
{
	struct ledger_plan p = {0};

	cr_assert(ledger_read_plan(h->l, h->sim1, &p));
	return p;
}

static struct ledger_usage usage_of(uint64_t octets)
{
	return (struct ledger_usage){.octets = {octets, 2 * octets}, .packets = {1, 2}};
}

static void settle(struct home *h, uint64_t billed)
{
	struct ledger_usage usage = usage_of(billed);

	ledger_settle(h->l, h->sim1, billed, &usage, &h->when);
}

Test(control_ledger, a_crash_costs_what_was_leased_and_not_known_to_be_used)
{
	struct home h;

	home_init(&h);
	cr_assert_eq(grant(&h, 1000), 0);
	settle(&h, 600);
	cr_assert_eq(grant(&h, 500), 0);
	cr_expect_eq(plan_of(&h).leased_octets, 900);
	settle(&h, 100); /* known to memory alone */
	crash(&h);
	cr_expect_eq(h.rec.n_plans, 1);
	cr_expect_str_eq(h.rec.plans[0].plan, "sim1");
	cr_expect_eq(h.rec.plans[0].octets, 900);
	cr_expect_eq(plan_of(&h).used_octets, 1500);
	cr_expect_eq(plan_of(&h).lost_octets, 900);
	cr_expect_eq(plan_of(&h).leased_octets, 0);
	cr_expect_eq(plan_of(&h).usage.octets[UPLINK], 600);
	home_clean(&h);
}

Test(control_ledger, an_orderly_end_gives_the_rest_back_and_keeps_all_usage)
{
	struct home h;

	home_init(&h);
	cr_assert_eq(grant(&h, 1000), 0);
	settle(&h, 600);
	cr_assert_eq(ledger_finish(h.l, &h.when), 0);
	crash(&h);
	cr_expect_eq(h.rec.plans[0].octets, 0);
	cr_expect_eq(plan_of(&h).used_octets, 600);
	cr_expect_eq(plan_of(&h).lost_octets, 0);
	cr_expect_eq(plan_of(&h).usage.octets[DOWNLINK], 1200);
	home_clean(&h);
}

Test(control_ledger, a_bill_is_kept_with_the_sums_field_by_field)
{
	struct home h;
	struct bill bill = {0};
	uint64_t words[offsetof(struct bill, is_near_cut) / sizeof(uint64_t)];

	home_init(&h);
	cr_expect(!bill_is_begun(ledger_bill(h.l, h.sim1)));
	/* A number of its own in each. */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = 1000 + i;
	memcpy(&bill, words, sizeof(words));
	bill.undone = (struct bill_sum){0}; /* not kept */
	bill.is_near_cut = bill.is_day_used = bill.was_session_used = true;
	bill.is_near_end = bill.is_session_used = false;
	*ledger_bill(h.l, h.sim1) = bill;
	cr_assert_eq(grant(&h, 500), 0);
	crash(&h);
	bill.unseen_octets += 500;
	cr_expect_arr_eq(ledger_bill(h.l, h.sim1), &bill, offsetof(struct bill, is_near_cut));
	cr_expect(ledger_bill(h.l, h.sim1)->is_near_cut && ledger_bill(h.l, h.sim1)->is_day_used
		  && ledger_bill(h.l, h.sim1)->was_session_used);
	cr_expect(!ledger_bill(h.l, h.sim1)->is_near_end
		  && !ledger_bill(h.l, h.sim1)->is_session_used);
	cr_expect_null(ledger_bill(h.l, LEDGER_NONE));
	home_clean(&h);
}

Test(control_ledger, the_top_ups_of_a_configuration_are_credited_once)
{
	struct home h;
	struct ledger_carry left = {.top_up_octets = 30};

	home_init(&h);
	bill_init(ledger_bill(h.l, h.sim1), &(struct bill_rule){0}, (struct bill_span){100, 200},
		100);
	cr_assert_eq(ledger_begin_cycle(h.l, h.sim1, 100, &left, &h.when), 0);
	cr_expect_eq(ledger_credit(h.l, h.sim1, 50, &h.when), 0);
	cr_expect_eq(ledger_credit(h.l, h.sim1, 50, &h.when), 0);
	cr_expect_eq(plan_of(&h).top_up_octets, 50);
	crash(&h);
	cr_expect_eq(ledger_credit(h.l, h.sim1, 70, &h.when), 0);
	cr_expect_eq(plan_of(&h).top_up_octets, 70, "20 more");
	cr_expect_eq(ledger_credit(h.l, h.sim1, 0, &h.when), 0);
	cr_expect_eq(plan_of(&h).top_up_octets, 70, "nothing is taken back");
	cr_assert_eq(ledger_begin_cycle(h.l, h.sim1, 200, &left, &h.when), 0);
	cr_expect_eq(plan_of(&h).top_up_octets, 30, "what the caller says was left");
	h.disk.fault = SIM_FAULT_ERROR;
	h.disk.error = -EIO;
	h.disk.fault_in = 0;
	h.disk.fault_runs = UINT32_MAX;
	cr_expect_eq(ledger_credit(h.l, h.sim1, 10, &h.when), -EIO);
	cr_expect_eq(plan_of(&h).top_up_octets, 30, "nothing was added");
	home_clean(&h);
}

Test(control_ledger, several_plans_are_granted_in_one_write_which_tells_usage_too)
{
	struct home h;
	struct ledger_lease leases[2];
	struct ledger_usage usage = usage_of(10);
	uint64_t n_syncs;

	home_init(&h);
	leases[0] = (struct ledger_lease){h.sim1, 1000};
	leases[1] = (struct ledger_lease){ledger_plan(h.l, "sim2"), 2000};
	settle(&h, 30);
	ledger_count_class(h.l, h.sim1, ledger_class(h.l, "web"), &usage);
	n_syncs = ledger_stats(h.l).journal.n_syncs;
	cr_assert_eq(ledger_grant(h.l, leases, 2, &h.when), 0);
	cr_expect_eq(ledger_stats(h.l).journal.n_syncs, n_syncs + 1);
	crash(&h);
	cr_expect_eq(h.rec.n_plans, 2);
	cr_expect_eq(h.rec.plans[1].octets, 2000);
	cr_expect_eq(plan_of(&h).usage.octets[UPLINK], 30);
	home_clean(&h);
}

Test(control_ledger, what_comes_in_beyond_a_lease_is_counted_and_covered_by_the_next)
{
	struct home h;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	settle(&h, 250);
	cr_expect_eq(plan_of(&h).leased_octets, 0);
	cr_expect_eq(plan_of(&h).used_octets, 250);
	cr_expect_eq(ledger_stats(h.l).overrun_octets, 150);
	cr_assert_eq(grant(&h, 100), 0);
	cr_expect_eq(plan_of(&h).leased_octets, 100);
	crash(&h);
	cr_expect_eq(plan_of(&h).used_octets, 350);
	home_clean(&h);
}

Test(control_ledger, classes_devices_and_days_survive_under_their_names)
{
	struct home h;
	struct mac_addr mac = {{2, 0, 0, 0, 0, 9}};
	struct ledger_usage web = usage_of(10);
	struct ledger_usage read;
	struct ledger_device device;
	struct ledger_day day;
	const char *name;

	home_init(&h);
	(void)ledger_class(h.l, "unused");
	settle(&h, 50);
	ledger_count_class(h.l, h.sim1, ledger_class(h.l, "web"), &web);
	ledger_count_device(h.l, h.sim1, &mac, &web, &h.when);
	cr_assert_eq(ledger_sync(h.l, &h.when), 0);
	h.when.day++;
	settle(&h, 7);
	h.when.is_trusted = false; /* booked on the last day known */
	h.when.day = 3;
	settle(&h, 1);
	cr_assert_eq(ledger_sync(h.l, &h.when), 0);
	crash(&h);
	cr_assert(ledger_read_class(h.l, h.sim1, ledger_class(h.l, "web"), &name, &read));
	cr_expect_str_eq(name, "web");
	cr_expect_eq(read.octets[DOWNLINK], 20);
	cr_assert(ledger_read_device(h.l, 0, &device));
	cr_expect(mac_addr_equal(&device.mac, &mac));
	cr_expect_eq(device.usage.packets[DOWNLINK], 2);
	cr_expect_eq(device.last_day, 20000);
	cr_expect(!ledger_read_device(h.l, 1, &device));
	cr_assert(ledger_read_day(h.l, h.sim1, 0, &day));
	cr_expect_eq(day.day, 20001);
	cr_expect_eq(day.billed_octets, 8);
	cr_assert(ledger_read_day(h.l, h.sim1, 1, &day));
	cr_expect_eq(day.day, 20000);
	cr_expect_eq(day.usage.octets[UPLINK], 50);
	cr_expect(!ledger_read_day(h.l, h.sim1, 2, &day));
	home_clean(&h);
}

Test(control_ledger, shares_survive_with_their_classes_and_end_with_their_cycle)
{
	struct ledger_share share = {.key = {{2, 0, 0, 0, 0, 9}}, .octets = 100};
	const struct ledger_carry none = {0};
	struct ledger_share read;
	struct home h;
	uint8_t class_id;

	home_init(&h);
	share.plan = h.sim1;
	cr_expect(ledger_set_share(h.l, &share));
	share.class_id = ledger_class(h.l, "/updates");
	share.octets = 40;
	cr_expect(ledger_set_share(h.l, &share));
	cr_assert_eq(ledger_sync(h.l, &h.when), 0);
	share.octets = 41;
	cr_expect(ledger_set_share(h.l, &share)); /* not on disk */
	crash(&h);
	class_id = ledger_class(h.l, "/updates");
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert(ledger_read_share(h.l, i, &read));
		cr_expect(mac_addr_equal(&read.key, &share.key));
		cr_expect_eq(read.octets, read.class_id == class_id ? 40 : 100);
	}
	cr_expect(!ledger_read_share(h.l, 2, &read));
	for (uint8_t i = 0; i < 2; i++) {
		share.key.bytes[5] = i;
		cr_expect(ledger_set_share(h.l, &share));
	}
	share.key.bytes[5] = 2;
	cr_expect(!ledger_set_share(h.l, &share), "there is room for four");
	cr_assert_eq(ledger_begin_cycle(h.l, h.sim1, 100, &none, &h.when), 0);
	cr_assert_eq(ledger_begin_cycle(h.l, h.sim1, 200, &none, &h.when), 0);
	cr_expect(!ledger_read_share(h.l, 0, &read));
	crash(&h);
	cr_expect(!ledger_read_share(h.l, 0, &read));
	home_clean(&h);
}

Test(control_ledger, the_oldest_day_makes_room_and_strangers_share_a_row)
{
	struct home h;
	struct ledger_usage one = {.octets = {1, 0}};
	struct ledger_device device;
	struct ledger_day day;

	home_init(&h);
	for (int i = 0; i < 9; i++) {
		h.when.day++;
		settle(&h, (uint64_t)i);
		ledger_count_device(h.l, h.sim1, &(struct mac_addr){{2, 0, 0, 0, 0, (uint8_t)i}},
			&one, &h.when);
		cr_assert_eq(ledger_sync(h.l, &h.when), 0);
	}
	crash(&h);
	cr_assert(ledger_read_day(h.l, h.sim1, 3, &day));
	cr_expect_eq(day.billed_octets, 5);
	cr_expect(!ledger_read_day(h.l, h.sim1, 4, &day));
	cr_assert(ledger_read_device(h.l, 0, &device));
	cr_expect(mac_addr_equal(&device.mac, &(struct mac_addr){{0}}));
	cr_expect_eq(device.usage.octets[UPLINK], 5, "four have rows, five share one");
	home_clean(&h);
}

Test(control_ledger, a_cycle_ends_into_history_and_its_lease_goes_on)
{
	struct home h;
	struct ledger_cycle cycle;
	struct ledger_usage read;
	const char *name;

	home_init(&h);
	settle(&h, 5); /* before the clock was known: of the cycle that is going on */
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 100, &(struct ledger_carry){0, 0}, &h.when), 0);
	cr_expect_eq(plan_of(&h).used_octets, 5);
	cr_assert_eq(grant(&h, 1000), 0);
	settle(&h, 600);
	cr_assert_eq(ledger_top_up(h.l, h.sim1, 50, &h.when), 0);
	ledger_count_class(
		h.l, h.sim1, ledger_class(h.l, "web"), &(struct ledger_usage){{1, 1}, {1, 1}});
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 200, &(struct ledger_carry){70, 0}, &h.when), 0);
	cr_expect_eq(plan_of(&h).used_octets, 0);
	cr_expect_eq(plan_of(&h).leased_octets, 400);
	cr_expect_eq(ledger_begin_cycle(h.l, h.sim1, 150, &(struct ledger_carry){0, 0}, &h.when), 0,
		"a clock set back");
	cr_expect_eq(ledger_begin_cycle(h.l, h.sim1, 200, &(struct ledger_carry){0, 0}, &h.when), 0,
		"the same again");
	crash(&h);
	cr_expect_eq(plan_of(&h).cycle_start_s, 200);
	cr_expect_eq(plan_of(&h).used_octets, 400, "the lease, which is lost");
	cr_expect_eq(plan_of(&h).rollover_octets, 70);
	cr_expect_eq(plan_of(&h).top_up_octets, 0);
	cr_assert(ledger_read_class(h.l, h.sim1, ledger_class(h.l, "web"), &name, &read));
	cr_expect_eq(read.octets[UPLINK], 0);
	cr_assert(ledger_read_cycle(h.l, h.sim1, 0, &cycle));
	cr_expect_eq(cycle.start_s, 100);
	cr_expect_eq(cycle.end_s, 200);
	cr_expect_eq(cycle.billed_octets, 605);
	cr_expect_eq(cycle.top_up_octets, 50);
	cr_expect(!ledger_read_cycle(h.l, h.sim1, 1, &cycle));
	home_clean(&h);
}

static void fail(struct home *h, int error, uint32_t runs)
{
	h->disk.fault = SIM_FAULT_ERROR;
	h->disk.error = error;
	h->disk.fault_in = 0;
	h->disk.fault_runs = runs;
}

Test(control_ledger, a_disk_that_refuses_grants_nothing_and_is_tried_again_later_and_later)
{
	struct home h;
	struct ledger_stats stats;
	uint32_t n_calls;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	settle(&h, 40);
	fail(&h, -ENOSPC, UINT32_MAX);
	cr_expect_eq(grant(&h, 1000), -ENOSPC);
	cr_expect_eq(plan_of(&h).leased_octets, 60, "the lease it had goes on");
	stats = ledger_stats(h.l);
	cr_expect_eq(stats.state, LEDGER_BROKEN);
	cr_expect_eq(stats.error, -ENOSPC);
	cr_expect_eq(stats.retry_us, h.when.now_us + SECOND_US);
	n_calls = h.disk.n_calls;
	cr_expect_eq(grant(&h, 1000), -ENOSPC);
	cr_expect(ledger_retry(h.l, &h.when));
	cr_expect_eq(h.disk.n_calls, n_calls, "not before its time");
	for (int i = 0; i < 10; i++) {
		h.when.now_us = ledger_stats(h.l).retry_us;
		cr_expect(ledger_retry(h.l, &h.when));
	}
	cr_expect_eq(ledger_stats(h.l).retry_us, h.when.now_us + 60 * SECOND_US);
	settle(&h, 25); /* counting goes on */
	h.disk.fault = SIM_FAULT_NONE;
	h.when.now_us += 60 * SECOND_US;
	cr_expect(!ledger_retry(h.l, &h.when));
	cr_expect_eq(ledger_stats(h.l).state, LEDGER_SOUND);
	cr_expect_eq(grant(&h, 1000), 0);
	crash(&h);
	cr_expect_eq(plan_of(&h).usage.octets[UPLINK], 65, "nothing that was counted is lost");
	home_clean(&h);
}

Test(control_ledger, a_read_only_disk_still_tells_what_was_used)
{
	struct home h;
	struct ledger_recovery rec;
	struct ledger *l;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	settle(&h, 40);
	cr_assert_eq(ledger_finish(h.l, &h.when), 0);
	ledger_destroy(h.l);
	fail(&h, -EROFS, UINT32_MAX);
	h.disk.fault_in =
		2 + JOURNAL_SEGMENTS * SEGMENT / JOURNAL_PAGE; /* both files are found and read */
	cr_assert_eq(ledger_open(&h.disk.store, &SMALL, &h.when, &rec, &l), 0);
	cr_expect_eq(ledger_stats(l).state, LEDGER_BROKEN);
	cr_expect_eq(ledger_stats(l).error, -EROFS);
	h.l = l;
	cr_expect_eq(plan_of(&h).used_octets, 40);
	home_clean(&h);
}

Test(control_ledger, a_top_up_that_failed_was_not_made)
{
	struct home h;

	home_init(&h);
	fail(&h, -EIO, 1);
	cr_expect_eq(ledger_top_up(h.l, h.sim1, 500, &h.when), -EIO);
	cr_expect_eq(plan_of(&h).top_up_octets, 0);
	h.when.now_us += SECOND_US;
	cr_expect_eq(ledger_top_up(h.l, h.sim1, 500, &h.when), 0);
	cr_expect_eq(plan_of(&h).top_up_octets, 500);
	home_clean(&h);
}

/* All that was on the disk is noise now. */
static void ruin(struct home *h)
{
	for (unsigned int s = 0; s < JOURNAL_SEGMENTS; s++) {
		for (uint32_t i = 0; i < SEGMENT; i++)
			h->disk.files[s].bytes[i] = (uint8_t)(i * 11 + s);
	}
}

Test(control_ledger, after_damage_all_counts_as_spent_until_the_cycle_ends)
{
	struct home h;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	ruin(&h);
	crash(&h);
	cr_expect_eq(h.rec.journal.health, JOURNAL_LOST);
	cr_expect(h.rec.is_assumed_spent);
	cr_expect(plan_of(&h).is_assumed_spent);
	cr_expect_eq(
		ledger_lease_ask(h.l, h.sim1, 1000000, &h.when), 0, "a quota has nothing left");
	cr_expect_neq(ledger_lease_ask(h.l, h.sim1, UINT64_MAX, &h.when), 0, "no quota, no matter");
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 100, &(struct ledger_carry){0, 0}, &h.when), 0);
	cr_expect(plan_of(&h).is_assumed_spent, "the damage may be of this cycle");
	crash(&h);
	cr_expect_eq(h.rec.journal.health, JOURNAL_WHOLE);
	cr_expect(plan_of(&h).is_assumed_spent, "that survives too");
	cr_expect_neq(ledger_plan(h.l, "sim2"), LEDGER_NONE);
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 200, &(struct ledger_carry){0, 0}, &h.when), 0);
	cr_expect(!plan_of(&h).is_assumed_spent);
	home_clean(&h);
}

Test(control_ledger, damage_before_the_first_plan_is_known_is_remembered)
{
	struct home h;
	struct ledger_plan p;
	struct ledger_recovery rec;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	ruin(&h);
	ledger_destroy(h.l);
	cr_assert_eq(ledger_open(&h.disk.store, &SMALL, &h.when, &rec, &h.l), 0);
	ledger_destroy(h.l); /* before it was told of any plan */
	open_home(&h);
	cr_expect(h.rec.is_assumed_spent);
	cr_assert(ledger_read_plan(h.l, h.sim1, &p));
	cr_expect(p.is_assumed_spent);
	home_clean(&h);
}

Test(control_ledger, the_operators_word_ends_the_assumption)
{
	struct home h;

	home_init(&h);
	cr_assert_eq(grant(&h, 100), 0);
	ruin(&h);
	crash(&h);
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 100, &(struct ledger_carry){0, 0}, &h.when), 0);
	cr_assert_eq(ledger_forgive(h.l, h.sim1, 12345, &h.when), 0);
	crash(&h);
	cr_expect(!plan_of(&h).is_assumed_spent);
	cr_expect_eq(plan_of(&h).used_octets, 12345);
	cr_assert_eq(grant(&h, 100), 0);
	settle(&h, 100);
	cr_expect_eq(plan_of(&h).used_octets, 12445);
	home_clean(&h);
}

Test(control_ledger, a_plan_out_of_use_makes_room_for_a_new_one)
{
	struct home h;
	char name[16];

	home_init(&h);
	cr_assert_eq(
		ledger_begin_cycle(h.l, h.sim1, 999, &(struct ledger_carry){0, 0}, &h.when), 0);
	for (int i = 2; i <= LEDGER_PLANS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "sim%d", i);
		cr_assert_neq(ledger_plan(h.l, name), LEDGER_NONE);
		cr_assert_eq(ledger_begin_cycle(h.l, ledger_plan(h.l, name), i,
				     &(struct ledger_carry){0, 0}, &h.when),
			0);
	}
	cr_expect_eq(ledger_plan(h.l, "one-more"), LEDGER_NONE, "all are in use");
	crash(&h);
	cr_expect_eq(ledger_plan(h.l, "one-more"), 1, "sim2, whose cycle is the oldest");
	cr_expect_eq(ledger_plan(h.l, "sim3"), 2);
	cr_expect_eq(plan_of(&h).cycle_start_s, 999);
	home_clean(&h);
}

Test(control_ledger, refuses_what_makes_no_sense)
{
	struct home h;
	struct ledger_params params = SMALL;
	struct ledger_recovery rec;
	struct ledger_plan p;
	struct ledger *l;

	home_init(&h);
	cr_expect_eq(ledger_grant(h.l, &(struct ledger_lease){3, 1}, 1, &h.when), -EINVAL);
	cr_expect_eq(
		ledger_grant(h.l, &(struct ledger_lease){h.sim1, UINT64_MAX}, 1, &h.when), -EINVAL);
	cr_expect_eq(
		ledger_begin_cycle(h.l, h.sim1, 0, &(struct ledger_carry){0, 0}, &h.when), -EINVAL);
	cr_expect(!ledger_read_plan(h.l, LEDGER_NONE, &p));
	cr_expect_eq(ledger_plan(h.l, ""), LEDGER_NONE);
	params.n_days = 4000;
	cr_expect_eq(ledger_open(&h.disk.store, &params, &h.when, &rec, &l), -EINVAL,
		"more than a checkpoint holds");
	home_clean(&h);
}

Test(control_ledger, the_defaults_fit_their_segment)
{
	struct sim_disk d;
	struct ledger_params params = {0};
	struct ledger_time when = {0};
	struct ledger_recovery rec;
	struct ledger *l;

	sim_disk_init(&d, JOURNAL_SEGMENT_BYTES, 1024, 4 * JOURNAL_SEGMENT_BYTES);
	cr_assert_eq(ledger_open(&d.store, &params, &when, &rec, &l), 0);
	cr_expect_eq(ledger_stats(l).state, LEDGER_SOUND);
	ledger_destroy(l);
	sim_disk_clean(&d);
}

/* A day at 5 Mbit/s, looked at once a second as control does, on a plan without an end. */
Test(control_ledger, a_busy_day_costs_no_more_writes_than_the_flash_is_given)
{
	struct home h;
	struct ledger_stats stats;

	home_init(&h);
	for (uint32_t second = 0; second <= 86400 + 600; second++) {
		uint64_t ask;

		h.when.now_us += SECOND_US;
		settle(&h, plan_of(&h).leased_octets < 625000 ? plan_of(&h).leased_octets : 625000);
		ask = ledger_lease_ask(h.l, h.sim1, UINT64_MAX, &h.when);
		if (ask > 0)
			cr_assert_eq(grant(&h, ask), 0);
	}
	stats = ledger_stats(h.l); /* the last minutes are of the next day */
	cr_expect_leq(stats.n_writes_yesterday, LEASE_WRITES_PER_DAY);
	cr_expect_geq(stats.n_writes_yesterday, 1000);
	cr_expect_leq(stats.written_bytes_yesterday, LEASE_WRITES_PER_DAY * 2 * JOURNAL_PAGE);
	cr_expect_geq(plan_of(&h).used_octets, UINT64_C(625000) * 86000);
	home_clean(&h);
}

/* Days are of running time: how long it was off nobody can say. */
Test(control_ledger, a_day_of_writes_goes_on_over_restarts_and_ends_by_itself)
{
	struct home h;
	uint32_t n;

	home_init(&h);
	for (uint32_t i = 0; i < 5; i++) {
		h.when.now_us += 3600 * SECOND_US;
		cr_assert_eq(grant(&h, 1000), 0);
	}
	n = ledger_stats(h.l).n_writes_today;
	cr_expect_geq(n, 6);
	for (uint32_t i = 0; i < 3; i++) {
		h.when.now_us = 1000 * SECOND_US; /* the machine was off, too */
		crash(&h);
		cr_expect_eq(ledger_stats(h.l).n_writes_today, n + i + 1, "%u: %u of %u", i,
			ledger_stats(h.l).n_writes_today, n);
		cr_expect_gt(ledger_stats(h.l).written_bytes_today, (n + i) * JOURNAL_PAGE);
	}
	n = ledger_stats(h.l).n_writes_today;
	h.when.now_us += 18 * 3600 * SECOND_US;
	cr_assert_eq(grant(&h, 1000), 0);
	cr_expect_eq(ledger_stats(h.l).n_writes_today, n + 1, "23 hours");
	h.when.now_us += 3600 * SECOND_US;
	cr_assert_eq(grant(&h, 1000), 0);
	cr_expect_eq(ledger_stats(h.l).n_writes_today, 1, "24 hours");
	cr_expect_eq(ledger_stats(h.l).n_writes_yesterday, n + 1);
	home_clean(&h);
}

/* Lives of `life_s` seconds each, one after the other for a day; returns what the flash has borne. */
static uint64_t crash_loop(struct home *h, uint64_t life_s, uint32_t *ret_n_paid)
{
	uint64_t n_syncs = 0;

	*ret_n_paid = 0;
	for (uint64_t passed_s = 0; passed_s < 86400; passed_s += life_s) {
		bool has_lease = false;

		for (uint64_t second = 0; second < life_s; second++) {
			h->when.now_us += SECOND_US;
			has_lease = (!ledger_retry(h->l, &h->when) && plan_of(h).leased_octets == 0
					    && grant(h, 1000) == 0)
				    || has_lease;
		}
		*ret_n_paid += has_lease ? 1 : 0;
		n_syncs += ledger_stats(h->l).journal.n_syncs;
		crash(h);
		h->disk.n_ops = 0; /* the log begins anew */
		h->disk.arena_used = 0;
	}
	return n_syncs;
}

Test(control_ledger, a_loop_of_crashes_does_not_wear_the_flash_out)
{
	static const uint64_t lives_s[] = {2, 5, 30, 300};

	for (size_t i = 0; i < sizeof(lives_s) / sizeof(lives_s[0]); i++) {
		struct home h;
		uint32_t n_paid;
		uint64_t n_syncs;

		home_init(&h);
		n_syncs = crash_loop(&h, lives_s[i], &n_paid);
		cr_expect_leq(n_syncs, LEASE_WRITES_PER_DAY + 70, "lives of %lu s: %lu writes",
			lives_s[i], n_syncs);
		cr_expect_geq(n_paid, lives_s[i] >= 300 ? 280 : 900, "lives of %lu s: %u paid",
			lives_s[i], n_paid);
		cr_expect_geq(plan_of(&h).granted_total, n_paid * 1000);
		home_clean(&h);
	}
}
