/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum: of a block, and of a change in place.
 *
 * Source:   RFC 1071; RFC 1624 equation 3.
 * Shapes:   sums are taken over 16-bit words as they lie in memory, so they need no byte swap:
 *           store what these functions return.
 * Units:    a delta is the ones' complement sum ~old + new of what changed; folded to 16 bits.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_CHECKSUM_H
#define WEIR_PACKET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Folds a running sum to 16 bits. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The ones' complement sum of two folded sums, folded: it carries once at most. */
static inline uint16_t checksum_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}

/* Delta of one 16-bit word that changes; both as in memory. */
static inline uint16_t checksum_delta16(uint16_t old_word, uint16_t new_word)
{
	return checksum_add((uint16_t)~old_word, new_word);
}

/* Delta of one 32-bit word that changes; both as in memory. */
static inline uint16_t checksum_delta32(uint32_t old_word, uint32_t new_word)
{
	return checksum_fold((uint64_t)(uint32_t)~old_word + new_word);
}

/* The checksum after a change by `delta` (RFC 1624: HC' = ~(~HC + ~m + m')), which is the checksum less the delta in ones'
 * complement: what is borrowed at the top is taken off at the bottom. */
static inline uint16_t checksum_update(uint16_t checksum, uint16_t delta)
{
	uint16_t updated;
	bool borrow = __builtin_sub_overflow(checksum, delta, &updated);

	return (uint16_t)(updated - borrow);
}

/* Sum of a block, to be folded and complemented; an odd last byte counts as padded with zero. */
uint64_t checksum_sum(const void *block, size_t len_bytes);

/* The checksum field of a block whose own checksum field is zero, or 0 when the block's field is
 * right. */
static inline uint16_t checksum_of(const void *block, size_t len_bytes)
{
	return (uint16_t)~checksum_fold(checksum_sum(block, len_bytes));
}

/* TCP, UDP or ICMP checksum over an unfragmented IPv4 packet whose L4 checksum field is zero (or,
 * to verify, left in: the result is then 0 when it is right). `ip` points to the header;
 * `len_bytes` is its total length. A UDP sender stores 0xffff in place of 0, which would mean none.
 * 0 for any other protocol. */
uint16_t checksum_l4_v4(const uint8_t *ip, size_t len_bytes);

#endif
