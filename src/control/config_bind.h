/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree's values into a struct, by the rows of the schema: the configuration's, or those of another file.
 *
 * Shapes:   `row`: NULL for the configuration's own keys, else the row that the file's keys are right below. Defaults are set
 *           first. Unknown keys, values out of range and required keys that are missing are reported at their lines.
 * Threads:  control alone.
 */
#ifndef WEIR_SRC_CONTROL_CONFIG_BIND_H
#define WEIR_SRC_CONTROL_CONFIG_BIND_H

#include "tree.h"

void config_bind(struct tree_node *top, const struct schema_row *row, void *base,
	struct config_report *report);

/* Reports the keys that are required and missing. */
void config_bind_required(const struct tree_node *top, struct config_report *report);

/* Whether a rule asks anything of a flow; once it is bound. */
void config_match_settle(struct config_match *m);

/* Reads the profiles that classes name. `top` is bound. */
void config_profiles_load(
	const struct tree_node *top, struct config *c, struct config_report *report);

/* Reads the carriers' files that plans name, and completes what is said of overheads. `top` is bound. */
void config_carriers_load(
	const struct tree_node *top, struct config *c, struct config_report *report);

#endif
