/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of history on disks that are full or damaged. */
#include "history_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* A small disk of memory; false where one may not mount. */
static bool small_disk(const char *size)
{
	char words[32];

	(void)snprintf(words, sizeof(words), "size=%s", size);
	return mount("none", dir, "tmpfs", 0, words) == 0;
}

Test(client_history_faults, a_full_disk_loses_nothing_and_is_written_to_again, .init = setup,
	.fini = teardown, .timeout = 100)
{
	struct history *h;
	char filler[128];
	char blob[4096] = {0};
	FILE *f;
	uint64_t octets = 0;
	bool is_refused = false;

	if (!small_disk("2m"))
		cr_skip_test("no right to mount a small disk");
	h = open_usual();
	(void)history_run(h, "a");
	(void)snprintf(filler, sizeof(filler), "%s/filler", dir);
	f = fopen(filler, "w");
	cr_assert_not_null(f);
	while (fwrite(blob, sizeof(blob), 1, f) == 1 && fflush(f) == 0)
		;
	(void)fclose(f);
	for (int64_t i = 0; i < 3000; i++) {
		octets += 11;
		count(h, HISTORY_CLASS, "web", octets, NOON + i * 60);
		look(h, 11, NOON + i * 60);
		if (i % 100 == 99 && history_commit(h, error) != 0)
			is_refused = true;
	}
	cr_expect(is_refused, "the disk was not full");
	cr_expect_gt(history_stats(h).n_failed, 0);
	cr_assert_eq(unlink(filler), 0);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_MINUTE), 2880 * 11, "what is kept of it");
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), (int64_t)octets);
	cr_expect_eq(ask("SELECT sum(uplink_octets) FROM total WHERE per = 3600"), (int64_t)octets);
	(void)umount2(dir, MNT_DETACH);
}

Test(client_history_faults, memory_is_bounded_while_nothing_can_be_written_and_sums_stay,
	.init = setup, .fini = teardown, .timeout = 100)
{
	struct history *h = open_usual();
	char key[16];
	uint64_t n = 0;

	(void)history_run(h, "a");
	for (int64_t i = 1; i <= 400; i++) {
		for (unsigned d = 0; d < 200; d++, n++) {
			(void)snprintf(key, sizeof(key), "192.0.2.%u", d);
			count_since(h, HISTORY_DEVICE, key, 5, (uint64_t)i, NOON + i * 600);
		}
		look(h, 200, NOON + i * 600);
		cr_assert_leq(history_stats(h).n_pending, HISTORY_PENDING_MAX);
	}
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("device", "%", HISTORY_DAY), (int64_t)n);
	cr_expect_eq(ask("SELECT sum(uplink_octets) FROM total WHERE per = 86400"), (int64_t)n);
	cr_expect_lt(sum_of("device", "%", HISTORY_MINUTE), (int64_t)n, "minutes gave way");
}

static void scribble(long at, size_t n)
{
	FILE *f = fopen(file, "r+");

	cr_assert_not_null(f);
	cr_assert_eq(fseek(f, at, SEEK_SET), 0);
	for (size_t i = 0; i < n; i++)
		(void)fputc((int)(i * 37 + 11) & 0xff, f);
	cr_assert_eq(fclose(f), 0);
}

Test(client_history_faults, a_damaged_file_is_set_aside_and_a_new_one_begun, .init = setup,
	.fini = teardown)
{
	static const struct {
		long at;
		size_t n;
	} damages[] = {{0, 100}, {4096, 60000}, {100, 3000}};
	char aside[160];

	for (unsigned i = 0; i < 3; i++) {
		struct history *h = open_usual();

		(void)history_run(h, "a");
		for (int64_t m = 0; m < 1000; m++) {
			count(h, HISTORY_CLASS, "web", (uint64_t)m + 1, NOON + m * 60);
			look(h, 1, NOON + m * 60);
		}
		commit(h);
		history_close(h);
		scribble(damages[i].at, damages[i].n);
		h = open_usual();
		(void)snprintf(aside, sizeof(aside), "%s.damaged.%u", file, i + 1);
		cr_expect_not_null(strstr(message, aside), "case %u: %s", i, message);
		cr_expect_eq(access(aside, F_OK), 0, "case %u", i);
		(void)history_run(h, "b");
		count(h, HISTORY_CLASS, "web", 5, NOON);
		commit(h);
		history_close(h);
		cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 5);
		cr_assert_eq(unlink(file), 0);
	}
}

Test(client_history_faults, damage_that_shows_while_it_runs_costs_the_file_and_not_what_waits,
	.init = setup, .fini = teardown, .timeout = 100)
{
	struct history *h = open_usual();

	/* More than the cache holds. */
	(void)history_run(h, "a");
	for (int64_t m = 0; m < 2800; m++) {
		char key[16];

		for (unsigned d = 0; d < 40; d++) {
			(void)snprintf(key, sizeof(key), "192.0.2.%u", d);
			count_since(h, HISTORY_DEVICE, key, 5, (uint64_t)m, NOON + m * 60);
		}
		look(h, 1, NOON + m * 60);
		if (m % 500 == 0)
			commit(h);
	}
	count(h, HISTORY_CLASS, "web", 2000, NOON);
	commit(h);
	history_close(h);
	h = open_usual();
	(void)history_run(h, "a");
	scribble(0, (size_t)size_of(file));
	count(h, HISTORY_CLASS, "web", 2007, NOON + 2000 * 60);
	look(h, 1, NOON + 2000 * 60);
	cr_expect_eq(history_commit(h, error), -1);
	cr_expect_not_null(strstr(error, "is damaged"), "%s", error);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 7);
	h = open_usual();
	(void)history_run(h, "a");
	count(h, HISTORY_CLASS, "web", 2010, NOON + 2000 * 60);
	commit(h);
	history_close(h);
	cr_expect_eq(sum_of("class", "web", HISTORY_DAY), 10, "the counters are in the new file");
}

Test(client_history_faults, what_is_not_its_own_is_left_alone, .init = setup, .fini = teardown)
{
	static const char *const texts[] = {"CREATE TABLE precious (a)",
		"CREATE TABLE meta (a); PRAGMA application_id = "
		"2003134834; PRAGMA user_version = 9"};
	struct history_options options = HISTORY_DEFAULTS;
	struct history *h = NULL;

	options.file = file;
	for (size_t i = 0; i < 2; i++) {
		sqlite3 *db = NULL;

		cr_assert_eq(sqlite3_open(file, &db), SQLITE_OK);
		cr_assert_eq(sqlite3_exec(db, texts[i], NULL, NULL, NULL), SQLITE_OK);
		(void)sqlite3_close(db);
		cr_expect_eq(history_open(&options, &h, message, error), -1);
		cr_expect_not_null(strstr(error, "it stays as it is"), "%s", error);
		cr_expect_eq(ask("SELECT count(*) FROM sqlite_schema"), 1);
		cr_assert_eq(unlink(file), 0);
	}
}
