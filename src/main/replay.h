/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir replay CONF CAPTURE… [--out DIR] [--seed N] [--json]
 *
 * Exit:     0  played to the end, and every sum agrees
 *           1  a mistake in the configuration, a file that cannot be opened or written, or sums that do not agree
 *           2  wrong arguments
 *           3  played, sums agree, but a capture was damaged: what lies before the damage was played
 */
#ifndef WEIR_MAIN_REPLAY_H
#define WEIR_MAIN_REPLAY_H

/* argv[0] is "replay". */
int replay_main(int argc, char **argv);

#endif
