/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quotas of devices: what each has used of each plan in its cycle, and what that leaves it. Counted by station (the MAC), so that
 * another address is no other quota. The meter stage asks for flows that carry FLOW_QUOTA; all else here is for new flows, new
 * configurations and housekeeping.
 */
#include "stage.h"

#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/classify/classes.h>

#include <errno.h>

#define RATES_US (100 * US_PER_MS) /* between two rounds of handing out rates */

static_assert(2 * QUOTAS_MAX <= STATIONS_SHARED, "new names find room beside those they replace");

static size_t shares_bytes(const struct stage_ctx *ctx)
{
	return (size_t)ctx->stations->capacity * ctx->n_share_plans * sizeof(*ctx->shares);
}

int quota_create(
	struct stage_ctx *ctx, const struct path_config *config, const struct flow_hash_key *key)
{
	void *shares;
	int err = station_table_create(ctx->devices->capacity, key, &ctx->stations);

	if (err < 0)
		return err;
	ctx->n_share_plans = RTE_MAX(config->n_plans, 1u);
	err = memory_create(shares_bytes(ctx), &shares);
	if (err < 0)
		return err;
	ctx->shares = shares;
	return 0;
}

void quota_destroy(struct stage_ctx *ctx)
{
	if (ctx->shares != NULL)
		memory_destroy(ctx->shares, shares_bytes(ctx));
	station_table_destroy(ctx->stations);
}

static uint32_t cycle_of(const struct stage_ctx *ctx, uint32_t plan_id)
{
	return __atomic_load_n(&ctx->plans[plan_id].limits.cycle, __ATOMIC_RELAXED);
}

/* The rule over a station's own share; NULL where there is none, or several have one together. */
static const struct share_rule *rule_of(const struct stage_ctx *ctx, uint32_t station)
{
	const struct station *s = &ctx->stations->stations[station];

	return s->quota == QUOTA_NONE || s->payer != station ? NULL
							     : &ctx->config->quotas[s->quota].rule;
}

/* A station's shares say all that its packets ask for: what is in force, and whether these pay. */
static void follow_station(struct stage_ctx *ctx, uint32_t station)
{
	for (uint32_t p = 0; p < ctx->n_share_plans; p++) {
		struct share *s = stage_share(ctx, station, (uint8_t)p);

		s->is_payer = ctx->stations->stations[station].payer == station;
		share_set_rule(s, rule_of(ctx, station));
	}
}

static void begin_shares(struct stage_ctx *ctx, uint32_t station)
{
	for (uint32_t p = 0; p < ctx->n_share_plans; p++)
		share_begin(stage_share(ctx, station, (uint8_t)p), NULL, cycle_of(ctx, p));
	follow_station(ctx, station);
}

static bool may_yield(const void *context, uint32_t id)
{
	const struct stage_ctx *ctx = context;

	for (uint32_t p = 0; p < ctx->n_share_plans; p++) {
		const struct share *s = stage_share(ctx, id, (uint8_t)p);

		if (s->cycle == cycle_of(ctx, p) && share_is_worth_keeping(s))
			return false;
	}
	return true;
}

/* The first quota that fits a device. The gateway's own programs have none. */
static uint8_t quota_of(const struct stage_ctx *ctx, struct device *d)
{
	const struct path_config *c = ctx->config;
	uint64_t groups = stage_groups(ctx, d);

	if (c->ports[d->port].role != PORT_LAN)
		return QUOTA_NONE;
	for (uint32_t i = 0; i < c->n_quotas; i++)
		if (c->quotas[i].groups == 0 || (c->quotas[i].groups & groups) != 0)
			return (uint8_t)i;
	return QUOTA_NONE;
}

/* The station of a device: its own, or where there is no room that of all whom its quota holds together. */
static uint32_t station_of(struct stage_ctx *ctx, const struct device *d, uint8_t quota)
{
	struct mac_addr key = station_key(d);
	bool is_new;
	uint32_t id;

	if (d->station >= STATION_FIRST
		&& mac_addr_equal(&ctx->stations->stations[d->station].key, &key))
		return d->station;
	id = station_take(ctx->stations, &key, may_yield, ctx, &is_new);
	if (is_new)
		begin_shares(ctx, id);
	if (id == STATION_NONE && quota != QUOTA_NONE)
		return ctx->quota_stations[quota];
	return id;
}

