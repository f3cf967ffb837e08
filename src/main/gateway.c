/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway.h"

#include "eal.h"
#include "gateway_budget.h"
#include "gateway_export.h"
#include "gateway_names.h"
#include "gateway_ports.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/base/memory.h>
#include <weir/base/rng.h>
#include <weir/control/apply.h>
#include <weir/control/clocks.h>
#include <weir/control/config.h>
#include <weir/control/drop_watch.h>
#include <weir/control/events.h>
#include <weir/control/link_hint.h>
#include <weir/control/plan_command.h>
#include <weir/control/probe_quota.h>
#include <weir/control/schedule.h>
#include <weir/control/server.h>
#include <weir/control/telemetry.h>
#include <weir/control/unsolicited.h>
#include <weir/port/takeover.h>

#include <rte_lcore.h>
#include <rte_mempool.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MBUF_ROOM_BYTES  2048u
#define MBUF_EXTRA_BYTES 512u  /* headroom, metadata, mbuf, mempool's own */
#define PAGE_BYTES       4096u /* ordinary; larger ones waste no less of theirs */
#define EAL_SPARE_MIB    16u   /* the pool's ring and caches, drivers' tables */
#define DEVICE_SPARE_MIB 16u   /* descriptors of a device that DPDK drives */
#define RECORDS_BATCH    256
#define HOLD_OCTETS      65536 /* as path/housekeeping.c: with more a plan is not spent */
#define EVENTS_BATCH     32
#define GOODBYE_US       (2 * US_PER_S) /* for the collector to take the last records */
#define GOODBYE_LAST_US  (5 * US_PER_MS)
#define GOODBYE_REST_US  500
#define MTU_FRAME_EXTRA  64u /* link-layer header, tags, alignment */

struct gateway_sender {
	struct path *path;
	uint32_t id;
	pthread_t thread;
};

struct gateway {
	char *file;
	struct config *config;
	struct path *path;
	struct rte_mempool *pool;
	struct gateway_ports ports;
	struct gateway_budget *books;
	struct clocks *clocks;
	struct gateway_names names;
	struct unsolicited_watch *unsolicited;
	struct probe_quota *probe_quota;
	struct telemetry *telemetry;
	struct events *events;
	struct server *server;
	struct server *view_server; /* NULL: nobody else may look */
	struct gateway_export export;
	pthread_t worker;
	bool worker_runs;
	struct gateway_sender senders[SENDERS_MAX];
	uint32_t n_senders; /* that run */
	bool eal_runs;
	uint32_t n_reloads;
	struct schedule_state schedules; /* as published */
	int64_t schedules_minute;        /* of the wall clock, when they were looked at */
	uint64_t started_us;
	uint64_t second_us;             /* when the last second's work was done */
	uint64_t n_failures[PORTS_MAX]; /* of each port, when it was up last */
	bool plan_spent[PLANS_MAX];     /* said by the path, and not come true yet */
	struct log_limit event_limits[EVENT_KINDS];
	struct drop_watch drops;
	struct path_stats stats;                   /* for that alone: too large for a stack */
	struct flow_record records[RECORDS_BATCH]; /* between ring and file */
};

static int64_t wall_offset_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * (int64_t)US_PER_S + now.tv_nsec / 1000
	       - (int64_t)clock_now_us();
}

static int64_t wall_now_s(void)
{
	return (wall_offset_us() + (int64_t)clock_now_us()) / (int64_t)US_PER_S;
}

static struct schedule_state schedules_now(const struct config *c)
{
	int64_t wall_s = wall_now_s();

	return schedules_at(c, wall_s, schedule_clock_is_trusted(c->runtime.clock, wall_s));
}

static const char *schedule_text(const struct schedule_state *state, uint32_t id)
{
	if ((state->known >> id & 1) == 0)
		return "unknown";
	return (state->holds >> id & 1) != 0 ? "yes" : "no";
}

