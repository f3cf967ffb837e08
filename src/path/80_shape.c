/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shape: holds packets back to the rates of their uplink and direction, class and device, and lets go what is due. An uplink's
 * downlink is held on the side of the LAN, for what came in by it.
 */
#include "link_watch.h"
#include "stage.h"

#include <weir/packet/parse.h>
#include <weir/packet/rewrite.h>
#include <weir/packet/tcp_options.h>

#define CEILING_LOOKS    64 /* devices looked at a call */
#define TCP_ACK_OFFSET   8
#define TCP_FLAGS_OFFSET 12
#define ECN_BITS         3 /* RFC 3168 section 5: none of them set: not ECN-capable */

void shape_give_up(void *arg, void *pkt, enum shaper_drop why)
{
	static const enum drop_reason reasons[SHAPER_DROPS] = {
		[SHAPER_DROP_FULL] = DROP_SHAPE_QUEUE_FULL,
		[SHAPER_DROP_CEILING] = DROP_SHAPE_CEILING,
		[SHAPER_DROP_CODEL] = DROP_SHAPE_CODEL,
		[SHAPER_DROP_ACK] = DROP_SHAPE_ACK,
	};
	struct stage_ctx *ctx = arg;

	ctx->stages[STAGE_shape].taken++;
	stage_drop(ctx, pkt, reasons[why]);
}

/* True when a segment says nothing but how far its sender has received: no data, no flag but ACK, no option but time stamps (a
 * SACK tells more than the next one does). */
static bool is_pure_ack(const struct pkt_meta *m, const uint8_t *l4)
{
	uint32_t header_bytes;
	uint32_t at = TCP_HEADER_BYTES;

	if (m->proto != PROTO_TCP || l4 == NULL || m->tcp_flags != TCP_ACK
		|| (m->flags & (PKT_FRAGMENT_FIRST | PKT_ICMP_ERROR)) != 0)
		return false;
	header_bytes = (uint32_t)(l4[TCP_FLAGS_OFFSET] >> 4) * 4;
	if (m->ip_octets != (uint32_t)(m->l4_off - m->l3_off) + header_bytes
		|| (l4[TCP_FLAGS_OFFSET] & 0x0f) != 0)
		return false;
	while (at < header_bytes) {
		if (l4[at] == TCP_OPTION_NOP)
			at++;
		else if (l4[at] == TCP_OPTION_TIMESTAMPS
			 && at + TCP_OPTION_TIMESTAMPS_BYTES <= header_bytes)
			at += TCP_OPTION_TIMESTAMPS_BYTES;
		else
			return false;
	}
	return true;
}

/* Puts a packet into the queue of its flow. */
__attribute__((noinline)) static void hold(
	struct stage_ctx *ctx, struct shaper *s, struct rte_mbuf *pkt, uint32_t octets)
{
	const struct pkt_meta *m = stage_meta(pkt);
	const uint8_t *l4 = stage_l4(pkt, m);
	struct shaper_packet p = {
		.packet = pkt,
		.octets = octets,
		.flow_id = m->flow_id,
		.device_id = m->device_id,
		.class_id =
			m->flow_id == FLOW_NONE ? CLASS_DEFAULT : stage_flow_more(ctx, m)->class_id,
		.flags = (m->flags & PKT_RESERVED) != 0 ? SHAPER_RESERVED : 0,
	};

	if ((stage_ip(pkt, m)[1] & ECN_BITS) != 0)
		p.flags |= SHAPER_ECT;
	if (m->proto == PROTO_TCP)
		p.flags |= SHAPER_GIVES_WAY;
	if (is_pure_ack(m, l4)) {
		p.flags |= SHAPER_PURE_ACK;
		p.ack = load_be32(l4 + TCP_ACK_OFFSET);
	}
	stage_hold(ctx);
	shaper_put(s, &p, ctx->now_us);
}

static uint16_t release(
	struct stage_ctx *ctx, struct shaper *s, struct rte_mbuf **pkts, uint16_t room)
{
	uint16_t n = 0;
	bool mark;

	while (n < room) {
		struct rte_mbuf *pkt = shaper_take(s, ctx->now_us, &mark);

		if (pkt == NULL)
			break;
		if (unlikely(mark))
			rewrite_mark_ce(stage_ip(pkt, stage_meta(pkt)));
		pkts[n++] = pkt;
	}
	ctx->stages[STAGE_shape].taken += n;
	return n;
}

/* As release(), for one direction of an uplink: what leaves by it is seen by who watches it. */
static uint16_t release_way(struct stage_ctx *ctx, uint8_t port, uint32_t direction,
	struct rte_mbuf **pkts, uint16_t room)
{
	uint16_t n = release(ctx, ctx->shapers[port][direction], pkts, room);

	if (direction == UPLINK && ctx->followed[port])
		for (uint16_t i = 0; i < n; i++)
			link_watch_up(ctx, ctx->links[port], pkts[i], stage_meta(pkts[i]));
	return n;
}

/* The shaper of packets that go one way, and what it adds to each; none where they need not pass one. */
struct run {
	uint16_t way;
	uint16_t overhead;
	struct shaper *shaper;
	struct shaper_pass pass;
	struct link_watch *up,
		*down; /* who watches packets that leave, or have come, by a followed uplink */
};

static struct run begin(const struct stage_ctx *ctx, const struct pkt_meta *m)
{
	bool is_up = ctx->is_uplink[m->out_port];
	uint8_t port = is_up ? m->out_port : m->in_port;
	uint32_t direction = is_up ? UPLINK : DOWNLINK;

