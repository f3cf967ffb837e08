/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/amount.h>
#include <weir/budget/bill.h>

#define DAY_S      86400
#define PACKET_MIN 20           /* octets of the shortest IPv4 packet */
#define OCTETS_MAX (1ull << 60) /* nobody sells more, and sums of some stay below 2^64 */

struct bill_rule bill_rule_default(void)
{
	return (struct bill_rule){
		.weight_ppm = {ALL_PPM, ALL_PPM},
		.per = BILL_PER_CYCLE,
		.slack_us = BILL_SLACK_US,
		.hidden_cuts_day = BILL_HIDDEN_CUTS_DAY,
		.unseen_downlink_ppm = BILL_UNSEEN_DOWNLINK_PPM,
		.lost_uplink_ppm = BILL_LOST_UPLINK_PPM,
	};
}

int64_t bill_slack_s(const struct bill_rule *rule)
{
	return (int64_t)(rule->slack_us / US_PER_S);
}

static uint64_t quantum_of(const struct bill_rule *rule)
{
	return rule->quantum_octets == 0 ? 1 : rule->quantum_octets;
}

static uint64_t round_up(uint64_t octets, uint64_t quantum)
{
	uint64_t over = octets % quantum;

	return over == 0 ? octets : octets + (quantum - over);
}

static void sum_take(struct bill_sum *from, const struct bill_sum *less)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		from->octets[d] -= less->octets[d];
		from->packets[d] -= less->packets[d];
	}
}

static void sum_add(struct bill_sum *to, const struct bill_sum *more)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		to->octets[d] += more->octets[d];
		to->packets[d] += more->packets[d];
	}
}

/* With the overhead at its highest, not weighted. */
static uint64_t carried_high(const struct bill_sum *s, const struct bill_rule *rule, int direction)
{
	return s->octets[direction] + s->packets[direction] * rule->overhead_high[direction];
}

static struct bill_interval weigh(const struct bill_sum *s, const struct bill_rule *rule)
{
	struct bill_interval sum = {0, 0};

	for (int d = 0; d < N_DIRECTIONS; d++) {
		uint64_t low = s->octets[d] + s->packets[d] * rule->overhead_low[d];

		sum.low_octets += amount_scale_down(low, rule->weight_ppm[d], ALL_PPM);
		sum.high_octets +=
			amount_scale_up(carried_high(s, rule, d), rule->weight_ppm[d], ALL_PPM);
	}
	return sum;
}

/* The open unit, rounded up: surely it has what lies between its edges, at most what lies in them too. */
static struct bill_interval unit_at(const struct bill *b, const struct bill_rule *rule)
{
	struct bill_sum most = b->unit;
	uint64_t quantum = quantum_of(rule);

	sum_add(&most, &b->edge_first);
	sum_add(&most, &b->edge_last);
	return (struct bill_interval){
		.low_octets = round_up(weigh(&b->unit, rule).low_octets, quantum),
		.high_octets = round_up(weigh(&most, rule).high_octets, quantum),
	};
}

static void unit_close(struct bill *b, const struct bill_rule *rule)
{
	struct bill_interval unit = unit_at(b, rule);

	b->low_octets += unit.low_octets;
	b->high_octets += unit.high_octets;
	b->n_closed++;
	b->edge_first = b->edge_last;
	b->edge_last = (struct bill_sum){0};
	b->unit = (struct bill_sum){0};
	b->is_near_cut = false;
}

static int64_t next_session_cut(const struct bill_rule *rule, int64_t from_s)
{
	return rule->per == BILL_PER_SESSION && rule->session_cut_us >= US_PER_S
		       ? from_s + (int64_t)(rule->session_cut_us / US_PER_S)
		       : INT64_MAX;
}

