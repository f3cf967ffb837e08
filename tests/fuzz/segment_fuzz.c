/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offload header and frame as they come: what is accepted is cut into segments that lie within their bounds and carry
 * the whole payload.
 */
#include "../../src/port/segment.h"

#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct segment_cutter c = {0};
	struct virtio_net_hdr offload;
	enum link_framing framing;
	uint32_t n_bytes, segment_bytes;
	uint8_t *frame;

	if (len < sizeof(offload) + 1)
		return 0;
	framing = data[0] & 1 ? FRAMING_RAW_IP : FRAMING_ETHERNET;
	memcpy(&offload, data + 1, sizeof(offload));
	n_bytes = (uint32_t)(len - sizeof(offload) - 1);
	frame = malloc(n_bytes); /* of the exact size, so that ASan sees every overrun */
	if (frame == NULL)
		return 0;
	memcpy(frame, data + sizeof(offload) + 1, n_bytes);
	(void)segment_finish_checksum(frame, n_bytes, &offload);
	if (segment_begin(&c, frame, n_bytes, framing, &offload) == 0) {
		uint32_t left = n_bytes - c.payload_off;

		while ((segment_bytes = segment_next_bytes(&c)) != 0) {
			uint8_t *segment = malloc(segment_bytes);

			if (segment == NULL)
				abort();
			segment_next(&c, segment);
			left -= segment_bytes - c.payload_off;
			free(segment);
		}
		if (left != 0)
			abort();
	}
	free(frame);
	return 0;
}
