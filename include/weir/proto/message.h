/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages: what the daemon and its clients say to each other over a Unix stream socket.
 *
 * Shapes:   a header of 12 bytes and a payload: "WEIR", version (1), type, two zero bytes, length of the
 *           payload (32 bits, big-endian). A payload is JSON in UTF-8. A client sends REQUEST; the answer is
 *           any number of MORE and one END, whose payloads joined are one JSON document, or an ERROR at any
 *           point, {"error": "…"}, which makes void what came before it.
 *           A document that lists things has one row a line, so that a client can take the rows as they come:
 *           {"flows":[ newline row, newline row … newline ],"n_total":2}
 * Units:    bytes.
 * Errors:   -EPROTO (not this protocol), -EPROTONOSUPPORT (another version), -EMSGSIZE (longer than the reader
 *           takes). A stream that failed once has lost its borders and stays failed.
 * Threads:  pure functions; a reader has one owner.
 * Memory:   a reader holds one payload of the size given at init.
 */
#ifndef WEIR_PROTO_MESSAGE_H
#define WEIR_PROTO_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_VERSION      1
#define MESSAGE_HEADER_BYTES 12
#define MESSAGE_REQUEST_MAX  (64u << 10) /* payload of a request */
#define MESSAGE_PART_MAX     (1u << 20)  /* payload of each part of an answer */

/* What a client may have to hold of an answer; listings that are longer are taken row by row. */
#define MESSAGE_ANSWER_MAX (64u << 20)

enum message_type {
	MESSAGE_REQUEST = 1,
	MESSAGE_MORE = 2,
	MESSAGE_END = 3,
	MESSAGE_ERROR = 4,
};

struct message_reader {
	uint8_t header[MESSAGE_HEADER_BYTES];
	uint32_t n_header;  /* bytes of the header held */
	uint32_t n_payload; /* bytes of the payload held */
	uint32_t payload_max;
	int failed; /* 0, or the errno that ended the stream */
	/* A complete message, until the next feed. */
	enum message_type type;
	uint32_t len_bytes;
	char *payload; /* followed by a NUL that is not counted */
};

/* Prepares a reader for payloads of up to `payload_max` bytes. Returns 0 or -ENOMEM. */
int message_reader_init(struct message_reader *r, uint32_t payload_max);

/* Frees what init took. */
void message_reader_clean(struct message_reader *r);

/*
 * Takes bytes off the stream up to the end of one message. Returns 1 when a message is complete, 0 when all
 * bytes were taken and more are needed, or a negative errno. `*ret_n_used` is how many bytes were taken, in each case.
 */
int message_feed(struct message_reader *r, const void *bytes, size_t n_bytes, size_t *ret_n_used);

/* Writes the header of a message whose payload has `len_bytes`. */
void message_header_write(
	enum message_type type, uint32_t len_bytes, uint8_t ret_header[MESSAGE_HEADER_BYTES]);

/* Why a stream was refused, for people: "another version of the protocol"; never NULL. */
const char *message_error_text(int error);

#endif
