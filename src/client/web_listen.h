/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where weir-web listens, and as whom.
 *
 * Shapes:   an address is ADDRESS:PORT, of IPv6 [ADDRESS]:PORT: numbers, no names.
 * Errors:   0 or a descriptor, or -1 with a sentence for people.
 * Threads:  before any other thread is made.
 */
#ifndef WEIR_CLIENT_WEB_LISTEN_H
#define WEIR_CLIENT_WEB_LISTEN_H

#include "connection.h"
#include "web_gate.h"

#include <stdbool.h>

/* Opens a listening socket on an address that is neither all of them nor that of an uplink, as the daemon on `socket` tells. It
 * may be one that the machine does not have yet. The address alone is written too, and whether it is the machine's own: 127.0.0.0/8 or
 * ::1. */
int web_listen(const char *address, const char *socket, char ret_host[WEB_HOST_MAX],
	bool *ret_local, char error[CONNECTION_ERROR_MAX]);

/* Gives up every right but those to read what `socket` shows: from root to `user` and the socket's own group; for everybody, no
 * way back. */
int web_drop_rights(const char *user, const char *socket, char error[CONNECTION_ERROR_MAX]);

#endif
