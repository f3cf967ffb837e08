/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cuts the power at every point of long lives of a ledger, and of its recoveries, and looks at each image that a disk may
 * legally be left with. In every one:
 *
 *   what was sent ≤ what the disk says was granted ≤ what was sent + one lease         (for each plan)
 *   what the carrier bills for what was sent ≤ the bill's high end ≤ the same and what crashes have left unknown
 *   cycles, top-ups and where a cycle began are those that were confirmed, or the ones being written
 *   nothing is taken for damage, and nothing confirmed is taken for new
 *
 * That these checks can fail is shown by disks that lie: without barriers, with failed syncs that say nothing, and with
 * writes that spoil their neighbours.
 */
#include "sim_disk.h"

#include <weir/control/ledger.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_PLANS   2
#define LEASE     UINT64_C(10000)
#define SEGMENT   (16 * JOURNAL_PAGE)
#define OPS_MAX   4096
#define ARENA_MAX (OPS_MAX * JOURNAL_PAGE)
#define SECOND_US UINT64_C(1000000)

static const char *const PLANS[N_PLANS] = {"sim1", "sim2"};

static const struct ledger_params SMALL = {
	.journal = {.segment_bytes = SEGMENT, .record_bytes = 4000, .seed = 42},
	.n_days = 4,
	.n_cycles = 3,
	.n_devices = 4,
	.n_shares = 4,
};

/* A carrier that counts half of what comes down. */
static const struct bill_rule CARRIER = {.weight_ppm = {1000000, 500000}};

/* What the world knows of a plan, whatever the ledger thinks. */
struct truth {
	uint64_t spent; /* sent, and what earlier crashes have written off */
	int64_t cycle;  /* confirmed */
	int64_t cycle_asked;
	uint64_t cycle_base;
	uint64_t top_up;             /* confirmed, of the cycle asked for */
	uint64_t sent[N_DIRECTIONS]; /* in that cycle */
	uint64_t unknown;            /* written off in it, at most */
	uint64_t sent_before
		[N_DIRECTIONS]; /* the same of the cycle before, should this one not have begun */
	uint64_t unknown_before;
	bool may_be_spent; /* an opening met a disk that refused to be read: what it hid may have been newer */
};

struct life {
	struct sim_disk disk;
	struct ledger *ledger;
	struct rng chance;
	struct ledger_time when;
	struct truth truth[N_PLANS];
	struct truth (*before)[N_PLANS];      /* each operation */
	uint64_t told[N_PLANS][N_DIRECTIONS]; /* of what was sent, to the bill */
	uint32_t n_refused;                   /* grants */
	uint32_t n_restarts;
	uint64_t n_violations;
};

/* Where all is checked: one disk to recover on, one for the second crash. */
struct bench {
	struct sim_disk first;
	struct sim_disk second;
	struct sim_file image[SIM_FILES];
	struct rng chance;
	uint32_t n_random; /* states a cut beside those enumerated */
	bool enumerates;
	uint64_t n_states;
	uint64_t n_double;
	uint64_t n_violations;
	bool is_quiet; /* the disk lies: violations are the point */
};

static void remember(void *context, uint32_t op)
{
	struct life *life = context;

	memcpy(life->before[op], life->truth, sizeof(life->truth));
}

static void violate(struct bench *b, const char *what, uint64_t a, uint64_t c)
{
	b->n_violations++;
	if (!b->is_quiet && b->n_violations < 10)
		fprintf(stderr, "violation: %s: %llu, %llu\n", what, (unsigned long long)a,
			(unsigned long long)c);
}

static void check_bill(struct bench *b, const struct bill *bill, const struct truth *t)
{
	uint64_t due = t->sent[UPLINK] + t->sent[DOWNLINK] / 2;
	uint64_t high = bill_at(bill, &CARRIER).high_octets;

	if (high < due)
		violate(b, "the bill is below what was sent", due, high);
	if (high > due + t->unknown + LEASE + 1)
		violate(b, "the bill is above what can have been sent", due + t->unknown, high);
}

