/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CUBIC as Linux has it.
 *
 * Source:   RFC 9438. Where Linux (6.x) goes its own way: slow start ends by HyStart's two tests, a train of ACKs as long as half the
 *           least round trip and a round whose least round trip is an eighth above that of the connection (RFC 9406 compares
 *           with the round before, and goes on more slowly); until the first loss, and again after a time-out, the window
 *           grows by a twentieth a round trip at least.
 * Units:    microseconds; windows in segments.
 */
#ifndef SIM_CUBIC_H
#define SIM_CUBIC_H

#include <stdbool.h>
#include <stdint.h>

struct sim_cubic {
	uint32_t max_cwnd; /* before the last loss; 0: there was none */
	uint32_t origin;
	double k_s;
	uint64_t epoch_us; /* 0: begins with the next ACK */
	uint32_t n_acked, reno_cwnd;
	uint32_t every, n_counted; /* a segment more each so many that are acknowledged */
	uint32_t last_cwnd;
	uint64_t updated_us;
	uint64_t least_rtt_us;
	/* HyStart */
	bool found;
	uint32_t round_end, n_samples;
	uint64_t round_us, train_us, round_rtt_us;
};

struct sim_tcp;

/* At begin, and at a time-out. */
void sim_cubic_reset(struct sim_cubic *c);

/* An ACK told a round trip. */
void sim_cubic_measure(struct sim_tcp *t, uint64_t rtt_us, uint64_t now_us);

/* So many segments have come, outside of a recovery. */
void sim_cubic_grow(struct sim_tcp *t, uint32_t n_acked, uint64_t now_us);

/* A loss: what the window comes down to. */
uint32_t sim_cubic_lose(struct sim_tcp *t);

#endif
