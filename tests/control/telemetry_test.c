/* SPDX-License-Identifier: BSD-3-Clause */
/* Telemetry over a path that is made up here: the doors' functions are this file's. */
#include <weir/base/clock.h>
#include <weir/control/telemetry.h>
#include <weir/flow/tcp_track.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS   1000u
#define DEVICES 300u

struct path {
	struct path_config config;
	struct path_stats stats;
	struct shaper_stats shapers[N_DIRECTIONS]; /* of port 1 */
	struct link_stats link;                    /* the same, where it is followed */
	bool is_followed;
	uint32_t n_flows;
	uint32_t n_devices;
	bool silent;       /* the worker does not answer */
	bool flows_differ; /* the later the more octets; the first 600 have most, and are idle */
	struct path_sender_stats senders[2];
	uint32_t n_senders;
};

const struct path_config *doors_config(const struct path *p)
{
	return &p->config;
}

static struct budget_view plan_view;

struct ledger_stats budget_ledger_stats(struct budget *b, uint64_t *ret_n_unattributed)
{
	(void)b;
	*ret_n_unattributed = 0;
	return (struct ledger_stats){.n_writes_today = 3};
}

struct budget_devices budget_devices_read(struct budget *b)
{
	(void)b;
	return (struct budget_devices){.n_steps = 5, .n_cut = 2};
}

/* The second device has used up what it may of plan 1. */
struct share_view doors_share_of_device(
	const struct path *p, uint8_t plan_id, const struct device *d)
{
	struct ip_addr second = ip_addr_quad(192, 0, 2, 1);
	bool is_second = ip_addr_equal(&d->addr, &second);

	(void)p;
	if (!is_second)
		return (struct share_view){.quota = QUOTA_NONE};
	return (struct share_view){
		.quota_octets = 1000,
		.used_octets = plan_id == 1 ? 1000 : 400,
		.action = plan_id == 1 ? LADDER_RESERVE_ONLY : LADDER_NOTHING,
	};
}

const char *budget_action_name(enum ladder_action action)
{
	static const char *const names[] = {"open", "notify", "shape", "reserve-only", "block"};

	return names[action];
}

bool budget_read(struct budget *b, uint32_t plan_id, struct budget_view *ret_view)
{
	(void)b;
	*ret_view = plan_view;
	return plan_id == 0;
}

void doors_stats_read(const struct path *p, struct path_stats *ret_stats)
{
	*ret_stats = p->stats;
}

uint32_t doors_senders_read(const struct path *p, struct path_sender_stats ret_stats[SENDERS_MAX])
{
	for (uint32_t i = 0; i < p->n_senders; i++)
		ret_stats[i] = p->senders[i];
	return p->n_senders;
}

static struct unsolicited_view unsolicited_seen;

bool unsolicited_read(
	const struct unsolicited_watch *u, uint32_t plan_id, struct unsolicited_view *ret_view)
{
	(void)u;
	*ret_view = unsolicited_seen;
	return plan_id == 0;
}

void doors_unsolicited_read(
	const struct path *p, uint8_t uplink, struct unsolicited_lists *ret_lists)
{
	(void)p;
	*ret_lists = (struct unsolicited_lists){0};
	top_count(&ret_lists->senders, 0xc6336401u + uplink, 40);
	for (uint32_t i = 0; i < 12; i++)
		top_count(&ret_lists->targets, (uint64_t)PROTO_TCP << 16 | (23 + i), 40);
	top_count(&ret_lists->networks, 0xc6336400u, 40);
	top_count(&ret_lists->networks, UNSOLICITED_KEY_MALFORMED, 20);
}

bool doors_shaper_read(const struct path *p, uint8_t port, enum direction direction,
	struct shaper_stats *ret_stats)
{
	*ret_stats = p->shapers[direction];
	return port == 1;
}

bool doors_link_read(const struct path *p, uint8_t port, struct link_stats *ret_stats)
{
	*ret_stats = p->link;
	return p->is_followed && port == 1;
}

bool doors_link_hint(
	struct path *p, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us)
{
	p->link.hint = *hint;
	p->link.hint_us = now_us;
	return p->is_followed && port == 1;
}

void doors_rule_hits_read(const struct path *p, uint64_t ret_hits[POLICY_RULE_DEFAULT + 1])
{
	memset(ret_hits, 0, (POLICY_RULE_DEFAULT + 1) * sizeof(ret_hits[0]));
	ret_hits[0] = p->stats.flows_created;
}

/* Flow i belongs to device i % 3, class i % 2 * 2, and has 10 octets up and 20 down that nobody reported, of 110 and 220. */
int doors_flows_read(struct path *p, uint32_t *cursor, struct flow_view *views, uint32_t n)
{
	uint32_t i = 0;

	if (p->silent)
		return -ETIMEDOUT;
	for (; i < n && *cursor < p->n_flows; i++, (*cursor)++) {
		uint32_t id = *cursor;

		views[i] = (struct flow_view){
			.record = {.flow_id = id,
				.internal = ip_addr_quad(192, 0, 2, (uint8_t)(id % 3)),
				.external = ip_addr_quad(10, 0, 0, 1),
				.remote = ip_addr_quad(203, 0, 113, 1),
				.internal_port = (uint16_t)(1000 + id),
				.remote_port = 443,
				.proto = id % 2 == 0 ? 6 : 17,
				.state = TCP_STATE_ESTABLISHED,
				.class_id = (uint8_t)(id % 2 * 2),
				.device_id = (uint16_t)(id % 3),
				.wan_port = 1,
				.octet_delta_count = {110, 220},
				.packet_delta_count = {11, 0}},
			.unreported_octets = {10, 20},
			.unreported_packets = {1, 2},
			.idle_us = 5,
			.timeout_us = 6,
		};
		if (p->flows_differ) {
			views[i].record.octet_delta_count[UPLINK] = id < 600 ? 100000 + id : id;
			views[i].idle_us = id < 600 ? 10 * US_PER_S : 5;
		}
	}
	if (*cursor == p->n_flows)
		*cursor = FLOW_NONE;
	return (int)i;
}

