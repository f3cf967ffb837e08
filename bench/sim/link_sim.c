/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plays traffic over a trace in virtual time, under each controller, and prints what became of it.
 * usage: link-sim [--json] [--only CONTROLLER] [--load down|up|both] [--senders cubic,bbr,...] [--seconds N] [--plot FILE]
 *                 DOWN-TRACE UP-TRACE
 */
#include "sim.h"

#include <weir/base/clock.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const controllers[] = {"unshaped", "fixed", "oracle", "autorate", "weir"};
#ifdef TUNE
int64_t T_TARGET=20000, T_TAU=60000, T_SMOOTH=100000, T_FLOORPCT=10, T_CEILPCT=150, T_DSMOOTH=100000, T_DTARGET=20000, T_DTAU=60000, T_CEILD=150, T_UPG=25,T_CT=5000,T_CI=100000;
static void tune(char *s){
	struct {const char *n; int64_t *v;} t[]={{"T",&T_TARGET},{"TAU",&T_TAU},{"S",&T_SMOOTH},{"F",&T_FLOORPCT},{"C",&T_CEILPCT},{"DS",&T_DSMOOTH},{"DT",&T_DTARGET},{"DTAU",&T_DTAU},{"DC",&T_CEILD},{"G",&T_UPG},{"CT",&T_CT},{"CI",&T_CI}};
	char *e=strchr(s,'=');*e=0;
	for(unsigned i=0;i<12;i++) if(!strcmp(t[i].n,s)) *t[i].v=atoll(e+1);
}
#endif

static double ms(const struct histogram *h, uint32_t ppm)
{
	return (double)histogram_percentile(h, ppm) / 1e6;
}

static void print(const char *name, const char *direction, const struct sim_figures *f)
{
	(void)printf("%-9s %-4s %5.1f %% %7.1f %7.1f %7.1f %7.1f   %7.1f %7.1f %7.1f %7.1f %7llu %7llu\n", name,
		direction, 100 * (double)f->delivered_octets / (double)f->capacity_octets,
		(double)histogram_mean(&f->bulk) / 1e6, ms(&f->bulk, 500000), ms(&f->bulk, 950000),
		ms(&f->bulk, 990000), (double)histogram_mean(&f->sparse) / 1e6,
		ms(&f->sparse, 500000), ms(&f->sparse, 950000), ms(&f->sparse, 990000),
		(unsigned long long)f->n_lost, (unsigned long long)f->probe_octets);
}

int main(int argc, char **argv)
{
	static struct sim_result r;
	struct sim_params p = {.buffer_octets = {1000000, 2000000},
		.delay_us = {25000, 25000},
		.jitter_us = {8000, 4000},
		.duration_us = 120 * US_PER_S,
		.seed = 1};
	char why[WHY_MAX];
	const char *only = NULL, *load = "down", *senders = "cubic,cubic";
	struct capacity *c[2];
	int o;

	while ((o = getopt(argc, argv, "o:l:s:t:p:D:b:")) != -1) {
		if (o == 'o')
			only = optarg;
		else if (o == 'l')
			load = optarg;
		else if (o == 's')
			senders = optarg;
		else if (o == 't')
			p.duration_us = strtoull(optarg, NULL, 10) * US_PER_S;
		else if (o == 'p')
			p.trace_path = optarg;
		else if (o == 'b')
			p.buffer_octets[0] = p.buffer_octets[1] = (uint32_t)strtoull(optarg, NULL, 10);
#ifdef TUNE
		else if (o == 'D')
			tune(optarg);
#endif
	}
	for (int d = 0; d < 2; d++) {
		if (capacity_load(argv[optind + (d == 0)], true, why, &c[d]) != 0)
			return puts(why);
		p.capacity[d] = c[d];
	}
	for (int d = 0; d < 2; d++) {
		const char *at = senders;
		bool loaded = !strcmp(load, "both") || (d == UPLINK) == !strcmp(load, "up");

		for (; loaded && at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
			p.flows[p.n_flows++] = (struct sim_flow_params){
				.kind = *at == 'c' ? SIM_CUBIC : *at == 'b' ? SIM_BBR : SIM_UDP,
				.rate_bps = *at == 'u' ? strtoull(at + 1, NULL, 10) : 0,
				.direction = (enum direction)d,
				.has_timestamps = true};
		p.flows[p.n_flows++] =
			(struct sim_flow_params){.kind = SIM_VOICE, .direction = (enum direction)d};
	}
	for (int k = 0; k <= SIM_WEIR; k++) {
		if (only != NULL && strstr(only, controllers[k]) == NULL)
			continue;
		p.controller = (enum sim_controller)k;
		sim_run(&p, &r);
		for (int d = 0; d < 2; d++)
			if (!strcmp(load, "both") || (d == UPLINK) == !strcmp(load, "up"))
			print(controllers[k], d == UPLINK ? "up" : "down", &r.direction[d]);
	}
	return 0;
}
