/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a plan stands by its bill, and what the path may do until the next look. */
#include "budget_state.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>

#include <string.h>

#define FORESEE_US    (UINT64_C(10) * US_PER_S)
#define LOOK_US       US_PER_S /* a bill grows by itself: by cuts, and by days */
#define PACKET_OCTETS 2048     /* no packet on an uplink is larger, with what carriers add to it */

static bool has_quota(const struct rule *rule)
{
	return rule->quota_octets != 0 || rule->prepaid;
}

/* What a plan may use in this cycle; 0: no quota. A prepaid one that was never topped up has one that nothing fits in. */
static uint64_t quota_of(const struct rule *rule, const struct ledger_plan *plan)
{
	if (!has_quota(rule))
		return 0;
	return amount_greatest(rule->quota_octets + plan->top_up_octets + plan->rollover_octets, 1);
}

static uint64_t all_reserves(const struct budget *b)
{
	uint64_t sum = 0;

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		sum += b->rules.reserves[a];
	return sum;
}

/* True when something is ever taken away: only then must nothing go without a lease. */
static bool is_enforced(const struct budget *b, const struct rule *rule)
{
	bool is = all_reserves(b) > 0 || rule->ladder.pace.action >= LADDER_RESERVE_ONLY;

	for (uint32_t i = 0; i < rule->ladder.n_steps; i++)
		is |= rule->ladder.steps[i].action >= LADDER_RESERVE_ONLY;
	return is && has_quota(rule);
}

/* What classes own and have not used yet. */
static uint64_t reserves_left(const struct budget *b, const struct book *k)
{
	uint64_t sum = 0;

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		sum += more(b->rules.reserves[a], account_used(k, a));
	return sum;
}

static struct ladder_now climb(
	const struct rule *rule, const struct book *k, const struct stand *s, uint64_t used)
{
	return ladder_at(&rule->ladder, used, s->quota_octets, 0, k->day);
}

/* How near a step that takes something away may come before it holds: what is under way may pass it. One that leaves the plan to
 * reserves holds where no packet may fit before it: else the last octets of the others would keep the reserves waiting. */
static uint64_t margin_of(const struct stand *s, enum ladder_action action)
{
	uint64_t margin = taper_least(s->quota_octets);

	return action == LADDER_RESERVE_ONLY ? amount_greatest(margin, PACKET_OCTETS) : margin;
}

/* The last octets before an end are for answers: uplink traffic that went before the next look may still bring some. The step holds
 * where a packet more would fit, so that nobody waits at what is kept. */
static uint64_t answers_of(const struct stand *s)
{
	return more(taper_least(s->quota_octets), PACKET_OCTETS);
}

/* The step that holds. */
static void find_step(const struct rule *rule, const struct book *k, struct stand *s)
{
	s->ladder = climb(rule, k, s, s->bill.high_octets);
	/* Each turn is a threshold higher, of which there are some. */
	while (s->ladder.next_octets != UINT64_MAX) {
		struct ladder_now next = climb(rule, k, s, s->ladder.next_octets);
		uint64_t left = bill_left(k->bill, &rule->bill, s->ladder.next_octets);
		bool takes = next.action >= LADDER_RESERVE_ONLY && next.action > s->ladder.action;

		if (left > 0 && (!takes || left > margin_of(s, next.action)))
			return;
		s->ladder = next;
	}
}

/* What of the bill is the next point at which something is taken away; the quota at most. */
static uint64_t next_end(const struct rule *rule, const struct book *k, const struct stand *s)
{
	struct ladder_now at = s->ladder;

	while (at.next_octets < s->quota_octets) {
		uint64_t end = at.next_octets;

		at = climb(rule, k, s, end);
		if (at.action >= LADDER_RESERVE_ONLY && at.action > s->ladder.action)
			return end;
	}
	return s->quota_octets;
}

/* What may still cross. Reserves are kept whole: what they cost beyond their octets (rounding, loss) is the others' to pay. */
static void find_room(
	const struct budget *b, const struct rule *rule, const struct book *k, struct stand *s)
{
	uint64_t kept = reserves_left(b, k);
	uint64_t end = next_end(rule, k, s);

	s->all_octets = bill_left(k->bill, &rule->bill, s->quota_octets);
	s->lease_octets =
		end == s->quota_octets ? s->all_octets : bill_left(k->bill, &rule->bill, end);
	s->general_octets = amount_least(more(s->all_octets, kept), s->lease_octets);
	if (kept > 0 && s->general_octets <= margin_of(s, LADDER_RESERVE_ONLY)
		&& s->ladder.action < LADDER_RESERVE_ONLY) {
		s->ladder.action = LADDER_RESERVE_ONLY;
		s->ladder.is_reserved = true;
		s->ladder.rate_bps = 0;
	}
	if (s->ladder.action >= LADDER_RESERVE_ONLY)
		s->general_octets = 0;
	if (s->ladder.action == LADDER_BLOCK)
		s->lease_octets = 0;
	else if (s->general_octets > 0)
		s->lease_octets = amount_least(s->lease_octets, s->general_octets);
}

