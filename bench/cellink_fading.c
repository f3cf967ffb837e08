/* SPDX-License-Identifier: BSD-3-Clause */
#include "cellink_fading.h"

#include <weir/base/rng.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FADING_STEPS_MAX 1000000u

/* In (0, 1]: its logarithm exists. */
static double uniform(struct rng *r)
{
	return (double)((rng_next(r) >> 11) + 1) * 0x1p-53;
}

/* Twelve uniforms have variance 1: near enough to a Gaussian within its middle 99.9 %. */
static double gaussian(struct rng *r)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += uniform(r);
	return sum;
}

static uint64_t exponential_ns(struct rng *r, uint64_t mean_ns)
{
	return (uint64_t)(-log(uniform(r)) * (double)mean_ns);
}

/* The rate for a deviation of `db` from the median, within its limits and in whole kbit/s. */
static uint64_t faded_bps(const struct fading *f, double db)
{
	double bps = (double)f->median_bps * pow(10, db / 10);

	if (bps < (double)f->floor_bps)
		bps = (double)f->floor_bps;
	if (f->ceiling_bps > 0 && bps > (double)f->ceiling_bps)
		bps = (double)f->ceiling_bps;
	return (uint64_t)llround(bps / 1000) * 1000;
}

static void fade(const struct fading *f, uint64_t seed, struct rate_step *steps, size_t n)
{
	double keep = exp(-(double)f->step_ns / (double)f->correlation_ns);
	double fresh = sqrt(1 - keep * keep);
	double state;
	uint64_t dead_from, dead_to;
	struct rng fades, spots;

	rng_init(&fades, seed);
	rng_init(&spots, ~seed);
	state = gaussian(&fades);
	dead_from = f->dead_every_ns > 0 ? exponential_ns(&spots, f->dead_every_ns) : TIME_NEVER;
	dead_to =
		f->dead_every_ns > 0 ? dead_from + exponential_ns(&spots, f->dead_ns) : TIME_NEVER;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = i * f->step_ns;

		while (at >= dead_to) {
			dead_from = dead_to + exponential_ns(&spots, f->dead_every_ns);
			dead_to = dead_from + exponential_ns(&spots, f->dead_ns);
		}
		steps[i].start_ns = at;
		steps[i].rate_bps = at >= dead_from ? 0 : faded_bps(f, state * f->sigma_db);
		state = keep * state + fresh * gaussian(&fades);
	}
}

int fading_create(const struct fading *f, uint64_t seed, struct capacity **ret_capacity)
{
	struct rate_step *steps;
	size_t n;
	int ret;

	if (f->step_ns == 0 || f->correlation_ns == 0 || f->length_ns < f->step_ns)
		return -EINVAL;
	if (f->length_ns / f->step_ns > FADING_STEPS_MAX || !(f->sigma_db >= 0))
		return -EINVAL;
	n = f->length_ns / f->step_ns;
	steps = calloc(n, sizeof(*steps));
	if (steps == NULL)
		return -ENOMEM;
	fade(f, seed, steps, n);
	ret = capacity_from_steps(steps, n, n * f->step_ns, true, ret_capacity);
	free(steps);
	return ret;
}
