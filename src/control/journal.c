/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_scan.h"

#include <weir/control/journal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct journal {
	struct journal_store *store;
	uint32_t segment_bytes;
	uint32_t record_bytes;
	uint8_t *frame; /* one segment's worth: the frame being put together */

	uint64_t id;
	uint64_t generation; /* the highest ever begun */
	uint64_t sequence;   /* the highest ever used, failures included */
	unsigned int active; /* the segment whose checkpoint is durable */
	uint32_t end;        /* of its last frame */
	bool may_append;
	bool is_new;        /* nothing durable yet */
	uint8_t n_renewals; /* checkpoints due before records: after damage both segments are made anew */
	bool must_create
		[JOURNAL_SEGMENTS]; /* overwriting in place will not do: missing, odd, or still needed */
	struct journal_stats stats;
};

static int params_check(const struct journal *j)
{
	uint64_t record = frame_extent_bytes(FRAME_RECORD, j->record_bytes);

	/* A checkpoint of a page at least, and room for a record behind it. */
	if (j->segment_bytes % JOURNAL_PAGE != 0 || j->record_bytes == 0
		|| j->segment_bytes < record + JOURNAL_PAGE)
		return -EINVAL;
	return 0;
}

/* A page at a time: one that cannot be read is taken as blank, and what it held is found missing. */
static int read_image(struct journal *j, struct journal_scan *scan, unsigned int segment,
	uint8_t *image, uint64_t n_bytes)
{
	uint64_t at = 0;

	while (at < n_bytes) {
		uint64_t page_end = (at / JOURNAL_PAGE + 1) * JOURNAL_PAGE;
		size_t n = (size_t)((page_end < n_bytes ? page_end : n_bytes) - at);
		ssize_t got = j->store->read(j->store, segment, image + at, n, at);

		if (got == -EINTR)
			continue;
		if (got == 0)
			return 0;
		if (got == -EIO) {
			memset(image + at, 0, n);
			if (scan->bad_end[segment] == 0)
				scan->bad_begin[segment] = (uint32_t)at;
			at += n;
			scan->bad_end[segment] = (uint32_t)at;
			scan->n_unreadable++;
			continue;
		}
		if (got < 0)
			return (int)got;
		at += (uint64_t)got;
	}
	return 0;
}

