/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BBR, version 1, reduced to what moves a queue.
 *
 * Source:   Cardwell et al., "BBR: congestion-based congestion control", ACM Queue 14(5), 2016. Losses move nothing.
 * Units:    microseconds; segments.
 */
#ifndef SIM_BBR_H
#define SIM_BBR_H

#include <stdbool.h>
#include <stdint.h>

struct sim_bbr {
	double bw[10]; /* segments a microsecond, the best of each of the last rounds */
	double full_bw;
	double pacing_gain, cwnd_gain;
	uint64_t min_rtt_us, min_rtt_at_us, phase_at_us, probe_rtt_until_us;
	uint64_t next_round_delivered;
	uint32_t round, n_full_rounds, phase;
	int state;
	double credit;
	uint64_t credited_us;
};

struct sim_tcp;
struct sim_segment;

void sim_bbr_init(struct sim_bbr *b);

/* What may be in flight. */
uint32_t sim_bbr_window(const struct sim_tcp *t);

/* True when a segment may leave now by the pace, which it takes. */
bool sim_bbr_pace(struct sim_tcp *t, uint64_t now_us);

/* A segment, as it was when it was sent, has come. */
void sim_bbr_ack(struct sim_tcp *t, const struct sim_segment *sent, uint64_t now_us);

#endif
