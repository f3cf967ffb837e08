/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <weir/base/log.h>

#include <stdio.h>
#include <string.h>

/* False when it was the same before. */
static bool set_why(struct port *p, const char *why)
{
	char text[sizeof(p->why_down)];
	int len = (int)sizeof(text) - 1;

	(void)snprintf(text, sizeof(text), "%.*s", len, why);
	if (strcmp(text, p->why_down) == 0)
		return false;
	memcpy(p->why_down, text, sizeof(text));
	return true;
}

void report_up(const struct port *p, const char *device)
{
	log_event(LOG_NOTICE, "port.up port=%s interface=%s mtu=%u", p->name, device, p->mtu);
}

void report_down(struct port *p, const char *why)
{
	(void)set_why(p, why);
	log_event(LOG_WARNING, "port.down port=%s reason=\"%s\"", p->name, why);
}

void report_still_down(struct port *p, const char *why)
{
	(void)set_why(p, why);
}

void report_refused(struct port *p, const char *error)
{
	if (set_why(p, error))
		log_event(LOG_ERROR, "port.refused port=%s reason=\"%s\"", p->name, error);
}
