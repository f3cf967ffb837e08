/* SPDX-License-Identifier: BSD-3-Clause */
/* What probes may cost, over a path and books that are numbers. */
#include <weir/base/clock.h>
#include <weir/control/probe_quota.h>

#include <criterion/criterion.h>

#define PLANNED   0
#define UNPLANNED 1
#define QUOTA     1000
#define PROBE     28

struct path {
	struct path_config config;
	struct link_stats links[2];
	uint64_t limits[2];
};

struct budget {
	struct budget_view view;
};

static struct path path;
static struct budget books;
static struct probe_quota *quota;
static uint64_t now_us;

const struct path_config *doors_config(const struct path *p)
{
	return &p->config;
}

bool doors_link_read(const struct path *p, uint8_t port, struct link_stats *ret_stats)
{
	*ret_stats = p->links[port];
	return true;
}

void doors_probe_limit_set(struct path *p, uint8_t port, uint64_t octets)
{
	p->limits[port] = octets;
}

bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view)
{
	*ret_view = b->view;
	return plan_id == 0;
}

void budget_count_probes(struct budget *b, uint8_t plan_id, const struct ledger_usage *usage)
{
	cr_expect_eq(plan_id, 0);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		b->view.probes.octets[d] += usage->octets[d];
		b->view.probes.packets[d] += usage->packets[d];
	}
}

static void begin(void)
{
	static const uint8_t plans[2] = {0, PLAN_NONE};

	path = (struct path){.config = {.n_ports = 2}};
	for (int i = 0; i < 2; i++)
		path.config.ports[i] = (struct path_port){.role = PORT_UPLINK,
			.plan_id = plans[i],
			.follows_link = true,
			.probe_to = ip_addr_v4(0x350200c0),
			.probe_quota_octets = QUOTA};
	books = (struct budget){.view = {.name = "sim1", .plan = {.cycle_start_s = 5}}};
	now_us = 77 * US_PER_S;
	cr_assert_eq(probe_quota_create(&path, &books, &quota), 0);
}

static void end(void)
{
	probe_quota_destroy(quota);
}

TestSuite(control_probe_quota, .init = begin, .fini = end);

static void tick(void)
{
	now_us += US_PER_S;
	probe_quota_tick(quota, now_us);
}

static void probe(int port, uint64_t n)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		path.links[port].probe_octets[d] += n * PROBE;
		path.links[port].probe_packets[d] += n;
	}
}

Test(control_probe_quota, what_was_used_is_booked_once_and_the_limit_stays_where_it_was)
{
	tick();
	cr_assert_eq(path.limits[PLANNED], QUOTA);
	for (int i = 0; i < 10; i++) {
		probe(PLANNED, 1);
		tick();
		cr_assert_eq(path.limits[PLANNED], QUOTA);
	}
	cr_assert_eq(books.view.probes.octets[UPLINK], 10 * PROBE);
	cr_assert_eq(books.view.probes.packets[DOWNLINK], 10);
}

Test(control_probe_quota, what_the_ledger_remembers_of_the_cycle_counts)
{
	books.view.probes.octets[UPLINK] = 300;
	books.view.probes.octets[DOWNLINK] = 300;
	tick();
	cr_assert_eq(path.limits[PLANNED], 400);
	books.view.probes.octets[UPLINK] = 5000;
	tick();
	cr_assert_eq(path.limits[PLANNED], 400, "the ledger comes after, it is read at the start");
}

Test(control_probe_quota, a_new_cycle_begins_a_new_quota)
{
	tick();
	probe(PLANNED, 17);
	tick();
	books.view.plan.cycle_start_s = 6;
	books.view.probes = (struct ledger_usage){0};
	tick();
	cr_assert_eq(path.limits[PLANNED], 2 * 17 * PROBE + QUOTA);
}

Test(control_probe_quota, without_a_plan_a_day_is_the_cycle_and_nothing_is_booked)
{
	tick();
	probe(UNPLANNED, 10);
	tick();
	cr_assert_eq(path.limits[UNPLANNED], QUOTA);
	cr_assert_eq(books.view.probes.octets[UPLINK], 0);
	now_us += 86400 * US_PER_S;
	tick();
	cr_assert_eq(path.limits[UNPLANNED], 2 * 10 * PROBE + QUOTA);
}

Test(control_probe_quota, while_books_are_closed_nothing_is_allowed)
{
	books.view.name[0] = '\0';
	tick();
	cr_assert_eq(path.limits[PLANNED], 0);
}

Test(control_probe_quota, a_smaller_quota_holds_at_once)
{
	tick();
	probe(PLANNED, 10);
	path.config.ports[PLANNED].probe_quota_octets = 100;
	tick();
	cr_assert_eq(path.limits[PLANNED], 2 * 10 * PROBE, "as far as it has come, and no farther");
}
