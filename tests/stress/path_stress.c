/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker, and senders beside it if so many are asked for, runs its loop while control reads, lists, publishes and takes at full
 * speed, and stops it while it does. What must hold: no race that TSan sees, conservation, and records that add up to what
 * crossed the uplink.
 *
 *     path_stress [SENDERS]
 */
#include <weir/base/clock.h>
#include <weir/packet/bytes.h>
#include <weir/packet/checksum.h>
#include <weir/path/doors.h>
#include <weir/port/memory.h>

#include <rte_eal.h>
#include <rte_mempool.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FRAMES    256
#define FRAME_BYTES 92
#define IP_OCTETS   (FRAME_BYTES - 14)
#define N_ROUNDS    400
#define N_MBUFS     4095

static const struct mac_addr lan_mac = {{0x02, 0, 0, 0, 0, 0x01}};

struct sender {
	struct path *path;
	uint32_t id;
	pthread_t thread;
};

struct stress {
	struct sender senders[SENDERS_MAX];
	uint32_t n_senders;
	struct port_ops uplink_ops;
	struct path *path;
	struct port *lan;
	struct port *uplink;
	uint64_t record_octets;
};

static void demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "path_stress: %s\n", what);
	exit(1);
}

/* UDP from one of 16 hosts and ports each. */
static void write_frame(uint8_t *frame, uint32_t n)
{
	uint8_t *ip = frame + 14;

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, &lan_mac, sizeof(lan_mac));
	frame[6] = 0x02;
	store_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	store_be16(ip + 2, IP_OCTETS);
	ip[8] = 64;
	ip[9] = PROTO_UDP;
	store32(ip + 12, htonl(0xc0a8320au + n % 16));
	store32(ip + 16, htonl(0xc6336407u));
	store16(ip + 10, checksum_of(ip, 20));
	store_be16(ip + 20, (uint16_t)(5000 + n / 16));
	store_be16(ip + 22, 443);
	store_be16(ip + 24, IP_OCTETS - 20);
}

static struct path_config *make_config(uint32_t round)
{
	struct path_config *c = calloc(1, sizeof(*c));

	demand(c != NULL, "no memory");
	c->n_ports = 2;
	c->ports[0] = (struct path_port){.role = PORT_LAN,
		.name = "lan0",
		.address = {.addr = ip_addr_quad(192, 168, 50, 1), .len_bits = 24},
		.peer = PORT_NONE,
		.plan_id = PLAN_NONE};
	c->ports[1] = (struct path_port){.role = PORT_UPLINK,
		.name = "wwan0",
		.address = {.addr = ip_addr_quad(203, 0, 113, 5), .len_bits = 32},
		.peer = PORT_NONE,
		.plan_id = PLAN_NONE,
		.uplink_bps = round % 3 == 0 ? 0 : 1000000ull * (round % 7 + 1),
		.queue_us = 20000};
	/* Short, so that flows come and go. */
	c->timeouts = (struct flow_timeouts){
		.udp_ms = round % 3, .udp_one_way_ms = round % 3, .icmp_ms = 5, .other_ms = 5};
	c->flows_per_device = 8 + round % 16;
	c->icmp_errors_per_s = 100;
	demand(ruleset_create(NULL, 0, &c->rules) == 0, "ruleset");
	demand(classes_create(NULL, 0, &c->classes) == 0, "classes");
	return c;
}

static void *work(void *argument)
{
	path_run(argument);
	return NULL;
}

static void *send_lent(void *argument)
{
	const struct sender *sender = argument;

	path_send(sender->path, sender->id);
	return NULL;
}

static uint16_t (*memory_tx_lane)(
	struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n);

/* The memory port's, but a part of each seventh burst comes back. */
static uint16_t refuse_some(struct port *p, uint32_t lane, struct rte_mbuf **pkts, uint16_t n)
{
	static _Atomic uint32_t n_bursts;

	if (atomic_fetch_add(&n_bursts, 1) % 7 == 0)
		n /= 2;
	return memory_tx_lane(p, lane, pkts, n);
}

static void take_records(struct stress *s)
{
	struct flow_record records[64];
	uint32_t n;

	while ((n = doors_records_take(s->path, records, 64)) > 0)
		for (uint32_t i = 0; i < n; i++)
			s->record_octets += records[i].octet_delta_count[UPLINK];
}

static void read_all(struct stress *s)
{
	static struct path_stats stats;
	struct path_event events[64];
	struct flow_view views[32];
	struct device devices[32];
	uint32_t cursor = 0;

	while (cursor != FLOW_NONE) {
		int n = doors_flows_read(s->path, &cursor, views, 32);

		if (n == -ETIMEDOUT)
			continue; /* the machine is busy: nothing was read, and the place is kept */
		demand(n >= 0, "a listing failed");
		for (int i = 0; i < n; i++)
			demand(views[i].record.remote_port == 443,
				"a listing shows what is no flow");
	}
	doors_stats_read(s->path, &stats);
	demand(stats.conservation_errors == 0, "conservation");
	doors_devices_read(s->path, 0, devices, 32);
	doors_events_take(s->path, events, 64);
	take_records(s);
}

