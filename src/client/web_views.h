/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon tells, handed on: /metrics, /api/view/NAME, /api/events.
 *
 * Shapes:   a view is the daemon's answer as it is. Of devices there are WEB_DEVICES_MAX at most, of flows the WEB_FLOWS_MAX busiest.
 *           /api/events?after=N gives the events behind number N.
 * Errors:   503 with the daemon's sentence, or that of why it was not reached; it is cached as answers are.
 * Threads:  that of weir-web.
 */
#ifndef WEIR_CLIENT_WEB_VIEWS_H
#define WEIR_CLIENT_WEB_VIEWS_H

#include "web.h"

#define WEB_DEVICES_MAX 2000
#define WEB_FLOWS_MAX   100

void web_metrics(struct web *web, const struct web_request *request, struct web_answer *ret_answer);
void web_view(struct web *web, const struct web_request *request, struct web_answer *ret_answer);
void web_events(struct web *web, const struct web_request *request, struct web_answer *ret_answer);

#endif
