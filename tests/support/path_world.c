/* SPDX-License-Identifier: BSD-3-Clause */
#include "path_world.h"

#include <weir/packet/bytes.h>
#include <weir/port/memory.h>

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <stdlib.h>

#define N_MBUFS 4095
#define ROOM    2048

const struct mac_addr world_macs[WORLD_PORTS] = {
	[WORLD_LAN] = {{0x02, 0, 0, 0, 0, 0x01}},
	[WORLD_UPLINK] = {{0x02, 0, 0, 0, 0, 0x04}},
	[WORLD_TAP] = {{0x02, 0, 0, 0, 0, 0x01}},
	[WORLD_LAN2] = {{0x02, 0, 0, 0, 0, 0x03}},
};

static struct rte_mempool *create_pool(void)
{
	static char *args[] = {(char *)(uintptr_t) "test", (char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "--no-pci", (char *)(uintptr_t) "--no-shconf",
		(char *)(uintptr_t) "--no-telemetry", (char *)(uintptr_t) "--log-level=*:4",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t) "64", (char *)(uintptr_t) "--lcores",
		(char *)(uintptr_t) "0"};
	static struct rte_mempool *pool;

	/* EAL starts once a process; a later world of the same test goes on with the same pool. */
	if (pool != NULL)
		return pool;
	cr_assert_geq(rte_eal_init(10, args), 0);
	pool = path_pool_create("world", N_MBUFS, ROOM, false);
	cr_assert_not_null(pool);
	return pool;
}

static struct path_config *default_config(bool is_uplink_ethernet)
{
	struct path_config *c = calloc(1, sizeof(*c));

	cr_assert_not_null(c);
	c->n_ports = WORLD_PORTS;
	c->ports[WORLD_LAN] = (struct path_port){
		.role = PORT_LAN,
		.name = "lan0",
		.address = {.addr = ip_addr_v4(WORLD_LAN_BE), .len_bits = 24},
		.peer = WORLD_TAP,
		.plan_id = PLAN_NONE,
	};
	c->ports[WORLD_TAP] = c->ports[WORLD_LAN];
	c->ports[WORLD_TAP].role = PORT_TAP;
	c->ports[WORLD_TAP].peer = WORLD_LAN;
	c->ports[WORLD_LAN2] = (struct path_port){
		.role = PORT_LAN,
		.name = "lan1",
		.address = {.addr = ip_addr_v4(WORLD_LAN2_BE), .len_bits = 24},
		.peer = PORT_NONE,
		.plan_id = PLAN_NONE,
	};
	c->ports[WORLD_UPLINK] = (struct path_port){
		.role = PORT_UPLINK,
		.name = "wwan0",
		.address = {.addr = ip_addr_v4(WORLD_UPLINK_BE),
			.len_bits = is_uplink_ethernet ? 24 : 32},
		.peer = PORT_NONE,
		.plan_id = PLAN_NONE,
		.queue_us = WORLD_S,
	};
	if (is_uplink_ethernet)
		c->ports[WORLD_UPLINK].gateway = ip_addr_v4(WORLD_GATEWAY_BE);
	c->filtering = NAT_FILTER_ADDRESS_DEPENDENT;
	c->timeouts = (struct flow_timeouts){
		.tcp_established_ms = 7440 * 1000,
		.tcp_transitory_ms = 240 * 1000,
		.tcp_closed_ms = 10 * 1000,
		.udp_ms = 300 * 1000,
		.udp_one_way_ms = 120 * 1000,
		.icmp_ms = 60 * 1000,
		.other_ms = 60 * 1000,
	};
	c->flows_per_device = 512;
	c->icmp_errors_per_s = 1000;
	cr_assert_eq(ruleset_create(NULL, 0, &c->rules), 0);
	cr_assert_eq(classes_create(NULL, 0, &c->classes), 0);
	return c;
}

