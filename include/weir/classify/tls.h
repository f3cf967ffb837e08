/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name that a TLS client asks its server for.
 *
 * Source:   RFC 8446 sections 4 and 5.1, RFC 5246 section 6.2.1 (records), RFC 6066 section 3 (server_name),
 *           RFC 9001 section 4 (QUIC carries the handshake without records).
 * Shapes:   the first octets of a stream; the handshake message may lie in many records.
 * Errors:   what is no ClientHello, or none that a server would take, is TLS_HELLO_NONE.
 * Threads:  pure functions.
 * Memory:   none.
 */
#ifndef WEIR_CLASSIFY_TLS_H
#define WEIR_CLASSIFY_TLS_H

#include <weir/classify/dns_name.h>

#define TLS_PORT        443
#define TLS_RECORDS_MAX 64    /* that one ClientHello may lie in */
#define TLS_HELLO_MAX   16384 /* octets of a ClientHello; those of today have 200 to 2000 */

enum tls_hello {
	TLS_HELLO_MORE,    /* a ClientHello as far as it goes: it is not whole yet */
	TLS_HELLO_NAME,    /* the name was found */
	TLS_HELLO_NO_NAME, /* a whole ClientHello that names no server */
	TLS_HELLO_NONE     /* something else, or too long */
};

/* Reads the octets that a client begins its TCP connection with. `ret_name` is written for TLS_HELLO_NAME alone. */
enum tls_hello tls_read_records(const uint8_t *octets, uint32_t len, struct dns_name *ret_name);

/* The same for the handshake's octets without records. */
enum tls_hello tls_read_handshake(const uint8_t *octets, uint32_t len, struct dns_name *ret_name);

#endif
