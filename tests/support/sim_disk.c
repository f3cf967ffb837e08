/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void *allocate(size_t n_bytes)
{
	void *p = calloc(1, n_bytes);

	require(p != NULL);
	return p;
}

void sim_files_init(struct sim_file *files, uint32_t segment_bytes)
{
	for (unsigned int i = 0; i < SIM_FILES; i++)
		files[i] = (struct sim_file){.bytes = allocate(segment_bytes)};
}

void sim_files_clean(struct sim_file *files)
{
	for (unsigned int i = 0; i < SIM_FILES; i++)
		free(files[i].bytes);
}

void sim_files_copy(struct sim_file *to, const struct sim_file *from, uint32_t segment_bytes)
{
	for (unsigned int i = 0; i < SIM_FILES; i++) {
		to[i].exists = from[i].exists;
		to[i].size = from[i].size;
		if (from[i].exists) /* nobody reads what has no name; create wipes it */
			memcpy(to[i].bytes, from[i].bytes, segment_bytes);
	}
}

static struct sim_disk *of(struct journal_store *s)
{
	return (struct sim_disk *)s;
}

static struct sim_op *log_op(struct sim_disk *d, enum sim_op_kind kind, unsigned int file)
{
	struct sim_op *op = &d->ops[d->n_ops];

	require(d->n_ops < d->ops_max);
	if (d->before_op != NULL)
		d->before_op(d->context, d->n_ops);
	*op = (struct sim_op){.kind = kind, .file = file};
	d->n_ops++;
	return op;
}

/* 0, or the fault that strikes this call. */
static enum sim_fault strike(struct sim_disk *d)
{
	d->n_calls++;
	if (d->fault == SIM_FAULT_NONE)
		return SIM_FAULT_NONE;
	if (d->fault_in > 0) {
		d->fault_in--;
		return SIM_FAULT_NONE;
	}
	if (d->fault_runs == 0)
		return SIM_FAULT_NONE;
	d->fault_runs--;
	d->n_struck++;
	return d->fault;
}

static unsigned int file_of(const struct sim_disk *d, unsigned int segment)
{
	return d->is_created[segment] ? JOURNAL_SEGMENTS + segment : segment;
}

static int sim_size(struct journal_store *s, unsigned int segment, uint64_t *ret_bytes)
{
	const struct sim_file *f = &of(s)->files[segment];

	if (strike(of(s)) != SIM_FAULT_NONE)
		return of(s)->error;
	if (!f->exists)
		return -ENOENT;
	*ret_bytes = f->size;
	return 0;
}

static ssize_t sim_read(
	struct journal_store *s, unsigned int segment, void *buf, size_t n_bytes, uint64_t at)
{
	const struct sim_file *f = &of(s)->files[file_of(of(s), segment)];

	if (strike(of(s)) != SIM_FAULT_NONE)
		return of(s)->error;
	if (at >= f->size)
		return 0;
	n_bytes = n_bytes < f->size - at ? n_bytes : f->size - at;
	memcpy(buf, f->bytes + at, n_bytes);
	return (ssize_t)n_bytes;
}

static ssize_t sim_write(
	struct journal_store *s, unsigned int segment, const void *buf, size_t n_bytes, uint64_t at)
{
	struct sim_disk *d = of(s);
	unsigned int file = file_of(d, segment);
	struct sim_file *f = &d->files[file];
	enum sim_fault fault = strike(d);
	struct sim_op *op;

	if (fault == SIM_FAULT_ERROR)
		return d->error;
	if (fault == SIM_FAULT_SHORT)
		n_bytes = n_bytes / 2 / SIM_SECTOR * SIM_SECTOR;
	require(f->exists && at + n_bytes <= d->segment_bytes && at % SIM_SECTOR == 0);
	require(d->arena_used + n_bytes <= d->arena_max);
	op = log_op(d, SIM_WRITE, file);
	op->at = (uint32_t)at;
	op->n_bytes = (uint32_t)n_bytes;
	op->data = d->arena_used;
	memcpy(d->arena + d->arena_used, buf, n_bytes);
	d->arena_used += (uint32_t)n_bytes;
	memcpy(f->bytes + at, buf, n_bytes);
	if (at + n_bytes > f->size)
		f->size = (uint32_t)(at + n_bytes);
	return (ssize_t)n_bytes;
}

