/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/policy/prefix_set.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LENGTHS_MAX 129 /* 0 to 128 bits; an IPv4 prefix lies within ::ffff:0:0/96 */

/* 128 bits in two words, each as it lies in memory: for being equal, and for one order among them. */
struct bits128 {
	uint64_t words[2];
};

struct set_entry {
	struct bits128 network;
	uint64_t marks;
	uint8_t len_bits; /* of 128 */
};

/* The entries of one length, in the order of their networks. */
struct set_run {
	struct bits128 mask;
	uint32_t first;
	uint32_t n;
};

struct prefix_set {
	uint32_t n_runs;
	struct set_run runs[LENGTHS_MAX];
	struct set_entry entries[];
};

static struct bits128 bits_of(const struct ip_addr *addr)
{
	struct bits128 b;

	memcpy(&b, addr, sizeof(b));
	return b;
}

static struct bits128 mask_of(uint8_t len_bits)
{
	struct ip_addr mask = {0};

	for (uint32_t i = 0; i < len_bits; i++)
		mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return bits_of(&mask);
}

static struct bits128 masked(struct bits128 b, struct bits128 mask)
{
	return (struct bits128){{b.words[0] & mask.words[0], b.words[1] & mask.words[1]}};
}

static int compare(const struct bits128 *a, const struct bits128 *b)
{
	if (a->words[0] != b->words[0])
		return a->words[0] < b->words[0] ? -1 : 1;
	return (a->words[1] > b->words[1]) - (a->words[1] < b->words[1]);
}

static int entry_compare(const void *a, const void *b)
{
	const struct set_entry *x = a;
	const struct set_entry *y = b;

	if (x->len_bits != y->len_bits)
		return x->len_bits < y->len_bits ? -1 : 1;
	return compare(&x->network, &y->network);
}

static bool entry_fill(struct set_entry *e, const struct prefix_mark *p)
{
	bool is_v4 = ip_addr_is_v4(&p->prefix.addr);

	if (p->prefix.len_bits > (is_v4 ? 32 : 128))
		return false;
	e->len_bits = (uint8_t)(p->prefix.len_bits + (is_v4 ? 96 : 0));
	e->network = masked(bits_of(&p->prefix.addr), mask_of(e->len_bits));
	e->marks = p->marks;
	return true;
}

/* Entries of one prefix become one; then the lengths are noted. */
static void settle(struct prefix_set *s, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (kept > 0 && entry_compare(&s->entries[kept - 1], &s->entries[i]) == 0)
			s->entries[kept - 1].marks |= s->entries[i].marks;
		else
			s->entries[kept++] = s->entries[i];
	}
	for (uint32_t i = 0; i < kept; i++) {
		uint8_t len_bits = s->entries[i].len_bits;

		if (i == 0 || s->entries[i - 1].len_bits != len_bits)
			s->runs[s->n_runs++] =
				(struct set_run){.mask = mask_of(len_bits), .first = i};
		s->runs[s->n_runs - 1].n++;
	}
}

int prefix_set_create(
	const struct prefix_mark *prefixes, uint32_t n_prefixes, struct prefix_set **ret_set)
{
	struct prefix_set *s = calloc(1, sizeof(*s) + n_prefixes * sizeof(s->entries[0]));

	if (s == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_prefixes; i++) {
		if (!entry_fill(&s->entries[i], &prefixes[i])) {
			free(s);
			return -EINVAL;
		}
	}
	qsort(s->entries, n_prefixes, sizeof(s->entries[0]), entry_compare);
	settle(s, n_prefixes);
	*ret_set = s;
	return 0;
}

void prefix_set_destroy(struct prefix_set *s)
{
	free(s);
}

/* The marks of one run's entry for this network; 0 where it has none. */
static uint64_t find(const struct set_entry *entries, uint32_t n, const struct bits128 *network)
{
	while (n > 0) {
		uint32_t middle = n / 2;
		int order = compare(network, &entries[middle].network);

		if (order == 0)
			return entries[middle].marks;
		if (order > 0) {
			entries += middle + 1;
			n -= middle + 1;
		} else {
			n = middle;
		}
	}
	return 0;
}

uint64_t prefix_set_find(const struct prefix_set *s, const struct ip_addr *addr)
{
	struct bits128 b = bits_of(addr);
	uint64_t marks = 0;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		const struct set_run *run = &s->runs[i];
		struct bits128 network = masked(b, run->mask);

		marks |= find(s->entries + run->first, run->n, &network);
	}
	return marks;
}
