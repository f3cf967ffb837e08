/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /api/history: what was, over longer spans than a page has been open.
 *
 * Shapes:   ?series=total|port|plan|class|device&key=NAME&per=minute|hour|day&from=UNIX&to=UNIX gives
 *           {"per": 60, "columns": ["t", "uplink_octets", "downlink_octets", ...], "rows": [[...], ...]}, times as seconds of
 *           UNIX; without `key`, of all but the total their sums over the span: {"keys": [{"key": ..., "mac": ..., "name": ...,
 *           "uplink_octets": ..., "downlink_octets": ...}]}. docs/history.md has the columns. Of an address that several devices had,
 *           &mac= chooses one. The last minutes, until the next batch is written, are not there yet.
 * Errors:   a status of 400 and above with {"error": "..."}; 404 where no history is kept.
 * Threads:  that of weir-web.
 */
#ifndef WEIR_CLIENT_WEB_HISTORY_H
#define WEIR_CLIENT_WEB_HISTORY_H

#include "web.h"

/* Makes the answer. Returns 0, or a negative errno with none made. */
int web_history_answer(
	struct web *web, const struct web_query *query, struct web_answer *ret_answer);

#endif
