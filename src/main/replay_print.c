/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_print.h"

#include <weir/base/direction.h>
#include <weir/base/units.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_SHOWN 20

static const char *const direction_names[N_DIRECTIONS] = {"uplink", "downlink"};

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

		fprintf(out, " %15" PRIu64 " %12" PRIu64, count_of(sum, "octets"),
			count_of(sum, "packets"));
	}
	fputc('\n', out);
}

static void print_head(const char *title, FILE *out)
{
	fprintf(out, "\n%-18s %15s %12s %15s %12s\n", title, "uplink octets", "packets",
		"downlink octets", "packets");
}

static void print_table(const json_t *list, const char *title, const char *key, FILE *out)
{
	size_t i;
	json_t *row;

	if (json_array_size(list) == 0)
		return;
	print_head(title, out);
	json_array_foreach(list, i, row)
	{
		fprintf(out, "%-18s", text_of(row, key));
		print_sums(row, out);
		if (json_object_get(row, "of_no_flow") != NULL) {
			fprintf(out, "%-18s", "  not of a flow");
			print_sums(json_object_get(row, "of_no_flow"), out);
		}
	}
}

static uint64_t octets_of(const json_t *row)
{
	uint64_t octets = 0;

	for (uint32_t d = 0; d < N_DIRECTIONS; d++)
		octets += count_of(json_object_get(row, direction_names[d]), "octets");
	return octets;
}

/* The most octets first; at equal octets in the order in which they came. */
static int compare_devices(const void *a, const void *b)
{
	const json_t *const *x = a;
	const json_t *const *y = b;
	uint64_t octets_x = octets_of(*x);
	uint64_t octets_y = octets_of(*y);

	if (octets_x != octets_y)
		return octets_x > octets_y ? -1 : 1;
	return strcmp(text_of(*x, "address"), text_of(*y, "address"));
}

static void print_devices(const json_t *list, FILE *out)
{
	size_t n = json_array_size(list);
	const json_t **rows = n > 0 ? calloc(n, sizeof(const json_t *)) : NULL;

	if (rows == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(list, i);
	qsort(rows, n, sizeof(const json_t *), compare_devices);
	print_head("device", out);
	for (size_t i = 0; i < n && i < DEVICES_SHOWN; i++) {
		fprintf(out, "%-18s", text_of(rows[i], "address"));
		print_sums(rows[i], out);
	}
	if (n > DEVICES_SHOWN)
		fprintf(out, "%zu more with less: --json and usage.json have all\n",
			n - DEVICES_SHOWN);
	free(rows);
}

static void print_lists(const json_t *o, FILE *out)
{
	const json_t *drops = json_object_get(o, "drops");
	const json_t *substitutes = json_object_get(o, "substitutes");
	size_t i;
	json_t *row;

	if (json_array_size(drops) > 0)
		fprintf(out, "\n%-26s %10s %14s  %s\n", "dropped", "packets", "octets", "why");
	json_array_foreach(drops, i, row)
	{
		fprintf(out, "%-26s %10" PRIu64 " %14" PRIu64 "  %s\n", text_of(row, "reason"),
			count_of(row, "packets"), count_of(row, "octets"), text_of(row, "help"));
	}
	if (json_array_size(substitutes) > 0)
		fprintf(out, "\nhosts of no configured LAN, replayed under an address of one\n");
	json_array_foreach(substitutes, i, row) fprintf(out, "  %s as %s on %s\n",
		text_of(row, "captured"), text_of(row, "replayed"), text_of(row, "port"));
}

/* Devices of classes with a profile. */
static void print_clocks(const json_t *list, FILE *out)
{
	size_t i;
	json_t *row;

	if (json_array_size(list) > 0)
		fprintf(out, "\n%-18s %-18s %-10s %s\n", "clocks of", "class", "state", "cause");
	json_array_foreach(list, i, row)
		fprintf(out, "%-18s %-18s %-10s %s\n", text_of(row, "address"),
			text_of(row, "class"), text_of(row, "state"), text_of(row, "cause"));
}

void replay_print_people(const json_t *summary, FILE *out)
{
	const json_t *flows = json_object_get(summary, "flows");

	print_captures(summary, out);
	print_replayed(summary, out);
	print_table(json_object_get(summary, "ports"), "port", "name", out);
	print_table(json_object_get(summary, "plans"), "plan", "name", out);
	print_devices(json_object_get(summary, "devices"), out);
	print_clocks(json_object_get(summary, "clocks"), out);
	print_lists(summary, out);
	fprintf(out, "\n%" PRIu64 " flows, %" PRIu64 " records\n", count_of(flows, "created"),
		count_of(flows, "records"));
	if (count_of(flows, "records_lost") > 0)
		fprintf(out, "%" PRIu64 " records lost\n", count_of(flows, "records_lost"));
	fprintf(out, "sums: %s\n",
		json_is_true(json_object_get(summary, "sums_agree")) ? "all agree"
								     : "do NOT agree, see stderr");
}
