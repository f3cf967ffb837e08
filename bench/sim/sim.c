/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_autorate.h"
#include "sim_receiver.h"
#include "sim_sender.h"
#include "sim_shaper.h"
#include "sim_told.h"
#include "sim_watch.h"

#include <weir/base/clock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_US  10000
#define AWAKE_US    3000   /* at a time, where weir does not have its processor to itself */
#define QUEUE_US    500000 /* ports.NAME.queue where nothing is configured */
#define NS_US(us)   ((us)*NS_PER_US)
#define PROBE_FLOW  (SIM_FLOWS_MAX - 1)
#define CARRIER_MAX 20000 /* packets that a modem or base station holds, however small */

struct sim_way {
	struct sim_shaper shaper;   /* weir's */
	struct sim_shaper oracle;   /* in the radio's place */
	struct sim_queue carrier;   /* modem's or base station's buffer */
	struct sim_queue far, near; /* delay lines: beyond the radio, between it and weir */
	struct capacity_cursor at;
	uint64_t busy_since_us;
	uint64_t last_far_us, last_near_us;
	uint64_t edge_octets;
};

struct sim {
	const struct sim_params *params;
	struct sim_result *result;
	struct rng rng;
	struct sim_way way[N_DIRECTIONS];
	struct sim_sender senders[SIM_FLOWS_MAX];
	struct sim_receiver receivers[SIM_FLOWS_MAX];
	struct sim_watch *watch;
	struct sim_autorate autorate;
	struct sim_told told[N_DIRECTIONS];
	struct sim_queue out; /* what a sender has just sent */
	struct sim_queue lan; /* what weir has not looked at yet */
	struct outages no_outages;
	uint64_t now_us, radio_used_us, radio_ready_us;
	FILE *trace;
	uint64_t trace_octets[N_DIRECTIONS];
};

static bool is_tcp(const struct sim_packet *p)
{
	return p->kind == SIM_DATA || p->kind == SIM_ACK;
}

/* A delay line keeps order, so jitter can only hold back. */
static void delay(
	struct sim_queue *line, uint64_t *last_us, uint64_t due_us, const struct sim_packet *p)
{
	struct sim_packet delayed = *p;

	delayed.due_us = due_us > *last_us ? due_us : *last_us;
	*last_us = delayed.due_us;
	sim_queue_put(line, &delayed);
}

static uint64_t jitter_us(struct sim *s, enum direction d)
{
	uint32_t most = s->params->jitter_us[d];

	return most == 0 ? 0 : rng_below(&s->rng, most + 1);
}

/* The way between radio and server. */
static uint64_t far_us(const struct sim *s, enum direction d)
{
	int64_t us = s->params->delay_us[d];

	if (s->params->route_us != 0 && s->now_us >= s->params->route_us)
		us += s->params->route_shift_us;
	return us < 0 ? 0 : (uint64_t)us;
}

static void enter_carrier(
	struct sim *s, enum direction d, const struct sim_packet *p, uint64_t now_us)
{
	struct sim_way *w = &s->way[d];
	struct sim_packet entered = *p;

	entered.queued_us = now_us;
	if (s->params->idle_us != 0 && s->radio_used_us + s->params->idle_us < now_us)
		s->radio_ready_us = now_us + s->params->promotion_us;
	s->radio_used_us = now_us;
	if (w->carrier.n == 0 && sim_shaper_octets(&w->oracle) == 0)
		w->busy_since_us = now_us;
	if (s->params->controller == SIM_ORACLE) {
		sim_shaper_hold(&w->oracle, &entered, now_us);
		return;
	}
	if (w->carrier.octets + p->octets > s->params->buffer_octets[d]
		|| w->carrier.n >= CARRIER_MAX) {
		s->result->direction[d].n_lost++;
		return;
	}
	sim_queue_put(&w->carrier, &entered);
}