void bill_init(struct bill *b, const struct bill_rule *rule, struct bill_span cycle, int64_t now_s)
{
	*b = (struct bill){
		.cycle = cycle,
		.now_s = now_s,
		.day_s = now_s + DAY_S,
		.cut_s = next_session_cut(rule, now_s),
	};
	bill_advance(b, rule, now_s);
}

void bill_next(struct bill *b, const struct bill_rule *rule, struct bill_span cycle)
{
	struct bill was = *b;

	bill_init(b, rule, cycle, cycle.start_s);
	b->is_session_used = was.is_session_used;
	b->was_session_used = was.was_session_used;
	b->edge_first = was.edge_end;
	b->carried = was.edge_end;
	if (rule->per == BILL_PER_SESSION)
		b->cut_s = was.cut_s;
	bill_advance(b, rule, was.now_s);
}

/* A cut at about this time: it divides what crossed before and after it, so one without either is none. */
static void cut_inside(struct bill *b)
{
	if (b->is_session_used || b->was_session_used)
		b->n_inner_cuts++;
	b->was_session_used = b->is_session_used;
	b->is_session_used = false;
}

/* After a session that was built anew unseen, the carrier's day of it ends at another time: how often it cuts is known, not
 * where. */
static void pass_cuts(struct bill *b, const struct bill_rule *rule, int64_t until_s)
{
	int64_t span_s = (int64_t)(rule->session_cut_us / US_PER_S);
	int64_t n_cuts;

	if (b->cut_s == INT64_MAX || span_s == 0 || until_s < b->cut_s)
		return;
	n_cuts = (until_s - b->cut_s) / span_s + 1;
	/* Behind the second nothing has crossed. */
	for (int64_t i = 0; i < n_cuts && i < 2; i++)
		cut_inside(b);
	b->cut_s += n_cuts * span_s;
}

static void pass_days(struct bill *b, int64_t now_s)
{
	if (now_s < b->day_s)
		return;
	b->n_days += b->is_day_used ? 1 : 0;
	b->is_day_used = false;
	b->day_s += ((now_s - b->day_s) / DAY_S + 1) * DAY_S;
}

static void advance(struct bill *b, const struct bill_rule *rule, int64_t now_s)
{
	int64_t slack_s = bill_slack_s(rule);

	/* A rule that has just come to round sessions. */
	if (rule->per == BILL_PER_SESSION && b->cut_s == INT64_MAX)
		b->cut_s = next_session_cut(rule, now_s);
	pass_days(b, now_s);
	if (rule->per == BILL_PER_SESSION)
		pass_cuts(b, rule, now_s + slack_s);
	if (rule->per == BILL_PER_DAY && b->cut_s != INT64_MAX && now_s >= b->cut_s + slack_s) {
		unit_close(b, rule);
		b->cut_s = INT64_MAX;
	}
	b->is_near_cut =
		rule->per == BILL_PER_DAY && b->cut_s != INT64_MAX && now_s >= b->cut_s - slack_s;
	b->is_near_end = now_s >= b->cycle.end_s - slack_s;
	b->now_s = now_s;
}

void bill_advance(struct bill *b, const struct bill_rule *rule, int64_t now_s)
{
	advance(b, rule, now_s);
	/* What was counted while the clock could not be believed turns out to be of this cycle. */
	if (!b->is_near_end)
		b->edge_end = (struct bill_sum){0};
}

void bill_blind(struct bill *b, const struct bill_rule *rule, int64_t now_s)
{
	advance(b, rule, now_s);
	b->is_near_end = true;
}

void bill_place(struct bill *b, const struct bill_rule *rule, struct bill_span cycle, int64_t now_s)
{
	int64_t later_s = now_s - b->now_s;

	sum_add(&b->edge_first, &b->unit);
	sum_add(&b->edge_first, &b->edge_last);
	sum_add(&b->carried, &b->total);
	b->unit = b->edge_last = b->edge_end = b->total = (struct bill_sum){0};
	b->low_octets = 0;
	b->cycle = cycle;
	b->day_s += later_s;
	if (b->cut_s != INT64_MAX)
		b->cut_s += later_s;
	bill_advance(b, rule, now_s);
}

