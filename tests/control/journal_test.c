/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../src/control/journal_frame.h"
#include "sim_disk.h"

#include <weir/control/journal.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT (8 * JOURNAL_PAGE)

static const struct journal_params SMALL = {
	.segment_bytes = SEGMENT, .record_bytes = 2000, .seed = 7};

/* The state of these tests: one number, which a checkpoint and each record tell. */
struct told {
	uint32_t last;
	uint32_t n_records;
	uint32_t n_checkpoints;
};

static int hear(void *context, bool is_checkpoint, const uint8_t *payload, uint32_t n_bytes)
{
	struct told *told = context;

	if (n_bytes != sizeof(told->last))
		return -EINVAL;
	memcpy(&told->last, payload, sizeof(told->last));
	told->n_records += is_checkpoint ? 0 : 1;
	told->n_checkpoints += is_checkpoint ? 1 : 0;
	return 0;
}

static struct journal *open_on(
	struct journal_store *store, struct told *told, struct journal_found *ret_found)
{
	const struct journal_reader reader = {.apply = hear, .context = told};
	struct journal *j = NULL;

	*told = (struct told){0};
	cr_assert_eq(journal_open(store, &SMALL, &reader, ret_found, &j), 0);
	return j;
}

static int tell(struct journal *j, uint32_t number)
{
	memcpy(journal_payload(j), &number, sizeof(number));
	return journal_is_due(j) ? journal_checkpoint(j, sizeof(number))
				 : journal_append(j, sizeof(number));
}

/* Numbers 1 … n, as the ledger writes: the checkpoint of a full segment tells what the record before it has told. */
static void tell_up_to(struct journal *j, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i <= n; i++) {
		while (journal_is_due(j))
			cr_assert_eq(tell(j, i - 1), 0);
		cr_assert_eq(tell(j, i), 0);
		while (journal_is_due(j))
			cr_assert_eq(tell(j, i), 0);
	}
}

/* A disk on which 1 … n were told. */
static void disk_with(struct sim_disk *d, uint32_t n)
{
	struct journal_found found;
	struct told told;
	struct journal *j;

	sim_disk_init(d, SEGMENT, 1024, 1024 * JOURNAL_PAGE);
	j = open_on(&d->store, &told, &found);
	tell_up_to(j, 1, n);
	journal_close(j);
}

static struct journal_found found_on(struct sim_disk *d, struct told *told)
{
	struct journal_found found;

	journal_close(open_on(&d->store, told, &found));
	return found;
}

/* Where a record with that number lies, its first copy; the checkpoint when `kind` says so. */
static uint8_t *frame_of(struct sim_disk *d, uint8_t kind, uint32_t number)
{
	uint8_t *found = NULL;
	uint64_t sequence = 0;

	for (unsigned int segment = 0; segment < JOURNAL_SEGMENTS; segment++) {
		for (uint32_t at = 0; at < SEGMENT; at += JOURNAL_PAGE) {
			uint8_t *page = d->files[segment].bytes + at;
			struct frame_header h;

			if (frame_read_header(page, &h) && h.kind == kind && h.sequence > sequence
				&& memcmp(page + FRAME_HEADER_BYTES, &number, 4) == 0) {
				found = page;
				sequence = h.sequence;
			}
		}
	}
	cr_assert_not_null(found);
	return found;
}

