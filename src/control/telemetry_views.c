/* SPDX-License-Identifier: BSD-3-Clause */
/* The views that fit one piece of an answer. */
#include "telemetry_private.h"

#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/control/link_hint.h>
#include <weir/control/schedule.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHORT_US (10 * US_PER_S)
#define LONG_US  (60 * US_PER_S)
#define PPM      1000000u

static const char *const direction_names[N_DIRECTIONS] = {"uplink", "downlink"};

void listing_head(const struct listing *l, struct text *part)
{
	text_open(part, NULL, '{');
	text_open(part, l->view->name, '[');
}

void listing_row(struct listing *l, struct text *part)
{
	text_open_row(part, l->n_rows++ == 0);
}

void listing_tail(const struct listing *l, struct text *part, uint64_t n_total)
{
	text_append_string(part, "\n],\"n_rows\":");
	text_u64(part, l->n_rows);
	text_field_u64(part, "n_total", n_total);
	text_field_u64(part, "at_us", l->now_us);
	text_close(part, '}');
}

void usage_fields(
	struct text *t, const uint64_t octets[N_DIRECTIONS], const uint64_t packets[N_DIRECTIONS])
{
	text_field_u64(t, "uplink_octets", octets[UPLINK]);
	text_field_u64(t, "downlink_octets", octets[DOWNLINK]);
	text_field_u64(t, "uplink_packets", packets[UPLINK]);
	text_field_u64(t, "downlink_packets", packets[DOWNLINK]);
}

static void status_ports(const struct telemetry *t, struct text *part)
{
	uint32_t n_up = 0;
	uint32_t n_down = 0;

	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		if (t->ports[i] == NULL)
			continue;
		if (port_is_up(t->ports[i]))
			n_up++;
		else
			n_down++;
	}
	text_field_u64(part, "ports_up", n_up);
	text_field_u64(part, "ports_down", n_down);
}

static void status_memory(struct text *part)
{
	size_t bytes;
	size_t huge_bytes;

	memory_usage(&bytes, &huge_bytes);
	text_field_u64(part, "memory_bytes", bytes);
	text_field_u64(part, "memory_huge_bytes", huge_bytes);
}

static void status_ledger(const struct telemetry *t, struct text *part)
{
	struct budget_devices devices;
	struct ledger_stats s;
	uint64_t n_unattributed;

	if (t->budget == NULL)
		return;
	s = budget_ledger_stats(t->budget, &n_unattributed);
	text_field_string(part, "ledger", s.state == LEDGER_SOUND ? "sound" : strerror(-s.error));
	text_field_u64(part, "ledger_writes_today", s.n_writes_today);
	text_field_u64(part, "ledger_octets_today", s.written_bytes_today);
	text_field_u64(part, "ledger_overrun_octets", s.overrun_octets);
	text_field_u64(part, "records_unattributed", n_unattributed);
	devices = budget_devices_read(t->budget);
	text_field_u64(part, "devices_cut", devices.n_cut);
	text_field_u64(part, "device_steps", devices.n_steps);
	text_field_u64(part, "devices_unlisted", devices.n_unlisted);
}

/* One sink of IPFIX; keys as literals of their own, for the columns that name them. */
static void ipfix_fields(const struct export_ipfix *x, const char *const keys[4], struct text *part)
{
	struct export_ipfix_counts c;

	if (x == NULL)
		return;
	c = export_ipfix_counts(x);
	text_field_string(part, keys[0],
		c.is_up                 ? "up"
		: c.why_down[0] != '\0' ? c.why_down
					: "down");
	text_field_u64(part, keys[1], c.n_sent);
	text_field_u64(part, keys[2], c.n_waiting);
	text_field_u64(part, keys[3], c.n_lost);
}