static struct port *open_port(
	const struct path_world *w, enum world_port id, const struct path_world_params *params)
{
	static const char *const names[WORLD_PORTS] = {"lan0", "wwan0", "tap0", "lan1"};
	bool is_uplink = id == WORLD_UPLINK;
	struct memory_port_params p = {
		.name = names[id],
		.framing = is_uplink && !params->is_uplink_ethernet ? FRAMING_RAW_IP
								    : FRAMING_ETHERNET,
		.mac = world_macs[id],
		.mtu = 1500,
		.pool = w->pool,
		.n_kept = is_uplink && params->n_sent_max != 0 ? params->n_sent_max : 1024,
	};
	struct port *port;

	cr_assert_eq(memory_port_open(&p, &port), 0);
	return port;
}

static void *send_lent(void *sender)
{
	const struct path_world_sender *s = sender;

	path_send(s->path, s->id);
	return NULL;
}

static void start_senders(struct path_world *w)
{
	while (w->n_senders < w->setup.n_senders) {
		struct path_world_sender *s = &w->senders[w->n_senders];

		*s = (struct path_world_sender){.path = w->path, .id = w->n_senders++};
		cr_assert_eq(pthread_create(&s->thread, NULL, send_lent, s), 0);
	}
}

static void stop_senders(struct path_world *w)
{
	doors_senders_stop(w->path);
	while (w->n_senders > 0)
		pthread_join(w->senders[--w->n_senders].thread, NULL);
}

struct path_world *path_world_create(const struct path_world_params *params)
{
	static const struct path_world_params none;
	struct path_world *w = calloc(1, sizeof(*w));
	struct path_config *config;

	cr_assert_not_null(w);
	if (params == NULL)
		params = &none;
	w->pool = create_pool();
	w->now_us = 1000 * WORLD_S;
	config = default_config(params->is_uplink_ethernet);
	w->setup = (struct path_setup){
		.seed = 1,
		.flow_capacity = 4096,
		.device_capacity = 32,
		.neighbor_capacity = 64,
		.fragment_capacity = 64,
		.fragment_timeout_us = 10 * WORLD_S,
		.nat_port_min = 1024,
		.nat_port_max = 65535,
		.neighbor_reachable_us = 30 * WORLD_S,
		.virtual_clock = !params->is_asking,
		.n_senders = params->n_senders,
		.pool = w->pool,
	};
	for (enum world_port i = 0; i < WORLD_PORTS; i++)
		w->ports[i] = w->setup.ports[i] = open_port(w, i, params);
	if (params->tune != NULL)
		params->tune(&w->setup, config);
	cr_assert_eq(path_create(&w->setup, config, w->now_us, &w->path), 0);
	start_senders(w);
	return w;
}

struct path_config *path_world_config(const struct path_world *w)
{
	struct path_config *c = malloc(sizeof(*c));

	cr_assert_not_null(c);
	*c = *doors_config(w->path);
	c->groups = NULL;
	c->names = NULL;
	cr_assert_eq(ruleset_create(NULL, 0, &c->rules), 0);
	cr_assert_eq(classes_create(NULL, 0, &c->classes), 0);
	return c;
}

/* Hairpinned flows are led over the uplink's address and never cross it. */
static bool is_across_uplink(const struct flow_record *r)
{
	return r->wan_port == WORLD_UPLINK && r->remote.words[3] != WORLD_UPLINK_BE;
}

static void take_records(struct path_world *w)
{
	struct flow_record batch[64];
	uint32_t n;

	while ((n = doors_records_take(w->path, batch, 64)) > 0)
		for (uint32_t i = 0; i < n; i++) {
			if (w->n_records < WORLD_RECORDS_MAX)
				w->records[w->n_records++] = batch[i];
			if (!is_across_uplink(&batch[i]))
				continue;
			for (int d = 0; d < N_DIRECTIONS; d++) {
				w->record_octets[d] += batch[i].octet_delta_count[d];
				w->record_packets[d] += batch[i].packet_delta_count[d];
			}
		}
}

