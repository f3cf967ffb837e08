/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/proto/message.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t magic[4] = {'W', 'E', 'I', 'R'};

enum {
	VERSION_OFF = 4,
	TYPE_OFF = 5,
	RESERVED_OFF = 6,
	LENGTH_OFF = 8
};

int message_reader_init(struct message_reader *r, uint32_t payload_max)
{
	char *payload = malloc((size_t)payload_max + 1);

	if (payload == NULL)
		return -ENOMEM;
	*r = (struct message_reader){.payload_max = payload_max, .payload = payload};
	payload[0] = '\0';
	return 0;
}

void message_reader_clean(struct message_reader *r)
{
	free(r->payload);
	r->payload = NULL;
}

static int header_check(struct message_reader *r)
{
	const uint8_t *h = r->header;

	if (memcmp(h, magic, sizeof(magic)) != 0)
		return -EPROTO;
	if (h[VERSION_OFF] != MESSAGE_VERSION)
		return -EPROTONOSUPPORT;
	if (h[TYPE_OFF] < MESSAGE_REQUEST || h[TYPE_OFF] > MESSAGE_ERROR)
		return -EPROTO;
	if (h[RESERVED_OFF] != 0 || h[RESERVED_OFF + 1] != 0)
		return -EPROTO;
	r->type = (enum message_type)h[TYPE_OFF];
	r->len_bytes = (uint32_t)h[LENGTH_OFF] << 24 | (uint32_t)h[LENGTH_OFF + 1] << 16
		       | (uint32_t)h[LENGTH_OFF + 2] << 8 | h[LENGTH_OFF + 3];
	return r->len_bytes > r->payload_max ? -EMSGSIZE : 0;
}

/* Copies up to `n_wanted` bytes and says how many there were. */
static uint32_t fill(void *to, const void *from, size_t n_there, uint32_t n_wanted)
{
	uint32_t n = n_there < n_wanted ? (uint32_t)n_there : n_wanted;

	if (n > 0)
		memcpy(to, from, n);
	return n;
}

int message_feed(struct message_reader *r, const void *bytes, size_t n_bytes, size_t *ret_n_used)
{
	const uint8_t *in = bytes;
	uint32_t n;

	*ret_n_used = 0;
	if (r->failed != 0)
		return -r->failed;
	if (r->n_header < MESSAGE_HEADER_BYTES) {
		n = fill(r->header + r->n_header, in, n_bytes, MESSAGE_HEADER_BYTES - r->n_header);
		r->n_header += n;
		*ret_n_used = n;
		if (r->n_header < MESSAGE_HEADER_BYTES)
			return 0;
		r->failed = -header_check(r);
		if (r->failed != 0)
			return -r->failed;
		r->n_payload = 0;
	}
	n = fill(r->payload + r->n_payload, in + *ret_n_used, n_bytes - *ret_n_used,
		r->len_bytes - r->n_payload);
	r->n_payload += n;
	*ret_n_used += n;
	if (r->n_payload < r->len_bytes)
		return 0;
	r->payload[r->len_bytes] = '\0';
	r->n_header = 0;
	return 1;
}

void message_header_write(
	enum message_type type, uint32_t len_bytes, uint8_t ret_header[MESSAGE_HEADER_BYTES])
{
	memcpy(ret_header, magic, sizeof(magic));
	ret_header[VERSION_OFF] = MESSAGE_VERSION;
	ret_header[TYPE_OFF] = (uint8_t)type;
	ret_header[RESERVED_OFF] = 0;
	ret_header[RESERVED_OFF + 1] = 0;
	for (int i = 0; i < 4; i++)
		ret_header[LENGTH_OFF + i] = (uint8_t)(len_bytes >> (24 - 8 * i));
}

const char *message_error_text(int error)
{
	switch (-error) {
	case EPROTONOSUPPORT:
		return "another version of weir's control protocol";
	case EMSGSIZE:
		return "a message that is longer than allowed";
	case EPROTO:
		return "bytes that are not weir's control protocol";
	default:
		return "a message that was refused";
	}
}
