/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_print.h"
#include "replay_run.h"

#include <weir/base/units.h>

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#define DEVICES_BATCH 16

static const char *const direction_names[N_DIRECTIONS] = {"uplink", "downlink"};

/* ---- the laws ---- */

static bool is_uplink(const struct replay_run *r, uint32_t port)
{
	return r->path_config->ports[port].role == PORT_UPLINK;
}

static uint32_t differ(FILE *out, const char *what, const char *where, uint64_t is, uint64_t wanted)
{
	if (is == wanted)
		return 0;
	if (out != NULL)
		fprintf(out,
			"weir replay: sums do not agree: %s of %s: %" PRIu64 " counted, %" PRIu64
			" seen\n",
			what, where, is, wanted);
	return 1;
}

/* What the path counted at a port's edge is what stands in the capture of its side. */
static uint32_t check_port(
	const struct replay_run *r, const struct path_stats *s, uint32_t i, FILE *out)
{
	enum direction leaving = is_uplink(r, i) ? UPLINK : DOWNLINK;
	const char *name = r->path_config->ports[i].name;
	struct replay_sums sums;
	uint32_t n = 0;

	replay_port_sums(r->ports[i], &sums);
	n += differ(out, "octets sent", name, s->edge_octets[i][leaving], sums.ip_octets);
	n += differ(out, "packets sent", name, s->edge_packets[i][leaving], sums.ip_packets);
	if (!is_uplink(r, i) || s->records_lost > 0)
		return n;
	for (uint32_t d = 0; d < N_DIRECTIONS; d++)
		n += differ(out, "octets of flows and of none", name,
			r->by_flows[i][d].octets + s->unattributed_octets[i][d],
			s->edge_octets[i][d]);
	return n;
}

static uint32_t check_plan(
	const struct replay_run *r, const struct path_stats *s, uint32_t plan, FILE *out)
{
	uint32_t n = 0;

	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		uint64_t octets = 0;

		for (uint32_t i = 0; i < r->n_ports; i++)
			if (is_uplink(r, i) && r->path_config->ports[i].plan_id == plan)
				octets += s->edge_octets[i][d];
		n += differ(out, "octets metered", r->config->plans[plan].name,
			s->plans[plan].octets[d], octets);
	}
	return n;
}

static uint32_t check(const struct replay_run *r, const struct path_stats *s, FILE *out)
{
	uint64_t n_received = 0;
	uint64_t n_sent = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_ports; i++) {
		n_received += r->ports[i]->counters.rx_packets;
		n_sent += r->ports[i]->counters.tx_packets;
		n += check_port(r, s, i, out);
	}
	for (uint32_t i = 0; i < r->path_config->n_plans; i++)
		n += check_plan(r, s, i, out);
	n += differ(out, "stages in balance", "the path", s->conservation_errors, 0);
	n += differ(out, "packets received", "the path", s->stages[0].in, n_received);
	n += differ(out, "packets sent", "the path", s->stages[s->n_stages - 1].out, n_sent);
	for (uint32_t i = 0; i < s->n_stages; i++)
		n += differ(out, "packets still held", s->stages[i].name,
			(uint64_t)s->stages[i].held, 0);
	return n;
}

uint32_t replay_check(struct replay_run *r, FILE *out)
{
	doors_stats_read(r->path, &r->stats);
	return check(r, &r->stats, out);
}

bool replay_is_damaged(const struct replay_run *r)
{
	struct capture_file_stats f;

	for (uint32_t i = 0; i < capture_set_n_files(r->captures); i++) {
		capture_set_stats(r->captures, i, &f);
		if (f.damage != NULL)
			return true;
	}
	return false;
}

/* ---- as JSON ---- */

