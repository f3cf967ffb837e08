/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the frames in the images of both segments and says what they amount to.
 *
 * Shapes:   each sector may begin a frame; nothing is found by following lengths, so one bad sector hides one frame.
 * Threads:  pure functions over the images.
 */
#ifndef WEIR_CONTROL_JOURNAL_SCAN_H
#define WEIR_CONTROL_JOURNAL_SCAN_H

#include "journal_frame.h"

#include <weir/control/journal.h>

struct scan_frame {
	struct frame_header header;
	const uint8_t *payload;
	uint8_t segment;
	bool is_copy;
};

struct journal_scan {
	const uint8_t *image[JOURNAL_SEGMENTS];
	bool exists[JOURNAL_SEGMENTS];
	bool is_odd[JOURNAL_SEGMENTS]; /* not of the size that weir gives it */
	uint32_t segment_bytes;
	/* Where the disk refused to read: from the first such page's beginning to the last one's end; equal where it did not. */
	uint32_t bad_begin[JOURNAL_SEGMENTS];
	uint32_t bad_end[JOURNAL_SEGMENTS];
	uint32_t n_unreadable; /* pages */

	struct scan_frame *frames; /* by sequence; a first copy before a second one */
	uint32_t n_frames;
	/* What scan_read has found out. */
	uint64_t journal;
	uint64_t last_generation; /* the highest of any header, torn ones included */
	uint64_t last_sequence;
	bool uses[JOURNAL_SEGMENTS]; /* the state is made from frames of this segment */
	/* It is a checkpoint alone, which no record behind it proves to be durable, and the other segment has an older one. */
	bool is_unproved;
};

/* Fills `frames`, which has room for one a sector of both images. */
void scan_find(struct journal_scan *scan);

/* Hands the reader the newest checkpoint and all records after it. */
void scan_read(struct journal_scan *scan, const struct journal_reader *reader,
	struct journal_found *ret_found);

#endif
