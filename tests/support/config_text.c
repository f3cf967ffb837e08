/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"

#include <criterion/criterion.h>
#include <string.h>

struct config *config_of(const char *text)
{
	struct config_report report = {0};
	struct config *c = NULL;
	int error = config_read(text, strlen(text), 0, &c, &report);

	config_report_print(&report, "test", stderr);
	config_report_clean(&report);
	cr_assert_eq(error, 0);
	return c;
}
