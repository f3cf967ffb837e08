/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of the page, inside the program: what is served is what was tested with it, and nothing is read from a disk. web_files.c
 * is made of web/ and third_party/ by web_embed.py.
 */
#ifndef WEIR_CLIENT_WEB_FILES_H
#define WEIR_CLIENT_WEB_FILES_H

#include <stddef.h>

struct web_file {
	const char *path; /* "/" is index.html */
	const char *type;
	const char *etag; /* with its quotes */
	const unsigned char *octets;
	size_t n;
};

/* The file of a path, or NULL. */
const struct web_file *web_file_find(const char *path);

extern const struct web_file web_files[];
extern const size_t web_n_files;

#endif
