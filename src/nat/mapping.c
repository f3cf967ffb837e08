/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/nat/filter.h>
#include <weir/nat/mapping.h>
#include <weir/nat/ports.h>
#include <weir/packet/meta.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CAPACITY_MAX   (1u << 24)
#define WELL_KNOWN_END 1024u /* RFC 4787 REQ-3a keeps 0-1023 and 1024-65535 apart */
#define N_TRANSPORTS   3u
#define NAT_SHARE      4u /* a device may have a quarter as many ports as are free */
#define N_EXTERNAL_MAX (N_TRANSPORTS * 65535u) /* more mappings than ports cannot be */
#define CACHE_LINE     ((size_t)64)

#define REST_LOOKS_MAX 8    /* ports that are woken early for one that is wanted */
#define AGE_MAX        1024 /* ports that wake a call */

/* A port that rests: taken, and nobody's. */
struct rest {
	uint32_t owner; /* keyed hash of the endpoint that had it */
	uint32_t since_ms;
	uint16_t older;
	uint16_t newer;
};

/* The external ports (identifiers) of one protocol, and which mapping owns each. */
struct transport {
	struct ports well_known;
	struct ports high;
	uint32_t owners[65536]; /* mapping ids; POOL_NONE where there is none */
	uint32_t *n_by_device;  /* ports of the range that a device has */
	uint32_t n_resting;
	struct rest
		rests[65536]; /* in the order of time; the ends meet at port 0, which is nobody's */
};

/*
 * Most mappings talk to one remote address and never to another: that one is counted in the mapping's own line, and only
 * further ones cost a place in the filter. Which address is the first one changes: when its last flow ends, the next to
 * begin takes the place. One address may thus be counted in both; the sum is what is true.
 */
struct slot {
	struct nat_mapping mapping;
	struct ip_addr first_remote;
	uint32_t n_first_flows;
	uint32_t n_inside; /* flows that the internal endpoint began or answered */
	uint16_t device_id;
	uint8_t is_static; /* of a forwarded port, or the DMZ host's */
	uint8_t owns_port; /* a forwarded port may be another mapping's still */
	uint16_t pin;      /* the first of its pins, from 1; 0: none */
} __attribute__((aligned(64)));
static_assert(sizeof(struct slot) == 64, "one cache line");

struct pin {
	struct nat_pin says;
	uint16_t next; /* of the same mapping, from 1; 0: none */
};

