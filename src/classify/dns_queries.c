/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/base/memory.h>
#include <weir/classify/dns_queries.h>

#include <errno.h>
#include <stdlib.h>

struct query {
	uint64_t flow;
	uint64_t name_hash;
	uint64_t end_us; /* 0: a free place */
	uint32_t generation;
	uint16_t id;
	uint16_t type;
};

struct dns_queries {
	uint16_t n_devices;
	struct flow_hash_key key;
	struct query *queries;
};

static size_t queries_bytes(uint16_t n_devices)
{
	return (size_t)n_devices * DNS_QUERIES_PER_DEVICE * sizeof(struct query);
}

int dns_queries_create(
	uint16_t n_devices, const struct flow_hash_key *key, struct dns_queries **ret_queries)
{
	struct dns_queries *q;
	void *queries;
	int rc;

	if (n_devices == 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	rc = memory_create(queries_bytes(n_devices), &queries);
	if (rc < 0) {
		free(q);
		return rc;
	}
	*q = (struct dns_queries){n_devices, *key, queries};
	*ret_queries = q;
	return 0;
}

void dns_queries_destroy(struct dns_queries *q)
{
	if (q == NULL)
		return;
	memory_destroy(q->queries, queries_bytes(q->n_devices));
	free(q);
}

/* Eight octets at a time; the length is mixed in, so that what fills the last word makes no two names the same. */
static uint64_t hash_name(const struct flow_hash_key *key, const struct dns_name *name)
{
	uint64_t h = key->words[0] ^ name->len;

	for (uint32_t at = 0; at < name->len; at += 8) {
		uint32_t n = name->len - at < 8 ? name->len - at : 8;
		uint64_t word = 0;

		memcpy(&word, name->octets + at, n);
		h = flow_hash_fold(h ^ word, key->words[1]) ^ key->words[2];
	}
	return flow_hash_fold(h, key->words[0]);
}

static struct query *find(struct dns_queries *q, const struct names_device *device, uint64_t flow,
	const struct dns_question *question, uint64_t now_us)
{
	struct query *own = q->queries + (size_t)device->id * DNS_QUERIES_PER_DEVICE;
	uint64_t hash = hash_name(&q->key, &question->name);

	for (uint32_t i = 0; i < DNS_QUERIES_PER_DEVICE; i++)
		if (own[i].end_us > now_us && own[i].flow == flow && own[i].id == question->id
			&& own[i].type == question->type && own[i].name_hash == hash
			&& own[i].generation == device->generation)
			return &own[i];
	return NULL;
}

void dns_queries_add(struct dns_queries *q, const struct names_device *device, uint64_t flow,
	const struct dns_question *question, uint64_t now_us)
{
	struct query *own = q->queries + (size_t)device->id * DNS_QUERIES_PER_DEVICE;
	struct query *place = find(q, device, flow, question, now_us);

	if (place == NULL) {
		place = own;
		for (uint32_t i = 1; i < DNS_QUERIES_PER_DEVICE; i++)
			if (own[i].end_us < place->end_us)
				place = &own[i];
	}
	*place = (struct query){.flow = flow,
		.name_hash = hash_name(&q->key, &question->name),
		.end_us = now_us + DNS_QUERY_US,
		.generation = device->generation,
		.id = question->id,
		.type = question->type};
}

bool dns_queries_take(struct dns_queries *q, const struct names_device *device, uint64_t flow,
	const struct dns_question *question, uint64_t now_us)
{
	struct query *query = find(q, device, flow, question, now_us);

	if (query == NULL)
		return false;
	query->end_us = 0;
	return true;
}
