/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_bind.h"
#include "config_check.h"

#include <weir/base/clock.h>
#include <weir/control/config.h>
#include <weir/control/data_file.h>
#include <weir/control/schema.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1 << 20)

/* Buffers: on their way through weir, kept by the rings of a device that DPDK drives, and in the queues of a shaper. */
#define BUFFERS_PLAIN      4096u
#define BUFFERS_DEVICE     2048u
#define BUFFERS_QUEUED_MAX 16384u
#define BUFFERS_SENDER     1024u /* lent to it, and those that its thread keeps for the next to free */
#define QUEUED_OCTETS      512u /* of a packet that waits, on average and with something to spare */

struct binder {
	struct config_report *report;
};

/* "role:lan" is one word to YAML. */
static bool is_glued(const struct schema_row *parent, const char *key)
{
	size_t len = strcspn(key, ":");
	char first[CONFIG_NAME_MAX];

	if (key[len] == '\0' || len >= sizeof(first))
		return false;
	memcpy(first, key, len);
	first[len] = '\0';
	return schema_child(parent, first) != NULL;
}

static void unknown_key(struct binder *b, const struct tree_node *n)
{
	const struct schema_row *parent = n->parent->row;
	const char *nearest = schema_nearest_key(parent, n->key);
	char keys[SCHEMA_WHY_MAX];
	char path[TREE_PATH_MAX];

	if (is_glued(parent, n->key))
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
			"%s: the colon wants a space behind it; write '%.*s: %.40s'",
			tree_path(n, path), (int)strcspn(n->key, ":"), n->key,
			strchr(n->key, ':') + 1);
	else if (nearest != NULL)
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
			"%s: unknown key; did you mean '%s'?", tree_path(n, path), nearest);
	else
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
			"%s: unknown key; write one of %s", tree_path(n, path),
			schema_keys(parent, keys, sizeof(keys)));
}

static const char *kind_text(const struct tree_node *n)
{
	return n->kind == TREE_SEQUENCE  ? "a list"
	       : n->kind == TREE_MAPPING ? "a section"
					 : "one value";
}

static void wrong_shape(struct binder *b, const struct tree_node *n)
{
	char range[SCHEMA_RANGE_MAX];
	char keys[SCHEMA_WHY_MAX];
	char path[TREE_PATH_MAX];

	if (n->row->type == SCHEMA_ITEM && n->key != NULL && schema_child(n->row, n->key) != NULL) {
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
			"%s: belongs below a name of your choice; indent it further than that name",
			tree_path(n, path));
		return;
	}
	if (n->row->type == SCHEMA_SECTION || n->row->type == SCHEMA_ITEM) {
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
			"%s: is a section; write its keys below it: %s", tree_path(n, path),
			schema_keys(n->row, keys, sizeof(keys)));
		return;
	}
	config_report_add(b->report, CONFIG_ERROR, n->line, n->column, "%s: cannot be %s; write %s",
		tree_path(n, path), kind_text(n), schema_range(n->row, range));
}

/* The next place of the array that holds a node's children, or NULL when it is full. */
static void *item_take(struct binder *b, const struct tree_node *n)
{
	const struct schema_row *array = n->parent->row;
	char *base = n->parent->base;
	char path[TREE_PATH_MAX];
	uint32_t count;

	memcpy(&count, base + array->n_offset, sizeof(count));
	if (count == array->max) {
		/* Said once, at the first one too many. */
		if (n->index == count)
			config_report_add(b->report, CONFIG_ERROR, n->line, n->column,
				"%s: more than %u; remove some", tree_path(n->parent, path), count);
		return NULL;
	}
	count++;
	memcpy(base + array->n_offset, &count, sizeof(count));
	return base + array->offset + (count - 1) * array->size_bytes;
}

