/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/flow/tcp_track.h>

/* What a segment means to the connection, by its flags. */
enum segment {
	SEGMENT_SYN,
	SEGMENT_SYN_ACK,
	SEGMENT_ACK,
	SEGMENT_FIN,
	SEGMENT_RST,
	N_SEGMENTS,
	SEGMENT_NONE = N_SEGMENTS, /* no flag that counts, or SYN with FIN: changes nothing */
};

#define NONE   TCP_STATE_NONE
#define S_SENT TCP_STATE_SYN_SENT
#define S_RECV TCP_STATE_SYN_RECEIVED
#define S_BOTH TCP_STATE_SYN_BOTH
#define A_INT  TCP_STATE_ACK_INTERNAL
#define A_REM  TCP_STATE_ACK_REMOTE
#define E_INT  TCP_STATE_EARLY_FIN_INTERNAL
#define E_REM  TCP_STATE_EARLY_FIN_REMOTE
#define ESTAB  TCP_STATE_ESTABLISHED
#define F_INT  TCP_STATE_FIN_INTERNAL
#define F_REM  TCP_STATE_FIN_REMOTE
#define L_INT  TCP_STATE_LAST_ACK_INTERNAL
#define L_REM  TCP_STATE_LAST_ACK_REMOTE
#define T_WAIT TCP_STATE_TIME_WAIT
#define RESET  TCP_STATE_RESET
#define DOUBT  TCP_STATE_RESET_DOUBTED

/*
 * Two lines a state: uplink, then downlink. Where a line has no reason of its own:
 * - NONE: a connection whose opening was not seen is taken up from inside alone. That proves nothing and keeps the
 *   transitory timeout; the remote side's answer proves that it lives.
 * - A SYN is answered by a SYN: handshake (RFC 9293 3.5 figure 6) or simultaneous open (figure 7; RFC 5382 REQ-2).
 *   ACKs of both sides establish, a SYN-ACK being one (RFC 5382 section 5).
 * - A bare ACK answers an unproven SYN only as a challenge (RFC 9293 3.10.7.3, RFC 5961 section 4).
 * - E_*: a fast-open server may say all and close before the third segment (RFC 7413); or a connection that closes was
 *   taken up in mid-life. Nobody makes a flow live for hours by his FIN alone.
 * - ESTABLISHED: a SYN in the window is a challenge, not a new connection (RFC 9293 3.10.7.4).
 * - A FIN closes one half; the other may go on (RFC 9293 3.6).
 * - L_*, T_WAIT, RESET: a SYN reopens the same ports (RFC 9293 3.6.1, RFC 6191).
 * - RESET: an RST seen from the middle is unproven. What the internal side says on, and the remote one answers, shows
 *   that they did not believe it (RFC 7857 section 2, figure 1); either alone may have crossed the RST on its way.
 */
