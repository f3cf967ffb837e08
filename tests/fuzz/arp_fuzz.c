/* SPDX-License-Identifier: BSD-3-Clause */
/* The neighbour table under any sequence of ARP messages, packets, traffic and time: every packet
 * that waits comes out exactly once, and no address is asked for more than once a second. */
#include <weir/packet/arp.h>
#include <weir/port/neighbor.h>

#include <stdlib.h>
#include <string.h>

#define CAPACITY  6
#define N_PACKETS 256
#define ARP_BYTES 28

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct neighbor_table *t;
	uint64_t now_us;
	uint8_t held[N_PACKETS]; /* 1: the table has it */
	uint32_t n_held;
	uint64_t asked_us[2][8]; /* last request, by port and address */
	bool asked[2][8];
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static uint32_t addr_of(uint8_t choice)
{
	return htonl(0x0a000001 + (choice & 7u));
}

static struct mac_addr mac_of(uint8_t choice)
{
	return (struct mac_addr){{2, 0, 0, 0, 0, choice & 3}};
}

static void put_in(struct run *run, uint8_t where)
{
	for (uint32_t i = 0; i < N_PACKETS; i++) {
		if (run->held[i] != 0)
			continue;
		if (neighbor_wait(
			    run->t, where >> 3 & 1, addr_of(where), &run->held[i], run->now_us)) {
			run->held[i] = 1;
			run->n_held++;
		}
		return;
	}
}

static void take_out(struct run *run, void **packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *held = packets[i];

		demand(*held == 1);
		*held = 0;
		run->n_held--;
	}
}

static void tick(struct run *run, uint32_t n_max)
{
	struct neighbor_request requests[4];
	void *failed[4];
	uint32_t n = neighbor_tick(run->t, run->now_us, requests, n_max & 3);

	demand(n <= (n_max & 3));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = ntohl(requests[i].addr_be) - 0x0a000001;
		uint32_t p = requests[i].port;

		demand(a < 8 && p < 2);
		demand(!run->asked[p][a]
			|| run->now_us - run->asked_us[p][a] >= NEIGHBOR_REQUEST_US);
		run->asked[p][a] = true;
		run->asked_us[p][a] = run->now_us;
	}
	take_out(run, failed, neighbor_take_failed(run->t, failed, n_max & 3));
}

/* A message as it could be on the wire: 28 octets of which the fuzzer owns every one. */
static void hear(struct run *run, uint8_t where, const uint8_t *data, size_t size)
{
	struct arp_message message;
	void *released[NEIGHBOR_QUEUE];
	uint8_t *wire = malloc(size);

	demand(wire != NULL);
	memcpy(wire, data, size);
	if (arp_read(wire, (uint32_t)size, &message) == DROP_NONE)
		take_out(run, released,
			neighbor_learn(run->t, where >> 3 & 1, &message, (where & 16) != 0,
				run->now_us, released));
	free(wire);
}

/* One that passes arp_read. */
static void hear_good(struct run *run, uint8_t where, uint8_t what)
{
	struct arp_message message = {(what & 1) != 0 ? ARP_REPLY : ARP_REQUEST, mac_of(what >> 1),
		mac_of(0), addr_of(where), addr_of(what >> 3)};
	struct mac_addr dst = mac_of(1);
	uint8_t frame[ARP_FRAME_BYTES];

	arp_build(frame, &dst, &message);
	hear(run, where, frame + ARP_FRAME_BYTES - ARP_BYTES, ARP_BYTES);
}

static void flush(struct run *run, uint8_t port)
{
	void *packets[5];
	uint32_t n;

	do {
		n = neighbor_flush(run->t, port, packets, 5);
		take_out(run, packets, n);
	} while (n == 5);
	/* A known address may be asked for again at once after its port was flushed. */
	memset(run->asked, 0, sizeof(run->asked));
}

static void step(struct run *run, const uint8_t *op)
{
	struct mac_addr mac = mac_of(op[2]);

	switch (op[0] % 8) {
	case 0:
		put_in(run, op[1]);
		break;
	case 1:
		hear_good(run, op[1], op[2]);
		break;
	case 2:
		(void)neighbor_find(run->t, op[1] >> 3 & 1, addr_of(op[1]), run->now_us);
		break;
	case 3:
		neighbor_confirm(run->t, op[1] >> 3 & 1, addr_of(op[1]), &mac, run->now_us);
		break;
	case 4:
		tick(run, op[1]);
		break;
	case 5:
		run->now_us += (uint64_t)op[1] * 4096 << (op[2] & 15);
		break;
	case 6:
		if (op[1] % 16 == 0)
			flush(run, op[2] % 3 == 2 ? PORT_NONE : op[2] % 3);
		break;
	default:
		for (int i = 0; i < 16; i++)
			put_in(run, op[1]);
		break;
	}
}

static void check_waiting(const struct run *run)
{
	uint32_t n_waiting = 0;

	for (uint32_t i = 0; i < CAPACITY; i++) {
		const struct neighbor *n = neighbor_at(run->t, i);

		if (n == NULL)
			continue;
		demand(n->n_waiting <= NEIGHBOR_QUEUE);
		demand(n->n_waiting == 0 || n->state == NEIGHBOR_INCOMPLETE);
		demand(n->n_requests <= NEIGHBOR_REQUESTS);
		n_waiting += n->n_waiting;
	}
	demand(n_waiting == run->n_held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *run = calloc(1, sizeof(*run));

	demand(run != NULL);
	demand(neighbor_table_create(CAPACITY, 5000000, 7, &run->t) == 0);
	while (size >= 3) {
		if (data[0] == 255 && size >= 3 + ARP_BYTES) {
			hear(run, data[1], data + 3, ARP_BYTES);
			data += ARP_BYTES;
			size -= ARP_BYTES;
		} else {
			step(run, data);
		}
		check_waiting(run);
		data += 3;
		size -= 3;
	}
	if (size > 0)
		hear(run, 0, data, size);
	flush(run, PORT_NONE);
	demand(run->n_held == 0);
	neighbor_table_destroy(run->t);
	free(run);
	return 0;
}