/* A packet that has crossed the radio. */
static void leave_carrier(struct sim *s, enum direction d, struct sim_packet *p, uint64_t left_us)
{
	struct sim_way *w = &s->way[d];

	s->result->direction[d].carried_octets += p->octets;
	s->radio_used_us = left_us;
	if (d == UPLINK)
		delay(&w->far, &w->last_far_us, left_us + far_us(s, d) + jitter_us(s, d), p);
	else
		delay(&w->near, &w->last_near_us, left_us + jitter_us(s, d), p);
}

/* When a packet of so many octets would have left; *at moves on. */
static uint64_t serve_us(
	struct sim *s, enum direction d, uint32_t octets, struct capacity_cursor *at)
{
	uint64_t start_us = s->way[d].busy_since_us;
	uint64_t ns;

	if (start_us < s->radio_ready_us)
		start_us = s->radio_ready_us;
	ns = capacity_serve(s->params->capacity[d], &s->no_outages, at, NS_US(start_us), octets);
	return ns == TIME_NEVER ? UINT64_MAX : (ns + NS_PER_US - 1) / NS_PER_US;
}

static void serve_oracle(struct sim *s, enum direction d, uint64_t end_us)
{
	struct sim_way *w = &s->way[d];

	while (sim_shaper_octets(&w->oracle) > 0) {
		struct capacity_cursor at = w->at;
		struct sim_packet p;
		uint64_t left_us = serve_us(s, d, 1, &at);

		if (left_us > end_us)
			return;
		left_us = left_us < s->now_us ? s->now_us : left_us;
		if (!sim_shaper_take(&w->oracle, left_us, &p))
			return;
		left_us = serve_us(s, d, p.octets, &w->at);
		leave_carrier(s, d, &p, left_us);
	}
}

static void serve(struct sim *s, enum direction d, uint64_t end_us)
{
	struct sim_way *w = &s->way[d];
	struct sim_packet *front;

	if (s->params->controller == SIM_ORACLE) {
		serve_oracle(s, d, end_us);
		return;
	}
	while ((front = sim_queue_front(&w->carrier)) != NULL) {
		struct capacity_cursor at = w->at;
		uint64_t left_us = serve_us(s, d, front->octets, &at);
		struct sim_packet p;

		if (left_us > end_us)
			return;
		w->at = at;
		p = sim_queue_take(&w->carrier);
		p.waited_us += left_us > p.queued_us ? left_us - p.queued_us : 0;
		leave_carrier(s, d, &p, left_us);
	}
}

/* A packet has come to the end of its way, in direction `d`. */
static void arrive(struct sim *s, enum direction d, struct sim_packet *p)
{
	struct sim_figures *f = &s->result->direction[d];
	enum sim_sender_kind kind = s->params->flows[p->flow].kind;

	f->delivered_octets += p->octets;
	if (p->kind == SIM_ACK) {
		sim_sender_ack(&s->senders[p->flow], p, s->now_us);
		return;
	}
	histogram_add(kind == SIM_VOICE ? &f->sparse : &f->bulk, NS_US(p->waited_us));
	if (p->kind == SIM_DATA)
		sim_receiver_take(&s->receivers[p->flow], p, s->now_us, &s->out);
}

static bool has_timestamps(const struct sim *s, const struct sim_packet *p)
{
	return s->params->flows[p->flow].has_timestamps;
}

static void leave_weir(struct sim *s, const struct sim_packet *p)
{
	if (is_tcp(p))
		sim_watch_up(s->watch, p, has_timestamps(s, p), s->now_us);
	s->way[UPLINK].edge_octets += p->octets;
	enter_carrier(s, UPLINK, p, s->now_us);
}

