/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that returns errors: whichever of the store's calls fails, once, twice or from then on, whatever the error, in a life
 * with grants, a cycle's end, a kill and an orderly end, nothing that was sent is forgotten, nothing is sent that the disk
 * does not have, and the ledger mends itself once the disk is willing.
 */
#include "sim_disk.h"

#include <weir/base/clock.h>
#include <weir/control/ledger.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SEGMENT (10 * JOURNAL_PAGE)
#define RECORD  4000
#define ARENA   (160 * SEGMENT)
#define OPS     4000
#define LEASE   1000u
#define STEPS   5
#define NEVER   UINT32_MAX
#define NEXT_ONES                                                                                  \
	14 /* calls after a fault in which another one may follow: an attempt to mend is shorter */

static const struct journal_params geometry = {.segment_bytes = SEGMENT, .record_bytes = RECORD};

enum kind {
	FAULT_EIO,
	FAULT_ENOSPC,
	FAULT_SHORT,
	KINDS,
};

struct fault {
	uint32_t at; /* the n-th call */
	uint32_t n_calls;
	enum kind kind;
};

/* Before each call the simulated disk is told whether it is to fail. */
struct faulty {
	struct journal_store store; /* first */
	struct sim_disk disk;
	struct fault faults[2];
	uint32_t n_calls;
	uint32_t n_struck;
};

struct life {
	struct faulty f;
	struct ledger *ledger;
	struct ledger_time when;
	uint8_t plan;
	uint64_t sent;        /* ever, by all processes */
	uint64_t wasted_most; /* what kills may have cost: a lease each */
	bool peeks;           /* at each step, what a kill there would leave */
	bool is_spent;        /* damage was told: all counts as used */
	uint32_t n_violations;
};

static struct sim_disk *next_call(struct journal_store *s)
{
	struct faulty *f = (struct faulty *)s;
	uint32_t call = f->n_calls++;

	f->disk.fault = SIM_FAULT_NONE;
	for (uint32_t i = 0; i < 2; i++) {
		const struct fault *fault = &f->faults[i];

		if (call < fault->at || call - fault->at >= fault->n_calls)
			continue;
		f->disk.fault = fault->kind == FAULT_SHORT ? SIM_FAULT_SHORT : SIM_FAULT_ERROR;
		f->disk.error = fault->kind == FAULT_ENOSPC ? -ENOSPC : -EIO;
		f->disk.fault_in = 0;
		f->disk.fault_runs = 1;
		f->n_struck++;
	}
	return &f->disk;
}

static int faulty_size(struct journal_store *s, unsigned int segment, uint64_t *ret_bytes)
{
	struct sim_disk *d = next_call(s);

	return d->store.size(&d->store, segment, ret_bytes);
}

static ssize_t faulty_read(
	struct journal_store *s, unsigned int segment, void *buf, size_t n_bytes, uint64_t at)
{
	struct sim_disk *d = next_call(s);

	return d->store.read(&d->store, segment, buf, n_bytes, at);
}

static ssize_t faulty_write(
	struct journal_store *s, unsigned int segment, const void *buf, size_t n_bytes, uint64_t at)
{
	struct sim_disk *d = next_call(s);

	return d->store.write(&d->store, segment, buf, n_bytes, at);
}

static int faulty_sync(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = next_call(s);

	return d->store.sync(&d->store, segment);
}

static int faulty_create(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = next_call(s);

	return d->store.create(&d->store, segment);
}

static int faulty_publish(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = next_call(s);

	return d->store.publish(&d->store, segment);
}

static void faulty_close(struct journal_store *s)
{
	(void)s;
}

static void faulty_init(struct faulty *f)
{
	memset(f, 0, sizeof(*f));
	sim_disk_init(&f->disk, SEGMENT, OPS, ARENA);
	f->store = (struct journal_store){
		.size = faulty_size,
		.read = faulty_read,
		.write = faulty_write,
		.sync = faulty_sync,
		.create = faulty_create,
		.publish = faulty_publish,
		.close = faulty_close,
	};
	f->faults[0].at = f->faults[1].at = NEVER;
}