static void check_plan(struct bench *b, struct ledger *l, const struct truth *t,
	const struct ledger_recovery *rec, unsigned int i)
{
	bool is_known = false;
	struct ledger_plan p = {0};

	for (uint32_t k = 0; k < rec->n_plans; k++)
		is_known |= strcmp(rec->plans[k].plan, PLANS[i]) == 0;
	if (!is_known) {
		if (t->spent != 0)
			violate(b, "a plan is forgotten", t->spent, 0);
		return;
	}
	(void)ledger_read_plan(l, ledger_plan(l, PLANS[i]), &p);
	if (p.granted_total < t->spent)
		violate(b, "sent beyond what the disk has", t->spent, p.granted_total);
	if (p.granted_total > t->spent + LEASE)
		violate(b, "more than a lease is lost", t->spent, p.granted_total);
	if (p.leased_octets != 0 || p.billed_total != p.granted_total)
		violate(b, "something is free after a crash", p.billed_total, p.granted_total);
	if (p.is_assumed_spent && !t->may_be_spent)
		violate(b, "a torn write is taken for damage", i, 0);
	if (p.cycle_start_s < t->cycle || p.cycle_start_s > t->cycle_asked)
		violate(b, "not a cycle that was begun", (uint64_t)p.cycle_start_s,
			(uint64_t)t->cycle);
	if (p.cycle_start_s != t->cycle_asked || t->cycle != t->cycle_asked)
		return;
	if (p.billed_total - p.used_octets != t->cycle_base)
		violate(b, "the cycle began elsewhere", p.billed_total - p.used_octets,
			t->cycle_base);
	if (p.top_up_octets < t->top_up)
		violate(b, "a top-up is gone", p.top_up_octets, t->top_up);
	check_bill(b, ledger_bill(l, ledger_plan(l, PLANS[i])), t);
}

static void check_recovery(struct bench *b, struct ledger *l, const struct ledger_recovery *rec,
	const struct truth *truth)
{
	if (rec->journal.health > JOURNAL_WHOLE)
		violate(b, "legal, and called damaged", rec->journal.health,
			rec->journal.n_missing);
	if (ledger_stats(l).state != LEDGER_SOUND)
		violate(b, "a sound disk is called broken", 0, 0);
	for (unsigned int i = 0; i < N_PLANS; i++)
		check_plan(b, l, &truth[i], rec, i);
}

/* Recovers on a disk that looks like the image; the log is that of the recovery. */
static void recover_on(struct bench *b, struct sim_disk *disk, const struct truth *truth)
{
	const struct ledger_time when = {.now_us = SECOND_US};
	struct ledger_recovery rec;
	struct ledger *l;

	sim_disk_reset(disk, b->image);
	if (ledger_open(&disk->store, &SMALL, &when, &rec, &l) != 0) {
		violate(b, "not opened", 0, 0);
		return;
	}
	check_recovery(b, l, &rec, truth);
	ledger_destroy(l);
	b->n_states++;
}

/* Cuts the recovery short too, anywhere, and recovers again. */
static void crash_again(struct bench *b, const struct truth *truth)
{
	struct sim_replay again;
	uint32_t cut = rng_below(&b->chance, b->first.n_ops + 1);

	sim_replay_init(&again, &b->first, b->image);
	while (again.op < cut)
		sim_replay_step(&again);
	sim_replay_cut(&again, 0, &b->chance, b->image);
	recover_on(b, &b->second, truth);
	sim_replay_clean(&again);
	b->n_double++;
}

static void check_cut(struct bench *b, const struct sim_replay *r, const struct truth *truth)
{
	bool is_few = b->enumerates && r->n_flying <= 8;
	uint64_t n_subsets = is_few ? UINT64_C(1) << r->n_flying : 0;
	uint64_t n_states = n_subsets + (r->n_flying == 0 ? (is_few ? 0 : 1) : b->n_random);

	for (uint64_t i = 0; i < n_states; i++) {
		sim_replay_cut(r, i, i < n_subsets ? NULL : &b->chance, b->image);
		recover_on(b, &b->first, truth);
		if (rng_below(&b->chance, 4) == 0)
			crash_again(b, truth);
	}
}

