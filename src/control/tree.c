/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define BEGUN_MAX 96

struct builder {
	struct config_report *report;
	const char *text;
	size_t len;
	struct tree_node *top;
	struct tree_node *last_made; /* all nodes in a list; the top is the first one made */
	struct tree_node *parent;    /* the container that is open; NULL at the top */
	struct tree_node *pair;      /* its key was read, its value comes next */
	uint32_t n_made;
	uint32_t depth;
	uint32_t n_documents;
};

struct place {
	uint32_t line;
	uint32_t column;
};

static struct place place_of(const yaml_mark_t *mark)
{
	return (struct place){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

/* The parser cannot go on, and without a whole tree no value is looked at. */
#define STOPPED "; checking stopped here, so there may be more"

static int fail(struct builder *b, struct place at, const char *what)
{
	config_report_add(b->report, CONFIG_ERROR, at.line, at.column, "%s" STOPPED, what);
	return -EINVAL;
}

/* C0, DEL and C1 (U+0080 to U+009F, in UTF-8), which have no business in a name and a terminal would obey. */
static bool replace_controls(char *text, size_t len)
{
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

		if (c < 0x20 || c == 0x7f) {
			text[i] = '?';
			found = true;
		} else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			text[i] = '?';
			text[i + 1] = '?';
			found = true;
		}
	}
	return found;
}

static char *text_copy(struct builder *b, const yaml_event_t *event)
{
	size_t len = event->data.scalar.length;
	char *copy = malloc(len + 1);
	struct place at = place_of(&event->start_mark);

	if (copy == NULL)
		return NULL;
	memcpy(copy, event->data.scalar.value, len);
	copy[len] = '\0';
	if (replace_controls(copy, len))
		config_report_add(b->report, CONFIG_ERROR, at.line, at.column,
			"a control character or line break in '%.40s'; remove it", copy);
	return copy;
}

static int node_make(struct builder *b, struct place at, struct tree_node **ret_node)
{
	struct tree_node *n;

	if (b->n_made == TREE_NODES_MAX)
		return fail(
			b, at, "more than 20000 keys and values; this is no configuration of weir");
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	if (b->top == NULL)
		b->top = n;
	else
		b->last_made->next_made = n;
	b->last_made = n;
	b->n_made++;
	n->line = at.line;
	n->column = at.column;
	*ret_node = n;
	return 0;
}

static void node_append(struct tree_node *parent, struct tree_node *n)
{
	n->parent = parent;
	n->index = parent->n_nodes++;
	if (parent->last == NULL)
		parent->first = n;
	else
		parent->last->next = n;
	parent->last = n;
}

/* A key of a mapping: the value's node is made now and filled by the next event. */
static int key_add(struct builder *b, const yaml_event_t *event)
{
	struct place at = place_of(&event->start_mark);
	const struct tree_node *twin;
	struct tree_node *n;
	char path[TREE_PATH_MAX];
	int error;

	if (event->type != YAML_SCALAR_EVENT)
		return fail(b, at, "a key must be a word; write 'key: value'");
	error = node_make(b, at, &n);
	if (error != 0)
		return error;
	n->key = text_copy(b, event);
	if (n->key == NULL)
		return -ENOMEM;
	twin = tree_child(b->parent, n->key);
	n->parent = b->parent;
	b->pair = n;
	if (twin == NULL)
		node_append(b->parent, n);
	else
		config_report_add(b->report, CONFIG_ERROR, at.line, at.column,
			"%s: written twice, first in line %u; keep one of them", tree_path(n, path),
			twin->line);
	return 0;
}

/* The node that this event's value belongs into. */
static int value_node(struct builder *b, const yaml_event_t *event, struct tree_node **ret_node)
{
	int error;

	if (b->pair != NULL) {
		*ret_node = b->pair;
		b->pair = NULL;
		return 0;
	}
	error = node_make(b, place_of(&event->start_mark), ret_node);
	if (error != 0)
		return error;
	if (b->parent != NULL)
		node_append(b->parent, *ret_node);
	return 0;
}

static int container_open(struct builder *b, struct tree_node *n, enum tree_kind kind)
{
	if (b->depth == TREE_DEPTH_MAX)
		return fail(b, (struct place){n->line, n->column},
			"more than 16 levels; the configuration needs 5");
	b->depth++;
	n->kind = kind;
	b->parent = n;
	return 0;
}

static int value_add(struct builder *b, const yaml_event_t *event)
{
	struct tree_node *n;
	int error;

	if (b->parent != NULL && b->parent->kind == TREE_MAPPING && b->pair == NULL)
		return key_add(b, event);
	error = value_node(b, event, &n);
	if (error != 0)
		return error;
	if (event->type == YAML_MAPPING_START_EVENT)
		return container_open(b, n, TREE_MAPPING);
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return container_open(b, n, TREE_SEQUENCE);
	n->text = text_copy(b, event);
	return n->text == NULL ? -ENOMEM : 0;
}

static int check_plain(struct builder *b, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;
	struct place at = place_of(&event->start_mark);

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	}
	if (event->type == YAML_ALIAS_EVENT)
		return fail(b, at, "an alias (*name) is not read; write the value out");
	if (anchor != NULL)
		return fail(b, at,
			"an anchor (&name) is not read; remove it, or put the value in quotes");
	if (tag != NULL)
		return fail(
			b, at, "a tag (!name) is not read; remove it, or put the value in quotes");
	return 0;
}