Test(control_journal, crc32c_is_that_of_rfc_3720)
{
	uint8_t block[32] = {0};

	cr_expect_eq(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	cr_expect_eq(crc32c(block, 32), 0x8a9136aa, "appendix B.4: 32 octets of zeros");
	memset(block, 0xff, 32);
	cr_expect_eq(crc32c(block, 32), 0x62a8ab43, "of ones");
}

Test(control_journal, a_frame_stands_as_the_format_says)
{
	static const uint8_t expected[44] = {'W', 'E', 'I', 'R', 1, 2, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
		3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 16, 0, 0, 0};
	struct frame_header h = {.kind = FRAME_RECORD,
		.journal = UINT64_C(0x0102030405060708),
		.generation = 3,
		.sequence = 9,
		.payload_bytes = 4,
		.home_sector = 16};
	uint8_t frame[JOURNAL_PAGE];
	struct frame_header read;

	memset(frame, 0xaa, sizeof(frame));
	memcpy(frame + FRAME_HEADER_BYTES, "abcd", 4);
	frame_seal(frame, &h);
	cr_expect_arr_eq(frame, expected, 40);
	cr_expect_arr_eq(frame + SECTOR_BYTES, frame, SECTOR_BYTES, "the second copy");
	cr_expect_eq(frame[JOURNAL_PAGE - 1], 0);
	cr_expect(frame_read_header(frame, &read));
	cr_expect_eq(read.sequence, 9);
	for (unsigned int bit = 0; bit < 48 * 8; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_expect(!frame_read_header(frame, &read), "bit %u", bit);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(control_journal, what_was_told_is_read_back_through_any_number_of_segments)
{
	for (uint32_t n = 0; n < 40; n++) {
		struct journal_found found;
		struct sim_disk d;
		struct told told;

		disk_with(&d, n);
		found = found_on(&d, &told);
		cr_expect_eq(found.health, n == 0 ? JOURNAL_NEW : JOURNAL_WHOLE);
		cr_expect_eq(told.last, n);
		cr_expect_eq(told.n_checkpoints, n == 0 ? 0 : 1);
		cr_expect_leq(told.n_records, SEGMENT / JOURNAL_PAGE);
		sim_disk_clean(&d);
	}
}

Test(control_journal, one_bad_sector_anywhere_takes_nothing_along)
{
	for (uint32_t n = 1; n < 24; n++) {
		struct sim_disk d;

		disk_with(&d, n);
		for (uint32_t i = 0; i < JOURNAL_SEGMENTS * SEGMENT / SECTOR_BYTES; i++) {
			uint32_t in_segment = SEGMENT / SECTOR_BYTES;
			uint8_t *at = d.files[i / in_segment].bytes
				      + (size_t)(i % in_segment) * SECTOR_BYTES;
			uint8_t kept[SECTOR_BYTES];
			struct journal_found found;
			struct told told;

			memcpy(kept, at, SECTOR_BYTES);
			memset(at + 20, 0xa5, 60);
			found = found_on(&d, &told);
			cr_expect_eq(told.last, n, "n %u, sector %u: %u", n, i, told.last);
			cr_expect_leq(found.health, JOURNAL_GAPS);
			memcpy(at, kept, SECTOR_BYTES);
		}
		sim_disk_clean(&d);
	}
}

static void spoil(uint8_t *frame, bool leaves_header)
{
	memset(frame + (leaves_header ? FRAME_HEADER_BYTES : 0), 0xee,
		leaves_header ? 8 : JOURNAL_PAGE);
	if (leaves_header)
		memset(frame + SECTOR_BYTES + FRAME_HEADER_BYTES, 0xee, 8);
}

Test(control_journal, damage_in_the_middle_is_told_from_a_torn_end)
{
	struct journal_found found;
	struct sim_disk d;
	struct told told;

	disk_with(&d, 5);
	spoil(frame_of(&d, FRAME_RECORD, 5), true);
	found = found_on(&d, &told);
	cr_expect_eq(found.health, JOURNAL_WHOLE, "the last one may have been torn");
	cr_expect(found.is_torn);
	cr_expect_eq(told.last, 4);
	sim_disk_clean(&d);

	disk_with(&d, 5);
	spoil(frame_of(&d, FRAME_RECORD, 3), false);
	found = found_on(&d, &told);
	cr_expect_eq(found.health, JOURNAL_GAPS, "4 was written when 3 was durable");
	cr_expect_eq(found.n_missing, 1);
	cr_expect_eq(told.last, 5);
	sim_disk_clean(&d);

	disk_with(&d, 5);
	spoil(frame_of(&d, FRAME_RECORD, 4), false);
	spoil(frame_of(&d, FRAME_RECORD, 5), true);
	found = found_on(&d, &told);
	cr_expect_eq(found.health, JOURNAL_CUT, "5 was begun, so 4 was durable");
	cr_expect_eq(told.last, 3);
	sim_disk_clean(&d);
}

/* With 8 pages a segment: a checkpoint and 7 records, so that 7 opens the other segment. */
Test(control_journal, without_its_checkpoint_a_segment_is_read_on_top_of_the_other)
{
	struct journal_found found;
	struct sim_disk d;
	struct told told;

	disk_with(&d, 9);
	spoil(frame_of(&d, FRAME_CHECKPOINT, 7), false);
	found = found_on(&d, &told);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	cr_expect_eq(found.n_records, 9);
	cr_expect_eq(told.last, 9);
	spoil(frame_of(&d, FRAME_CHECKPOINT, 0), false);
	found = found_on(&d, &told);
	cr_expect_eq(found.health, JOURNAL_GAPS, "where it began is not known, how it ended is");
	cr_expect_eq(told.last, 9);
	sim_disk_clean(&d);
}

enum harm {
	HARM_GONE,
	HARM_SHORT,
	HARM_WIPED,
	HARM_NOISE,
};

Test(control_journal, files_that_are_gone_or_wiped_are_never_taken_for_a_beginning)
{
	static const struct {
		enum harm harm;
		bool both;
		enum journal_health health;
	} cases[] = {
		{HARM_GONE, false, JOURNAL_CUT}, {HARM_SHORT, false, JOURNAL_CUT},
		{HARM_WIPED, false, JOURNAL_CUT}, {HARM_NOISE, true, JOURNAL_LOST},
		{HARM_WIPED, true, JOURNAL_LOST}, {HARM_SHORT, true, JOURNAL_LOST},
		{HARM_GONE, true, JOURNAL_NEW}, /* whoever removes both means it */
	};

	for (unsigned int i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		enum harm harm = cases[i / 2].harm;
		struct journal_found found;
		struct sim_disk d;
		struct told told;
		struct journal *j;

		disk_with(&d, 20);
		for (unsigned int s = 0; s < JOURNAL_SEGMENTS; s++) {
			struct sim_file *f = &d.files[s];

			if (s != i % 2 && !cases[i / 2].both)
				continue;
			f->exists = harm != HARM_GONE;
			f->size = harm == HARM_SHORT ? 0 : SEGMENT;
			if (harm == HARM_WIPED)
				memset(f->bytes, 0, SEGMENT);
			for (uint32_t k = 0; harm == HARM_NOISE && k < SEGMENT; k++)
				f->bytes[k] = (uint8_t)(k * 7 + 1);
		}
		j = open_on(&d.store, &told, &found);
		cr_expect_eq(
			found.health, cases[i / 2].health, "case %u: %d", i, (int)found.health);
		tell_up_to(j, 21, 22);
		journal_close(j);
		found = found_on(&d, &told);
		cr_expect_eq(found.health, JOURNAL_WHOLE, "case %u: made anew: %d", i,
			(int)found.health);
		cr_expect_eq(told.last, 22);
		sim_disk_clean(&d);
	}
}

Test(control_journal, pages_of_another_journal_are_not_its_own)
{
	struct journal_params other = SMALL;
	struct journal_found found;
	struct sim_disk theirs;
	struct sim_disk d;
	struct told told;
	struct journal *j;

	disk_with(&d, 3);
	sim_disk_init(&theirs, SEGMENT, 64, 64 * JOURNAL_PAGE);
	other.seed = 1234;
	cr_assert_eq(journal_open(&theirs.store, &other,
			     &(struct journal_reader){.apply = hear, .context = &told}, &found, &j),
		0);
	tell_up_to(j, 50, 54);
	journal_close(j);
	/* Their fifth record, at the place where the next one is expected. */
	memcpy(d.files[0].bytes + (size_t)4 * JOURNAL_PAGE, frame_of(&theirs, FRAME_RECORD, 53),
		JOURNAL_PAGE);
	found = found_on(&d, &told);
	cr_expect_eq(told.last, 3);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	sim_disk_clean(&theirs);
	sim_disk_clean(&d);
}

Test(control_journal, a_frame_counts_only_at_the_place_it_was_written_for)
{
	struct journal_found found;
	struct sim_disk d;
	struct told told;

	disk_with(&d, 3);
	memcpy(d.files[0].bytes + (size_t)6 * JOURNAL_PAGE, frame_of(&d, FRAME_RECORD, 3),
		JOURNAL_PAGE);
	spoil(d.files[0].bytes + (size_t)3 * JOURNAL_PAGE, false);
	found = found_on(&d, &told);
	cr_expect_eq(told.last, 2);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	sim_disk_clean(&d);
}

Test(control_journal, after_a_failed_sync_only_the_other_segment_is_trusted)
{
	struct journal_found found;
	struct sim_disk d;
	struct told told;
	struct journal *j;

	sim_disk_init(&d, SEGMENT, 256, 256 * JOURNAL_PAGE);
	j = open_on(&d.store, &told, &found);
	tell_up_to(j, 1, 3);
	d.fault = SIM_FAULT_ERROR;
	d.fault_in = 1; /* the write passes, the sync does not */
	d.fault_runs = 1;
	cr_expect_eq(tell(j, 4), -EIO);
	cr_expect(journal_is_due(j));
	cr_expect_eq(journal_append(j, 4), -EAGAIN, "it does not ask the disk again");
	cr_expect_eq(tell(j, 5), 0);
	cr_expect_eq(d.ops[d.n_ops - 2].file, 1, "the checkpoint went to the other file");
	cr_expect_eq(journal_stats(j).n_failures, 1);
	journal_close(j);
	(void)found_on(&d, &told);
	cr_expect_eq(told.last, 5);
	sim_disk_clean(&d);
}

Test(control_journal, refuses_what_does_not_fit)
{
	const struct journal_params bad[] = {
		{.segment_bytes = SEGMENT + 512},
		{.segment_bytes = JOURNAL_PAGE, .record_bytes = 100},
		{.segment_bytes = 2 * JOURNAL_PAGE, .record_bytes = 2001},
	};
	const struct journal_reader reader = {.apply = hear};
	struct journal_found found;
	struct sim_disk d;
	struct told told;
	struct journal *j;

	sim_disk_init(&d, SEGMENT, 64, 64 * JOURNAL_PAGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(journal_open(&d.store, &bad[i], &reader, &found, &j), -EINVAL);
	j = open_on(&d.store, &told, &found);
	cr_expect_eq(journal_checkpoint(j, journal_checkpoint_room(j) + 1), -EMSGSIZE);
	cr_expect_eq(journal_checkpoint(j, journal_checkpoint_room(j)), 0);
	cr_expect_eq(journal_append(j, journal_record_room(j) + 1), -EMSGSIZE);
	cr_expect_eq(journal_append(j, journal_record_room(j)), 0);
	cr_expect(journal_is_due(j));
	journal_close(j);
	sim_disk_clean(&d);
}

/* A directory that is gone after the test. */
static void in_directory(void (*test)(const char *path))
{
	char path[] = "/tmp/weir-journal-XXXXXX";
	char name[64];

	cr_assert_not_null(mkdtemp(path));
	cr_assert_eq(rmdir(path), 0); /* it is made where it is missing */
	test(path);
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		(void)snprintf(name, sizeof(name), "%s/ledger.%u", path, i);
		(void)unlink(name);
	}
	cr_expect_eq(rmdir(path), 0, "nothing else was left there");
}

static void live_in_files(const char *path)
{
	struct journal_store *store;
	struct journal_store *second;
	struct journal_found found;
	char name[64];
	struct told told;
	struct journal *j;
	struct stat st;

	cr_assert_eq(journal_file_open(path, &store), 0);
	cr_expect_eq(journal_file_open(path, &second), -EBUSY, "one process");
	j = open_on(store, &told, &found);
	cr_expect_eq(found.health, JOURNAL_NEW);
	tell_up_to(j, 1, 30);
	journal_close(j);
	store->close(store);
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		(void)snprintf(name, sizeof(name), "%s/ledger.%u", path, i);
		cr_assert_eq(stat(name, &st), 0);
		cr_expect_eq(st.st_mode & 07777, 0600);
		cr_expect_eq(st.st_size, SEGMENT);
	}
	cr_assert_eq(journal_file_open(path, &store), 0, "the lock went with it");
	j = open_on(store, &told, &found);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	cr_expect_eq(told.last, 30);
	journal_close(j);
	store->close(store);
}

Test(control_journal, lives_in_two_private_files_that_one_process_holds)
{
	in_directory(live_in_files);
}

static void remove_files(const char *path)
{
	struct journal_store *store;
	struct journal_found found;
	char name[64];
	struct told told;
	struct journal *j;

	cr_assert_eq(journal_file_open(path, &store), 0);
	j = open_on(store, &told, &found);
	tell_up_to(j, 1, 2);
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		(void)snprintf(name, sizeof(name), "%s/ledger.%u", path, i);
		cr_assert_eq(unlink(name), 0);
	}
	cr_expect_eq(tell(j, 3), -ESTALE, "durable, but in no directory");
	cr_expect_eq(tell(j, 3), 0, "a new file under the old name");
	cr_expect(journal_is_due(j), "and another");
	cr_expect_eq(tell(j, 3), 0);
	cr_expect(!journal_is_due(j));
	journal_close(j);
	store->close(store);
	cr_assert_eq(journal_file_open(path, &store), 0);
	journal_close(open_on(store, &told, &found));
	cr_expect_eq(told.last, 3);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	store->close(store);
}

Test(control_journal, files_removed_under_it_are_noticed_and_made_anew)
{
	in_directory(remove_files);
}

/* Nothing can be made below a file; once that is gone the directory is made again. */
static void remove_directory(const char *path)
{
	struct journal_store *store;
	struct journal_found found;
	char name[64];
	struct told told;
	struct journal *j;
	int fd;

	cr_assert_eq(journal_file_open(path, &store), 0);
	j = open_on(store, &told, &found);
	tell_up_to(j, 1, 2);
	for (unsigned int i = 0; i < JOURNAL_SEGMENTS; i++) {
		(void)snprintf(name, sizeof(name), "%s/ledger.%u", path, i);
		cr_assert_eq(unlink(name), 0);
	}
	cr_assert_eq(rmdir(path), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	(void)close(fd);
	cr_expect_eq(tell(j, 3), -ESTALE);
	cr_expect_eq(tell(j, 3), -ENOTDIR);
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(tell(j, 3), 0);
	cr_expect_eq(tell(j, 3), 0);
	journal_close(j);
	store->close(store);
	cr_assert_eq(journal_file_open(path, &store), 0);
	journal_close(open_on(store, &told, &found));
	cr_expect_eq(told.last, 3);
	cr_expect_eq(found.health, JOURNAL_WHOLE);
	store->close(store);
}

Test(control_journal, a_directory_removed_under_it_is_made_anew)
{
	in_directory(remove_directory);
}

Test(control_journal, a_directory_that_cannot_be_is_an_error)
{
	struct journal_store *store;

	cr_expect_eq(journal_file_open("/proc/nonexistent/state", &store), -ENOENT);
	cr_expect_eq(journal_file_open("/dev/null", &store), -ENOTDIR);
}
