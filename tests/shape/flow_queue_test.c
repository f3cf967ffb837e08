/* SPDX-License-Identifier: BSD-3-Clause */
#include <weir/shape/flow_queue.h>

#include <criterion/criterion.h>
#include <errno.h>

static char packets[64]; /* only their addresses matter */

static bool push(
	struct flow_queues *q, struct lane *lane, uint16_t device, uint32_t key, uint32_t n)
{
	struct flow_queue *f = flow_queue_take(q, lane, device, key);
	struct queued_packet p = {.packet = &packets[n], .octets = 100 + n};

	return f != NULL && flow_queue_push(q, f, &p);
}

Test(shape_flow_queue, needs_a_place_and_a_device)
{
	struct flow_queues *q = NULL;

	cr_assert_eq(flow_queues_create(0, 1, &q), -EINVAL);
	cr_assert_eq(flow_queues_create(1, 0, &q), -EINVAL);
	cr_assert_null(q);
	flow_queues_destroy(NULL);
}

Test(shape_flow_queue, a_flow_finds_a_queue_as_long_as_there_is_a_place)
{
	struct flow_queues *q;
	struct lane lane;
	uint32_t key = 0;

	lane_init(&lane);
	cr_assert_eq(flow_queues_create(8, 2, &q), 0);
	for (uint32_t round = 0; round < 50;
		round++) { /* flows that were never seen, all the time */
		for (uint32_t i = 0; i < 8; i++)
			cr_assert(push(q, &lane, (uint16_t)(round % 5), key++, i));
		cr_assert_eq(flow_queues_n_flows(q), 8);
		cr_assert_not(push(q, &lane, (uint16_t)(round % 5), key, 0), "no ninth place");
		while (flow_queues_n_packets(q) > 0) {
			struct flow_queue *f = lane_pick(q, &lane);
			struct queued_packet p = flow_queue_pop(q, f);

			flow_queue_charge(f, p.octets);
		}
		cr_assert_eq(flow_queues_n_octets(q), 0);
		cr_assert_null(flow_queue_fattest(q));
	}
	flow_queues_destroy(q);
}

Test(shape_flow_queue, devices_whose_queues_all_hold_packets_leave_none_for_another)
{
	struct flow_queues *q;
	struct lane lanes[2];

	lane_init(&lanes[0]);
	lane_init(&lanes[1]);
	cr_assert_eq(flow_queues_create(8, 2, &q), 0);
	cr_assert(push(q, &lanes[0], 1, 1, 0));
	cr_assert(push(q, &lanes[1], 1, 2, 1));
	cr_assert_null(flow_queue_take(q, &lanes[0], 2, 3));
	cr_assert(push(q, &lanes[0], 1, 3, 2), "a device that has one goes on");
	flow_queue_pop(q, flow_queue_find(q, 2));
	cr_assert(push(q, &lanes[0], 2, 4, 3), "the empty one makes room");
	cr_assert_null(flow_queue_find(q, 2));
	flow_queues_destroy(q);
}

Test(shape_flow_queue, a_packet_waits_where_its_flow_waits_whatever_lane_is_asked_for)
{
	struct flow_queues *q;
	struct lane lanes[2];
	struct flow_queue *f;

	lane_init(&lanes[0]);
	lane_init(&lanes[1]);
	cr_assert_eq(flow_queues_create(8, 8, &q), 0);
	cr_assert(push(q, &lanes[0], 1, 7, 0));
	f = flow_queue_find(q, 7);
	cr_assert_eq(flow_queue_take(q, &lanes[1], 2, 7), f);
	flow_queue_pop(q, f);
	f = flow_queue_take(q, &lanes[1], 2, 7);
	cr_assert_eq(f->device->lane, &lanes[1], "when it is empty, it moves");
	cr_assert_eq(f->device->device_id, 2);
	flow_queues_destroy(q);
}

Test(shape_flow_queue, the_fattest_is_never_twice_as_thin_as_another)
{
	struct flow_queues *q;
	struct lane lane;

	lane_init(&lane);
	cr_assert_eq(flow_queues_create(4096, 64, &q), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t fattest = 0;

		cr_assert(push(q, &lane, (uint16_t)(i * 7 % 40), i * i % 300, i % 64));
		for (uint32_t key = 0; key < 300; key++) {
			const struct flow_queue *f = flow_queue_find(q, key);

			if (f != NULL && f->device->n_octets > fattest)
				fattest = f->device->n_octets;
		}
		cr_assert_gt(2 * flow_queue_fattest(q)->device->n_octets, fattest);
	}
	flow_queues_destroy(q);
}

Test(shape_flow_queue, parked_devices_come_back_in_the_order_of_their_times)
{
	struct flow_queues *q;
	struct device_queue *devices[40];
	struct lane lane;
	uint64_t last_us = 0;

	lane_init(&lane);
	cr_assert_eq(flow_queues_create(256, 64, &q), 0);
	for (uint16_t d = 0; d < 40; d++) {
		cr_assert(push(q, &lane, d, d, d));
		devices[d] = flow_queue_find(q, d)->device;
	}
	for (uint32_t d = 0; d < 40; d++)
		device_queue_park(q, devices[d], 100 + d * 17 % 40);
	cr_assert_eq(lane.n_packets, 0);
	cr_assert(push(q, &lane, 3, 3, 0), "more may come while it is parked");
	cr_assert_eq(lane.n_packets, 0);
	cr_assert_eq(flow_queues_due_us(q), 100);
	cr_assert_null(device_queue_unpark(q, 99));
	for (uint32_t i = 0; i < 40; i++) {
		struct device_queue *d = device_queue_unpark(q, 200);

		cr_assert_geq(d->due_us, last_us);
		last_us = d->due_us;
	}
	cr_assert_eq(flow_queues_due_us(q), UINT64_MAX);
	cr_assert_eq(lane.n_packets, 41);
	flow_queues_destroy(q);
}

Test(shape_flow_queue, turns_go_round_and_a_debt_outlives_an_empty_queue)
{
	struct flow_queues *q;
	struct flow_queue *f;
	struct lane lane;

	lane_init(&lane);
	cr_assert_eq(flow_queues_create(16, 4, &q), 0);
	cr_assert(push(q, &lane, 1, 1, 0));
	f = lane_pick(q, &lane);
	flow_queue_pop(q, f);
	flow_queue_charge(f, 4000); /* a huge packet */
	cr_assert(push(q, &lane, 1, 1, 0), "back at once");
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert(push(q, &lane, 2, 2, 1));
		f = lane_pick(q, &lane);
		cr_assert_eq(f->key, 2, "its debt is not forgotten");
		flow_queue_pop(q, f);
		flow_queue_charge(f, 1400);
	}
	flow_queues_destroy(q);
}
