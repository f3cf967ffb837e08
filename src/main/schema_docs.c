/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"

#include <weir/control/events.h>
#include <weir/control/schema.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_TEXT_MAX 96

/* Names that config/weir.yaml gives where the user chooses one. */
static const struct {
	const char *path;
	const char *names[3]; /* NULL ends the list */
} instances[] = {
	{"ports.*", {"lan0", "wwan0", NULL}},
	{"plans.*", {"sim1", NULL}},
	{"quotas.*", {"cameras", NULL}},
	{"classes.*", {"telemetry", NULL}},
	{"groups.*", {"cameras", NULL}},
	{"schedules.*", {"night", NULL}},
	{"topology.*", {"sensors", NULL}},
};

/* Values of config/weir.yaml that are not the default: live ones, and those shown behind a #. */
static const struct {
	const char *path;
	const char *value;
	bool is_live;
} examples[] = {
	{"gateway", "gw-0042", true},
	{"ports.lan0.role", "lan", true},
	{"ports.lan0.device", "eth1", true},
	{"ports.lan0.address", "192.168.50.1/24", true},
	{"ports.lan0.mtu", "1500", false},
	{"ports.lan0.vlan", "10", false},
	{"ports.lan0.tap", "weir-lan0", false},
	{"ports.wwan0.role", "uplink", true},
	{"ports.wwan0.device", "wwan0", true},
	{"ports.wwan0.address", "10.64.3.7/32", true},
	{"ports.wwan0.link", "cellular", true},
	{"ports.wwan0.framing", "raw-ip", true},
	{"ports.wwan0.gateway", "192.0.2.1", false},
	{"ports.wwan0.plan", "sim1", true},
	{"ports.wwan0.rate.uplink", "5Mbps", false},
	{"ports.wwan0.rate.downlink", "20Mbps", false},
	{"plans.sim1.quota", "500MB", true},
	{"plans.sim1.when_spent", "block", true},
	{"plans.sim1.ladder", "", false},
	{"plans.sim1.ladder.[].at", "100%", false},
	{"plans.sim1.ladder.[].do", "block", false},
	{"plans.sim1.ladder.[].rate", "256kbps", false},
	{"quotas.cameras.group", "cameras", true},
	{"quotas.cameras.quota", "200MB", true},
	{"quotas.cameras.ladder", "", false},
	{"quotas.cameras.ladder.[].at", "100%", false},
	{"quotas.cameras.ladder.[].do", "reserve-only", false},
	{"quotas.cameras.ladder.[].rate", "128kbps", false},
	{"classes.telemetry.protocol", "tcp", true},
	{"classes.telemetry.remote", "203.0.113.0/24", true},
	{"classes.telemetry.port", "8883", true},
	{"classes.telemetry.source_port", "124", false},
	{"classes.telemetry.group", "cameras", false},
	{"classes.telemetry.device", "02:00:5e:10:00:01", false},
	{"classes.telemetry.match", "", false},
	{"classes.telemetry.match.[].protocol", "udp", false},
	{"classes.telemetry.match.[].remote", "203.0.113.0/24", false},
	{"classes.telemetry.match.[].port", "123", false},
	{"classes.telemetry.match.[].source_port", "124", false},
	{"classes.telemetry.match.[].dscp", "EF", false},
	{"classes.telemetry.match.[].group", "cameras", false},
	{"classes.telemetry.match.[].device", "02:00:5e:10:00:01", false},
	{"classes.telemetry.profile", "azure-sphere", false},
	{"classes.telemetry.guaranteed", "256kbps", false},
	{"classes.telemetry.ceiling", "1Mbps", false},
	{"policy.rules.[].from", "lan", true},
	{"policy.rules.[].to", "uplink", true},
	{"policy.rules.[].protocol", "tcp", true},
	{"policy.rules.[].source", "192.168.50.0/24", false},
	{"policy.rules.[].destination", "203.0.113.0/24", false},
	{"policy.rules.[].port", "25", true},
	{"policy.rules.[].device", "02:00:5e:10:00:01", false},
	{"policy.rules.[].group", "cameras", false},
	{"policy.rules.[].class", "telemetry", false},
	{"policy.rules.[].schedule", "night", true},
	{"policy.rules.[].log", "true", false},
	{"policy.rules.[].action", "reject", true},
	{"nat.dmz", "192.168.50.20", false},
	{"forwards", "", false},
	{"forwards.[].protocol", "tcp", false},
	{"forwards.[].port", "8443", false},
	{"forwards.[].to", "192.168.50.10", false},
	{"forwards.[].to_port", "443", false},
	{"forwards.[].source", "198.51.100.0/24", false},
	{"groups.cameras.devices", "[02:00:5e:10:00:01, 192.168.50.20]", true},
	{"groups.cameras.destinations", "[203.0.113.0/24, 198.51.100.7]", false},
	{"schedules.night.days", "mon-fri", true},
	{"schedules.night.from", "22:00", true},
	{"schedules.night.to", "06:00", true},
	{"schedules.night.timezone", "Europe/Berlin", true},
	{"devices.allow", "[02:00:5e:10:00:02]", false},
	{"flows.per_device", "16384", false},
	{"runtime.packet_buffers", "4096", false},
	{"runtime.socket", "/run/weir/weir.sock", false},
	{"runtime.records", "/var/lib/weir/flows.json", false},
	{"runtime.view_socket", "/run/weir/view.sock", false},
	{"export.ipfix.collector", "192.0.2.7:4739", false},
	{"export.ipfix.ca_file", "/etc/weir/collector-ca.pem", false},
	{"export.ipfix.certificate", "/etc/weir/weir.pem", false},
	{"export.ipfix.key", "/etc/weir/weir.key", false},
	{"export.ipfix.server_name", "collector.example.com", false},
	{"export.ipfix.file", "/var/lib/weir/flows.ipfix", false},
	{"topology.sensors.attachment", "wifi", true},
};

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* One of a list of values: it is written in the list's own line. */
static bool is_listed_value(const struct schema_row *row)
{
	size_t len = strlen(row->path);

	return row->type != SCHEMA_ITEM && len > 3 && strcmp(row->path + len - 3, ".[]") == 0;
}

