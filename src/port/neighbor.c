/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/port/neighbor.h>

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AGED_PER_TICK 16 /* entries looked at a call */

/*
 * An entry with a question open is in one list. ASK: its request is due now. ASKED: in the order in
 * which the requests went out, which is the order in which the next ones are due, as all wait
 * equally long. ENDED: unanswered, its packets wait for neighbor_take_failed.
 */
enum list {
	LIST_ASK,
	LIST_ASKED,
	LIST_ENDED,
	N_LISTS,
	LIST_NONE = N_LISTS
};

#define NONE UINT32_MAX

struct entry {
	uint32_t chain; /* next of the same bucket, or of the free entries */
	uint32_t prev;  /* in its list */
	uint32_t next;
	uint8_t list; /* enum list */
	bool unused;  /* made by a stranger's request, not used yet */
	struct neighbor n;
} __attribute__((aligned(64)));
static_assert(
	offsetof(struct entry, n.used_us) < 64, "a packet that finds its next hop reads a line");

struct list_ends {
	uint32_t head;
	uint32_t tail;
};

struct neighbor_table {
	struct entry *entries;
	uint32_t *buckets;
	uint32_t capacity;
	uint32_t bucket_shift;
	uint32_t free_head;
	uint32_t n_unused;
	uint32_t n_waiting; /* packets, of all entries */
	uint32_t aged;      /* next entry to look at */
	struct list_ends lists[N_LISTS];
	uint64_t reachable_us;
	uint64_t factor;
	uint64_t n_changes;
};

static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/* Dietzfelbinger's multiply-shift: the top bits of a product with an odd factor that nobody knows. */
static uint32_t *bucket_of(struct neighbor_table *t, uint8_t port, uint32_t addr_be)
{
	return &t->buckets[((uint64_t)port << 32 | addr_be) * t->factor >> t->bucket_shift];
}

int neighbor_table_create(
	uint32_t capacity, uint64_t reachable_us, uint64_t seed, struct neighbor_table **ret_table)
{
	struct neighbor_table *t;
	uint32_t n_buckets = 2;
	uint32_t bucket_shift = 63;

	if (capacity == 0 || capacity > UINT32_MAX / 4)
		return -EINVAL;
	for (; n_buckets < capacity * 2; n_buckets *= 2)
		bucket_shift--;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->entries = aligned_alloc(alignof(struct entry), capacity * sizeof(*t->entries));
	if (t->entries == NULL)
		goto err_table;
	memset(t->entries, 0, capacity * sizeof(*t->entries));
	t->buckets = malloc(n_buckets * sizeof(*t->buckets));
	if (t->buckets == NULL)
		goto err_entries;
	memset(t->buckets, 0xff, n_buckets * sizeof(*t->buckets)); /* NONE */
	for (uint32_t i = 0; i < capacity; i++) {
		t->entries[i].list = LIST_NONE;
		t->entries[i].chain = i + 1 < capacity ? i + 1 : NONE;
	}
	for (uint32_t i = 0; i < N_LISTS; i++)
		t->lists[i] = (struct list_ends){NONE, NONE};
	t->capacity = capacity;
	t->bucket_shift = bucket_shift;
	t->reachable_us = reachable_us;
	t->factor = (seed + 1) * 0x9e3779b97f4a7c15ull | 1; /* seeds of tests are small */
	*ret_table = t;
	return 0;

err_entries:
	free(t->entries);
err_table:
	free(t);
	return -ENOMEM;
}

void neighbor_table_destroy(struct neighbor_table *t)
{
	if (t == NULL)
		return;
	free(t->buckets);
	free(t->entries);
	free(t);
}

static uint32_t index_of(const struct neighbor_table *t, const struct entry *e)
{
	return (uint32_t)(e - t->entries);
}

/* Takes an entry out of the list it is in, if any. */
static void list_remove(struct neighbor_table *t, struct entry *e)
{
	struct list_ends *ends;

	if (e->list == LIST_NONE)
		return;
	ends = &t->lists[e->list];
	if (e->prev == NONE)
		ends->head = e->next;
	else
		t->entries[e->prev].next = e->next;
	if (e->next == NONE)
		ends->tail = e->prev;
	else
		t->entries[e->next].prev = e->prev;
	e->list = LIST_NONE;
}

/* Moves an entry to the end of a list. */
static void list_append(struct neighbor_table *t, struct entry *e, enum list list)
{
	struct list_ends *ends = &t->lists[list];
	uint32_t i = index_of(t, e);

	list_remove(t, e);
	e->list = (uint8_t)list;
	e->next = NONE;
	e->prev = ends->tail;
	if (ends->tail == NONE)
		ends->head = i;
	else
		t->entries[ends->tail].next = i;
	ends->tail = i;
}

static struct entry *list_first(struct neighbor_table *t, enum list list)
{
	uint32_t i = t->lists[list].head;

	return i == NONE ? NULL : &t->entries[i];
}

static struct entry *entry_find(struct neighbor_table *t, uint8_t port, uint32_t addr_be)
{
	uint32_t i = *bucket_of(t, port, addr_be);

