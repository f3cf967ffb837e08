/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/classify/streams.h>

#include <criterion/criterion.h>
#include <errno.h>

#define START (1000 * US_PER_S)

static struct segment_in piece(uint64_t flow, uint16_t device, uint32_t seq, const char *text)
{
	return (struct segment_in){
		flow, device, seq, (const uint8_t *)text, (uint32_t)strlen(text)};
}

/* Arrives, and is kept from `n_read` on; what can be read then. */
static struct stream_view arrive(struct streams *s, struct segment_in segment, uint32_t n_read)
{
	struct stream_view view = {0};

	if (streams_read(s, &segment, START, &view))
		(void)streams_keep(s, &segment, &view, n_read, START);
	return view;
}

Test(classify_streams, holds_only_what_is_not_read_yet)
{
	struct streams *s;
	struct stream_view view;

	cr_assert_eq(streams_create(4, 32, &s), 0);
	view = arrive(s, piece(1, 0, UINT32_MAX - 1, "abcd"), 4);
	cr_assert_null(view.stream, "read where it lies");
	cr_assert_eq(streams_n(s), 0);
	(void)arrive(s, piece(1, 0, UINT32_MAX - 1, "abcd"), 1);
	cr_assert_eq(streams_n(s), 1);
	view = arrive(s, piece(2, 0, 2, "zz"), 2);
	cr_assert_eq(view.len, 2, "another flow");
	view = arrive(s, piece(1, 0, 5, "hi"), 0);
	cr_assert_eq(view.len, 3, "a gap");
	view = arrive(s, piece(1, 0, 0, "cdefg"), 6);
	cr_assert_eq(view.len, 8);
	cr_assert_eq(streams_n(s), 1);
	view = arrive(s, piece(1, 0, 6, "i"), 2);
	cr_assert_eq(view.len, 2, "came before");
	cr_assert_eq(streams_n(s), 0, "all is read");
	streams_destroy(s);
	streams_destroy(NULL);
	cr_assert_eq(streams_create(0, 32, &s), -EINVAL);
	cr_assert_eq(streams_create(STREAMS_MAX + 1, 32, &s), -EINVAL);
	cr_assert_eq(streams_create(1, 0, &s), -EINVAL);
}

Test(classify_streams, gives_up_what_is_too_long_too_slow_or_too_finely_cut)
{
	struct segment_in more = piece(1, 0, 4, "efgh");
	struct streams *s;
	struct stream_view view;

	cr_assert_eq(streams_create(4, 6, &s), 0);
	(void)arrive(s, piece(1, 0, 0, "abcd"), 0);
	cr_assert_not(streams_read(s, &more, START, &view), "8 octets in a place for 6");
	cr_assert_eq(streams_n(s), 0);
	(void)arrive(s, piece(1, 0, 0, "abcdefgh"), 1);
	cr_assert_eq(streams_n(s), 0, "7 octets left over");
	(void)arrive(s, piece(1, 0, 0, "abcd"), 0);
	cr_assert_not(streams_read(s, &more, START + STREAM_US, &view), "too slow");
	(void)arrive(s, piece(1, 0, 0, "abcd"), 0);
	streams_expire(s, START + STREAM_US - 1);
	cr_assert_eq(streams_n(s), 1);
	streams_expire(s, START + STREAM_US);
	cr_assert_eq(streams_n(s), 0);
	(void)arrive(s, piece(1, 0, 0, "a"), 0);
	for (uint32_t i = 0; i < STREAM_SEGMENTS_MAX; i++)
		(void)arrive(s, piece(1, 0, 0, "a"), 0);
	cr_assert_eq(streams_n(s), 1);
	(void)arrive(s, piece(1, 0, 0, "a"), 0);
	cr_assert_eq(streams_n(s), 0, "too many pieces");
	streams_destroy(s);
}

Test(classify_streams, leaves_places_for_other_devices)
{
	struct streams *s;

	cr_assert_eq(streams_create(16, 8, &s), 0);
	for (uint64_t flow = 0; flow < 100; flow++)
		(void)arrive(s, piece(flow, 7, 0, "a"), 0);
	cr_assert_eq(streams_n(s), 3, "less than a quarter of what is free");
	for (uint16_t device = 100; device < 120; device++)
		(void)arrive(s, piece(device, device, 0, "a"), 0);
	cr_assert_eq(streams_n(s), 16, "one each while there is one");
	cr_assert_not_null(streams_find(s, 100));
	cr_assert_null(streams_find(s, 119));
	cr_assert_not_null(
		streams_take(s, 119, 119, 0, START + STREAM_US), "what is over makes room");
	cr_assert_eq(streams_n(s), 1);
	streams_destroy(s);
}