/* A list of values is a value itself, to people. */
static bool is_section(const struct schema_row *row)
{
	if (row->type == SCHEMA_LIST && is_listed_value(row + 1))
		return false;
	return row->type == SCHEMA_SECTION || row->type == SCHEMA_NAMED || row->type == SCHEMA_LIST;
}

/* The row's path with the name in place of the `*`. */
static void path_with(const struct schema_row *row, const char *name, char path[PATH_TEXT_MAX])
{
	const char *star = strchr(row->path, '*');

	if (star == NULL)
		(void)snprintf(path, PATH_TEXT_MAX, "%s", row->path);
	else
		(void)snprintf(path, PATH_TEXT_MAX, "%.*s%s%s", (int)(star - row->path), row->path,
			name, star + 1);
}

/* Writes what stands behind the colon; false when the line is to be a comment. */
static bool value_of(const struct schema_row *row, const char *name, const char **ret_value)
{
	char path[PATH_TEXT_MAX];

	path_with(row, name, path);
	for (size_t i = 0; i < N_OF(examples); i++) {
		if (strcmp(examples[i].path, path) == 0) {
			*ret_value = examples[i].value;
			return examples[i].is_live;
		}
	}
	*ret_value = row->fallback == NULL ? "" : row->fallback;
	return is_section(row);
}

static int depth_of(const struct schema_row *row)
{
	int depth = 0;

	for (const char *c = row->path; *c != '\0'; c++)
		depth += *c == '.';
	return depth;
}

static const char *applies_text(const struct schema_row *row)
{
	return row->applies == APPLIES_LIVE ? "live" : "at start";
}

/* `is_live`: what stands behind the key is no comment, and may not be the default. */
static void help_print(const struct schema_row *row, int indent, bool is_live)
{
	char range[SCHEMA_RANGE_MAX];

	printf("%*s# %s\n", indent, "", row->help);
	if (is_section(row))
		return;
	printf("%*s# (%s; ", indent, "", schema_range(row, range));
	if ((row->flags & SCHEMA_REQUIRED) != 0)
		printf("required; ");
	else if (row->fallback_words != NULL)
		printf("default: %s; ", row->fallback_words);
	else if (is_live && row->fallback != NULL)
		printf("default: %s; ", row->fallback);
	printf("%s)\n", applies_text(row));
}

