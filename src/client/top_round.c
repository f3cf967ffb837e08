/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 160

int top_round_init(struct top_round *r, const char *socket)
{
	r->n_views = 0;
	top_model_init(&r->model);
	return feed_init(&r->feed, socket);
}

void top_round_clean(struct top_round *r)
{
	feed_clean(&r->feed);
	top_model_clean(&r->model);
}

void top_round_forget(struct top_round *r)
{
	for (enum top_view v = TOP_PLANS + 1; v < TOP_VIEWS; v++)
		top_model_forget(&r->model, v);
}

static void request_write(enum top_view view, const struct top_state *s, char request[REQUEST_MAX])
{
	char filter[TOP_ADDRESS_MAX + 32] = "";

	if (view == TOP_DEVICES)
		(void)snprintf(filter, sizeof(filter), ",\"limit\":%d", ROUND_DEVICES);
	else if (view == TOP_FLOWS && s->device[0] != '\0') /* an address, as the daemon gave it */
		(void)snprintf(filter, sizeof(filter), ",\"busiest\":%d,\"device\":\"%s\"",
			ROUND_FLOWS, s->device);
	else if (view == TOP_FLOWS)
		(void)snprintf(filter, sizeof(filter), ",\"busiest\":%d", ROUND_FLOWS);
	(void)snprintf(request, REQUEST_MAX, "{\"show\":\"%s\"%s}", top_view_name(view), filter);
}

int top_round_start(
	struct top_round *r, const struct top_state *s, char error[CONNECTION_ERROR_MAX])
{
	char requests[TOP_VIEWS][REQUEST_MAX];
	const char *texts[TOP_VIEWS];

	r->n_views = 0;
	for (enum top_view v = TOP_STATUS; v <= TOP_PLANS; v++)
		r->views[r->n_views++] = v;
	if (top_pane_view(s->pane) > TOP_PLANS)
		r->views[r->n_views++] = top_pane_view(s->pane);
	for (uint32_t i = 0; i < r->n_views; i++) {
		request_write(r->views[i], s, requests[i]);
		texts[i] = requests[i];
	}
	return feed_start(&r->feed, texts, r->n_views, error);
}

static int answer_take(void *context, uint32_t index, json_t *answer, char *error)
{
	struct top_round *r = context;

	return top_model_take(&r->model, r->views[index], answer, error);
}

enum feed_result top_round_work(struct top_round *r, char error[CONNECTION_ERROR_MAX])
{
	return feed_work(&r->feed, answer_take, r, error);
}
