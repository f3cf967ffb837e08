/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <weir/base/clock.h>
#include <weir/base/units.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DATE_CHARS (sizeof("2026-01-31") - 1)

void table_init(struct table *t, const struct column *columns, uint32_t n_columns, uint64_t limit)
{
	*t = (struct table){.columns = columns, .n_columns = n_columns, .limit = limit};
}

static void rows_cut(struct table *t, size_t n)
{
	while (t->n_rows > n)
		free(t->rows[--t->n_rows]);
}

void table_clean(struct table *t)
{
	rows_cut(t, 0);
	free(t->rows);
	t->rows = NULL;
}

int table_set_order(struct table *t, const char *name)
{
	for (uint32_t i = 0; i < t->n_columns; i++) {
		if (strcasecmp(t->columns[i].title, name) != 0
			&& strcmp(t->columns[i].key, name) != 0)
			continue;
		t->order = &t->columns[i];
		return 0;
	}
	return -EINVAL;
}

bool cell_is_text(enum cell_kind kind)
{
	return kind == CELL_TEXT || kind == CELL_ENDPOINT || kind == CELL_STATE || kind == CELL_DAY
	       || kind == CELL_SPAN;
}

static const json_t *field(const json_t *object, const char *key, const char *suffix)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s%s", key, suffix);
	return json_object_get(object, name);
}

