/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of control/apply.c.
 *
 * Threads:  control alone.
 */
#ifndef WEIR_SRC_CONTROL_APPLY_PARTS_H
#define WEIR_SRC_CONTROL_APPLY_PARTS_H

#include <weir/control/config.h>

/* The bit of a group of the configuration, or of quarantine. */
uint8_t config_group_id(const struct config *c, const char *name);

/* Classes, their names and who pays for them. 0, -EINVAL (more than the path has room for) or -ENOMEM; the path's configuration
 * owns what was made. */
int apply_classes(const struct config *c, struct path_config *pc);

/* Notes in which plans a class, of this id in the path, is not billed. */
void apply_free_class(
	const struct config *c, uint32_t class_index, uint8_t id, struct path_config *pc);

#endif
