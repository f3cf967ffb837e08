/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks over a restart, as JSON: {"devices":[{"port":"lan0","address":…,"mac":…,"class":…,"first":S,"time":S,…}]}, times in
 * seconds since 1970. */
#include "clocks_private.h"

#include <weir/base/clock.h>
#include <weir/base/log.h>
#include <weir/control/data_file.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1 << 20)
#define KEEP_US        (600 * (int64_t)US_PER_S)
#define FUTURE_S       60 /* how far ahead of the clock a time may be: then it is wrong */

static int64_t us_of_wall(int64_t wall_s, const struct budget_time *now)
{
	return (int64_t)now->now_us + (wall_s - now->wall_s) * (int64_t)US_PER_S;
}

static int64_t wall_of_us(int64_t at_us, const struct budget_time *now)
{
	return now->wall_s + (at_us - (int64_t)now->now_us) / (int64_t)US_PER_S;
}

/* A time of the file; CLOCK_NEVER where there is none, or one that cannot have been. */
static int64_t time_of(const json_t *o, const char *key, const struct budget_time *now)
{
	const json_t *value = json_object_get(o, key);
	int64_t wall_s = json_integer_value(value);

	if (!json_is_integer(value) || wall_s <= 0 || wall_s > now->wall_s + FUTURE_S)
		return CLOCK_NEVER;
	return us_of_wall(wall_s, now);
}

static bool text_of(const json_t *o, const char *key, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	if (text == NULL || strlen(text) >= size)
		return false;
	memset(to, 0, size);
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static void row_read(struct clocks *k, const json_t *o, const struct budget_time *now)
{
	const char *addr = json_string_value(json_object_get(o, "address"));
	const char *mac = json_string_value(json_object_get(o, "mac"));
	struct clock_row like = {.first_us = time_of(o, "first", now)};
	struct clock_entry *e;

	if (addr == NULL || mac == NULL || ip_addr_parse(addr, &like.addr) != 0
		|| mac_addr_parse(mac, &like.mac) != 0 || like.first_us == CLOCK_NEVER
		|| !text_of(o, "port", like.port, sizeof(like.port))
		|| !text_of(o, "class", like.class_name, sizeof(like.class_name))
		|| clock_rule_of(k, like.class_name) == NULL)
		return;
	e = clock_entry_take(k, &like);
	if (like.first_us < e->row.first_us)
		e->row.first_us = like.first_us;
	for (uint32_t kind = CLASS_KIND_NONE + 1; kind < CLASS_KINDS; kind++) {
		int64_t at_us = time_of(o, class_kind_name(kind), now);

		if (at_us > e->row.last_us[kind])
			e->row.last_us[kind] = at_us;
	}
}

static void load(struct clocks *k, const char *dir, const struct budget_time *now)
{
	char path[DATA_PATH_MAX];
	char *text;
	size_t len;
	size_t i;
	json_t *top;
	json_t *row;
	int error;

	(void)snprintf(path, sizeof(path), "%s/" CLOCKS_FILE, dir);
	error = data_file_read(path, FILE_MAX_BYTES, &text, &len);
	if (error != 0) {
		if (error != -ENOENT)
			log_event(LOG_NOTICE, "clocks.unread path=%s error=\"%s\"", path,
				strerror(-error));
		return;
	}
	top = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (top == NULL)
		log_event(LOG_NOTICE, "clocks.unread path=%s error=\"not JSON\"", path);
	json_array_foreach(json_object_get(top, "devices"), i, row) row_read(k, row, now);
	json_decref(top);
}

static json_t *row_json(const struct clock_row *row, const struct budget_time *now)
{
	char addr[IP_ADDR_TEXT_MAX];
	char mac[MAC_ADDR_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "port", row->port, "address",
		ip_addr_format(&row->addr, addr), "mac", mac_addr_format(&row->mac, mac), "class",
		row->class_name, "first", (json_int_t)wall_of_us(row->first_us, now));

	for (uint32_t kind = CLASS_KIND_NONE + 1; kind < CLASS_KINDS; kind++)
		if (row->last_us[kind] != CLOCK_NEVER)
			json_object_set_new(o, class_kind_name(kind),
				json_integer((json_int_t)wall_of_us(row->last_us[kind], now)));
	return o;
}

/* Beside its place and then into it: a file that is there is whole. */
static int write_file(const json_t *top, const char *path)
{
	char part[DATA_PATH_MAX];
	int n = snprintf(part, sizeof(part), "%s.part", path);

	if (n < 0 || n >= (int)sizeof(part))
		return -ENAMETOOLONG;
	if (json_dump_file(top, part, JSON_COMPACT) != 0)
		return errno == 0 ? -EIO : -errno;
	return rename(part, path) == 0 ? 0 : -errno;
}

void clocks_save(struct clocks *k, const char *dir, const struct budget_time *now)
{
	json_t *top = json_object();
	json_t *devices = json_array();
	char path[DATA_PATH_MAX];
	int error;

	/* What was not read yet must not be written over. */
	if (!now->is_trusted || !k->is_loaded || !k->is_new || top == NULL || devices == NULL) {
		json_decref(devices);
		json_decref(top);
		return;
	}
	for (uint32_t i = 0; i < k->n_entries; i++)
		json_array_append_new(devices, row_json(&k->entries[i].row, now));
	json_object_set_new(top, "devices", devices);
	(void)snprintf(path, sizeof(path), "%s/" CLOCKS_FILE, dir);
	errno = 0;
	error = write_file(top, path);
	json_decref(top);
	k->saved_us = (int64_t)now->now_us;
	k->is_new = error != 0;
	if (error != 0)
		log_event(
			LOG_WARNING, "clocks.unsaved path=%s error=\"%s\"", path, strerror(-error));
}

void clocks_keep(struct clocks *k, const char *dir, const struct budget_time *now)
{
	if (k->n_rules == 0 || !now->is_trusted)
		return;
	if (!k->is_loaded)
		load(k, dir, now);
	k->is_loaded = true;
	if (k->is_new && (int64_t)now->now_us - k->saved_us >= KEEP_US)
		clocks_save(k, dir, now);
}