static void set_count(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void set_text(json_t *o, const char *key, const char *text)
{
	json_t *value = json_string(text); /* NULL where a file's name is not UTF-8 */

	json_object_set_new(o, key, value != NULL ? value : json_null());
}

static void set_address(json_t *o, const char *key, const struct ip_addr *a)
{
	char text[IP_ADDR_TEXT_MAX];

	set_text(o, key, ip_addr_format(a, text));
}

static json_t *captures_json(const struct replay_run *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < capture_set_n_files(r->captures); i++) {
		struct capture_file_stats f;
		json_t *o = json_object();

		capture_set_stats(r->captures, i, &f);
		set_text(o, "file", f.path);
		set_text(o, "link_type", f.link_name);
		set_count(o, "packets", f.n_packets);
		set_count(o, "skipped_link_type", f.n_link_type);
		set_count(o, "skipped_link_protocol", f.n_protocol);
		set_count(o, "skipped_short", f.n_short);
		if (f.damage != NULL)
			set_text(o, "damage", f.damage);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *replayed_json(const struct replay_run *r)
{
	json_t *o = json_object();
	json_t *not_entered = json_array();

	set_count(o, "packets", r->n_packets);
	set_count(o, "first_us", r->first_us);
	set_count(o, "last_us", r->now_us);
	set_count(o, "out_of_order", r->n_backwards);
	set_count(o, "filled_up", sides_n_padded(r->sides));
	set_count(o, "checksums_finished", sides_n_checksums_finished(r->sides));
	set_count(o, "lengths_finished", sides_n_lengths_finished(r->sides));
	set_count(o, "super_frames_cut", r->n_cut[REPLAY_SEGMENTS]);
	set_count(o, "datagrams_cut", r->n_cut[REPLAY_DATAGRAMS]);
	set_count(o, "fragmented", r->n_cut[REPLAY_FRAGMENTS]);
	for (int v = SIDES_ENTERS + 1; v < N_SIDES_VERDICTS; v++) {
		json_t *why;

		if (r->n_not_entered[v] == 0)
			continue;
		why = json_object();
		set_text(why, "reason", sides_verdict_help((enum sides_verdict)v));
		set_count(why, "packets", r->n_not_entered[v]);
		json_array_append_new(not_entered, why);
	}
	json_object_set_new(o, "not_replayed", not_entered);
	set_count(o, "truncated", r->n_truncated);
	set_count(o, "no_buffer", r->n_no_buffer);
	return o;
}

static bool is_substituted(const struct sides_host *h)
{
	return !ip_addr_equal(&h->captured, &h->entered);
}

static json_t *substitutes_json(const struct replay_run *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < sides_n_hosts(r->sides); i++) {
		const struct sides_host *h = sides_host_at(r->sides, i);
		json_t *o;

		if (!is_substituted(h))
			continue;
		o = json_object();
		set_address(o, "captured", &h->captured);
		set_address(o, "replayed", &h->entered);
		set_text(o, "port", r->path_config->ports[h->port].name);
		json_array_append_new(list, o);
	}
	return list;
}

static void set_directions(
	json_t *o, const uint64_t octets[N_DIRECTIONS], const uint64_t packets[N_DIRECTIONS])
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		json_t *sum = json_object();

		set_count(sum, "octets", octets[d]);
		set_count(sum, "packets", packets[d]);
		json_object_set_new(o, direction_names[d], sum);
	}
}

static json_t *ports_json(const struct replay_run *r, const struct path_stats *s)
{
	static const char *const roles[] = {
		[PORT_LAN] = "lan", [PORT_UPLINK] = "uplink", [PORT_TAP] = "tap"};
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->n_ports; i++) {
		json_t *o = json_object();

		set_text(o, "name", r->path_config->ports[i].name);
		set_text(o, "role", roles[r->path_config->ports[i].role]);
		set_count(o, "frames_in", r->ports[i]->counters.rx_packets);
		set_count(o, "frames_out", r->ports[i]->counters.tx_packets);
		set_directions(o, s->edge_octets[i], s->edge_packets[i]);
		if (is_uplink(r, i)) {
			json_t *none = json_object();

			set_directions(none, s->unattributed_octets[i], s->unattributed_packets[i]);
			json_object_set_new(o, "of_no_flow", none);
		}
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *plans_json(const struct replay_run *r, const struct path_stats *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->path_config->n_plans; i++) {
		const struct plan_stats *m = &s->plans[i];
		json_t *o = json_object();
		struct budget_view view = {0};

		(void)budget_read(r->budget, i, &view);
		set_text(o, "name", r->config->plans[i].name);
		set_count(o, "quota_octets", view.quota_octets);
		set_count(o, "cycle_octets", view.plan.used_octets);
		set_count(o, "bill_low_octets", view.bill.low_octets);
		set_count(o, "bill_high_octets", view.bill.high_octets);
		set_count(
			o, "billed_octets", m->billed_octets[UPLINK] + m->billed_octets[DOWNLINK]);
		set_directions(o, m->octets, m->packets);
		json_array_append_new(list, o);
	}
	return list;
}

/* The address a device had in the captures. */
static const struct ip_addr *captured_of(const struct replay_run *r, const struct device *d)
{
	for (uint32_t i = 0; i < sides_n_hosts(r->sides); i++) {
		const struct sides_host *h = sides_host_at(r->sides, i);

		if (ip_addr_equal(&h->entered, &d->addr) && h->port == d->port)
			return &h->captured;
	}
	return &d->addr;
}

static json_t *device_json(const struct replay_run *r, const struct device *d)
{
	const struct ip_addr *captured = captured_of(r, d);
	char mac[MAC_ADDR_TEXT_MAX];
	json_t *o = json_object();

	set_address(o, "address", &d->addr);
	if (!ip_addr_equal(captured, &d->addr))
		set_address(o, "captured", captured);
	set_text(o, "mac", mac_addr_format(&d->mac, mac));
	set_text(o, "port", r->path_config->ports[d->port].name);
	set_count(o, "first_us", d->first_us);
	set_count(o, "last_us", d->last_us);
	set_directions(o, d->octets, d->packets);
	return o;
}

