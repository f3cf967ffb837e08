/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_run.h"

#include <weir/base/clock.h>

#include <rte_mbuf.h>

#include <errno.h>
#include <string.h>

#define RECORDS_BATCH   16
#define NAMES_BATCH     4
#define COLLECT_STEPS   16 /* not even bursts of new flows fill the records' ring in so many */
#define HOUSEKEEPING_US US_PER_MS /* when the path may end flows by itself */

#define BUDGET_US (10 * US_PER_MS)

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

/* What devices call their remotes. Their own names stand in nothing that a replay writes. */
static void collect_names(struct replay_run *r)
{
	struct path_name names[NAMES_BATCH];
	uint32_t n;

	do {
		n = doors_names_take(r->path, names, NAMES_BATCH);
		for (uint32_t i = 0; i < n; i++)
			if (names[i].kind == PATH_NAME_REMOTE)
				remote_names_hear(r->remote_names, &names[i]);
	} while (n == NAMES_BATCH);
}

/* Takes finished records and events out, so that neither ring fills. */
static void collect(struct replay_run *r)
{
	struct flow_record records[RECORDS_BATCH];
	struct path_event events[RECORDS_BATCH];
	uint32_t n;

	collect_names(r);
	while ((n = doors_records_take(r->path, records, RECORDS_BATCH)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			add_record(r, &records[i]);
			budget_count(r->budget, r->path_config, &records[i]);
			clocks_count(r->clocks, r->path_config, &records[i]);
		}
		r->n_records += n;
		if (r->records != NULL)
			export_records_add(r->records, r->path_config, records, n, r->now_us);
		if (r->ipfix != NULL)
			export_ipfix_add(r->ipfix, r->path_config, records, n, r->now_us);
		if (n < RECORDS_BATCH)
			break;
	}
	if (r->ipfix != NULL)
		export_ipfix_tick(r->ipfix, r->path_config, r->now_us);
	while (doors_events_take(r->path, events, RECORDS_BATCH) == RECORDS_BATCH)
		; /* the summary tells by counters what they would tell one by one */
	r->n_steps = 0;
}

struct schedule_state replay_schedules(const struct replay_run *r)
{
	return schedules_at(r->config, (int64_t)(r->now_us / US_PER_S), true);
}

/* As control does for a gateway that runs, at each new minute. Without memory the rules stay as they are. */
static void follow_schedules(struct replay_run *r)
{
	struct schedule_state now;
	struct path_setup setup;
	struct path_config *pc;
	uint64_t minute = r->now_us / (60 * US_PER_S);

	if (r->config->n_schedules == 0 || minute == r->schedules_minute)
		return;
	r->schedules_minute = minute;
	now = replay_schedules(r);
	if (schedule_state_equal(&now, &r->schedules)
		|| config_to_path_at(r->config, &now, &setup, &pc) != 0)
		return;
	doors_publish(r->path, pc);
	r->path_config = pc;
	r->schedules = now;
}

struct budget_time replay_budget_time(const struct replay_run *r)
{
	return (struct budget_time){
		.now_us = r->now_us, .wall_s = (int64_t)(r->now_us / US_PER_S), .is_trusted = true};
}

/* The books, as often as a gateway keeps them. */
static void keep_books(struct replay_run *r)
{
	struct budget_time now;

	if (r->now_us < r->budget_us)
		return;
	r->budget_us = r->now_us + BUDGET_US;
	now = replay_budget_time(r);
	budget_tick(r->budget, &now);
	clocks_follow(r->clocks, r->path, r->ports, r->now_us);
}

