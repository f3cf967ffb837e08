/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any sequence of segments: the state stays one that has a name, the hours of an established connection need an ACK of
 * both sides, the last ACK a FIN of both, and what was reset comes back by a SYN or by the word of both sides.
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
	const uint8_t spoke = TCP_ACK | TCP_FIN;
	uint8_t state = TCP_STATE_NONE;

	for (size_t i = 0; i + 1 < size; i += 2) {
		enum direction direction = data[i] & 1;
		uint8_t flags = data[i + 1];
		uint8_t before = state;

		state = tcp_track_next(state, direction, flags);
		seen[direction] |= flags;
		require(state < N_TCP_STATES);
		/* What is taken up in mid-life has begun with the internal side's ACK. */
		if (before == TCP_STATE_NONE)
			seen[UPLINK] |= TCP_ACK;
		if (tcp_state_is_established(state))
			require((seen[UPLINK] & spoke) != 0 && (seen[DOWNLINK] & spoke) != 0);
		/* A connection taken up in mid-life, or after a reset, is the one that a single segment may establish. */
		if (before == TCP_STATE_SYN_SENT || before == TCP_STATE_SYN_RECEIVED
			|| before == TCP_STATE_SYN_BOTH || before == TCP_STATE_RESET)
			require(!tcp_state_is_established(state));
		if (state >= TCP_STATE_LAST_ACK_INTERNAL && state <= TCP_STATE_TIME_WAIT)
			require((seen[UPLINK] & seen[DOWNLINK] & TCP_FIN) != 0);
		if (before == TCP_STATE_TIME_WAIT && state != before)
			require(tcp_track_opens(flags));
		if (before == TCP_STATE_RESET && state != before)
			require(tcp_track_opens(flags) || direction == UPLINK);
	}
	return 0;
}
