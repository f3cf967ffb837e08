/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses: IPv4 and IPv6 in one 16-byte shape, prefixes, and MAC addresses.
 *
 * Source:   RFC 4291 section 2.5.5.2 (IPv4-mapped form), RFC 5952 (text of IPv6).
 * Shapes:   an IPv4 address a.b.c.d is stored as ::ffff:a.b.c.d, bytes in network order.
 * Errors:   parsers return 0 or -EINVAL and leave the result untouched on failure.
 * Threads:  pure functions; no state.
 * Memory:   none.
 */
#ifndef WEIR_BASE_ADDR_H
#define WEIR_BASE_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
	union {
		uint8_t bytes[16];
		uint32_t words[4]; /* network order; words[3] is the IPv4 address of a mapped one */
	};
};

struct ip_prefix {
	struct ip_addr addr; /* may have host bits set: an interface address with its prefix */
	uint8_t len_bits;    /* of the family: 0..32 for IPv4, 0..128 for IPv6 */
};

struct mac_addr {
	uint8_t bytes[6];
};

#define IP_ADDR_TEXT_MAX   46 /* "ffff:…:255.255.255.255" and its NUL */
#define IP_PREFIX_TEXT_MAX 50
#define MAC_ADDR_TEXT_MAX  18

/* The IPv4 address given in network byte order. */
static inline struct ip_addr ip_addr_v4(uint32_t v4_be)
{
	return (struct ip_addr){.words = {0, 0, htonl(0xffff), v4_be}};
}

/* The IPv4 address a.b.c.d, for tables and tests. */
static inline struct ip_addr ip_addr_quad(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return ip_addr_v4(htonl((uint32_t)a << 24 | (uint32_t)b << 16 | (uint32_t)c << 8 | d));
}

/* True when `a` holds an IPv4 address. */
static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
	uint64_t head;

	memcpy(&head, a, sizeof(head));
	return head == 0 && a->words[2] == htonl(0xffff);
}

/* True when `a` is ::, i.e. not set. */
static inline bool ip_addr_is_unset(const struct ip_addr *a)
{
	return (a->words[0] | a->words[1] | a->words[2] | a->words[3]) == 0;
}

/* The IPv4 address in host byte order; `a` must hold one. */
static inline uint32_t ip_addr_v4_host(const struct ip_addr *a)
{
	return ntohl(a->words[3]);
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool mac_addr_equal(const struct mac_addr *a, const struct mac_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The netmask of an IPv4 prefix length, in network byte order. */
static inline uint32_t ip_v4_mask(uint8_t len_bits)
{
	return len_bits == 0 ? 0 : htonl(UINT32_MAX << (32 - len_bits));
}

/* As ip_prefix_contains(), which it is for IPv6. */
bool ip_prefix_contains_any(const struct ip_prefix *p, const struct ip_addr *a);

/* True when `a` lies within `p`; families never mix. */
static inline bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	if (ip_addr_is_v4(&p->addr) && ip_addr_is_v4(a))
		return ((p->addr.words[3] ^ a->words[3]) & ip_v4_mask(p->len_bits)) == 0;
	return ip_prefix_contains_any(p, a);
}

/* True when the two prefixes share at least one address. */
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);

/* Parses "192.0.2.1" or "2001:db8::1". */
int ip_addr_parse(const char *text, struct ip_addr *ret_addr);

/* Parses "192.0.2.1/24"; without "/len" the length is that of a host. */
int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix);

/* Parses "02:00:5e:10:00:01". */
int mac_addr_parse(const char *text, struct mac_addr *ret_mac);

/* Write the text into `buf` (at least *_TEXT_MAX bytes) and return `buf`. */
const char *ip_addr_format(const struct ip_addr *a, char *buf);
const char *ip_prefix_format(const struct ip_prefix *p, char *buf);
const char *mac_addr_format(const struct mac_addr *m, char *buf);

#endif