/* Tells which schedules are other than they were. */
static void log_schedules(const struct config *c, const struct schedule_state *before,
	const struct schedule_state *now)
{
	uint32_t changed = (before->known ^ now->known) | (before->holds ^ now->holds);
	uint32_t unknown = ~now->known & ((UINT32_C(1) << c->n_schedules) - 1);

	for (uint32_t i = 0; i < c->n_schedules; i++)
		if ((changed >> i & 1) != 0)
			log_event(LOG_NOTICE, "schedule.changed schedule=%s holds=%s",
				c->schedules[i].name, schedule_text(now, i));
	if (unknown != 0 && (changed & unknown) == changed)
		log_event(LOG_WARNING,
			"schedule.unknown schedules=%u effect=\"their rules that deny hold, those "
			"that allow do not\" remedy=\"NTP, a clock chip, or runtime.clock: "
			"trusted\"",
			(unsigned)__builtin_popcount(unknown));
}

static void *worker_main(void *path)
{
	rte_thread_register(); /* for the mempool's cache; without it only slower */
	path_run(path);
	rte_thread_unregister();
	return NULL;
}

static void *sender_main(void *sender)
{
	const struct gateway_sender *s = sender;

	rte_thread_register(); /* what it frees goes through a cache */
	path_send(s->path, s->id);
	rte_thread_unregister();
	return NULL;
}

/* `ret_why`: its first mistake. */
static int load_config(const char *file, struct config **ret_config, struct config_message *ret_why)
{
	struct config_report report = {0};
	int err = config_load(file, CONFIG_CHECK_INTERFACES, ret_config, &report);

	config_report_print(&report, file, stderr);
	*ret_why = (struct config_message){0};
	for (uint32_t i = report.n_messages; i-- > 0;)
		if (report.messages[i].severity == CONFIG_ERROR)
			*ret_why = report.messages[i];
	if (err < 0 && report.n_errors == 0)
		log_event(
			LOG_ERROR, "config.unreadable file=%s error=\"%s\"", file, strerror(-err));
	config_report_clean(&report);
	return err;
}

/* Largest frame that a port may bring. */
static uint16_t room_bytes(const struct config *c)
{
	uint32_t room = MBUF_ROOM_BYTES;

	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].mtu + MTU_FRAME_EXTRA > room)
			room = c->ports[i].mtu + MTU_FRAME_EXTRA;
	return (uint16_t)room;
}

/* Ports whose device reads and writes buffers by itself. */
static uint32_t n_devices(const struct config *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_ports; i++)
		n += config_is_dpdk(&c->ports[i]);
	return n;
}

