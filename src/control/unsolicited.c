/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/amount.h>
#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/unsolicited.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_S      3600u
#define SPAN_US     (300 * US_PER_S)
#define SPANS       12           /* an hour */
#define CYCLE_S     (30 * 86400) /* where nobody knows when it ends */
#define CALM_PARTS  4            /* the alarm ends below three of four parts of its share */
#define CALM_NEEDED 3

/* Senders as they stood; the older of two tells who has sent most since. */
struct snapshot {
	struct top senders;
	uint64_t
		since_us; /* of the lists: another one, and the snapshot is of lists that are gone */
};

struct uplink {
	uint64_t octets; /* as last read */
	uint64_t packets;
	struct snapshot older;
	struct snapshot newer;
};

struct plan_watch {
	char name[CONFIG_NAME_MAX];
	uint32_t alarm_ppm;
	uint64_t spans[SPANS]; /* billed octets; the one that is being filled moves on */
	int64_t cycle_start_s;
	struct budget_view books; /* before this tick's octets were handed to them */
	struct unsolicited_view view;
};

struct unsolicited_watch {
	struct path *path;
	struct budget *budget;
	struct uplink uplinks[PORTS_MAX];
	struct plan_watch plans[PLANS_MAX];
	uint32_t n_plans;
	uint32_t span;
	uint64_t span_us; /* when it began; 0: no tick yet */
	struct unsolicited_lists lists;
};

void unsolicited_set_config(struct unsolicited_watch *u, const struct config *c)
{
	for (uint32_t i = 0; i < u->n_plans; i++) {
		memcpy(u->plans[i].name, c->plans[i].name, sizeof(u->plans[i].name));
		u->plans[i].alarm_ppm = c->plans[i].unsolicited_alarm_ppm;
	}
}

int unsolicited_create(struct path *path, struct budget *budget, const struct config *c,
	struct unsolicited_watch **ret_watch)
{
	struct unsolicited_watch *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return -ENOMEM;
	u->path = path;
	u->budget = budget;
	u->n_plans = c->n_plans;
	unsolicited_set_config(u, c);
	*ret_watch = u;
	return 0;
}

void unsolicited_destroy(struct unsolicited_watch *u)
{
	free(u);
}

/* A new span begins every five minutes; what lies an hour back is forgotten. */
static void turn_span(struct unsolicited_watch *u, uint64_t now_us)
{
	if (u->span_us == 0)
		u->span_us = now_us;
	for (uint32_t n = 0; n < SPANS && now_us - u->span_us >= SPAN_US; n++) {
		u->span_us += SPAN_US;
		u->span = (u->span + 1) % SPANS;
		for (uint32_t i = 0; i < u->n_plans; i++)
			u->plans[i].spans[u->span] = 0;
		for (uint32_t i = 0; i < PORTS_MAX; i++)
			u->uplinks[i].older = u->uplinks[i].newer;
	}
	if (now_us - u->span_us >= SPAN_US)
		u->span_us = now_us;
}

/* What a sender has sent for certain since the snapshot. */
static uint64_t grown(const struct top_entry *e, const struct snapshot *before,
	const struct unsolicited_lists *now)
{
	uint64_t from = e->over;

	for (uint64_t i = 0; i < before->senders.n && before->since_us == now->since_us; i++)
		if (before->senders.entries[i].key == e->key
			&& before->senders.entries[i].octets > from)
			from = before->senders.entries[i].octets;
	return e->octets - from;
}

/* Names whoever has sent most by any uplink of the plan. */
static void find_sender(
	struct plan_watch *p, const struct uplink *up, const struct unsolicited_lists *lists)
{
	for (uint64_t i = 0; i < lists->senders.n; i++) {
		const struct top_entry *e = &lists->senders.entries[i];
		uint64_t octets = grown(e, &up->older, lists);

		if (e->key == UNSOLICITED_KEY_MALFORMED || octets <= p->view.sender_octets)
			continue;
		p->view.has_sender = true;
		p->view.sender = ip_addr_v4(htonl((uint32_t)e->key));
		p->view.sender_octets = octets;
		p->view.sender_packets = e->packets;
	}
}

static uint64_t billed_of(
	const struct path_config *pc, uint32_t plan_id, const struct ledger_usage *usage)
{
	return usage->octets[DOWNLINK]
	       + usage->packets[DOWNLINK] * pc->plans[plan_id].overhead_octets[DOWNLINK];
}

