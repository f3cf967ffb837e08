/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_measure.h"

#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/base/rng.h>

#include <rte_lcore.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATENCY_BYTES (64u << 20)
#define LATENCY_LINE  64u
#define LATENCY_READS 400000u
#define SOURCE_SHARE  4 /* the source runs a quarter as long as the path */
#define PARTS                                                                                      \
	(2 * BENCH_REPEATS) /* half of the time is for the stages' own path, source and set-up aside */

struct repeat {
	struct bench_sample path;
	struct bench_sample source; /* alone, for its instructions, where they are counted */
};

/* One worker's thread and what it found. */
struct run {
	struct bench_worker worker;
	pthread_t thread;
	pthread_barrier_t *barrier;
	int cpu;
	bool profile;
	uint64_t ticks; /* a repeat */
	struct repeat repeats[BENCH_REPEATS];
	struct path_stats before; /* profiled: at the beginning */
	struct path_stats stats;  /* and at the end */
	uint64_t n_dropped;
	int error;
};

/* Every read of a random cycle through 64 MiB depends on the one before: what a miss costs here and now. */
static double memory_latency(void)
{
	uint32_t n = LATENCY_BYTES / LATENCY_LINE;
	uint32_t step = LATENCY_LINE / sizeof(uint32_t);
	volatile const uint32_t *lines;
	uint32_t *next;
	struct rng rng;
	void *memory;
	uint32_t at = 0;
	uint64_t start;

	if (memory_create(LATENCY_BYTES, &memory) != 0)
		return 0.0;
	next = memory;
	rng_init(&rng, 1);
	for (uint32_t i = 0; i < n; i++)
		next[(size_t)i * step] = i;
	for (uint32_t i = n - 1; i > 0; i--) { /* Sattolo: one cycle through all */
		uint32_t j = rng_below(&rng, i);
		uint32_t swapped = next[(size_t)i * step];

		next[(size_t)i * step] = next[(size_t)j * step];
		next[(size_t)j * step] = swapped;
	}
	lines = next;
	start = clock_tsc();
	for (uint32_t i = 0; i < LATENCY_READS; i++)
		at = lines[(size_t)at * step];
	start = clock_tsc() - start;
	memory_destroy(memory, LATENCY_BYTES);
	return (double)start / LATENCY_READS;
}

static void measure_stages(struct run *r)
{
	doors_stats_read(r->worker.path, &r->before);
	r->repeats[0].path = bench_worker_run(&r->worker, r->ticks);
	doors_stats_read(r->worker.path, &r->stats);
}

static void measure_repeats(struct run *r)
{
	bench_worker_run(&r->worker, r->ticks / SOURCE_SHARE); /* warm */
	for (uint32_t i = 0; i < BENCH_REPEATS; i++) {
		struct repeat *rep = &r->repeats[i];

		pthread_barrier_wait(r->barrier);
		rep->path = bench_worker_run(&r->worker, r->ticks);
		pthread_barrier_wait(r->barrier);
		if (rep->path.instructions > 0)
			rep->source = bench_worker_run_source(&r->worker, r->ticks / SOURCE_SHARE);
	}
}

static void *run_thread(void *arg)
{
	struct run *r = arg;
	cpu_set_t cpus;
	uint64_t dropped_before;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned)r->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	if (rte_thread_register() != 0)
		r->error = -ENOMEM;
	if (r->error == 0)
		r->error = bench_worker_open(&r->worker, r->profile);
	pthread_barrier_wait(r->barrier);
	if (r->error == 0 && r->worker.n_flows > 0) {
		dropped_before = bench_worker_n_dropped(&r->worker);
		if (r->profile)
			measure_stages(r);
		else
			measure_repeats(r);
		r->n_dropped = bench_worker_n_dropped(&r->worker) - dropped_before;
	} else {
		for (int i = 0; !r->profile && i < 2 * BENCH_REPEATS; i++)
			pthread_barrier_wait(r->barrier); /* the others measure */
	}
	bench_worker_close(&r->worker);
	rte_thread_unregister();
	return NULL;
}

