/* SPDX-License-Identifier: BSD-3-Clause */
#include "budget_state.h"

#include <weir/base/civil.h>
#include <weir/base/log.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_PER_DAY     86400
#define FORESEE_US    (UINT64_C(10) * 1000000)
#define PACKET_OCTETS 2048 /* no packet on an uplink is larger, with what carriers add to it */

static const struct rule *rule_of(const struct budget *b, const struct book *k)
{
	return &b->rules.plans[k - b->books];
}

static struct ledger_time ledger_time_of(const struct budget_time *when)
{
	return (struct ledger_time){
		.now_us = when->now_us,
		.wall_s = when->wall_s,
		.day = (int32_t)civil_floor_div(when->wall_s, S_PER_DAY),
		.is_trusted = when->is_trusted,
	};
}

/* The same as the plan's carrier counts days: from the hour at which its cycles begin. */
static struct ledger_time ledger_time_for(const struct book *k, const struct ledger_time *when)
{
	struct ledger_time t = *when;

	if (k->cycle.start_s != 0)
		t.day = (int32_t)(k->cycle.first_day + k->day.day);
	return t;
}

/* The ledger keeps what a reserve has paid beside the classes, under a name that no class can have. */
static uint8_t ledger_account(struct budget *b, uint8_t account)
{
	char name[LEDGER_NAME_MAX];

	if (b->rules.account_names[account][0] == '\0')
		return 0;
	(void)snprintf(
		name, sizeof(name), "/%.*s", LEDGER_NAME_MAX - 2, b->rules.account_names[account]);
	return ledger_class(b->ledger, name);
}

static uint64_t account_used(const struct book *k, uint8_t account)
{
	return k->used_at_base[account] + meter_account_used(&k->seen, account) - k->base[account];
}

/* From here on the meter's sums are counted from what the ledger has. */
static void rebase(struct budget *b, struct book *k)
{
	struct ledger_plan plan;
	uint64_t reserved = 0;

	if (!ledger_read_plan(b->ledger, k->plan, &plan))
		return;
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		struct ledger_usage usage = {0};
		const char *name;
		uint8_t id = ledger_account(b, a);

		if (id != 0)
			ledger_read_class(b->ledger, k->plan, id, &name, &usage);
		k->base[a] = meter_account_used(&k->seen, a);
		k->used_at_base[a] = usage.octets[UPLINK];
		reserved += usage.octets[UPLINK];
	}
	k->base[ACCOUNT_GENERAL] = meter_account_used(&k->seen, ACCOUNT_GENERAL);
	k->used_at_base[ACCOUNT_GENERAL] = plan.used_octets - reserved;
}

static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* Tells the ledger what the meter has counted since the last time. Sums fall by what was dropped behind the meter; then they are
 * waited for. */
static void settle(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct meter *m = &k->seen;
	struct ledger_time today = ledger_time_for(k, when);
	struct ledger_usage usage;
	uint64_t billed = more(meter_used(m), k->settled_octets);

	for (int d = 0; d < N_DIRECTIONS; d++) {
		usage.octets[d] = more(m->octets[d], k->settled.octets[d]);
		usage.packets[d] = more(m->packets[d], k->settled.packets[d]);
		k->settled.octets[d] += usage.octets[d];
		k->settled.packets[d] += usage.packets[d];
	}
	k->settled_octets += billed;
	ledger_settle(b->ledger, k->plan, billed, &usage, &today);
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		uint64_t paid = more(m->reserved_octets[a], k->settled_reserves[a]);
		struct ledger_usage of_reserve = {.octets = {[UPLINK] = paid}};
		uint8_t id = paid > 0 ? ledger_account(b, a) : 0;

		k->settled_reserves[a] += paid;
		if (id != 0)
			ledger_count_class(b->ledger, k->plan, id, &of_reserve);
	}
}

/* What a plan may use in this cycle; 0: no quota. */
static uint64_t quota_of(const struct rule *rule, const struct ledger_plan *plan)
{
	if (rule->quota_octets == 0)
		return 0;
	return rule->quota_octets + plan->top_up_octets + plan->rollover_octets;
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
	bool is = all_reserves(b) > 0;

	for (uint32_t i = 0; i < rule->ladder.n_steps; i++)
		is |= rule->ladder.steps[i].action >= LADDER_RESERVE_ONLY;
	return is && rule->quota_octets != 0;
}