static void status_ipfix(const struct telemetry *t, struct text *part)
{
	static const char *const of_collector[] = {
		"ipfix", "ipfix_sent", "ipfix_waiting", "ipfix_lost"};
	static const char *const of_file[] = {
		"ipfix_file", "ipfix_file_written", "ipfix_file_waiting", "ipfix_file_lost"};

	ipfix_fields(t->ipfix_collector, of_collector, part);
	ipfix_fields(t->ipfix_file, of_file, part);
}

/* Their sums and the load of the busiest, and each by itself. */
static void status_senders(struct telemetry *t, uint64_t now_us, struct text *part)
{
	struct path_sender_stats sum = {0};
	uint64_t load_ppm = 0;

	t->n_senders = doors_senders_read(t->path, t->senders);
	text_field_u64(part, "senders", t->n_senders);
	if (t->n_senders == 0)
		return;
	text_open(part, "sender", '[');
	for (uint32_t i = 0; i < t->n_senders; i++) {
		const struct path_sender_stats *s = &t->senders[i];
		uint64_t ppm = sender_load_ppm(t, i, SHORT_US, now_us);

		load_ppm = ppm > load_ppm ? ppm : load_ppm;
		sum.packets += s->packets;
		sum.refused += s->refused;
		sum.handovers += s->handovers;
		sum.wakes += s->wakes;
		text_open(part, NULL, '{');
		text_field_share(part, "load_10s", ppm);
		text_field_share(part, "flows_share", s->slots * PPM / SENDER_SLOTS);
		text_field_u64(part, "packets", s->packets);
		text_field_u64(part, "refused", s->refused);
		text_field_u64(part, "handovers", s->handovers);
		text_field_u64(part, "wakes", s->wakes);
		text_field_u64(part, "sleeps", s->sleeps);
		text_field_u64(part, "busy_us", s->busy_us);
		text_field_u64(part, "lent", s->lent);
		text_close(part, '}');
	}
	text_close(part, ']');
	text_field_share(part, "sender_load_10s", load_ppm);
	text_field_u64(part, "sender_packets", sum.packets);
	text_field_u64(part, "sender_handovers", sum.handovers);
	text_field_u64(part, "sender_wakes", sum.wakes);
	text_field_u64(part, "sender_refused", sum.refused);
}

void status_write(struct listing *l, struct text *part)
{
	struct telemetry *t = l->telemetry;
	struct path_stats *s = &t->stats;
	char run[sizeof("0123456789abcdef")];

	doors_stats_read(t->path, s);
	(void)snprintf(run, sizeof(run), "%016" PRIx64, t->run);
	text_open(part, NULL, '{');
	text_field_string(part, "gateway", t->names.gateway);
	text_field_string(part, "version", t->names.version);
	text_field_u64(part, "pid", (uint64_t)getpid());
	text_field_string(part, "run", run);
	text_field_bool(part, "clock_trusted",
		schedule_clock_is_trusted(t->names.clock, (int64_t)time(NULL)));
	text_field_u64(part, "at_us", l->now_us);
	text_field_u64(part, "uptime_s", (l->now_us - t->started_us) / US_PER_S);
	text_field_string(part, "config_file", t->names.config_file);
	text_field_u64(part, "reloads", t->n_reloads);
	status_ports(t, part);
	text_field_u64(part, "flows", s->n_flows);
	text_field_u64(part, "flow_capacity", s->flow_capacity);
	text_field_u64(part, "flows_created", s->flows_created);
	text_field_u64(part, "flows_ended", s->flows_ended);
	text_field_u64(part, "devices", s->n_devices);
	text_field_u64(part, "mappings", s->n_mappings);
	text_field_u64(part, "packets_per_s", packet_rate(t, SHORT_US, l->now_us));
	status_memory(part);
	status_ledger(t, part);
	text_field_u64(part, "records_lost", s->records_lost);
	status_ipfix(t, part);
	text_field_u64(part, "conservation_errors", s->conservation_errors);
	text_field_u64(part, "loops", s->loops);
	text_field_u64(part, "sleeps", s->sleeps);
	status_senders(t, l->now_us, part);
	text_close(part, '}');
}