/* The first field of a named item is its name; its length is that of the row that refers to it. */
static void name_set(struct binder *b, const struct tree_node *n, char *item)
{
	const struct schema_row *array = n->parent->row;
	struct schema_row name = {.type = SCHEMA_NAME, .size_bytes = CONFIG_NAME_MAX};
	char why[SCHEMA_WHY_MAX];
	char path[TREE_PATH_MAX];

	if (array->offset == offsetof(struct config, ports))
		name.size_bytes = PORT_NAME_MAX;
	if (schema_parse(&name, n->key, item, why) != 0)
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column, "%s: %s",
			tree_path(n->parent, path), why);
}

static void bind_item(struct binder *b, struct tree_node *n)
{
	n->row = schema_child(n->parent->row, n->parent->row->type == SCHEMA_NAMED ? "*" : "[]");
	n->base = item_take(b, n);
	if (n->base == NULL)
		return;
	schema_set_defaults(n->row, n->base);
	if (n->key != NULL)
		name_set(b, n, n->base);
}

static void bind_value(struct binder *b, struct tree_node *n)
{
	char why[SCHEMA_WHY_MAX];
	char path[TREE_PATH_MAX];

	n->is_set = schema_parse(n->row, n->text, (char *)n->base + n->row->offset, why) == 0;
	if (!n->is_set)
		config_report_add(b->report, CONFIG_ERROR, n->line, n->column, "%s: %s",
			tree_path(n, path), why);
}

static bool is_value(const struct schema_row *row)
{
	return row->type != SCHEMA_SECTION && row->type != SCHEMA_NAMED && row->type != SCHEMA_LIST
	       && row->type != SCHEMA_ITEM;
}

/* A key without anything behind it is an empty section: what is left when all keys below are comments. */
static bool has_shape(const struct tree_node *n)
{
	if (is_value(n->row))
		return n->kind == TREE_SCALAR;
	if (n->kind == TREE_SCALAR)
		return n->text[0] == '\0';
	return n->kind == (n->row->type == SCHEMA_LIST ? TREE_SEQUENCE : TREE_MAPPING);
}

static bool is_array(const struct schema_row *row)
{
	return row != NULL && (row->type == SCHEMA_NAMED || row->type == SCHEMA_LIST);
}

/* Gives a node its row and place, and a value to its field. False when what is below it has none. */
static bool bind_node(struct binder *b, struct tree_node *n)
{
	if (is_array(n->parent->row)) {
		bind_item(b, n);
	} else {
		n->row = schema_child(n->parent->row, n->key);
		n->base = n->parent->base;
	}
	if (n->row == NULL) {
		unknown_key(b, n);
		return false;
	}
	if (n->base == NULL)
		return false;
	if (!has_shape(n)) {
		wrong_shape(b, n);
		return false;
	}
	if (is_value(n->row))
		bind_value(b, n);
	return true;
}

void config_bind(struct tree_node *top, const struct schema_row *row, void *base,
	struct config_report *report)
{
	struct binder b = {.report = report};
	struct tree_node *n = top->first;

	top->row = row;
	top->base = base;
	schema_set_defaults(row, base);
	while (n != NULL)
		n = bind_node(&b, n) ? tree_next(n) : tree_next_beside(n);
}

static void check_required(
	struct config_report *report, const struct tree_node *n, const struct tree_node *top)
{
	char range[SCHEMA_RANGE_MAX];
	char path[TREE_PATH_MAX];

	for (const struct schema_row *row = schema_rows(); row->path != NULL; row++) {
		if ((row->flags & SCHEMA_REQUIRED) == 0 || !schema_is_child(row, n->row)
			|| tree_child(n, schema_key(row)) != NULL)
			continue;
		config_report_add(report, CONFIG_ERROR, n->line, n->column,
			"%s%s'%s' is missing; write %s", tree_path(n, path), n == top ? "" : ": ",
			schema_key(row), schema_range(row, range));
	}
}

void config_bind_required(const struct tree_node *top, struct config_report *report)
{
	check_required(report, top, top);
	for (const struct tree_node *n = top->first; n != NULL; n = tree_next(n)) {
		if (n->row != NULL && n->base != NULL
			&& (n->row->type == SCHEMA_ITEM || n->row->type == SCHEMA_SECTION)
			&& has_shape(n))
			check_required(report, n, top);
	}
}