uint32_t doors_devices_read(
	const struct path *p, uint16_t first, struct device *devices, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n && first + i < p->n_devices; i++)
		devices[i] = (struct device){
			.addr = ip_addr_quad(
				192, 0, (uint8_t)(2 + (first + i) / 256), (uint8_t)(first + i)),
			.in_use = (first + i) % 10 != 9,
			.octets = {1000, 2000},
			.first_us = 1,
			.last_us = 2};
	return i;
}

/* One TCP port of 203 places, and one PEER in the last. */
uint32_t doors_leases_read(const struct path *p, uint16_t first, struct lease *leases, uint32_t n)
{
	uint32_t i = 0;

	(void)p;
	for (; i < n && first + i < 203; i++)
		leases[i] = (struct lease){
			.in_use = first + i == 0 || first + i == 202,
			.is_peer = first + i == 202,
			.internal = ip_addr_quad(192, 0, 2, 7),
			.internal_port = 8080,
			.external_port = 9090,
			.proto = 6,
			.expires_us = 70 * US_PER_S,
			.pin = {.is_open = first + i == 0,
				.n_peers = first + i == 202,
				.peers = {{.remote = {ip_addr_quad(198, 51, 100, 0), 24}}}},
		};
	return i;
}

const char *classes_name(const struct classes *c, uint8_t class_id)
{
	static const char *const before[] = {"default", "unsolicited", "video", "backup"};
	static const char *const after[] = {"default", "unsolicited", "backup"};

	if (c == NULL)
		return class_id < 4 ? before[class_id] : "?";
	return class_id < 3 ? after[class_id] : "?";
}

const char *class_kind_name(uint32_t kind)
{
	return kind == CLASS_KIND_SERVICE ? "service" : kind == CLASS_KIND_TIME ? "time" : "other";
}

static uint32_t n_clocks;

/* The service was reached 30 s ago, the time was never answered. */
const struct clock_row *clocks_row(const struct clocks *k, uint32_t i)
{
	static struct clock_row row;

	(void)k;
	row = (struct clock_row){.port = "lan0",
		.class_name = "video",
		.addr = ip_addr_quad(192, 0, 2, (uint8_t)(i % 256)),
		.first_us = -(int64_t)US_PER_S,
		.state = CLOCK_LATE,
		.cause = CLOCK_CAUSE_DNS};
	for (uint32_t kind = 0; kind < CLASS_KINDS; kind++)
		row.last_us[kind] = CLOCK_NEVER;
	row.last_us[CLASS_KIND_SERVICE] = -30 * (int64_t)US_PER_S;
	return i < n_clocks ? &row : NULL;
}

const char *clock_state_name(enum clock_state state)
{
	return state == CLOCK_LATE ? "late" : "fine";
}

const char *clock_cause_name(enum clock_cause cause)
{
	return cause == CLOCK_CAUSE_DNS ? "dns" : "none";
}

const char *drop_name(enum drop_reason why)
{
	return why == DROP_NAT_NO_PORT ? "nat.no_port" : "other";
}

const char *drop_help(enum drop_reason why)
{
	(void)why;
	return "a sentence";
}

const char *tcp_state_name(uint8_t state)
{
	return state == TCP_STATE_ESTABLISHED ? "established" : "?";
}

static const struct port_ops ops = {.kind = "memory"};
static struct port lan = {
	.ops = &ops, .name = "lan0", .framing = FRAMING_ETHERNET, .mtu = 1500, .state = PORT_UP};
static struct port wan = {.ops = &ops,
	.name = "wwan0",
	.framing = FRAMING_RAW_IP,
	.mtu = 1430,
	.why_down = "gone",
	.state = PORT_FAILED};
static struct port *const ports[PORTS_MAX] = {&lan, &wan};
static const struct telemetry_names names = {.gateway = "gw-\"42\"",
	.version = "0.1.0",
	.config_file = "/etc/weir.yaml",
	.clock = CLOCK_TRUSTED,
	.devices = {"eth1", "wwan0"},
	.plans = {"sim1"}};
static struct path path;
static struct telemetry *telemetry;

