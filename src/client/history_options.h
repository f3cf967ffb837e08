/* SPDX-License-Identifier: BSD-3-Clause */
/* weir-web's options that begin with --history: a child of its argp, whose input is a struct history_collecting. */
#ifndef WEIR_CLIENT_HISTORY_OPTIONS_H
#define WEIR_CLIENT_HISTORY_OPTIONS_H

#include "history_collect.h"

#include <argp.h>

extern const struct argp history_argp;

#endif
