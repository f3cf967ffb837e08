/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weirctl top was told by keys: which pane, in which order, which rows.
 *
 * Threads:  one owner.
 * Memory:   the struct itself.
 */
#ifndef WEIR_CLIENT_TOP_STATE_H
#define WEIR_CLIENT_TOP_STATE_H

#include "top_model.h"

#include <stdbool.h>
#include <stdint.h>

enum top_pane {
	PANE_DEVICES,
	PANE_CLASSES,
	PANE_FLOWS,
	PANE_PLANS,
	PANE_LINK,
	PANE_DROPS,
	N_PANES
};

enum top_order {
	ORDER_RATE,
	ORDER_TOTAL,
	ORDER_NAME,
	N_ORDERS
};

/* Keys that are no characters. */
enum {
	TOP_KEY_UP = 0x1000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ERASE,
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_REDRAW,
};

#define TOP_FILTER_MAX  64
#define TOP_ADDRESS_MAX 64

struct top_state {
	enum top_pane pane;
	enum top_order order;
	bool reversed;
	bool paused;
	bool help;
	bool quit;
	bool editing; /* the filter is being typed */
	char filter[TOP_FILTER_MAX];
	char former[TOP_FILTER_MAX];  /* what Escape brings back */
	char device[TOP_ADDRESS_MAX]; /* flows: of this one alone; "": of all */
	char chosen[TOP_ADDRESS_MAX]; /* written by the view: the device under the cursor */
	uint32_t cursor;              /* the row that is marked, of those that pass the filter */
	uint32_t first;               /* the first that is shown; written by the view */
	uint32_t page;                /* rows that are shown; so is this */
	uint32_t n_rows;              /* that pass the filter; and this */
};

/* The pane of a name, or N_PANES. */
enum top_pane top_pane_named(const char *name);

/* What a pane lists. */
enum top_view top_pane_view(enum top_pane pane);

/* "devices|classes|…" */
extern const char top_pane_names[];

/* Takes a key: a byte of text or TOP_KEY_*. True when the daemon is to be asked at once: something else is looked at. */
bool top_state_key(struct top_state *s, int key);

#endif