/* What EAL is to hold for packet buffers and drivers. */
static unsigned memory_mib(const struct config *c)
{
	uint64_t each = room_bytes(c) + MBUF_EXTRA_BYTES;

	if (n_devices(c) > 0)
		each = (each + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	return (unsigned)(config_packet_buffers(c) * each >> 20) + EAL_SPARE_MIB
	       + n_devices(c) * DEVICE_SPARE_MIB;
}

static int start_eal(struct gateway *g)
{
	const struct config *c = g->config;
	uint32_t n_buffers = config_packet_buffers(c);
	unsigned need_mib = memory_mib(c);
	bool huge = c->runtime.huge_pages == HUGE_PAGES_AUTO && eal_huge_mib_free() >= need_mib;
	struct eal_pci pci = {0};
	int err;

	for (uint32_t i = 0; i < c->n_ports && pci.n < EAL_PCI_MAX; i++)
		if (config_device_kind(c->ports[i].device) == DEVICE_PCI)
			pci.addresses[pci.n++] = c->ports[i].device;
	memory_set_huge(c->runtime.huge_pages == HUGE_PAGES_AUTO);
	err = eal_start(huge, need_mib, &pci);
	if (err < 0) {
		log_event(LOG_ERROR, "start.eal error=\"%s\"", strerror(-err));
		return err;
	}
	g->eal_runs = true;
	if (!huge && c->runtime.huge_pages == HUGE_PAGES_AUTO)
		log_event(LOG_NOTICE,
			"start.no_huge_pages need_mib=%u remedy=\"sysctl vm.nr_hugepages=%u makes "
			"look-ups faster\"",
			need_mib, need_mib / 2 + 32);
	g->pool = path_pool_create("weir", n_buffers, room_bytes(c), n_devices(c) > 0);
	if (g->pool == NULL) {
		log_event(LOG_ERROR,
			"start.packet_buffers n=%u error=\"no memory\" remedy=\"lower "
			"runtime.packet_buffers\"",
			n_buffers);
		return -ENOMEM;
	}
	return 0;
}

static int start_path(struct gateway *g)
{
	struct path_setup setup;
	struct path_config *pc = NULL;
	int err;

	g->schedules = schedules_now(g->config);
	log_schedules(g->config, &(struct schedule_state){0}, &g->schedules);
	err = config_to_path_at(g->config, &g->schedules, &setup, &pc);
	if (err == 0)
		err = gateway_ports_open(&g->ports, g->config, pc, g->pool);
	if (err == 0) {
		setup.pool = g->pool;
		if (setup.seed == 0)
			setup.seed = rng_entropy();
		memcpy(setup.ports, g->ports.ports, sizeof(setup.ports));
		err = path_create(&setup, pc, clock_now_us(), &g->path);
	}
	if (err < 0) {
		path_config_destroy(pc);
		log_event(LOG_ERROR, "start.path error=\"%s\"", strerror(-err));
		return err;
	}
	/* Before the first packet: nothing may go without a lease. */
	return gateway_budget_open(g->config, g->path, &g->books);
}

static void name_for_telemetry(struct gateway *g)
{
	struct telemetry_names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return; /* the names of before stay */
	snprintf(names->gateway, sizeof(names->gateway), "%s", g->config->gateway);
	snprintf(names->version, sizeof(names->version), "%s", WEIR_VERSION);
	snprintf(names->config_file, sizeof(names->config_file), "%s", g->file);
	names->clock = g->config->runtime.clock;
	for (uint32_t i = 0; i < PORTS_MAX; i++)
		snprintf(names->devices[i], sizeof(names->devices[i]), "%.*s",
			(int)sizeof(names->devices[i]) - 1, g->ports.devices[i]);
	for (uint32_t i = 0; i < g->config->n_plans; i++)
		snprintf(names->plans[i], sizeof(names->plans[i]), "%s", g->config->plans[i].name);
	telemetry_set_names(g->telemetry, names, g->n_reloads);
	free(names);
}

/* server_handlers.begin: something is to be shown. */
static int answer_view(void *context, json_t *request, uint64_t now_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer)
{
	struct gateway *g = context;

	if (events_are_asked_for(request))
		return events_answer(g->events, request, wall_offset_us(), error, ret_answer);
	/* A name that was heard before a flow began is in the answer that shows this flow. */
	gateway_names_take(&g->names, g->path, now_us);
	return telemetry_answer(g->telemetry, request, now_us, error, ret_answer);
}

/* server_handlers.begin: something is told of a plan or a link, or something is to be shown. */
static int answer_request(void *context, json_t *request, uint64_t now_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer)
{
	struct gateway *g = context;

	if (plan_command_is(request))
		return plan_command_answer(gateway_budget(g->books), request, error, ret_answer);
	if (link_hint_is(request))
		return link_hint_answer(g->path, request, now_us, error, ret_answer);
	return answer_view(context, request, now_us, error, ret_answer);
}

static int open_sockets(struct gateway *g)
{
	const struct config_runtime *runtime = &g->config->runtime;
	struct server_handlers all = {.context = g, .begin = answer_request};
	struct server_handlers views = {
		.context = g, .group = runtime->view_group, .begin = answer_view};
	char error[SERVER_ERROR_MAX];
	int err = server_open(runtime->socket, &all, error, &g->server);

	if (err == 0 && runtime->view_socket[0] != '\0')
		err = server_open(runtime->view_socket, &views, error, &g->view_server);
	if (err < 0)
		log_event(LOG_ERROR, "start.socket error=\"%s\"", error);
	return err;
}

static int start_control(struct gateway *g)
{
	int err = telemetry_create(g->path, g->ports.ports, clock_now_us(), &g->telemetry);

	if (err < 0)
		return err;
	err = clocks_create(g->config, (int64_t)clock_now_us(), &g->clocks);
	if (err == 0)
		err = unsolicited_create(
			g->path, gateway_budget(g->books), g->config, &g->unsolicited);
	if (err == 0)
		err = probe_quota_create(g->path, gateway_budget(g->books), &g->probe_quota);
	if (err == 0)
		err = gateway_names_open(&g->names, g->config, doors_config(g->path));
	if (err < 0)
		return err;
	telemetry_set_budget(g->telemetry, gateway_budget(g->books));
	telemetry_set_clocks(g->telemetry, g->clocks);
	telemetry_set_device_names(g->telemetry, g->names.devices);
	telemetry_set_remote_names(g->telemetry, g->names.remotes);
	telemetry_set_unsolicited(g->telemetry, g->unsolicited);
	name_for_telemetry(g);
	err = open_sockets(g);
	if (err < 0)
		return err;
	err = gateway_export_open(&g->export, g->config);
	gateway_export_set_wall_offset(&g->export, wall_offset_us());
	gateway_export_set_remote_names(&g->export, g->names.remotes);
	telemetry_set_ipfix(g->telemetry, g->export.collector, g->export.file);
	return err;
}

static int start_threads(struct gateway *g)
{
	int err = -pthread_create(&g->worker, NULL, worker_main, g->path);

	g->worker_runs = err == 0;
	while (err == 0 && g->n_senders < g->config->runtime.senders) {
		struct gateway_sender *s = &g->senders[g->n_senders];

		*s = (struct gateway_sender){.path = g->path, .id = g->n_senders};
		err = -pthread_create(&s->thread, NULL, sender_main, s);
		g->n_senders += err == 0;
	}
	return err;
}

/* When the worker has returned and all flows have ended. */
static void stop_senders(struct gateway *g)
{
	doors_senders_stop(g->path);
	while (g->n_senders > 0)
		pthread_join(g->senders[--g->n_senders].thread, NULL);
}

static int start_all(struct gateway *g)
{
	struct config_message why;
	int err = load_config(g->file, &g->config, &why);

	if (err < 0)
		return err;
	log_set_level(g->config->runtime.log_level);
	if (mkdir(g->config->runtime.state_dir, 0750) < 0 && errno != EEXIST) {
		log_event(LOG_ERROR, "start.state_dir path=%s error=\"%s\"",
			g->config->runtime.state_dir, strerror(errno));
		return -errno;
	}
	takeover_recover(g->config->runtime.state_dir);
	err = start_eal(g);
	if (err == 0)
		err = start_path(g);
	if (err == 0)
		err = start_control(g);
	if (err == 0)
		err = start_threads(g);
	return err == 0 ? gateway_budget_start(g->books) : err;
}

int gateway_start(const char *file, struct gateway **ret_gateway)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int err;

	if (g == NULL)
		return -ENOMEM;
	g->file = strdup(file);
	g->started_us = clock_now_us();
	for (uint32_t i = 0; i < EVENT_KINDS; i++)
		g->event_limits[i] = (struct log_limit){.interval_us = US_PER_S, .burst = 10};
	err = events_create(&g->events);
	if (err == 0)
		log_set_listener(events_raise, g->events);
	if (err == 0)
		err = g->file == NULL ? -ENOMEM : start_all(g);
	if (err < 0) {
		gateway_stop(g);
		return err;
	}
	log_event(LOG_NOTICE, "start.done gateway=%s version=%s ports=%u after_us=%llu",
		g->config->gateway, WEIR_VERSION, g->config->n_ports,
		(unsigned long long)(clock_now_us() - g->started_us));
	*ret_gateway = g;
	return 0;
}

