/* SPDX-License-Identifier: BSD-3-Clause */
#include "terminal.h"

#include "top_state.h"

#include <curses.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE_WAIT_MS 100 /* that the rest of an arrow key's bytes may take on a slow line */

enum {
	PAIR_WARNING = 1,
	PAIR_ALARM,
};

bool terminal_is_ascii(void)
{
	const char *type = getenv("TERM");

	return strcmp(nl_langinfo(CODESET), "UTF-8") != 0 || type == NULL
	       || strncmp(type, "vt", 2) == 0 || strcmp(type, "ansi") == 0
	       || strcmp(type, "dumb") == 0;
}

static void colours_begin(void)
{
	const char *no_color = getenv("NO_COLOR");

	if ((no_color != NULL && no_color[0] != '\0') || !has_colors())
		return;
	(void)start_color();
	(void)use_default_colors();
	(void)init_pair(PAIR_WARNING, COLOR_YELLOW, -1);
	(void)init_pair(PAIR_ALARM, COLOR_RED, -1);
}

int terminal_open(char error[CONNECTION_ERROR_MAX])
{
	const char *type = getenv("TERM");

	if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"top needs a terminal; try: weirctl top --once");
		return -1;
	}
	if (!terminal_type_is_known() || newterm(NULL, stdout, stdin) == NULL) {
		(void)snprintf(error, CONNECTION_ERROR_MAX,
			"a terminal of type \"%s\" is not known here; try: TERM=vt100 weirctl top",
			type == NULL ? "" : type);
		return -1;
	}
	colours_begin();
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, true);
	(void)nodelay(stdscr, true);
	(void)set_escdelay(ESCAPE_WAIT_MS);
	(void)curs_set(0);
	return 0;
}

void terminal_close(void)
{
	/* Where there is no second screen to leave, as on a vt100, the shell goes on in the last line: it is to be empty. */
	(void)move(LINES - 1, 0);
	(void)clrtoeol();
	(void)refresh();
	(void)curs_set(1);
	(void)endwin();
}

void terminal_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		(void)resizeterm(size.ws_row, size.ws_col);
	terminal_forget();
}

void terminal_forget(void)
{
	(void)clearok(curscr, true);
}

void terminal_size(int *ret_rows, int *ret_columns)
{
	*ret_rows = LINES;
	*ret_columns = COLS;
}

static chtype style_attributes(enum line_style style)
{
	bool colours = has_colors() && COLOR_PAIRS > PAIR_ALARM && getenv("NO_COLOR") == NULL;

	switch (style) {
	case STYLE_TITLE:
	case STYLE_CURSOR:
		return A_REVERSE;
	case STYLE_HEAD:
		return A_BOLD;
	case STYLE_WARNING:
		return colours ? (chtype)COLOR_PAIR(PAIR_WARNING) : A_BOLD;
	case STYLE_ALARM:
		return colours ? (chtype)COLOR_PAIR(PAIR_ALARM) | A_BOLD : A_REVERSE | A_BOLD;
	case STYLE_NORMAL:
	default:
		return A_NORMAL;
	}
}

void terminal_draw(const struct screen *s)
{
	(void)erase();
	for (int i = 0; i < s->n_used; i++) {
		const struct screen_line *l = &s->lines[i];

		(void)attrset((int)style_attributes(l->style));
		(void)mvaddnstr(i, 0, l->text, (int)l->n_bytes);
	}
	(void)attrset(A_NORMAL);
	(void)refresh();
}

int terminal_key(void)
{
	static const struct {
		int curses;
		int ours;
	} keys[] = {
		{ERR, TERMINAL_NO_KEY},
		{KEY_UP, TOP_KEY_UP},
		{KEY_DOWN, TOP_KEY_DOWN},
		{KEY_PPAGE, TOP_KEY_PAGE_UP},
		{KEY_NPAGE, TOP_KEY_PAGE_DOWN},
		{KEY_HOME, TOP_KEY_HOME},
		{KEY_END, TOP_KEY_END},
		{KEY_BACKSPACE, TOP_KEY_ERASE},
		{0x7f, TOP_KEY_ERASE},
		{'\b', TOP_KEY_ERASE},
		{KEY_ENTER, TOP_KEY_ENTER},
		{'\n', TOP_KEY_ENTER},
		{'\r', TOP_KEY_ENTER},
		{0x1b, TOP_KEY_ESCAPE},
		{'L' & 0x1f, TOP_KEY_REDRAW},
	};
	int key = getch();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].curses == key)
			return keys[i].ours;
	return key;
}
