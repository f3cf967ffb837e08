/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records to a collector, or to a file, as IPFIX.
 *
 * Source:   RFC 7011 (protocol; section 8.1 and 10.3.6: templates over UDP again and again; 3.1: sequence numbers), RFC 5655 (files).
 *           The octets are ipfix_message's.
 * Shapes:   records wait in a ring of `buffer` places until they have arrived: over TCP and TLS when the peer's TCP has
 *           acknowledged them, over UDP when nobody has refused them for a second, in a file when they are written. What was sent and
 *           did not arrive is sent again by the next session. When the ring is full the newest are lost: those that wait
 *           may be on their way already. Records of the exporter's own flow wait for others' to go with. Each session begins with the templates, and the names of interfaces and classes.
 * Units:    times in microseconds of the path clock plus the wall offset, as in export_records.
 * Errors:   a collector that is not there is tried again, at first after a second, then less and less often, at least once
 *           a minute. Lost records are counted, logged within a limit, and told to the collector (notSentFlowTotalCount).
 * Threads:  one owner, control; nothing here waits.
 * Memory:   80 octets a place of the ring, at open; 130 kB besides.
 */
#ifndef WEIR_CONTROL_EXPORT_IPFIX_H
#define WEIR_CONTROL_EXPORT_IPFIX_H

#include <weir/account/record.h>
#include <weir/base/addr.h>
#include <weir/control/export_records.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

enum ipfix_transport {
	IPFIX_TCP,
	IPFIX_TLS,
	IPFIX_UDP,
	IPFIX_FILE
};

/* Texts are borrowed for the call. */
struct export_ipfix_params {
	enum ipfix_transport transport;
	struct ip_addr collector; /* of all but files */
	uint16_t port;
	const char *file;        /* of files: appended to, created with mode 0640 */
	const char *ca_file;     /* TLS: who may have signed the collector's certificate */
	const char *certificate; /* TLS: weir's own; "": none */
	const char *key;
	const char *server_name; /* TLS: in the collector's certificate; "": its address */
	uint32_t domain;         /* observationDomainId */
	uint32_t buffer;         /* records */
	uint64_t template_every_us;
};

struct export_ipfix;

struct export_ipfix_counts {
	uint64_t n_sent; /* records that have arrived, as far as can be known */
	uint64_t n_waiting;
	uint64_t n_lost;
	uint64_t n_sessions;
	bool is_up;
	const char *why_down; /* a sentence, or "" */
	const char *target;   /* "tcp 192.0.2.7:4739", or the file's path */
};

/* Returns 0 or a negative errno with a sentence in `error`. A collector need not be there yet. */
int export_ipfix_open(const struct export_ipfix_params *params, char error[EXPORT_ERROR_MAX],
	struct export_ipfix **ret_export);

/* What is added to times from now on. */
void export_ipfix_set_wall_offset(struct export_ipfix *x, int64_t wall_offset_us);

/* Adds records. Names of interfaces and classes come from `config`, at once and at each export_ipfix_tick. */
void export_ipfix_add(struct export_ipfix *x, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us);

/* Goes on; call it every few milliseconds. A message that is not full waits for a few seconds for more. */
void export_ipfix_tick(struct export_ipfix *x, const struct path_config *config, uint64_t now_us);

/* After SIGHUP, which is how logrotate asks: goes over to a new file. */
void export_ipfix_reopen(struct export_ipfix *x, uint64_t now_us);

/* From now on messages do not wait for more. True when all that was added has arrived, or no session is there to bring it. */
bool export_ipfix_drain(struct export_ipfix *x);

struct export_ipfix_counts export_ipfix_counts(const struct export_ipfix *x);

/* Ends the session; returns how many records have not arrived. NULL is fine. */
uint64_t export_ipfix_close(struct export_ipfix *x);

#endif