void bill_tell(struct bill *b, const struct bill_rule *rule, uint64_t octets)
{
	struct bill was = *b;

	bill_init(b, rule, was.cycle, was.now_s);
	b->told_octets = octets;
	b->free = was.free;
	b->cut_s = was.cut_s;
}

void bill_expect_day(struct bill *b, const struct bill_rule *rule, int64_t day_s)
{
	if (rule->per == BILL_PER_DAY)
		b->cut_s = day_s;
}

void bill_new_session(struct bill *b, const struct bill_rule *rule, int64_t now_s)
{
	bill_advance(b, rule, now_s);
	if (rule->per != BILL_PER_SESSION)
		return;
	/* Nothing crosses while there is no session, so this cut has no edges. */
	unit_close(b, rule);
	b->cut_s = next_session_cut(rule, now_s);
	b->is_session_used = false;
	b->was_session_used = false;
}

static void count(struct bill_sum *s, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	s->octets[direction] += octets;
	s->packets[direction] += n_packets;
}

void bill_maybe_new_session(struct bill *b, const struct bill_rule *rule)
{
	if (rule->per == BILL_PER_SESSION)
		cut_inside(b);
}

void bill_add(struct bill *b, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	count(&b->total, direction, octets, n_packets);
	if ((octets | n_packets) != 0) {
		b->is_day_used = true;
		b->is_session_used = true;
	}
	if (b->is_near_end)
		count(&b->edge_end, direction, octets, n_packets);
	if (b->is_near_end || b->is_near_cut)
		count(&b->edge_last, direction, octets, n_packets);
	else
		count(&b->unit, direction, octets, n_packets);
}

void bill_add_free(struct bill *b, enum direction direction, uint64_t octets, uint64_t n_packets)
{
	b->free.octets[direction] += octets;
	b->free.packets[direction] += n_packets;
}

void bill_add_unseen(struct bill *b, uint64_t octets)
{
	b->unseen_octets += octets;
}

/* Cuts within units, at places that weir does not know. */
static uint64_t inner_cuts(const struct bill *b, const struct bill_rule *rule)
{
	uint64_t days = b->n_days + (b->is_day_used ? 1 : 0);

	return rule->per == BILL_PER_SESSION ? b->n_inner_cuts + days * rule->hidden_cuts_day : 0;
}

/* By how much `octets`, which weigh `weighed` and are spread over `n_units` in whatever way, can change the sum of their
 * rounded figures: a packet that falls into a unit may take it over one quantum more than it fills. */
static uint64_t spread(uint64_t octets, uint64_t weighed, uint64_t n_units, uint64_t quantum)
{
	uint64_t n_packets = (octets + PACKET_MIN - 1) / PACKET_MIN;

	if (weighed == 0)
		return 0;
	return round_up(weighed, quantum) + (amount_least(n_units, n_packets) - 1) * quantum;
}

static uint64_t low_at(const struct bill *b, const struct bill_rule *rule, uint64_t n_units)
{
	uint64_t quantum = quantum_of(rule);
	uint64_t lost = amount_scale_up(carried_high(&b->total, rule, UPLINK),
				rule->lost_uplink_ppm, ALL_PPM)
			+ carried_high(&b->undone, rule, UPLINK);
	uint64_t lost_weighed = amount_scale_up(lost, rule->weight_ppm[UPLINK], ALL_PPM);
	uint64_t less = spread(lost, lost_weighed, n_units, quantum);
	uint64_t by_unit = b->low_octets + unit_at(b, rule).low_octets;
	struct bill_sum sure = b->total;
	uint64_t as_one;

	sum_take(&sure, &b->edge_end);
	as_one = weigh(&sure, rule).low_octets;
	by_unit = by_unit > less ? by_unit - less : 0;
	as_one = as_one > lost_weighed ? round_up(as_one - lost_weighed, quantum) : 0;
	return amount_greatest(by_unit, as_one);
}

