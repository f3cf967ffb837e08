/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/account/top.h>

#include <stdlib.h>

/* A place changes hands within tens of nanoseconds: a reader that comes too late as often as this has been taken off its processor,
 * and then takes what it got, a list with an entry that is part of two. */
#define READ_TRIES 1000

/* Whoever reads a word of a change reads the version of its beginning, or a later one, afterwards. */
static uint64_t word_read(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void begin_change(struct top *t)
{
	__atomic_store_n(&t->version, t->version + 1, __ATOMIC_RELAXED);
}

static void end_change(struct top *t)
{
	__atomic_store_n(&t->version, t->version + 1, __ATOMIC_RELEASE);
}

static void enter(struct top *t, struct top_entry *e, uint64_t key, uint64_t inherited)
{
	begin_change(t);
	__atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
	__atomic_store_n(&e->octets, inherited, __ATOMIC_RELEASE);
	__atomic_store_n(&e->over, inherited, __ATOMIC_RELEASE);
	__atomic_store_n(&e->packets, 0, __ATOMIC_RELEASE);
	end_change(t);
}

static struct top_entry *place_of(struct top *t, uint64_t key)
{
	struct top_entry *lightest = &t->entries[0];

	for (uint64_t i = 0; i < t->n; i++) {
		struct top_entry *e = &t->entries[i];

		if (e->key == key)
			return e;
		if (e->octets < lightest->octets)
			lightest = e;
	}
	if (t->n < TOP_PLACES) {
		lightest = &t->entries[t->n];
		enter(t, lightest, key, 0);
		__atomic_store_n(&t->n, t->n + 1, __ATOMIC_RELEASE);
	} else {
		enter(t, lightest, key, lightest->octets);
	}
	return lightest;
}

void top_count(struct top *t, uint64_t key, uint64_t octets)
{
	struct top_entry *e = place_of(t, key);

	__atomic_store_n(&e->octets, e->octets + octets, __ATOMIC_RELAXED);
	__atomic_store_n(&e->packets, e->packets + 1, __ATOMIC_RELAXED);
}

void top_clear(struct top *t)
{
	begin_change(t);
	__atomic_store_n(&t->n, 0, __ATOMIC_RELEASE);
	end_change(t);
}

static void copy(const struct top *t, struct top *ret_top)
{
	ret_top->n = word_read(&t->n);
	for (uint64_t i = 0; i < TOP_PLACES; i++) {
		const struct top_entry *e = &t->entries[i];

		ret_top->entries[i] = (struct top_entry){
			.key = word_read(&e->key),
			.octets = word_read(&e->octets),
			.over = word_read(&e->over),
			.packets = word_read(&e->packets),
		};
	}
}

static int heavier_first(const void *a, const void *b)
{
	const struct top_entry *x = a;
	const struct top_entry *y = b;

	return (x->octets < y->octets) - (x->octets > y->octets);
}

void top_read(const struct top *t, struct top *ret_top)
{
	uint64_t before;

	for (int i = 0; i < READ_TRIES; i++) {
		before = __atomic_load_n(&t->version, __ATOMIC_ACQUIRE);
		copy(t, ret_top);
		if ((before & 1) == 0 && word_read(&t->version) == before)
			break;
	}
	ret_top->version = 0;
	qsort(ret_top->entries, ret_top->n, sizeof(ret_top->entries[0]), heavier_first);
}
