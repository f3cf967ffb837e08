/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_table.h"

#include "metrics.h"

#include <string.h>

enum view_id {
	VIEW_status,
	VIEW_events,
	VIEW_ports,
	VIEW_plans,
	VIEW_link,
	VIEW_classes,
	VIEW_drops,
	VIEW_stages,
	VIEW_devices,
};

#define LISTING(view, of_samples)                                                                  \
	{                                                                                          \
		.name = (view), .request = "{\"show\":\"" view "\"}", .labels = (of_samples)       \
	}

const struct metrics_view metrics_views[METRICS_VIEWS] = {
	[VIEW_status] = {.name = "status",
		.request = "{\"show\":\"status\"}",
		.labels = "",
		.is_object = true},
	[VIEW_events] = {.name = "events",
		.request = "{\"show\":\"events\",\"limit\":0}",
		.labels = "",
		.is_object = true},
	[VIEW_ports] = LISTING("ports", "port=%name"),
	[VIEW_plans] = LISTING("plans", "plan=%name"),
	[VIEW_link] = LISTING("link", "port=%port,direction=%direction"),
	[VIEW_classes] = LISTING("classes", "class=%name"),
	/* Reasons that never happened too: a rate needs the zero before the first. */
	[VIEW_drops] = {.name = "drops",
		.request = "{\"show\":\"drops\",\"all\":true}",
		.labels = "reason=%reason"},
	[VIEW_stages] = LISTING("stages", "stage=%name"),
	[VIEW_devices] = {.name = "devices",
		.request = "{\"show\":\"devices\"}",
		.labels = "device=%address,mac=%mac,port=%port",
		.is_bounded = true},
};

const char *const metrics_words[METRICS_READINGS] = {
	[READ_IS_UP] = "up",
	[READ_IS_SOUND] = "sound",
	[READ_IS_OPEN] = "open",
	[READ_IS_NOTIFY] = "notify",
	[READ_IS_SHAPE] = "shape",
	[READ_IS_RESERVE_ONLY] = "reserve-only",
	[READ_IS_BLOCK] = "block",
};

#define GAUGE   "gauge"
#define COUNTER "counter"
#define SUMMARY "summary"

const struct metrics_row metrics_rows[] = {
#define FAMILY(family, kind, sentence) {.name = (family), .type = (kind), .help = (sentence)},
#define SOURCE(from, field, more, how)                                                             \
	{.view = VIEW_##from, .key = (field), .labels = (more), .reading = READ_##how},
#include "metrics.def"
#undef FAMILY
#undef SOURCE
};

const uint32_t metrics_n_rows = sizeof(metrics_rows) / sizeof(metrics_rows[0]);

/* Names alone, each in its own quotes. */
static void label_names_print(const char *labels, FILE *out)
{
	while (*labels != '\0') {
		(void)fputs(" `", out);
		(void)fwrite(labels, 1, strcspn(labels, "="), out);
		(void)fputc('`', out);
		labels += strcspn(labels, ",");
		labels += *labels == ',';
	}
}

void metrics_describe(FILE *out)
{
	(void)fputs("# Metrics\n\n"
		    "Made by `scripts/gen-docs` from `src/client/metrics.def`. `weirctl metrics` "
		    "prints "
		    "them, weir-web serves them under `/metrics`;\n"
		    "[monitoring.md](monitoring.md) says how to set that up. Where the daemon has "
		    "nothing to say, such as the quota of a plan\n"
		    "without one, a metric is absent.\n\n"
		    "| metric | type | labels | what it is |\n|---|---|---|---|\n",
		out);
	for (uint32_t i = 0; i < metrics_n_rows; i++) {
		const struct metrics_row *family = &metrics_rows[i];

		if (family->name == NULL)
			continue;
		(void)fprintf(out, "| `%s` | %s |", family->name, family->type);
		label_names_print(metrics_views[family[1].view].labels, out);
		label_names_print(family[1].labels, out);
		(void)fprintf(out, " | %s |\n", family->help);
	}
}
