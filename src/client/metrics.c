/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics.h"

#include "lines.h"
#include "metrics_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct answer {
	struct metrics *metrics;
	uint32_t view;
	struct lines lines;
	json_t *rows;  /* array */
	json_t *other; /* sum of the rows beyond the bound; NULL: there are none */
};

struct metrics {
	struct metrics_options options;
	struct answer answers[METRICS_VIEWS];
};

/* Of a device, what may be added to that of others. */
static const char *const summed[] = {
	"uplink_octets", "downlink_octets", "uplink_packets", "downlink_packets", "flows"};

static void other_add(struct answer *a, const json_t *row)
{
	if (a->other == NULL)
		a->other = json_pack("{s:s}", "address", "other");
	for (size_t i = 0; i < sizeof(summed) / sizeof(summed[0]); i++) {
		const json_t *value = json_object_get(row, summed[i]);
		json_int_t sum = json_integer_value(json_object_get(a->other, summed[i]));

		if (json_is_integer(value))
			json_object_set_new(
				a->other, summed[i], json_integer(sum + json_integer_value(value)));
	}
}

static int row_take(struct answer *a, const char *text, size_t n, char *error)
{
	const struct metrics_view *view = &metrics_views[a->view];
	json_t *row = json_loadb(text, n, 0, NULL);
	int result = 0;

	if (!json_is_object(row)) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"weir's answer to %s is not what this program knows", view->request);
		result = -1;
	} else if (view->is_bounded && json_array_size(a->rows) >= a->metrics->options.n_devices) {
		other_add(a, row);
	} else if (json_array_append(a->rows, row) != 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		result = -1;
	}
	json_decref(row);
	return result;
}

/* {"ports":[ and its end stand on lines of their own; a row may end in a comma. */
static int line_take(void *context, const char *line, size_t n, char *error)
{
	if (n == 0 || line[0] == ']' || line[n - 1] == '[')
		return 0;
	return row_take(context, line, line[n - 1] == ',' ? n - 1 : n, error);
}

struct metrics *metrics_create(const struct metrics_options *options)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->options = *options;
	for (uint32_t i = 0; i < METRICS_VIEWS; i++) {
		struct answer *a = &m->answers[i];

		*a = (struct answer){.metrics = m,
			.view = i,
			.lines = {.take = line_take, .context = a},
			.rows = json_array()};
		if (a->rows == NULL) {
			metrics_destroy(m);
			return NULL;
		}
	}
	return m;
}

void metrics_destroy(struct metrics *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < METRICS_VIEWS; i++) {
		lines_clean(&m->answers[i].lines);
		json_decref(m->answers[i].rows);
		json_decref(m->answers[i].other);
	}
	free(m);
}

uint32_t metrics_n_views(void)
{
	return METRICS_VIEWS;
}

const char *metrics_request(uint32_t view)
{
	return metrics_views[view].request;
}

int metrics_feed(struct metrics *m, uint32_t view, const char *bytes, size_t n,
	char error[CONNECTION_ERROR_MAX])
{
	struct lines *lines = &m->answers[view].lines;

	return metrics_views[view].is_object ? lines_hold(lines, bytes, n, error)
					     : lines_sink(lines, bytes, n, error);
}

int metrics_end(struct metrics *m, uint32_t view, char error[CONNECTION_ERROR_MAX])
{
	struct answer *a = &m->answers[view];

	return metrics_views[view].is_object ? row_take(
		       a, a->lines.held == NULL ? "" : a->lines.held, a->lines.n_held, error)
					     : lines_end(&a->lines, error);
}

/* The field that a source reads; a dot leads into an object. */
static const json_t *field_of(const json_t *row, const char *key)
{
	char name[METRICS_KEY_MAX];
	size_t n = strcspn(key, ".");

	for (; key[n] == '.'; n = strcspn(key, ".")) {
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, key);
		row = json_object_get(row, name);
		key += n + 1;
	}
	return json_object_get(row, key);
}

/* A value of a label, or a help text: quotes are escaped in the former alone. */
static void escaped_print(const char *text, bool is_label, FILE *out)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\\')
			(void)fputs("\\\\", out);
		else if (*c == '\n')
			(void)fputs("\\n", out);
		else if (*c == '"' && is_label)
			(void)fputs("\\\"", out);
		else
			(void)fputc(*c, out);
	}
}

/* One NAME=VALUE of a list; the value of %KEY is the row's. */
static void label_print(const char *label, const json_t *row, bool is_first, FILE *out)
{
	char text[METRICS_LABELS_MAX];
	const char *value = text;
	size_t n_name = strcspn(label, "=");
	size_t n = strcspn(label, ",");

	(void)snprintf(text, sizeof(text), "%.*s", (int)(n - n_name - 1), label + n_name + 1);
	if (text[0] == '%') {
		value = json_string_value(json_object_get(row, text + 1));
		if (value == NULL)
			value = "";
	}
	(void)fprintf(out, "%s%.*s=\"", is_first ? "{" : ",", (int)n_name, label);
	escaped_print(value, true, out);
	(void)fputc('"', out);
}

static uint32_t labels_print(const char *labels, const json_t *row, uint32_t n_before, FILE *out)
{
	while (*labels != '\0') {
		label_print(labels, row, n_before++ == 0, out);
		labels += strcspn(labels, ",");
		labels += *labels == ',';
	}
	return n_before;
}

static bool time_read(const char *text, time_t *ret_at)
{
	struct tm tm = {0};
	const char *end = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end != '\0')
		return false;
	*ret_at = timegm(&tm);
	return true;
}

