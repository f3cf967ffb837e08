/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/clock.h>
#include <weir/control/remote_names.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define END          UINT32_MAX
#define DEVICE_SHARE 8 /* one device has an eighth at most */

/* A device as records tell it, and whom it speaks to. No padding: keys are compared as octets. */
struct key {
	struct ip_addr device;
	struct ip_addr remote;
	struct mac_addr mac;
	uint8_t port;
	uint8_t zero;
};
static_assert(sizeof(struct key) == 40, "no padding");

enum list {
	LIST_ALL,
	LIST_DEVICE,
	N_LISTS
};

struct link {
	uint32_t next;
	uint32_t prev;
};

struct entry {
	struct key key;
	uint64_t first_us; /* heard */
	uint64_t last_us;
	uint64_t end_us; /* of the beginnings of flows that it is for */
	struct link links[N_LISTS];
	uint32_t hash;
	uint32_t hash_next; /* of a free place: the next one */
	uint16_t owner;
	char *name; /* NULL: a free place */
};

/* The oldest first. */
struct ends {
	uint32_t first;
	uint32_t last;
	uint32_t n;
};

struct remote_names {
	uint64_t seed;
	uint32_t capacity;
	uint32_t per_device;
	uint16_t n_devices;
	struct names_times times;
	uint32_t n_high; /* places ever used */
	uint32_t free;
	struct entry *entries;
	uint32_t *chains; /* as many */
	struct ends all;
	struct ends *owners; /* by device id */
};

static void lists_begin(struct remote_names *r)
{
	static const struct ends empty = {END, END, 0};

	r->all = empty;
	for (uint32_t i = 0; i < r->n_devices; i++)
		r->owners[i] = empty;
	for (uint32_t i = 0; i < r->capacity; i++)
		r->chains[i] = END;
	r->n_high = 0;
	r->free = END;
}