static void take_records(struct gateway *g, uint64_t now_us)
{
	uint32_t n;

	while ((n = doors_records_take(g->path, g->records, RECORDS_BATCH)) > 0) {
		/* Now: names that these flows went by were heard before the flows ended. */
		gateway_names_take(&g->names, g->path, now_us);
		telemetry_count_records(g->telemetry, g->records, n);
		for (uint32_t i = 0; i < n; i++) {
			budget_count(
				gateway_budget(g->books), doors_config(g->path), &g->records[i]);
			clocks_count(g->clocks, doors_config(g->path), &g->records[i]);
		}
		gateway_export_add(&g->export, doors_config(g->path), g->records, n, now_us);
	}
}

static const char *port_name(const struct gateway *g, uint8_t port)
{
	return port < PORTS_MAX && g->ports.ports[port] != NULL ? g->ports.ports[port]->name : "?";
}

/* What policy has decided; the path keeps these within limits itself. */
static void log_flow_event(const struct gateway *g, const struct path_event *e)
{
	static const char *const actions[] = {
		[POLICY_ALLOW] = "allow", [POLICY_DROP] = "drop", [POLICY_REJECT] = "reject"};
	char addr[IP_ADDR_TEXT_MAX];
	char remote[IP_ADDR_TEXT_MAX];

	ip_addr_format(&e->addr, addr);
	ip_addr_format(&e->remote, remote);
	if (e->kind == EVENT_RULE_MATCHED)
		log_event(LOG_NOTICE,
			"rule.matched rule=%u action=%s port=%s protocol=%u from=%s:%u to=%s:%u "
			"more=%u",
			e->a + 1, actions[e->action], port_name(g, e->port), e->proto, addr,
			e->addr_port, remote, e->remote_port, e->n_silent);
	else
		log_event(LOG_NOTICE,
			"destination.denied port=%s protocol=%u device=%s:%u remote=%s:%u more=%u",
			port_name(g, e->port), e->proto, addr, e->addr_port, remote, e->remote_port,
			e->n_silent);
}

