/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/base/pool.h>
#include <weir/flow/fragment.h>

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define END UINT32_MAX

/* Doubly linked list of datagrams, oldest first. Links are datagram ids. */
struct age_list {
	uint32_t oldest;
	uint32_t newest;
};

struct age_link {
	uint32_t older;
	uint32_t newer;
};

enum link_kind {
	BY_STATE,
	BY_SOURCE,
	N_LINK_KINDS
};

struct datagram {
	struct fragment_key key;
	bool is_known; /* the first fragment was let in: origin is valid, nothing is held */
	struct fragment_origin origin;
	uint32_t n_held;
	uint32_t source_id;
	uint32_t hash_next;
	uint64_t since_us; /* first came, or when the first fragment came */
	struct age_link links[N_LINK_KINDS];
	void *held[FRAGMENT_HELD_MAX];
};

/* A source address with datagrams in the table. */
struct source {
	struct ip_addr addr;
	uint32_t n_datagrams;
	uint32_t n_held;
	uint32_t hash_next;
	struct age_list datagrams;
};

struct fragment_table {
	struct flow_hash_key hash_key;
	uint64_t timeout_us;
	uint32_t capacity;
	uint32_t held_capacity;
	uint32_t n_held;
	uint32_t n_waiting; /* datagrams without their first fragment */
	uint32_t n_identifications;
	struct datagram *datagrams;
	struct source *sources; /* one each at most, so there are always enough */
	struct pool datagram_pool;
	struct pool source_pool;
	struct age_list known;
	struct age_list waiting; /* without their first fragment; each holds at least one packet */
	uint32_t *datagram_chains;
	uint32_t *source_chains;
};

/* What one source may have of `all`, so that its flood does not end the datagrams of another. */
static uint32_t quarter(uint32_t all)
{
	return all < 4 ? 1 : all / 4;
}

/* What datagrams without their first fragment may have of the table. */
static uint32_t half(uint32_t all)
{
	return all < 2 ? 1 : all / 2;
}

static int create_arrays(struct fragment_table *t)
{
	void *datagrams;
	void *sources;
	void *chains;
	int rc;

	rc = memory_create(t->capacity * sizeof(*t->datagrams), &datagrams);
	if (rc < 0)
		return rc;
	rc = memory_create(t->capacity * sizeof(*t->sources), &sources);
	if (rc < 0)
		goto err_datagrams;
	rc = memory_create(2 * (size_t)t->capacity * sizeof(*t->datagram_chains), &chains);
	if (rc < 0)
		goto err_sources;
	t->datagrams = datagrams;
	t->sources = sources;
	t->datagram_chains = chains;
	t->source_chains = t->datagram_chains + t->capacity;
	memset(chains, 0xff, 2 * (size_t)t->capacity * sizeof(*t->datagram_chains));
	return 0;

err_sources:
	memory_destroy(sources, t->capacity * sizeof(*t->sources));
err_datagrams:
	memory_destroy(datagrams, t->capacity * sizeof(*t->datagrams));
	return rc;
}

int fragment_table_create(uint32_t capacity, uint32_t held_capacity, uint64_t timeout_us,
	const struct flow_hash_key *key, struct fragment_table **ret_table)
{
	struct fragment_table *t;
	int rc;

	if (capacity == 0 || held_capacity == 0)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->hash_key = *key;
	t->timeout_us = timeout_us;
	t->capacity = capacity;
	t->held_capacity = held_capacity;
	t->known = (struct age_list){END, END};
	t->waiting = (struct age_list){END, END};
	rc = pool_init(&t->datagram_pool, capacity);
	if (rc < 0)
		goto err_table;
	rc = pool_init(&t->source_pool, capacity);
	if (rc < 0)
		goto err_datagram_pool;
	rc = create_arrays(t);
	if (rc < 0)
		goto err_source_pool;
	*ret_table = t;
	return 0;

err_source_pool:
	pool_clean(&t->source_pool);
err_datagram_pool:
	pool_clean(&t->datagram_pool);
err_table:
	free(t);
	return rc;
}