/* Of several addresses that a station has, the one under the first quota decides. */
static void attach(struct stage_ctx *ctx, uint16_t device_id)
{
	struct device *d = &ctx->devices->devices[device_id];
	uint8_t quota = quota_of(ctx, d);
	uint32_t id = station_of(ctx, d, quota);
	struct station *s = &ctx->stations->stations[id];

	station_hold(ctx->stations, device_id, id);
	d->station = id;
	if (id < STATION_FIRST)
		return; /* there may be room for one of its own later */
	d->known |= DEVICE_KNOWN_STATION;
	if (quota >= s->quota)
		return;
	s->quota = quota;
	s->payer = ctx->config->quotas[quota].is_shared ? ctx->quota_stations[quota] : id;
	follow_station(ctx, id);
}

void quota_flow(struct stage_ctx *ctx, struct flow *f)
{
	const struct device *d;

	f->flags &= (uint8_t)~FLOW_QUOTA;
	if (likely(!ctx->counts_shares) || f->device_id == DEVICE_NONE)
		return;
	d = &ctx->devices->devices[f->device_id];
	if ((d->known & DEVICE_KNOWN_STATION) == 0)
		attach(ctx, f->device_id);
	if (ctx->stations->stations[d->station].quota != QUOTA_NONE)
		f->flags |= FLOW_QUOTA;
}

/* Who shares a quota, or finds no room for a share of his own, does so under the quota's name. */
static void adopt_shared(struct stage_ctx *ctx)
{
	struct station_table *t = ctx->stations;
	uint32_t kept = 0;

	for (uint32_t id = STATION_NONE; id < STATION_FIRST; id++)
		t->stations[id].quota = QUOTA_NONE;
	for (uint32_t i = 0; i < ctx->config->n_quotas; i++) {
		struct mac_addr key = station_key_of_name(ctx->config->quotas[i].name);
		bool is_new;
		uint32_t id = station_share(t, &key, kept, &is_new);

		kept |= UINT32_C(1) << (id - STATION_NONE - 1);
		ctx->quota_stations[i] = id;
		t->stations[id].quota = (uint8_t)i;
		t->stations[id].payer = id;
		if (is_new)
			begin_shares(ctx, id);
		follow_station(ctx, id);
	}
}

static void find_what_counts(struct stage_ctx *ctx)
{
	const struct path_config *c = ctx->config;

	ctx->counts_shares = c->n_quotas > 0;
	for (uint32_t i = 0; i < CLASSES_MAX; i++)
		ctx->counts_shares |= c->accounts[i] != ACCOUNT_GENERAL;
	ctx->quota_shapes = false;
	for (uint32_t i = 0; i < c->n_quotas; i++)
		for (uint32_t k = 0; k < c->quotas[i].rule.ladder.n_steps; k++)
			ctx->quota_shapes |=
				c->quotas[i].rule.ladder.steps[k].action == LADDER_SHAPE;
}

static void hand_out_rates(struct stage_ctx *ctx);

void quota_adopt(struct stage_ctx *ctx)
{
	struct station_table *t = ctx->stations;

	find_what_counts(ctx);
	adopt_shared(ctx);
	for (uint32_t id = STATION_FIRST; id < t->n_high; id++) {
		t->stations[id].quota = QUOTA_NONE;
		t->stations[id].payer = id;
		follow_station(ctx, id);
	}
	for (uint32_t id = 0; id < ctx->devices->n_high; id++)
		if (ctx->devices->devices[id].in_use
			&& station_held(t, (uint16_t)id) != STATION_NONE)
			attach(ctx, (uint16_t)id);
	hand_out_rates(ctx);
}

static struct share *present_share(struct stage_ctx *ctx, uint32_t station, uint8_t plan_id)
{
	struct share *s = stage_share(ctx, station, plan_id);
	uint32_t cycle = cycle_of(ctx, plan_id);

	if (unlikely(s->cycle != cycle))
		share_begin(s, rule_of(ctx, station), cycle);
	return s;
}

struct share *quota_own(struct stage_ctx *ctx, const struct device *d, uint8_t plan_id)
{
	return present_share(ctx, d->station, plan_id);
}

struct share *quota_payer(struct stage_ctx *ctx, const struct device *d, uint8_t plan_id)
{
	return present_share(ctx, ctx->stations->stations[d->station].payer, plan_id);
}

static const struct share_rule *rule_of_payer(const struct stage_ctx *ctx, const struct device *d)
{
	return rule_of(ctx, ctx->stations->stations[d->station].payer);
}

