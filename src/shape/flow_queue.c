/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/shape/flow_queue.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_MULTIPLIER                                                                            \
	0x9e3779b97f4a7c15ull /* Knuth's, for 64 bits; keys are ours, nobody can choose them */
#define SIZE_FIRST_BITS 6     /* all up to 127 octets count as one size */
#define FATTEST_LOOKS   16    /* queues of one size that are compared exactly */

struct flow_queues {
	struct queued_packet *packets;
	struct flow_queue *flows;
	struct device_queue *devices;
	struct queued_packet *free_packets;
	struct flow_queue *free_flows;
	struct device_queue *free_devices;
	struct flow_turns idle_flows; /* empty for the longest time first */
	struct device_turns idle_devices;
	struct flow_queue **flow_hash;
	struct device_queue **device_hash;
	uint32_t flow_shift;
	uint32_t device_shift;
	uint32_t n_places; /* packets, and flows */
	uint32_t n_devices;
	/* Taken one after the other before any comes a second time: what is never needed is never touched. */
	uint32_t n_packets_begun;
	uint32_t n_flows_begun;
	uint32_t n_devices_begun;
	struct device_queue **parked; /* a heap, due first at its top */
	uint32_t n_parked;
	struct device_sizes sizes[FLOW_QUEUE_SIZES];
	uint32_t size_mask;
	uint32_t n_packets;
	uint32_t n_octets;
	uint32_t n_flows;
};

/* What a hash is shifted by to be one of the next power of two above `n`. */
static uint32_t shift_of(uint32_t n)
{
	return (uint32_t)__builtin_clzll((uint64_t)n | 1);
}

static int allocate(struct flow_queues *q)
{
	q->flow_shift = shift_of(q->n_places);
	q->device_shift = shift_of(q->n_devices);
	q->packets = calloc(q->n_places, sizeof(*q->packets));
	q->flows = calloc(q->n_places, sizeof(*q->flows));
	q->devices = calloc(q->n_devices, sizeof(*q->devices));
	q->parked = calloc(q->n_devices, sizeof(struct device_queue *));
	q->flow_hash = calloc(UINT64_C(1) << (64 - q->flow_shift), sizeof(struct flow_queue *));
	q->device_hash =
		calloc(UINT64_C(1) << (64 - q->device_shift), sizeof(struct device_queue *));
	if (q->packets == NULL || q->flows == NULL || q->devices == NULL || q->parked == NULL
		|| q->flow_hash == NULL || q->device_hash == NULL)
		return -ENOMEM;
	return 0;
}

