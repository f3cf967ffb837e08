/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A round of weirctl top: what is looked at is asked for, each view once, and taken into the model.
 *
 * Shapes:   the status, ports, links and plans, and what the pane lists: at most ROUND_FLOWS flows, the busiest, and at most
 *           ROUND_DEVICES devices, however many there are.
 * Errors:   a sentence for people.
 * Threads:  one owner; nothing blocks.
 */
#ifndef WEIR_CLIENT_TOP_ROUND_H
#define WEIR_CLIENT_TOP_ROUND_H

#include "feed.h"
#include "top_state.h"

#define ROUND_FLOWS   100
#define ROUND_DEVICES 1000

struct top_round {
	struct feed feed;
	struct top_model model;
	enum top_view views[TOP_VIEWS]; /* those asked for, in this order */
	uint32_t n_views;
};

/* Returns 0 or -ENOMEM. */
int top_round_init(struct top_round *r, const char *socket);
void top_round_clean(struct top_round *r);

/* Begins one. Returns 0, or -1 with a sentence. */
int top_round_start(
	struct top_round *r, const struct top_state *s, char error[CONNECTION_ERROR_MAX]);

/* Takes what has come, when r->feed.fd is readable. */
enum feed_result top_round_work(struct top_round *r, char error[CONNECTION_ERROR_MAX]);

/* Another pane: what its rows were before says nothing of now. */
void top_round_forget(struct top_round *r);

#endif
