/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/base/memory.h>
#include <weir/base/pool.h>
#include <weir/classify/names.h>

#include <errno.h>
#include <stdlib.h>

#define END UINT32_MAX

struct binding {
	struct ip_addr addr;
	uint64_t end_us;
	uint32_t hash;
	uint32_t hash_next;
	uint32_t next; /* of the same device */
	uint32_t prev;
	uint16_t device;
	uint16_t name; /* NAME_NONE: a free place */
};

struct owner {
	uint32_t generation;
	uint32_t first; /* END: none */
	uint32_t n;
};

struct names {
	struct names_setup setup;
	struct names_times times;
	struct names_counts counts;
	uint32_t n_common; /* places for all, still free */
	uint32_t n_bindings;
	uint32_t expire_at;
	struct binding *bindings;
	uint32_t *chains; /* as many as bindings */
	struct owner *owners;
	struct pool pool;
};

static int create_arrays(struct names *n)
{
	void *bindings;
	void *chains;
	void *owners;
	int rc = pool_init(&n->pool, n->setup.capacity);

	if (rc < 0)
		return rc;
	rc = memory_create(n->setup.capacity * sizeof(*n->bindings), &bindings);
	if (rc < 0)
		goto err_pool;
	rc = memory_create(n->setup.capacity * sizeof(*n->chains), &chains);
	if (rc < 0)
		goto err_bindings;
	rc = memory_create(n->setup.n_devices * sizeof(*n->owners), &owners);
	if (rc < 0)
		goto err_chains;
	n->bindings = bindings;
	n->chains = chains;
	n->owners = owners;
	return 0;

err_chains:
	memory_destroy(chains, n->setup.capacity * sizeof(*n->chains));
err_bindings:
	memory_destroy(bindings, n->setup.capacity * sizeof(*n->bindings));
err_pool:
	pool_clean(&n->pool);
	return rc;
}

int names_create(const struct names_setup *setup, struct names **ret_names)
{
	struct names *n;
	int rc;

	if (setup->n_devices == 0 || setup->n_own == 0 || setup->per_device < setup->n_own
		|| setup->capacity >= 1u << 28
		|| (uint64_t)setup->n_own * setup->n_devices > setup->capacity)
		return -EINVAL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	n->setup = *setup;
	n->times = (struct names_times){
		.ttl_max_us = 24 * 3600 * US_PER_S, .grace_us = 3600 * US_PER_S};
	n->n_common = setup->capacity - setup->n_own * setup->n_devices;
	rc = create_arrays(n);
	if (rc < 0) {
		free(n);
		return rc;
	}
	for (uint32_t i = 0; i < setup->capacity; i++) {
		n->chains[i] = END;
		n->bindings[i].name = NAME_NONE;
	}
	for (uint32_t i = 0; i < setup->n_devices; i++)
		n->owners[i].first = END;
	*ret_names = n;
	return 0;
}

void names_destroy(struct names *n)
{
	if (n == NULL)
		return;
	memory_destroy(n->owners, n->setup.n_devices * sizeof(*n->owners));
	memory_destroy(n->chains, n->setup.capacity * sizeof(*n->chains));
	memory_destroy(n->bindings, n->setup.capacity * sizeof(*n->bindings));
	pool_clean(&n->pool);
	free(n);
}

void names_set_times(struct names *n, const struct names_times *times)
{
	n->times = *times;
}

static uint32_t hash_of(const struct names *n, uint16_t device, const struct ip_addr *addr)
{
	const uint64_t *key = n->setup.hash_key.words;
	uint64_t halves[2];
	uint64_t h;

	memcpy(halves, addr, sizeof(halves));
	h = flow_hash_fold(halves[0] ^ key[0], halves[1] ^ key[1]);
	return (uint32_t)flow_hash_fold(h ^ key[2], device ^ key[0]);
}

static uint32_t *chain_of(const struct names *n, uint32_t hash)
{
	return &n->chains[(uint64_t)hash * n->setup.capacity >> 32];
}

static void unlink_hash(struct names *n, uint32_t id)
{
	uint32_t *at = chain_of(n, n->bindings[id].hash);

	while (*at != id)
		at = &n->bindings[*at].hash_next;
	*at = n->bindings[id].hash_next;
}

static void remove_binding(struct names *n, uint32_t id)
{
	struct binding *b = &n->bindings[id];
	struct owner *o = &n->owners[b->device];

	unlink_hash(n, id);
	if (b->prev == END)
		o->first = b->next;
	else
		n->bindings[b->prev].next = b->next;
	if (b->next != END)
		n->bindings[b->next].prev = b->prev;
	b->name = NAME_NONE;
	if (o->n > n->setup.n_own)
		n->n_common++;
	o->n--;
	n->n_bindings--;
	pool_give(&n->pool, id);
}