/* Whole numbers of a part, exactly. */
static void fraction_print(uint64_t value, uint64_t divisor, int digits, FILE *out)
{
	uint64_t scale = 1;

	for (int i = 0; i < digits; i++)
		scale *= 10;
	(void)fprintf(out, "%" PRIu64, value / divisor);
	if (value % divisor != 0)
		(void)fprintf(out, ".%0*" PRIu64, digits,
			(uint64_t)(value % divisor * (scale / divisor)));
}

static void number_print(enum metrics_reading reading, json_int_t value, FILE *out)
{
	if (reading == READ_DAYS)
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT, value * 24 * 60 * 60);
	else if (reading == READ_BITS && value >= 0)
		fraction_print((uint64_t)value, 8, 3, out);
	else if (reading == READ_MICROSECONDS && value >= 0)
		fraction_print((uint64_t)value, 1000000, 6, out);
	else
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT, value);
}

static bool is_readable(enum metrics_reading reading, const json_t *value)
{
	time_t at;

	if (reading == READ_ONE)
		return value != NULL;
	if (reading == READ_TRUTH)
		return json_is_boolean(value);
	if (reading == READ_TIME)
		return time_read(json_string_value(value), &at);
	return reading >= READ_IS ? json_is_string(value) : json_is_integer(value);
}

static void value_print(enum metrics_reading reading, const json_t *value, FILE *out)
{
	time_t at = 0;

	if (reading == READ_ONE)
		(void)fputc('1', out);
	else if (reading == READ_TRUTH)
		(void)fputc(json_is_true(value) ? '1' : '0', out);
	else if (reading == READ_TIME && time_read(json_string_value(value), &at))
		(void)fprintf(out, "%lld", (long long)at);
	else if (reading >= READ_IS)
		(void)fputc(
			strcmp(json_string_value(value), metrics_words[reading]) == 0 ? '1' : '0',
			out);
	else
		number_print(reading, json_integer_value(value), out);
}

static bool is_counter(const struct metrics_row *family)
{
	return strcmp(family->type, "counter") == 0;
}

/* OpenMetrics names the family of a counter without its ending. */
static int family_length(const struct metrics *m, const struct metrics_row *family)
{
	size_t n = strlen(family->name);

	if (m->options.format == METRICS_OPENMETRICS && is_counter(family))
		n -= strlen("_total");
	return (int)n;
}

static void family_print(const struct metrics *m, const struct metrics_row *family, FILE *out)
{
	int n = family_length(m, family);

	(void)fprintf(out, "# HELP %.*s ", n, family->name);
	escaped_print(family->help, false, out);
	(void)fprintf(out, "\n# TYPE %.*s %s\n", n, family->name, family->type);
}

struct sampling {
	const struct metrics *metrics;
	const struct metrics_row *family;
	const struct metrics_row *source;
	bool is_begun; /* the family's head is written */
	FILE *out;
};

static void sample_print(struct sampling *s, const json_t *row)
{
	const json_t *value = field_of(row, s->source->key);
	uint32_t n_labels;

	if (!is_readable(s->source->reading, value))
		return;
	if (!s->is_begun)
		family_print(s->metrics, s->family, s->out);
	s->is_begun = true;
	(void)fputs(s->family->name, s->out);
	n_labels = labels_print(metrics_views[s->source->view].labels, row, 0, s->out);
	n_labels = labels_print(s->source->labels, row, n_labels, s->out);
	(void)fputs(n_labels > 0 ? "} " : " ", s->out);
	value_print(s->source->reading, value, s->out);
	(void)fputc('\n', s->out);
}

void metrics_print(const struct metrics *m, FILE *out)
{
	struct sampling s = {.metrics = m, .out = out};

	for (s.source = metrics_rows; s.source < metrics_rows + metrics_n_rows; s.source++) {
		const struct answer *a = &m->answers[s.source->view];
		size_t i;
		json_t *row;

		if (s.source->name != NULL) {
			s.family = s.source;
			s.is_begun = false;
		}
		if (s.source->name != NULL || s.family == NULL)
			continue;
		json_array_foreach(a->rows, i, row) sample_print(&s, row);
		if (a->other != NULL)
			sample_print(&s, a->other);
	}
	if (m->options.format == METRICS_OPENMETRICS)
		(void)fputs("# EOF\n", out);
}

static int view_sink(void *context, const char *bytes, size_t n, char *error)
{
	const struct answer *a = context;

	return metrics_feed(a->metrics, a->view, bytes, n, error);
}

int metrics_write(const char *socket, const struct metrics_options *options, FILE *out,
	char error[CONNECTION_ERROR_MAX])
{
	struct metrics *m = metrics_create(options);
	int result = 0;

	if (m == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX, "no memory");
		return -1;
	}
	for (uint32_t i = 0; i < METRICS_VIEWS && result == 0; i++) {
		result = connection_ask(
			socket, metrics_views[i].request, view_sink, &m->answers[i], error);
		if (result == 0)
			result = metrics_end(m, i, error);
	}
	if (result == 0)
		metrics_print(m, out);
	metrics_destroy(m);
	return result;
}

int metrics_format_parse(const char *text, enum metrics_format *ret_format)
{
	static const char *const names[] = {[METRICS_PROMETHEUS] = "prometheus",
		[METRICS_OPENMETRICS] = "openmetrics",
		[METRICS_MARKDOWN] = "markdown"};

	for (enum metrics_format f = METRICS_PROMETHEUS; f <= METRICS_MARKDOWN; f++) {
		if (strcmp(text, names[f]) == 0) {
			*ret_format = f;
			return 0;
		}
	}
	return -1;
}