	while (i != NONE) {
		struct entry *e = &t->entries[i];

		if (e->n.addr_be == addr_be && e->n.port == port)
			return e;
		i = e->chain;
	}
	return NULL;
}

/* Makes an entry in `state`; NULL when all are taken. */
static struct entry *entry_add(
	struct neighbor_table *t, uint8_t port, uint32_t addr_be, enum neighbor_state state)
{
	uint32_t *bucket = bucket_of(t, port, addr_be);
	uint32_t i = t->free_head;
	struct entry *e;

	if (i == NONE)
		return NULL;
	e = &t->entries[i];
	t->free_head = e->chain;
	memset(e, 0, sizeof(*e));
	e->list = LIST_NONE;
	e->n.port = port;
	e->n.addr_be = addr_be;
	e->n.state = (uint8_t)state;
	e->chain = *bucket;
	*bucket = i;
	return e;
}

static void entry_set_used(struct neighbor_table *t, struct entry *e, uint64_t now_us)
{
	e->n.used_us = now_us;
	t->n_unused -= e->unused ? 1 : 0;
	e->unused = false;
}

/* Forgets an entry, with whatever still waits. */
static void entry_remove(struct neighbor_table *t, struct entry *e)
{
	uint32_t i = index_of(t, e);
	uint32_t *link = bucket_of(t, e->n.port, e->n.addr_be);

	list_remove(t, e);
	while (*link != i)
		link = &t->entries[*link].chain;
	*link = e->chain;
	t->n_unused -= e->unused ? 1 : 0;
	e->n.state = NEIGHBOR_FREE;
	e->chain = t->free_head;
	t->free_head = i;
}

/* Takes out up to n_max packets that wait, oldest first. */
static uint32_t entry_take_waiting(
	struct neighbor_table *t, struct entry *e, void **packets, uint32_t n_max)
{
	uint32_t n = e->n.n_waiting < n_max ? e->n.n_waiting : n_max;

	memcpy(packets, e->n.waiting, n * sizeof(*packets));
	e->n.n_waiting = (uint8_t)(e->n.n_waiting - n);
	t->n_waiting -= n;
	memmove(e->n.waiting, e->n.waiting + n, e->n.n_waiting * sizeof(*packets));
	return n;
}

/* The neighbour has just been heard under the MAC that the entry holds. */
static void entry_set_confirmed(struct neighbor_table *t, struct entry *e, uint64_t now_us)
{
	e->n.state = NEIGHBOR_REACHABLE;
	e->n.confirmed_us = now_us;
	e->n.n_requests = 0;
	list_remove(t, e);
}

/* Makes a REACHABLE entry STALE when its time is over. */
static void entry_age(const struct neighbor_table *t, struct entry *e, uint64_t now_us)
{
	if (e->n.state == NEIGHBOR_REACHABLE && now_us - e->n.confirmed_us >= t->reachable_us)
		e->n.state = NEIGHBOR_STALE;
}

const struct mac_addr *neighbor_find(
	struct neighbor_table *t, uint8_t port, uint32_t addr_be, uint64_t now_us)
{
	struct entry *e = entry_find(t, port, addr_be);

	if (e == NULL || e->n.state == NEIGHBOR_INCOMPLETE)
		return NULL;
	entry_set_used(t, e, now_us);
	entry_age(t, e, now_us);
	if (e->n.state == NEIGHBOR_STALE && e->list == LIST_NONE)
		list_append(t, e, LIST_ASK);
	return &e->n.mac;
}

bool neighbor_wait(
	struct neighbor_table *t, uint8_t port, uint32_t addr_be, void *packet, uint64_t now_us)
{
	struct entry *e = entry_find(t, port, addr_be);

	if (e == NULL) {
		e = entry_add(t, port, addr_be, NEIGHBOR_INCOMPLETE);
		if (e == NULL)
			return false;
		list_append(t, e, LIST_ASK);
	}
	if (e->n.state != NEIGHBOR_INCOMPLETE || e->list == LIST_ENDED)
		return false;
	if (e->n.n_waiting == NEIGHBOR_QUEUE || t->n_waiting == NEIGHBOR_WAITING)
		return false;
	e->n.waiting[e->n.n_waiting++] = packet;
	t->n_waiting++;
	e->n.used_us = now_us;
	return true;
}

/* RFC 826: a host that asks for us is about to be answered; it is not proved to be there, hence
 * STALE. */
static void learn_asker(
	struct neighbor_table *t, uint8_t port, const struct arp_message *message, uint64_t now_us)
{
	struct entry *e;

	if (t->n_unused >= (t->capacity + 1) / 2)
		return;
	e = entry_add(t, port, message->sender_be, NEIGHBOR_STALE);
	if (e == NULL)
		return;
	e->n.mac = message->sender_mac;
	e->n.confirmed_us = now_us;
	e->unused = true;
	t->n_unused++;
}

