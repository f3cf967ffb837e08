/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of remotes under any sequence of names, questions and time: bounds hold, and what was heard last is what a flow that begins
 * then is told. */
#include <weir/base/clock.h>
#include <weir/control/remote_names.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY  24
#define N_DEVICES 5
#define OP_BYTES  6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static struct path_name name_of(const uint8_t *op, uint64_t now_us)
{
	struct path_name n = {.kind = PATH_NAME_REMOTE,
		.port = op[1] >> 7,
		.mac = {{2, 0, 0, 0, 0, op[1] >> 4 & 1}},
		.addr = ip_addr_quad(192, 168, 50, op[1] & 7),
		.device_id = op[1] & 7, /* some of them none's */
		.ttl_s = op[3] == 255 ? UINT32_MAX : op[3],
		.remote = ip_addr_quad(203, 0, 113, op[2] & 15),
		.at_us = now_us};

	(void)snprintf(n.name, sizeof(n.name), "n%u", op[4] & 3);
	return n;
}

static struct flow_record flow_of(const struct path_name *n, uint64_t start_us)
{
	return (struct flow_record){.start_us = start_us,
		.internal = n->addr,
		.remote = n->remote,
		.device_mac = n->mac,
		.lan_port = n->port};
}

static void step(struct remote_names *r, const uint8_t *op, uint64_t now_us)
{
	struct path_name n = name_of(op, now_us);
	struct flow_record flow = flow_of(&n, now_us);
	const char *found;

	switch (op[0] % 8) {
	case 0:
		flow.start_us -= (uint64_t)op[5] * US_PER_S;
		found = remote_names_find(r, &flow);
		demand(found == NULL || found[0] == 'n');
		break;
	case 1:
		if (op[5] == 0)
			remote_names_clear(r);
		break;
	default:
		remote_names_hear(r, &n);
		found = remote_names_find(r, &flow);
		demand(n.device_id >= N_DEVICES || (found != NULL && strcmp(found, n.name) == 0));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remote_names *r;
	uint64_t now_us = 10000 * US_PER_S;

	demand(remote_names_create(CAPACITY, N_DEVICES, 3, &r) == 0);
	for (; size >= OP_BYTES; data += OP_BYTES, size -= OP_BYTES) {
		now_us += 1 + (uint64_t)data[5] * (data[0] >> 6) * US_PER_S;
		step(r, data, now_us);
		demand(remote_names_n(r) <= CAPACITY);
	}
	remote_names_destroy(r);
	return 0;
}
