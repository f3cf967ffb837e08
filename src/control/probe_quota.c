/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/probe_quota.h>

#include <errno.h>
#include <stdlib.h>

#define DAY_US (86400 * US_PER_S)

/* What one purse pays for: a plan's in a cycle, or an uplink's without a plan in a day. */
struct purse {
	bool is_open;
	int64_t cycle;        /* when it began; of no plan: the day's number */
	uint64_t base_octets; /* used in the cycle when it was opened */
	uint64_t octets;      /* since then */
};

struct probe_quota {
	struct path *path;
	struct budget *budget;
	uint64_t started_us; /* 0: no tick yet */
	struct purse plans[PLANS_MAX];
	struct purse ports[PORTS_MAX];
	struct ledger_usage seen[PORTS_MAX]; /* of each uplink, since the start */
};

int probe_quota_create(struct path *path, struct budget *budget, struct probe_quota **ret_quota)
{
	struct probe_quota *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->path = path;
	q->budget = budget;
	*ret_quota = q;
	return 0;
}

void probe_quota_destroy(struct probe_quota *q)
{
	free(q);
}

static uint64_t sum_of(const struct ledger_usage *usage)
{
	return usage->octets[UPLINK] + usage->octets[DOWNLINK];
}

static void open_purse(struct purse *p, int64_t cycle, uint64_t base_octets)
{
	if (p->is_open && p->cycle == cycle)
		return;
	*p = (struct purse){.is_open = true, .cycle = cycle, .base_octets = base_octets};
}

/* The purse of an uplink, for the present cycle; NULL while the plan's books are not open. */
static struct purse *purse_of(struct probe_quota *q, uint8_t port, uint8_t plan_id, uint64_t now_us)
{
	struct budget_view view;

	if (plan_id == PLAN_NONE) {
		open_purse(&q->ports[port], (int64_t)((now_us - q->started_us) / DAY_US), 0);
		return &q->ports[port];
	}
	if (!budget_read(q->budget, plan_id, &view) || view.name[0] == '\0')
		return NULL;
	open_purse(&q->plans[plan_id], view.plan.cycle_start_s, sum_of(&view.probes));
	return &q->plans[plan_id];
}

/* What an uplink was probed with since the last tick. */
static struct ledger_usage take_news(
	struct probe_quota *q, uint8_t port, const struct link_stats *stats)
{
	struct ledger_usage news = {0};

	for (int d = 0; d < N_DIRECTIONS; d++) {
		news.octets[d] = stats->probe_octets[d] - q->seen[port].octets[d];
		news.packets[d] = stats->probe_packets[d] - q->seen[port].packets[d];
		q->seen[port].octets[d] = stats->probe_octets[d];
		q->seen[port].packets[d] = stats->probe_packets[d];
	}
	return news;
}

static void tick_uplink(
	struct probe_quota *q, const struct path_port *port, uint8_t id, uint64_t now_us)
{
	struct link_stats stats;
	struct ledger_usage news;
	struct purse *p;
	uint64_t used;

	if (!doors_link_read(q->path, id, &stats))
		return;
	p = purse_of(q, id, port->plan_id, now_us);
	if (p == NULL)
		return;
	news = take_news(q, id, &stats);
	p->octets += sum_of(&news);
	if (port->plan_id != PLAN_NONE && sum_of(&news) > 0)
		budget_count_probes(q->budget, port->plan_id, &news);
	used = p->base_octets + p->octets;
	doors_probe_limit_set(q->path, id,
		sum_of(&q->seen[id])
			+ (port->probe_quota_octets > used ? port->probe_quota_octets - used : 0));
}

void probe_quota_tick(struct probe_quota *q, uint64_t now_us)
{
	const struct path_config *config = doors_config(q->path);

	if (q->started_us == 0)
		q->started_us = now_us;
	for (uint8_t i = 0; i < config->n_ports; i++)
		if (!ip_addr_is_unset(&config->ports[i].probe_to) || sum_of(&q->seen[i]) > 0)
			tick_uplink(q, &config->ports[i], i, now_us);
}
