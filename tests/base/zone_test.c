/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/civil.h>
#include <weir/base/rng.h>
#include <weir/base/zone.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_TIMES 4000

static const char *const names[] = {
	"Europe/Berlin",
	"Europe/Dublin",
	"Europe/London",
	"Europe/Moscow",
	"America/New_York",
	"America/St_Johns",
	"America/Sao_Paulo",
	"America/Santiago",
	"America/Nuuk",
	"America/Havana",
	"Africa/Casablanca",
	"Africa/Cairo",
	"Africa/Monrovia",
	"Asia/Kolkata",
	"Asia/Kathmandu",
	"Asia/Tehran",
	"Asia/Gaza",
	"Asia/Jerusalem",
	"Asia/Tokyo",
	"Asia/Pyongyang",
	"Australia/Lord_Howe",
	"Australia/Sydney",
	"Antarctica/Troll",
	"Pacific/Apia",
	"Pacific/Auckland",
	"Pacific/Chatham",
	"Pacific/Kwajalein",
	"Etc/GMT+12",
	"EST5EDT",
};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static void skip_without_zones(void)
{
	if (access(ZONE_DIR "Europe/Berlin", R_OK) != 0)
		cr_skip_test("no time zones here");
}

static struct zone *zone_of(const char *name)
{
	struct zone *z = NULL;

	cr_assert_eq(zone_open(name, &z), 0, "%s", name);
	return z;
}

static int64_t random_time(struct rng *r, int64_t from_s, int64_t to_s)
{
	return from_s + (int64_t)(rng_next(r) % (uint64_t)(to_s - from_s));
}

static void expect_as_glibc(const struct zone *z, const char *name, int64_t utc_s)
{
	time_t at = (time_t)utc_s;
	struct zone_time t;
	struct tm tm;

	cr_assert_not_null(localtime_r(&at, &tm));
	zone_local(z, utc_s, &t);
	cr_assert(t.year == tm.tm_year + 1900 && t.month == tm.tm_mon + 1 && t.day == tm.tm_mday
			  && t.hour == tm.tm_hour && t.minute == tm.tm_min && t.second == tm.tm_sec
			  && t.weekday == tm.tm_wday && t.offset_s == tm.tm_gmtoff,
		"%s at %lld: %d-%u-%u %u:%u:%u %d", name, (long long)utc_s, t.year, t.month, t.day,
		t.hour, t.minute, t.second, t.offset_s);
}

Test(base_zone, shows_what_the_c_library_shows_from_1850_to_2500)
{
	struct rng r;

	skip_without_zones();
	rng_init(&r, 1);
	for (size_t i = 0; i < N_NAMES; i++) {
		struct zone *z = zone_of(names[i]);
		char tz[64];

		(void)snprintf(tz, sizeof(tz), ":%s", names[i]);
		setenv("TZ", tz, 1);
		tzset();
		for (int k = 0; k < N_TIMES; k++) {
			expect_as_glibc(z, names[i], random_time(&r, -3786825600, 16725225600));
			expect_as_glibc(z, names[i], random_time(&r, 1704067200, 2524608000));
		}
		zone_close(z);
	}
}

Test(base_zone, finds_the_instant_of_a_local_time_and_in_an_overlap_the_earlier)
{
	struct rng r;

	skip_without_zones();
	rng_init(&r, 2);
	for (size_t i = 0; i < N_NAMES; i++) {
		struct zone *z = zone_of(names[i]);

		for (int k = 0; k < N_TIMES; k++) {
			int64_t utc_s = random_time(&r, 0, 2524608000);
			struct zone_time t;
			struct zone_time again;
			int64_t found;

			zone_local(z, utc_s, &t);
			found = zone_utc(z, civil_day(t.year, t.month, t.day),
				(uint32_t)(t.hour * 3600 + t.minute * 60 + t.second));
			zone_local(z, found, &again);
			cr_assert_leq(found, utc_s);
			cr_assert_eq(found + again.offset_s, utc_s + t.offset_s, "%s at %lld",
				names[i], (long long)utc_s);
			cr_assert(found == utc_s || again.offset_s > t.offset_s, "%s at %lld",
				names[i], (long long)utc_s);
		}
		zone_close(z);
	}
}

