/* SPDX-License-Identifier: BSD-3-Clause */
#include "web_history.h"

#define STATUS_NOT_FOUND 404

int web_history_answer(
	struct web *web, const struct web_query *query, struct web_answer *ret_answer)
{
	(void)web;
	(void)query;
	web_refuse(ret_answer, STATUS_NOT_FOUND, "this weir-web keeps no history");
	return 0;
}