/* Every prefix of what a life has written. */
static void check_life(struct bench *b, const struct life *life)
{
	struct sim_replay r;

	sim_replay_init(&r, &life->disk, NULL);
	for (;;) {
		check_cut(b, &r, r.op < life->disk.n_ops ? life->before[r.op] : life->truth);
		if (r.op == life->disk.n_ops)
			break;
		sim_replay_step(&r);
	}
	sim_replay_clean(&r);
}

static void bench_init(struct bench *b, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	sim_disk_init(&b->first, SEGMENT, 256, 256 * JOURNAL_PAGE);
	sim_disk_init(&b->second, SEGMENT, 256, 256 * JOURNAL_PAGE);
	sim_files_init(b->image, SEGMENT);
	rng_init(&b->chance, seed);
}

static void bench_clean(struct bench *b)
{
	sim_disk_clean(&b->first);
	sim_disk_clean(&b->second);
	sim_files_clean(b->image);
}

/* All that a life confirms when a write has succeeded. */
static void confirm(struct life *life)
{
	for (unsigned int i = 0; i < N_PLANS; i++)
		life->truth[i].cycle = life->truth[i].cycle_asked;
}

static void settle_all(struct life *life)
{
	for (unsigned int i = 0; i < N_PLANS; i++) {
		uint8_t plan = ledger_plan(life->ledger, PLANS[i]);
		struct ledger_usage usage = {0};
		struct ledger_plan p = {0};

		(void)ledger_read_plan(life->ledger, plan, &p);
		usage.octets[UPLINK] = life->truth[i].spent - p.billed_total;
		usage.packets[UPLINK] = 1;
		for (enum direction d = UPLINK; d < N_DIRECTIONS; d++) {
			bill_add(ledger_bill(life->ledger, plan), d,
				life->truth[i].sent[d] - life->told[i][d], 0);
			life->told[i][d] = life->truth[i].sent[d];
		}
		ledger_settle(life->ledger, plan, usage.octets[UPLINK], &usage, &life->when);
		ledger_count_class(life->ledger, plan, ledger_class(life->ledger, "web"), &usage);
		ledger_count_device(life->ledger, plan,
			&(struct mac_addr){{2, 0, 0, 0, 0, (uint8_t)rng_below(&life->chance, 6)}},
			&usage, &life->when);
	}
}

/* The disk never had the cycle that was begun: the one before goes on. */
static void cycle_is_gone(struct truth *t)
{
	for (int d = 0; d < N_DIRECTIONS; d++)
		t->sent[d] += t->sent_before[d];
	t->unknown += t->unknown_before;
}

static void open_ledger(struct life *life)
{
	struct ledger_recovery rec;
	bool may_fail = life->disk.fault != SIM_FAULT_NONE;
	int error;

	for (unsigned int i = 0; i < N_PLANS; i++)
		life->truth[i].may_be_spent |= may_fail;
	error = ledger_open(&life->disk.store, &SMALL, &life->when, &rec, &life->ledger);
	for (int tries = 0; error != 0 && tries < 50; tries++)
		error = ledger_open(&life->disk.store, &SMALL, &life->when, &rec, &life->ledger);
	cr_assert_eq(error, 0, "%s", strerror(-error));
	for (unsigned int i = 0; i < N_PLANS; i++) {
		struct ledger_plan p = {0};

		(void)ledger_read_plan(life->ledger, ledger_plan(life->ledger, PLANS[i]), &p);
		life->truth[i].may_be_spent = p.is_assumed_spent;
		if (p.granted_total < life->truth[i].spent
			|| p.granted_total > life->truth[i].spent + LEASE)
			life->n_violations++;
		if (!bill_is_begun(ledger_bill(life->ledger, ledger_plan(life->ledger, PLANS[i]))))
			bill_init(ledger_bill(life->ledger, ledger_plan(life->ledger, PLANS[i])),
				&CARRIER, (struct bill_span){0, INT64_MAX}, 0);
		if (p.cycle_start_s != life->truth[i].cycle_asked)
			cycle_is_gone(&life->truth[i]);
		memcpy(life->told[i], life->truth[i].sent, sizeof(life->told[i]));
		life->truth[i].unknown += LEASE;
		/* What is written off counts as spent from here on; on a disk that lies, what it has forgotten is not asked after. */
		life->truth[i].spent = p.granted_total;
		life->truth[i].cycle_asked = p.cycle_start_s;
		life->truth[i].cycle = p.cycle_start_s;
		life->truth[i].cycle_base = p.billed_total - p.used_octets;
	}
}

