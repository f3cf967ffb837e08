/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_sender.h"

#include <weir/base/clock.h>

#define VOICE_OCTETS   200
#define VOICE_EVERY_US 20000

void sim_sender_init(
	struct sim_sender *s, const struct sim_flow_params *params, uint8_t id, struct rng *rng)
{
	s->params = *params;
	s->id = id;
	sim_tcp_init(&s->tcp, id, params->kind == SIM_BBR, (uint32_t)rng_next(rng));
	s->tcp.has_timestamps = params->has_timestamps;
	s->next_send_us = params->start_us + rng_below(rng, VOICE_EVERY_US);
}

static bool is_running(const struct sim_sender *s, uint64_t now_us)
{
	return now_us >= s->params.start_us
	       && (s->params.stop_us == 0 || now_us < s->params.stop_us);
}

static void send_datagrams(struct sim_sender *s, uint64_t now_us, struct sim_queue *out)
{
	struct sim_packet p = {
		.made_us = now_us, .octets = VOICE_OCTETS, .flow = s->id, .kind = SIM_DATAGRAM};
	uint64_t every_us = VOICE_EVERY_US;

	if (s->params.kind == SIM_UDP) {
		p.octets = SIM_FULL_OCTETS;
		every_us = SIM_FULL_OCTETS * 8 * US_PER_S / s->params.rate_bps;
	}
	for (; s->next_send_us <= now_us; s->next_send_us += every_us == 0 ? 1 : every_us)
		sim_queue_put(out, &p);
}

void sim_sender_send(struct sim_sender *s, uint64_t now_us, struct sim_queue *out)
{
	if (!is_running(s, now_us))
		return;
	if (s->params.kind >= SIM_VOICE)
		send_datagrams(s, now_us, out);
	else
		sim_tcp_send(&s->tcp, now_us, out);
}

void sim_sender_ack(struct sim_sender *s, const struct sim_packet *ack, uint64_t now_us)
{
	sim_tcp_ack(&s->tcp, ack, now_us);
}
