/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/classify/streams.h>

#include <errno.h>
#include <stdlib.h>

#define DEVICE_SHARE 4

struct streams {
	uint32_t capacity;
	uint32_t octets_max;
	uint32_t n;      /* taken */
	uint32_t n_high; /* none is taken from here on */
	uint8_t *octets;
	struct stream streams[];
};

int streams_create(uint32_t n_streams, uint32_t octets_max, struct streams **ret_streams)
{
	struct streams *s;
	void *octets;
	int rc;

	if (n_streams == 0 || n_streams > STREAMS_MAX || octets_max == 0)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + n_streams * sizeof(s->streams[0]));
	if (s == NULL)
		return -ENOMEM;
	rc = memory_create((size_t)n_streams * octets_max, &octets);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->capacity = n_streams;
	s->octets_max = octets_max;
	s->octets = octets;
	*ret_streams = s;
	return 0;
}

void streams_destroy(struct streams *s)
{
	if (s == NULL)
		return;
	memory_destroy(s->octets, (size_t)s->capacity * s->octets_max);
	free(s);
}

struct stream *streams_find(struct streams *s, uint64_t flow)
{
	for (uint32_t i = 0; i < s->n_high; i++)
		if (s->streams[i].is_taken && s->streams[i].flow == flow)
			return &s->streams[i];
	return NULL;
}

static bool has_share(const struct streams *s, uint16_t device)
{
	uint32_t n_own = 0;

	for (uint32_t i = 0; i < s->n_high; i++)
		if (s->streams[i].is_taken && s->streams[i].device == device)
			n_own++;
	return n_own == 0 || n_own < (s->capacity - s->n) / DEVICE_SHARE;
}

struct stream *streams_take(
	struct streams *s, uint64_t flow, uint16_t device, uint32_t seq, uint64_t now_us)
{
	struct stream *stream;
	uint32_t place = 0;

	if (s->n == s->capacity)
		streams_expire(s, now_us);
	if (s->n == s->capacity || !has_share(s, device))
		return NULL;
	while (s->streams[place].is_taken)
		place++;
	stream = &s->streams[place];
	stream->flow = flow;
	stream->end_us = now_us + STREAM_US;
	stream->seq = seq;
	stream->n_segments = 0;
	stream->device = device;
	stream->is_taken = true;
	assembly_init(&stream->assembly, s->octets + (size_t)place * s->octets_max, s->octets_max);
	s->n++;
	if (place >= s->n_high)
		s->n_high = place + 1;
	return stream;
}

void streams_give(struct streams *s, struct stream *stream)
{
	if (stream == NULL)
		return;
	stream->is_taken = false;
	s->n--;
	while (s->n_high > 0 && !s->streams[s->n_high - 1].is_taken)
		s->n_high--;
}

/* Puts a segment in its place; what of it was read before is left out. */
static int add(struct stream *stream, const struct segment_in *segment)
{
	uint32_t offset = segment->seq - stream->seq;
	uint32_t n_old = 0;

	if (offset > INT32_MAX) {
		n_old = 0 - offset;
		offset = 0;
	}
	if (n_old >= segment->len)
		return 0;
	return assembly_add(
		&stream->assembly, offset, segment->octets + n_old, segment->len - n_old);
}

bool streams_read(struct streams *s, const struct segment_in *segment, uint64_t now_us,
	struct stream_view *ret_view)
{
	struct stream *stream = streams_find(s, segment->flow);

	if (stream == NULL) {
		*ret_view = (struct stream_view){segment->octets, segment->len, NULL};
		return true;
	}
	if (stream->end_us <= now_us || ++stream->n_segments > STREAM_SEGMENTS_MAX
		|| add(stream, segment) < 0) {
		streams_give(s, stream);
		return false;
	}
	*ret_view = (struct stream_view){
		stream->assembly.octets, assembly_n_ready(&stream->assembly), stream};
	return true;
}

bool streams_keep(struct streams *s, const struct segment_in *segment,
	const struct stream_view *view, uint32_t n_read, uint64_t now_us)
{
	struct stream *stream = view->stream;

	if (stream != NULL) {
		assembly_consume(&stream->assembly, n_read);
		stream->seq += n_read;
		if (n_read > 0) { /* another message begins */
			stream->n_segments = 0;
			stream->end_us = now_us + STREAM_US;
		}
		if (stream->assembly.n_ranges == 0)
			streams_give(s, stream);
		return true;
	}
	if (n_read == view->len)
		return true;
	stream = streams_take(s, segment->flow, segment->device, segment->seq + n_read, now_us);
	if (stream == NULL)
		return false;
	if (assembly_add(&stream->assembly, 0, view->octets + n_read, view->len - n_read) < 0) {
		streams_give(s, stream);
		return false;
	}
	return true;
}

void streams_expire(struct streams *s, uint64_t now_us)
{
	for (uint32_t i = 0; i < s->capacity; i++)
		if (s->streams[i].is_taken && s->streams[i].end_us <= now_us)
			streams_give(s, &s->streams[i]);
}

uint32_t streams_n(const struct streams *s)
{
	return s->n;
}
