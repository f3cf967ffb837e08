/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a modem tells of its radio, for the rate that follows it: by the control socket (a script, a dispatcher of ModemManager), or by
 * whoever looks after a modem in here, who calls link_hint_give() with the same.
 *
 * Shapes:   {"link": "wwan0", "technology": "lte", "cell": "1A2B03", "rsrp_dbm": -97}, at least one of the last three; what is left
 *           out is not known. A cell is its identity in hexadecimal digits, as 3GPP writes it: 28 bits of LTE, 36 of 5G. The answer is the same
 *           object with "port" for "link".
 * Units:    dBm: RSRP, of 5G SS-RSRP: -156 to -31 (3GPP TS 38.133 section 10.1.6).
 * Errors:   a sentence, with what there is instead.
 * Threads:  control.
 * Memory:   an answer in the making.
 */
#ifndef WEIR_CONTROL_LINK_HINT_H
#define WEIR_CONTROL_LINK_HINT_H

#include <weir/control/server.h>
#include <weir/path/doors.h>

#include <stdbool.h>

/* True when a request tells something of a link. */
bool link_hint_is(const json_t *request);

/* As server_handlers.begin; the path is borrowed. */
int link_hint_answer(struct path *path, json_t *request, uint64_t now_us,
	char error[SERVER_ERROR_MAX], struct server_answer **ret_answer);

/* Hands a hint to the path, and logs it where technology or cell are other ones. 0, or -ENOENT for a port whose rates are not
 * followed. */
int link_hint_give(
	struct path *path, uint8_t port, const struct link_rate_hint *hint, uint64_t now_us);

/* "lte"; never NULL. */
const char *link_technology_name(enum link_rate_technology technology);

/* Writes what of a hint is known: technology, cell, rsrp_dbm. */
void link_hint_fields(const struct link_rate_hint *hint, struct text *part);

#endif