void fragment_table_destroy(struct fragment_table *t)
{
	if (t == NULL)
		return;
	memory_destroy(t->datagram_chains, 2 * (size_t)t->capacity * sizeof(*t->datagram_chains));
	memory_destroy(t->sources, t->capacity * sizeof(*t->sources));
	memory_destroy(t->datagrams, t->capacity * sizeof(*t->datagrams));
	pool_clean(&t->source_pool);
	pool_clean(&t->datagram_pool);
	free(t);
}

static void age_add(
	struct fragment_table *t, struct age_list *list, enum link_kind kind, uint32_t id)
{
	t->datagrams[id].links[kind] = (struct age_link){.older = list->newest, .newer = END};
	if (list->newest != END)
		t->datagrams[list->newest].links[kind].newer = id;
	else
		list->oldest = id;
	list->newest = id;
}

static void age_remove(
	struct fragment_table *t, struct age_list *list, enum link_kind kind, uint32_t id)
{
	struct age_link l = t->datagrams[id].links[kind];

	if (l.older != END)
		t->datagrams[l.older].links[kind].newer = l.newer;
	else
		list->oldest = l.newer;
	if (l.newer != END)
		t->datagrams[l.newer].links[kind].older = l.older;
	else
		list->newest = l.older;
}

static uint32_t *chain_of(
	const struct fragment_table *t, uint32_t *chains, const struct flow_key *key)
{
	return &chains[(uint64_t)flow_hash(&t->hash_key, key) * t->capacity >> 32];
}

static uint32_t *datagram_chain(const struct fragment_table *t, const struct fragment_key *key)
{
	return chain_of(t, t->datagram_chains,
		&(struct flow_key){.src = key->src,
			.dst = key->dst,
			.src_port = (uint16_t)(key->identification >> 16),
			.dst_port = (uint16_t)key->identification,
			.proto = key->proto});
}

static uint32_t *source_chain(const struct fragment_table *t, const struct ip_addr *addr)
{
	return chain_of(t, t->source_chains, &(struct flow_key){.src = *addr, .dst = *addr});
}

static uint32_t datagram_find(const struct fragment_table *t, const struct fragment_key *key)
{
	uint32_t id = *datagram_chain(t, key);

	while (id != END) {
		const struct fragment_key *k = &t->datagrams[id].key;

		if (k->identification == key->identification && k->proto == key->proto
			&& k->in_port == key->in_port && ip_addr_equal(&k->src, &key->src)
			&& ip_addr_equal(&k->dst, &key->dst))
			break;
		id = t->datagrams[id].hash_next;
	}
	return id;
}

static uint32_t source_find(const struct fragment_table *t, const struct ip_addr *addr)
{
	uint32_t id = *source_chain(t, addr);

	while (id != END && !ip_addr_equal(&t->sources[id].addr, addr))
		id = t->sources[id].hash_next;
	return id;
}

/* Finds or enters a source. There are as many as datagrams, so the pool cannot be empty. */
static uint32_t source_take(struct fragment_table *t, const struct ip_addr *addr)
{
	uint32_t id = source_find(t, addr);
	uint32_t *chain;

	if (id != END)
		return id;
	chain = source_chain(t, addr);
	id = pool_take(&t->source_pool);
	t->sources[id] =
		(struct source){.addr = *addr, .hash_next = *chain, .datagrams = {END, END}};
	*chain = id;
	return id;
}

static void source_give(struct fragment_table *t, uint32_t id)
{
	uint32_t *at = source_chain(t, &t->sources[id].addr);

	while (*at != id)
		at = &t->sources[*at].hash_next;
	*at = t->sources[id].hash_next;
	pool_give(&t->source_pool, id);
}

/* Moves up to `n_max` held packets out, first come first, and returns how many. */
static uint32_t release_held(
	struct fragment_table *t, uint32_t id, void **ret_packets, uint32_t n_max)
{
	struct datagram *d = &t->datagrams[id];
	uint32_t n = d->n_held < n_max ? d->n_held : n_max;

	memcpy(ret_packets, d->held, n * sizeof(d->held[0]));
	d->n_held -= n;
	memmove(d->held, d->held + n, d->n_held * sizeof(d->held[0]));
	t->n_held -= n;
	t->sources[d->source_id].n_held -= n;
	return n;
}

static struct age_list *state_list(struct fragment_table *t, const struct datagram *d)
{
	return d->is_known ? &t->known : &t->waiting;
}

