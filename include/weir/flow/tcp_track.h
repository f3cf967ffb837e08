/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP connection state as one table: state × direction × flags.
 *
 * Source:   RFC 9293 section 3.3.2 seen from the middle; RFC 5382 REQ-1 to REQ-6 (openings, timers), RFC 7857.
 * Threads:  pure.
 */
#ifndef WEIR_FLOW_TCP_TRACK_H
#define WEIR_FLOW_TCP_TRACK_H

#include <weir/base/direction.h>
#include <weir/packet/meta.h>

#include <stdint.h>

enum tcp_state {
	TCP_STATE_NONE = 0,
	TCP_STATE_SYN_SENT,     /* SYN from the internal side */
	TCP_STATE_SYN_RECEIVED, /* SYN from the remote side */
	TCP_STATE_SYN_BOTH,     /* both sides have sent a SYN: simultaneous open, or SYN-ACK */
	TCP_STATE_ESTABLISHED,
	TCP_STATE_FIN_INTERNAL, /* the internal side has closed its half */
	TCP_STATE_FIN_REMOTE,   /* the remote side has closed its half */
	TCP_STATE_FIN_BOTH,     /* both have; waiting for the last ACK */
	TCP_STATE_RESET,
	N_TCP_STATES,
};

/* The state after a segment with `tcp_flags` in `direction`. */
uint8_t tcp_track_next(uint8_t state, enum direction direction, uint8_t tcp_flags);

/* True when a segment with these flags may open a connection (a SYN without ACK, RST or FIN). */
static inline int tcp_track_opens(uint8_t tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* "established"; never NULL. */
const char *tcp_state_name(uint8_t state);

#endif
