/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway_budget.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/schedule.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_NS 10000000 /* 10 ms: a lease of the least size lasts as long at 50 Mbit/s */
#define TRUST_TICKS                                                                                \
	100 /* whether the clock is set is asked once a second: it takes two system calls */

struct gateway_budget {
	struct budget *budget;
	struct journal_store *store;
	pthread_t thread;
	bool runs;
	atomic_bool stopping;
	atomic_int clock; /* enum config_clock */
};

struct budget_time gateway_budget_time(const struct gateway_budget *g)
{
	int64_t wall_s = (int64_t)time(NULL);

	return (struct budget_time){
		.now_us = clock_now_us(),
		.wall_s = wall_s,
		.is_trusted = schedule_clock_is_trusted(
			(enum config_clock)atomic_load(&g->clock), wall_s),
	};
}

static void *keep(void *context)
{
	struct gateway_budget *g = context;
	struct timespec tick = {.tv_nsec = TICK_NS};
	struct budget_time now = {0};

	for (uint32_t n = 0; !atomic_load(&g->stopping); n++) {
		if (n % TRUST_TICKS == 0)
			now = gateway_budget_time(g);
		now.now_us = clock_now_us();
		now.wall_s = (int64_t)time(NULL);
		budget_tick(g->budget, &now);
		nanosleep(&tick, NULL);
	}
	return NULL;
}

static void tell_recovery(const struct ledger_recovery *r)
{
	static const char *const healths[] = {
		[JOURNAL_NEW] = "new",
		[JOURNAL_WHOLE] = "whole",
		[JOURNAL_GAPS] = "gaps",
		[JOURNAL_CUT] = "cut",
		[JOURNAL_LOST] = "lost",
	};

	log_event(r->journal.health > JOURNAL_WHOLE ? LOG_WARNING : LOG_INFO,
		"ledger.open health=%s records=%u missing=%u", healths[r->journal.health],
		r->journal.n_records, r->journal.n_missing);
	for (uint32_t i = 0; i < r->n_plans; i++) {
		if (r->plans[i].octets > 0)
			log_event(LOG_NOTICE, "ledger.lost plan=%s octets=%llu", r->plans[i].plan,
				(unsigned long long)r->plans[i].octets);
		if (r->plans[i].is_assumed_spent)
			log_event(LOG_ERROR,
				"ledger.assumed_spent plan=%s until=\"the cycle's end\"",
				r->plans[i].plan);
	}
}

int gateway_budget_open(
	const struct config *c, struct path *path, struct gateway_budget **ret_books)
{
	struct gateway_budget *g = calloc(1, sizeof(*g));
	struct ledger_recovery recovery = {0};
	struct budget_time now;
	int err;

	if (g == NULL)
		return -ENOMEM;
	atomic_store(&g->clock, (int)c->runtime.clock);
	now = gateway_budget_time(g);
	err = journal_file_open(c->runtime.state_dir, &g->store);
	if (err == 0)
		err = budget_create(c, path, g->store, &now, &recovery, &g->budget);
	if (err != 0) {
		log_event(LOG_ERROR, "ledger.open path=%s error=\"%s\"", c->runtime.state_dir,
			err == -EBUSY ? "another weir keeps it" : strerror(-err));
		gateway_budget_close(g);
		return err;
	}
	tell_recovery(&recovery);
	if (!now.is_trusted && c->n_plans > 0)
		log_event(LOG_NOTICE,
			"plan.clock_unknown effect=\"no cycle ends\" remedy=\"NTP, or "
			"runtime.clock: trusted\"");
	*ret_books = g;
	return 0;
}

int gateway_budget_start(struct gateway_budget *g)
{
	int err = -pthread_create(&g->thread, NULL, keep, g);

	g->runs = err == 0;
	return err;
}

void gateway_budget_set_config(struct gateway_budget *g, const struct config *c)
{
	atomic_store(&g->clock, (int)c->runtime.clock);
	budget_set_config(g->budget, c);
}

struct budget *gateway_budget(struct gateway_budget *g)
{
	return g->budget;
}

void gateway_budget_close(struct gateway_budget *g)
{
	int err = 0;

	if (g == NULL)
		return;
	atomic_store(&g->stopping, true);
	if (g->runs)
		pthread_join(g->thread, NULL);
	if (g->budget != NULL) {
		struct budget_time now = gateway_budget_time(g);

		err = budget_finish(g->budget, &now);
	}
	if (err != 0)
		log_event(LOG_ERROR, "ledger.close error=\"%s\"", strerror(-err));
	budget_destroy(g->budget);
	if (g->store != NULL)
		g->store->close(g->store);
	free(g);
}
