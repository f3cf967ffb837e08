/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that a configuration names: profiles of services, carriers' ways of counting.
 *
 * Shapes:   a kind is a folder ("profiles", "carriers"), a name its file without .yaml. Looked for beside the configuration, in
 *           /etc/weir, in the source tree that weir was built from and where weir is installed, in this order: DIR/KIND/NAME.yaml. A
 *           name with a slash is a path, from the configuration's folder unless it begins with one.
 * Errors:   negative errno: -ENOENT, -EFBIG, or as read(2).
 * Threads:  any.
 * Memory:   text is the caller's, to be freed; at most the size that he names.
 */
#ifndef WEIR_CONTROL_DATA_FILE_H
#define WEIR_CONTROL_DATA_FILE_H

#include <stddef.h>

#define DATA_PATH_MAX 512

/* The file's path. `dir`: the configuration's folder; "" where there is none. 0, -ENOENT or -ENAMETOOLONG. */
int data_file_find(
	const char *dir, const char *kind, const char *name, char ret_path[DATA_PATH_MAX]);

/* Reads the whole of a file of at most `max` bytes. */
int data_file_read(const char *path, size_t max, char **ret_text, size_t *ret_len);

#endif
