/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any sequence of packets, rates, ceilings, classes and pauses: nothing is lost or given out twice, bounds hold, a flow's packets
 * keep their order, and when all rates are taken off, all that waits leaves.
 */
#include <weir/base/direction.h>
#include <weir/shape/shaper.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS       32
#define PACKETS_MAX 4096
#define PLACES      64
#define DEVICES     8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

struct seen {
	uint8_t flow_of[PACKETS_MAX];
	bool is_out[PACKETS_MAX];
	uint32_t next_of[FLOWS]; /* lowest number that may still leave */
	uint32_t n_put;
	uint32_t n_out;
};

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* Packets are the addresses of places in is_out: their numbers. */
static void out(struct seen *seen, const void *packet)
{
	uint32_t number = (uint32_t)((const bool *)packet - seen->is_out);

	require(number < seen->n_put && !seen->is_out[number]);
	seen->is_out[number] = true;
	seen->n_out++;
}

static void on_drop(void *arg, void *packet, enum shaper_drop why)
{
	require(why < SHAPER_DROPS);
	out(arg, packet);
}

static void leave(struct seen *seen, const void *packet)
{
	uint32_t number = (uint32_t)((const bool *)packet - seen->is_out);
	uint8_t flow = seen->flow_of[number];

	out(seen, packet);
	require(number >= seen->next_of[flow]);
	seen->next_of[flow] = number + 1;
}

static void put(struct shaper *s, struct seen *seen, struct input *in, uint64_t now_us)
{
	uint8_t flow = byte(in) % FLOWS;
	struct shaper_packet p = {.packet = &seen->is_out[seen->n_put],
		.octets = 1 + byte(in) * 40u,
		.flow_id = flow == 0 ? FLOW_NONE : flow,
		.device_id = byte(in) % (DEVICES + 2),
		.class_id = byte(in) % 4,
		/* whether a reserve pays is told by the flow: order holds among those that are paid for alike */
		.flags = (uint8_t)((byte(in) & (SHAPER_ECT | SHAPER_PURE_ACK))
				   | (flow & SHAPER_RESERVED)),
		.ack = byte(in)};

	if (seen->n_put == PACKETS_MAX)
		return;
	seen->flow_of[seen->n_put++] = flow;
	if (shaper_pass(s, p.octets, now_us))
		leave(seen, p.packet);
	else
		shaper_put(s, &p, now_us);
	require(shaper_load(s).backlog_packets <= PLACES);
}

static void take(struct shaper *s, struct seen *seen, uint64_t now_us)
{
	void *packet;
	bool mark;

	while ((packet = shaper_take(s, now_us, &mark)) != NULL)
		leave(seen, packet);
	require(shaper_next_us(s) > now_us);
}

static uint64_t rate(struct input *in)
{
	uint8_t b = byte(in);

	return b < 32 ? 0 : UINT64_C(1) << (b / 8);
}

static void configure(struct shaper *s, struct input *in, uint64_t now_us)
{
	struct shaper_config config = {.limit_octets = 1 + byte(in) * 256u,
		.ack_thinning = byte(in) & 1,
		.n_classes = byte(in) % 4};

	for (uint32_t i = 0; i < config.n_classes; i++)
		config.classes[i] = (struct shaper_class){.priority = byte(in) % 3,
			.weight = 1 + byte(in) % 100,
			.guaranteed_bps = rate(in),
			.ceiling_bps = rate(in)};
	shaper_set_config(s, &config, now_us);
}

static void one(struct shaper *s, struct seen *seen, struct input *in, uint64_t *now_us)
{
	switch (byte(in) % 8) {
	case 0:
		shaper_set_rate(s, rate(in), *now_us);
		break;
	case 1:
		shaper_set_general(s, rate(in), *now_us);
		break;
	case 2:
		shaper_set_device(s, byte(in) % (DEVICES + 2), rate(in), *now_us);
		break;
	case 3:
		configure(s, in, *now_us);
		break;
	case 4:
		*now_us += UINT64_C(1) << byte(in) % 28;
		break;
	default:
		put(s, seen, in, *now_us);
		break;
	}
	if (byte(in) % 2 == 0)
		take(s, seen, *now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct shaper_params params = {
		.n_places = PLACES, .n_devices = DEVICES, .drop = on_drop, .drop_arg = seen};
	struct shaper_config plain = {.limit_octets = 1000000};
	struct input in = {.data = data, .left = size};
	uint64_t now_us = 1;
	struct shaper *s;

	if (seen == NULL || shaper_create(&params, &s) != 0)
		abort();
	while (in.left > 0)
		one(s, seen, &in, &now_us);
	shaper_set_rate(s, 0, now_us);
	shaper_set_general(s, 0, now_us);
	shaper_set_config(s, &plain, now_us);
	for (uint16_t d = 0; d < DEVICES; d++)
		shaper_set_device(s, d, 0, now_us);
	take(s, seen, now_us);
	require(seen->n_out == seen->n_put && !shaper_is_active(s));
	require(shaper_load(s).backlog_octets == 0);
	shaper_destroy(s);
	free(seen);
	return 0;
}
