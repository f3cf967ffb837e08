/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a carrier counts, from its file.
 *
 * Source:   files as config/carriers/NAME.yaml; their keys are those of plans.*.counting, and four more: carrier, source (where
 *           it says so), checked_on (when somebody looked) and free_classes (what it does not bill, by the names of classes).
 * Errors:   as config.h: -EINVAL with each mistake in the report, else the negative errno of reading, in the report too.
 * Threads:  control alone.
 * Memory:   a file is at most 64 KiB; what is read stays with the caller.
 */
#ifndef WEIR_CONTROL_CARRIER_H
#define WEIR_CONTROL_CARRIER_H

#include <weir/budget/bill.h>
#include <weir/control/config.h>

#include <stddef.h>

#define CARRIER_SOURCE_MAX 160

struct carrier {
	char name[CONFIG_NAME_MAX];
	char source[CARRIER_SOURCE_MAX];
	char checked_on[CONFIG_DATE_MAX];
	struct bill_rule rule;
	uint32_t n_free;
	char free_classes[CONFIG_FREE_MAX][CONFIG_NAME_MAX];
};

/* Reads a file. */
int carrier_load(const char *file, struct carrier *ret_carrier, struct config_report *report);

/* The same from memory. */
int carrier_read(
	const char *text, size_t len, struct carrier *ret_carrier, struct config_report *report);

#endif
