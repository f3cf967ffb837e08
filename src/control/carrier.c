/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree.h"

#include <weir/base/civil.h>
#include <weir/control/carrier.h>
#include <weir/control/data_file.h>
#include <weir/control/schema.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES 65536

/* The row of plans.*.counting, whose keys a carrier's file has at its top. */
static const struct schema_row *counting_row(void)
{
	const struct schema_row *row = schema_rows();

	while (row->path != NULL && strcmp(row->path, "plans.*.counting") != 0)
		row++;
	assert(row->path != NULL);
	return row;
}

static void complain(struct config_report *report, const struct tree_node *n, const char *why)
{
	char path[TREE_PATH_MAX];

	config_report_add(
		report, CONFIG_ERROR, n->line, n->column, "%s: %s", tree_path(n, path), why);
}

/* free_classes: [name, ...]. */
static void bind_free(const struct tree_node *n, struct carrier *c, struct config_report *report)
{
	if (n->kind != TREE_SEQUENCE || n->n_nodes > CONFIG_FREE_MAX) {
		complain(report, n, "is a list of at most 16 classes; write free_classes: [voice]");
		return;
	}
	for (const struct tree_node *at = n->first; at != NULL; at = at->next) {
		char *to = c->free_classes[c->n_free];

		if (at->kind != TREE_SCALAR || at->text[0] == '\0'
			|| strlen(at->text) >= sizeof(c->free_classes[0])) {
			complain(report, at, "is no name of a class");
			continue;
		}
		(void)snprintf(to, sizeof(c->free_classes[0]), "%s", at->text);
		c->n_free++;
	}
}

/* One of the keys that plans.*.counting has not; false for others. */
static bool bind_head(const struct tree_node *n, struct carrier *c, struct config_report *report)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} head[] = {
		{"carrier", c->name, sizeof(c->name)},
		{"source", c->source, sizeof(c->source)},
		{"checked_on", c->checked_on, sizeof(c->checked_on)},
	};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		if (strcmp(n->key, head[i].key) != 0)
			continue;
		if (n->kind != TREE_SCALAR || n->text[0] == '\0' || strlen(n->text) >= head[i].size)
			complain(report, n, "empty or too long; write a line of text");
		else
			(void)snprintf(head[i].to, head[i].size, "%s", n->text);
		return true;
	}
	if (strcmp(n->key, "free_classes") != 0)
		return false;
	bind_free(n, c, report);
	return true;
}

/* False when what is below the node has no place. */
static bool bind_node(struct tree_node *n, struct config_plan *plan, struct config_report *report)
{
	const struct schema_row *parent = n->parent->row;
	char why[SCHEMA_WHY_MAX];

	n->row = n->key == NULL ? NULL : schema_child(parent, n->key);
	if (n->row == NULL) {
		(void)snprintf(why, sizeof(why), "unknown key; write one of ");
		(void)schema_keys(parent, why + strlen(why), sizeof(why) - strlen(why));
		complain(report, n, why);
		return false;
	}
	if (n->row->type == SCHEMA_SECTION) {
		if (n->kind != TREE_MAPPING)
			complain(report, n, "is a section; write its keys below it");
		return n->kind == TREE_MAPPING;
	}
	if (n->kind != TREE_SCALAR)
		complain(report, n, "is one value, no section");
	else if (schema_parse(n->row, n->text, (char *)plan + n->row->offset, why) != 0)
		complain(report, n, why);
	return false;
}

/* Where the most is not said, it is the least. */
static void fill_in(struct bill_rule *rule, struct config_report *report)
{
	for (int d = 0; d < N_DIRECTIONS; d++) {
		if (rule->overhead_high[d] == 0)
			rule->overhead_high[d] = rule->overhead_low[d];
		if (rule->overhead_high[d] < rule->overhead_low[d])
			config_report_add(report, CONFIG_ERROR, 0, 0,
				"overhead_max is below overhead, %uB; write the most that is added",
				rule->overhead_low[d]);
	}
}

static void check_head(const struct carrier *c, struct config_report *report)
{
	int64_t day;

	if (c->name[0] == '\0')
		config_report_add(
			report, CONFIG_ERROR, 0, 0, "'carrier' is missing; write its name");
	if (c->source[0] == '\0')
		config_report_add(report, CONFIG_ERROR, 0, 0,
			"'source' is missing; write where the carrier says how it counts");
	if (civil_date_parse(c->checked_on, &day) != 0)
		config_report_add(report, CONFIG_ERROR, 0, 0,
			"'checked_on' is no date; write when somebody looked there, such as "
			"2026-01-31");
}

int carrier_read(
	const char *text, size_t len, struct carrier *ret_carrier, struct config_report *report)
{
	uint32_t n_errors = report->n_errors;
	struct carrier c = {0};
	struct config_plan *plan;
	struct tree_node *top;
	int error = tree_read(text, len, report, &top);

	if (error != 0)
		return error;
	plan = calloc(1, sizeof(*plan));
	if (plan == NULL) {
		tree_destroy(top);
		return -ENOMEM;
	}
	top->row = counting_row();
	schema_set_defaults(top->row, plan);
	for (struct tree_node *n = top->first; n != NULL;) {
		bool is_head = n->parent == top && bind_head(n, &c, report);

		n = !is_head && bind_node(n, plan, report) ? tree_next(n) : tree_next_beside(n);
	}
	check_head(&c, report);
	c.rule = plan->counting;
	fill_in(&c.rule, report);
	free(plan);
	tree_destroy(top);
	if (report->n_errors > n_errors)
		return -EINVAL;
	*ret_carrier = c;
	return 0;
}

int carrier_load(const char *file, struct carrier *ret_carrier, struct config_report *report)
{
	char *text = NULL;
	size_t len = 0;
	int error = data_file_read(file, FILE_MAX_BYTES, &text, &len);

	if (error != 0) {
		config_report_add(report, CONFIG_ERROR, 0, 0, "cannot be read: %s",
			error == -EFBIG ? "larger than 64 KiB" : strerror(-error));
		return error;
	}
	error = carrier_read(text, len, ret_carrier, report);
	free(text);
	return error;
}
