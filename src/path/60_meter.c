/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * meter: what may cross the uplink under its plan. Uplink packets are counted here, and taken back when they are dropped
 * further on; downlink packets were billed when they arrived (parse), so here they can only be stopped.
 *
 * A flow whose class owns a reserve is paid for by that, until it or the device's share of it is used up, and then like
 * any other by what is left of the plan for all. What a device has used of its own quota is counted for all of its flows.
 */
#include "stage.h"

#include <weir/classify/classes.h>

void meter_tell_spent(struct stage_ctx *ctx, uint8_t plan_id)
{
	struct path_event event = {.kind = EVENT_PLAN_SPENT, .a = plan_id};

	if (ctx->plan_spent[plan_id])
		return;
	ctx->plan_spent[plan_id] = true;
	stage_event(ctx, &event);
}

/* Packets in a row that go from one port to one other: what they may use of the plan is looked up once. */
struct run {
	uint8_t plan_id;
	bool is_up;
	uint32_t cycle; /* of the plan */
	uint32_t n_share_plans;
	struct share *shares; /* of the plan, by station */
	const struct device *devices;
	uint32_t overhead_octets;
	int64_t room;         /* the lesser of both that follow, which are this and so much more */
	int64_t more_leased;  /* to be sent; what has come in needs none */
	int64_t more_general; /* below zero when more is billed than there was */
};

static inline int64_t lease_left(const struct run *run)
{
	return run->room + run->more_leased;
}

static inline int64_t general_left(const struct run *run)
{
	return run->room + run->more_general;
}

static inline void set_left(struct run *run, int64_t general, int64_t leased)
{
	run->room = RTE_MIN(general, leased);
	run->more_general = general - run->room;
	run->more_leased = leased - run->room;
}

static struct run begin(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	bool is_up = ctx->is_uplink[m->out_port];
	uint8_t plan_id = ctx->config->ports[is_up ? m->out_port : m->in_port].plan_id;
	struct run run = {
		.plan_id = plan_id,
		.room = INT64_MAX,
	};
	const struct meter *meter;

	if (plan_id == PLAN_NONE)
		return run;
	meter = &ctx->plans[plan_id];
	run.is_up = is_up;
	run.shares = ctx->shares + plan_id;
	run.n_share_plans = ctx->n_share_plans;
	run.devices = ctx->devices->devices;
	run.cycle = __atomic_load_n(&meter->limits.cycle, __ATOMIC_RELAXED);
	run.overhead_octets = meter->params.overhead_octets[is_up ? UPLINK : DOWNLINK];
	set_left(&run, meter_left(meter, ACCOUNT_GENERAL),
		is_up ? meter_lease_left(meter) : INT64_MAX / 2);
	return run;
}

static inline int64_t cost_of(const struct run *run, const struct pkt_meta *m)
{
	return (int64_t)m->ip_octets + run->overhead_octets;
}

/* True when the reserve behind an account has room for a packet, and the device's share of it. */
static bool reserve_has_room(
	struct stage_ctx *ctx, const struct run *run, const struct pkt_meta *m, uint8_t account)
{
	const struct meter *meter = &ctx->plans[run->plan_id];
	const struct share *share =
		quota_own(ctx, &ctx->devices->devices[m->device_id], run->plan_id);
	int64_t cost = cost_of(run, m);

	return cost <= meter_left(meter, account)
	       && cost <= meter_gap(
			  &meter->limits.devices[account], share->reserved_octets[account]);
}

/* Who pays for a packet of a class: its reserve, nobody where the plan's carrier does not bill it, or all. */
static uint8_t payer_of(
	struct stage_ctx *ctx, const struct run *run, const struct pkt_meta *m, uint8_t class_id)
{
	uint8_t account = ctx->config->accounts[class_id];
	bool pays = false;

	if (run->plan_id == PLAN_NONE)
		return ACCOUNT_GENERAL;
	if (account == ACCOUNT_FREE)
		pays = meter_is_free(&ctx->plans[run->plan_id], class_id);
	else if (account != ACCOUNT_GENERAL)
		pays = reserve_has_room(ctx, run, m, account);
	return pays ? account : ACCOUNT_GENERAL;
}

static void bill_payer(
	struct stage_ctx *ctx, const struct run *run, struct pkt_meta *m, uint8_t account)
{
	enum direction direction = run->is_up ? UPLINK : DOWNLINK;
	struct meter *meter = &ctx->plans[run->plan_id];

	m->flags |= PKT_RESERVED;
	if (account == ACCOUNT_FREE) {
		meter_add_free(meter, direction, m->ip_octets, 1);
		return;
	}
	meter_add_reserved(meter, account, direction, m->ip_octets, 1);
	quota_own(ctx, &ctx->devices->devices[m->device_id], run->plan_id)
		->reserved_octets[account] += (uint64_t)cost_of(run, m);
}

/* What a packet takes from the general account, which may be less than nothing. */
struct taking {
	int64_t of_general;
	enum drop_reason why;
};