static void lease_some(struct life *life)
{
	struct ledger_lease leases[N_PLANS];
	uint32_t n = 0;

	settle_all(life);
	for (unsigned int i = 0; i < N_PLANS; i++) {
		uint8_t plan = ledger_plan(life->ledger, PLANS[i]);
		struct ledger_plan p = {0};

		(void)ledger_read_plan(life->ledger, plan, &p);
		if (rng_below(&life->chance, 4) != 0 && p.leased_octets < LEASE)
			leases[n++] = (struct ledger_lease){plan, LEASE - p.leased_octets};
	}
	if (ledger_grant(life->ledger, leases, n, &life->when) == 0)
		confirm(life);
	else
		life->n_refused++;
}

static void send_some(struct life *life)
{
	for (unsigned int i = 0; i < N_PLANS; i++) {
		struct ledger_plan p = {0};
		enum direction d = rng_below(&life->chance, 2) == 0 ? UPLINK : DOWNLINK;
		uint64_t left;
		uint64_t more;

		(void)ledger_read_plan(life->ledger, ledger_plan(life->ledger, PLANS[i]), &p);
		left = p.granted_total - life->truth[i].spent;
		more = rng_below(&life->chance, (uint32_t)left + 1);
		if (rng_below(&life->chance, 4) == 0)
			more = left; /* to the last octet */
		life->truth[i].spent += more;
		life->truth[i].sent[d] += more;
	}
}

/* As the books do: the bill of the cycle begins before the ledger's, and goes to disk with it. */
static void begin_bill(struct life *life, unsigned int i, bool is_first)
{
	struct truth *t = &life->truth[i];
	struct bill *bill = ledger_bill(life->ledger, ledger_plan(life->ledger, PLANS[i]));
	struct bill_span span = {t->cycle_asked, t->cycle_asked + 1000};

	if (is_first) {
		bill_place(bill, &CARRIER, span, 0);
		return;
	}
	bill_next(bill, &CARRIER, span);
	memcpy(t->sent_before, t->sent, sizeof(t->sent));
	memset(t->sent, 0, sizeof(t->sent));
	memset(life->told[i], 0, sizeof(life->told[i]));
	t->unknown_before = t->unknown;
	t->unknown = 0;
}

static void begin_cycle(struct life *life)
{
	unsigned int i = rng_below(&life->chance, N_PLANS);
	struct truth *t = &life->truth[i];
	struct ledger_plan p = {0};
	uint8_t plan = ledger_plan(life->ledger, PLANS[i]);

	settle_all(life);
	t->cycle_asked += 1000;
	t->top_up = 0;
	(void)ledger_read_plan(life->ledger, plan, &p);
	/* Before its first cycle is known, what was used belongs to it. */
	t->cycle_base = t->cycle_asked == 1000 ? 0 : p.billed_total;
	begin_bill(life, i, t->cycle_asked == 1000);
	if (ledger_begin_cycle(
		    life->ledger, plan, t->cycle_asked, &(struct ledger_carry){7, 0}, &life->when)
		== 0)
		confirm(life);
}

