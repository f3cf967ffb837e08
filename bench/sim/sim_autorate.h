/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller that probes, to compare with.
 *
 * Source:   the control law of cake-autorate (its defaults as published, version 1.2): echo requests 20 times a second; half
 *           of what the round-trip time exceeds its base by counts for each direction. Three of six above 30 ms: the rate
 *           becomes nine tenths of itself or of what was achieved, the less, at most each 300 ms. Load above three quarters:
 *           1 % more at each answer. Less load: 1 % towards the base rate each second. Base rate: the capacity's mean, from a
 *           fifth of it to four times, as its users are told to set them.
 * Units:    microseconds, octets, bits a second.
 */
#ifndef SIM_AUTORATE_H
#define SIM_AUTORATE_H

#include <weir/base/direction.h>

#include <stdbool.h>
#include <stdint.h>

#define SIM_PROBE_OCTETS 84

struct sim_autorate_way {
	uint64_t base_bps, min_bps, max_bps, rate_bps;
	uint64_t achieved_bps;
	uint64_t last_octets, last_octets_us;
	uint64_t cut_us, decay_us;
};

struct sim_autorate {
	struct sim_autorate_way way[N_DIRECTIONS];
	double base_us;
	bool is_late[6];
	uint32_t n_answers;
	uint64_t next_probe_us;
};

void sim_autorate_init(struct sim_autorate *a, enum direction d, uint64_t mean_bps);

/* True when a probe is to leave now. */
bool sim_autorate_probe(struct sim_autorate *a, uint64_t now_us);

/* An answer to the probe of `sent_us`. */
void sim_autorate_answer(struct sim_autorate *a, uint64_t sent_us, uint64_t now_us);

/* What has passed so far. */
void sim_autorate_octets(
	struct sim_autorate *a, enum direction d, uint64_t octets, uint64_t now_us);

#endif