/* What classes own and have not used yet. */
static uint64_t reserves_left(const struct budget *b, const struct book *k)
{
	uint64_t sum = 0;

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		sum += more(b->rules.reserves[a], account_used(k, a));
	return sum;
}

/* Where a plan stands on its ladder when `used` octets of it are used. */
static struct ladder_now stand_at(
	const struct budget *b, const struct book *k, const struct ledger_plan *plan, uint64_t used)
{
	const struct rule *rule = rule_of(b, k);

	return ladder_at(&rule->ladder, used, quota_of(rule, plan), reserves_left(b, k), k->day);
}

/* Where it stands now. A step that leaves the plan to reserves holds from where no packet may fit before it: else the last octets
 * of the others would keep the reserves waiting. */
static struct ladder_now stand_of(
	const struct budget *b, const struct book *k, const struct ledger_plan *plan)
{
	struct ladder_now now = stand_at(b, k, plan, plan->used_octets);
	struct ladder_now soon = stand_at(b, k, plan, plan->used_octets + PACKET_OCTETS);

	return soon.action == LADDER_RESERVE_ONLY ? soon : now;
}

/* Octets that may be leased before something is taken away. */
static uint64_t left_of(
	const struct budget *b, const struct book *k, const struct ledger_plan *plan)
{
	struct ladder_now now = stand_of(b, k, plan);
	uint64_t end = more(quota_of(rule_of(b, k), plan), plan->used_octets);

	if (!is_enforced(b, rule_of(b, k)))
		return UINT64_MAX;
	for (uint32_t i = 0; i < LADDER_STEPS_MAX + 2 && now.next_octets != UINT64_MAX; i++) {
		uint64_t next = now.next_octets;
		enum ladder_action before = now.action;

		now = stand_at(b, k, plan, next);
		if (now.action >= LADDER_RESERVE_ONLY && now.action > before) {
			next = more(next, plan->used_octets);
			return next < end ? next : end;
		}
	}
	return end;
}

/* The point that an account's sum may reach so that it has used `allowance` in this cycle. */
static uint64_t point_of(const struct book *k, uint8_t account, uint64_t allowance)
{
	return k->base[account] + allowance - k->used_at_base[account];
}

/* What goes on while the ledger cannot say what was used, or not write it down. */
static enum ladder_action action_unrecorded(const struct rule *rule, enum ladder_action action)
{
	static const enum ladder_action actions[] = {
		[UNRECORDED_FORWARD] = LADDER_NOTHING,
		[UNRECORDED_RESERVE_ONLY] = LADDER_RESERVE_ONLY,
		[UNRECORDED_BLOCK] = LADDER_BLOCK,
	};
	enum ladder_action least = actions[rule->when_unrecorded];

	return action > least ? action : least;
}

static struct meter_limits limits_of(
	const struct budget *b, const struct book *k, const struct budget_view *v, bool is_leased)
{
	struct meter_limits limits = {.leased = METER_UNLIMITED, .cycle = k->n_cycles};

	for (uint8_t a = 1; a < METER_ACCOUNTS; a++) {
		limits.accounts[a] =
			point_of(k, a, v->action == LADDER_BLOCK ? 0 : b->rules.reserves[a]);
		limits.devices[a] = b->rules.device_reserves[a];
	}
	limits.accounts[ACCOUNT_GENERAL] = METER_UNLIMITED;
	if (v->action >= LADDER_RESERVE_ONLY)
		limits.accounts[ACCOUNT_GENERAL] = point_of(k, ACCOUNT_GENERAL, 0);
	else if (is_enforced(b, rule_of(b, k)))
		limits.accounts[ACCOUNT_GENERAL] =
			point_of(k, ACCOUNT_GENERAL, more(v->quota_octets, v->reserved_octets));
	if (is_leased && is_enforced(b, rule_of(b, k)))
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

/* What will have been used when the cycle ends. */
static struct forecast foresee(
	const struct budget *b, const struct book *k, const struct budget_view *v, int64_t wall_s)
{
	const struct cycle_rule *rule = &rule_of(b, k)->cycle;
	struct forecast_input in = {
		.used_octets = v->plan.used_octets, .quota_octets = v->quota_octets};
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
		in.days[FORECAST_DAYS_MAX - age] = day.billed_octets;
		in.n_days = (uint32_t)age > in.n_days ? (uint32_t)age : in.n_days;
	}
	memmove(in.days, in.days + FORECAST_DAYS_MAX - in.n_days, in.n_days * sizeof(in.days[0]));
	return forecast_at(&in);
}

