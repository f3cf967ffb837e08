/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_new.h"

#include "bench_instructions.h"
#include "bench_measure.h"

#include <weir/base/clock.h>

#include <rte_common.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_A_LOOK 32 /* then records are taken: half of their ring at most is full by then */
#define STEPS_MAX    (1u << 22) /* that are kept for the distribution */
#define PAUSE_US     1000
#define PARTS        (BENCH_REPEATS + 1) /* of the time: repeats, stages */

/* Ticks of each step. */
struct steps {
	uint32_t *ticks;
	uint32_t n;
};

struct pauses {
	uint32_t p50, p99, p999, max;
	uint32_t n_long; /* above PAUSE_US */
	uint32_t n_steps;
};

struct sample {
	uint64_t ticks;
	uint64_t long_ticks; /* of steps above PAUSE_US: the machine was somebody else's */
	struct bench_port_ticks source;
	uint64_t created;
	uint64_t ended;
	uint64_t instructions; /* 0: not counted by this machine */
};

struct result {
	double flows_per_second; /* begun and ended, median of the repeats */
	double cycles;           /* a new flow with its end, the source's left out */
	double cycles_source;
	double cycles_undisturbed; /* without the steps above PAUSE_US, which another program took part in */
	double spread;             /* (max - min) / median of the repeats */
	double instructions;
	struct pauses steady;
	struct pauses expiry; /* while all that live are due at once */
	uint32_t n_stages;
	const char *stage_names[STAGES_MAX];
	double stage_cycles[STAGES_MAX];
	double end_cycles; /* what is no stage's: ends, and the rest of housekeeping */
	uint64_t n_dropped;
};

/* What is read of the path's counters. */
struct counts {
	uint64_t created;
	uint64_t ended;
	uint32_t n_flows;
	uint32_t n_stages;
	const char *stage_names[STAGES_MAX];
	uint64_t stage_ticks[STAGES_MAX];
};

/* All counters are large for a stack. */
static struct counts counts_of(const struct bench_worker *w)
{
	struct path_stats *stats = malloc(sizeof(*stats));
	struct counts c = {0};

	if (stats == NULL)
		abort();
	doors_stats_read(w->path, stats);
	c.created = stats->flows_created;
	c.ended = stats->flows_ended;
	c.n_flows = stats->n_flows;
	c.n_stages = stats->n_stages;
	for (uint32_t i = 0; i < c.n_stages; i++) {
		c.stage_names[i] = stats->stages[i].name;
		c.stage_ticks[i] = stats->stages[i].ticks;
	}
	free(stats);
	return c;
}

static void step(struct bench_worker *w, struct steps *s, struct sample *sum)
{
	uint64_t start = clock_tsc();
	uint64_t ticks;

	bench_worker_step(w);
	ticks = clock_tsc() - start;
	sum->ticks += ticks;
	if (ticks > clock_tsc_hz() / US_PER_S * PAUSE_US)
		sum->long_ticks += ticks;
	if (s != NULL && s->n < STEPS_MAX)
		s->ticks[s->n++] = (uint32_t)RTE_MIN(ticks, (uint64_t)UINT32_MAX);
}

/* So many steps, then the records they left. */
static void steps_of_a_look(struct bench_worker *w, struct steps *s, struct sample *sum)
{
	struct bench_instructions counter;

	bench_instructions_begin(&counter);
	for (int i = 0; i < STEPS_A_LOOK; i++)
		step(w, s, sum);
	sum->instructions += bench_instructions_end(&counter);
	bench_worker_take_records(w);
}

static void note_flows(struct sample *sum, const struct counts *before, const struct counts *after)
{
	sum->created = after->created - before->created;
	sum->ended = after->ended - before->ended;
}

static struct sample run_for(struct bench_worker *w, uint64_t ticks, struct steps *s)
{
	struct counts before = counts_of(w);
	struct bench_port_ticks source = w->port_ticks;
	struct counts after;
	struct sample sum = {0};

	while (sum.ticks < ticks)
		steps_of_a_look(w, s, &sum);
	sum.source = bench_port_ticks_since(&w->port_ticks, &source);
	after = counts_of(w);
	note_flows(&sum, &before, &after);
	return sum;
}

