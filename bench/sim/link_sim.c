/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays traffic over a cellular link in virtual time, under one controller of the shaper's rate after another, and prints
 * what became of it: bench/sim/README.md.
 */
#include "cellink_profile.h"
#include "sim.h"

#include <weir/base/clock.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const controller_names[] = {
	"unshaped", "fixed", "oracle", "autorate", "told", "weir"};

static const char usage[] =
	"usage: link-sim [OPTIONS] DOWN-TRACE UP-TRACE, or link-sim [OPTIONS] --profile NAME\n"
	"  --load down|up|both     which directions carry bulk (down); voice goes in both\n"
	"  --senders LIST          of each loaded direction: cubic, bbr, or so many kbit/s of UDP "
	"(cubic,cubic)\n"
	"  --controller NAME       only this one: unshaped, fixed, oracle, autorate, told, weir\n"
	"  --oracle-target MS      CoDel's target of the oracle, its interval four times that (5, "
	"and 100)\n"
	"  --jitter MS             at most so much beyond the radio, each way (traces: 4 down, 8 "
	"up)\n"
	"  --asleep MS             weir does not run for so long at a time (0)\n"
	"  --without-timestamps    TCP without timestamps\n"
	"  --seconds N             (120)\n"
	"  --seed N                (1)\n"
	"  --plot FILE             a line each 10 ms of the last controller's run\n";

struct options {
	struct sim_params params;
	const char *load, *senders, *controller, *profile;
	bool has_timestamps;
};

static double ms(const struct histogram *h, uint32_t ppm)
{
	return (double)histogram_percentile(h, ppm) / (double)NS_PER_MS;
}

static void print_delays(const struct histogram *h)
{
	(void)printf(" | %7.1f %7.1f %7.1f %7.1f", (double)histogram_mean(h) / (double)NS_PER_MS,
		ms(h, 500000), ms(h, 950000), ms(h, 990000));
}

static void print(const char *name, enum direction d, const struct sim_figures *f)
{
	(void)printf("%-8s %-4s %5.1f %%", name, d == UPLINK ? "up" : "down",
		100 * (double)f->delivered_octets / (double)f->capacity_octets);
	print_delays(&f->bulk);
	print_delays(&f->sparse);
	(void)printf(" | %7llu %7llu\n", (unsigned long long)f->n_lost,
		(unsigned long long)f->probe_octets);
}

static bool is_loaded(const struct options *o, enum direction d)
{
	return strcmp(o->load, "both") == 0 || strcmp(o->load, d == UPLINK ? "up" : "down") == 0;
}

static void add_flow(struct sim_params *p, struct sim_flow_params flow)
{
	if (p->n_flows < SIM_FLOWS_MAX - 1)
		p->flows[p->n_flows++] = flow;
}

static void add_flows(struct options *o, enum direction d)
{
	const char *at = o->senders;

	while (is_loaded(o, d) && at != NULL) {
		struct sim_flow_params flow = {
			.kind = SIM_UDP, .direction = d, .has_timestamps = o->has_timestamps};

		if (*at == 'c')
			flow.kind = SIM_CUBIC;
		else if (*at == 'b')
			flow.kind = SIM_BBR;
		else
			flow.rate_bps = strtoull(at, NULL, 10) * 1000;
		if (flow.kind != SIM_UDP || flow.rate_bps > 0)
			add_flow(&o->params, flow);
		at = strchr(at, ',');
		at = at == NULL ? NULL : at + 1;
	}
	add_flow(&o->params, (struct sim_flow_params){.kind = SIM_VOICE, .direction = d});
}

static int take_profile(struct options *o, struct capacity *capacity[N_DIRECTIONS], char *why)
{
	struct profile *profile = malloc(sizeof(*profile));
	int ret;

	if (profile == NULL) {
		(void)snprintf(why, WHY_MAX, "no memory");
		return -ENOMEM;
	}
	profile_init(profile);
	ret = profile_load(profile, o->profile, CELLINK_PROFILES, why);
	for (int d = 0; d < N_DIRECTIONS && ret == 0; d++) {
		const struct profile_direction *p = &profile->direction[d];

		o->params.delay_us[d] = (uint32_t)(p->delay_ns / NS_PER_US);
		o->params.jitter_us[d] = (uint32_t)(p->jitter_ns / NS_PER_US);
		o->params.buffer_octets[d] = (uint32_t)p->buffer_octets;
		ret = profile_capacity(
			profile, (enum direction)d, o->params.seed, why, &capacity[d]);
	}
	free(profile);
	return ret;
}

