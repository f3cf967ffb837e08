/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams as they come, and frames sealed into Initial packets, so that they are reached: reading stays within both, and
 * the same packets twice tell the same.
 */
#include "../support/hello_builder.h"

#include <weir/classify/quic.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static enum tls_hello read_copy(struct quic_reader *reader, struct assembly *a,
	const uint8_t *octets, uint32_t len, struct dns_name *ret)
{
	uint8_t *copy = malloc(len); /* of the exact size, so that ASan sees every overrun */
	enum tls_hello result;

	demand(copy != NULL || len == 0);
	if (len > 0)
		memcpy(copy, octets, len);
	result = quic_read_datagram(reader, copy, len, a, ret);
	free(copy);
	return result;
}

/* The first octet chooses the version and how many packets the frames are cut into. */
static void read_sealed(
	struct quic_reader *reader, struct assembly *a, const uint8_t *data, uint32_t len)
{
	static uint8_t packet[2 * QUIC_DATAGRAM_MAX];
	uint32_t version = data[0] & 1;
	uint32_t n_pieces = (data[0] >> 1 & 3u) + 1;
	uint32_t piece = (len - 1) / n_pieces + 1;
	uint32_t packet_bytes = 0;
	enum tls_hello result;
	struct dns_name name;
	struct dns_name again;

	for (uint32_t at = 1; at < len; at += piece) {
		uint8_t header[32];
		uint32_t n = len - at < piece ? len - at : piece;
		uint32_t header_bytes = quic_rfc_header(version, n, (uint8_t)at, header);

		packet_bytes += quic_seal(&quic_rfc_keys[version], header, header_bytes, data + at,
			n, packet + packet_bytes);
	}
	result = read_copy(reader, a, packet, packet_bytes, &name);
	for (uint32_t i = 1; i < a->n_ranges; i++)
		demand(a->ranges[i - 1].end < a->ranges[i].begin);
	demand(a->n_ranges == 0 || a->ranges[a->n_ranges - 1].end <= a->capacity);
	if (result == TLS_HELLO_NAME) {
		demand(read_copy(reader, a, packet, packet_bytes, &again) == TLS_HELLO_NAME);
		demand(dns_name_equal(&name, &again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct quic_reader *reader = NULL;
	struct assembly a;
	struct dns_name name;
	uint8_t *room;

	if (size < 2 || size > 3000)
		return 0;
	room = malloc(1000);
	demand(room != NULL && quic_reader_create(&reader) == 0);
	assembly_init(&a, room, 1000);
	(void)read_copy(reader, &a, data, (uint32_t)size, &name);
	assembly_init(&a, room, 1000);
	read_sealed(reader, &a, data, (uint32_t)size);
	quic_reader_destroy(reader);
	free(room);
	return 0;
}
