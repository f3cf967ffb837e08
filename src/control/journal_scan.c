/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_scan.h"

#include <stdlib.h>
#include <string.h>

static int by_sequence(const void *a, const void *b)
{
	const struct scan_frame *x = a;
	const struct scan_frame *y = b;

	if (x->header.sequence != y->header.sequence)
		return x->header.sequence < y->header.sequence ? -1 : 1;
	return (int)x->is_copy - (int)y->is_copy;
}

/* A frame counts only where it was written: at its home, or as the copy behind it. */
static bool frame_at(const struct journal_scan *scan, unsigned int segment, uint32_t sector,
	struct scan_frame *ret)
{
	uint64_t at = (uint64_t)sector * SECTOR_BYTES;
	const uint8_t *from = scan->image[segment] + at;
	struct frame_header h;
	uint64_t home;

	if (!frame_read_header(from, &h))
		return false;
	home = (uint64_t)h.home_sector * SECTOR_BYTES;
	if (home + frame_extent_bytes(h.kind, h.payload_bytes) > scan->segment_bytes)
		return false;
	if (at != home
		&& (h.kind != FRAME_RECORD || at != home + frame_copy_bytes(h.payload_bytes)))
		return false;
	*ret = (struct scan_frame){
		.header = h,
		.payload = from + FRAME_HEADER_BYTES,
		.segment = (uint8_t)segment,
		.is_copy = at != home,
	};
	return true;
}

void scan_find(struct journal_scan *scan)
{
	uint32_t n_sectors = scan->segment_bytes / SECTOR_BYTES;

	scan->n_frames = 0;
	for (unsigned int segment = 0; segment < JOURNAL_SEGMENTS; segment++) {
		for (uint32_t i = 0; i < n_sectors; i++) {
			if (frame_at(scan, segment, i, &scan->frames[scan->n_frames]))
				scan->n_frames++;
		}
	}
	if (scan->n_frames > 1)
		qsort(scan->frames, scan->n_frames, sizeof(*scan->frames), by_sequence);
}

static bool is_whole(const struct scan_frame *f)
{
	return crc32c(f->payload, f->header.payload_bytes) == f->header.payload_crc;
}

/* The newest whole frame of a kind; NULL without one. */
static const struct scan_frame *newest(const struct journal_scan *scan, uint8_t kind)
{
	for (uint32_t i = scan->n_frames; i-- > 0;) {
		if (scan->frames[i].header.kind == kind && is_whole(&scan->frames[i]))
			return &scan->frames[i];
	}
	return NULL;
}

static bool is_blank(const struct journal_scan *scan, unsigned int segment)
{
	const uint8_t *at = scan->image[segment];

	return at[0] == 0 && memcmp(at, at + 1, scan->segment_bytes - 1) == 0;
}

/* Segment 1 is made first, blank, and segment 0 appears whole with the first checkpoint: without it nothing was begun. */
static bool is_new(const struct journal_scan *scan)
{
	return !scan->exists[0] && (!scan->exists[1] || is_blank(scan, 1));
}

/* A file that is gone, cut short or wiped may have held the newest records. */
static bool lacks_a_segment(const struct journal_scan *scan, uint64_t generation)
{
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		if (!scan->exists[i] || scan->is_odd[i])
			return true;
		if (generation > 1 && is_blank(scan, i))
			return true;
	}
	return false;
}

/* Where the reading stands. */
struct reading {
	uint64_t sequence; /* of the frame applied last */
	uint64_t generation;
	uint64_t proved;      /* the highest sequence number known to have been durable */
	uint64_t n_passed;    /* checkpoints that must lie between there and here */
	unsigned int segment; /* where the frame applied last lies */
	uint32_t at;
	bool is_refused;
};

/* Numbers left out between the last frame and this one. A later generation was opened by a checkpoint, which says nothing that
 * the records before it have not said. */
static uint64_t n_left_out(const struct reading *r, const struct frame_header *h)
{
	uint64_t n = h->sequence - r->sequence - 1;
	uint64_t n_checkpoints = h->generation - r->generation;

	return n > n_checkpoints ? n - n_checkpoints : 0;
}

static void note_place(
	const struct journal_scan *scan, const struct scan_frame *f, struct reading *r)
{
	r->segment = f->segment;
	r->at = (uint32_t)(f->payload - scan->image[f->segment]);
}