uint32_t neighbor_learn(struct neighbor_table *t, uint8_t port, const struct arp_message *message,
	bool is_for_us, uint64_t now_us, void **released)
{
	struct entry *e;

	if (message->sender_be == 0)
		return 0; /* a probe: its sender does not own the address yet */
	e = entry_find(t, port, message->sender_be);
	if (e == NULL) {
		if (is_for_us && message->operation == ARP_REQUEST
			&& message->sender_be != message->target_be)
			learn_asker(t, port, message, now_us);
		return 0;
	}
	if (e->list == LIST_ENDED)
		return 0;
	if (e->n.state != NEIGHBOR_INCOMPLETE && !mac_addr_equal(&e->n.mac, &message->sender_mac))
		t->n_changes++;
	e->n.mac = message->sender_mac;
	entry_set_confirmed(t, e, now_us);
	return entry_take_waiting(t, e, released, NEIGHBOR_QUEUE);
}

void neighbor_confirm(struct neighbor_table *t, uint8_t port, uint32_t addr_be,
	const struct mac_addr *mac, uint64_t now_us)
{
	struct entry *e = entry_find(t, port, addr_be);

	if (e == NULL || e->n.state == NEIGHBOR_INCOMPLETE || !mac_addr_equal(&e->n.mac, mac))
		return;
	entry_set_confirmed(t, e, now_us);
}

/* Writes the request about an entry and counts it. A known neighbour is asked in person first, so
 * that a whole network need not wake up for it (RFC 1122 2.3.2.1). */
static void entry_ask(struct neighbor_table *t, struct entry *e, uint64_t now_us,
	struct neighbor_request *request)
{
	bool in_person = e->n.state == NEIGHBOR_STALE && e->n.n_requests == 0;

	request->port = e->n.port;
	request->addr_be = e->n.addr_be;
	request->mac = in_person ? e->n.mac : broadcast;
	e->n.n_requests++;
	e->n.requested_us = now_us;
	list_append(t, e, LIST_ASKED);
}

/* Ends an entry that three requests did not find. */
static void entry_end(struct neighbor_table *t, struct entry *e)
{
	if (e->n.n_waiting > 0)
		list_append(t, e, LIST_ENDED);
	else
		entry_remove(t, e);
}

/* Looks at the next few entries for what time has done to them. */
static void age_some(struct neighbor_table *t, uint64_t now_us)
{
	uint32_t n_left = t->capacity < AGED_PER_TICK ? t->capacity : AGED_PER_TICK;

	for (; n_left > 0; n_left--) {
		struct entry *e = &t->entries[t->aged];
		uint64_t idle_us = e->unused ? t->reachable_us : NEIGHBOR_IDLE_US;

		t->aged = (t->aged + 1) % t->capacity;
		entry_age(t, e, now_us);
		if (e->n.state == NEIGHBOR_STALE && e->list == LIST_NONE
			&& now_us - e->n.confirmed_us >= idle_us
			&& now_us - e->n.used_us >= idle_us)
			entry_remove(t, e);
	}
}

uint32_t neighbor_tick(struct neighbor_table *t, uint64_t now_us, struct neighbor_request *requests,
	uint32_t n_max)
{
	uint32_t n = 0;
	struct entry *e;

	age_some(t, now_us);
	while (n < n_max && (e = list_first(t, LIST_ASK)) != NULL)
		entry_ask(t, e, now_us, &requests[n++]);
	/* Ends are bounded by n_max too: a call's work must not grow with the table. */
	for (uint32_t n_ended = 0; n < n_max && n_ended < n_max;) {
		e = list_first(t, LIST_ASKED);
		if (e == NULL || now_us - e->n.requested_us < NEIGHBOR_REQUEST_US)
			break;
		if (e->n.n_requests < NEIGHBOR_REQUESTS) {
			entry_ask(t, e, now_us, &requests[n++]);
			continue;
		}
		entry_end(t, e);
		n_ended++;
	}
	return n;
}

uint32_t neighbor_take_failed(struct neighbor_table *t, void **packets, uint32_t n_max)
{
	uint32_t n = 0;
	struct entry *e;

	while (n < n_max && (e = list_first(t, LIST_ENDED)) != NULL) {
		n += entry_take_waiting(t, e, packets + n, n_max - n);
		if (e->n.n_waiting == 0)
			entry_remove(t, e);
	}
	return n;
}

uint32_t neighbor_flush(struct neighbor_table *t, uint8_t port, void **packets, uint32_t n_max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->capacity && n < n_max; i++) {
		struct entry *e = &t->entries[i];

		if (e->n.state == NEIGHBOR_FREE || (port != PORT_NONE && e->n.port != port))
			continue;
		n += entry_take_waiting(t, e, packets + n, n_max - n);
		if (e->n.n_waiting == 0)
			entry_remove(t, e);
	}
	return n;
}

const struct neighbor *neighbor_at(const struct neighbor_table *t, uint32_t i)
{
	return i < t->capacity && t->entries[i].n.state != NEIGHBOR_FREE ? &t->entries[i].n : NULL;
}

uint64_t neighbor_n_changes(const struct neighbor_table *t)
{
	return t->n_changes;
}
