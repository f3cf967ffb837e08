/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_receiver.h"

#include <weir/base/clock.h>

#include <string.h>

#define DELAYED_ACK_US    40000
#define QUICK_ACKS        16
#define SACK_OCTETS       4
#define SACK_BLOCK_OCTETS 8

void sim_receiver_init(struct sim_receiver *r, bool has_timestamps, uint32_t ts_offset)
{
	memset(r, 0, sizeof(*r));
	r->has_timestamps = has_timestamps;
	r->ts_offset = ts_offset;
	r->n_quick = QUICK_ACKS;
}

static void acknowledge(
	struct sim_receiver *r, uint8_t flow, uint64_t now_us, struct sim_queue *out)
{
	struct sim_packet ack = {.made_us = r->tsrecent_made_us,
		.ack = r->next,
		.tsval = (uint32_t)(now_us / US_PER_MS) + r->ts_offset,
		.tsecr = r->tsrecent,
		.octets = SIM_HEADER_OCTETS,
		.flow = flow,
		.kind = SIM_ACK};

	if (!r->has_timestamps)
		ack.octets -= SIM_TIMES_OCTETS;
	ack.n_sacks = (uint8_t)(r->n_blocks < SIM_SACKS ? r->n_blocks : SIM_SACKS);
	memcpy(ack.sacks, r->blocks, ack.n_sacks * sizeof(*ack.sacks));
	if (ack.n_sacks > 0)
		ack.octets = (uint16_t)(ack.octets + SACK_OCTETS + ack.n_sacks * SACK_BLOCK_OCTETS);
	r->last_ack = r->next;
	r->n_unacked = 0;
	sim_queue_put(out, &ack);
}

static void forget_block(struct sim_receiver *r, uint32_t i)
{
	r->n_blocks--;
	memmove(&r->blocks[i], &r->blocks[i + 1], (r->n_blocks - i) * sizeof(*r->blocks));
}

/* The block that a segment beyond a gap belongs to comes first (RFC 2018 section 4). */
static void note(struct sim_receiver *r, uint32_t seq)
{
	struct sim_block grown = {.first = seq, .end = seq + 1};

	for (uint32_t i = r->n_blocks; i-- > 0;) {
		const struct sim_block *b = &r->blocks[i];

		if ((int32_t)(grown.first - b->end) > 0 || (int32_t)(b->first - grown.end) > 0)
			continue;
		if ((int32_t)(b->first - grown.first) < 0)
			grown.first = b->first;
		if ((int32_t)(b->end - grown.end) > 0)
			grown.end = b->end;
		forget_block(r, i);
	}
	if (r->n_blocks == SIM_SACKS + 1)
		r->n_blocks--;
	memmove(&r->blocks[1], &r->blocks[0], r->n_blocks * sizeof(*r->blocks));
	r->blocks[0] = grown;
	r->n_blocks++;
}

static void advance(struct sim_receiver *r)
{
	while (r->came[r->next % SIM_WINDOW] != 0)
		r->came[r->next++ % SIM_WINDOW] = 0;
	for (uint32_t i = r->n_blocks; i-- > 0;)
		if ((int32_t)(r->blocks[i].end - r->next) <= 0)
			forget_block(r, i);
}

void sim_receiver_take(
	struct sim_receiver *r, const struct sim_packet *p, uint64_t now_us, struct sim_queue *out)
{
	bool is_old = (int32_t)(p->seq - r->next) < 0;
	bool had_gap = r->n_blocks > 0;

	if ((int32_t)(p->seq - r->last_ack) <= 0) {
		r->tsrecent = p->tsval;
		r->tsrecent_made_us = p->made_us;
	}
	if (!is_old) {
		r->came[p->seq % SIM_WINDOW] = 1;
		if (p->seq != r->next)
			note(r, p->seq);
		advance(r);
	}
	if (r->n_unacked++ == 0)
		r->unacked_since_us = now_us;
	if (is_old || had_gap || r->n_blocks > 0 || r->n_quick > 0 || r->n_unacked >= 2)
		acknowledge(r, p->flow, now_us, out);
	r->n_quick -= r->n_quick > 0;
}

void sim_receiver_run(struct sim_receiver *r, uint8_t flow, uint64_t now_us, struct sim_queue *out)
{
	if (r->n_unacked > 0 && now_us - r->unacked_since_us >= DELAYED_ACK_US)
		acknowledge(r, flow, now_us, out);
}
