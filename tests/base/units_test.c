/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/rng.h>
#include <weir/base/units.h>

#include <criterion/criterion.h>
#include <errno.h>

#define UNTOUCHED  0x5a5a5a5a5a5a5a5aull
#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

typedef int (*parser)(const char *, uint64_t *);
typedef const char *(*formatter)(uint64_t, char *);

struct parse_row {
	const char *text;
	int error;
	uint64_t value;
};

static void check_parse(parser parse, const struct parse_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = UNTOUCHED;

		cr_expect_eq(parse(rows[i].text, &value), rows[i].error, "'%s'", rows[i].text);
		cr_expect_eq(value, rows[i].error == 0 ? rows[i].value : UNTOUCHED, "'%s' gave %lu",
			rows[i].text, value);
	}
}

Test(base_units, octets_need_a_number_and_a_unit)
{
	static const struct parse_row rows[] = {
		{"0B", 0, 0},
		{"1B", 0, 1},
		{"64kB", 0, 64000},
		{"500MB", 0, 500000000},
		{"1.5MB", 0, 1500000},
		{"20GB", 0, 20000000000},
		{"2TB", 0, 2000000000000},
		{"1KiB", 0, 1024},
		{"1.5KiB", 0, 1536},
		{"64MiB", 0, 67108864},
		{"1GiB", 0, 1073741824},
		{"1TiB", 0, 1099511627776},
		{"0.0009765625KiB", 0, 1},
		{"18446744073709551615B", 0, UINT64_MAX},
		{"18446744073709551616B", -ERANGE, 0},
		{"99999999999999999999999B", -ERANGE, 0},
		{"18446745TB", -ERANGE, 0},
		{"500", -EINVAL, 0},
		{"500 MB", -EINVAL, 0},
		{" 500MB", -EINVAL, 0},
		{"500MB ", -EINVAL, 0},
		{"500mb", -EINVAL, 0},
		{"500Mb", -EINVAL, 0},
		{"500MBs", -EINVAL, 0},
		{"1MB1kB", -EINVAL, 0},
		{"1.5B", -EINVAL, 0},
		{"1.MB", -EINVAL, 0},
		{".5MB", -EINVAL, 0},
		{"0.1234567890123TB", -EINVAL, 0},
		{"-1MB", -EINVAL, 0},
		{"+1MB", -EINVAL, 0},
		{"1e3B", -EINVAL, 0},
		{"MB", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	check_parse(units_parse_octets, rows, N_OF(rows));
}

Test(base_units, rates_are_bits_a_second)
{
	static const struct parse_row rows[] = {
		{"0bps", 0, 0},
		{"256kbps", 0, 256000},
		{"5Mbps", 0, 5000000},
		{"1.5Mbps", 0, 1500000},
		{"10Gbps", 0, 10000000000},
		{"5MBps", -EINVAL, 0},
		{"5Mbit", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"0.5bps", -EINVAL, 0},
	};

	check_parse(units_parse_rate, rows, N_OF(rows));
}

Test(base_units, times_may_be_sums_whose_units_descend)
{
	static const struct parse_row rows[] = {
		{"0s", 0, 0},
		{"10us", 0, 10},
		{"100ms", 0, 100000},
		{"90s", 0, 90000000},
		{"2m", 0, 120000000},
		{"2h4m", 0, 7440000000},
		{"1d12h", 0, 129600000000},
		{"1m0.5s", 0, 60500000},
		{"1.5us", -EINVAL, 0},
		{"4m2h", -EINVAL, 0},
		{"2h2h", -EINVAL, 0},
		{"2h4", -EINVAL, 0},
		{"2h 4m", -EINVAL, 0},
		{"60", -EINVAL, 0},
		{"213503983d", -ERANGE, 0},
		{"213503982d9h", -ERANGE, 0},
	};

	check_parse(units_parse_time, rows, N_OF(rows));
}

Test(base_units, shares_go_from_0_to_100_percent)
{
	static const struct {
		const char *text;
		int error;
		uint32_t ppm;
	} rows[] = {
		{"0%", 0, 0},
		{"80%", 0, 800000},
		{"12.5%", 0, 125000},
		{"0.0001%", 0, 1},
		{"100%", 0, 1000000},
		{"100.0001%", -ERANGE, 0},
		{"0.00001%", -EINVAL, 0},
		{"80", -EINVAL, 0},
		{"80 %", -EINVAL, 0},
		{"80%%", -EINVAL, 0},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		uint32_t ppm = 77;

		cr_expect_eq(
			units_parse_share(rows[i].text, &ppm), rows[i].error, "'%s'", rows[i].text);
		cr_expect_eq(ppm, rows[i].error == 0 ? rows[i].ppm : 77, "'%s'", rows[i].text);
	}
}

struct format_row {
	formatter format;
	uint64_t value;
	const char *text;
};

static void check_format(const struct format_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char buf[UNITS_TEXT_MAX];

		cr_expect_str_eq(rows[i].format(rows[i].value, buf), rows[i].text);
	}
}

Test(base_units, exact_text_is_the_shortest_and_prefers_whole_numbers)
{
	static const struct format_row rows[] = {
		{units_format_octets, 0, "0B"},
		{units_format_octets, 1500, "1500B"},
		{units_format_octets, 500000000, "500MB"},
		{units_format_octets, 1500000, "1.5MB"},
		{units_format_octets, 67108864, "64MiB"},
		{units_format_octets, 1048576, "1MiB"},
		{units_format_octets, UINT64_MAX, "18446744073709551615B"},
		{units_format_rate, 0, "0bps"},
		{units_format_rate, 256000, "256kbps"},
		{units_format_rate, 1000000001, "1000000001bps"},
		{units_format_time, 0, "0s"},
		{units_format_time, 7440000000, "2h4m"},
		{units_format_time, 240000000, "4m"},
		{units_format_time, 90000000, "90s"},
		{units_format_time, 100000, "100ms"},
		{units_format_time, 86400000000, "1d"},
		{units_format_time, 1, "1us"},
	};
	char buf[UNITS_TEXT_MAX];

	check_format(rows, N_OF(rows));
	cr_expect_str_eq(units_format_share(800000, buf), "80%");
	cr_expect_str_eq(units_format_share(125000, buf), "12.5%");
	cr_expect_str_eq(units_format_share(1, buf), "0.0001%");
}

Test(base_units, exact_text_parses_back_to_the_same_value)
{
	static const struct {
		formatter format;
		parser parse;
	} kinds[] = {
		{units_format_octets, units_parse_octets},
		{units_format_rate, units_parse_rate},
		{units_format_time, units_parse_time},
	};
	struct rng rng;

	rng_init(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		uint64_t value = rng_next(&rng) >> rng_below(&rng, 64);

		if (i % 2 == 0)
			value -= value % 1000000;
		for (size_t k = 0; k < N_OF(kinds); k++) {
			char buf[UNITS_TEXT_MAX];
			uint64_t again = ~value;

			kinds[k].format(value, buf);
			cr_assert_eq(kinds[k].parse(buf, &again), 0, "%s", buf);
			cr_assert_eq(again, value, "%s", buf);
		}
	}
}

Test(base_units, text_for_people_has_three_digits)
{
	static const struct format_row rows[] = {
		{units_show_octets, 0, "0 B"},
		{units_show_octets, 999, "999 B"},
		{units_show_octets, 1000, "1 kB"},
		{units_show_octets, 12400000, "12.4 MB"},
		{units_show_octets, 12449999, "12.4 MB"},
		{units_show_octets, 12450000, "12.5 MB"},
		{units_show_octets, 999499, "999 kB"},
		{units_show_octets, 999500, "1 MB"},
		{units_show_octets, 1005000, "1.01 MB"},
		{units_show_octets, UINT64_MAX, "18446744 TB"},
		{units_show_rate, 1020000, "1.02 Mbps"},
		{units_show_rate, 256000, "256 kbps"},
		{units_show_time, 3500000, "3.5 s"},
		{units_show_time, 59960000, "1 m"},
		{units_show_time, 59940000, "59.9 s"},
		{units_show_time, 850, "850 us"},
		{units_show_time, 7440000000, "2.07 h"},
	};

	check_format(rows, N_OF(rows));
}
