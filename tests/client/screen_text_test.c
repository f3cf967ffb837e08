/* SPDX-License-Identifier: BSD-3-Clause */
#include "screen_text.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static void with_utf8(void)
{
	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

Test(client_screen_text, nothing_from_outside_steers_a_terminal, .init = with_utf8)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{"plain", "plain"},
		{"\x1b[2J\x1b]0;title\x07", "?[2J?]0;title?"},
		{"a\r\nb\tc\x7f", "a??b?c?"},
		{"\xc2\x9b"
		 "31m",
			"?31m"}, /* CSI as C1 */
		{"\xe2\x80\xae"
		 "live",
			"?live"}, /* right-to-left override */
		{"\xe2\x80\x8b"
		 "x",
			"?x"},                /* no width */
		{"e\xcc\x81", "e?"},          /* combining */
		{"\xc0\xaf", "??"},           /* overlong */
		{"\xed\xa0\x80", "???"},      /* half of a surrogate pair */
		{"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
		{"cut \xe2\x82", "cut ??"},   /* ends within a character */
		{"\xff\xfe", "??"},           /* no UTF-8 at all */
		{"Küche", "Küche"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct screen_line l = {0};

		line_add(&l, 80, cases[i].text);
		cr_expect_str_eq(l.text, cases[i].want, "case %zu", i);
		cr_expect_eq(l.n_columns, text_width(cases[i].text), "case %zu", i);
	}
}

Test(client_screen_text, without_utf8_all_but_ascii_is_a_question_mark)
{
	struct screen_line l = {0};

	cr_assert_not_null(setlocale(LC_CTYPE, "C"));
	line_add(&l, 80, "Küche 東");
	cr_expect_str_eq(l.text, "K?che ?");
}

Test(client_screen_text, cells_are_as_wide_as_they_are_to_be, .init = with_utf8)
{
	static const struct {
		const char *text;
		int width;
		bool right;
		const char *want;
	} cases[] = {
		{"ab", 4, false, "ab  |"},
		{"ab", 4, true, "  ab|"},
		{"abcd", 4, false, "abcd|"},
		{"abcde", 4, false, "abc~|"},
		{"Küche", 5, true, "Küche|"},
		{"東京", 4, false, "東京|"},
		{"東京", 3, false, "東~|"},
		{"東京", 2, false, " ~|"}, /* half a character is none */
		{"x", 1, false, "x|"},
		{"xy", 1, false, "~|"},
		{"xy", 0, false, "|"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct screen_line l = {0};

		line_cell(&l, 80, cases[i].width, cases[i].right, cases[i].text);
		cr_expect_eq(l.n_columns, cases[i].width, "case %zu", i);
		line_add(&l, 80, "|");
		cr_expect_str_eq(l.text, cases[i].want, "case %zu", i);
	}
}

Test(client_screen_text, nothing_goes_beyond_the_last_column, .init = with_utf8)
{
	static struct screen s;
	struct screen_line *l;

	screen_begin(&s, 1, 1000000);
	l = screen_line_next(&s, STYLE_NORMAL);
	cr_expect_null(screen_line_next(&s, STYLE_NORMAL), "one row alone");
	for (int i = 0; i < 1000; i++)
		line_add(l, s.n_columns, "\xf0\x90\x8d\x88"); /* four bytes, one column */
	line_pad(l, 1000000);
	cr_expect_eq(l->n_columns, SCREEN_COLUMNS_MAX);
	cr_expect_eq(l->n_bytes, sizeof(l->text) - 1);
}
