/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir bench: the real path, fed from memory.
 *
 * Exit:     0 measured; 1 it could not be; 2 wrong arguments.
 */
#ifndef WEIR_MAIN_BENCH_H
#define WEIR_MAIN_BENCH_H

/* argv[0] is "bench". */
int bench_main(int argc, char **argv);

#endif