/* Text of a field; what could steer a terminal becomes '?'. */
static void text_copy(const json_t *value, char *cell)
{
	const char *text = json_string_value(value);

	(void)snprintf(cell, CELL_MAX, "%s", text != NULL && text[0] != '\0' ? text : "-");
	for (char *c = cell; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/* "1.02..1.04 MB": the unit once, where both have the same. */
static void span_cell(const json_t *object, const char *key, char *cell)
{
	const json_t *low = field(object, key, "_low_octets");
	const json_t *high = field(object, key, "_high_octets");
	char from[UNITS_TEXT_MAX];
	char to[UNITS_TEXT_MAX];
	char *unit;

	if (!json_is_integer(low) || !json_is_integer(high)) {
		(void)snprintf(cell, CELL_MAX, "-");
		return;
	}
	units_show_octets((uint64_t)json_integer_value(low), from);
	units_show_octets((uint64_t)json_integer_value(high), to);
	unit = strchr(from, ' ');
	if (unit != NULL && strchr(to, ' ') != NULL && strcmp(unit, strchr(to, ' ')) == 0)
		*unit = '\0';
	(void)snprintf(cell, CELL_MAX, "%s..%s", from, to);
}

static void text_cell(const json_t *object, const struct column *c, char *cell)
{
	const json_t *more;
	size_t n;

	if (c->kind == CELL_SPAN) {
		span_cell(object, c->key, cell);
		return;
	}
	if (c->kind == CELL_TEXT || c->kind == CELL_DAY) {
		text_copy(json_object_get(object, c->key), cell);
		if (c->kind == CELL_DAY && strlen(cell) > DATE_CHARS)
			cell[DATE_CHARS] = '\0';
		return;
	}
	text_copy(field(object, c->key, c->kind == CELL_ENDPOINT ? "_address" : ""), cell);
	n = strlen(cell);
	more = field(object, c->kind == CELL_ENDPOINT ? c->key : "",
		c->kind == CELL_ENDPOINT ? "_port" : "why_down");
	if (json_is_integer(more)) {
		(void)snprintf(
			cell + n, CELL_MAX - n, ":%" JSON_INTEGER_FORMAT, json_integer_value(more));
	} else if (json_string_length(more) > 0 && n + 2 < CELL_MAX) {
		char why[CELL_MAX];

		text_copy(more, why);
		(void)snprintf(cell + n, CELL_MAX - n, " (%.60s)", why);
	}
}

static void number_cell(const json_t *value, const struct column *c, char *cell)
{
	uint64_t count = json_is_integer(value) && json_integer_value(value) > 0
				 ? (uint64_t)json_integer_value(value)
				 : 0;
	char text[UNITS_TEXT_MAX];

	if (!json_is_number(value)) {
		(void)snprintf(cell, CELL_MAX, "-");
	} else if (c->kind == CELL_SHARE) {
		(void)snprintf(cell, CELL_MAX, "%.1f %%", json_number_value(value) * 100);
	} else if (c->kind == CELL_OCTETS) {
		(void)snprintf(cell, CELL_MAX, "%s", units_show_octets(count, text));
	} else if (c->kind == CELL_RATE) {
		(void)snprintf(cell, CELL_MAX, "%s", units_show_rate(count, text));
	} else if (c->kind == CELL_TIME) {
		(void)snprintf(cell, CELL_MAX, "%s", units_show_time(count, text));
	} else if (c->kind == CELL_SECONDS) {
		(void)snprintf(cell, CELL_MAX, "%s", units_show_time(count * US_PER_S, text));
	} else {
		(void)snprintf(cell, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	}
}

void cell_format(const json_t *object, const struct column *c, char cell[CELL_MAX])
{
	if (cell_is_text(c->kind))
		text_cell(object, c, cell);
	else
		number_cell(json_object_get(object, c->key), c, cell);
}

static const char *cell_at(const struct row *r, uint32_t column)
{
	const char *cell = r->cells;

	while (column-- > 0)
		cell += strlen(cell) + 1;
	return cell;
}

static struct row *row_create(const struct table *t, const json_t *object)
{
	char cells[COLUMNS_MAX * CELL_MAX / 2]; /* cells are short but for one or two */
	size_t n = 0;
	struct row *r;

	for (uint32_t i = 0; i < t->n_columns; i++) {
		char cell[CELL_MAX];
		size_t len_bytes;

		cell_format(object, &t->columns[i], cell);
		len_bytes = strlen(cell) + 1;
		if (n + len_bytes
			> sizeof(cells)
				  - (t->n_columns - i)) { /* each further cell needs its NUL */
			cell[0] = '\0';
			len_bytes = 1;
		}
		memcpy(cells + n, cell, len_bytes);
		n += len_bytes;
	}
	r = malloc(sizeof(*r) + n);
	if (r == NULL)
		return NULL;
	memcpy(r->cells, cells, n);
	r->number =
		t->order == NULL ? 0 : json_number_value(json_object_get(object, t->order->key));
	return r;
}

static int rows_compare(const void *left, const void *right, void *context)
{
	const struct table *t = context;
	const struct row *a = *(struct row *const *)left;
	const struct row *b = *(struct row *const *)right;
	uint32_t column = (uint32_t)(t->order - t->columns);

	if (cell_is_text(t->order->kind))
		return strcmp(cell_at(a, column), cell_at(b, column));
	return (a->number < b->number) - (a->number > b->number);
}

void table_finish(struct table *t)
{
	if (t->order != NULL && t->n_rows > 1)
		qsort_r(t->rows, t->n_rows, sizeof(struct row *), rows_compare, t);
	if (t->n_rows > t->limit)
		rows_cut(t, t->limit);
}

int table_add(struct table *t, const json_t *object)
{
	struct row *r;

	if (t->order == NULL && t->n_rows >= t->limit)
		return 0;
	if (t->n_rows == t->capacity && t->limit < t->n_rows / 2)
		table_finish(t);
	if (t->n_rows == t->capacity) {
		size_t capacity = t->capacity == 0 ? 64 : t->capacity * 2;
		struct row **rows = reallocarray(t->rows, capacity, sizeof(struct row *));

		if (rows == NULL)
			return -ENOMEM;
		t->rows = rows;
		t->capacity = capacity;
	}
	r = row_create(t, object);
	if (r == NULL)
		return -ENOMEM;
	t->rows[t->n_rows++] = r;
	return 0;
}

/* Characters, not bytes: cells are UTF-8, and units may hold "µ". */
static int width(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void cell_print(const char *cell, int column_width, bool right, FILE *out)
{
	int pad = column_width > width(cell) ? column_width - width(cell) : 0;

	if (right)
		(void)fprintf(out, "%*s%s", pad, "", cell);
	else
		(void)fprintf(out, "%s%*s", cell, pad, "");
}

void table_print(const struct table *t, FILE *out)
{
	int widths[COLUMNS_MAX];

	for (uint32_t i = 0; i < t->n_columns; i++)
		widths[i] = width(t->columns[i].title);
	for (size_t n = 0; n < t->n_rows; n++) {
		const char *cell = t->rows[n]->cells;

		for (uint32_t i = 0; i < t->n_columns; i++, cell += strlen(cell) + 1)
			widths[i] = width(cell) > widths[i] ? width(cell) : widths[i];
	}
	if (cell_is_text(t->columns[t->n_columns - 1].kind))
		widths[t->n_columns - 1] = 0; /* nothing follows: no trailing blanks */
	for (uint32_t i = 0; i < t->n_columns; i++) {
		cell_print(t->columns[i].title, widths[i], !cell_is_text(t->columns[i].kind), out);
		(void)fputs(i + 1 < t->n_columns ? "  " : "\n", out);
	}
	for (size_t n = 0; n < t->n_rows; n++) {
		const char *cell = t->rows[n]->cells;

		for (uint32_t i = 0; i < t->n_columns; i++, cell += strlen(cell) + 1) {
			cell_print(cell, widths[i], !cell_is_text(t->columns[i].kind), out);
			(void)fputs(i + 1 < t->n_columns ? "  " : "\n", out);
		}
	}
}

void table_print_upright(const struct table *t, FILE *out)
{
	int title_width = 0;

	for (uint32_t i = 0; i < t->n_columns; i++)
		title_width = width(t->columns[i].title) > title_width ? width(t->columns[i].title)
								       : title_width;
	for (size_t n = 0; n < t->n_rows; n++) {
		const char *cell = t->rows[n]->cells;

		for (uint32_t i = 0; i < t->n_columns; i++, cell += strlen(cell) + 1) {
			if (strcmp(cell, "-") == 0)
				continue; /* it has none of this */
			cell_print(t->columns[i].title, title_width, false, out);
			(void)fprintf(out, "  %s\n", cell);
		}
	}
}