/* What the plan says of any packet: also one that a reserve may pay for, that has no room or whose device has a quota. */
__attribute__((noinline)) static struct taking take_watched(
	struct stage_ctx *ctx, const struct run *run, struct pkt_meta *m, uint32_t flow_flags)
{
	uint8_t account = (flow_flags & FLOW_RESERVED) == 0
				  ? ACCOUNT_GENERAL
				  : payer_of(ctx, run, m, stage_flow_more(ctx, m)->class_id);
	int64_t cost = cost_of(run, m);
	int64_t to_send = run->is_up ? cost : 0;
	bool has_quota = (flow_flags & FLOW_QUOTA) != 0 && account != ACCOUNT_FREE;
	bool is_reserved = account != ACCOUNT_GENERAL && to_send <= lease_left(run);
	struct taking t = {.of_general = to_send};

	if (to_send > general_left(run) && !is_reserved)
		t.why = DROP_METER_PLAN_SPENT;
	else if (to_send > lease_left(run))
		t.why = DROP_METER_NO_LEASE;
	if (has_quota && t.why == DROP_NONE)
		t.why = quota_take(ctx, m, run->plan_id, (uint64_t)cost, is_reserved);
	else if (has_quota && !run->is_up)
		quota_count(ctx, m, run->plan_id, (uint64_t)cost);
	if (t.why == DROP_NONE && is_reserved) {
		bill_payer(ctx, run, m, account);
		/* What came in was on the general account until now. */
		t.of_general = to_send - cost;
	}
	return t;
}

/* quota_take() for a packet that no reserve pays for and that leads to no other step of its device's quota; false for any other. */
static inline bool take_of_quota(const struct run *run, struct pkt_meta *m)
{
	struct share *s =
		&run->shares[(size_t)run->devices[m->device_id].station * run->n_share_plans];
	uint64_t used_octets = s->used_octets + (uint64_t)cost_of(run, m);

	if (unlikely(!s->is_payer || s->cycle != run->cycle || used_octets > s->general_octets
		     || used_octets >= s->next_octets))
		return false;
	s->used_octets = used_octets;
	m->flags |= PKT_QUOTA;
	return true;
}

/* True when a packet takes no more than what there is room for, and nobody but the general account and its device's quota
 * have a say. */
static inline bool take_plainly(const struct run *run, struct pkt_meta *m, uint32_t watched)
{
	return likely(watched == 0)
	       || (watched == FLOW_QUOTA && run->plan_id != PLAN_NONE && take_of_quota(run, m));
}

/* The rest. DROP_NONE: it was taken. */
static enum drop_reason take_otherwise(
	struct stage_ctx *ctx, struct run *run, struct pkt_meta *m, uint32_t watched)
{
	struct taking t = take_watched(ctx, run, m, watched);
	int64_t cost = run->is_up ? cost_of(run, m) : 0;

	if (t.why == DROP_NONE)
		set_left(run, general_left(run) - t.of_general, lease_left(run) - cost);
	else if (t.why == DROP_METER_PLAN_SPENT)
		meter_tell_spent(ctx, run->plan_id);
	return t.why;
}

/* Takes packets in a row that go from one port to one other; returns how many they are. Those that are
 * taken are put at *ret_kept, which moves on. */
static uint32_t take_run(struct stage_ctx *ctx, struct rte_mbuf *const *pkts, uint32_t n_pkts,
	struct rte_mbuf ***ret_kept)
{
	uint16_t way = stage_way(stage_meta(pkts[0]));
	struct run run = begin(ctx, stage_meta(pkts[0]));
	struct rte_mbuf **kept = *ret_kept;
	int64_t room = run.room; /* by itself: the run lives in memory */
	uint64_t octets = 0;
	uint32_t n = 0;

	do {
		struct pkt_meta *m = stage_meta(pkts[n]);
		uint32_t watched = stage_flow(ctx, m)->flags & (FLOW_RESERVED | FLOW_QUOTA);
		int64_t cost = run.is_up ? cost_of(&run, m) : 0;

		if (unlikely(stage_way(m) != way))
			break;
		if (likely(cost <= room) && take_plainly(&run, m, watched)) {
			room -= cost;
		} else {
			enum drop_reason why;

			run.room = room;
			why = take_otherwise(ctx, &run, m, watched);
			room = run.room;
			if (why != DROP_NONE) {
				stage_drop(ctx, pkts[n], why);
				continue;
			}
		}
		octets += m->ip_octets;
		*kept++ = pkts[n];
	} while (++n < n_pkts);
	if (run.is_up)
		meter_add(&ctx->plans[run.plan_id], UPLINK, octets, (uint64_t)(kept - *ret_kept));
	*ret_kept = kept;
	return n;
}

uint16_t meter_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct rte_mbuf **kept = pkts;

	for (uint32_t i = 0; i < n_pkts;)
		i += take_run(ctx, pkts + i, n_pkts - i, &kept);
	return (uint16_t)(kept - pkts);
}
