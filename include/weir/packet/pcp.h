/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of the Port Control Protocol, and of NAT-PMP, its version 0: reads requests, builds the answers.
 *
 * Source:   RFC 6887 sections 7, 8.2, 9, 11.1, 12.1, 13; RFC 6886 section 3.
 * Shapes:   a message is what a UDP datagram carries. NAT-PMP's requests for a port are MAPs with a nonce of zeros.
 * Units:    ports and lifetimes (seconds) in host byte order, addresses as everywhere (base/addr.h).
 * Errors:   what is not to be answered is false; what is answered with an error is a result.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_PCP_H
#define WEIR_PACKET_PCP_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stdint.h>

#define PCP_SERVER_PORT 5351
#define PCP_CLIENT_PORT 5350 /* where announcements are listened for */

#define PCP_MESSAGE_MAX 1100 /* octets, RFC 6887 section 7 */
#define PCP_NONCE_BYTES 12
#define PCP_FILTERS_MAX 8 /* of one request */

#define PCP_LONG_S                                                                                 \
	1800 /* how long an error holds that will not go away by itself, RFC 6887 section 7.4 */
#define PCP_SHORT_S 30 /* and one that may */

enum pcp_version {
	PCP_VERSION_NAT_PMP = 0,
	PCP_VERSION = 2,
};

enum pcp_opcode {
	PCP_ANNOUNCE = 0,
	PCP_MAP = 1,
	PCP_PEER = 2,
	PCP_ADDRESS = 0x100, /* NAT-PMP: asks for the external address */
	PCP_UNKNOWN = 0x101,
};

enum pcp_result {
	PCP_SUCCESS = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2,
	PCP_MALFORMED_REQUEST = 3,
	PCP_UNSUPP_OPCODE = 4,
	PCP_UNSUPP_OPTION = 5,
	PCP_MALFORMED_OPTION = 6,
	PCP_NETWORK_FAILURE = 7,
	PCP_NO_RESOURCES = 8,
	PCP_UNSUPP_PROTOCOL = 9,
	PCP_USER_EX_QUOTA = 10,
	PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	PCP_ADDRESS_MISMATCH = 12,
	PCP_EXCESSIVE_REMOTE_PEERS = 13,
};

/* Who may use a mapping: those of a prefix, from this port or (0) any. */
struct pcp_filter {
	struct ip_prefix remote;
	uint16_t port;
};

struct pcp_request {
	uint8_t version; /* enum pcp_version; of an unsupported one PCP_VERSION */
	uint16_t opcode; /* enum pcp_opcode */
	uint8_t proto;   /* 0: all */
	bool is_parsed;  /* else only version and opcode are known */
	bool prefers_failure;
	bool clears_filters; /* those of before; the ones of this request count */
	uint8_t n_filters;
	struct pcp_filter filters[PCP_FILTERS_MAX];
	uint8_t nonce[PCP_NONCE_BYTES];
	uint32_t lifetime_s; /* 0: to be deleted */
	uint16_t internal_port;
	uint16_t external_port;  /* suggested; 0: any */
	uint16_t remote_port;    /* PEER */
	struct ip_addr external; /* suggested; unset: any */
	struct ip_addr remote;   /* PEER */
};

struct pcp_reply {
	enum pcp_result result;
	uint32_t lifetime_s; /* of the mapping, or of the error */
	uint32_t epoch_s;
	uint16_t external_port;
	struct ip_addr external;
};

/*
 * Reads a message that came from `source`. False when it is not to be answered: too short to be a request, or none.
 * Else `ret_result` is PCP_SUCCESS, or what to answer it with.
 */
bool pcp_read(const uint8_t *message, uint32_t len_bytes, const struct ip_addr *source,
	struct pcp_request *ret_request, enum pcp_result *ret_result);

/* Builds the answer to a message that pcp_read() has read into `out` (PCP_MESSAGE_MAX bytes, apart from the message).
 * Returns its length in bytes. */
uint16_t pcp_build(uint8_t *out, const uint8_t *message, uint32_t len_bytes,
	const struct pcp_request *request, const struct pcp_reply *reply);

#define PCP_ANNOUNCEMENT_BYTES 24
#define NAT_PMP_ADDRESS_BYTES  12

/* Builds what all hosts of a LAN are told after a loss of state (RFC 6887 section 14.1). Returns its length in bytes. */
uint16_t pcp_build_announcement(uint8_t out[PCP_ANNOUNCEMENT_BYTES], uint32_t epoch_s);

/* The same for those that speak NAT-PMP (RFC 6886 section 3.2.1). */
uint16_t pcp_build_address(
	uint8_t out[NAT_PMP_ADDRESS_BYTES], uint32_t epoch_s, const struct ip_addr *external);

/* How long a client is to believe an error, in seconds. */
uint32_t pcp_error_lifetime_s(enum pcp_result result);

#endif