static inline void count(struct stage_ctx *ctx, struct share *s, struct pkt_meta *m, uint64_t cost)
{
	s->used_octets += cost;
	m->flags |= PKT_QUOTA;
	if (unlikely(s->used_octets >= s->next_octets))
		share_step(s, rule_of_payer(ctx, &ctx->devices->devices[m->device_id]), 0);
}

/* A packet that does not fit. The step that ends it holds from here on, not only once smaller ones have used the last octets. */
__attribute__((noinline)) static enum drop_reason refuse(
	struct stage_ctx *ctx, struct share *s, const struct pkt_meta *m, uint64_t cost)
{
	if (s->used_octets < s->next_octets)
		share_step(s, rule_of_payer(ctx, &ctx->devices->devices[m->device_id]), cost);
	return s->used_octets + cost > s->all_octets ? DROP_METER_DEVICE_BLOCKED
						     : DROP_METER_DEVICE_SPENT;
}

enum drop_reason quota_take(
	struct stage_ctx *ctx, struct pkt_meta *m, uint8_t plan_id, uint64_t cost, bool is_reserved)
{
	enum drop_reason why = DROP_NONE;
	struct share *s;

	if (plan_id == PLAN_NONE)
		return DROP_NONE;
	s = quota_payer(ctx, &ctx->devices->devices[m->device_id], plan_id);
	if (unlikely(!share_has_room(s, cost, is_reserved)))
		why = refuse(ctx, s, m, cost);
	/* What came in was billed, whatever becomes of it. */
	if (why == DROP_NONE || m->direction == DOWNLINK)
		count(ctx, s, m, cost);
	return why;
}

void quota_count(struct stage_ctx *ctx, struct pkt_meta *m, uint8_t plan_id, uint64_t cost)
{
	if (plan_id != PLAN_NONE)
		count(ctx, quota_payer(ctx, &ctx->devices->devices[m->device_id], plan_id), m,
			cost);
}

void quota_correct(
	struct stage_ctx *ctx, const struct pkt_meta *m, uint8_t plan_id, uint64_t octets)
{
	const struct device *d = &ctx->devices->devices[stage_flow(ctx, m)->device_id];

	share_correct(&quota_payer(ctx, d, plan_id)->used_octets, octets);
}

/* The least rate that a step leaves to what a station pays for, by the plans of the uplinks that are up; 0: none. */
static uint64_t rate_of(const struct stage_ctx *ctx, uint32_t station)
{
	uint64_t rate_bps = 0;

	for (uint32_t i = 0; i < ctx->config->n_ports; i++) {
		uint8_t plan_id = ctx->config->ports[i].plan_id;
		const struct share *s;

		if (!ctx->is_uplink[i] || plan_id == PLAN_NONE || !port_is_up(ctx->ports[i]))
			continue;
		s = stage_share(ctx, station, plan_id);
		if (s->rate_bps != 0 && s->cycle == cycle_of(ctx, plan_id)
			&& (rate_bps == 0 || s->rate_bps < rate_bps))
			rate_bps = s->rate_bps;
	}
	return rate_bps;
}

static struct station *payer_of(const struct stage_ctx *ctx, const struct device *d)
{
	struct station *s = ctx->stations->stations;

	return &s[s[d->station].payer];
}

/* A rate is that of all who pay together: each device with flows has its part, so that many addresses are no more. */
static void hand_out_rates(struct stage_ctx *ctx)
{
	struct device *devices = ctx->devices->devices;
	uint32_t n = ctx->devices->n_high;

	for (uint32_t i = 0; i < n; i++)
		payer_of(ctx, &devices[i])->n_active = 0;
	for (uint32_t i = 0; i < n; i++)
		payer_of(ctx, &devices[i])->n_active += devices[i].n_flows > 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct station *payer = payer_of(ctx, &devices[i]);
		uint64_t rate_bps = rate_of(ctx, (uint32_t)(payer - ctx->stations->stations));

		if (rate_bps != 0)
			rate_bps = RTE_MAX(rate_bps / RTE_MAX(payer->n_active, 1u), 1u);
		devices[i].ceiling_bps = rate_bps;
	}
}

void quota_age(struct stage_ctx *ctx)
{
	if (likely(!ctx->quota_shapes) || ctx->now_us - ctx->quota_us < RATES_US)
		return;
	ctx->quota_us = ctx->now_us;
	hand_out_rates(ctx);
}