/* Ports that hosts have opened, and for how long. */
static void log_lease(const struct gateway *g, const struct path_event *e)
{
	char addr[IP_ADDR_TEXT_MAX];
	char external[IP_ADDR_TEXT_MAX];

	ip_addr_format(&e->addr, addr);
	ip_addr_format(&e->remote, external);
	if (e->kind == EVENT_LEASE_OPENED)
		log_event(LOG_NOTICE,
			"lease.opened port=%s protocol=%u device=%s:%u external=%s:%u "
			"lifetime_s=%u more=%u",
			port_name(g, e->port), e->proto, addr, e->addr_port, external,
			e->remote_port, e->a, e->n_silent);
	else
		log_event(LOG_NOTICE,
			"lease.ended port=%s protocol=%u device=%s:%u external=%s:%u more=%u",
			port_name(g, e->port), e->proto, addr, e->addr_port, external,
			e->remote_port, e->n_silent);
}

/* The path says so too where what may be under way is held back for a while: then it is told when it has come true. */
static void log_plan_spent(struct gateway *g, uint32_t plan)
{
	struct budget_view view;

	g->plan_spent[plan] = budget_read(gateway_budget(g->books), plan, &view)
			      && view.general_octets >= HOLD_OCTETS
			      && view.general_octets != UINT64_MAX;
	if (!g->plan_spent[plan])
		log_event(LOG_WARNING, "plan.spent plan=%s", g->config->plans[plan].name);
}

