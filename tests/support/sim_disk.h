/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that loses power: the journal's store in memory, which logs every write and barrier, fails on demand, and builds
 * the images that a power cut may leave behind.
 *
 * Shapes:   between two barriers each sector of 512 octets that was written is old, new (any of the versions written) or
 *           garbage, independently: sectors reach a disk in any order or not at all. A sync that returned makes new all that
 *           was written since the last one that succeeded; after one that failed, what was written before it is old or new for
 *           ever, whatever later ones say, until it is written again. A published file has its name or not: all or nothing.
 * Threads:  one.
 */
#ifndef WEIR_TESTS_SIM_DISK_H
#define WEIR_TESTS_SIM_DISK_H

#include <weir/base/rng.h>
#include <weir/control/journal.h>

#define SIM_SECTOR    512
#define SIM_FILES     (2 * JOURNAL_SEGMENTS) /* segments, and then those created without a name yet */
#define SIM_IN_FLIGHT 1024

enum sim_op_kind {
	SIM_WRITE,
	SIM_SYNC,
	SIM_SYNC_FAILED,
	SIM_CREATE,
	SIM_PUBLISH,
};

struct sim_op {
	enum sim_op_kind kind;
	unsigned int file;
	uint32_t at;
	uint32_t n_bytes;
	uint32_t data; /* where in the arena */
};

/* What goes wrong in the store's n-th call from now. */
enum sim_fault {
	SIM_FAULT_NONE,
	SIM_FAULT_ERROR, /* nothing is done and `error` returned; a sync drops what it should have written */
	SIM_FAULT_SHORT, /* a write moves half of it, once; other calls fail with EIO */
};

/* How the disk lies: a check of the checks. */
struct sim_lies {
	bool no_barrier;        /* syncs return at once and do nothing */
	bool hides_failed_sync; /* one that failed says that it did not */
	bool spoils_neighbours; /* a write in flight may spoil the page before it */
	bool writes_through;    /* nothing is in flight ever: the checks must pass for nothing */
};

struct sim_file {
	uint8_t *bytes; /* what the process sees */
	uint32_t size;
	bool exists;
};

struct sim_disk {
	struct journal_store store; /* first */
	uint32_t segment_bytes;
	struct sim_file files[SIM_FILES];
	bool is_created[JOURNAL_SEGMENTS];
	struct sim_op *ops;
	uint32_t n_ops;
	uint32_t ops_max;
	uint8_t *arena;
	uint32_t arena_used;
	uint32_t arena_max;
	struct sim_lies lies;
	enum sim_fault fault;
	int error;
	uint32_t fault_in;   /* calls until it strikes */
	uint32_t fault_runs; /* how many calls it lasts */
	uint32_t n_calls;
	uint32_t n_struck;
	void (*before_op)(void *context, uint32_t op); /* may be NULL */
	void *context;
};

/* A sector that was written and is not known to be durable. */
struct sim_in_flight {
	uint8_t file;
	bool is_limbo; /* a sync of it has failed */
	uint32_t at;
	const uint8_t *bytes;
};

/* The disk as power cuts may find it, followed through a log. */
struct sim_replay {
	const struct sim_disk *disk;
	struct sim_file durable[SIM_FILES];
	struct sim_in_flight flying[SIM_IN_FLIGHT];
	uint32_t n_flying;
	uint32_t op; /* the next one */
};

/* `segment_bytes` a file, room for `ops_max` operations and `arena_max` octets written; both abort when exceeded. */
void sim_disk_init(
	struct sim_disk *d, uint32_t segment_bytes, uint32_t ops_max, uint32_t arena_max);
void sim_disk_clean(struct sim_disk *d);
/* As new, or as another's image: the log begins here. */
void sim_disk_reset(struct sim_disk *d, const struct sim_file *files);

/* Begins at the image that the log begins with. */
void sim_replay_init(struct sim_replay *r, const struct sim_disk *d, const struct sim_file *start);
void sim_replay_clean(struct sim_replay *r);
void sim_replay_step(struct sim_replay *r);

/* Power goes now: the image left behind. `which`: bit i says that the i-th sector in flight is new, the others are old.
 * With `chance` not NULL each is old, new or garbage at random instead. */
void sim_replay_cut(
	const struct sim_replay *r, uint64_t which, struct rng *chance, struct sim_file *ret_files);

/* Files of zeros that exist not; for images. */
void sim_files_init(struct sim_file *files, uint32_t segment_bytes);
void sim_files_clean(struct sim_file *files);
void sim_files_copy(struct sim_file *to, const struct sim_file *from, uint32_t segment_bytes);

#endif
