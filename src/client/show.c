/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"

#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a listing as they come. */
struct rows {
	struct table *table;
	uint64_t n_total; /* what the listing's last line says */
};

static int row_take(struct rows *r, const char *line, size_t n, char *error)
{
	json_t *object;
	int result;

	if (n > 0 && line[n - 1] == ',')
		n--;
	object = json_loadb(line, n, 0, NULL);
	result = object == NULL ? -EINVAL : table_add(r->table, object);
	if (result != 0)
		(void)snprintf(error, CONNECTION_ERROR_MAX, "%s",
			result == -ENOMEM ? "no memory"
					  : "weir's answer is not what this weirctl knows");
	json_decref(object);
	return result == 0 ? 0 : -1;
}

static int line_take(void *context, const char *line, size_t n, char *error)
{
	static const char total[] = "\"n_total\":";
	struct rows *r = context;
	const char *found;

	if (n >= 2 && line[n - 1] == '[')
		return 0; /* {"flows":[ */
	if (n == 0 || line[0] == '{')
		return n == 0 ? 0 : row_take(r, line, n, error);
	/* ],"n_rows":1,"n_total":2} — strtoull stops at the brace */
	found = memmem(line, n, total, sizeof(total) - 1);
	if (found != NULL)
		r->n_total = strtoull(found + sizeof(total) - 1, NULL, 10);
	return 0;
}

static int print_sink(void *context, const char *bytes, size_t n, char *error)
{
	FILE *out = context;

	if (fwrite(bytes, 1, n, out) == n)
		return 0;
	(void)snprintf(error, CONNECTION_ERROR_MAX, "cannot write: %s", strerror(errno));
	return -1;
}

/* The request as text; free it. The daemon is asked for no more rows than are wanted, unless they must be ordered first. */
static char *request_create(const struct show_options *a, uint64_t limit)
{
	json_t *request = json_pack("{s:s}", "show", a->view->name);
	char *text;

	if (limit < UINT64_MAX && a->sort == NULL && !a->view->upright)
		json_object_set_new(request, "limit", json_integer((json_int_t)limit));
	if (a->device != NULL)
		json_object_set_new(request, "device", json_string(a->device));
	if (a->all)
		json_object_set_new(request, "all", json_true());
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	return text;
}

static int show_json(const struct show_options *a, char *error)
{
	char *request = request_create(a, a->limited ? a->limit : UINT64_MAX);
	int result = request == NULL
			     ? -1
			     : connection_ask(a->socket, request, print_sink, stdout, error);

	free(request);
	if (result == 0)
		(void)putchar('\n');
	return result;
}

static void table_show(const struct show_options *a, struct table *t, uint64_t n_total)
{
	table_finish(t);
	if (a->view->upright) {
		table_print_upright(t, stdout);
		return;
	}
	if (t->n_rows == 0)
		(void)printf("%s\n", a->view->none);
	else
		table_print(t, stdout);
	if (t->n_rows > 0 && t->n_rows < n_total && a->device == NULL)
		(void)printf("\n%zu of %" PRIu64 "%s\n", t->n_rows, n_total,
			a->limited ? "" : "; the rest with --all");
}

static uint64_t table_limit(const struct show_options *a)
{
	if (a->limited)
		return a->limit;
	return a->all || a->view->default_rows == 0 ? UINT64_MAX : a->view->default_rows;
}

static int show_table(const struct show_options *a, struct table *t, char *error)
{
	struct rows rows = {.table = t};
	struct lines lines = {.take = line_take, .context = &rows};
	char *request = request_create(a, t->limit);
	int result = request == NULL
			     ? -1
			     : connection_ask(a->socket, request, lines_sink, &lines, error);

	if (result == 0)
		result = lines_end(&lines, error);
	if (result == 0)
		table_show(a, t, rows.n_total);
	lines_clean(&lines);
	free(request);
	return result;
}

/* Says which columns there are. */
static void explain_order(const struct show_options *a)
{
	(void)fprintf(stderr, "weirctl: no column is called \"%s\"; there are:", a->sort);
	for (uint32_t i = 0; i < a->view->n_columns; i++)
		(void)fprintf(stderr, "%s %s", i == 0 ? "" : ",", a->view->columns[i].key);
	(void)fputc('\n', stderr);
}

int show(const struct show_options *options, char error[CONNECTION_ERROR_MAX])
{
	struct table table;
	int result;

	table_init(&table, options->view->columns, options->view->n_columns, table_limit(options));
	if (options->sort != NULL && table_set_order(&table, options->sort) != 0) {
		explain_order(options);
		return SHOW_NO_COLUMN;
	}
	result = options->json ? show_json(options, error) : show_table(options, &table, error);
	table_clean(&table);
	return result;
}
