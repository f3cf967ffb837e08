/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A replay's summary for people, from the summary as JSON: so both tell the same.
 *
 * Threads:  one.
 */
#ifndef WEIR_MAIN_REPLAY_PRINT_H
#define WEIR_MAIN_REPLAY_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* Prints the whole summary. */
void replay_print_people(const json_t *summary, FILE *out);

#endif