Test(base_zone, resolves_gaps_and_overlaps_as_stated)
{
	static const struct {
		const char *claim;
		const char *zone;
		int32_t year;
		uint32_t month;
		uint32_t day;
		uint32_t hour;
		uint32_t minute;
		int64_t utc_s;
	} rows[] = {
		{"before a gap", "Europe/Berlin", 2024, 3, 31, 1, 59, 1711846740},
		{"a gap begins: first instant after it", "Europe/Berlin", 2024, 3, 31, 2, 0,
			1711846800},
		{"in a gap: the same", "Europe/Berlin", 2024, 3, 31, 2, 30, 1711846800},
		{"after it: the same too", "Europe/Berlin", 2024, 3, 31, 3, 0, 1711846800},
		{"in an overlap: the earlier", "Europe/Berlin", 2024, 10, 27, 2, 30, 1729989000},
		{"after it", "Europe/Berlin", 2024, 10, 27, 3, 0, 1729994400},
		{"a day that was left out", "Pacific/Apia", 2011, 12, 30, 12, 0, 1325239200},
		{"a gap at midnight", "Africa/Cairo", 2024, 4, 26, 0, 0, 1714082400},
		{"by the footer's rule, in 2060", "Europe/Berlin", 2060, 7, 1, 0, 0, 2855858400},
		{"half an hour's overlap", "Australia/Lord_Howe", 2024, 4, 7, 1, 45, 1712414700},
	};

	skip_without_zones();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone *z = zone_of(rows[i].zone);

		cr_expect_eq(zone_utc(z, civil_day(rows[i].year, rows[i].month, rows[i].day),
				     rows[i].hour * 3600 + rows[i].minute * 60),
			rows[i].utc_s, "%s: %lld", rows[i].claim,
			(long long)zone_utc(z, civil_day(rows[i].year, rows[i].month, rows[i].day),
				rows[i].hour * 3600 + rows[i].minute * 60));
		zone_close(z);
	}
}

Test(base_zone, utc_needs_no_file_and_times_beyond_year_9999_are_its_end)
{
	struct zone *z = zone_of("UTC");
	struct zone_time t;

	zone_local(z, 1732320000, &t);
	cr_expect(t.year == 2024 && t.month == 11 && t.day == 23 && t.hour == 0 && t.weekday == 6);
	zone_local(z, INT64_MAX, &t);
	cr_expect(t.year == 9999 && t.month == 12 && t.day == 31 && t.second == 59);
	zone_local(z, INT64_MIN, &t);
	cr_expect(t.year == 1 && t.month == 1 && t.day == 1 && t.second == 0);
	cr_expect_eq(zone_utc(z, INT64_MAX, 0), ZONE_MAX_S - 86399);
	zone_close(z);
	zone_close(NULL);
}

Test(base_zone, knows_no_zone_outside_its_directory)
{
	static const struct {
		const char *name;
		int error;
	} rows[] = {
		{"Mars/Olympus", -ENOENT},
		{"Europe/Berlin/Mitte", -ENOENT},
		{"", -EINVAL},
		{"/etc/localtime", -EINVAL},
		{"../../../etc/localtime", -EINVAL},
		{"Europe/Berlin\n", -EINVAL},
		{"Europe", -EINVAL},
		{"tzdata.zi", -EINVAL},
		{"zone1970", -ENOENT},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EINVAL},
	};

	skip_without_zones();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone *z = NULL;

		cr_expect_eq(zone_open(rows[i].name, &z), rows[i].error, "'%s'", rows[i].name);
		cr_expect_null(z);
	}
}

