/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A journal that survives power cuts: checksummed records and checkpoints in two segments of fixed size.
 *
 * Source:   docs/decisions/0005-ledger-format.md: layout, what a disk may do, and why recovery is right in each case.
 * Shapes:   a segment is one file: a checkpoint (the whole state), then records (what changed), each in whole pages of its
 *           own and each record written twice. A checkpoint opens the other segment; the old one stays until that is
 *           durable. Sequence numbers run through both segments and are never used twice.
 * Units:    octets.
 * Errors:   negative errno. After a failed write or sync nothing of that segment's rest is believed any more, even if a later
 *           sync succeeds: the next thing written is a checkpoint to the other segment.
 * Threads:  one owner, one process: the file store holds a lock on its directory. Writing blocks until it is durable.
 * Memory:   one segment's worth, and twice that while opening.
 */
#ifndef WEIR_CONTROL_JOURNAL_H
#define WEIR_CONTROL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_SEGMENTS 2
#define JOURNAL_PAGE                                                                               \
	4096 /* what a kernel writes back at once, and the most that a torn write spoils */
#define JOURNAL_SEGMENT_BYTES (512 * 1024)     /* default */
#define JOURNAL_RECORD_BYTES  (16 * 1024 - 48) /* default: one record's payload */

/* Where segments are kept. Segments are numbered from 0. Every call returns a negative errno on failure. */
struct journal_store {
	/* The file's size; -ENOENT where there is none. */
	int (*size)(struct journal_store *s, unsigned int segment, uint64_t *ret_bytes);
	/* As pread(2) and pwrite(2): fewer octets than asked for may be moved. */
	ssize_t (*read)(struct journal_store *s, unsigned int segment, void *buf, size_t n_bytes,
		uint64_t at);
	ssize_t (*write)(struct journal_store *s, unsigned int segment, const void *buf,
		size_t n_bytes, uint64_t at);
	/* Returns 0 when all that was written to the segment is durable. -ESTALE: the file has lost its name. */
	int (*sync)(struct journal_store *s, unsigned int segment);
	/* Begins an empty file without the segment's name: from here on the calls above mean that one. */
	int (*create)(struct journal_store *s, unsigned int segment);
	/* Gives the created file the segment's name in place of an older one: all or nothing, durable when it returns 0. */
	int (*publish)(struct journal_store *s, unsigned int segment);
	void (*close)(struct journal_store *s);
};

/* How much of what was once durable is there again, from best to worst. */
enum journal_health {
	JOURNAL_NEW,   /* nothing was ever there */
	JOURNAL_WHOLE, /* all of it; a torn last record, which nobody relied on, is no damage */
	JOURNAL_GAPS,  /* the last record is there, earlier ones are not */
	JOURNAL_CUT, /* the last record is known to be missing, or may lie where the disk refuses to read */
	JOURNAL_LOST, /* there is something, and none of it can be read */
};

/* What opening has found. */
struct journal_found {
	enum journal_health health;
	uint32_t n_records;    /* read back, the checkpoint not counted */
	uint32_t n_missing;    /* records that left a gap */
	uint32_t n_mended;     /* records of which only the second copy was good */
	uint32_t n_unreadable; /* pages that the disk refused to read */
	bool is_torn;          /* a record was being written when power went */
};

struct journal_params {
	uint32_t segment_bytes; /* 0: the default; a multiple of the page */
	uint32_t record_bytes;  /* the largest record; 0: the default */
	uint64_t
		seed; /* names a new journal, so that another's pages are never taken for its own */
};

/* Is handed the state when opening: perhaps a checkpoint, then records in order. Non-zero: the payload makes no sense, which
 * ends the reading and counts as JOURNAL_LOST. */
struct journal_reader {
	int (*apply)(void *context, bool is_checkpoint, const uint8_t *payload, uint32_t n_bytes);
	void *context;
};

struct journal_stats {
	uint64_t n_records;
	uint64_t n_checkpoints;
	uint64_t n_syncs;
	uint64_t written_bytes;
	uint64_t n_failures;
};

struct journal;

/* Reads what is there and writes nothing. Borrows the store, which the caller closes after the journal. 0, -ENOMEM, -EINVAL
 * (params) or the store's error. */
int journal_open(struct journal_store *store, const struct journal_params *params,
	const struct journal_reader *reader, struct journal_found *ret_found,
	struct journal **ret_journal);
void journal_close(struct journal *j);

/* True when the next thing to write is a checkpoint: after opening, after a failure, and when the segment is full. */
bool journal_is_due(const struct journal *j);

/* Where the next payload is put together, and how much of it there may be. */
uint8_t *journal_payload(struct journal *j);
uint32_t journal_record_room(const struct journal *j);
uint32_t journal_checkpoint_room(const struct journal *j);

/* Makes the first `n_bytes` of journal_payload durable as a record. -EAGAIN: a checkpoint is due. -EMSGSIZE: too large. */
int journal_append(struct journal *j, uint32_t n_bytes);

/* The same as the whole state, which opens the other segment. What the state holds should be in records already unless one
 * of them failed: then a checkpoint that rots before the next record takes nothing along. */
int journal_checkpoint(struct journal *j, uint32_t n_bytes);

struct journal_stats journal_stats(const struct journal *j);

/* A store that keeps nothing: what is written has gone the same moment. */
void journal_none_init(struct journal_store *ret_store);

/* Segments as the files ledger.0 and ledger.1 in a directory, mode 0600; makes the directory (0700) if its parent is there.
 * -EBUSY: another process holds it. A directory that has taken its place is noticed when a file is made anew. */
int journal_file_open(const char *directory, struct journal_store **ret_store);

#endif
