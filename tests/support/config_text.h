/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations that a test writes down. */
#ifndef WEIR_TESTS_SUPPORT_CONFIG_TEXT_H
#define WEIR_TESTS_SUPPORT_CONFIG_TEXT_H

#include <weir/control/config.h>

/* The configuration of a text without mistakes; what it is warned of is told on stderr. The caller's (config_destroy). */
struct config *config_of(const char *text);

#endif