static void setup(void)
{
	path = (struct path){.n_flows = FLOWS, .n_devices = DEVICES};
	path.stats.n_flows = FLOWS;
	path.stats.n_devices = DEVICES;
	path.config.n_ports = 2;
	path.config.ports[0] = (struct path_port){.role = PORT_LAN, .name = "lan0"};
	path.config.ports[1] = (struct path_port){
		.role = PORT_UPLINK, .name = "wwan0", .uplink_bps = 1000000, .queue_us = 100000};
	cr_assert_eq(telemetry_create(&path, ports, 0, &telemetry), 0);
	telemetry_set_budget(
		telemetry, (struct budget *)&plan_view); /* only budget_read() looks into it */
	telemetry_set_unsolicited(telemetry, (struct unsolicited_watch *)&plan_view);
	telemetry_set_names(telemetry, &names, 3);
}

static void teardown(void)
{
	telemetry_destroy(telemetry);
}

TestSuite(control_telemetry, .init = setup, .fini = teardown, .timeout = 60);

static uint32_t n_pieces;

/* The whole answer to a request, or NULL with the sentence in `error`. */
static json_t *answer_at(const char *request, uint64_t now_us, char *error)
{
	json_t *object = json_loads(request, 0, NULL);
	struct server_answer *a = NULL;
	struct text part;
	struct text whole;
	json_error_t why;
	json_t *result = NULL;
	int more = 1;

	n_pieces = 0;
	text_init(&part, 1 << 20);
	text_init(&whole, 64 << 20);
	if (telemetry_answer(telemetry, object, now_us, error, &a) != 0)
		more = -1;
	while (more == 1) {
		text_clear(&part);
		more = a->next(a, &part, error);
		cr_assert_eq(part.failed, 0);
		text_append(&whole, part.data, part.n);
		n_pieces++;
	}
	if (more == 0) {
		result = json_loadb(whole.data, whole.n, JSON_REJECT_DUPLICATES, &why);
		cr_assert_not_null(result, "%s: %.*s", why.text, (int)whole.n, whole.data);
	}
	if (a != NULL)
		a->destroy(a);
	text_clean(&part);
	text_clean(&whole);
	json_decref(object);
	return result;
}

static json_t *answer(const char *request)
{
	char error[SERVER_ERROR_MAX] = "";
	json_t *result = answer_at(request, 10 * US_PER_S, error);

	cr_assert_not_null(result, "%s: %s", request, error);
	return result;
}

static const json_t *row(const json_t *answer_object, const char *view, size_t i)
{
	const json_t *r = json_array_get(json_object_get(answer_object, view), i);

	cr_assert(json_is_object(r), "row %zu of %s", i, view);
	return r;
}

static long long number(const json_t *object, const char *key)
{
	const json_t *n = json_object_get(object, key);

	cr_assert(json_is_integer(n), "%s", key);
	return json_integer_value(n);
}

static const char *string(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	cr_assert_not_null(s, "%s", key);
	return s;
}

Test(control_telemetry, every_view_is_one_json_document)
{
	static const char *const views[] = {"status", "flows", "devices", "plans", "classes",
		"ports", "forwards", "drops", "stages", "link", "clocks", "unsolicited"};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		char request[64];
		json_t *a;

		(void)snprintf(request, sizeof(request), "{\"show\":\"%s\"}", views[i]);
		a = answer(request);
		if (i > 0) {
			cr_expect(json_is_array(json_object_get(a, views[i])), "%s", views[i]);
			cr_expect_eq(number(a, "n_rows"),
				(long long)json_array_size(json_object_get(a, views[i])));
		}
		json_decref(a);
	}
}

Test(control_telemetry, ports_that_devices_opened_stand_behind_the_configured_ones)
{
	const json_t *r;
	json_t *a;

	path.config.forwards = (struct nat_forwards){.n = 1,
		.rows = {{.proto = 17, .port_min = 53, .port_max = 54, .internal_port = 53}}};
	path.stats.n_leases = 2;
	a = answer("{\"show\":\"forwards\"}");
	cr_expect_eq(number(a, "n_rows"), 3);
	cr_expect_eq(number(a, "n_total"), 3);
	r = row(a, "forwards", 0);
	cr_expect_str_eq(string(r, "by"), "forwards");
	cr_expect_str_eq(string(r, "port"), "53-54");
	cr_expect_null(json_object_get(r, "left_us"));
	r = row(a, "forwards", 1);
	cr_expect_str_eq(string(r, "by"), "pcp");
	cr_expect_str_eq(string(r, "protocol"), "tcp");
	cr_expect_str_eq(string(r, "port"), "9090");
	cr_expect_str_eq(string(r, "to"), "192.0.2.7");
	cr_expect_str_eq(string(r, "to_port"), "8080");
	cr_expect_str_eq(string(r, "source"), "any");
	cr_expect_eq(number(r, "left_us"), 60000000);
	r = row(a, "forwards", 2);
	cr_expect_str_eq(string(r, "by"), "pcp peer");
	cr_expect_str_eq(string(r, "source"), "198.51.100.0/24");
	json_decref(a);
}

