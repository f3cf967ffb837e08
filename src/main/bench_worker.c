/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_worker.h"

#include "bench_instructions.h"

#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/classify/learner.h>
#include <weir/control/apply.h>
#include <weir/port/frames.h>
#include <weir/port/memory.h>

#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MTU_DEFAULT = 1500,
	STEP_US = 10, /* of the virtual clock, for established flows */
	STEPS_A_LOOK = 16,
	NEW_ROUND = 2,     /* flows of the source for each that lives */
	FLOWS_A_HOST = 16, /* with so many, each worker has one of each host */
};

#define SEED        1
#define EMPTY_STEPS 4 /* without a packet: all that was fed has gone through */
#define HOUR_US     (3600ull * US_PER_S)

static const struct mac_addr gateway_mac = {{0x02, 0, 0, 0, 1, 0xfe}};

static int fail(struct bench_worker *w, int error, const char *what)
{
	snprintf(w->error, sizeof(w->error), "%s: %s", what, strerror(-error));
	return error;
}

static uint64_t now_us(struct bench_worker *w)
{
	if (!w->virtual_clock)
		return clock_now_us();
	w->virtual_us += w->step_us;
	return w->virtual_us;
}

/* Host h of the LAN; the gateway's own address is left out. */
static uint32_t host_of(const struct bench_worker *w, uint32_t h)
{
	const struct ip_prefix *lan = &w->path_config->ports[w->lan].address;
	uint32_t mask = ntohl(ip_v4_mask(lan->len_bits));
	uint32_t gateway = ip_addr_v4_host(&lan->addr);
	uint32_t addr = (gateway & mask) + 1 + h;

	return htonl(addr >= gateway ? addr + 1 : addr);
}

static uint32_t n_hosts(const struct bench_worker *w)
{
	uint32_t host_mask = ~ntohl(ip_v4_mask(w->path_config->ports[w->lan].address.len_bits));

	return host_mask < BENCH_HOSTS_MAX + 3 ? (host_mask > 3 ? host_mask - 2 : 1)
					       : BENCH_HOSTS_MAX;
}

static void count_flows(struct bench_worker *w)
{
	uint32_t n = w->what->new_flows ? NEW_ROUND * w->what->n_flows : w->what->n_flows;

	w->flows = (struct bench_flows){.n = n, .worker = w->id, .n_workers = w->what->n_workers};
	w->n_flows = 0;
	for (uint32_t i = 0; i < n; i++)
		w->n_flows += bench_flows_has(&w->flows, i);
}

/* ---- frames ---- */

static void init_sources(struct bench_worker *w)
{
	const struct port *lan = w->ports[w->lan];
	const struct port *uplink = w->ports[w->uplink];
	struct frames_udp up = {.src_mac = bench_mac_of(0),
		.dst_mac = lan->mac,
		.vlan = w->path_config->ports[w->lan].vlan};
	struct frames_udp down = {.src_mac = gateway_mac,
		.dst_mac = uplink->mac,
		.vlan = w->path_config->ports[w->uplink].vlan};

	w->flows.n_hosts = n_hosts(w);
	for (uint32_t h = 0; h < w->flows.n_hosts; h++)
		w->flows.hosts_be[h] = host_of(w, h);
	bench_source_init(
		&w->sources[UPLINK], &w->flows, UPLINK, lan->framing, &up, w->what->frame_octets);
	bench_source_init(&w->sources[DOWNLINK], &w->flows, DOWNLINK, uplink->framing, &down,
		w->what->frame_octets);
}

/* Downlink frames are addressed to the mappings that uplink packets have made. */
static int find_mappings(struct bench_worker *w)
{
	struct ip_addr external;

	for (uint32_t i = 0; i < w->flows.n; i++) {
		struct bench_endpoints e = bench_flows_endpoints(&w->flows, i);
		struct ip_addr internal = ip_addr_v4(e.internal_be);
		uint16_t *port = &w->flows.external_ports[e.endpoint];

		if (*port != 0 || !bench_flows_has(&w->flows, i))
			continue;
		if (!doors_mapping_find(
			    w->path, PROTO_UDP, &internal, e.internal_port, &external, port))
			return -ENOENT;
		w->flows.external_be = external.words[3];
	}
	return 0;
}

uint32_t bench_worker_step(struct bench_worker *w)
{
	return path_step(w->path, now_us(w));
}

__attribute__((noinline)) void bench_worker_take_records(struct bench_worker *w)
{
	struct flow_record records[16];

	while (doors_records_take(w->path, records, 16) == 16)
		;
}