/* What cannot be read may have been newer than what can: behind it in its segment, or in the other one, unless that begins with
 * an older checkpoint. A torn record leaves pages that can be read. */
static bool may_hide_newer(const struct journal_scan *scan, const struct reading *r)
{
	unsigned int other = 1 - r->segment;
	struct frame_header h;

	if (scan->bad_end[r->segment] > r->at)
		return true;
	if (scan->bad_end[other] == scan->bad_begin[other])
		return false;
	return scan->bad_begin[other] == 0 || !frame_read_header(scan->image[other], &h)
	       || h.journal != scan->journal || h.generation > r->generation;
}

static void apply_record(struct journal_scan *scan, const struct scan_frame *f,
	const struct journal_reader *reader, struct reading *r, struct journal_found *found)
{
	const struct frame_header *h = &f->header;

	if (h->sequence == r->sequence || r->is_refused)
		return; /* the other copy */
	if (h->generation < r->generation)
		return;
	if (!is_whole(f)) {
		/* Records are written one at a time: whatever came before this one was durable when it was begun. */
		if (n_left_out(r, h) > 0)
			r->proved = h->sequence - 1;
		found->is_torn = true;
		return;
	}
	found->n_missing += (uint32_t)n_left_out(r, h);
	found->n_mended += f->is_copy ? 1 : 0;
	found->n_records++;
	found->is_torn = false;
	r->sequence = h->sequence;
	r->generation = h->generation;
	note_place(scan, f, r);
	scan->uses[f->segment] = true;
	r->is_refused = reader->apply(reader->context, false, f->payload, h->payload_bytes) != 0;
}

static void note_last(struct journal_scan *scan)
{
	for (uint32_t i = 0; i < scan->n_frames; i++) {
		const struct frame_header *h = &scan->frames[i].header;

		if (h->journal != scan->journal)
			continue;
		if (h->sequence > scan->last_sequence)
			scan->last_sequence = h->sequence;
		if (h->generation > scan->last_generation)
			scan->last_generation = h->generation;
	}
}

static enum journal_health judge(const struct journal_scan *scan, const struct reading *r,
	const struct journal_found *found, bool has_base)
{
	if (r->is_refused)
		return JOURNAL_LOST;
	if (r->proved > r->sequence || lacks_a_segment(scan, r->generation)
		|| may_hide_newer(scan, r))
		return JOURNAL_CUT;
	if (!has_base || found->n_missing > 0)
		return JOURNAL_GAPS;
	return JOURNAL_WHOLE;
}

/* Whether the segment that does not hold `base` has a whole checkpoint too. */
static bool has_older(const struct journal_scan *scan, const struct scan_frame *base)
{
	for (uint32_t i = 0; i < scan->n_frames; i++) {
		const struct scan_frame *f = &scan->frames[i];

		if (f->segment != base->segment && f->header.kind == FRAME_CHECKPOINT
			&& f->header.journal == scan->journal && is_whole(f))
			return true;
	}
	return false;
}

void scan_read(struct journal_scan *scan, const struct journal_reader *reader,
	struct journal_found *ret_found)
{
	const struct scan_frame *base = newest(scan, FRAME_CHECKPOINT);
	const struct scan_frame *any = base != NULL ? base : newest(scan, FRAME_RECORD);
	struct reading r = {0};

	if (any == NULL) {
		ret_found->health = is_new(scan) ? JOURNAL_NEW : JOURNAL_LOST;
		return;
	}
	scan->journal = any->header.journal;
	note_last(scan);
	if (base != NULL) {
		r.sequence = base->header.sequence;
		r.generation = base->header.generation;
		note_place(scan, base, &r);
		scan->uses[base->segment] = true;
		r.is_refused = reader->apply(reader->context, true, base->payload,
				       base->header.payload_bytes)
			       != 0;
	}
	for (uint32_t i = 0; i < scan->n_frames; i++) {
		const struct scan_frame *f = &scan->frames[i];

		if (f->header.kind != FRAME_RECORD || f->header.journal != scan->journal
			|| f->header.sequence < r.sequence)
			continue;
		if (base == NULL && r.sequence == 0) {
			r.sequence = f->header.sequence - 1; /* where it began is not known */
			r.generation = f->header.generation;
		}
		apply_record(scan, f, reader, &r, ret_found);
	}
	scan->is_unproved = base != NULL && ret_found->n_records == 0 && has_older(scan, base);
	ret_found->health = judge(scan, &r, ret_found, base != NULL);
}
