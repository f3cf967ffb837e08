/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/policy/prefix_set.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LENGTHS_MAX 129 /* 0 to 128 bits; an IPv4 prefix lies within ::ffff:0:0/96 */

struct set_entry {
	struct ip_addr network;
	uint64_t marks;
	uint8_t len_bits; /* of 128 */
};

/* The entries of one length. */
struct set_run {
	uint32_t first;
	uint32_t n;
	uint8_t len_bits;
};

struct prefix_set {
	uint32_t n_runs;
	struct set_run runs[LENGTHS_MAX];
	struct set_entry entries[];
};

static struct ip_addr network_of(const struct ip_addr *addr, uint8_t len_bits)
{
	struct ip_addr network = *addr;
	uint32_t whole = len_bits / 8u;

	if (whole < sizeof(network.bytes)) {
		network.bytes[whole] &= (uint8_t)(0xff00u >> len_bits % 8);
		memset(network.bytes + whole + 1, 0, sizeof(network.bytes) - whole - 1);
	}
	return network;
}

static int entry_compare(const void *a, const void *b)
{
	const struct set_entry *x = a;
	const struct set_entry *y = b;

	if (x->len_bits != y->len_bits)
		return x->len_bits < y->len_bits ? -1 : 1;
	return memcmp(&x->network, &y->network, sizeof(x->network));
}

static bool entry_fill(struct set_entry *e, const struct prefix_mark *p)
{
	bool is_v4 = ip_addr_is_v4(&p->prefix.addr);

	if (p->prefix.len_bits > (is_v4 ? 32 : 128))
		return false;
	e->len_bits = (uint8_t)(p->prefix.len_bits + (is_v4 ? 96 : 0));
	e->network = network_of(&p->prefix.addr, e->len_bits);
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

		if (s->n_runs == 0 || s->runs[s->n_runs - 1].len_bits != len_bits)
			s->runs[s->n_runs++] = (struct set_run){.first = i, .len_bits = len_bits};
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

uint64_t prefix_set_find(const struct prefix_set *s, const struct ip_addr *addr)
{
	uint64_t marks = 0;

	for (uint32_t i = 0; i < s->n_runs; i++) {
		const struct set_run *run = &s->runs[i];
		struct set_entry key = {
			.network = network_of(addr, run->len_bits),
			.len_bits = run->len_bits,
		};
		const struct set_entry *found = bsearch(&key, s->entries + run->first, run->n,
			sizeof(s->entries[0]), entry_compare);

		if (found != NULL)
			marks |= found->marks;
	}
	return marks;
}