void stand_up(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	struct stand s = {
		.all_octets = UINT64_MAX, .general_octets = UINT64_MAX, .lease_octets = UINT64_MAX};
	struct ledger_plan plan;

	if (when->now_us < k->stand_us || !ledger_read_plan(b->ledger, k->plan, &plan))
		return;
	k->stand_us = when->now_us + LOOK_US;
	s.quota_octets = quota_of(rule, &plan);
	s.bill = bill_at(k->bill, &rule->bill);
	find_step(rule, k, &s);
	if (is_enforced(b, rule))
		find_room(b, rule, k, &s);
	k->stand = s;
}

/* What goes on while the ledger cannot say what was used, or not write it down. */
static enum ladder_action action_unrecorded(const struct rule *rule, enum ladder_action action)
{
	static const enum ladder_action actions[] = {
		[UNRECORDED_FORWARD] = LADDER_NOTHING,
		[UNRECORDED_RESERVE_ONLY] = LADDER_RESERVE_ONLY,
		[UNRECORDED_BLOCK] = LADDER_BLOCK,
	};
	enum ladder_action strongest = actions[rule->when_unrecorded];

	return action > strongest ? action : strongest;
}

/* The point that a reserve's sum may reach: its own octets, and no more than is left of the plan. */
static uint64_t point_of(
	const struct budget *b, const struct book *k, uint8_t account, uint64_t left)
{
	uint64_t own = more(b->rules.reserves[account], account_used(k, account));

	return meter_account_used(&k->seen, account) + amount_least(own, left);
}

static uint64_t slower(uint64_t a_bps, uint64_t b_bps)
{
	return a_bps == 0 || (b_bps != 0 && b_bps < a_bps) ? b_bps : a_bps;
}

static struct meter_limits limits_of(const struct budget *b, const struct book *k,
	const struct budget_view *v, const struct ledger_time *when)
{
	const struct stand *s = &k->stand;
	struct meter_limits limits = {.leased = METER_UNLIMITED, .cycle = k->n_cycles};
	bool is_open = v->action < LADDER_RESERVE_ONLY;
	uint64_t flying = taper_in_flight(&k->taper, when->now_us);

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		uint64_t left = v->action == LADDER_BLOCK ? 0 : more(s->all_octets, flying);

		limits.accounts[a] = point_of(b, k, a, left);
		limits.devices[a] = b->rules.device_reserves[a];
	}
	for (int d = 0; d < N_DIRECTIONS; d++)
		limits.general_bps[d] = v->action == LADDER_SHAPE ? v->rate_bps : 0;
	limits.accounts[ACCOUNT_GENERAL] = meter_account_used(&k->seen, ACCOUNT_GENERAL);
	if (is_open && s->general_octets == UINT64_MAX) {
		limits.accounts[ACCOUNT_GENERAL] = METER_UNLIMITED;
	} else if (is_open) {
		limits.accounts[ACCOUNT_GENERAL] +=
			more(s->general_octets, amount_greatest(flying, answers_of(s)));
		limits.general_bps[DOWNLINK] =
			slower(limits.general_bps[DOWNLINK], taper_rate_bps(s->general_octets));
	}
	if (v->is_leased)
		limits.leased = k->settled_octets + v->plan.leased_octets;
	return limits;
}

const char *budget_action_name(enum ladder_action action)
{
	static const char *const names[] = {
		[LADDER_NOTHING] = "open",
		[LADDER_NOTIFY] = "notify",
		[LADDER_SHAPE] = "shape",
		[LADDER_RESERVE_ONLY] = "reserve-only",
		[LADDER_BLOCK] = "block",
	};

	return names[action];
}

/* Octets as the bill has them, of octets as the meter has them. */
static uint64_t as_billed(const struct budget_view *v, uint64_t octets)
{
	unsigned __int128 product = (unsigned __int128)octets * v->bill.high_octets;

	return v->plan.used_octets == 0 ? octets : (uint64_t)(product / v->plan.used_octets);
}