/* A file of one type and a footer, which the rows below break in one place each. */
struct small_file {
	uint8_t octets[256];
	size_t len;
};

#define SECOND_HEADER 44 + 6 + 4 /* behind the first header, its one type and four characters */

static struct small_file small_file(const char *footer)
{
	struct small_file f = {0};

	for (int i = 0; i < 2; i++) {
		memcpy(f.octets + f.len, "TZif2", 5);
		f.octets[f.len + 39] = 1; /* a type */
		f.octets[f.len + 43] = 4; /* "CET" */
		f.octets[f.len + 44 + 2] = 0x0e;
		f.octets[f.len + 44 + 3] = 0x10; /* 3600 */
		memcpy(f.octets + f.len + 44 + 6, "CET", 4);
		f.len += 44 + 6 + 4;
	}
	memcpy(f.octets + f.len, footer, strlen(footer));
	f.len += strlen(footer);
	return f;
}

/* From heap memory of exact size: ASan sees each step beyond. */
static int read_exact(const uint8_t *octets, size_t len, struct zone **ret_zone)
{
	uint8_t *heap = malloc(len == 0 ? 1 : len);
	int error;

	cr_assert_not_null(heap);
	memcpy(heap, octets, len);
	error = zone_read(heap, len, ret_zone);
	free(heap);
	return error;
}

Test(base_zone, without_a_footer_the_last_offset_stays)
{
	struct small_file f = small_file("\n\n");
	struct zone *z = NULL;
	struct zone_time t;

	cr_assert_eq(read_exact(f.octets, f.len, &z), 0);
	zone_local(z, 4102444800, &t);
	cr_expect_eq(t.offset_s, 3600);
	zone_close(z);
}

Test(base_zone, refuses_a_file_that_breaks_the_format)
{
	static const struct {
		const char *claim;
		size_t at;
		uint8_t octet;
	} rows[] = {
		{"no magic", 0, 't'},
		{"no second magic", SECOND_HEADER, 't'},
		{"version 1 alone", SECOND_HEADER + 4, 0},
		{"an unknown version", SECOND_HEADER + 4, '9'},
		{"marks for other than all types", SECOND_HEADER + 23, 2},
		{"leap seconds", SECOND_HEADER + 31, 1},
		{"more transitions than there can be", SECOND_HEADER + 32, 255},
		{"no type", SECOND_HEADER + 39, 0},
		{"more types than an index has values", SECOND_HEADER + 38, 2},
		{"more characters than octets", SECOND_HEADER + 40, 255},
		{"a first block beyond the end", 32, 255},
		{"an offset of days", SECOND_HEADER + 44, 1},
		{"no line end before the footer", 2 * (SECOND_HEADER), 'x'},
		{"no rule in the footer", 2 * (SECOND_HEADER) + 1, '!'},
		{"no line end behind it", 2 * (SECOND_HEADER) + 6, 'x'},
	};
	struct small_file good = small_file("\nCET-1\n");
	struct zone *z = NULL;

	cr_assert_eq(read_exact(good.octets, good.len, &z), 0);
	zone_close(z);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct small_file f = good;

		f.octets[rows[i].at] = rows[i].octet;
		cr_expect_eq(read_exact(f.octets, f.len, &z), -EINVAL, "%s", rows[i].claim);
	}
}

Test(base_zone, refuses_a_real_file_cut_anywhere)
{
	uint8_t octets[8192];
	struct zone *z = NULL;
	FILE *in;
	size_t len;

	skip_without_zones();
	in = fopen(ZONE_DIR "Europe/Berlin", "re");
	cr_assert_not_null(in);
	len = fread(octets, 1, sizeof(octets), in);
	(void)fclose(in);
	cr_assert_eq(read_exact(octets, len, &z), 0);
	zone_close(z);
	for (size_t n = 0; n < len; n++)
		cr_assert_eq(read_exact(octets, n, &z), -EINVAL, "%zu of %zu octets", n, len);
}