static void violate(struct life *l, const char *what)
{
	if (l->n_violations++ < 3)
		cr_log_error("%s: faults at %u (%u, kind %d) and %u (%u, kind %d), call %u", what,
			l->f.faults[0].at, l->f.faults[0].n_calls, l->f.faults[0].kind,
			l->f.faults[1].at, l->f.faults[1].n_calls, l->f.faults[1].kind,
			l->f.n_calls);
}

/* What a ledger says that was opened on what is there: not less than was sent, and less than a lease too much a kill. */
static void check_found(struct life *l, const struct ledger_plan *p, bool is_spent)
{
	l->is_spent |= is_spent;
	if (l->is_spent)
		return; /* everything counts as used: nobody relies on the sum */
	if (p->billed_total < l->sent)
		violate(l, "forgets what was sent");
	if (p->billed_total > l->sent + l->wasted_most)
		violate(l, "wastes more than a lease");
}

static int open_on(struct life *l, struct journal_store *store, struct ledger **ret_ledger,
	struct ledger_plan *ret_plan, bool *ret_spent)
{
	struct ledger_params params = {
		.journal = geometry, .n_days = 4, .n_cycles = 3, .n_devices = 4, .n_shares = 4};
	struct ledger_recovery recovery;
	int error = ledger_open(store, &params, &l->when, &recovery, ret_ledger);

	if (error != 0)
		return error;
	l->plan = ledger_plan(*ret_ledger, "sim1");
	memset(ret_plan, 0, sizeof(*ret_plan));
	cr_assert(ledger_read_plan(*ret_ledger, l->plan, ret_plan));
	*ret_spent = ret_plan->is_assumed_spent;
	return 0;
}

/* The process is killed here, and the next one meets a sound disk. */
static void peek(struct life *l)
{
	struct sim_disk copy;
	struct ledger *ledger;
	struct ledger_plan plan;
	uint64_t wasted_most = l->wasted_most;
	bool was_spent = l->is_spent;
	bool is_spent;

	sim_disk_init(&copy, SEGMENT, 200, 20 * SEGMENT);
	sim_disk_reset(&copy, l->f.disk.files);
	l->wasted_most += LEASE;
	if (open_on(l, &copy.store, &ledger, &plan, &is_spent) != 0) {
		violate(l, "cannot be opened any more");
	} else {
		check_found(l, &plan, is_spent);
		ledger_destroy(ledger);
	}
	l->wasted_most = wasted_most;
	l->is_spent = was_spent;
	sim_disk_clean(&copy);
}

static void use_up(struct life *l, uint64_t octets)
{
	struct ledger_usage usage = {.octets = {octets, 0}, .packets = {1, 0}};

	l->sent += octets;
	ledger_settle(l->ledger, l->plan, octets, &usage, &l->when);
}

/* What a lease allows, and asks for more, as control does. */
static void step(struct life *l, uint32_t n)
{
	struct ledger_plan p;

	l->when.now_us += 25 * US_PER_S;
	l->when.wall_s += 25;
	cr_assert(ledger_read_plan(l->ledger, l->plan, &p));
	use_up(l, n % 2 == 0 ? p.leased_octets : p.leased_octets / 2);
	cr_assert(ledger_read_plan(l->ledger, l->plan, &p));
	if (l->peeks)
		peek(l);
	if (n == 2)
		(void)ledger_begin_cycle(
			l->ledger, l->plan, l->when.wall_s, &(struct ledger_carry){0}, &l->when);
	if (!ledger_retry(l->ledger, &l->when) && !p.is_assumed_spent)
		(void)ledger_grant(l->ledger,
			&(struct ledger_lease){l->plan, LEASE - p.leased_octets}, 1, &l->when);
	if (l->peeks)
		peek(l);
}

/* Opens what the process before left, as often as a service manager would try. False when it could not. */
static bool start(struct life *l)
{
	struct ledger_plan plan;
	bool is_spent;

	for (uint32_t tries = 0; tries < 3; tries++) {
		/* files without a name are gone */
		memset(l->f.disk.is_created, 0, sizeof(l->f.disk.is_created));
		if (open_on(l, &l->f.store, &l->ledger, &plan, &is_spent) == 0) {
			check_found(l, &plan, is_spent);
			return true;
		}
		l->ledger = NULL;
		l->when.now_us += 5 * US_PER_S;
	}
	return false;
}