int flow_queues_create(uint32_t n_places, uint32_t n_devices, struct flow_queues **ret_queues)
{
	struct flow_queues *q;

	if (n_places == 0 || n_devices == 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->n_places = n_places;
	q->n_devices = n_devices;
	if (allocate(q) < 0) {
		flow_queues_destroy(q);
		return -ENOMEM;
	}
	TAILQ_INIT(&q->idle_flows);
	TAILQ_INIT(&q->idle_devices);
	*ret_queues = q;
	return 0;
}

void flow_queues_destroy(struct flow_queues *q)
{
	if (q == NULL)
		return;
	free(q->device_hash);
	free(q->flow_hash);
	free(q->parked);
	free(q->devices);
	free(q->flows);
	free(q->packets);
	free(q);
}

void lane_init(struct lane *lane)
{
	TAILQ_INIT(&lane->round);
	TAILQ_INIT(&lane->express);
	lane->n_packets = 0;
}

static struct flow_queue **flow_head(const struct flow_queues *q, uint32_t key)
{
	return &q->flow_hash[key * HASH_MULTIPLIER >> q->flow_shift];
}

static struct device_queue **device_head(
	const struct flow_queues *q, const struct lane *lane, uint16_t device_id)
{
	uint64_t key = (uint64_t)(uintptr_t)lane << 16 ^ device_id;

	return &q->device_hash[key * HASH_MULTIPLIER >> q->device_shift];
}

/* What is told apart of a queue's size; an empty one has none. */
static uint32_t size_of(uint32_t n_octets)
{
	uint32_t bits = 31 - (uint32_t)__builtin_clz(n_octets);
	uint32_t size = bits < SIZE_FIRST_BITS ? 0 : bits - SIZE_FIRST_BITS;

	return size < FLOW_QUEUE_SIZES ? size : FLOW_QUEUE_SIZES - 1;
}

/* --- who holds about as much --- */

static void resize_flow(struct flow_queue *f, uint32_t n_octets)
{
	struct device_queue *d = f->device;
	uint32_t from = f->n_octets == 0 ? FLOW_QUEUE_SIZES : size_of(f->n_octets);
	uint32_t to = n_octets == 0 ? FLOW_QUEUE_SIZES : size_of(n_octets);

	f->n_octets = n_octets;
	if (from == to)
		return;
	if (from != FLOW_QUEUE_SIZES) {
		LIST_REMOVE(f, alike);
		if (LIST_EMPTY(&d->sizes[from]))
			d->size_mask &= (uint16_t) ~(1u << from);
	}
	if (to != FLOW_QUEUE_SIZES) {
		LIST_INSERT_HEAD(&d->sizes[to], f, alike);
		d->size_mask |= (uint16_t)(1u << to);
	}
}

static void resize_device(struct flow_queues *q, struct device_queue *d, uint32_t n_octets)
{
	uint32_t from = d->n_octets == 0 ? FLOW_QUEUE_SIZES : size_of(d->n_octets);
	uint32_t to = n_octets == 0 ? FLOW_QUEUE_SIZES : size_of(n_octets);

	d->n_octets = n_octets;
	if (from == to)
		return;
	if (from != FLOW_QUEUE_SIZES) {
		LIST_REMOVE(d, alike);
		if (LIST_EMPTY(&q->sizes[from]))
			q->size_mask &= ~(1u << from);
	}
	if (to != FLOW_QUEUE_SIZES) {
		LIST_INSERT_HEAD(&q->sizes[to], d, alike);
		q->size_mask |= 1u << to;
	}
}

/* Of the devices that are told apart as largest, the largest of a few. */
static struct device_queue *fattest_device(const struct flow_queues *q)
{
	struct device_queue *fattest = LIST_FIRST(&q->sizes[31 - __builtin_clz(q->size_mask)]);
	struct device_queue *d = fattest;

	for (uint32_t n = 1; n < FATTEST_LOOKS && (d = LIST_NEXT(d, alike)) != NULL; n++)
		if (d->n_octets > fattest->n_octets)
			fattest = d;
	return fattest;
}

struct flow_queue *flow_queue_fattest(const struct flow_queues *q)
{
	const struct device_queue *d = q->size_mask == 0 ? NULL : fattest_device(q);
	struct flow_queue *fattest;
	struct flow_queue *f;

	if (d == NULL)
		return NULL;
	fattest = LIST_FIRST(&d->sizes[31 - __builtin_clz(d->size_mask)]);
	f = fattest;
	for (uint32_t n = 1; n < FATTEST_LOOKS && (f = LIST_NEXT(f, alike)) != NULL; n++)
		if (f->n_octets > fattest->n_octets)
			fattest = f;
	return fattest;
}

/* --- devices that are held until a time: a binary heap --- */

static void parked_set(struct flow_queues *q, uint32_t at, struct device_queue *d)
{
	q->parked[at] = d;
	d->parked_at = at;
}

static void parked_rise(struct flow_queues *q, uint32_t at, struct device_queue *d)
{
	while (at > 0 && q->parked[(at - 1) / 2]->due_us > d->due_us) {
		parked_set(q, at, q->parked[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	parked_set(q, at, d);
}

static void parked_sink(struct flow_queues *q, uint32_t at, struct device_queue *d)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < q->n_parked
			&& q->parked[child + 1]->due_us < q->parked[child]->due_us)
			child++;
		if (child >= q->n_parked || q->parked[child]->due_us >= d->due_us)
			break;
		parked_set(q, at, q->parked[child]);
		at = child;
	}
	parked_set(q, at, d);
}

static void parked_remove(struct flow_queues *q, struct device_queue *d)
{
	struct device_queue *last = q->parked[--q->n_parked];

	d->is_parked = false;
	if (last == d)
		return;
	if (last->due_us < d->due_us)
		parked_rise(q, d->parked_at, last);
	else
		parked_sink(q, d->parked_at, last);
}

/* --- turns --- */

/* A device may be one quantum behind for the sake of its new flows. */
static void leave_express(struct device_queue *d)
{
	if (!d->is_express)
		return;
	TAILQ_REMOVE(&d->lane->express, d, express);
	d->is_express = false;
}

static void enter_express(struct device_queue *d)
{
	if (d->is_express || d->is_parked || TAILQ_EMPTY(&d->new_flows)
		|| d->deficit <= -FLOW_QUANTUM_OCTETS)
		return;
	TAILQ_INSERT_TAIL(&d->lane->express, d, express);
	d->is_express = true;
}

void device_queue_park(struct flow_queues *q, struct device_queue *d, uint64_t due_us)
{
	assert(!d->is_parked);
	leave_express(d);
	TAILQ_REMOVE(&d->lane->round, d, turn);
	d->lane->n_packets -= d->n_packets;
	d->is_parked = true;
	d->due_us = due_us;
	parked_rise(q, q->n_parked++, d);
}

struct device_queue *device_queue_unpark(struct flow_queues *q, uint64_t now_us)
{
	struct device_queue *d = q->n_parked == 0 ? NULL : q->parked[0];

	if (d == NULL || d->due_us > now_us)
		return NULL;
	parked_remove(q, d);
	/* It had its turn when it was parked, and goes on with it. */
	TAILQ_INSERT_HEAD(&d->lane->round, d, turn);
	d->lane->n_packets += d->n_packets;
	enter_express(d);
	return d;
}

uint64_t flow_queues_due_us(const struct flow_queues *q)
{
	return q->n_parked == 0 ? UINT64_MAX : q->parked[0]->due_us;
}

static struct flow_turns *turns_of(struct flow_queue *f)
{
	return f->is_new ? &f->device->new_flows : &f->device->old_flows;
}

static void become_old(struct flow_queue *f)
{
	TAILQ_REMOVE(turns_of(f), f, turn);
	f->is_new = false;
	TAILQ_INSERT_TAIL(&f->device->old_flows, f, turn);
}

static void free_flow(struct flow_queues *q, struct flow_queue *f)
{
	struct flow_queue **at = flow_head(q, f->key);

	while (*at != f)
		at = &(*at)->hash_next;
	*at = f->hash_next;
	TAILQ_REMOVE(turns_of(f), f, turn);
	TAILQ_REMOVE(&q->idle_flows, f, idle);
	f->hash_next = q->free_flows;
	q->free_flows = f;
}

/* An empty device; flows that linger with it go too. */
static void free_device(struct flow_queues *q, struct device_queue *d)
{
	struct device_queue **at = device_head(q, d->lane, d->device_id);
	struct flow_queue *f;

	while ((f = TAILQ_FIRST(&d->new_flows)) != NULL || (f = TAILQ_FIRST(&d->old_flows)) != NULL)
		free_flow(q, f);
	while (*at != d)
		at = &(*at)->hash_next;
	*at = d->hash_next;
	leave_express(d);
	if (d->is_parked)
		parked_remove(q, d);
	else
		TAILQ_REMOVE(&d->lane->round, d, turn);
	TAILQ_REMOVE(&q->idle_devices, d, idle);
	d->hash_next = q->free_devices;
	q->free_devices = d;
}

/* The new flow whose turn it is, with packets; NULL when none is left. One that has had its quantum is an old one (RFC 8290
 * section 4.2), and so is one that ran empty, until its next packet (flow_wakes). */
static struct flow_queue *first_new(struct device_queue *d)
{
	struct flow_queue *f;

	while ((f = TAILQ_FIRST(&d->new_flows)) != NULL) {
		if (f->deficit > 0 && f->n_packets > 0)
			return f;
		if (f->deficit <= 0)
			f->deficit += FLOW_QUANTUM_OCTETS;
		become_old(f);
	}
	return NULL;
}

/* The flow whose turn it is in its device, which has packets. */
static struct flow_queue *device_pick(struct flow_queues *q, struct device_queue *d)
{
	struct flow_queue *f = first_new(d);

	if (f != NULL)
		return f;
	leave_express(d);
	for (;;) {
		f = TAILQ_FIRST(&d->old_flows);
		if (f->deficit <= 0) {
			f->deficit += FLOW_QUANTUM_OCTETS;
			become_old(f);
		} else if (f->n_packets == 0) {
			free_flow(q, f);
		} else {
			return f;
		}
	}
}

/* A new flow that goes before the round; NULL when there is none. */
static struct flow_queue *express_pick(struct lane *lane)
{
	struct device_queue *d;

	while ((d = TAILQ_FIRST(&lane->express)) != NULL) {
		struct flow_queue *f = d->deficit > -FLOW_QUANTUM_OCTETS ? first_new(d) : NULL;

		if (f == NULL) {
			leave_express(d);
			continue;
		}
		TAILQ_REMOVE(&lane->express, d, express);
		TAILQ_INSERT_TAIL(&lane->express, d, express);
		return f;
	}
	return NULL;
}

/* The device whose turn it is in the round, with packets. Those before it that have had their quantum go to the end, and those
 * that are empty and owe nothing go. */
static struct device_queue *round_pick(struct flow_queues *q, struct lane *lane)
{
	for (;;) {
		struct device_queue *d = TAILQ_FIRST(&lane->round);

		if (d->deficit > 0 && d->n_packets > 0)
			return d;
		if (d->deficit > 0) {
			free_device(q, d);
			continue;
		}
		d->deficit += FLOW_QUANTUM_OCTETS;
		TAILQ_REMOVE(&lane->round, d, turn);
		TAILQ_INSERT_TAIL(&lane->round, d, turn);
		enter_express(d);
	}
}

struct flow_queue *lane_pick(struct flow_queues *q, struct lane *lane)
{
	struct flow_queue *f = express_pick(lane);

	return f != NULL ? f : device_pick(q, round_pick(q, lane));
}

void flow_queue_charge(struct flow_queue *f, uint32_t octets)
{
	f->deficit -= (int32_t)octets;
	f->device->deficit -= (int32_t)octets;
}

/* --- queues come and go --- */

struct flow_queue *flow_queue_find(const struct flow_queues *q, uint32_t key)
{
	struct flow_queue *f = *flow_head(q, key);

	while (f != NULL && f->key != key)
		f = f->hash_next;
	return f;
}

static struct device_queue *device_find(
	const struct flow_queues *q, const struct lane *lane, uint16_t device_id)
{
	struct device_queue *d = *device_head(q, lane, device_id);

	while (d != NULL && (d->lane != lane || d->device_id != device_id))
		d = d->hash_next;
	return d;
}

/* A queue that nobody has, or the one that has been empty for the longest time; NULL when all hold packets. */
static struct device_queue *device_take(struct flow_queues *q)
{
	struct device_queue *d;

	if (q->free_devices == NULL && q->n_devices_begun < q->n_devices)
		return &q->devices[q->n_devices_begun++];
	if (q->free_devices == NULL && !TAILQ_EMPTY(&q->idle_devices))
		free_device(q, TAILQ_FIRST(&q->idle_devices));
	d = q->free_devices;
	if (d != NULL)
		q->free_devices = d->hash_next;
	return d;
}

static struct flow_queue *flow_take(struct flow_queues *q)
{
	struct flow_queue *f;

	if (q->free_flows == NULL && q->n_flows_begun < q->n_places)
		return &q->flows[q->n_flows_begun++];
	if (q->free_flows == NULL && !TAILQ_EMPTY(&q->idle_flows))
		free_flow(q, TAILQ_FIRST(&q->idle_flows));
	f = q->free_flows;
	if (f != NULL)
		q->free_flows = f->hash_next;
	return f;
}

static struct device_queue *device_begin(
	struct flow_queues *q, struct lane *lane, uint16_t device_id)
{
	struct device_queue **head = device_head(q, lane, device_id);
	struct device_queue *d = device_take(q);

	if (d == NULL)
		return NULL;
	memset(d, 0, sizeof(*d));
	d->lane = lane;
	d->device_id = device_id;
	d->deficit = FLOW_QUANTUM_OCTETS;
	TAILQ_INIT(&d->new_flows);
	TAILQ_INIT(&d->old_flows);
	d->hash_next = *head;
	*head = d;
	TAILQ_INSERT_TAIL(&lane->round, d, turn);
	TAILQ_INSERT_TAIL(&q->idle_devices, d, idle);
	return d;
}

static struct flow_queue *flow_begin(struct flow_queues *q, struct device_queue *d, uint32_t key)
{
	struct flow_queue **head = flow_head(q, key);
	struct flow_queue *f = flow_take(q);

	if (f == NULL)
		return NULL;
	*f = (struct flow_queue){
		.device = d, .key = key, .deficit = FLOW_QUANTUM_OCTETS, .is_new = true};
	f->hash_next = *head;
	*head = f;
	TAILQ_INSERT_TAIL(&d->new_flows, f, turn);
	TAILQ_INSERT_TAIL(&q->idle_flows, f, idle);
	return f;
}

struct flow_queue *flow_queue_take(
	struct flow_queues *q, struct lane *lane, uint16_t device_id, uint32_t key)
{
	struct flow_queue *f = flow_queue_find(q, key);
	struct device_queue *d;

	if (f != NULL
		&& (f->n_packets > 0
			|| (f->device->lane == lane && f->device->device_id == device_id)))
		return f;
	if (f != NULL)
		free_flow(q, f); /* it was of another class or device */
	d = device_find(q, lane, device_id);
	if (d == NULL)
		d = device_begin(q, lane, device_id);
	return d == NULL ? NULL : flow_begin(q, d, key);
}

/* --- packets --- */

/*
 * A flow that ran empty, and whose next packet is within what is left of its quantum, goes before the others again. RFC 8290 lets it wait for the
 * end of the round, which with many devices is longer than a call's 20 ms between packets; here the quantum alone is the
 * measure of sparse.
 */
static void flow_wakes(struct flow_queue *f, uint32_t octets)
{
	if (f->is_new || f->deficit < (int32_t)octets)
		return;
	TAILQ_REMOVE(&f->device->old_flows, f, turn);
	f->is_new = true;
	TAILQ_INSERT_TAIL(&f->device->new_flows, f, turn);
}

static void add(struct flow_queues *q, struct flow_queue *f, uint32_t octets)
{
	struct device_queue *d = f->device;

	if (f->n_packets++ == 0) {
		TAILQ_REMOVE(&q->idle_flows, f, idle);
		q->n_flows++;
		flow_wakes(f, octets);
	}
	if (d->n_packets++ == 0)
		TAILQ_REMOVE(&q->idle_devices, d, idle);
	resize_flow(f, f->n_octets + octets);
	resize_device(q, d, d->n_octets + octets);
	d->lane->n_packets += !d->is_parked;
	q->n_packets++;
	q->n_octets += octets;
	if (f->is_new)
		enter_express(d);
}

static void subtract(struct flow_queues *q, struct flow_queue *f, uint32_t octets)
{
	struct device_queue *d = f->device;

	resize_flow(f, f->n_octets - octets);
	resize_device(q, d, d->n_octets - octets);
	if (--f->n_packets == 0) {
		TAILQ_INSERT_TAIL(&q->idle_flows, f, idle);
		q->n_flows--;
	}
	if (--d->n_packets == 0)
		TAILQ_INSERT_TAIL(&q->idle_devices, d, idle);
	d->lane->n_packets -= !d->is_parked;
	q->n_packets--;
	q->n_octets -= octets;
}

bool flow_queue_push(
	struct flow_queues *q, struct flow_queue *f, const struct queued_packet *packet)
{
	struct queued_packet *place = q->free_packets;

	if (place != NULL)
		q->free_packets = place->next;
	else if (q->n_packets_begun < q->n_places)
		place = &q->packets[q->n_packets_begun++];
	else
		return false;
	*place = *packet;
	place->next = NULL;
	if (f->n_packets == 0)
		f->head = place;
	else
		f->tail->next = place;
	f->tail = place;
	add(q, f, packet->octets);
	return true;
}

struct queued_packet flow_queue_pop(struct flow_queues *q, struct flow_queue *f)
{
	struct queued_packet *place = f->head;
	struct queued_packet packet = *place;

	f->head = place->next;
	place->next = q->free_packets;
	q->free_packets = place;
	subtract(q, f, packet.octets);
	return packet;
}

struct queued_packet flow_queue_replace(
	struct flow_queues *q, struct flow_queue *f, const struct queued_packet *packet)
{
	struct queued_packet *place = f->tail;
	struct queued_packet old = *place;

	*place = *packet;
	place->next = NULL;
	place->put_us = old.put_us;
	resize_flow(f, f->n_octets - old.octets + packet->octets);
	resize_device(q, f->device, f->device->n_octets - old.octets + packet->octets);
	q->n_octets = q->n_octets - old.octets + packet->octets;
	return old;
}

uint32_t flow_queues_n_packets(const struct flow_queues *q)
{
	return q->n_packets;
}

uint32_t flow_queues_n_octets(const struct flow_queues *q)
{
	return q->n_octets;
}

uint32_t flow_queues_n_flows(const struct flow_queues *q)
{
	return q->n_flows;
}
