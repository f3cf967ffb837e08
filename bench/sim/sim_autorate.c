/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_autorate.h"

#include <weir/base/clock.h>

#define PROBE_EVERY_US 50000
#define LATE_US        30000
#define N_WINDOW       6
#define N_LATE         3
#define ACHIEVED_US    200000
#define CUT_EVERY_US   300000
#define DECAY_EVERY_US 1000000
#define HIGH_LOAD      0.75

void sim_autorate_init(struct sim_autorate *a, enum direction d, uint64_t mean_bps)
{
	a->way[d] = (struct sim_autorate_way){.base_bps = mean_bps,
		.min_bps = mean_bps / 5,
		.max_bps = mean_bps * 4,
		.rate_bps = mean_bps};
}

bool sim_autorate_probe(struct sim_autorate *a, uint64_t now_us)
{
	if (now_us < a->next_probe_us)
		return false;
	a->next_probe_us = now_us + PROBE_EVERY_US;
	return true;
}

static void cut(struct sim_autorate_way *w, uint64_t now_us)
{
	uint64_t least_bps = w->achieved_bps < w->rate_bps ? w->achieved_bps : w->rate_bps;

	if (now_us - w->cut_us < CUT_EVERY_US)
		return;
	w->rate_bps = least_bps * 9 / 10;
	w->cut_us = now_us;
}

static void move(struct sim_autorate_way *w, bool is_late, uint64_t now_us)
{
	if (is_late)
		cut(w, now_us);
	else if ((double)w->achieved_bps > HIGH_LOAD * (double)w->rate_bps) {
		if (now_us - w->cut_us >= CUT_EVERY_US)
			w->rate_bps += w->rate_bps / 100;
	} else if (now_us - w->decay_us >= DECAY_EVERY_US) {
		w->decay_us = now_us;
		if (w->rate_bps > w->base_bps)
			w->rate_bps -= w->rate_bps / 100;
		else
			w->rate_bps += w->rate_bps / 100;
	}
	if (w->rate_bps < w->min_bps)
		w->rate_bps = w->min_bps;
	if (w->rate_bps > w->max_bps)
		w->rate_bps = w->max_bps;
}

void sim_autorate_answer(struct sim_autorate *a, uint64_t sent_us, uint64_t now_us)
{
	double half_us = (double)(now_us - sent_us) / 2;
	double weight = half_us > a->base_us ? 0.001 : 0.9;
	uint32_t n_late = 0;

	if (a->n_answers == 0)
		a->base_us = half_us;
	a->base_us = (1 - weight) * a->base_us + weight * half_us;
	a->is_late[a->n_answers++ % N_WINDOW] = half_us - a->base_us > LATE_US;
	for (uint32_t i = 0; i < N_WINDOW; i++)
		n_late += a->is_late[i];
	for (int d = 0; d < N_DIRECTIONS; d++)
		move(&a->way[d], n_late >= N_LATE, now_us);
}

void sim_autorate_octets(struct sim_autorate *a, enum direction d, uint64_t octets, uint64_t now_us)
{
	struct sim_autorate_way *w = &a->way[d];
	uint64_t span_us = now_us - w->last_octets_us;

	if (span_us < ACHIEVED_US)
		return;
	w->achieved_bps = (octets - w->last_octets) * 8 * US_PER_S / span_us;
	w->last_octets = octets;
	w->last_octets_us = now_us;
}
