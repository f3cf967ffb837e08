/* SPDX-License-Identifier: BSD-3-Clause */
/* weir: which command is meant. */
#include "bench.h"
#include "commands.h"
#include "replay.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define EXIT_USAGE 2
#define MMAP_BYTES (128 << 10)

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: for weir's own scripts, not in the help */
};

static const struct command commands[] = {
	{"check", check_main, "CONF              report every mistake of a configuration"},
	{"run", run_main, "CONF              be the gateway, in the foreground"},
	{"replay", replay_main,
		"CONF CAPTURE...   send captures along the path on a virtual clock"},
	{"bench", bench_main, "                  measure the path, fed from memory"},
	{"schema", schema_main, NULL},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *out)
{
	fputs("usage: weir COMMAND ...\n\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].help != NULL)
			fprintf(out, "  weir %-7s %s\n", commands[i].name, commands[i].help);
	fputs("\nweir COMMAND --help tells more; weirctl looks into a gateway that runs.\n", out);
	return out == stdout ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	/* Large tables are mapped and touched as they are used. glibc would move its threshold up with the first one that is freed,
	 * and zero the next ones by hand. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return usage(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		puts("weir " WEIR_VERSION);
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "weir: no command '%s'\n", argv[1]);
	return usage(stderr);
}