/* Takes down what an uplink has received since the last tick. */
static void take_uplink(struct unsolicited_watch *u, const struct path_config *pc, uint8_t port)
{
	struct uplink *up = &u->uplinks[port];
	uint8_t plan_id = pc->ports[port].plan_id;
	const struct unsolicited_lists *lists = &u->lists;
	struct ledger_usage usage = {0};
	struct plan_watch *p;
	uint64_t billed;

	doors_unsolicited_read(u->path, port, &u->lists);
	usage.octets[DOWNLINK] = lists->octets - up->octets;
	usage.packets[DOWNLINK] = lists->packets - up->packets;
	up->octets = lists->octets;
	up->packets = lists->packets;
	up->newer = (struct snapshot){.senders = lists->senders, .since_us = lists->since_us};
	if (plan_id >= u->n_plans)
		return;
	p = &u->plans[plan_id];
	billed = billed_of(pc, plan_id, &usage);
	p->spans[u->span] += billed;
	p->view.used_octets += billed;
	find_sender(p, up, lists);
	if (usage.packets[DOWNLINK] > 0)
		budget_count_unsolicited(u->budget, plan_id, &usage);
}

static void tell(const struct plan_watch *p)
{
	const struct unsolicited_view *v = &p->view;
	char sender[IP_ADDR_TEXT_MAX] = "none";

	if (v->has_sender)
		ip_addr_format(&v->sender, sender);
	log_event(v->is_alarmed ? LOG_WARNING : LOG_NOTICE,
		"plan.unsolicited plan=%s alarm=%s used_octets=%llu hour_octets=%llu "
		"forecast_octets=%llu alarm_octets=%llu sender=%s sender_octets=%llu",
		p->name, v->is_alarmed ? "on" : "off", (unsigned long long)v->used_octets,
		(unsigned long long)v->hour_octets, (unsigned long long)v->forecast_octets,
		(unsigned long long)v->alarm_octets, sender, (unsigned long long)v->sender_octets);
}

static void judge(struct plan_watch *p)
{
	struct unsolicited_view *v = &p->view;
	uint64_t limit =
		v->is_alarmed ? v->alarm_octets / CALM_PARTS * CALM_NEEDED : v->alarm_octets;
	bool is_alarmed = v->alarm_octets > 0 && v->forecast_octets > limit;

	if (is_alarmed == v->is_alarmed)
		return;
	v->is_alarmed = is_alarmed;
	v->n_alarms += is_alarmed ? 1 : 0;
	tell(p);
}

/* The people who look want to see this cycle's senders. */
static void restart_lists(struct unsolicited_watch *u, const struct path_config *pc, uint32_t plan)
{
	for (uint32_t i = 0; i < pc->n_ports; i++)
		if (pc->ports[i].role == PORT_UPLINK && pc->ports[i].plan_id == plan)
			doors_unsolicited_restart(u->path, (uint8_t)i);
}

static void open_plan(struct unsolicited_watch *u, const struct path_config *pc, uint32_t plan_id)
{
	struct plan_watch *p = &u->plans[plan_id];

	if (!budget_read(u->budget, plan_id, &p->books))
		return;
	if (p->cycle_start_s != 0 && p->cycle_start_s != p->books.plan.cycle_start_s)
		restart_lists(u, pc, plan_id);
	p->cycle_start_s = p->books.plan.cycle_start_s;
	p->view.has_sender = false;
	p->view.sender_octets = 0;
	p->view.used_octets = billed_of(pc, plan_id, &p->books.unsolicited);
}

static void foresee(struct plan_watch *p, const struct budget_time *now)
{
	uint64_t quota = p->books.quota_octets;
	int64_t left_s = CYCLE_S;

	if (p->books.cycle_end_s != 0)
		left_s =
			p->books.cycle_end_s > now->wall_s ? p->books.cycle_end_s - now->wall_s : 0;
	p->view.hour_octets = 0;
	for (uint32_t i = 0; i < SPANS; i++)
		p->view.hour_octets += p->spans[i];
	p->view.forecast_octets =
		p->view.used_octets
		+ (uint64_t)((double)p->view.hour_octets * (double)left_s / HOUR_S);
	p->view.alarm_octets = amount_scale_down(quota, p->alarm_ppm, ALL_PPM);
}

void unsolicited_tick(struct unsolicited_watch *u, const struct budget_time *now)
{
	const struct path_config *pc = doors_config(u->path);

	turn_span(u, now->now_us);
	for (uint32_t i = 0; i < u->n_plans; i++)
		open_plan(u, pc, i);
	for (uint32_t i = 0; i < pc->n_ports; i++)
		if (pc->ports[i].role == PORT_UPLINK)
			take_uplink(u, pc, (uint8_t)i);
	for (uint32_t i = 0; i < u->n_plans; i++) {
		foresee(&u->plans[i], now);
		judge(&u->plans[i]);
	}
}

bool unsolicited_read(
	const struct unsolicited_watch *u, uint32_t plan_id, struct unsolicited_view *ret_view)
{
	if (plan_id >= u->n_plans)
		return false;
	*ret_view = u->plans[plan_id].view;
	return true;
}
