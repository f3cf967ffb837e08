/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a client begins with, whole and in segments: what was found in the first octets stays found when more come, and a
 * stream that was put together tells the same as one that came at once.
 */
#include <weir/classify/streams.h>
#include <weir/classify/tls.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static enum tls_hello read_copy(const uint8_t *data, uint32_t len, struct dns_name *ret)
{
	uint8_t *copy = malloc(len); /* of the exact size, so that ASan sees every overrun */
	enum tls_hello result;

	demand(copy != NULL || len == 0);
	if (len > 0)
		memcpy(copy, data, len);
	result = tls_read_records(copy, len, ret);
	free(copy);
	return result;
}

/* The first octet says in which pieces it comes, and whether each one comes twice. */
static enum tls_hello read_segments(
	const uint8_t *data, uint32_t len, uint8_t how, struct dns_name *ret)
{
	struct streams *streams;
	enum tls_hello result = TLS_HELLO_MORE;
	uint32_t piece = len / ((how & 15u) + 1) + 1;
	uint32_t first = UINT32_MAX - (how >> 4) * 100; /* sequence numbers wrap */

	demand(streams_create(4, 70000, &streams) == 0);
	for (uint32_t at = 0; at < len && result == TLS_HELLO_MORE; at += piece) {
		uint32_t n = len - at < piece ? len - at : piece;
		struct segment_in segment = {1, 0, first + at, data + at, n};

		for (uint32_t times = 0; times <= (how >> 7) && result == TLS_HELLO_MORE; times++) {
			struct stream_view view;

			demand(streams_read(streams, &segment, 0, &view));
			result = tls_read_records(view.octets, view.len, ret);
			demand(streams_keep(streams, &segment, &view, 0, 0));
		}
	}
	streams_destroy(streams);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_name whole = {0};
	struct dns_name part = {0};
	enum tls_hello result;
	enum tls_hello first;
	uint32_t len;

	if (size < 3 || size > 70000)
		return 0;
	len = (uint32_t)size - 2;
	result = read_copy(data + 2, len, &whole);
	first = read_copy(data + 2, len * data[1] / 256, &part);
	demand(first == TLS_HELLO_MORE || first == result);
	demand(first != TLS_HELLO_NAME || dns_name_equal(&whole, &part));
	demand(read_segments(data + 2, len, data[0], &part) == result);
	demand(result != TLS_HELLO_NAME || dns_name_equal(&whole, &part));
	(void)tls_read_handshake(data + 2, len, &part);
	return 0;
}
