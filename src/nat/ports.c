/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/nat/ports.h>

#include <assert.h>
#include <string.h>

#define WORD_BITS 64u
#define N_WORDS   (65536u / WORD_BITS)
#define N_GROUPS  (N_WORDS / WORD_BITS) /* words of the summary */

#define EVEN_BITS 0x5555555555555555ull
#define EVEN      1u
#define ODD       2u
#define EITHER    (EVEN | ODD)

/* The free ports of word `w` that are in the range and of the parities in `parities`. */
static uint64_t free_bits(const struct ports *p, uint32_t w, uint32_t parities)
{
	uint64_t wanted = (parities & EVEN ? EVEN_BITS : 0) | (parities & ODD ? ~EVEN_BITS : 0);

	return ~(p->taken[w] | p->barred[w]) & wanted;
}

/* Makes the summary of word `w` true again after a port of this parity came or went. */
static void summarise(struct ports *p, uint32_t w, uint32_t odd)
{
	uint64_t bit = 1ull << w % WORD_BITS;
	uint64_t *full = &p->full[odd][w / WORD_BITS];

	if (free_bits(p, w, odd ? ODD : EVEN) == 0)
		*full |= bit;
	else
		*full &= ~bit;
}

/* Words of group `g` that have a free port of these parities, as bits. */
static uint64_t open_words(const struct ports *p, uint32_t g, uint32_t parities)
{
	return (parities & EVEN ? ~p->full[0][g] : 0) | (parities & ODD ? ~p->full[1][g] : 0);
}

/* The first free port at or above `from`, which lies in the range; 0 when there is none. */
static uint16_t find_from(struct ports *p, uint32_t from, uint32_t parities)
{
	uint32_t w = from / WORD_BITS;
	uint64_t bits = free_bits(p, w, parities) & UINT64_MAX << from % WORD_BITS;
	uint32_t next = w + 1;

	p->n_looks++;
	if (bits != 0)
		return (uint16_t)(w * WORD_BITS + (uint32_t)__builtin_ctzll(bits));

	for (uint32_t g = next / WORD_BITS; g < N_GROUPS; g++) {
		uint64_t open = open_words(p, g, parities);

		p->n_looks++;
		if (g == next / WORD_BITS)
			open &= UINT64_MAX << next % WORD_BITS;
		if (open == 0)
			continue;
		w = g * WORD_BITS + (uint32_t)__builtin_ctzll(open);
		bits = free_bits(p, w, parities);
		p->n_looks++;
		return (uint16_t)(w * WORD_BITS + (uint32_t)__builtin_ctzll(bits));
	}
	return 0;
}

static uint16_t find_wrapping(struct ports *p, uint32_t from, uint32_t parities)
{
	uint16_t port = find_from(p, from, parities);

	return port != 0 ? port : find_from(p, p->min, parities);
}

static bool is_set(const uint64_t *bits, uint16_t port)
{
	return (bits[port / WORD_BITS] >> port % WORD_BITS & 1) != 0;
}

static bool is_in_range(const struct ports *p, uint16_t port)
{
	return port >= p->min && port <= p->max;
}

/* True when the random choice may give it. */
static bool is_free(const struct ports *p, uint16_t port)
{
	return !is_set(p->taken, port) && !is_set(p->barred, port);
}

static void put_bit(uint64_t *bits, uint16_t port, bool set)
{
	uint64_t bit = 1ull << port % WORD_BITS;

	if (set)
		bits[port / WORD_BITS] |= bit;
	else
		bits[port / WORD_BITS] &= ~bit;
}

/* Sets or clears a bit of `taken` or `barred`, and keeps count and summary of what is free true. */
static void change(struct ports *p, uint64_t *bits, uint16_t port, bool set)
{
	bool was_free = is_free(p, port);

	put_bit(bits, port, set);
	if (is_free(p, port) == was_free)
		return;
	p->n_free += was_free ? UINT32_MAX : 1u;
	summarise(p, port / WORD_BITS, port & 1);
}

static void mark(struct ports *p, uint16_t port)
{
	p->n_taken++;
	change(p, p->taken, port, true);
}

void ports_init(struct ports *p, uint16_t min, uint16_t max)
{
	assert(min >= 1 && min <= max);
	memset(p, 0, sizeof(*p));
	p->min = min;
	p->max = max;
	p->n_free = (uint32_t)max - min + 1;
	for (uint32_t port = 0; port <= UINT16_MAX; port++)
		put_bit(p->barred, (uint16_t)port, !is_in_range(p, (uint16_t)port));
	for (uint32_t w = 0; w < N_WORDS; w++) {
		summarise(p, w, 0);
		summarise(p, w, 1);
	}
}

bool ports_claim(struct ports *p, uint16_t port)
{
	if (port == 0 || ports_is_taken(p, port))
		return false;
	mark(p, port);
	return true;
}

bool ports_take_exact(struct ports *p, uint16_t port)
{
	return !is_set(p->reserved, port) && ports_claim(p, port);
}

void ports_reserve(struct ports *p, uint16_t port, bool reserved)
{
	put_bit(p->reserved, port, reserved);
	change(p, p->barred, port, reserved || !is_in_range(p, port));
}

uint16_t ports_take(struct ports *p, uint32_t hint, uint16_t parity_of)
{
	uint32_t n_ports = (uint32_t)p->max - p->min + 1;
	uint32_t from = hint >= p->min && hint <= p->max ? hint : p->min + hint % n_ports;
	uint16_t port = 0;

	p->n_looks = 0;
	if (parity_of != 0)
		port = find_wrapping(p, from, parity_of & 1 ? ODD : EVEN);
	if (port == 0)
		port = find_wrapping(p, from, EITHER);
	if (port != 0)
		mark(p, port);
	return port;
}

void ports_give(struct ports *p, uint16_t port)
{
	assert(port != 0 && is_set(p->taken, port));
	p->n_taken--;
	change(p, p->taken, port, false);
}
