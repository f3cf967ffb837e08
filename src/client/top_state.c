/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_state.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	char key;
	enum top_view view;
} panes[N_PANES] = {
	[PANE_DEVICES] = {"devices", 'd', TOP_DEVICES},
	[PANE_CLASSES] = {"classes", 'c', TOP_CLASSES},
	[PANE_FLOWS] = {"flows", 'f', TOP_FLOWS},
	[PANE_PLANS] = {"plans", 'p', TOP_PLANS},
	[PANE_LINK] = {"link", 'l', TOP_LINK},
	[PANE_DROPS] = {"drops", 'x', TOP_DROPS},
};

const char top_pane_names[] = "devices|classes|flows|plans|link|drops";

enum top_pane top_pane_named(const char *name)
{
	enum top_pane p = 0;

	while (p < N_PANES && strcmp(panes[p].name, name) != 0)
		p++;
	return p;
}

enum top_view top_pane_view(enum top_pane pane)
{
	return panes[pane].view;
}

static void filter_erase(char *filter)
{
	size_t n = strlen(filter);

	/* a whole character of UTF-8 */
	while (n > 0 && ((unsigned char)filter[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		n--;
	filter[n] = '\0';
}

static void filter_key(struct top_state *s, int key)
{
	size_t n = strlen(s->filter);

	if (key == TOP_KEY_ENTER) {
		s->editing = false;
	} else if (key == TOP_KEY_ESCAPE) {
		memcpy(s->filter, s->former, sizeof(s->filter));
		s->editing = false;
	} else if (key == TOP_KEY_ERASE) {
		filter_erase(s->filter);
	} else if (key >= ' ' && key <= 0xff && key != 0x7f && n + 1 < sizeof(s->filter)) {
		s->filter[n] = (char)key;
		s->filter[n + 1] = '\0';
	}
	s->cursor = 0;
}

static void cursor_move(struct top_state *s, int64_t by)
{
	int64_t to = (int64_t)s->cursor + by;
	int64_t last = (int64_t)s->n_rows - 1;

	if (to > last)
		to = last;
	s->cursor = to < 0 ? 0 : (uint32_t)to;
}

static bool move_key(struct top_state *s, int key)
{
	int64_t page = s->page > 1 ? (int64_t)s->page - 1 : 1;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		cursor_move(s, -1);
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		cursor_move(s, 1);
		return true;
	case TOP_KEY_PAGE_UP:
		cursor_move(s, -page);
		return true;
	case TOP_KEY_PAGE_DOWN:
		cursor_move(s, page);
		return true;
	case TOP_KEY_HOME:
	case 'g':
		s->cursor = 0;
		return true;
	case TOP_KEY_END:
	case 'G':
		cursor_move(s, UINT32_MAX);
		return true;
	default:
		return false;
	}
}

static bool pane_set(struct top_state *s, enum top_pane pane, const char *device)
{
	(void)snprintf(s->device, sizeof(s->device), "%s", device);
	s->pane = pane;
	s->cursor = 0;
	s->filter[0] = '\0';
	return true;
}

static void order_set(struct top_state *s, enum top_order order)
{
	s->order = order;
	s->reversed = false;
	s->cursor = 0;
}

/* Enter goes from a device to its flows; Escape takes back what narrows the view, the latest first. */
static bool step_key(struct top_state *s, int key)
{
	if (key == TOP_KEY_ENTER) {
		if (s->pane != PANE_DEVICES || s->chosen[0] == '\0')
			return false;
		return pane_set(s, PANE_FLOWS, s->chosen);
	}
	if (s->filter[0] != '\0') {
		s->filter[0] = '\0';
		s->cursor = 0;
		return false;
	}
	return s->device[0] != '\0' && pane_set(s, PANE_DEVICES, "");
}

static bool command_key(struct top_state *s, int key)
{
	switch (key) {
	case 'q':
		s->quit = true;
		return false;
	case '?':
	case 'h':
		s->help = true;
		return false;
	case '/':
		memcpy(s->former, s->filter, sizeof(s->former));
		s->filter[0] = '\0';
		s->editing = true;
		return false;
	case ' ':
		s->paused = !s->paused;
		return !s->paused;
	case 'r':
		order_set(s, ORDER_RATE);
		return false;
	case 't':
		order_set(s, ORDER_TOTAL);
		return false;
	case 'n':
		order_set(s, ORDER_NAME);
		return false;
	case 'o':
		s->reversed = !s->reversed;
		return false;
	case TOP_KEY_ENTER:
	case TOP_KEY_ESCAPE:
		return step_key(s, key);
	default:
		return false;
	}
}

bool top_state_key(struct top_state *s, int key)
{
	if (s->help) {
		s->help = false;
		s->quit = key == 'q';
		return false;
	}
	if (s->editing) {
		filter_key(s, key);
		return false;
	}
	for (enum top_pane p = 0; p < N_PANES; p++)
		if (key == panes[p].key)
			return (p != s->pane || s->device[0] != '\0') && pane_set(s, p, "");
	return !move_key(s, key) && command_key(s, key);
}