/* Where what a host sends in direction `d` begins. */
static void depart(struct sim *s, enum direction d)
{
	struct sim_way *w = &s->way[d];

	while (s->out.n > 0) {
		struct sim_packet p = sim_queue_take(&s->out);

		if (d == DOWNLINK) {
			delay(&w->far, &w->last_far_us, s->now_us + far_us(s, d), &p);
		} else {
			p.due_us = s->now_us;
			sim_queue_put(&s->lan, &p);
		}
	}
}

/* A packet that weir finds in its ring; one that came while it slept has waited there. */
static struct sim_packet receive(struct sim *s, struct sim_queue *ring)
{
	struct sim_packet p = sim_queue_take(ring);

	if (s->now_us - p.due_us >= SIM_STEP_US)
		p.waited_us += s->now_us - p.due_us;
	return p;
}

static void uplink_into_weir(struct sim *s)
{
	while (s->lan.n > 0) {
		struct sim_packet p = receive(s, &s->lan);

		if (!sim_shaper_put(&s->way[UPLINK].shaper, &p, s->now_us))
			leave_weir(s, &p);
	}
}

static void reach_lan(struct sim *s, struct sim_packet *p)
{
	arrive(s, DOWNLINK, p);
	depart(s, UPLINK);
}

static void downlink_into_weir(struct sim *s)
{
	struct sim_way *w = &s->way[DOWNLINK];
	struct sim_packet *front;

	while ((front = sim_queue_front(&w->near)) != NULL && front->due_us <= s->now_us) {
		struct sim_packet p = receive(s, &w->near);

		w->edge_octets += p.octets;
		if (p.kind == SIM_PROBE) {
			sim_autorate_answer(&s->autorate, p.made_us, s->now_us);
			continue;
		}
		if (is_tcp(&p))
			sim_watch_down(s->watch, &p, has_timestamps(s, &p), s->now_us);
		if (!sim_shaper_put(&w->shaper, &p, s->now_us))
			reach_lan(s, &p);
	}
}

static void uplink_out_of_weir(struct sim *s)
{
	struct sim_packet p;

	while (sim_shaper_take(&s->way[UPLINK].shaper, s->now_us, &p))
		leave_weir(s, &p);
}

static void hosts_on_the_lan(struct sim *s)
{
	struct sim_packet p;

	while (sim_shaper_take(&s->way[DOWNLINK].shaper, s->now_us, &p))
		reach_lan(s, &p);
}

static void hosts_far_away(struct sim *s)
{
	struct sim_queue *line = &s->way[UPLINK].far;
	struct sim_packet *front;

	while ((front = sim_queue_front(line)) != NULL && front->due_us <= s->now_us) {
		struct sim_packet p = sim_queue_take(line);

		if (p.kind == SIM_PROBE) {
			s->result->direction[DOWNLINK].probe_octets += p.octets;
			sim_queue_put(&s->out, &p);
		} else
			arrive(s, UPLINK, &p);
		depart(s, DOWNLINK);
	}
	line = &s->way[DOWNLINK].far;
	while ((front = sim_queue_front(line)) != NULL && front->due_us <= s->now_us) {
		struct sim_packet p = sim_queue_take(line);

		enter_carrier(s, DOWNLINK, &p, s->now_us);
	}
}

static void everybody_sends(struct sim *s)
{
	for (uint32_t i = 0; i < s->params->n_flows; i++) {
		enum direction d = s->params->flows[i].direction;

		sim_sender_send(&s->senders[i], s->now_us, &s->out);
		depart(s, d);
		sim_receiver_run(&s->receivers[i], (uint8_t)i, s->now_us, &s->out);
		depart(s, d == UPLINK ? DOWNLINK : UPLINK);
	}
}

static void probe(struct sim *s)
{
	struct sim_packet p;

	if (!sim_autorate_probe(&s->autorate, s->now_us))
		return;
	p = (struct sim_packet){.made_us = s->now_us,
		.octets = SIM_PROBE_OCTETS,
		.flow = PROBE_FLOW,
		.kind = SIM_PROBE};
	s->result->direction[UPLINK].probe_octets += p.octets;
	enter_carrier(s, UPLINK, &p, s->now_us);
}