Test(control_telemetry, what_does_not_exist_is_answered_with_what_does)
{
	static const struct {
		const char *request;
		const char *want;
	} cases[] = {
		{"{}", "status, flows"},
		{"{\"show\":7}", "status, flows"},
		{"{\"show\":\"moon\"}", "\"moon\"; there are: status, flows"},
		{"{\"show\":\"flows\",\"busiest\":0}", "1 to 512"},
		{"{\"show\":\"flows\",\"busiest\":513}", "1 to 512"},
		{"{\"show\":\"flows\",\"limit\":-1}", "\"limit\" (a number)"},
		{"{\"show\":\"flows\",\"limit\":\"7\"}", "\"limit\" (a number)"},
		{"{\"show\":\"flows\",\"device\":\"moon\"}", "\"device\" (an address"},
		{"{\"show\":\"devices\",\"all\":1}", "\"all\" (true or false)"},
		{"{\"show\":\"flows\",\"colour\":1}", "\"colour\" is no filter"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[SERVER_ERROR_MAX] = "";

		cr_expect_null(answer_at(cases[i].request, 1, error), "%s", cases[i].request);
		cr_expect_not_null(strstr(error, cases[i].want), "%s: %s", cases[i].request, error);
	}
}

Test(control_telemetry, status_says_who_it_is_and_how_it_fares)
{
	json_t *a = answer("{\"show\":\"status\"}");

	cr_expect_str_eq(string(a, "gateway"), "gw-\"42\"");
	cr_expect_str_eq(string(a, "config_file"), "/etc/weir.yaml");
	cr_expect_eq(number(a, "uptime_s"), 10);
	cr_expect_eq(strlen(string(a, "run")), 16);
	cr_expect(json_is_true(json_object_get(a, "clock_trusted")));
	cr_expect_eq(number(a, "reloads"), 3);
	cr_expect_eq(number(a, "ports_up"), 1);
	cr_expect_eq(number(a, "ports_down"), 1);
	cr_expect_eq(number(a, "flows"), FLOWS);
	cr_expect_eq(number(a, "senders"), 0);
	cr_expect_null(json_object_get(a, "sender"));
	json_decref(a);
}

Test(control_telemetry, status_says_what_senders_do_each_and_together)
{
	char error[SERVER_ERROR_MAX];
	json_t *a;

	path.n_senders = 2;
	for (uint64_t s = 1; s <= 60; s++) {
		path.senders[0].busy_us += US_PER_S / 4;
		path.senders[1].busy_us += US_PER_S / 2;
		telemetry_sample(telemetry, s * US_PER_S);
	}
	path.senders[0] = (struct path_sender_stats){.packets = 700,
		.handovers = 30,
		.wakes = 2,
		.busy_us = path.senders[0].busy_us,
		.slots = SENDER_SLOTS / 4};
	path.senders[1].packets = 70;
	path.senders[1].refused = 5;
	a = answer_at("{\"show\":\"status\"}", 60 * US_PER_S, error);
	cr_expect_eq(number(a, "senders"), 2);
	cr_expect_eq(number(a, "sender_packets"), 770);
	cr_expect_eq(number(row(a, "sender", 0), "packets"), 700);
	cr_expect_eq(number(row(a, "sender", 1), "refused"), 5);
	cr_expect_float_eq(
		json_real_value(json_object_get(row(a, "sender", 0), "flows_share")), 0.25, 1e-6);
	cr_expect_float_eq(
		json_real_value(json_object_get(row(a, "sender", 1), "load_10s")), 0.5, 0.01);
	cr_expect_float_eq(json_real_value(json_object_get(a, "sender_load_10s")), 0.5, 0.01);
	json_decref(a);
}

Test(control_telemetry, rates_are_averages_over_ten_and_sixty_seconds)
{
	char error[SERVER_ERROR_MAX];
	json_t *a;

	/* 1000 octets a second for 50 s, then 5000 for 10: 8, then 40 kbit/s. */
	for (uint64_t s = 1; s <= 60; s++) {
		path.stats.edge_octets[1][DOWNLINK] += s <= 50 ? 1000 : 5000;
		wan.counters.rx_packets += 7;
		telemetry_sample(telemetry, s * US_PER_S);
	}
	a = answer_at("{\"show\":\"ports\"}", 60 * US_PER_S, error);
	cr_expect_eq(number(row(a, "ports", 1), "downlink_10s_bps"), 40000);
	cr_expect_eq(number(row(a, "ports", 1), "downlink_60s_bps"), (50 * 8000 + 10 * 40000) / 60);
	cr_expect_eq(number(row(a, "ports", 1), "uplink_10s_bps"), 0);
	cr_expect_eq(number(row(a, "ports", 0), "downlink_10s_bps"), 0);
	json_decref(a);
	a = answer_at("{\"show\":\"status\"}", 60 * US_PER_S, error);
	cr_expect_eq(number(a, "packets_per_s"), 7);
	json_decref(a);
}

Test(control_telemetry, rates_of_the_first_moments_are_over_what_there_is)
{
	char error[SERVER_ERROR_MAX];
	json_t *a = answer_at("{\"show\":\"ports\"}", 0, error);

	cr_expect_eq(number(row(a, "ports", 1), "uplink_10s_bps"), 0, "no time has passed");
	json_decref(a);
	path.stats.edge_octets[1][UPLINK] = 500;
	a = answer_at("{\"show\":\"ports\"}", US_PER_S / 2, error);
	cr_expect_eq(number(row(a, "ports", 1), "uplink_10s_bps"), 8000);
	json_decref(a);
}

Test(control_telemetry, ports_tell_state_reason_and_framing)
{
	json_t *a = answer("{\"show\":\"ports\"}");

	cr_expect_str_eq(string(row(a, "ports", 0), "state"), "up");
	cr_expect_null(json_object_get(row(a, "ports", 0), "why_down"));
	cr_expect_str_eq(string(row(a, "ports", 0), "framing"), "ethernet");
	cr_expect_str_eq(string(row(a, "ports", 1), "state"), "failed");
	cr_expect_str_eq(string(row(a, "ports", 1), "why_down"), "gone");
	cr_expect_str_eq(string(row(a, "ports", 1), "framing"), "raw-ip");
	cr_expect_null(json_object_get(row(a, "ports", 1), "mac"));
	cr_expect_eq(number(row(a, "ports", 1), "mtu_octets"), 1430);
	json_decref(a);
}

Test(control_telemetry, drops_that_never_happened_are_shown_only_when_asked_for)
{
	json_t *a;

	path.stats.drops[DROP_NAT_NO_PORT] = 4;
	path.stats.drop_octets[DROP_NAT_NO_PORT] = 400;
	a = answer("{\"show\":\"drops\"}");
	cr_expect_eq(number(a, "n_rows"), 1);
	cr_expect_str_eq(string(row(a, "drops", 0), "reason"), "nat.no_port");
	cr_expect_eq(number(row(a, "drops", 0), "octets"), 400);
	json_decref(a);
	a = answer("{\"show\":\"drops\",\"all\":true}");
	cr_expect_eq(number(a, "n_rows"), N_DROP_REASONS - 1);
	json_decref(a);
}

Test(control_telemetry, a_plan_tells_what_is_left_and_never_less_than_nothing)
{
	static const struct {
		uint64_t used;
		long long left;
		double share;
	} cases[] = {{0, 1000, 0}, {250, 750, 0.25}, {1000, 0, 1}, {1500, 0, 1.5}};

	path.config.n_plans = 1;
	plan_view.quota_octets = 1000;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *a;

		plan_view.bill.high_octets = cases[i].used;
		a = answer("{\"show\":\"plans\"}");
		cr_expect_str_eq(string(row(a, "plans", 0), "name"), "sim1");
		cr_expect_eq(number(row(a, "plans", 0), "left_octets"), cases[i].left);
		cr_expect_float_eq(
			json_real_value(json_object_get(row(a, "plans", 0), "used_share")),
			cases[i].share, 1e-9);
		json_decref(a);
	}
	plan_view.quota_octets = 0;
	json_t *a = answer("{\"show\":\"plans\"}");
	cr_expect_null(json_object_get(row(a, "plans", 0), "left_octets"),
		"without a quota nothing is left or spent");
	json_decref(a);
}