/* Forgets a datagram that holds nothing. */
static void datagram_give(struct fragment_table *t, uint32_t id)
{
	struct datagram *d = &t->datagrams[id];
	struct source *s = &t->sources[d->source_id];
	uint32_t *at = datagram_chain(t, &d->key);

	while (*at != id)
		at = &t->datagrams[*at].hash_next;
	*at = d->hash_next;
	age_remove(t, state_list(t, d), BY_STATE, id);
	t->n_waiting -= !d->is_known;
	age_remove(t, &s->datagrams, BY_SOURCE, id);
	if (--s->n_datagrams == 0)
		source_give(t, d->source_id);
	pool_give(&t->datagram_pool, id);
}

/* Forgets a datagram; what it held goes to the caller. Every datagram evicted in one call with packets makes
 * room for all else, so that no call evicts more than FRAGMENT_HELD_MAX packets. */
static void evict(struct fragment_table *t, uint32_t id, struct fragment_packets *evicted)
{
	assert(evicted->n + t->datagrams[id].n_held <= FRAGMENT_HELD_MAX);
	evicted->n +=
		release_held(t, id, evicted->packets + evicted->n, FRAGMENT_HELD_MAX - evicted->n);
	datagram_give(t, id);
}

/* Makes room for a datagram: of a source that has its quarter its own oldest yields; else, to one that waits when those
 * have their half, and in a full table, the oldest that waits; else the oldest. */
static void make_datagram_room(struct fragment_table *t, const struct fragment_key *key,
	bool is_waiting, struct fragment_packets *evicted)
{
	uint32_t source_id = source_find(t, &key->src);

	if (source_id != END && t->sources[source_id].n_datagrams >= quarter(t->capacity))
		evict(t, t->sources[source_id].datagrams.oldest, evicted);
	else if (is_waiting && t->n_waiting >= half(t->capacity))
		evict(t, t->waiting.oldest, evicted);
	else if (t->datagram_pool.n_free == 0)
		evict(t, t->waiting.oldest != END ? t->waiting.oldest : t->known.oldest, evicted);
}

/* Makes a new datagram without its first fragment; `is_waiting`: it stays so. */
static uint32_t datagram_take(struct fragment_table *t, const struct fragment_key *key,
	bool is_waiting, uint64_t now_us, struct fragment_packets *evicted)
{
	uint32_t *chain = datagram_chain(t, key);
	uint32_t source_id;
	uint32_t id;

	make_datagram_room(t, key, is_waiting, evicted);
	id = pool_take(&t->datagram_pool);
	source_id = source_take(t, &key->src);
	t->datagrams[id] = (struct datagram){
		.key = *key, .since_us = now_us, .source_id = source_id, .hash_next = *chain};
	*chain = id;
	t->sources[source_id].n_datagrams++;
	t->n_waiting++;
	age_add(t, &t->waiting, BY_STATE, id);
	age_add(t, &t->sources[source_id].datagrams, BY_SOURCE, id);
	return id;
}

static bool is_stale(const struct fragment_table *t, uint32_t id, uint64_t now_us)
{
	uint64_t since_us = t->datagrams[id].since_us;

	return now_us > since_us && now_us - since_us >= t->timeout_us;
}

/* The datagram of a key. One that is too old is another that had the same identification: it goes. */
static uint32_t find_fresh(struct fragment_table *t, const struct fragment_key *key,
	uint64_t now_us, struct fragment_packets *evicted)
{
	uint32_t id = datagram_find(t, key);

	if (id == END || !is_stale(t, id, now_us))
		return id;
	evict(t, id, evicted);
	return END;
}

/* Four rounds of a Feistel network over two octets: a keyed order of all 65536. */
uint16_t fragment_identification(struct fragment_table *t)
{
	uint32_t n = t->n_identifications++;
	uint32_t left = n >> 8 & 0xff;
	uint32_t right = n & 0xff;

	for (uint32_t round = 0; round < 4; round++) {
		uint64_t mixed =
			(t->hash_key.words[0] >> 16 * round ^ right) * UINT64_C(0x9e3779b97f4a7c15);
		uint32_t next = left ^ (uint32_t)(mixed >> 56);

		left = right;
		right = next;
	}
	return (uint16_t)(left << 8 | right);
}

