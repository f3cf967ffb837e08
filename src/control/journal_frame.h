/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One checkpoint or record as it lies in a segment: header, payload, checksums.
 *
 * Source:   CRC-32C: RFC 3720 section 12.1 and appendix B.4.
 * Shapes:   little endian; a frame's copy is padded to sectors, and a record's second copy follows its first.
 *           0 magic · 4 version · 5 kind · 6 zero (2) · 8 journal · 16 generation · 24 sequence · 32 payload octets ·
 *           36 home: sector of the first copy · 40 CRC of the payload · 44 CRC of the 44 octets before · 48 payload
 * Threads:  pure functions.
 */
#ifndef WEIR_CONTROL_JOURNAL_FRAME_H
#define WEIR_CONTROL_JOURNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 48
#define SECTOR_BYTES       512

enum frame_kind {
	FRAME_CHECKPOINT = 1,
	FRAME_RECORD = 2,
};

struct frame_header {
	uint8_t kind;
	uint64_t journal;    /* which journal it belongs to */
	uint64_t generation; /* of the segment: one more for each checkpoint */
	uint64_t sequence;
	uint32_t payload_bytes;
	uint32_t home_sector;
	uint32_t payload_crc;
};

uint32_t crc32c(const uint8_t *at, size_t n_bytes);

/* Octets of one copy, and of all that the frame occupies: whole pages. */
uint64_t frame_copy_bytes(uint32_t payload_bytes);
uint64_t frame_extent_bytes(uint8_t kind, uint32_t payload_bytes);

/* Puts the header before the payload that stands at `frame` + 48 and fills the whole extent. */
void frame_seal(uint8_t *frame, struct frame_header *h);

/* False unless a header of ours stands there whole. Its payload may still be torn. */
bool frame_read_header(const uint8_t *at, struct frame_header *ret_header);

#endif