static json_t *devices_json(const struct replay_run *r)
{
	struct device devices[DEVICES_BATCH];
	json_t *list = json_array();
	uint32_t first = 0;
	uint32_t n;

	while ((n = doors_devices_read(r->path, (uint16_t)first, devices, DEVICES_BATCH)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			if (devices[i].in_use)
				json_array_append_new(list, device_json(r, &devices[i]));
		first += n;
	}
	return list;
}

static json_t *drops_json(const struct path_stats *s)
{
	json_t *list = json_array();

	for (int why = DROP_NONE + 1; why < N_DROP_REASONS; why++) {
		json_t *o;

		if (s->drops[why] == 0)
			continue;
		o = json_object();
		set_text(o, "reason", drop_name((enum drop_reason)why));
		set_text(o, "help", drop_help((enum drop_reason)why));
		set_count(o, "packets", s->drops[why]);
		set_count(o, "octets", s->drop_octets[why]);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *usage_json(const struct replay_run *r, const struct path_stats *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "ports", ports_json(r, s));
	json_object_set_new(o, "plans", plans_json(r, s));
	json_object_set_new(o, "devices", devices_json(r));
	return o;
}

/* Times of the captures' clock; a kind that was never answered has none. */
static json_t *clock_json(const struct clock_row *row)
{
	char mac[MAC_ADDR_TEXT_MAX];
	json_t *o = json_object();
	json_t *last = json_object();

	set_address(o, "address", &row->addr);
	set_text(o, "mac", mac_addr_format(&row->mac, mac));
	set_text(o, "port", row->port);
	set_text(o, "class", row->class_name);
	set_text(o, "state", clock_state_name(row->state));
	set_text(o, "cause", clock_cause_name(row->cause));
	set_count(o, "first_us", (uint64_t)row->first_us);
	for (uint32_t kind = CLASS_KIND_NONE + 1; kind < CLASS_KINDS; kind++)
		if (row->last_us[kind] != CLOCK_NEVER)
			set_count(last, class_kind_name(kind), (uint64_t)row->last_us[kind]);
	json_object_set_new(o, "answered_us", last);
	return o;
}

static json_t *clocks_json(const struct replay_run *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; clocks_row(r->clocks, i) != NULL; i++)
		json_array_append_new(list, clock_json(clocks_row(r->clocks, i)));
	return list;
}

static json_t *summary_json(struct replay_run *r)
{
	json_t *o;
	json_t *flows = json_object();
	struct path_stats *s = &r->stats;

	doors_stats_read(r->path, s);
	o = usage_json(r, s);
	json_object_set_new(o, "captures", captures_json(r));
	json_object_set_new(o, "replayed", replayed_json(r));
	json_object_set_new(o, "substitutes", substitutes_json(r));
	json_object_set_new(o, "drops", drops_json(s));
	json_object_set_new(o, "clocks", clocks_json(r));
	set_count(flows, "created", s->flows_created);
	set_count(flows, "ended", s->flows_ended);
	set_count(flows, "records", r->n_records);
	set_count(flows, "records_lost", s->records_lost);
	json_object_set_new(o, "flows", flows);
	json_object_set_new(o, "sums_agree", json_boolean(check(r, s, NULL) == 0));
	return o;
}

/* Takes `o` over. */
static int write_json(const char *path, json_t *o)
{
	FILE *f = fopen(path, "we");
	int rc = f != NULL ? 0 : -errno;

	if (f == NULL)
		goto out_json;
	if (json_dumpf(o, f, JSON_INDENT(2)) != 0 || fputc('\n', f) == EOF || fflush(f) != 0)
		rc = errno != 0 ? -errno : -EIO;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
out_json:
	json_decref(o);
	return rc;
}

int replay_write_usage(struct replay_run *r, const char *path)
{
	doors_stats_read(r->path, &r->stats);
	return write_json(path, usage_json(r, &r->stats));
}

int replay_write_drops(struct replay_run *r, const char *path)
{
	json_t *drops = json_object();

	doors_stats_read(r->path, &r->stats);
	json_object_set_new(drops, "drops", drops_json(&r->stats));
	return write_json(path, drops);
}

void replay_print(struct replay_run *r, bool as_json, FILE *out)
{
	json_t *o = summary_json(r);

	if (!as_json)
		replay_print_people(o, out);
	else if (json_dumpf(o, out, JSON_INDENT(2)) == 0)
		fputc('\n', out);
	json_decref(o);
}