void config_match_settle(struct config_match *m)
{
	m->is_given = m->proto != 0 || !ip_addr_is_unset(&m->remote.addr) || m->port.min > 0
		      || m->port.max < UINT16_MAX || m->source_port.min > 0
		      || m->source_port.max < UINT16_MAX || m->dscp != DSCP_NONE
		      || m->device.kind != MEMBER_NONE || m->group[0] != '\0' || m->n_names > 0;
}

/* Defaults that are worked out from other keys. */
static void fill_in(struct config *c)
{
	static const char socket_name[] = "/weir.sock";
	static const char tap_prefix[] = "weir-";
	size_t len = strlen(c->runtime.state_dir);

	/* A socket that stays empty is complained about: its directory's name is too long. */
	if (c->runtime.socket[0] == '\0'
		&& len + sizeof(socket_name) <= sizeof(c->runtime.socket)) {
		memcpy(c->runtime.socket, c->runtime.state_dir, len);
		memcpy(c->runtime.socket + len, socket_name, sizeof(socket_name));
	}
	if (c->flows_per_device == 0)
		c->flows_per_device = c->flows_capacity / 4;
	for (uint32_t i = 0; i < c->n_forwards; i++) {
		if (c->forwards[i].to_port == 0)
			c->forwards[i].to_port = c->forwards[i].port.min;
	}
	for (uint32_t i = 0; i < c->n_classes; i++) {
		struct config_class *k = &c->classes[i];

		config_match_settle(&k->own);
		for (uint32_t m = 0; m < k->n_matches; m++)
			config_match_settle(&k->match[m]);
		k->matches = k->own.is_given || k->n_matches > 0 || k->profile[0] != '\0';
	}
	for (uint32_t i = 0; i < c->n_ports; i++) {
		struct config_port *p = &c->ports[i];

		if (p->role != PORT_LAN || p->name[0] == '\0' || strcmp(p->tap, "none") == 0)
			memset(p->tap, 0, sizeof(p->tap));
		else if (p->tap[0] == '\0') {
			memcpy(p->tap, tap_prefix, sizeof(tap_prefix) - 1);
			memcpy(p->tap + sizeof(tap_prefix) - 1, p->name,
				sizeof(p->tap) - sizeof(tap_prefix));
		}
	}
}