/* One key of config/weir.yaml. `is_first` of a list item carries its dash. */
static void key_print(const struct schema_row *row, const char *name, bool is_first, bool is_again)
{
	bool is_item = strstr(row->path, ".[].") != NULL;
	int indent = depth_of(row) * 2 - (is_item ? 2 : 0);
	const char *dash = !is_item ? "" : is_first ? "- " : "  ";
	const char *value;
	bool is_live = value_of(row, name, &value);

	if (is_listed_value(row))
		return;
	/* What the first port has explained, the second one only uses. */
	if (is_again && (row->flags & SCHEMA_UPLINK_ONLY) == 0) {
		if (!is_live)
			return;
	} else {
		help_print(row, is_item ? indent + 2 : indent, is_live);
	}
	printf("%*s%s%s%s:%s%s\n", indent, "", is_live ? "" : "#", dash, schema_key(row),
		value[0] == '\0' ? "" : " ", value);
}

static bool is_for(const struct schema_row *row, size_t instance)
{
	return instance == 0 ? (row->flags & SCHEMA_UPLINK_ONLY) == 0
			     : (row->flags & SCHEMA_LAN_ONLY) == 0;
}

/* All keys below a name that the user chooses; returns the row behind them. */
static const struct schema_row *instance_print(
	const struct schema_row *item, const char *name, size_t instance)
{
	const struct schema_row *row = item + 1;
	const struct schema_row *skipped = NULL;
	bool is_first = false;

	printf("  %s:\n", name);
	for (; row->path != NULL && strncmp(row->path, item->path, strlen(item->path)) == 0;
		row++) {
		if (skipped != NULL && schema_is_same_struct(row, skipped))
			continue;
		skipped = is_for(row, instance) ? NULL : row;
		if (row->type == SCHEMA_ITEM)
			is_first = true;
		else if (skipped == NULL) {
			key_print(row, name, is_first, instance > 0);
			is_first = false;
		}
	}
	return row;
}

static void yaml_print(void)
{
	const struct schema_row *row = schema_rows();
	bool is_first = false;

	printf("# weir's configuration: every key there is. Made by scripts/gen-docs; "
	       "docs/config.md is the same as a "
	       "table.\n"
	       "# A key behind # shows its default or an example. In parentheses: what may be "
	       "written, the default\n"
	       "# where it is not shown, and when a change applies: live, or with the next start.\n"
	       "# A home site needs about fifteen lines of this: config/examples/home.yaml.\n");
	while (row->path != NULL && row != schema_profile()) {
		if (depth_of(row) == 0)
			printf("\n");
		if (row->type == SCHEMA_ITEM && strchr(row->path, '*') != NULL) {
			const struct schema_row *item = row;

			for (size_t i = 0; i < N_OF(instances); i++) {
				for (size_t k = 0; strcmp(instances[i].path, item->path) == 0
						   && instances[i].names[k] != NULL;
					k++)
					row = instance_print(item, instances[i].names[k], k);
			}
			continue;
		}
		if (row->type == SCHEMA_ITEM)
			is_first = true;
		else
			key_print(row, "", is_first, false);
		if (row->type != SCHEMA_ITEM)
			is_first = false;
		row++;
	}
}

/* "ports.NAME.role", "policy.rules[].from". */
static void markdown_path_print(const struct schema_row *row)
{
	static const char profile[] = "(profile).";
	const char *path = row->path;

	if (strncmp(path, profile, sizeof(profile) - 1) == 0)
		path += sizeof(profile) - 1;
	for (const char *c = path; *c != '\0'; c++) {
		if (*c == '*')
			printf("NAME");
		else if (strncmp(c, ".[]", 3) == 0) {
			printf("[]");
			c += 2;
		} else
			(void)putchar(*c);
	}
}

static void markdown_row_print(const struct schema_row *row)
{
	char range[SCHEMA_RANGE_MAX];
	const char *otherwise = row->fallback_words != NULL ? row->fallback_words
				: row->fallback != NULL     ? row->fallback
							    : "";

	if (is_section(row) || row->type == SCHEMA_ITEM || is_listed_value(row))
		return;
	printf("| `");
	markdown_path_print(row);
	printf("` | %s | %s | %s | %s%s%s |\n", schema_range(row, range),
		(row->flags & SCHEMA_REQUIRED) != 0 ? "required" : otherwise, applies_text(row),
		row->help, (row->flags & SCHEMA_LAN_ONLY) != 0 ? " LAN ports only." : "",
		(row->flags & SCHEMA_UPLINK_ONLY) != 0 ? " Uplinks only." : "");
}

