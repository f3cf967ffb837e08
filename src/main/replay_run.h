/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One replay: captures through a path on a virtual clock.
 *
 * Shapes:   replay.c reads the arguments and puts the pieces together, replay_run.c is the clock and the loop,
 *           replay_window.c reads ahead, replay_files.c keeps the files, replay_report.c checks the sums and writes what is to be told.
 * Units:    microseconds of the captures' own clock, which never runs backwards here.
 * Threads:  one.
 */
#ifndef WEIR_MAIN_REPLAY_RUN_H
#define WEIR_MAIN_REPLAY_RUN_H

#include <weir/control/budget.h>
#include <weir/control/clocks.h>
#include <weir/control/config.h>
#include <weir/control/export_ipfix.h>
#include <weir/control/export_records.h>
#include <weir/control/remote_names.h>
#include <weir/control/schedule.h>
#include <weir/path/doors.h>
#include <weir/port/capture.h>
#include <weir/port/capture_writer.h>
#include <weir/port/replay.h>
#include <weir/port/sides.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct replay_sum {
	uint64_t packets;
	uint64_t octets;
};

#define REPLAY_WINDOW 32 /* packets that are read and routed before they are played */

enum replay_entry_kind {
	ENTRY_FRAME,   /* in `frame` */
	ENTRY_LARGE,   /* longer than the MTU; its bytes are still the capture's */
	ENTRY_REFUSED, /* by sides, for `verdict` */
	ENTRY_NO_BUFFER
};

struct replay_entry {
	enum replay_entry_kind kind;
	enum sides_verdict verdict;
	struct capture_packet packet;
	struct sides_route route;
	struct rte_mbuf *frame;
};

struct replay_run {
	const struct config *config;
	const struct path_config *path_config; /* the path's */
	struct path *path;
	struct journal_store journal; /* of the books: kept for this run alone */
	struct budget *budget;
	uint64_t budget_us; /* when it is kept next */
	struct clocks *clocks;
	struct sides *sides;
	struct capture_set *captures;
	struct rte_mempool *pool;
	struct port *ports[PORTS_MAX];
	uint32_t n_ports;
	const char *out_dir; /* NULL without --out, as what follows */
	struct capture_writer *lan_writer;
	struct capture_writer *uplink_writer;
	struct export_records *records;
	struct remote_names *remote_names;
	struct export_ipfix *ipfix; /* NULL: not asked for */
	const char *ipfix_file;

	const volatile sig_atomic_t *interrupted; /* not 0: end early */
	struct capture_packet next; /* when has_next: read, and not yet in the window */
	bool has_next;
	uint8_t burst_port; /* where frames wait; PORT_NONE: nowhere */
	uint32_t n_steps;   /* since records were collected */
	uint64_t housekept_us;
	struct replay_entry window[REPLAY_WINDOW];

	struct schedule_state schedules; /* as the path has them */
	uint64_t schedules_minute;       /* of the captures' clock, when they were looked at */

	uint64_t now_us;
	uint64_t first_us;
	uint64_t n_backwards; /* packets whose time lay before the clock */
	uint64_t n_no_buffer;
	uint64_t n_truncated;          /* longer than a buffer, and not to be cut */
	uint64_t n_cut[N_REPLAY_CUTS]; /* packets larger than the MTU */
	uint64_t n_packets;            /* read from the captures */
	uint64_t n_not_entered[N_SIDES_VERDICTS];
	uint64_t n_records;
	struct replay_sum by_flows[PORTS_MAX]
				  [N_DIRECTIONS]; /* sums of the records of each uplink */
	struct path_stats stats;                  /* as last read: too large for a stack */
	uint8_t *scratch;                         /* REPLAY_SCRATCH_BYTES */
};

#define REPLAY_SCRATCH_BYTES (65536 + 32)
#define REPLAY_ROOM_BYTES    2048 /* of a packet buffer */

/* Plays all captures, lets the queues run empty and ends all flows. Returns 0 or a negative errno: no memory, -EINTR, or the
 * files cannot be written. */
int replay_run(struct replay_run *r);

/* Which schedules hold on the captures' clock, which is believed. */
struct schedule_state replay_schedules(const struct replay_run *r);

/* Where the books stand on the captures' clock. */
struct budget_time replay_budget_time(const struct replay_run *r);

/* Reads and routes what comes next into the window, up to and with the first large packet; returns how many entries, 0
 * at the end of the captures. */
uint32_t replay_window_fill(struct replay_run *r);

/* The uplink key of a conversation's flow. */
struct flow_key_v4 replay_uplink_key(const struct sides_conversation *c);

/* One sentence a law that does not hold, to `out` where it is not NULL. Returns how many. */
uint32_t replay_check(struct replay_run *r, FILE *out);

/* True when a capture was damaged. */
bool replay_is_damaged(const struct replay_run *r);

/* The summary, for people or as JSON. */
void replay_print(struct replay_run *r, bool as_json, FILE *out);

/* usage.json and drops.json to these paths. Returns 0 or a negative errno. */
int replay_write_usage(struct replay_run *r, const char *path);
int replay_write_drops(struct replay_run *r, const char *path);

/*
 * The files of --out. Until all is well they are called NAME.part: what has its name is whole. What an earlier run left
 * under these names is removed at open.
 */

/* Makes `dir` and opens the files in it; does nothing when it is NULL. Refuses to write over one of the captures. Returns 0
 * or a negative errno, having told it. */
int replay_files_open(
	struct replay_run *r, const char *dir, char *const *captures, uint32_t n_captures);

/* Begins the file of IPFIX messages; does nothing when `file` is NULL. As replay_files_open otherwise. */
int replay_ipfix_open(
	struct replay_run *r, const char *file, char *const *captures, uint32_t n_captures);

/* Writes what is left and gives all files their names. Returns 0 or a negative errno. */
int replay_files_finish(struct replay_run *r);

/* Removes what has no name yet. */
void replay_files_discard(struct replay_run *r);

/* Tells an error on stderr; returns it. */
int replay_fail(const char *what, const char *name, int error);

enum link_framing replay_framing_of(const struct config_port *p);

/* The uplinks' capture holds Ethernet frames when every uplink has them; otherwise it holds IP packets. */
bool replay_uplinks_are_ethernet(const struct config *c);

#endif
