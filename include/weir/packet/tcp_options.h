/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of a TCP header, one by one.
 *
 * Source:   RFC 9293 section 3.1 (END, NOP, MSS), RFC 7323 section 3 (time stamps), RFC 2018 section 3 (SACK).
 * Shapes:   a header as octets, its options from TCP_HEADER_BYTES on.
 * Threads:  any.
 */
#ifndef WEIR_PACKET_TCP_OPTIONS_H
#define WEIR_PACKET_TCP_OPTIONS_H

#include <stdint.h>

enum tcp_option {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_SACK = 5,
	TCP_OPTION_TIMESTAMPS = 8
};

enum tcp_option_bytes {
	TCP_OPTION_MSS_BYTES = 4,
	TCP_OPTION_SACK_BYTES = 10, /* with one block */
	TCP_OPTION_TIMESTAMPS_BYTES = 10
};

/* Octets of the option at `at` in a header of `end` octets. 0 behind the last, and for one that says of itself that it is
 * shorter than two octets or longer than the header. */
static inline uint32_t tcp_option_length(const uint8_t *tcp, uint32_t at, uint32_t end)
{
	if (at >= end || tcp[at] == TCP_OPTION_END)
		return 0;
	if (tcp[at] == TCP_OPTION_NOP)
		return 1;
	if (end - at < 2 || tcp[at + 1] < 2 || tcp[at + 1] > end - at)
		return 0;
	return tcp[at + 1];
}

#endif
