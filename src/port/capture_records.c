/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES        (1u << 19)
#define PIECE_BYTES         (1u << 17) /* read at once: still in the second-level cache when it is used */
#define FILE_HEADER_BYTES   24
#define RECORD_HEADER_BYTES 16
#define RECORD_MAX_BYTES    262144 /* as libpcap: no link type known here has longer ones */
#define MAGIC_MICROSECONDS  0xa1b2c3d4u
#define MAGIC_NANOSECONDS   0xa1b23c4du

struct records {
	FILE *stream;
	uint8_t *buffer;
	uint32_t at;          /* not yet handed out: from here */
	uint32_t end;         /* to here */
	uint32_t piece_bytes; /* to be read next */
	uint32_t snap_bytes;
	bool is_swapped;
};

_Static_assert(BUFFER_BYTES >= RECORD_HEADER_BYTES + RECORD_MAX_BYTES + PIECE_BYTES,
	"a record and a piece have room");

bool records_recognize(FILE *stream, struct records_format *ret_format)
{
	off_t start = ftello(stream);
	uint32_t magic = 0;
	uint32_t swapped;
	size_t n;

	if (start < 0)
		return false;
	n = fread(&magic, sizeof(magic), 1, stream);
	if (fseeko(stream, start, SEEK_SET) != 0 || n != 1)
		return false;
	swapped = __builtin_bswap32(magic);
	ret_format->is_swapped = swapped == MAGIC_MICROSECONDS || swapped == MAGIC_NANOSECONDS;
	if (ret_format->is_swapped)
		magic = swapped;
	ret_format->is_nano = magic == MAGIC_NANOSECONDS;
	return magic == MAGIC_MICROSECONDS || magic == MAGIC_NANOSECONDS;
}

int records_create(FILE *stream, const struct records_format *format, uint32_t snap_bytes,
	struct records **ret_records)
{
	struct records *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->buffer = malloc(BUFFER_BYTES);
	if (r->buffer == NULL) {
		free(r);
		return -ENOMEM;
	}
	r->stream = stream;
	/* What the stream has buffered goes first; whole pieces after that go past its buffer, uncopied. */
	r->piece_bytes = PIECE_BYTES - FILE_HEADER_BYTES;
	r->snap_bytes = snap_bytes;
	r->is_swapped = format->is_swapped;
	*ret_records = r;
	return 0;
}

void records_destroy(struct records *r)
{
	if (r == NULL)
		return;
	free(r->buffer);
	free(r);
}

/* Makes n bytes lie at `at`; false when the file ends before. */
static bool fill(struct records *r, uint32_t n)
{
	memmove(r->buffer, r->buffer + r->at, r->end - r->at);
	r->end -= r->at;
	r->at = 0;
	while (r->end < n) {
		size_t got = fread(r->buffer + r->end, 1, r->piece_bytes, r->stream);

		r->piece_bytes = PIECE_BYTES;
		if (got == 0)
			return false;
		r->end += (uint32_t)got;
	}
	return true;
}

static inline bool has(struct records *r, uint32_t n)
{
	return r->end - r->at >= n || fill(r, n);
}

static uint32_t word(const struct records *r, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return r->is_swapped ? __builtin_bswap32(value) : value;
}

static enum records_result ends_early(
	struct records *r, const char *what, uint32_t wanted, char error[RECORDS_ERROR_MAX])
{
	if (ferror(r->stream))
		snprintf(error, RECORDS_ERROR_MAX, "cannot be read further");
	else
		snprintf(error, RECORDS_ERROR_MAX,
			"truncated: the last packet has %u of the %u bytes of its %s",
			r->end - r->at, wanted, what);
	return RECORDS_DAMAGED;
}

enum records_result records_next(
	struct records *r, struct record *ret_record, char error[RECORDS_ERROR_MAX])
{
	const uint8_t *header;
	uint32_t len;

	if (!has(r, RECORD_HEADER_BYTES)) {
		if (r->end == r->at && !ferror(r->stream))
			return RECORDS_END;
		return ends_early(r, "header", RECORD_HEADER_BYTES, error);
	}
	len = word(r, r->buffer + r->at + 8);
	if (len > RECORD_MAX_BYTES) {
		snprintf(error, RECORDS_ERROR_MAX,
			"corrupt: a packet of %u bytes, where %u are the most", len,
			RECORD_MAX_BYTES);
		return RECORDS_DAMAGED;
	}
	if (!has(r, RECORD_HEADER_BYTES + len)) {
		r->at += RECORD_HEADER_BYTES;
		return ends_early(r, "data", len, error);
	}
	header = r->buffer + r->at;
	*ret_record = (struct record){
		.data = header + RECORD_HEADER_BYTES,
		.seconds = word(r, header),
		.fraction = word(r, header + 4),
		.len_bytes = len < r->snap_bytes ? len : r->snap_bytes,
		.wire_bytes = word(r, header + 12),
	};
	r->at += RECORD_HEADER_BYTES + len;
	return RECORDS_NEXT;
}