/* While a sender has much to do, the worker receives nothing. */
static bool is_lent(const struct bench_worker *w)
{
	struct path_sender_stats senders[SENDERS_MAX];

	for (uint32_t i = doors_senders_read(w->path, senders); i-- > 0;)
		if (senders[i].lent > 0)
			return true;
	return false;
}

/* Steps until all that was fed has gone through. */
static void settle(struct bench_worker *w)
{
	int n_empty = 0;

	while (n_empty < EMPTY_STEPS) {
		n_empty = bench_worker_step(w) > 0 || is_lent(w) ? 0 : n_empty + 1;
		bench_worker_take_records(w);
	}
}

static void start(
	struct bench_worker *w, enum direction d, uint32_t limit, uint64_t n_rounds, bool is_random)
{
	bench_source_start(&w->sources[d], w->ports[d == UPLINK ? w->lan : w->uplink], limit,
		n_rounds, is_random);
}

/* A frame of each flow below number `limit`, in their order, through the path. */
static void play(struct bench_worker *w, enum direction d, uint32_t limit, uint64_t n_rounds)
{
	start(w, d, limit, n_rounds, false);
	settle(w);
}

/* ---- the path ---- */

static enum link_framing framing_of(const struct config_port *p)
{
	if (p->framing == CONFIG_FRAMING_AUTO)
		return p->link == LINK_CELLULAR ? FRAMING_RAW_IP : FRAMING_ETHERNET;
	return p->framing == CONFIG_FRAMING_RAW_IP ? FRAMING_RAW_IP : FRAMING_ETHERNET;
}

static uint8_t first_port(const struct config *c, enum port_role role)
{
	for (uint8_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].role == role && ip_addr_is_v4(&c->ports[i].address.addr))
			return i;
	return PORT_NONE;
}

static int open_ports(struct bench_worker *w, const struct path_config *pc)
{
	for (uint32_t i = 0; i < pc->n_ports; i++) {
		bool is_uplink = pc->ports[i].role == PORT_UPLINK;
		struct memory_port_params params = {
			.name = pc->ports[i].name,
			.framing = is_uplink ? framing_of(&w->config->ports[i]) : FRAMING_ETHERNET,
			.mac = {{0x02, 0, 0, 0, 0, (uint8_t)(i + 1)}},
			.mtu = pc->ports[i].mtu != 0 ? pc->ports[i].mtu : MTU_DEFAULT,
			.pool = w->pool,
			.n_senders = w->what->n_senders,
		};
		int rc = memory_port_open(&params, &w->ports[i]);

		if (rc != 0)
			return rc;
		if (!w->is_counted)
			bench_time_port(&w->timed_ports[i], w->ports[i], &w->port_ticks);
	}
	return 0;
}

/* Time passes at the pace at which the flows that live are as many as wanted. */
static void set_new_flows(struct bench_worker *w, struct path_config *pc)
{
	uint64_t life_us = BENCH_NEW_LIFE_US + BENCH_NEW_LATE_US;

	w->virtual_clock = true;
	w->step_us = RTE_MAX(PORT_BURST_MAX * life_us / w->what->n_flows, (uint64_t)1);
	pc->timeouts.udp_one_way_ms = BENCH_NEW_LIFE_US / US_PER_MS;
	pc->new_flows_per_s = 0;
}

static int open_path(struct bench_worker *w, bool profile)
{
	uint32_t n_workers = w->what->n_workers;
	struct path_setup setup;
	struct path_config *pc;
	uint32_t n_flows_room;
	uint16_t slice;
	int rc = config_to_path(w->config, &setup, &pc);

	if (rc != 0)
		return rc;
	w->path_config = pc;
	rc = open_ports(w, pc);
	if (rc != 0)
		goto err_config;
	slice = (uint16_t)((1u + setup.nat_port_max - setup.nat_port_min) / n_workers);
	setup.nat_port_min = (uint16_t)(setup.nat_port_min + slice * w->id);
	setup.nat_port_max = (uint16_t)(setup.nat_port_min + slice - 1);
	setup.seed = SEED + w->id;
	/* With room to spare: a host may have a quarter as many flows as are free. */
	n_flows_room = w->what->new_flows ? w->what->n_flows + w->what->n_flows / 2 : w->n_flows;
	n_flows_room += (w->n_flows / n_hosts(w) + 1) * 5;
	if (setup.flow_capacity < n_flows_room)
		setup.flow_capacity = n_flows_room;
	if (setup.device_capacity < BENCH_HOSTS_MAX)
		setup.device_capacity = BENCH_HOSTS_MAX;
	if (setup.neighbor_capacity < BENCH_HOSTS_MAX + 2)
		setup.neighbor_capacity = BENCH_HOSTS_MAX + 2;
	pc->flows_per_device = setup.flow_capacity;
	if (w->what->new_flows)
		set_new_flows(w, pc);
	setup.neighbor_reachable_us = HOUR_US;
	setup.profile = profile;
	setup.n_senders = w->what->n_senders;
	setup.pool = w->pool;
	memcpy(setup.ports, w->ports, sizeof(setup.ports));
	rc = path_create(&setup, pc, now_us(w), &w->path);
	if (rc == 0)
		return 0;

err_config:
	path_config_destroy(pc);
	return rc;
}

