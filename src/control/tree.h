/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML document as a small tree, with line and column on each node.
 *
 * Source:   events of libyaml. Anchors, aliases, tags, further documents and control characters are
 *           reported as mistakes, and so is a key that is written twice; the first one stays.
 * Errors:   tree_read: 0 (the tree may still have reported mistakes), -EINVAL when the text cannot be read to
 *           its end, -ENOMEM.
 * Threads:  one owner.
 * Memory:   the tree owns its nodes and their texts; bounded by the limits below.
 */
#ifndef WEIR_SRC_CONTROL_TREE_H
#define WEIR_SRC_CONTROL_TREE_H

#include <weir/control/config.h>
#include <weir/control/schema.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_DEPTH_MAX 16
#define TREE_NODES_MAX 20000

enum tree_kind {
	TREE_SCALAR,
	TREE_MAPPING,
	TREE_SEQUENCE
};

struct tree_node {
	enum tree_kind kind;
	char *key;     /* in a mapping; NULL in a sequence and at the top */
	char *text;    /* of a scalar; "" when nothing is written */
	uint32_t line; /* of the key where there is one, else of the value */
	uint32_t column;
	uint32_t index;   /* place among its siblings, from 0 */
	uint32_t n_nodes; /* children */
	struct tree_node *parent;
	struct tree_node *first;
	struct tree_node *last;
	struct tree_node *next;
	struct tree_node *next_made;  /* all nodes, to free them */
	const struct schema_row *row; /* binding: the row of this node; NULL: unknown, or the top */
	void *base;                   /* binding: the struct that the row's offset counts from */
	bool is_set;                  /* binding: its value was good and is in its field */
};

/* Reads `len` bytes. The caller owns the result (tree_destroy); its top is a mapping. */
int tree_read(
	const char *text, size_t len, struct config_report *report, struct tree_node **ret_top);

void tree_destroy(struct tree_node *top);

/* The next node in the order of the file, children first; NULL at the end. */
struct tree_node *tree_next(const struct tree_node *n);

/* The same without the children of `n`. */
struct tree_node *tree_next_beside(const struct tree_node *n);

/* The child with this key, or NULL. */
struct tree_node *tree_child(const struct tree_node *n, const char *key);

#define TREE_PATH_MAX 128

/* "ports.lan0.role", "policy.rules[2].from"; cut where it is longer. */
const char *tree_path(const struct tree_node *n, char buf[TREE_PATH_MAX]);

#endif