/* Puts a plan's limits in force and shows where it stands. */
static void enforce(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	struct budget_view view = {
		.cycle_end_s = k->cycle.end_s, .reserved_octets = all_reserves(b)};
	struct budget_view *shown = &b->views[k - b->books];
	bool is_sound = ledger_stats(b->ledger).state == LEDGER_SOUND;
	struct meter_limits limits;

	if (!ledger_read_plan(b->ledger, k->plan, &view.plan))
		return;
	view.quota_octets = quota_of(rule, &view.plan);
	view.is_unrecorded = !is_sound;
	read_unsolicited(b, k, &view.unsolicited);
	view.action = stand_of(b, k, &view.plan).action;
	is_sound = is_sound && !view.plan.is_assumed_spent;
	if (is_enforced(b, rule) && !is_sound)
		view.action = action_unrecorded(rule, view.action);
	for (uint8_t a = 1; a < METER_ACCOUNTS; a++)
		view.reserve_used_octets += account_used(k, a);
	if (when->now_us >= k->foresee_us) {
		k->forecast = foresee(b, k, &view, when->wall_s);
		k->foresee_us = when->now_us + FORESEE_US;
	}
	view.forecast = k->forecast;
	limits = limits_of(b, k, &view, is_sound);
	doors_limits_set(b->path, (uint8_t)(k - b->books), &limits);
	if (shown->action != view.action)
		log_event(view.action > shown->action ? LOG_WARNING : LOG_NOTICE,
			"plan.step plan=%s step=%s used_octets=%llu quota_octets=%llu", rule->name,
			budget_action_name(view.action), (unsigned long long)view.plan.used_octets,
			(unsigned long long)view.quota_octets);
	pthread_mutex_lock(&b->lock);
	*shown = view;
	pthread_mutex_unlock(&b->lock);
}

/* A cycle that has ended hands its quota back. Without a clock that can be believed none ends. */
static void turn_cycle(struct budget *b, struct book *k, const struct ledger_time *when)
{
	const struct rule *rule = rule_of(b, k);
	struct ledger_plan plan;

	if (!when->is_trusted || k->zone == NULL || !ledger_read_plan(b->ledger, k->plan, &plan))
		return;
	if (when->wall_s >= k->cycle.start_s && when->wall_s < k->cycle.end_s) {
		k->day.day = cycle_day_at(&rule->cycle, k->zone, &k->cycle, when->wall_s);
		return;
	}
	k->cycle = cycle_at(&rule->cycle, k->zone, when->wall_s);
	k->day = (struct ladder_day){
		.day = cycle_day_at(&rule->cycle, k->zone, &k->cycle, when->wall_s),
		.n_days = k->cycle.n_days};
	/* On an error memory has begun it all the same. */
	(void)ledger_begin_cycle(b->ledger, k->plan, k->cycle.start_s, 0, when);
	if (plan.cycle_start_s != 0 && plan.cycle_start_s < k->cycle.start_s) {
		k->n_cycles++;
		log_event(LOG_NOTICE, "plan.cycle plan=%s used_octets=%llu", rule->name,
			(unsigned long long)plan.used_octets);
	}
	rebase(b, k);
}

/* Asks for what the plans need, all in one write. */
static void renew(struct budget *b, const struct ledger_time *when)
{
	struct ledger_lease leases[PLANS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_books; i++) {
		const struct book *k = &b->books[i];
		struct ledger_plan plan;
		uint64_t octets = 0;

		if (ledger_read_plan(b->ledger, k->plan, &plan)
			&& stand_of(b, k, &plan).action != LADDER_BLOCK)
			octets = ledger_lease_ask(b->ledger, k->plan, left_of(b, k, &plan), when);
		if (octets > 0)
			leases[n++] = (struct ledger_lease){.plan = k->plan, .octets = octets};
	}
	if (n == 0)
		return;
	(void)ledger_grant(b->ledger, leases, n, when); /* a failure shows in its state */
}

