/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any sequence of segments: the state stays one that has a name, an opening needs
 * both sides and so does a close, and what ended comes back by a SYN alone.
 */
#include <weir/flow/tcp_track.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t seen[N_DIRECTIONS] = {0, 0};
	uint8_t state = TCP_STATE_NONE;

	for (size_t i = 0; i + 1 < size; i += 2) {
		enum direction direction = data[i] & 1;
		uint8_t flags = data[i + 1];
		uint8_t before = state;

		state = tcp_track_next(state, direction, flags);
		seen[direction] |= flags;
		require(state < N_TCP_STATES);
		/* A connection taken up in mid-life is the one that a single segment may establish. */
		if (state == TCP_STATE_ESTABLISHED && before != state && before != TCP_STATE_NONE)
			require((seen[UPLINK] | seen[DOWNLINK]) & TCP_SYN);
		if (before == TCP_STATE_SYN_SENT || before == TCP_STATE_SYN_RECEIVED)
			require(state != TCP_STATE_ESTABLISHED);
		if (state == TCP_STATE_FIN_BOTH)
			require((seen[UPLINK] & seen[DOWNLINK] & TCP_FIN) != 0);
		if ((before == TCP_STATE_RESET || before == TCP_STATE_FIN_BOTH) && state != before)
			require(tcp_track_opens(flags) || state == TCP_STATE_RESET);
	}
	return 0;
}