	struct run run = {
		.way = stage_way(m),
		.overhead = ctx->shape_overhead[port][direction],
		.shaper = ctx->shaped[port][direction] ? ctx->shapers[port][direction] : NULL,
		.up = is_up && ctx->followed[port] ? ctx->links[port] : NULL,
		.down = !is_up && ctx->followed[port] ? ctx->links[port] : NULL,
	};

	if (run.shaper != NULL)
		shaper_pass_begin(run.shaper, ctx->now_us, &run.pass);
	return run;
}

static void end(struct run *run)
{
	if (run->shaper != NULL)
		shaper_pass_end(run->shaper, &run->pass);
	run->pass = (struct shaper_pass){.room = -1};
}

/* Packets of a run that nobody watches, as long as the rate has room; returns how many. */
static uint32_t pass_unwatched(
	struct run *run, struct rte_mbuf *const *pkts, uint32_t n_pkts, struct rte_mbuf **kept)
{
	struct shaper_pass pass = run->pass;
	uint32_t n = 0;

	for (; n < n_pkts; n++) {
		const struct pkt_meta *m = stage_meta(pkts[n]);

		if (unlikely(stage_way(m) != run->way)
			|| unlikely(!shaper_pass_take(&pass, m->ip_octets + run->overhead)))
			break;
		kept[n] = pkts[n];
	}
	run->pass = pass;
	return n;
}

/* True when a packet goes on; else it waits. */
static bool pass_or_hold(struct stage_ctx *ctx, struct run *run, struct rte_mbuf *pkt)
{
	const struct pkt_meta *m = stage_meta(pkt);
	uint32_t octets = m->ip_octets + run->overhead;

	if (run->down != NULL)
		link_watch_down(ctx, run->down, pkt, m);
	if (run->shaper == NULL || shaper_pass_take(&run->pass, octets)) {
		if (run->up != NULL)
			link_watch_up(ctx, run->up, pkt, m);
		return true;
	}
	end(run); /* all others of the run wait behind it */
	hold(ctx, run->shaper, pkt, octets);
	return false;
}

/* Packets in a row that go one way; returns how many they are. */
static uint32_t shape_way(struct stage_ctx *ctx, struct rte_mbuf *const *pkts, uint32_t n_pkts,
	struct rte_mbuf ***ret_kept)
{
	struct run run = begin(ctx, stage_meta(pkts[0]));
	struct rte_mbuf **kept = *ret_kept;
	uint32_t n = 0;

	if (run.shaper != NULL && run.up == NULL && run.down == NULL)
		n = pass_unwatched(&run, pkts, n_pkts, kept);
	kept += n;
	for (; n < n_pkts && stage_way(stage_meta(pkts[n])) == run.way; n++)
		if (pass_or_hold(ctx, &run, pkts[n]))
			*kept++ = pkts[n];
	end(&run);
	*ret_kept = kept;
	return n;
}

uint16_t shape_run(struct stage_ctx *ctx, struct rte_mbuf **pkts, uint16_t n_pkts)
{
	struct rte_mbuf **kept = pkts;
	uint16_t n_kept;

	if (likely(!ctx->any_shaped))
		return n_pkts;
	for (uint32_t i = 0; i < n_pkts;)
		i += shape_way(ctx, pkts + i, n_pkts - i, &kept);
	n_kept = (uint16_t)(kept - pkts);
	for (uint32_t port = 0; port < ctx->config->n_ports; port++)
		for (uint32_t d = 0; d < N_DIRECTIONS; d++)
			if (unlikely(ctx->shaped[port][d]))
				n_kept += release_way(ctx, (uint8_t)port, d, pkts + n_kept,
					(uint16_t)(BURST_ROOM - n_kept));
	return n_kept;
}

/* How fast the plan of an uplink lets go what no reserve pays for. */
static void follow_plan(struct stage_ctx *ctx, uint8_t port)
{
	uint8_t plan_id = ctx->config->ports[port].plan_id;

	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		uint64_t bps = plan_id == PLAN_NONE
				       ? 0
				       : __atomic_load_n(&ctx->plans[plan_id].limits.general_bps[d],
					       __ATOMIC_RELAXED);

		if (bps == ctx->general_bps[port][d])
			continue;
		ctx->general_bps[port][d] = bps;
		shaper_set_general(ctx->shapers[port][d], bps, ctx->now_us);
	}
}

/* The ceilings of some devices, in one direction of an uplink. */
static void follow_devices(
	const struct stage_ctx *ctx, struct shaper *s, uint32_t first, uint32_t n_devices)
{
	const struct device *devices = ctx->devices->devices;

	for (uint32_t i = first; i < first + n_devices; i++) {
		uint64_t bps = __atomic_load_n(&devices[i].ceiling_bps, __ATOMIC_RELAXED);

		shaper_set_device(s, (uint16_t)i, devices[i].in_use ? bps : 0, ctx->now_us);
	}
}

void shape_follow_ceilings(struct stage_ctx *ctx)
{
	uint32_t first = ctx->ceilings_cursor < ctx->devices->n_high ? ctx->ceilings_cursor : 0;
	uint32_t n = RTE_MIN((uint32_t)CEILING_LOOKS, ctx->devices->n_high - first);

	for (uint8_t port = 0; port < ctx->config->n_ports; port++) {
		if (!ctx->is_uplink[port])
			continue;
		follow_plan(ctx, port);
		for (uint32_t d = 0; d < N_DIRECTIONS; d++)
			follow_devices(ctx, ctx->shapers[port][d], first, n);
	}
	ctx->ceilings_cursor = (uint16_t)(first + n);
}
