/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The token of weir-web in its file.
 *
 * Shapes:   one line; a new one has 120 random bits in groups that can be typed: k7qf-2m3x-...
 * Errors:   0, or -1 with a sentence for people.
 * Threads:  at start, before rights are given up.
 */
#ifndef WEIR_CLIENT_WEB_TOKEN_H
#define WEIR_CLIENT_WEB_TOKEN_H

#include "connection.h"
#include "web_gate.h"

/* Reads the token of a file that is nobody else's; makes file and folder where there are none, and says so on stderr. */
int web_token_open(struct web_gate *g, const char *file, char error[CONNECTION_ERROR_MAX]);

#endif