static int sim_sync(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = of(s);

	if (strike(d) != SIM_FAULT_NONE) {
		(void)log_op(d, SIM_SYNC_FAILED, file_of(d, segment));
		return d->lies.hides_failed_sync ? 0 : d->error;
	}
	if (!d->lies.no_barrier)
		(void)log_op(d, SIM_SYNC, file_of(d, segment));
	return 0;
}

static int sim_create(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = of(s);
	struct sim_file *f = &d->files[JOURNAL_SEGMENTS + segment];

	if (strike(d) != SIM_FAULT_NONE)
		return d->error;
	(void)log_op(d, SIM_CREATE, JOURNAL_SEGMENTS + segment);
	memset(f->bytes, 0, d->segment_bytes);
	f->size = 0;
	f->exists = true;
	d->is_created[segment] = true;
	return 0;
}

/* Both the image's and the process's files: the created one takes the other's place. */
static void rename_file(struct sim_file *files, unsigned int segment)
{
	struct sim_file old = files[segment];

	files[segment] = files[JOURNAL_SEGMENTS + segment];
	files[JOURNAL_SEGMENTS + segment] = old;
	files[JOURNAL_SEGMENTS + segment].exists = false;
}

static int sim_publish(struct journal_store *s, unsigned int segment)
{
	struct sim_disk *d = of(s);

	if (strike(d) != SIM_FAULT_NONE)
		return d->error;
	(void)log_op(d, SIM_PUBLISH, segment);
	rename_file(d->files, segment);
	d->is_created[segment] = false;
	return 0;
}

static void sim_close(struct journal_store *s)
{
	(void)s; /* belongs to the test */
}

void sim_disk_init(struct sim_disk *d, uint32_t segment_bytes, uint32_t ops_max, uint32_t arena_max)
{
	*d = (struct sim_disk){
		.store = {sim_size, sim_read, sim_write, sim_sync, sim_create, sim_publish,
			sim_close},
		.segment_bytes = segment_bytes,
		.ops = allocate(ops_max * sizeof(*d->ops)),
		.ops_max = ops_max,
		.arena = allocate(arena_max),
		.arena_max = arena_max,
		.error = -EIO,
	};
	sim_files_init(d->files, segment_bytes);
}

void sim_disk_clean(struct sim_disk *d)
{
	sim_files_clean(d->files);
	free(d->ops);
	free(d->arena);
}

void sim_disk_reset(struct sim_disk *d, const struct sim_file *files)
{
	d->n_ops = 0;
	d->arena_used = 0;
	d->n_calls = 0;
	memset(d->is_created, 0, sizeof(d->is_created));
	if (files != NULL)
		sim_files_copy(d->files, files, d->segment_bytes);
}

void sim_replay_init(struct sim_replay *r, const struct sim_disk *d, const struct sim_file *start)
{
	r->disk = d;
	r->n_flying = 0;
	r->op = 0;
	sim_files_init(r->durable, d->segment_bytes);
	if (start != NULL)
		sim_files_copy(r->durable, start, d->segment_bytes);
}

void sim_replay_clean(struct sim_replay *r)
{
	sim_files_clean(r->durable);
}

static void fly(struct sim_replay *r, const struct sim_op *op)
{
	const struct sim_disk *d = r->disk;

	for (uint32_t done = 0; done < op->n_bytes; done += SIM_SECTOR) {
		const uint8_t *bytes = d->arena + op->data + done;
		uint8_t *there = r->durable[op->file].bytes + op->at + done;

		if (d->lies.writes_through) {
			memcpy(there, bytes, SIM_SECTOR);
			continue;
		}
		require(r->n_flying < SIM_IN_FLIGHT);
		r->flying[r->n_flying++] = (struct sim_in_flight){
			.file = (uint8_t)op->file, .at = op->at + done, .bytes = bytes};
	}
	/* That a file grows is part of the sync too, but blank until then: recovery sees a file of its full size only. */
	if (op->at + op->n_bytes > r->durable[op->file].size)
		r->durable[op->file].size = op->at + op->n_bytes;
}

