/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/flow/device.h>

#include <errno.h>
#include <stdlib.h>

/* Devices looked at for one that may yield: a flood of made-up addresses costs no more than this each. */
#define YIELD_LOOKS_MAX 128

/* Neighbours in the order of last sight. */
struct seen_link {
	uint16_t older;
	uint16_t newer;
};

struct device_table_private {
	struct flow_hash_key key;
	struct seen_link *links; /* by device id */
	uint16_t oldest;
	uint16_t newest;
	uint32_t n_chains;
	uint16_t chains[]; /* first device of each hash chain, or DEVICE_NONE */
};

int device_table_create(
	uint16_t capacity, const struct flow_hash_key *key, struct device_table **ret_table)
{
	struct device_table *t;
	void *devices;
	int rc = -ENOMEM;

	if (capacity == 0 || capacity == DEVICE_NONE)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->private = calloc(1, sizeof(*t->private) + capacity * sizeof(t->private->chains[0]));
	if (t->private == NULL)
		goto err_table;
	t->private->links = calloc(capacity, sizeof(*t->private->links));
	if (t->private->links == NULL)
		goto err_private;
	rc = memory_create(capacity * sizeof(*t->devices), &devices);
	if (rc < 0)
		goto err_links;
	t->devices = devices;
	t->capacity = capacity;
	t->private->key = *key;
	t->private->oldest = DEVICE_NONE;
	t->private->newest = DEVICE_NONE;
	t->private->n_chains = capacity;
	for (uint32_t i = 0; i < capacity; i++)
		t->private->chains[i] = DEVICE_NONE;
	*ret_table = t;
	return 0;

err_links:
	free(t->private->links);
err_private:
	free(t->private);
err_table:
	free(t);
	return rc;
}

void device_table_destroy(struct device_table *t)
{
	if (t == NULL)
		return;
	memory_destroy(t->devices, t->capacity * sizeof(*t->devices));
	free(t->private->links);
	free(t->private);
	free(t);
}

static uint16_t *chain_of(const struct device_table *t, uint8_t port, const struct ip_addr *addr)
{
	uint32_t hash = flow_hash_addr(&t->private->key, addr, port);

	return &t->private->chains[(uint64_t)hash * t->private->n_chains >> 32];
}

static uint16_t find_in_chain(
	const struct device_table *t, uint16_t first, uint8_t port, const struct ip_addr *addr)
{
	uint16_t id = first;

	while (id != DEVICE_NONE
		&& (t->devices[id].port != port || !ip_addr_equal(&t->devices[id].addr, addr)))
		id = t->devices[id].hash_next;
	return id;
}

uint16_t device_find(const struct device_table *t, uint8_t port, const struct ip_addr *addr)
{
	return find_in_chain(t, *chain_of(t, port, addr), port, addr);
}

static void seen_remove(struct device_table_private *p, uint16_t id)
{
	struct seen_link l = p->links[id];

	if (l.older != DEVICE_NONE)
		p->links[l.older].newer = l.newer;
	else
		p->oldest = l.newer;
	if (l.newer != DEVICE_NONE)
		p->links[l.newer].older = l.older;
	else
		p->newest = l.older;
}

static void seen_add(struct device_table_private *p, uint16_t id)
{
	p->links[id] = (struct seen_link){.older = p->newest, .newer = DEVICE_NONE};
	if (p->newest != DEVICE_NONE)
		p->links[p->newest].newer = id;
	else
		p->oldest = id;
	p->newest = id;
}

static void seen_now(struct device_table_private *p, uint16_t id)
{
	if (p->newest == id)
		return;
	seen_remove(p, id);
	seen_add(p, id);
}

static void chain_remove(struct device_table *t, uint16_t id)
{
	struct device *d = &t->devices[id];
	uint16_t *at = chain_of(t, d->port, &d->addr);

	while (*at != id)
		at = &t->devices[*at].hash_next;
	*at = d->hash_next;
}

/* The device without flows that was seen longest ago, out of its chain and its order. Those with flows are in
 * use, so they pass to the back and the next search does not meet them first. */
static uint16_t make_yield(struct device_table *t)
{
	struct device_table_private *p = t->private;

	for (uint32_t i = 0; i < YIELD_LOOKS_MAX && i < t->n_devices; i++) {
		uint16_t id = p->oldest;

		if (t->devices[id].n_flows == 0) {
			chain_remove(t, id);
			seen_remove(p, id);
			return id;
		}
		seen_now(p, id);
	}
	return DEVICE_NONE;
}

static uint16_t take_id(struct device_table *t)
{
	if (t->n_devices == t->capacity)
		return make_yield(t);
	t->n_high++;
	return t->n_devices++;
}

void device_see(struct device_table *t, uint16_t id, const struct mac_addr *mac, uint64_t now_us)
{
	struct device *d = &t->devices[id];

	if (!mac_addr_equal(&d->mac, mac))
		d->known = 0;
	d->mac = *mac;
	d->last_us = now_us;
	seen_now(t->private, id);
}

uint16_t device_take(struct device_table *t, uint8_t port, const struct ip_addr *addr,
	const struct mac_addr *mac, uint64_t now_us)
{
	uint16_t *chain = chain_of(t, port, addr);
	uint16_t id = find_in_chain(t, *chain, port, addr);

	if (id == DEVICE_NONE) {
		uint32_t generation;

		id = take_id(t);
		if (id == DEVICE_NONE)
			return DEVICE_NONE;
		generation = t->devices[id].generation + t->devices[id].in_use;
		t->devices[id] = (struct device){.addr = *addr,
			.port = port,
			.in_use = 1,
			.generation = generation,
			.first_us = now_us,
			.hash_next = *chain};
		*chain = id;
		seen_add(t->private, id);
	}
	device_see(t, id, mac, now_us);
	return id;
}
