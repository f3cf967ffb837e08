/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens to a port, for people: `why_down` and one log line each.
 *
 * Threads:  control alone.
 */
#ifndef WEIR_PORT_REPORT_H
#define WEIR_PORT_REPORT_H

#include <weir/port/port.h>

/* After port_up(). */
void report_up(const struct port *p, const char *device);

/* The port is not up, and will be opened as soon as it can; `why` as in struct port. */
void report_down(struct port *p, const char *why);

/* It is still not up, for a reason that may have changed; no line, since tries come five times a second. */
void report_still_down(struct port *p, const char *why);

/* Opening again failed for another reason than the interface's absence. Once for each reason, however often it is tried. */
void report_refused(struct port *p, const char *error);

#endif
