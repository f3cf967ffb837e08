/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a gateway's flow records go: one stream, and the sinks that the configuration names.
 *
 * Threads:  the main thread.
 */
#ifndef WEIR_MAIN_GATEWAY_EXPORT_H
#define WEIR_MAIN_GATEWAY_EXPORT_H

#include <weir/control/config.h>
#include <weir/control/export_ipfix.h>
#include <weir/control/export_records.h>
#include <weir/path/doors.h>

#include <stdbool.h>
#include <stdint.h>

/* Each may be NULL: it is not asked for. */
struct gateway_export {
	struct export_records *lines;
	struct export_ipfix *collector;
	struct export_ipfix *file;
};

/* Opens what the configuration asks for; on failure says why and leaves what is open to gateway_export_close. */
int gateway_export_open(struct gateway_export *e, const struct config *config);

/* What is added to the records' times from now on. */
void gateway_export_set_wall_offset(struct gateway_export *e, int64_t wall_offset_us);

/* Where names of remotes come from; borrowed. */
void gateway_export_set_remote_names(struct gateway_export *e, struct remote_names *names);

void gateway_export_add(struct gateway_export *e, const struct path_config *config,
	const struct flow_record *records, uint32_t n_records, uint64_t now_us);

/* Every few milliseconds. */
void gateway_export_tick(
	struct gateway_export *e, const struct path_config *config, uint64_t now_us);

/* Each second. */
void gateway_export_flush(struct gateway_export *e, uint64_t now_us);

/* After SIGHUP. */
void gateway_export_reopen(struct gateway_export *e, uint64_t now_us);

/* True when nothing is left that could still be sent; from the first call on nothing waits to be sent together. */
bool gateway_export_drain(struct gateway_export *e);

/* Writes to files what has come last. */
void gateway_export_finish(
	struct gateway_export *e, const struct path_config *config, uint64_t now_us);

void gateway_export_close(struct gateway_export *e);

#endif
