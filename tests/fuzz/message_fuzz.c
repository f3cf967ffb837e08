/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream of control messages in pieces of any size: however it is cut, the same messages come out.
 * The first byte of the input chooses the sizes of the pieces.
 */
#include <weir/proto/message.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
	uint64_t digest;
	uint32_t n_messages;
	int error;
};

static void digest_add(struct outcome *o, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		o->digest = (o->digest ^ b[i]) * 0x100000001b3ull;
}

static struct outcome read_stream(const uint8_t *data, size_t n_data, size_t piece)
{
	struct message_reader r;
	struct outcome o = {.digest = 0xcbf29ce484222325ull};

	if (message_reader_init(&r, 4096) != 0)
		abort();
	while (n_data > 0 && o.error == 0) {
		size_t n_offered = n_data < piece ? n_data : piece;
		size_t n_used;
		uint8_t *heap = malloc(n_offered); /* of exact size: ASan sees each step beyond */
		int result;

		if (heap == NULL)
			abort();
		memcpy(heap, data, n_offered);
		result = message_feed(&r, heap, n_offered, &n_used);
		free(heap);
		if (n_used > n_offered || (result == 0 && n_used != n_offered))
			abort();
		if (result == 1) {
			digest_add(&o, &r.type, sizeof(r.type));
			digest_add(&o, r.payload, r.len_bytes);
			o.n_messages++;
		} else if (result < 0) {
			o.error = result;
		}
		data += n_used;
		n_data -= n_used;
	}
	message_reader_clean(&r);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_data);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_data)
{
	struct outcome whole;
	struct outcome cut;

	if (n_data == 0)
		return 0;
	whole = read_stream(data + 1, n_data - 1, n_data);
	cut = read_stream(data + 1, n_data - 1, data[0] + 1u);
	if (whole.digest != cut.digest || whole.n_messages != cut.n_messages
		|| whole.error != cut.error)
		abort();
	return 0;
}
