/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS for a link of IPFIX messages, by GnuTLS.
 *
 * Source:   RFC 7011 section 11 (mutual authentication; TLS 1.2 and later), RFC 5280 and 6125 (the collector's certificate and name).
 * Shapes:   what TLS makes of a message goes where the link keeps its octets, so that they are counted and written alike. The
 *           collector's certificate must lead to the CA file and name the server, or its address.
 * Errors:   whatever goes wrong makes the link fail with GnuTLS's sentence.
 * Threads:  as the link.
 * Memory:   certificates for life, a session while there is one.
 */
#ifndef WEIR_SRC_CONTROL_IPFIX_TLS_H
#define WEIR_SRC_CONTROL_IPFIX_TLS_H

#include <weir/control/export_ipfix.h>

#include <stdbool.h>
#include <stdint.h>

struct ipfix_link;
struct ipfix_tls;

#define IPFIX_TLS_OVERHEAD                                                                         \
	256u /* of a record: header, tag, padding, and a message of TLS's own before it */

/* Reads certificates and key. Returns 0 or a negative errno with a sentence in `error`. */
int ipfix_tls_create(const struct export_ipfix_params *params, char error[EXPORT_ERROR_MAX],
	struct ipfix_tls **ret_tls);
void ipfix_tls_destroy(struct ipfix_tls *t);

/* Goes on with the handshake over the link's descriptor, beginning with it where there is no session. True when it is done. */
bool ipfix_tls_handshake(struct ipfix_tls *t, struct ipfix_link *l);

/* A message becomes one record in the link's `out`. */
bool ipfix_tls_send(struct ipfix_tls *t, struct ipfix_link *l, const uint8_t *octets, uint32_t n);

/* Takes what the collector says, and sees whether it has ended. */
void ipfix_tls_listen(struct ipfix_tls *t, struct ipfix_link *l);

/* Says that nothing follows. */
void ipfix_tls_goodbye(struct ipfix_tls *t);

/* Forgets the session. */
void ipfix_tls_end(struct ipfix_tls *t);

#endif
