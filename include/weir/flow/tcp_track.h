/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP connection state as one table: state × direction × flags.
 *
 * Source:   RFC 9293 section 3.3.2 seen from the middle; RFC 5382 REQ-1 to REQ-6 (openings, timers); RFC 7857 section 2.
 * Shapes:   partially open until both sides have sent an ACK, established until both have sent a FIN, closing until the
 *           second FIN is acknowledged (RFC 5382 section 5). Flags alone: whether an RST or the last ACK belongs to the
 *           connection by its numbers is for the caller to say.
 * Threads:  pure.
 */
#ifndef WEIR_FLOW_TCP_TRACK_H
#define WEIR_FLOW_TCP_TRACK_H

#include <weir/base/direction.h>
#include <weir/packet/meta.h>

#include <stdbool.h>
#include <stdint.h>

enum tcp_state {
	TCP_STATE_NONE = 0,
	TCP_STATE_SYN_SENT,     /* SYN from the internal side */
	TCP_STATE_SYN_RECEIVED, /* SYN from the remote side */
	TCP_STATE_SYN_BOTH,     /* both sides have sent a SYN and none an ACK: simultaneous open */
	TCP_STATE_ACK_INTERNAL, /* the same, and the internal side has sent an ACK */
	TCP_STATE_ACK_REMOTE,   /* the same, and the remote side has: its SYN-ACK */
	TCP_STATE_EARLY_FIN_INTERNAL, /* the internal side has sent its FIN, and the remote one no ACK yet */
	TCP_STATE_EARLY_FIN_REMOTE, /* the other way round */
	TCP_STATE_ESTABLISHED,
	TCP_STATE_FIN_INTERNAL, /* the internal side has closed its half */
	TCP_STATE_FIN_REMOTE,   /* the remote side has closed its half */
	TCP_STATE_LAST_ACK_INTERNAL, /* both have, the remote side last: the internal one's ACK is missing */
	TCP_STATE_LAST_ACK_REMOTE, /* the other way round */
	TCP_STATE_TIME_WAIT,       /* the second FIN was acknowledged */
	TCP_STATE_RESET,
	TCP_STATE_RESET_DOUBTED, /* reset, but the internal side speaks on */
	N_TCP_STATES,
};

/* True while both sides may speak: the phase that RFC 5382 REQ-5 keeps for hours. */
static inline bool tcp_state_is_established(uint8_t state)
{
	return state >= TCP_STATE_ESTABLISHED && state <= TCP_STATE_FIN_REMOTE;
}

/* True when the connection is over but for what may still be under way. */
static inline bool tcp_state_is_over(uint8_t state)
{
	return state >= TCP_STATE_LAST_ACK_INTERNAL;
}

/* The state after a segment with `tcp_flags` in `direction`. */
uint8_t tcp_track_next(uint8_t state, enum direction direction, uint8_t tcp_flags);

/*
 * True when an RST with this sequence number may come from the other end of a side that has last acknowledged `acked`
 * (RFC 7857 section 2.2, RFC 5961 section 3: in the window). Both are the upper 24 bits of a number: a window ends 8 MiB
 * on, so that one guess in 512 is right.
 */
static inline bool tcp_track_rst_fits(uint32_t seq, uint32_t acked)
{
	return ((seq - acked) & 0xffffff) <= (8u << 20 >> 8);
}

/* True when a segment with these flags may open a connection (a SYN without ACK, RST or FIN). */
static inline int tcp_track_opens(uint8_t tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* "established"; never NULL. */
const char *tcp_state_name(uint8_t state);

#endif
