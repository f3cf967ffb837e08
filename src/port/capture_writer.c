/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/port/capture_writer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES        (1u << 18) /* stays in the second-level cache until the kernel copies it */
#define FILE_HEADER_BYTES   24
#define RECORD_HEADER_BYTES 16
#define MAGIC_MICROSECONDS  0xa1b2c3d4
#define SNAP_BYTES          262144 /* what tcpdump writes for "whole" */

struct capture_writer {
	uint8_t *buffer;
	uint32_t n_buffered;
	int fd;
	int error;
};

static uint8_t *put_le16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
	return at + 2;
}

static uint8_t *put_le32(uint8_t *at, uint32_t value)
{
	return put_le16(put_le16(at, (uint16_t)value), (uint16_t)(value >> 16));
}

static void write_all(struct capture_writer *w, const uint8_t *bytes, size_t len_bytes)
{
	while (len_bytes > 0 && w->error == 0) {
		ssize_t n = write(w->fd, bytes, len_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			w->error = -errno;
			return;
		}
		bytes += n;
		len_bytes -= (size_t)n;
	}
}

static void flush(struct capture_writer *w)
{
	write_all(w, w->buffer, w->n_buffered);
	w->n_buffered = 0;
}

int capture_writer_create(
	const char *path, enum capture_link_type link_type, struct capture_writer **ret_writer)
{
	struct capture_writer *w = calloc(1, sizeof(*w));
	uint8_t *at;
	int rc = -ENOMEM;

	if (w == NULL)
		return rc;
	w->buffer = malloc(BUFFER_BYTES);
	if (w->buffer == NULL)
		goto err_writer;
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (w->fd < 0) {
		rc = -errno;
		goto err_buffer;
	}
	at = put_le32(w->buffer, MAGIC_MICROSECONDS);
	at = put_le16(put_le16(at, 2), 4); /* version 2.4 */
	at = put_le32(put_le32(at, 0), 0); /* UTC, accuracy not told */
	at = put_le32(at, SNAP_BYTES);
	put_le32(at, (uint32_t)link_type);
	w->n_buffered = FILE_HEADER_BYTES;
	*ret_writer = w;
	return 0;

err_buffer:
	free(w->buffer);
err_writer:
	free(w);
	return rc;
}

void capture_writer_add(
	struct capture_writer *w, uint64_t time_us, const uint8_t *frame, uint32_t len_bytes)
{
	uint8_t *at;

	if (len_bytes > BUFFER_BYTES - RECORD_HEADER_BYTES)
		w->error = w->error != 0 ? w->error : -EMSGSIZE;
	if (w->error != 0)
		return;
	if (w->n_buffered + RECORD_HEADER_BYTES + len_bytes > BUFFER_BYTES)
		flush(w);
	at = w->buffer + w->n_buffered;
	at = put_le32(at, (uint32_t)(time_us / US_PER_S));
	at = put_le32(at, (uint32_t)(time_us % US_PER_S));
	at = put_le32(put_le32(at, len_bytes), len_bytes);
	memcpy(at, frame, len_bytes);
	w->n_buffered += RECORD_HEADER_BYTES + len_bytes;
}

int capture_writer_error(const struct capture_writer *w)
{
	return w->error;
}

int capture_writer_close(struct capture_writer *w)
{
	int error;

	if (w == NULL)
		return 0;
	flush(w);
	if (close(w->fd) != 0 && w->error == 0)
		w->error = -errno;
	error = w->error;
	free(w->buffer);
	free(w);
	return error;
}
