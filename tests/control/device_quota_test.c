/* SPDX-License-Identifier: BSD-3-Clause */
/* What devices have used goes to the ledger and comes back, on a disk in memory and over a path that is a table of shares. */
#include "config_text.h"
#include "sim_disk.h"

#include <weir/base/clock.h>
#include <weir/control/budget.h>
#include <weir/flow/station.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KB         UINT64_C(1000)
#define MB         UINT64_C(1000000)
#define SHARES_MAX 1500

/* 2026-11-20 12:00 UTC; the cycle begins on the 15th. */
#define NOON_S INT64_C(1795176000)
#define DAY_S  INT64_C(86400)

#define SITE                                                                                       \
	"ports:\n"                                                                                 \
	"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"                            \
	"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: 192.0.2.1, plan: "   \
	"p}\n"                                                                                     \
	"plans: {p: {quota: 10GB, when_spent: block, cycle: {day: 15, timezone: UTC}}}\n"          \
	"classes:\n"                                                                               \
	"  updates: {port: 443, reserve: 20MB, reserve_per_device: 8MB}\n"                         \
	"  time: {port: 123, reserve: 1MB, reserve_per_device: 100kB}\n"                           \
	"devices: {capacity: 2000}\n"
#define QUOTAS "quotas: {guests: {quota: 50MB}}\n"

#define UPDATES 1 /* the accounts of the classes */
#define TIME    2

static const struct mac_addr mac_a = {{2, 0, 0, 0, 0, 0xa}};
static const struct mac_addr mac_b = {{2, 0, 0, 0, 0, 0xb}};

/* What the books see of the path. */
struct path {
	struct meter meter;
	uint32_t n_shares;
	struct share_view shares[SHARES_MAX];
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

uint32_t doors_shares_read(
	const struct path *p, uint8_t plan_id, uint32_t first, struct share_view *views, uint32_t n)
{
	uint32_t i = 0;

	(void)plan_id;
	for (; i < n && first + i < p->n_shares; i++)
		views[i] = p->shares[first + i];
	return i;
}

static struct share_view *share_of(struct path *p, const struct mac_addr *key)
{
	uint32_t i = 0;

	while (i < p->n_shares && !mac_addr_equal(&p->shares[i].key, key))
		i++;
	if (i < p->n_shares)
		return &p->shares[i];
	cr_assert_lt(p->n_shares, SHARES_MAX);
	p->shares[p->n_shares++] =
		(struct share_view){.key = *key, .quota_octets = 50 * MB, .is_payer = true};
	return &p->shares[i];
}

bool doors_share_restore(struct path *p, uint8_t plan_id, const struct mac_addr *key,
	uint32_t cycle, uint8_t account, uint64_t octets)
{
	struct share_view *v = share_of(p, key);

	cr_expect_eq(plan_id, 0);
	v->cycle = cycle;
	if (account == ACCOUNT_GENERAL)
		v->used_octets = octets;
	else
		v->reserved_octets[account] = octets;
	return true;
}

struct site {
	struct path path;
	struct sim_disk disk;
	struct config *config;
	struct budget *budget;
	struct budget_time now;
};

static void open_books(struct site *s)
{
	struct ledger_recovery recovery;

	meter_init(&s->path.meter, &(struct meter_params){0});
	s->path.n_shares = 0;
	cr_assert_eq(
		budget_create(s->config, &s->path, &s->disk.store, &s->now, &recovery, &s->budget),
		0);
}

static struct site *site(const char *text)
{
	struct site *s = calloc(1, sizeof(*s));