static void top_up(struct life *life)
{
	unsigned int i = rng_below(&life->chance, N_PLANS);

	if (ledger_top_up(life->ledger, ledger_plan(life->ledger, PLANS[i]), 500, &life->when) != 0)
		return;
	confirm(life);
	life->truth[i].top_up += 500;
}

static void restart(struct life *life)
{
	if (rng_below(&life->chance, 2) == 0) {
		settle_all(life);
		if (ledger_finish(life->ledger, &life->when) == 0)
			confirm(life);
	}
	ledger_destroy(life->ledger);
	life->n_restarts++;
	open_ledger(life);
}

static void live_on(struct life *life)
{
	life->when.now_us += (1 + rng_below(&life->chance, 90)) * SECOND_US;
	life->when.day = (int32_t)(life->when.now_us / SECOND_US / 600);
	life->when.is_trusted = true;
	switch (rng_below(&life->chance, 16)) {
	case 0:
		begin_cycle(life);
		break;
	case 1:
		top_up(life);
		break;
	case 2:
		restart(life);
		break;
	case 3:
		if (ledger_sync(life->ledger, &life->when) == 0)
			confirm(life);
		break;
	default:
		lease_some(life);
		break;
	}
	send_some(life);
}

static void life_init(struct life *life, uint64_t seed, struct sim_lies lies)
{
	memset(life, 0, sizeof(*life));
	sim_disk_init(&life->disk, SEGMENT, OPS_MAX, ARENA_MAX);
	life->disk.lies = lies;
	life->before = calloc(OPS_MAX, sizeof(*life->before));
	cr_assert_not_null(life->before);
	life->disk.before_op = remember;
	life->disk.context = life;
	rng_init(&life->chance, seed);
	life->when.now_us = SECOND_US;
}

static void life_clean(struct life *life)
{
	ledger_destroy(life->ledger);
	sim_disk_clean(&life->disk);
	free(life->before);
}

/* A life of so many events; with `has_faults` a call fails now and then. */
static void live(struct life *life, uint32_t n_events, bool has_faults)
{
	static const int errors[] = {-EIO, -ENOSPC, -EROFS};

	open_ledger(life);
	for (uint32_t i = 0; i < n_events; i++) {
		if (has_faults && rng_below(&life->chance, 6) == 0) {
			life->disk.fault = rng_below(&life->chance, 3) == 0 ? SIM_FAULT_SHORT
									    : SIM_FAULT_ERROR;
			life->disk.fault_in = rng_below(&life->chance, 8);
			life->disk.fault_runs = 1 + rng_below(&life->chance, 3);
			life->disk.error = errors[rng_below(&life->chance, 3)];
		}
		live_on(life);
	}
}

static uint64_t crash_lives(struct bench *b, uint64_t first_seed, uint32_t n_lives,
	uint32_t n_events, bool has_faults, struct sim_lies lies)
{
	uint64_t n_refused = 0;

	for (uint32_t i = 0; i < n_lives; i++) {
		struct life life;

		life_init(&life, first_seed + i, lies);
		live(&life, n_events, has_faults);
		check_life(b, &life);
		b->n_violations += life.n_violations;
		n_refused += life.n_refused;
		life_clean(&life);
	}
	return n_refused;
}

Test(control_crash, at_no_point_has_more_been_sent_than_the_disk_says)
{
	struct bench b;

	bench_init(&b, 1);
	b.enumerates = true;
	b.n_random = 80;
	(void)crash_lives(&b, 100, 2, 60, false, (struct sim_lies){0});
	cr_log_info("states: %llu, of them double crashes: %llu", (unsigned long long)b.n_states,
		(unsigned long long)b.n_double);
	cr_expect_eq(b.n_violations, 0);
	cr_expect_geq(b.n_states, 50000);
	bench_clean(&b);
}