static uint64_t high_at(const struct bill *b, const struct bill_rule *rule, uint64_t n_units)
{
	uint64_t quantum = quantum_of(rule);
	uint64_t weight_most =
		amount_greatest(rule->weight_ppm[UPLINK], rule->weight_ppm[DOWNLINK]);
	struct bill_sum most = b->total;
	uint64_t by_unit =
		b->high_octets + unit_at(b, rule).high_octets + inner_cuts(b, rule) * quantum;
	uint64_t missed;
	uint64_t missed_weighed;
	uint64_t as_one;

	sum_add(&most, &b->carried);
	/* A share of what the carrier counted, of which weir saw the rest. */
	missed = amount_scale_up(carried_high(&most, rule, DOWNLINK), rule->unseen_downlink_ppm,
		ALL_PPM - rule->unseen_downlink_ppm);
	missed_weighed = amount_scale_up(missed, rule->weight_ppm[DOWNLINK], ALL_PPM)
			 + amount_scale_up(b->unseen_octets, weight_most, ALL_PPM);
	missed += b->unseen_octets;
	by_unit += spread(missed, missed_weighed, n_units, quantum);
	/* The sum of rounded parts is at most the rounded sum and a quantum for each part but one. */
	as_one = weigh(&most, rule).high_octets + missed_weighed;
	return amount_least(by_unit, round_up(as_one, quantum) + (n_units - 1) * quantum);
}

/* What the carrier had told may have ended within a quantum: of what was counted since, a part may fill it. */
static struct bill_interval with_told(
	struct bill_interval since, const struct bill_rule *rule, uint64_t told)
{
	uint64_t quantum = quantum_of(rule);

	return (struct bill_interval){
		.low_octets = amount_greatest(told, told - told % quantum + since.low_octets),
		.high_octets = round_up(told, quantum) + since.high_octets,
	};
}

struct bill_interval bill_at(const struct bill *b, const struct bill_rule *rule)
{
	uint64_t n_units = b->n_closed + 1 + inner_cuts(b, rule);
	struct bill_interval since = {
		.low_octets = low_at(b, rule, n_units),
		.high_octets = high_at(b, rule, n_units),
	};

	return with_told(since, rule, b->told_octets);
}

/* The high end after `octets` more in the direction that costs more, and a cut. */
static uint64_t high_after(const struct bill *b, const struct bill_rule *rule, uint64_t octets)
{
	uint64_t worst = 0;
	uint64_t cut = rule->per == BILL_PER_CYCLE ? 0 : 2 * quantum_of(rule);

	for (enum direction d = UPLINK; d < N_DIRECTIONS; d++) {
		struct bill more = *b;

		bill_add(&more, d, octets, 0);
		worst = amount_greatest(worst, bill_at(&more, rule).high_octets);
	}
	return worst + cut;
}

uint64_t bill_left(const struct bill *b, const struct bill_rule *rule, uint64_t limit_octets)
{
	uint64_t fits = 0;
	uint64_t too_many = amount_least(limit_octets, OCTETS_MAX) + 1;
	uint64_t weight = amount_greatest(rule->weight_ppm[UPLINK], rule->weight_ppm[DOWNLINK]);

	if (high_after(b, rule, 0) > limit_octets)
		return 0;
	if (weight == 0)
		return OCTETS_MAX;
	if (weight < ALL_PPM)
		too_many = amount_least(amount_scale_up(too_many, ALL_PPM, weight), OCTETS_MAX);
	while (too_many - fits > 1) {
		uint64_t middle = fits + (too_many - fits) / 2;

		if (high_after(b, rule, middle) <= limit_octets)
			fits = middle;
		else
			too_many = middle;
	}
	return fits;
}
