/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/tls.h>

#define RECORD_HANDSHAKE       22
#define RECORD_HEADER_BYTES    5
#define RECORD_PAYLOAD_MAX     16384 /* RFC 8446 5.1: 2^14 of plaintext */
#define HANDSHAKE_CLIENT_HELLO 1
#define RANDOM_BYTES           32
#define SESSION_ID_MAX         32
#define EXTENSION_SERVER_NAME  0
#define NAME_TYPE_HOST         0

/*
 * Reads forward. The first thing that goes wrong stays in `why`, and every later read gives 0. `n_left` is what is left
 * of the thing being read (message, list): TLS_HELLO_NONE beyond it; beyond what has come: TLS_HELLO_MORE.
 */
struct reader {
	const uint8_t *octets;
	uint32_t len;
	uint32_t at;
	uint32_t record_left; /* octets of this record */
	uint32_t n_records;
	bool has_records;
	enum tls_hello why; /* TLS_HELLO_NAME: nothing is wrong yet */
	uint32_t n_left;
};

static void fail(struct reader *r, enum tls_hello why)
{
	if (r->why == TLS_HELLO_NAME)
		r->why = why;
	r->n_left = 0;
}

/* Goes into the next record. What is there of its header is checked even when it is not whole. */
static void next_record(struct reader *r)
{
	const uint8_t *header = r->octets + r->at;
	uint32_t n = r->len - r->at;
	uint32_t payload_bytes;

	if ((n > 0 && header[0] != RECORD_HANDSHAKE) || (n > 1 && header[1] != 3)
		|| r->n_records == TLS_RECORDS_MAX) {
		fail(r, TLS_HELLO_NONE);
		return;
	}
	if (n < RECORD_HEADER_BYTES) {
		fail(r, TLS_HELLO_MORE);
		return;
	}
	payload_bytes = (uint32_t)header[3] << 8 | header[4];
	if (payload_bytes == 0 || payload_bytes > RECORD_PAYLOAD_MAX)
		fail(r, TLS_HELLO_NONE);
	r->at += RECORD_HEADER_BYTES;
	r->record_left = payload_bytes;
	r->n_records++;
}

/* Goes over `n` octets; into `ret_octets` unless NULL. */
static void take(struct reader *r, uint32_t n, uint8_t *ret_octets)
{
	if (n > r->n_left)
		fail(r, TLS_HELLO_NONE);
	while (n > 0 && r->why == TLS_HELLO_NAME) {
		uint32_t n_now = n;

		if (r->has_records && r->record_left == 0) {
			next_record(r);
			continue;
		}
		if (r->has_records && n_now > r->record_left)
			n_now = r->record_left;
		if (n_now > r->len - r->at) {
			fail(r, TLS_HELLO_MORE);
			return;
		}
		if (ret_octets != NULL) {
			memcpy(ret_octets, r->octets + r->at, n_now);
			ret_octets += n_now;
		}
		r->at += n_now;
		r->record_left -= r->has_records ? n_now : 0;
		r->n_left -= n_now;
		n -= n_now;
	}
}

/* A number of 1 to 3 octets. */
static uint32_t take_number(struct reader *r, uint32_t n_octets)
{
	uint8_t octets[3] = {0};
	uint32_t number = 0;

	take(r, n_octets, octets);
	for (uint32_t i = 0; i < n_octets; i++)
		number = number << 8 | octets[i];
	return number;
}

/* Goes over a vector: its length in `n_octets`, then as much. */
static void skip_vector(struct reader *r, uint32_t n_octets)
{
	take(r, take_number(r, n_octets), NULL);
}

/* Begins a vector that is read: only it is left. Returns what is left behind it, for end_vector(). */
static uint32_t begin_vector(struct reader *r, uint32_t n_octets)
{
	uint32_t len = take_number(r, n_octets);
	uint32_t behind;

	if (len > r->n_left) {
		fail(r, TLS_HELLO_NONE);
		return 0;
	}
	behind = r->n_left - len;
	r->n_left = len;
	return behind;
}

/* Ends it: all of it must have been read. */
static void end_vector(struct reader *r, uint32_t behind)
{
	if (r->n_left != 0)
		fail(r, TLS_HELLO_NONE);
	if (r->why == TLS_HELLO_NAME)
		r->n_left = behind;
}

/* RFC 6066 3: one name of the one type there is. */
static void read_server_name(struct reader *r, struct dns_name *name)
{
	uint8_t text[DNS_NAME_MAX];
	uint32_t behind = begin_vector(r, 2);
	uint32_t type = take_number(r, 1);
	uint32_t len = take_number(r, 2);

	if (type != NAME_TYPE_HOST || len > sizeof(text) || name->len != 0)
		fail(r, TLS_HELLO_NONE);
	take(r, len, text);
	end_vector(r, behind);
	if (r->why == TLS_HELLO_NAME && dns_name_parse((const char *)text, len, name) < 0)
		fail(r, TLS_HELLO_NONE);
}

/* Reads on to the end, past the name: a second one, or one in a message that is cut off, is none. */
static void read_extensions(struct reader *r, struct dns_name *name)
{
	uint32_t behind = begin_vector(r, 2);

	while (r->n_left > 0) {
		uint32_t type = take_number(r, 2);
		uint32_t behind_one = begin_vector(r, 2);

		if (type == EXTENSION_SERVER_NAME)
			read_server_name(r, name);
		else
			take(r, r->n_left, NULL);
		end_vector(r, behind_one);
	}
	end_vector(r, behind);
}

static enum tls_hello read_hello(struct reader *r, struct dns_name *ret_name)
{
	struct dns_name name = {0};
	uint32_t version;
	uint32_t len;

	r->n_left = 4;
	if (take_number(r, 1) != HANDSHAKE_CLIENT_HELLO)
		fail(r, TLS_HELLO_NONE);
	len = take_number(r, 3);
	if (len > TLS_HELLO_MAX)
		fail(r, TLS_HELLO_NONE);
	r->n_left = r->why == TLS_HELLO_NAME ? len : 0;
	version = take_number(r, 2);
	if (version >> 8 != 3)
		fail(r, TLS_HELLO_NONE);
	take(r, RANDOM_BYTES, NULL);
	len = take_number(r, 1);
	if (len > SESSION_ID_MAX)
		fail(r, TLS_HELLO_NONE);
	take(r, len, NULL);
	skip_vector(r, 2); /* cipher suites */
	skip_vector(r, 1); /* compression methods */
	if (r->n_left > 0) /* RFC 5246 7.4.1.2: there may be no extensions at all */
		read_extensions(r, &name);
	if (r->why != TLS_HELLO_NAME)
		return r->why;
	if (name.len == 0)
		return TLS_HELLO_NO_NAME;
	*ret_name = name;
	return TLS_HELLO_NAME;
}

enum tls_hello tls_read_records(const uint8_t *octets, uint32_t len, struct dns_name *ret_name)
{
	struct reader r = {
		.octets = octets, .len = len, .has_records = true, .why = TLS_HELLO_NAME};

	return read_hello(&r, ret_name);
}

enum tls_hello tls_read_handshake(const uint8_t *octets, uint32_t len, struct dns_name *ret_name)
{
	struct reader r = {.octets = octets, .len = len, .why = TLS_HELLO_NAME};

	return read_hello(&r, ret_name);
}
