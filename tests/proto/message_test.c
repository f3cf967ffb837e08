/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/proto/message.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct stream {
	uint8_t bytes[4096];
	size_t n;
};

static void stream_put(struct stream *s, enum message_type type, const char *payload)
{
	uint32_t len_bytes = (uint32_t)strlen(payload);

	message_header_write(type, len_bytes, s->bytes + s->n);
	memcpy(s->bytes + s->n + MESSAGE_HEADER_BYTES, payload, len_bytes);
	s->n += MESSAGE_HEADER_BYTES + len_bytes;
}

Test(proto_message, header_is_the_twelve_bytes_that_the_manual_shows)
{
	static const uint8_t want[MESSAGE_HEADER_BYTES] = {
		'W', 'E', 'I', 'R', 1, 3, 0, 0, 0x01, 0x02, 0x03, 0x04};
	uint8_t got[MESSAGE_HEADER_BYTES];

	message_header_write(MESSAGE_END, 0x01020304, got);
	cr_assert_arr_eq(got, want, sizeof(want));
}

Test(proto_message, messages_survive_every_size_of_piece)
{
	static const char *const texts[] = {"{\"show\":\"flows\"}", "", "x"};
	struct stream s = {.n = 0};

	stream_put(&s, MESSAGE_REQUEST, texts[0]);
	stream_put(&s, MESSAGE_MORE, texts[1]);
	stream_put(&s, MESSAGE_END, texts[2]);
	for (size_t piece = 1; piece <= s.n; piece++) {
		struct message_reader r;
		size_t at = 0;
		uint32_t n_messages = 0;

		cr_assert_eq(message_reader_init(&r, 64), 0);
		while (at < s.n) {
			size_t n_offered = s.n - at < piece ? s.n - at : piece;
			size_t n_used;
			int result = message_feed(&r, s.bytes + at, n_offered, &n_used);

			cr_assert_geq(result, 0);
			at += n_used;
			if (result == 0) {
				cr_assert_eq(n_used, n_offered,
					"all bytes are taken while more are needed");
				continue;
			}
			cr_assert_lt(n_messages, 3);
			cr_assert_eq(r.type, (enum message_type)(MESSAGE_REQUEST + n_messages));
			cr_assert_str_eq(r.payload, texts[n_messages]);
			n_messages++;
		}
		cr_assert_eq(n_messages, 3, "pieces of %zu bytes", piece);
		message_reader_clean(&r);
	}
}

Test(proto_message, half_a_message_is_no_message)
{
	struct stream s = {.n = 0};
	struct message_reader r;
	size_t n_used;

	stream_put(&s, MESSAGE_REQUEST, "{\"show\":\"status\"}");
	cr_assert_eq(message_reader_init(&r, 64), 0);
	cr_assert_eq(message_feed(&r, s.bytes, s.n - 1, &n_used), 0);
	cr_assert_eq(message_feed(&r, s.bytes + s.n, 0, &n_used), 0, "nothing more came");
	cr_assert_eq(n_used, 0);
	cr_assert_eq(message_feed(&r, s.bytes + s.n - 1, 1, &n_used), 1);
	message_reader_clean(&r);
}

Test(proto_message, refuses_what_is_not_the_protocol)
{
	static const struct {
		const char *claim;
		uint8_t header[MESSAGE_HEADER_BYTES];
		int want;
	} cases[] = {
		{"a browser", {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1'},
			-EPROTO},
		{"small letters", {'w', 'e', 'i', 'r', 1, 1, 0, 0, 0, 0, 0, 0}, -EPROTO},
		{"version 0", {'W', 'E', 'I', 'R', 0, 1, 0, 0, 0, 0, 0, 0}, -EPROTONOSUPPORT},
		{"version 2", {'W', 'E', 'I', 'R', 2, 1, 0, 0, 0, 0, 0, 0}, -EPROTONOSUPPORT},
		{"type 0", {'W', 'E', 'I', 'R', 1, 0, 0, 0, 0, 0, 0, 0}, -EPROTO},
		{"type 5", {'W', 'E', 'I', 'R', 1, 5, 0, 0, 0, 0, 0, 0}, -EPROTO},
		{"first reserved byte", {'W', 'E', 'I', 'R', 1, 1, 1, 0, 0, 0, 0, 0}, -EPROTO},
		{"second reserved byte", {'W', 'E', 'I', 'R', 1, 1, 0, 1, 0, 0, 0, 0}, -EPROTO},
		{"one byte too long", {'W', 'E', 'I', 'R', 1, 1, 0, 0, 0, 0, 0, 65}, -EMSGSIZE},
		{"4 GiB", {'W', 'E', 'I', 'R', 1, 1, 0, 0, 255, 255, 255, 255}, -EMSGSIZE},
		{"as long as allowed", {'W', 'E', 'I', 'R', 1, 1, 0, 0, 0, 0, 0, 64}, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message_reader r;
		size_t n_used;

		cr_assert_eq(message_reader_init(&r, 64), 0);
		cr_expect_eq(message_feed(&r, cases[i].header, MESSAGE_HEADER_BYTES, &n_used),
			cases[i].want, "%s", cases[i].claim);
		message_reader_clean(&r);
	}
}

Test(proto_message, a_failed_stream_stays_failed)
{
	struct stream s = {.n = 0};
	struct message_reader r;
	size_t n_used;

	stream_put(&s, MESSAGE_REQUEST, "{}");
	cr_assert_eq(message_reader_init(&r, 64), 0);
	cr_assert_eq(message_feed(&r, "not at all: no", MESSAGE_HEADER_BYTES, &n_used), -EPROTO);
	cr_assert_eq(message_feed(&r, s.bytes, s.n, &n_used), -EPROTO);
	cr_assert_eq(n_used, 0);
	message_reader_clean(&r);
}

Test(proto_message, each_refusal_has_its_sentence)
{
	cr_assert_str_neq(message_error_text(-EPROTO), message_error_text(-EMSGSIZE));
	cr_assert_str_neq(message_error_text(-EPROTO), message_error_text(-EPROTONOSUPPORT));
	cr_assert_not_null(message_error_text(0));
}
