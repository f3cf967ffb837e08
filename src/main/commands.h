/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands of `weir` that stand in files of their own. argv[0] is the command's name; the result is the exit
 * status: 0 good, 1 not, 2 called wrongly.
 */
#ifndef WEIR_MAIN_COMMANDS_H
#define WEIR_MAIN_COMMANDS_H

/* weir check [--elsewhere] CONF */
int check_main(int argc, char **argv);

/* weir run CONF */
int run_main(int argc, char **argv);

/* weir schema yaml|markdown|drops: what scripts/gen-docs writes to config/weir.yaml, docs/config.md and docs/drops.md. */
int schema_main(int argc, char **argv);

#endif
