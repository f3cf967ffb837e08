/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device says of itself when it asks for an address: its MAC and its host name.
 *
 * Source:   RFC 2131 section 2 (format), section 4.1 (overload), RFC 2132 sections 3.14 and 9.6, RFC 3396 (options in
 *           pieces), RFC 4702 (the client's FQDN), RFC 952 and RFC 1123 section 2.1 (what a host name is).
 * Shapes:   a message is what a UDP datagram to port 67 carries: DHCPDISCOVER, DHCPREQUEST or DHCPINFORM from a client itself, not
 *           by a relay. A host name is one label, 1 to 63 letters, digits, '-' and '_', no '-' at either end: what is behind a
 *           first dot is a domain, which servers choose. Anything else (spaces, control characters, UTF-8) is no name. The host
 *           name option counts before the FQDN.
 * Errors:   -EBADMSG: not to be believed (cut off, an option that leaves its field or has no end, a wrong length); -ENOMSG: sound,
 *           but not of a client that tells a name. The result is untouched then.
 * Threads:  pure.
 * Memory:   none; a kB of stack. Each octet of a message is read once.
 */
#ifndef WEIR_PACKET_DHCP_H
#define WEIR_PACKET_DHCP_H

#include <weir/base/addr.h>

#include <stdint.h>

#define DHCP_SERVER_PORT   67
#define DHCP_HOST_NAME_MAX 64 /* with its NUL */

struct dhcp_host {
	struct mac_addr mac; /* chaddr: whoever reads this compares it with the frame's source */
	char name[DHCP_HOST_NAME_MAX];
};

/* Reads the host name that a client tells. Returns 0 or an error. */
int dhcp_read_host(const uint8_t *message, uint32_t len, struct dhcp_host *ret_host);

#endif