static void heal(struct life *l)
{
	l->f.faults[0].at = l->f.faults[1].at = NEVER;
	if (l->ledger == NULL && !start(l)) {
		violate(l, "does not open on a sound disk");
		return;
	}
	l->when.now_us += 61 * US_PER_S;
	if (ledger_retry(l->ledger, &l->when) || ledger_sync(l->ledger, &l->when) != 0)
		violate(l, "does not mend itself");
}

/* Returns the calls it made. */
static uint32_t live(struct life *l)
{
	uint32_t n_calls;

	for (uint32_t process = 0; process < 2; process++) {
		l->wasted_most += process > 0 ? LEASE : 0;
		if (!start(l))
			break;
		for (uint32_t n = 0; n < STEPS; n++)
			step(l, n);
		if (process == 0) {
			ledger_destroy(l->ledger);
			l->ledger = NULL;
		}
	}
	if (l->ledger != NULL)
		(void)ledger_finish(l->ledger, &l->when);
	n_calls = l->f.n_calls;
	peek(l);
	heal(l);
	peek(l);
	return n_calls;
}

struct search {
	uint32_t n_lives;
	uint32_t n_struck;
	uint32_t n_violations;
};

static uint32_t live_with(struct search *s, const struct fault *a, const struct fault *b)
{
	struct life l = {
		.when = {.now_us = US_PER_S, .wall_s = 1000000, .day = 20000, .is_trusted = true},
		.peeks = b == NULL};
	uint32_t n_calls;

	faulty_init(&l.f);
	if (a != NULL)
		l.f.faults[0] = *a;
	if (b != NULL)
		l.f.faults[1] = *b;
	n_calls = live(&l);
	s->n_lives++;
	s->n_struck += l.f.n_struck > 0 ? 1 : 0;
	s->n_violations += l.n_violations;
	ledger_destroy(l.ledger);
	sim_disk_clean(&l.f.disk);
	return n_calls;
}

/* Every call in turn. */
static struct search search_singles(uint32_t n_fails)
{
	struct search s = {0};
	uint32_t n_calls = live_with(&s, NULL, NULL);

	cr_expect_eq(s.n_violations, 0);
	cr_expect_geq(n_calls, 60);
	for (uint32_t at = 0; at < n_calls; at++)
		for (enum kind kind = 0; kind < KINDS; kind++)
			(void)live_with(&s, &(struct fault){at, n_fails, kind}, NULL);
	cr_expect_eq(s.n_struck + 1, s.n_lives, "each fault has struck");
	cr_log_info("calls: %u, lives: %u", n_calls, s.n_lives);
	return s;
}

TestSuite(control_disk_faults, .timeout = 300);

Test(control_disk_faults, any_call_may_fail_once)
{
	cr_expect_eq(search_singles(1).n_violations, 0);
}

Test(control_disk_faults, any_call_may_fail_three_times)
{
	cr_expect_eq(search_singles(3).n_violations, 0);
}

Test(control_disk_faults, the_disk_may_fail_for_good_from_any_call_on)
{
	cr_expect_eq(search_singles(NEVER).n_violations, 0);
}

Test(control_disk_faults, what_follows_a_failure_may_fail_in_its_turn)
{
	struct search s = {0};
	uint32_t n_calls = live_with(&s, NULL, NULL);

	for (uint32_t at = 0; at < n_calls; at++)
		for (uint32_t gap = 1; gap <= NEXT_ONES; gap++)
			for (uint32_t kinds = 0; kinds < KINDS * KINDS; kinds++)
				(void)live_with(&s,
					&(struct fault){at, 1, (enum kind)(kinds % KINDS)},
					&(struct fault){at + gap, 1, (enum kind)(kinds / KINDS)});
	cr_log_info("calls: %u, lives: %u", n_calls, s.n_lives);
	cr_expect_eq(s.n_violations, 0);
}
