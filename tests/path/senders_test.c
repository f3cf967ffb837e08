/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Senders beside the worker, over an uplink whose lanes are slow and refuse as they are told: order within each flow, and
 * books that are exact whatever becomes of what is lent. path_world_destroy() holds records, edge and port against each other.
 */
#include "path_world.h"

#include <weir/base/rng.h>
#include <weir/packet/bytes.h>

#include <rte_mbuf.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_FLOWS    40
#define FIRST_PORT 1000
#define N_LANES    4 /* the worker's and three senders' */
#define UDP_OCTETS (20 + 8 + 10)
#define PATIENCE   20000 /* steps of 100 us */

/* The uplink. A frame says its flow by its destination port, its place in it by its identification. */
static struct {
	struct port_ops ops; /* the memory port's, but for sending */
	pthread_mutex_t lock;
	struct rng rng;
	uint32_t delay_us;     /* at most, of a lane; the worker's has none */
	uint32_t refuse_1_in;  /* bursts are cut short so often; 0: never */
	_Atomic bool is_stuck; /* lanes send nothing, and don't return */
	_Atomic uint32_t n_in; /* senders inside */
	int32_t last[N_FLOWS];
	uint32_t n_disordered;
	uint64_t n_by_lane[N_LANES];
} uplink;

static void note(struct rte_mbuf *pkt, uint32_t lane)
{
	const uint8_t *ip = rte_pktmbuf_mtod(pkt, const uint8_t *);
	uint32_t flow = load_be16(ip + 22) - FIRST_PORT;
	int32_t place = load_be16(ip + 4);

	uplink.n_by_lane[lane]++;
	if (flow >= N_FLOWS)
		return;
	uplink.n_disordered += place <= uplink.last[flow];
	uplink.last[flow] = place;
}