Test(control_telemetry, a_device_tells_its_quota_where_it_stands_worst)
{
	json_t *a;

	path.config.n_plans = 2;
	path.config.n_quotas = 1;
	(void)snprintf(path.config.quotas[0].name, QUOTA_NAME_MAX, "guests");
	a = answer("{\"show\":\"devices\"}");
	cr_expect_null(json_object_get(row(a, "devices", 0), "quota"));
	cr_expect_str_eq(string(row(a, "devices", 1), "quota"), "guests");
	cr_expect_eq(number(row(a, "devices", 1), "quota_octets"), 1000);
	cr_expect_eq(number(row(a, "devices", 1), "quota_used_octets"), 1000);
	cr_expect_str_eq(string(row(a, "devices", 1), "step"), "reserve-only");
	cr_expect_eq(json_array_size(json_object_get(row(a, "devices", 1), "plans")), 2);
	json_decref(a);
}

Test(control_telemetry, a_plan_tells_its_cycle_and_where_it_stands)
{
	json_t *steps;
	json_t *a;

	path.config.n_plans = 1;
	plan_view = (struct budget_view){
		.plan = {.cycle_start_s = 1763164800, .used_octets = 7, .lost_octets = 3},
		.cycle_end_s = 1765756800,
		.quota_octets = 1000,
		.reserved_octets = 100,
		.action = LADDER_RESERVE_ONLY,
		.bill = {.low_octets = 6, .high_octets = 9},
		.n_reached[LADDER_RESERVE_ONLY] = 2,
		.n_taken_back[LADDER_RESERVE_ONLY] = 1,
	};
	a = answer("{\"show\":\"plans\"}");
	cr_expect_eq(number(row(a, "plans", 0), "bill_low_octets"), 6);
	cr_expect_eq(number(row(a, "plans", 0), "bill_high_octets"), 9);
	steps = json_object_get(json_object_get(row(a, "plans", 0), "steps"), "reserve-only");
	cr_expect_eq(number(steps, "reached"), 2);
	cr_expect_eq(number(steps, "taken_back"), 1);
	cr_expect_str_eq(string(row(a, "plans", 0), "step"), "reserve-only");
	cr_expect_str_eq(string(row(a, "plans", 0), "cycle_start"), "2025-11-15T00:00:00Z");
	cr_expect_str_eq(string(row(a, "plans", 0), "cycle_end"), "2025-12-15T00:00:00Z");
	cr_expect_eq(number(row(a, "plans", 0), "lost_octets"), 3);
	cr_expect_eq(number(row(a, "plans", 0), "reserved_octets"), 100);
	json_decref(a);
}

