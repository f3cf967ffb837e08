/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_state.h"

#include <criterion/criterion.h>
#include <string.h>

static void type(struct top_state *s, const char *text)
{
	for (; *text != '\0'; text++)
		(void)top_state_key(s, (unsigned char)*text);
}

Test(client_top_state, letters_choose_panes_and_ask_at_once)
{
	static const struct {
		int key;
		enum top_pane pane;
	} cases[] = {{'c', PANE_CLASSES}, {'f', PANE_FLOWS}, {'p', PANE_PLANS}, {'l', PANE_LINK},
		{'x', PANE_DROPS}, {'d', PANE_DEVICES}};
	struct top_state s = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect(top_state_key(&s, cases[i].key));
		cr_expect_eq(s.pane, cases[i].pane);
		cr_expect_not(top_state_key(&s, cases[i].key), "nothing new to look at");
	}
}

Test(client_top_state, a_filter_takes_letters_that_are_commands_elsewhere)
{
	struct top_state s = {0};

	type(&s, "/qc? dñ");
	cr_expect_str_eq(s.filter, "qc? dñ");
	cr_expect_not(s.quit);
	cr_expect_eq(s.pane, PANE_DEVICES);
	(void)top_state_key(&s, TOP_KEY_ERASE);
	cr_expect_str_eq(s.filter, "qc? d", "a character, not a byte");
	(void)top_state_key(&s, TOP_KEY_ENTER);
	cr_expect_not(s.editing);
	type(&s, "/z");
	(void)top_state_key(&s, TOP_KEY_ESCAPE);
	cr_expect_str_eq(s.filter, "qc? d", "as it was");
	(void)top_state_key(&s, TOP_KEY_ESCAPE);
	cr_expect_str_eq(s.filter, "");
}

Test(client_top_state, a_filter_has_an_end)
{
	struct top_state s = {0};

	type(&s, "/");
	for (int i = 0; i < 1000; i++)
		(void)top_state_key(&s, 'a');
	cr_expect_eq(strlen(s.filter), TOP_FILTER_MAX - 1);
	for (int i = 0; i < 1000; i++)
		(void)top_state_key(&s, TOP_KEY_ERASE);
	cr_expect_str_eq(s.filter, "");
}

Test(client_top_state, the_mark_stays_on_rows)
{
	struct top_state s = {.n_rows = 3, .page = 10};

	(void)top_state_key(&s, TOP_KEY_UP);
	cr_expect_eq(s.cursor, 0);
	for (int i = 0; i < 5; i++)
		(void)top_state_key(&s, 'j');
	cr_expect_eq(s.cursor, 2);
	(void)top_state_key(&s, TOP_KEY_PAGE_UP);
	cr_expect_eq(s.cursor, 0);
	(void)top_state_key(&s, 'G');
	cr_expect_eq(s.cursor, 2);
	s.n_rows = 0;
	(void)top_state_key(&s, TOP_KEY_END);
	cr_expect_eq(s.cursor, 0, "no rows at all");
}

Test(client_top_state, enter_shows_the_flows_of_a_device_and_escape_goes_back)
{
	struct top_state s = {.chosen = "192.0.2.7"};

	cr_expect(top_state_key(&s, TOP_KEY_ENTER));
	cr_expect_eq(s.pane, PANE_FLOWS);
	cr_expect_str_eq(s.device, "192.0.2.7");
	cr_expect(top_state_key(&s, TOP_KEY_ESCAPE));
	cr_expect_eq(s.pane, PANE_DEVICES);
	cr_expect_str_eq(s.device, "");
	s.chosen[0] = '\0';
	cr_expect_not(top_state_key(&s, TOP_KEY_ENTER), "no device is marked");
}

Test(client_top_state, orders_pause_help_and_quit)
{
	struct top_state s = {0};

	type(&s, "to");
	cr_expect(s.order == ORDER_TOTAL && s.reversed);
	type(&s, "n");
	cr_expect(s.order == ORDER_NAME && !s.reversed, "another order begins the right way round");
	cr_expect_not(top_state_key(&s, ' '));
	cr_expect(s.paused);
	cr_expect(top_state_key(&s, ' '), "going on looks at once");
	type(&s, "?");
	cr_expect(s.help);
	type(&s, "f");
	cr_expect(!s.help && s.pane == PANE_DEVICES, "any key goes back, and does no more");
	type(&s, "?q");
	cr_expect(s.quit);
}
