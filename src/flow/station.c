/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/flow/station.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Places looked at for one that may yield: a flood of made-up MACs costs no more than this each. */
#define YIELD_LOOKS_MAX 128

#define HASH_END STATION_NONE

/* First octets of keys that are no MAC: the group bit is set, which no sender's address has. */
#define KEY_OF_NAME    0x01
#define KEY_OF_ADDRESS 0x03
#define GROUP_OCTET    0x01

struct station_table_private {
	struct flow_hash_key key;
	uint32_t *held; /* by device id */
	uint32_t hand;  /* where the next search for one that may yield goes on */
	uint32_t n_chains;
	uint32_t chains[]; /* first station of each hash chain, or HASH_END */
};

int station_table_create(
	uint16_t n_devices, const struct flow_hash_key *key, struct station_table **ret_table)
{
	uint32_t capacity = STATION_FIRST + 2 * (uint32_t)n_devices;
	struct station_table *t;
	void *stations;
	int rc = -ENOMEM;

	if (n_devices == 0 || n_devices == DEVICE_NONE)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->private = calloc(1, sizeof(*t->private) + capacity * sizeof(t->private->chains[0]));
	if (t->private == NULL)
		goto err_table;
	t->private->held = calloc(n_devices, sizeof(*t->private->held));
	if (t->private->held == NULL)
		goto err_private;
	rc = memory_create(capacity * sizeof(*t->stations), &stations);
	if (rc < 0)
		goto err_held;
	t->stations = stations;
	t->capacity = capacity;
	t->n_high = STATION_FIRST;
	t->private->key = *key;
	t->private->n_chains = capacity;
	t->private->hand = STATION_FIRST;
	*ret_table = t;
	return 0;

err_held:
	free(t->private->held);
err_private:
	free(t->private);
err_table:
	free(t);
	return rc;
}

void station_table_destroy(struct station_table *t)
{
	if (t == NULL)
		return;
	memory_destroy(t->stations, t->capacity * sizeof(*t->stations));
	free(t->private->held);
	free(t->private);
	free(t);
}

struct mac_addr station_key(const struct device *d)
{
	static const struct mac_addr none;
	struct mac_addr key = {.bytes = {KEY_OF_ADDRESS, d->port}};

	if (!mac_addr_equal(&d->mac, &none) && (d->mac.bytes[0] & GROUP_OCTET) == 0)
		return d->mac;
	memcpy(key.bytes + 2, &d->addr.words[3], sizeof(d->addr.words[3]));
	return key;
}

struct mac_addr station_key_of_name(const char *name)
{
	struct mac_addr key = {.bytes = {KEY_OF_NAME}};
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: the same on every machine */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	for (uint32_t i = 1; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)(hash >> 8 * i);
	return key;
}

static uint32_t *chain_of(const struct station_table *t, const struct mac_addr *key)
{
	struct flow_key_v4 k = {0};
	uint32_t hash;

	memcpy(&k.src_be, key->bytes, sizeof(k.src_be));
	memcpy(&k.src_port, key->bytes + sizeof(k.src_be), sizeof(k.src_port));
	hash = flow_hash_v4(&t->private->key, &k);
	return &t->private->chains[(uint64_t)hash * t->private->n_chains >> 32];
}

static uint32_t find_in_chain(
	const struct station_table *t, uint32_t first, const struct mac_addr *key)
{
	uint32_t id = first;

	while (id != HASH_END && !mac_addr_equal(&t->stations[id].key, key))
		id = t->stations[id].hash_next;
	return id;
}

uint32_t station_find(const struct station_table *t, const struct mac_addr *key)
{
	for (uint32_t id = STATION_NONE + 1; id < STATION_FIRST; id++)
		if (t->stations[id].in_use && mac_addr_equal(&t->stations[id].key, key))
			return id;
	return find_in_chain(t, *chain_of(t, key), key);
}

static void chain_remove(struct station_table *t, uint32_t id)
{
	uint32_t *at = chain_of(t, &t->stations[id].key);

	while (*at != id)
		at = &t->stations[*at].hash_next;
	*at = t->stations[id].hash_next;
}

/* The next one that nobody holds and that may be forgotten, out of its chain. */
static uint32_t make_yield(
	struct station_table *t, station_may_yield *may_yield, const void *context)
{
	struct station_table_private *p = t->private;

	for (uint32_t i = 0; i < YIELD_LOOKS_MAX && i < t->capacity; i++) {
		const struct station *s;
		uint32_t id;

		p->hand = p->hand + 1 < t->capacity ? p->hand + 1 : STATION_FIRST;
		id = p->hand;
		s = &t->stations[id];
		if (s->n_devices == 0 && may_yield(context, id)) {
			chain_remove(t, id);
			return id;
		}
	}
	return STATION_NONE;
}

uint32_t station_take(struct station_table *t, const struct mac_addr *key,
	station_may_yield *may_yield, const void *context, bool *ret_is_new)
{
	uint32_t *chain = chain_of(t, key);
	uint32_t id = find_in_chain(t, *chain, key);

	*ret_is_new = false;
	if (id != HASH_END)
		return id;
	id = t->n_high < t->capacity ? t->n_high++ : make_yield(t, may_yield, context);
	if (id == STATION_NONE)
		return id;
	t->stations[id] = (struct station){
		.key = *key, .in_use = 1, .hash_next = *chain, .payer = id, .quota = UINT8_MAX};
	*chain = id;
	*ret_is_new = true;
	return id;
}

uint32_t station_share(
	struct station_table *t, const struct mac_addr *key, uint32_t kept, bool *ret_is_new)
{
	uint32_t id = STATION_NONE;

	for (uint32_t i = STATIONS_SHARED; i-- > 0;) {
		const struct station *s = &t->stations[STATION_NONE + 1 + i];

		*ret_is_new = !s->in_use || !mac_addr_equal(&s->key, key);
		if (!*ret_is_new)
			return STATION_NONE + 1 + i;
		/* One that was never used comes before one whose name is gone: that may come back. */
		if ((kept >> i & 1) == 0
			&& (id == STATION_NONE || !s->in_use || t->stations[id].in_use))
			id = STATION_NONE + 1 + i;
	}
	t->stations[id].key = *key;
	t->stations[id].in_use = 1;
	return id;
}

void station_hold(struct station_table *t, uint16_t device_id, uint32_t id)
{
	uint32_t *held = &t->private->held[device_id];

	if (*held == id)
		return;
	if (*held != STATION_NONE)
		t->stations[*held].n_devices--;
	if (id != STATION_NONE)
		t->stations[id].n_devices++;
	*held = id;
}

uint32_t station_held(const struct station_table *t, uint16_t device_id)
{
	return t->private->held[device_id];
}
