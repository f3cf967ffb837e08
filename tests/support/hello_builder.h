/* SPDX-License-Identifier: BSD-3-Clause */
/* ClientHellos and QUIC Initial packets for tests. */
#ifndef TESTS_SUPPORT_HELLO_BUILDER_H
#define TESTS_SUPPORT_HELLO_BUILDER_H

#include <weir/packet/bytes.h>

#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <string.h>

#define HELLO_ROOM 20000

struct hello_builder {
	uint32_t len;
	uint8_t octets[HELLO_ROOM];
};

static inline void hello_put(struct hello_builder *b, const void *octets, uint32_t len)
{
	memcpy(b->octets + b->len, octets, len);
	b->len += len;
}

static inline void hello_put8(struct hello_builder *b, uint8_t value)
{
	b->octets[b->len++] = value;
}

static inline void hello_put16(struct hello_builder *b, uint16_t value)
{
	store_be16(b->octets + b->len, value);
	b->len += 2;
}

/* An extension of `n` octets of zero. */
static inline void hello_put_padding(struct hello_builder *b, uint16_t type, uint16_t n)
{
	hello_put16(b, type);
	hello_put16(b, n);
	memset(b->octets + b->len, 0, n);
	b->len += n;
}

static inline void hello_put_name(struct hello_builder *b, const char *name)
{
	uint16_t n = (uint16_t)strlen(name);

	hello_put16(b, 0);
	hello_put16(b, (uint16_t)(n + 5));
	hello_put16(b, (uint16_t)(n + 3));
	hello_put8(b, 0);
	hello_put16(b, n);
	hello_put(b, name, n);
}

/* Up to the extensions; hello_end() closes them. */
static inline void hello_begin(struct hello_builder *b)
{
	static const uint8_t suites[] = {0, 2, 0x13, 0x01, 1, 0};

	memset(b->octets, 0, 4);
	b->octets[0] = 1;
	b->len = 4;
	hello_put16(b, 0x0303);
	memset(b->octets + b->len, 0x11, 32);
	b->len += 32;
	hello_put8(b, 32);
	memset(b->octets + b->len, 0x22, 32);
	b->len += 32;
	hello_put(b, suites, sizeof(suites));
	hello_put16(b, 0);
}

#define HELLO_EXTENSIONS_OFF (4 + 2 + 32 + 1 + 32 + 6)

static inline void hello_set_lengths(struct hello_builder *b)
{
	b->octets[1] = (uint8_t)((b->len - 4) >> 16);
	store_be16(b->octets + 2, (uint16_t)(b->len - 4));
}

static inline void hello_end(struct hello_builder *b)
{
	store_be16(b->octets + HELLO_EXTENSIONS_OFF, (uint16_t)(b->len - HELLO_EXTENSIONS_OFF - 2));
	hello_set_lengths(b);
}

/* The handshake in records of at most `n_max` octets each. */
static inline void hello_put_records(
	struct hello_builder *to, const struct hello_builder *hello, uint32_t n_max)
{
	for (uint32_t at = 0; at < hello->len; at += n_max) {
		uint32_t n = hello->len - at < n_max ? hello->len - at : n_max;

		hello_put8(to, 22);
		hello_put16(to, 0x0301);
		hello_put16(to, (uint16_t)n);
		hello_put(to, hello->octets + at, n);
	}
}

struct quic_keys {
	uint8_t key[16];
	uint8_t iv[12];
	uint8_t hp[16];
};

/* RFC 9001 5.3, 5.4: seals a packet whose header, with a packet number of 4 octets at its end, is `header`. Returns its length. */
static inline uint32_t quic_seal(const struct quic_keys *keys, const uint8_t *header,
	uint32_t header_bytes, const uint8_t *plain, uint32_t plain_bytes, uint8_t *ret_packet)
{
	static struct gcm_aes128_ctx gcm;
	struct aes128_ctx hp;
	uint8_t mask[16];
	uint8_t iv[12];

	memcpy(iv, keys->iv, sizeof(iv));
	for (uint32_t i = 0; i < 4; i++)
		iv[8 + i] ^= header[header_bytes - 4 + i];
	memcpy(ret_packet, header, header_bytes);
	gcm_aes128_set_key(&gcm, keys->key);
	gcm_aes128_set_iv(&gcm, sizeof(iv), iv);
	gcm_aes128_update(&gcm, header_bytes, header);
	gcm_aes128_encrypt(&gcm, plain_bytes, ret_packet + header_bytes, plain);
	gcm_aes128_digest(&gcm, 16, ret_packet + header_bytes + plain_bytes);
	aes128_set_encrypt_key(&hp, keys->hp);
	aes128_encrypt(&hp, 16, mask, ret_packet + header_bytes);
	ret_packet[0] ^= mask[0] & 0x0f;
	for (uint32_t i = 0; i < 4; i++)
		ret_packet[header_bytes - 4 + i] ^= mask[i + 1];
	return header_bytes + plain_bytes + 16;
}

/* The client's keys for the destination connection id 8394c8f03e515708: RFC 9001 A.1, RFC 9369 A.1. */
static const struct quic_keys quic_rfc_keys[2] = {
	{{0x1f, 0x36, 0x96, 0x13, 0xdd, 0x76, 0xd5, 0x46, 0x77, 0x30, 0xef, 0xcb, 0xe3, 0xb1, 0xa2,
		 0x2d},
		{0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c},
		{0x9f, 0x50, 0x44, 0x9e, 0x04, 0xa0, 0xe8, 0x10, 0x28, 0x3a, 0x1e, 0x99, 0x33, 0xad,
			0xed, 0xd2}},
	{{0x8b, 0x1a, 0x0b, 0xc1, 0x21, 0x28, 0x42, 0x90, 0xa2, 0x9e, 0x09, 0x71, 0xb5, 0xcd, 0x04,
		 0x5d},
		{0x91, 0xf7, 0x3e, 0x23, 0x51, 0xd8, 0xfa, 0x91, 0x66, 0x0e, 0x90, 0x9f},
		{0x45, 0xb9, 0x5e, 0x15, 0x23, 0x5d, 0x6f, 0x45, 0xa6, 0xb1, 0x9c, 0xbc, 0xb0, 0x29,
			0x4b, 0xa9}},
};

/* The header of RFC 9001 A.2 (RFC 9369 A.2 for `version` 1), for `payload_bytes` behind its packet number. */
static inline uint32_t quic_rfc_header(
	uint32_t version, uint32_t payload_bytes, uint8_t number, uint8_t *ret)
{
	static const uint8_t heads[2][5] = {{0xc3, 0, 0, 0, 1}, {0xd3, 0x6b, 0x33, 0x43, 0xcf}};
	static const uint8_t rest[] = {8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0};

	memcpy(ret, heads[version], 5);
	memcpy(ret + 5, rest, sizeof(rest));
	store_be16(ret + 16, (uint16_t)(0x4000 | (payload_bytes + 4 + 16)));
	memset(ret + 18, 0, 3);
	ret[21] = number;
	return 22;
}

#endif
