/* SPDX-License-Identifier: BSD-3-Clause */
/* Apart from terminal.c: <term.h> makes macros of words such as "lines". */
#include "terminal.h"

#include <curses.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

bool terminal_type_is_known(void)
{
	int why;

	if (setupterm(NULL, STDOUT_FILENO, &why) != OK)
		return false;
	(void)del_curterm(cur_term); /* newterm makes its own */
	return true;
}