static int take_traces(char **paths, struct capacity *capacity[N_DIRECTIONS], char *why)
{
	int ret = capacity_load(paths[0], true, why, &capacity[DOWNLINK]);

	return ret != 0 ? ret : capacity_load(paths[1], true, why, &capacity[UPLINK]);
}

static void take_option(struct options *o, int c)
{
	if (c == 'l')
		o->load = optarg;
	else if (c == 's')
		o->senders = optarg;
	else if (c == 'c')
		o->controller = optarg;
	else if (c == 'p')
		o->profile = optarg;
	else if (c == 'o') {
		o->params.oracle_target_us = strtoull(optarg, NULL, 10) * US_PER_MS;
		o->params.oracle_interval_us = 4 * o->params.oracle_target_us;
	} else if (c == 'j') {
		o->params.jitter_us[UPLINK] = (uint32_t)(strtoul(optarg, NULL, 10) * US_PER_MS);
		o->params.jitter_us[DOWNLINK] = o->params.jitter_us[UPLINK];
	} else if (c == 'a')
		o->params.asleep_us = strtoull(optarg, NULL, 10) * US_PER_MS;
	else if (c == 't')
		o->has_timestamps = false;
	else if (c == 'n')
		o->params.duration_us = strtoull(optarg, NULL, 10) * US_PER_S;
	else if (c == 'r')
		o->params.seed = strtoull(optarg, NULL, 10);
	else if (c == 'f')
		o->params.trace_path = optarg;
}

static bool take_options(struct options *o, int argc, char **argv)
{
	static const struct option long_options[] = {{"load", required_argument, NULL, 'l'},
		{"senders", required_argument, NULL, 's'},
		{"controller", required_argument, NULL, 'c'},
		{"profile", required_argument, NULL, 'p'},
		{"oracle-target", required_argument, NULL, 'o'},
		{"asleep", required_argument, NULL, 'a'}, {"jitter", required_argument, NULL, 'j'},
		{"without-timestamps", no_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 'r'},
		{"plot", required_argument, NULL, 'f'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == '?')
			return false;
		take_option(o, c);
	}
	return o->profile != NULL ? optind == argc : optind + 2 == argc;
}

static int run_all(struct options *o)
{
	struct sim_result *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return 1;
	for (int c = SIM_UNSHAPED; c <= SIM_WEIR; c++) {
		if (o->controller != NULL && strcmp(o->controller, controller_names[c]) != 0)
			continue;
		o->params.controller = (enum sim_controller)c;
		if (sim_run(&o->params, r) != 0)
			return 1;
		for (int d = 0; d < N_DIRECTIONS; d++)
			if (is_loaded(o, (enum direction)d))
				print(controller_names[c], (enum direction)d, &r->direction[d]);
	}
	free(r);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.params = {.buffer_octets = {1000000, 2000000},
				    .delay_us = {25000, 25000},
				    .jitter_us = {8000, 4000},
				    .duration_us = 120 * US_PER_S,
				    .seed = 1},
		.load = "down",
		.senders = "cubic,cubic",
		.has_timestamps = true};
	struct capacity *capacity[N_DIRECTIONS] = {NULL, NULL};
	char why[WHY_MAX];
	int ret;

	if (!take_options(&o, argc, argv)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	ret = o.profile != NULL ? take_profile(&o, capacity, why)
				: take_traces(argv + optind, capacity, why);
	if (ret != 0) {
		(void)fprintf(stderr, "link-sim: %s\n", why);
		return 2;
	}
	for (int d = 0; d < N_DIRECTIONS; d++) {
		o.params.capacity[d] = capacity[d];
		add_flows(&o, (enum direction)d);
	}
	ret = run_all(&o);
	for (int d = 0; d < N_DIRECTIONS; d++)
		capacity_destroy(capacity[d]);
	return ret;
}