Test(control_telemetry, a_plan_tells_what_nobody_asked_for_and_who_sends_it)
{
	json_t *a;
	const json_t *plan;

	path.config.n_plans = 1;
	unsolicited_seen = (struct unsolicited_view){.used_octets = 7,
		.forecast_octets = 90,
		.alarm_octets = 50,
		.n_alarms = 2,
		.is_alarmed = true,
		.has_sender = true,
		.sender = ip_addr_quad(198, 51, 100, 7)};
	a = answer("{\"show\":\"plans\"}");
	plan = row(a, "plans", 0);
	cr_expect_eq(number(plan, "unsolicited_octets"), 7);
	cr_expect_eq(number(plan, "unsolicited_forecast_octets"), 90);
	cr_expect_eq(number(plan, "unsolicited_alarms"), 2);
	cr_expect(json_is_true(json_object_get(plan, "unsolicited_alarm")));
	cr_expect_str_eq(string(plan, "unsolicited_sender"), "198.51.100.7");
	json_decref(a);
}

Test(control_telemetry, who_sends_what_nobody_asked_for_is_listed_by_sender_network_and_target)
{
	static const struct {
		const char *by;
		const char *what;
	} rows[] = {{"sender", "198.51.100.2"}, {"network", "198.51.100.0/24"},
		{"network", "malformed"}, {"target", "tcp/23"}};
	json_t *a = answer("{\"show\":\"unsolicited\"}");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_str_eq(string(row(a, "unsolicited", i), "port"), "wwan0");
		cr_expect_str_eq(string(row(a, "unsolicited", i), "by"), rows[i].by);
		cr_expect_str_eq(string(row(a, "unsolicited", i), "what"), rows[i].what);
	}
	cr_expect_eq(number(a, "n_rows"), 3 + 10, "ten a list");
	cr_expect_eq(number(a, "n_total"), 3 + 12);
	json_decref(a);
	a = answer("{\"show\":\"unsolicited\",\"all\":true}");
	cr_expect_eq(number(a, "n_rows"), 3 + 12);
	json_decref(a);
}

Test(control_telemetry, the_link_tells_what_waits_and_for_how_long)
{
	struct shaper_stats *s = &path.shapers[UPLINK];
	json_t *a;

	s->load = (struct shaper_load){
		.rate_bps = 1000000, .backlog_packets = 10, .backlog_octets = 12500};
	s->delay_us = 100000;
	s->delays[0] = 90;
	s->delays[17] = 10;
	s->marked = 3;
	s->dropped[SHAPER_DROP_CODEL] = 4;
	s->thinned_octets = 5;
	path.shapers[DOWNLINK].delay_us = 70000; /* some time ago */
	a = answer("{\"show\":\"link\"}");
	cr_assert_eq(number(a, "n_rows"), 2, "one row a direction; LANs have none");
	cr_expect_str_eq(string(row(a, "link", 0), "direction"), "uplink");
	cr_expect_eq(number(row(a, "link", 0), "shaped_bps"), 1000000);
	cr_expect_eq(number(row(a, "link", 0), "queue_packets"), 10);
	cr_expect_eq(number(row(a, "link", 0), "queue_octets"), 12500);
	cr_expect_eq(number(row(a, "link", 0), "queue_us"), 100000);
	cr_expect_eq(number(row(a, "link", 0), "delay_p50_us"), 0);
	cr_expect_eq(number(row(a, "link", 0), "delay_p95_us"), 131072);
	cr_expect_eq(number(row(a, "link", 0), "marked_packets"), 3);
	cr_expect_eq(number(row(a, "link", 0), "codel_drops"), 4);
	cr_expect_eq(number(row(a, "link", 0), "thinned_octets"), 5);
	cr_expect_eq(number(row(a, "link", 1), "queue_us"), 0, "nothing waits now");
	cr_expect_null(json_object_get(row(a, "link", 1), "shaped_bps"), "unshaped");
	json_decref(a);
}

Test(control_telemetry, a_followed_link_tells_what_it_carries_and_from_what_evidence)
{
	json_t *a = answer("{\"show\":\"link\"}");

	cr_expect_null(json_object_get(row(a, "link", 0), "carried_bps"), "not followed");
	json_decref(a);
	path.is_followed = true;
	path.link = (struct link_stats){.base_rtt_us = 50000,
		.carried_bps = {2000000, 9000000},
		.radio_queue_us = {0, 20000},
		.seen_us = {1, 0},
		.n_tcp = 7,
		.n_dns = 2,
		.n_quic = 3,
		.n_probes = 4,
		.probe_packets = {6, 4},
		.probe_octets = {168, 112},
		.n_one_way = 5};
	a = answer("{\"show\":\"link\"}");
	cr_expect_eq(number(row(a, "link", 0), "carried_bps"), 2000000);
	cr_expect_eq(number(row(a, "link", 1), "carried_bps"), 9000000);
	cr_expect_eq(number(row(a, "link", 1), "radio_queue_us"), 20000);
	cr_expect_eq(number(row(a, "link", 0), "rtt_base_us"), 50000);
	cr_expect_eq(number(row(a, "link", 0), "answers_tcp"), 7);
	cr_expect_eq(number(row(a, "link", 0), "answers_dns"), 2);
	cr_expect_eq(number(row(a, "link", 0), "answers_quic"), 3);
	cr_expect_eq(number(row(a, "link", 0), "one_way"), 5);
	cr_expect_eq(number(row(a, "link", 0), "probes"), 6);
	cr_expect_eq(number(row(a, "link", 0), "answers_probe"), 4);
	cr_expect_eq(number(row(a, "link", 0), "probe_octets"), 168);
	cr_expect_eq(number(row(a, "link", 1), "probe_octets"), 112);
	cr_expect_not_null(json_object_get(row(a, "link", 0), "evidence_age_us"));
	cr_expect_null(json_object_get(row(a, "link", 1), "evidence_age_us"), "nothing seen yet");
	cr_expect_null(json_object_get(row(a, "link", 0), "hint_age_us"), "nothing told yet");
	json_decref(a);
	path.stats.unattributed_octets[1][UPLINK] = 200;
	path.stats.unattributed_packets[1][UPLINK] = 7;
	a = answer("{\"show\":\"classes\"}");
	cr_expect_str_eq(
		string(row(a, "classes", (size_t)number(a, "n_total") - 1), "name"), "link-probe");
	cr_expect_eq(
		number(row(a, "classes", (size_t)number(a, "n_total") - 1), "uplink_octets"), 168);
	cr_expect_eq(number(row(a, "classes", 1), "uplink_octets"), 200 - 168, "and none twice");
	json_decref(a);
	path.is_followed = false;
}