static void open_ports(struct stress *s, struct rte_mempool *pool)
{
	struct memory_port_params lan = {.name = "lan0",
		.framing = FRAMING_ETHERNET,
		.mac = lan_mac,
		.mtu = 1500,
		.n_senders = s->n_senders,
		.pool = pool};
	struct memory_port_params uplink = {.name = "wwan0",
		.framing = FRAMING_RAW_IP,
		.mtu = 1500,
		.n_senders = s->n_senders,
		.pool = pool};
	static uint8_t bytes[N_FRAMES][FRAME_BYTES];
	static const uint8_t *frames[N_FRAMES];
	static uint16_t lens[N_FRAMES];
	static uint32_t order[N_FRAMES];

	demand(memory_port_open(&lan, &s->lan) == 0 && memory_port_open(&uplink, &s->uplink) == 0,
		"ports");
	s->uplink_ops = *s->uplink->ops;
	memory_tx_lane = s->uplink_ops.tx_lane;
	s->uplink_ops.tx_lane = refuse_some;
	s->uplink->ops = &s->uplink_ops;
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		write_frame(bytes[i], i);
		frames[i] = bytes[i];
		lens[i] = FRAME_BYTES;
		order[i] = i;
	}
	memory_port_feed(s->lan, frames, lens, order, N_FRAMES, 0);
}

static void finish(struct stress *s, struct rte_mempool *pool)
{
	static struct path_stats stats;

	while (!path_end_flows(s->path, FLOW_END_FORCED, clock_now_us()))
		take_records(s);
	doors_senders_stop(s->path);
	for (uint32_t i = 0; i < s->n_senders; i++)
		pthread_join(s->senders[i].thread, NULL);
	take_records(s);
	doors_stats_read(s->path, &stats);
	demand(stats.flows_created > 16 && stats.flows_created == stats.flows_ended,
		"flows are left");
	demand(stats.n_mappings == 0, "mappings are left");
	demand(s->record_octets + stats.unattributed_octets[1][UPLINK]
			== stats.edge_octets[1][UPLINK],
		"records do not add up to the edge");
	demand(s->n_senders == 0 || stats.drops[DROP_TX_REFUSED] > 0, "nothing came back");
	path_destroy(s->path);
	port_close(s->lan);
	port_close(s->uplink);
	demand(rte_mempool_avail_count(pool) == N_MBUFS, "buffers are lost");
	printf("path_stress: %lu packets, %lu flows\n", stats.edge_packets[1][UPLINK],
		stats.flows_created);
}

int main(int argc, char **argv)
{
	static char *args[] = {(char *)(uintptr_t) "stress", (char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "--no-pci", (char *)(uintptr_t) "--no-shconf",
		(char *)(uintptr_t) "--no-telemetry", (char *)(uintptr_t) "--log-level=*:4",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t) "64", (char *)(uintptr_t) "--lcores",
		(char *)(uintptr_t) "0"};
	struct stress s = {0};
	struct path_setup setup = {.seed = 1,
		.flow_capacity = 200,
		.device_capacity = 12,
		.neighbor_capacity = 16,
		.fragment_capacity = 16,
		.fragment_timeout_us = 1000000,
		.nat_port_min = 1024,
		.nat_port_max = 65535,
		.neighbor_reachable_us = 1000000,
		.virtual_clock = true};
	pthread_t worker;

	demand(rte_eal_init(10, args) >= 0, "EAL");
	clock_init();
	s.n_senders = setup.n_senders = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	setup.pool = path_pool_create("stress", N_MBUFS, 2048, false);
	demand(setup.pool != NULL, "pool");
	open_ports(&s, setup.pool);
	setup.ports[0] = s.lan;
	setup.ports[1] = s.uplink;
	demand(path_create(&setup, make_config(0), clock_now_us(), &s.path) == 0, "path");
	demand(pthread_create(&worker, NULL, work, s.path) == 0, "thread");
	for (uint32_t i = 0; i < s.n_senders; i++) {
		s.senders[i] = (struct sender){.path = s.path, .id = i};
		demand(pthread_create(&s.senders[i].thread, NULL, send_lent, &s.senders[i]) == 0,
			"thread");
	}
	for (uint32_t round = 1; round < N_ROUNDS; round++) {
		if (round == N_ROUNDS - 20)
			doors_stop(
				s.path); /* the rest meets a worker that is leaving, or has left */
		doors_publish(s.path, make_config(round));
		read_all(&s);
	}
	pthread_join(worker, NULL);
	finish(&s, setup.pool);
	return 0;
}
