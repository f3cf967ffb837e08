/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_run.h"

#include <weir/base/clock.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <string.h>

#define RECORDS_BATCH 16

#define DRAIN_MAX_US (600ull * US_PER_S) /* no queue is longer */

static void add_record(struct replay_run *r, const struct flow_record *record)
{
	if (record->wan_port >= r->n_ports)
		return;
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		r->by_flows[record->wan_port][d].octets += record->octet_delta_count[d];
		r->by_flows[record->wan_port][d].packets += record->packet_delta_count[d];
	}
}

/* Takes finished records and events out, so that neither ring fills. */
static void collect(struct replay_run *r)
{
	struct flow_record records[RECORDS_BATCH];
	struct path_event events[RECORDS_BATCH];
	uint32_t n;

	while ((n = doors_records_take(r->path, records, RECORDS_BATCH)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			add_record(r, &records[i]);
		r->n_records += n;
		if (r->records != NULL)
			export_records_add(r->records, r->path_config, records, n, r->now_us);
		if (n < RECORDS_BATCH)
			break;
	}
	while (doors_events_take(r->path, events, RECORDS_BATCH) == RECORDS_BATCH)
		; /* the summary tells by counters what they would tell one by one */
}

static bool is_pending(const struct replay_run *r)
{
	for (uint32_t i = 0; i < r->n_ports; i++)
		if (replay_port_n_pending(r->ports[i]) > 0)
			return true;
	return false;
}

static void step(struct replay_run *r)
{
	do
		path_step(r->path, r->now_us);
	while (is_pending(r));
	collect(r);
}

static uint64_t n_held(const struct path_stats *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n_stages; i++)
		n += (uint64_t)s->stages[i].held;
	return n;
}

static bool is_queued(const struct replay_run *r)
{
	struct path_stats stats;

	doors_stats_read(r->path, &stats);
	return n_held(&stats) > 0;
}

/* Lets the time until `to_us` pass, with all that is due in it. */
static void advance(struct replay_run *r, uint64_t to_us)
{
	uint64_t next_us;

	while ((next_us = path_next_us(r->path)) < to_us) {
		r->now_us = next_us > r->now_us ? next_us : r->now_us + 1;
		step(r);
	}
	r->now_us = to_us;
}

static struct rte_mbuf *buffer_take(struct replay_run *r)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	if (m == NULL)
		r->n_no_buffer++;
	return m;
}

static void put(struct replay_run *r, uint8_t port, struct rte_mbuf *m, uint32_t len_bytes)
{
	m->data_len = (uint16_t)len_bytes;
	m->pkt_len = len_bytes;
	if (!replay_port_put(r->ports[port], m)) {
		step(r);
		replay_port_put(r->ports[port], m);
	}
}

/* Larger than the MTU: in TCP a super-frame, which enters as the segments that were on the wire. */
static enum sides_verdict put_large(
	struct replay_run *r, const struct capture_packet *packet, const struct sides_route *route)
{
	const struct port *port = r->ports[route->port];
	uint32_t index = 0;
	uint32_t len;
	enum sides_verdict v =
		sides_write(r->sides, packet, route, r->scratch, REPLAY_SCRATCH_BYTES, &len);

	if (v != SIDES_ENTERS)
		return v;
	for (;; index++) {
		struct rte_mbuf *m = buffer_take(r);
		uint32_t bytes;

		if (m == NULL)
			return SIDES_ENTERS;
		bytes = replay_port_segment(port, r->scratch, len, index,
			rte_pktmbuf_mtod(m, uint8_t *), REPLAY_ROOM_BYTES);
		if (bytes == 0) {
			rte_pktmbuf_free(m);
			break;
		}
		put(r, route->port, m, bytes);
	}
	r->n_truncated += index == 0;
	r->n_cut += index > 1;
	return SIDES_ENTERS;
}

static enum sides_verdict put_packet(
	struct replay_run *r, const struct capture_packet *packet, const struct sides_route *route)
{
	enum sides_verdict v;
	struct rte_mbuf *m;
	uint32_t len;

	if (packet->wire_bytes > r->ports[route->port]->mtu)
		return put_large(r, packet, route);
	m = buffer_take(r);
	if (m == NULL)
		return SIDES_ENTERS;
	v = sides_write(
		r->sides, packet, route, rte_pktmbuf_mtod(m, uint8_t *), REPLAY_ROOM_BYTES, &len);
	if (v == SIDES_ENTERS)
		put(r, route->port, m, len);
	else
		rte_pktmbuf_free(m);
	return v;
}

/*
 * Packets of one time and one port make a burst. The other port's packet waits until that has gone through: it may be the
 * answer to it, and is then addressed to a mapping that the burst made.
 */
static enum sides_verdict play(
	struct replay_run *r, const struct capture_packet *packet, uint8_t *burst_port)
{
	uint64_t at_us = packet->time_us > r->now_us ? packet->time_us : r->now_us;
	struct sides_route route;
	enum sides_verdict v = sides_route(r->sides, packet, &route);

	if (packet->time_us < r->now_us)
		r->n_backwards++;
	if (v != SIDES_ENTERS)
		return v;
	if (*burst_port != PORT_NONE && (at_us > r->now_us || route.port != *burst_port)) {
		step(r);
		*burst_port = PORT_NONE;
	}
	if (at_us > r->now_us)
		advance(r, at_us);
	v = put_packet(r, packet, &route);
	if (v == SIDES_ENTERS)
		*burst_port = route.port;
	return v;
}

/* Queues run empty, and held fragments end, in their own time. */
static void drain(struct replay_run *r)
{
	uint64_t end_us = r->now_us + DRAIN_MAX_US;

	step(r);
	while (is_queued(r) && r->now_us < end_us) {
		uint64_t next_us = path_next_us(r->path);

		r->now_us = next_us > r->now_us ? next_us : r->now_us + 1;
		step(r);
	}
}

static int write_error(const struct replay_run *r)
{
	int error = 0;

	if (r->lan_writer != NULL)
		error = capture_writer_error(r->lan_writer);
	if (r->uplink_writer != NULL && error == 0)
		error = capture_writer_error(r->uplink_writer);
	return error;
}

int replay_run(struct replay_run *r, struct capture_packet *first)
{
	struct capture_packet packet = *first;
	uint8_t burst_port = PORT_NONE;
	bool more = packet.data != NULL;

	for (; more; more = capture_set_next(r->captures, &packet)) {
		enum sides_verdict v = play(r, &packet, &burst_port);

		r->n_packets++;
		r->n_not_entered[v]++;
		if (v == SIDES_NO_MEMORY)
			return -ENOMEM;
		if ((r->n_packets & 0xffff) == 0 && write_error(r) != 0)
			return write_error(r);
	}
	drain(r);
	while (!path_end_flows(r->path, FLOW_END_FORCED, r->now_us))
		collect(r);
	collect(r);
	return write_error(r);
}