void fragment_first(struct fragment_table *t, const struct fragment_key *key,
	struct fragment_origin *origin, uint64_t now_us, struct fragment_packets *ret_held,
	struct fragment_packets *ret_evicted)
{
	struct datagram *d;
	uint32_t id;

	ret_evicted->n = 0;
	id = find_fresh(t, key, now_us, ret_evicted);
	if (id == END)
		id = datagram_take(t, key, false, now_us, ret_evicted);
	d = &t->datagrams[id];
	if (origin->is_renamed)
		origin->identification = d->is_known && d->origin.is_renamed
						 ? d->origin.identification
						 : fragment_identification(t);
	age_remove(t, state_list(t, d), BY_STATE, id);
	t->n_waiting -= !d->is_known;
	d->is_known = true;
	d->since_us = now_us;
	d->origin = *origin;
	age_add(t, &t->known, BY_STATE, id);
	ret_held->n = release_held(t, id, ret_held->packets, FRAGMENT_HELD_MAX);
}

void fragment_refuse(
	struct fragment_table *t, const struct fragment_key *key, struct fragment_packets *ret_held)
{
	uint32_t id = datagram_find(t, key);

	ret_held->n = 0;
	if (id != END && !t->datagrams[id].is_known)
		evict(t, id, ret_held);
}

/* True when the limits of the datagram and of its source let one more packet be held. */
static bool may_hold(const struct fragment_table *t, uint32_t id, const struct ip_addr *src)
{
	uint32_t source_id = id != END ? t->datagrams[id].source_id : source_find(t, src);

	if (id != END && t->datagrams[id].n_held == FRAGMENT_HELD_MAX)
		return false;
	return source_id == END || t->sources[source_id].n_held < quarter(t->held_capacity);
}

/* Makes room for one held packet: the oldest waiting datagram but this one yields. */
static bool make_held_room(struct fragment_table *t, uint32_t id, struct fragment_packets *evicted)
{
	uint32_t victim = t->waiting.oldest;

	if (t->n_held < t->held_capacity)
		return true;
	if (victim == id)
		victim = t->datagrams[id].links[BY_STATE].newer;
	if (victim == END)
		return false;
	evict(t, victim, evicted);
	return true;
}

enum fragment_verdict fragment_later(struct fragment_table *t, const struct fragment_key *key,
	void *packet, uint64_t now_us, struct fragment_origin *ret_origin,
	struct fragment_packets *ret_evicted)
{
	struct datagram *d;
	uint32_t id;

	ret_evicted->n = 0;
	id = find_fresh(t, key, now_us, ret_evicted);
	if (id != END && t->datagrams[id].is_known) {
		*ret_origin = t->datagrams[id].origin;
		return FRAGMENT_KNOWN;
	}
	if (!may_hold(t, id, &key->src))
		return FRAGMENT_FULL;
	if (id == END)
		id = datagram_take(t, key, true, now_us, ret_evicted);
	/* Fails only for a datagram that alone holds all there is: a new one has found room by now. */
	if (!make_held_room(t, id, ret_evicted))
		return FRAGMENT_FULL;
	d = &t->datagrams[id];
	d->held[d->n_held++] = packet;
	t->sources[d->source_id].n_held++;
	t->n_held++;
	return FRAGMENT_HELD;
}

/* As fragment_expire() for the datagrams of one list. */
static uint32_t expire_list(struct fragment_table *t, struct age_list *list, uint64_t now_us,
	void **expired, uint32_t n_max)
{
	uint32_t n = 0;

	while (list->oldest != END && is_stale(t, list->oldest, now_us)) {
		uint32_t id = list->oldest;

		n += release_held(t, id, expired + n, n_max - n);
		if (t->datagrams[id].n_held > 0)
			break;
		datagram_give(t, id);
	}
	return n;
}

uint32_t fragment_expire(struct fragment_table *t, uint64_t now_us, void **expired, uint32_t n_max)
{
	expire_list(t, &t->known, now_us, expired, 0);
	return expire_list(t, &t->waiting, now_us, expired, n_max);
}

uint32_t fragment_n_held(const struct fragment_table *t)
{
	return t->n_held;
}