static int run_workers(struct run *runs, uint32_t n, char error[128])
{
	pthread_barrier_t barrier;
	uint32_t n_started = 0;
	int rc = pthread_barrier_init(&barrier, NULL, n);

	if (rc != 0)
		return -rc;
	for (; n_started < n; n_started++) {
		runs[n_started].barrier = &barrier;
		rc = pthread_create(&runs[n_started].thread, NULL, run_thread, &runs[n_started]);
		if (rc != 0)
			abort(); /* the others wait for it at the barrier for ever */
	}
	for (uint32_t i = 0; i < n; i++)
		pthread_join(runs[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	for (uint32_t i = 0; i < n; i++) {
		if (runs[i].error == 0)
			continue;
		snprintf(error, 128, "%s", runs[i].worker.error);
		return runs[i].error;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double values[BENCH_REPEATS])
{
	qsort(values, BENCH_REPEATS, sizeof(values[0]), compare);
	return values[BENCH_REPEATS / 2];
}

double bench_ratio(uint64_t sum, uint64_t n)
{
	return n == 0 ? 0.0 : (double)sum / (double)n;
}

static void add_sample(struct bench_sample *sum, const struct bench_sample *s)
{
	sum->ticks += s->ticks;
	sum->packets += s->packets;
	sum->source.rx += s->source.rx;
	sum->source.tx += s->source.tx;
	sum->instructions += s->instructions;
}

static void sum_repeats(const struct run *runs, uint32_t n, struct bench_result *result)
{
	double totals[BENCH_REPEATS];
	double sources[BENCH_REPEATS];
	double rates[BENCH_REPEATS];
	double instructions[BENCH_REPEATS];
	bool counted = true;

	for (uint32_t i = 0; i < BENCH_REPEATS; i++) {
		struct bench_sample path = {0};
		struct bench_sample source = {0};

		rates[i] = 0.0;
		for (uint32_t w = 0; w < n; w++) {
			const struct bench_sample *s = &runs[w].repeats[i].path;

			add_sample(&path, s);
			add_sample(&source, &runs[w].repeats[i].source);
			rates[i] += bench_ratio(s->packets * clock_tsc_hz(), s->ticks);
		}
		sources[i] = bench_ratio(path.source.rx + path.source.tx, path.packets);
		totals[i] = bench_ratio(path.ticks, path.packets) - sources[i];
		instructions[i] = bench_ratio(path.instructions, path.packets)
				  - bench_ratio(source.instructions, source.packets);
		counted = counted && path.instructions > 0;
	}
	result->cycles_total = bench_median(totals);
	result->spread = (totals[BENCH_REPEATS - 1] - totals[0]) / result->cycles_total;
	result->cycles_source = bench_median(sources);
	result->packets_per_second = bench_median(rates);
	result->instructions = counted ? bench_median(instructions) : -1.0;
}

static void sum_stages(const struct run *runs, uint32_t n, struct bench_result *result)
{
	struct bench_sample path = {0};
	double sum = 0.0;

	result->n_stages = runs[0].stats.n_stages;
	for (uint32_t w = 0; w < n; w++)
		add_sample(&path, &runs[w].repeats[0].path);
	for (uint32_t i = 0; i < result->n_stages; i++) {
		uint64_t ticks = 0;

		for (uint32_t w = 0; w < n; w++)
			ticks += runs[w].stats.stages[i].ticks - runs[w].before.stages[i].ticks;
		if (i == 0) /* the first stage receives, the last one sends */
			ticks -= path.source.rx;
		else if (i + 1 == result->n_stages)
			ticks -= path.source.tx;
		result->stage_names[i] = runs[0].stats.stages[i].name;
		result->stage_cycles[i] = bench_ratio(ticks, path.packets);
		sum += result->stage_cycles[i];
	}
	for (uint32_t i = 0; i < result->n_stages && sum > 0.0; i++)
		result->stage_cycles[i] *= result->cycles_total / sum;
}

static void prepare(struct run *runs, const struct config *config, const struct bench_case *what,
	uint64_t ticks, bool profile)
{
	memset(runs, 0, what->n_workers * sizeof(*runs));
	for (uint32_t i = 0; i < what->n_workers; i++) {
		runs[i].worker.config = config;
		runs[i].worker.what = what;
		runs[i].worker.id = i;
		runs[i].cpu = bench_cpu_of(i);
		runs[i].ticks = ticks;
		runs[i].profile = profile;
	}
}

int bench_measure(const struct config *config, const struct bench_case *what, double seconds,
	struct bench_result *ret_result)
{
	struct run *runs = calloc(what->n_workers, sizeof(*runs));
	uint64_t ticks = (uint64_t)(seconds * (double)clock_tsc_hz() / PARTS);
	struct bench_result result = {0};
	int rc = -ENOMEM;

	if (runs == NULL)
		return rc;
	result.memory_latency_cycles = memory_latency();
	prepare(runs, config, what, ticks, false);
	rc = run_workers(runs, what->n_workers, result.error);
	if (rc == 0) {
		sum_repeats(runs, what->n_workers, &result);
		for (uint32_t i = 0; i < what->n_workers; i++)
			result.n_dropped += runs[i].n_dropped;
		prepare(runs, config, what, ticks * BENCH_REPEATS / 2, true);
		rc = run_workers(runs, what->n_workers, result.error);
	}
	if (rc == 0)
		sum_stages(runs, what->n_workers, &result);
	*ret_result = result;
	free(runs);
	return rc;
}