static void port_identity(
	const struct telemetry *t, uint32_t id, const struct path_port *pp, struct text *part)
{
	static const char *const roles[] = {
		[PORT_LAN] = "lan", [PORT_UPLINK] = "uplink", [PORT_TAP] = "tap"};
	static const char *const states[] = {
		[PORT_CLOSED] = "closed", [PORT_UP] = "up", [PORT_FAILED] = "failed"};
	const struct port *p = t->ports[id];
	char address[IP_PREFIX_TEXT_MAX];

	text_field_string(part, "name", pp->name);
	text_field_string(part, "role", roles[pp->role]);
	text_field_string(part, "device", t->names.devices[id]);
	if (!ip_addr_is_unset(&pp->address.addr))
		text_field_string(part, "address", ip_prefix_format(&pp->address, address));
	if (p == NULL)
		return;
	text_field_string(part, "kind", p->ops->kind);
	text_field_string(
		part, "state", states[atomic_load_explicit(&p->state, memory_order_acquire)]);
	if (!port_is_up(p))
		text_field_string(part, "why_down", p->why_down);
	text_field_string(part, "framing", p->framing == FRAMING_ETHERNET ? "ethernet" : "raw-ip");
	if (p->framing == FRAMING_ETHERNET)
		text_field_mac(part, "mac", &p->mac);
	text_field_u64(part, "mtu_octets", pp->mtu != 0 && pp->mtu < p->mtu ? pp->mtu : p->mtu);
}