static void log_device_seen(
	const struct gateway *g, const struct path_event *e, const struct log_limit *limit)
{
	const char *name = device_names_host(g->names.devices, &e->addr, &e->mac);
	char addr[IP_ADDR_TEXT_MAX];
	char mac[MAC_ADDR_TEXT_MAX];

	ip_addr_format(&e->addr, addr);
	mac_addr_format(&e->mac, mac);
	log_event(LOG_INFO, "device.seen port=%s address=%s mac=%s%s%s more=%u",
		port_name(g, e->port), addr, mac,
		name == NULL ? "" : " name=", name == NULL ? "" : name, limit->n_suppressed);
}

static void log_path_event(struct gateway *g, const struct path_event *e)
{
	struct log_limit *limit = &g->event_limits[e->kind];
	char addr[IP_ADDR_TEXT_MAX];
	char mac[MAC_ADDR_TEXT_MAX];

	if (e->kind == EVENT_RULE_MATCHED || e->kind == EVENT_DESTINATION_DENIED) {
		log_flow_event(g, e);
		return;
	}
	if (e->kind == EVENT_LEASE_OPENED || e->kind == EVENT_LEASE_ENDED) {
		log_lease(g, e);
		return;
	}
	if (!log_limit_take(limit, clock_now_us()))
		return;
	ip_addr_format(&e->addr, addr);
	mac_addr_format(&e->mac, mac);
	switch (e->kind) {
	case EVENT_DEVICE_SEEN:
		log_device_seen(g, e, limit);
		break;
	case EVENT_NEIGHBOR_CHANGED:
		log_event(LOG_WARNING, "neighbor.changed port=%s address=%s mac=%s",
			port_name(g, e->port), addr, mac);
		break;
	case EVENT_ADDRESS_CONFLICT:
		log_event(LOG_WARNING, "address.conflict port=%s address=%s mac=%s",
			port_name(g, e->port), addr, mac);
		break;
	case EVENT_FLOW_TABLE_FULL:
		log_event(LOG_WARNING, "flows.full capacity=%u remedy=\"raise flows.capacity\"",
			g->config->flows_capacity);
		break;
	case EVENT_PLAN_SPENT:
		log_plan_spent(g, e->a);
		break;
	case EVENT_CONSERVATION:
		log_event(LOG_ERROR, "path.conservation stage=%u", e->a);
		break;
	case EVENT_DEVICE_QUARANTINED:
		log_event(LOG_NOTICE, "device.quarantined port=%s address=%s mac=%s more=%u",
			port_name(g, e->port), addr, mac, e->n_silent);
		break;
	case EVENT_DEVICE_MAC_CHANGED:
		log_event(LOG_WARNING, "device.mac_changed port=%s address=%s mac=%s more=%u",
			port_name(g, e->port), addr, mac, e->n_silent);
		break;
	case EVENT_RULE_MATCHED:
	case EVENT_DESTINATION_DENIED:
	case EVENT_LEASE_OPENED:
	case EVENT_LEASE_ENDED:
	case EVENT_KINDS:
		break;
	}
	limit->n_suppressed = 0;
}

static void take_events(struct gateway *g)
{
	struct path_event events[EVENTS_BATCH];
	uint32_t n;

	while ((n = doors_events_take(g->path, events, EVENTS_BATCH)) > 0)
		for (uint32_t i = 0; i < n; i++) {
			if (events[i].kind == EVENT_DEVICE_SEEN)
				device_names_see(g->names.devices, &events[i].mac);
			log_path_event(g, &events[i]);
		}
}

/* Once a minute of the wall clock, and whenever that is set. */
static void follow_schedules(struct gateway *g)
{
	struct path_config *pc = NULL;
	struct path_setup setup;
	struct schedule_state now;
	int64_t minute = wall_now_s() / 60;

	if (g->config->n_schedules == 0 || minute == g->schedules_minute)
		return;
	now = schedules_now(g->config);
	if (!schedule_state_equal(&now, &g->schedules)) {
		if (config_to_path_at(g->config, &now, &setup, &pc) < 0)
			return; /* no memory: the next second tries again */
		doors_publish(g->path, pc);
		log_schedules(g->config, &g->schedules, &now);
		g->schedules = now;
	}
	g->schedules_minute = minute;
}