/* Whatever it was that failed: opening, a lease, a cycle's end. */
static void tell_ledger(struct budget *b, const struct ledger_stats *now)
{
	if (now->state == b->stats.state)
		return;
	if (now->state == LEDGER_SOUND)
		log_event(LOG_NOTICE, "ledger.mended");
	else if (now->error == -EDQUOT)
		log_event(LOG_ERROR,
			"ledger.held_back writes_today=%u remedy=\"find out why weir was started "
			"so often\"",
			now->n_writes_today);
	else
		log_event(LOG_ERROR,
			"ledger.broken error=\"%s\" remedy=\"make room in runtime.state_dir\"",
			strerror(-now->error));
}

/* What a plan's rule says anew. */
static void apply_rule(struct budget *b, struct book *k)
{
	zone_close(k->zone);
	k->zone = NULL;
	if (zone_open(rule_of(b, k)->timezone, &k->zone) != 0)
		log_event(LOG_ERROR,
			"plan.no_timezone plan=%s timezone=%s remedy=\"apt install tzdata\"",
			rule_of(b, k)->name, rule_of(b, k)->timezone);
	k->cycle = (struct cycle){0};
	rebase(b, k);
}

static void take_rules(struct budget *b)
{
	bool is_new;

	pthread_mutex_lock(&b->lock);
	is_new = b->has_next_rules;
	b->has_next_rules = false;
	if (is_new)
		b->rules = b->next_rules;
	pthread_mutex_unlock(&b->lock);
	for (uint32_t i = 0; i < b->n_books && is_new; i++)
		apply_rule(b, &b->books[i]);
}

void budget_tick(struct budget *b, const struct budget_time *now)
{
	struct ledger_time when = ledger_time_of(now);
	struct ledger_stats stats;

	for (uint32_t i = 0; i < b->n_books; i++) {
		doors_meter_read(b->path, (uint8_t)i, &b->books[i].seen);
		settle(b, &b->books[i], &when);
	}
	take_rules(b);
	for (uint32_t i = 0; i < b->n_books; i++)
		turn_cycle(b, &b->books[i], &when);
	inbox_take(b, &when);
	device_quota_tick(b, &when);
	if (!ledger_retry(b->ledger, &when))
		renew(b, &when);
	for (uint32_t i = 0; i < b->n_books; i++)
		enforce(b, &b->books[i], &when);
	stats = ledger_stats(b->ledger);
	tell_ledger(b, &stats);
	pthread_mutex_lock(&b->lock);
	b->stats = stats;
	pthread_mutex_unlock(&b->lock);
}

int budget_create(const struct config *c, struct path *path, struct journal_store *store,
	const struct budget_time *now, struct ledger_recovery *ret_recovery,
	struct budget **ret_budget)
{
	struct ledger_params params = {0};
	struct ledger_time when = ledger_time_of(now);
	struct budget *b = calloc(1, sizeof(*b));
	int error;

	if (b == NULL)
		return -ENOMEM;
	rules_fill(c, &b->rules);
	b->path = path;
	b->inbox = b->inboxes[0];
	pthread_mutex_init(&b->lock, NULL);
	params.journal.seed = now->now_us ^ (uint64_t)now->wall_s << 20;
	error = ledger_open(store, &params, &when, ret_recovery, &b->ledger);
	if (error != 0) {
		budget_destroy(b);
		return error;
	}
	b->n_books = c->n_plans;
	error = device_quota_create(b, c);
	if (error != 0) {
		budget_destroy(b);
		return error;
	}
	for (uint32_t i = 0; i < b->n_books; i++) {
		struct book *k = &b->books[i];

		k->plan = ledger_plan(b->ledger, c->plans[i].name);
		doors_meter_read(path, (uint8_t)i, &k->seen);
		apply_rule(b, k);
	}
	budget_tick(b, now);
	device_quota_restore(b);
	*ret_budget = b;
	return 0;
}

void budget_destroy(struct budget *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->n_books; i++)
		zone_close(b->books[i].zone);
	ledger_destroy(b->ledger);
	device_quota_destroy(b);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int budget_finish(struct budget *b, const struct budget_time *now)
{
	struct ledger_time when = ledger_time_of(now);

	for (uint32_t i = 0; i < b->n_books; i++) {
		doors_meter_read(b->path, (uint8_t)i, &b->books[i].seen);
		settle(b, &b->books[i], &when);
	}
	inbox_take(b, &when);
	device_quota_finish(b, &when);
	return ledger_finish(b->ledger, &when);
}
