/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/quic.h>

#include <errno.h>
#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdbool.h>
#include <stdlib.h>

#define FORM_LONG      0xc0 /* with the fixed bit, RFC 9000 17.2 */
#define TYPE_MASK      0x30
#define CID_MAX        20
#define KEY_BYTES      16
#define IV_BYTES       12
#define TAG_BYTES      16
#define SAMPLE_BYTES   16
#define SAMPLE_OFF     4 /* behind the start of the packet number, RFC 9001 5.4.2 */
#define SECRET_BYTES   32
#define LABEL_INFO_MAX 32

enum {
	FRAME_PADDING = 0x00,
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_ACK_ECN = 0x03,
	FRAME_CRYPTO = 0x06,
	FRAME_CLOSE = 0x1c
};

struct version {
	uint32_t number;
	uint8_t initial_type;
	uint8_t salt[20];
	const char *key_label;
	const char *iv_label;
	const char *hp_label;
};

static const struct version versions[] = {
	{1, 0x00,
		{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
			0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		"quic key", "quic iv", "quic hp"}, /* RFC 9001 5.2 */
	{0x6b3343cf, 0x10,
		{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
			0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		"quicv2 key", "quicv2 iv", "quicv2 hp"}, /* RFC 9369 3.3 */
};

/* Nettle's contexts are too large for the stack: GCM has a table of 4 KiB. */
struct quic_reader {
	struct hmac_sha256_ctx hmac;
	struct gcm_aes128_ctx gcm;
	struct aes128_ctx hp;
	uint8_t header[QUIC_DATAGRAM_MAX]; /* without its protection */
	uint8_t plain[QUIC_DATAGRAM_MAX];
};

/* Bytes that are read forward; once too few are left, `is_short` stays and every read gives 0. */
struct bytes {
	const uint8_t *at;
	uint32_t left;
	bool is_short;
};

/* A long header up to the packet number, by offsets from the packet's start. */
struct long_header {
	const struct version *version; /* NULL: not one of ours */
	bool is_initial;
	const uint8_t *cid;
	uint32_t cid_bytes;
	uint32_t number_off;
	uint32_t end; /* of the packet */
};

int quic_reader_create(struct quic_reader **ret_reader)
{
	struct quic_reader *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	*ret_reader = q;
	return 0;
}

void quic_reader_destroy(struct quic_reader *q)
{
	free(q);
}

static const uint8_t *take(struct bytes *b, uint64_t n)
{
	const uint8_t *at = b->at;

	if (n > b->left) {
		b->is_short = true;
		b->left = 0;
		return NULL;
	}
	b->at += n;
	b->left -= (uint32_t)n;
	return at;
}

static uint32_t take_octet(struct bytes *b)
{
	const uint8_t *at = take(b, 1);

	return at == NULL ? 0 : *at;
}

/* RFC 9000 16: the two upper bits tell whether it has 1, 2, 4 or 8 octets. */
static uint64_t take_varint(struct bytes *b)
{
	uint32_t first = take_octet(b);
	const uint8_t *rest = take(b, (1u << (first >> 6)) - 1);
	uint64_t value = first & 0x3f;

	if (rest == NULL)
		return 0;
	for (uint32_t i = 0; i < (1u << (first >> 6)) - 1; i++)
		value = value << 8 | rest[i];
	return value;
}

static const struct version *version_of(const uint8_t *number)
{
	uint32_t wanted = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16
			  | (uint32_t)number[2] << 8 | number[3];

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i].number == wanted)
			return &versions[i];
	return NULL;
}

/* False when it is no packet with a long header of a version that is known. */
static bool read_header(const uint8_t *packet, uint32_t len, struct long_header *ret)
{
	struct bytes b = {.at = packet, .left = len};
	uint32_t first = take_octet(&b);
	const uint8_t *number = take(&b, 4);
	struct long_header h = {0};
	uint64_t n_octets;

	if (number == NULL || (first & FORM_LONG) != FORM_LONG)
		return false;
	h.version = version_of(number);
	if (h.version == NULL)
		return false;
	h.cid_bytes = take_octet(&b);
	h.cid = take(&b, h.cid_bytes);
	n_octets = take_octet(&b); /* the source's id */
	if (h.cid_bytes > CID_MAX || n_octets > CID_MAX)
		return false;
	(void)take(&b, n_octets);
	h.is_initial = (first & TYPE_MASK) == h.version->initial_type;
	if (h.is_initial)
		(void)take(&b, take_varint(&b)); /* the token */
	n_octets = take_varint(&b);
	h.number_off = (uint32_t)(b.at - packet);
	(void)take(&b, n_octets);
	h.end = (uint32_t)(b.at - packet);
	*ret = h;
	return !b.is_short;
}

static void hmac(struct quic_reader *q, const uint8_t *key, uint32_t key_bytes,
	const uint8_t *octets, uint32_t len, uint8_t *ret_mac)
{
	hmac_sha256_set_key(&q->hmac, key_bytes, key);
	hmac_sha256_update(&q->hmac, len, octets);
	hmac_sha256_digest(&q->hmac, SECRET_BYTES, ret_mac);
}

