/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A buffer of text that grows up to a bound, and JSON written into it without trees.
 *
 * Source:   RFC 8259 (JSON).
 * Shapes:   fields put their commas themselves: one is due unless the text is empty or ends in '{' or '['.
 * Errors:   text that finds no room (no memory, or beyond the bound) is left out and `failed` is set to the errno;
 *           the caller looks at it once, at the end.
 * Threads:  one owner.
 * Memory:   from the heap, doubling up to `max_bytes`.
 */
#ifndef WEIR_CONTROL_TEXT_H
#define WEIR_CONTROL_TEXT_H

#include <weir/base/addr.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* not NUL-terminated */
	size_t n;
	size_t capacity;
	size_t max_bytes;
	int failed; /* 0, ENOMEM or EMSGSIZE */
};

void text_init(struct text *t, size_t max_bytes);
void text_clean(struct text *t);

/* Makes it empty and forgets a failure; keeps the memory. */
void text_clear(struct text *t);

/* Makes room for `n` more bytes. False, with `failed` set, when there is none. */
bool text_reserve(struct text *t, size_t n);

void text_append(struct text *t, const char *bytes, size_t n);
void text_append_string(struct text *t, const char *string);

/* The digits alone. */
void text_u64(struct text *t, uint64_t value);

/* Objects and arrays. `key` may be NULL: a value within an array, or the outermost. */
void text_open(struct text *t, const char *key, char bracket);
void text_close(struct text *t, char bracket);

/* A row of a listing: on a line of its own, after a comma unless it is the first of the listing. */
void text_open_row(struct text *t, bool first);

/* Fields; keys are literals that need no escape. */
void text_field_string(struct text *t, const char *key, const char *value);
void text_field_u64(struct text *t, const char *key, uint64_t value);
void text_field_i64(struct text *t, const char *key, int64_t value);
void text_field_bool(struct text *t, const char *key, bool value);
void text_field_addr(struct text *t, const char *key, const struct ip_addr *value);
void text_field_mac(struct text *t, const char *key, const struct mac_addr *value);

/* A share in parts a million as a number from 0 up: 812500 is written 0.8125. */
void text_field_share(struct text *t, const char *key, uint64_t ppm);

#endif
