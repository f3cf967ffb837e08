/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures out: classic pcap with microseconds, little-endian on every machine.
 *
 * Source:   draft-ietf-opsawg-pcap sections 4 and 5.
 * Units:    microseconds since 1970.
 * Errors:   the first error of the file (a full disk) is kept, later writes do nothing, and close returns it.
 * Threads:  one owner.
 * Memory:   one buffer of 256 KiB.
 */
#ifndef WEIR_PORT_CAPTURE_WRITER_H
#define WEIR_PORT_CAPTURE_WRITER_H

#include <stdint.h>

enum capture_link_type {
	CAPTURE_LINK_ETHERNET = 1,
	CAPTURE_LINK_RAW_IP = 101
};

struct capture_writer;

/* Creates or empties the file and writes its header. Returns 0, -ENOMEM or the errno of opening it. */
int capture_writer_create(
	const char *path, enum capture_link_type link_type, struct capture_writer **ret_writer);

/* Appends one frame, whole. */
void capture_writer_add(
	struct capture_writer *w, uint64_t time_us, const uint8_t *frame, uint32_t len_bytes);

/* 0, or the error that happened so far. */
int capture_writer_error(const struct capture_writer *w);

/* Writes what is left, closes and frees. Returns 0 or the first error. NULL is fine. */
int capture_writer_close(struct capture_writer *w);

#endif