/* clang-format off */
static const uint8_t next_states[N_TCP_STATES][N_DIRECTIONS][N_SEGMENTS] = {
	/*                             SYN     SYN+ACK ACK     FIN     RST */
	[NONE]   = { [UPLINK]   = { S_SENT, A_INT,  NONE,   E_INT,  RESET },
	             [DOWNLINK] = { S_RECV, A_REM,  ESTAB,  F_REM,  RESET } },
	[S_SENT] = { [UPLINK]   = { S_SENT, S_SENT, S_SENT, S_SENT, RESET },
	             [DOWNLINK] = { S_BOTH, A_REM,  S_SENT, S_SENT, RESET } },
	[S_RECV] = { [UPLINK]   = { S_BOTH, A_INT,  S_RECV, S_RECV, RESET },
	             [DOWNLINK] = { S_RECV, S_RECV, S_RECV, S_RECV, RESET } },
	[S_BOTH] = { [UPLINK]   = { S_BOTH, A_INT,  A_INT,  E_INT,  RESET },
	             [DOWNLINK] = { S_BOTH, A_REM,  A_REM,  E_REM,  RESET } },
	[A_INT]  = { [UPLINK]   = { A_INT,  A_INT,  A_INT,  E_INT,  RESET },
	             [DOWNLINK] = { A_INT,  ESTAB,  ESTAB,  F_REM,  RESET } },
	[A_REM]  = { [UPLINK]   = { A_REM,  ESTAB,  ESTAB,  F_INT,  RESET },
	             [DOWNLINK] = { A_REM,  A_REM,  A_REM,  E_REM,  RESET } },
	[E_INT]  = { [UPLINK]   = { S_SENT, E_INT,  E_INT,  E_INT,  RESET },
	             [DOWNLINK] = { E_INT,  F_INT,  F_INT,  L_INT,  RESET } },
	[E_REM]  = { [UPLINK]   = { E_REM,  F_REM,  F_REM,  L_REM,  RESET },
	             [DOWNLINK] = { S_RECV, E_REM,  E_REM,  E_REM,  RESET } },
	[ESTAB]  = { [UPLINK]   = { ESTAB,  ESTAB,  ESTAB,  F_INT,  RESET },
	             [DOWNLINK] = { ESTAB,  ESTAB,  ESTAB,  F_REM,  RESET } },
	[F_INT]  = { [UPLINK]   = { F_INT,  F_INT,  F_INT,  F_INT,  RESET },
	             [DOWNLINK] = { F_INT,  F_INT,  F_INT,  L_INT,  RESET } },
	[F_REM]  = { [UPLINK]   = { F_REM,  F_REM,  F_REM,  L_REM,  RESET },
	             [DOWNLINK] = { F_REM,  F_REM,  F_REM,  F_REM,  RESET } },
	[L_INT]  = { [UPLINK]   = { S_SENT, L_INT,  T_WAIT, T_WAIT, RESET },
	             [DOWNLINK] = { S_RECV, L_INT,  L_INT,  L_INT,  RESET } },
	[L_REM]  = { [UPLINK]   = { S_SENT, L_REM,  L_REM,  L_REM,  RESET },
	             [DOWNLINK] = { S_RECV, L_REM,  T_WAIT, T_WAIT, RESET } },
	[T_WAIT] = { [UPLINK]   = { S_SENT, T_WAIT, T_WAIT, T_WAIT, T_WAIT },
	             [DOWNLINK] = { S_RECV, T_WAIT, T_WAIT, T_WAIT, T_WAIT } },
	[RESET]  = { [UPLINK]   = { S_SENT, RESET,  DOUBT,  DOUBT,  RESET },
	             [DOWNLINK] = { S_RECV, RESET,  RESET,  RESET,  RESET } },
	[DOUBT]  = { [UPLINK]   = { S_SENT, DOUBT,  DOUBT,  DOUBT,  RESET },
	             [DOWNLINK] = { S_RECV, DOUBT,  ESTAB,  F_REM,  RESET } },
};
/* clang-format on */

/* RST counts first, as at the end hosts (RFC 9293 3.10.7); a FIN without ACK is taken for one all the same. */
static enum segment segment_of(uint8_t tcp_flags)
{
	if ((tcp_flags & TCP_RST) != 0)
		return SEGMENT_RST;
	if ((tcp_flags & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN))
		return SEGMENT_NONE;
	if ((tcp_flags & TCP_SYN) != 0)
		return (tcp_flags & TCP_ACK) != 0 ? SEGMENT_SYN_ACK : SEGMENT_SYN;
	if ((tcp_flags & TCP_FIN) != 0)
		return SEGMENT_FIN;
	return (tcp_flags & TCP_ACK) != 0 ? SEGMENT_ACK : SEGMENT_NONE;
}

uint8_t tcp_track_next(uint8_t state, enum direction direction, uint8_t tcp_flags)
{
	enum segment segment = segment_of(tcp_flags);

	if (state >= N_TCP_STATES)
		state = TCP_STATE_NONE;
	return segment == SEGMENT_NONE ? state : next_states[state][direction][segment];
}

const char *tcp_state_name(uint8_t state)
{
	static const char *const names[N_TCP_STATES] = {
		[TCP_STATE_NONE] = "none",
		[TCP_STATE_SYN_SENT] = "syn_sent",
		[TCP_STATE_SYN_RECEIVED] = "syn_received",
		[TCP_STATE_SYN_BOTH] = "syn_both",
		[TCP_STATE_ACK_INTERNAL] = "ack_internal",
		[TCP_STATE_ACK_REMOTE] = "ack_remote",
		[TCP_STATE_EARLY_FIN_INTERNAL] = "early_fin_internal",
		[TCP_STATE_EARLY_FIN_REMOTE] = "early_fin_remote",
		[TCP_STATE_ESTABLISHED] = "established",
		[TCP_STATE_FIN_INTERNAL] = "fin_internal",
		[TCP_STATE_FIN_REMOTE] = "fin_remote",
		[TCP_STATE_LAST_ACK_INTERNAL] = "last_ack_internal",
		[TCP_STATE_LAST_ACK_REMOTE] = "last_ack_remote",
		[TCP_STATE_TIME_WAIT] = "time_wait",
		[TCP_STATE_RESET] = "reset",
		[TCP_STATE_RESET_DOUBTED] = "reset_doubted",
	};

	return state < N_TCP_STATES ? names[state] : "unknown";
}