static void control_by_autorate(struct sim *s)
{
	probe(s);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		sim_autorate_octets(
			&s->autorate, (enum direction)d, s->way[d].edge_octets, s->now_us);
		shaper_set_rate(s->way[d].shaper.shaper, s->autorate.way[d].rate_bps, s->now_us);
	}
}

static void control_by_told(struct sim *s)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct sim_way *w = &s->way[d];
		struct shaper_link link =
			sim_told_run(&s->told[d], w->carrier.octets, w->edge_octets, s->now_us);

		shaper_set_link(w->shaper.shaper, &link, s->now_us);
	}
}

static void write_trace(struct sim *s)
{
	struct link_stats stats;

	if (s->trace == NULL)
		return;
	sim_watch_read(s->watch, &stats);
	(void)fprintf(s->trace, "%llu", (unsigned long long)(s->now_us / US_PER_MS));
	for (int d = 0; d < N_DIRECTIONS; d++) {
		const struct sim_way *w = &s->way[d];
		uint64_t carried = s->result->direction[d].carried_octets;

		(void)fprintf(s->trace, " %llu %llu %llu %llu %llu %llu",
			(unsigned long long)(shaper_load(w->shaper.shaper).rate_bps / 1000),
			(unsigned long long)((carried - s->trace_octets[d]) * 8 / 10),
			(unsigned long long)w->carrier.octets,
			(unsigned long long)sim_shaper_octets(&w->shaper),
			(unsigned long long)(stats.radio_queue_us[d] / US_PER_MS),
			(unsigned long long)(stats.carried_bps[d] / 1000));
		s->trace_octets[d] = carried;
	}
	(void)fputc('\n', s->trace);
}

/* On a busy machine others run, too. */
static bool is_awake(const struct sim *s)
{
	uint64_t asleep_us = s->params->asleep_us;

	return s->now_us % (asleep_us + AWAKE_US) >= asleep_us;
}

static void control(struct sim *s)
{
	const uint64_t octets[N_DIRECTIONS] = {
		s->way[UPLINK].edge_octets, s->way[DOWNLINK].edge_octets};

	if (s->params->controller == SIM_WEIR && is_awake(s))
		sim_watch_run(s->watch, octets, s->now_us);
	if (s->now_us % CONTROL_US != 0)
		return;
	if (s->params->controller == SIM_AUTORATE)
		control_by_autorate(s);
	else if (s->params->controller == SIM_TOLD)
		control_by_told(s);
	write_trace(s);
}

/* Room for what path/path.c gives it. */
static uint64_t room_of(uint64_t rate_bps)
{
	uint64_t octets = rate_bps / 8 * QUEUE_US / US_PER_S;

	if (rate_bps == 0)
		return SIM_SHAPER_OCTETS;
	return octets < SIM_SHAPER_OCTETS_LEAST ? SIM_SHAPER_OCTETS_LEAST : octets;
}

static uint64_t rtt_us(const struct sim *s)
{
	return (uint64_t)s->params->delay_us[UPLINK] + s->params->delay_us[DOWNLINK];
}

static int begin_way(struct sim *s, enum direction d)
{
	const struct sim_params *p = s->params;
	struct sim_way *w = &s->way[d];
	uint64_t mean_bps = capacity_mean_bps(p->capacity[d]);
	bool is_configured = p->controller == SIM_FIXED || p->controller == SIM_AUTORATE;
	struct shaper_link oracle = {.target_us = (uint32_t)p->oracle_target_us,
		.interval_us = (uint32_t)p->oracle_interval_us};
	int err = sim_shaper_init(&w->shaper, room_of(is_configured ? mean_bps : 0));

	if (err == 0)
		err = sim_shaper_init(&w->oracle, p->buffer_octets[d]);
	if (err < 0)
		return err;
	if (is_configured)
		shaper_set_rate(w->shaper.shaper, mean_bps, 0);
	shaper_set_link(w->oracle.shaper, &oracle, 0);
	capacity_cursor_init(&w->at);
	histogram_init(&s->result->direction[d].bulk);
	histogram_init(&s->result->direction[d].sparse);
	sim_autorate_init(&s->autorate, d, mean_bps);
	sim_told_init(&s->told[d], p->capacity[d], d == UPLINK ? rtt_us(s) : 0);
	return 0;
}