/* What the sector was before no longer matters: the new version has landed. */
static void land(struct sim_replay *r, unsigned int file)
{
	struct sim_in_flight kept[SIM_IN_FLIGHT];
	uint32_t n_kept = 0;

	for (uint32_t i = 0; i < r->n_flying; i++) {
		const struct sim_in_flight *f = &r->flying[i];
		uint32_t n = 0;

		if (f->file != file || f->is_limbo) {
			kept[n_kept++] = *f;
			continue;
		}
		memcpy(r->durable[file].bytes + f->at, f->bytes, SIM_SECTOR);
		for (uint32_t k = 0; k < n_kept; k++) {
			if (kept[k].file != file || kept[k].at != f->at)
				kept[n++] = kept[k];
		}
		n_kept = n;
	}
	memcpy(r->flying, kept, n_kept * sizeof(kept[0]));
	r->n_flying = n_kept;
}

static void forget(struct sim_replay *r, unsigned int file, unsigned int is_now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_flying; i++) {
		if (r->flying[i].file == file)
			continue;
		r->flying[n] = r->flying[i];
		if (r->flying[n].file == is_now)
			r->flying[n].file = (uint8_t)file;
		n++;
	}
	r->n_flying = n;
}

void sim_replay_step(struct sim_replay *r)
{
	const struct sim_op *op = &r->disk->ops[r->op++];

	switch (op->kind) {
	case SIM_WRITE:
		fly(r, op);
		break;
	case SIM_SYNC:
		land(r, op->file);
		break;
	case SIM_SYNC_FAILED:
		for (uint32_t i = 0; i < r->n_flying; i++)
			r->flying[i].is_limbo |= r->flying[i].file == op->file;
		break;
	case SIM_CREATE:
		forget(r, op->file, SIM_FILES);
		memset(r->durable[op->file].bytes, 0, r->disk->segment_bytes);
		r->durable[op->file].size = 0;
		r->durable[op->file].exists = true;
		break;
	case SIM_PUBLISH:
		forget(r, op->file, JOURNAL_SEGMENTS + op->file);
		rename_file(r->durable, op->file);
		break;
	}
}

static void spoil(uint8_t *sector, const uint8_t *fresh, struct rng *chance)
{
	uint32_t cut = rng_below(chance, SIM_SECTOR);

	switch (rng_below(chance, 4)) {
	case 0: /* torn within: the front is new */
		memcpy(sector, fresh, cut);
		break;
	case 1: /* and the back */
		memcpy(sector + cut, fresh + cut, SIM_SECTOR - cut);
		break;
	case 2:
		memset(sector, rng_below(chance, 2) != 0 ? 0xff : 0, SIM_SECTOR);
		break;
	default:
		for (uint32_t i = 0; i < SIM_SECTOR; i += 8) {
			uint64_t noise = rng_next(chance);

			memcpy(sector + i, &noise, sizeof(noise));
		}
		break;
	}
}

void sim_replay_cut(
	const struct sim_replay *r, uint64_t which, struct rng *chance, struct sim_file *ret_files)
{
	sim_files_copy(ret_files, r->durable, r->disk->segment_bytes);
	for (uint32_t i = 0; i < r->n_flying; i++) {
		const struct sim_in_flight *f = &r->flying[i];
		uint8_t *sector = ret_files[f->file].bytes + f->at;
		uint32_t luck = chance != NULL ? rng_below(chance, 4) : 0;

		if (chance == NULL ? (which >> (i % 64) & 1) != 0 : luck <= 1)
			memcpy(sector, f->bytes, SIM_SECTOR);
		else if (luck == 2)
			spoil(sector, f->bytes, chance);
		if (r->disk->lies.spoils_neighbours && luck == 3 && f->at >= JOURNAL_PAGE)
			spoil(sector - JOURNAL_PAGE, f->bytes, chance);
	}
}
