/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/nat/mapping.h>
#include <weir/nat/ports.h>
#include <weir/packet/meta.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CAPACITY_MAX   (1u << 24)
#define WELL_KNOWN_END 1024u /* RFC 4787 REQ-3a keeps 0-1023 and 1024-65535 apart */
#define N_TRANSPORTS   3u
#define N_EXTERNAL_MAX (N_TRANSPORTS * 65535u) /* more mappings than ports cannot be */
#define CACHE_LINE     ((size_t)64)

/* The external ports (identifiers) of one protocol, and which mapping owns each. */
struct transport {
	struct ports well_known;
	struct ports high;
	uint32_t owners[65536]; /* mapping ids; POOL_NONE where there is none */
};

/*
 * Most mappings talk to one remote endpoint and never to another: that one is counted in the
 * mapping's own line, and only further ones cost an entry of the filter. Which endpoint is the
 * first one changes: when its last flow ends, the next to begin takes the place. One endpoint may
 * thus be counted in both places; the sum is what is true.
 */
struct slot {
	struct nat_mapping mapping;
	struct ip_addr first_remote;
	uint32_t n_first_flows;
	uint16_t first_port;
} __attribute__((aligned(64)));
static_assert(sizeof(struct slot) == 64, "one cache line");

/*
 * Flows of a mapping to a further remote endpoint. Each is counted by address and by address with
 * port, so that the filtering may change at any time without a look at the flows.
 */
struct filter_entry {
	struct ip_addr remote;
	uint32_t mapping_id;
	uint32_t n_flows;
	uint32_t hash_next;
	uint16_t remote_port; /* 0 with any_port */
	uint8_t any_port;
	uint8_t spare;
};
static_assert(sizeof(struct filter_entry) == 32, "half a cache line");

struct nat {
	struct flow_hash_key hash_key;
	enum nat_filtering filtering;
	struct rng *rng;
	struct slot *slots;
	uint32_t *slot_heads;
	uint32_t slot_mask;
	struct filter_entry *entries;
	uint32_t *entry_heads;
	uint32_t entry_mask;
	struct pool slot_pool;
	struct pool entry_pool;
	size_t len_bytes; /* of all this, with the arrays behind it */
	struct transport transports[N_TRANSPORTS];
};

static uint32_t transport_index(uint8_t proto)
{
	switch (proto) {
	case PROTO_TCP:
		return 0;
	case PROTO_UDP:
		return 1;
	case PROTO_ICMP:
		return 2;
	default:
		return N_TRANSPORTS;
	}
}

static uint32_t hash_addr(const struct nat *n, const struct ip_addr *addr, uint64_t rest)
{
	const uint64_t *k = n->hash_key.words;
	uint64_t halves[2];
	uint64_t h;

	memcpy(halves, addr, sizeof(halves));
	h = flow_hash_fold(halves[0] ^ k[0], halves[1] ^ k[1]);
	return (uint32_t)flow_hash_fold(h ^ k[2], rest ^ k[0]);
}

static uint32_t *slot_head(
	const struct nat *n, uint8_t proto, const struct ip_addr *a, uint16_t port)
{
	return &n->slot_heads[hash_addr(n, a, (uint64_t)proto << 16 | port) & n->slot_mask];
}

/* Where a mapping and a remote address meet in the filter; `port` is that of the entry, not of the
 * packet. */
struct filter_key {
	uint32_t mapping_id;
	const struct ip_addr *remote;
	uint16_t port;
	uint8_t any_port;
};

static uint32_t *entry_head(const struct nat *n, const struct filter_key *k)
{
	uint64_t rest = (uint64_t)k->mapping_id << 32 | (uint64_t)k->any_port << 16 | k->port;

	return &n->entry_heads[hash_addr(n, k->remote, rest) & n->entry_mask];
}

/* The link (head or hash_next) that holds the id of the key's entry, or POOL_NONE where the chain
 * ends. */
static uint32_t *entry_link(const struct nat *n, const struct filter_key *k)
{
	uint32_t *link = entry_head(n, k);

	while (*link != POOL_NONE) {
		struct filter_entry *e = &n->entries[*link];

		if (e->mapping_id == k->mapping_id && e->remote_port == k->port
			&& e->any_port == k->any_port && ip_addr_equal(&e->remote, k->remote))
			break;
		link = &e->hash_next;
	}
	return link;
}