	cr_assert_not_null(s);
	s->config = config_of(text);
	sim_disk_init(&s->disk, JOURNAL_SEGMENT_BYTES, 200000, 256u << 20);
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

static void tick(struct site *s, uint64_t span_us)
{
	s->now.now_us += span_us;
	budget_tick(s->budget, &s->now);
}

/* A device's packets, as the path counts them. */
static void use(struct site *s, const struct mac_addr *key, uint64_t octets)
{
	meter_add(&s->path.meter, UPLINK, octets, 1);
	share_of(&s->path, key)->used_octets += octets;
}

static void crash(struct site *s)
{
	budget_destroy(s->budget);
	open_books(s);
}

static uint32_t n_writes(struct site *s)
{
	uint64_t n_unattributed;

	return budget_ledger_stats(s->budget, &n_unattributed).n_writes_today;
}

Test(control_device_quota, an_orderly_end_forgets_nothing)
{
	struct site *s = site(SITE QUOTAS);
	struct mac_addr shared = station_key_of_name("guests");

	use(s, &mac_a, 7 * MB + 1);
	use(s, &mac_b, 49 * MB);
	use(s, &shared, 3 * MB);
	share_of(&s->path, &mac_a)->reserved_octets[UPDATES] = 2 * MB;
	share_of(&s->path, &mac_a)->reserved_octets[TIME] = 90 * KB;
	cr_assert_eq(budget_finish(s->budget, &s->now), 0);
	crash(s);
	cr_expect_eq(share_of(&s->path, &mac_a)->used_octets, 7 * MB + 1);
	cr_expect_eq(share_of(&s->path, &mac_b)->used_octets, 49 * MB);
	cr_expect_eq(share_of(&s->path, &shared)->used_octets, 3 * MB);
	cr_expect_eq(share_of(&s->path, &mac_a)->reserved_octets[UPDATES], 2 * MB);
	cr_expect_eq(share_of(&s->path, &mac_a)->reserved_octets[TIME], 90 * KB,
		"what each reserve has paid, by itself");
	clean(s);
}

Test(control_device_quota, a_share_of_a_reserve_is_kept_without_quotas_too)
{
	struct site *s = site(SITE);

	share_of(&s->path, &mac_a)->reserved_octets[UPDATES] = 2 * MB;
	cr_assert_eq(budget_finish(s->budget, &s->now), 0);
	crash(s);
	cr_expect_eq(share_of(&s->path, &mac_a)->reserved_octets[UPDATES], 2 * MB);
	clean(s);
}

/* 50 MB in steps of 100 kB and 10 ms; the crash comes anywhere. */
Test(control_device_quota, a_crash_forgets_no_more_than_a_part_of_the_quota_and_of_a_second)
{
	for (uint32_t end = 1; end < 500; end += 23) {
		struct site *s = site(SITE QUOTAS);
		uint64_t used = 0, kept, bound = 50 * MB / 32 + 100 * KB * (100 + 10 + 1);

		for (uint32_t i = 0; i < end; i++) {
			use(s, &mac_a, 100 * KB);
			used += 100 * KB;
			tick(s, 10 * US_PER_MS);
		}
		crash(s);
		kept = share_of(&s->path, &mac_a)->used_octets;
		cr_expect_leq(kept, used);
		cr_expect_geq(kept + bound, used, "%lu of %lu", kept, used);
		clean(s);
	}
}

Test(control_device_quota, what_goes_slowly_costs_no_write_of_its_own_but_some)
{
	struct site *s = site(SITE QUOTAS);
	uint32_t before = n_writes(s);
	uint64_t kept;

	/* 20 MB in three hours: a lease lasts all of it. */
	for (uint32_t i = 0; i < 2000; i++) {
		use(s, &mac_a, 10 * KB);
		tick(s, 5 * US_PER_S);
	}
	cr_expect_leq(n_writes(s) - before, 40, "%u", n_writes(s) - before);
	crash(s);
	kept = share_of(&s->path, &mac_a)->used_octets;
	cr_expect_geq(kept, 20 * MB - 50 * MB / 32 - 10 * KB, "%lu", kept);
	clean(s);
}

Test(control_device_quota, a_thousand_devices_stay_within_the_days_writes)
{
	struct site *s = site(SITE QUOTAS);

	for (uint32_t n = 0; n < 3000; n++) {
		for (uint32_t i = 0; i < 1000; i++)
			use(s, &(struct mac_addr){{2, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}},
				20 * KB);
		tick(s, 20 * US_PER_S);
	}
	cr_expect_leq(n_writes(s), LEASE_WRITES_PER_DAY, "%u", n_writes(s));
	clean(s);
}

Test(control_device_quota, a_new_cycle_takes_all_back)
{
	struct site *s = site(SITE QUOTAS);
	struct share_view *a;

	use(s, &mac_a, 50 * MB);
	a = share_of(&s->path, &mac_a);
	a->action = LADDER_RESERVE_ONLY;
	tick(s, US_PER_S);
	cr_expect_eq(budget_devices_read(s->budget).n_steps, 1);
	cr_expect_eq(budget_devices_read(s->budget).n_cut, 1);
	s->now.wall_s += 40 * DAY_S;
	tick(s, US_PER_S); /* the path has not looked at it since */
	tick(s, US_PER_S);
	cr_expect_eq(budget_devices_read(s->budget).n_steps, 2);
	cr_expect_eq(budget_devices_read(s->budget).n_cut, 0);
	cr_assert_eq(budget_finish(s->budget, &s->now), 0);
	crash(s);
	cr_expect_eq(share_of(&s->path, &mac_a)->used_octets, 0);
	clean(s);
}

Test(control_device_quota, a_cycle_that_ended_while_nobody_ran_gives_all_back)
{
	struct site *s = site(SITE QUOTAS);

	use(s, &mac_a, 50 * MB);
	cr_assert_eq(budget_finish(s->budget, &s->now), 0);
	s->now.wall_s += 40 * DAY_S;
	crash(s);
	cr_expect_eq(share_of(&s->path, &mac_a)->used_octets, 0);
	clean(s);
}

Test(control_device_quota, reserves_that_have_changed_places_keep_what_is_theirs)
{
	static const char other[] =
		"ports:\n"
		"  lan0: {role: lan, device: eth1, address: 192.168.50.1/24}\n"
		"  wan0: {role: uplink, device: eth0, address: 192.0.2.2/24, gateway: 192.0.2.1, "
		"plan: p}\n"
		"plans: {p: {quota: 10GB, cycle: {day: 15, timezone: UTC}}}\n"
		"classes: {time: {port: 123, reserve: 1MB, reserve_per_device: 100kB}}\n";
	struct site *s = site(SITE);

	share_of(&s->path, &mac_a)->reserved_octets[UPDATES] = 2 * MB;
	share_of(&s->path, &mac_a)->reserved_octets[TIME] = 90 * KB;
	cr_assert_eq(budget_finish(s->budget, &s->now), 0);
	config_destroy(s->config);
	s->config = config_of(other);
	crash(s);
	cr_expect_eq(share_of(&s->path, &mac_a)->reserved_octets[1], 90 * KB);
	clean(s);
}