/* What will have been used when the cycle ends. */
static struct forecast foresee(
	const struct budget *b, const struct book *k, const struct budget_view *v, int64_t wall_s)
{
	const struct cycle_rule *rule = &rule_of(b, k)->cycle;
	struct forecast_input in = {
		.used_octets = v->bill.high_octets, .quota_octets = v->quota_octets};
	int32_t today = (int32_t)(k->cycle.first_day + k->day.day);
	int64_t start_s, end_s;
	struct ledger_day day;

	if (k->cycle.start_s == 0)
		return (struct forecast){0};
	start_s = cycle_day_start(rule, k->zone, &k->cycle, k->day.day);
	end_s = cycle_day_start(rule, k->zone, &k->cycle, k->day.day + 1);
	in.today_ppm = (uint32_t)(more((uint64_t)wall_s, (uint64_t)start_s) * ALL_PPM
				  / (uint64_t)(end_s - start_s));
	in.n_days_to_come = k->day.n_days - k->day.day - 1;
	/* Newest first; days on which nothing went have no row. */
	for (uint32_t i = 0; ledger_read_day(b->ledger, k->plan, i, &day); i++) {
		int32_t age = today - day.day;

		if (age < 1 || age > FORECAST_DAYS_MAX)
			continue;
		in.days[FORECAST_DAYS_MAX - age] = as_billed(v, day.billed_octets);
		in.n_days = (uint32_t)age > in.n_days ? (uint32_t)age : in.n_days;
	}
	memmove(in.days, in.days + FORECAST_DAYS_MAX - in.n_days, in.n_days * sizeof(in.days[0]));
	return forecast_at(&in);
}

/* A step that holds from here on, or one that was taken back: told and counted. */
static void tell_step(
	const struct rule *rule, const struct budget_view *before, struct budget_view *v)
{
	bool is_climbed = v->action > before->action;

	memcpy(v->n_reached, before->n_reached, sizeof(v->n_reached));
	memcpy(v->n_taken_back, before->n_taken_back, sizeof(v->n_taken_back));
	if (v->action == before->action)
		return;
	if (is_climbed)
		v->n_reached[v->action]++;
	else
		v->n_taken_back[before->action]++;
	log_event(is_climbed ? LOG_WARNING : LOG_NOTICE,
		"plan.step plan=%s step=%s%s used_octets=%llu quota_octets=%llu", rule->name,
		budget_action_name(v->action), v->is_paced ? " why=pace" : "",
		(unsigned long long)v->bill.high_octets, (unsigned long long)v->quota_octets);
}

static struct budget_view view_of(const struct budget *b, struct book *k)
{
	const struct stand *s = &k->stand;
	struct budget_view view = {
		.cycle_end_s = k->cycle.end_s,
		.reserved_octets = all_reserves(b),
		.quota_octets = s->quota_octets,
		.general_octets = s->general_octets,
		.bill = s->bill,
		.free = k->bill->free,
		.action = s->ladder.action,
		.rate_bps = s->ladder.rate_bps,
		.is_paced = s->ladder.is_paced,
	};

	memcpy(view.name, rule_of(b, k)->name, sizeof(view.name));
	memcpy(view.carrier, rule_of(b, k)->carrier, sizeof(view.carrier));
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		view.reserve_used_octets += account_used(k, a);
	return view;
}

void enforce(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	struct budget_view view = view_of(b, k);
	struct budget_view *shown = &b->views[k - b->books];
	struct meter_limits limits;

	if (!ledger_read_plan(b->ledger, k->plan, &view.plan))
		return;
	view.is_unrecorded = ledger_stats(b->ledger).state != LEDGER_SOUND;
	read_unsolicited(b, k, &view.unsolicited);
	read_probes(b, k, &view.probes);
	if (is_enforced(b, rule)) {
		view.is_leased = !view.is_unrecorded && !view.plan.is_assumed_spent;
		if (!view.is_leased)
			view.action = action_unrecorded(rule, view.action);
	}
	if (when->now_us >= k->foresee_us) {
		k->forecast = foresee(b, k, &view, when->wall_s);
		k->foresee_us = when->now_us + FORESEE_US;
	}
	view.forecast = k->forecast;
	limits = limits_of(b, k, &view, when);
	memcpy(view.general_bps, limits.general_bps, sizeof(view.general_bps));
	doors_limits_set(b->path, (uint8_t)(k - b->books), &limits);
	tell_step(rule, shown, &view);
	pthread_mutex_lock(&b->lock);
	*shown = view;
	pthread_mutex_unlock(&b->lock);
}