struct nat {
	struct flow_hash_key hash_key;
	enum nat_filtering filtering;
	struct rng *rng;
	struct slot *slots;
	uint32_t *slot_heads;
	uint32_t slot_mask;
	struct nat_filter filter;
	struct pin *pins; /* NAT_PINS_MAX */
	struct pool slot_pool;
	size_t len_bytes; /* of all this, with the arrays behind it */
	uint32_t now_ms;
	uint16_t n_devices;
	struct nat_forwards forwards;
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

/* Of an internal endpoint: leads to its mapping, and tells whose port it was that rests. */
static uint32_t endpoint_hash(
	const struct nat *n, uint8_t proto, const struct ip_addr *a, uint16_t port)
{
	return flow_hash_addr(&n->hash_key, a, (uint64_t)proto << 16 | port);
}

static uint32_t hash_of(const struct nat *n, const struct nat_internal *who)
{
	return endpoint_hash(n, who->proto, &who->addr, who->port);
}

static uint32_t *slot_head(const struct nat *n, uint32_t hash)
{
	return &n->slot_heads[hash & n->slot_mask];
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
static int nat_allocate(uint32_t n_slots, const struct nat_params *params, struct nat **ret_nat)
{
	uint32_t n_slot_heads = power_of_two(n_slots);
	uint16_t n_devices = params->n_devices;
	size_t end = 0;
	size_t at[6];
	void *memory;
	struct nat *n;
	int err;

	at[0] = lay(&end, 1, sizeof(struct nat));
	at[1] = lay(&end, n_slots, sizeof(struct slot));
	at[2] = lay(&end, n_slot_heads, sizeof(uint32_t));
	at[3] = lay(&end, 1, nat_filter_bytes(params->capacity));
	at[4] = lay(&end, (size_t)n_devices * N_TRANSPORTS, sizeof(uint32_t));
	at[5] = lay(&end, NAT_PINS_MAX, sizeof(struct pin));
	err = memory_create(end, &memory);
	if (err != 0)
		return err;
	n = memory;
	n->slots = (void *)((char *)memory + at[1]);
	n->slot_heads = (void *)((char *)memory + at[2]);
	n->slot_mask = n_slot_heads - 1;
	/* One flow costs one pair at most. */
	nat_filter_init(&n->filter, params->capacity, &params->hash_key, (char *)memory + at[3]);
	n->pins = (void *)((char *)memory + at[5]);
	n->n_devices = n_devices;
	for (uint32_t i = 0; i < N_TRANSPORTS; i++)
		n->transports[i].n_by_device =
			(uint32_t *)(void *)((char *)memory + at[4]) + (size_t)i * n_devices;
	n->len_bytes = end;
	memset(n->slot_heads, 0xff, n_slot_heads * sizeof(uint32_t));
	*ret_nat = n;
	return 0;
}

int nat_create(const struct nat_params *params, struct rng *rng, struct nat **ret_nat)
{
	uint32_t n_slots = params->capacity < N_EXTERNAL_MAX ? params->capacity : N_EXTERNAL_MAX;
	struct nat *n;
	int err;

	if (!params_valid(params))
		return -EINVAL;
	err = nat_allocate(n_slots, params, &n);
	if (err != 0)
		return err;
	err = pool_init(&n->slot_pool, n_slots);
	if (err != 0)
		goto err_nat;
	n->hash_key = params->hash_key;
	n->filtering = params->filtering;
	n->rng = rng;
	for (uint32_t i = 0; i < N_TRANSPORTS; i++)
		transport_init(&n->transports[i], params);
	*ret_nat = n;
	return 0;

err_nat:
	memory_destroy(n, n->len_bytes);
	return err;
}

void nat_destroy(struct nat *n)
{
	if (n == NULL)
		return;
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

static bool is_resting(const struct transport *t, uint16_t port)
{
	const struct ports *p = port < WELL_KNOWN_END ? &t->well_known : &t->high;

	return port != 0 && t->owners[port] == POOL_NONE && ports_is_taken(p, port);
}

/* A TCP port may be given again at once: its connections are followed to their end (RFC 6888 REQ-8 A). */
static bool rests(const struct nat *n, const struct transport *t)
{
	return t != &n->transports[0];
}

static void rest_end(struct transport *t, uint16_t port)
{
	const struct rest *r = &t->rests[port];

	t->rests[r->older].newer = r->newer;
	t->rests[r->newer].older = r->older;
	t->n_resting--;
}

/* The port that rests longest is free again. */
static void rest_end_oldest(struct transport *t)
{
	uint16_t port = t->rests[0].newer;

	rest_end(t, port);
	ports_give(ports_of(t, port), port);
}

static void rest_begin(struct nat *n, struct transport *t, uint16_t port, uint32_t owner)
{
	uint16_t newest = t->rests[0].older;

	t->rests[port] = (struct rest){.owner = owner, .since_ms = n->now_ms, .older = newest};
	t->rests[newest].newer = port;
	t->rests[0].older = port;
	t->n_resting++;
	if (t->n_resting > ((uint32_t)t->high.max - t->high.min + 1) / 2)
		rest_end_oldest(t);
}

void nat_age(struct nat *n, uint64_t now_us)
{
	n->now_ms = (uint32_t)(now_us / US_PER_MS);
	for (uint32_t i = 1; i < N_TRANSPORTS; i++) {
		struct transport *t = &n->transports[i];

		for (uint32_t k = 0; k < AGE_MAX && t->n_resting > 0; k++) {
			if (n->now_ms - t->rests[t->rests[0].newer].since_ms < NAT_REST_MS)
				break;
			rest_end_oldest(t);
		}
	}
}

/* What a device may have of the ports that can be chosen. Those that rest can be had, too. */
static bool has_share(const struct nat *n, const struct transport *t, uint16_t device_id)
{
	uint32_t n_free = t->high.n_free + t->n_resting;

	return device_id >= n->n_devices || n_free == 0
	       || t->n_by_device[device_id] < (n_free + NAT_SHARE - 1) / NAT_SHARE;
}

static uint16_t choose_port(struct nat *n, struct transport *t, uint8_t proto, uint16_t wanted)
{
	struct ports *same_range = ports_of(t, wanted);
	/* Nothing depends on the range or parity of an ICMP identifier, so a new one is simply random (RFC 5508 REQ-1a
	 * asks for no more). */
	bool any_will_do = wanted == 0 || proto == PROTO_ICMP;
	uint32_t hint = (uint32_t)(rng_next(n->rng) >> 32);
	uint16_t port;

	if (any_will_do)
		return ports_take(&t->high, hint, 0);
	port = ports_take(same_range, hint, wanted);
	if (port == 0 && same_range == &t->well_known)
		port = ports_take(&t->high, hint, wanted);
	return port;
}

/* Takes exactly `wanted`, where it is free or rests for the endpoint of this hash. */
static bool take_exact(struct transport *t, uint32_t hash, uint16_t wanted)
{
	struct ports *p = ports_of(t, wanted);

	if (!ports_is_taken(p, wanted))
		return ports_take_exact(p, wanted);
	if (!is_resting(t, wanted) || t->rests[wanted].owner != hash)
		return false;
	rest_end(t, wanted);
	return true;
}

/* An external port for the internal endpoint of this hash, `wanted` where that can be; 0 when none is left. */
static uint16_t take_port(
	struct nat *n, struct transport *t, uint8_t proto, uint32_t hash, uint16_t wanted)
{
	uint16_t port;

	if (take_exact(t, hash, wanted))
		return wanted;
	port = choose_port(n, t, proto, wanted);
	/* A port that rests too short is better than none. */
	for (uint32_t i = 0; i < REST_LOOKS_MAX && port == 0 && t->n_resting > 0; i++) {
		rest_end_oldest(t);
		port = choose_port(n, t, proto, wanted);
	}
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

/* The row that forwards to this endpoint, and by which port; NULL when none does. */
static const struct nat_forward *forward_to(
	const struct nat *n, const struct nat_internal *who, uint16_t *ret_external_port)
{
	for (uint32_t i = 0; i < n->forwards.n; i++) {
		const struct nat_forward *f = &n->forwards.rows[i];
		uint32_t offset = (uint32_t)who->port - f->internal_port;

		if (f->is_dmz || (f->proto != 0 && f->proto != who->proto)
			|| offset > (uint32_t)(f->port_max - f->port_min)
			|| !ip_addr_equal(&f->internal, &who->addr))
			continue;
		*ret_external_port = (uint16_t)(f->port_min + offset);
		return f;
	}
	return NULL;
}

bool nat_find_forward(const struct nat *n, uint8_t proto, uint16_t external_port,
	const struct ip_addr *remote, bool is_dmz, struct nat_internal *ret_who)
{
	if (proto != PROTO_TCP && proto != PROTO_UDP)
		return false;
	for (uint32_t i = 0; i < n->forwards.n; i++) {
		const struct nat_forward *f = &n->forwards.rows[i];

		if (f->is_dmz != is_dmz || (f->proto != 0 && f->proto != proto)
			|| external_port < f->port_min || external_port > f->port_max)
			continue;
		if (f->has_source && remote != NULL && !ip_prefix_contains(&f->source, remote))
			continue;
		*ret_who = (struct nat_internal){
			.addr = f->internal,
			.port = (uint16_t)(f->internal_port + (external_port - f->port_min)),
			.proto = proto,
			.lan_port = f->lan_port,
			.device_id = UINT16_MAX,
		};
		return true;
	}
	return false;
}

static void reserve_all(struct nat *n, bool reserved)
{
	for (uint32_t i = 0; i < n->forwards.n; i++) {
		const struct nat_forward *f = &n->forwards.rows[i];

		if (f->is_dmz)
			continue;
		for (uint32_t port = f->port_min; port <= f->port_max; port++)
			for (uint32_t t = 0; t < N_TRANSPORTS; t++)
				if (t == transport_index(f->proto)
					|| (f->proto == 0 && t != transport_index(PROTO_ICMP)))
					ports_reserve(ports_of(&n->transports[t], (uint16_t)port),
						(uint16_t)port, reserved);
	}
}

/* True when both keep the same ports from others. */
static bool reserves_same(const struct nat_forwards *a, const struct nat_forwards *b)
{
	bool same = a->n == b->n;

	for (uint32_t i = 0; i < a->n && same; i++)
		same = a->rows[i].proto == b->rows[i].proto
		       && a->rows[i].is_dmz == b->rows[i].is_dmz
		       && a->rows[i].port_min == b->rows[i].port_min
		       && a->rows[i].port_max == b->rows[i].port_max;
	return same;
}

void nat_set_forwards(struct nat *n, const struct nat_forwards *forwards)
{
	bool is_known = reserves_same(&n->forwards, forwards);

	if (!is_known)
		reserve_all(n, false);
	n->forwards = *forwards;
	if (!is_known)
		reserve_all(n, true);
}

/* Counts a port that was taken or given back on its device. */
static void count_port(
	const struct nat *n, struct transport *t, const struct slot *s, uint32_t change)
{
	uint16_t port = s->mapping.external_port;

	if (s->device_id < n->n_devices && port >= t->high.min && port <= t->high.max)
		t->n_by_device[s->device_id] += change;
}

/* A new mapping, of a port that was taken, in the chain of its endpoint. The slots of a static one stand behind others of the
 * endpoint, so that what that has now it keeps. */
static uint32_t add_mapping(struct nat *n, uint32_t *chain, const struct nat_internal *who,
	uint16_t port, bool is_static)
{
	uint32_t *link = chain;
	uint32_t id = pool_take(&n->slot_pool);

	while (is_static && *link != POOL_NONE)
		link = &n->slots[*link].mapping.hash_next;
	n->slots[id] = (struct slot){
		.mapping =
			{
				.internal = who->addr,
				.internal_port = who->port,
				.external_port = port,
				.proto = who->proto,
				.lan_port = who->lan_port,
				.in_use = 1,
				.hash_next = *link,
			},
		.device_id = who->device_id,
		.is_static = is_static,
		.owns_port = 1,
	};
	*link = id;
	return id;
}

static void own_port(const struct nat *n, struct transport *t, uint32_t id)
{
	const struct slot *s = &n->slots[id];

	t->owners[s->mapping.external_port] = id;
	count_port(n, t, s, 1);
}

enum drop_reason nat_map(struct nat *n, const struct nat_internal *who, uint32_t *ret_mapping_id)
{
	uint32_t transport = transport_index(who->proto);
	uint32_t hash = hash_of(n, who);
	uint32_t *chain = slot_head(n, hash);
	uint32_t id = find_internal(n, *chain, who->proto, &who->addr, who->port);
	struct transport *t = &n->transports[transport];
	uint16_t port;

	if (id != POOL_NONE) {
		*ret_mapping_id = id;
		return DROP_NONE;
	}
	if (transport == N_TRANSPORTS)
		return DROP_NAT_PROTOCOL;
	if (forward_to(n, who, &port) != NULL)
		return nat_map_at(n, who, port, ret_mapping_id);
	if (n->slot_pool.n_free == 0)
		return DROP_NAT_NO_MAPPING;
	if (!has_share(n, t, who->device_id))
		return DROP_NAT_NO_PORT;
	port = take_port(n, t, who->proto, hash, who->port);
	if (port == 0)
		return DROP_NAT_NO_PORT;
	id = add_mapping(n, chain, who, port, false);
	own_port(n, t, id);
	*ret_mapping_id = id;
	return DROP_NONE;
}

enum drop_reason nat_map_wanted(struct nat *n, const struct nat_internal *who, uint16_t wanted,
	bool is_exact, uint32_t *ret_mapping_id)
{
	uint32_t transport = transport_index(who->proto);
	uint32_t hash = hash_of(n, who);
	uint32_t *chain = slot_head(n, hash);
	uint32_t id = find_internal(n, *chain, who->proto, &who->addr, who->port);
	struct transport *t = &n->transports[transport];
	uint16_t port = wanted != 0 ? wanted : who->port;

	if (id != POOL_NONE) {
		*ret_mapping_id = id;
		return DROP_NONE;
	}
	if (transport == N_TRANSPORTS)
		return DROP_NAT_PROTOCOL;
	if (n->slot_pool.n_free == 0)
		return DROP_NAT_NO_MAPPING;
	if (!has_share(n, t, who->device_id))
		return DROP_NAT_NO_PORT;
	if (port < WELL_KNOWN_END)
		port = 0;
	if (is_exact)
		port = port != 0 && take_exact(t, hash, port) ? port : 0;
	else
		port = take_port(n, t, who->proto, hash, port);
	if (port == 0)
		return DROP_NAT_NO_PORT;
	id = add_mapping(n, chain, who, port, false);
	own_port(n, t, id);
	*ret_mapping_id = id;
	return DROP_NONE;
}

uint16_t nat_forwarded_port(const struct nat *n, const struct nat_internal *who)
{
	uint16_t port;

	return forward_to(n, who, &port) == NULL ? 0 : port;
}

bool nat_is_forwarded(const struct nat *n, uint8_t proto, uint16_t external_port)
{
	struct nat_internal to;

	return nat_find_forward(n, proto, external_port, NULL, false, &to);
}

/* True when a row leads from this external port to this endpoint. */
static bool is_forwarded(
	const struct nat *n, const struct nat_internal *who, uint16_t port, bool is_dmz)
{
	struct nat_internal to;

	return nat_find_forward(n, who->proto, port, NULL, is_dmz, &to)
	       && ip_addr_equal(&to.addr, &who->addr) && to.port == who->port;
}

enum drop_reason nat_map_at(struct nat *n, const struct nat_internal *who, uint16_t external_port,
	uint32_t *ret_mapping_id)
{
	uint32_t transport = transport_index(who->proto);
	struct transport *t = &n->transports[transport];
	uint32_t *chain = slot_head(n, hash_of(n, who));
	uint32_t id = *chain;
	bool owns;

	for (; id != POOL_NONE; id = n->slots[id].mapping.hash_next) {
		const struct nat_mapping *m = &n->slots[id].mapping;

		if (m->external_port == external_port && m->internal_port == who->port
			&& m->proto == who->proto && ip_addr_equal(&m->internal, &who->addr)) {
			*ret_mapping_id = id;
			return DROP_NONE;
		}
	}
	if (transport == N_TRANSPORTS)
		return DROP_NAT_PROTOCOL;
	if (n->slot_pool.n_free == 0)
		return DROP_NAT_NO_MAPPING;
	owns = ports_claim(ports_of(t, external_port), external_port);
	if (!owns && !is_forwarded(n, who, external_port, false))
		return DROP_NAT_NO_PORT;
	if (!owns && is_resting(t, external_port)) {
		rest_end(t, external_port);
		owns = true;
	}
	id = add_mapping(n, chain, who, external_port, true);
	n->slots[id].owns_port = owns;
	if (owns)
		own_port(n, t, id);
	*ret_mapping_id = id;
	return DROP_NONE;
}

uint32_t nat_find_internal(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port)
{
	return find_internal(
		n, *nat_chain(n, proto, internal, internal_port), proto, internal, internal_port);
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

/* False for a mapping that was made for a row which is no longer there. */
static bool is_still_open(const struct nat *n, const struct slot *s)
{
	struct nat_internal who = {
		.addr = s->mapping.internal,
		.port = s->mapping.internal_port,
		.proto = s->mapping.proto,
	};
	uint16_t port = s->mapping.external_port;

	return !s->is_static || is_forwarded(n, &who, port, false)
	       || is_forwarded(n, &who, port, true);
}

void nat_set_pin(struct nat *n, uint16_t pin_id, const struct nat_pin *pin)
{
	n->pins[pin_id].says = *pin;
}

void nat_pin(struct nat *n, uint32_t mapping_id, uint16_t pin_id, const struct nat_pin *pin)
{
	struct slot *s = &n->slots[mapping_id];

	assert(s->mapping.in_use && pin_id < NAT_PINS_MAX);
	n->pins[pin_id] = (struct pin){.says = *pin, .next = s->pin};
	s->pin = (uint16_t)(pin_id + 1);
}

static bool pin_admits(const struct nat_pin *p, const struct ip_addr *remote, uint16_t remote_port)
{
	bool admits = p->is_open;

	for (uint32_t i = 0; i < p->n_peers && !admits; i++)
		admits = ip_prefix_contains(&p->peers[i].remote, remote)
			 && (p->peers[i].port == 0 || p->peers[i].port == remote_port);
	return admits;
}

static bool any_pin_admits(const struct nat *n, const struct slot *s, const struct ip_addr *remote,
	uint16_t remote_port)
{
	bool admits = false;

	for (uint16_t pin = s->pin; pin != 0 && !admits; pin = n->pins[pin - 1].next)
		admits = pin_admits(&n->pins[pin - 1].says, remote, remote_port);
	return admits;
}

static bool is_first(const struct slot *s, const struct ip_addr *remote)
{
	return s->n_first_flows > 0 && ip_addr_equal(&s->first_remote, remote);
}

bool nat_admits(const struct nat *n, uint32_t mapping_id, const struct ip_addr *remote,
	uint16_t remote_port)
{
	const struct slot *s = &n->slots[mapping_id];

	assert(s->mapping.in_use);
	if (any_pin_admits(n, s, remote, remote_port))
		return true;
	/* RFC 4787 REQ-6: what strangers send keeps nothing open. */
	if (s->n_inside == 0 || !is_still_open(n, s))
		return false;
	if (n->filtering == NAT_FILTER_ENDPOINT_INDEPENDENT && !s->is_static)
		return true;
	if (n->filtering == NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT)
		return false; /* an endpoint that was spoken to has a flow of its own */
	return is_first(s, remote) || nat_filter_has(&n->filter, mapping_id, remote->words[3]);
}

/* The port of a mapping whose endpoint has this hash. */
static void give_port(struct nat *n, const struct slot *s, uint32_t hash)
{
	const struct nat_mapping *m = &s->mapping;
	struct transport *t = &n->transports[transport_index(m->proto)];

	t->owners[m->external_port] = POOL_NONE;
	count_port(n, t, s, UINT32_MAX);
	if (s->is_static || !rests(n, t))
		ports_give(ports_of(t, m->external_port), m->external_port);
	else
		rest_begin(n, t, m->external_port, hash);
}

static void end_mapping(struct nat *n, uint32_t mapping_id)
{
	struct slot *s = &n->slots[mapping_id];
	struct nat_mapping *m = &s->mapping;
	uint32_t hash = endpoint_hash(n, m->proto, &m->internal, m->internal_port);
	uint32_t *link = slot_head(n, hash);

	while (*link != mapping_id)
		link = &n->slots[*link].mapping.hash_next;
	*link = m->hash_next;
	if (s->owns_port)
		give_port(n, s, hash);
	m->in_use = 0;
	pool_give(&n->slot_pool, mapping_id);
}

/* Opens the filter for a remote address. */
static enum drop_reason admit(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote)
{
	struct slot *s = &n->slots[mapping_id];

	if (s->n_first_flows == 0)
		s->first_remote = *remote;
	if (is_first(s, remote) || s->n_first_flows == 0)
		s->n_first_flows++;
	else if (!nat_filter_add(&n->filter, mapping_id, remote->words[3]))
		return DROP_NAT_NO_MAPPING;
	s->n_inside++;
	return DROP_NONE;
}

static void admit_no_more(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote)
{
	struct slot *s = &n->slots[mapping_id];

	s->n_inside--;
	if (is_first(s, remote))
		s->n_first_flows--;
	else
		nat_filter_remove(&n->filter, mapping_id, remote->words[3]);
}

void nat_expect(const struct nat *n, uint32_t mapping_id, uint32_t remote_be)
{
	const struct nat_filter_place *home =
		&n->filter.places[nat_filter_home(&n->filter, mapping_id, remote_be)];

	__builtin_prefetch(&n->slots[mapping_id], 1);
	/* A search, and what moves up when a place is given back, looks at some in a row, which may lie in two lines. */
	__builtin_prefetch(home, 1);
	__builtin_prefetch(home + 4, 1);
}

const uint32_t *nat_chain(
	const struct nat *n, uint8_t proto, const struct ip_addr *internal, uint16_t internal_port)
{
	return slot_head(n, endpoint_hash(n, proto, internal, internal_port));
}

void nat_expect_chain(const struct nat *n, const uint32_t *chain)
{
	if (*chain != POOL_NONE)
		__builtin_prefetch(&n->slots[*chain], 1);
}

uint32_t nat_find_in_chain(const struct nat *n, const uint32_t *chain, uint8_t proto,
	const struct ip_addr *internal, uint16_t internal_port)
{
	return find_internal(n, *chain, proto, internal, internal_port);
}

enum drop_reason nat_hold(
	struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, bool is_inside)
{
	enum drop_reason why = DROP_NONE;

	assert(n->slots[mapping_id].mapping.in_use);
	if (is_inside)
		why = admit(n, mapping_id, remote);
	if (why == DROP_NONE)
		n->slots[mapping_id].mapping.n_flows++;
	return why;
}

void nat_release(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote, bool is_inside)
{
	struct slot *s = &n->slots[mapping_id];

	assert(s->mapping.in_use && s->mapping.n_flows > 0);
	if (is_inside)
		admit_no_more(n, mapping_id, remote);
	s->mapping.n_flows--;
	nat_forget_unused(n, mapping_id);
}

void nat_unpin(struct nat *n, uint32_t mapping_id, uint16_t pin_id)
{
	uint16_t *link = &n->slots[mapping_id].pin;

	assert(n->slots[mapping_id].mapping.in_use);
	while (*link != pin_id + 1)
		link = &n->pins[*link - 1].next;
	*link = n->pins[pin_id].next;
	nat_forget_unused(n, mapping_id);
}

enum drop_reason nat_answer(struct nat *n, uint32_t mapping_id, const struct ip_addr *remote)
{
	assert(n->slots[mapping_id].mapping.n_flows > n->slots[mapping_id].n_inside);
	return admit(n, mapping_id, remote);
}

void nat_forget_unused(struct nat *n, uint32_t mapping_id)
{
	assert(n->slots[mapping_id].mapping.in_use);
	if (n->slots[mapping_id].mapping.n_flows == 0 && n->slots[mapping_id].pin == 0)
		end_mapping(n, mapping_id);
}

uint32_t nat_n_mappings(const struct nat *n)
{
	return n->slot_pool.capacity - n->slot_pool.n_free;
}
