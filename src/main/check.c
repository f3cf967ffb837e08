/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"

#include <weir/control/config.h>

#include <stdio.h>
#include <string.h>

#define EXIT_MISTAKES 1
#define EXIT_USAGE    2

static int usage(FILE *out)
{
	(void)fputs(
		"usage: weir check [--elsewhere] CONF\n"
		"\n"
		"Reports every mistake of a configuration at once, each as FILE:LINE: error: what "
		"is\n"
		"wrong; what to write instead. Exits 0 when there is none.\n"
		"\n"
		"  --elsewhere  this is not the gateway: do not look for its interfaces here\n",
		out);
	return out == stdout ? 0 : EXIT_USAGE;
}

static int check_file(const char *file, unsigned int options)
{
	struct config_report report = {0};
	struct config *config = NULL;
	int error = config_load(file, options, &config, &report);

	config_report_print(&report, file, stdout);
	if (error == 0)
		printf("%s: ok\n", file);
	else if (report.n_errors > 0)
		printf("%s: %u mistake%s\n", file, report.n_errors,
			report.n_errors == 1 ? "" : "s");
	else
		printf("%s: error: %s\n", file, strerror(-error));
	config_report_clean(&report);
	config_destroy(config);
	return error == 0 ? 0 : EXIT_MISTAKES;
}

int check_main(int argc, char **argv)
{
	unsigned int options = CONFIG_CHECK_INTERFACES;
	const char *file = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return usage(stdout);
		if (strcmp(argv[i], "--elsewhere") == 0)
			options &= ~(unsigned int)CONFIG_CHECK_INTERFACES;
		else if (argv[i][0] == '-' || file != NULL)
			return usage(stderr);
		else
			file = argv[i];
	}
	return file == NULL ? usage(stderr) : check_file(file, options);
}
