/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields of a packet, which lie at any alignment.
 *
 * Source:   none; memcpy is the one portable unaligned access, and compiles to one instruction.
 * Units:    `be` in a name says network order in memory, host order in the value; without it the
 *           value is as it lies in memory.
 * Threads:  pure.
 */
#ifndef WEIR_PACKET_BYTES_H
#define WEIR_PACKET_BYTES_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

/* The 16-bit word at `at`, as in memory. */
static inline uint16_t load16(const uint8_t *at)
{
	uint16_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* The 32-bit word at `at`, as in memory. */
static inline uint32_t load32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Stores a 16-bit word as in memory. */
static inline void store16(uint8_t *at, uint16_t word)
{
	memcpy(at, &word, sizeof(word));
}

/* Stores a 32-bit word as in memory. */
static inline void store32(uint8_t *at, uint32_t word)
{
	memcpy(at, &word, sizeof(word));
}

/* The 16-bit field at `at`, in host order. */
static inline uint16_t load_be16(const uint8_t *at)
{
	return ntohs(load16(at));
}

/* Stores a 16-bit field given in host order. */
static inline void store_be16(uint8_t *at, uint16_t value)
{
	store16(at, htons(value));
}

/* The 32-bit field at `at`, in host order. */
static inline uint32_t load_be32(const uint8_t *at)
{
	return ntohl(load32(at));
}

/* Stores a 32-bit field given in host order. */
static inline void store_be32(uint8_t *at, uint32_t value)
{
	store32(at, htonl(value));
}

#endif