int remote_names_create(
	uint32_t capacity, uint16_t n_devices, uint64_t seed, struct remote_names **ret_names)
{
	struct remote_names *r;

	if (capacity == 0 || n_devices == 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->seed = seed | 1;
	r->capacity = capacity;
	r->per_device = (capacity + DEVICE_SHARE - 1) / DEVICE_SHARE;
	r->n_devices = n_devices;
	r->times = (struct names_times){
		.ttl_max_us = 24 * 3600 * US_PER_S, .grace_us = 3600 * US_PER_S};
	r->entries = calloc(capacity, sizeof(*r->entries));
	r->chains = calloc(capacity, sizeof(*r->chains));
	r->owners = calloc(n_devices, sizeof(*r->owners));
	if (r->entries == NULL || r->chains == NULL || r->owners == NULL) {
		remote_names_destroy(r);
		return -ENOMEM;
	}
	lists_begin(r);
	*ret_names = r;
	return 0;
}

static void free_names(struct remote_names *r)
{
	for (uint32_t i = 0; i < r->n_high; i++)
		free(r->entries[i].name);
}

void remote_names_destroy(struct remote_names *r)
{
	if (r == NULL)
		return;
	free_names(r);
	free(r->owners);
	free(r->chains);
	free(r->entries);
	free(r);
}

void remote_names_clear(struct remote_names *r)
{
	free_names(r);
	lists_begin(r);
}

void remote_names_set_times(struct remote_names *r, const struct names_times *times)
{
	r->times = *times;
}

uint32_t remote_names_n(const struct remote_names *r)
{
	return r->all.n;
}

static uint32_t hash_of(const struct remote_names *r, const struct key *key)
{
	uint64_t words[sizeof(*key) / sizeof(uint64_t)];
	uint64_t h = r->seed;

	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		h = flow_hash_fold(h ^ words[i], r->seed) ^ words[i];
	return (uint32_t)flow_hash_fold(h, r->seed);
}

static uint32_t *chain_of(const struct remote_names *r, uint32_t hash)
{
	return &r->chains[(uint64_t)hash * r->capacity >> 32];
}

static struct ends *ends_of(struct remote_names *r, enum list list, const struct entry *e)
{
	return list == LIST_ALL ? &r->all : &r->owners[e->owner];
}

static void list_take(struct remote_names *r, enum list list, uint32_t id)
{
	struct entry *e = &r->entries[id];
	struct ends *ends = ends_of(r, list, e);
	struct link *l = &e->links[list];

	if (l->prev == END)
		ends->first = l->next;
	else
		r->entries[l->prev].links[list].next = l->next;
	if (l->next == END)
		ends->last = l->prev;
	else
		r->entries[l->next].links[list].prev = l->prev;
	ends->n--;
}

static void list_append(struct remote_names *r, enum list list, uint32_t id)
{
	struct entry *e = &r->entries[id];
	struct ends *ends = ends_of(r, list, e);

	e->links[list] = (struct link){.next = END, .prev = ends->last};
	if (ends->last == END)
		ends->first = id;
	else
		r->entries[ends->last].links[list].next = id;
	ends->last = id;
	ends->n++;
}

/* It is the youngest now. */
static void touch(struct remote_names *r, uint32_t id)
{
	for (enum list list = LIST_ALL; list < N_LISTS; list++) {
		list_take(r, list, id);
		list_append(r, list, id);
	}
}

static void remove_entry(struct remote_names *r, uint32_t id)
{
	struct entry *e = &r->entries[id];
	uint32_t *at = chain_of(r, e->hash);

	while (*at != id)
		at = &r->entries[*at].hash_next;
	*at = e->hash_next;
	for (enum list list = LIST_ALL; list < N_LISTS; list++)
		list_take(r, list, id);
	free(e->name);
	e->name = NULL;
	e->hash_next = r->free;
	r->free = id;
}

/* A free place, made where there is none. */
static uint32_t place_for(struct remote_names *r, uint16_t owner)
{
	uint32_t id;

	if (r->owners[owner].n >= r->per_device)
		remove_entry(r, r->owners[owner].first);
	else if (r->all.n == r->capacity)
		remove_entry(r, r->all.first);
	if (r->free == END)
		return r->n_high++;
	id = r->free;
	r->free = r->entries[id].hash_next;
	return id;
}

static uint32_t find_name(
	const struct remote_names *r, const struct key *key, uint32_t hash, const char *name)
{
	uint32_t id = *chain_of(r, hash);

	while (id != END
		&& (memcmp(&r->entries[id].key, key, sizeof(*key)) != 0
			|| strcmp(r->entries[id].name, name) != 0))
		id = r->entries[id].hash_next;
	return id;
}

void remote_names_hear(struct remote_names *r, const struct path_name *name)
{
	struct key key = {
		.device = name->addr, .remote = name->remote, .mac = name->mac, .port = name->port};
	uint32_t hash = hash_of(r, &key);
	uint32_t id = find_name(r, &key, hash, name->name);
	uint64_t ttl_us = name->ttl_s * US_PER_S;
	struct entry *e;
	char *copy;

	if (id == END) {
		copy = name->device_id < r->n_devices ? strdup(name->name) : NULL;
		if (copy == NULL)
			return;
		id = place_for(r, name->device_id);
		e = &r->entries[id];
		*e = (struct entry){.key = key,
			.first_us = name->at_us,
			.hash = hash,
			.hash_next = *chain_of(r, hash),
			.owner = name->device_id,
			.name = copy};
		*chain_of(r, hash) = id;
		for (enum list list = LIST_ALL; list < N_LISTS; list++)
			list_append(r, list, id);
	} else {
		touch(r, id);
	}
	e = &r->entries[id];
	if (ttl_us > r->times.ttl_max_us)
		ttl_us = r->times.ttl_max_us;
	e->last_us = name->at_us;
	if (name->at_us + ttl_us + r->times.grace_us > e->end_us)
		e->end_us = name->at_us + ttl_us + r->times.grace_us;
}

/* When a name was last heard before a flow began, as far as that is kept. */
static uint64_t heard_before(const struct entry *e, uint64_t start_us)
{
	return e->last_us <= start_us ? e->last_us : e->first_us;
}

const char *remote_names_find(struct remote_names *r, const struct flow_record *flow)
{
	struct key key = {.device = flow->internal,
		.remote = flow->remote,
		.mac = flow->device_mac,
		.port = flow->lan_port};
	uint32_t found = END;

	if (r == NULL || r->all.n == 0)
		return NULL;
	for (uint32_t id = *chain_of(r, hash_of(r, &key)); id != END;
		id = r->entries[id].hash_next) {
		const struct entry *e = &r->entries[id];

		if (memcmp(&e->key, &key, sizeof(key)) == 0 && e->first_us <= flow->start_us
			&& flow->start_us <= e->end_us
			&& (found == END
				|| heard_before(e, flow->start_us)
					   > heard_before(&r->entries[found], flow->start_us)))
			found = id;
	}
	if (found == END)
		return NULL;
	touch(r, found);
	return r->entries[found].name;
}