static uint16_t send_on(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_counters *c = lane == 0 ? &p->counters : &p->lanes[lane].counters;
	uint32_t wait_us = 0;

	pthread_mutex_lock(&uplink.lock);
	if (uplink.refuse_1_in != 0 && rng_below(&uplink.rng, uplink.refuse_1_in) == 0)
		n = (uint16_t)rng_below(&uplink.rng, n);
	if (lane != 0 && uplink.delay_us != 0)
		wait_us = rng_below(&uplink.rng, uplink.delay_us);
	pthread_mutex_unlock(&uplink.lock);
	if (wait_us > 0)
		usleep(wait_us);
	pthread_mutex_lock(&uplink.lock);
	for (uint16_t i = 0; i < n; i++) {
		note(pkts[i], lane);
		c->tx_bytes += pkts[i]->pkt_len;
	}
	pthread_mutex_unlock(&uplink.lock);
	c->tx_packets += n;
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static uint16_t uplink_tx(struct port *p, struct rte_mbuf **pkts, uint16_t n)
{
	return send_on(p, 0, pkts, n);
}

static uint16_t uplink_tx_lane(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	atomic_fetch_add(&uplink.n_in, 1);
	while (atomic_load(&uplink.is_stuck))
		usleep(50);
	n = send_on(p, lane, pkts, n);
	atomic_fetch_sub(&uplink.n_in, 1);
	return n;
}

static void with_plan(struct path_setup *setup, struct path_config *config)
{
	(void)setup;
	config->n_plans = 1;
	config->ports[WORLD_UPLINK].plan_id = 0;
	config->timeouts.udp_one_way_ms = 20;
}

static struct path_world *world_of(uint32_t n_senders)
{
	struct path_world_params params = {.tune = with_plan, .n_senders = n_senders};
	struct path_world *w = path_world_create(&params);
	struct port *p = w->ports[WORLD_UPLINK];

	memset(&uplink, 0, sizeof(uplink));
	pthread_mutex_init(&uplink.lock, NULL);
	rng_init(&uplink.rng, 7);
	for (uint32_t i = 0; i < N_FLOWS; i++)
		uplink.last[i] = -1;
	uplink.ops = *p->ops;
	uplink.ops.tx = uplink_tx;
	uplink.ops.tx_lane = uplink_tx_lane;
	p->ops = &uplink.ops;
	port_lanes_free(p);
	cr_assert_eq(port_lanes_make(p, n_senders), 0);
	path_world_limit(w, ACCOUNT_GENERAL, UINT64_C(1) << 40);
	return w;
}

static void put(struct path_world *w, uint32_t flow, uint16_t place)
{
	path_world_put(w, WORLD_LAN,
		&(struct packet_spec){.proto = PROTO_UDP,
			.src_port = (uint16_t)(5000 + flow),
			.dst_port = (uint16_t)(FIRST_PORT + flow),
			.id = place,
			.payload_bytes = 10});
}

/* One packet of each flow. */
static void put_all(struct path_world *w, uint16_t place)
{
	for (uint32_t i = 0; i < N_FLOWS; i++)
		put(w, i, place);
}

static struct path_stats stats_of(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s;
}

static uint32_t n_lent(const struct path_world *w)
{
	struct path_sender_stats s[SENDERS_MAX];
	uint32_t n = 0;

	for (uint32_t i = doors_senders_read(w->path, s); i-- > 0;)
		n += s[i].lent;
	return n;
}

static uint64_t n_handovers(const struct path_world *w)
{
	struct path_sender_stats s[SENDERS_MAX];
	uint64_t n = 0;

	for (uint32_t i = doors_senders_read(w->path, s); i-- > 0;)
		n += s[i].handovers;
	return n;
}

static void step(struct path_world *w)
{
	w->now_us += 100;
	path_world_step(w);
}

/* Steps until nothing is lent. */
static void settle(struct path_world *w)
{
	for (uint32_t i = 0; i < PATIENCE && n_lent(w) > 0; i++) {
		usleep(100);
		step(w);
	}
	cr_assert_eq(n_lent(w), 0);
}

/* Steps until every sender has begun to serve; bursts are lent from then on. Returns the next place of each flow. */
static uint16_t get_going(struct path_world *w)
{
	struct path_sender_stats s[SENDERS_MAX];
	uint32_t n_senders = doors_senders_read(w->path, s);
	uint16_t place = 0;

	for (uint32_t i = 0; i < n_senders; i++)
		for (; s[i].handovers == 0 && place < 5000; doors_senders_read(w->path, s)) {
			put_all(w, place++);
			step(w);
			usleep(100);
		}
	settle(w);
	return place;
}

/* What the plan was billed is what has left, to the octet. */
static void check_bill(const struct path_world *w)
{
	struct path_stats s = stats_of(w);
	struct port_counters c;

	port_counters_read(w->ports[WORLD_UPLINK], &c);
	cr_expect_eq(s.plans[0].octets[UPLINK], c.tx_bytes, "billed %lu, sent %lu",
		s.plans[0].octets[UPLINK], c.tx_bytes);
	cr_expect_eq(s.plans[0].packets[UPLINK], c.tx_packets);
	cr_expect_eq(s.edge_octets[WORLD_UPLINK][UPLINK], c.tx_bytes);
}

/* Bursts of random length and flows, with pauses in which flows end and begin again. */
static void play(struct path_world *w, uint32_t n_steps)
{
	uint16_t places[N_FLOWS] = {0};
	struct rng rng;

	rng_init(&rng, 3);
	for (uint32_t i = 0; i < n_steps; i++) {
		uint32_t n = rng_below(&rng, 3) == 0 ? rng_below(&rng, 8) : rng_below(&rng, 64);
		/* Now and then one flow has it all. */
		uint32_t n_flows = rng_below(&rng, 20) == 0 ? 1 : N_FLOWS;

		for (uint32_t k = 0; k < n; k++) {
			uint32_t flow = rng_below(&rng, n_flows);

			put(w, flow, places[flow]++);
		}
		step(w);
		if (rng_below(&rng, 100) == 0) {
			settle(w);
			path_world_pass(w, 100 * WORLD_MS, 10 * WORLD_MS);
		}
	}
	settle(w);
}

Test(path_senders, keep_the_order_within_each_flow_whatever_bursts_and_delays)
{
	struct path_world *w = world_of(3);
	struct path_stats s;

	uplink.delay_us = 300;
	play(w, 1500);
	s = stats_of(w);
	cr_expect_eq(uplink.n_disordered, 0, "%u packets overtook others", uplink.n_disordered);
	for (uint32_t lane = 0; lane < N_LANES; lane++)
		cr_expect_gt(uplink.n_by_lane[lane], 300, "lane %u sent %lu", lane,
			uplink.n_by_lane[lane]);
	cr_expect_eq(s.drops[DROP_TX_REFUSED], 0);
	cr_expect_gt(s.flows_ended, N_FLOWS, "flows ended and began again meanwhile");
	check_bill(w);
	path_world_destroy(w);
}

Test(path_senders, count_what_was_sent_and_nothing_else_when_sending_fails)
{
	struct path_world *w = world_of(3);
	struct path_sender_stats senders[SENDERS_MAX];
	uint64_t n_back = 0;

	uplink.delay_us = 100;
	uplink.refuse_1_in = 4;
	play(w, 1500);
	for (uint32_t i = doors_senders_read(w->path, senders); i-- > 0;)
		n_back += senders[i].refused;
	cr_expect_gt(n_back, 1000);
	cr_expect_geq(path_world_drops(w, DROP_TX_REFUSED), n_back);
	cr_expect_eq(uplink.n_disordered, 0);
	check_bill(w);
	path_world_destroy(w);
}

Test(path_senders, have_sent_all_before_the_flows_records_are_made)
{
	struct path_world *w = world_of(2);
	uint16_t first = get_going(w);

	uplink.delay_us = 2000;
	uplink.refuse_1_in = 3;
	for (uint16_t i = 0; i < 20; i++) {
		put_all(w, (uint16_t)(first + i));
		step(w);
	}
	cr_assert_gt(n_lent(w), 0, "nothing is lent: this proves little");
	path_world_destroy(w); /* ends the flows at once, and compares records with what was sent */
}

Test(path_senders, are_not_woken_for_small_bursts)
{
	struct path_world *w = world_of(2);

	for (uint16_t i = 0; i < 500; i++) {
		for (uint32_t flow = 0; flow < 8; flow++)
			put(w, flow, i);
		step(w);
		cr_assert_eq(uplink.n_by_lane[0], 8u * (i + 1u), "sent within its step");
	}
	cr_expect_eq(n_handovers(w), 0);
	path_world_destroy(w);
}

Test(path_senders, are_done_without_while_their_threads_do_not_run)
{
	struct path_world_params params = {.tune = with_plan};
	struct path_world *w = path_world_create(&params);

	path_world_limit(w, ACCOUNT_GENERAL, UINT64_C(1) << 40);
	put_all(w, 0);
	step(w);
	cr_expect_eq(path_world_discard(w, WORLD_UPLINK), N_FLOWS);
	path_world_destroy(w);
}

Test(path_senders, hold_the_worker_back_when_they_have_enough_to_do)
{
	struct path_world *w = world_of(1);
	const struct port_counters *lan = &w->ports[WORLD_LAN]->counters;
	uint16_t first = get_going(w);
	uint64_t before = lan->rx_packets;
	uint64_t received;

	atomic_store(&uplink.is_stuck, true);
	for (uint16_t i = 0; i < 100; i++) {
		put_all(w, (uint16_t)(first + i));
		step(w);
	}
	received = lan->rx_packets - before;
	cr_expect_gt(received, 256);
	cr_expect_lt(received, 50u * N_FLOWS, "%lu were received", received);
	cr_expect_lt(n_lent(w), 500);
	atomic_store(&uplink.is_stuck, false);
	settle(w);
	put_all(w, (uint16_t)(first + 100));
	step(w);
	cr_expect_eq(lan->rx_packets, before + received + N_FLOWS);
	cr_expect_eq(path_world_drops(w, DROP_TX_REFUSED), 0);
	settle(w);
	check_bill(w);
	path_world_destroy(w);
}

Test(path_senders, give_back_what_a_port_that_is_given_up_does_not_take)
{
	struct path_world *w = world_of(1);
	struct port *p = w->ports[WORLD_UPLINK];
	uint16_t first = get_going(w);

	atomic_store(&uplink.is_stuck, true);
	for (uint16_t i = 0; i < 4; i++) {
		put_all(w, (uint16_t)(first + i));
		step(w);
	}
	cr_assert_gt(n_lent(w), 64, "%u are lent: more than one burst of the sender's", n_lent(w));
	while (atomic_load(&uplink.n_in) == 0)
		usleep(100);
	port_fail(p);
	cr_expect(port_is_lent(p), "control must leave it alone");
	put_all(w, (uint16_t)(first + 4));
	step(w);
	cr_expect_eq(path_world_drops(w, DROP_TX_PORT_DOWN), N_FLOWS);
	atomic_store(&uplink.is_stuck, false);
	settle(w);
	cr_expect(!port_is_lent(p));
	cr_expect_gt(path_world_drops(w, DROP_TX_PORT_DOWN), N_FLOWS);
	check_bill(w);
	port_up(p);
	put_all(w, (uint16_t)(first + 5));
	step(w);
	settle(w);
	cr_expect_gt(p->counters.tx_packets + p->lanes[1].counters.tx_packets, N_FLOWS);
	cr_expect_eq(uplink.n_disordered, 0);
	path_world_destroy(w);
}

Test(path_senders, keep_a_flow_from_ending_while_its_packets_may_come_back)
{
	struct path_world *w = world_of(1);
	uint16_t place = get_going(w);
	uint32_t lent;

	atomic_store(&uplink.is_stuck, true);
	put_all(w, place);
	step(w);
	lent = n_lent(w); /* a packet of each flow; the worker has sent the others' */
	cr_assert_gt(lent, 0);
	path_world_pass(w, WORLD_S, 10 * WORLD_MS);
	cr_expect_eq(stats_of(w).n_flows, lent, "%u of %u are left", stats_of(w).n_flows, lent);
	atomic_store(&uplink.is_stuck, false);
	settle(w);
	path_world_pass(w, WORLD_S, 10 * WORLD_MS);
	cr_expect_eq(stats_of(w).n_flows, 0);
	path_world_destroy(w);
}