/* RFC 8446 7.1 HKDF-Expand-Label with no context; what is wanted is never longer than one block. */
static void expand_label(struct quic_reader *q, const uint8_t *secret, const char *label,
	uint8_t *ret, uint8_t ret_bytes)
{
	uint8_t info[LABEL_INFO_MAX] = {0, ret_bytes};
	uint8_t mac[SECRET_BYTES];
	uint32_t n = 3;

	memcpy(info + n, "tls13 ", 6);
	n += 6;
	memcpy(info + n, label, strlen(label));
	n += (uint32_t)strlen(label);
	info[2] = (uint8_t)(n - 3);
	info[n++] = 0; /* the context's length */
	info[n++] = 1; /* RFC 5869 2.3: the first block */
	hmac(q, secret, SECRET_BYTES, info, n, mac);
	memcpy(ret, mac, ret_bytes);
}

/* RFC 9001 5.2: the client's keys. */
static void derive_keys(struct quic_reader *q, const struct long_header *h, uint8_t *ret_iv)
{
	uint8_t secret[SECRET_BYTES];
	uint8_t key[KEY_BYTES];

	hmac(q, h->version->salt, sizeof(h->version->salt), h->cid, h->cid_bytes, secret);
	expand_label(q, secret, "client in", secret, sizeof(secret));
	expand_label(q, secret, h->version->key_label, key, sizeof(key));
	gcm_aes128_set_key(&q->gcm, key);
	expand_label(q, secret, h->version->hp_label, key, sizeof(key));
	aes128_set_encrypt_key(&q->hp, key);
	expand_label(q, secret, h->version->iv_label, ret_iv, IV_BYTES);
}

/* RFC 9001 5.3 and 5.4: the length of the plaintext, or 0 when the packet is not genuine. */
static uint32_t decrypt(struct quic_reader *q, const uint8_t *packet, const struct long_header *h)
{
	uint8_t iv[IV_BYTES];
	uint8_t mask[SAMPLE_BYTES];
	uint8_t tag[TAG_BYTES];
	uint32_t number_bytes;
	uint32_t payload_off;
	uint32_t plain_bytes;

	if (h->end - h->number_off < SAMPLE_OFF + SAMPLE_BYTES)
		return 0;
	derive_keys(q, h, iv);
	aes128_encrypt(&q->hp, SAMPLE_BYTES, mask, packet + h->number_off + SAMPLE_OFF);
	memcpy(q->header, packet, h->number_off + 4);
	q->header[0] ^= mask[0] & 0x0f;
	number_bytes = (q->header[0] & 3u) + 1;
	payload_off = h->number_off + number_bytes;
	for (uint32_t i = 0; i < number_bytes; i++) {
		q->header[h->number_off + i] ^= mask[i + 1];
		iv[IV_BYTES - number_bytes + i] ^= q->header[h->number_off + i];
	}
	plain_bytes = h->end - payload_off - TAG_BYTES;
	gcm_aes128_set_iv(&q->gcm, IV_BYTES, iv);
	gcm_aes128_update(&q->gcm, payload_off, q->header);
	gcm_aes128_decrypt(&q->gcm, plain_bytes, q->plain, packet + payload_off);
	gcm_aes128_digest(&q->gcm, TAG_BYTES, tag);
	return memeql_sec(tag, packet + h->end - TAG_BYTES, TAG_BYTES) ? plain_bytes : 0;
}

static void skip_ack(struct bytes *b, bool has_ecn)
{
	uint64_t n_ranges;

	(void)take_varint(b); /* largest acknowledged */
	(void)take_varint(b); /* delay */
	n_ranges = take_varint(b);
	(void)take_varint(b); /* first range */
	for (uint64_t i = 0; i < 2 * n_ranges && !b->is_short; i++)
		(void)take_varint(b);
	for (uint32_t i = 0; i < (has_ecn ? 3 : 0); i++)
		(void)take_varint(b);
}

static void take_crypto(struct bytes *b, struct assembly *a)
{
	uint64_t offset = take_varint(b);
	uint64_t len = take_varint(b);
	const uint8_t *octets = take(b, len);

	/* What does not fit makes a hello that is never whole. */
	if (octets != NULL && offset <= UINT32_MAX)
		(void)assembly_add(a, (uint32_t)offset, octets, (uint32_t)len);
}

/* The frames that an Initial packet may carry (RFC 9000 12.4); anything else ends the reading. */
static void read_frames(const uint8_t *plain, uint32_t len, struct assembly *a)
{
	struct bytes b = {.at = plain, .left = len};

	while (b.left > 0) {
		uint64_t type = take_varint(&b);

		switch (type) {
		case FRAME_PADDING:
		case FRAME_PING:
			break;
		case FRAME_ACK:
		case FRAME_ACK_ECN:
			skip_ack(&b, type == FRAME_ACK_ECN);
			break;
		case FRAME_CRYPTO:
			take_crypto(&b, a);
			break;
		case FRAME_CLOSE:
		default:
			return;
		}
	}
}

enum tls_hello quic_read_datagram(struct quic_reader *q, const uint8_t *datagram, uint32_t len,
	struct assembly *a, struct dns_name *ret_name)
{
	struct long_header h;
	uint32_t n_initials = 0;

	if (len > QUIC_DATAGRAM_MAX)
		len = 0;
	/* RFC 9000 12.2: packets with a long header tell where the next one begins. */
	for (uint32_t at = 0;
		n_initials < QUIC_INITIALS_MAX && read_header(datagram + at, len - at, &h);
		at += h.end) {
		uint32_t plain_bytes = h.is_initial ? decrypt(q, datagram + at, &h) : 0;

		n_initials += h.is_initial;
		read_frames(q->plain, plain_bytes, a);
	}
	if (a->n_ranges == 0)
		return TLS_HELLO_NONE;
	return tls_read_handshake(a->octets, assembly_n_ready(a), ret_name);
}