static bool entry_add(struct nat *n, const struct filter_key *k)
{
	uint32_t *link = entry_link(n, k);
	uint32_t id = *link;

	if (id == POOL_NONE) {
		id = pool_take(&n->entry_pool);
		if (id == POOL_NONE)
			return false;
		n->entries[id] = (struct filter_entry){
			.remote = *k->remote,
			.mapping_id = k->mapping_id,
			.hash_next = POOL_NONE,
			.remote_port = k->port,
			.any_port = k->any_port,
		};
		*link = id;
	}
	n->entries[id].n_flows++;
	return true;
}

static void entry_remove(struct nat *n, const struct filter_key *k)
{
	uint32_t *link = entry_link(n, k);
	uint32_t id = *link;

	assert(id != POOL_NONE && n->entries[id].n_flows > 0);
	if (--n->entries[id].n_flows > 0)
		return;
	*link = n->entries[id].hash_next;
	pool_give(&n->entry_pool, id);
}

static struct filter_key key_address(uint32_t mapping_id, const struct ip_addr *remote)
{
	return (struct filter_key){.mapping_id = mapping_id, .remote = remote, .any_port = 1};
}

static struct filter_key key_endpoint(
	uint32_t mapping_id, const struct ip_addr *remote, uint16_t remote_port)
{
	return (struct filter_key){.mapping_id = mapping_id, .remote = remote, .port = remote_port};
}

