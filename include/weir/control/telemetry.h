/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weir shows: counters, rates and listings as the JSON answers of the control socket.
 *
 * Shapes:   a request is {"show": "flows", "limit": 10, "device": "192.0.2.7", "all": true}; only "show" is required.
 *           All but `status` are listings: {"ports":[ rows ],"n_total":N,"at_us":T}, a row a line (proto/message.h).
 *           `at_us` is when the answer was begun, on the path's clock: who asks twice has counters and the time between.
 *           {"show": "flows", "busiest": 100} gives the hundred that have moved most among those that moved within the last
 *           ten seconds, the heaviest first, then the heaviest of the others; at most TELEMETRY_BUSIEST_MAX.
 *           `run` of status is another one after each start: counters that began anew are known by it.
 * Units:    octets are IP header and payload, bytes are frames; names end in _us, _bps (bits a second), _octets. Rates are
 *           averages over the last 10 and 60 seconds, or over what there is of them.
 * Errors:   an unknown view or a filter of the wrong type is answered with what there is instead.
 * Threads:  one owner, control.
 * Memory:   64 samples of the counters, one a second; an answer in the making holds one piece, and the busiest flows.
 *
 * Sums by class and by device are exact when nothing moves: what flows have reported (records, the devices' sums) and
 * what the live ones have not reported yet, read flow by flow. A flow that reports while they are being read may
 * make one answer wrong by that report, never the next.
 */
#ifndef WEIR_CONTROL_TELEMETRY_H
#define WEIR_CONTROL_TELEMETRY_H

#include <weir/account/record.h>
#include <weir/base/direction.h>
#include <weir/control/budget.h>
#include <weir/control/clocks.h>
#include <weir/control/config.h>
#include <weir/control/device_names.h>
#include <weir/control/export_ipfix.h>
#include <weir/control/remote_names.h>
#include <weir/control/server.h>
#include <weir/control/unsolicited.h>
#include <weir/path/doors.h>

#include <stdint.h>

struct telemetry;

#define TELEMETRY_NAME_MAX    64
#define TELEMETRY_BUSIEST_MAX 512

/* What the path does not know, copied; from the configuration, so it may change with it. */
struct telemetry_names {
	char gateway[TELEMETRY_NAME_MAX];
	char version[TELEMETRY_NAME_MAX];
	char config_file[256];
	enum config_clock clock; /* whether the wall clock is right */
	char devices[PORTS_MAX]
		    [TELEMETRY_NAME_MAX]; /* kernel interface or PCI address, by port id */
	char plans[PLANS_MAX][TELEMETRY_NAME_MAX];
};

/* Path and ports are borrowed for the life of the result; ports by id, NULL where there is none. Returns 0 or -ENOMEM. */
int telemetry_create(struct path *path, struct port *const ports[PORTS_MAX], uint64_t now_us,
	struct telemetry **ret_telemetry);
void telemetry_destroy(struct telemetry *t);

/* Where the plans stand; borrowed. Without it their meters are all that is known. */
void telemetry_set_budget(struct telemetry *t, struct budget *budget);

/* The clocks of devices; borrowed. Without it there are none to show. */
void telemetry_set_clocks(struct telemetry *t, const struct clocks *clocks);
/* What devices are called; borrowed. Without it they have no names. */
void telemetry_set_device_names(struct telemetry *t, const struct device_names *names);
/* What remotes are called; borrowed. Without it they have no names. */
void telemetry_set_remote_names(struct telemetry *t, struct remote_names *names);
/* What came for nobody; borrowed. */
void telemetry_set_unsolicited(struct telemetry *t, const struct unsolicited_watch *unsolicited);

/* Where records go by IPFIX; borrowed, each may be NULL. */
void telemetry_set_ipfix(
	struct telemetry *t, const struct export_ipfix *collector, const struct export_ipfix *file);

/* Takes over the names of a configuration, at start and after each reload (`n_reloads` of them so far). */
void telemetry_set_names(
	struct telemetry *t, const struct telemetry_names *names, uint32_t n_reloads);

/* Samples the counters for rates; call it each second. */
void telemetry_sample(struct telemetry *t, uint64_t now_us);

/* Adds finished records to the sums by class; every record that doors_records_take gave must come by here once. */
void telemetry_count_records(
	struct telemetry *t, const struct flow_record *records, uint32_t n_records);

/* server_handlers.begin; `context` is the telemetry. */
int telemetry_answer(void *context, json_t *request, uint64_t now_us, char error[SERVER_ERROR_MAX],
	struct server_answer **ret_answer);

#endif
