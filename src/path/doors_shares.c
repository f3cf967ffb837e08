/* SPDX-License-Identifier: BSD-3-Clause */
/* What control reads and restores of the devices' shares: see doors.h. */
#include "path.h"

static struct share_view view_of(const struct stage_ctx *ctx, uint32_t station, uint8_t plan_id)
{
	const struct station *at = &ctx->stations->stations[station];
	const struct share *s = stage_share(ctx, station, plan_id);
	struct share_view v = {
		.key = at->key,
		.is_payer = at->payer == station,
		.quota = at->quota,
		.cycle = s->cycle,
		.action = (enum ladder_action)s->action,
		.rate_bps = s->rate_bps,
		.quota_octets = s->quota_octets,
		.used_octets = s->used_octets,
	};

	memcpy(v.reserved_octets, s->reserved_octets, sizeof(v.reserved_octets));
	return v;
}

uint32_t doors_shares_read(
	const struct path *p, uint8_t plan_id, uint32_t first, struct share_view *views, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n && first + i < p->ctx.stations->n_high; i++)
		views[i] = view_of(&p->ctx, first + i, plan_id);
	return i;
}

struct share_view doors_share_of_device(
	const struct path *p, uint8_t plan_id, const struct device *d)
{
	struct share_view v =
		view_of(&p->ctx, p->ctx.stations->stations[d->station].payer, plan_id);
	uint32_t cycle = __atomic_load_n(&p->ctx.plans[plan_id].limits.cycle, __ATOMIC_RELAXED);

	if (v.cycle == cycle)
		return v;
	v.cycle = cycle;
	v.used_octets = v.rate_bps = 0;
	v.action = LADDER_NOTHING;
	memset(v.reserved_octets, 0, sizeof(v.reserved_octets));
	return v;
}

static bool never(const void *context, uint32_t id)
{
	(void)context;
	(void)id;
	return false;
}

bool doors_share_restore(struct path *p, uint8_t plan_id, const struct mac_addr *key,
	uint32_t cycle, uint8_t account, uint64_t octets)
{
	struct station_table *t = p->ctx.stations;
	uint32_t id = station_find(t, key);
	struct share *s;
	bool is_new;

	if (id == STATION_NONE)
		id = station_take(t, key, never, NULL, &is_new);
	if (id == STATION_NONE)
		return false;
	s = stage_share(&p->ctx, id, plan_id);
	if (s->cycle != cycle)
		share_begin(s, NULL, cycle);
	if (account == ACCOUNT_GENERAL)
		s->used_octets = octets;
	else
		s->reserved_octets[account] = octets;
	/* A device's own rule finds it when the device comes; that of several holds already. */
	share_set_rule(s, t->stations[id].quota == QUOTA_NONE
				  ? NULL
				  : &p->ctx.config->quotas[t->stations[id].quota].rule);
	return true;
}