static void markdown_head_print(const char *title, const char *help)
{
	printf("\n## %s\n\n%s\n\n| key | takes | default | applies | what it is "
	       "|\n|---|---|---|---|---|\n",
		title, help);
}

static void markdown_print(void)
{
	printf("# Configuration\n\n"
	       "Made by `scripts/gen-docs` from the rows of `src/control/schema.c`. One YAML file "
	       "configures weir; "
	       "`weir check FILE`\n"
	       "reports every mistake in it at once. `config/weir.yaml` shows every key in its "
	       "place, "
	       "`config/examples/` whole sites.\n\n"
	       "- A quantity has a unit: octets B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, "
	       "GiB, TiB (powers of "
	       "1024); rates\n"
	       "  bps, kbps, Mbps, Gbps; times us, ms, s, m, h, d and sums such as 2h4m; shares "
	       "%%.\n"
	       "- Names are up to 31 characters of a-z, 0-9, _ and -; of ports, up to 15.\n"
	       "- Keys that apply *live* change on reload; those that apply *at start* are named "
	       "in a warning "
	       "then.\n"
	       "- Anchors, aliases, tags and further documents of YAML are not read.\n"
	       "- Memory is fixed at start. A plain site on ordinary pages holds about 50 MB, half "
	       "of it programs and "
	       "libraries,\n"
	       "  and 330 octets for each flow that there has been at one time (`flows.capacity`: "
	       "22 MB with the default);\n"
	       "  `runtime.packet_buffers` is the rest that can be chosen. With free huge pages "
	       "(`sysctl vm.nr_hugepages`) all\n"
	       "  of it is taken at once.\n");
	markdown_head_print("gateway", "Who this is.");
	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		if (row == schema_profile())
			markdown_head_print("Profiles: profiles/NAME.yaml", row->help);
		else if (is_section(row) && depth_of(row) == 0)
			markdown_head_print(row->path, row->help);
		else
			markdown_row_print(row);
	}
}

static void drops_print(void)
{
	const char *last = "";

	printf("# Drop reasons\n\n"
	       "Made by `scripts/gen-docs` from `include/weir/packet/drops.def`. Every packet that "
	       "goes no further is "
	       "counted under one of\n"
	       "these, in the order of its way through weir; `weirctl show drops` shows the "
	       "counters.\n");
	for (uint32_t i = 1; i < N_DROP_REASONS; i++) {
		const char *name = drop_name((enum drop_reason)i);
		size_t len = strcspn(name, ".");

		if (strncmp(name, last, len) != 0 || last[len] != name[len])
			printf("\n## %.*s\n\n| reason | meaning |\n|---|---|\n", (int)len, name);
		printf("| `%s` | %s |\n", name, drop_help((enum drop_reason)i));
		last = name;
	}
}

static void events_print(void)
{
	const char *name;
	const char *help;

	printf("# Events\n\n"
	       "Made by `scripts/gen-docs` from `include/weir/control/events.def`. Each is a line "
	       "of "
	       "the log (stderr; the journal, with its\n"
	       "priority, under systemd) and of `weirctl events [--follow] [--json]`; the last %u "
	       "are "
	       "held. Fields are in the units that their\n"
	       "names end in; `more` counts alike events before this one that were not told, so "
	       "that nobody fills the log at will.\n\n"
	       "| event | what it means |\n|---|---|\n",
		EVENTS_HELD);
	for (uint32_t i = 0; event_describe(i, &name, &help); i++)
		printf("| `%s` | %s |\n", name, help);
}

int schema_main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "yaml") == 0)
		yaml_print();
	else if (strcmp(what, "markdown") == 0)
		markdown_print();
	else if (strcmp(what, "drops") == 0)
		drops_print();
	else if (strcmp(what, "events") == 0)
		events_print();
	else {
		(void)fputs("usage: weir schema yaml|markdown|drops|events\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