/* ---- flows through the path ---- */

/* The hosts answer ARP: each is asked for by a packet to it, and then says where it is. */
static int teach_hosts(struct bench_worker *w)
{
	static const uint32_t only[] = {0};
	uint8_t frame[FRAMES_ARP_BYTES_MAX];
	const uint8_t *frames[] = {frame};
	const struct path_port *lan = &w->path_config->ports[w->lan];
	uint32_t n = RTE_MIN(FLOWS_A_HOST * n_hosts(w), w->flows.n);

	if (w->ports[w->lan]->framing != FRAMING_ETHERNET)
		return 0;
	play(w, DOWNLINK, n, 1);
	for (uint32_t h = 0; h < n_hosts(w); h++) {
		struct ip_addr host = ip_addr_v4(w->flows.hosts_be[h]);
		struct mac_addr mac = bench_mac_of(w->flows.hosts_be[h]);
		uint16_t len = frames_build_arp_reply(
			frame, lan->vlan, &host, &mac, &lan->address.addr, &w->ports[w->lan]->mac);

		memory_port_feed(w->ports[w->lan], frames, &len, only, 1, 1);
		settle(w);
	}
	return 0;
}

/* So does the next hop of an Ethernet uplink. */
static void teach_gateway(struct bench_worker *w)
{
	static const uint32_t only[] = {0};
	const struct path_port *uplink = &w->path_config->ports[w->uplink];
	uint8_t frame[FRAMES_ARP_BYTES_MAX];
	const uint8_t *frames[] = {frame};
	uint16_t len;

	if (w->ports[w->uplink]->framing != FRAMING_ETHERNET || ip_addr_is_unset(&uplink->gateway))
		return;
	play(w, UPLINK, w->what->new_flows ? 1 : w->flows.n, 1);
	len = frames_build_arp_reply(frame, uplink->vlan, &uplink->gateway, &gateway_mac,
		&uplink->address.addr, &w->ports[w->uplink]->mac);
	memory_port_feed(w->ports[w->uplink], frames, &len, only, 1, 1);
	settle(w);
}

/* Where names are looked for, a flow is established once its first packets have been read for them. */
static uint64_t n_first_packets(const struct bench_worker *w)
{
	return w->path_config->names != NULL ? LEARN_PACKETS_MAX : 1;
}

static int set_up_flows(struct bench_worker *w)
{
	int rc;

	init_sources(w);
	teach_gateway(w);
	if (w->what->new_flows) {
		start(w, UPLINK, w->flows.n, 0, true);
		return 0;
	}
	play(w, UPLINK, w->flows.n, n_first_packets(w));
	if (find_mappings(w) != 0)
		return fail(w, -ENOENT, "a flow could not be set up");
	rc = teach_hosts(w);
	if (rc != 0)
		return fail(w, rc, "hosts");
	play(w, DOWNLINK, w->flows.n, 1);
	for (uint32_t d = 0; d < N_DIRECTIONS; d++)
		if (w->what->feeds[d])
			start(w, d, w->flows.n, 0, true);
	return 0;
}

/* ---- senders ---- */

int bench_cpu_of(uint32_t n)
{
	cpu_set_t cpus;

	if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) != 0)
		return 0;
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &cpus) && n-- == 0)
			return (int)i;
	return 0;
}

static void *send_lent(void *arg)
{
	const struct bench_sender *s = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned)s->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	rte_thread_register(); /* without it freeing is slower */
	path_send(s->path, s->id);
	rte_thread_unregister();
	return NULL;
}

