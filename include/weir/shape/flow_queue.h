/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues of flows, under the devices whose flows they are: whose turn it is, and who has most.
 *
 * Source:   RFC 8290 sections 4.1 and 4.2: deficit round robin, new flows first; here twice, one above the other.
 * Shapes:   a lane is a set of devices that take turns; a device takes part with a queue of its own in each lane. What waits
 *           of a flow is in one queue, found by the flow's key exactly: no two share one. A flow that begins to send goes before the old ones of its
 *           device, and its device before the turn of others: for at most a quantum, which it then is behind (`express`).
 *           A queue that runs empty keeps its debts until its turn has come by.
 * Units:    octets.
 * Threads:  one owner.
 * Memory:   fixed at create. While fewer packets than places wait, a flow finds a queue; devices can run out of queues.
 */
#ifndef WEIR_SHAPE_FLOW_QUEUE_H
#define WEIR_SHAPE_FLOW_QUEUE_H

#include <weir/shape/codel.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define FLOW_QUANTUM_OCTETS 1514 /* RFC 8290 section 5.2.4: about one full packet */
#define FLOW_QUEUE_SIZES    16   /* queues are told apart by the power of two of what they hold */

/* A packet that waits. */
struct queued_packet {
	void *packet;
	uint64_t put_us;
	struct queued_packet *next;
	uint32_t octets;
	uint32_t ack;
	uint8_t flags;
};

struct device_queue;

struct flow_queue {
	struct device_queue *device;
	struct flow_queue *hash_next;      /* or the next free one */
	TAILQ_ENTRY(flow_queue) turn;      /* among the new or the old flows of its device */
	TAILQ_ENTRY(flow_queue) idle;      /* while it is empty */
	LIST_ENTRY(flow_queue) alike;      /* else: flows of its device that hold about as much */
	struct queued_packet *head, *tail; /* oldest, newest */
	struct codel codel;
	uint32_t key;
	uint32_t n_octets;
	uint32_t n_packets;
	int32_t deficit;
	bool is_new;
};

TAILQ_HEAD(flow_turns, flow_queue);
LIST_HEAD(flow_sizes, flow_queue);
TAILQ_HEAD(device_turns, device_queue);
LIST_HEAD(device_sizes, device_queue);

/* Devices that take turns. */
struct lane {
	struct device_turns round; /* all that are not parked */
	struct device_turns
		express;    /* of these, those with new flows and without too much of a debt */
	uint32_t n_packets; /* of devices that are not parked */
};

struct device_queue {
	struct lane *lane;
	struct device_queue *hash_next; /* or the next free one */
	TAILQ_ENTRY(device_queue) turn;
	TAILQ_ENTRY(device_queue) express;
	TAILQ_ENTRY(device_queue) idle;
	LIST_ENTRY(device_queue) alike;
	struct flow_turns new_flows, old_flows;
	struct flow_sizes sizes[FLOW_QUEUE_SIZES];
	uint64_t due_us; /* parked: until then */
	uint32_t parked_at;
	uint32_t n_octets;
	uint32_t n_packets;
	int32_t deficit;
	uint16_t device_id;
	uint16_t size_mask; /* sizes that are not empty */
	bool is_express;
	bool is_parked;
};

struct flow_queues;

/* `n_places` packets at most, `n_devices` devices over all lanes. Returns 0, -EINVAL (none of either) or -ENOMEM. */
int flow_queues_create(uint32_t n_places, uint32_t n_devices, struct flow_queues **ret_queues);
void flow_queues_destroy(struct flow_queues *q);

void lane_init(struct lane *lane);

/* The queue of a flow: where its packets wait, whatever lane that is (they leave in their order), or else one in this lane. NULL
 * when there is none left for its device. */
struct flow_queue *flow_queue_take(
	struct flow_queues *q, struct lane *lane, uint16_t device_id, uint32_t key);

/* The queue of a flow, or NULL. */
struct flow_queue *flow_queue_find(const struct flow_queues *q, uint32_t key);

/* Appends a packet. False when all places are taken. */
bool flow_queue_push(
	struct flow_queues *q, struct flow_queue *f, const struct queued_packet *packet);

/* Takes the oldest packet out; it must not be empty. */
struct queued_packet flow_queue_pop(struct flow_queues *q, struct flow_queue *f);

/* Puts another packet in the place of the newest one, which is returned; it keeps its time and turn. */
struct queued_packet flow_queue_replace(
	struct flow_queues *q, struct flow_queue *f, const struct queued_packet *packet);

/* The flow whose turn it is, with packets; the lane must have some that are not parked. */
struct flow_queue *lane_pick(struct flow_queues *q, struct lane *lane);

/* A packet of the flow was sent. */
void flow_queue_charge(struct flow_queue *f, uint32_t octets);

/* A fattest flow of a fattest device: none has twice as much. NULL when nothing waits. */
struct flow_queue *flow_queue_fattest(const struct flow_queues *q);

/* Takes a device out of its lane until a time. */
void device_queue_park(struct flow_queues *q, struct device_queue *d, uint64_t due_us);

/* Puts the device that is due first back; NULL when none is due. */
struct device_queue *device_queue_unpark(struct flow_queues *q, uint64_t now_us);

/* When the next device is due; UINT64_MAX when none is parked. */
uint64_t flow_queues_due_us(const struct flow_queues *q);

uint32_t flow_queues_n_packets(const struct flow_queues *q);
uint32_t flow_queues_n_octets(const struct flow_queues *q);

/* Flows with packets. */
uint32_t flow_queues_n_flows(const struct flow_queues *q);

#endif
