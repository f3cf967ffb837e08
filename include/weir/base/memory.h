/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large tables: zeroed, page-aligned, on huge pages where there are some.
 *
 * Units:    bytes.
 * Errors:   -ENOMEM.
 * Threads:  create and destroy from control; the memory belongs to whoever holds it.
 * Memory:   explicit 2 MiB pages first, then transparent ones (madvise), then ordinary pages.
 */
#ifndef WEIR_BASE_MEMORY_H
#define WEIR_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether tables may take huge pages, from now on; they do until told. */
void memory_set_huge(bool may_take);

/* Maps at least `len_bytes`; the result is rounded up to the page size used. */
int memory_create(size_t len_bytes, void **ret_memory);

/* Unmaps what memory_create gave for the same length. NULL is fine. */
void memory_destroy(void *memory, size_t len_bytes);

/* Bytes held now by all tables, and how many of them on explicit huge pages. */
void memory_usage(size_t *ret_bytes, size_t *ret_huge_bytes);

#endif
