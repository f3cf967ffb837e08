/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Senders and receivers of the simulation.
 *
 * Source:   CUBIC: RFC 9438, slow start ended by delay as in RFC 9406. BBR: Cardwell et al., ACM Queue 14(5), 2016.
 *           Time-outs: RFC 6298 with Linux's 200 ms; a time-out that proves spurious is undone (RFC 4015).
 * Shapes:   nothing overtakes within a flow, so an ACK of the last packet received and the number received tell
 *           losses exactly. Every second packet is acknowledged, at the latest after 40 ms.
 * Units:    microseconds, packets of SIM_MSS octets.
 */
#ifndef SIM_SENDER_H
#define SIM_SENDER_H

#include "sim.h"

#define SIM_MSS 1400 /* IP octets of a full packet */

struct sim_cubic {
	double cwnd, ssthresh, w_max, k_s;
	uint64_t epoch_us;
	double before_timeout_cwnd, before_timeout_ssthresh;
	uint32_t timeout_seq;
	uint32_t round_seq;
	uint64_t round_min_us, last_round_min_us;
	uint32_t n_round_samples;
};

struct sim_bbr {
	double bw[10]; /* packets a microsecond, the best of each of the last rounds */
	double full_bw;
	double pacing_gain, cwnd_gain;
	uint64_t min_rtt_us, min_rtt_at_us, phase_at_us, probe_rtt_until_us;
	uint64_t next_round_delivered;
	uint32_t round, n_full_rounds, phase;
	int state;
	double credit;
	uint64_t credited_us;
};

struct sim_sender {
	struct sim_flow_params params;
	uint8_t id;
	uint32_t next_seq, una, recover_seq;
	uint32_t n_acked, n_lost; /* as the receiver's ACKs tell */
	uint64_t srtt_us, rttvar_us, min_rtt_us, rto_us;
	uint64_t last_progress_us;
	uint64_t delivered, delivered_us;
	uint32_t n_backoffs;
	uint32_t tsrecent;  /* of the other end */
	uint32_t ts_offset; /* of this end's clock */
	struct sim_cubic cubic;
	struct sim_bbr bbr;
	uint64_t next_send_us; /* voice and UDP */
};

struct sim_receiver {
	uint32_t n_received, last_seq, n_unacked;
	uint64_t unacked_since_us;
	struct sim_packet last; /* that the next ACK answers */
	uint32_t ts_offset;
};

void sim_sender_init(
	struct sim_sender *s, const struct sim_flow_params *params, uint8_t id, struct rng *rng);

/* What the sender puts on its wire now, into `out`. */
void sim_sender_send(struct sim_sender *s, uint64_t now_us, struct sim_queue *out);

/* Takes an ACK in. */
void sim_sender_ack(struct sim_sender *s, const struct sim_packet *ack, uint64_t now_us);

/* Takes a packet in; an ACK goes to `out` when it is time. */
void sim_receiver_take(
	struct sim_receiver *r, const struct sim_packet *p, uint64_t now_us, struct sim_queue *out);

/* A delayed ACK whose time has come. */
void sim_receiver_run(struct sim_receiver *r, uint64_t now_us, struct sim_queue *out);

#endif
