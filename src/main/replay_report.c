/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_run.h"

#include <weir/base/units.h>

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define DEVICES_BATCH 16
#define FILE_PATH_MAX 1024

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

uint32_t replay_check(const struct replay_run *r, FILE *out)
{
	struct path_stats s;

	doors_stats_read(r->path, &s);
	return check(r, &s, out);
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
		const struct meter *m = &s->plans[i];
		json_t *o = json_object();

		set_text(o, "name", r->config->plans[i].name);
		set_count(o, "quota_octets", m->params.quota_octets);
		set_count(o, "billed_octets", meter_used(m));
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

static json_t *summary_json(const struct replay_run *r)
{
	json_t *o;
	json_t *flows = json_object();
	struct path_stats s;

	doors_stats_read(r->path, &s);
	o = usage_json(r, &s);
	json_object_set_new(o, "captures", captures_json(r));
	json_object_set_new(o, "replayed", replayed_json(r));
	json_object_set_new(o, "substitutes", substitutes_json(r));
	json_object_set_new(o, "drops", drops_json(&s));
	set_count(flows, "created", s.flows_created);
	set_count(flows, "ended", s.flows_ended);
	set_count(flows, "records", r->n_records);
	set_count(flows, "records_lost", s.records_lost);
	json_object_set_new(o, "flows", flows);
	json_object_set_new(o, "sums_agree", json_boolean(check(r, &s, NULL) == 0));
	return o;
}

static int write_json(const char *dir, const char *name, json_t *o)
{
	char path[FILE_PATH_MAX];
	FILE *f;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (f == NULL)
		return -errno;
	if (json_dumpf(o, f, JSON_INDENT(2)) != 0 || fputc('\n', f) == EOF || fflush(f) != 0)
		rc = errno != 0 ? -errno : -EIO;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

int replay_write_files(const struct replay_run *r, const char *dir)
{
	struct path_stats s;
	json_t *usage;
	json_t *drops = json_object();
	int rc;

	doors_stats_read(r->path, &s);
	usage = usage_json(r, &s);
	json_object_set_new(drops, "drops", drops_json(&s));
	rc = write_json(dir, "usage.json", usage);
	if (rc == 0)
		rc = write_json(dir, "drops.json", drops);
	json_decref(usage);
	json_decref(drops);
	return rc;
}

/* ---- for people ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "?";
}

static uint64_t count_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void print_captures(const json_t *o, FILE *out)
{
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(o, "captures"), i, f)
	{
		fprintf(out, "%s: %" PRIu64 " packets (%s)\n", text_of(f, "file"),
			count_of(f, "packets"), text_of(f, "link_type"));
		if (count_of(f, "skipped_link_type") > 0)
			fprintf(out, "  %" PRIu64 " not replayed: link type %s is not known here\n",
				count_of(f, "skipped_link_type"), text_of(f, "link_type"));
		if (count_of(f, "skipped_link_protocol") > 0)
			fprintf(out, "  %" PRIu64 " not replayed: the link layer's own protocols\n",
				count_of(f, "skipped_link_protocol"));
		if (count_of(f, "skipped_short") > 0)
			fprintf(out, "  %" PRIu64 " not replayed: cut off within the link layer\n",
				count_of(f, "skipped_short"));
		if (json_object_get(f, "damage") != NULL)
			fprintf(out, "  damaged: %s; played up to there\n", text_of(f, "damage"));
	}
}

static void print_replayed(const json_t *o, FILE *out)
{
	static const char *const counters[][2] = {
		{"out_of_order", "before the packet in front of them; time stood still for them"},
		{"filled_up", "cut off by the capture, filled up with zeros"},
		{"checksums_finished", "checksums finished that offloads had left open"},
		{"lengths_finished", "IP lengths finished that offloads had left open"},
		{"super_frames_cut", "TCP super-frames cut into segments of the MTU"},
		{"datagrams_cut",
			"UDP super-frames cut into datagrams of the MTU (how long they were on the "
			"wire is in no capture)"},
		{"fragmented", "packets larger than the MTU, replayed as IP fragments"},
		{"truncated", "not replayed: larger than a packet buffer"},
		{"no_buffer", "not replayed: no packet buffer left (runtime.packet_buffers)"},
	};
	const json_t *replayed = json_object_get(o, "replayed");
	char span[UNITS_TEXT_MAX];
	size_t i;
	json_t *why;

	fprintf(out, "%" PRIu64 " packets over %s\n", count_of(replayed, "packets"),
		units_show_time(
			count_of(replayed, "last_us") - count_of(replayed, "first_us"), span));
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		if (count_of(replayed, counters[i][0]) > 0)
			fprintf(out, "  %" PRIu64 " %s\n", count_of(replayed, counters[i][0]),
				counters[i][1]);
	json_array_foreach(json_object_get(replayed, "not_replayed"), i, why)
		fprintf(out, "  %" PRIu64 " not replayed: %s\n", count_of(why, "packets"),
			text_of(why, "reason"));
}

static void print_sums(const json_t *o, FILE *out)
{
	for (uint32_t d = 0; d < N_DIRECTIONS; d++) {
		const json_t *sum = json_object_get(o, direction_names[d]);

		fprintf(out, " %14" PRIu64 " %12" PRIu64, count_of(sum, "octets"),
			count_of(sum, "packets"));
	}
	fputc('\n', out);
}

static void print_table(const json_t *list, const char *title, const char *key, FILE *out)
{
	size_t i;
	json_t *row;

	if (json_array_size(list) == 0)
		return;
	fprintf(out, "\n%-18s %14s %12s %14s %12s\n", title, "uplink octets", "packets",
		"downlink octets", "packets");
	json_array_foreach(list, i, row)
	{
		fprintf(out, "%-18s", text_of(row, key));
		print_sums(row, out);
		if (json_object_get(row, "of_no_flow") != NULL) {
			fprintf(out, "%-18s", "  of no flow");
			print_sums(json_object_get(row, "of_no_flow"), out);
		}
	}
}

static void print_lists(const json_t *o, FILE *out)
{
	const json_t *drops = json_object_get(o, "drops");
	const json_t *substitutes = json_object_get(o, "substitutes");
	size_t i;
	json_t *row;

	if (json_array_size(drops) > 0)
		fprintf(out, "\n%-26s %10s %14s\n", "dropped", "packets", "octets");
	json_array_foreach(drops, i, row) fprintf(out, "%-26s %10" PRIu64 " %14" PRIu64 "\n",
		text_of(row, "reason"), count_of(row, "packets"), count_of(row, "octets"));
	if (json_array_size(substitutes) > 0)
		fprintf(out, "\nhosts outside every LAN that acted as LAN hosts\n");
	json_array_foreach(substitutes, i, row) fprintf(out, "  %s as %s on %s\n",
		text_of(row, "captured"), text_of(row, "replayed"), text_of(row, "port"));
}

static void print_people(const json_t *o, FILE *out)
{
	const json_t *flows = json_object_get(o, "flows");

	print_captures(o, out);
	print_replayed(o, out);
	print_table(json_object_get(o, "ports"), "port", "name", out);
	print_table(json_object_get(o, "plans"), "plan", "name", out);
	print_table(json_object_get(o, "devices"), "device", "address", out);
	print_lists(o, out);
	fprintf(out, "\n%" PRIu64 " flows, %" PRIu64 " records\n", count_of(flows, "created"),
		count_of(flows, "records"));
	if (count_of(flows, "records_lost") > 0)
		fprintf(out, "%" PRIu64 " records lost\n", count_of(flows, "records_lost"));
	fprintf(out, "sums: %s\n",
		json_is_true(json_object_get(o, "sums_agree")) ? "all agree"
							       : "do NOT agree, see stderr");
}

void replay_print(const struct replay_run *r, bool as_json, FILE *out)
{
	json_t *o = summary_json(r);

	if (!as_json)
		print_people(o, out);
	else if (json_dumpf(o, out, JSON_INDENT(2)) == 0)
		fputc('\n', out);
	json_decref(o);
}