/* The folder of a file; "." for one in the working directory. */
static int dir_of(const char *file, char ret_dir[CONFIG_DIR_MAX])
{
	const char *end = strrchr(file, '/');
	int n_chars = end == NULL ? 1 : (int)(end - file) + (end == file);

	if (n_chars >= CONFIG_DIR_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(ret_dir, CONFIG_DIR_MAX, "%.*s", n_chars, end == NULL ? "." : file);
	return 0;
}

/* `dir`: where the files are looked for that it names; "" for none. */
static int read_text(const char *text, size_t len, const char *dir, unsigned int options,
	struct config **ret_config, struct config_report *report)
{
	struct config *c = calloc(1, sizeof(*c));
	struct tree_node *top;
	int error = -ENOMEM;

	if (c == NULL)
		return error;
	(void)snprintf(c->dir, sizeof(c->dir), "%s", dir);
	error = tree_read(text, len, report, &top);
	if (error != 0)
		goto err_config;
	config_bind(top, NULL, c, report);
	config_profiles_load(top, c, report);
	fill_in(c);
	config_carriers_load(top, c, report);
	config_bind_required(top, report);
	config_check(top, c, options, report);
	tree_destroy(top);
	if (report->n_errors > 0) {
		error = -EINVAL;
		goto err_config;
	}
	*ret_config = c;
	return 0;

err_config:
	config_destroy(c);
	return error;
}

int config_read(const char *text, size_t len, unsigned int options, struct config **ret_config,
	struct config_report *report)
{
	return read_text(text, len, "", options, ret_config, report);
}

int config_load(const char *file, unsigned int options, struct config **ret_config,
	struct config_report *report)
{
	char dir[CONFIG_DIR_MAX];
	char *text = NULL;
	size_t len = 0;
	int error = dir_of(file, dir);

	if (error == 0)
		error = data_file_read(file, FILE_MAX_BYTES, &text, &len);
	if (error == -EFBIG) {
		config_report_add(report, CONFIG_ERROR, 0, 0,
			"larger than 1 MiB; this is no configuration of weir");
		return error;
	}
	if (error != 0) {
		config_report_add(
			report, CONFIG_ERROR, 0, 0, "cannot be read: %s", strerror(-error));
		return error;
	}
	error = read_text(text, len, dir, options, ret_config, report);
	free(text);
	return error;
}

void config_destroy(struct config *c)
{
	free(c);
}

static bool is_hex(const char *text, size_t n)
{
	while (n > 0 && isxdigit((unsigned char)*text)) {
		text++;
		n--;
	}
	return n == 0;
}

static bool is_pci(const char *d)
{
	return strlen(d) == sizeof("0000:01:00.0") - 1 && is_hex(d, 4) && d[4] == ':'
	       && is_hex(d + 5, 2) && d[7] == ':' && is_hex(d + 8, 2) && d[10] == '.'
	       && d[11] >= '0' && d[11] <= '7';
}

enum config_device_kind config_device_kind(const char *device)
{
	if (is_pci(device))
		return DEVICE_PCI;
	if (strncmp(device, "net_", 4) == 0)
		return DEVICE_DEVARGS;
	/* dev_valid_name() of the kernel, less what would need quoting in a shell or a path. */
	if (device[0] == '\0' || strlen(device) >= IFNAMSIZ || strcmp(device, ".") == 0
		|| strcmp(device, "..") == 0 || strpbrk(device, "/: %'\"\\$&;<>|*?") != NULL)
		return DEVICE_INVALID;
	return DEVICE_INTERFACE;
}

bool config_is_dpdk(const struct config_port *p)
{
	return p->driver == DRIVER_AF_XDP || p->driver == DRIVER_DPDK
	       || config_device_kind(p->device) != DEVICE_INTERFACE;
}

uint32_t config_packet_buffers(const struct config *c)
{
	uint64_t n = BUFFERS_PLAIN;

	if (c->runtime.packet_buffers != 0)
		return c->runtime.packet_buffers;
	for (uint32_t i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];
		uint64_t octets_us = p->rate_uplink_bps / 8 * p->queue_us
				     + p->rate_downlink_bps / 8 * p->queue_us;
		uint64_t queued = octets_us / US_PER_S / QUEUED_OCTETS;

		n += queued < BUFFERS_QUEUED_MAX ? queued : BUFFERS_QUEUED_MAX;
		n += config_is_dpdk(p) ? BUFFERS_DEVICE : 0;
	}
	return (uint32_t)n + c->runtime.senders * BUFFERS_SENDER;
}

uint8_t config_find_lan(const struct config *c, const struct ip_addr *addr)
{
	for (uint8_t i = 0; i < c->n_ports; i++) {
		if (c->ports[i].role == PORT_LAN && ip_prefix_contains(&c->ports[i].address, addr))
			return i;
	}
	return PORT_NONE;
}

uint32_t config_find_schedule(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_schedules; i++)
		if (strcmp(c->schedules[i].name, name) == 0)
			return i;
	return CONFIG_SCHEDULES_MAX;
}

uint32_t config_find_group(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_groups; i++)
		if (strcmp(c->groups[i].name, name) == 0)
			return i;
	return CONFIG_GROUPS_MAX;
}

uint8_t config_find_plan(const struct config *c, const char *name)
{
	for (uint8_t i = 0; i < c->n_plans; i++) {
		if (strcmp(c->plans[i].name, name) == 0)
			return i;
	}
	return PLAN_NONE;
}
