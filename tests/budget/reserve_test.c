/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/budget/reserve.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define MB 1000000ull

Test(budget_reserve, says_the_sum_in_words_and_by_how_much_it_is_too_much)
{
	static const struct reserve rows[] = {{"servicing", 64 * MB, 10}, {"voice", 20 * MB, 0}};
	static const struct {
		uint64_t quota;
		uint32_t n;
		int error;
		const char *text;
	} cases[] = {
		{500 * MB, 2, -EOVERFLOW,
			"servicing 64MB x 10 devices + voice 20MB = 660MB, 160MB more than the "
			"quota's 500MB; "
			"lower a reserve, or raise the quota"},
		{659 * MB, 2, -EOVERFLOW,
			"servicing 64MB x 10 devices + voice 20MB = 660MB, 1MB more than the "
			"quota's 659MB; "
			"lower a reserve, or raise the quota"},
		{660 * MB, 2, 0,
			"servicing 64MB x 10 devices + voice 20MB = 660MB of the quota's 660MB"},
		{0, 2, 0, "servicing 64MB x 10 devices + voice 20MB = 660MB"},
		{640 * MB, 1, 0, "servicing 64MB x 10 devices = 640MB of the quota's 640MB"},
		{10 * MB, 0, 0, ""},
	};
	char text[RESERVE_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(reserve_check(cases[i].quota, rows, cases[i].n, text), cases[i].error);
		cr_expect_str_eq(text, cases[i].text);
	}
	cr_expect_eq(reserve_check(10 * MB, &rows[1], 1, text), -EOVERFLOW);
	cr_expect_str_eq(text,
		"voice 20MB, 10MB more than the quota's 10MB; lower a reserve, or raise the quota");
}

Test(budget_reserve, sums_beyond_64_bits_are_too_much_and_long_texts_are_cut)
{
	struct reserve rows[32];
	char text[RESERVE_TEXT_MAX];

	for (size_t i = 0; i < 32; i++)
		rows[i] = (struct reserve){"a_class_with_quite_a_long_name", UINT64_MAX / 40, 40};
	cr_expect_eq(reserve_sum(rows, 32), UINT64_MAX);
	cr_expect_eq(reserve_check(1000, rows, 32, text), -EOVERFLOW);
	cr_expect_lt(strlen(text), RESERVE_TEXT_MAX);
}