static int start_senders(struct bench_worker *w)
{
	const struct bench_case *what = w->what;

	while (w->n_senders < what->n_senders) {
		struct bench_sender *s = &w->senders[w->n_senders];
		uint32_t core = what->n_workers + w->id * what->n_senders + w->n_senders;

		*s = (struct bench_sender){
			.path = w->path, .id = w->n_senders, .cpu = bench_cpu_of(core)};
		if (pthread_create(&s->thread, NULL, send_lent, s) != 0)
			return -EAGAIN;
		w->n_senders++;
	}
	return 0;
}

static void stop_senders(struct bench_worker *w)
{
	if (w->n_senders > 0)
		doors_senders_stop(w->path);
	while (w->n_senders > 0)
		pthread_join(w->senders[--w->n_senders].thread, NULL);
}

int bench_worker_open(struct bench_worker *w, bool profile)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	int rc;

	w->step_us = STEP_US;
	w->lan = first_port(w->config, PORT_LAN);
	w->uplink = first_port(w->config, PORT_UPLINK);
	if (w->lan == PORT_NONE || w->uplink == PORT_NONE)
		return fail(w, -EINVAL,
			"needs a LAN port and an uplink port, each with an IPv4 address");
	snprintf(name, sizeof(name), "bench%u", w->id);
	w->pool = path_pool_create(name, BENCH_MBUFS, BENCH_ROOM_BYTES, false);
	if (w->pool == NULL)
		return fail(w, -ENOMEM, "packet buffers");
	count_flows(w);
	rc = open_path(w, profile);
	if (rc != 0)
		return fail(w, rc, "the path");
	rc = start_senders(w);
	if (rc != 0)
		return fail(w, rc, "senders");
	return w->n_flows == 0 ? 0 : set_up_flows(w);
}

void bench_worker_close(struct bench_worker *w)
{
	stop_senders(w);
	path_destroy(w->path);
	w->path = NULL;
	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		port_close(w->ports[i]);
		w->ports[i] = NULL;
	}
	rte_mempool_free(w->pool);
	w->pool = NULL;
}

/* ---- measuring ---- */

struct bench_sample bench_worker_run(struct bench_worker *w, uint64_t ticks)
{
	struct bench_port_ticks before = w->port_ticks;
	struct bench_instructions counter;
	struct bench_sample s = {0};
	uint64_t start;

	bench_instructions_begin(&counter);
	start = clock_tsc();
	do {
		for (int i = 0; i < STEPS_A_LOOK; i++)
			s.packets += bench_worker_step(w);
		s.ticks = clock_tsc() - start;
	} while (s.ticks < ticks);
	s.instructions = bench_instructions_end(&counter);
	s.source = bench_port_ticks_since(&w->port_ticks, &before);
	return s;
}

static uint32_t move(struct bench_worker *w, enum direction d)
{
	struct port *from = w->ports[d == UPLINK ? w->lan : w->uplink];
	struct port *to = w->ports[d == UPLINK ? w->uplink : w->lan];
	struct rte_mbuf *pkts[PORT_BURST_MAX];
	uint16_t n;

	if (!w->what->feeds[d])
		return 0;
	n = from->ops->rx(from, pkts, PORT_BURST_MAX);
	to->ops->tx(to, pkts, n);
	return n;
}

struct bench_sample bench_worker_run_source(struct bench_worker *w, uint64_t ticks)
{
	struct bench_instructions counter;
	struct bench_sample s = {0};
	uint64_t start;

	bench_instructions_begin(&counter);
	start = clock_tsc();
	do {
		for (int i = 0; i < STEPS_A_LOOK; i++)
			for (uint32_t d = 0; d < N_DIRECTIONS; d++)
				s.packets += move(w, d);
		s.ticks = clock_tsc() - start;
	} while (s.ticks < ticks);
	s.instructions = bench_instructions_end(&counter);
	return s;
}

__attribute__((noinline)) uint64_t bench_counted(struct bench_worker *w, uint64_t n_packets)
{
	uint64_t n = 0;

	while (n < n_packets) {
		n += bench_worker_step(w);
		if (w->what->new_flows)
			bench_worker_take_records(w);
	}
	return n;
}

uint64_t bench_worker_n_dropped(const struct bench_worker *w)
{
	struct path_stats stats;
	uint64_t n = 0;

	doors_stats_read(w->path, &stats);
	for (int i = DROP_NONE + 1; i < N_DROP_REASONS; i++)
		n += i == DROP_ARP_DONE ? 0 : stats.drops[i];
	return n;
}