/* Lays `n_items` of `item_bytes` behind what is laid already; returns where. */
static size_t lay(size_t *end, size_t n_items, size_t item_bytes)
{
	size_t at = *end;

	*end = (at + n_items * item_bytes + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
	return at;
}

/* The least power of two that is at least `n`. */
static uint32_t power_of_two(uint32_t n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static void transport_init(struct transport *t, const struct nat_params *params)
{
	uint16_t min = params->port_min < WELL_KNOWN_END ? WELL_KNOWN_END : params->port_min;

	ports_init(&t->well_known, 1, WELL_KNOWN_END - 1);
	ports_init(&t->high, min, params->port_max);
	memset(t->owners, 0xff, sizeof(t->owners));
}

static bool params_valid(const struct nat_params *params)
{
	return params->capacity >= 1 && params->capacity <= CAPACITY_MAX
	       && params->port_min <= params->port_max && params->port_max >= WELL_KNOWN_END;
}

/* Maps everything but the pools' ids as one piece: the fewer pages, the fewer misses of the TLB. */
static int nat_allocate(uint32_t n_slots, uint32_t n_entries, struct nat **ret_nat)
{
	uint32_t n_slot_heads = power_of_two(n_slots);
	uint32_t n_entry_heads = power_of_two(n_entries);
	size_t end = 0;
	size_t at[5];
	void *memory;
	struct nat *n;
	int err;

	at[0] = lay(&end, 1, sizeof(struct nat));
	at[1] = lay(&end, n_slots, sizeof(struct slot));
	at[2] = lay(&end, n_slot_heads, sizeof(uint32_t));
	at[3] = lay(&end, n_entries, sizeof(struct filter_entry));
	at[4] = lay(&end, n_entry_heads, sizeof(uint32_t));
	err = memory_create(end, &memory);
	if (err != 0)
		return err;
	n = memory;
	n->slots = (void *)((char *)memory + at[1]);
	n->slot_heads = (void *)((char *)memory + at[2]);
	n->slot_mask = n_slot_heads - 1;
	n->entries = (void *)((char *)memory + at[3]);
	n->entry_heads = (void *)((char *)memory + at[4]);
	n->entry_mask = n_entry_heads - 1;
	n->len_bytes = end;
	memset(n->slot_heads, 0xff, n_slot_heads * sizeof(uint32_t));
	memset(n->entry_heads, 0xff, n_entry_heads * sizeof(uint32_t));
	*ret_nat = n;
	return 0;
}

int nat_create(const struct nat_params *params, struct rng *rng, struct nat **ret_nat)
{
	uint32_t n_slots = params->capacity < N_EXTERNAL_MAX ? params->capacity : N_EXTERNAL_MAX;
	uint32_t n_entries = 2 * params->capacity; /* one flow costs at most two */
	struct nat *n;
	int err;

	if (!params_valid(params))
		return -EINVAL;
	err = nat_allocate(n_slots, n_entries, &n);
	if (err != 0)
		return err;
	err = pool_init(&n->slot_pool, n_slots);
	if (err != 0)
		goto err_nat;
	err = pool_init(&n->entry_pool, n_entries);
	if (err != 0)
		goto err_slot_pool;
	n->hash_key = params->hash_key;
	n->filtering = params->filtering;
	n->rng = rng;
	for (uint32_t i = 0; i < N_TRANSPORTS; i++)
		transport_init(&n->transports[i], params);
	*ret_nat = n;
	return 0;

err_slot_pool:
	pool_clean(&n->slot_pool);
err_nat:
	memory_destroy(n, n->len_bytes);
	return err;
}

void nat_destroy(struct nat *n)
{
	if (n == NULL)
		return;
	pool_clean(&n->entry_pool);
	pool_clean(&n->slot_pool);
	memory_destroy(n, n->len_bytes);
}

void nat_set_filtering(struct nat *n, enum nat_filtering filtering)
{
	n->filtering = filtering;
}

static struct ports *ports_of(struct transport *t, uint16_t port)
{
	return port < WELL_KNOWN_END ? &t->well_known : &t->high;
}

/* An external port for an internal one; 0 when none is left. Nothing depends on the range or parity
 * of an ICMP identifier, so a new one is simply random (RFC 5508 REQ-1a asks for no more). */
static uint16_t take_port(struct nat *n, uint32_t transport, uint16_t internal_port)
{
	struct transport *t = &n->transports[transport];
	struct ports *same_range = ports_of(t, internal_port);
	bool any_will_do = internal_port == 0 || transport == transport_index(PROTO_ICMP);
	uint16_t port;
	uint32_t hint;

	if (ports_take_exact(same_range, internal_port))
		return internal_port;
	hint = (uint32_t)(rng_next(n->rng) >> 32);
	if (any_will_do)
		return ports_take(&t->high, hint, 0);
	port = ports_take(same_range, hint, internal_port);
	if (port == 0 && same_range == &t->well_known)
		port = ports_take(&t->high, hint, internal_port);
	return port;
}

static uint32_t find_internal(const struct nat *n, uint32_t head, uint8_t proto,
	const struct ip_addr *internal, uint16_t internal_port)
{
	uint32_t id = head;

	while (id != POOL_NONE) {
		const struct nat_mapping *m = &n->slots[id].mapping;

		if (m->internal_port == internal_port && m->proto == proto
			&& ip_addr_equal(&m->internal, internal))
			break;
		id = m->hash_next;
	}
	return id;
}

enum drop_reason nat_map(struct nat *n, uint8_t proto, const struct ip_addr *internal,
	uint16_t internal_port, uint8_t lan_port, uint32_t *ret_mapping_id)
{
	uint32_t transport = transport_index(proto);
	uint32_t *head = slot_head(n, proto, internal, internal_port);
	uint32_t id = find_internal(n, *head, proto, internal, internal_port);
	uint16_t port;

	if (id != POOL_NONE) {
		*ret_mapping_id = id;
		return DROP_NONE;
	}
	if (transport == N_TRANSPORTS)
		return DROP_NAT_PROTOCOL;
	if (n->slot_pool.n_free == 0)
		return DROP_NAT_NO_MAPPING;
	port = take_port(n, transport, internal_port);
	if (port == 0)
		return DROP_NAT_NO_PORT;
	id = pool_take(&n->slot_pool);
	n->slots[id] = (struct slot){
		.mapping =
			{
				.internal = *internal,
				.internal_port = internal_port,
				.external_port = port,
				.proto = proto,
				.lan_port = lan_port,
				.in_use = 1,
				.hash_next = *head,
			},
	};
	*head = id;
	n->transports[transport].owners[port] = id;
	*ret_mapping_id = id;
	return DROP_NONE;
}

uint32_t nat_find_internal(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port)
{
	return find_internal(
		n, *slot_head(n, proto, internal, internal_port), proto, internal, internal_port);
}

uint32_t nat_find_external(const struct nat *n, uint8_t proto, uint16_t external_port)
{
	uint32_t transport = transport_index(proto);

	return transport == N_TRANSPORTS ? POOL_NONE
					 : n->transports[transport].owners[external_port];
}

const struct nat_mapping *nat_mapping(const struct nat *n, uint32_t mapping_id)
{
	assert(n->slots[mapping_id].mapping.in_use);
	return &n->slots[mapping_id].mapping;
}

bool nat_admits(const struct nat *n, uint32_t mapping_id, const struct ip_addr *remote,
	uint16_t remote_port)
{
	const struct slot *s = &n->slots[mapping_id];
	struct filter_key key;

	assert(s->mapping.in_use);
	if (n->filtering == NAT_FILTER_ENDPOINT_INDEPENDENT)
		return true;
	if (n->filtering == NAT_FILTER_ADDRESS_DEPENDENT)
		key = key_address(mapping_id, remote);
	else
		key = key_endpoint(mapping_id, remote, remote_port);
	if (s->n_first_flows > 0 && ip_addr_equal(&s->first_remote, remote)
		&& (key.any_port || s->first_port == remote_port))
		return true;
	return *entry_link(n, &key) != POOL_NONE;
}

static bool is_first(const struct slot *s, const struct ip_addr *remote, uint16_t remote_port)
{
	return s->n_first_flows > 0 && s->first_port == remote_port
	       && ip_addr_equal(&s->first_remote, remote);
}

static void end_mapping(struct nat *n, uint32_t mapping_id)
{
	struct nat_mapping *m = &n->slots[mapping_id].mapping;
	struct transport *t = &n->transports[transport_index(m->proto)];
	uint32_t *link = slot_head(n, m->proto, &m->internal, m->internal_port);

	while (*link != mapping_id)
		link = &n->slots[*link].mapping.hash_next;
	*link = m->hash_next;
	t->owners[m->external_port] = POOL_NONE;
	ports_give(ports_of(t, m->external_port), m->external_port);
	m->in_use = 0;
	pool_give(&n->slot_pool, mapping_id);
}

enum drop_reason nat_hold(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, uint16_t remote_port)
{
	struct slot *s = &n->slots[mapping_id];
	struct filter_key address = key_address(mapping_id, remote);
	struct filter_key endpoint = key_endpoint(mapping_id, remote, remote_port);

	assert(s->mapping.in_use);
	if (s->n_first_flows == 0) {
		s->first_remote = *remote;
		s->first_port = remote_port;
	}
	if (s->n_first_flows == 0 || is_first(s, remote, remote_port)) {
		s->n_first_flows++;
	} else {
		if (!entry_add(n, &address))
			return DROP_NAT_NO_MAPPING;
		if (!entry_add(n, &endpoint)) {
			entry_remove(n, &address);
			return DROP_NAT_NO_MAPPING;
		}
	}
	s->mapping.n_flows++;
	return DROP_NONE;
}

void nat_release(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, uint16_t remote_port)
{
	struct slot *s = &n->slots[mapping_id];
	struct filter_key address = key_address(mapping_id, remote);
	struct filter_key endpoint = key_endpoint(mapping_id, remote, remote_port);

	assert(s->mapping.in_use && s->mapping.n_flows > 0);
	if (is_first(s, remote, remote_port)) {
		s->n_first_flows--;
	} else {
		entry_remove(n, &address);
		entry_remove(n, &endpoint);
	}
	if (--s->mapping.n_flows == 0)
		end_mapping(n, mapping_id);
}

void nat_forget_unused(struct nat *n, uint32_t mapping_id)
{
	assert(n->slots[mapping_id].mapping.in_use);
	if (n->slots[mapping_id].mapping.n_flows == 0)
		end_mapping(n, mapping_id);
}

uint32_t nat_n_mappings(const struct nat *n)
{
	return n->slot_pool.capacity - n->slot_pool.n_free;
}
