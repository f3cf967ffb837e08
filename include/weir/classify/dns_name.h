/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain name, in the one form in which names are compared.
 *
 * Source:   RFC 1035 section 3.1 (labels, 255 octets), RFC 4343 (case), RFC 6066 section 3 (host names in TLS).
 * Shapes:   as on the wire and without compression, letters in lower case, the root's empty label included. A dot within a
 *           label is a dot, not a boundary: two names are the same when their octets are.
 * Errors:   -EINVAL; the result is untouched then.
 * Threads:  pure functions.
 * Memory:   the struct alone.
 */
#ifndef WEIR_CLASSIFY_DNS_NAME_H
#define WEIR_CLASSIFY_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DNS_NAME_MAX      255
#define DNS_LABEL_MAX     63
#define DNS_LABELS_MAX    127  /* without the root's */
#define DNS_NAME_TEXT_MAX 1010 /* every octet as \ddd, dots, and its NUL */

struct dns_name {
	uint8_t len; /* 1 (the root) to 255 */
	uint8_t octets[DNS_NAME_MAX];
};

static inline bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

/* RFC 4343: ASCII letters alone, whatever the locale. */
static inline uint8_t dns_lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet | 0x20) : octet;
}

/* Reads a host name: letters, digits, hyphens and underscores between dots, with or without a dot at the end; -EINVAL for
 * anything else, also for the root and for addresses (all of their last label are digits). */
int dns_name_parse(const char *text, size_t len, struct dns_name *ret_name);

/* Writes the name without the dot at its end into `buf` (DNS_NAME_TEXT_MAX) and returns it; RFC 1035 5.1's \ddd and \. for what is not
 * printed as it is; the root is ".". */
const char *dns_name_format(const struct dns_name *name, char *buf);

#endif