/* The device's own list; what another device with its id was told is forgotten first. */
static struct owner *own(struct names *n, const struct names_device *device)
{
	struct owner *o = &n->owners[device->id];

	if (o->generation != device->generation) {
		while (o->first != END)
			remove_binding(n, o->first);
		o->generation = device->generation;
	}
	return o;
}

/* Makes room among the device's own bindings: the one that ends first. */
static void replace_one(struct names *n, const struct owner *o)
{
	uint32_t victim = o->first;

	for (uint32_t id = o->first; id != END; id = n->bindings[id].next)
		if (n->bindings[id].end_us < n->bindings[victim].end_us)
			victim = id;
	remove_binding(n, victim);
	n->counts.n_replaced++;
}

static struct binding *find_binding(const struct names *n, uint32_t hash, uint16_t device,
	const struct ip_addr *addr, uint16_t name)
{
	for (uint32_t id = *chain_of(n, hash); id != END; id = n->bindings[id].hash_next) {
		struct binding *b = &n->bindings[id];

		if (b->device == device && b->name == name && ip_addr_equal(&b->addr, addr))
			return b;
	}
	return NULL;
}

/* Takes a place: one of the device's own or a common one. There is one, for room was made. */
static uint32_t take(struct names *n, struct owner *o)
{
	if (o->n >= n->setup.per_device || (o->n >= n->setup.n_own && n->n_common == 0))
		replace_one(n, o);
	if (o->n >= n->setup.n_own)
		n->n_common--;
	o->n++;
	n->n_bindings++;
	return pool_take(&n->pool);
}

void names_bind(struct names *n, const struct names_device *device, const struct ip_addr *addr,
	uint16_t name, uint32_t ttl_s, uint64_t now_us)
{
	struct owner *o = own(n, device);
	uint32_t hash = hash_of(n, device->id, addr);
	struct binding *b = find_binding(n, hash, device->id, addr, name);
	uint64_t ttl_us = ttl_s * US_PER_S;
	uint64_t end_us;
	uint32_t id;

	if (ttl_us > n->times.ttl_max_us)
		ttl_us = n->times.ttl_max_us;
	end_us = now_us + ttl_us + n->times.grace_us;
	if (b != NULL) {
		if (end_us > b->end_us)
			b->end_us = end_us;
		n->counts.n_renewed++;
		return;
	}
	id = take(n, o);
	n->bindings[id] = (struct binding){.addr = *addr,
		.end_us = end_us,
		.hash = hash,
		.hash_next = *chain_of(n, hash),
		.next = o->first,
		.prev = END,
		.device = device->id,
		.name = name};
	*chain_of(n, hash) = id;
	if (o->first != END)
		n->bindings[o->first].prev = id;
	o->first = id;
	n->counts.n_bound++;
}

uint64_t names_find(const struct names *n, const struct name_set *set,
	const struct names_device *device, const struct ip_addr *addr, uint64_t now_us)
{
	const struct owner *owner = &n->owners[device->id];
	uint64_t rules = 0;

	if (owner->n == 0 || owner->generation != device->generation)
		return 0;
	for (uint32_t id = *chain_of(n, hash_of(n, device->id, addr)); id != END;
		id = n->bindings[id].hash_next) {
		const struct binding *b = &n->bindings[id];

		if (b->device == device->id && b->end_us > now_us && ip_addr_equal(&b->addr, addr))
			rules |= name_set_rules(set, b->name);
	}
	return rules;
}

void names_expire(struct names *n, uint32_t n_max, uint64_t now_us)
{
	if (n_max > n->setup.capacity)
		n_max = n->setup.capacity;
	while (n_max-- > 0) {
		uint32_t id = n->expire_at;

		n->expire_at = id + 1 == n->setup.capacity ? 0 : id + 1;
		if (n->bindings[id].name != NAME_NONE && n->bindings[id].end_us <= now_us) {
			remove_binding(n, id);
			n->counts.n_expired++;
		}
	}
}

/* Two names of an address can become one: then there are two bindings of it until the first of them ends. */
void names_carry(struct names *n, const struct name_set *from, const struct name_set *to)
{
	for (uint32_t id = 0; id < n->setup.capacity; id++) {
		struct binding *b = &n->bindings[id];
		uint16_t name = NAME_NONE;

		if (b->name == NAME_NONE)
			continue;
		name = to == NULL ? NAME_NONE : name_set_carry(from, to, b->name);
		if (name == NAME_NONE)
			remove_binding(n, id);
		else
			b->name = name;
	}
}

uint32_t names_n(const struct names *n)
{
	return n->n_bindings;
}

uint32_t names_n_of(const struct names *n, const struct names_device *device)
{
	const struct owner *o = &n->owners[device->id];

	return o->generation == device->generation ? o->n : 0;
}

struct names_counts names_read(const struct names *n)
{
	return n->counts;
}
