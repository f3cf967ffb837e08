/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams of flows whose messages come in several segments: held only until the message is whole.
 *
 * Source:   RFC 9293 section 3.4 (sequence numbers), RFC 7766 section 8 (DNS messages over TCP).
 * Shapes:   a stream is known by `flow` (any number that no other flow of these seconds has, both directions apart) and has a
 *           place for `octets_max` octets. A segment of a flow without a stream is its own stream, read where it lies, and
 *           only what is left of it is held. A device has no more than a quarter of the free places, but always one
 *           while there is one.
 * Units:    sequence numbers of TCP, 32 bits, wrapping; microseconds of the path clock.
 * Errors:   no room, too much, too many pieces, too slow (STREAM_US): the stream is given up, and what was in it is not learned.
 * Threads:  one worker owns it.
 * Memory:   fixed at create: octets_max and 240 bytes a stream.
 */
#ifndef WEIR_CLASSIFY_STREAMS_H
#define WEIR_CLASSIFY_STREAMS_H

#include <weir/base/clock.h>
#include <weir/classify/assembly.h>

#include <stdbool.h>

#define STREAM_US (10 * US_PER_S)
#define STREAM_SEGMENTS_MAX                                                                        \
	64              /* pieces of one message; each costs a look at what has come so far */
#define STREAMS_MAX 256 /* they are searched one by one */

struct stream {
	uint64_t flow;
	uint64_t end_us;
	uint32_t seq; /* of the first octet held */
	uint32_t n_segments;
	uint16_t device;
	bool is_taken;
	struct assembly assembly;
};

struct segment_in {
	uint64_t flow;
	uint16_t device;
	uint32_t seq; /* of its first octet */
	const uint8_t *octets;
	uint32_t len;
};

/* What can be read: the octets from the first unread one on, without a gap. Valid until the next call. */
struct stream_view {
	const uint8_t *octets;
	uint32_t len;
	struct stream *stream; /* NULL: the segment itself */
};

struct streams;

/* Returns 0, -EINVAL (no stream or more than STREAMS_MAX, or no octets) or -ENOMEM. */
int streams_create(uint32_t n_streams, uint32_t octets_max, struct streams **ret_streams);
void streams_destroy(struct streams *s);

/* The stream of a flow, or NULL. */
struct stream *streams_find(struct streams *s, uint64_t flow);

/* Takes a place for a flow's octets from `seq` on; NULL when there is none for this device. */
struct stream *streams_take(
	struct streams *s, uint64_t flow, uint16_t device, uint32_t seq, uint64_t now_us);

/* Gives it back; NULL is fine. */
void streams_give(struct streams *s, struct stream *stream);

/* A segment arrives: false when its stream had to be given up. */
bool streams_read(struct streams *s, const struct segment_in *segment, uint64_t now_us,
	struct stream_view *ret_view);

/* The caller has read `n_read` octets of the view and waits for more of the rest: it is held. False when there is no place for
 * it. With nothing left there is nothing to hold. */
bool streams_keep(struct streams *s, const struct segment_in *segment,
	const struct stream_view *view, uint32_t n_read, uint64_t now_us);

/* Ends the streams that have waited too long. */
void streams_expire(struct streams *s, uint64_t now_us);

/* How many are held. */
uint32_t streams_n(const struct streams *s);

#endif