Test(control_crash, nor_where_writes_and_syncs_fail_in_between)
{
	struct bench b;
	uint64_t n_refused;

	bench_init(&b, 2);
	b.n_random = 20;
	n_refused = crash_lives(&b, 200, 8, 120, true, (struct sim_lies){0});
	cr_log_info("states: %llu, of them double crashes: %llu", (unsigned long long)b.n_states,
		(unsigned long long)b.n_double);
	cr_expect_eq(b.n_violations, 0);
	cr_expect_geq(b.n_states, 35000);
	cr_expect_gt(n_refused, 20, "faults have struck");
	bench_clean(&b);
}

static const struct {
	const char *claim;
	struct sim_lies lies;
	bool has_faults;
	bool is_found;
} LIES[] = {
	{"a disk without barriers", {.no_barrier = true}, false, true},
	{"a failed sync that says it did not", {.hides_failed_sync = true}, true, true},
	{"a write that spoils the page before it", {.spoils_neighbours = true}, false, true},
	{"a disk that writes through", {.writes_through = true}, false, false},
};

Test(control_crash, a_disk_that_lies_is_found_out)
{
	for (size_t i = 0; i < sizeof(LIES) / sizeof(LIES[0]); i++) {
		struct bench b;

		bench_init(&b, 3);
		b.n_random = 10;
		b.is_quiet = LIES[i].is_found;
		(void)crash_lives(&b, 300, 2, 60, LIES[i].has_faults, LIES[i].lies);
		cr_expect_eq(b.n_violations > 0, LIES[i].is_found, "%s: %llu", LIES[i].claim,
			(unsigned long long)b.n_violations);
		bench_clean(&b);
	}
}

/* One fault, in each call that a short life makes, of each kind; the life goes on afterwards. */
static uint32_t life_with_fault(
	struct bench *b, uint32_t call, enum sim_fault fault, int error, uint32_t fault_runs)
{
	struct life life;
	uint32_t n_calls;

	life_init(&life, 400, (struct sim_lies){0});
	open_ledger(&life);
	life.disk.fault = fault;
	life.disk.error = error;
	life.disk.fault_in = call;
	life.disk.fault_runs = fault_runs;
	life.disk.n_calls = 0;
	for (uint32_t i = 0; i < 24; i++)
		live_on(&life);
	n_calls = life.disk.n_calls;
	/* However it went, the disk is sound again, and so is the ledger when it has tried once more. */
	life.disk.fault = SIM_FAULT_NONE;
	life.when.now_us += 61 * SECOND_US;
	if (ledger_retry(life.ledger, &life.when) || ledger_sync(life.ledger, &life.when) != 0)
		violate(b, "does not mend itself", call, 0);
	confirm(&life);
	check_life(b, &life);
	b->n_violations += life.n_violations;
	life_clean(&life);
	return n_calls;
}

Test(control_crash, whichever_call_fails_the_books_are_right)
{
	static const struct {
		enum sim_fault fault;
		int error;
		uint32_t n_calls;
	} faults[] = {
		{SIM_FAULT_ERROR, -EIO, 1},
		{SIM_FAULT_ERROR, -ENOSPC, 3},
		{SIM_FAULT_ERROR, -ESTALE, 1},
		{SIM_FAULT_ERROR, -EINTR, 1},
		{SIM_FAULT_SHORT, -EIO, 1},
		{SIM_FAULT_SHORT, -EIO, 2},
	};
	struct bench b;

	bench_init(&b, 4);
	b.n_random = 1;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		uint32_t n_calls = 1;

		for (uint32_t call = 0; call < n_calls; call++)
			n_calls = life_with_fault(
				&b, call, faults[i].fault, faults[i].error, faults[i].n_calls);
		cr_expect_gt(n_calls, 40);
	}
	cr_log_info("states: %llu", (unsigned long long)b.n_states);
	cr_expect_geq(b.n_states, 25000);
	cr_expect_eq(b.n_violations, 0);
	bench_clean(&b);
}
