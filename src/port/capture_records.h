/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of a classic pcap file, read in large pieces.
 *
 * libpcap opens every capture and reads pcapng and whatever is rare; its two library calls and two copies a record are
 * most of what reading costs, though, and the records of the common format are 16 bytes of header and the packet.
 *
 * Source:   draft-ietf-opsawg-pcap sections 4 and 5: version 2.4, microseconds or nanoseconds, either byte order.
 * Units:    as in the file: what counts as a second's part is told by `is_nano`.
 * Errors:   RECORDS_DAMAGED, and a sentence.
 * Hostile:  lengths are bounded before they are used.
 * Threads:  one owner.
 * Memory:   one buffer a file, 512 KiB. A record's bytes stay valid until the next one is asked for.
 */
#ifndef WEIR_PORT_CAPTURE_RECORDS_H
#define WEIR_PORT_CAPTURE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define RECORDS_ERROR_MAX 128

struct records_format {
	bool is_swapped; /* the other byte order than this machine's */
	bool is_nano;
};

struct record {
	const uint8_t *data;
	uint32_t seconds;
	uint32_t fraction;
	uint32_t len_bytes;  /* captured, at most the file's snapshot length */
	uint32_t wire_bytes; /* as the file says: may be less */
};

enum records_result {
	RECORDS_NEXT,
	RECORDS_END,
	RECORDS_DAMAGED
};

struct records;

/* True when the stream, at its first byte, is a capture of that format. It is left where it was; a stream that cannot go back
 * (a pipe) is not looked at. */
bool records_recognize(FILE *stream, struct records_format *ret_format);

/* Reads on from a stream that stands behind the file's header; borrows it. Returns 0 or -ENOMEM. */
int records_create(FILE *stream, const struct records_format *format, uint32_t snap_bytes,
	struct records **ret_records);

/* NULL is fine. */
void records_destroy(struct records *r);

/* The next record; damage is told in `error`. */
enum records_result records_next(
	struct records *r, struct record *ret_record, char error[RECORDS_ERROR_MAX]);

#endif