static int event_take(struct builder *b, const yaml_event_t *event)
{
	int error = check_plain(b, event);

	if (error != 0)
		return error;
	switch ((int)event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->n_documents++ > 0)
			return fail(b, place_of(&event->start_mark),
				"a second document begins here; keep one configuration in a file");
		return 0;
	case YAML_SCALAR_EVENT:
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return value_add(b, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		assert(b->parent != NULL); /* libyaml pairs starts and ends */
		b->depth--;
		b->parent = b->parent->parent;
		return 0;
	default:
		return 0;
	}
}

/* True when the line up to and with this column is indented by a tab: what libyaml calls "a character that cannot
 * start any token". */
static bool has_tab(const struct builder *b, uint32_t line)
{
	const char *at = b->text;
	const char *end = b->text + b->len;

	while (--line > 0 && at != NULL) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at == NULL ? NULL : at + 1;
	}
	while (at != NULL && at < end && *at == ' ')
		at++;
	return at != NULL && at < end && *at == '\t';
}

/* libyaml's words, or plainer ones for what happens most. */
static const char *problem_text(const char *problem)
{
	static const char *const plain[][2] = {
		{"mapping values are not allowed in this context",
			"a colon stands where none can: the line before lacks its own, or this "
			"one is indented too far"},
		{"could not find expected ':'", "a key lacks its colon, and a space behind that"},
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(problem, plain[i][0]) == 0)
			return plain[i][1];
	}
	return problem;
}

/* Where the quote or bracket was opened that does not end here; "" when that is on the same line. */
static const char *begun_text(const yaml_parser_t *parser, char text[BEGUN_MAX])
{
	text[0] = '\0';
	if (parser->context != NULL && parser->context_mark.line < parser->problem_mark.line)
		(void)snprintf(text, BEGUN_MAX, ", %s that begins in line %u",
			strncmp(parser->context, "while ", 6) == 0 ? parser->context : "in what",
			place_of(&parser->context_mark).line);
	return text;
}

static int syntax_error(struct builder *b, const yaml_parser_t *parser)
{
	struct place at = place_of(&parser->problem_mark);
	const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
	char begun[BEGUN_MAX];
	const char *where = begun_text(parser, begun)[0] == '\0' ? "here and in the line before"
								 : "from there on";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		config_report_add(b->report, CONFIG_ERROR, 0, 0,
			"no text at octet %zu (%s); write it in UTF-8 without control "
			"characters" STOPPED,
			parser->problem_offset, problem);
	else if (has_tab(b, at.line))
		config_report_add(b->report, CONFIG_ERROR, at.line, at.column,
			"indented by a tab; YAML wants spaces" STOPPED);
	else
		config_report_add(b->report, CONFIG_ERROR, at.line, at.column,
			"not YAML: %s%s; check indentation, colons, quotes and brackets %s" STOPPED,
			problem_text(problem), begun, where);
	return -EINVAL;
}

static int document_read(struct builder *b)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool done = false;
	int error = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, b->len);
	while (!done && error == 0) {
		if (!yaml_parser_parse(&parser, &event)) {
			error = syntax_error(b, &parser);
			break;
		}
		error = event_take(b, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return error;
}

int tree_read(
	const char *text, size_t len, struct config_report *report, struct tree_node **ret_top)
{
	struct builder b = {.report = report, .text = text, .len = len};
	int error = document_read(&b);

	if (error == 0 && (b.top == NULL || b.top->kind != TREE_MAPPING)) {
		config_report_add(report, CONFIG_ERROR, 0, 0,
			"holds no keys; write at least 'ports:' with a lan and an uplink below "
			"it");
		error = -EINVAL;
	}
	if (error != 0) {
		tree_destroy(b.top);
		return error;
	}
	*ret_top = b.top;
	return 0;
}

void tree_destroy(struct tree_node *top)
{
	while (top != NULL) {
		struct tree_node *next = top->next_made;

		free(top->key);
		free(top->text);
		free(top);
		top = next;
	}
}

struct tree_node *tree_next_beside(const struct tree_node *n)
{
	while (n != NULL && n->next == NULL)
		n = n->parent;
	return n == NULL ? NULL : n->next;
}

struct tree_node *tree_next(const struct tree_node *n)
{
	return n->first != NULL ? n->first : tree_next_beside(n);
}

struct tree_node *tree_child(const struct tree_node *n, const char *key)
{
	for (struct tree_node *child = n->first; child != NULL; child = child->next) {
		if (child->key != NULL && strcmp(child->key, key) == 0)
			return child;
	}
	return NULL;
}

const char *tree_path(const struct tree_node *n, char buf[TREE_PATH_MAX])
{
	const struct tree_node *chain[TREE_DEPTH_MAX + 1];
	size_t n_chain = 0;
	size_t len = 0;

	for (; n->parent != NULL && n_chain < TREE_DEPTH_MAX + 1; n = n->parent)
		chain[n_chain++] = n;
	buf[0] = '\0';
	while (n_chain-- > 0 && len < TREE_PATH_MAX) {
		const struct tree_node *at = chain[n_chain];

		if (at->key == NULL)
			len += (size_t)snprintf(
				buf + len, TREE_PATH_MAX - len, "[%u]", at->index + 1);
		else
			len += (size_t)snprintf(buf + len, TREE_PATH_MAX - len, "%s%.40s",
				len == 0 ? "" : ".", at->key);
	}
	return buf;
}
