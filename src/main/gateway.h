/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A running gateway: configuration, ports, path and its thread, socket, records.
 *
 * Errors:   gateway_start returns a negative errno after it has said why on stderr; nothing is left behind.
 * Threads:  the main thread alone; the path's thread is started and joined here.
 */
#ifndef WEIR_MAIN_GATEWAY_H
#define WEIR_MAIN_GATEWAY_H

#include <stdint.h>

struct gateway;

/* Reads the configuration, takes the interfaces over and starts the path. */
int gateway_start(const char *file, struct gateway **ret_gateway);

/* Ends all flows, puts everything back and frees. NULL is fine. */
void gateway_stop(struct gateway *g);

/* Call every few milliseconds: events, records, ports, the plan's ladder. */
void gateway_tick(struct gateway *g, uint64_t now_us);

/* Re-reads the configuration; a bad one changes nothing and is complained about. */
void gateway_reload(struct gateway *g);

/* The control socket, and that of those who only look (-1 where there is none): descriptors to wait on, and what to do then. */
int gateway_fd(const struct gateway *g);
int gateway_view_fd(const struct gateway *g);
void gateway_serve(struct gateway *g, uint64_t now_us);

#endif