Test(control_telemetry, flows_come_piece_by_piece_each_once)
{
	json_t *a = answer("{\"show\":\"flows\"}");

	cr_assert_eq(json_array_size(json_object_get(a, "flows")), FLOWS);
	for (size_t i = 0; i < FLOWS; i++)
		cr_assert_eq(number(row(a, "flows", i), "id"), (long long)i);
	cr_expect_gt(n_pieces, 5);
	cr_expect_str_eq(string(row(a, "flows", 0), "protocol"), "tcp");
	cr_expect_str_eq(string(row(a, "flows", 0), "state"), "established");
	cr_expect_str_eq(string(row(a, "flows", 1), "protocol"), "udp");
	cr_expect_str_eq(string(row(a, "flows", 1), "state"), "one-way");
	cr_expect_eq(number(row(a, "flows", 1), "uplink_octets"), 110, "totals, not deltas");
	json_decref(a);
}

Test(control_telemetry, flows_obey_limit_and_device)
{
	static const struct {
		const char *request;
		size_t want;
	} cases[] = {
		{"{\"show\":\"flows\",\"limit\":0}", 0},
		{"{\"show\":\"flows\",\"limit\":1}", 1},
		{"{\"show\":\"flows\",\"limit\":128}", 128},
		{"{\"show\":\"flows\",\"limit\":129}", 129},
		{"{\"show\":\"flows\",\"limit\":1000000}", FLOWS},
		{"{\"show\":\"flows\",\"device\":\"192.0.2.0\"}", 334},
		{"{\"show\":\"flows\",\"device\":\"192.0.2.2\",\"limit\":50}", 50},
		{"{\"show\":\"flows\",\"device\":\"192.0.2.77\"}", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *a = answer(cases[i].request);

		cr_expect_eq(json_array_size(json_object_get(a, "flows")), cases[i].want, "%s",
			cases[i].request);
		cr_expect_eq(number(a, "n_total"), FLOWS);
		json_decref(a);
	}
}

Test(control_telemetry, the_busiest_flows_are_those_that_move_and_the_heaviest_first)
{
	static const struct {
		const char *request;
		size_t n;
		long long first;
		long long last;
	} cases[] = {
		{"{\"show\":\"flows\",\"busiest\":1}", 1, 999, 999},
		{"{\"show\":\"flows\",\"busiest\":400}", 400, 999, 600},
		{"{\"show\":\"flows\",\"busiest\":401}", 401, 999, 599},
		{"{\"show\":\"flows\",\"busiest\":512}", 512, 999, 488},
		{"{\"show\":\"flows\",\"busiest\":512,\"limit\":2}", 2, 999, 998},
		{"{\"show\":\"flows\",\"busiest\":3,\"device\":\"192.0.2.1\"}", 3, 997, 991},
		{"{\"show\":\"flows\",\"busiest\":3,\"device\":\"192.0.2.77\"}", 0, 0, 0},
	};

	path.flows_differ = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *a = answer(cases[i].request);

		cr_assert_eq(json_array_size(json_object_get(a, "flows")), cases[i].n, "%s",
			cases[i].request);
		cr_expect_eq(number(a, "n_total"), FLOWS);
		if (cases[i].n > 0) {
			cr_expect_eq(number(row(a, "flows", 0), "id"), cases[i].first);
			cr_expect_eq(number(row(a, "flows", cases[i].n - 1), "id"), cases[i].last);
		}
		json_decref(a);
	}
}

Test(control_telemetry, answers_say_when_they_were_begun)
{
	json_t *a = answer("{\"show\":\"ports\"}");

	cr_expect_gt(number(a, "at_us"), 0);
	json_decref(a);
	a = answer("{\"show\":\"status\"}");
	cr_expect_gt(number(a, "at_us"), 0);
	json_decref(a);
}

Test(control_telemetry, no_flows_are_an_empty_listing)
{
	json_t *a;

	path.n_flows = 0;
	a = answer("{\"show\":\"flows\"}");
	cr_expect_eq(json_array_size(json_object_get(a, "flows")), 0);
	json_decref(a);
}