/* A connection is opened by its client, on the LAN: it sends a round trip later, and what it asks for comes half of one after. */
static uint64_t handshake_us(const struct sim *s, enum direction d)
{
	return d == UPLINK ? rtt_us(s) : rtt_us(s) + s->params->delay_us[UPLINK];
}

static int begin(struct sim *s)
{
	struct shaper *shapers[N_DIRECTIONS];
	const struct sim_params *p = s->params;

	rng_init(&s->rng, p->seed);
	for (uint32_t i = 0; i < p->n_flows; i++) {
		struct sim_flow_params flow = p->flows[i];

		if (flow.kind <= SIM_BBR)
			flow.start_us += handshake_us(s, flow.direction);
		sim_sender_init(&s->senders[i], &flow, (uint8_t)i, &s->rng);
		sim_receiver_init(
			&s->receivers[i], p->flows[i].has_timestamps, (uint32_t)rng_next(&s->rng));
	}
	for (int d = 0; d < N_DIRECTIONS; d++) {
		int err = begin_way(s, (enum direction)d);

		if (err < 0)
			return err;
		shapers[d] = s->way[d].shaper.shaper;
	}
	if (p->trace_path != NULL)
		s->trace = fopen(p->trace_path, "we");
	return sim_watch_create(shapers, &s->watch);
}

/* What the radio could have carried until the end. */
static uint64_t carried_at_most(const struct sim_params *p, enum direction d)
{
	struct outages none = {0};
	struct capacity_cursor at;
	uint64_t octets = 0;

	capacity_cursor_init(&at);
	while (capacity_serve(p->capacity[d], &none, &at, 0, OPPORTUNITY_OCTETS)
		<= NS_US(p->duration_us))
		octets += OPPORTUNITY_OCTETS;
	return octets;
}

static void end(struct sim *s)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		struct sim_way *w = &s->way[d];

		s->result->direction[d].capacity_octets =
			carried_at_most(s->params, (enum direction)d);
		s->result->direction[d].n_lost += w->shaper.n_dropped + w->oracle.n_dropped;
		sim_shaper_clean(&w->shaper);
		sim_shaper_clean(&w->oracle);
		sim_queue_clean(&w->carrier);
		sim_queue_clean(&w->far);
		sim_queue_clean(&w->near);
	}
	sim_queue_clean(&s->out);
	sim_queue_clean(&s->lan);
	sim_watch_destroy(s->watch);
	if (s->trace != NULL)
		(void)fclose(s->trace);
}

int sim_run(const struct sim_params *params, struct sim_result *ret_result)
{
	struct sim *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	memset(ret_result, 0, sizeof(*ret_result));
	s->params = params;
	s->result = ret_result;
	err = begin(s);
	for (s->now_us = SIM_STEP_US; err == 0 && s->now_us < params->duration_us;
		s->now_us += SIM_STEP_US) {
		hosts_far_away(s);
		if (is_awake(s)) {
			downlink_into_weir(s);
			hosts_on_the_lan(s);
		}
		everybody_sends(s);
		control(s);
		if (is_awake(s)) {
			uplink_into_weir(s);
			uplink_out_of_weir(s);
		}
		for (int d = 0; d < N_DIRECTIONS; d++)
			serve(s, (enum direction)d, s->now_us + SIM_STEP_US);
	}
	end(s);
	free(s);
	return err;
}
