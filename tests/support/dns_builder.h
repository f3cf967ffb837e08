/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS messages for tests, put together piece by piece. */
#ifndef TESTS_SUPPORT_DNS_BUILDER_H
#define TESTS_SUPPORT_DNS_BUILDER_H

#include <weir/classify/dns.h>
#include <weir/packet/bytes.h>

#include <stdlib.h>

#define DNS_FLAGS_QUERY    0x0100 /* RD */
#define DNS_FLAGS_RESPONSE 0x8180 /* QR RD RA */
#define DNS_QUESTION_OFF   12

struct dns_builder {
	uint32_t len;
	uint8_t octets[65536];
};

static inline void dns_put8(struct dns_builder *b, uint8_t value)
{
	b->octets[b->len++] = value;
}

static inline void dns_put16(struct dns_builder *b, uint16_t value)
{
	store_be16(b->octets + b->len, value);
	b->len += 2;
}

/* "www.example.com" as labels; "@" as a pointer to the question, "@N" to offset N, "" as the root. */
static inline void dns_put_name(struct dns_builder *b, const char *text)
{
	if (*text == '@') {
		unsigned long off =
			text[1] == '\0' ? DNS_QUESTION_OFF : strtoul(text + 1, NULL, 10);

		dns_put16(b, (uint16_t)(0xc000 | off));
		return;
	}
	while (*text != '\0') {
		size_t n = strcspn(text, ".");

		dns_put8(b, (uint8_t)n);
		memcpy(b->octets + b->len, text, n);
		b->len += (uint32_t)n;
		text += n + (text[n] == '.');
	}
	dns_put8(b, 0);
}

/* Header and question; no records yet. */
static inline void dns_begin(
	struct dns_builder *b, uint16_t id, uint16_t flags, const char *name, uint16_t type)
{
	memset(b->octets, 0, DNS_HEADER_BYTES);
	b->len = DNS_HEADER_BYTES;
	store_be16(b->octets, id);
	store_be16(b->octets + 2, flags);
	store_be16(b->octets + 4, 1);
	dns_put_name(b, name);
	dns_put16(b, type);
	dns_put16(b, 1);
}

/* Counts one more record of a section: 0 answer, 1 authority, 2 additional. */
static inline void dns_count(struct dns_builder *b, uint32_t section)
{
	uint8_t *count = b->octets + 6 + 2 * section;

	store_be16(count, (uint16_t)(load_be16(count) + 1));
}

static inline void dns_put_head(
	struct dns_builder *b, const char *owner, uint16_t type, uint16_t class, uint32_t ttl_s)
{
	dns_put_name(b, owner);
	dns_put16(b, type);
	dns_put16(b, class);
	dns_put16(b, (uint16_t)(ttl_s >> 16));
	dns_put16(b, (uint16_t)ttl_s);
}

/* A record of the answer: `data` is an address for type A, else a name. */
static inline void dns_put_record(
	struct dns_builder *b, const char *owner, uint16_t type, uint32_t ttl_s, const char *data)
{
	uint32_t length_off;

	dns_put_head(b, owner, type, 1, ttl_s);
	length_off = b->len;
	dns_put16(b, 0);
	if (type == DNS_TYPE_A) {
		(void)inet_pton(AF_INET, data, b->octets + b->len);
		b->len += 4;
	} else {
		dns_put_name(b, data);
	}
	store_be16(b->octets + length_off, (uint16_t)(b->len - length_off - 2));
	dns_count(b, 0);
}

#endif