static void check_sums(struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	cr_expect_eq(s.n_flows, 0);
	cr_expect_eq(s.n_mappings, 0, "%u mappings are left", s.n_mappings);
	cr_expect_eq(s.flows_created, s.flows_ended);
	cr_expect_eq(s.records_lost, 0);
	cr_expect_eq(s.conservation_errors, 0);
	for (int d = 0; d < N_DIRECTIONS; d++) {
		cr_expect_eq(w->record_octets[d] + s.unattributed_octets[WORLD_UPLINK][d],
			s.edge_octets[WORLD_UPLINK][d], "direction %d: %lu + %lu != %lu", d,
			w->record_octets[d], s.unattributed_octets[WORLD_UPLINK][d],
			s.edge_octets[WORLD_UPLINK][d]);
		cr_expect_eq(w->record_packets[d] + s.unattributed_packets[WORLD_UPLINK][d],
			s.edge_packets[WORLD_UPLINK][d], "direction %d: %lu + %lu != %lu", d,
			w->record_packets[d], s.unattributed_packets[WORLD_UPLINK][d],
			s.edge_packets[WORLD_UPLINK][d]);
	}
	for (uint32_t i = 0; i < s.n_stages; i++)
		cr_expect_eq(s.stages[i].held, 0, "%s", s.stages[i].name);
	/* A raw IP link carries nothing but what is counted. */
	if (w->ports[WORLD_UPLINK]->framing == FRAMING_RAW_IP) {
		struct port_counters counters;

		port_counters_read(w->ports[WORLD_UPLINK], &counters);
		cr_expect_eq(s.edge_octets[WORLD_UPLINK][UPLINK], counters.tx_bytes);
		cr_expect_eq(s.edge_octets[WORLD_UPLINK][DOWNLINK], counters.rx_bytes);
	}
}

void path_world_destroy(struct path_world *w)
{
	uint32_t n_devices;
	struct device devices[64];

	for (enum world_port i = 0; i < WORLD_PORTS; i++)
		path_world_discard(w, i);
	take_records(w);
	while (!path_end_flows(w->path, FLOW_END_FORCED, w->now_us))
		take_records(w);
	take_records(w);
	stop_senders(w);
	check_sums(w);
	n_devices = doors_devices_read(w->path, 0, devices, 64);
	for (uint32_t i = 0; i < n_devices; i++)
		cr_expect_eq(devices[i].n_flows, 0, "device %u", i);
	path_destroy(w->path);
	for (enum world_port i = 0; i < WORLD_PORTS; i++)
		port_close(w->ports[i]);
	cr_expect_eq(rte_mempool_avail_count(w->pool), N_MBUFS, "%u buffers are lost",
		N_MBUFS - rte_mempool_avail_count(w->pool));
	free(w);
}

void path_world_put_frame(struct path_world *w, enum world_port port, struct packet frame)
{
	cr_assert_lt(w->n_pending[port], PORT_BURST_MAX);
	cr_assert_leq(frame.len_bytes, ROOM);
	w->pending[port][w->n_pending[port]++] = frame;
}

void path_world_put(struct path_world *w, enum world_port port, const struct packet_spec *spec)
{
	struct packet_spec s = *spec;

	s.framing = w->ports[port]->framing;
	path_world_put_frame(w, port, packet_build(&s));
}

static void check_conservation(const struct path_world *w)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	for (uint32_t i = 0; i < s.n_stages && s.conservation_errors != 0; i++)
		cr_log_error("%s: in %lu out %lu dropped %lu aside %lu held %ld", s.stages[i].name,
			s.stages[i].in, s.stages[i].out, s.stages[i].dropped, s.stages[i].aside,
			s.stages[i].held);
	cr_assert_eq(s.conservation_errors, 0);
}

void path_world_step(struct path_world *w)
{
	const uint8_t *frames[WORLD_PORTS][PORT_BURST_MAX];
	uint16_t lens[WORLD_PORTS][PORT_BURST_MAX];
	uint32_t order[PORT_BURST_MAX];

	for (uint32_t i = 0; i < PORT_BURST_MAX; i++)
		order[i] = i;
	for (uint32_t port = 0; port < WORLD_PORTS; port++) {
		for (uint32_t i = 0; i < w->n_pending[port]; i++) {
			frames[port][i] = w->pending[port][i].bytes;
			lens[port][i] = (uint16_t)w->pending[port][i].len_bytes;
		}
		memory_port_feed(
			w->ports[port], frames[port], lens[port], order, w->n_pending[port], 1);
	}
	path_step(w->path, w->now_us);
	check_conservation(w);
	if (!w->is_filling_ring)
		take_records(w);
	for (uint32_t port = 0; port < WORLD_PORTS; port++) {
		memory_port_feed(w->ports[port], NULL, NULL, NULL, 0, 1);
		while (w->n_pending[port] > 0)
			packet_clean(&w->pending[port][--w->n_pending[port]]);
	}
}