/* Until as many flows have ended as shall live: from then on as many end as begin. */
static void fill(struct bench_worker *w)
{
	struct sample sum = {0};

	while (counts_of(w).ended < w->what->n_flows)
		steps_of_a_look(w, NULL, &sum);
}

/* All flows that live are due at once, and new ones go on beginning. */
static struct sample expire_all(struct bench_worker *w, struct steps *s)
{
	struct counts before = counts_of(w);
	struct counts after;
	struct sample sum = {0};

	w->virtual_us += 2 * (BENCH_NEW_LIFE_US + BENCH_NEW_LATE_US);
	do {
		steps_of_a_look(w, s, &sum);
		after = counts_of(w);
		note_flows(&sum, &before, &after);
	} while (sum.ended < before.n_flows);
	return sum;
}

static int compare_ticks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static struct pauses pauses_of(struct steps *s)
{
	uint64_t limit = clock_tsc_hz() / US_PER_S * PAUSE_US;
	struct pauses p = {.n_steps = s->n};

	if (s->n == 0)
		return p;
	qsort(s->ticks, s->n, sizeof(*s->ticks), compare_ticks);
	p.p50 = s->ticks[s->n / 2];
	p.p99 = s->ticks[(uint64_t)s->n * 99 / 100];
	p.p999 = s->ticks[(uint64_t)s->n * 999 / 1000];
	p.max = s->ticks[s->n - 1];
	for (uint32_t i = s->n; i > 0 && s->ticks[i - 1] > limit; i--)
		p.n_long++;
	s->n = 0;
	return p;
}

static void measure_repeats(
	struct bench_worker *w, uint64_t ticks, struct steps *s, struct result *r)
{
	double cycles[BENCH_REPEATS];
	double undisturbed[BENCH_REPEATS];
	double rates[BENCH_REPEATS];
	double sources[BENCH_REPEATS];
	double instructions[BENCH_REPEATS];
	uint64_t dropped_before = bench_worker_n_dropped(w);
	bool counted = true;

	fill(w);
	for (uint32_t i = 0; i < BENCH_REPEATS; i++) {
		struct sample sum = run_for(w, ticks, s);
		uint64_t source = sum.source.rx + sum.source.tx;

		sources[i] = bench_ratio(source, sum.created);
		cycles[i] = bench_ratio(sum.ticks - source, sum.created);
		undisturbed[i] = bench_ratio(sum.ticks - sum.long_ticks - source, sum.created);
		rates[i] = (double)clock_tsc_hz() / cycles[i];
		instructions[i] = bench_ratio(sum.instructions, sum.created);
		counted = counted && sum.instructions > 0;
	}
	r->cycles_source = bench_median(sources);
	r->cycles = bench_median(cycles);
	r->spread = (cycles[BENCH_REPEATS - 1] - cycles[0]) / r->cycles;
	r->cycles_undisturbed = bench_median(undisturbed);
	r->flows_per_second = bench_median(rates);
	r->instructions = counted ? bench_median(instructions) : -1.0;
	r->steady = pauses_of(s);
	expire_all(w, s);
	r->expiry = pauses_of(s);
	r->n_dropped = bench_worker_n_dropped(w) - dropped_before;
}

static void measure_stages(struct bench_worker *w, uint64_t ticks, struct result *r)
{
	struct counts before;
	struct counts after;
	struct sample sum;

	fill(w);
	before = counts_of(w);
	sum = run_for(w, ticks, NULL);
	after = counts_of(w);
	r->n_stages = after.n_stages;
	r->end_cycles = bench_ratio(sum.ticks, sum.created);
	for (uint32_t i = 0; i < after.n_stages; i++) {
		double cycles =
			bench_ratio(after.stage_ticks[i] - before.stage_ticks[i], sum.created);

		r->end_cycles -= cycles;
		/* The first stage receives, the last one sends. */
		if (i == 0)
			cycles -= bench_ratio(sum.source.rx, sum.created);
		if (i + 1 == after.n_stages)
			cycles -= bench_ratio(sum.source.tx, sum.created);
		r->stage_names[i] = after.stage_names[i];
		r->stage_cycles[i] = cycles;
	}
}