static int load_images(struct journal *j, uint8_t *images, struct journal_scan *scan)
{
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		uint8_t *image = images + (size_t)i * j->segment_bytes;
		uint64_t size;
		int error = j->store->size(j->store, i, &size);

		scan->image[i] = image;
		j->must_create[i] = error == -ENOENT || (error == 0 && size != j->segment_bytes);
		if (error == -ENOENT)
			continue;
		if (error != 0)
			return error;
		scan->exists[i] = true;
		scan->is_odd[i] = size != j->segment_bytes;
		error = read_image(
			j, scan, i, image, size < j->segment_bytes ? size : j->segment_bytes);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Where the first checkpoint goes: not over the state just read, for it may be cut short too. */
static void take_over(
	struct journal *j, const struct journal_scan *scan, const struct journal_found *found)
{
	j->generation = scan->last_generation;
	j->sequence = scan->last_sequence;
	if (scan->journal != 0)
		j->id = scan->journal;
	j->active = scan->uses[0] ? 0 : 1;
	j->is_new = found->health == JOURNAL_NEW;
	j->n_renewals = 1;
	/* A page cache may show a checkpoint whose sync has failed: until it is proved by a record, or by the next one, the segment
	 * before it stays as it is. */
	if ((scan->uses[0] && scan->uses[1]) || scan->is_unproved)
		j->must_create[1 - j->active] = true;
	if (found->health > JOURNAL_WHOLE) {
		j->n_renewals = JOURNAL_SEGMENTS;
		j->must_create[0] = true;
		j->must_create[1] = true;
	}
}

static int recover(
	struct journal *j, const struct journal_reader *reader, struct journal_found *found)
{
	struct journal_scan scan = {.segment_bytes = j->segment_bytes};
	uint32_t n_sectors = JOURNAL_SEGMENTS * (j->segment_bytes / SECTOR_BYTES);
	uint8_t *images = calloc(JOURNAL_SEGMENTS, j->segment_bytes);
	int error = -ENOMEM;

	if (images == NULL)
		return error;
	scan.frames = calloc(n_sectors, sizeof(*scan.frames));
	if (scan.frames == NULL)
		goto err_images;
	error = load_images(j, images, &scan);
	found->n_unreadable = scan.n_unreadable;
	if (error == 0) {
		scan_find(&scan);
		scan_read(&scan, reader, found);
		take_over(j, &scan, found);
	}
	free(scan.frames);
err_images:
	free(images);
	return error;
}

int journal_open(struct journal_store *store, const struct journal_params *params,
	const struct journal_reader *reader, struct journal_found *ret_found,
	struct journal **ret_journal)
{
	struct journal_found found = {0};
	struct journal *j = calloc(1, sizeof(*j));
	int error = -ENOMEM;

	if (j == NULL)
		return error;
	j->store = store;
	j->segment_bytes =
		params->segment_bytes != 0 ? params->segment_bytes : JOURNAL_SEGMENT_BYTES;
	j->record_bytes = params->record_bytes != 0 ? params->record_bytes : JOURNAL_RECORD_BYTES;
	j->id = params->seed | 1; /* 0 names none */
	error = params_check(j);
	if (error != 0)
		goto err_journal;
	error = -ENOMEM;
	j->frame = calloc(1, j->segment_bytes);
	if (j->frame == NULL)
		goto err_journal;
	error = recover(j, reader, &found);
	if (error != 0)
		goto err_frame;
	*ret_found = found;
	*ret_journal = j;
	return 0;
err_frame:
	free(j->frame);
err_journal:
	free(j);
	return error;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	free(j->frame);
	free(j);
}

uint8_t *journal_payload(struct journal *j)
{
	return j->frame + FRAME_HEADER_BYTES;
}

uint32_t journal_record_room(const struct journal *j)
{
	return j->record_bytes;
}

uint32_t journal_checkpoint_room(const struct journal *j)
{
	return j->segment_bytes - (uint32_t)frame_extent_bytes(FRAME_RECORD, j->record_bytes)
	       - FRAME_HEADER_BYTES;
}

bool journal_is_due(const struct journal *j)
{
	return !j->may_append
	       || j->end + frame_extent_bytes(FRAME_RECORD, j->record_bytes) > j->segment_bytes;
}

static int write_all(
	struct journal *j, unsigned int segment, const uint8_t *from, uint64_t n_bytes, uint64_t at)
{
	while (n_bytes > 0) {
		ssize_t put = j->store->write(j->store, segment, from, (size_t)n_bytes, at);

		if (put == -EINTR)
			continue;
		if (put < 0)
			return (int)put;
		if (put == 0)
			return -EIO;
		from += put;
		at += (uint64_t)put;
		n_bytes -= (uint64_t)put;
		j->stats.written_bytes += (uint64_t)put;
	}
	return 0;
}

static int sync_segment(struct journal *j, unsigned int segment)
{
	j->stats.n_syncs++;
	return j->store->sync(j->store, segment);
}

/* Seals the frame with the next numbers, which a failure uses up. Returns its octets. */
static uint64_t seal(struct journal *j, uint8_t kind, uint32_t n_bytes, uint32_t home)
{
	struct frame_header h = {
		.kind = kind,
		.journal = j->id,
		.generation = j->generation,
		.sequence = ++j->sequence,
		.payload_bytes = n_bytes,
		.home_sector = home / SECTOR_BYTES,
	};

	frame_seal(j->frame, &h);
	return frame_extent_bytes(kind, n_bytes);
}

/* After a failure. Files without a name are lost with the process, so both are made anew. */
static int give_up(struct journal *j, int error)
{
	j->stats.n_failures++;
	if (error == -ESTALE) {
		j->n_renewals = JOURNAL_SEGMENTS;
		j->must_create[0] = true;
		j->must_create[1] = true;
	}
	return error;
}

int journal_append(struct journal *j, uint32_t n_bytes)
{
	uint64_t extent;
	int error;

	if (n_bytes > j->record_bytes)
		return -EMSGSIZE;
	if (journal_is_due(j))
		return -EAGAIN;
	extent = seal(j, FRAME_RECORD, n_bytes, j->end);
	/* Not to be repeated in place: what a failed sync has dropped, the next one calls durable. */
	j->may_append = false;
	error = write_all(j, j->active, j->frame, extent, j->end);
	if (error == 0)
		error = sync_segment(j, j->active);
	if (error != 0)
		return give_up(j, error);
	j->may_append = true;
	j->end += (uint32_t)extent;
	j->stats.n_records++;
	return 0;
}

/* A whole new file under the old name. The frame's buffer is zero from `n_bytes` on only in its last page, so the rest is
 * written as zeros from there. */
static int replace_segment(struct journal *j, unsigned int segment, uint64_t n_bytes)
{
	static const uint8_t blank[JOURNAL_PAGE];
	int error = j->store->create(j->store, segment);

	if (error == 0)
		error = write_all(j, segment, j->frame, n_bytes, 0);
	for (uint64_t at = n_bytes; error == 0 && at < j->segment_bytes; at += JOURNAL_PAGE)
		error = write_all(j, segment, blank, JOURNAL_PAGE, at);
	if (error == 0)
		error = sync_segment(j, segment);
	return error != 0 ? error : j->store->publish(j->store, segment);
}

static int put_checkpoint(struct journal *j, unsigned int segment, uint64_t n_bytes)
{
	int error;

	if (!j->must_create[segment]) {
		error = write_all(j, segment, j->frame, n_bytes, 0);
		return error != 0 ? error : sync_segment(j, segment);
	}
	/* The first checkpoint ever: its own segment comes last, so that it stands for a journal that was begun. */
	if (j->is_new && j->must_create[1 - segment]) {
		error = replace_segment(j, 1 - segment, 0);
		if (error != 0)
			return error;
		j->must_create[1 - segment] = false;
	}
	error = replace_segment(j, segment, n_bytes);
	if (error == 0)
		j->must_create[segment] = false;
	return error;
}

int journal_checkpoint(struct journal *j, uint32_t n_bytes)
{
	unsigned int segment = 1 - j->active;
	uint64_t extent;
	int error;

	if (n_bytes > journal_checkpoint_room(j))
		return -EMSGSIZE;
	j->may_append = false;
	if (!j->is_new || j->generation == 0)
		j->generation++; /* a first one has left nothing behind that it must outdo */
	extent = seal(j, FRAME_CHECKPOINT, n_bytes, 0);
	error = put_checkpoint(j, segment, extent);
	if (error != 0)
		return give_up(j, error);
	j->active = segment;
	j->end = (uint32_t)extent;
	j->is_new = false;
	if (j->n_renewals > 0)
		j->n_renewals--;
	j->may_append = j->n_renewals == 0;
	j->stats.n_checkpoints++;
	return 0;
}

struct journal_stats journal_stats(const struct journal *j)
{
	return j->stats;
}
