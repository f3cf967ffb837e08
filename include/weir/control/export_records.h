/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records to a file: one JSON object a line, fields named as IPFIX information elements.
 *
 * Source:   RFC 7012 and IANA's ipfix registry (names), RFC 5103 (reverse…), RFC 8158 (postNAT…).
 * Shapes:   forward is uplink. Octets and packets are deltas: the records of a flow add up. flowEndReason of an
 *           interim record is 2 (active timeout), as the registry has it. For ICMP the port fields hold the identifier.
 *           Interfaces are named as in the configuration: ingress is the LAN, egress the uplink.
 * Units:    times in microseconds of the path clock plus `wall_offset_us`: with the difference between the wall clock
 *           and the path clock, or the capture's own, that is microseconds since 1970.
 * Errors:   a record that finds no room because the file cannot be written (disk full, folder gone) is counted as lost
 *           and logged within a limit; each flush tries again. A line that was cut by a full disk is completed later. Lines
 *           reach the kernel at a flush; they are not synced, as records are no ledger. The process must ignore
 *           SIGPIPE where the file is a FIFO.
 * Threads:  one owner, control.
 * Memory:   1 MiB of lines that wait.
 */
#ifndef WEIR_CONTROL_EXPORT_RECORDS_H
#define WEIR_CONTROL_EXPORT_RECORDS_H

#include <weir/account/record.h>
#include <weir/control/remote_names.h>
#include <weir/path/doors.h>

#include <stdint.h>

#define EXPORT_ERROR_MAX 256

struct export_records;

struct export_counts {
	uint64_t n_written; /* handed to the kernel, or waiting for a flush */
	uint64_t n_lost;
};

/* Appends to `path`, which is created with mode 0640. Returns 0 or a negative errno with a sentence in `error`. */
int export_records_open(
	const char *path, char error[EXPORT_ERROR_MAX], struct export_records **ret_export);

/* What is added to the records' times from now on. */
void export_records_set_wall_offset(struct export_records *x, int64_t wall_offset_us);

/* Names of remotes come from here: destinationName, for which the registry has no element. NULL: from nowhere. Borrowed. */
void export_records_set_remote_names(struct export_records *x, struct remote_names *names);

/* Adds records; names of ports and classes come from `config`. Writes when enough lines wait. */
void export_records_add(struct export_records *x, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us);

/* Writes what waits, and goes over to a new file where the old one was moved or deleted. Call each second. */
void export_records_flush(struct export_records *x, uint64_t now_us);

/* Goes over to a new file: after SIGHUP, which is how logrotate asks. */
void export_records_reopen(struct export_records *x, uint64_t now_us);

struct export_counts export_records_counts(const struct export_records *x);

/* Writes what waits and closes; returns how many records could not be written. NULL is fine. */
uint32_t export_records_close(struct export_records *x);

#endif