Test(control_telemetry, a_worker_that_does_not_answer_is_an_error_and_no_crash)
{
	static const char *const views[] = {"flows", "classes"};

	path.silent = true;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		char error[SERVER_ERROR_MAX] = "";
		char request[64];

		(void)snprintf(request, sizeof(request), "{\"show\":\"%s\"}", views[i]);
		cr_expect_null(answer_at(request, 1, error));
		cr_expect_not_null(strstr(error, "did not answer"), "%s", error);
	}
}

Test(control_telemetry, a_devices_sum_is_the_one_that_the_path_keeps)
{
	json_t *a = answer("{\"show\":\"devices\"}");

	cr_assert_eq(
		json_array_size(json_object_get(a, "devices")), DEVICES * 9 / 10, "those in use");
	/* Flows that have not reported yet are in it already. */
	cr_expect_eq(number(row(a, "devices", 0), "uplink_octets"), 1000);
	cr_expect_eq(number(row(a, "devices", 0), "downlink_octets"), 2000);
	cr_expect_eq(number(row(a, "devices", 3), "uplink_octets"), 1000);
	cr_expect_eq(number(row(a, "devices", 0), "last_seen_ago_us"), 10 * US_PER_S - 2);
	json_decref(a);
	a = answer("{\"show\":\"devices\",\"device\":\"192.0.2.2\"}");
	cr_assert_eq(json_array_size(json_object_get(a, "devices")), 1);
	json_decref(a);
}

Test(control_telemetry, classes_add_records_live_flows_and_what_no_flow_accounts_for)
{
	const struct flow_record records[] = {
		{.class_id = 2,
			.octet_delta_count = {100, 1000},
			.packet_delta_count = {1, 2},
			.end_reason = 0},
		{.class_id = 2,
			.octet_delta_count = {50, 500},
			.packet_delta_count = {1, 2},
			.end_reason = 1},
	};
	json_t *a;

	telemetry_count_records(telemetry, records, 2);
	path.stats.unattributed_octets[1][DOWNLINK] = 100;
	path.stats.unsolicited_octets[1] = 77; /* the rest was stopped on its flow */
	path.stats.unattributed_octets[1][UPLINK] = 5;
	a = answer("{\"show\":\"classes\"}");
	cr_assert_eq(json_array_size(json_object_get(a, "classes")), 4);
	cr_expect_str_eq(string(row(a, "classes", 2), "name"), "video");
	cr_expect_eq(number(row(a, "classes", 2), "uplink_octets"), 150 + 500 * 10);
	cr_expect_eq(number(row(a, "classes", 2), "downlink_octets"), 1500 + 500 * 20);
	cr_expect_eq(number(row(a, "classes", 2), "flows"), 500);
	cr_expect_eq(
		number(row(a, "classes", 2), "flows_ended"), 1, "an interim record ends no flow");
	cr_expect_eq(number(row(a, "classes", 1), "downlink_octets"), 77);
	cr_expect_eq(number(row(a, "classes", 1), "uplink_octets"), 5);
	json_decref(a);
}

Test(control_telemetry, a_class_keeps_its_sum_when_a_reload_moves_it)
{
	const struct flow_record records[] = {
		{.class_id = 2, .octet_delta_count = {100, 0}},
		{.class_id = 3, .octet_delta_count = {7, 0}},
	};
	json_t *a;

	path.n_flows = 0;
	telemetry_count_records(telemetry, records, 2);
	path.config.classes = (struct classes *)&path; /* any: the names come from this file */
	telemetry_set_names(telemetry, &names, 4);
	a = answer("{\"show\":\"classes\"}");
	cr_assert_eq(json_array_size(json_object_get(a, "classes")), 3);
	cr_expect_str_eq(string(row(a, "classes", 2), "name"), "backup");
	cr_expect_eq(number(row(a, "classes", 2), "uplink_octets"), 7);
	cr_expect_eq(number(row(a, "classes", 0), "uplink_octets"), 100,
		"what is no longer configured is default");
	json_decref(a);
}

Test(control_telemetry, clocks_tell_how_long_ago_each_kind_was_answered)
{
	json_t *a = answer("{\"show\":\"clocks\"}");

	cr_assert_eq(json_array_size(json_object_get(a, "clocks")), 0);
	json_decref(a);
	n_clocks = 200;
	telemetry_set_clocks(telemetry, (struct clocks *)&path); /* only clocks_row() is asked */
	a = answer("{\"show\":\"clocks\"}");
	cr_assert_eq(json_array_size(json_object_get(a, "clocks")), 200);
	cr_expect_eq(number(a, "n_total"), 200);
	cr_expect_str_eq(string(row(a, "clocks", 0), "class"), "video");
	cr_expect_str_eq(string(row(a, "clocks", 0), "state"), "late");
	cr_expect_str_eq(string(row(a, "clocks", 0), "cause"), "dns");
	cr_expect_geq(number(row(a, "clocks", 0), "service_ago_us"), 30 * (int)US_PER_S);
	cr_expect_null(json_object_get(row(a, "clocks", 0), "time_ago_us"));
	json_decref(a);
	a = answer("{\"show\":\"clocks\",\"device\":\"192.0.2.7\"}");
	cr_assert_eq(json_array_size(json_object_get(a, "clocks")), 1);
	json_decref(a);
}