void path_world_pass(struct path_world *w, uint64_t span_us, uint64_t step_us)
{
	uint64_t end_us = w->now_us + span_us;

	while (w->now_us < end_us) {
		w->now_us += step_us < end_us - w->now_us ? step_us : end_us - w->now_us;
		path_world_step(w);
	}
}

bool path_world_take_any(struct path_world *w, enum world_port port, struct packet *ret_frame)
{
	struct rte_mbuf *sent = memory_port_take_sent(w->ports[port]);

	if (sent == NULL)
		return false;
	*ret_frame = packet_of_bytes(rte_pktmbuf_mtod(sent, uint8_t *), rte_pktmbuf_data_len(sent),
		w->ports[port]->framing);
	rte_pktmbuf_free(sent);
	return true;
}

static bool is_arp(const struct path_world *w, enum world_port port, const struct packet *p)
{
	return w->ports[port]->framing == FRAMING_ETHERNET && load_be16(p->bytes + 12) == 0x0806;
}

bool path_world_take(struct path_world *w, enum world_port port, struct packet *ret_frame)
{
	while (path_world_take_any(w, port, ret_frame)) {
		if (!is_arp(w, port, ret_frame))
			return true;
		packet_clean(ret_frame);
	}
	return false;
}

uint32_t path_world_discard(struct path_world *w, enum world_port port)
{
	struct packet p;
	uint32_t n = 0;

	for (; path_world_take_any(w, port, &p); n++)
		packet_clean(&p);
	return n;
}

void path_world_limit(struct path_world *w, uint8_t account, uint64_t octets)
{
	struct meter m;

	doors_meter_read(w->path, 0, &m);
	m.limits.accounts[account] = meter_account_used(&m, account) + octets;
	doors_limits_set(w->path, 0, &m.limits);
}

uint64_t path_world_drops(const struct path_world *w, enum drop_reason why)
{
	struct path_stats s;

	doors_stats_read(w->path, &s);
	return s.drops[why];
}

uint64_t path_world_all_drops(const struct path_world *w)
{
	struct path_stats s;
	uint64_t n = 0;

	doors_stats_read(w->path, &s);
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		n += s.drops[i];
	return n;
}

struct packet path_world_pass_one(struct path_world *w, enum world_port in,
	const struct packet_spec *spec, enum world_port out)
{
	struct packet p = {0};
	struct packet second = {0};

	path_world_put(w, in, spec);
	path_world_step(w);
	cr_assert(path_world_take(w, out, &p), "nothing left by %s", w->ports[out]->name);
	cr_assert(
		!path_world_take(w, out, &second), "more than one left by %s", w->ports[out]->name);
	cr_assert(packet_is_checksum_good(&p));
	return p;
}

bool path_world_saw(struct path_world *w, enum path_event_kind kind)
{
	struct path_event events[64];
	bool saw = false;
	uint32_t n;

	while ((n = doors_events_take(w->path, events, 64)) > 0)
		for (uint32_t i = 0; i < n; i++)
			saw |= events[i].kind == kind;
	return saw;
}

uint32_t packet_src_be(const struct packet *p)
{
	return load32(packet_ip(p) + 12);
}

uint32_t packet_dst_be(const struct packet *p)
{
	return load32(packet_ip(p) + 16);
}

uint16_t packet_src_port(const struct packet *p)
{
	return load_be16(packet_l4(p) + (packet_ip(p)[9] == PROTO_ICMP ? 4 : 0));
}

uint16_t packet_dst_port(const struct packet *p)
{
	return load_be16(packet_l4(p) + (packet_ip(p)[9] == PROTO_ICMP ? 4 : 2));
}