static void follow_clocks(struct gateway *g, uint64_t now_us)
{
	struct budget_time now = gateway_budget_time(g->books);

	clocks_keep(g->clocks, g->config->runtime.state_dir, &now);
	clocks_follow(g->clocks, g->path, g->ports.ports, now_us);
}

static void watch_drops(struct gateway *g)
{
	doors_stats_read(g->path, &g->stats);
	drop_watch_tick(&g->drops, g->stats.drops, g->config->runtime.drops_alarm);
}

static void watch_unsolicited(struct gateway *g)
{
	struct budget_time now = gateway_budget_time(g->books);

	unsolicited_tick(g->unsolicited, &now);
}

/* An uplink that is there again after it was gone has begun another session with its carrier: for certain where it is the modem's
 * own interface, perhaps where it leads to a modem that others look after. */
static void follow_sessions(struct gateway *g)
{
	for (uint32_t i = 0; i < g->config->n_ports; i++) {
		const struct port *p = g->ports.ports[i];

		if (p == NULL || !port_is_up(p) || p->counters.n_failures == g->n_failures[i])
			continue;
		g->n_failures[i] = p->counters.n_failures;
		budget_session(gateway_budget(g->books), doors_config(g->path)->ports[i].plan_id,
			g->config->ports[i].link == LINK_CELLULAR);
	}
}

void gateway_tick(struct gateway *g, uint64_t now_us)
{
	gateway_names_take(&g->names, g->path, now_us);
	take_events(g);
	take_records(g, now_us);
	gateway_export_tick(&g->export, doors_config(g->path), now_us);
	gateway_ports_maintain(&g->ports, now_us);
	follow_sessions(g);
	server_resume(g->server, now_us);
	if (g->view_server != NULL)
		server_resume(g->view_server, now_us);
	if (now_us - g->second_us < US_PER_S)
		return;
	g->second_us = now_us;
	follow_schedules(g);
	follow_clocks(g, now_us);
	device_names_follow(g->names.devices);
	watch_unsolicited(g);
	probe_quota_tick(g->probe_quota, now_us);
	for (uint32_t i = 0; i < g->config->n_plans; i++)
		if (g->plan_spent[i])
			log_plan_spent(g, i);
	telemetry_sample(g->telemetry, now_us);
	watch_drops(g);
	gateway_serve(g, now_us);
	/* The wall clock may be set while weir runs: NTP comes after the link does. */
	gateway_export_set_wall_offset(&g->export, wall_offset_us());
	gateway_export_flush(&g->export, now_us);
}

static void log_changes(const struct config_changes *changes)
{
	for (uint32_t i = 0; i < changes->n; i++) {
		if (changes->list[i].applies == APPLIES_LIVE)
			log_event(LOG_INFO, "config.changed key=%s", changes->list[i].key);
		else
			log_event(LOG_WARNING, "config.needs_restart key=%s", changes->list[i].key);
	}
}

/* Lets `next` take the place of the running configuration. */
static int publish(struct gateway *g, struct config *next)
{
	struct path_config *pc = NULL;
	struct path_setup setup;
	struct schedule_state schedules = schedules_now(next);
	int err = config_to_path_at(next, &schedules, &setup, &pc);

	if (err < 0)
		return err;
	doors_publish(g->path, pc);
	log_schedules(next, &(struct schedule_state){0}, &schedules);
	g->schedules = schedules;
	gateway_budget_set_config(g->books, next);
	clocks_set_config(g->clocks, next);
	unsolicited_set_config(g->unsolicited, next);
	gateway_names_set_config(&g->names, doors_config(g->path));
	config_destroy(g->config);
	g->config = next;
	g->n_reloads++;
	log_set_level(next->runtime.log_level);
	name_for_telemetry(g);
	return 0;
}

