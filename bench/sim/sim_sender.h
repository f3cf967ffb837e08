/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sends in the simulation: bulk over TCP, a call, or datagrams that listen to nobody.
 *
 * Units:    microseconds, octets of IP.
 */
#ifndef SIM_SENDER_H
#define SIM_SENDER_H

#include "sim.h"
#include "sim_tcp.h"

struct sim_sender {
	struct sim_flow_params params;
	uint8_t id;
	uint64_t next_send_us; /* of calls and datagrams */
	struct sim_tcp tcp;
};

void sim_sender_init(
	struct sim_sender *s, const struct sim_flow_params *params, uint8_t id, struct rng *rng);

/* What the sender puts on its wire now, into `out`. */
void sim_sender_send(struct sim_sender *s, uint64_t now_us, struct sim_queue *out);

/* Takes an ACK in. */
void sim_sender_ack(struct sim_sender *s, const struct sim_packet *ack, uint64_t now_us);

#endif