static int with_worker(const struct config *config, const struct bench_case *what, uint64_t ticks,
	struct steps *s, struct result *r)
{
	struct bench_worker *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return -ENOMEM;
	w->config = config;
	w->what = what;
	w->virtual_us = US_PER_S;
	rc = bench_worker_open(w, s == NULL);
	if (rc != 0)
		fprintf(stderr, "weir bench: %s\n", w->error);
	else if (s != NULL)
		measure_repeats(w, ticks, s, r);
	else
		measure_stages(w, ticks, r);
	bench_worker_close(w);
	free(w);
	return rc;
}

/* ---- results ---- */

static json_t *json_of_pauses(const struct pauses *p)
{
	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "p50", (int)p->p50, "p99", (int)p->p99,
		"p99.9", (int)p->p999, "max", (int)p->max, "over_1ms", (int)p->n_long, "steps",
		(int)p->n_steps);
}

static json_t *json_of(const struct bench_case *what, const struct result *r)
{
	json_t *stages = json_object();

	for (uint32_t i = 0; i < r->n_stages; i++)
		json_object_set_new(stages, r->stage_names[i], json_real(r->stage_cycles[i]));
	json_object_set_new(stages, "end", json_real(r->end_cycles));
	return json_pack("{s:i,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:o}", "flows", (int)what->n_flows,
		"flows_per_second", r->flows_per_second, "cycles", r->cycles, "cycles_undisturbed",
		r->cycles_undisturbed, "source", r->cycles_source, "instructions", r->instructions,
		"spread", r->spread, "stages", stages, "step_cycles", json_of_pauses(&r->steady),
		"step_cycles_all_due", json_of_pauses(&r->expiry));
}

static void print_pauses(const char *when, const struct pauses *p)
{
	double us = (double)clock_tsc_hz() / US_PER_S;

	printf("  a step, %s: p50 %.1f µs, p99 %.1f, p99.9 %.1f, max %.1f; %u of %u above 1 ms\n",
		when, p->p50 / us, p->p99 / us, p->p999 / us, p->max / us, p->n_long, p->n_steps);
}

static void print(const struct bench_case *what, const struct result *r)
{
	printf("%u flows live: %.2f million begin and end a second; %.0f cycles each (spread %.0f "
	       "%%), the source's %.0f left out",
		what->n_flows, r->flows_per_second / 1e6, r->cycles, r->spread * 100.0,
		r->cycles_source);
	if (r->instructions >= 0.0)
		printf(", %.0f instructions", r->instructions);
	if (r->steady.n_long > 0)
		printf("; %.0f without the steps above 1 ms", r->cycles_undisturbed);
	printf("\n ");
	for (uint32_t i = 0; i < r->n_stages; i++)
		printf(" %s %.0f", r->stage_names[i], r->stage_cycles[i]);
	printf(" end %.0f\n", r->end_cycles);
	print_pauses("steady", &r->steady);
	print_pauses("all due at once", &r->expiry);
	fflush(stdout);
}

int bench_new_measure(
	const struct config *config, const struct bench_case *what, double seconds, json_t *runs)
{
	uint64_t ticks = (uint64_t)(seconds * (double)clock_tsc_hz() / PARTS);
	struct steps s = {.ticks = calloc(STEPS_MAX, sizeof(*s.ticks))};
	struct result r = {0};
	int rc = s.ticks == NULL ? -ENOMEM : with_worker(config, what, ticks, &s, &r);

	if (rc == 0)
		rc = with_worker(config, what, ticks, NULL, &r);
	if (rc == 0 && r.n_dropped > 0)
		fprintf(stderr, "weir bench: warning: the path dropped %" PRIu64 " packets\n",
			r.n_dropped);
	if (rc == 0 && runs != NULL)
		json_array_append_new(runs, json_of(what, &r));
	else if (rc == 0)
		print(what, &r);
	free(s.ticks);
	return rc;
}

void bench_new_count(struct bench_worker *w, uint64_t n_packets)
{
	struct counts before;
	struct counts after;
	uint64_t n;

	fill(w);
	before = counts_of(w);
	n = bench_counted(w, n_packets);
	after = counts_of(w);
	printf("{\"packets\": %" PRIu64 ", \"created\": %" PRIu64 ", \"ended\": %" PRIu64 "}\n", n,
		after.created - before.created, after.ended - before.ended);
}