void gateway_reload(struct gateway *g)
{
	struct config_changes changes = {0};
	struct config *wanted = NULL;
	struct config *next = NULL;
	struct config_message why;
	int err = load_config(g->file, &wanted, &why);

	gateway_export_reopen(&g->export, clock_now_us());
	if (err == 0)
		err = config_compare(g->config, wanted, &next, &changes);
	if (err == 0)
		err = publish(g, next);
	if (err < 0) {
		config_destroy(next);
		log_event(LOG_ERROR,
			"config.refused file=%s line=%u error=\"%s\" running=unchanged", g->file,
			why.line, why.line > 0 ? why.text : strerror(-err));
	} else {
		log_changes(&changes);
		log_event(LOG_NOTICE, "config.applied file=%s changes=%u live=%u", g->file,
			changes.n, changes.n_live);
	}
	config_changes_clean(&changes);
	config_destroy(wanted);
}

int gateway_fd(const struct gateway *g)
{
	return server_fd(g->server);
}

int gateway_view_fd(const struct gateway *g)
{
	return g->view_server == NULL ? -1 : server_fd(g->view_server);
}

void gateway_serve(struct gateway *g, uint64_t now_us)
{
	server_work(g->server, now_us);
	if (g->view_server != NULL)
		server_work(g->view_server, now_us);
}

static void save_clocks(struct gateway *g)
{
	struct budget_time now = gateway_budget_time(g->books);

	clocks_save(g->clocks, g->config->runtime.state_dir, &now);
}

static void end_flows(struct gateway *g)
{
	while (!path_end_flows(g->path, FLOW_END_FORCED, clock_now_us()))
		take_records(g, clock_now_us());
	take_events(g);
	take_records(g, clock_now_us());
}

/* The last records may have to cross the path themselves: it is led by hand until they have, or for GOODBYE_US. What they make of
 * records is in the other books alone. */
static void say_goodbye(struct gateway *g)
{
	uint64_t end_us = clock_now_us() + GOODBYE_US;
	uint64_t now_us = clock_now_us();

	while (!gateway_export_drain(&g->export) && now_us < end_us) {
		gateway_export_tick(&g->export, doors_config(g->path), now_us);
		if (path_step(g->path, now_us) == 0)
			usleep(GOODBYE_REST_US);
		now_us = clock_now_us();
	}
	/* A datagram was sent when the tap had it. */
	for (end_us = now_us + GOODBYE_LAST_US; now_us < end_us; now_us = clock_now_us())
		path_step(g->path, now_us);
}

static void stop_path(struct gateway *g)
{
	if (g->path == NULL)
		return;
	if (g->worker_runs) {
		doors_stop(g->path);
		pthread_join(g->worker, NULL);
		end_flows(g);
		if (g->export.collector != NULL) {
			say_goodbye(g);
			end_flows(g);
		}
		stop_senders(g);
		gateway_export_finish(&g->export, doors_config(g->path), clock_now_us());
		save_clocks(g);
		watch_unsolicited(g);
		probe_quota_tick(g->probe_quota, clock_now_us());
	}
}

void gateway_stop(struct gateway *g)
{
	if (g == NULL)
		return;
	stop_path(g);
	gateway_budget_close(g->books);
	gateway_export_close(&g->export);
	server_close(g->server);
	server_close(g->view_server);
	telemetry_destroy(g->telemetry);
	clocks_destroy(g->clocks);
	gateway_names_close(&g->names);
	unsolicited_destroy(g->unsolicited);
	probe_quota_destroy(g->probe_quota);
	gateway_ports_close(&g->ports);
	path_destroy(g->path);
	rte_mempool_free(g->pool);
	if (g->eal_runs)
		eal_stop();
	if (g->worker_runs)
		log_event(LOG_NOTICE, "stop.done gateway=%s", g->config->gateway);
	log_set_listener(NULL, NULL);
	events_destroy(g->events);
	config_destroy(g->config);
	free(g->file);
	free(g);
}