static void port_counters(const struct port_counters *c, struct text *part)
{
	const struct {
		const char *key;
		uint64_t value;
	} fields[] = {
		{"rx_packets", c->rx_packets},
		{"rx_bytes", c->rx_bytes},
		{"tx_packets", c->tx_packets},
		{"tx_bytes", c->tx_bytes},
		{"rx_truncated", c->rx_truncated},
		{"rx_kernel_drops", c->rx_kernel_drops},
		{"rx_no_buffer", c->rx_no_buffer},
		{"rx_super_frames", c->rx_super_frames},
		{"rx_checksums_finished", c->rx_checksums_finished},
		{"tx_super_frames", c->tx_super_frames},
		{"tx_errors", c->tx_errors},
		{"failures", c->n_failures},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		text_field_u64(part, fields[i].key, fields[i].value);
}

static void port_edge(const struct listing *l, uint32_t id, struct text *part)
{
	const struct telemetry *t = l->telemetry;
	const struct path_stats *s = &t->stats;

	usage_fields(part, s->edge_octets[id], s->edge_packets[id]);
	text_field_u64(part, "unattributed_uplink_octets", s->unattributed_octets[id][UPLINK]);
	text_field_u64(part, "unattributed_downlink_octets", s->unattributed_octets[id][DOWNLINK]);
	text_field_u64(part, "unattributed_uplink_packets", s->unattributed_packets[id][UPLINK]);
	text_field_u64(
		part, "unattributed_downlink_packets", s->unattributed_packets[id][DOWNLINK]);
	text_field_u64(part, "uplink_10s_bps", edge_rate_bps(t, id, UPLINK, SHORT_US, l->now_us));
	text_field_u64(
		part, "downlink_10s_bps", edge_rate_bps(t, id, DOWNLINK, SHORT_US, l->now_us));
	text_field_u64(part, "uplink_60s_bps", edge_rate_bps(t, id, UPLINK, LONG_US, l->now_us));
	text_field_u64(
		part, "downlink_60s_bps", edge_rate_bps(t, id, DOWNLINK, LONG_US, l->now_us));
}

void ports_write(struct listing *l, struct text *part)
{
	struct telemetry *t = l->telemetry;
	const struct path_config *config = doors_config(t->path);

	doors_stats_read(t->path, &t->stats);
	listing_head(l, part);
	for (uint32_t i = 0; i < config->n_ports && l->n_rows < l->limit; i++) {
		listing_row(l, part);
		port_identity(t, i, &config->ports[i], part);
		if (t->ports[i] != NULL) {
			struct port_counters counters;

			port_counters_read(t->ports[i], &counters);
			port_counters(&counters, part);
		}
		port_edge(l, i, part);
		text_close(part, '}');
	}
	listing_tail(l, part, config->n_ports);
}

void drops_write(struct listing *l, struct text *part)
{
	struct path_stats *s = &l->telemetry->stats;
	uint64_t n_total = 0;

	doors_stats_read(l->telemetry->path, s);
	listing_head(l, part);
	for (uint32_t why = DROP_NONE + 1; why < N_DROP_REASONS; why++) {
		if (s->drops[why] == 0 && !l->all)
			continue;
		n_total++;
		if (l->n_rows == l->limit)
			continue;
		listing_row(l, part);
		text_field_string(part, "reason", drop_name((enum drop_reason)why));
		text_field_u64(part, "packets", s->drops[why]);
		text_field_u64(part, "octets", s->drop_octets[why]);
		text_field_string(part, "help", drop_help((enum drop_reason)why));
		text_close(part, '}');
	}
	listing_tail(l, part, n_total);
}

void stages_write(struct listing *l, struct text *part)
{
	struct path_stats *s = &l->telemetry->stats;

	doors_stats_read(l->telemetry->path, s);
	listing_head(l, part);
	for (uint32_t i = 0; i < s->n_stages && l->n_rows < l->limit; i++) {
		const struct path_stage_stats *stage = &s->stages[i];

		listing_row(l, part);
		text_field_string(part, "name", stage->name);
		text_field_u64(part, "in", stage->in);
		text_field_u64(part, "out", stage->out);
		text_field_u64(part, "dropped", stage->dropped);
		text_field_u64(part, "aside", stage->aside);
		text_field_i64(part, "held", stage->held);
		if (stage->ticks > 0)
			text_field_u64(part, "ticks", stage->ticks);
		text_close(part, '}');
	}
	listing_tail(l, part, s->n_stages);
}

static uint64_t share_ppm(uint64_t part, uint64_t whole)
{
	return (uint64_t)((unsigned __int128)part * PPM / whole);
}

static void time_field(struct text *part, const char *name, int64_t wall_s)
{
	char words[sizeof("2026-11-23T04:30:00Z")];
	time_t at = (time_t)wall_s;
	struct tm tm;

	if (wall_s > 0 && gmtime_r(&at, &tm) != NULL
		&& strftime(words, sizeof(words), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		text_field_string(part, name, words);
}

/* How often each step was reached and taken back since the start. */
static void step_fields(const struct budget_view *v, struct text *part)
{
	text_open(part, "steps", '{');
	for (enum ladder_action a = LADDER_NOTIFY; a <= LADDER_BLOCK; a++) {
		text_open(part, budget_action_name(a), '{');
		text_field_u64(part, "reached", v->n_reached[a]);
		text_field_u64(part, "taken_back", v->n_taken_back[a]);
		text_close(part, '}');
	}
	text_close(part, '}');
}

static void forecast_fields(const struct forecast *f, struct text *part)
{
	if (!f->is_known)
		return;
	text_field_u64(part, "forecast_octets", f->expected_octets);
	text_field_u64(part, "forecast_low_octets", f->low_octets);
	text_field_u64(part, "forecast_high_octets", f->high_octets);
	if (f->spent_in_days != FORECAST_NEVER)
		text_field_u64(part, "spent_in_days", f->spent_in_days);
}

static void bill_fields(const struct budget_view *v, struct text *part)
{
	text_field_u64(part, "bill_low_octets", v->bill.low_octets);
	text_field_u64(part, "bill_high_octets", v->bill.high_octets);
	if (v->quota_octets > 0) {
		text_field_u64(part, "left_octets", budget_left(v));
		text_field_share(
			part, "used_share", share_ppm(v->bill.high_octets, v->quota_octets));
	}
	if (v->carrier[0] != '\0')
		text_field_string(part, "carrier", v->carrier);
	text_field_u64(part, "free_uplink_octets", v->free.octets[UPLINK]);
	text_field_u64(part, "free_downlink_octets", v->free.octets[DOWNLINK]);
}

/* Where the plan stands in its cycle. */
static void budget_fields(const struct budget_view *v, struct text *part)
{
	if (v->quota_octets > 0)
		text_field_u64(part, "quota_octets", v->quota_octets);
	text_field_u64(part, "used_octets", v->plan.used_octets);
	bill_fields(v, part);
	text_field_string(part, "step", budget_action_name(v->action));
	if (v->action == LADDER_SHAPE)
		text_field_u64(part, "step_bps", v->rate_bps);
	text_field_bool(part, "paced", v->is_paced);
	step_fields(v, part);
	if (v->general_bps[UPLINK] > 0)
		text_field_u64(part, "uplink_limit_bps", v->general_bps[UPLINK]);
	if (v->general_bps[DOWNLINK] > 0)
		text_field_u64(part, "downlink_limit_bps", v->general_bps[DOWNLINK]);
	if (v->reserved_octets > 0) {
		text_field_u64(part, "reserved_octets", v->reserved_octets);
		text_field_u64(part, "reserve_used_octets", v->reserve_used_octets);
	}
	text_field_u64(part, "top_up_octets", v->plan.top_up_octets);
	text_field_u64(part, "carried_octets", v->plan.rollover_octets);
	time_field(part, "cycle_start", v->plan.cycle_start_s);
	time_field(part, "cycle_end", v->cycle_end_s);
	forecast_fields(&v->forecast, part);
	text_field_u64(part, "leased_octets", v->plan.leased_octets);
	text_field_u64(part, "lost_octets", v->plan.lost_octets);
	text_field_bool(part, "assumed_spent", v->plan.is_assumed_spent);
	text_field_bool(part, "unrecorded", v->is_unrecorded);
	usage_fields(part, v->plan.usage.octets, v->plan.usage.packets);
}

static void plan_fields(const struct telemetry *t, uint32_t id, struct text *part)
{
	const struct plan_stats *s = &t->stats.plans[id];
	const struct meter_params *p = &doors_config(t->path)->plans[id];
	struct budget_view view;

	text_field_string(part, "name", t->names.plans[id]);
	if (t->budget != NULL && budget_read(t->budget, id, &view))
		budget_fields(&view, part);
	unsolicited_fields(t, id, part);
	text_field_u64(part, "billed_uplink_octets", s->billed_octets[UPLINK]);
	text_field_u64(part, "billed_downlink_octets", s->billed_octets[DOWNLINK]);
	text_field_u64(part, "overhead_uplink_octets", p->overhead_octets[UPLINK]);
	text_field_u64(part, "overhead_downlink_octets", p->overhead_octets[DOWNLINK]);
}

void plans_write(struct listing *l, struct text *part)
{
	struct telemetry *t = l->telemetry;
	uint32_t n_plans = doors_config(t->path)->n_plans;

	doors_stats_read(t->path, &t->stats);
	listing_head(l, part);
	for (uint32_t i = 0; i < n_plans && l->n_rows < l->limit; i++) {
		listing_row(l, part);
		plan_fields(t, i, part);
		text_close(part, '}');
	}
	listing_tail(l, part, n_plans);
}

/* What waits, how long packets waited since the start, and what became of those that were not to wait. */
static void queue_fields(const struct shaper_stats *s, struct text *part)
{
	text_field_u64(part, "queue_packets", s->load.backlog_packets);
	text_field_u64(part, "queue_octets", s->load.backlog_octets);
	text_field_u64(part, "queue_flows", s->n_flows);
	text_field_u64(part, "queue_us", s->load.backlog_packets > 0 ? s->delay_us : 0);
	text_field_u64(part, "delay_p50_us", shaper_delay_percentile(s->delays, 50));
	text_field_u64(part, "delay_p95_us", shaper_delay_percentile(s->delays, 95));
	text_field_u64(part, "delay_p99_us", shaper_delay_percentile(s->delays, 99));
	text_field_u64(part, "marked_packets", s->marked);
	text_field_u64(part, "codel_drops", s->dropped[SHAPER_DROP_CODEL]);
	text_field_u64(part, "full_drops", s->dropped[SHAPER_DROP_FULL]);
	text_field_u64(part, "ceiling_drops", s->dropped[SHAPER_DROP_CEILING]);
	text_field_u64(part, "thinned_acks", s->dropped[SHAPER_DROP_ACK]);
	text_field_u64(part, "thinned_octets", s->thinned_octets);
}

/* What a followed rate follows, and from what evidence. */
static void followed_fields(
	const struct link_stats *s, enum direction direction, uint64_t now_us, struct text *part)
{
	uint64_t seen_us = s->seen_us[direction];

	text_field_u64(part, "carried_bps", s->carried_bps[direction]);
	text_field_u64(part, "radio_queue_us", s->radio_queue_us[direction]);
	text_field_u64(part, "rtt_base_us", s->base_rtt_us);
	if (seen_us != 0)
		text_field_u64(part, "evidence_age_us", now_us < seen_us ? 0 : now_us - seen_us);
	text_field_u64(part, "answers_tcp", s->n_tcp);
	text_field_u64(part, "answers_dns", s->n_dns);
	text_field_u64(part, "answers_quic", s->n_quic);
	text_field_u64(part, "one_way", s->n_one_way);
	text_field_u64(part, "answers_probe", s->n_probes);
	text_field_u64(part, "probes", s->probe_packets[UPLINK]);
	text_field_u64(part, "probe_octets", s->probe_octets[direction]);
	if (s->hint_us == 0)
		return;
	link_hint_fields(&s->hint, part);
	text_field_u64(part, "hint_age_us", now_us < s->hint_us ? 0 : now_us - s->hint_us);
}

/* One direction of one uplink. */
static void link_row(struct listing *l, uint32_t id, enum direction direction, struct text *part)
{
	const struct telemetry *t = l->telemetry;
	const struct path_port *pp = &doors_config(t->path)->ports[id];
	struct shaper_stats s;
	struct link_stats link;

	if (!doors_shaper_read(t->path, (uint8_t)id, direction, &s))
		return;
	listing_row(l, part);
	text_field_string(part, "port", pp->name);
	text_field_string(part, "direction", direction_names[direction]);
	if (s.load.rate_bps > 0)
		text_field_u64(part, "shaped_bps", s.load.rate_bps);
	if (s.general_bps > 0)
		text_field_u64(part, "general_bps", s.general_bps);
	text_field_u64(part, "rate_10s_bps", edge_rate_bps(t, id, direction, SHORT_US, l->now_us));
	queue_fields(&s, part);
	if (doors_link_read(t->path, (uint8_t)id, &link))
		followed_fields(&link, direction, l->now_us, part);
	text_close(part, '}');
}

void link_write(struct listing *l, struct text *part)
{
	struct telemetry *t = l->telemetry;
	const struct path_config *config = doors_config(t->path);

	doors_stats_read(t->path, &t->stats);
	listing_head(l, part);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		if (config->ports[i].role != PORT_UPLINK)
			continue;
		link_row(l, i, UPLINK, part);
		link_row(l, i, DOWNLINK, part);
	}
	listing_tail(l, part, l->n_rows);
}