/* Carries what waits at the one port, and does what is due. */
static void step(struct replay_run *r)
{
	follow_schedules(r);
	keep_books(r);
	do
		path_step(r->path, r->now_us);
	while (r->burst_port != PORT_NONE && replay_port_n_pending(r->ports[r->burst_port]) > 0);
	r->burst_port = PORT_NONE;
	if (r->now_us - r->housekept_us >= HOUSEKEEPING_US)
		r->housekept_us = r->now_us;
	else if (++r->n_steps < COLLECT_STEPS)
		return;
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

static void put(struct replay_run *r, uint8_t port, struct rte_mbuf *m)
{
	if (!replay_port_put(r->ports[port], m)) {
		step(r);
		replay_port_put(r->ports[port], m);
	}
	r->burst_port = port;
}

static void put_segments(struct replay_run *r, uint8_t port_id, uint32_t len)
{
	const struct port *port = r->ports[port_id];
	uint32_t index = 0;

	for (;; index++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
		uint32_t bytes;

		if (m == NULL) {
			r->n_no_buffer++;
			return;
		}
		bytes = replay_port_segment(port, r->scratch, len, index,
			rte_pktmbuf_mtod(m, uint8_t *), REPLAY_ROOM_BYTES);
		if (bytes == 0) {
			rte_pktmbuf_free(m);
			break;
		}
		rte_pktmbuf_data_len(m) = (uint16_t)bytes;
		rte_pktmbuf_pkt_len(m) = bytes;
		put(r, port_id, m);
	}
	if (index == 0)
		r->n_truncated++;
	else
		r->n_cut[replay_port_cut(port, r->scratch, len)]++;
}

/* Larger than the MTU: enters as the packets that were on the wire. */
static enum sides_verdict put_large(struct replay_run *r, const struct replay_entry *e)
{
	uint32_t len;
	enum sides_verdict v =
		sides_copy(r->sides, &e->packet, &e->route, r->scratch, REPLAY_SCRATCH_BYTES, &len);

	if (v != SIDES_ENTERS)
		return v;
	sides_address(r->sides, &e->route, r->scratch, len);
	put_segments(r, e->route.port, len);
	return SIDES_ENTERS;
}

/*
 * Packets of one time and one port make a burst. The other port's packet waits until that has gone through: it may be the
 * answer to it, and is then addressed to a mapping that the burst made.
 */
static enum sides_verdict play(struct replay_run *r, const struct replay_entry *e)
{
	uint64_t time_us = e->packet.time_us;
	uint64_t at_us = time_us > r->now_us ? time_us : r->now_us;

	if (time_us < r->now_us)
		r->n_backwards++;
	if (e->kind == ENTRY_REFUSED)
		return e->verdict;
	if (r->burst_port != PORT_NONE && (at_us > r->now_us || e->route.port != r->burst_port))
		step(r);
	if (at_us > r->now_us)
		advance(r, at_us);
	switch (e->kind) {
	case ENTRY_FRAME:
		sides_address(r->sides, &e->route, rte_pktmbuf_mtod(e->frame, uint8_t *),
			rte_pktmbuf_data_len(e->frame));
		put(r, e->route.port, e->frame);
		break;
	case ENTRY_LARGE:
		return put_large(r, e);
	case ENTRY_NO_BUFFER:
		r->n_no_buffer++;
		break;
	case ENTRY_REFUSED:
		break;
	}
	return SIDES_ENTERS;
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

/* Why there is no use in going on; 0: there is. */
static int reason_to_end(const struct replay_run *r)
{
	int error = *r->interrupted != 0 ? -EINTR : 0;

	if (r->lan_writer != NULL && error == 0)
		error = capture_writer_error(r->lan_writer);
	if (r->uplink_writer != NULL && error == 0)
		error = capture_writer_error(r->uplink_writer);
	return error;
}

int replay_run(struct replay_run *r)
{
	struct budget_time now;
	uint32_t n;

	r->burst_port = PORT_NONE;
	r->housekept_us = r->now_us;
	while ((n = replay_window_fill(r)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			enum sides_verdict v = play(r, &r->window[i]);

			r->n_packets++;
			r->n_not_entered[v]++;
			if (v == SIDES_NO_MEMORY)
				return -ENOMEM;
		}
		if (reason_to_end(r) != 0)
			return reason_to_end(r);
	}
	drain(r);
	while (!path_end_flows(r->path, FLOW_END_FORCED, r->now_us))
		collect(r);
	collect(r);
	now = replay_budget_time(r);
	budget_tick(r->budget, &now);
	return reason_to_end(r);
}
