/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake in the Initial packets of a QUIC client. They are encrypted with keys that follow from the packet itself.
 *
 * Source:   RFC 9000 sections 12.2, 17.2.2 and 19 (packets, frames), RFC 9001 section 5 (keys, version 1),
 *           RFC 9369 (version 2); docs/decisions/0008-nettle-for-quic.md.
 * Shapes:   whole UDP payloads. Keys come from each packet's own destination connection id: what a client still sends of its
 *           hello after the server has chosen another id is not read.
 * Errors:   what does not decrypt is passed over, as a server does.
 * Threads:  one owner; a reader holds the keys and the plaintext of the packet it is at.
 * Memory:   fixed at create, 13 KiB.
 */
#ifndef WEIR_CLASSIFY_QUIC_H
#define WEIR_CLASSIFY_QUIC_H

#include <weir/classify/assembly.h>
#include <weir/classify/tls.h>

#define QUIC_PORT         443
#define QUIC_DATAGRAM_MAX 4096 /* longer ones are not read; clients send 1200 to 1500 octets */
#define QUIC_INITIALS_MAX 4    /* read of one datagram */

struct quic_reader;

/* Returns 0 or -ENOMEM. */
int quic_reader_create(struct quic_reader **ret_reader);
void quic_reader_destroy(struct quic_reader *q);

/* Reads a datagram of the client; its part of the handshake goes to `a`, which holds that of earlier ones. TLS_HELLO_NONE when there is
 * nothing of a handshake, in this datagram or before. */
enum tls_hello quic_read_datagram(struct quic_reader *q, const uint8_t *datagram, uint32_t len,
	struct assembly *a, struct dns_name *ret_name);

#endif
