/* SPDX-License-Identifier: BSD-3-Clause */
/* Any line becomes one JSON object: reasons and names in it may come from outside. */
#include <weir/control/events.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event event = {.seq = 1, .at_us = 1, .level = LOG_INFO};
	struct text part;
	json_t *object;

	memcpy(event.line, data, size < EVENT_LINE_MAX ? size : EVENT_LINE_MAX - 1);
	text_init(&part, 1 << 16);
	event_write(&event, 0, &part);
	object = part.failed != 0 ? NULL : json_loadb(part.data, part.n, 0, NULL);
	if (!json_is_object(object) || !json_is_object(json_object_get(object, "fields")))
		abort();
	json_decref(object);
	text_clean(&part);
	return 0;
}
