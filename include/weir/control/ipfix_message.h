/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records as IPFIX messages: the octets alone.
 *
 * Source:   RFC 7011 (messages, templates, options), RFC 7012 and IANA's registry (information elements), RFC 5103 (bidirectional
 *           flows), RFC 8158 (NAT), RFC 6759 (applicationId), RFC 7011 section 4.3 (what was not exported).
 * Shapes:   one template for protocols with ports, one for the others, and three options templates: names of interfaces, names of
 *           classes, and what the exporter has sent and lost. Forward is uplink: the source is the device on the LAN.
 *           An interface is the id of weir's port and 1; a class is an applicationId that users define (engine 6) with the
 *           class's id. A record goes into a set of its template; a set is closed by the next one, or by the message's end.
 * Units:    milliseconds since 1970 in records, seconds in the message's header.
 * Errors:   what finds no room in the message is not written, and the caller is told.
 * Threads:  pure functions on the caller's message.
 * Memory:   none but the message.
 */
#ifndef WEIR_CONTROL_IPFIX_MESSAGE_H
#define WEIR_CONTROL_IPFIX_MESSAGE_H

#include <weir/account/record.h>

#include <stdbool.h>
#include <stdint.h>

#define IPFIX_PORT     4739 /* RFC 7011 section 10.3.4 and 10.4.4; over TLS one more */
#define IPFIX_TLS_PORT 4740

/* With headers this crosses every path that carries QUIC (RFC 9000 section 14), so no datagram of it is fragmented. */
#define IPFIX_MESSAGE_MAX 1200

#define IPFIX_HEADER_BYTES 16
#define IPFIX_NAME_MAX     64 /* longer names are cut */

enum ipfix_template {
	IPFIX_FLOW = 256, /* of a protocol with ports */
	IPFIX_FLOW_WITHOUT_PORTS,
	IPFIX_INTERFACE,
	IPFIX_CLASS,
	IPFIX_STATISTICS,
	IPFIX_TEMPLATES_END
};

#define IPFIX_FLOW_BYTES 77 /* the longest record of a flow */

/* One encoded flow record. */
struct ipfix_flow {
	uint16_t template_id; /* enum ipfix_template */
	uint8_t n;
	uint8_t octets[IPFIX_FLOW_BYTES];
};

struct ipfix_message {
	uint32_t n;         /* octets so far, header included */
	uint32_t set;       /* where the open set begins; 0: none is open */
	uint32_t n_records; /* data records so far, those of options templates included */
	uint16_t set_id;
	uint8_t octets[IPFIX_MESSAGE_MAX];
};

/* Since the exporter was opened. */
struct ipfix_statistics {
	uint64_t n_messages; /* exportedMessageTotalCount */
	uint64_t n_octets;   /* exportedOctetTotalCount */
	uint64_t n_records;  /* exportedFlowRecordTotalCount */
	uint64_t n_lost;     /* notSentFlowTotalCount: records that found no room */
	uint64_t lost_packets;
	uint64_t lost_octets;
};

/* Encodes a record. `wall_offset_us` makes microseconds since 1970 of its times. False for a flow that is not of IPv4. */
bool ipfix_flow_encode(
	struct ipfix_flow *ret_flow, const struct flow_record *r, int64_t wall_offset_us);

/* Makes the message empty. */
void ipfix_begin(struct ipfix_message *m);

/* Adds all templates, of data and of options; they fit into an empty message together. */
bool ipfix_add_templates(struct ipfix_message *m);

bool ipfix_add_flow(struct ipfix_message *m, const struct ipfix_flow *flow);
bool ipfix_add_interface(struct ipfix_message *m, uint8_t port_id, const char *name);
bool ipfix_add_class(struct ipfix_message *m, uint8_t class_id, const char *name);
bool ipfix_add_statistics(struct ipfix_message *m, const struct ipfix_statistics *s);

/* Closes the last set and writes the header. `sequence`: data records sent before this message (RFC 7011 section 3.1). */
void ipfix_finish(struct ipfix_message *m, uint32_t export_s, uint32_t sequence, uint32_t domain);

/* The last `n` octets of a file of such messages: how many of them are of whole ones. A power cut may leave half of one at the end,
 * and what were written behind it no reader would find. All of them where none of the domain's messages is seen. */
uint32_t ipfix_whole_octets(const uint8_t *octets, uint32_t n, uint32_t domain);

#endif
